//! How often a key may ask, and what every answer says of it (U34, S1, REQUIREMENTS 3.3, sec.R5).

use atelier_commands::api_policy::{ApiPolicy, PerPlan};
use atelier_commands::use_cases::AssignPlan;
use atelier_domain::policy::plan::Plan;
use futures::future::join_all;
use serde_json::json;

use super::{ask, picture};
use crate::harness::TestStudio;
use crate::harness::studio::{Answer, Person};

fn both(most: u32) -> PerPlan {
    PerPlan { free: Some(most), pro: Some(most) }
}

/// The numbers of an answer's headers: limit, remaining, reset; the same in both forms.
fn numbers(answer: &Answer) -> (u64, u64, u64) {
    let text = |name: &str| answer.headers[name].to_str().expect("ASCII").to_owned();
    let number = |name: &str| text(name).parse::<u64>().expect("a number");
    let (limit, left, reset) =
        (number("x-ratelimit-limit"), number("x-ratelimit-remaining"), number("x-ratelimit-reset"));
    let (name, rest) =
        text("ratelimit").split_once(';').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("parameters");
    assert_eq!(rest, format!("r={left};t={reset}"), "the same numbers");
    assert!(text("ratelimit-policy").contains(&format!("{name};q={limit}")), "{}", text("ratelimit-policy"));
    if answer.status.as_u16() == 429 {
        assert_eq!((number("retry-after"), left), (reset, 0), "and in Retry-After");
        assert!(reset > 0);
    } else {
        assert!(!answer.headers.contains_key("retry-after"));
    }
    (limit, left, reset)
}

async fn grant_pro(studio: &TestStudio, person: &Person) {
    let account = studio.account(person).await;
    let assigned = AssignPlan { account, plan: Plan::Pro }.run(&studio.node.studio.write, &studio.operator()).await;
    assigned.expect("a plan");
}

