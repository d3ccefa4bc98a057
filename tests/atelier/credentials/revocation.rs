//! Revocation under load: once it is acknowledged, no call gets through, however many come at once (B06, sec.K3, sec.S6).

use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::TestStudio;

#[tokio::test(flavor = "multi_thread")]
async fn k3_after_the_acknowledgement_two_hundred_calls_at_once_get_401() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (id, key) = studio.api_key(&ada).await;
    let warm = join_all((0..50).map(|_| studio.get("/v1/models", Some(&key)))).await;
    assert!(warm.iter().all(|answer| answer.status.as_u16() == 200), "it worked, over many connections");
    let revoke = "mutation($id: ID!) { revokeApiKey(input: {id: $id}) { userErrors { code } position } }";
    studio.mutate(Some(&ada.token), revoke, json!({ "id": id })).await;
    let calls = join_all((0..200).map(|_| studio.get("/v1/models", Some(&key)))).await;
    let refused = calls.iter().filter(|answer| answer.status.as_u16() == 401).count();
    assert_eq!(refused, 200);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn k3_calls_that_race_with_the_revocation_never_get_through_after_it() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let revoke = "mutation($id: ID!) { revokeApiKey(input: {id: $id}) { userErrors { code } position } }";
    for _ in 0..5 {
        let (id, key) = studio.api_key(&ada).await;
        let acknowledged = tokio::sync::watch::Sender::new(false);
        let ending = async {
            studio.mutate(Some(&ada.token), revoke, json!({ "id": id })).await;
            acknowledged.send_replace(true);
        };
        let callers = join_all((0..10).map(|_| async {
            loop {
                // Looked at before the call: a call begun after the acknowledgement must be refused.
                let after = *acknowledged.borrow();
                let status = studio.get("/v1/models", Some(&key)).await.status.as_u16();
                assert!(status == 401 || (status == 200 && !after), "{status} after the acknowledgement");
                if after {
                    break;
                }
            }
        }));
        tokio::join!(ending, callers);
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s6_after_signing_out_fifty_requests_at_once_are_nobody() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    studio.mutate(Some(&ada.token), "mutation { signOut { userErrors { code } position } }", json!({})).await;
    let asked = join_all((0..50).map(|_| studio.me(&ada.token, "id"))).await;
    assert!(asked.iter().all(Value::is_null));
    studio.stop().await;
}
