//! What a dead process leaves between the row of an identity and its event, and what the reconciler makes of it (DESIGN 4).

use atelier_commands::command_path::Target;
use atelier_commands::reconciler::reconcile;
use atelier_domain::account::{Account, AccountCommand, IdentityProvider, NewIdentity};
use atelier_domain::text::IdentityLabel;
use atelier_domain::{AccountId, IdentityId, KeyClass};
use atelier_vault::credential_rows::identities::{self, NewIdentityRow};

use super::World;

const WHOM: &str = "ada-1,ada@elsewhere.example,true";

async fn pending(world: &World, account: AccountId, minutes: i64) -> IdentityId {
    let write = &world.studio.node.studio.write;
    let identity = IdentityId(write.fresh_id());
    let label =
        write.vault.seal_row(account, KeyClass::Profile, identity.0, "identity", "label", "ada").await.expect("sealed");
    let row = NewIdentityRow {
        identity,
        account,
        provider: IdentityProvider::Google,
        digest: write.blind_index.identity(&format!("http://127.0.0.1:{}", world.provider.port), "ada-1"),
        label,
        created_at: write.now() - chrono::TimeDelta::minutes(minutes),
    };
    assert!(identities::insert_pending(&write.pool, &row).await.expect("the rows answer"));
    identity
}

async fn only_the_event(world: &World, account: AccountId, command: AccountCommand) {
    let target = Target { id: account.to_string(), subject: account };
    let path = &world.studio.node.studio.write.path;
    path.execute::<Account>(&target, &world.studio.operator(), None, |_| command.clone())
        .await
        .expect("the event is appended");
}

fn linked(identity_id: IdentityId) -> AccountCommand {
    let label = IdentityLabel::parse("ada").expect("a label");
    let provider = IdentityProvider::Google;
    AccountCommand::LinkIdentity { identity: NewIdentity { identity_id, provider, label, vouches_for_address: false } }
}

async fn a_round(world: &World) {
    reconcile(&world.studio.node.studio.write).await.expect("a round");
}

#[tokio::test(flavor = "multi_thread")]
async fn design_4_a_pending_identity_signs_in_only_once_its_event_is_found() {
    let world = World::start().await;
    let ada = world.studio.newcomer("ada").await;
    let account = world.studio.account(&ada).await;
    pending(&world, account, 11).await;
    let mut browser = world.browser();
    let page = browser.arrive(WHOM).await;
    assert!(browser.session().is_none() && page.text.contains("in a few minutes"), "{}", page.text);
    a_round(&world).await;
    assert_eq!(world.count("credentials.identities").await, 0, "its event never came");
    let with = pending(&world, account, 11).await;
    only_the_event(&world, account, linked(with)).await;
    a_round(&world).await;
    browser.arrive(WHOM).await;
    assert!(browser.session().is_some(), "it counts");
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn design_4_a_revoked_identity_gets_its_event_or_counts_again() {
    let world = World::start().await;
    let ada = world.studio.newcomer("ada").await;
    let account = world.studio.account(&ada).await;
    let pool = &world.studio.database.pool;
    let identity = pending(&world, account, 11).await;
    only_the_event(&world, account, linked(identity)).await;
    a_round(&world).await;
    assert!(identities::revoke(pool, account, identity).await.expect("the rows answer"));
    a_round(&world).await;
    assert_eq!(world.studio.events_named("ExternalIdentityUnlinked").await, 1);
    assert_eq!(world.count("credentials.identities").await, 0);
    // The only way in by now: the log does not agree to its end.
    let mut browser = world.browser();
    let welcome = browser.arrive("ben-1,ben@example.com,true").await;
    browser.sign_up(&welcome, "ben").await;
    let aged = "update credentials.identities set state = 'revoked', created_at = created_at - interval '11 minutes'";
    sqlx::query(aged).execute(pool).await.expect("the rows answer");
    a_round(&world).await;
    assert_eq!(world.count("credentials.identities where state = 'active'").await, 1);
    world.studio.stop().await;
}
