//! Notices inside the application and by mail: one for each job, as the switches say (A33, C8), bounded, and read by their owner only.

use atelier_commands::NoticeTopic;
use atelier_commands::notices::{self, NewNotice};
use atelier_commands::process::{Work, enqueue};
use atelier_domain::policy::account::{MAX_NOTICES, NOTICE_LIFE};
use atelier_domain::{AccountId, GenerationId};
use atelier_graphql::global_id::GlobalId;
use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::TestStudio;
use crate::harness::studio::Person;

const SHOWN: &str = "query($first: Int, $after: String) { me { unreadNoticeCount notices(first: $first, after: $after) { \
    edges { cursor node { id kind topic generationId createdAt readAt } } pageInfo { hasNextPage endCursor } } } }";
const READ: &str = "mutation($ids: [ID!]) { markNoticesRead(input: { ids: $ids }) \
    { me { unreadNoticeCount } userErrors { code field } position } }";

/// Has the cheapest and smallest picture made; its id.
pub async fn picture(studio: &TestStudio, person: &Person) -> String {
    let query = "mutation { requestGeneration(input: {prompt: \"a lighthouse\", model: \"z-image-turbo\", width: 64, height: 64}) \
        { generation { id } userErrors { code message } position } }";
    let made = studio.mutate(Some(&person.token), query, json!({})).await;
    studio.drain().await;
    made["generation"]["id"].as_str().expect("a job").to_owned()
}

/// Asks for the mail about a job, as `Notifier` does for a long one.
pub async fn ask_for_mail(studio: &TestStudio, account: AccountId, job: &str, id: &str) {
    let generation = GlobalId::generation(job).expect("a job's id");
    let work = Work::SendGenerationNotice { account, generation };
    enqueue(&studio.database.pool, id, &work).await.expect("work is enqueued");
    studio.drain().await;
}

/// The subjects of the mails to an address, oldest first.
pub async fn subjects(studio: &TestStudio, address: &str) -> Vec<String> {
    studio.drain().await;
    let mails = studio.node.mailbox.list(1_000).await.expect("the mailbox can be read");
    mails.into_iter().rev().filter(|mail| mail.to == address).map(|mail| mail.subject).collect()
}

/// The notices that somebody sees, newest first, and how many are unread.
pub async fn shown(studio: &TestStudio, person: &Person) -> (Vec<Value>, i64) {
    studio.drain().await;
    let me = studio.graphql(Some(&person.token), SHOWN, json!({ "first": 100 })).await;
    let edges = me["me"]["notices"]["edges"].as_array().expect("a page").clone();
    (
        edges.into_iter().map(|mut edge| edge["node"].take()).collect(),
        me["me"]["unreadNoticeCount"].as_i64().expect("a count"),
    )
}

