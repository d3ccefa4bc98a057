//! Links to outputs: only ours, only while they live, only for the output they name, and the same for an hour (A30, DESIGN 7).

use atelier_commands::ports::MediaKey;
use atelier_commands::{WriteSide, media_link};
use atelier_domain::{AccountId, GenerationId};
use atelier_graphql::global_id::GlobalId;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::TestStudio;
use crate::rest::wire;

/// The cheapest and smallest picture.
fn picture() -> Value {
    json!({ "prompt": "A calm ocean at dawn", "model": "z-image-turbo", "width": 64, "height": 64 })
}

/// Follows a link exactly as written; nothing of a file may come back unless it is served.
async fn follow(studio: &TestStudio, link: &str) -> u16 {
    let path = link.strip_prefix(studio.url.as_str()).unwrap_or(link);
    let reply = wire::call(studio, &format!("GET {path}"), &[], "").await;
    assert_eq!(reply.headers["x-content-type-options"], "nosniff");
    if reply.status == 200 {
        assert_eq!(reply.headers["content-type"], "image/png");
        assert!(reply.headers["content-disposition"].starts_with("attachment"), "A30");
    } else {
        assert_eq!(reply.headers["content-type"], "application/json", "{link}");
        assert!(!reply.body.contains("PNG") && reply.body.len() < 200, "{link}: {}", reply.body);
    }
    reply.status
}

/// A link as the release before signed it: the object's path, for an hour.
fn former_link(write: &WriteSide, object: &str, expires: DateTime<Utc>) -> String {
    let expires = expires.timestamp();
    let text = format!("media {expires} {object}");
    let signed = write.secrets.fingerprint(AccountId(Uuid::nil()), text.as_bytes());
    let signature: String = signed.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}/media/{object}?expires={expires}&signature={signature}", write.public_url)
}

