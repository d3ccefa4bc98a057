//! The link at the end of a mail: no more mails of its kind (V16, RFC 8058). No sign-in; whoever got the mail may.
//!
//! One append; a repeat changes nothing, and the link never expires.

use atelier_domain::account::{Channel, NoticeKind, NotificationChoice, Status};
use atelier_domain::{AccountId, account::Account};

use super::SetNotifications;
use crate::command_path::{CommandContext, CommandError};
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::write_side::WriteSide;

/// Ends mails of one kind.
#[derive(Clone)]
pub struct Unsubscribe {
    /// The token of the mail's link.
    pub token: String,
}

/// What has been ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsubscribed {
    /// The kind of mails.
    pub kind: NoticeKind,
}

impl Unsubscribe {
    /// What the link is about, without following it.
    ///
    /// # Errors
    /// `invalid_token` when it is not one of ours.
    pub fn kind(&self, write: &WriteSide) -> Result<NoticeKind, UseCaseError> {
        Ok(self.read(write)?.1)
    }

    /// Runs the use case.
    ///
    /// # Errors
    /// `invalid_token` when it is not one of ours.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Unsubscribed, UseCaseError> {
        let (account, kind) = self.read(write)?;
        let choices = vec![Ok(NotificationChoice { kind, channel: Channel::Mail, on: false })];
        match (SetNotifications { account, choices }).run(write, context).await {
            Ok(_) => {}
            // Nobody is left to write to: that is what was asked for.
            Err(CommandError::Erased) => {}
            Err(CommandError::Refused(refusal)) => {
                let loaded = write.path.load::<Account>(&account.to_string()).await;
                let owner = loaded.map_err(|error| error.map(Refusal::from))?.state;
                if owner.status() == Status::Open {
                    return Err(refusal.into());
                }
            }
            Err(error) => return Err(error),
        }
        Ok(Unsubscribed { kind })
    }

    fn read(&self, write: &WriteSide) -> Result<(AccountId, NoticeKind), UseCaseError> {
        let refused = || Refusal::new(RefusalCode::InvalidToken, "This link is not one of ours.");
        Ok(write.secrets.read_unsubscribe_token(&self.token).ok_or_else(refused)?)
    }
}
