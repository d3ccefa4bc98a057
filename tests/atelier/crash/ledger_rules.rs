//! What the checker knows of money: balances as plain sums of entries, and holds that are placed once and end once.

use std::collections::HashMap;

use serde_json::Value;
use uuid::Uuid;

use super::log_checker::{LogRow, Violation};

/// An account of the chart, within its ledger or beyond all ledgers.
type Account = (String, String);

#[derive(Debug)]
struct Hold {
    ledger: String,
    placed: i64,
    amount: i64,
    open: bool,
    keyed: bool,
}

/// All ledgers of a log.
#[derive(Debug, Default)]
pub struct Ledgers {
    balances: HashMap<Account, i64>,
    holds: HashMap<Uuid, Hold>,
}

/// The lines of an event; `None` when one cannot be read.
fn entries(body: &Value) -> Option<Vec<(&str, i64)>> {
    let lines = body["entries"].as_array()?;
    lines.iter().map(|line| Some((line["account"].as_str()?, line["amount"].as_i64()?))).collect()
}

/// What an event moves on accounts of one kind.
fn moved(entries: &[(&str, i64)], account: &str) -> i64 {
    entries.iter().filter(|(name, _)| *name == account).map(|(_, amount)| amount).sum()
}

/// An id in a payload.
pub fn id(body: &Value, field: &str) -> Option<Uuid> {
    body[field].as_str()?.parse().ok()
}

impl Ledgers {
    /// Takes an event of a ledger; what is wrong with it.
    pub fn fold(&mut self, row: &LogRow, body: &Value) -> Vec<Violation> {
        let position = row.position;
        let Some(entries) = entries(body) else { return vec![Violation::Unreadable { position }] };
        let mut wrong = Vec::new();
        let sum: i64 = entries.iter().map(|(_, amount)| amount).sum();
        if sum != 0 {
            wrong.push(Violation::Unbalanced { position, sum });
        }
        for (account, amount) in &entries {
            let balance = self.balances.entry((row.aggregate_id.clone(), (*account).to_owned())).or_default();
            *balance += amount;
            if *balance < 0 && !account.starts_with("system:") {
                wrong.push(Violation::Negative { position, account: (*account).to_owned(), balance: *balance });
            }
        }
        wrong.extend(self.hold(row, body, &entries));
        wrong
    }

    fn hold(&mut self, row: &LogRow, body: &Value, entries: &[(&str, i64)]) -> Option<Violation> {
        let position = row.position;
        let number = |field: &str| body[field].as_i64();
        let (ended, said, there) = match row.event_type.as_str() {
            "HoldPlaced" => {
                let (Some(id), Some(amount)) = (id(body, "hold_id"), number("amount")) else {
                    return Some(Violation::Unreadable { position });
                };
                let hold =
                    Hold { ledger: row.aggregate_id.clone(), placed: position, amount, open: true, keyed: false };
                if self.holds.insert(id, hold).is_some() {
                    return Some(Violation::Hold { position, wrong: "placed twice" });
                }
                return (moved(entries, "held") != amount).then_some(Violation::EntriesDiffer { position });
            }
            "HoldCaptured" => (id(body, "hold_id"), number("captured"), moved(entries, "system:consumed")),
            "HoldVoided" => (id(body, "hold_id"), number("returned"), -moved(entries, "held")),
            _ => return None,
        };
        let (Some(ended), Some(said)) = (ended, said) else { return Some(Violation::Unreadable { position }) };
        let hold = self.holds.get_mut(&ended).filter(|hold| hold.open && hold.ledger == row.aggregate_id);
        let Some(hold) = hold else {
            return Some(Violation::Hold { position, wrong: "ended without being open" });
        };
        hold.open = false;
        let as_said = said == there && moved(entries, "held") == -hold.amount;
        (!as_said).then_some(Violation::EntriesDiffer { position })
    }

    /// What can be spent, if nothing expires, and what is held.
    pub fn balance(&self, ledger: &str) -> (i64, i64) {
        let of = self.balances.iter().filter(|((of, _), _)| of == ledger);
        of.fold((0, 0), |(available, held), ((_, account), balance)| match account.as_str() {
            "held" => (available, held + balance),
            lot if lot.starts_with("lot:") => (available + balance, held),
            _ => (available, held),
        })
    }

    /// How many holds were placed.
    pub fn holds(&self) -> usize {
        self.holds.len()
    }

    /// Takes note of the key that a hold came by: the one written with it, and no other.
    pub fn keyed(&mut self, hold: Uuid, position: i64) -> Result<(), &'static str> {
        let hold = self.holds.get_mut(&hold).ok_or("stands for no hold")?;
        if hold.placed != position {
            return Err("was not written with its hold");
        }
        if std::mem::replace(&mut hold.keyed, true) { Err("shares its hold with another key") } else { Ok(()) }
    }

    /// The holds that no key stands for.
    pub fn without_key(&self) -> Vec<Violation> {
        let alone = self.holds.values().filter(|hold| !hold.keyed);
        alone.map(|hold| Violation::Key { position: hold.placed, wrong: "a hold without a key" }).collect()
    }

    /// The holds that have not ended.
    pub fn still_open(&self) -> Vec<Violation> {
        let open = self.holds.iter().filter(|(_, hold)| hold.open);
        open.map(|(id, _)| Violation::NotAtRest { id: id.to_string(), wrong: "a hold is open" }).collect()
    }
}
