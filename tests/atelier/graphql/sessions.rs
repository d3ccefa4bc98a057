//! Sessions: the cookie, the token, signing out at once, and nobody ends another's (A34, V10, sec.S6, sec.R2).

use reqwest::header::{COOKIE, SET_COOKIE};
use serde_json::{Value, json};

use super::refusal;
use crate::harness::TestStudio;
use crate::harness::studio::{PASSWORD, Person};

const SIGN_IN: &str =
    "mutation($input: SignInInput!) { signIn(input: $input) { session { id } token userErrors { code } position } }";
const WHO: &str = "{ me { profile { username } sessions { id current } } }";
const REVOKE: &str =
    "mutation($id: ID!) { revokeSession(input: {sessionId: $id}) { userErrors { code field } position } }";

/// Signs in once more; the new session's id and token.
async fn again(studio: &TestStudio, person: &Person) -> (String, String) {
    let input = json!({ "input": { "email": person.email, "password": PASSWORD } });
    let signed_in = studio.mutate(None, SIGN_IN, input).await;
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    (text(&signed_in["session"]["id"]), text(&signed_in["token"]))
}

async fn who(studio: &TestStudio, token: &str) -> Value {
    studio.me(token, "profile { username } sessions { id current }").await
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_the_cookie_is_for_the_server_alone_and_works() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let url = format!("{}/graphql", studio.url);
    let input = json!({ "input": { "email": person.email, "password": PASSWORD } });
    let request = studio.client().post(&url).json(&json!({ "query": SIGN_IN, "variables": input }));
    let answer = request.send().await.expect("an answer");
    let cookie = answer.headers()[SET_COOKIE].to_str().expect("ASCII").to_owned();
    let token =
        answer.json::<Value>().await.expect("JSON")["data"]["signIn"]["token"].as_str().expect("a token").to_owned();
    let mut parts: Vec<&str> = cookie.split("; ").collect();
    let pair = parts.remove(0);
    assert_eq!(pair, format!("atelier-session-dev={token}"));
    let life = parts.iter().find_map(|part| part.strip_prefix("Max-Age=")?.parse::<i64>().ok()).expect("a life");
    assert!((90 * 86_400 - 60..=90 * 86_400).contains(&life), "sec.S6: the absolute end; the idle one is the server's");
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(parts.contains(&attribute), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    let ask = async |cookie: &str, query: &str| {
        let request = studio.client().post(&url).header(COOKIE, cookie).json(&json!({ "query": query }));
        request.send().await.expect("an answer")
    };
    let me = |answer: Value| answer["data"]["me"]["profile"]["username"].clone();
    assert_eq!(me(ask(pair, WHO).await.json().await.expect("JSON")), json!("ada"));
    let among_others = format!("theme=dark; {pair}; lang=en");
    assert_eq!(me(ask(&among_others, WHO).await.json().await.expect("JSON")), json!("ada"));
    for other in [format!("other={token}"), format!("{pair}x"), "atelier-session-dev=".to_owned(), format!("x{pair}")] {
        assert_eq!(me(ask(&other, WHO).await.json().await.expect("JSON")), Value::Null, "{other}");
    }
    // A34: signing out takes the cookie back, and the very next request with it is anonymous.
    let out = ask(pair, "mutation { signOut { userErrors { code } } }").await;
    let cleared = out.headers()[SET_COOKIE].to_str().expect("ASCII").to_owned();
    assert!(cleared.starts_with("atelier-session-dev=; Max-Age=0;"), "{cleared}");
    assert_eq!(me(ask(pair, WHO).await.json().await.expect("JSON")), Value::Null);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a34_v10_a_session_ends_on_the_very_next_request_and_the_others_go_on() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    assert_eq!(studio.graphql(None, WHO, json!({})).await["me"], Value::Null, "nobody is nobody");
    for _ in 0..10 {
        let (_, token) = again(&studio, &person).await;
        assert_eq!(who(&studio, &token).await["profile"]["username"], json!("ada"), "it counts at once");
        studio.mutate(Some(&token), "mutation { signOut { userErrors { code } position } }", json!({})).await;
        assert_eq!(who(&studio, &token).await, Value::Null, "A34: no grace");
    }
    let (phone, phone_token) = again(&studio, &person).await;
    studio.drain().await;
    let sessions = who(&studio, &person.token).await["sessions"].clone();
    let listed = sessions.as_array().expect("a list");
    assert_eq!(listed.len(), 2, "ended sessions are not listed: {sessions}");
    let current: Vec<&Value> = listed.iter().filter(|session| session["current"] == json!(true)).collect();
    assert!(current.len() == 1 && current[0]["id"] != json!(phone), "{sessions}");
    studio.mutate(Some(&person.token), REVOKE, json!({ "id": phone })).await;
    assert_eq!(who(&studio, &phone_token).await, Value::Null, "V10: remotely, at once");
    assert_eq!(who(&studio, &person.token).await["profile"]["username"], json!("ada"));
    assert_eq!(studio.events_named("SessionEnded").await, 11);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_nobody_ends_another_ones_session() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let (session, token) = again(&studio, &ben).await;
    let account = studio.graphql(Some(&ben.token), "{ me { id } }", json!({})).await["me"]["id"].clone();
    let never = json!("ses_00000000000000000000000000000000");
    for id in [json!(session), never, account, json!("nonsense"), json!("")] {
        let (code, _) = refusal(&studio, Some(&ada.token), REVOKE, json!({ "id": id })).await;
        assert_eq!(code, "NOT_FOUND", "{id}");
    }
    assert_eq!(who(&studio, &token).await["profile"]["username"], json!("ben"), "it goes on");
    assert_eq!(studio.events_named("SessionEnded").await, 0);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u37_a_session_past_its_end_is_nobody() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    assert_eq!(who(&studio, &person.token).await["profile"]["username"], json!("ada"));
    sqlx::query("update credentials.sessions set expires_at = now()")
        .execute(&studio.database.pool)
        .await
        .expect("set");
    assert_eq!(who(&studio, &person.token).await, Value::Null);
    studio.stop().await;
}
