//! The cases of the table in the engine's issue, with what must be reached and what is aimed at.

/// What the clients of a case do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// Holds and captures on a thousand accounts.
    Spend,
    /// The same, each command of ours with an idempotency key of its own. Stock has no keys: it runs without.
    SpendKeyed,
    /// All clients on one account.
    Hot,
    /// One account that already has ten thousand events.
    Long,
    /// `Spend` with balance and transaction history kept up.
    Views,
    /// No clients: the whole log read and folded.
    Replay,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Its name in the results.
    pub name: &'static str,
    /// How many clients, each waiting for its answer before it asks again.
    pub clients: usize,
    /// What they do.
    pub load: Load,
    /// On the server whose disk takes a millisecond longer for each flush.
    pub slow_disk: bool,
    /// Times stock: what must be, and the goal. `None` where the issue names none.
    pub bar: Option<(f64, f64)>,
    /// Our p99 must be below stock's p50.
    pub tail_below_stock: bool,
}

const fn case(name: &'static str, clients: usize, load: Load, must: f64, goal: f64) -> Case {
    Case { name, clients, load, slow_disk: false, bar: Some((must, goal)), tail_below_stock: false }
}

/// All of them, in the order of the table.
pub const CASES: [Case; 9] = [
    case("spend", 1, Load::Spend, 1.5, 2.5),
    case("spend", 16, Load::Spend, 5.0, 9.0),
    Case { tail_below_stock: true, ..case("spend", 64, Load::Spend, 10.0, 20.0) },
    case("spend_keyed", 64, Load::SpendKeyed, 7.0, 12.0),
    case("hot", 16, Load::Hot, 60.0, 150.0),
    case("long", 1, Load::Long, 50.0, 80.0),
    case("views", 64, Load::Views, 8.0, 20.0),
    case("replay", 1, Load::Replay, 2.0, 4.0),
    Case {
        name: "spend_slow_disk",
        clients: 64,
        load: Load::Spend,
        slow_disk: true,
        bar: None,
        tail_below_stock: false,
    },
];

impl Case {
    /// Whether it was asked for: by its name, or by its name and clients; nothing asked for is everything.
    pub fn wanted(&self, asked: &[String]) -> bool {
        let exact = format!("{}:{}", self.name, self.clients);
        asked.is_empty() || asked.iter().any(|name| name == self.name || *name == exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_asked_for_by_name_or_by_name_and_clients() {
        let wanted = |asked: &str| CASES.iter().filter(|case| case.wanted(&[asked.to_owned()])).count();
        assert_eq!((wanted("spend"), wanted("spend:64"), wanted("spend:2"), wanted("nothing")), (3, 1, 0, 0));
        assert!(CASES.iter().all(|case| case.wanted(&[])));
    }
}
