//! Rows beside events: claims, sessions, keys and mail tokens, in every state a dead process can leave them in (DESIGN 4).

mod claims;
mod mail_tokens;
mod reconciler;
mod revocation;
mod transactions;

use atelier_commands::CommandError;
use atelier_commands::command_path::{Executed, Target};
use atelier_domain::account::Account;
use atelier_domain::account::AccountError;
use atelier_domain::{AccountId, account::AccountCommand};

use crate::harness::TestStudio;

/// Gives an account's stream a command, with no rows beside it: what a process leaves that dies in between.
async fn command(
    studio: &TestStudio,
    account: AccountId,
    command: AccountCommand,
) -> Result<Executed<Account>, CommandError<AccountError>> {
    let target = Target { id: account.to_string(), subject: account };
    studio.node.studio.write.path.execute(&target, &studio.operator(), None, |_| command.clone()).await
}