#[tokio::test(flavor = "multi_thread")]
async fn u34_s1_a_key_asks_for_so_many_jobs_a_day_whatever_node_and_however_many_at_once() {
    let policy = ApiPolicy { jobs_a_day: PerPlan { free: Some(3), pro: Some(5) }, ..ApiPolicy::without_limits() };
    let studio = TestStudio::with(policy).await;
    let ada = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&ada).await;
    studio.hold_renders().await;
    assert_eq!(numbers(&studio.get("/v1/models", Some(&key)).await), (3, 3, 0), "a read is none of them");
    // Neither a dry run, nor what is refused, nor a repeat counts.
    let dry = studio.post("/v1/generate?dry_run=true", &key, &picture()).await;
    let dear = studio.post("/v1/generate", &key, &json!({ "prompt": "x", "model": "nano-banana-pro" })).await;
    assert_eq!((dry.status.as_u16(), dear.status.as_u16()), (200, 402));
    let keyed = [("prefer", "wait=0"), ("idempotency-key", "once")];
    let first = studio.post_with("/v1/generate", &key, &picture(), &keyed).await;
    let repeat = studio.post_with("/v1/generate", &key, &picture(), &keyed).await;
    assert_eq!((first.status.as_u16(), repeat.status.as_u16()), (202, 202));
    let (limit, left, reset) = numbers(&first);
    assert_eq!((limit, left), (3, 2));
    assert!((86_400..=87_300).contains(&reset), "{reset}");
    let another = crate::crash::another_node(&studio, &studio.database.url).await;
    let elsewhere = format!("http://{}/v1/generate", another.address);
    let there = || async {
        let sent = studio.client().post(&elsewhere).bearer_auth(&key).header("prefer", "wait=0").json(&picture());
        Answer::of(sent.send().await.expect("the node answers")).await
    };
    let (here, there) = tokio::join!(join_all((0..10).map(|_| ask(&studio, &key))), join_all((0..10).map(|_| there())));
    let answers: Vec<Answer> = here.into_iter().chain(there).collect();
    assert_eq!(answers.iter().filter(|answer| answer.status.as_u16() == 202).count(), 2, "exact over both nodes");
    for refused in answers.iter().filter(|answer| answer.status.as_u16() != 202) {
        assert_eq!((refused.status.as_u16(), &refused.json()["error"]), (429, &json!("rate_limit_exceeded")));
        assert_eq!(numbers(refused).0, 3);
    }
    // L07: a 429 does not use the key up, and a repeat of what was accepted is no other job.
    let late = [("prefer", "wait=0"), ("idempotency-key", "late")];
    assert_eq!(studio.post_with("/v1/generate", &key, &picture(), &late).await.status.as_u16(), 429);
    assert_eq!(studio.post_with("/v1/generate", &key, &picture(), &keyed).await.status.as_u16(), 202);
    assert_eq!(studio.get("/v1/models", Some(&key)).await.status.as_u16(), 200, "reads go on");
    grant_pro(&studio, &ada).await;
    let accepted = studio.post_with("/v1/generate", &key, &picture(), &late).await;
    assert_eq!((accepted.status.as_u16(), numbers(&accepted).0, numbers(&accepted).1), (202, 5, 1), "another plan");
    // A day later all of them are free again.
    sqlx::query("update credentials.api_key_places set slot = slot - 97")
        .execute(&studio.database.pool)
        .await
        .expect("rows");
    assert_eq!(numbers(&studio.get("/v1/models", Some(&key)).await), (5, 5, 0));
    assert!(another.stop().await);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u34_a_burst_is_held_back_for_a_moment_and_each_key_has_its_own() {
    let studio = TestStudio::with(ApiPolicy { burst: both(5), ..ApiPolicy::without_limits() }).await;
    let ada = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&ada).await;
    let (_, other) = studio.api_key(&ada).await;
    let answers = join_all((0..12).map(|_| studio.get("/v1/models", Some(&key)))).await;
    let refused: Vec<&Answer> = answers.iter().filter(|answer| answer.status.as_u16() == 429).collect();
    // Seven, or fewer when the twelve fell into two windows.
    assert!((1..=7).contains(&refused.len()), "{}", refused.len());
    for refused in refused {
        assert_eq!(refused.json()["error"], json!("rate_limit_exceeded"));
        let (limit, _, reset) = numbers(refused);
        assert!(limit == 5 && reset <= 10, "{limit} {reset}");
    }
    assert_eq!(studio.get("/v1/models", Some(&other)).await.status.as_u16(), 200);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u34_so_many_generations_of_an_account_are_at_work_at_once() {
    let studio = TestStudio::with(ApiPolicy { at_once: both(2), ..ApiPolicy::without_limits() }).await;
    let ada = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&ada).await;
    let (_, other) = studio.api_key(&ada).await;
    studio.hold_renders().await;
    let answers = join_all((0..8).map(|n| ask(&studio, if n % 2 == 0 { &key } else { &other }))).await;
    let accepted: Vec<&Answer> = answers.iter().filter(|answer| answer.status.as_u16() == 202).collect();
    assert_eq!(accepted.len(), 2);
    for refused in answers.iter().filter(|answer| answer.status.as_u16() != 202) {
        assert_eq!((refused.status.as_u16(), &refused.json()["error"]), (429, &json!("concurrency_limit")));
        assert_eq!(numbers(refused).0, 2);
    }
    // A session is of the same account.
    let generate = "mutation { requestGeneration(input: {prompt: \"x\", model: \"z-image-turbo\"}) { userErrors { code retryAfter } } }";
    let refused = studio.graphql(Some(&ada.token), generate, json!({})).await;
    let error = &refused["requestGeneration"]["userErrors"][0];
    assert_eq!((&error["code"], &error["retryAfter"]), (&json!("CONCURRENCY_LIMIT"), &json!(2)));
    studio.release_renders().await;
    studio.drain().await;
    assert_eq!(ask(&studio, &key).await.status.as_u16(), 202, "those have ended");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_k4_wrong_keys_are_the_same_401_until_their_address_has_to_wait() {
    let studio = TestStudio::with(ApiPolicy { failures: Some(20), ..ApiPolicy::default() }).await;
    let ada = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&ada).await;
    let random = studio.node.studio.write.ports.random.clone();
    let wrong = atelier_vault::ApiKeySecret::generate(atelier_domain::Environment::Live, random.as_ref());
    let mut first = None;
    for n in 0..20 {
        let answer = studio.get("/v1/models", Some(wrong.expose())).await;
        assert_eq!(answer.status.as_u16(), 401, "{n}");
        let told = answer.headers.keys().any(|name| name.as_str().contains("ratelimit") || name == "retry-after");
        assert!(!told, "a 401 tells nothing of limits: {:?}", answer.headers);
        assert_eq!(first.get_or_insert(answer.text.clone()), &answer.text);
    }
    let waits = studio.get("/v1/models", Some(wrong.expose())).await;
    assert_eq!((waits.status.as_u16(), &waits.json()["error"]), (429, &json!("rate_limit_exceeded")));
    let after: u64 = waits.headers["retry-after"].to_str().expect("ASCII").parse().expect("seconds");
    assert!((1..=60).contains(&after), "{after}");
    assert!(!waits.headers.contains_key("ratelimit-policy"), "it is no key's limit");
    assert_eq!(studio.get("/v1/models", Some("no key at all")).await.status.as_u16(), 401, "that needs no look");
    assert_eq!(studio.get("/v1/models", Some(&key)).await.status.as_u16(), 200, "a good key is not their price");
    studio.stop().await;
}
