//! API keys: shown once, listed by their ends, bounded by their owner's standing (B03, B04, V28, V29, U26, sec.K2).

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::refusal;
use crate::harness::TestStudio;
use crate::harness::studio::Person;

const CREATE: &str = "mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) \
    { id secret prefix userErrors { code field message } position } }";
const LIST: &str =
    "{ me { apiKeys { edges { node { id label prefix last4 environment scopes createdAt expiresAt revokedAt } } } } }";

async fn rows(studio: &TestStudio) -> i64 {
    let count = sqlx::query_scalar("select count(*) from credentials.api_keys");
    count.fetch_one(&studio.database.pool).await.expect("the keys can be counted")
}

async fn listed(studio: &TestStudio, person: &Person) -> Value {
    studio.graphql(Some(&person.token), LIST, json!({})).await["me"]["apiKeys"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn b04_k2_the_secret_is_shown_once_and_kept_nowhere() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let end = studio.node.studio.write.now() + TimeDelta::days(3_650);
    let input =
        json!({ "label": "  Caf\u{65}\u{301} \u{1F511}  ", "scopes": ["generate", "models:read"], "expiresAt": end });
    let made = studio.mutate(Some(&ada.token), CREATE, json!({ "input": input })).await;
    let secret = made["secret"].as_str().expect("shown once").to_owned();
    assert!(secret.len() < 128 && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "B16, B17");
    studio.get("/v1/models", Some(&secret)).await;
    studio.drain().await;
    let shown = listed(&studio, &ada).await;
    let node = &shown["edges"][0]["node"];
    assert_eq!(
        (&node["id"], &node["prefix"], &node["label"]),
        (&made["id"], &made["prefix"], &json!("Caf\u{e9} \u{1F511}"))
    );
    assert_eq!((&node["last4"], &node["environment"]), (&json!(secret[secret.len() - 4..]), &json!("LIVE")));
    assert_eq!((&node["scopes"], &node["revokedAt"]), (&json!(["generate", "models:read"]), &Value::Null));
    assert_eq!(secret[..21], *node["prefix"].as_str().expect("a prefix"));
    assert!(!shown.to_string().contains(&secret[21..40]), "not in the list");
    // sec.K2: neither the key nor the secret part of it in any row of any table.
    let tables: Vec<(String, String)> = sqlx::query_as(
        "select table_schema::text, table_name::text from information_schema.tables \
         where table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'",
    )
    .fetch_all(&studio.database.pool)
    .await
    .expect("the tables can be listed");
    assert!(tables.len() > 10, "there is something to search");
    for (schema, table) in tables {
        let hits = format!("select count(*) from {schema}.{table} t where t::text like '%' || $1 || '%'");
        let Ok(hits) = sqlx::query_scalar::<_, i64>(&hits).bind(&secret[21..40]).fetch_one(&studio.database.pool).await
        else {
            assert!(table.contains("migrations"), "{schema}.{table} cannot be read by the application");
            continue;
        };
        assert_eq!(hits, 0, "{schema}.{table}");
    }
    let revoke = "mutation($id: ID!) { revokeApiKey(input: {id: $id}) { userErrors { code } position } }";
    studio.mutate(Some(&ada.token), revoke, json!({ "id": made["id"] })).await;
    studio.drain().await;
    assert!(
        listed(&studio, &ada).await["edges"][0]["node"]["revokedAt"].is_string(),
        "it stays in the list, as revoked"
    );
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v28_v29_a_refused_key_names_its_field_and_leaves_no_row() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let long = "x".repeat(65);
    let table = [
        (json!({ "label": "" }), "label"),
        (json!({ "label": "   " }), "label"),
        (json!({ "label": long }), "label"),
        (json!({ "label": "a\0b" }), "label"),
        (json!({ "label": "k", "scopes": [] }), "scopes"),
        (json!({ "label": "k", "scopes": ["admin"] }), "scopes.0"),
        (json!({ "label": "k", "scopes": ["generate", "keys:write"] }), "scopes.1"),
        (json!({ "label": "k", "scopes": ["Generate"] }), "scopes.0"),
        (json!({ "label": "k", "expiresAt": "2001-01-01T00:00:00Z" }), "expiresAt"),
        (json!({ "label": "k", "expiresAt": "+10000-01-01T00:00:00Z" }), "expiresAt"),
    ];
    for (input, field) in table {
        let refused = refusal(&studio, Some(&ada.token), CREATE, json!({ "input": input })).await;
        assert_eq!(refused, ("INVALID_FIELD".to_owned(), field.to_owned()), "{input}");
    }
    for (input, what) in
        [(json!({ "label": "k", "environment": "PROD" }), "environment"), (json!({ "label": 7 }), "no text")]
    {
        let answer = studio.graphql_raw(Some(&ada.token), CREATE, json!({ "input": input })).await;
        assert_eq!(super::fault(&answer), "BAD_INPUT", "{what}");
    }
    studio.drain().await;
    assert_eq!((rows(&studio).await, studio.events_named("ApiKeyCreated").await), (0, 0));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u26_an_unverified_account_makes_no_key_and_no_picture() {
    let studio = TestStudio::start().await;
    let ada = studio.unverified("ada").await;
    let refused = refusal(&studio, Some(&ada.token), CREATE, json!({ "input": { "label": "k" } })).await;
    assert_eq!(refused.0, "EMAIL_NOT_VERIFIED");
    let generate = "mutation { requestGeneration(input: {prompt: \"x\", model: \"z-image-turbo\"}) { generation { id } userErrors { code field } position } }";
    assert_eq!(refusal(&studio, Some(&ada.token), generate, json!({})).await.0, "EMAIL_NOT_VERIFIED");
    studio.drain().await;
    assert_eq!(
        (rows(&studio).await, studio.events_named("HoldPlaced").await, studio.events_named("CreditsGranted").await),
        (0, 0, 1),
        "but the bonus of before"
    );
    // Verified again, both work.
    studio.mails_go_out().await;
    studio.time_passes(61).await;
    let resend = "mutation($email: String!) { resendVerification(input: {email: $email}) { userErrors { code } } }";
    studio.mutate(None, resend, json!({ "email": ada.email })).await;
    let token = studio.mailed_token(&ada.email).await;
    let verify = "mutation($token: String!) { verifyEmail(input: {token: $token, password: \"correct-horse-1\"}) { userErrors { code } } }";
    studio.mutate(None, verify, json!({ "token": token })).await;
    studio.drain().await;
    studio.mutate(Some(&ada.token), CREATE, json!({ "input": { "label": "k" } })).await;
    super::request(&studio, &ada, "now").await;
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_nobody_revokes_or_lists_another_ones_key() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let (id, key) = studio.api_key(&ben).await;
    studio.drain().await;
    let revoke = "mutation($id: ID!) { revokeApiKey(input: {id: $id}) { userErrors { code field } position } }";
    for id in [id.as_str(), "key_00000000000000000000000000000000", "garbage"] {
        assert_eq!(refusal(&studio, Some(&ada.token), revoke, json!({ "id": id })).await.0, "NOT_FOUND", "{id}");
    }
    assert_eq!(studio.get("/v1/models", Some(&key)).await.status.as_u16(), 200, "it goes on");
    assert_eq!(listed(&studio, &ada).await["edges"], json!([]));
    studio.stop().await;
}

/// DESIGN 6: making a key is idempotent too, but a repeat has no secret, because it is not kept.
#[tokio::test(flavor = "multi_thread")]
async fn l04_l07_a_repeated_creation_is_the_same_key_without_its_secret() {
    const KEYED: &str = "mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) \
        { id secret secretAvailable userErrors { code field } position } }";
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let input = json!({ "input": { "label": "ci", "idempotencyKey": "once" } });
    let copies = (0..8).map(|_| studio.mutate(Some(&ada.token), KEYED, input.clone()));
    let answers = futures::future::join_all(copies).await;
    let shown: Vec<&Value> = answers.iter().filter(|answer| answer["secretAvailable"] == json!(true)).collect();
    assert_eq!(shown.len(), 1, "the secret is shown once: {answers:?}");
    assert!(answers.iter().all(|answer| answer["id"] == shown[0]["id"]), "one key");
    assert!(answers.iter().all(|answer| answer["secret"].is_string() == (answer["secretAvailable"] == json!(true))));
    let secret = shown[0]["secret"].as_str().expect("shown").to_owned();
    assert_eq!(studio.get("/v1/models", Some(&secret)).await.status.as_u16(), 200, "and it is the one that works");
    assert_eq!((rows(&studio).await, studio.events_named("ApiKeyCreated").await), (1, 1), "twins leave nothing behind");
    let other = json!({ "input": { "label": "another", "idempotencyKey": "once" } });
    let answer = studio.graphql_raw(Some(&ada.token), KEYED, other).await;
    assert_eq!(answer["data"]["createApiKey"]["userErrors"][0]["code"], json!("IDEMPOTENCY_CONFLICT"), "{answer}");
    studio.stop().await;
}

/// More readers than the node has connections, each of which has a snapshot and asks for what is beside it: they wait for a place among the
/// snapshots instead of for each other's connections.
#[tokio::test(flavor = "multi_thread")]
async fn many_readers_at_once_do_not_wait_for_each_others_connections() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    studio.api_key(&person).await;
    let query = "{ me { apiKeys { edges { node { label usage(days: 7) { total { requests } } } } } } }";
    let asked = (0..36).map(|_| studio.graphql(Some(&person.token), query, json!({})));
    for answer in futures::future::join_all(asked).await {
        assert_eq!(answer["me"]["apiKeys"]["edges"][0]["node"]["usage"]["total"]["requests"], 0);
    }
    studio.stop().await;
}
