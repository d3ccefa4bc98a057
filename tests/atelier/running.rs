//! `atelier` as an operator meets it: started, used, interrupted, killed, and started again, in processes of its own
//! (DESIGN 8; REQUIREMENTS part 6, G1).

mod clocks;
mod command_line;
mod compose;
mod connections;
mod doctor;
mod full_disk;
mod idle;
mod interrupted_demo;
mod keys_folder;
mod kills;
mod operations;
mod ordinary_user;
mod postgres_dies;
mod starts;
mod stops;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::harness::process::Home;
use crate::harness::visitor::Visitor;

/// How many generations a demo studio has, whether or not its making was interrupted.
const PAINTED: usize = 40;
/// How many people live in it.
const PEOPLE: usize = 6;
/// What the demo account can spend once everything is made.
const CREDITS: i64 = 50_000;

const ME: &str = "query($position: String) { me(minPosition: $position) { profile { bio plan } credits { available held } creations { edges { node { id status } } } } }";

/// What `demo.env` says.
fn environment(home: &Home) -> BTreeMap<String, String> {
    home.demo_env().into_iter().collect()
}

/// The demo account, signed in by what `demo.env` says.
async fn demo_account(visitor: &Visitor, environment: &BTreeMap<String, String>) -> String {
    visitor.sign_in(&environment["ATELIER_EMAIL"], &environment["ATELIER_PASSWORD"]).await
}

/// What the account sees of itself, not before a position; null for now.
async fn me(visitor: &Visitor, token: &str, position: &Value) -> Value {
    visitor.graphql(Some(token), ME, json!({ "position": position })).await
}

/// Everything in Explore, newest first.
async fn explore(visitor: &Visitor) -> Vec<Value> {
    let query = "{ explore(first: 100) { edges { node { id prompt model width height creator { username } } } } }";
    let feed = visitor.graphql(None, query, json!({})).await;
    feed["edges"].as_array().expect("edges").iter().map(|edge| edge["node"].clone()).collect()
}

fn different<T: Ord>(feed: &[Value], what: impl Fn(&Value) -> T) -> usize {
    feed.iter().map(what).collect::<BTreeSet<T>>().len()
}

/// The demo studio as it must be: everything painted once, by a handful of people, and the demo account on Pro with its credits.
async fn is_filled(visitor: &Visitor, environment: &BTreeMap<String, String>) {
    let feed = explore(visitor).await;
    assert_eq!(feed.len(), PAINTED, "everything is published, once");
    let prompts = different(&feed, |node| (node["creator"]["username"].to_string(), node["prompt"].to_string()));
    assert_eq!(prompts, PAINTED, "nothing was painted twice");
    assert_eq!(different(&feed, |node| node["creator"]["username"].to_string()), PEOPLE);
    assert!(different(&feed, |node| (node["width"].as_u64(), node["height"].as_u64())) >= 5, "of different sizes");
    let account = me(visitor, &demo_account(visitor, environment).await, &Value::Null).await;
    assert_eq!(account["credits"], json!({ "available": CREDITS, "held": 0 }));
    assert_eq!(account["profile"]["plan"], json!("Pro"));
}

/// A paid generation by an API key; its id, once it is delivered and paid for.
async fn generate(visitor: &Visitor, key: &str, prompt: &str) -> String {
    let body = json!({ "prompt": prompt, "model": "z-image-turbo", "width": 256, "height": 256 });
    let answer = visitor.post("/v1/generate", key, &body).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    answer.json()["request_id"].as_str().expect("an id").to_owned()
}
