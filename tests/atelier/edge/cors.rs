//! Pages of other origins: who may read, who may ask first, and whose cookies count (sec.R2).

use atelier_server::config::AccessConfig;
use reqwest::header::{HeaderMap, SET_COOKIE, VARY};
use serde_json::json;

use super::{COOKIE, ME, by_cookie, call, code, session_cookie};
use crate::harness::TestStudio;
use crate::harness::studio::PASSWORD;

const FRONTEND: &str = "https://studio.example";
const PARTNER: &str = "http://localhost:5173";

/// Origins that are nobody's we know, however near.
const FOREIGN: [&str; 8] = [
    "null",
    "https://evil.example",
    "http://studio.example",
    "https://studio.example:8443",
    "https://studio.example.evil.example",
    "https://sub.studio.example",
    "https://studio.example/",
    "HTTPS://STUDIO.EXAMPLE",
];

async fn studio() -> TestStudio {
    let access = AccessConfig {
        frontend_url: Some(format!("{FRONTEND}/app")),
        origins: vec![PARTNER.to_owned()],
        ..AccessConfig::default()
    };
    TestStudio::start_with(access).await
}

fn cors(headers: &HeaderMap) -> Vec<&str> {
    headers.keys().map(|name| name.as_str()).filter(|name| name.starts_with("access-control-")).collect()
}

fn varies_by_origin(headers: &HeaderMap) -> bool {
    let [vary] = headers.get_all(VARY).iter().collect::<Vec<_>>()[..] else { return false };
    vary.to_str().expect("ASCII").split(", ").any(|name| name == "Origin")
}

/// A request of every kind of route and of every kind of error, with its status.
const REQUESTS: [(&str, &str, &str, &str, u16); 24] = [
    ("POST", "/graphql", "application/json", "{\"query\":\"{ models { id } }\"}", 200),
    ("POST", "/graphql", "text/plain", "{}", 415),
    ("POST", "/graphql", "application/json", "{", 400),
    ("PUT", "/graphql", "application/json", "{}", 405),
    ("OPTIONS", "/graphql", "application/json", "", 405),
    ("GET", "/graphql/ws", "", "", 426),
    ("GET", "/schema.graphql", "", "", 200),
    ("POST", "/v1/generate", "application/json", "{}", 401),
    ("GET", "/v1/generate", "", "", 405),
    ("GET", "/v1/models", "", "", 401),
    ("GET", "/v1/openapi.json", "", "", 200),
    ("GET", "/v1/nothing", "", "", 404),
    ("PUT", "/uploads/avatar/x", "", "x", 400),
    ("GET", "/exports/x", "", "", 404),
    ("GET", "/media/x", "", "", 403),
    ("GET", "/media/a/b/1/1.png", "", "", 403),
    ("GET", "/avatars/x/256", "", "", 404),
    ("GET", "/avatars/x/y/256", "", "", 404),
    ("GET", "/auth/google/start", "", "", 400),
    ("GET", "/auth/google/callback", "", "", 400),
    ("POST", "/auth/complete", "", "", 400),
    ("GET", "/verify-email", "", "", 400),
    ("GET", "/nothing", "", "", 404),
    ("GET", "/health/live", "", "", 200),
];

