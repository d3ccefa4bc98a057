//! Going on after a position: nothing is missed, whichever way reading and writing cross (DESIGN 6).

use std::collections::BTreeSet;

use atelier_vault::transactions::begin;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{NOTICES, grant, notify};
use crate::harness::TestStudio;
use crate::harness::socket::{Heard, Socket};

fn ids(event: &Value) -> Vec<String> {
    let notices = event["notices"].as_array().expect("notices");
    notices.iter().map(|notice| notice["id"].as_str().expect("an id").to_owned()).collect()
}

fn shown(notice: Uuid) -> String {
    format!("not_{}", notice.simple())
}

#[tokio::test(flavor = "multi_thread")]
async fn d6_notices_go_on_where_they_were() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let old = notify(&studio, &ada).await;
    grant(&studio, &ada, 1).await;
    studio.drain().await;
    let mut socket = Socket::signed_in(&studio.url, &ada.token).await;
    socket.subscribe("1", NOTICES, json!({})).await;
    let begun = socket.next("1").await;
    assert_eq!(begun["notices"], json!([]), "what was there is not new");
    grant(&studio, &ada, 1).await;
    let first = notify(&studio, &ada).await;
    let event = socket.next("1").await;
    assert_eq!(ids(&event), [shown(first)]);
    drop(socket);
    grant(&studio, &ada, 1).await;
    let missed = [notify(&studio, &ada).await, notify(&studio, &ada).await];
    grant(&studio, &ada, 1).await;
    studio.drain().await;
    let mut socket = Socket::signed_in(&studio.url, &ada.token).await;
    socket.subscribe("1", NOTICES, json!({ "after": event["position"] })).await;
    let mut told = ids(&socket.next("1").await);
    // What was told at the very position may come again; what is older does not.
    told.retain(|id| *id != shown(first));
    assert_eq!(told, missed.map(shown));
    assert!(!told.contains(&shown(old)));
    // A page's position does as well.
    let page = "{ me { notices { position edges { node { id } } } } }";
    let page = studio.graphql(Some(&ada.token), page, json!({})).await;
    let late = notify(&studio, &ada).await;
    socket.subscribe("2", NOTICES, json!({ "after": page["me"]["notices"]["position"] })).await;
    let heard = [socket.hear().await, socket.hear().await];
    let both = heard.iter().all(|heard| matches!(heard, Heard::Message(m) if m.to_string().contains(&shown(late))));
    assert!(both, "{heard:?}");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d6_a_notice_that_is_committed_late_is_not_missed() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    let id = Uuid::from_u128(7);
    // On its way, and not to be seen yet, while the log and a reader go on.
    let mut late = begin(&studio.database.pool).await.expect("a transaction");
    let insert =
        "insert into notices (notice_id, account_id, topic, created_at) values ($1, $2, 'password_changed', now())";
    sqlx::query(insert).bind(id).bind(account.0).execute(&mut *late).await.expect("it is written");
    grant(&studio, &ada, 1).await;
    studio.drain().await;
    let mut socket = Socket::signed_in(&studio.url, &ada.token).await;
    socket.subscribe("1", NOTICES, json!({})).await;
    let position = socket.next("1").await["position"].take();
    drop(socket);
    late.commit().await.expect("it is there");
    for _ in 0..2 {
        let mut socket = Socket::signed_in(&studio.url, &ada.token).await;
        socket.subscribe("1", NOTICES, json!({ "after": position })).await;
        assert_eq!(ids(&socket.next("1").await), [shown(id)]);
        drop(socket);
        // With the second statement of its post it has a position, and is found all the same.
        notify(&studio, &ada).await;
        sqlx::query("delete from notices where notice_id <> $1")
            .bind(id)
            .execute(&studio.database.pool)
            .await
            .expect("");
        let placed = "select position is not null from notices where notice_id = $1";
        let placed: bool = sqlx::query_scalar(placed).bind(id).fetch_one(&studio.database.pool).await.expect("a row");
        assert!(placed);
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d6_a_client_that_comes_and_goes_hears_of_every_notice() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let mut socket = Socket::signed_in(&studio.url, &ada.token).await;
    socket.subscribe("1", NOTICES, json!({})).await;
    let mut position = socket.next("1").await["position"].take();
    let posting = async {
        let mut posted = BTreeSet::new();
        for round in 0..40 {
            posted.insert(shown(notify(&studio, &ada).await));
            if round % 4 == 0 {
                grant(&studio, &ada, 1).await;
            }
        }
        posted
    };
    let listening = async {
        let mut heard = BTreeSet::new();
        while heard.len() < 40 {
            let mut socket = Socket::signed_in(&studio.url, &ada.token).await;
            socket.subscribe("1", NOTICES, json!({ "after": position })).await;
            // The first event comes at once, with all that was there; then one more, if there is any, and away.
            for _ in 0..2 {
                if heard.len() < 40 {
                    let mut event = socket.next("1").await;
                    heard.extend(ids(&event));
                    position = event["position"].take();
                }
            }
        }
        heard
    };
    let (posted, heard) = tokio::join!(posting, listening);
    assert_eq!(posted, heard);
    studio.stop().await;
}
