//! A log into which an earlier release let instants that PostgreSQL refuses: it is folded, and goes on (A1).

use chrono::{DateTime, Months, Utc};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::everything_moves;
use crate::authorization::cast::Cast;

/// Writes an event at the end of the account's stream, as the release before wrote it: a copy of its last one of that name, changed.
async fn written(cast: &Cast, name: &str, change: impl FnOnce(&mut Value)) {
    let account = cast.account.to_string();
    let last =
        "select payload::text from events where aggregate_id = $1 and event_type = $2 order by sequence desc limit 1";
    let last: String = sqlx::query_scalar(last)
        .bind(&account)
        .bind(name)
        .fetch_one(&cast.studio.database.pool)
        .await
        .expect("the cast has one");
    let mut payload: Value = serde_json::from_str(&last).expect("JSON");
    change(&mut payload[name]);
    let mut superuser =
        PgConnection::connect(&cast.studio.database.superuser_url).await.expect("the superuser connects");
    let insert = "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, position, \
                  event_id, decided_at, recorded_at) select aggregate_type, aggregate_id, sequence + 1, $2, event_version, $3::json, metadata, \
                  (select max(position) + 1 from events), gen_random_uuid(), now(), now() \
                  from events where aggregate_id = $1 order by sequence desc limit 1";
    let insert = sqlx::query(insert).bind(&account).bind(name).bind(payload.to_string());
    insert.execute(&mut superuser).await.expect("the superuser may");
    superuser.close().await.expect("the superuser leaves");
    cast.studio.drain().await;
}

/// What the list says of a key.
async fn listed(cast: &Cast, id: &str) -> Value {
    let query = "{ me { apiKeys(first: 100) { edges { node { id expiresAt } } } } }";
    let me = cast.studio.graphql(Some(&cast.owner.token), query, json!({})).await;
    let keys = me["me"]["apiKeys"]["edges"].as_array().expect("keys").clone();
    keys.into_iter().find(|key| key["node"]["id"] == json!(id)).expect("the key is listed")["node"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_instants_that_an_earlier_release_let_in_stop_nobody() {
    let cast = Cast::assemble().await;
    let uncapped = Uuid::from_u128(0x0b5c_0000_0000_4000_8000_0000_0000_0001);
    let id = format!("key_{}", uncapped.simple());
    for far in ["+10000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "+262142-12-31T23:59:59.999999999Z"] {
        written(&cast, "ApiKeyCreated", |event| {
            event["key_id"] = json!(uncapped);
            event["expires_at"] = json!(far);
            event["replaces"] = Value::Null;
        })
        .await;
        let shown = listed(&cast, &id).await["expiresAt"].clone();
        assert_eq!(shown, json!("9999-12-31T23:59:59.999999+00:00"), "{far}");
        written(&cast, "ApiKeyExpiryChanged", |event| {
            event["key_id"] = json!(uncapped);
            event["expires_at"] = json!(far);
        })
        .await;
        everything_moves(&cast, far, 1).await;
    }
    // Its successor ends when a key may end today.
    let rotate = "mutation($id: ID!) { rotateApiKey(input: {id: $id}) { id userErrors { code message } position } }";
    let made = cast.studio.mutate(Some(&cast.owner.token), rotate, json!({ "id": id })).await;
    cast.studio.drain().await;
    let ends = listed(&cast, made["id"].as_str().expect("an id")).await["expiresAt"].clone();
    let ends: DateTime<Utc> = ends.as_str().expect("an end").parse().expect("an instant");
    let now = cast.studio.node.studio.write.now();
    assert!(ends <= now + Months::new(120) && ends > now + Months::new(119), "{ends}");
    everything_moves(&cast, "a rotation", 2).await;
    cast.studio.stop().await;
}
