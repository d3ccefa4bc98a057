//! The `Idempotency-Key` header on mutations: done once, answered alike, a clash is told, and what changed nothing leaves the key free.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::authorization::Caller;
use crate::authorization::cast::Cast;
use crate::harness::TestStudio;
use crate::harness::studio::PASSWORD;

/// Mutations that take no key, and why.
const WITHOUT: &[(&str, &str)] = &[
    ("signUp", "signs up"),
    ("verifyEmail", "proves an address"),
    ("resendVerification", "asks for a mail, without a session"),
    ("signIn", "signs in"),
    ("completeSignIn", "signs in"),
    ("signUpWithGoogle", "signs up"),
    ("completeGoogleSignIn", "signs in"),
    ("requestPasswordReset", "asks for a mail, without a session"),
    ("completePasswordReset", "without a session"),
    ("signOut", "its repeat has no session, and succeeds"),
    ("reauthenticate", "proves who asks; its answer is a token"),
    ("startGoogleReauthentication", "begins a proof; no event"),
    ("linkGoogle", "begins a proof; no event"),
    ("enrolTwoFactor", "enrols; its answer is a seed"),
    ("confirmTwoFactor", "enrols; its answer is codes"),
    ("requestAvatarUpload", "its answer is a ticket; no event"),
    ("requestAccountDeletion", "its answer is a token; no event"),
    ("markNoticesRead", "reading is no event"),
];

/// Mutations whose repeat comes too late, because they end the session; they are done once all the same.
const END_THE_SESSION: [&str; 2] = ["revokeAllSessions", "confirmAccountDeletion"];
/// What needs a provider: `accounts/google` has it.
const ELSEWHERE: [&str; 1] = ["completeGoogleLink"];

/// A mutation, by whom, its arguments, and others that are another request; in an order in which each has something to do.
fn rows(cast: &Cast) -> Vec<(&'static str, Caller, String, Option<String>)> {
    use Caller::{Admin, Owner, Support};
    let (account, key) = (&cast.account_id, &cast.key_id);
    let input = |text: &str| format!("(input: {{{text}}})");
    let row = |name, caller, one: &str, other: &str| {
        let one = if one.is_empty() { String::new() } else { input(one) };
        (name, caller, one, (!other.is_empty()).then(|| input(other)))
    };
    let on = |more: &str| format!("accountId: \"{account}\", {more} reason: \"why\"");
    let unlike = |more: &str| format!("accountId: \"{account}\", {more} reason: \"another\"");
    let of = |id: &str| format!("id: \"{id}\"");
    let job = |prompt: &str| format!("prompt: \"{prompt}\", model: \"z-image-turbo\", width: 64, height: 64");
    let unknown = |tag| cast.unknown(tag);
    vec![
        row("updateProfile", Owner, "bio: \"a new one\"", "bio: \"another\""),
        row("setPublishToExplore", Owner, "publish: false", "publish: true"),
        row("setPublicProfile", Owner, "public: false", "public: true"),
        row("setLanguage", Owner, "language: DE", "language: EN"),
        row(
            "setNotification",
            Owner,
            "kind: MARKETING, channel: MAIL, on: true",
            "kind: MARKETING, channel: MAIL, on: false",
        ),
        row(
            "setNotifications",
            Owner,
            "choices: [{kind: NEWSLETTER, channel: MAIL, on: false}]",
            "choices: [{kind: NEWSLETTER, channel: MAIL, on: true}]",
        ),
        row("changeUsername", Owner, "username: \"countess\"", "username: \"duchess\""),
        row("removeAvatar", Owner, "", ""),
        row("requestGeneration", Owner, &job("one"), &job("another")),
        row("cancelGeneration", Owner, &of(&cast.waiting), &of(&unknown("gen"))),
        row("deleteGeneration", Owner, &of(&cast.private), &of(&unknown("gen"))),
        row("createApiKey", Owner, "label: \"one\"", "label: \"another\""),
        row("rotateApiKey", Owner, &of(key), &format!("{}, overlapHours: 1", of(key))),
        row("revokeApiKey", Owner, &of(key), &of(&unknown("key"))),
        row(
            "revokeSession",
            Owner,
            &format!("sessionId: \"{}\"", cast.session_id),
            &format!("sessionId: \"{}\"", unknown("ses")),
        ),
        row("revokeOtherSessions", Owner, "", ""),
        row(
            "unlinkIdentity",
            Owner,
            &format!("identityId: \"{}\"", cast.identity_id),
            &format!("identityId: \"{}\"", unknown("idn")),
        ),
        row("requestDataExport", Owner, "", ""),
        row(
            "changePassword",
            Owner,
            &format!("currentPassword: \"{PASSWORD}\", newPassword: \"correct-horse-2\""),
            "currentPassword: \"correct-horse-2\", newPassword: \"correct-horse-3\"",
        ),
        row("staffViewAccount", Support, &on(""), &unlike("")),
        row("staffResetTwoFactor", Support, &on(""), &unlike("")),
        ("keepTwoFactor", Owner, "(input: {})".to_owned(), None),
        row("renewRecoveryCodes", Owner, "", ""),
        row("disableTwoFactor", Owner, "code: \"{recovery}\"", ""),
        row("staffEndSessions", Support, &on(""), &unlike("")),
        row("staffRevokeApiKey", Support, &on("apiKeyId: \"{another key}\","), &unlike("apiKeyId: \"{another key}\",")),
        row("staffGrantRole", Admin, &on("role: AUDITOR,"), &on("role: SUPPORT,")),
        row("staffWithdrawRole", Admin, &on("role: AUDITOR,"), &on("role: SUPPORT,")),
        row(
            "staffChangeEmail",
            Support,
            &on("email: \"elsewhere@example.com\","),
            &on("email: \"nowhere@example.com\","),
        ),
    ]
}

