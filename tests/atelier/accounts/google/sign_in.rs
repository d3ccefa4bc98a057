//! Signing up and in with Google: by issuer and subject, never by an address (A16, U26, U30).

use reqwest::StatusCode;
use reqwest::header::SET_COOKIE;
use serde_json::{Value, json};

use super::{BROWSER, World, field, parameter, ways_in};
use crate::harness::peers::ask;
use crate::harness::studio::PASSWORD;

#[tokio::test(flavor = "multi_thread")]
async fn a16_somebody_signs_up_and_in_with_google_and_has_no_password() {
    let world = World::start().await;
    let studio = &world.studio;
    let mut browser = world.browser();
    let address = browser.leave().await;
    assert_eq!(parameter(&address, "code_challenge_method"), "S256");
    for secret in ["state", "nonce", "code_challenge"] {
        assert_eq!(parameter(&address, secret).len(), 43, "{secret}");
    }
    assert!(!address.contains(&browser.ours[BROWSER]), "the cookie's token stays at home");
    let back = browser.through(&address, "ada-1,ada@example.com,true").await;
    let welcome = browser.get(&back).await;
    assert_eq!((welcome.status, browser.session()), (StatusCode::OK, None), "{}", welcome.text);
    assert!(!browser.ours.contains_key(BROWSER), "the cookie has done its work");
    assert_eq!(studio.events_named("AccountOpened").await, 0, "nothing before a name is chosen");
    let opened = browser.sign_up(&welcome, "ada").await;
    assert_eq!(opened.status, StatusCode::OK, "{}", opened.text);
    let set: Vec<&str> = opened.headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()).collect();
    assert!(
        set.iter()
            .all(|cookie| cookie.starts_with("__Host-") && cookie.contains("; Path=/; Secure; HttpOnly; SameSite=Lax")),
        "sec.R2: {set:?}"
    );
    let me = ways_in(studio, browser.session().expect("a session")).await;
    assert_eq!(
        (&me["authMethods"]["password"], &me["profile"]["emailVerified"]),
        (&json!(false), &json!(true)),
        "{me}"
    );
    let identity = &me["authMethods"]["identities"][0];
    assert_eq!((&identity["provider"], &identity["label"]), (&json!("GOOGLE"), &json!("ada@example.com")));
    assert_eq!(world.count("credentials.passwords").await, 0, "A16: no password row");
    // Another browser, and another address of the same person: the account is found by its subject.
    let mut other = world.browser();
    let page = other.arrive("ada-1,lovelace@example.com,true").await;
    let me = ways_in(studio, other.session().unwrap_or_else(|| panic!("{}", page.text))).await;
    assert_eq!(me["profile"]["username"], json!("ada"));
    // The same address with another subject is somebody else, who is told to sign in first (U30).
    let mut third = world.browser();
    let page = third.arrive("impostor-1,ada@example.com,true").await;
    assert_eq!(third.session(), None);
    assert!(page.text.contains("link Google in the settings"), "{}", page.text);
    assert_eq!(studio.events_named("AccountOpened").await, 1);
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u30_an_account_with_the_same_address_is_never_merged() {
    let world = World::start().await;
    let ada = world.studio.newcomer("ada").await;
    for whom in ["ada-1,ada@example.com,true", "ada-1,ADA@EXAMPLE.com,true"] {
        let mut browser = world.browser();
        let page = browser.arrive(whom).await;
        assert_eq!(browser.session(), None, "{whom}");
        assert!(page.text.contains("Sign in with your password"), "{}", page.text);
    }
    let me = ways_in(&world.studio, &ada.token).await;
    assert_eq!(me["authMethods"], json!({ "password": true, "identities": [] }));
    // A claim that nobody verified tells nothing about the address, and opens an account that has nothing of it.
    let mut browser = world.browser();
    let welcome = browser.arrive("mallory-1,ada@example.com,false").await;
    assert!(welcome.text.contains("verify your address"), "{}", welcome.text);
    browser.sign_up(&welcome, "mallory").await;
    let me = ways_in(&world.studio, browser.session().expect("a session of its own")).await;
    assert_eq!((&me["profile"]["username"], &me["profile"]["emailVerified"]), (&json!("mallory"), &json!(false)));
    world.studio.sign_in(&ada.email, PASSWORD).await;
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u26_an_address_that_google_did_not_verify_is_proven_by_mail() {
    let world = World::start().await;
    let mut browser = world.browser();
    let welcome = browser.arrive("ben-1,ben@example.com,false").await;
    browser.sign_up(&welcome, "ben").await;
    let token = browser.session().expect("a session").to_owned();
    assert_eq!(ways_in(&world.studio, &token).await["profile"]["emailVerified"], json!(false));
    let mailed = world.studio.mailed_token("ben@example.com").await;
    let verify = "mutation($token: String!) { verifyEmail(input: {token: $token}) { userErrors { code } position } }";
    let alone = world.studio.graphql(None, verify, json!({ "token": mailed })).await["verifyEmail"].take();
    assert_eq!(alone["userErrors"][0]["code"], json!("SIGN_UP_PROOF_REQUIRED"), "the link alone shows a mailbox only");
    world.studio.mutate(Some(&token), verify, json!({ "token": mailed })).await;
    assert_eq!(ways_in(&world.studio, &token).await["profile"]["emailVerified"], json!(true));
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u26_a_sign_up_with_google_ends_every_pending_one_with_its_address() {
    let world = World::start().await;
    let studio = &world.studio;
    const ADDRESS: &str = "ada@example.com";
    let sign_up = "mutation($input: SignUpInput!) { signUp(input: $input) { signUpToken userErrors { code } } }";
    let mut tokens = Vec::new();
    for (username, email) in [("mallory", ADDRESS), ("trudy", "ADA@Example.com"), ("eve", "eve@example.com")] {
        let input = json!({ "email": email, "password": PASSWORD, "username": username, "minimumAge": 18 });
        let begun = studio.mutate(None, sign_up, json!({ "input": input })).await;
        tokens.push(begun["signUpToken"].as_str().expect("a token").to_owned());
    }
    // One by an account elsewhere that says the address is its own.
    let mut liar = world.browser();
    let welcome = liar.arrive("liar-1,ada@example.com,false").await;
    liar.sign_up(&welcome, "liar").await;
    let lying = liar.session().expect("a session").to_owned();
    studio.mails_go_out().await;
    let link = studio.mailed_token(ADDRESS).await;
    // The owner comes by Google, which vouches for the address; the name is one that was pending.
    let mut browser = world.browser();
    let welcome = browser.arrive("ada-1,ada@example.com,true").await;
    let opened = browser.sign_up(&welcome, "ada").await;
    assert_eq!(opened.status, StatusCode::OK, "{}", opened.text);
    let hers = browser.session().expect("a session").to_owned();
    let me = ways_in(studio, &hers).await;
    assert_eq!(me["profile"], json!({ "username": "ada", "emailVerified": true }));
    // On the very next request nothing of theirs counts.
    let verify = "mutation($input: VerifyEmailInput!) { verifyEmail(input: $input) { userErrors { code } } }";
    for (what, proof) in [
        ("the password", json!({ "token": link, "password": PASSWORD })),
        ("the first one's token", json!({ "token": link, "signUpToken": tokens[0] })),
        ("the second one's token", json!({ "token": link, "signUpToken": tokens[1] })),
        ("a new password", json!({ "token": link, "newPassword": "another-horse-2" })),
        ("nothing", json!({ "token": link })),
    ] {
        let refused = studio.graphql(None, verify, json!({ "input": proof })).await["verifyEmail"].take();
        assert_eq!(refused["userErrors"][0]["code"], json!("INVALID_TOKEN"), "{what}");
    }
    assert!(studio.me(&lying, "profile { username }").await.is_null(), "its session has ended");
    let mut again = world.browser();
    again.arrive("liar-1,ada@example.com,false").await;
    assert_eq!(again.session(), None, "and its account elsewhere opens nothing");
    let sign_in = "mutation($input: SignInInput!) { signIn(input: $input) { token userErrors { code } } }";
    let password = json!({ "input": { "email": ADDRESS, "password": PASSWORD } });
    assert_eq!(studio.graphql(None, sign_in, password).await["signIn"]["token"], Value::Null);
    // What they claimed is free, and the sign-up with another address goes on.
    let named = "query($name: String!) { usernameAvailability(username: $name) { available } }";
    for (name, free) in [("mallory", true), ("trudy", true), ("liar", true), ("eve", false), ("ada", false)] {
        let told = studio.graphql(None, named, json!({ "name": name })).await;
        assert_eq!(told["usernameAvailability"]["available"], json!(free), "{name}");
    }
    studio.drain().await;
    assert_eq!(studio.events_named("AccountErased").await, 3);
    let input = json!({ "token": studio.mailed_token("eve@example.com").await, "signUpToken": tokens[2] });
    studio.mutate(None, verify, json!({ "input": input })).await;
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u42_a_ticket_opens_one_account_with_a_name_and_an_age() {
    let world = World::start().await;
    let studio = &world.studio;
    studio.newcomer("ada").await;
    let mut browser = world.browser();
    let welcome = browser.arrive("ben-1,ben@example.com,true").await;
    let ticket = field(&welcome, "ticket");
    // Three letters may stand in random text.
    assert!(!ticket.contains("ben-1") && !ticket.contains("example"), "it is sealed");
    let sign_up = "mutation($input: SignUpWithGoogleInput!) { signUpWithGoogle(input: $input) { token userErrors { code field } position } }";
    let ask_for = async |ticket: &str, username: &str, age: i32| {
        let input = json!({ "input": { "ticket": ticket, "username": username, "minimumAge": age } });
        studio.graphql(None, sign_up, input).await["signUpWithGoogle"].take()
    };
    for (username, age, code) in
        [("ben", 12, "INVALID_FIELD"), ("b", 20, "INVALID_FIELD"), ("ada", 20, "USERNAME_TAKEN")]
    {
        assert_eq!(ask_for(&ticket, username, age).await["userErrors"][0]["code"], json!(code), "{username} {age}");
    }
    let first = if ticket.starts_with('A') { "B" } else { "A" };
    let forged = format!("{first}{}", &ticket[1..]);
    for bad in ["", "nonsense", forged.as_str()] {
        assert_eq!(ask_for(bad, "ben", 20).await["userErrors"][0]["code"], json!("INVALID_TOKEN"), "{bad}");
    }
    assert!(ask_for(&ticket, "ben", 20).await["token"].is_string());
    assert_eq!(ask_for(&ticket, "benjamin", 20).await["userErrors"][0]["code"], json!("NOT_POSSIBLE_NOW"), "once");
    assert_eq!(studio.events_named("AccountOpened").await, 2);
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v11_signing_in_with_google_does_not_skip_the_second_factor() {
    let world = World::start().await;
    let studio = &world.studio;
    let mut browser = world.browser();
    let welcome = browser.arrive("ada-1,ada@example.com,true").await;
    browser.sign_up(&welcome, "ada").await;
    let token = browser.session().expect("a session").to_owned();
    let enrol = "mutation { enrolTwoFactor { secret userErrors { code } } }";
    let secret = studio.mutate(Some(&token), enrol, json!({})).await["secret"].as_str().expect("once").to_owned();
    let code =
        async || ask("totp.py", &["code", &secret, &studio.node.studio.write.now().timestamp().to_string()], "").await;
    let confirm = "mutation($code: String!) { confirmTwoFactor(input: {code: $code}) { userErrors { code } } }";
    studio.mutate(Some(&token), confirm, json!({ "code": code().await })).await;
    sqlx::query("update credentials.second_factors set last_step = 0")
        .execute(&studio.database.pool)
        .await
        .expect("set");
    let mut other = world.browser();
    let page = other.arrive("ada-1,ada@example.com,true").await;
    assert_eq!(other.session(), None, "a code is missing");
    let challenge = field(&page, "challenge");
    let wrong = other.post("/auth/complete", &[("challenge", &challenge), ("code", "nonsense")]).await;
    assert_eq!((wrong.status, other.session()), (StatusCode::BAD_REQUEST, None));
    other.post("/auth/complete", &[("challenge", &challenge), ("code", &code().await)]).await;
    let me = studio.graphql(other.session(), "{ me { profile { username } } }", json!({})).await;
    assert_eq!(me["me"]["profile"]["username"], json!("ada"));
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a16_without_a_client_id_nobody_signs_in_with_google() {
    let studio = crate::harness::TestStudio::start().await;
    let answer = studio.get("/auth/google/start", None).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text);
    let ada = studio.newcomer("ada").await;
    let link = studio
        .graphql(Some(&ada.token), "mutation { linkGoogle { authorizationUrl userErrors { code } } }", json!({}))
        .await;
    assert_eq!(
        link["linkGoogle"],
        json!({ "authorizationUrl": Value::Null, "userErrors": [{ "code": "NOT_POSSIBLE_NOW" }] })
    );
    studio.stop().await;
}
