//! The client that frontends use: npm `graphql-ws`, as it is.

use serde_json::{Value, json};

use super::{grant, without_looks};
use crate::harness::TestStudio;
use crate::harness::peers::Peer;
use atelier_server::config::AccessConfig;

#[tokio::test(flavor = "multi_thread")]
async fn s6_the_real_client_follows_and_hears_of_its_end() {
    let studio = TestStudio::with_sockets(without_looks(), AccessConfig::default()).await;
    let ada = studio.newcomer("ada").await;
    let url = format!("{}/graphql/ws", studio.url.replacen("http", "ws", 1));
    let mut client = Peer::start("sockets.mjs", &[&url, &ada.token]).await;
    let mut line = async || serde_json::from_str::<Value>(&client.line().await).expect("JSON");
    assert_eq!(line().await, json!({ "connected": true }));
    assert_eq!(line().await, json!({ "next": 500 }));
    grant(&studio, &ada, 3).await;
    assert_eq!(line().await, json!({ "next": 503 }));
    studio.mutate(Some(&ada.token), "mutation { signOut { userErrors { code } position } }", json!({})).await;
    let last = [line().await, line().await];
    assert!(last.contains(&json!({ "closed": 4403, "reason": "Forbidden" })), "{last:?}");
    assert!(last.contains(&json!({ "error": 4403 })), "{last:?}");
    studio.stop().await;
}