async fn switch(studio: &TestStudio, person: &Person, channel: &str, on: bool) {
    let set = format!(
        "mutation {{ setNotification(input: {{ kind: GENERATION_COMPLETE, channel: {channel}, on: {on} }}) {{ userErrors {{ code }} position }} }}"
    );
    studio.mutate(Some(&person.token), &set, json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a33_c8_one_notice_for_each_job_and_by_mail_only_as_the_switch_says() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    let before = subjects(&studio, &ada.email).await.len();
    let job = picture(&studio, &ada).await;
    let (notices, unread) = shown(&studio, &ada).await;
    assert_eq!((notices.len(), unread), (1, 1));
    assert_eq!(
        (&notices[0]["topic"], &notices[0]["kind"]),
        (&json!("GENERATION_SUCCEEDED"), &json!("GENERATION_COMPLETE"))
    );
    assert_eq!(notices[0]["generationId"], json!(job));
    assert_eq!(subjects(&studio, &ada.email).await.len(), before, "C8: a picture that came soon sends no mail");

    switch(&studio, &ada, "MAIL", false).await;
    ask_for_mail(&studio, account, &job, "Notifier:test:0").await;
    assert_eq!(subjects(&studio, &ada.email).await.len(), before, "V13: switched off");
    switch(&studio, &ada, "MAIL", true).await;
    for id in ["Notifier:test:1", "Notifier:test:2"] {
        ask_for_mail(&studio, account, &job, id).await;
    }
    let told = subjects(&studio, &ada.email).await;
    assert_eq!(told[before..], ["Your generation is ready"], "one, whatever asks for it");

    switch(&studio, &ada, "IN_APP", false).await;
    picture(&studio, &ada).await;
    assert_eq!(shown(&studio, &ada).await.0.len(), 1, "A32: switched off");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a33_a_notice_delivered_twice_is_shown_once() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    let (topic, at) = (NoticeTopic::GenerationFailed, studio.node.studio.write.now());
    let work = Work::PostNotice { account, topic, about: Some(Uuid::from_u128(7)), at };
    for _ in 0..3 {
        enqueue(&studio.database.pool, "Notifier:test:0", &work).await.expect("work is enqueued");
        studio.drain().await;
    }
    assert_eq!(shown(&studio, &ada).await.1, 1);
    // Nobody is left to see one.
    let work = Work::PostNotice { account: AccountId(Uuid::from_u128(8)), topic, about: None, at };
    enqueue(&studio.database.pool, "Notifier:test:1", &work).await.expect("work is enqueued");
    studio.drain().await;
    let rows: i64 =
        sqlx::query_scalar("select count(*) from notices").fetch_one(&studio.database.pool).await.expect("an answer");
    assert_eq!(rows, 1);
    studio.stop().await;
}

/// Notices of an account, one a second, the last one now; what they are about counts up.
async fn fill(studio: &TestStudio, account: AccountId, count: i64) {
    let now = studio.node.studio.write.now();
    for n in 0..count {
        let about = Some(Uuid::from_u128(u128::from(n.unsigned_abs())));
        let at = now - TimeDelta::seconds(count - 1 - n);
        let notice_id = studio.node.studio.write.fresh_id();
        let notice = NewNotice { notice_id, account, topic: NoticeTopic::GenerationSucceeded, about, at };
        notices::post(&studio.database.pool, &notice).await.expect("a row");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_are_paged_and_marked_by_their_owner_only() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let (ada_id, ben_id) = (studio.account(&ada).await, studio.account(&ben).await);
    fill(&studio, ada_id, 5).await;
    fill(&studio, ben_id, 1).await;
    let mut seen = Vec::new();
    let mut after = Value::Null;
    loop {
        let page = studio.graphql(Some(&ada.token), SHOWN, json!({ "first": 2, "after": after })).await;
        let page = &page["me"]["notices"];
        for edge in page["edges"].as_array().expect("a page") {
            seen.push((edge["node"]["generationId"].as_str().expect("an id").to_owned(), edge["node"]["id"].clone()));
        }
        if page["pageInfo"]["hasNextPage"] == json!(false) {
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    let newest_first: Vec<_> =
        (0..5).rev().map(|n| GlobalId::Generation(GenerationId(Uuid::from_u128(n))).text()).collect();
    assert_eq!(seen.iter().map(|(about, _)| about.clone()).collect::<Vec<_>>(), newest_first);

    let bens = shown(&studio, &ben).await.0[0]["id"].clone();
    let marked = studio.mutate(Some(&ada.token), READ, json!({ "ids": [seen[0].1, seen[1].1, bens] })).await;
    assert_eq!(marked["me"]["unreadNoticeCount"], 3);
    assert_eq!(shown(&studio, &ben).await.1, 1, "another's is passed over");
    let (notices, _) = shown(&studio, &ada).await;
    let first_read = notices[0]["readAt"].clone();
    assert!(first_read.is_string() && notices[2]["readAt"].is_null());
    let all = studio.mutate(Some(&ada.token), READ, json!({ "ids": null })).await;
    assert_eq!(all["me"]["unreadNoticeCount"], 0);
    assert_eq!(shown(&studio, &ada).await.0[0]["readAt"], first_read, "read stays read since then");
    for (bad, field) in [
        (json!(["acc_00000000000000000000000000000007"]), "ids.0"),
        (json!(["x"]), "ids.0"),
        (json!(vec![seen[0].1.clone(); 101]), "ids"),
    ] {
        let refused = studio.graphql(Some(&ada.token), READ, json!({ "ids": bad })).await;
        assert_eq!(refused["markNoticesRead"]["userErrors"][0]["field"], field, "{refused}");
    }
    let stranger = studio.graphql_raw(None, READ, json!({ "ids": null })).await;
    assert_eq!(stranger["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
    notices::delete_account(&studio.database.pool, ada_id).await.expect("deleted");
    assert_eq!(
        (shown(&studio, &ada).await.0.len(), shown(&studio, &ben).await.0.len()),
        (0, 1),
        "4.2.10: an account's own"
    );
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_are_bounded_in_number_and_age() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    let pool = &studio.database.pool;
    let count = async || -> i64 {
        sqlx::query_scalar("select count(*) from notices").fetch_one(pool).await.expect("an answer")
    };
    // As they would stand there after years.
    let many = "insert into notices select gen_random_uuid(), $1, 'password_changed', null, now() - make_interval(mins => n) \
        from generate_series(1, $2) n";
    let over = i32::try_from(MAX_NOTICES + 20).expect("few");
    sqlx::query(many).bind(account.0).bind(over).execute(pool).await.expect("rows");
    fill(&studio, account, 1).await;
    assert_eq!(count().await, MAX_NOTICES, "the oldest make room");
    assert_eq!(shown(&studio, &ada).await.0[0]["topic"], "GENERATION_SUCCEEDED", "the newest is there");

    let old = "update notices set created_at = created_at - $1 where topic = 'password_changed'";
    sqlx::query(old).bind(NOTICE_LIFE).execute(pool).await.expect("rows age");
    assert_eq!(shown(&studio, &ada).await, (shown(&studio, &ada).await.0[..1].to_vec(), 1), "not shown any more");
    atelier_commands::reconciler::reconcile(&studio.node.studio.write).await.expect("a round");
    assert_eq!(count().await, 1, "and removed");
    studio.stop().await;
}
