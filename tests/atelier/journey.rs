//! The journey of a paid generation, by HTTP alone: from sign-up to the Explore feed and back.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{Connection, Executor};
use tokio::time::Instant;

use crate::harness::TestStudio;
use crate::harness::studio::Person;

const ME: &str = "query($position: String) { me(minPosition: $position) { position \
    profile { username displayName emailVerified plan } rank { current count next nextAt remaining ratio } progress { remaining } \
    credits { available held } transactions { edges { node { kind amount generationId priceVersion } } } \
    creations { edges { node { id status prompt creditsUsed images { url width height contentType } } } } } }";

const DELETE: &str =
    "mutation($id: ID!) { deleteGeneration(input: {id: $id}) { deletedId position userErrors { code message } } }";

/// Runs the seed's curl, unchanged but for the host and the key, with the real program.
async fn seed_curl(studio: &TestStudio, key: &str, data: &str) -> (String, Value) {
    let url = format!("{}/v1/generate", studio.url);
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--write-out", "\n%{http_code}", "--request", "POST", "--url", &url])
        .args(["--header", &format!("Authorization: Bearer {key}")])
        .args(["--header", "Content-Type: application/json", "--data", data]);
    let output = tokio::task::spawn_blocking(move || curl.output()).await.expect("joined").expect("curl is installed");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let (body, status) = text.rsplit_once('\n').expect("curl writes the status after the body");
    (status.to_owned(), serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}")))
}

async fn me(studio: &TestStudio, person: &Person) -> Value {
    studio.graphql(Some(&person.token), ME, json!({})).await["me"].take()
}

fn ids(connection: &Value) -> Vec<String> {
    let edges = connection["edges"].as_array().expect("edges");
    edges.iter().map(|edge| edge["node"]["id"].as_str().expect("an id").to_owned()).collect()
}

async fn explore(studio: &TestStudio) -> Vec<String> {
    ids(&studio.graphql(None, "{ explore { edges { node { id } } } }", json!({})).await["explore"])
}

async fn published(studio: &TestStudio, username: &str) -> Vec<String> {
    let query =
        "query($name: String!) { creator(username: $name) { displayName published { edges { node { id } } } } }";
    ids(&studio.graphql(None, query, json!({ "name": username })).await["creator"]["published"])
}

