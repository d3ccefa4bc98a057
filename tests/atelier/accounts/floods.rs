//! A flood refuses nobody but itself: neither the owner's right password, nor anybody's hash, nor a valid key beside wrong ones (U35, sec.R5).

use atelier_commands::api_policy::ApiPolicy;
use atelier_server::config::AccessConfig;
use futures::future::join_all;
use serde_json::{Value, json};

use super::{code, sign_in};
use crate::harness::TestStudio;
use crate::harness::studio::PASSWORD;

const WRONG: &str = "wrong-horse-1";
const NEW: &str = "another-horse-2";

/// Behind a proxy that is believed, so that each request says where it comes from.
fn proxied() -> AccessConfig {
    let trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    AccessConfig { trusted_proxies, ..AccessConfig::default() }
}

async fn from(studio: &TestStudio, client: &str, email: &str, password: &str) -> Value {
    sign_in(studio, &[("x-forwarded-for", client)], email, password).await
}

#[tokio::test(flavor = "multi_thread")]
async fn u35_a_stranger_with_one_address_refuses_none_of_the_owners_right_passwords() {
    let studio = TestStudio::start_with(proxied()).await;
    let ada = studio.newcomer("ada").await;
    let mut refused = 0;
    for number in 0..55 {
        for _ in 0..3 {
            from(&studio, "203.0.113.9", &ada.email, WRONG).await;
        }
        let owner = format!("198.51.100.{}", number % 5);
        refused += usize::from(!code(&from(&studio, &owner, &ada.email, PASSWORD).await).is_empty());
    }
    assert_eq!(refused, 0, "on devices that the account does not know");
    assert_eq!(code(&from(&studio, "203.0.113.9", &ada.email, PASSWORD).await), "RATE_LIMITED", "the stranger is");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u35_a_known_device_and_one_that_reset_the_password_are_always_tried() {
    let studio = TestStudio::start_with(proxied()).await;
    let ada = studio.newcomer("ada").await;
    let input = json!({ "input": { "email": ada.email, "password": PASSWORD } });
    let known = studio.mutate(None, super::SIGN_IN, input).await["deviceToken"].as_str().expect("a token").to_owned();
    let by_device = async |device: &str, password: &str| {
        let input = json!({ "input": { "email": ada.email, "password": password, "deviceToken": device } });
        studio.graphql(None, super::SIGN_IN, input).await["signIn"].take()
    };
    // From so many places that the address as a whole is slowed down.
    let hammer = async || {
        for number in 0..60 {
            from(&studio, &format!("192.0.2.{number}"), &ada.email, WRONG).await;
        }
    };
    hammer().await;
    assert_eq!(code(&from(&studio, "198.51.100.1", &ada.email, PASSWORD).await), "RATE_LIMITED", "a device unknown");
    assert_eq!(code(&by_device(&known, PASSWORD).await), "", "a known one");
    // The reset lifts it.
    let ask = "mutation($email: String!) { requestPasswordReset(input: {email: $email}) { userErrors { code } } }";
    studio.mutate(None, ask, json!({ "email": ada.email })).await;
    let complete = "mutation($input: CompletePasswordResetInput!) { completePasswordReset(input: $input) { deviceToken userErrors { code } } }";
    let input = json!({ "token": studio.mailed_token(&ada.email).await, "newPassword": NEW });
    let answer = studio.graphql_with(&[], complete, json!({ "input": input })).await;
    let cookie = answer.headers["set-cookie"].to_str().expect("text").to_owned();
    let device = answer.json()["data"]["completePasswordReset"]["deviceToken"].as_str().expect("a token").to_owned();
    assert!(cookie.starts_with(&format!("atelier-device-dev={device};")), "{cookie}");
    assert_eq!(code(&from(&studio, "198.51.100.1", &ada.email, NEW).await), "", "from anywhere");
    // And the flood that goes on does not reach the device that reset it.
    hammer().await;
    assert_eq!(code(&from(&studio, "198.51.100.1", &ada.email, NEW).await), "RATE_LIMITED");
    assert_eq!(code(&by_device(&device, NEW).await), "");
    assert!(!super::counts(&studio, &device).await, "it signs nobody in");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_ninety_sign_ins_of_one_ipv6_48_starve_nobody() {
    let studio = TestStudio::start_with(proxied()).await;
    let ada = studio.newcomer("ada").await;
    // Of one network, and of four at once, which ask for more than all places that there are.
    for networks in [1, 4] {
        let flood = (0..90 * networks).map(|number| {
            let (studio, network) = (&studio, 0x700 + 0x10 * networks + number / 90);
            let client = format!("2001:db8:{network:x}:{number:x}::1");
            async move { from(studio, &client, &format!("nobody{number}@example.com"), WRONG).await }
        });
        let owner = async {
            let mut answers = Vec::new();
            for number in 0..10 {
                answers.push(from(&studio, &format!("2001:db8:{:x}::1", 100 + number), &ada.email, PASSWORD).await);
            }
            answers
        };
        let (flood, owner) = tokio::join!(join_all(flood), owner);
        assert!(owner.iter().all(|answer| code(answer).is_empty()), "{networks}: {owner:?}");
        let busy = flood.iter().filter(|answer| code(answer) == "RATE_LIMITED").count();
        assert!(busy > 0, "the flood has its share, and no more");
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_a_client_is_slowed_down_at_each_width_of_its_network() {
    let studio = TestStudio::start_with(proxied()).await;
    // Thirty are free for a /64, sixty for a /56, a hundred and twenty for a /48; each has one more before it waits.
    type Client = fn(usize) -> String;
    let table: [(&str, Client, usize); 3] = [
        ("64", |n| format!("2001:db8:1:1::{n:x}"), 31),
        ("56", |n| format!("2001:db8:2:1{:02x}::1", n % 256), 61),
        ("48", |n| format!("2001:db8:3:{:x}::1", (n % 250) * 256), 121),
    ];
    for (width, client, free) in table {
        let mut looked_at = 0;
        for number in 0..free + 5 {
            let answer = from(&studio, &client(number), &format!("w{width}n{number}@example.com"), WRONG).await;
            looked_at += usize::from(code(&answer) == "INVALID_CREDENTIALS");
        }
        // Some tries are forgiven while the test runs.
        assert!((free..free + 5).contains(&looked_at), "/{width}: {looked_at}");
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_a_valid_key_is_not_refused_for_its_neighbours_wrong_ones() {
    let mut api = ApiPolicy::without_limits();
    api.failures = Some(5);
    let studio = TestStudio::with_both(api, proxied()).await;
    let ada = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&ada).await;
    let random = studio.node.studio.write.ports.random.clone();
    let ask = async |key: &str, client: &str| {
        let request = studio.client().get(format!("{}/v1/credits", studio.url)).bearer_auth(key);
        request.header("x-forwarded-for", client).send().await.expect("an answer").status().as_u16()
    };
    let mut said = Vec::new();
    for _ in 0..20 {
        let wrong = atelier_vault::ApiKeySecret::generate(atelier_domain::Environment::Live, random.as_ref());
        said.push(ask(wrong.expose(), "203.0.113.9").await);
        assert_eq!(ask(&key, "203.0.113.9").await, 200, "{said:?}");
    }
    assert_eq!(said[..5], [401; 5]);
    assert_eq!(said[5..], [429; 15], "and the wrong ones are slowed down");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_outside_development_this_machine_is_a_client_like_any_other() {
    for (production, slowed_down) in [(true, true), (false, false)] {
        let access = AccessConfig::default();
        let studio =
            if production { TestStudio::in_production(access).await } else { TestStudio::start_with(access).await };
        let mut refused = false;
        for number in 0..35 {
            refused |= code(&sign_in(&studio, &[], &format!("p{number}@example.com"), WRONG).await) == "RATE_LIMITED";
        }
        assert_eq!(refused, slowed_down, "in production: {production}");
        studio.stop().await;
    }
}