#[tokio::test(flavor = "multi_thread")]
async fn a30_a_link_serves_its_output_and_nothing_else_ever() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let (mut links, mut jobs) = (Vec::new(), Vec::new());
    for person in [&ada, &ben] {
        let (_, key) = studio.api_key(person).await;
        let made = studio.post("/v1/generate", &key, &picture()).await.json();
        links.push(made["images"][0]["url"].as_str().expect("a link").to_owned());
        jobs.push(GlobalId::generation(made["request_id"].as_str().expect("an id")).expect("a job"));
    }
    let [hers, his] = [&links[0], &links[1]];
    assert_eq!((follow(&studio, hers).await, follow(&studio, his).await), (200, 200));
    let parts = |link: &str| {
        let (id, query) = link.split_once("/media/").and_then(|(_, rest)| rest.split_once('?')).expect("id and query");
        (id.to_owned(), query.to_owned())
    };
    let ((id, query), (other, _)) = (parts(hers), parts(his));
    let last = if query.ends_with('0') { "1" } else { "0" };
    let later = query.replacen("expires=", "expires=9", 1);
    let tampered = [
        format!("/media/{id}"),
        format!("/media/{id}?{}{last}", &query[..query.len() - 1]),
        format!("/media/{id}?{}", &query[..query.len() - 1]),
        format!("/media/{id}?{}", query.to_uppercase()),
        format!("/media/{id}?{later}"),
        format!("/media/{id}?{query}0"),
        format!("/media/{id}?signature=&expires=0"),
        format!("/media/{other}?{query}"),
        format!("/media/{id}/?{query}"),
        format!("/media//{id}?{query}"),
        format!("/media/{}?{query}", id.to_uppercase()),
        format!("/media/{id}.png?{query}"),
        format!("/media/x/../{id}?{query}"),
        format!("/media/x/%2e%2e/{id}?{query}"),
        format!("/media/../media/{id}?{query}"),
    ];
    for link in &tampered {
        assert!(matches!(follow(&studio, link).await, 403 | 404), "{link}");
    }
    // Even signed by us, what is no output of a job is not served.
    let write = &studio.node.studio.write;
    for (generation, index) in [(jobs[0], 1), (jobs[0], u32::MAX), (GenerationId(write.fresh_id()), 0)] {
        assert_eq!(follow(&studio, &media_link::url(write, generation, index)).await, 410, "{generation} {index}");
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c2_a_link_stays_the_same_for_an_hour_and_works_for_one_to_two() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&ada).await;
    let made = studio.post("/v1/generate", &key, &picture()).await.json();
    let id = made["request_id"].as_str().expect("an id");
    let job = GlobalId::generation(id).expect("a job");
    let now = studio.node.studio.write.now();
    let (mut before, mut changes) = (String::new(), 0);
    for minutes in 0..=150 {
        let link = media_link::url(&studio.at(TimeDelta::minutes(-minutes)), job, 0);
        let expires = link.split_once("expires=").and_then(|(_, rest)| rest.split_once('&')).expect("an end").0;
        let left = expires.parse::<i64>().expect("seconds") - now.timestamp();
        assert!((-91 * 60..=120 * 60).contains(&left), "{minutes}: {left}");
        assert!(minutes > 59 || left > 0, "made {minutes} minutes ago, it works for an hour");
        assert!(minutes < 121 || left <= 0, "made {minutes} minutes ago, it has ended");
        // Not at the very moment at which it ends.
        if left.abs() > 5 {
            assert_eq!(follow(&studio, &link).await, if left > 0 { 200 } else { 403 }, "{minutes}: {left}");
        }
        changes += usize::from(link != before);
        before = link;
    }
    assert!((3..=4).contains(&changes), "it changes on the hour: {changes}");
    // Every way to ask says the same link, and how long it may be kept.
    let show =
        "query($id: ID!) { generation(id: $id) { images { url } } explore { edges { node { images { url } } } } }";
    let shown = studio.graphql(Some(&ada.token), show, json!({ "id": id })).await;
    let again = studio.get(&format!("/v1/generations/{id}"), Some(&key)).await.json();
    let link = again["images"][0]["url"].as_str().expect("a link");
    assert_eq!(shown["generation"]["images"][0]["url"], link);
    assert_eq!(shown["explore"]["edges"][0]["node"]["images"][0]["url"], link);
    let asked = studio.node.studio.write.now();
    let got = studio.client().get(link).send().await.expect("the node answers");
    let answered = studio.node.studio.write.now();
    let kept = got.headers()["cache-control"].to_str().expect("text").to_owned();
    let age: i64 = kept.strip_prefix("private, max-age=").expect("seconds").parse().expect("a number");
    let end = link.split_once("expires=").and_then(|(_, rest)| rest.split_once('&')).expect("an end").0;
    let end = DateTime::from_timestamp_secs(end.parse().expect("seconds")).expect("an instant");
    // Whole seconds, counted at some moment between the two: never longer than the link works.
    let possible = (end - answered).num_seconds()..=(end - asked).num_seconds();
    assert!(possible.contains(&age) && age <= 7_200, "{age}, of {possible:?}");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c1_links_of_the_release_before_work_until_they_end() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    let (_, key) = studio.api_key(&ada).await;
    let made = studio.post("/v1/generate", &key, &picture()).await.json();
    let generation = GlobalId::generation(made["request_id"].as_str().expect("an id")).expect("a job");
    let write = &studio.node.studio.write;
    let kept = MediaKey { account, generation, attempt: 1, index: 0, extension: "png".to_owned() };
    let soon = write.now() + TimeDelta::minutes(59);
    assert_eq!(follow(&studio, &former_link(write, &kept.path(), soon)).await, 200);
    assert_eq!(follow(&studio, &former_link(write, &kept.path(), write.now() - TimeDelta::minutes(1))).await, 403);
    // So do those to opaque ids that it signed under the label of idempotency; ours has a label of its own.
    let id = write.secrets.media_id(generation, 0);
    let former = former_link(write, &id, soon);
    assert_eq!(follow(&studio, &former).await, 200);
    let ours = write.secrets.media_signature(&id, soon.timestamp());
    let ours: String = ours.iter().map(|byte| format!("{byte:02x}")).collect();
    let ours = format!("{}/media/{id}?expires={}&signature={ours}", write.public_url, soon.timestamp());
    assert_ne!(ours, former);
    assert_eq!(follow(&studio, &ours).await, 200);
    // A file of an attempt that died, which is stored and is no output of its job.
    let orphan = MediaKey { attempt: 9, ..kept.clone() };
    write.ports.media.put(&orphan, Bytes::from_static(b"\x89PNG")).await.expect("a file is stored");
    // Even signed by us, what is no output of a job is not served.
    let path = kept.path();
    let (folder, _) = path.rsplit_once('/').expect("a folder");
    let keys = std::fs::read_dir(studio.data.path().join("keys")).expect("the key folder").count();
    assert!(keys > 0, "there is something to steal");
    for path in [
        orphan.path(),
        format!("{folder}/1.png"),
        format!("{folder}/../../../../keys/index/1"),
        format!("{folder}/%2e%2e/%2e%2e/%2e%2e/%2e%2e/keys/index/1"),
        "../keys/index/1".to_owned(),
        "/etc/passwd".to_owned(),
        folder.to_owned(),
        String::new(),
    ] {
        let link = former_link(write, &path, soon);
        assert!(matches!(follow(&studio, &link).await, 403 | 404 | 410), "{path}");
    }
    studio.stop().await;
}