#[tokio::test(flavor = "multi_thread")]
async fn b09_b20_a_paid_generation_from_an_api_key_to_the_explore_feed() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    assert_eq!(me(&studio, &person).await["credits"], json!({ "available": 500, "held": 0 }), "U19: the bonus arrived");
    let (key_id, key) = studio.api_key(&person).await;

    // The seed's two curls.
    let first = r#"{
    "prompt": "A serene mountain landscape at sunset",
    "model": "z-image-turbo",
    "width": 1024,
    "height": 1024
  }"#;
    let (status, answer) = seed_curl(&studio, &key, first).await;
    assert_eq!(
        (status.as_str(), &answer["success"], &answer["credits_used"]),
        ("200", &json!(true), &json!(100)),
        "{answer}"
    );
    let (status, again) =
        seed_curl(&studio, &key, r#"{"prompt": "A calm ocean at dawn", "model": "z-image-turbo"}"#).await;
    assert_eq!(status, "200", "{again}");

    // A real PNG of the asked size.
    let url = answer["images"][0]["url"].as_str().expect("an image URL");
    let (status, kind, bytes) = studio.download(url).await;
    assert_eq!((status.as_u16(), kind.as_str()), (200, "image/png"));
    let png = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().expect("a PNG");
    assert_eq!((png.info().width, png.info().height), (1024, 1024));

    // Everything shows it, the id on the ledger entry among them.
    studio.drain().await;
    let id = answer["request_id"].as_str().expect("an id").to_owned();
    let shown = me(&studio, &person).await;
    assert_eq!(shown["credits"], json!({ "available": 300, "held": 0 }));
    assert_eq!((&shown["rank"]["current"], &shown["rank"]["count"]), (&json!("Beginner"), &json!(2)));
    assert_eq!(shown["progress"]["remaining"], json!(8));
    let lines = shown["transactions"]["edges"].as_array().expect("edges");
    let line = lines.iter().find(|edge| edge["node"]["generationId"] == json!(id)).expect("the ledger entry");
    assert_eq!((&line["node"]["kind"], &line["node"]["amount"]), (&json!("SPENT"), &json!(-100)), "L23");
    assert!(ids(&shown["creations"]).contains(&id));
    assert!(explore(&studio).await.contains(&id), "A23: published by default");
    assert!(published(&studio, "ada").await.contains(&id), "A20");

    // Deleted, it is gone from all three; the ledger entry stays (A31).
    let deleted = studio.mutate(Some(&person.token), DELETE, json!({ "id": id })).await;
    let position = deleted["position"].clone();
    let shown = studio.graphql(Some(&person.token), ME, json!({ "position": position })).await["me"].take();
    assert!(!ids(&shown["creations"]).contains(&id), "read your own write at its position");
    studio.drain().await;
    assert!(!explore(&studio).await.contains(&id));
    assert!(!published(&studio, "ada").await.contains(&id));
    let lines = me(&studio, &person).await["transactions"]["edges"].as_array().expect("edges").clone();
    assert!(lines.iter().any(|edge| edge["node"]["generationId"] == json!(id)));
    let (status, _, _) = studio.download(url).await;
    assert_eq!(status.as_u16(), 410, "U06");

    // Revoked, the very next call gets the documented 401, byte for byte (B06, B10).
    let revoke = "mutation($id: ID!) { revokeApiKey(input: {id: $id}) { userErrors { code } position } }";
    studio.mutate(Some(&person.token), revoke, json!({ "id": key_id })).await;
    let refused = studio.post("/v1/generate", &key, &json!({ "prompt": "x", "model": "z-image-turbo" })).await;
    assert_eq!(refused.status.as_u16(), 401);
    let documented = r#"{"success":false,"error":"invalid_api_key","message":"The API key provided is not valid."}"#;
    assert_eq!(
        (refused.text.as_str(), &refused.headers["content-type"]),
        (documented, &"application/json".parse().unwrap())
    );
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u11_too_few_credits_is_402_with_required_and_available() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ben").await;
    let (_, key) = studio.api_key(&person).await;
    let answer = studio.post("/v1/generate", &key, &json!({ "prompt": "x", "model": "nano-banana-pro" })).await;
    assert_eq!(answer.status.as_u16(), 402);
    let body = answer.json();
    assert_eq!(
        (&body["error"], &body["required"], &body["available"]),
        (&json!("insufficient_credits"), &json!(800), &json!(500))
    );
    studio.drain().await;
    assert_eq!(
        me(&studio, &person).await["credits"],
        json!({ "available": 500, "held": 0 }),
        "a refusal takes nothing"
    );
    studio.stop().await;
}

/// A client that hangs up between the hold and the job: what was begun is finished all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_connection_does_not_cut_a_command_in_two() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let studio = TestStudio::start().await;
    let person = studio.newcomer("cleo").await;
    let (_, key) = studio.api_key(&person).await;
    // The log's own lock, held here, stops the command in the middle of its first append.
    let mut holder = sqlx::PgConnection::connect(&studio.database.superuser_url).await.expect("a session");
    holder.execute("select pg_advisory_lock(4713951028541)").await.expect("the lock");
    let body = r#"{"prompt": "x", "model": "z-image-turbo", "width": 64, "height": 64}"#;
    let request = format!(
        "POST /v1/generate HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut socket = tokio::net::TcpStream::connect(studio.node.address).await.expect("the node listens");
    socket.write_all(request.as_bytes()).await.expect("the request leaves");
    let deadline = Instant::now() + Duration::from_secs(30);
    let waiting =
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'advisory'";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut holder).await.expect("a count") == 0 {
        assert!(Instant::now() < deadline, "the command does not reach its append");
    }
    socket.shutdown().await.expect("the client hangs up");
    let mut nothing = Vec::new();
    socket.read_to_end(&mut nothing).await.expect("the node lets the connection go");
    assert!(nothing.is_empty(), "no answer was sent");
    holder.close().await.expect("the lock is released");
    while me(&studio, &person).await["credits"] != json!({ "available": 400, "held": 0 }) {
        assert!(Instant::now() < deadline, "{}", me(&studio, &person).await["credits"]);
        studio.drain().await;
    }
    assert_eq!(me(&studio, &person).await["rank"]["count"], json!(1), "it was delivered");
    studio.stop().await;
}
