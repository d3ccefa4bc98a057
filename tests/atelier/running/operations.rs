//! What operators see of a node, and where: in production on a listener of their own.

use std::collections::BTreeSet;

use serde_json::json;

use crate::architecture;
use crate::harness::process::{Home, Served, until};
use crate::harness::visitor::Visitor;

/// The operators' address, once it is told.
async fn operators(served: &mut Served) -> Visitor {
    let address = until("the operators' address", async || {
        served.still_runs();
        let logged = served.logged();
        let line = logged.lines().find_map(|line| line.split_once(" metrics and readiness address="));
        line.map(|(_, address)| address.to_owned()).filter(|_| logged.ends_with('\n'))
    });
    Visitor::of(format!("http://{}", address.await))
}

/// The names of this line of the exposition format, `HELP` or `TYPE`.
fn names(text: &str, word: &str) -> BTreeSet<String> {
    let line = format!("# {word} ");
    text.lines().filter_map(|it| it.strip_prefix(&line)?.split(' ').next().map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn c7_in_production_counters_and_details_are_for_operators_alone() {
    let home = Home::open().await;
    let arguments = ["--public-url", "https://studio.example.com", "--operations-listen", "127.0.0.1:0"];
    let mut served = home.serve(&arguments);
    let (visitor, operators) = (served.listening().await, operators(&mut served).await);
    assert_eq!(visitor.get("/metrics", None).await.status.as_u16(), 404);
    let ready = visitor.get("/health/ready", None).await;
    assert_eq!((ready.status.as_u16(), ready.json()), (200, json!({ "status": "ready" })));
    assert_eq!(ready.headers["strict-transport-security"], "max-age=31536000");
    for path in ["/nothing", "/v1/models", "/schema.graphql"] {
        let answer = visitor.get(path, None).await;
        assert!(answer.headers.contains_key("strict-transport-security"), "{path}");
    }
    let details = operators.get("/health/ready", None).await;
    assert_eq!(details.status.as_u16(), 200);
    for detail in ["clock_skew_ms", "stopped_projections", "quarantine", "work", "full_disks"] {
        assert!(details.json().get(detail).is_some(), "{detail}: {}", details.text);
    }
    let text = operators.get("/metrics", None).await.text;
    assert_eq!(names(&text, "TYPE").difference(&names(&text, "HELP")).collect::<Vec<_>>(), Vec::<&String>::new());
    for shown in [
        "atelier_build_info{version=",
        "atelier_database_up 1",
        "atelier_clock_skew_seconds ",
        "atelier_disk_free_bytes{folder=\"postgres\"}",
        "atelier_http_request_seconds_bucket{",
        "process_max_fds ",
    ] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    if cfg!(target_os = "linux") {
        assert!(text.contains("process_resident_memory_bytes ") && text.contains("process_open_fds "), "{text}");
    }
    assert!(!served.logged().contains("in the clear"), "{}", served.logged());
    // And by no other path of theirs: nothing of the studio is there.
    assert_eq!(operators.get("/v1/models", None).await.status.as_u16(), 404);
    assert_eq!(served.stop("TERM").await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn c7_what_is_unsafe_is_warned_of_and_a_full_disk_shows() {
    let home = Home::open().await;
    let full = u64::MAX >> 20;
    let arguments = [
        "--public-url",
        "http://studio.example.com",
        "--operations-listen",
        "127.0.0.1:0",
        "--disk-reserve",
        &full.to_string(),
    ];
    let mut served = home.serve(&arguments);
    let (visitor, operators) = (served.listening().await, operators(&mut served).await);
    assert!(served.logged().contains("http on a public name"), "{}", served.logged());
    let ready = visitor.get("/health/ready", None).await;
    assert_eq!((ready.status.as_u16(), ready.json()), (503, json!({ "status": "disk full" })));
    assert!(!ready.headers.contains_key("strict-transport-security"), "that would shut the clients of http out");
    let details = operators.get("/health/ready", None).await.json();
    assert_eq!(details["full_disks"], json!(["data", "media", "postgres"]));
    assert_eq!(served.stop("TERM").await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn c7_security_events_are_log_lines_without_anybody_in_them() {
    let home = Home::open().await;
    let mut served = home.serve_with(&["--demo"], &[("ATELIER_LOG_JSON", "true"), ("ATELIER_LOG", "info")]);
    until("the demo studio", async || {
        served.still_runs();
        served.said().contains("atelier is ready").then_some(())
    })
    .await;
    let told: std::collections::BTreeMap<_, _> = home.demo_env().into_iter().collect();
    let visitor = Visitor::of(told["ATELIER_URL"].clone());
    let token = visitor.sign_in(&told["ATELIER_EMAIL"], &told["ATELIER_PASSWORD"]).await;
    let wrong = "mutation($input: SignInInput!) { signIn(input: $input) { token userErrors { code } } }";
    for _ in 0..80 {
        // Until it is too many.
        let body = json!({ "query": wrong, "variables": { "input": { "email": told["ATELIER_EMAIL"], "password": "not-this-1" } } });
        let answer = visitor.request("POST", "/graphql").json(&body).send().await.expect("an answer");
        if answer.text().await.expect("a body").contains("RATE_LIMITED") {
            break;
        }
    }
    let keys = "{ me { apiKeys { edges { node { id } } } } }";
    let id = visitor.graphql(Some(&token), keys, json!({})).await["apiKeys"]["edges"][0]["node"]["id"].clone();
    let revoke = "mutation($id: ID!) { revokeApiKey(input: { id: $id }) { userErrors { code } } }";
    visitor.graphql(Some(&token), revoke, json!({ "id": id })).await;
    visitor.graphql(Some(&token), "mutation { signOut { userErrors { code } } }", json!({})).await;
    let email = told["ATELIER_EMAIL"].clone();
    let granted = home.run(&["staff", "add", &email, "--role", "auditor", "--reason", "looks at the books"]).await;
    assert_eq!(granted.code, Some(0), "{}", granted.logged);
    let lines: Vec<serde_json::Value> =
        served.logged().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let events: BTreeSet<&str> = lines
        .iter()
        .filter(|line| line["target"] == "security")
        .filter_map(|line| line["fields"]["event"].as_str())
        .collect();
    for event in ["sign_in_refused", "throttled", "ApiKeyRevoked", "SessionStarted", "SessionEnded"] {
        assert!(events.contains(event), "{event} is not in {events:?}");
    }
    assert!(granted.logged.contains("RoleGranted"), "{}", granted.logged);
    for secret in [&email, &told["ATELIER_API_KEY"], &token, "not-this-1", "looks at the books"] {
        assert!(!served.logged().contains(secret) && !granted.logged.contains(secret), "{secret} is in the log");
    }
    assert_eq!(served.stop("TERM").await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a6_the_start_says_which_proxies_are_believed_and_one_that_is_not_is_warned_of_once() {
    let home = Home::open().await;
    let warning = "name its network in ATELIER_TRUSTED_PROXIES";
    for (proxies, believed, warned) in [
        ("", "X-Forwarded-For is believed from nobody", 1),
        ("10.0.0.0/8,192.168.0.0/16", "X-Forwarded-For is believed from 10.0.0.0/8, 192.168.0.0/16", 1),
        ("127.0.0.0/8", "X-Forwarded-For is believed from 127.0.0.0/8", 0),
    ] {
        let mut served = home.serve_with(&[], &[("ATELIER_TRUSTED_PROXIES", proxies)]);
        let visitor = served.listening().await;
        let query = json!({ "query": "{ models { id } }" });
        // Without the header nothing is to be said.
        visitor.request("POST", "/graphql").json(&query).send().await.expect("an answer");
        assert_eq!(served.logged().matches(warning).count(), 0, "{proxies}");
        for _ in 0..3 {
            let forwarded = visitor.request("POST", "/graphql").header("x-forwarded-for", "198.51.100.7").json(&query);
            forwarded.send().await.expect("an answer");
        }
        assert_eq!(served.logged().matches(warning).count(), warned, "{proxies}: {}", served.logged());
        assert!(!served.logged().contains("198.51.100.7"), "nobody's address is written down");
        let ended = served.stop("TERM").await;
        assert!(ended.logged.contains(believed), "{proxies}: {}", ended.logged);
    }
}

#[test]
fn c7_every_metric_says_what_it_is() {
    let texts = architecture::files_of("server/src/metric_texts.rs").concat();
    let mut found = 0;
    for folder in ["commands/src/", "projections/src/", "server/src/", "gateways/src/", "vault/src/", "graphql/src/"] {
        for text in architecture::files_of(folder) {
            for made in ["counter!(", "gauge!(", "histogram!("] {
                for rest in text.split(made).skip(1) {
                    let Some(name) = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next()) else {
                        continue;
                    };
                    found += 1;
                    assert!(texts.contains(&format!("\"{name}\",")), "{name} has no text in metric_texts.rs");
                }
            }
        }
    }
    assert!(found > 40, "the sources were read: {found}");
}
