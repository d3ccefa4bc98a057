//! What a browser brings back, brought again, by another browser, or changed: each is refused (sec.O1).

use super::{BROWSER, World, encoded, parameter};

async fn refused(world: &World, browser: &mut super::Browser, path: &str, why: &str) {
    let page = browser.get(path).await;
    assert!(page.status.is_client_error() && page.text.contains("Not signed in"), "{why}: {}", page.text);
    assert_eq!(browser.session(), None, "{why}");
    assert_eq!(world.studio.events_named("SessionStarted").await, 0, "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_o1_a_return_counts_once_for_the_browser_that_left() {
    let world = World::start().await;
    let whom = "ada-1,ada@example.com,true";
    let mut browser = world.browser();
    let address = browser.leave().await;
    let left = browser.clone();
    let back = browser.through(&address, whom).await;
    refused(&world, &mut world.browser(), &back, "a browser without a cookie").await;
    let mut other = world.browser();
    other.leave().await;
    refused(&world, &mut other, &back, "another browser's state").await;
    let (state, code) = (parameter(&back, "state"), parameter(&back, "code"));
    let path = |state: &str, code: &str| format!("/auth/google/callback?state={state}&code={code}");
    for (changed, why) in [
        (format!("/auth/google/callback?code={code}"), "no state"),
        (format!("/auth/google/callback?state={state}"), "no code"),
        (format!("/auth/google/callback?state={state}&error=access_denied"), "an error"),
        (path("", &code), "an empty state"),
        (path(&format!("{}x", &state[..42]), &code), "another state"),
        (path(&encoded(&browser.ours[BROWSER]), &code), "the cookie as state"),
    ] {
        refused(&world, &mut left.clone(), &changed, why).await;
    }
    // None of this used anything up.
    let welcome = browser.get(&back).await;
    assert!(welcome.text.contains("Open my account"), "{}", welcome.text);
    refused(&world, &mut left.clone(), &back, "a replayed state, with the cookie kept").await;
    // A code that was used, under a state that was not.
    let mut again = world.browser();
    let fresh = parameter(&again.leave().await, "state");
    refused(&world, &mut again, &path(&fresh, &code), "a replayed code").await;
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_o1_a_code_of_another_browser_is_worth_nothing() {
    let world = World::start().await;
    // Mallory's code, which was never used, brought by a victim's browser under the victim's own state: PKCE and nonce differ.
    let mut mallory = world.browser();
    let address = mallory.leave().await;
    let back = mallory.through(&address, "mallory-1,mallory@example.com,true").await;
    let code = parameter(&back, "code");
    let mut victim = world.browser();
    let state = parameter(&victim.leave().await, "state");
    let injected = format!("/auth/google/callback?state={state}&code={code}");
    refused(&world, &mut victim, &injected, "an injected code").await;
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_o1_a_return_comes_in_time_and_from_the_issuer() {
    let world = World::start().await;
    let mut browser = world.browser();
    let address = browser.leave().await;
    let back = browser.through(&address, "ada-1,ada@example.com,true").await;
    let past = "update credentials.sign_ins_elsewhere set expires_at = now()";
    sqlx::query(past).execute(&world.studio.database.pool).await.expect("the rows answer");
    refused(&world, &mut browser.clone(), &back, "late").await;
    atelier_commands::reconciler::reconcile(&world.studio.node.studio.write).await.expect("a round");
    assert_eq!(world.count("credentials.sign_ins_elsewhere").await, 0, "what never came back is removed");
    let mut browser = world.browser();
    let address = browser.leave().await;
    let back = browser.through(&address, "ada-1,ada@example.com,true").await;
    assert!(back.contains("&iss=http%3A"), "this provider says who it is (RFC 9207): {back}");
    refused(&world, &mut browser, &back.replace("&iss=http", "&iss=https"), "another issuer").await;
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_o1_no_secret_of_the_journey_is_in_the_rows() {
    let world = World::start().await;
    let mut browser = world.browser();
    let address = browser.leave().await;
    let row: String = sqlx::query_scalar("select row_to_json(s)::text from credentials.sign_ins_elsewhere s")
        .fetch_one(&world.studio.database.pool)
        .await
        .expect("a row");
    for secret in [parameter(&address, "state"), parameter(&address, "nonce"), browser.ours[BROWSER].clone()] {
        assert!(!row.contains(&secret), "{row}");
    }
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_one_client_cannot_take_the_places_of_all_who_are_away() {
    let world = World::start().await;
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let leave = async |client: &str| {
        let request = http.get(format!("{}/auth/google/start", world.studio.url)).header("x-forwarded-for", client);
        request.send().await.expect("the node answers").status().as_u16()
    };
    let mut left = 0;
    for _ in 0..40 {
        left += usize::from(leave("203.0.113.9").await == 303);
    }
    // Thirty are free, and then one waits; a slow machine is forgiven one more now and then.
    assert!((31..40).contains(&left), "{left}");
    let kept = world.count("credentials.sign_ins_elsewhere").await;
    assert_eq!(usize::try_from(kept).expect("few"), left, "nothing is kept for those who were refused");
    assert_eq!(leave("203.0.113.10").await, 303, "another client is not slowed down");
}
