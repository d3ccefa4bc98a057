//! Idempotency-Key: the same request is the same job, paid once; another request is a conflict; a refusal uses no key up (L04-L07).

mod every_way;

use std::collections::BTreeSet;

use atelier_commands::idempotency::REQUEST_GENERATION;
use atelier_commands::reconciler::reconcile;
use atelier_commands::use_cases::RequestGeneration;
use atelier_domain::Environment;
use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::json;

use super::{balance, picture, wire};
use crate::harness::TestStudio;
use crate::harness::studio::Person;

async fn with_key(name: &str, studio: &TestStudio) -> String {
    let person = studio.newcomer(name).await;
    studio.api_key(&person).await.1
}

#[tokio::test(flavor = "multi_thread")]
async fn l04_l07_a_repeat_is_the_same_job_and_another_body_is_a_conflict() {
    let studio = TestStudio::start().await;
    let key = with_key("ada", &studio).await;
    let header = [("idempotency-key", "order-1")];
    let first = studio.post_with("/v1/generate", &key, &picture(), &header).await;
    assert_eq!(first.status.as_u16(), 200);
    assert!(!first.headers.contains_key("idempotency-hit"));
    studio.drain().await;
    let head = studio.head().await;
    let mut said_in_full = picture();
    (said_in_full["num_images"], said_in_full["seed"]) = (json!(1), json!(null));
    for body in [picture(), said_in_full] {
        let again = studio.post_with("/v1/generate", &key, &body, &header).await;
        assert_eq!(
            (again.status.as_u16(), &again.headers["idempotency-hit"]),
            (200, &"true".parse().expect("a value"))
        );
        let (again, first) = (again.json(), first.json());
        for member in ["request_id", "credits_used", "seed"] {
            assert_eq!(again[member], first[member], "{member}");
        }
    }
    let mut other = picture();
    for (field, value) in
        [("prompt", json!("A calm ocean at dusk")), ("width", json!(65)), ("seed", json!(1)), ("publish", json!(true))]
    {
        other[field] = value;
        let conflict = studio.post_with("/v1/generate", &key, &other, &header).await;
        assert_eq!(
            (conflict.status.as_u16(), &conflict.json()["error"]),
            (409, &json!("idempotency_conflict")),
            "{field}"
        );
    }
    studio.drain().await;
    assert_eq!(studio.head().await, head, "nothing was written");
    // U06: once its job is deleted, a repeat is told so, and makes no other one.
    let delete = format!("DELETE /v1/generations/{}", first.json()["request_id"].as_str().expect("an id"));
    assert_eq!(wire::with_key(&studio, &delete, &key, "").await.status, 200);
    let gone = studio.post_with("/v1/generate", &key, &picture(), &header).await;
    assert_eq!((gone.status.as_u16(), &gone.json()["error"]), (410, &json!("gone")));
    assert_eq!((studio.events_named("HoldPlaced").await, balance(&studio, &key).await), (1, (400, 0)));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l07_a_refused_request_does_not_use_its_key_up() {
    let studio = TestStudio::start().await;
    let key = with_key("ada", &studio).await;
    let refused = [
        (json!({ "prompt": "x", "model": "nano-banana-pro" }), 402),
        (json!({ "prompt": "x", "model": "z-image-turbo", "max_credits": 1 }), 402),
        (json!({ "prompt": "x", "model": "z-image-turbo", "width": 63 }), 400),
        (json!({ "prompt": "", "model": "z-image-turbo" }), 400),
        (json!({ "prompt": "x", "model": "nobody's" }), 422),
        (json!({ "prompt": "x", "model": "z-image-turbo", "publish": false }), 403),
    ];
    for (number, (body, status)) in refused.iter().enumerate() {
        let name = format!("key-{number}");
        let header = [("idempotency-key", name.as_str())];
        let answer = studio.post_with("/v1/generate", &key, body, &header).await;
        assert_eq!(answer.status.as_u16(), *status, "{body}");
        if number < 4 {
            let answer = studio.post_with("/v1/generate", &key, &picture(), &header).await;
            assert_eq!(answer.status.as_u16(), 200, "the key of {body} is free: {}", answer.text);
            assert!(!answer.headers.contains_key("idempotency-hit"));
        }
    }
    assert_eq!(balance(&studio, &key).await, (100, 0));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l05_sixteen_copies_at_once_are_one_job_paid_once() {
    let studio = TestStudio::start().await;
    let key = with_key("ada", &studio).await;
    // Each round is another throw of the dice: who holds first, who resumes whom.
    for round in 1..=5 {
        let name = format!("round-{round}");
        let header = [("idempotency-key", name.as_str())];
        let body = picture();
        let copies = (0..16).map(|_| studio.post_with("/v1/generate", &key, &body, &header));
        let answers = join_all(copies).await;
        for answer in &answers {
            assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
        }
        let ids: BTreeSet<String> = answers.iter().map(|answer| answer.json()["request_id"].to_string()).collect();
        let seeds: BTreeSet<String> = answers.iter().map(|answer| answer.json()["seed"].to_string()).collect();
        assert_eq!((ids.len(), seeds.len()), (1, 1), "one job");
        let hits = answers.iter().filter(|answer| answer.headers.contains_key("idempotency-hit")).count();
        assert_eq!(hits, 15, "one of them made it");
        studio.drain().await;
        assert_eq!(balance(&studio, &key).await, (500 - 100 * round, 0), "paid once");
        for name in ["HoldPlaced", "GenerationRequested", "GenerationSucceeded", "HoldCaptured"] {
            assert_eq!(studio.events_named(name).await, round, "{name}");
        }
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_two_accounts_never_meet() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (with_key("ada", &studio).await, with_key("ben", &studio).await);
    let header = [("idempotency-key", "the-same")];
    let first = studio.post_with("/v1/generate", &ada, &picture(), &header).await;
    let mut other = picture();
    other["prompt"] = json!("Another one");
    let second = studio.post_with("/v1/generate", &ben, &other, &header).await;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 200), "{}", second.text);
    assert!(first.json()["request_id"] != second.json()["request_id"]);
    assert!(!second.headers.contains_key("idempotency-hit"));
    assert_eq!((balance(&studio, &ada).await, balance(&studio, &ben).await), ((400, 0), (400, 0)));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_key_is_refused_and_a_long_one_is_not() {
    let studio = TestStudio::start().await;
    let key = with_key("ada", &studio).await;
    let (longest, too_long) = ("k".repeat(200), "k".repeat(201));
    for wrong in ["", "two words", "slash/", "quote\"", "schlüssel", &too_long] {
        for path in ["/v1/generate", "/v1/generations"] {
            let answer = studio.post_with(path, &key, &picture(), &[("idempotency-key", wrong)]).await;
            let said = answer.json();
            assert_eq!((answer.status.as_u16(), &said["error"]), (400, &json!("invalid_field")), "{wrong}");
            assert!(said["field"].as_str().is_some_and(|field| field.to_lowercase().contains("idempotency")), "{said}");
        }
    }
    let twice = [("idempotency-key", "a"), ("idempotency-key", "a")];
    assert_eq!(studio.post_with("/v1/generate", &key, &picture(), &twice).await.status.as_u16(), 400, "given twice");
    assert_eq!(studio.events_named("HoldPlaced").await, 0);
    for right in ["a", "A.b_c:d-9", &longest] {
        let answer = studio.post_with("/v1/generate", &key, &picture(), &[("idempotency-key", right)]).await;
        assert_eq!(answer.status.as_u16(), 200, "{right}");
    }
    studio.stop().await;
}

/// A key's age, as if it had been used so long ago.
async fn used_ago(studio: &TestStudio, person: &Person, key: &str, ago: &str) {
    studio
        .as_superuser(&format!(
            "update idempotency_keys set recorded_at = now() - interval '{ago}' where key = '{}'",
            stored(studio, person, key).await
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l04_a_key_counts_for_a_day_and_then_it_is_a_new_request() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&person).await;
    let mut first = Vec::new();
    for name in ["old", "young"] {
        let answer = studio.post_with("/v1/generate", &key, &picture(), &[("idempotency-key", name)]).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
        first.push(answer.json()["request_id"].clone());
    }
    used_ago(&studio, &person, "old", "24 hours 1 second").await;
    used_ago(&studio, &person, "young", "23 hours 59 minutes").await;
    let expired = reconcile(&studio.node.studio.write).await.expect("a round").expired_keys;
    assert!(expired <= 1, "the node's own round may have been first");
    let mut other = picture();
    other["prompt"] = json!("Another one, a day later");
    let anew = studio.post_with("/v1/generate", &key, &other, &[("idempotency-key", "old")]).await;
    assert_eq!((anew.status.as_u16(), anew.headers.get("idempotency-hit")), (200, None), "{}", anew.text);
    assert!(anew.json()["request_id"] != first[0]);
    let again = studio.post_with("/v1/generate", &key, &picture(), &[("idempotency-key", "young")]).await;
    assert_eq!((again.status.as_u16(), &again.json()["request_id"]), (200, &first[1]));
    assert!(again.headers.contains_key("idempotency-hit"));
    studio.drain().await;
    assert_eq!(balance(&studio, &key).await, (200, 0));
    studio.stop().await;
}

/// What is stored of a key of a request for a picture.
async fn stored(studio: &TestStudio, person: &Person, key: &str) -> String {
    let account = studio.account(person).await;
    studio.node.studio.write.secrets.idempotency_key(account, REQUEST_GENERATION.name, key)
}

async fn keys_there(studio: &TestStudio) -> Vec<String> {
    let keys = sqlx::query_scalar("select key from idempotency_keys order by position");
    keys.fetch_all(&studio.database.pool).await.expect("the keys")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_stored_as_a_hash_and_the_same_key_of_another_kind_of_request_is_another() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&person).await;
    let header = [("idempotency-key", "ada@example.com")];
    let wrong = studio.post_with("/v1/generate", &key, &picture(), &header).await;
    assert_eq!(wrong.status.as_u16(), 400, "no address is a key");
    let header = [("idempotency-key", "ada.lovelace")];
    let made = studio.post_with("/v1/generate", &key, &picture(), &header).await.json();
    // By GraphQL the same request under the same key is the same job; REST and GraphQL share each kind.
    let query = "mutation($input: RequestGenerationInput!) { requestGeneration(input: $input) { generation { id } repeated userErrors { code } } }";
    let mut input =
        json!({ "prompt": picture()["prompt"], "model": "z-image-turbo", "idempotencyKey": "ada.lovelace" });
    for side in ["width", "height"] {
        input[side] = picture()[side].clone();
    }
    let same = studio.mutate(Some(&person.token), query, json!({ "input": input })).await;
    assert_eq!((&same["generation"]["id"], &same["repeated"]), (&made["request_id"], &json!(true)));
    // Under the same words, another kind of request.
    let label = "mutation { createApiKey(input: {label: \"x\", idempotencyKey: \"ada.lovelace\"}) { id secret userErrors { code } } }";
    assert!(studio.mutate(Some(&person.token), label, json!({})).await["secret"].is_string(), "not a conflict");
    let id = made["request_id"].as_str().expect("an id");
    let (line, bearer) = (format!("DELETE /v1/generations/{id}"), format!("Bearer {key}"));
    let headers = [("authorization", bearer.as_str()), ("idempotency-key", "ada.lovelace")];
    for hit in [false, true] {
        let deleted = wire::call(&studio, &line, &headers, "").await;
        assert_eq!((deleted.status, deleted.headers.contains_key("idempotency-hit")), (200, hit));
    }
    let keys = keys_there(&studio).await;
    assert_eq!((keys.len(), keys.iter().collect::<BTreeSet<_>>().len()), (3, 3), "{keys:?}");
    assert!(keys.iter().all(|key| key.starts_with('#') && key.len() == 44 && !key.contains("ada")), "{keys:?}");
    assert!(keys.contains(&stored(&studio, &person, "ada.lovelace").await));
    studio.stop().await;
}

/// As the release before this one would have left it.
async fn in_the_clear(studio: &TestStudio, person: &Person, key: &str) {
    let stored = stored(studio, person, key).await;
    studio.as_superuser(&format!("update idempotency_keys set key = '{key}' where key = '{stored}'")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_the_release_before_counts_for_24_hours_and_then_goes_in_bounded_pieces() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&person).await;
    let header = [("idempotency-key", "order-1")];
    let first = studio.post_with("/v1/generate", &key, &picture(), &header).await;
    in_the_clear(&studio, &person, "order-1").await;
    studio.drain().await;
    let head = studio.head().await;
    let again = studio.post_with("/v1/generate", &key, &picture(), &header).await;
    assert_eq!((again.status.as_u16(), &again.json()["request_id"]), (200, &first.json()["request_id"]));
    assert!(again.headers.contains_key("idempotency-hit"));
    let mut other = picture();
    other["prompt"] = json!("something else");
    let clash = studio.post_with("/v1/generate", &key, &other, &header).await;
    assert_eq!((clash.status.as_u16(), &clash.json()["error"]), (409, &json!("idempotency_conflict")));
    studio.drain().await;
    assert_eq!((studio.head().await, keys_there(&studio).await), (head, vec!["order-1".to_owned()]));

    // A day after the upgrade it is a new request, and the key goes whatever its age.
    let request = RequestGeneration {
        account: studio.account(&person).await,
        environment: Environment::Live,
        api_key: None,
        prompt: "something else".to_owned(),
        model: "z-image-turbo".to_owned(),
        width: Some(64),
        height: Some(64),
        num_images: None,
        seed: None,
        max_credits: None,
        publish: None,
        idempotency_key: Some("order-1".to_owned()),
    };
    let later = studio.at(TimeDelta::hours(24) + TimeDelta::minutes(1));
    let anew = request.run(&later, &studio.operator()).await.expect("a new request");
    assert!(!anew.repeated);
    let hash = stored(&studio, &person, "order-1").await;
    assert_eq!(keys_there(&studio).await, ["order-1", hash.as_str()]);
    assert_eq!(reconcile(&studio.node.studio.write).await.expect("a round").expired_keys, 0, "not before its time");
    studio.as_superuser("update idempotency_upgrade set clear_until = now() - interval '1 second'").await;
    reconcile(&studio.node.studio.write).await.expect("a round");
    assert_eq!(keys_there(&studio).await, [hash], "the clear one is gone, the hash stays");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_ended_in_bounded_pieces_and_never_before_their_time() {
    let database = crate::harness::TestDatabase::fresh().await;
    let mut owner: sqlx::PgConnection =
        sqlx::Connection::connect(&database.superuser_url).await.expect("the superuser connects");
    let fill = "insert into idempotency_keys select gen_random_uuid(), 'k' || n, '', '', n, \
                now() - case when n <= 5 then interval '25 hours' else interval '23 hours' end from generate_series(1, 9) n";
    sqlx::query(fill).execute(&mut owner).await.expect("rows are inserted");
    let expire = async |at_most: i32| -> i64 {
        let expired = sqlx::query_scalar("select expire_idempotency_keys($1)").bind(at_most);
        expired.fetch_one(&database.pool).await.expect("the application may ask for it")
    };
    assert_eq!([expire(2).await, expire(-1).await, expire(100).await, expire(100).await], [2, 0, 3, 0]);
    let left: Vec<String> = sqlx::query_scalar("select key from idempotency_keys order by position")
        .fetch_all(&database.pool)
        .await
        .expect("the keys");
    assert_eq!(left, ["k6", "k7", "k8", "k9"]);
    // Once the day of the upgrade is over, those in the clear go as well, whatever their age, and no hash does.
    let fill = "insert into idempotency_keys values (gen_random_uuid(), '#hash', '', '', 10, now())";
    sqlx::query(fill).execute(&mut owner).await.expect("a row is inserted");
    let over = "update idempotency_upgrade set clear_until = now() - interval '1 second'";
    sqlx::query(over).execute(&mut owner).await.expect("the owner may");
    assert_eq!([expire(3).await, expire(-1).await, expire(3).await, expire(3).await], [3, 0, 1, 0]);
    let left: Vec<String> =
        sqlx::query_scalar("select key from idempotency_keys").fetch_all(&database.pool).await.expect("the keys");
    assert_eq!(left, ["#hash"]);
}
