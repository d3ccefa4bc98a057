//! How many keys there may be, what each is called, and what has become of each (B13, B18, C16).

use atelier_commands::command_path::Target;
use atelier_commands::reconciler::reconcile;
use atelier_commands::use_cases::RotateApiKey;
use atelier_domain::account::{Account, AccountCommand, KeyExpiry, KeyScope, NewApiKey, SpendCaps};
use atelier_domain::text::KeyLabel;
use atelier_domain::{AccountId, ApiKeyId, Environment};
use atelier_graphql::global_id::GlobalId;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{CREATE, REVOKE, ROTATE, id_of, key_of, refusal, shown};
use crate::harness::TestStudio;
use crate::harness::studio::Person;

const LIST: &str = "{ me { apiKeys(first: 100) { edges { node { id label status expiresAt revokedAt } } } } }";

/// Every key of a list by its id: label, status, end.
async fn listed(studio: &TestStudio, person: &Person) -> Vec<Value> {
    studio.drain().await;
    let list = studio.graphql(Some(&person.token), LIST, json!({})).await;
    list["me"]["apiKeys"]["edges"].as_array().expect("edges").iter().map(|edge| edge["node"].clone()).collect()
}

async fn status(studio: &TestStudio, person: &Person, id: &str) -> String {
    let keys = listed(studio, person).await;
    let key = keys.iter().find(|key| key["id"] == json!(id)).expect("it is listed");
    key["status"].as_str().expect("a status").to_owned()
}

/// Replaces a key by another one at once; the other one's id.
async fn replace(studio: &TestStudio, person: &Person, key: &str) -> String {
    let rotate = json!({ "input": { "id": key, "overlapHours": 0 } });
    shown(&studio.mutate(Some(&person.token), ROTATE, rotate).await).0
}

/// One key that works and so many that have expired.
async fn with_expired(studio: &TestStudio, person: &Person, expired: usize) -> String {
    let (mut key, _) = key_of(studio, person, json!({ "label": "rotated" })).await;
    for _ in 0..expired {
        key = replace(studio, person, &key).await;
    }
    key
}

/// The event of a key that was made three days ago and ended yesterday.
async fn ended_yesterday(studio: &TestStudio, account: AccountId) -> ApiKeyId {
    let write = &studio.node.studio.write;
    let (key_id, now) = (ApiKeyId(write.fresh_id()), write.now() - TimeDelta::days(3));
    let key = NewApiKey {
        key_id,
        label: Some(KeyLabel::parse("yesterday").expect("a label")),
        prefix: "atl_live_0000".to_owned(),
        last4: "0000".to_owned(),
        environment: Environment::Live,
        scopes: KeyScope::ALL.to_vec(),
        expires_at: Some(KeyExpiry::parse(now + TimeDelta::days(2), now).expect("an end")),
        caps: SpendCaps::default(),
        replaces: None,
    };
    let create = AccountCommand::CreateApiKey { key, now };
    let target = Target { id: account.to_string(), subject: account };
    let appended = write.path.execute::<Account>(&target, &studio.operator(), None, |_| create.clone()).await;
    appended.expect("the event is appended");
    key_id
}

