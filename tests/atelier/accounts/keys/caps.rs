//! What a key may spend: exactly that, under any race, whichever way it comes back (U21, B15).

use futures::future::join_all;
use serde_json::json;

use super::{CREATE, ask, key_of, picture, refusal};
use crate::harness::TestStudio;

#[tokio::test(flavor = "multi_thread")]
async fn u21_two_hundred_at_once_by_a_key_with_a_cap_for_three_are_three() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (_, capped) = key_of(&studio, &ada, json!({ "label": "capped", "totalCap": 350 })).await;
    studio.hold_renders().await;
    let answers = join_all((0..200).map(|_| ask(&studio, &capped))).await;
    let accepted = answers.iter().filter(|answer| answer.status.as_u16() == 202).count();
    assert_eq!(accepted, 3, "350 pay three of 100");
    for refused in answers.iter().filter(|answer| answer.status.as_u16() != 202) {
        let said = refused.json();
        let expected = json!({ "success": false, "error": "key_budget_exceeded", "message": said["message"],
            "period": "life", "cap": 350, "spent": 300, "required": 100 });
        assert_eq!((refused.status.as_u16(), &said), (402, &expected));
    }
    let (_, free) = studio.api_key(&ada).await;
    assert_eq!(ask(&studio, &free).await.status.as_u16(), 202, "B15: the account itself has more to spend");
    assert_eq!(studio.events_named("HoldPlaced").await, 4);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u21_what_was_not_paid_may_be_spent_again_and_a_refusal_leaves_the_idempotency_key_alone() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (_, key) = key_of(&studio, &ada, json!({ "label": "capped", "dailyCap": 100 })).await;
    studio.hold_renders().await;
    let first = ask(&studio, &key).await;
    assert_eq!(first.headers["x-credits-remaining"], "400", "3.4.4");
    let first = first.json();
    let keyed = [("prefer", "wait=0"), ("idempotency-key", "once")];
    let refused = studio.post_with("/v1/generate", &key, &picture(), &keyed).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["period"]), (402, &json!("day")));
    let cancel = format!("/v1/generations/{}/cancel", first["request_id"].as_str().expect("an id"));
    assert_eq!(studio.post(&cancel, &key, &json!({})).await.status.as_u16(), 200);
    studio.drain().await;
    let again = studio.post_with("/v1/generate", &key, &picture(), &keyed).await;
    assert_eq!(again.status.as_u16(), 202, "L07: {}", again.text);
    studio.release_renders().await;
    studio.drain().await;
    // Midnight in between would open another day.
    let paid = ask(&studio, &key).await;
    let days =
        "select count(distinct (decided_at at time zone 'utc')::date) from events where event_type = 'HoldPlaced'";
    let days: i64 = sqlx::query_scalar(days).fetch_one(&studio.database.pool).await.expect("the log answers");
    assert!(paid.status.as_u16() == 402 || days > 1, "{}", paid.text);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u21_a_cap_is_a_positive_number_of_credits() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    for (field, cap) in [("dailyCap", 0), ("dailyCap", -1), ("totalCap", 0), ("totalCap", -5)] {
        let refused = refusal(&studio, &ada, CREATE, json!({ "label": "k", field: cap })).await;
        assert_eq!(refused, ("INVALID_FIELD".to_owned(), field.to_owned()), "{cap}");
    }
    assert_eq!(studio.events_named("ApiKeyCreated").await, 0);
    studio.stop().await;
}
