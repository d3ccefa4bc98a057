//! What a mutation answers with while read models are behind or cannot be read: what was done, and the part that can be read.

use std::collections::BTreeSet;

use atelier_projections::models::{self, api_keys, creations, profile};
use serde_json::{Value, json};

use super::stage::{Stage, codes};
use super::table::By;
use crate::graphql::served::Served;

/// A mutation whose payload shows a thing: its arguments, the field, the one read model that goes on, what of the thing it is enough for,
/// and what it is not enough for.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

const ME: (&str, &str, &str, &str) = ("me", profile::NAME, "profile { bio }", "apiKeys { position }");

const fn me(mutation: &'static str, arguments: &'static str) -> Row {
    (mutation, arguments, ME.0, ME.1, ME.2, ME.3)
}

const fn job(mutation: &'static str, arguments: &'static str) -> Row {
    (mutation, arguments, "generation", creations::NAME, "status", "creator { username }")
}

const fn key(mutation: &'static str, arguments: &'static str, thing: &'static str, enough: &'static str) -> Row {
    (mutation, arguments, thing, api_keys::NAME, enough, "")
}

const ROWS: &[Row] = &[
    key("createApiKey", "(input: {label: \"another\"})", "apiKeyEdge", "cursor node { id }"),
    key("rotateApiKey", "(input: {id: \"{key}\"})", "apiKeyEdge", "cursor node { id }"),
    key("revokeApiKey", "(input: {id: \"{key}\"})", "apiKey", "revokedAt"),
    me("updateProfile", "(input: {bio: \"another\"})"),
    me("setPublishToExplore", "(input: {publish: false})"),
    me("changeUsername", "(input: {username: \"countess\"})"),
    me("setPublicProfile", "(input: {public: false})"),
    me("removeAvatar", ""),
    me("setNotification", "(input: {kind: MARKETING, channel: MAIL, on: true})"),
    me("setNotifications", "(input: {choices: [{kind: NEWSLETTER, channel: MAIL, on: false}]})"),
    me("setLanguage", "(input: {language: DE})"),
    job("requestGeneration", "(input: {prompt: \"x\", model: \"z-image-turbo\", width: 64, height: 64})"),
    job("cancelGeneration", "(input: {id: \"{waiting}\"})"),
];

/// Payloads that show a thing and are not in the rows, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    ("markNoticesRead", "it writes no event, so there is nothing to wait for"),
    ("staffViewAccount", "the last test here"),
];

fn document(row: &Row, stage: &Stage, below: &str) -> String {
    let (mutation, arguments, thing, ..) = row;
    let arguments = arguments.replace("{waiting}", &stage.cast.waiting).replace("{key}", &stage.cast.key_id);
    format!("mutation {{ {mutation}{arguments} {{ {thing} {{ {below} }} userErrors {{ code message }} position }} }}")
}

/// The payload, which says that it was done and where.
fn done<'a>(answer: &'a Value, mutation: &str) -> &'a Value {
    let payload = &answer["data"][mutation];
    assert_eq!(payload["userErrors"], json!([]), "{mutation}: {answer}");
    assert!(payload["position"].is_string(), "{mutation}: {answer}");
    payload
}

