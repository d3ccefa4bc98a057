//! Looking at an account, ending its sessions and keys; and what auditors read (A13, sec.A1, sec.A2).

use atelier_domain::account::Role;
use serde_json::{Value, json};

use super::super::{code, counts};
use super::{VIEW, ask, done, id, staff};
use crate::harness::TestStudio;
use crate::harness::studio::{Answer, Person};

const AUDIT: &str = "query($id: ID!) { audit { ledger(accountId: $id) { balance { available } \
    transactions(first: 5) { edges { node { kind amount } } } } \
    history(accountId: $id, first: 2) { edges { node { staffId entry { kind actor detail reason } } } pageInfo { hasNextPage } } \
    staff { accountId roles } } }";

#[tokio::test(flavor = "multi_thread")]
async fn a13_support_sees_an_account_by_any_of_its_names_and_the_look_is_on_record() {
    let studio = TestStudio::start().await;
    let (ada, support) = (studio.newcomer("ada").await, staff(&studio, "sam", Role::Support).await);
    let (key, _) = studio.api_key(&ada).await;
    let account = id(studio.account(&ada).await);
    for whom in [json!({ "accountId": account }), json!({ "email": "ADA@example.com" }), json!({ "username": "ada" })] {
        let mut input = json!({ "reason": "ticket 9" });
        input.as_object_mut().expect("an object").extend(whom.as_object().expect("an object").clone());
        let seen = studio.mutate(Some(&support.token), VIEW, json!({ "input": input })).await["account"].take();
        assert_eq!((&seen["id"], &seen["username"]), (&json!(account), &json!("ada")), "{seen}");
        assert_eq!((&seen["email"], &seen["emailVerified"]), (&json!(ada.email), &json!(true)));
        assert_eq!((&seen["twoFactorEnabled"], &seen["roles"]), (&json!(false), &json!([])));
        assert_eq!(seen["sessions"].as_array().map(Vec::len), Some(1));
        assert_eq!(seen["apiKeys"][0]["id"], json!(key));
    }
    assert_eq!(studio.events_named("StaffActionRecorded").await, 1 + 3, "sam's hiring, and three looks");
    // Nobody tries addresses by it: each try counts, and without a reason every one is answered alike (sec.R5).
    let tries = async || -> i64 {
        let tries = "select coalesce(sum(tries), 0)::bigint from credentials.tries where account_id = $1";
        let support = studio.account(&support).await;
        sqlx::query_scalar(tries).bind(support.0).fetch_one(&studio.database.pool).await.expect("the rows answer")
    };
    let before = tries().await;
    let none = json!({ "input": { "reason": "x", "email": "nobody@example.com" } });
    let refused = studio.graphql(Some(&support.token), VIEW, none).await["staffViewAccount"].take();
    assert_eq!(code(&refused), "NOT_FOUND");
    assert_eq!(tries().await, before + 1);
    for address in [ada.email.as_str(), "nobody@example.com"] {
        let empty = json!({ "input": { "reason": "", "email": address } });
        let refused = studio.graphql(Some(&support.token), VIEW, empty).await["staffViewAccount"].take();
        assert_eq!((code(&refused), &refused["userErrors"][0]["field"]), ("INVALID_FIELD", &json!("reason")));
    }
    let two = json!({ "input": { "reason": "x", "email": ada.email, "username": "ada" } });
    let refused = studio.graphql(Some(&support.token), VIEW, two).await["staffViewAccount"].take();
    assert_eq!(code(&refused), "INVALID_FIELD");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_sessions_and_keys_that_staff_end_are_dead_at_once_and_the_history_says_why() {
    let studio = TestStudio::start().await;
    let (ada, support) = (studio.newcomer("ada").await, staff(&studio, "sam", Role::Support).await);
    let of_ada = studio.account(&ada).await;
    let account = id(of_ada);
    let (key, secret) = studio.api_key(&ada).await;
    let other = Person { token: studio.session_of(of_ada).await, ..ada.clone() };
    let sessions = studio.graphql(Some(&ada.token), "{ me { sessions { id current } } }", json!({})).await;
    let list = sessions["me"]["sessions"].as_array().expect("a list").clone();
    let own = list.iter().find(|session| session["current"] == json!(true)).expect("this one")["id"].clone();
    done(&studio, &support, "staffEndSessions", &account, json!({ "sessionId": own })).await;
    assert_eq!((counts(&studio, &ada.token).await, counts(&studio, &other.token).await), (false, true));
    let again = ask(&studio, &support, "staffEndSessions", &account, json!({ "sessionId": own })).await;
    assert_eq!(code(&again), "NOT_FOUND");
    done(&studio, &support, "staffRevokeApiKey", &account, json!({ "apiKeyId": key })).await;
    let refused: Answer = studio.get("/v1/credits", Some(&secret)).await;
    assert_eq!(refused.status, 401);
    done(&studio, &support, "staffEndSessions", &account, json!({})).await;
    assert!(!counts(&studio, &other.token).await);
    let actions = studio.events_named("StaffActionRecorded").await;
    assert_eq!(actions, 1 + 3, "one for each, and for sam's hiring");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_a1_a2_auditors_read_ledgers_and_histories_and_nobody_else_does() {
    let studio = TestStudio::start().await;
    let (ada, support) = (studio.newcomer("ada").await, staff(&studio, "sam", Role::Support).await);
    let (auditor, admin) = (staff(&studio, "iris", Role::Auditor).await, staff(&studio, "kim", Role::Admin).await);
    let of_ada = studio.account(&ada).await;
    let account = id(of_ada);
    let of_support = id(studio.account(&support).await);
    done(&studio, &support, "staffEndSessions", &account, json!({})).await;
    studio.drain().await;
    let audit = studio.graphql(Some(&auditor.token), AUDIT, json!({ "id": account })).await["audit"].take();
    assert_eq!(audit["ledger"]["balance"]["available"], json!(500));
    assert_eq!(audit["ledger"]["transactions"]["edges"][0]["node"], json!({ "kind": "EARNED", "amount": 500 }));
    let line = &audit["history"]["edges"][0]["node"];
    assert_eq!(line["staffId"], json!(of_support), "who did it");
    let entry = json!({ "kind": "STAFF_ACTION", "actor": "STAFF", "detail": "session_ended", "reason": "ticket 7: lost mailbox" });
    assert_eq!(line["entry"], entry);
    assert_eq!(audit["history"]["pageInfo"]["hasNextPage"], json!(true));
    let members = audit["staff"].as_array().expect("a list");
    assert_eq!(members.len(), 3);
    assert!(members.contains(&json!({ "accountId": of_support, "roles": ["SUPPORT"] })), "{members:?}");
    let fault = |answer: &Value| answer["errors"][0]["extensions"]["code"].clone();
    let nobody = json!({ "id": "acc_00000000000000000000000000000009" });
    for who in [&ada, &support, &admin] {
        // Ada's session has ended; hers is somebody without a role all the same.
        let token = if who.email == ada.email { studio.session_of(of_ada).await } else { who.token.clone() };
        let known = studio.graphql_raw(Some(&token), AUDIT, json!({ "id": account })).await;
        let unknown = studio.graphql_raw(Some(&token), AUDIT, nobody.clone()).await;
        assert_eq!((fault(&known), &known["data"]["audit"]), (json!("FORBIDDEN"), &Value::Null));
        assert_eq!(fault(&unknown), json!("FORBIDDEN"));
        assert_eq!(known["errors"][0]["message"], unknown["errors"][0]["message"]);
    }
    let anonymous = studio.graphql_raw(None, AUDIT, json!({ "id": account })).await;
    assert_eq!(fault(&anonymous), json!("UNAUTHENTICATED"));
    studio.stop().await;
}
