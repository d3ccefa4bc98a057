//! `AssignPlan`: puts an account on a plan. For operators and the demo studio; subscriptions will use it too.

use atelier_domain::AccountId;
use atelier_domain::account::{Account, AccountCommand};
use atelier_domain::policy::plan::Plan;

use crate::command_path::CommandContext;
use crate::event_store::Position;
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// Puts an account on a plan.
#[derive(Debug, Clone, Copy)]
pub struct AssignPlan {
    /// Whose.
    pub account: AccountId,
    /// The plan from now on.
    pub plan: Plan,
}

impl AssignPlan {
    /// Runs the use case; the answer is the position to read from.
    ///
    /// # Errors
    /// `not_found` when there is no such account.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        let command = |_| AccountCommand::AssignPlan { plan: self.plan };
        let executed = write.path.execute::<Account>(&account_target(self.account), context, None, command).await;
        Ok(executed.map_err(|error| error.map(Refusal::from))?.position())
    }
}
