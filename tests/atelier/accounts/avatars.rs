//! Avatars: uploaded by a ticket, shown everywhere, gone when replaced, and never left behind by a process that died (A04-A06, A10).

use atelier_commands::ports::{AvatarKey, MediaObject};
use atelier_commands::profile_upkeep::ProfilesTidied;
use atelier_commands::reconciler::reconcile;
use atelier_domain::policy::account::AVATAR_EDGES;
use atelier_domain::{AccountId, AvatarId};
use atelier_vault::UploadTicket;
use atelier_vault::credential_rows::{avatar_tickets, avatar_uploads};
use bytes::Bytes;
use chrono::TimeDelta;
use futures::future::join_all;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};

use crate::harness::TestStudio;
use crate::harness::studio::{Answer, Person};

/// A picture of one colour.
pub fn picture(red: u8) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let image = DynamicImage::ImageRgb8(RgbImage::from_pixel(80, 60, Rgb([red, 10, 10])));
    image.write_to(&mut bytes, ImageFormat::Png).expect("a picture");
    bytes.into_inner()
}

/// Asks for a place to upload to; its address.
pub async fn place(studio: &TestStudio, person: &Person) -> String {
    let request = "mutation { requestAvatarUpload { upload { url expiresAt maxBytes accepts } userErrors { code } } }";
    let asked = studio.mutate(Some(&person.token), request, json!({})).await;
    assert_eq!(asked["upload"]["maxBytes"], json!(5_242_880), "A05");
    asked["upload"]["url"].as_str().expect("a place").to_owned()
}

/// Uploads bytes.
pub async fn put(studio: &TestStudio, url: &str, bytes: Vec<u8>) -> Answer {
    Answer::of(studio.client().put(url).body(bytes).send().await.expect("the node answers")).await
}

/// Uploads a picture of a colour for somebody; the links.
async fn wears(studio: &TestStudio, person: &Person, red: u8) -> Vec<String> {
    let answer = put(studio, &place(studio, person).await, picture(red)).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    let answer = answer.json();
    AVATAR_EDGES.iter().map(|edge| answer["urls"][edge.to_string()].as_str().expect("a link").to_owned()).collect()
}

