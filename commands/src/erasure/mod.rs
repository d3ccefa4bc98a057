//! The erasure of an account, step by step, in the order of REQUIREMENTS 4.2.10. One piece of work runs all of it; each step is safe to do
//! again, so that whoever dies anywhere is followed by somebody who begins at the top and finds the finished steps finished (E5).
//!
//! | step | dies before it ends: what is left | what the next try does |
//! | --- | --- | --- |
//! | access | rows that still count | revokes the rest |
//! | jobs | jobs at work, holds | ends the rest; a job that was delivered is paid |
//! | credits | a ledger that is not closed | closes it; a closed one says so |
//! | media | objects | removes the rest |
//! | farewell | a subject's key without its row | makes another; the key without a row opens nothing |
//! | bonus | addresses whose mark has no end yet | marks the rest; a mark that ends later stays |
//! | rows | credentials, claims, notices; names under quarantine | deletes the rest; credentials and claims in one transaction |
//! | keys | a key that still opens | shreds it; a tombstone is left alone |
//! | end | no `AccountErased` | appends it, once |
//!
//! A later kind of data gets its step here (a plan to cancel, an invoice to keep): a test fails for a table that no step names.

mod access;
mod credits;
mod farewell;
mod jobs;
mod restored;

use atelier_domain::account::{Account, AccountCommand, AccountError, Status};
use atelier_domain::{AccountId, KeyClass};
use atelier_vault::VaultError;
use atelier_vault::credential_rows::{RowError, delete_account};
use futures::future::BoxFuture;

pub use access::revoke as lock_out;
pub use farewell::send as send_farewell;
pub use restored::erase_what_came_back;

use crate::command_path::{CommandContext, CommandError};
use crate::idempotency;
use crate::notices;
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// What a deletion destroys. There are no invoices yet, so nothing has to outlive the account under its billing key (REQUIREMENTS 4.2.3, E8).
pub const ERASED_KEYS: [KeyClass; 2] = [KeyClass::Profile, KeyClass::Billing];

/// The channel on which nodes are told whose keys are gone; each drops them from memory (DESIGN 7).
pub const SHREDDED_CHANNEL: &str = "atelier_shredded";

/// One step.
pub struct Step {
    /// Its name, in logs and tests.
    pub name: &'static str,
    /// The tables whose rows of the account it deletes.
    pub tables: &'static [&'static str],
    run: for<'a> fn(&'a WriteSide, &'a CommandContext, AccountId) -> BoxFuture<'a, Result<(), UseCaseError>>,
}

/// The steps, in their order.
pub const STEPS: &[Step] = &[
    Step { name: "access", tables: &[], run: |write, _, account| Box::pin(access::revoke(write, account)) },
    Step { name: "jobs", tables: &[], run: |write, context, account| Box::pin(jobs::end(write, context, account)) },
    Step {
        name: "credits",
        tables: &[],
        run: |write, context, account| Box::pin(credits::forfeit(write, context, account)),
    },
    Step { name: "media", tables: &[], run: |write, _, account| Box::pin(media(write, account)) },
    Step {
        name: "farewell",
        tables: &["credentials.farewells"],
        run: |write, _, account| Box::pin(farewell::prepare(write, account)),
    },
    Step {
        name: "bonus",
        tables: &[],
        run: |write, _, account| Box::pin(crate::process::sign_up_bonus::outlive(write, account)),
    },
    Step {
        name: "rows",
        tables: &[
            "credentials.sessions",
            "credentials.api_keys",
            "credentials.api_key_usage",
            "credentials.api_key_places",
            "credentials.mail_tokens",
            "credentials.sign_in_challenges",
            "credentials.sign_ins_elsewhere",
            "credentials.recovery_codes",
            "credentials.second_factors",
            "credentials.identities",
            "credentials.passwords",
            "credentials.staff_roles",
            "credentials.avatar_tickets",
            "credentials.avatar_uploads",
            "credentials.deletion_offers",
            "credentials.tries",
            "credentials.unproven_addresses",
            "credentials.claims",
            "public.notices",
            "public.idempotency_keys",
        ],
        run: |write, _, account| Box::pin(rows(write, account)),
    },
    Step { name: "keys", tables: &[], run: |write, _, account| Box::pin(keys(write, account)) },
    Step { name: "end", tables: &[], run: |write, context, account| Box::pin(end(write, context, account)) },
];

/// The tables of accounts that no step touches, and why.
pub const LEFT_ALONE: &[(&str, &str)] = &[
    // Not a step: a follower that folded on without its quarantine would miss what it had left out, such as the ledger's end.
    (
        "public.quarantine",
        "each follower forgets the account, rows and quarantine, in the transaction in which it meets AccountErased",
    ),
];

/// Carries a deletion out, from the top; what was done before is found done. Nothing, when none was requested.
///
/// # Errors
/// When a step could not be finished; it is to be tried again.
pub async fn erase(write: &WriteSide, context: &CommandContext, account: AccountId) -> Result<(), UseCaseError> {
    erase_up_to(write, context, account, STEPS.len()).await
}

/// The first `steps` steps alone: what a process leaves that dies there. For tests.
///
/// # Errors
/// As [`erase`].
pub async fn erase_up_to(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
    steps: usize,
) -> Result<(), UseCaseError> {
    let owner = write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
    match owner.state.status() {
        Status::Deleting => {}
        Status::New | Status::Open | Status::Abandoned | Status::Erased => return Ok(()),
    }
    for step in STEPS.iter().take(steps) {
        (step.run)(write, context, account).await?;
        tracing::info!(step = step.name, "a step of an erasure is done");
    }
    Ok(())
}

async fn media(write: &WriteSide, account: AccountId) -> Result<(), UseCaseError> {
    write.ports.media.delete_account(account).await.map_err(|error| CommandError::Internal(error.to_string()))
}

/// The account's names are under quarantine before they are given up: in between nobody slips in (U29). The name of somebody who never
/// proved an address is free at once, or anybody could keep names from others for a year.
async fn rows(write: &WriteSide, account: AccountId) -> Result<(), UseCaseError> {
    notices::delete_account(&write.pool, account).await?;
    idempotency::forget(&write.pool, account).await?;
    let owner = write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
    if owner.state.was_verified() {
        write.quarantine.put(&write.pool, account, write.now()).await?;
    }
    Ok(delete_account(&write.pool, account).await?)
}

/// Both keys, and the word to the other nodes: they would find out within a minute anyway.
async fn keys(write: &WriteSide, account: AccountId) -> Result<(), UseCaseError> {
    for class in ERASED_KEYS {
        match write.vault.shred(account, class).await {
            // A restored backup may name an account whose keys were never here.
            Ok(()) | Err(VaultError::KeyMissing) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let told = sqlx::query("select pg_notify($1, $2)").bind(SHREDDED_CHANNEL).bind(account.to_string());
    told.execute(&write.pool).await.map_err(RowError::from)?;
    Ok(())
}

async fn end(write: &WriteSide, context: &CommandContext, account: AccountId) -> Result<(), UseCaseError> {
    let command = |_| AccountCommand::Erase { keys: ERASED_KEYS.to_vec() };
    match write.path.execute::<Account>(&account_target(account), context, None, command).await {
        Ok(_) | Err(CommandError::Refused(AccountError::NotOpen)) => Ok(()),
        Err(error) => Err(error.map(Refusal::from)),
    }
}
