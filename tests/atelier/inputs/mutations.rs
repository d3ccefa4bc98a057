//! Every field of every mutation's input with hostile values: a user error that names the field, or an error of the client's, or it is done.
//! Afterwards every read model of the account still moves.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::hostile;
use super::schema::{Inputs, Taken};
use super::{ask, everything_moves, faults};
use crate::authorization::Caller;
use crate::authorization::cast::Cast;
use crate::harness::sentences::is_sentence;

/// Stands in a body for the value of the field that is tried.
const PLACE: &str = "@place@";

/// A mutation, by whom, and an input in which every field has a good value; several where fields exclude each other. A number makes names
/// fresh.
fn rows(cast: &Cast, n: usize) -> Vec<(&'static str, Caller, Value)> {
    use Caller::{Admin, Anonymous, Owner};
    let (key, account, generation) = (&cast.key_id, &cast.account_id, cast.unknown("gen"));
    let (nobody, session) = (cast.unknown("acc"), cast.unknown("ses"));
    let (password, other) = ("wrong-horse-1", "another-horse-2");
    let returning =
        json!({ "redirectUri": "https://app.example.com/back", "codeChallenge": "c".repeat(43), "state": "s" });
    let mail = format!("n{n}@example.com");
    let name = format!("n-{n}");
    let end = cast.studio.node.studio.write.now() + TimeDelta::days(1_000);
    vec![
        ("signUp", Anonymous, json!({ "email": mail, "password": other, "username": name, "minimumAge": 18 })),
        (
            "verifyEmail",
            Anonymous,
            json!({ "token": "atm_x", "signUpToken": "x", "password": password, "newPassword": other }),
        ),
        ("resendVerification", Anonymous, json!({ "email": mail, "signUpToken": "x" })),
        ("signIn", Anonymous, json!({ "email": mail, "password": password, "deviceToken": "x" })),
        ("completeSignIn", Anonymous, json!({ "challenge": "x", "code": "000000", "deviceToken": "x" })),
        ("signUpWithGoogle", Anonymous, json!({ "ticket": "x", "username": name, "minimumAge": 18 })),
        ("requestPasswordReset", Anonymous, json!({ "email": mail })),
        (
            "completePasswordReset",
            Anonymous,
            json!({ "token": "atm_x", "newPassword": other, "keepApiKeys": true, "keepLinkedAccounts": true }),
        ),
        ("keepTwoFactor", Anonymous, json!({ "token": "atm_x" })),
        ("revokeSession", Owner, json!({ "sessionId": session })),
        ("reauthenticate", Owner, json!({ "password": password, "code": "000000" })),
        (
            "reauthenticate",
            Owner,
            json!({ "google": { "code": "x", "codeVerifier": "v".repeat(43) }, "code": "000000" }),
        ),
        ("linkGoogle", Owner, returning.clone()),
        ("startGoogleReauthentication", Owner, returning),
        ("completeGoogleSignIn", Anonymous, json!({ "code": "x", "codeVerifier": "v".repeat(43) })),
        ("completeGoogleLink", Owner, json!({ "code": "x", "codeVerifier": "v".repeat(43) })),
        ("changePassword", Owner, json!({ "currentPassword": password, "newPassword": other, "revokeApiKeys": true })),
        ("confirmTwoFactor", Owner, json!({ "code": "000000" })),
        ("disableTwoFactor", Owner, json!({ "code": "000000" })),
        ("unlinkIdentity", Owner, json!({ "identityId": cast.unknown("idn") })),
        ("updateProfile", Owner, json!({ "displayName": "Ada", "bio": "of the engine" })),
        ("setPublishToExplore", Owner, json!({ "publish": true })),
        ("setPublicProfile", Owner, json!({ "public": true })),
        ("setNotification", Owner, json!({ "kind": "NEWSLETTER", "channel": "MAIL", "on": true })),
        ("setNotifications", Owner, json!({ "choices": [{ "kind": "NEWSLETTER", "channel": "MAIL", "on": true }] })),
        ("setLanguage", Owner, json!({ "language": "DE" })),
        ("markNoticesRead", Owner, json!({ "ids": [cast.notice_id] })),
        (
            "createApiKey",
            Owner,
            json!({ "label": "l", "environment": "TEST", "scopes": ["generate"], "expiresAt": end,
                "dailyCap": 1, "totalCap": 1, "idempotencyKey": name }),
        ),
        ("rotateApiKey", Owner, json!({ "id": key, "overlapHours": 1, "expiresAt": end, "idempotencyKey": name })),
        ("revokeApiKey", Owner, json!({ "id": cast.unknown("key") })),
        (
            "requestGeneration",
            Owner,
            json!({ "prompt": "x", "model": "z-image-turbo", "width": 64, "height": 64, "numImages": 1, "seed": 7,
                "maxCredits": 1000, "publish": true, "idempotencyKey": name }),
        ),
        ("cancelGeneration", Owner, json!({ "id": generation, "idempotencyKey": name })),
        ("deleteGeneration", Owner, json!({ "id": generation })),
        ("confirmAccountDeletion", Owner, json!({ "token": "atm_x", "username": cast.username })),
        ("changeUsername", Owner, json!({ "username": name })),
        ("staffViewAccount", Admin, json!({ "accountId": account, "reason": "a look" })),
        ("staffViewAccount", Admin, json!({ "email": mail, "reason": "a look" })),
        ("staffViewAccount", Admin, json!({ "username": name, "reason": "a look" })),
        ("staffChangeEmail", Admin, json!({ "accountId": nobody, "email": mail, "reason": "a look" })),
        ("staffResetTwoFactor", Admin, json!({ "accountId": nobody, "reason": "a look" })),
        ("staffEndSessions", Admin, json!({ "accountId": nobody, "sessionId": session, "reason": "a look" })),
        (
            "staffRevokeApiKey",
            Admin,
            json!({ "accountId": account, "apiKeyId": cast.unknown("key"), "reason": "a look" }),
        ),
        ("staffGrantRole", Admin, json!({ "accountId": nobody, "role": "SUPPORT", "reason": "a look" })),
        ("staffWithdrawRole", Admin, json!({ "accountId": nobody, "role": "SUPPORT", "reason": "a look" })),
    ]
}

