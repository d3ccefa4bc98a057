//! The renderer takes accounts in turn, and says how far one has got.

use serde_json::{Value, json};

use crate::crash::members::grant;
use crate::harness::TestStudio;
use crate::harness::process::until;
use crate::harness::studio::Person;

/// Somebody with credits enough, and a key.
async fn rich(studio: &TestStudio, name: &str) -> (Person, String) {
    let person = studio.newcomer(name).await;
    grant(&studio.node, studio.account(&person).await, &[100_000]).await;
    let (_, key) = studio.api_key(&person).await;
    (person, key)
}

/// Asks for a picture and does not wait; its answer.
async fn ask(studio: &TestStudio, key: &str, number: usize) -> Value {
    let body = json!({ "prompt": format!("number {number}"), "model": "z-image-turbo", "width": 64, "height": 64 });
    let answer = studio.post_with("/v1/generate", key, &body, &[("prefer", "wait=0")]).await;
    assert_eq!(answer.status.as_u16(), 202, "{}", answer.text);
    answer.json()
}

fn id(answer: &Value) -> String {
    answer["request_id"].as_str().expect("an id").to_owned()
}

async fn place(studio: &TestStudio, key: &str, id: &str) -> Value {
    studio.get(&format!("/v1/generations/{id}"), Some(key)).await.json()["queue_position"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_taken_in_turn_however_much_one_of_them_asks_for() {
    let studio = TestStudio::start().await;
    let much = rich(&studio, "much").await;
    let mut little = Vec::new();
    for name in ["ben", "cora", "dora", "emil", "fay"] {
        little.push(rich(&studio, name).await);
    }
    studio.hold_renders().await;
    for number in 0..12 {
        ask(&studio, &much.1, number).await;
    }
    studio.drain().await;
    for (_, key) in &little {
        for number in 0..2 {
            ask(&studio, key, number).await;
        }
    }
    studio.drain().await;
    let turns: Vec<(i64, i64)> =
        sqlx::query_as("select turn, count(*) from process_work where lane = 'render' group by turn order by turn")
            .fetch_all(&studio.database.pool)
            .await
            .expect("the work list answers");
    let expected: Vec<(i64, i64)> = (1..=12).map(|round| (round, if round <= 2 { 6 } else { 1 })).collect();
    assert_eq!(turns, expected, "rounds, and how many in each");
    studio.release_renders().await;
    studio.drain().await;
    // Three may be at work at once, so a start may be that much out of turn and no more. The place for those who have none at work alone
    // would let one of the others in for two of the first.
    let started: Vec<String> = sqlx::query_scalar(
        "select r.payload->'GenerationRequested'->>'account_id' from events s \
         join events r on r.aggregate_id = s.aggregate_id and r.event_type = 'GenerationRequested' \
         where s.event_type = 'GenerationStarted' order by s.position",
    )
    .fetch_all(&studio.database.pool)
    .await
    .expect("the log answers");
    assert_eq!(started.len(), 22);
    let places = async |person: &Person| -> Vec<usize> {
        let account = studio.account(person).await.to_string();
        started.iter().enumerate().filter(|(_, who)| **who == account).map(|(place, _)| place).collect()
    };
    for (person, _) in &little {
        let places = places(person).await;
        assert!(places[0] < 6 + 2 && places[1] < 12 + 2, "the first two rounds: {places:?} of {started:?}");
    }
    let first = places(&much.0).await.into_iter().filter(|place| *place < 12).count();
    assert!(first <= 2 + 2, "two of the first two rounds are its own: {started:?}");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_says_the_place_in_the_queue_and_a_withdrawn_job_has_none() {
    let studio = TestStudio::start().await;
    let (much, little) = (rich(&studio, "much").await, rich(&studio, "little").await);
    studio.hold_renders().await;
    let first = ask(&studio, &much.1, 1).await;
    assert_eq!((&first["status"], &first["queue_position"]), (&json!("queued"), &json!(1)));
    let second = ask(&studio, &much.1, 2).await;
    assert_eq!(second["queue_position"], json!(2));
    let other = ask(&studio, &little.1, 1).await;
    assert_eq!(other["queue_position"], json!(2), "its first comes before the other's second");
    let (first, second, other) = (id(&first), id(&second), id(&other));
    assert_eq!(place(&studio, &much.1, &second).await, json!(3));
    let cancel = studio.post(&format!("/v1/generations/{first}/cancel"), &much.1, &json!({})).await;
    assert_eq!(cancel.status.as_u16(), 200);
    studio.drain().await;
    assert_eq!(place(&studio, &much.1, &first).await, Value::Null);
    assert_eq!(place(&studio, &little.1, &other).await, json!(1));
    assert_eq!(place(&studio, &much.1, &second).await, json!(2));
    studio.release_renders().await;
    studio.drain().await;
    assert_eq!(place(&studio, &much.1, &second).await, Value::Null);
    assert_eq!(studio.events_named("GenerationStarted").await, 2, "the withdrawn one left the list");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_202_after_a_wait_says_where_the_job_is_by_then() {
    let studio = TestStudio::start().await;
    let (person, key) = rich(&studio, "ada").await;
    studio.hold_renders().await;
    let body = json!({ "prompt": "begun meanwhile", "model": "z-image-turbo", "width": 64, "height": 64 });
    let asked = async {
        let answer = studio.post_with("/v1/generate", &key, &body, &[("prefer", "wait=2")]).await;
        assert_eq!(answer.status.as_u16(), 202, "{}", answer.text);
        answer.json()
    };
    let begun = async {
        let account = studio.account(&person).await;
        let job: String = until("the job", async || {
            let job = "select aggregate_id from events where event_type = 'GenerationRequested'";
            sqlx::query_scalar(job).fetch_optional(&studio.database.pool).await.expect("the log answers")
        })
        .await;
        use atelier_domain::generation::{Generation, GenerationCommand};
        let target = atelier_commands::command_path::Target { id: job, subject: account };
        let operator = studio.operator();
        let path = &studio.node.studio.write.path;
        path.execute::<Generation>(&target, &operator, None, |_| GenerationCommand::Start).await.expect("it begins");
    };
    let (answer, ()) = tokio::join!(asked, begun);
    assert_eq!((&answer["status"], &answer["queue_position"]), (&json!("running"), &Value::Null));
    studio.stop().await;
}