#[tokio::test(flavor = "multi_thread")]
async fn l29_a_payload_has_what_can_be_read_and_always_says_what_was_done() {
    let stage = Stage::set().await;
    let served = Served::of(&stage.cast.studio).await;
    let things = ["Me", "Generation", "StaffAccountView", "ApiKey", "GenerationEdge", "ApiKeyEdge"];
    let shows = |field: &&crate::graphql::served::Field| {
        served.fields(&field.of).iter().any(|field| things.contains(&field.of.as_str()))
    };
    let showing: BTreeSet<&str> =
        served.fields("Mutation").iter().filter(shows).map(|field| field.name.as_str()).collect();
    let rows = ROWS.iter().map(|(mutation, ..)| *mutation).chain(ELSEWHERE.iter().map(|(mutation, _)| *mutation));
    assert_eq!(showing, rows.collect(), "every payload that shows something has a row");
    for row in ROWS {
        let (mutation, _, thing, goes_on, enough, not_enough) = *row;
        let others: Vec<&str> =
            models::all().iter().map(|model| model.name()).filter(|name| *name != goes_on).collect();
        let held = stage.hold(&others).await;
        let answer = stage.ask(By::Owner, &document(row, &stage, &format!("{enough} {not_enough}")), &held).await;
        let shown = &done(&answer, mutation)[thing];
        let first = |selection: &'static str| selection.split_whitespace().next();
        assert!(first(enough).is_some_and(|name| !shown[name].is_null()), "{answer}");
        if let Some(missing) = first(not_enough) {
            assert_eq!(shown[missing], Value::Null, "{answer}");
            assert_eq!(codes(&answer), ["STALE_READ"], "{answer}");
            assert_eq!(answer["errors"][0]["path"], json!([mutation, thing, missing]));
        } else {
            assert_eq!(codes(&answer), [""; 0], "{answer}");
        }
        stage.release().await;
    }
    stage.cast.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l29_a_payload_says_what_was_done_when_nothing_of_it_can_be_read() {
    let stage = Stage::set().await;
    let everything: Vec<&str> = models::all().iter().map(|model| model.name()).collect();
    let held = stage.hold(&everything).await;
    for row in ROWS.iter().filter(|(mutation, ..)| *mutation != "cancelGeneration") {
        let (mutation, _, thing, _, enough, _) = *row;
        let answer = stage.ask(By::Owner, &document(row, &stage, enough), &held).await;
        assert_eq!(done(&answer, mutation)[thing], Value::Null);
        assert_eq!(codes(&answer), ["STALE_READ"], "{answer}");
        assert_eq!(answer["errors"][0]["path"], json!([mutation, thing]));
    }
    let unasked = "mutation { updateProfile(input: {bio: \"not asked for\"}) { userErrors { code } position } }";
    let answer = stage.ask(By::Owner, unasked, &held).await;
    assert_eq!((codes(&answer), done(&answer, "updateProfile")["me"].is_null()), (vec![], true));
    stage.release().await;
    stage.cast.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l29_a_read_model_that_cannot_be_read_costs_its_own_fields() {
    let stage = Stage::set().await;
    let held = stage.hold(&[]).await;
    let studio = &stage.cast.studio;
    let rename = |from: &str, to: &str| {
        ["read_models_a", "read_models_b"]
            .map(|schema| format!("alter table {schema}.{from} rename to {to}"))
            .join("; ")
    };
    studio.as_superuser(&rename("api_keys_v2", "gone")).await;
    let document = "mutation { updateProfile(input: {bio: \"read\"}) { me { apiKeys { position } profile { bio } rank { current } } \
        userErrors { code } position } }";
    let answer = stage.ask(By::Owner, document, &held).await;
    let me = &done(&answer, "updateProfile")["me"];
    assert_eq!((&me["apiKeys"], &me["profile"]["bio"]), (&Value::Null, &json!("read")), "{answer}");
    assert!(me["rank"]["current"].is_string(), "what is read after it as well: {answer}");
    assert_eq!(codes(&answer), ["UNAVAILABLE"], "{answer}");
    studio.as_superuser(&rename("gone", "api_keys_v2")).await;
    studio.drain().await;
    stage.cast.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l29_support_sees_what_can_be_read_of_an_account() {
    let stage = Stage::set().await;
    let others: Vec<&str> =
        models::all().iter().map(|model| model.name()).filter(|name| *name != profile::NAME).collect();
    let held = stage.hold(&others).await;
    let document = "mutation { staffViewAccount(input: {accountId: \"{account}\", reason: \"x\"}) \
        { account { username sessions { id } apiKeys { id } } userErrors { code } position } }";
    let answer = stage.ask(By::Support, document, &held).await;
    let account = &done(&answer, "staffViewAccount")["account"];
    assert_eq!(account["username"], json!(stage.cast.username), "{answer}");
    assert_eq!((&account["sessions"], &account["apiKeys"]), (&Value::Null, &Value::Null), "{answer}");
    assert_eq!(codes(&answer), ["STALE_READ", "STALE_READ"], "{answer}");
    stage.release().await;
    stage.cast.studio.stop().await;
}