/// The paths of an input's fields, those of its items too, each with what it takes.
fn paths(inputs: &Inputs, of: &str, value: &Value, before: &str) -> Vec<(String, Taken)> {
    let mut all = Vec::new();
    for taken in &inputs.inputs[of] {
        let Some(given) = value.get(&taken.name) else { continue };
        let path = format!("{before}/{}", taken.name);
        if inputs.inputs.contains_key(&taken.of) {
            let item = if taken.is_list { format!("{path}/0") } else { path.clone() };
            let inner = if taken.is_list { &given[0] } else { given };
            all.extend(paths(inputs, &taken.of, inner, &item));
        }
        all.push((path, taken.clone()));
    }
    all
}

/// The fields that rows give to each input type, nested ones too.
fn covered(inputs: &Inputs, of: &str, value: &Value, all: &mut BTreeMap<String, BTreeSet<String>>) {
    for taken in &inputs.inputs[of] {
        let Some(given) = value.get(&taken.name) else { continue };
        all.entry(of.to_owned()).or_default().insert(taken.name.clone());
        if inputs.inputs.contains_key(&taken.of) {
            covered(inputs, &taken.of, if taken.is_list { &given[0] } else { given }, all);
        }
    }
}

/// What is wrong with an answer to a hostile value in a field, if anything is.
fn complaint(mutation: &str, path: &str, status: u16, answer: &Value) -> Option<String> {
    if status >= 500 || !faults(answer).is_empty() {
        return Some(format!("{status} {answer}"));
    }
    let errors = answer["data"][mutation]["userErrors"].as_array()?;
    let field = path.trim_start_matches('/').replace('/', ".");
    let about = |error: &Value| {
        let one_of = error["reason"] == json!("EXACTLY_ONE");
        one_of || error["field"].as_str().is_some_and(|named| named.starts_with(&field) || field.starts_with(named))
    };
    let invalid = |error: &Value| error["code"] == json!("INVALID_FIELD");
    for error in errors {
        let (message, reason) = (error["message"].as_str().expect("a message"), &error["reason"]);
        if !is_sentence(message) || (invalid(error) && (reason.is_null() || error["field"].is_null())) {
            return Some(format!("no sentence, field or reason: {error}"));
        }
    }
    if errors.iter().any(invalid) && !errors.iter().any(about) {
        return Some(format!("the field is not named: {answer}"));
    }
    None
}

