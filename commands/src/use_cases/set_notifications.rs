//! `setNotification` and `setNotifications`: which notices an account wants, and where (A32, V12-V17).
//!
//! One append, so all or none; a process that dies before it has changed nothing, after it everything.

use atelier_domain::account::{Account, AccountCommand, Channel, NoticeKind, NotificationChoice};
use atelier_domain::{AccountId, Invalid, Reason};

use crate::command_path::CommandContext;
use crate::event_store::Position;
use crate::refusal::{Named, Refusal, UseCaseError, each};
use crate::write_side::{WriteSide, account_target};

/// The most switches of one request: each of them, once.
pub const MAX_CHOICES: usize = NoticeKind::ALL.len() * Channel::ALL.len();

/// Sets switches.
#[derive(Debug, Clone)]
pub struct SetNotifications {
    /// Whose.
    pub account: AccountId,
    /// The switches, each read or refused by the caller, who names its field; what is not among them stays.
    pub choices: Vec<Named<NotificationChoice>>,
}

impl SetNotifications {
    /// Runs the use case; the answer is the position to read from.
    ///
    /// # Errors
    /// `invalid_field` when there are more switches than there can be, one is set twice, or one cannot be set.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        if self.choices.len() > MAX_CHOICES {
            let says = format!("must be at most {MAX_CHOICES}");
            return Err(Refusal::value("choices", Invalid::at_most(Reason::TooMany, MAX_CHOICES as i64, says)).into());
        }
        let mut seen = Vec::with_capacity(self.choices.len());
        let choices = each(self.choices.into_iter().enumerate().map(|(number, choice)| {
            let choice = choice?;
            if seen.contains(&(choice.kind, choice.channel)) {
                let invalid = Invalid::new(Reason::Duplicate, "set a switch that was set before");
                return Err(Refusal::value(format!("choices.{number}"), invalid));
            }
            seen.push((choice.kind, choice.channel));
            Ok(choice)
        }))?;
        let command = |_| AccountCommand::SetNotifications { choices: choices.clone() };
        let executed =
            write.path.execute::<Account>(&account_target(self.account), context, context.key(), command).await;
        Ok(executed.map_err(|error| error.map(Refusal::from))?.position())
    }
}
