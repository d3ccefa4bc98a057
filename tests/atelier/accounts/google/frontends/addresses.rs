//! Where a browser is sent back to: listed addresses and nothing else; and what else a client can get wrong (sec.O1).

use reqwest::StatusCode;
use reqwest::header::LOCATION;
use serde_json::json;

use super::super::{World, encoded, location, parameter};
use super::{CALLBACK, Client, leave};
use crate::accounts::code;
use crate::harness::TestStudio;

/// Addresses that are not listed, each close to one that is. The whole table is in `return_address.rs`.
const TRICKS: &[&str] = &[
    "",
    "/signed-in",
    "//app.example.com/",
    "https://evil.example/",
    "https://app.example.com.evil.example/",
    "https://app.example.com@evil.example/",
    "https://ada@app.example.com/",
    "https://app.example.com:8443/",
    "https://app.example.com:443/",
    "http://app.example.com/",
    "https://sub.app.example.com/",
    "https://app.example.com\\@evil.example",
    "https://app.example.com/#fragment",
    "https://app.example.com#",
    "https://app%2eexample.com/",
    "https://app.example.com%2f.evil.example/",
    "https://app.example.com/\r\nLocation: https://evil.example",
    "javascript:alert(1)//https://app.example.com",
    "data:text/html,x",
    "com.example.app:/callback/other",
    "com.example.app://callback",
    "com.example.other:/callback",
    "https://app.example.com/?code=planted",
];

#[tokio::test(flavor = "multi_thread")]
async fn sec_o1_nobody_is_sent_to_an_address_that_is_not_listed() {
    let world = World::start().await;
    let client = Client::new("tricks");
    let (challenge, ada) = (client.challenge(), world.studio.newcomer("ada").await);
    let link = "mutation($input: GoogleReturnInput) { linkGoogle(input: $input) { authorizationUrl userErrors { code field } } }";
    for trick in TRICKS {
        // With everything else right, and with everything else wrong: an error must not travel there either.
        for rest in [format!("&code_challenge={challenge}&code_challenge_method=S256&state=s"), "&state=s".to_owned()] {
            let path = format!("/auth/google/start?redirect_uri={}{rest}", encoded(trick));
            let answer = world.browser().get(&path).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{trick:?}: {}", answer.text);
            assert!(!answer.headers.contains_key(LOCATION), "{trick:?}");
        }
        let asked = json!({ "input": { "redirectUri": trick, "codeChallenge": challenge } });
        let answer = world.studio.graphql(Some(&ada.token), link, asked).await["linkGoogle"].take();
        assert_eq!(
            (code(&answer), &answer["userErrors"][0]["field"]),
            ("INVALID_FIELD", &json!("redirectUri")),
            "{trick:?}"
        );
        assert!(answer["authorizationUrl"].is_null());
    }
    assert_eq!(world.count("credentials.sign_ins_elsewhere").await, 0);
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b9_a_request_that_is_wrong_otherwise_goes_back_to_its_frontend() {
    let world = World::start().await;
    let client = Client::new("wrong");
    let (address, challenge) = (encoded(CALLBACK), client.challenge());
    let start = |rest: &str| format!("/auth/google/start?redirect_uri={address}{rest}");
    let s256 = "&code_challenge_method=S256";
    for (rest, state) in [
        (format!("{s256}&state=s"), true),
        (format!("&code_challenge={challenge}&state=s"), true),
        (format!("&code_challenge={challenge}&code_challenge_method=plain&state=s"), true),
        (format!("&code_challenge={challenge}&code_challenge_method=s256&state=s"), true),
        (format!("&code_challenge=short{s256}&state=s"), true),
        (format!("&code_challenge={challenge}%3D{s256}&state=s"), true),
        (format!("&code_challenge={}{s256}&state=s", "+".repeat(43)), true),
        (format!("&code_challenge={challenge}{s256}&state="), false),
        (format!("&code_challenge={challenge}{s256}&state=%0d%0aX:1"), false),
        (format!("&code_challenge={challenge}{s256}&state={}", "x".repeat(513)), false),
    ] {
        let answer = world.browser().get(&start(&rest)).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{rest}: {}", answer.text);
        let arrived = location(&answer);
        assert!(arrived.starts_with(&format!("{CALLBACK}&error=invalid_request")), "{rest}: {arrived}");
        assert_eq!(arrived.ends_with("&state=s"), state, "{rest}: {arrived}");
    }
    // What does not say for certain whose it is goes nowhere.
    for path in [
        format!("/auth/google/start?redirect_uri={address}&redirect_uri={address}"),
        format!("{}&state=1&state=2", start(&format!("&code_challenge={challenge}{s256}"))),
        format!("/auth/google/start?code_challenge={challenge}{s256}"),
        "/auth/google/start?state=s".to_owned(),
        "/auth/google/start?journey=nonsense".to_owned(),
        format!("{}&journey=nonsense", client.start()),
    ] {
        let answer = world.browser().get(&path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}: {}", answer.text);
        assert!(!answer.headers.contains_key(LOCATION), "{path}");
    }
    assert_eq!(world.count("credentials.sign_ins_elsewhere").await, 0);
    // The least that is needed, and the page of no frontend still works beside it.
    let least = world.browser().get(&start(&format!("&code_challenge={challenge}{s256}"))).await;
    assert!(location(&least).starts_with("http://127.0.0.1:"), "{}", least.text);
    leave(&mut world.browser(), "/auth/google/start").await;
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b9_a_frontend_learns_that_there_is_no_google_or_that_it_came_too_often() {
    let access = atelier_server::config::AccessConfig {
        frontend_url: Some("https://app.example.com/studio/".to_owned()),
        ..atelier_server::config::AccessConfig::default()
    };
    let studio = TestStudio::start_with(access).await;
    let client = Client::new("without");
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let answer = http.get(format!("{}{}", studio.url, client.start())).send().await.expect("an answer");
    let arrived = answer.headers()[LOCATION].to_str().expect("ASCII").to_owned();
    assert_eq!(parameter(&arrived, "error"), "unauthorized_client", "the frontend's own origin is listed: {arrived}");
    studio.stop().await;

    let world = World::start().await;
    let mut told = Vec::new();
    for _ in 0..40 {
        let request = world.browser().http.get(format!("{}{}", world.studio.url, client.start()));
        let answer = request.header("x-forwarded-for", "203.0.113.9").send().await.expect("an answer");
        told.push(answer.headers()[LOCATION].to_str().expect("ASCII").to_owned());
    }
    let late = told.iter().filter(|address| address.starts_with(CALLBACK)).collect::<Vec<_>>();
    assert!(!late.is_empty() && late.iter().all(|address| parameter(address, "error") == "temporarily_unavailable"));
    world.studio.stop().await;
}
