//! A job from outside: accepted without the wait, followed, withdrawn, removed; and what each of it costs.

use serde_json::{Value, json};

use super::{balance, key_of, picture, wire};
use crate::harness::TestStudio;

const NO_WAIT: &[(&str, &str)] = &[("prefer", "wait=0")];

/// A newcomer's studio, with a key for everything.
async fn with_key() -> (TestStudio, String) {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&person).await;
    (studio, key)
}

/// The path of one of our own links.
fn path<'a>(studio: &TestStudio, link: &'a Value) -> &'a str {
    link.as_str().and_then(|link| link.strip_prefix(studio.url.as_str())).expect("a link to this node")
}

#[tokio::test(flavor = "multi_thread")]
async fn c12_accepted_without_the_wait_and_followed_to_its_end() {
    let (studio, key) = with_key().await;
    studio.hold_renders().await;
    let accepted = studio.post_with("/v1/generate", &key, &picture(), NO_WAIT).await;
    assert_eq!(accepted.status.as_u16(), 202);
    let body = accepted.json();
    assert_eq!(
        (&body["success"], &body["status"], &body["credits_reserved"]),
        (&json!(true), &json!("queued"), &json!(100))
    );
    let id = body["request_id"].as_str().expect("an id");
    let status_url = path(&studio, &body["status_url"]);
    assert_eq!(status_url, format!("/v1/generations/{id}"));
    assert_eq!(path(&studio, &body["cancel_url"]), format!("{status_url}/cancel"));
    assert_eq!(accepted.headers["location"], body["status_url"].as_str().expect("a link"));
    // The link works at once.
    let queued = studio.get(status_url, Some(&key)).await;
    assert_eq!(queued.status.as_u16(), 200, "{}", queued.text);
    let queued = queued.json();
    assert_eq!(
        (&queued["status"], &queued["credits_reserved"], &queued["images"]),
        (&json!("queued"), &json!(100), &Value::Null)
    );
    studio.drain().await;
    assert_eq!(balance(&studio, &key).await, (400, 100), "held, and not spent");
    studio.release_renders().await;
    studio.drain().await;
    let done = studio.get(status_url, Some(&key)).await.json();
    assert_eq!(
        (&done["status"], &done["credits_used"], &done["credits_reserved"]),
        (&json!("succeeded"), &json!(100), &json!(0))
    );
    let image = &done["images"][0];
    assert_eq!(
        (&image["width"], &image["height"], &image["content_type"]),
        (&json!(64), &json!(64), &json!("image/png"))
    );
    assert!(done["seed"].is_u64(), "U48: the seed is told though it was not given");
    let (status, kind, _) = studio.download(image["url"].as_str().expect("a link")).await;
    assert_eq!((status.as_u16(), kind.as_str()), (200, "image/png"));
    assert_eq!(balance(&studio, &key).await, (400, 0));
    let listed = studio.get("/v1/generations", Some(&key)).await.json();
    assert_eq!(listed["generations"][0]["request_id"], json!(id));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_of_0_to_60_seconds_is_kept_and_said_and_anything_else_is_ignored() {
    let (studio, key) = with_key().await;
    let ask = async |prefer: &str| {
        let answered = studio.post_with("/v1/generate", &key, &picture(), &[("prefer", prefer)]).await;
        assert_eq!(answered.status.as_u16(), 200, "{prefer}: {}", answered.text);
        assert_eq!(answered.json()["credits_used"], json!(100), "L22: 200 comes only after the capture");
        answered.headers
    };
    for (prefer, applied) in [("wait=60", "wait=60"), ("respond-async; x, WAIT = \"30\"; y", "wait=30")] {
        let headers = ask(prefer).await;
        assert_eq!(headers["preference-applied"], applied, "{prefer}");
        assert!(headers.contains_key("x-credits-remaining") && headers.contains_key("atelier-position"));
    }
    // The table of preferences is at its parser.
    let headers = ask("respond-async, wait=3600").await;
    assert!(!headers.contains_key("preference-applied"));
    assert_eq!(balance(&studio, &key).await, (200, 0));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c13_generations_is_the_same_job_without_the_wait() {
    let (studio, key) = with_key().await;
    let refused = studio.post("/v1/generations", &key, &picture()).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]), (400, &json!("missing_field")));
    let header = [("idempotency-key", "job-1")];
    let accepted = studio.post_with("/v1/generations", &key, &picture(), &header).await;
    assert_eq!(accepted.status.as_u16(), 202);
    let id = accepted.json()["request_id"].clone();
    studio.drain().await;
    // The same key and body on the other route is the same job, now delivered.
    let again = studio.post_with("/v1/generate", &key, &picture(), &header).await;
    let body = again.json();
    assert_eq!((again.status.as_u16(), &body["request_id"]), (200, &id));
    assert_eq!(again.headers["idempotency-hit"], "true");
    assert_eq!(balance(&studio, &key).await, (400, 0));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u13_a_queued_job_is_withdrawn_at_no_cost() {
    let (studio, key) = with_key().await;
    studio.hold_renders().await;
    let accepted = studio.post_with("/v1/generate", &key, &picture(), NO_WAIT).await.json();
    let (status_url, cancel_url) = (path(&studio, &accepted["status_url"]), path(&studio, &accepted["cancel_url"]));
    let cancelled = studio.post(cancel_url, &key, &json!({})).await;
    assert_eq!(
        (cancelled.status.as_u16(), &cancelled.json()["status"]),
        (200, &json!("cancelled")),
        "{}",
        cancelled.text
    );
    let again = studio.post(cancel_url, &key, &json!({})).await;
    assert_eq!(again.status.as_u16(), 200, "a repeat changes nothing");
    // The worker comes too late.
    studio.release_renders().await;
    studio.drain().await;
    let shown = studio.get(status_url, Some(&key)).await.json();
    assert_eq!((&shown["status"], &shown["credits_used"]), (&json!("cancelled"), &json!(0)));
    assert_eq!(balance(&studio, &key).await, (500, 0));
    let ended = ["GenerationCancelled", "HoldVoided", "GenerationStarted", "HoldCaptured"];
    let mut counts = Vec::new();
    for name in ended {
        counts.push(studio.events_named(name).await);
    }
    assert_eq!(counts, [1, 1, 0, 0], "{ended:?}");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u13_a_race_of_cancel_and_delivery_has_one_winner_and_the_right_price() {
    let (studio, key) = with_key().await;
    let mut spent = 0;
    // Four, so that there is something left for the last one whoever wins.
    for _ in 0..4 {
        let accepted = studio.post_with("/v1/generate", &key, &picture(), NO_WAIT).await.json();
        let answer = studio.post(path(&studio, &accepted["cancel_url"]), &key, &json!({})).await;
        match answer.status.as_u16() {
            200 => assert_eq!(answer.json()["status"], json!("cancelled")),
            409 => {
                assert_eq!(answer.json()["error"], json!("already_ended"));
                spent += 100;
            }
            other => panic!("{other}: {}", answer.text),
        }
        studio.drain().await;
        assert_eq!(balance(&studio, &key).await, (500 - spent, 0));
    }
    let delivered = studio.post("/v1/generate", &key, &picture()).await.json();
    let cancel = format!("/v1/generations/{}/cancel", delivered["request_id"].as_str().expect("an id"));
    let late = studio.post(&cancel, &key, &json!({})).await;
    assert_eq!((late.status.as_u16(), &late.json()["error"]), (409, &json!("already_ended")));
    studio.drain().await;
    assert_eq!(balance(&studio, &key).await, (400 - spent, 0), "what was delivered is paid");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a31_a_deleted_job_is_gone_for_the_next_call_and_its_price_stays() {
    let (studio, key) = with_key().await;
    studio.hold_renders().await;
    let accepted = studio.post_with("/v1/generate", &key, &picture(), NO_WAIT).await.json();
    let at = path(&studio, &accepted["status_url"]);
    let delete = format!("DELETE {at}");
    let early = wire::with_key(&studio, &delete, &key, "").await;
    assert_eq!((early.status, early.error()), (409, "still_running".to_owned()));
    studio.release_renders().await;
    studio.drain().await;
    let deleted = wire::with_key(&studio, &delete, &key, "").await;
    assert_eq!((deleted.status, &deleted.json()["request_id"]), (200, &accepted["request_id"]));
    let gone = studio.get(at, Some(&key)).await;
    assert_eq!((gone.status.as_u16(), &gone.json()["error"]), (410, &json!("gone")), "at once (U06)");
    assert_eq!(gone.json()["request_id"], accepted["request_id"]);
    assert_eq!(studio.get("/v1/generations", Some(&key)).await.json()["generations"], json!([]));
    assert_eq!(wire::with_key(&studio, &delete, &key, "").await.status, 410);
    let cancel = studio.post(path(&studio, &accepted["cancel_url"]), &key, &json!({})).await;
    assert_eq!(cancel.status.as_u16(), 410);
    let stranger = studio.newcomer("ben").await;
    let (_, theirs) = studio.api_key(&stranger).await;
    assert_eq!(studio.get(at, Some(&theirs)).await.status.as_u16(), 404, "to others it never was");
    studio.drain().await;
    assert_eq!(balance(&studio, &key).await, (400, 0), "the ledger keeps its entry");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u04_pages_of_jobs_hold_still_and_meet_no_job_twice() {
    let (studio, key) = with_key().await;
    studio.hold_renders().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(studio.post_with("/v1/generate", &key, &picture(), NO_WAIT).await.json()["request_id"].clone());
    }
    studio.drain().await;
    made.reverse();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = studio.get(&format!("/v1/generations?limit=2{cursor}"), Some(&key)).await.json();
        let jobs = page["generations"].as_array().expect("a list");
        assert!(jobs.len() <= 2);
        seen.extend(jobs.iter().map(|job| job["request_id"].clone()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, made, "newest first, each once");
    let person = studio.newcomer("ben").await;
    let (_, theirs) = key_of(&studio, &person, json!({ "label": "theirs" })).await;
    assert_eq!(studio.get("/v1/generations", Some(&theirs)).await.json()["generations"], json!([]));
    studio.stop().await;
}
