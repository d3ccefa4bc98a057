//! API keys at the door: every bad one is the same 401 to the byte, and it comes before anything else is looked at.

use atelier_domain::Environment;
use atelier_graphql::global_id::GlobalId;
use atelier_vault::ApiKeySecret;
use serde_json::json;

use super::wire::{self, Reply};
use super::{key_of, picture};
use crate::harness::TestStudio;
use crate::harness::studio::Person;

/// The seed's 401, line 56-61.
const DOCUMENTED: &str =
    r#"{"success":false,"error":"invalid_api_key","message":"The API key provided is not valid."}"#;

/// A key whose row was changed behind the program's back.
async fn damaged(studio: &TestStudio, person: &Person, set: &str) -> String {
    let (id, key) = studio.api_key(person).await;
    let Some(GlobalId::ApiKey(id)) = GlobalId::parse(&id) else { panic!("not a key's id") };
    let update = format!("update credentials.api_keys set {set} where key_id = $1");
    let updated = sqlx::query(&update).bind(id.0).execute(&studio.database.pool).await.expect("the row is changed");
    assert_eq!(updated.rows_affected(), 1);
    key
}

async fn generate_with(studio: &TestStudio, headers: &[(&str, &str)]) -> Reply {
    let headers = [headers, &[("content-type", "application/json")]].concat();
    wire::call(studio, "POST /v1/generate", &headers, &picture().to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn b10_b14_k4_every_bad_key_is_the_same_401_to_the_byte() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let (_, good) = studio.api_key(&person).await;
    let (_, other) = studio.api_key(&person).await;
    let revoked = {
        let (id, key) = studio.api_key(&person).await;
        let revoke = "mutation($id: ID!) { revokeApiKey(input: {id: $id}) { userErrors { code } } }";
        studio.mutate(Some(&person.token), revoke, json!({ "id": id })).await;
        key
    };
    let expired = damaged(&studio, &person, "expires_at = now() - interval '1 second'").await;
    let pending = damaged(&studio, &person, "state = 'pending'").await;
    let elsewhere = damaged(&studio, &person, "environment = 'test'").await;
    let wrong_secret = damaged(&studio, &person, "digest = sha256('another secret')").await;
    let unknown = ApiKeySecret::generate(Environment::Live, studio.node.studio.write.ports.random.as_ref());
    let last = if good.ends_with('a') { "b" } else { "a" };
    let swapped = good.replacen("atl_live_", "atl_test_", 1);
    let bearer = |key: &str| format!("Bearer {key}");
    let one_header = [
        ("B11: no scheme", good.clone()),
        ("another scheme", format!("Basic {good}")),
        ("no credentials", "Bearer".to_owned()),
        ("B12: double space", format!("Bearer  {good}")),
        ("B12: a tab", format!("Bearer\t{good}")),
        ("B12: a tab before the key", format!("Bearer \t{good}")),
        ("B12: something after a space", format!("Bearer {good} x")),
        ("a list", format!("Bearer {good},{good}")),
        ("unknown", bearer(unknown.expose())),
        ("wrong checksum", bearer(&format!("{}{last}", &good[..good.len() - 1]))),
        ("truncated", bearer(&good[..good.len() - 1])),
        ("too long", bearer(&format!("{good}a"))),
        ("B13: revoked", bearer(&revoked)),
        ("B13: expired", bearer(&expired)),
        ("still waiting for its event", bearer(&pending)),
        ("B14: of another environment", bearer(&elsewhere)),
        ("B14: environment swapped", bearer(&swapped)),
        ("right id, wrong secret", bearer(&wrong_secret)),
        ("not ASCII", bearer("schlüssel")),
        ("a session's token", bearer(&person.token)),
    ];
    let mut table: Vec<(&str, Vec<(&str, &str)>)> = vec![("missing", vec![])];
    table.extend(one_header.iter().map(|(what, value)| (*what, vec![("authorization", value.as_str())])));
    let (right, wrong) = (bearer(&good), bearer(&other));
    table.push(("x-api-key wrong", vec![("x-api-key", unknown.expose())]));
    table.push(("C15: two values", vec![("authorization", &right), ("x-api-key", &other)]));
    table.push(("C15: two values, the other way", vec![("authorization", &wrong), ("x-api-key", &good)]));
    table.push(("C15: a good and a bad one", vec![("authorization", "Bearer x"), ("x-api-key", &good)]));
    table.push(("B07: Authorization twice", vec![("authorization", &right), ("authorization", &right)]));
    let head = studio.head().await;
    let first = generate_with(&studio, &[]).await.timeless();
    assert_eq!((first.status, first.body.as_str()), (401, DOCUMENTED), "B10");
    assert_eq!(first.headers["content-type"], "application/json");
    for (what, headers) in &table {
        let reply = generate_with(&studio, headers).await;
        assert!(reply.headers.contains_key("x-request-id"), "{what}");
        assert_eq!(reply.timeless(), first, "{what}");
    }
    studio.drain().await;
    assert_eq!(studio.head().await, head, "nothing was written");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b07_c15_the_right_key_in_every_allowed_dress() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&person).await;
    let values = ["Bearer", "bearer", "BEARER"].map(|scheme| format!("{scheme} {key}"));
    for value in &values {
        let reply = wire::call(&studio, "GET /v1/models", &[("authorization", value)], "").await;
        assert_eq!(reply.status, 200, "{value}");
    }
    let both = [("authorization", values[0].as_str()), ("x-api-key", key.as_str())];
    assert_eq!(wire::call(&studio, "GET /v1/models", &both, "").await.status, 200, "equal in both headers");
    assert_eq!(wire::call(&studio, "GET /v1/models", &both[1..], "").await.status, 200, "x-api-key alone");
    // B12's note: the spaces around a header's value are HTTP's, and its parser takes them away before we see them.
    let padded = format!("Bearer {key}  ");
    assert_eq!(wire::call(&studio, "GET /v1/models", &[("authorization", &padded)], "").await.status, 200);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b01_b02_every_route_asks_for_the_key_before_anything_else() {
    let studio = TestStudio::start().await;
    let announced = ("content-length", "10485760");
    let lines = [
        "POST /v1/generate",
        "POST /v1/generate?dry_run=true",
        "POST /v1/generate?dry_run=perhaps",
        "POST /v1/generations",
        "GET /v1/generations",
        "GET /v1/generations?limit=0",
        "GET /v1/generations/gen_1",
        "GET /v1/generations/%ff",
        "DELETE /v1/generations/gen_1",
        "POST /v1/generations/gen_1/cancel",
        "GET /v1/models",
        "GET /v1/credits",
    ];
    for line in lines {
        // 10 MB are announced and never sent: the answer comes all the same.
        let bodies =
            [vec![announced, ("content-type", "application/json")], vec![announced, ("content-type", "text/plain")]];
        for headers in bodies {
            let reply = wire::send(&studio, line, &headers, b"").await;
            assert_eq!((reply.status, reply.body.as_str()), (401, DOCUMENTED), "{line}");
        }
        let reply = wire::call(&studio, line, &[("content-type", "application/json")], "{").await;
        assert_eq!(reply.status, 401, "{line}: before the body is read");
    }
    assert_eq!(studio.head().await, 0);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b05_b19_revoking_one_key_leaves_the_others() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let (id, old) = studio.api_key(&person).await;
    let (_, new) = studio.api_key(&person).await;
    let revoke = "mutation($id: ID!) { revokeApiKey(input: {id: $id}) { userErrors { code } } }";
    studio.mutate(Some(&person.token), revoke, json!({ "id": id })).await;
    assert_eq!(studio.get("/v1/models", Some(&old)).await.status.as_u16(), 401, "V30");
    assert_eq!(studio.get("/v1/models", Some(&new)).await.status.as_u16(), 200);
    // Again is harmless, and does not bring it back.
    studio.mutate(Some(&person.token), revoke, json!({ "id": id })).await;
    assert_eq!(studio.get("/v1/models", Some(&old)).await.status.as_u16(), 401);
    assert_eq!(studio.events_named("ApiKeyRevoked").await, 1);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_a_key_does_what_its_scopes_say_and_nothing_else() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let scopes = ["generate", "generations:read", "generations:write", "models:read", "account:read"];
    let unknown = "/v1/generations/gen_00000000000000000000000000000000";
    let cancel = format!("POST {unknown}/cancel");
    let (find, delete) = (format!("GET {unknown}"), format!("DELETE {unknown}"));
    let table = [
        ("POST /v1/generate", "generate"),
        ("POST /v1/generations", "generate"),
        ("GET /v1/generations", "generations:read"),
        (find.as_str(), "generations:read"),
        (cancel.as_str(), "generations:write"),
        (delete.as_str(), "generations:write"),
        ("GET /v1/models", "models:read"),
        ("GET /v1/credits", "account:read"),
    ];
    for scope in scopes {
        let (_, key) = key_of(&studio, &person, json!({ "label": scope, "scopes": [scope] })).await;
        for (line, needs) in table {
            let reply = wire::with_key(&studio, line, &key, "{}").await;
            if needs == scope {
                assert!(reply.status != 403 && reply.status != 401, "{line} with {scope}: {reply:?}");
            } else {
                let error = reply.json();
                assert_eq!((reply.status, &error["error"]), (403, &json!("scope_missing")), "{line} with {scope}");
                assert_eq!(error["scope"], json!(needs), "{line} names what is missing");
            }
        }
    }
    assert_eq!(studio.events_named("HoldPlaced").await, 0);
    studio.stop().await;
}
