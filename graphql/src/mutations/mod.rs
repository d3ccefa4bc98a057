//! The mutations, one for each use case, by room.

pub mod api_keys;
pub mod avatars;
pub mod data_export;
pub mod deletion;
pub mod external_identity;
pub mod generations;
pub mod identity;
pub mod notifications;
pub mod passwords;
pub mod profile;
pub mod sessions;
pub mod staff;
pub mod two_factor;

pub use api_keys::ApiKeyMutation;
pub use avatars::AvatarMutation;
pub use data_export::DataExportMutation;
pub use deletion::DeletionMutation;
pub use external_identity::ExternalIdentityMutation;
pub use generations::GenerationMutation;
pub use identity::IdentityMutation;
pub use notifications::NotificationMutation;
pub use passwords::PasswordMutation;
pub use profile::ProfileMutation;
pub use sessions::SessionMutation;
pub use staff::StaffMutation;
pub use two_factor::TwoFactorMutation;
