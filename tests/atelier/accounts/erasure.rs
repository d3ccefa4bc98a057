//! Deleting an account (A35-A39, U22-U24, E3-E5): two steps, every step restartable, and nothing left but what the ledger needs.

use std::collections::BTreeSet;

use atelier_commands::erasure::{self, LEFT_ALONE, STEPS};
use atelier_commands::process::{Work, enqueue};
use atelier_commands::use_cases::GrantCredits;
use atelier_domain::KeyClass;
use atelier_domain::account::{Account, Status};
use atelier_domain::credit_ledger::{CreditLedger, GrantReason};
use atelier_domain::{AccountId, Actor, Credits, LedgerId, LotId};
use atelier_vault::{KeyStoreError, Opened};
use serde_json::{Value, json};
use sqlx::Row;

use crate::harness::TestStudio;
use crate::harness::studio::{PASSWORD, Person};

const REQUEST: &str =
    "mutation { requestAccountDeletion { token expiresAt forfeitedCredits runningJobs userErrors { code field } } }";
const CONFIRM: &str = "mutation($input: ConfirmAccountDeletionInput!) { confirmAccountDeletion(input: $input) { position userErrors { code field } } }";

async fn account_of(studio: &TestStudio, username: &str) -> AccountId {
    let data = studio
        .graphql(None, "query($name: String!) { creator(username: $name) { id } }", json!({ "name": username }))
        .await;
    let id = data["creator"]["id"].as_str().expect("a creator").to_owned();
    id.rsplit('_').next().and_then(|hex| hex.parse().ok()).map(AccountId).expect("an account's id")
}

async fn offered(studio: &TestStudio, person: &Person) -> Value {
    studio.mutate(Some(&person.token), REQUEST, json!({})).await
}

fn confirmation(token: &Value, username: &str) -> Value {
    json!({ "input": { "token": token, "username": username } })
}

async fn refusal(studio: &TestStudio, person: &Person, variables: Value) -> Value {
    studio.graphql(Some(&person.token), CONFIRM, variables).await["confirmAccountDeletion"]["userErrors"][0].take()
}

/// Somebody with a picture in Explore, a key, and credits left.
async fn creator(studio: &TestStudio, name: &str) -> (Person, String) {
    let person = studio.newcomer(name).await;
    let (_, key) = studio.api_key(&person).await;
    let body =
        json!({ "prompt": format!("a harbour, for {name}"), "model": "z-image-turbo", "width": 64, "height": 64 });
    let made = studio.post("/v1/generate", &key, &body).await;
    assert_eq!(made.status, 200, "{}", made.text);
    studio.drain().await;
    (person, key)
}

async fn delete(studio: &TestStudio, person: &Person, name: &str) {
    let offer = offered(studio, person).await;
    studio.mutate(Some(&person.token), CONFIRM, confirmation(&offer["token"], name)).await;
}

/// Every table with an account in it and the rows of this one, but for what events and the work list say.
async fn rows_of(studio: &TestStudio, account: AccountId) -> Vec<(String, i64)> {
    let tables = sqlx::query(
        "select table_schema || '.' || table_name from information_schema.columns \
         where column_name = 'account_id' and table_schema not in ('pg_catalog', 'information_schema') \
         and (table_schema, table_name) in (select schemaname, tablename from pg_tables) order by 1",
    )
    .fetch_all(&studio.database.pool)
    .await
    .expect("the catalogue answers");
    let mut found = Vec::new();
    for table in tables {
        let table: String = table.get(0);
        let sql = format!("select count(*) from {table} where account_id::text = $1");
        let count: i64 =
            sqlx::query_scalar(&sql).bind(account.to_string()).fetch_one(&studio.database.pool).await.expect("rows");
        found.push((table, count));
    }
    found
}

async fn status(studio: &TestStudio, account: AccountId) -> Status {
    studio.node.studio.write.path.load::<Account>(&account.to_string()).await.expect("it loads").state.status()
}

