//! The dry run of a request: what it would cost, or why it would be refused; nothing is written.

use atelier_domain::credit_ledger::{CreditLedger, CreditLedgerCommand, HoldLimits};
use atelier_domain::policy::catalogue;
use atelier_domain::{Credits, Decide, Environment, GenerationId, LedgerId};
use cqrs_es::Aggregate;

use super::{RequestGeneration, to_use_case};
use crate::command_path::CommandError;
use crate::refusal::UseCaseError;
use crate::use_cases::test_ledger;
use crate::write_side::WriteSide;

impl RequestGeneration {
    /// Checks and prices the request against the account and its credits as they are, as far as the real one would be refused for them;
    /// writes nothing. That a key has asked too often, or too many jobs are at work, passes by itself and is not told (`dry_run`).
    ///
    /// # Errors
    /// As [`Self::price`]; `email_not_verified`, `plan_required`, `insufficient_credits`, `key_budget_exceeded`; `KeyReused`.
    pub async fn rehearse(&self, write: &WriteSide) -> Result<Credits, UseCaseError> {
        let priced = self.price()?;
        let generation = GenerationId(write.fresh_id());
        let key = self.key(write, &priced, generation);
        if write.path.repeat::<CreditLedger>(key.as_ref()).await.map_err(to_use_case)?.is_some() {
            return Ok(priced.price);
        }
        self.publishes(write).await?;
        let ledger = LedgerId { account: self.account, environment: self.environment };
        let mut ledger = write.path.load::<CreditLedger>(&ledger.to_string()).await.map_err(to_use_case)?.state;
        let now = write.now();
        if self.environment == Environment::Test
            && let Some(refill) = test_ledger::todays(self.account, now)
        {
            // Open already, or closed for ever: either way the hold decides.
            for event in ledger.decide(refill).unwrap_or_default() {
                ledger.apply(event);
            }
        }
        let limits = HoldLimits { at_once: None, budget: self.api_key.and_then(|api_key| api_key.budget) };
        let hold = CreditLedgerCommand::PlaceHold {
            hold_id: generation.into(),
            generation_id: generation,
            amount: priced.price,
            price_version: catalogue::PRICE_VERSION,
            limits,
            now,
        };
        match ledger.decide(hold) {
            Ok(_) => Ok(priced.price),
            Err(refused) => Err(to_use_case(CommandError::Refused(refused))),
        }
    }
}
