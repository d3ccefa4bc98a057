//! Random histories: what may be asked of a ledger next, with few ids and a clock of small steps so that edges and repeats are frequent.

use proptest::prelude::*;

use super::*;

/// An amount, some of them relative to what is there when the step is taken.
#[derive(Debug, Clone, Copy)]
pub(super) enum Amount {
    /// This many percent of what is available or held.
    Share(u8),
    /// One more than that.
    JustOver,
    /// As it stands.
    Exactly(i64),
}

impl Amount {
    pub(super) fn of(self, base: Credits) -> i64 {
        match self {
            Self::Share(percent) => base.get() * i64::from(percent) / 100,
            Self::JustOver => base.get() + 1,
            Self::Exactly(amount) => amount,
        }
    }
}

/// One step of a history.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operation {
    Grant { lot: u128, source: GrantSource, amount: i64, expires_in: Option<i64> },
    Place { hold: u128, generation: u128, amount: Amount, price_version: u32, limits: HoldLimits },
    Capture { hold: u128, amount: Amount },
    Void { hold: u128 },
    Expire { lot: u128 },
    Close,
    Wait { millis: i64 },
    WaitForTomorrow,
    Repeat { step: usize },
}

fn near_the_limits() -> impl Strategy<Value = i64> {
    let max = Credits::MAX.get();
    prop::sample::select(vec![i64::MIN, i64::MIN + 1, -1, 0, max - 1, max, max + 1, i64::MAX - 1, i64::MAX])
}

fn amount() -> impl Strategy<Value = Amount> {
    prop_oneof![
        3 => (0..=100_u8).prop_map(Amount::Share),
        3 => (1..80_i64).prop_map(Amount::Exactly),
        1 => Just(Amount::Share(100)),
        1 => Just(Amount::JustOver),
        1 => near_the_limits().prop_map(Amount::Exactly),
    ]
}

/// Mostly none; the caps of a key differ from one hold to the next, which the ledger does not mind.
fn limits() -> impl Strategy<Value = HoldLimits> {
    let cap = || prop_oneof![1 => Just(None), 1 => (1..120_i64).prop_map(|cap| Some(Credits::new(cap)))];
    let budget = (1..4_u128, cap(), cap())
        .prop_map(|(n, daily, total)| Some(KeyBudget { key_id: key(n), caps: SpendCaps { daily, total } }));
    let budget = prop_oneof![1 => Just(None), 1 => budget];
    let at_once = prop_oneof![4 => Just(None), 1 => (0..4_u32).prop_map(Some)];
    (at_once, budget).prop_map(|(at_once, budget)| HoldLimits { at_once, budget })
}

fn operation() -> impl Strategy<Value = Operation> {
    let source = prop::sample::select(vec![GrantSource::Promotional, GrantSource::Plan, GrantSource::Purchased]);
    let granted = prop_oneof![6 => 1..300_i64, 1 => near_the_limits()];
    let expires_in = prop_oneof![1 => Just(None), 3 => (-2..40_i64).prop_map(Some)];
    let grant = (0..8_u128, source, granted, expires_in)
        .prop_map(|(lot, source, amount, expires_in)| Operation::Grant { lot, source, amount, expires_in });
    let place =
        (0..10_u128, 0..12_u8, amount(), 0..12_u32, limits()).prop_map(|(hold, other, amount, price, limits)| {
            // Mostly the same terms per id, so that most refusals are about credits.
            let generation = if other == 0 { 99 } else { hold };
            Operation::Place { hold, generation, amount, price_version: 1 + u32::from(price == 0), limits }
        });
    let capture = (0..10_u128, amount()).prop_map(|(hold, amount)| Operation::Capture { hold, amount });
    prop_oneof![
        4 => grant,
        5 => place,
        4 => capture,
        2 => (0..10_u128).prop_map(|hold| Operation::Void { hold }),
        2 => (0..8_u128).prop_map(|lot| Operation::Expire { lot }),
        1 => Just(Operation::Close),
        3 => (0..9_i64).prop_map(|millis| Operation::Wait { millis }),
        1 => Just(Operation::WaitForTomorrow),
        2 => (0..40_usize).prop_map(|step| Operation::Repeat { step }),
    ]
}

/// Up to forty steps.
pub(super) fn history() -> impl Strategy<Value = Vec<Operation>> {
    prop::collection::vec(operation(), 1..=40)
}
