//! The history of an account: what happened to its security in order, who did it, and why where staff did (A13).

use atelier_domain::account::Role;
use serde_json::{Value, json};

use super::staff::{done, id, staff};
use crate::harness::TestStudio;
use crate::harness::studio::Person;

const HISTORY: &str = "query($first: Int, $after: String) { me { history(first: $first, after: $after) { \
    edges { cursor node { id at kind actor about detail reason } } pageInfo { hasNextPage endCursor } } } }";

async fn page(studio: &TestStudio, who: &Person, first: usize, after: Option<&str>) -> Value {
    studio.drain().await;
    let variables = json!({ "first": first, "after": after });
    studio.graphql(Some(&who.token), HISTORY, variables).await["me"]["history"].take()
}

fn nodes(page: &Value) -> Vec<Value> {
    page["edges"].as_array().expect("edges").iter().map(|edge| edge["node"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_the_history_says_in_order_what_happened_who_did_it_and_why() {
    let studio = TestStudio::start().await;
    let (ada, support) = (studio.newcomer("ada").await, staff(&studio, "sam", Role::Support).await);
    let of_ada = studio.account(&ada).await;
    studio.api_key(&ada).await;
    let rename = "mutation { changeUsername(input: {username: \"lovelace\"}) { userErrors { code } position } }";
    studio.mutate(Some(&ada.token), rename, json!({})).await;
    studio
        .mutate(Some(&ada.token), "mutation { updateProfile(input: {bio: \"x\"}) { userErrors { code } } }", json!({}))
        .await;
    done(&studio, &support, "staffEndSessions", &id(of_ada), json!({ "reason": "a secret reason" })).await;
    let ada = Person { token: studio.session_of(of_ada).await, ..ada };
    let whole = page(&studio, &ada, 100, None).await;
    let said: Vec<(String, String, Value)> = nodes(&whole)
        .iter()
        .rev()
        .map(|node| {
            let text = |name: &str| node[name].as_str().expect("a word").to_owned();
            (text("kind"), text("actor"), node["detail"].clone())
        })
        .collect();
    let word = |kind: &str, actor: &str, detail: Value| (kind.to_owned(), actor.to_owned(), detail);
    assert_eq!(
        said,
        [
            word("ACCOUNT_OPENED", "NOT_SIGNED_IN", Value::Null),
            word("EMAIL_VERIFIED", "NOT_SIGNED_IN", Value::Null),
            word("SESSION_STARTED", "NOT_SIGNED_IN", Value::Null),
            word("API_KEY_CREATED", "OWNER", Value::Null),
            word("USERNAME_CHANGED", "OWNER", Value::Null),
            word("SESSION_ENDED", "STAFF", json!("by_staff")),
            word("STAFF_ACTION", "STAFF", json!("session_ended")),
            word("SESSION_STARTED", "OPERATOR", Value::Null),
        ],
        "a biography is no matter of security"
    );
    let acted = nodes(&whole)[1].clone();
    assert_eq!((&acted["reason"], &acted["about"]), (&json!("a secret reason"), &Value::Null));
    let of_support = studio.account(&support).await.0.simple().to_string();
    assert!(!whole.to_string().contains(&of_support), "the owner is not told who of them");
    // In pages of three, the same lines; a foreign cursor is none.
    let (mut walked, mut after) = (Vec::new(), None);
    loop {
        let next = page(&studio, &ada, 3, after.as_deref()).await;
        walked.extend(nodes(&next));
        if next["pageInfo"]["hasNextPage"] == json!(false) {
            break;
        }
        after = next["pageInfo"]["endCursor"].as_str().map(str::to_owned);
    }
    assert_eq!(walked, nodes(&whole));
    let bad = studio.graphql_raw(Some(&ada.token), HISTORY, json!({ "after": "AAAA" })).await;
    assert_eq!(bad["errors"][0]["extensions"]["code"], json!("BAD_CURSOR"));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_e1_reasons_are_sealed_in_every_row_and_go_with_the_account() {
    let studio = TestStudio::start().await;
    let (ada, support) = (studio.newcomer("ada").await, staff(&studio, "sam", Role::Support).await);
    let of_ada = studio.account(&ada).await;
    done(&studio, &support, "staffEndSessions", &id(of_ada), json!({ "reason": "a canary of a reason" })).await;
    studio.drain().await;
    let rows = async |sql: &str| -> Vec<String> {
        sqlx::query_scalar(sql).bind(of_ada.0.to_string()).fetch_all(&studio.database.pool).await.expect("rows")
    };
    let history = "select to_jsonb(h)::text from read_models.account_history_v1 h where account_id::text = $1";
    let lines = rows(history).await;
    assert_eq!(lines.iter().filter(|line| line.contains("\"reason\": \"p1.")).count(), 1, "{lines:?}");
    let events = rows("select payload::text from events where aggregate_id = $1").await;
    for row in lines.iter().chain(&events) {
        assert!(!row.contains("canary"), "{row}");
    }
    let ada = Person { token: studio.session_of(of_ada).await, ..ada };
    let request = "mutation { requestAccountDeletion { token userErrors { code } } }";
    let token = studio.mutate(Some(&ada.token), request, json!({})).await["token"].take();
    let confirm = "mutation($token: String!) { confirmAccountDeletion(input: {token: $token, username: \"ada\"}) { userErrors { code } } }";
    studio.mutate(Some(&ada.token), confirm, json!({ "token": token })).await;
    studio.drain().await;
    assert_eq!(rows(history).await, Vec::<String>::new());
    studio.stop().await;
}
