//! `setNotification` and `setNotifications`: which notices an account wants, and where (A32, V12-V17).
//!
//! One append, so all or none; a process that dies before it has changed nothing, after it everything.

use atelier_domain::AccountId;
use atelier_domain::account::{Account, AccountCommand, Channel, NoticeKind, NotificationChoice};

use crate::command_path::CommandContext;
use crate::event_store::Position;
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// The most switches of one request: each of them, once.
pub const MAX_CHOICES: usize = NoticeKind::ALL.len() * Channel::ALL.len();

/// Sets switches.
#[derive(Debug, Clone)]
pub struct SetNotifications {
    /// Whose.
    pub account: AccountId,
    /// The switches; what is not among them stays.
    pub choices: Vec<NotificationChoice>,
}

impl SetNotifications {
    /// Runs the use case; the answer is the position to read from.
    ///
    /// # Errors
    /// `invalid_field` when there are more switches than there can be, or one is set twice.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        let twice = |(n, choice): (usize, &NotificationChoice)| {
            self.choices[..n].iter().any(|other| (other.kind, other.channel) == (choice.kind, choice.channel))
        };
        if self.choices.len() > MAX_CHOICES || self.choices.iter().enumerate().any(twice) {
            return Err(Refusal::field("choices", "Each switch may be set once.").into());
        }
        let command = |_| AccountCommand::SetNotifications { choices: self.choices.clone() };
        let executed = write.path.execute::<Account>(&account_target(self.account), context, None, command).await;
        Ok(executed.map_err(|error| error.map(Refusal::from))?.position())
    }
}
