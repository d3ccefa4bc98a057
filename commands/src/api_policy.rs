//! What a deployment lets API keys do: who may have them, which scopes there are, and how often each may ask (V27, V29, C14, U34).

use atelier_domain::account::KeyScope;
use atelier_domain::policy::plan::Plan;

/// Who may have API keys (V27, C14). When somebody may not any more, keys that are there stop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ApiAccess {
    /// Every account.
    #[default]
    All,
    /// Accounts on a paid plan.
    Paid,
    /// Nobody: this deployment has no API.
    Off,
}

impl ApiAccess {
    /// Whether an account on this plan may have keys.
    #[must_use]
    pub const fn allows(self, plan: Plan) -> bool {
        match (self, plan) {
            (Self::All, _) | (Self::Paid, Plan::Pro) => true,
            (Self::Paid, Plan::Free) | (Self::Off, _) => false,
        }
    }
}

/// A number for each plan; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerPlan {
    /// On the free plan.
    pub free: Option<u32>,
    /// On a paid one.
    pub pro: Option<u32>,
}

impl PerPlan {
    /// The plan's own.
    #[must_use]
    pub const fn of(self, plan: Plan) -> Option<u32> {
        match plan {
            Plan::Free => self.free,
            Plan::Pro => self.pro,
        }
    }
}

/// What a deployment lets API keys do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiPolicy {
    /// Who may have them.
    pub access: ApiAccess,
    /// The scopes on offer: a key can have no other, and a scope that is withdrawn does nothing any more (V29).
    pub scopes: Vec<KeyScope>,
    /// Jobs a key may ask for within any 24 hours. Reads, dry runs, repeats and refused requests do not count.
    pub jobs_a_day: PerPlan,
    /// Requests of any kind by one key within [`BURST_SECONDS`], on one node: N nodes let N times as many through.
    pub burst: PerPlan,
    /// Generations of one ledger at work at once, by whatever way they were asked for.
    pub at_once: PerPlan,
    /// Well-formed keys that are none, from one address within [`FAILURES_SECONDS`], on one node.
    pub failures: Option<u32>,
}

/// The length of the burst's window, in seconds.
pub const BURST_SECONDS: u32 = 10;
/// The length of the window for wrong keys, in seconds.
pub const FAILURES_SECONDS: u32 = 60;

impl Default for ApiPolicy {
    /// U34 and S1: 100 a day on the free plan, 1,000 on a paid one.
    fn default() -> Self {
        Self {
            access: ApiAccess::All,
            scopes: KeyScope::ALL.to_vec(),
            jobs_a_day: PerPlan { free: Some(100), pro: Some(1_000) },
            burst: PerPlan { free: Some(50), pro: Some(200) },
            at_once: PerPlan { free: Some(10), pro: Some(50) },
            failures: Some(1_200),
        }
    }
}

impl ApiPolicy {
    /// Everybody, every scope, as often as they like.
    #[must_use]
    pub fn without_limits() -> Self {
        let none = PerPlan::default();
        Self { jobs_a_day: none, burst: none, at_once: none, failures: None, ..Self::default() }
    }
}
