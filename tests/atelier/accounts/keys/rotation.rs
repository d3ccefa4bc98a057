//! Rotation: another key like the old one, both for a while, then the new one alone (B18, B19).

use atelier_commands::command_path::Target;
use atelier_commands::reconciler::reconcile;
use atelier_domain::account::{Account, AccountCommand, KeyScope, NewApiKey as DomainKey, Replaced, SpendCaps};
use atelier_domain::text::KeyLabel;
use atelier_domain::{ApiKeyId, Credits, Environment};
use atelier_vault::ApiKeySecret;
use atelier_vault::credential_rows::api_keys::{self, NewApiKey};
use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use serde_json::{Value, json};

use super::{REVOKE, ROTATE, ask, id_of, key_of, refusal, shown};
use crate::harness::TestStudio;
use crate::harness::studio::Person;

const LIST: &str = "{ me { apiKeys { edges { node { id label environment scopes dailyCap totalCap replaces replacedBy \
    expiresAt revokedAt } } } } }";

async fn listed(studio: &TestStudio, person: &Person, id: &str) -> Value {
    studio.drain().await;
    let list = studio.graphql(Some(&person.token), LIST, json!({})).await;
    let edges = list["me"]["apiKeys"]["edges"].as_array().expect("edges").clone();
    edges.into_iter().map(|edge| edge["node"].clone()).find(|node| node["id"] == json!(id)).expect("it is listed")
}

async fn works(studio: &TestStudio, key: &str) -> bool {
    studio.get("/v1/models", Some(key)).await.status.as_u16() == 200
}

fn instant(value: &Value) -> DateTime<Utc> {
    value.as_str().expect("an instant").parse().expect("an instant")
}

async fn end_of_row(studio: &TestStudio, id: &str) -> DateTime<Utc> {
    let row = "select expires_at from credentials.api_keys where key_id = $1";
    sqlx::query_scalar(row).bind(id_of(id).0).fetch_one(&studio.database.pool).await.expect("a row")
}

#[tokio::test(flavor = "multi_thread")]
async fn b18_the_new_key_is_like_the_old_one_which_ends_after_the_overlap() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let input = json!({ "label": "ci", "environment": "TEST", "scopes": ["models:read", "generate"], "dailyCap": 500, "totalCap": 900 });
    let (old_id, old) = key_of(&studio, &ada, input).await;
    let before = studio.node.studio.write.now();
    let made = studio.mutate(Some(&ada.token), ROTATE, json!({ "input": { "id": old_id, "overlapHours": 48 } })).await;
    let (id, new) = shown(&made);
    assert!(works(&studio, &old).await && works(&studio, &new).await, "both work for a while");
    let (was, is) = (listed(&studio, &ada, &old_id).await, listed(&studio, &ada, &id).await);
    for name in ["label", "environment", "scopes", "dailyCap", "totalCap"] {
        assert_eq!(is[name], was[name], "{name}");
    }
    assert_eq!((&is["replaces"], &is["replacedBy"]), (&json!(old_id), &Value::Null));
    assert_eq!((&was["replaces"], &was["replacedBy"]), (&Value::Null, &json!(id)));
    assert_eq!((&is["expiresAt"], &is["totalCap"]), (&Value::Null, &json!(900)));
    let end = instant(&was["expiresAt"]);
    let overlap = TimeDelta::hours(48);
    assert!(end >= before + overlap && end <= studio.node.studio.write.now() + overlap, "{end}");
    assert_eq!(end_of_row(&studio, &old_id).await, end, "the row that decides says what the log says");
    // B19: each is revoked by itself.
    studio.mutate(Some(&ada.token), REVOKE, json!({ "id": old_id })).await;
    assert!(!works(&studio, &old).await && works(&studio, &new).await);
    let gone = refusal(&studio, &ada, ROTATE, json!({ "id": old_id })).await;
    assert_eq!(gone.0, "NOT_FOUND", "what was revoked is not brought back");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b18_without_an_overlap_the_old_key_stops_at_once_and_a_sooner_end_stays() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (old_id, old) = studio.api_key(&ada).await;
    let made = studio.mutate(Some(&ada.token), ROTATE, json!({ "input": { "id": old_id, "overlapHours": 0 } })).await;
    let (_, new) = shown(&made);
    assert!(!works(&studio, &old).await && works(&studio, &new).await);
    let soon = studio.node.studio.write.now() + TimeDelta::hours(1);
    let (ending_id, _) = key_of(&studio, &ada, json!({ "label": "ending", "expiresAt": soon })).await;
    let made = studio.mutate(Some(&ada.token), ROTATE, json!({ "input": { "id": ending_id } })).await;
    let (was, is) = (listed(&studio, &ada, &ending_id).await, listed(&studio, &ada, &shown(&made).0).await);
    assert_eq!(instant(&was["expiresAt"]), soon, "24 hours later is too late for it");
    assert_eq!(end_of_row(&studio, &ending_id).await, soon, "and for the row that decides");
    assert_eq!(instant(&is["expiresAt"]), soon, "and its successor does not outlive it unasked");
    for (hours, field) in [(-1, "overlapHours"), (169, "overlapHours")] {
        let refused = refusal(&studio, &ada, ROTATE, json!({ "id": old_id, "overlapHours": hours })).await;
        assert_eq!(refused, ("INVALID_FIELD".to_owned(), field.to_owned()));
    }
    let ben = studio.newcomer("ben").await;
    let strangers = refusal(&studio, &ben, ROTATE, json!({ "id": ending_id })).await;
    assert_eq!(strangers.0, "NOT_FOUND", "sec.A1");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u21_a_rotation_is_no_way_around_a_cap() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (old_id, old) = key_of(&studio, &ada, json!({ "label": "capped", "totalCap": 300 })).await;
    studio.hold_renders().await;
    assert_eq!(ask(&studio, &old).await.status.as_u16(), 202);
    let made = studio.mutate(Some(&ada.token), ROTATE, json!({ "input": { "id": old_id } })).await;
    let (second_id, second) = shown(&made);
    let made = studio.mutate(Some(&ada.token), ROTATE, json!({ "input": { "id": second_id } })).await;
    let (_, third) = shown(&made);
    let keys = [&old, &second, &third];
    let race = join_all((0..30).map(|n| ask(&studio, keys[n % 3]))).await;
    assert_eq!(race.iter().filter(|answer| answer.status.as_u16() == 202).count(), 2, "three of 100 in all");
    assert_eq!(studio.events_named("HoldPlaced").await, 3);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l04_l07_a_repeated_rotation_is_the_same_key_without_its_secret() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (id, _) = studio.api_key(&ada).await;
    let input = json!({ "input": { "id": id, "idempotencyKey": "once" } });
    let answers = join_all((0..6).map(|_| studio.mutate(Some(&ada.token), ROTATE, input.clone()))).await;
    let secrets = answers.iter().filter(|answer| answer["secretAvailable"] == json!(true)).count();
    assert_eq!((secrets, studio.events_named("ApiKeyCreated").await), (1, 2), "{answers:?}");
    assert!(answers.iter().all(|answer| answer["id"] == answers[0]["id"]));
    let other = json!({ "input": { "id": id, "overlapHours": 1, "idempotencyKey": "once" } });
    let answer = studio.graphql_raw(Some(&ada.token), ROTATE, other).await;
    assert_eq!(answer["data"]["rotateApiKey"]["userErrors"][0]["code"], json!("IDEMPOTENCY_CONFLICT"), "{answer}");
    studio.stop().await;
}

