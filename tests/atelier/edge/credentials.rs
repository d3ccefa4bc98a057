//! Credentials that do not count: the viewer is told, the cookie is taken back, and everything else is open as to anybody.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{COOKIE, ME, by_cookie, code, session_cookie};
use crate::harness::TestStudio;
use crate::harness::studio::{Answer, PASSWORD, Person};

const SIGN_OUT: &str = "mutation { signOut { userErrors { code } position } }";
const BIO: &str = "mutation { updateProfile(input: {bio: \"x\"}) { userErrors { code } } }";
const PUBLIC: &str = "{ models { id } explore { edges { cursor } } creator(username: \"ada\") { id } }";

fn sign_in(person: &Person) -> String {
    let input = format!("{{email: \"{}\", password: \"{PASSWORD}\"}}", person.email);
    format!("mutation {{ signIn(input: {input}) {{ token userErrors {{ code }} }} }}")
}

/// A token of each kind that does not count, and why.
async fn useless(studio: &TestStudio, person: &Person) -> Vec<(&'static str, String)> {
    let fresh = async || studio.opened(&person.email).await;
    let mut tokens = vec![
        ("no token", "nonsense".to_owned()),
        ("an API key", studio.api_key(person).await.1),
        ("a session that never was", format!("{}{}", &person.token[..8], "0".repeat(person.token.len() - 8))),
    ];
    let (start, last) = person.token.split_at(person.token.len() - 1);
    tokens.push(("another secret", format!("{start}{}", if last == "x" { "y" } else { "x" })));
    let out = fresh().await;
    studio.mutate(Some(&out), SIGN_OUT, json!({})).await;
    tokens.push(("signed out", out));
    let renewed = fresh().await;
    let reauthenticate = "mutation($p: String!) { reauthenticate(input: {password: $p}) { userErrors { code } } }";
    studio.mutate(Some(&renewed), reauthenticate, json!({ "p": PASSWORD })).await;
    tokens.push(("renewed", renewed));
    let expired = fresh().await;
    let session = atelier_vault::SessionToken::parse(&expired).expect("a token").session_id();
    sqlx::query("update credentials.sessions set expires_at = $2 where session_id = $1")
        .bind(session.0)
        .bind(studio.node.studio.write.now() - TimeDelta::seconds(1))
        .execute(&studio.database.pool)
        .await
        .expect("set");
    tokens.push(("past its end", expired));
    tokens
}

/// The answers to one query by cookie and by bearer token.
async fn both(studio: &TestStudio, token: &str, query: &str) -> [Answer; 2] {
    let authorization = format!("Bearer {token}");
    let bearer = studio.graphql_with(&[("authorization", &authorization)], query, json!({})).await;
    [by_cookie(studio, token, &[], query).await, bearer]
}

#[tokio::test(flavor = "multi_thread")]
async fn b8_a_credential_that_does_not_count_hides_the_viewer_and_nothing_else() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    for (n, (why, token)) in useless(&studio, &person).await.into_iter().enumerate() {
        for query in [
            ME,
            "{ me { id } models { id } }",
            "{ audit { position } }",
            BIO,
            "mutation { revokeAllSessions { position } }",
        ] {
            for (answer, taken_back) in both(&studio, &token, query).await.into_iter().zip([Some(String::new()), None])
            {
                let said = answer.json();
                assert_eq!(
                    (answer.status.as_u16(), code(&said)),
                    (200, Some("UNAUTHENTICATED")),
                    "{why}: {query}: {said}"
                );
                assert_eq!(said["data"]["me"], Value::Null, "{why}: {query}");
                assert_eq!(said["data"]["models"].is_array(), query.contains("models"), "{why}: {query}: {said}");
                assert_eq!(session_cookie(&answer.headers), taken_back, "{why}: {query}");
            }
        }
        for answer in both(&studio, &token, PUBLIC).await {
            let said = answer.json();
            assert!(said.get("errors").is_none() && said["data"]["creator"]["id"].is_string(), "{why}: {said}");
        }
        for (by, answer) in both(&studio, &token, &sign_in(&person)).await.into_iter().enumerate() {
            let said = answer.json();
            let new = said["data"]["signIn"]["token"].as_str().map(str::to_owned);
            assert!(new.is_some(), "{why}: {said}");
            assert_eq!(
                session_cookie(&answer.headers),
                new,
                "{why}: the new session's, by {by}, and no word of the old one"
            );
        }
        let username = format!("new{n}");
        let up = format!(
            "mutation {{ signUp(input: {{email: \"{username}@example.com\", password: \"{PASSWORD}\", username: \"{username}\", \
             minimumAge: 18}}) {{ userErrors {{ code }} }} }}"
        );
        let answer = by_cookie(&studio, &token, &[], &up).await;
        assert_eq!(answer.json()["data"]["signUp"]["userErrors"], json!([]), "{why}");
        for answer in both(&studio, &token, SIGN_OUT).await {
            assert_eq!(
                answer.json(),
                json!({ "data": { "signOut": { "userErrors": [], "position": null } } }),
                "{why}"
            );
            assert_eq!(session_cookie(&answer.headers), Some(String::new()), "{why}");
        }
    }
    assert!(studio.graphql(Some(&person.token), ME, json!({})).await["me"]["id"].is_string(), "hers counts");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b8_no_credential_is_no_error() {
    let studio = TestStudio::start().await;
    let empty_cookie = format!("{COOKIE}=");
    let table: [&[(&str, &str)]; 6] = [
        &[],
        &[("cookie", "a=1; b=2")],
        &[("cookie", &empty_cookie)],
        &[("authorization", "")],
        &[("authorization", "Bearer")],
        &[("authorization", "Bearer "), ("cookie", &empty_cookie)],
    ];
    for headers in table {
        let answer = studio.graphql_with(headers, ME, json!({})).await;
        assert_eq!(answer.json(), json!({ "data": { "me": null } }), "{headers:?}");
        assert_eq!(session_cookie(&answer.headers), None, "{headers:?}");
        let out = studio.graphql_with(headers, SIGN_OUT, json!({})).await;
        assert_eq!(out.json()["data"]["signOut"]["userErrors"], json!([]), "{headers:?}");
        let changed = studio.graphql_with(headers, BIO, json!({})).await;
        assert_eq!(code(&changed.json()), Some("UNAUTHENTICATED"), "{headers:?}");
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b8_a_bearer_token_goes_before_the_cookie_whether_or_not_it_counts() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let right = format!("Bearer {}", person.token);
    for wrong in ["Bearer nonsense", "Basic dTpw", "Bearer undefined", &format!("{right}x")] {
        let answer = by_cookie(&studio, &person.token, &[("authorization", wrong)], ME).await;
        assert_eq!(code(&answer.json()), Some("UNAUTHENTICATED"), "{wrong}");
        assert_eq!(session_cookie(&answer.headers), None, "{wrong}: the cookie was not looked at");
    }
    let answer = by_cookie(&studio, "nonsense", &[("authorization", &right)], ME).await;
    assert!(answer.json()["data"]["me"]["id"].is_string());
    assert_eq!(session_cookie(&answer.headers), None);
    // What says nothing does not go before it.
    for empty in ["", "Bearer"] {
        let answer = by_cookie(&studio, &person.token, &[("authorization", empty)], ME).await;
        assert!(answer.json()["data"]["me"]["id"].is_string(), "{empty:?}");
    }
    studio.stop().await;
}
