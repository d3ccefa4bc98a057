//! `updateProfile`: name and biography, atomically (A07-A09).

use atelier_domain::AccountId;
use atelier_domain::account::{Account, AccountCommand};
use atelier_domain::text::{Bio, DisplayName};

use crate::command_path::CommandContext;
use crate::event_store::Position;
use crate::refusal::{Refusal, UseCaseError, in_field, together};
use crate::write_side::{WriteSide, account_target};

/// Changes the display name, the biography, or both.
#[derive(Debug, Clone)]
pub struct UpdateProfile {
    /// Whose.
    pub account: AccountId,
    /// The new display name, if it changes.
    pub display_name: Option<String>,
    /// The new biography, if it changes; empty clears it.
    pub bio: Option<String>,
}

impl UpdateProfile {
    /// Runs the use case; the answer is the position to read from.
    ///
    /// # Errors
    /// `invalid_field` when a text is refused.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        let (display_name, bio) = together((
            in_field("display_name", self.display_name.as_deref().map(DisplayName::parse).transpose()),
            in_field("bio", self.bio.as_deref().map(Bio::parse).transpose()),
        ))?;
        let executed = write
            .path
            .execute::<Account>(&account_target(self.account), context, None, |_| AccountCommand::UpdateProfile {
                display_name: display_name.clone(),
                bio: bio.clone(),
            })
            .await
            .map_err(|error| error.map(Refusal::from))?;
        Ok(executed.position())
    }
}
