//! The use cases: one file each, named as its struct and its mutation.

mod account_claims;
pub mod assign_plan;
pub mod cancel_generation;
pub mod create_api_key;
pub mod delete_generation;
pub mod grant_credits;
pub mod open_session;
pub mod reauthenticate;
pub mod request_generation;
pub mod resend_verification;
pub mod revoke_api_key;
pub mod revoke_session;
pub mod revoke_sessions;
pub mod set_publish_to_explore;
pub mod sign_in;
pub mod sign_up;
mod test_ledger;
pub mod update_profile;
pub mod verify_email;

pub use assign_plan::AssignPlan;
pub use cancel_generation::{CancelGeneration, Cancelled};
pub use create_api_key::{CreateApiKey, CreatedApiKey};
pub use delete_generation::DeleteGeneration;
pub use grant_credits::GrantCredits;
pub use open_session::{OpenSession, Proof, SignedIn};
pub use reauthenticate::Reauthenticate;
pub use request_generation::{Accepted, Priced, RequestGeneration};
pub use resend_verification::ResendVerification;
pub use revoke_api_key::RevokeApiKey;
pub use revoke_session::RevokeSession;
pub use revoke_sessions::RevokeSessions;
pub use set_publish_to_explore::SetPublishToExplore;
pub use sign_in::SignIn;
pub use sign_up::SignUp;
pub use update_profile::UpdateProfile;
pub use verify_email::VerifyEmail;
