//! What auditors read: any ledger, any account's history, and who has roles. Nothing here changes anything (sec.A2).

use async_graphql::{Context, ID, Object, Result, SimpleObject};
use atelier_commands::use_cases::{Desk, Right, staff_desk};
use atelier_commands::{CommandError, UseCaseError};
use atelier_domain::{AccountId, LedgerId};
use atelier_projections::models::{credit_balance, transaction_history};

use crate::Sides;
use crate::caller::signed_in;
use crate::connection::{StaffHistoryConnection, TransactionConnection};
use crate::credits::{Credits, Environment};
use crate::error::{bad_input, command_fault, forbidden};
use crate::global_id::GlobalId;
use crate::history;
use crate::reading::{QUERY, Reading, page_size};
use crate::staff::Role;

/// The auditor's desk. All of its fields come from one snapshot.
pub struct Audit {
    reading: Reading,
}

/// Lets an auditor in. Whoever is none gets the same answer whatever they ask for.
pub(crate) async fn audit(context: &Context<'_>, min_position: Option<&str>) -> Result<Audit> {
    let (account, _) = signed_in(context)?;
    match Desk::admit(&context.data::<Sides>()?.write, account, Right::Audit).await {
        Ok(_) => Ok(Audit { reading: Reading::begin(context, QUERY, min_position).await? }),
        Err(CommandError::Refused(refusal)) => Err(forbidden(&refusal.message)),
        Err(fault) => Err(command_fault(&fault)),
    }
}

fn account_of(id: &ID) -> Result<AccountId> {
    match GlobalId::parse(id) {
        Some(GlobalId::Account(account) | GlobalId::Creator(account)) => Ok(account),
        Some(_) | None => Err(bad_input("accountId is not an account's id")),
    }
}

/// An account's ledger.
pub struct Ledger {
    ledger: LedgerId,
    reading: Reading,
}

/// Somebody with roles.
#[derive(SimpleObject)]
pub struct StaffMember {
    /// The account's id.
    account_id: ID,
    /// Its roles.
    roles: Vec<Role>,
}

/// What auditors read.
#[Object]
impl Audit {
    /// The position that everything asked for here has reached, but for `staff`, which is as of now, and what is null with an error.
    async fn position(&self) -> &str {
        self.reading.position()
    }

    /// An account's ledger; of an account that never was, or was erased, an empty one. What an erased account forfeited stands in the log.
    async fn ledger(
        &self,
        account_id: ID,
        #[graphql(default_with = "Some(Environment::Live)")] environment: Option<Environment>,
    ) -> Option<Result<Ledger>> {
        let ledger = |account| Ledger {
            ledger: LedgerId { account, environment: Environment::or_live(environment) },
            reading: self.reading.clone(),
        };
        Some(account_of(&account_id).map(ledger))
    }

    /// An account's history, newest first, with the staff who acted on it.
    async fn history(
        &self,
        account_id: ID,
        #[graphql(desc = "How many, 1 to 100; 20 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor to go on from.")] after: Option<String>,
    ) -> Option<Result<StaffHistoryConnection>> {
        let answer =
            async { history::of_auditor(&self.reading, account_of(&account_id)?, first, after.as_deref()).await };
        Some(answer.await)
    }

    /// Who has roles now, by account id.
    async fn staff(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100; 20 when not given.")] first: Option<i32>,
        #[graphql(desc = "The account's id to go on after.")] after: Option<ID>,
    ) -> Option<Result<Vec<StaffMember>>> {
        let answer = async {
            let first = page_size(first, 20)?;
            let after = after.as_ref().map(account_of).transpose()?;
            let write = &context.data::<Sides>()?.write;
            let members =
                staff_desk::members(write, after, first).await.map_err(|error: UseCaseError| command_fault(&error))?;
            let member = |(account, roles): (AccountId, Vec<_>)| StaffMember {
                account_id: GlobalId::Account(account).into(),
                roles: roles.into_iter().map(Role::from).collect(),
            };
            Ok(members.into_iter().map(member).collect())
        };
        Some(answer.await)
    }
}

/// An account's ledger, folded from its entries.
#[Object]
impl Ledger {
    /// The balance, lot by lot.
    async fn balance(&self, context: &Context<'_>) -> Option<Result<Credits>> {
        let answer = async {
            let (ledger, now) = (self.ledger, context.data::<Sides>()?.write.now());
            let balance = self.reading.read(async |snapshot| credit_balance::of(snapshot, ledger, now).await).await?;
            Ok(Credits::new(balance, self.reading.position()))
        };
        Some(answer.await)
    }

    /// The credit history, newest first, never cut.
    async fn transactions(
        &self,
        #[graphql(desc = "How many, 1 to 100; 20 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor to go on from.")] after: Option<String>,
    ) -> Option<Result<TransactionConnection>> {
        let answer = async {
            let (ledger, first, after) = (self.ledger, page_size(first, 20)?, after.as_deref());
            let read = async |snapshot: &mut _| transaction_history::page(snapshot, ledger, first, after).await;
            let page = self.reading.read(read).await?;
            let items = page.items.into_iter().map(|(cursor, line)| (cursor, line.into())).collect();
            Ok(TransactionConnection::new(items, page.has_next, after, self.reading.position()))
        };
        Some(answer.await)
    }
}