/// One mutation under a key: its payload or its first fault, and whether it was marked as a repeat.
async fn ask(cast: &Cast, token: &str, key: &str, name: &str, arguments: &str) -> (Value, bool) {
    let query = format!("mutation {{ {name}{arguments} {{ position userErrors {{ code field }} }} }}");
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("idempotency-key", key)];
    let answer = cast.studio.graphql_with(&headers, &query, json!({})).await;
    let body = answer.json();
    let payload =
        if body["data"][name].is_null() { body["errors"][0]["extensions"].clone() } else { body["data"][name].clone() };
    (payload, answer.headers.get("idempotency-hit").is_some_and(|hit| hit == "true"))
}

async fn head(cast: &Cast) -> i64 {
    cast.studio.drain().await;
    cast.studio.head().await
}

/// Turns the owner's second factor on.
async fn guard(cast: &Cast) {
    use atelier_domain::account::{Account, AccountCommand};
    let write = &cast.studio.node.studio.write;
    let target = atelier_commands::command_path::Target { id: cast.account.to_string(), subject: cast.account };
    let operator = cast.studio.operator();
    let on = write.path.execute::<Account>(&target, &operator, None, |_| AccountCommand::EnableTwoFactor);
    on.await.expect("it is on");
    let row = format!(
        "insert into credentials.second_factors (account_id, seed, state, changed_at) values ('{}', 'x', 'active', now())",
        cast.account
    );
    cast.studio.as_superuser(&row).await;
}

