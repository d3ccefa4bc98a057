//! The read models, one file each: row, fold and query together. To add one, follow the checklist in ARCHITECTURE.md.

use std::sync::Arc;

use crate::runner::Projection;

mod account_end;
pub mod account_history;
pub mod api_keys;
pub mod creations;
pub mod credit_balance;
pub mod data_exports;
pub mod explore;
pub mod notification_preferences;
pub mod profile;
pub mod rank;
pub mod sessions;
pub mod transaction_history;

/// Every read model: one line each.
#[must_use]
pub fn all() -> Vec<Arc<dyn Projection>> {
    vec![
        Arc::new(profile::Profile),
        Arc::new(rank::RankCount),
        Arc::new(credit_balance::CreditBalance),
        Arc::new(transaction_history::TransactionHistory),
        Arc::new(creations::Creations),
        Arc::new(explore::Explore),
        Arc::new(sessions::Sessions),
        Arc::new(api_keys::ApiKeys),
        Arc::new(notification_preferences::NotificationPreferences),
        Arc::new(account_history::AccountHistory),
        Arc::new(data_exports::DataExports),
    ]
}
