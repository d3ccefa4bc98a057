//! The mutations, one for each use case, by room.

pub mod api_keys;
pub mod generations;
pub mod identity;
pub mod passwords;
pub mod profile;
pub mod sessions;

pub use api_keys::ApiKeyMutation;
pub use generations::GenerationMutation;
pub use identity::IdentityMutation;
pub use passwords::PasswordMutation;
pub use profile::ProfileMutation;
pub use sessions::SessionMutation;