/// A recovery code of the owner's, in the place of all others.
async fn recovery_code(cast: &Cast) -> String {
    use atelier_vault::RecoveryCode;
    use atelier_vault::credential_rows::recovery_codes;
    let write = &cast.studio.node.studio.write;
    let code = RecoveryCode::generate(write.ports.random.as_ref());
    let digest = write.secrets.recovery_code(cast.account, &code);
    assert!(recovery_codes::renew(&write.pool, cast.account, &[digest]).await.expect("the rows answer"));
    code.expose().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn l04_l07_every_signed_in_mutation_that_appends_is_done_once_for_its_key() {
    let cast = Cast::assemble().await;
    let taking: BTreeSet<&str> = atelier_graphql::once::with_key().collect();
    let rows = rows(&cast);
    let tried: BTreeSet<&str> = rows.iter().map(|row| row.0).chain(END_THE_SESSION).chain(ELSEWHERE).collect();
    assert_eq!(taking, tried, "each mutation that takes a key is tried");
    let query = "{ __type(name: \"Mutation\") { fields { name } } }";
    let told = cast.studio.graphql(None, query, json!({})).await;
    let all: BTreeSet<&str> =
        told["__type"]["fields"].as_array().expect("fields").iter().filter_map(|one| one["name"].as_str()).collect();
    let without = WITHOUT.iter().map(|row| row.0);
    assert_eq!(all, taking.iter().copied().chain(without).collect(), "each mutation takes a key, or says why not");
    let another_key = cast.studio.mutate(
        Some(&cast.owner.token),
        "mutation { createApiKey(input: {label: \"another\"}) { id userErrors { code } } }",
        json!({}),
    );
    let another_key = another_key.await["id"].as_str().expect("an id").to_owned();
    for (name, caller, one, other) in rows {
        cast.forget_tries().await;
        if name == "staffResetTwoFactor" {
            guard(&cast).await;
        }
        let recovery = if name == "disableTwoFactor" { recovery_code(&cast).await } else { String::new() };
        let one = one.replace("{recovery}", &recovery).replace("{another key}", &another_key);
        let other = other.map(|other| other.replace("{another key}", &another_key));
        let token = match caller {
            Caller::Owner => cast.studio.session_of(cast.account).await,
            _ => cast.fresh_token(caller).await.expect("a session"),
        };
        let before = head(&cast).await;
        let key = format!("{name}-1");
        let (first, hit) = ask(&cast, &token, &key, name, &one).await;
        assert_eq!((&first["userErrors"], hit), (&json!([]), false), "{name}: {first}");
        let done = head(&cast).await;
        assert!(done > before, "{name} appends");
        cast.forget_tries().await;
        for _ in 0..2 {
            let (again, hit) = ask(&cast, &token, &key, name, &one).await;
            assert_eq!((&again["userErrors"], hit), (&json!([]), true), "{name} again: {again}");
            assert_eq!(again["position"].is_string(), first["position"].is_string(), "{name} again: {again}");
        }
        if let Some(other) = other {
            let (clash, hit) = ask(&cast, &token, &key, name, &other).await;
            let error = &clash["userErrors"][0];
            let told = (error["code"].as_str(), error["field"].as_str(), hit);
            assert_eq!(told, (Some("IDEMPOTENCY_CONFLICT"), Some("idempotencyKey"), false), "{name}: {clash}");
        }
        assert_eq!(head(&cast).await, done, "{name}: a repeat appends nothing");
        let (wrong, _) = ask(&cast, &token, "two words", name, &one).await;
        assert_eq!(wrong["userErrors"][0]["field"], json!("idempotencyKey"), "{name}: {wrong}");
    }
    for name in END_THE_SESSION {
        let token = cast.studio.session_of(cast.account).await;
        let arguments = if name == "confirmAccountDeletion" {
            let offer = "mutation { requestAccountDeletion { token userErrors { code } } }";
            let offer = cast.studio.mutate(Some(&token), offer, json!({})).await;
            format!("(input: {{token: {}, username: \"countess\"}})", offer["token"])
        } else {
            String::new()
        };
        let (first, hit) = ask(&cast, &token, "the-end", name, &arguments).await;
        assert_eq!((&first["userErrors"], hit), (&json!([]), false), "{name}: {first}");
        let (again, hit) = ask(&cast, &token, "the-end", name, &arguments).await;
        assert_eq!((&again["code"], hit), (&json!("UNAUTHENTICATED"), false), "{name}: {again}");
    }
    cast.studio.stop().await;
}

/// Setters, each with the value that is there.
const UNCHANGED: &[(&str, &str)] = &[
    ("updateProfile", "displayName: \"Ada\", bio: \"of the engine\""),
    ("updateProfile", "displayName: \"Ada\""),
    ("updateProfile", ""),
    ("setPublishToExplore", "publish: true"),
    ("setPublicProfile", "public: true"),
    ("setLanguage", "language: EN"),
    ("setNotification", "kind: NEWSLETTER, channel: MAIL, on: true"),
    ("setNotifications", "choices: [{kind: NEWSLETTER, channel: MAIL, on: true}]"),
    ("setNotifications", "choices: []"),
    ("changeUsername", "username: \"ada\""),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_setter_with_the_value_that_is_there_appends_nothing_and_leaves_the_key_free() {
    let cast = Cast::assemble().await;
    let token = cast.studio.session_of(cast.account).await;
    for (name, input) in UNCHANGED {
        let before = head(&cast).await;
        let arguments = format!("(input: {{{input}}})");
        for _ in 0..2 {
            let (same, hit) = ask(&cast, &token, "one-key", name, &arguments).await;
            assert_eq!((&same["userErrors"], hit), (&json!([]), false), "{name}({input}): {same}");
        }
        assert_eq!(head(&cast).await, before, "{name}({input})");
    }
    // The key is free for a change, and the half that is the same is not written beside it.
    let before = head(&cast).await;
    let (changed, hit) =
        ask(&cast, &token, "one-key", "updateProfile", "(input: {displayName: \"Ada\", bio: \"else\"})").await;
    assert_eq!((&changed["userErrors"], hit), (&json!([]), false), "{changed}");
    assert_eq!(head(&cast).await, before + 1, "one event");
    let (cleared, _) = ask(&cast, &token, "another-key", "updateProfile", "(input: {bio: \"\"})").await;
    assert_eq!(cleared["userErrors"], json!([]));
    let (again, _) = ask(&cast, &token, "a-third-key", "updateProfile", "(input: {bio: \"\"})").await;
    assert_eq!((&again["userErrors"], head(&cast).await), (&json!([]), before + 2), "cleared once");
    cast.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l05_many_copies_of_one_mutation_at_once_are_done_once() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let bearer = format!("Bearer {}", ada.token);
    let before = studio.events_named("BioChanged").await;
    let copy = async || {
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", "once")];
        let query = "mutation { updateProfile(input: {bio: \"many\"}) { position userErrors { code } } }";
        let answer = studio.graphql_with(&headers, query, json!({})).await;
        (answer.json()["data"]["updateProfile"]["userErrors"].clone(), answer.headers.contains_key("idempotency-hit"))
    };
    let answers = futures::future::join_all((0..32).map(|_| copy())).await;
    assert!(answers.iter().all(|(errors, _)| *errors == json!([])), "{answers:?}");
    assert_eq!(studio.events_named("BioChanged").await - before, 1);
    studio.stop().await;
}

/// What is done once without a key, and so finds nothing to do the second time; by the owner.
fn done_already(cast: &Cast) -> Vec<(&'static str, String)> {
    let id = |name: &str, id: &str| format!("(input: {{{name}: \"{id}\"}})");
    vec![
        ("removeAvatar", String::new()),
        ("revokeSession", id("sessionId", &cast.session_id)),
        ("revokeOtherSessions", String::new()),
        ("revokeApiKey", id("id", &cast.key_id)),
        ("cancelGeneration", id("id", &cast.waiting)),
        ("deleteGeneration", id("id", &cast.private)),
        ("unlinkIdentity", id("identityId", &cast.identity_id)),
        ("keepTwoFactor", "(input: {})".to_owned()),
        ("renewRecoveryCodes", String::new()),
        ("disableTwoFactor", "(input: {code: \"000000\"})".to_owned()),
        ("setLanguage", "(input: {language: DE})".to_owned()),
        ("changeUsername", "(input: {username: \"countess\"})".to_owned()),
        (
            "changePassword",
            format!("(input: {{currentPassword: \"{PASSWORD}\", newPassword: \"{PASSWORD}\", revokeApiKeys: true}})"),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_already_appends_nothing_and_does_not_use_its_key_up() {
    let cast = Cast::assemble().await;
    let token = cast.studio.session_of(cast.account).await;
    let keys = async || -> i64 {
        let count = sqlx::query_scalar("select count(*) from idempotency_keys");
        count.fetch_one(&cast.studio.database.pool).await.expect("the keys answer")
    };
    for (name, arguments) in done_already(&cast) {
        cast.forget_tries().await;
        let query = format!("mutation {{ {name}{arguments} {{ userErrors {{ code }} }} }}");
        cast.studio.graphql(Some(&token), &query, json!({})).await;
        let (before, used) = (head(&cast).await, keys().await);
        for _ in 0..2 {
            // Some succeed, some are refused; either way it was not this one that did it.
            let (_, hit) = ask(&cast, &token, "free", name, &arguments).await;
            assert!(!hit, "{name}");
        }
        assert_eq!((head(&cast).await, keys().await), (before, used), "{name}");
    }
    cast.studio.stop().await;
}
