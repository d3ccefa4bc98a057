//! `atelier staff`: the operator at the console, beside a running node with its private PostgreSQL and without one (sec.A2).

use serde_json::{Value, json};

use crate::harness::process::{Home, until};
use crate::harness::visitor::Visitor;

const DEMO: &str = "demo@demo.example";
const ROLES: &str = "{ me { history(first: 3) { edges { node { kind actor detail reason } } } } }";

async fn listed(home: &Home) -> Value {
    let ended = home.run(&["staff", "list", "--json"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.logged);
    // This binary, which is `atelier` here, says a word of its own around it.
    let json = ended.said.find('[').zip(ended.said.rfind(']')).map(|(from, to)| &ended.said[from..=to]);
    serde_json::from_str(json.unwrap_or_default()).unwrap_or_else(|error| panic!("{error}: {}", ended.said))
}

async fn refused(home: &Home, arguments: &[&str], word: &str) {
    let ended = home.run(arguments).await;
    assert_ne!(ended.code, Some(0), "{arguments:?}");
    assert!(ended.logged.contains(word), "{arguments:?}: {}", ended.logged);
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_a2_the_operator_makes_staff_beside_a_running_node_and_without_one() {
    let home = Home::open().await;
    let add = |who| ["staff", "add", who, "--role", "admin", "--reason", "the first admin"];
    refused(&home, &add(DEMO), "start atelier serve first").await;
    let mut served = home.serve_with(&["--demo"], &[]);
    let url = served.listening().await.url;
    until("the demo studio", async || home.data().join("demo.env").exists().then_some(())).await;
    let visitor = Visitor::of(url);
    let before = visitor.sign_in(DEMO, "atelier-demo-1").await;
    for (arguments, word) in [
        (&add("nobody@example.com")[..], "no account has this address or username"),
        (&["staff", "add", DEMO, "--role", "king", "--reason", "x"], "support, auditor and admin"),
        (&["staff", "add", DEMO, "--role", "admin", "--reason", " "], "reason"),
        (&["staff", "add", DEMO, "--role", "admin"], "--reason"),
    ] {
        refused(&home, arguments, word).await;
    }
    let sign_up = "mutation { signUp(input: {email: \"eve@example.com\", password: \"correct-horse-1\", username: \"eve\", minimumAge: 18}) { userErrors { code } } }";
    visitor.graphql(None, sign_up, json!({})).await;
    refused(&home, &add("eve"), "not verified yet").await;
    assert_eq!(listed(&home).await, json!([]));

    let ended = home.run(&add(DEMO)).await;
    assert_eq!(ended.code, Some(0), "{}", ended.logged);
    assert!(ended.said.contains("has the role admin"), "{}", ended.said);
    let me = visitor.request("POST", "/graphql").bearer_auth(&before).json(&json!({ "query": "{ me { id } }" }));
    let me: Value = me.send().await.expect("the process answers").json().await.expect("JSON");
    let told = &me["errors"][0]["extensions"]["code"];
    assert_eq!(told, "UNAUTHENTICATED", "U37: the session from before has ended, on the running node too");
    let token = visitor.sign_in(DEMO, "atelier-demo-1").await;
    let lines = until("the history", async || {
        let me = visitor.graphql(Some(&token), ROLES, json!({})).await;
        let edges = me["history"]["edges"].as_array().expect("a page").clone();
        (edges[0]["node"]["kind"] == json!("SESSION_STARTED")).then_some(edges)
    })
    .await;
    let acted =
        json!({ "kind": "STAFF_ACTION", "actor": "OPERATOR", "detail": "role_granted", "reason": "the first admin" });
    assert_eq!(lines[1]["node"], acted);
    let roll = listed(&home).await;
    assert_eq!((&roll[0]["roles"], &roll[0]["twoFactor"]), (&json!(["admin"]), &json!(false)), "{roll}");
    assert_eq!(roll.as_array().map(Vec::len), Some(1));
    let again = home.run(&add(DEMO)).await;
    assert!(again.said.contains("had the role already"), "{}", again.said);

    // The node stops; the console starts the private PostgreSQL by itself, and stops it again.
    assert_eq!(served.stop("INT").await.code, Some(0));
    let name = roll[0]["username"].as_str().expect("a handle").to_owned();
    let table = home.run(&["staff", "list"]).await;
    assert!(table.said.contains(&name) && table.said.contains("off: the roles do not count"), "{}", table.said);
    let remove = home.run(&["staff", "remove", &name, "--role", "admin", "--reason", "moved on"]).await;
    assert!(remove.said.contains("has no more the role admin"), "{} {}", remove.said, remove.logged);
    assert_eq!(listed(&home).await, json!([]));
    assert_eq!(home.postmaster(), None, "nothing is left running");
}
