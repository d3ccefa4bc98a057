//! A first start, its interruption, and the second start of the same folder.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::{Value, json};

use super::{CREDITS, PAINTED, demo_account, environment, explore, is_filled, me};
use crate::harness::process::{Home, Served, until};
use crate::harness::visitor::Visitor;

/// The price of the model below, for each of its outputs.
const PRICE: i64 = 100;

/// Runs the printed curl line as a person would, by pasting it into a shell.
async fn printed_curl(said: &str) -> Value {
    let from = said.find("curl --request").expect("a curl line");
    let line = format!("{} --silent", said[from..].split_once("\n\n").expect("a blank line after it").0);
    let output = tokio::task::spawn_blocking(move || Command::new("sh").args(["-c", &line]).output()).await;
    let output = output.expect("joined").expect("a shell is on every machine");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// What a newcomer is told is what is so.
async fn announces(home: &Home, served: &Served, visitor: &Visitor) {
    let said = served.said();
    let told = home.demo_env();
    let names: Vec<&str> = told.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["ATELIER_URL", "ATELIER_API_KEY", "ATELIER_EMAIL", "ATELIER_PASSWORD", "ATELIER_MAILBOX"]);
    let mode = std::fs::metadata(home.data().join("demo.env")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds a key");
    let told = environment(home);
    assert_eq!(told["ATELIER_URL"], visitor.url);
    for part in [
        format!("GraphiQL   {}/\n", visitor.url),
        format!("Sign in    {}  {}\n", told["ATELIER_EMAIL"], told["ATELIER_PASSWORD"]),
        format!("Bearer {}\"", told["ATELIER_API_KEY"]),
    ] {
        assert!(said.contains(&part), "{part} is not in {said}");
    }
    let page = visitor.get("/", None).await;
    assert!(page.status.is_success() && page.text.contains("graphiql"), "{}", page.text);
    let page = visitor.get("/mailbox", None).await;
    assert!(page.text.contains(&told["ATELIER_EMAIL"]) && page.text.contains("Verify your email address"));
    let mails = std::fs::read_dir(&told["ATELIER_MAILBOX"]).expect("the mailbox is a folder").count();
    assert_eq!(mails, page.text.matches("<li>").count(), "the page lists what is in the folder");
}

/// Asks for something that takes a while, stops the server once that is accepted, and returns the job's id: it was answered.
async fn interrupted_while_drawing(served: Served, visitor: &Visitor, key: &str) -> String {
    let body = json!({ "prompt": "Slow", "model": "z-image-turbo", "width": 2048, "height": 2048, "num_images": 4, "seed": 7 });
    let (asking, token) = (visitor.clone(), key.to_owned());
    let waiting = tokio::spawn(async move { asking.post("/v1/generate", &token, &body).await });
    until("the hold", async || {
        let credits = visitor.get("/v1/credits", Some(key)).await.json();
        (credits["held"] == json!(4 * PRICE)).then_some(())
    })
    .await;
    let ended = served.stop("INT").await;
    assert_eq!(ended.code, Some(0), "{}", ended.logged);
    let answer = waiting.await.expect("joined");
    // Drawn already, or still at work: either way the caller knows its job.
    assert!([200, 202].contains(&answer.status.as_u16()), "{}", answer.text);
    answer.json()["request_id"].as_str().expect("an id").to_owned()
}

/// Nothing of PostgreSQL is left: neither its process nor its socket.
fn all_stopped(home: &Home, socket: &std::path::Path) {
    assert_eq!(home.postmaster(), None, "PostgreSQL was stopped in order");
    assert!(!socket.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn d8_the_first_start_fills_in_a_studio_and_the_second_finds_it() {
    let home = Home::open().await;
    let mut first = home.serve(&["--demo"]);
    let visitor = first.ready().await;
    announces(&home, &first, &visitor).await;
    let told = environment(&home);
    is_filled(&visitor, &told).await;
    let drawn = printed_curl(&first.said()).await;
    assert_eq!((&drawn["success"], &drawn["credits_used"]), (&json!(true), &json!(PRICE)), "{drawn}");
    let socket = home.socket().expect("PostgreSQL runs");
    let accepted = interrupted_while_drawing(first, &visitor, &told["ATELIER_API_KEY"]).await;
    all_stopped(&home, &socket);

    let mut second = home.serve(&["--demo"]);
    let visitor = second.ready().await;
    assert!(!second.said().contains("Filling in"), "{}", second.said());
    announces(&home, &second, &visitor).await;
    let now = environment(&home);
    assert!(told.iter().all(|(name, value)| name == "ATELIER_URL" || now[name] == *value), "the same key and account");
    // What was accepted before the stop is delivered and paid for, once.
    let key = &told["ATELIER_API_KEY"];
    until("the job of before", async || {
        let job = visitor.get(&format!("/v1/generations/{accepted}"), Some(key)).await.json();
        let settled = job["status"] == json!("succeeded") && job["credits_reserved"] == json!(0);
        settled.then(|| assert_eq!(job["credits_used"], json!(4 * PRICE)))
    })
    .await;
    let account = me(&visitor, &demo_account(&visitor, &now).await, &Value::Null).await;
    assert_eq!(account["credits"], json!({ "available": CREDITS - 5 * PRICE, "held": 0 }));
    until("the feed", async || (explore(&visitor).await.len() == PAINTED + 2).then_some(())).await;
    let ended = second.stop("TERM").await;
    assert_eq!(ended.code, Some(0), "{}", ended.logged);
    all_stopped(&home, &socket);
}
