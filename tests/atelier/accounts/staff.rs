//! Staff: who may do what to whose account, and that every bit of it stands in that account's history (A13, U36, U37, sec.A1, sec.A2).

mod address;
mod lost_factor;
mod orders;
mod roles;

use atelier_commands::command_path::Target;
use atelier_commands::use_cases::{Desk, StaffGrantRole};
use atelier_domain::AccountId;
use atelier_domain::account::{Account, AccountCommand, Role};
use atelier_graphql::global_id::GlobalId;
use serde_json::{Value, json};

use crate::harness::TestStudio;
use crate::harness::studio::Person;

const VIEW: &str = "mutation($input: StaffViewAccountInput!) { staffViewAccount(input: $input) { account { id username email \
    emailVerified twoFactorEnabled twoFactorResetDueAt roles sessions { id device } apiKeys { id prefix revokedAt } } \
    userErrors { code field } position } }";

/// Gives an account a command by itself.
pub(super) async fn command(studio: &TestStudio, account: AccountId, command: AccountCommand) {
    let target = Target { id: account.to_string(), subject: account };
    let path = &studio.node.studio.write.path;
    path.execute::<Account>(&target, &studio.operator(), None, |_| command.clone()).await.expect("no rule refuses");
}

/// Somebody with a role, made one by the operator, whose second factor is on.
pub(super) async fn staff(studio: &TestStudio, name: &str, role: Role) -> Person {
    let person = studio.newcomer(name).await;
    let account = studio.account(&person).await;
    let grant = StaffGrantRole { desk: Desk::console(), account: Ok(account), role, reason: "hired".to_owned() };
    grant.run(&studio.node.studio.write, &studio.operator()).await.expect("granted");
    command(studio, account, AccountCommand::EnableTwoFactor).await;
    let token = studio.session_of(account).await;
    studio.drain().await;
    Person { token, ..person }
}

pub(super) fn id(account: AccountId) -> String {
    GlobalId::Account(account).text()
}

/// A mutation of staff on an account with more of its input; the payload, refused or not.
pub(super) async fn ask(studio: &TestStudio, who: &Person, name: &str, account: &str, more: Value) -> Value {
    let mut input = json!({ "accountId": account, "reason": "ticket 7: lost mailbox" });
    input.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    let kind = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
    let due = if name == "staffResetTwoFactor" { "dueAt" } else { "" };
    let query = format!(
        "mutation($input: {kind}Input!) {{ {name}(input: $input) {{ {due} userErrors {{ code field message }} position }} }}"
    );
    studio.graphql(Some(&who.token), &query, json!({ "input": input })).await[name].take()
}

/// The same, which no rule may refuse.
pub(super) async fn done(studio: &TestStudio, who: &Person, name: &str, account: &str, more: Value) -> Value {
    let payload = ask(studio, who, name, account, more).await;
    assert_eq!(payload["userErrors"], json!([]), "{name}");
    payload
}

/// The state of an account, as the log has it.
async fn state(studio: &TestStudio, account: AccountId) -> Account {
    studio.node.studio.write.path.load::<Account>(&account.to_string()).await.expect("it loads").state
}