#[tokio::test(flavor = "multi_thread")]
async fn a36_u24_a_deletion_takes_the_offers_token_and_the_handle_typed_out() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let offer = offered(&studio, &ada).await;
    assert_eq!((offer["forfeitedCredits"].clone(), offer["runningJobs"].clone()), (json!(500), json!(0)));
    for (who, token, name, code, field) in [
        (&ada, &json!("atm_nothing"), "ada", "INVALID_TOKEN", json!("token")),
        (&ben, &offer["token"], "ben", "INVALID_TOKEN", json!("token")),
        (&ada, &offer["token"], "ben", "INVALID_FIELD", json!("username")),
        (&ada, &offer["token"], "", "INVALID_FIELD", json!("username")),
    ] {
        let refused = refusal(&studio, who, confirmation(token, name)).await;
        assert_eq!((refused["code"].clone(), refused["field"].clone()), (json!(code), field));
    }
    // S7: the session is right, its proof is old.
    let aged = "update credentials.sessions set proved_at = proved_at - make_interval(mins => $1)";
    let age = async |minutes: i32| sqlx::query(aged).bind(minutes).execute(&studio.database.pool).await.expect("aged");
    age(11).await;
    let stale = refusal(&studio, &ada, confirmation(&offer["token"], "ada")).await;
    assert_eq!(stale["code"], json!("REAUTHENTICATION_REQUIRED"));
    let again = studio.graphql(Some(&ada.token), REQUEST, json!({})).await;
    assert_eq!(again["requestAccountDeletion"]["userErrors"][0]["code"], json!("REAUTHENTICATION_REQUIRED"));
    age(-11).await;
    let newer = offered(&studio, &ada).await;
    assert_eq!(refusal(&studio, &ada, confirmation(&offer["token"], "ada")).await["code"], json!("INVALID_TOKEN"));
    sqlx::query("update credentials.deletion_offers set expires_at = now() - interval '1 second'")
        .execute(&studio.database.pool)
        .await
        .expect("the rows answer");
    assert_eq!(refusal(&studio, &ada, confirmation(&newer["token"], "ada")).await["code"], json!("INVALID_TOKEN"));
    assert_eq!(status(&studio, account_of(&studio, "ada").await).await, Status::Open);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a37_a38_u22_nothing_is_left_but_a_ledger_that_balances_at_zero() {
    let studio = TestStudio::start().await;
    let (ada, key) = creator(&studio, "ada").await;
    let (ben, _) = creator(&studio, "ben").await;
    let (account, other) = (account_of(&studio, "ada").await, account_of(&studio, "ben").await);
    let before: BTreeSet<_> = rows_of(&studio, other).await.into_iter().collect();
    delete(&studio, &ada, "ada").await;
    // Acknowledged: nobody gets in any more, before anything else has run (U22, sec.S6).
    assert!(studio.me(&ada.token, "id").await.is_null(), "nobody is signed in by it");
    assert_eq!(studio.get("/v1/credits", Some(&key)).await.status, 401);
    studio.drain().await;
    assert_eq!(status(&studio, account).await, Status::Erased);
    let left: Vec<_> = rows_of(&studio, account)
        .await
        .into_iter()
        .filter(|(table, rows)| *rows > 0 && LEFT_ALONE.iter().all(|(known, _)| known != table))
        .collect();
    assert_eq!(left, [], "rows of an erased account");
    assert_eq!(rows_of(&studio, other).await.into_iter().collect::<BTreeSet<_>>(), before, "nobody else lost a row");
    // A38: forfeited to exactly zero, in balanced entries, and the log replays.
    let ledger = studio.node.studio.write.path.load::<CreditLedger>(&LedgerId::live(account).to_string()).await;
    let ledger = ledger.expect("it loads").state;
    assert!(ledger.closed() && ledger.available(studio.node.studio.write.now()) == Credits::ZERO);
    let forfeited: i64 = sqlx::query_scalar(
        "select (payload->'LedgerClosed'->>'forfeited')::bigint from events where aggregate_id = $1 and event_type = 'LedgerClosed'",
    )
    .bind(LedgerId::live(account).to_string())
    .fetch_one(&studio.database.pool)
    .await
    .expect("an event");
    assert_eq!(forfeited, 400, "500 granted, 100 spent");
    // The world sees nothing of it: no profile, no item, no name.
    let seen = studio.graphql(
        None,
        "{ creator(username: \"ada\") { id } explore { edges { node { creator { username } } } } }",
        json!({}),
    );
    let seen = seen.await;
    assert_eq!(seen["creator"], Value::Null);
    assert_eq!(seen["explore"]["edges"].as_array().map(Vec::len), Some(1), "{seen}");
    assert_eq!(seen["explore"]["edges"][0]["node"]["creator"]["username"], json!("ben"));
    // Its files, its keys.
    assert!(!studio.data.path().join("media").join(account.to_string()).exists());
    let sealed =
        studio.node.studio.write.vault.seal_row(account, KeyClass::Profile, account.0, "test", "field", "x").await;
    assert!(sealed.is_err(), "nothing is sealed for it any more");
    let again = studio.node.studio.write.vault.store().create(account).await;
    assert!(matches!(again, Err(KeyStoreError::Shredded)), "{again:?}");
    let _ = ben;
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u23_jobs_at_work_are_cancelled_and_their_holds_voided_before_anything_is_forfeited() {
    let studio = TestStudio::start().await;
    let (ada, key) = creator(&studio, "ada").await;
    let account = account_of(&studio, "ada").await;
    let body =
        json!({ "prompt": "a long one", "model": "z-image-turbo", "width": 1024, "height": 1024, "num_images": 3 });
    let accepted = studio.post_with("/v1/generations", &key, &body, &[("idempotency-key", "one")]).await;
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    delete(&studio, &ada, "ada").await;
    studio.drain().await;
    let names = studio.names("CreditLedger", &LedgerId::live(account).to_string()).await;
    assert_eq!(names.last().copied(), Some("LedgerClosed"), "{names:?}");
    let (placed, ended) = (
        names.iter().filter(|name| **name == "HoldPlaced").count(),
        names.iter().filter(|name| **name == "HoldVoided" || **name == "HoldCaptured").count(),
    );
    assert_eq!((placed, ended), (2, 2), "each hold ended once: {names:?}");
    let entries: i64 = sqlx::query_scalar(
        "select coalesce(sum((e->>'amount')::bigint), 0)::bigint from events, \
         json_each(payload) as body (name, value), json_array_elements(body.value->'entries') as e \
         where aggregate_id = $1 and (e->>'account' like 'lot:%' or e->>'account' = 'held')",
    )
    .bind(LedgerId::live(account).to_string())
    .fetch_one(&studio.database.pool)
    .await
    .expect("the log answers");
    assert_eq!(entries, 0, "A38: exactly zero");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e5_whoever_dies_after_any_step_is_followed_by_one_that_finishes_each_effect_once() {
    let studio = TestStudio::start().await;
    let write = studio.node.studio.write.clone();
    for steps in 0..=STEPS.len() {
        let name = format!("ada{steps}");
        let (ada, _) = creator(&studio, &name).await;
        let account = account_of(&studio, &name).await;
        // The request, without the work that would follow it on its own.
        let paused =
            "update checkpoints set state = 'stopped', error = 'held by a test' where name = 'AccountDeletion'";
        sqlx::query(paused).execute(&studio.database.pool).await.expect("paused");
        delete(&studio, &ada, &name).await;
        let context = write.request_context(Actor::Process("AccountDeletion".into()));
        erasure::erase_up_to(&write, &context, account, steps).await.expect("the first steps run");
        for _ in 0..2 {
            erasure::erase(&write, &context, account).await.expect("the next one begins at the top");
        }
        assert_eq!(status(&studio, account).await, Status::Erased, "dead after {steps} steps");
        for (aggregate, stream, event) in [
            ("Account", account.to_string(), "AccountErased"),
            ("Account", account.to_string(), "AccountDeletionRequested"),
            ("CreditLedger", LedgerId::live(account).to_string(), "LedgerClosed"),
        ] {
            let names = studio.names(aggregate, &stream).await;
            assert_eq!(names.iter().filter(|name| **name == event).count(), 1, "{event} after {steps} steps");
        }
        let resumed = "update checkpoints set state = 'running', error = null, failed_position = null where name = 'AccountDeletion'";
        sqlx::query(resumed).execute(&studio.database.pool).await.expect("resumed");
        studio.drain().await;
        let mails = studio.node.mailbox.list(1_000).await.expect("the mailbox can be read");
        let farewells = mails.iter().filter(|mail| mail.subject == "Your account is deleted").count();
        assert_eq!(farewells, steps + 1, "one last mail for each");
        let kept: i64 = sqlx::query_scalar("select count(*) from credentials.farewells")
            .fetch_one(&studio.database.pool)
            .await
            .expect("the rows answer");
        assert_eq!(kept, 0, "the address went with the mail");
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e4_what_a_restored_backup_brings_back_is_erased_again_before_anybody_is_served() {
    let studio = TestStudio::start().await;
    let (ada, key) = creator(&studio, "ada").await;
    let account = account_of(&studio, "ada").await;
    let (write, pool) = (studio.node.studio.write.clone(), studio.database.pool.clone());
    // The keys die as they do in a deletion; the database is as it was before it: what a restored backup looks like.
    for class in erasure::ERASED_KEYS {
        write.vault.store().shred(account, class).await.expect("shredded");
    }
    assert_eq!(studio.get("/v1/credits", Some(&key)).await.status, 200, "the backup's rows would let it in");
    let context = write.request_context(Actor::Process("Restored".into()));
    assert_eq!(erasure::erase_what_came_back(&write, &context).await.expect("the journal is applied"), 1);
    assert_eq!(studio.get("/v1/credits", Some(&key)).await.status, 401);
    assert!(studio.me(&ada.token, "id").await.is_null(), "nobody is signed in by it");
    studio.drain().await;
    assert_eq!(status(&studio, account).await, Status::Erased);
    let email: String = sqlx::query_scalar(
        "select payload->'AccountOpened'->>'email' from events where aggregate_id = $1 and sequence = 1",
    )
    .bind(account.to_string())
    .fetch_one(&pool)
    .await
    .expect("an event");
    write.vault.forget(account);
    let opened = write.vault.open(account, "email", &atelier_domain::Sealed::from_text(email)).await;
    assert_eq!(opened.expect("no fault"), Opened::Erased, "still unreadable");
    assert_eq!(erasure::erase_what_came_back(&write, &context).await.expect("again"), 0, "once");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u26_an_account_whose_address_nobody_proves_goes_in_time_and_its_name_is_free_at_once() {
    let studio = TestStudio::start().await;
    let proven = studio.newcomer("ada").await;
    studio.signed_up("norbert").await;
    studio.drain().await;
    let (ada, nobody) = (account_of(&studio, "ada").await, account_of(&studio, "norbert").await);
    let at = studio.node.studio.write.now() - chrono::TimeDelta::seconds(1);
    for (n, account) in [ada, nobody].into_iter().enumerate() {
        let work = Work::CloseUnverified { account, at };
        enqueue(&studio.database.pool, &format!("test:close:{n}"), &work).await.expect("work is enqueued");
    }
    studio.drain().await;
    assert_eq!((status(&studio, ada).await, status(&studio, nobody).await), (Status::Open, Status::Erased));
    let left: Vec<_> = rows_of(&studio, nobody).await.into_iter().filter(|(_, rows)| *rows > 0).collect();
    assert_eq!(left, [], "nothing is left of it");
    let mails = studio.node.mailbox.list(100).await.expect("the mailbox can be read");
    assert!(mails.iter().all(|mail| mail.subject != "Your account is deleted"), "nobody proved that it is theirs");
    // Nobody keeps a name from others by signing up and never coming back.
    studio.signed_up("norbert").await;
    studio.drain().await;
    assert_ne!(account_of(&studio, "norbert").await, nobody);
    // A name that was somebody's is another matter (U29).
    delete(&studio, &proven, "ada").await;
    studio.drain().await;
    let input = json!({ "email": "other@example.com", "password": PASSWORD, "username": "ada", "minimumAge": 18 });
    let sign_up = "mutation($input: SignUpInput!) { signUp(input: $input) { userErrors { code } } }";
    let taken = studio.graphql(None, sign_up, json!({ "input": input })).await;
    assert_eq!(taken["signUp"]["userErrors"][0]["code"], json!("USERNAME_TAKEN"));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a38_nothing_is_granted_to_a_closed_ledger() {
    let studio = TestStudio::start().await;
    let (ada, _) = creator(&studio, "ada").await;
    let account = account_of(&studio, "ada").await;
    delete(&studio, &ada, "ada").await;
    studio.drain().await;
    let write = &studio.node.studio.write;
    let grant = GrantCredits {
        ledger: LedgerId::live(account),
        lot: LotId(write.fresh_id()),
        reason: GrantReason::Gift,
        amount: Credits::new(5),
        expires_at: None,
    };
    assert!(grant.run(write, &write.request_context(Actor::Operator)).await.is_err());
    studio.stop().await;
}

/// The hook of later issues: whoever adds a table of accounts says here what a deletion does with it.
#[tokio::test(flavor = "multi_thread")]
async fn a37_every_table_with_an_account_in_it_has_a_step_a_fold_or_a_reason() {
    let studio = TestStudio::start().await;
    let steps: BTreeSet<&str> = STEPS.iter().flat_map(|step| step.tables).copied().collect();
    let tables = rows_of(&studio, AccountId(studio.node.studio.write.fresh_id())).await;
    let unnamed: Vec<_> = tables
        .iter()
        .map(|(table, _)| table.as_str())
        .filter(|table| !table.starts_with("read_models_"))
        .filter(|table| !steps.contains(table) && LEFT_ALONE.iter().all(|(known, _)| known != table))
        .collect();
    assert!(unnamed.is_empty(), "name them in erasure::STEPS, or in LEFT_ALONE with the reason: {unnamed:?}");
    let known: BTreeSet<&str> = tables.iter().map(|(table, _)| table.as_str()).collect();
    let stale: Vec<_> = steps.iter().filter(|table| !known.contains(**table)).collect();
    assert!(stale.is_empty(), "no such table of accounts: {stale:?}");
    studio.stop().await;
}
