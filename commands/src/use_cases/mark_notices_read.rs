//! `markNoticesRead`: notices inside the application that were seen. A row's mark and no event, like everything at telemetry speed.

use atelier_domain::{AccountId, Invalid, Reason};
use uuid::Uuid;

use crate::notices;
use crate::refusal::{Named, Refusal, UseCaseError, each};
use crate::write_side::WriteSide;

/// The most notices named in one request.
pub const MAX_NAMED: usize = 100;

/// Marks notices as read.
#[derive(Debug, Clone)]
pub struct MarkNoticesRead {
    /// Whose.
    pub account: AccountId,
    /// Which; all of them when not given. Those of others are passed over.
    pub notices: Option<Vec<Named<Uuid>>>,
}

impl MarkNoticesRead {
    /// Runs the use case.
    ///
    /// # Errors
    /// `invalid_field` when too many are named; `not_found` for what is no notice's id.
    pub async fn run(self, write: &WriteSide) -> Result<(), UseCaseError> {
        if self.notices.as_ref().is_some_and(|named| named.len() > MAX_NAMED) {
            let says = format!("must be at most {MAX_NAMED}");
            return Err(Refusal::value("ids", Invalid::at_most(Reason::TooMany, MAX_NAMED as i64, says)).into());
        }
        let named = self.notices.map(each).transpose()?;
        notices::mark_read(&write.pool, self.account, named.as_deref(), write.now()).await?;
        Ok(())
    }
}