fn input_type(inputs: &Inputs, mutation: &str) -> String {
    inputs.arguments[&format!("Mutation.{mutation}")][0].of.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_every_field_of_every_mutation_has_a_row() {
    let cast = Cast::assemble().await;
    let inputs = Inputs::of(&cast.studio).await;
    let mut all = BTreeMap::new();
    for (mutation, _, input) in rows(&cast, 0) {
        covered(&inputs, &input_type(&inputs, mutation), &input, &mut all);
    }
    let fields = inputs.inputs.iter().map(|(of, fields)| {
        let names: BTreeSet<String> = fields.iter().map(|field| field.name.clone()).collect();
        (of.clone(), names)
    });
    assert_eq!(fields.collect::<BTreeMap<_, _>>(), all, "each field of an input has a good value in a row here");
    cast.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_hostile_values_in_any_field_are_the_clients_error_and_stop_nobody() {
    let cast = Cast::assemble().await;
    let inputs = Inputs::of(&cast.studio).await;
    let now = cast.studio.node.studio.write.now();
    let (mut number, mut wrong) = (0, Vec::new());
    let count = rows(&cast, 0).len();
    for row in 0..count {
        let (mutation, caller, good) = rows(&cast, 0).swap_remove(row);
        let of = input_type(&inputs, mutation);
        let query = format!(
            "mutation($input: {of}!) {{ {mutation}(input: $input) {{ position userErrors {{ code field message reason min max }} }} }}"
        );
        // What a row holds is never refused for its form: else a refusal of the hostile value could not be told from it.
        let asked = json!({ "query": query, "variables": { "input": good } }).to_string();
        let (_, answer) = ask(&cast, caller, asked).await;
        let refused = answer["data"][mutation]["userErrors"].as_array().into_iter().flatten();
        let refused: Vec<_> = refused.filter(|error| error["code"] == json!("INVALID_FIELD")).collect();
        assert!(refused.is_empty(), "{mutation} {good}: {refused:?}");
        for (path, taken) in paths(&inputs, &of, &good, "") {
            for value in hostile::of(&taken, now) {
                number += 1;
                let (_, _, mut input) = rows(&cast, number).swap_remove(row);
                *input.pointer_mut(&path).expect("a field of the row") = json!(PLACE);
                let body = json!({ "query": query, "variables": { "input": input } }).to_string();
                let body = body.replace(&format!("\"{PLACE}\""), &value);
                cast.forget_tries().await;
                let (status, answer) = ask(&cast, caller, body).await;
                if let Some(complaint) = complaint(mutation, &path, status, &answer) {
                    wrong.push(format!("{mutation}{path} = {value:.60}: {complaint:.300}"));
                }
            }
        }
        everything_moves(&cast, mutation, row).await;
    }
    assert!(number > 1_500, "{number} values were tried");
    assert_eq!(wrong, [""; 0], "{} of {number}", wrong.len());
    cast.studio.stop().await;
}

/// Numbers and instants that a document itself says are not checked as variables are.
#[tokio::test(flavor = "multi_thread")]
async fn a1_hostile_literals_are_the_clients_error_and_stop_nobody() {
    let cast = Cast::assemble().await;
    let inputs = Inputs::of(&cast.studio).await;
    let now = cast.studio.node.studio.write.now();
    let (mut number, mut wrong) = (0, Vec::new());
    let count = rows(&cast, 0).len();
    for row in 0..count {
        let (mutation, caller, good) = rows(&cast, 0).swap_remove(row);
        let of = input_type(&inputs, mutation);
        for taken in inputs.inputs[&of].iter().filter(|taken| ["Int", "Long", "DateTime"].contains(&taken.of.as_str()))
        {
            for value in hostile::of(taken, now) {
                number += 1;
                let (_, _, input) = rows(&cast, number).swap_remove(row);
                let others: Vec<&Taken> = inputs.inputs[&of]
                    .iter()
                    .filter(|other| other.name != taken.name && good.get(&other.name).is_some())
                    .collect();
                let declared: Vec<String> =
                    others.iter().map(|other| format!("${}: {}", other.name, other.written)).collect();
                let given: Vec<String> = others.iter().map(|other| format!("{0}: ${0}", other.name)).collect();
                let query = format!(
                    "mutation({}) {{ {mutation}(input: {{{}, {}: {value}}}) {{ position userErrors {{ code field message reason }} }} }}",
                    declared.join(", "),
                    given.join(", "),
                    taken.name
                );
                let mut variables = input.clone();
                variables.as_object_mut().expect("an input").remove(&taken.name);
                cast.forget_tries().await;
                let (status, answer) =
                    ask(&cast, caller, json!({ "query": query, "variables": variables }).to_string()).await;
                if let Some(complaint) = complaint(mutation, &format!("/{}", taken.name), status, &answer) {
                    wrong.push(format!("{mutation}.{}: {value:.60}: {complaint:.300}", taken.name));
                }
            }
        }
    }
    everything_moves(&cast, "literals", 0).await;
    assert!(number > 100, "{number} values were tried");
    assert_eq!(wrong, [""; 0], "{} of {number}", wrong.len());
    cast.studio.stop().await;
}
