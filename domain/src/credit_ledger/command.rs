//! What may be asked of a credit ledger. Amounts, ids and the instant come from the caller; the ledger decides.

use chrono::{DateTime, Utc};

use super::{GrantReason, HoldLimits};
use crate::{Credits, GenerationId, HoldId, LotId};

/// A command on a credit ledger. `now` is the command's clock: rules use only this (L13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreditLedgerCommand {
    /// Open a new lot. Granting the same lot again with the same terms is a no-op, even when it has been spent since.
    GrantCredits {
        /// The new lot's id, chosen by the caller so that a repeat is recognised.
        lot_id: LotId,
        /// Where the credits come from; also decides their kind.
        reason: GrantReason,
        /// How many; positive, at most [`Credits::MAX`].
        amount: Credits,
        /// When they expire, if ever.
        expires_at: Option<DateTime<Utc>>,
        /// The command's clock.
        now: DateTime<Utc>,
    },
    /// Set credits aside for a generation, in burn order (U20), or refuse. A hold that has ended is not placed again.
    PlaceHold {
        /// The hold's id, time-ordered (UUIDv7). Placing the same hold again while it is open is a no-op.
        hold_id: HoldId,
        /// What it pays for.
        generation_id: GenerationId,
        /// How much; positive.
        amount: Credits,
        /// Which price list the amount comes from.
        price_version: u32,
        /// What it must keep within beside the balance.
        limits: HoldLimits,
        /// The command's clock.
        now: DateTime<Utc>,
    },
    /// End a hold by payment of at most what was held; zero is allowed.
    CaptureHold {
        /// The hold.
        hold_id: HoldId,
        /// How much to pay.
        amount: Credits,
        /// The command's clock.
        now: DateTime<Utc>,
    },
    /// End a hold without payment.
    VoidHold {
        /// The hold.
        hold_id: HoldId,
        /// The command's clock.
        now: DateTime<Utc>,
    },
    /// Write off what is left of a lot whose time is over; a no-op before that instant or when nothing is left.
    ExpireLot {
        /// The lot.
        lot_id: LotId,
        /// The command's clock.
        now: DateTime<Utc>,
    },
    /// Give up all that is left, for ever, because the account is being deleted (A38); refused while a hold is open. A repeat is a no-op.
    Close {
        /// The command's clock.
        now: DateTime<Utc>,
    },
}
