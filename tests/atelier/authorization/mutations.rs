//! Every mutation, for everybody: who gets in, and that nobody changes anything of somebody else's (sec.A1, sec.A2).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Caller;
use super::cast::{Cast, PRIVATE, forged};
use super::schema::Schema;
use crate::harness::TestStudio;

/// Who may call a mutation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Everybody; a token, a password or a code in the input decides.
    Open,
    /// Whoever is signed in; it touches their own account and names nothing.
    Own,
    /// Whose role allows it; everybody else is refused, whatever it names.
    Staff(&'static [Caller]),
    /// Whoever is signed in; it names a thing, and somebody else's is as unknown as one that never was.
    Named,
}

/// A mutation: its input, with `{...}` for what is the owner's or unknown, and who may call it.
type Row = (&'static str, &'static str, Access);

const HELP: Access = Access::Staff(&[Caller::Support, Caller::Admin]);
const APPOINT: Access = Access::Staff(&[Caller::Admin]);

const ROWS: &[Row] = &[
    (
        "signUp",
        "email: \"new@example.com\", password: \"correct-horse-1\", username: \"newcomer\", minimumAge: 18",
        Access::Open,
    ),
    ("verifyEmail", "token: \"atm_x\"", Access::Open),
    ("resendVerification", "email: \"nobody@example.com\"", Access::Open),
    ("signIn", "email: \"nobody@example.com\", password: \"correct-horse-1\"", Access::Open),
    ("completeSignIn", "challenge: \"x\", code: \"000000\"", Access::Open),
    (
        "completeGoogleSignIn",
        "code: \"x\", codeVerifier: \"vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\"",
        Access::Open,
    ),
    ("signUpWithGoogle", "ticket: \"x\", username: \"another\", minimumAge: 18", Access::Open),
    ("requestPasswordReset", "email: \"nobody@example.com\"", Access::Open),
    ("completePasswordReset", "token: \"atm_x\", newPassword: \"correct-horse-2\"", Access::Open),
    ("signOut", "", Access::Open),
    ("revokeSession", "sessionId: \"{session}\"", Access::Named),
    ("reauthenticate", "password: \"wrong-horse-1\"", Access::Own),
    ("changePassword", "currentPassword: \"wrong-horse-1\", newPassword: \"correct-horse-2\"", Access::Own),
    ("enrolTwoFactor", "", Access::Own),
    ("confirmTwoFactor", "code: \"000000\"", Access::Own),
    ("disableTwoFactor", "code: \"000000\"", Access::Own),
    ("renewRecoveryCodes", "", Access::Own),
    ("keepTwoFactor", "token: \"atm_x\"", Access::Open),
    ("staffViewAccount", "accountId: \"{account}\", reason: \"x\"", HELP),
    ("staffChangeEmail", "accountId: \"{account}\", email: \"new@example.com\", reason: \"x\"", HELP),
    ("staffResetTwoFactor", "accountId: \"{account}\", reason: \"x\"", HELP),
    ("staffEndSessions", "accountId: \"{account}\", reason: \"x\"", HELP),
    ("staffRevokeApiKey", "accountId: \"{account}\", apiKeyId: \"{key}\", reason: \"x\"", HELP),
    ("staffGrantRole", "accountId: \"{account}\", role: ADMIN, reason: \"x\"", APPOINT),
    ("staffWithdrawRole", "accountId: \"{account}\", role: ADMIN, reason: \"x\"", APPOINT),
    ("linkGoogle", "", Access::Own),
    ("completeGoogleLink", "code: \"x\", codeVerifier: \"vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\"", Access::Own),
    (
        "startGoogleReauthentication",
        "redirectUri: \"https://app.example.com\", codeChallenge: \"vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\"",
        Access::Own,
    ),
    ("unlinkIdentity", "identityId: \"{identity}\"", Access::Named),
    ("updateProfile", "bio: \"another\"", Access::Own),
    ("setPublishToExplore", "publish: true", Access::Own),
    ("setPublicProfile", "public: true", Access::Own),
    ("requestAvatarUpload", "", Access::Own),
    ("removeAvatar", "", Access::Own),
    ("setNotification", "kind: NEWSLETTER, channel: MAIL, on: false", Access::Own),
    ("setNotifications", "choices: [{kind: NEWSLETTER, channel: MAIL, on: true}]", Access::Own),
    ("setLanguage", "language: DE", Access::Own),
    ("markNoticesRead", "ids: [\"{notice}\"]", Access::Named),
    ("createApiKey", "label: \"another\"", Access::Own),
    ("rotateApiKey", "id: \"{key}\"", Access::Named),
    ("revokeApiKey", "id: \"{key}\"", Access::Named),
    ("requestGeneration", "prompt: \"x\", model: \"z-image-turbo\", width: 64, height: 64", Access::Own),
    ("cancelGeneration", "id: \"{waiting}\"", Access::Named),
    ("deleteGeneration", "id: \"{private}\"", Access::Named),
    ("requestDataExport", "", Access::Own),
    ("requestAccountDeletion", "", Access::Own),
    ("confirmAccountDeletion", "token: \"atm_x\", username: \"ada\"", Access::Own),
    ("changeUsername", "username: \"countess\"", Access::Own),
    ("revokeOtherSessions", "", Access::Own),
    ("revokeAllSessions", "", Access::Own),
];

