//! The end of a session is the end of its sockets, on every node and in whichever way it is heard of (sec.S6, V10).

use std::time::Duration;

use atelier_server::config::AccessConfig;
use atelier_server::node::Node;
use atelier_server::open_sockets::SocketLimits;
use serde_json::{Value, json};

use super::{BALANCE, another_node, grant, notify, without_looks};
use crate::harness::TestStudio;
use crate::harness::socket::{Heard, Socket};
use crate::harness::studio::{PASSWORD, Person};

const OUT: &str = "mutation { signOut { userErrors { code } position } }";

/// From now on the end of a session is told to nobody.
async fn deafen(studio: &TestStudio) {
    studio.as_superuser("alter table credentials.sessions disable trigger tell_session_ended").await;
}

/// A socket of another sign-in of somebody, which follows their balance on this node; and the token.
async fn listening(studio: &TestStudio, url: &str, person: &Person) -> (Socket, String) {
    let token = studio.sign_in(&person.email, PASSWORD).await;
    let mut socket = Socket::signed_in(url, &token).await;
    socket.subscribe("1", BALANCE, json!({})).await;
    socket.next("1").await;
    (socket, token)
}

async fn two_nodes(sockets: SocketLimits) -> (TestStudio, Node, String) {
    let studio = TestStudio::with_sockets(sockets, AccessConfig::default()).await;
    let (other, url) = another_node(&studio, sockets).await;
    (studio, other, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn s6_every_end_of_a_session_closes_its_sockets_on_another_node_and_no_others() {
    let (studio, other, url) = two_nodes(without_looks()).await;
    let ada = studio.newcomer("ada").await;
    let (mut mine, my_token) = listening(&studio, &url, &ada).await;
    let ada = Person { token: my_token.clone(), ..ada };
    // V10, A34: signing out, and one by one.
    let (mut socket, token) = listening(&studio, &url, &ada).await;
    studio.mutate(Some(&token), OUT, json!({})).await;
    assert_eq!(socket.hear().await, Heard::Closed(4403), "signOut");
    let (mut socket, token) = listening(&studio, &url, &ada).await;
    studio.drain().await;
    let sessions = studio.graphql(Some(&token), "{ me { sessions { id current } } }", json!({})).await;
    let current = |session: &&Value| session["current"] == json!(true);
    let id = sessions["me"]["sessions"].as_array().expect("sessions").iter().find(current).expect("one")["id"].clone();
    let revoke = "mutation($id: ID!) { revokeSession(input: {sessionId: $id}) { userErrors { code } position } }";
    studio.mutate(Some(&my_token), revoke, json!({ "id": id })).await;
    assert_eq!(socket.hear().await, Heard::Closed(4403), "revokeSession");
    // sec.S6: a token that another has taken the place of is dead, and what was opened by it.
    let (mut socket, token) = listening(&studio, &url, &ada).await;
    let again =
        "mutation($input: ReauthenticateInput!) { reauthenticate(input: $input) { token userErrors { code } } }";
    let renewed = studio.mutate(Some(&token), again, json!({ "input": { "password": PASSWORD } })).await;
    assert_eq!(socket.hear().await, Heard::Closed(4403), "reauthenticate");
    let renewed = renewed["token"].as_str().expect("a token").to_owned();
    let mut socket = Socket::signed_in(&url, &renewed).await;
    mine.is_open().await;
    let others = "mutation { revokeOtherSessions { userErrors { code } position } }";
    studio.mutate(Some(&my_token), others, json!({})).await;
    assert_eq!(socket.hear().await, Heard::Closed(4403), "revokeOtherSessions");
    let (mut socket, _) = listening(&studio, &url, &ada).await;
    let change = "mutation($input: ChangePasswordInput!) { changePassword(input: $input) { userErrors { code } } }";
    let passwords = json!({ "input": { "currentPassword": PASSWORD, "newPassword": "another-horse-2" } });
    studio.mutate(Some(&my_token), change, passwords).await;
    assert_eq!(socket.hear().await, Heard::Closed(4403), "changePassword");
    // What was not meant goes on.
    grant(&studio, &ada, 1).await;
    assert_eq!(mine.next("1").await["available"], json!(501));
    let all = "mutation { revokeAllSessions { userErrors { code } position } }";
    studio.mutate(Some(&my_token), all, json!({})).await;
    assert_eq!(mine.hear().await, Heard::Closed(4403), "revokeAllSessions");
    assert_eq!(Socket::plain(&url).await.enter(&my_token).await, Heard::Closed(4403), "and no other is opened by it");
    assert!(other.stop().await, "it stops in time");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s6_an_account_on_its_way_out_has_no_sockets() {
    let (studio, other, url) = two_nodes(without_looks()).await;
    let ada = studio.newcomer("ada").await;
    let (mut socket, token) = listening(&studio, &url, &ada).await;
    let request = "mutation { requestAccountDeletion { token userErrors { code } } }";
    let offer = studio.mutate(Some(&token), request, json!({})).await;
    let confirm = "mutation($input: ConfirmAccountDeletionInput!) { confirmAccountDeletion(input: $input) { position userErrors { code } } }";
    let input = json!({ "input": { "token": offer["token"], "username": "ada" } });
    studio.mutate(Some(&token), confirm, input).await;
    loop {
        match socket.hear().await {
            // The balance is gone before the sessions are, perhaps.
            Heard::Message(message) => assert_eq!(message["type"], json!("next"), "{message}"),
            heard => break assert_eq!(heard, Heard::Closed(4403)),
        }
    }
    studio.drain().await;
    assert!(other.stop().await, "it stops in time");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s6_with_no_word_of_it_the_question_before_an_event_stops_it() {
    let (studio, other, url) = two_nodes(without_looks()).await;
    let ada = studio.newcomer("ada").await;
    deafen(&studio).await;
    for round in 0..10 {
        let (mut socket, token) = listening(&studio, &url, &ada).await;
        socket.subscribe("n", super::NOTICES, json!({})).await;
        socket.next("n").await;
        studio.mutate(Some(&token), OUT, json!({})).await;
        // Still open, because nobody told.
        socket.is_open().await;
        if round % 2 == 0 {
            grant(&studio, &ada, 1).await;
        } else {
            notify(&studio, &ada).await;
        }
        assert_eq!(socket.hear().await, Heard::Closed(4403), "and not the event");
    }
    assert!(other.stop().await, "it stops in time");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s6_with_no_word_and_no_event_a_look_ends_it() {
    let sockets = SocketLimits { look: Duration::from_millis(100), ..SocketLimits::default() };
    let (studio, other, url) = two_nodes(sockets).await;
    let ada = studio.newcomer("ada").await;
    deafen(&studio).await;
    let (mut mine, _) = listening(&studio, &url, &ada).await;
    let (mut socket, token) = listening(&studio, &url, &ada).await;
    studio.mutate(Some(&token), OUT, json!({})).await;
    assert_eq!(socket.hear().await, Heard::Closed(4403));
    let (mut socket, token) = listening(&studio, &url, &ada).await;
    let again =
        "mutation($input: ReauthenticateInput!) { reauthenticate(input: $input) { token userErrors { code } } }";
    let renewed = studio.mutate(Some(&token), again, json!({ "input": { "password": PASSWORD } })).await;
    let mut fresh = Socket::signed_in(&url, renewed["token"].as_str().expect("a token")).await;
    assert_eq!(socket.hear().await, Heard::Closed(4403), "the old token's");
    fresh.is_open().await;
    // U37: not used for too long; nobody does anything then.
    let idle = "update credentials.sessions set last_active_at = last_active_at - interval '1 year'";
    studio.as_superuser(idle).await;
    assert_eq!(mine.hear().await, Heard::Closed(4403), "idle");
    assert_eq!(fresh.hear().await, Heard::Closed(4403), "idle");
    assert!(other.stop().await, "it stops in time");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d6_a_notice_that_nobody_told_of_is_found_by_a_look() {
    let sockets = SocketLimits { look: Duration::from_millis(100), ..SocketLimits::default() };
    let studio = TestStudio::with_sockets(sockets, AccessConfig::default()).await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    let mut socket = Socket::signed_in(&studio.url, &ada.token).await;
    socket.subscribe("n", super::NOTICES, json!({})).await;
    socket.next("n").await;
    for number in 0..3u128 {
        let id = uuid::Uuid::from_u128(number);
        let insert =
            "insert into notices (notice_id, account_id, topic, created_at) values ($1, $2, 'password_changed', now())";
        sqlx::query(insert).bind(id).bind(account.0).execute(&studio.database.pool).await.expect("it is written");
        assert_eq!(socket.next("n").await["notices"][0]["id"], json!(format!("not_{}", id.simple())));
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s6_a_session_that_ends_while_it_is_let_in_is_not_let_in() {
    let (studio, other, url) = two_nodes(without_looks()).await;
    let ada = studio.newcomer("ada").await;
    for _ in 0..20 {
        let token = studio.sign_in(&ada.email, PASSWORD).await;
        let mut socket = Socket::plain(&url).await;
        let (_, entered) = tokio::join!(studio.mutate(Some(&token), OUT, json!({})), socket.enter(&token));
        match entered {
            // A moment before its end; then a word of that follows.
            Heard::Message(_) => assert_eq!(socket.hear().await, Heard::Closed(4403)),
            entered => assert_eq!(entered, Heard::Closed(4403)),
        }
    }
    assert!(other.stop().await, "it stops in time");
    studio.stop().await;
}
