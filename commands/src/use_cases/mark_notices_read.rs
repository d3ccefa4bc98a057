//! `markNoticesRead`: notices inside the application that were seen. A row's mark and no event, like everything at telemetry speed.

use atelier_domain::AccountId;
use uuid::Uuid;

use crate::notices;
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::WriteSide;

/// The most notices named in one request.
pub const MAX_NAMED: usize = 100;

/// Marks notices as read.
#[derive(Debug, Clone)]
pub struct MarkNoticesRead {
    /// Whose.
    pub account: AccountId,
    /// Which; all of them when not given. Those of others are passed over.
    pub notices: Option<Vec<Uuid>>,
}

impl MarkNoticesRead {
    /// Runs the use case.
    ///
    /// # Errors
    /// `invalid_field` when too many are named.
    pub async fn run(self, write: &WriteSide) -> Result<(), UseCaseError> {
        if self.notices.as_ref().is_some_and(|named| named.len() > MAX_NAMED) {
            return Err(Refusal::field("ids", format!("Name at most {MAX_NAMED} notices at once.")).into());
        }
        notices::mark_read(&write.pool, self.account, self.notices.as_deref(), write.now()).await?;
        Ok(())
    }
}