/// The input with the owner's things in it, or with such as never were.
fn filled(cast: &Cast, input: &str, known: bool) -> String {
    let things = [
        ("{account}", "acc", &cast.account_id),
        ("{session}", "ses", &cast.session_id),
        ("{identity}", "idn", &cast.identity_id),
        ("{notice}", "not", &cast.notice_id),
        ("{key}", "key", &cast.key_id),
        ("{waiting}", "gen", &cast.waiting),
        ("{private}", "gen", &cast.private),
    ];
    things.into_iter().fold(input.to_owned(), |input, (place, tag, id)| {
        input.replace(place, &if known { id.clone() } else { cast.unknown(tag) })
    })
}

/// The mutation as a document that asks for everything it answers.
fn document(schema: &Schema, name: &str, input: &str) -> String {
    let of = &schema.fields("Mutation").iter().find(|field| field.name == name).expect("a mutation").of;
    let part = |field: &super::schema::Field| match (field.of.as_str(), schema.fields(&field.of).is_empty()) {
        ("Me", _) => "me { id unreadNoticeCount profile { email } }".to_owned(),
        (_, true) => field.name.clone(),
        (of, false) => format!("{} {}", field.name, schema.everything(of)),
    };
    let parts: Vec<String> = schema.fields(of).iter().map(part).collect();
    let input = if input.is_empty() { String::new() } else { format!("(input: {{{input}}})") };
    format!("mutation {{ {name}{input} {{ {} }} }}", parts.join(" "))
}

fn fault(answer: &Value) -> Option<&str> {
    answer["errors"][0]["extensions"]["code"].as_str()
}

/// One call, each by a session of its own: some of them end every other.
async fn call(cast: &Cast, schema: &Schema, caller: Caller, (name, input, _): Row, known: bool) -> Value {
    let query = document(schema, name, &filled(cast, input, known));
    let token = cast.fresh_token(caller).await;
    cast.studio.graphql_raw(token.as_deref(), &query, json!({})).await
}

