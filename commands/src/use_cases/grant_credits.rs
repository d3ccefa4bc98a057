//! `GrantCredits`: opens a lot. Never reachable by a user's own input (sec.A2); process managers and operators use it.

use atelier_domain::credit_ledger::{CreditLedger, CreditLedgerCommand, GrantReason};
use atelier_domain::{Credits, LedgerId, LotId};
use chrono::{DateTime, Utc};

use crate::command_path::{CommandContext, Target};
use crate::event_store::Position;
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::WriteSide;

/// Opens a lot of credits.
#[derive(Debug, Clone, Copy)]
pub struct GrantCredits {
    /// Whose credits.
    pub ledger: LedgerId,
    /// The lot's id; the same again grants nothing.
    pub lot: LotId,
    /// Where they come from.
    pub reason: GrantReason,
    /// How many.
    pub amount: Credits,
    /// When they expire, if ever.
    pub expires_at: Option<DateTime<Utc>>,
}

impl GrantCredits {
    /// Runs the use case; the answer is the position to read from.
    ///
    /// # Errors
    /// `invalid_field` when the ledger refuses the reason, the amount, the expiry or the id.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        let Self { ledger, lot, reason, amount, expires_at } = self;
        let target = Target { id: ledger.to_string(), subject: ledger.account };
        let command = |now| CreditLedgerCommand::GrantCredits { lot_id: lot, reason, amount, expires_at, now };
        let executed = write.path.execute::<CreditLedger>(&target, context, None, command).await;
        Ok(executed.map_err(|error| error.map(Refusal::from))?.position())
    }
}