/// What is stored of an account's avatars.
fn stored(studio: &TestStudio, account: AccountId) -> usize {
    let folder = studio.data.path().join("media").join(account.to_string()).join("avatar");
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

fn error(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.json()["error"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a04_a10_an_avatar_shows_everywhere_also_on_older_work_and_the_replaced_one_is_gone() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    let request = "mutation { requestGeneration(input: {prompt: \"older\", model: \"z-image-turbo\", width: 64, height: 64}) \
        { generation { id } userErrors { code } position } }";
    studio.mutate(Some(&ada.token), request, json!({})).await;
    studio.drain().await;
    let faces = "{ me { profile { avatar { url(size: 64) sizes } } creations { edges { node { creator { avatar { url(size: 64) } } } } } } \
        creator(username: \"ada\") { avatar { url(size: 64) middle: url large: url(size: 300) huge: url(size: 9000) } } \
        explore { edges { node { creator { avatar { url(size: 64) } } } } } }";
    let before = studio.graphql(Some(&ada.token), faces, json!({})).await;
    assert_eq!(before["me"]["profile"]["avatar"], Value::Null);
    assert_eq!(before["explore"]["edges"][0]["node"]["creator"]["avatar"], Value::Null);

    let first = wears(&studio, &ada, 200).await;
    studio.drain().await;
    let shown = studio.graphql(Some(&ada.token), faces, json!({})).await;
    let small = json!({ "url": first[0] });
    assert_eq!(shown["me"]["profile"]["avatar"], json!({ "url": first[0], "sizes": [64, 256, 512] }));
    assert_eq!(shown["me"]["creations"]["edges"][0]["node"]["creator"]["avatar"], small);
    assert_eq!(shown["explore"]["edges"][0]["node"]["creator"]["avatar"], small, "A10: on work that is older");
    let creator = json!({ "url": first[0], "middle": first[1], "large": first[2], "huge": first[2] });
    assert_eq!(shown["creator"]["avatar"], creator);
    for (link, edge) in first.iter().zip(AVATAR_EDGES) {
        let response = studio.client().get(link).send().await.expect("the node answers");
        assert_eq!(response.status().as_u16(), 200);
        for (name, value) in [
            ("content-type", "image/png"),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "public, max-age=31536000, immutable"),
            ("content-security-policy", "default-src 'none'; sandbox"),
        ] {
            assert_eq!(response.headers()[name], value);
        }
        let image = image::load_from_memory(&response.bytes().await.expect("a body")).expect("a picture");
        assert_eq!((image.width(), image.height()), (edge, edge));
    }

    let second = wears(&studio, &ada, 100).await;
    studio.drain().await;
    assert_eq!(stored(&studio, account), 1, "the replaced one is removed");
    for link in &first {
        assert_eq!(studio.download(link).await.0.as_u16(), 404);
    }
    assert_eq!(studio.download(&second[0]).await.0.as_u16(), 200);
    let remove = "mutation { removeAvatar { me { profile { avatar { url } } } userErrors { code } position } }";
    for _ in 0..2 {
        let removed = studio.mutate(Some(&ada.token), remove, json!({})).await;
        assert_eq!(removed["me"]["profile"]["avatar"], Value::Null);
    }
    studio.drain().await;
    assert_eq!((studio.download(&second[0]).await.0.as_u16(), stored(&studio, account)), (404, 0));
    assert_eq!(studio.events_named("AvatarRemoved").await, 1);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u3_only_a_link_as_it_was_given_out_is_served() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let links = wears(&studio, &ada, 9).await;
    let path = links[0].strip_prefix(studio.url.as_str()).expect("ours").to_owned();
    let id = path.split('/').nth(2).expect("an id").to_owned();
    let last = if id.ends_with('A') { "B" } else { "A" };
    for wrong in [
        format!("/avatars/{id}/65"),
        format!("/avatars/{id}/064"),
        format!("/avatars/{id}/64.png"),
        format!("/avatars/{id}/+64"),
        format!("/avatars/{}/64", id.to_uppercase()),
        format!("/avatars/{}{last}/64", &id[..id.len() - 1]),
        format!("/avatars/{id}=/64"),
        "/avatars/..%2f..%2fkeys/1".to_owned(),
        format!("/avatars/{id}/%2e%2e/64"),
        format!("/avatars/{id}/64/"),
        "/avatars/".to_owned(),
    ] {
        assert_eq!(studio.get(&wrong, None).await.status.as_u16(), 404, "{wrong}");
    }
    assert_eq!(studio.get(&path, None).await.status.as_u16(), 200);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a04_a_ticket_makes_one_avatar_for_its_own_account_within_its_time() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let void = (400, "invalid_token".to_owned());
    // Refused uploads leave it as it was; one that is done uses it up.
    let url = place(&studio, &ada).await;
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec();
    let refused = put(&studio, &url, svg).await;
    assert_eq!(error(&refused), (422, "invalid_image".to_owned()));
    assert!(refused.text.contains("JPEG, PNG, WebP, GIF, BMP or TIFF"), "C1: the list is in the error");
    assert_eq!(error(&put(&studio, &url, Vec::new()).await), (400, "missing_image".to_owned()));
    let foreign = studio.client().put(&url).bearer_auth(&ben.token).body(picture(1)).send().await;
    assert_eq!(error(&Answer::of(foreign.expect("the node answers")).await), void, "with somebody else's session");
    let own = studio.client().put(&url).bearer_auth(&ada.token).body(picture(1)).send().await;
    assert_eq!(own.expect("the node answers").status().as_u16(), 200);
    assert_eq!(error(&put(&studio, &url, picture(2)).await), void, "used up");
    // Unknown, malformed, expired.
    let unknown = UploadTicket::generate(studio.node.studio.write.ports.random.as_ref());
    for ticket in [unknown.expose(), "atu_", "x", &url[url.len() - 53..url.len() - 1]] {
        assert_eq!(error(&put(&studio, &format!("{}/uploads/avatar/{ticket}", studio.url), picture(2)).await), void);
    }
    let late = place(&studio, &ada).await;
    let expired = "update credentials.avatar_tickets set expires_at = now()";
    sqlx::query(expired).execute(&studio.database.pool).await.expect("the rows answer");
    assert_eq!(error(&put(&studio, &late, picture(2)).await), void, "expired");
    reconcile(&studio.node.studio.write).await.expect("a round");
    let left: i64 = sqlx::query_scalar("select count(*) from credentials.avatar_tickets")
        .fetch_one(&studio.database.pool)
        .await
        .expect("the rows answer");
    assert_eq!(left, 0, "expired tickets are removed");
    // Few for each account; the oldest gives way.
    let mut places = Vec::new();
    for _ in 0..=avatar_tickets::MAX_TICKETS {
        places.push(place(&studio, &ada).await);
    }
    assert_eq!(error(&put(&studio, &places[0], picture(3)).await), void);
    assert_eq!(put(&studio, &places[1], picture(3)).await.status.as_u16(), 200);
    assert_eq!(studio.events_named("AvatarChanged").await, 2);
    let anonymous = studio.graphql_raw(None, "mutation { requestAvatarUpload { upload { url } } }", json!({})).await;
    assert_eq!(anonymous["errors"][0]["extensions"]["code"], json!("UNAUTHENTICATED"));
    // Nothing about a ticket is kept but its digest.
    let text = place(&studio, &ada).await;
    let text = text.rsplit('/').next().expect("a ticket");
    let rows: String = sqlx::query_scalar("select string_agg(t::text, '') from credentials.avatar_tickets t")
        .fetch_one(&studio.database.pool)
        .await
        .expect("the rows answer");
    assert!(!rows.contains(text) && rows.contains("\\x"), "a digest");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a04_of_many_uploads_by_one_ticket_one_counts_and_by_two_tickets_the_later_event_shows() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    let url = place(&studio, &ada).await;
    let answers = join_all((0..6).map(|red| put(&studio, &url, picture(red)))).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 400, 409].contains(status)), "{statuses:?}");
    assert_eq!(studio.events_named("AvatarChanged").await, 1);

    let places = [place(&studio, &ada).await, place(&studio, &ada).await];
    let both = join_all(places.iter().map(|url| put(&studio, url, picture(7)))).await;
    assert!(both.iter().all(|answer| answer.status.as_u16() == 200), "{both:?}");
    studio.drain().await;
    assert_eq!((studio.events_named("AvatarChanged").await, stored(&studio, account)), (3, 1));
    let me = studio.graphql(Some(&ada.token), "{ me { profile { avatar { url } } } }", json!({})).await;
    let link = me["me"]["profile"]["avatar"]["url"].as_str().expect("a link");
    assert_eq!(studio.download(link).await.0.as_u16(), 200, "what is stored is what is shown");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a04_a_ticket_in_use_is_not_used_twice_and_counts_again_when_its_user_died() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let url = place(&studio, &ada).await;
    // As an upload that died took it: for two minutes.
    let in_use = "update credentials.avatar_tickets set in_use_until = now() + interval '2 minutes'";
    sqlx::query(in_use).execute(&studio.database.pool).await.expect("the rows answer");
    assert_eq!(error(&put(&studio, &url, picture(1)).await), (409, "not_possible_now".to_owned()));
    let over = "update credentials.avatar_tickets set in_use_until = now()";
    sqlx::query(over).execute(&studio.database.pool).await.expect("the rows answer");
    assert_eq!(put(&studio, &url, picture(1)).await.status.as_u16(), 200);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d7_objects_that_no_event_names_are_swept_and_no_others() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    let links = wears(&studio, &ada, 5).await;
    let write = &studio.node.studio.write;
    let dead = async |age: TimeDelta| {
        let avatar = AvatarId(write.fresh_id());
        avatar_uploads::begin(&write.pool, avatar, account, write.now() - age).await.expect("the rows answer");
        // It died after the first of three.
        let key = AvatarKey { account, avatar, edge: 64 };
        write.ports.media.put_avatar(key, Bytes::from_static(b"face")).await.expect("stored");
        key
    };
    let (old, young) = (dead(TimeDelta::minutes(61)).await, dead(TimeDelta::minutes(59)).await);
    // The one that is shown died after its event, before it was noted.
    let id = links[0].rsplit('/').nth(1).expect("an id");
    let (_, shown) = write.secrets.read_avatar_link_id(id).expect("one of ours");
    avatar_uploads::begin(&write.pool, shown, account, write.now() - TimeDelta::hours(2)).await.expect("rows");
    let done = reconcile(write).await.expect("a round").profiles;
    assert_eq!(done, ProfilesTidied { swept: 1, ..Default::default() });
    assert_eq!(write.ports.media.find(&MediaObject::Avatar(old)).await.expect("the store answers"), None);
    assert!(
        write.ports.media.find(&MediaObject::Avatar(young)).await.expect("the store answers").is_some(),
        "it may be at work"
    );
    assert_eq!(studio.download(&links[0]).await.0.as_u16(), 200);
    assert_eq!(reconcile(write).await.expect("a round").profiles, ProfilesTidied::default(), "once");
    studio.stop().await;
}