/// An answer without what differs between any two.
fn timeless(answer: &Value, cast: &Cast, row: Row) -> String {
    let mut answer = answer.clone();
    if let Some(payload) = answer["data"].get_mut(row.0).and_then(Value::as_object_mut) {
        payload.remove("position");
    }
    let mut text = answer.to_string();
    for (place, tag) in [("{session}", "ses"), ("{identity}", "idn"), ("{notice}", "not"), ("{key}", "key")] {
        text = text.replace(&filled(cast, place, true), &cast.unknown(tag));
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_a_mutation_does_nothing_to_what_is_somebody_elses_and_nothing_without_a_session() {
    let cast = Cast::assemble().await;
    let schema = Schema::of(&cast.studio).await;
    let rows: BTreeSet<&str> = ROWS.iter().map(|row| row.0).collect();
    let fields: BTreeSet<&str> = schema.fields("Mutation").iter().map(|field| field.name.as_str()).collect();
    assert_eq!(fields, rows, "sec.A1: each mutation says here who may call it");
    let before = cast.owners_state_at_rest().await;
    for row in ROWS.iter().copied() {
        for caller in Caller::ALL.into_iter().filter(|caller| *caller != Caller::Owner) {
            // Whoever may change it is asked about an account that never was: what they do is tested by its own name.
            let allowed = matches!(row.2, Access::Staff(callers) if callers.contains(&caller));
            let answer = call(&cast, &schema, caller, row, !allowed).await;
            let who = format!("{} by {caller:?}: {answer}", row.0);
            assert!(!answer.to_string().contains(PRIVATE), "{who}");
            if row.2 == Access::Open {
                assert_eq!(fault(&answer), None, "{who}");
            } else if !caller.signed_in() {
                assert_eq!((fault(&answer), &answer["data"]), (Some("UNAUTHENTICATED"), &Value::Null), "{who}");
            } else {
                assert_eq!(fault(&answer), None, "{who}");
            }
            if let Access::Staff(_) = row.2
                && caller.signed_in()
            {
                let expected = if allowed { "NOT_FOUND" } else { "FORBIDDEN" };
                assert_eq!(answer["data"][row.0]["userErrors"][0]["code"], json!(expected), "{who}");
            }
            if matches!(row.2, Access::Named | Access::Staff(_)) && caller.signed_in() {
                let unknown = call(&cast, &schema, caller, row, false).await;
                assert_eq!(timeless(&answer, &cast, row), timeless(&unknown, &cast, row), "{who}");
            }
        }
        assert_eq!(cast.owners_state().await, before, "{} by somebody else", row.0);
    }
    // A token with one letter changed is nobody's either.
    let session = cast.token(Caller::Owner).expect("a token");
    for forged in ["nonsense", &forged(session)] {
        for row in ROWS.iter().copied().filter(|row| row.2 != Access::Open) {
            let query = document(&schema, row.0, &filled(&cast, row.1, true));
            let answer = cast.studio.graphql_raw(Some(forged), &query, json!({})).await;
            assert_eq!((fault(&answer), &answer["data"]), (Some("UNAUTHENTICATED"), &Value::Null), "{}", row.0);
        }
    }
    assert_eq!(cast.owners_state_at_rest().await, before, "by what follows of all of it");
    // The owner's own calls are another matter, or nothing was compared with anything.
    for row in ROWS.iter().copied().filter(|row| row.2 != Access::Open) {
        let unknown =
            if row.2 == Access::Named { call(&cast, &schema, Caller::Owner, row, false).await } else { json!(null) };
        let answer = call(&cast, &schema, Caller::Owner, row, true).await;
        assert_eq!(fault(&answer), None, "{} by its owner: {answer}", row.0);
        if row.2 == Access::Named {
            assert_ne!(timeless(&answer, &cast, row), timeless(&unknown, &cast, row), "{} by its owner", row.0);
        }
    }
    assert_ne!(cast.owners_state_at_rest().await, before, "the digest sees what the owner does");
    cast.studio.stop().await;
}

/// What no input may set, whoever asks (sec.A2): the words for balances, rights, ownership and places in the log.
const NEVER_INPUT: [&str; 12] = [
    "credits", "balance", "amount", "price", "plan", "roles", "owner", "ownerId", "position", "version", "verified",
    "premium",
];

#[tokio::test(flavor = "multi_thread")]
async fn a2_no_input_sets_a_balance_a_right_an_owner_or_a_position() {
    let studio = TestStudio::start().await;
    let query = "{ __schema { types { kind name inputFields { name } } } }";
    let told = studio.graphql(None, query, json!({})).await;
    let mut seen = 0;
    for kind in told["__schema"]["types"].as_array().expect("types") {
        for field in kind["inputFields"].as_array().into_iter().flatten() {
            let name = field["name"].as_str().expect("a name");
            seen += 1;
            assert!(!NEVER_INPUT.contains(&name), "{}.{name}", kind["name"]);
        }
    }
    assert!(seen > 30, "the inputs were not read");
    studio.stop().await;
}