/// A rotation that died after its event: the rows are as they were, but for the pending one.
async fn half_rotated(studio: &TestStudio, person: &Person, old: ApiKeyId) -> (ApiKeyId, ApiKeySecret) {
    let write = &studio.node.studio.write;
    let account = studio.account(person).await;
    let (key, secret) =
        (ApiKeyId(write.fresh_id()), ApiKeySecret::generate(Environment::Live, write.ports.random.as_ref()));
    let scopes = KeyScope::ALL.map(|scope| scope.as_str().to_owned());
    let caps = SpendCaps { daily: None, total: Some(Credits::new(100)) };
    let row = NewApiKey {
        key,
        account,
        secret: &secret,
        digest: write.secrets.api_key(&secret),
        scopes: &scopes,
        created_at: write.now() - TimeDelta::minutes(11),
        expires_at: None,
        caps,
        replaces: Some(old),
    };
    api_keys::insert_pending(&write.pool, &row).await.expect("a row is inserted");
    let key_id = key;
    let new = DomainKey {
        key_id,
        label: Some(KeyLabel::parse("left behind").expect("a label")),
        prefix: secret.prefix().to_owned(),
        last4: secret.last4().to_owned(),
        environment: Environment::Live,
        scopes: KeyScope::ALL.to_vec(),
        expires_at: None,
        caps,
        replaces: Some(Replaced { key_id: old, ends_at: write.now() }),
    };
    let create = AccountCommand::CreateApiKey { key: new, now: write.now() };
    let target = Target { id: account.to_string(), subject: account };
    let appended = write.path.execute::<Account>(&target, &studio.operator(), None, |_| create.clone()).await;
    appended.expect("the event is appended");
    (key, secret)
}

#[tokio::test(flavor = "multi_thread")]
async fn b18_the_reconciler_completes_a_rotation_that_died_after_its_event() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (old_id, old) = key_of(&studio, &ada, json!({ "label": "old", "totalCap": 100 })).await;
    let (_, new) = half_rotated(&studio, &ada, id_of(&old_id)).await;
    assert!(works(&studio, &old).await && !works(&studio, new.expose()).await, "half done");
    reconcile(&studio.node.studio.write).await.expect("a round");
    assert!(!works(&studio, &old).await && works(&studio, new.expose()).await, "done");
    // The other half of the dead process: its successor was revoked before a round came by.
    let (old_id, old) = key_of(&studio, &ada, json!({ "label": "old", "totalCap": 100 })).await;
    let (key, _) = half_rotated(&studio, &ada, id_of(&old_id)).await;
    let account = studio.account(&ada).await;
    assert!(api_keys::revoke(&studio.database.pool, account, key).await.expect("the rows answer"));
    assert!(works(&studio, &old).await);
    reconcile(&studio.node.studio.write).await.expect("a round");
    assert!(!works(&studio, &old).await, "what the log says of its end holds");
    studio.stop().await;
}
