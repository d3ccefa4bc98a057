//! The settings of API keys: who may have them, their scopes, and how often they may ask.

use std::num::NonZeroU32;

use atelier_commands::api_policy::{ApiAccess, ApiPolicy, PerPlan};
use atelier_domain::account::KeyScope;
use clap::{Args, ValueEnum};

/// Who may have API keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Access {
    /// Every account.
    All,
    /// Accounts on a paid plan.
    Paid,
    /// Nobody.
    Off,
}

/// What API keys may do. A limit of 0 is none.
#[derive(Debug, Clone, Args)]
pub struct ApiConfig {
    /// Who may have API keys; keys of others stop.
    #[arg(long, env = "ATELIER_API_ACCESS", value_enum, default_value = "all")]
    pub api_access: Access,

    /// The scopes on offer, with commas in between; all of them when not given.
    #[arg(long, env = "ATELIER_API_SCOPES", value_delimiter = ',', value_parser = scope)]
    pub api_scopes: Option<Vec<KeyScope>>,

    /// Generations an API key may ask for within 24 hours, on the free plan.
    #[arg(long, env = "ATELIER_RATE_DAY_FREE", default_value_t = 100)]
    pub rate_day_free: u32,

    /// The same on a paid plan.
    #[arg(long, env = "ATELIER_RATE_DAY_PRO", default_value_t = 1_000)]
    pub rate_day_pro: u32,

    /// Requests of any kind by an API key within ten seconds, on this node, on the free plan.
    #[arg(long, env = "ATELIER_RATE_BURST_FREE", default_value_t = 50)]
    pub rate_burst_free: u32,

    /// The same on a paid plan.
    #[arg(long, env = "ATELIER_RATE_BURST_PRO", default_value_t = 200)]
    pub rate_burst_pro: u32,

    /// Generations of an account at work at once, on the free plan.
    #[arg(long, env = "ATELIER_RATE_AT_ONCE_FREE", default_value_t = 10)]
    pub rate_at_once_free: u32,

    /// The same on a paid plan.
    #[arg(long, env = "ATELIER_RATE_AT_ONCE_PRO", default_value_t = 50)]
    pub rate_at_once_pro: u32,

    /// Wrong API keys from one address within a minute, on this node, before it has to wait.
    #[arg(long, env = "ATELIER_RATE_WRONG_KEYS", default_value_t = 1_200)]
    pub rate_wrong_keys: u32,
}

fn scope(text: &str) -> Result<KeyScope, String> {
    let known = || KeyScope::ALL.map(KeyScope::as_str).join(", ");
    KeyScope::parse(text).ok_or_else(|| format!("the scopes are {}", known()))
}

fn limit(number: u32) -> Option<u32> {
    NonZeroU32::new(number).map(NonZeroU32::get)
}

impl ApiConfig {
    /// The policy these settings say.
    #[must_use]
    pub fn policy(&self) -> ApiPolicy {
        let per_plan = |free, pro| PerPlan { free: limit(free), pro: limit(pro) };
        ApiPolicy {
            access: match self.api_access {
                Access::All => ApiAccess::All,
                Access::Paid => ApiAccess::Paid,
                Access::Off => ApiAccess::Off,
            },
            scopes: self.api_scopes.clone().unwrap_or_else(|| KeyScope::ALL.to_vec()),
            jobs_a_day: per_plan(self.rate_day_free, self.rate_day_pro),
            burst: per_plan(self.rate_burst_free, self.rate_burst_pro),
            at_once: per_plan(self.rate_at_once_free, self.rate_at_once_pro),
            failures: limit(self.rate_wrong_keys),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        api: ApiConfig,
    }

    fn policy(arguments: &[&str]) -> Result<ApiPolicy, clap::Error> {
        Line::try_parse_from([&["x"], arguments].concat()).map(|line| line.api.policy())
    }

    #[test]
    fn u34_v29_the_settings_default_to_the_policy_and_change_it() {
        assert_eq!(policy(&[]).unwrap(), ApiPolicy::default());
        let set = policy(&["--api-access", "paid", "--api-scopes", "generate,models:read", "--rate-day-free", "0"]);
        let set = set.unwrap();
        assert_eq!((set.access, set.jobs_a_day), (ApiAccess::Paid, PerPlan { free: None, pro: Some(1_000) }));
        assert_eq!(set.scopes, [KeyScope::Generate, KeyScope::ModelsRead]);
        assert!(policy(&["--api-scopes", "keys:write"]).is_err());
        assert!(policy(&["--api-access", "some"]).is_err());
    }
}
