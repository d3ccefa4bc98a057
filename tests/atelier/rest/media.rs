//! Links to outputs: only ours, only while they live, only for the object they name (A30, DESIGN 7).

use std::sync::Arc;

use atelier_commands::ports::{Clock, MediaKey};
use atelier_commands::{WriteSide, media_link};
use atelier_domain::{AccountId, GenerationId};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};

use super::{picture, wire};
use crate::harness::TestStudio;

/// A clock that stands still.
struct Stopped(DateTime<Utc>);

impl Clock for Stopped {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }
}

/// The studio as it was a while ago: its links are genuine and old.
fn ago(studio: &TestStudio, age: TimeDelta) -> WriteSide {
    let mut write = studio.node.studio.write.clone();
    write.ports.clock = Arc::new(Stopped(write.now() - age));
    write
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

#[tokio::test(flavor = "multi_thread")]
async fn a30_a_link_serves_its_object_while_it_lives_and_nothing_else_ever() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let mut links = Vec::new();
    for person in [&ada, &ben] {
        let (_, key) = studio.api_key(person).await;
        let made = studio.post("/v1/generate", &key, &picture()).await.json();
        links.push(made["images"][0]["url"].as_str().expect("a link").to_owned());
    }
    let [hers, his] = [&links[0], &links[1]];
    assert_eq!((follow(&studio, hers).await, follow(&studio, his).await), (200, 200));
    let (object, query) =
        hers.split_once("/media/").and_then(|(_, rest)| rest.split_once('?')).expect("object and query");
    let other = his.split_once("/media/").and_then(|(_, rest)| rest.split_once('?')).expect("object and query").0;
    let last = if query.ends_with('0') { "1" } else { "0" };
    let later = query.replacen("expires=", "expires=9", 1);
    let tampered = [
        format!("/media/{object}"),
        format!("/media/{object}?{}{last}", &query[..query.len() - 1]),
        format!("/media/{object}?{}", &query[..query.len() - 1]),
        format!("/media/{object}?{}", query.to_uppercase()),
        format!("/media/{object}?{later}"),
        format!("/media/{object}?{query}0"),
        format!("/media/{object}?signature=&expires=0"),
        format!("/media/{other}?{query}"),
        format!("/media/{object}/?{query}"),
        format!("/media//{object}?{query}"),
        format!("/media/{}?{query}", object.to_uppercase()),
        format!("/media/{}?{query}", object.replace("/1/", "/2/")),
        format!("/media/x/../{object}?{query}"),
        format!("/media/x/%2e%2e/{object}?{query}"),
        format!("/media/../media/{object}?{query}"),
    ];
    for link in &tampered {
        assert!(matches!(follow(&studio, link).await, 403 | 404), "{link}");
    }
    // Links that were ours: alive for an hour, and not a moment longer.
    let young = media_link::sign(&ago(&studio, TimeDelta::minutes(59)), object);
    let old = media_link::sign(&ago(&studio, TimeDelta::minutes(61)), object);
    assert_eq!((follow(&studio, &young).await, follow(&studio, &old).await), (200, 403), "an hour");
    // A file of an attempt that died, which is stored and is no output of its job.
    let write = &studio.node.studio.write;
    let mut parts = object.split('/').map(|part| part.parse::<uuid::Uuid>().expect("an id"));
    let (account, generation) = (AccountId(parts.next().expect("whose")), GenerationId(parts.next().expect("which")));
    let orphan = MediaKey { account, generation, attempt: 9, index: 0, extension: "png".to_owned() };
    write.ports.media.put(&orphan, Bytes::from_static(b"\x89PNG")).await.expect("a file is stored");
    // Even signed by us, what is no output of a job is not served.
    let (folder, _) = object.rsplit_once('/').expect("a folder");
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
        let link = media_link::sign(&studio.node.studio.write, &path);
        assert!(matches!(follow(&studio, &link).await, 403 | 404 | 410), "{path}");
    }
    studio.stop().await;
}
