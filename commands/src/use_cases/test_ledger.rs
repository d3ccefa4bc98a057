//! The test ledger's daily refill: what `test` API keys spend (DESIGN 4).

use atelier_domain::credit_ledger::GrantReason;
use atelier_domain::{Credits, LedgerId, LotId};
use chrono::{Days, NaiveTime};
use uuid::Uuid;

use super::GrantCredits;
use crate::command_path::{CommandContext, CommandError};
use crate::refusal::UseCaseError;
use crate::write_side::WriteSide;

/// What a test ledger is filled up with each day (DESIGN 4).
const TEST_CREDITS_A_DAY: Credits = Credits::new(10_000);

/// Opens today's lot of the test ledger; a no-op when it is open. The amount is part of the lot's id, so that a release with
/// another amount opens another lot.
pub(super) async fn refill(write: &WriteSide, context: &CommandContext, ledger: LedgerId) -> Result<(), UseCaseError> {
    let mut day = write.now().date_naive();
    for _ in 0..2 {
        let lot = format!("test credits {day} {TEST_CREDITS_A_DAY}");
        let lot = LotId(Uuid::new_v5(&ledger.account.0, lot.as_bytes()));
        let Some(next) = day.checked_add_days(Days::new(1)) else { break };
        let (amount, expires_at) = (TEST_CREDITS_A_DAY, Some(next.and_time(NaiveTime::MIN).and_utc()));
        let grant = GrantCredits { ledger, lot, reason: GrantReason::TestRefill, amount, expires_at };
        match grant.run(write, context).await {
            Ok(_) => return Ok(()),
            // The ledger's own clock is past midnight already.
            Err(CommandError::Refused(_)) => day = next,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
