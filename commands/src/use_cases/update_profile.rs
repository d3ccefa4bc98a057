//! `updateProfile`: name and biography, atomically (A07-A09). What does not change anything is not written.

use atelier_domain::account::{Account, AccountCommand, SameTexts};
use atelier_domain::text::{Bio, DisplayName};
use atelier_domain::{AccountId, Sealed};
use atelier_vault::Opened;

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
        let loaded = write.path.load::<Account>(&self.account.to_string()).await;
        let state = loaded.map_err(|error| error.map(Refusal::from))?.state;
        let new_name = display_name.as_ref().map(AsRef::as_ref);
        let same = SameTexts {
            display_name: self.same(write, "display_name", state.display_name(), new_name).await?,
            bio: self.same(write, "bio", state.bio(), bio.as_ref().map(AsRef::as_ref)).await?,
        };
        let command = |_| AccountCommand::UpdateProfile {
            display_name: display_name.clone(),
            bio: bio.clone(),
            same: same.clone(),
        };
        let executed =
            write.path.execute::<Account>(&account_target(self.account), context, context.key(), command).await;
        Ok(executed.map_err(|error| error.map(Refusal::from))?.position())
    }

    /// The stored text, if it says what the new one says.
    async fn same(
        &self,
        write: &WriteSide,
        field: &str,
        stored: Option<&Sealed>,
        new: Option<&str>,
    ) -> Result<Option<Sealed>, UseCaseError> {
        let (Some(stored), Some(new)) = (stored, new) else { return Ok(None) };
        let opened = write.vault.open(self.account, field, stored).await?;
        Ok(matches!(&opened, Opened::Text(text) if **text == *new).then(|| stored.clone()))
    }
}
