//! Policies: versioned product data that rules read: ranks, plans, the model catalogue and its prices.

pub mod account;
pub mod catalogue;
pub mod mailboxes;
pub mod plan;
pub mod rank;
pub mod sign_up_bonus;