/// Rows that a key of the account has among the credentials, whatever their state.
async fn rows(studio: &TestStudio, account: AccountId) -> i64 {
    let statement = "select count(*) from credentials.api_keys where account_id = $1";
    sqlx::query_scalar(statement).bind(account.0).fetch_one(&studio.database.pool).await.expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn b13_keys_that_expired_leave_room_for_fifty_that_work() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    with_expired(&studio, &ada, 55).await;
    for n in 2..=50 {
        let made = studio.mutate(Some(&ada.token), CREATE, json!({ "input": { "label": format!("new {n}") } })).await;
        assert!(made["secret"].is_string(), "{n}: {made}");
    }
    let (code, _) = refusal(&studio, &ada, CREATE, json!({ "label": "one too many" })).await;
    assert_eq!(code, "LIMIT_REACHED");
    let keys = listed(&studio, &ada).await;
    let of = |status: &str| keys.iter().filter(|key| key["status"] == json!(status)).count();
    assert_eq!((of("ACTIVE"), of("EXPIRED"), keys.len()), (50, 50, 100), "a page of a list that has them all");
    assert!(keys.iter().all(|key| key["revokedAt"].is_null()), "nobody revoked any");
    // What gave its place up has no row for ever.
    reconcile(&studio.at(TimeDelta::hours(1))).await.expect("a round");
    assert_eq!(rows(&studio, account).await, 50);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_a_dead_process_left_goes_with_the_next_key() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    with_expired(&studio, &ada, 49).await;
    let (first, _) = key_of(&studio, &ada, json!({ "label": "first" })).await;
    // As if the process had died between the event and the row of the key that gave way.
    let row = "update credentials.api_keys set state = 'active' where account_id = $1 and state = 'revoked'";
    let left = sqlx::query(row).bind(account.0).execute(&studio.database.pool).await.expect("set").rows_affected();
    assert_eq!(left, 1);
    key_of(&studio, &ada, json!({ "label": "second" })).await;
    reconcile(&studio.at(TimeDelta::hours(1))).await.expect("a round");
    assert_eq!(rows(&studio, account).await, 50, "47 that expired, three that work");
    assert_eq!(status(&studio, &ada, &first).await, "ACTIVE");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b18_rotating_twice_gives_a_key_with_its_whole_life() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    let end = "2031-01-01T00:00:00+00:00";
    for (input, life) in
        [(json!({ "label": "a" }), Value::Null), (json!({ "label": "b", "expiresAt": end }), json!(end))]
    {
        let (old, _) = key_of(&studio, &ada, input).await;
        for overlap in [24, 0, 1] {
            let rotate = json!({ "input": { "id": old, "overlapHours": overlap } });
            let (new, _) = shown(&studio.mutate(Some(&ada.token), ROTATE, rotate).await);
            let keys = listed(&studio, &ada).await;
            let of = |id: &str| keys.iter().find(|key| key["id"] == json!(id)).expect("it is listed").clone();
            assert_eq!((&of(&new)["expiresAt"], &of(&new)["status"]), (&life, &json!("ACTIVE")), "{overlap}");
            assert_eq!(
                of(&old)["status"],
                json!(if overlap == 24 { "ACTIVE" } else { "EXPIRED" }),
                "no rotation takes an end back"
            );
        }
        // The row has the whole life, too: it is what counts.
        let row =
            "select count(*) from credentials.api_keys where replaces = $1 and expires_at is not distinct from $2";
        let agreed: Option<DateTime<Utc>> = life.as_str().map(|end| end.parse().expect("an instant"));
        let whole: i64 = sqlx::query_scalar(row)
            .bind(id_of(&old).0)
            .bind(agreed)
            .fetch_one(&studio.database.pool)
            .await
            .expect("a number");
        assert_eq!(whole, 3);
    }
    // A key whose own end has come gives no successor that would outlive it, unless an end is given.
    let key = ended_yesterday(&studio, account).await;
    let rotate =
        |expires_at| RotateApiKey { account, key: Ok(key), overlap_hours: None, expires_at, idempotency_key: None };
    assert!(rotate(None).run(&studio.node.studio.write, &studio.operator()).await.is_err());
    let tomorrow = Some(studio.node.studio.write.now() + TimeDelta::days(1));
    assert!(rotate(tomorrow).run(&studio.node.studio.write, &studio.operator()).await.is_ok());
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v30_every_list_says_what_has_become_of_a_key() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    let expired = GlobalId::ApiKey(ended_yesterday(&studio, account).await).text();
    let (rotated, _) = key_of(&studio, &ada, json!({ "label": "rotated" })).await;
    replace(&studio, &ada, &rotated).await;
    let (active, _) = key_of(&studio, &ada, json!({ "label": "works", "expiresAt": "2031-01-01T00:00:00Z" })).await;
    let (revoked, _) = key_of(&studio, &ada, json!({ "label": "revoked" })).await;
    studio.mutate(Some(&ada.token), REVOKE, json!({ "id": revoked })).await;
    for (id, expected) in [(&expired, "EXPIRED"), (&rotated, "EXPIRED"), (&active, "ACTIVE"), (&revoked, "REVOKED")] {
        assert_eq!(status(&studio, &ada, id).await, expected);
    }
    studio.mutate(Some(&ada.token), REVOKE, json!({ "id": rotated })).await;
    assert_eq!(status(&studio, &ada, &rotated).await, "REVOKED", "the owner's word counts whenever it came");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c16_a_key_without_a_label_is_called_by_its_number() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    for input in [json!({}), json!({ "label": null }), json!({ "label": "mine" }), json!({})] {
        key_of(&studio, &ada, input).await;
    }
    let labels: Vec<_> = listed(&studio, &ada).await.iter().rev().map(|key| key["label"].clone()).collect();
    assert_eq!(labels, ["API key 1", "API key 2", "mine", "API key 4"]);
    for empty in ["", " ", "\u{200b}"] {
        let (code, field) = refusal(&studio, &ada, CREATE, json!({ "label": empty })).await;
        assert_eq!((code.as_str(), field.as_str()), ("INVALID_FIELD", "label"), "a label that is given is a label");
    }
    studio.stop().await;
}
