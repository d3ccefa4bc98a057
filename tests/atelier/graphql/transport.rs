//! Requests that never run: method, media type, batches, more than one mutation, limits, variables (sec.R1, sec.R3).

use reqwest::header::{ALLOW, CONTENT_TYPE, COOKIE};
use serde_json::{Value, json};

use super::fault;
use crate::harness::TestStudio;
use crate::harness::studio::PASSWORD;

/// A mutation that would open an account, and so would be seen.
fn sign_up(username: &str) -> Value {
    let email = format!("{username}@example.com");
    let input = json!({ "email": email, "password": PASSWORD, "username": username, "minimumAge": 18 });
    let query = "mutation($input: SignUpInput!) { signUp(input: $input) { userErrors { code } position } }";
    json!({ "query": query, "variables": { "input": input } })
}

async fn nothing_ran(studio: TestStudio) {
    studio.drain().await;
    assert_eq!(studio.head().await, 0, "no side effect");
    let claims: i64 = sqlx::query_scalar("select count(*) from credentials.claims")
        .fetch_one(&studio.database.pool)
        .await
        .expect("the claims can be counted");
    assert_eq!(claims, 0, "no side effect");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_only_post_of_json_has_an_effect() {
    let studio = TestStudio::start().await;
    let url = format!("{}/graphql", studio.url);
    let body = sign_up("ada").to_string();
    let by_link = "?query=mutation%7BsignOut%7BuserErrors%7Bcode%7D%7D%7D";
    let by_get = ["GET", "HEAD"].map(|method| (method, "POST"));
    let others = ["PUT", "PATCH", "DELETE", "OPTIONS"].map(|method| (method, "GET, HEAD, POST"));
    for (method, allowed) in by_get.into_iter().chain(others) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let request = studio.client().request(method.clone(), format!("{url}{by_link}"));
        let answer =
            request.header(CONTENT_TYPE, "application/json").body(body.clone()).send().await.expect("an answer");
        assert_eq!(
            (answer.status().as_u16(), answer.headers()[ALLOW].to_str().expect("ASCII")),
            (405, allowed),
            "{method}"
        );
    }
    let kinds = [
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("application/graphql"),
        Some("application/json; charset=latin1"),
        None,
    ];
    for kind in kinds {
        let mut request = studio.client().post(&url).header(COOKIE, "atelier-session-dev=x").body(body.clone());
        if let Some(kind) = kind {
            request = request.header(CONTENT_TYPE, kind);
        }
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 415, "{kind:?}");
        assert_eq!(fault(&answer.json().await.expect("JSON")), "UNSUPPORTED_MEDIA_TYPE", "{kind:?}");
    }
    nothing_ran(studio).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r3_batches_and_several_mutations_in_one_document_are_refused_whole() {
    let studio = TestStudio::start().await;
    let batch = json!([sign_up("ada"), sign_up("ben")]);
    let answer = studio.client().post(format!("{}/graphql", studio.url)).json(&batch).send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 400);
    assert_eq!(fault(&answer.json().await.expect("JSON")), "BAD_REQUEST");
    let field = |name: &str| {
        let input = format!(
            "{{email: \"{name}@example.com\", password: \"{PASSWORD}\", username: \"{name}\", minimumAge: 18}}"
        );
        format!("{name}: signUp(input: {input}) {{ userErrors {{ code }} }}")
    };
    let (ada, ben) = (field("ada"), field("ben"));
    let documents = [
        format!("mutation {{ {ada} {ben} }}"),
        format!("mutation {{ {ada} __typename }}"),
        format!("mutation {{ ...both }} fragment both on Mutation {{ {ada} {ben} }}"),
        format!("mutation {{ {ada} ... on Mutation {{ {ben} }} }}"),
        format!("mutation A {{ {ada} }} mutation B {{ {ben} {ada} }}"),
    ];
    for document in documents {
        let mut body = json!({ "query": document });
        if document.contains("mutation A") {
            body["operationName"] = json!("A");
        }
        let answer: Value = studio
            .client()
            .post(format!("{}/graphql", studio.url))
            .json(&body)
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON");
        assert_eq!(fault(&answer), "LIMIT_EXCEEDED", "{document}");
    }
    nothing_ran(studio).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_are_checked_before_anything_runs() {
    let studio = TestStudio::start().await;
    let good = sign_up("ada");
    let query = good["query"].as_str().expect("a document");
    let with = |name: &str, value: Value| {
        let mut variables = good["variables"].clone();
        variables["input"][name] = value;
        variables
    };
    let mut without = good["variables"].clone();
    without["input"].as_object_mut().expect("an object").remove("password");
    let table = [
        ("an unknown member", with("role", json!("admin"))),
        ("A2: a balance of one's own", with("credits", json!(1_000_000))),
        ("a missing member", without),
        ("null for a member that must be there", with("username", Value::Null)),
        ("a number for a string", with("username", json!(5))),
        ("no variables at all", json!({})),
        ("null for the whole input", json!({ "input": null })),
        ("a list", json!({ "input": [good["variables"]["input"], good["variables"]["input"]] })),
    ];
    for (what, variables) in table {
        let answer = studio.graphql_raw(None, query, variables).await;
        assert_eq!((fault(&answer), answer.get("data")), ("BAD_INPUT", None), "{what}");
    }
    nothing_ran(studio).await;
}

/// A path of nested fields, `depth` deep, through the public feed and back.
fn nested(depth: usize) -> String {
    // Pages of one, so that the depth alone is measured.
    let circle = ["explore(first: 1)", "edges", "node", "creator", "published(first: 1)", "edges", "node", "creator"];
    let names: Vec<&str> =
        (0..depth - 1).map(|level| if level < 8 { circle[level] } else { circle[4 + (level - 8) % 4] }).collect();
    let leaf = "__typename";
    format!("{{ {} {{ {leaf} }}{}", names.join(" { "), " }".repeat(names.len()))
}

#[tokio::test(flavor = "multi_thread")]
async fn r3_depth_aliases_and_root_fields_one_under_and_one_over() {
    let studio = TestStudio::start().await;
    let aliases = |count: usize, field: &str| {
        let fields: Vec<String> = (0..count).map(|number| format!("a{number}: {field}")).collect();
        format!("{{ models {{ {} }} }}", fields.join(" "))
    };
    let roots =
        |count: usize| format!("{{ {} }}", (0..count).map(|n| format!("r{n}: __typename ")).collect::<String>());
    let table = [
        ("depth", nested(15), nested(16)),
        ("aliases", aliases(30, "id"), aliases(31, "id")),
        ("aliases of __typename", aliases(30, "__typename"), aliases(31, "__typename")),
        ("root fields", roots(10), roots(11)),
    ];
    for (what, under, over) in table {
        studio.graphql(None, &under, json!({})).await;
        assert_eq!(fault(&studio.graphql_raw(None, &over, json!({})).await), "LIMIT_EXCEEDED", "{what}");
    }
    // A thousand tries at a password in one document are no try at all.
    let tries: String = (0..1_000)
        .map(|n| format!("t{n}: signIn(input: {{email: \"ada@example.com\", password: \"{n}\"}}) {{ token }} "))
        .collect();
    let answer = studio.graphql_raw(None, &format!("mutation {{ {tries} }}"), json!({})).await;
    assert_eq!(fault(&answer), "LIMIT_EXCEEDED");
    // R4: in development the schema may be asked for.
    let schema = studio.graphql(None, "{ __schema { queryType { name } mutationType { name } } }", json!({})).await;
    assert_eq!(schema["__schema"]["queryType"]["name"], json!("Query"));
    nothing_ran(studio).await;
}