#[tokio::test(flavor = "multi_thread")]
async fn b1_pages_in_the_list_may_read_every_answer_and_no_other_page_may() {
    let studio = studio().await;
    let own = studio.url.clone();
    for (method, path, kind, body, status) in REQUESTS {
        let ask = async |origin: &str| {
            let headers: Vec<_> = [("content-type", kind), ("origin", origin)]
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .collect();
            let answer = call(&studio, method, path, &headers, body).await;
            assert!(varies_by_origin(&answer.headers), "{method} {path} from {origin}: {:?}", answer.headers);
            answer
        };
        let plain = ask("").await;
        assert_eq!(plain.status.as_u16(), status, "{method} {path}: {}", plain.text);
        assert_eq!(cors(&plain.headers), [""; 0], "{method} {path} without an origin");
        for origin in [FRONTEND, PARTNER, own.as_str()] {
            let answer = ask(origin).await;
            let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("none");
            assert_eq!(answer.status.as_u16(), status, "{method} {path} from {origin}");
            assert_eq!(header("access-control-allow-origin"), origin, "{method} {path}");
            assert_eq!(header("access-control-allow-credentials"), "true", "{method} {path}");
            let exposed: Vec<&str> = header("access-control-expose-headers").split(", ").collect();
            for name in ["Retry-After", "RateLimit", "RateLimit-Policy", "X-RateLimit-Remaining", "X-Request-Id"] {
                assert!(exposed.contains(&name), "{method} {path}: {exposed:?}");
            }
        }
        // The upgrade is refused to them outright.
        let refused = if path == "/graphql/ws" { 403 } else { status };
        for origin in FOREIGN {
            let answer = ask(origin).await;
            assert_eq!(
                (answer.status.as_u16(), cors(&answer.headers)),
                (refused, vec![]),
                "{method} {path} from {origin}"
            );
        }
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b1_whatever_a_route_says_of_its_own_pages_of_ours_may_read() {
    let studio = studio().await;
    let person = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&person).await;
    let authorization = format!("Bearer {key}");
    let headers = [
        ("origin", FRONTEND),
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", "k"),
        ("prefer", "wait=60"),
    ];
    let body = json!({ "prompt": "x", "model": "z-image-turbo", "width": 64, "height": 64 }).to_string();
    call(&studio, "POST", "/v1/generate", &headers, &body).await;
    let said = call(&studio, "POST", "/v1/generate", &headers, &body).await;
    let waiting = call(&studio, "POST", "/v1/generations", &headers, &body).await;
    let file = call(
        &studio,
        "GET",
        said.json()["images"][0]["url"].as_str().expect("a link").strip_prefix(&studio.url).expect("ours"),
        &headers[..1],
        "",
    )
    .await;
    let unknown = call(&studio, "GET", "/v1/models", &headers[..1], "").await;
    // What any page may read (the safelist of Fetch), and what is for the browser and not for its pages.
    let not_listed = [
        "cache-control",
        "content-language",
        "content-length",
        "content-type",
        "expires",
        "last-modified",
        "pragma",
        "vary",
        "set-cookie",
        "content-security-policy",
        "x-content-type-options",
        "transfer-encoding",
        "connection",
        "keep-alive",
    ];
    for answer in [said, waiting, file, unknown] {
        let exposed = answer.headers["access-control-expose-headers"].to_str().expect("ASCII").to_ascii_lowercase();
        let exposed: Vec<&str> = exposed.split(", ").collect();
        for name in answer.headers.keys().map(|name| name.as_str()) {
            let known = name.starts_with("access-control-") || not_listed.contains(&name) || exposed.contains(&name);
            assert!(known, "{name} of {} is not to be read by pages", answer.status);
        }
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b1_a_page_in_the_list_may_send_any_header_and_is_told_so_for_two_hours() {
    let studio = studio().await;
    let asked = "authorization,content-type,idempotency-key,prefer,x-apollo-operation-name,x-anything-at-all";
    for path in
        ["/graphql", "/v1/generate", "/uploads/avatar/x", "/exports/x", "/media/a", "/auth/complete", "/nothing"]
    {
        let ask = async |origin: &str, names: &str| {
            let headers = [
                ("origin", origin),
                ("access-control-request-method", "PUT"),
                ("access-control-request-headers", names),
            ];
            call(&studio, "OPTIONS", path, &headers, "").await
        };
        let answer = ask(FRONTEND, asked).await;
        let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("none");
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""), "{path}");
        assert_eq!(header("access-control-allow-origin"), FRONTEND, "{path}");
        assert_eq!(header("access-control-allow-credentials"), "true", "{path}");
        assert_eq!(header("access-control-allow-headers"), asked, "{path}");
        assert_eq!(header("access-control-max-age"), "7200", "{path}");
        for method in ["GET", "POST", "PUT", "DELETE"] {
            assert!(header("access-control-allow-methods").split(", ").any(|name| name == method), "{path}: {method}");
        }
        assert!(varies_by_origin(&answer.headers), "{path}");
        for origin in FOREIGN {
            let answer = ask(origin, asked).await;
            assert_eq!(cors(&answer.headers), [""; 0], "{path} from {origin}");
            assert!(matches!(answer.status.as_u16(), 404 | 405), "{path} from {origin}: {}", answer.status);
        }
        // Bounded, and names only.
        let long = "x".repeat(4_097);
        for names in [long.as_str(), "a: b", "a\tb"] {
            assert!(
                !ask(FRONTEND, names).await.headers.contains_key("access-control-allow-headers"),
                "{path}: {names:.9}"
            );
        }
    }
    studio.stop().await;
}

const RENAME: &str = "mutation { updateProfile(input: {bio: \"changed\"}) { userErrors { code } } }";
const SIGN_OUT: &str = "mutation { signOut { userErrors { code } } }";

#[tokio::test(flavor = "multi_thread")]
async fn b1_r2_a_foreign_page_neither_brings_a_cookie_nor_gets_one() {
    let studio = studio().await;
    let person = studio.newcomer("ada").await;
    let head = studio.head().await;
    let sign_in = format!(
        "mutation {{ signIn(input: {{email: \"{}\", password: \"{PASSWORD}\"}}) {{ token userErrors {{ code }} }} }}",
        person.email
    );
    for origin in FOREIGN {
        let sent = [("origin", origin)];
        let seen = by_cookie(&studio, &person.token, &sent, ME).await;
        assert_eq!(seen.json(), json!({ "data": { "me": null } }), "{origin}: as without a cookie");
        let changed = by_cookie(&studio, &person.token, &sent, RENAME).await;
        assert_eq!(code(&changed.json()), Some("UNAUTHENTICATED"), "{origin}");
        let out = by_cookie(&studio, &person.token, &sent, SIGN_OUT).await;
        for answer in [seen, changed, out] {
            assert!(!answer.headers.contains_key(SET_COOKIE), "{origin} signs nobody out");
        }
        let cookie = format!("{COOKIE}={}", person.token);
        let export = call(&studio, "GET", "/exports/x", &[("origin", origin), ("cookie", &cookie)], "").await;
        assert_eq!(export.status.as_u16(), 404);
    }
    assert_eq!(studio.head().await, head, "nothing happened");
    let entered = studio.graphql_with(&[("origin", FOREIGN[1])], &sign_in, json!({})).await;
    assert!(entered.json()["data"]["signIn"]["token"].is_string() && !entered.headers.contains_key(SET_COOKIE));
    // Its own token is another matter: a page that has one was given it.
    let authorization = format!("Bearer {}", person.token);
    let headers = [("origin", FOREIGN[1]), ("authorization", authorization.as_str())];
    assert!(studio.graphql_with(&headers, ME, json!({})).await.json()["data"]["me"]["id"].is_string());
    for sent in [[("origin", FRONTEND), ("accept", "*/*")], [("origin", "null"), ("sec-fetch-site", "same-origin")]] {
        let changed = by_cookie(&studio, &person.token, &sent, RENAME).await;
        assert_eq!(changed.json()["data"]["updateProfile"]["userErrors"], json!([]), "{sent:?}");
        let entered = studio.graphql_with(&sent, &sign_in, json!({})).await;
        assert!(session_cookie(&entered.headers).is_some_and(|token| !token.is_empty()), "{sent:?}");
    }
    studio.stop().await;
}
