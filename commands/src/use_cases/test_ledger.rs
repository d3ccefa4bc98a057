//! The test ledger's daily refill: what `test` API keys spend (DESIGN 4).

use atelier_domain::credit_ledger::{CreditLedgerCommand, GrantReason};
use atelier_domain::{AccountId, Credits, LedgerId, LotId};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use uuid::Uuid;

use super::GrantCredits;
use crate::command_path::{CommandContext, CommandError};
use crate::refusal::UseCaseError;
use crate::write_side::WriteSide;

/// What a test ledger is filled up with each day (DESIGN 4).
const TEST_CREDITS_A_DAY: Credits = Credits::new(10_000);

/// A day's lot: its id, the next day, and its end.
fn lot_of(account: AccountId, day: NaiveDate) -> Option<(LotId, NaiveDate, DateTime<Utc>)> {
    let lot = format!("test credits {day} {TEST_CREDITS_A_DAY}");
    let next = day.checked_add_days(Days::new(1))?;
    Some((LotId(Uuid::new_v5(&account.0, lot.as_bytes())), next, next.and_time(NaiveTime::MIN).and_utc()))
}

/// What opens today's lot, for those who only want to know what would be there.
pub(super) fn todays(account: AccountId, now: DateTime<Utc>) -> Option<CreditLedgerCommand> {
    let (lot_id, _, expires_at) = lot_of(account, now.date_naive())?;
    let (reason, amount) = (GrantReason::TestRefill, TEST_CREDITS_A_DAY);
    Some(CreditLedgerCommand::GrantCredits { lot_id, reason, amount, expires_at: Some(expires_at), now })
}

/// Opens today's lot of the test ledger; a no-op when it is open. The amount is part of the lot's id, so that a release with
/// another amount opens another lot.
pub(super) async fn refill(write: &WriteSide, context: &CommandContext, ledger: LedgerId) -> Result<(), UseCaseError> {
    let mut day = write.now().date_naive();
    for _ in 0..2 {
        let Some((lot, next, expires_at)) = lot_of(ledger.account, day) else { break };
        let (reason, amount) = (GrantReason::TestRefill, TEST_CREDITS_A_DAY);
        let grant = GrantCredits { ledger, lot, reason, amount, expires_at: Some(expires_at) };
        match grant.run(write, context).await {
            Ok(_) => return Ok(()),
            // The ledger's own clock is past midnight already.
            Err(CommandError::Refused(_)) => day = next,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
