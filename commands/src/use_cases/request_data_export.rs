//! `requestDataExport`: asks for a copy of everything an account has (U25).
//!
//! What happens when the process dies: before the event, a try was counted that is forgiven with time; after it, `DataExport` has the copy
//! made, or given up within a day.

use atelier_domain::account::{Account, AccountCommand};
use atelier_domain::{AccountId, ExportId};

use crate::command_path::{CommandContext, CommandError, Executed};
use crate::event_store::Position;
use crate::refusal::{Refusal, UseCaseError};
use crate::throttle::{self, Bucket, Rule};
use crate::write_side::{WriteSide, account_target};

/// Asks for a copy of everything.
#[derive(Debug, Clone, Copy)]
pub struct RequestDataExport {
    /// Whose.
    pub account: AccountId,
}

impl RequestDataExport {
    /// Runs the use case; the answer is the copy's id and the position of the request.
    ///
    /// # Errors
    /// `not_possible_now` while one is being made; `rate_limit_exceeded` after too many; `not_found` for an account that is being deleted.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<(ExportId, Position), UseCaseError> {
        let account = self.account;
        let bucket = Bucket::of(write, Rule::ExportOfAccount, &[account.0.as_bytes()]);
        let counted = throttle::count(write, vec![bucket], Some(account)).await?;
        let export_id = ExportId(write.fresh_id());
        let request = |_| AccountCommand::RequestDataExport { export_id };
        let key = context.key_with(&export_id);
        match write.path.execute::<Account>(&account_target(account), context, key.as_ref(), request).await {
            Ok(Executed::Done { position, .. }) => Ok((export_id, position)),
            Ok(Executed::Repeat { result, position }) => {
                counted.take_back(write, false).await?;
                let first = result.parse();
                let first =
                    first.map_err(|_| CommandError::Internal("a stored idempotency result is not an id".into()));
                Ok((first?, position))
            }
            Err(error) => {
                if matches!(error, CommandError::Refused(_)) {
                    counted.take_back(write, false).await?;
                }
                Err(error.map(Refusal::from))
            }
        }
    }
}
