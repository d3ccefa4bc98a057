//! Nothing that a stolen session left behind outlives the recovery of the account: keys, linked accounts, and whatever was begun (sec.S7).

use atelier_commands::use_cases::{CreateApiKey, keep_key};
use atelier_domain::account::{AccountCommand, IdentityProvider, NewIdentity};
use atelier_domain::text::IdentityLabel;
use atelier_domain::{Environment, IdentityId, KeyClass, SessionId};
use atelier_vault::credential_rows::identities::{self, NewIdentityRow};
use serde_json::{Value, json};

use super::code;
use crate::harness::TestStudio;
use crate::harness::studio::{PASSWORD, Person};

const NEW: &str = "another-horse-2";
const RESET: &str = "mutation($input: CompletePasswordResetInput!) { completePasswordReset(input: $input) \
    { userErrors { code } position } }";
const CHANGE: &str =
    "mutation($input: ChangePasswordInput!) { changePassword(input: $input) { userErrors { code } position } }";

async fn reset(studio: &TestStudio, email: &str, more: Value) {
    let ask = "mutation($email: String!) { requestPasswordReset(input: {email: $email}) { userErrors { code } } }";
    studio.mutate(None, ask, json!({ "email": email })).await;
    let mut input = json!({ "token": studio.mailed_token(email).await, "newPassword": NEW });
    input.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    studio.mutate(None, RESET, json!({ "input": input })).await;
}

async fn works(studio: &TestStudio, key: &str) -> bool {
    studio.get("/v1/credits", Some(key)).await.status.is_success()
}

/// Links an identity as a session with a fresh proof would; its digest's owner signs in with it.
async fn linked(studio: &TestStudio, person: &Person) -> IdentityId {
    let (write, account) = (&studio.node.studio.write, studio.account(person).await);
    let identity = IdentityId(write.fresh_id());
    let label = write.vault.seal_row(account, KeyClass::Profile, identity.0, "identity", "label", "thief@example.com");
    let row = NewIdentityRow {
        identity,
        account,
        provider: IdentityProvider::Google,
        digest: write.blind_index.identity("https://google.example", &identity.to_string()),
        label: label.await.expect("sealed"),
        created_at: write.now(),
    };
    assert!(identities::insert_pending(&write.pool, &row).await.expect("the rows answer"));
    let label = IdentityLabel::parse("thief@example.com").expect("a label");
    let provider = IdentityProvider::Google;
    let new = NewIdentity { identity_id: identity, provider, label, vouches_for_address: false };
    super::staff::command(studio, account, AccountCommand::LinkIdentity { identity: new }).await;
    assert!(identities::activate(&write.pool, identity).await.expect("the rows answer"));
    identity
}

async fn count(studio: &TestStudio, table: &str) -> i64 {
    let count = format!("select count(*) from credentials.{table}");
    sqlx::query_scalar(&count).fetch_one(&studio.database.pool).await.expect("the rows answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn s7_a_key_is_made_and_rotated_only_with_a_fresh_proof() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (id, key) = studio.api_key(&ada).await;
    let old = "update credentials.sessions set proved_at = proved_at - interval '11 minutes'";
    sqlx::query(old).execute(&studio.database.pool).await.expect("set");
    let token = Some(ada.token.as_str());
    let create = "mutation { createApiKey(input: {label: \"x\"}) { id secret userErrors { code } } }";
    let rotate = "mutation($id: ID!) { rotateApiKey(input: {id: $id}) { id secret userErrors { code } } }";
    for (name, query) in [("createApiKey", create), ("rotateApiKey", rotate)] {
        let refused = studio.graphql(token, query, json!({ "id": id })).await[name].take();
        assert_eq!(
            refused,
            json!({ "id": null, "secret": null, "userErrors": [{ "code": "REAUTHENTICATION_REQUIRED" }] })
        );
    }
    assert_eq!((studio.events_named("ApiKeyCreated").await, count(&studio, "api_keys").await), (1, 1));
    assert!(works(&studio, &key).await);
    // To end one takes none.
    let revoke = "mutation($id: ID!) { revokeApiKey(input: {id: $id}) { userErrors { code } } }";
    let prove = "mutation { reauthenticate(input: {password: \"correct-horse-1\"}) { token userErrors { code } } }";
    studio.mutate(token, revoke, json!({ "id": id })).await;
    let fresh = studio.mutate(token, prove, json!({})).await["token"].as_str().expect("a token").to_owned();
    studio.mutate(Some(&fresh), create, json!({})).await;
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s7_a_reset_ends_keys_and_linked_accounts_unless_their_owner_keeps_them() {
    let table = [
        (json!({}), false, false),
        (json!({ "keepApiKeys": false, "keepLinkedAccounts": null }), false, false),
        (json!({ "keepApiKeys": true }), true, false),
        (json!({ "keepLinkedAccounts": true }), false, true),
        (json!({ "keepApiKeys": true, "keepLinkedAccounts": true }), true, true),
    ];
    let studio = TestStudio::start().await;
    for (number, (more, keeps_keys, keeps_identities)) in table.into_iter().enumerate() {
        let ada = studio.newcomer(&format!("ada{number}")).await;
        let account = studio.account(&ada).await;
        let keys = [studio.api_key(&ada).await.1, studio.api_key(&ada).await.1];
        let identity = linked(&studio, &ada).await;
        reset(&studio, &ada.email, more.clone()).await;
        for key in &keys {
            assert_eq!(works(&studio, key).await, keeps_keys, "{more}: on the very next request");
        }
        let token = studio.sign_in(&ada.email, NEW).await;
        let signs_in = studio.me(&token, "authMethods { identities { id } }").await;
        let left = signs_in["authMethods"]["identities"].as_array().expect("a list").len();
        assert_eq!(left, usize::from(keeps_identities), "{more}");
        studio.drain().await;
        let names = studio.names("Account", &account.to_string()).await;
        let counted = |name: &str| names.iter().filter(|one| **one == name).count();
        assert_eq!(counted("ApiKeyRevoked"), if keeps_keys { 0 } else { 2 }, "{more}");
        assert_eq!(counted("ExternalIdentityUnlinked"), usize::from(!keeps_identities), "{more}");
        let loaded = studio.node.studio.write.path.load::<atelier_domain::account::Account>(&account.to_string()).await;
        assert_eq!(loaded.expect("the log answers").state.identities().contains_key(&identity), keeps_identities);
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s7_a_change_of_the_password_ends_the_keys_if_its_owner_says_so() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&ada).await;
    let change = async |from: &str, to: &str, more: Value| {
        let mut input = json!({ "currentPassword": from, "newPassword": to });
        input.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        studio.mutate(Some(&ada.token), CHANGE, json!({ "input": input })).await;
    };
    change(PASSWORD, NEW, json!({})).await;
    assert!(works(&studio, &key).await, "they go on when nothing is said");
    change(NEW, "third-horse-3", json!({ "revokeApiKeys": true })).await;
    assert!(!works(&studio, &key).await);
    assert!(super::counts(&studio, &ada.token).await, "this session goes on");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l04_l07_a_change_that_ends_the_keys_is_done_once_for_its_idempotency_key() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&ada).await;
    let bearer = format!("Bearer {}", ada.token);
    let change = async |named: &str, from: &str, to: &str, revoke: Value| {
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", named)];
        let input = json!({ "input": { "currentPassword": from, "newPassword": to, "revokeApiKeys": revoke } });
        let answer = studio.graphql_with(&headers, CHANGE, input).await;
        let hit = answer.headers.get("idempotency-hit").is_some_and(|hit| hit == "true");
        (answer.json()["data"]["changePassword"].take(), hit)
    };
    let (wrong, _) = change("one", "not-this-1", NEW, json!(true)).await;
    assert_eq!(code(&wrong), "INVALID_CREDENTIALS", "what is refused leaves the key free");
    let (first, hit) = change("one", PASSWORD, NEW, json!(true)).await;
    assert_eq!((code(&first), hit), ("", false), "{first}");
    assert!(!works(&studio, &key).await);
    // A key that was made since is none of the repeat's business.
    let (_, since) = studio.api_key(&ada).await;
    for current in [PASSWORD, "whatever-was-sent"] {
        let (again, hit) = change("one", current, NEW, json!(true)).await;
        assert_eq!((code(&again), &again["position"], hit), ("", &first["position"], true), "{again}");
    }
    assert!(works(&studio, &since).await);
    for (what, to, revoke) in [
        ("another password", "third-horse-3", json!(true)),
        ("the keys go on", NEW, json!(false)),
        ("nothing is said of the keys", NEW, Value::Null),
    ] {
        let (clash, hit) = change("one", NEW, to, revoke).await;
        assert_eq!((code(&clash), hit), ("IDEMPOTENCY_CONFLICT", false), "{what}: {clash}");
    }
    // And the other way round.
    let (plain, _) = change("two", NEW, "third-horse-3", Value::Null).await;
    assert_eq!(code(&plain), "", "{plain}");
    let (same, hit) = change("two", NEW, "third-horse-3", json!(false)).await;
    assert_eq!((code(&same), hit), ("", true), "not given is the same as no: {same}");
    let (clash, _) = change("two", NEW, "third-horse-3", json!(true)).await;
    assert_eq!(code(&clash), "IDEMPOTENCY_CONFLICT", "{clash}");
    assert!(works(&studio, &since).await);
    assert_eq!((studio.events_named("PasswordChanged").await, studio.events_named("ApiKeyRevoked").await), (2, 1));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s7_whatever_a_session_had_begun_ends_with_the_password() {
    for by_reset in [true, false] {
        let studio = TestStudio::start().await;
        let ada = studio.newcomer("ada").await;
        let thief = studio.sign_in(&ada.email, PASSWORD).await;
        let begun = [
            "mutation { requestAvatarUpload { upload { url } userErrors { code } } }",
            "mutation { enrolTwoFactor { secret userErrors { code } } }",
            "mutation { requestAccountDeletion { userErrors { code } } }",
        ];
        let mut upload = String::new();
        for what in begun {
            let payload = studio.mutate(Some(&thief), what, json!({})).await;
            if let Some(url) = payload["upload"]["url"].as_str() {
                url.clone_into(&mut upload);
            }
        }
        let tables = ["avatar_tickets", "second_factors", "deletion_offers"];
        for table in tables {
            assert_eq!(count(&studio, table).await, 1, "{table}");
        }
        if by_reset {
            reset(&studio, &ada.email, json!({})).await;
        } else {
            let input = json!({ "input": { "currentPassword": PASSWORD, "newPassword": NEW } });
            studio.mutate(Some(&ada.token), CHANGE, input).await;
        }
        assert!(!super::counts(&studio, &thief).await);
        for table in tables {
            assert_eq!(count(&studio, table).await, 0, "{table}");
        }
        let put = studio.client().put(&upload).body("x").send().await.expect("an answer");
        assert!(put.status().is_client_error(), "{}", put.status());
        let avatar = studio.me(&studio.sign_in(&ada.email, NEW).await, "profile { avatar { url } }").await;
        assert_eq!(avatar["profile"]["avatar"], Value::Null);
        studio.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s7_a_key_whose_session_ended_while_it_was_made_does_not_count() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (write, account) = (&studio.node.studio.write, studio.account(&ada).await);
    let session: uuid::Uuid = sqlx::query_scalar("select session_id from credentials.sessions where account_id = $1")
        .bind(account.0)
        .fetch_one(&studio.database.pool)
        .await
        .expect("the rows answer");
    let make = async || {
        let create = CreateApiKey {
            account,
            label: Some("late".to_owned()),
            environment: Environment::Live,
            scopes: None,
            expires_at: None,
            daily_cap: None,
            total_cap: None,
            idempotency_key: None,
        };
        create.run(write, &studio.operator()).await.expect("a key")
    };
    let asking = (account, SessionId(session));
    let in_time = keep_key(write, &studio.operator(), asking, make().await).await.expect("it counts");
    // Made, and the password is reset before its session is looked at again: the row was not there when the others were ended.
    reset(&studio, &ada.email, json!({})).await;
    let late = make().await;
    let secret = late.secret.clone().expect("once");
    assert!(works(&studio, secret.expose()).await);
    keep_key(write, &studio.operator(), asking, late).await.expect_err("the session has ended");
    assert!(!works(&studio, secret.expose()).await);
    assert!(!works(&studio, in_time.secret.expect("once").expose()).await);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s7_the_mails_say_which_keys_there_are() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let create = "mutation($label: String!) { createApiKey(input: {label: $label}) { id userErrors { code } } }";
    for label in ["build server", "thief's key"] {
        studio.mutate(Some(&ada.token), create, json!({ "label": label })).await;
    }
    let mailed = async |subject: &str| {
        studio.drain().await;
        let mails = studio.node.mailbox.list(100).await.expect("the mailbox can be read");
        let mail = mails.into_iter().find(|mail| mail.to == ada.email && mail.subject == subject).expect("it was sent");
        studio.node.mailbox.read(&mail.file).await.expect("read").expect("a mail").text
    };
    let input = json!({ "input": { "currentPassword": PASSWORD, "newPassword": "third-horse-3" } });
    studio.mutate(Some(&ada.token), CHANGE, input).await;
    let told = mailed("Your password was changed").await;
    assert!(told.contains("- build server") && told.contains("- thief's key"), "{told}");
    reset(&studio, &ada.email, json!({})).await;
    let asked = mailed("Choose a new password").await;
    assert!(asked.contains("- build server") && asked.contains("- thief's key"), "{asked}");
    let told = mailed("Your password was changed").await;
    assert!(told.contains("No API key works."), "{told}");
    assert_eq!(code(&json!({})), "");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s7_whoever_dies_after_the_password_has_its_keys_ended_by_the_reconciler() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (write, account) = (&studio.node.studio.write, studio.account(&ada).await);
    let (_, key) = studio.api_key(&ada).await;
    linked(&studio, &ada).await;
    // The row is moved, and nothing more is done.
    use atelier_vault::credential_rows::passwords::{self, Ends, Grounds, PasswordChange};
    let via = atelier_domain::account::PasswordVia::Reset;
    let change = PasswordChange { id: write.fresh_id(), account, via, keeps: None };
    let version = passwords::get(&write.pool, account).await.expect("the rows answer").expect("a password").version;
    let phc = write.passwords.hash(NEW).await.expect("hashed");
    let ends = Ends { api_keys: true, identities: true };
    let moved = passwords::change(&write.pool, &change, Grounds::Password(version), &phc, ends, write.now()).await;
    assert!(moved.expect("the rows answer"));
    assert!(!works(&studio, &key).await && !super::counts(&studio, &ada.token).await, "dead at once");
    let later = studio.at(chrono::TimeDelta::minutes(11));
    atelier_commands::reconciler::reconcile(&later).await.expect("a round");
    let names = studio.names("Account", &account.to_string()).await;
    for name in ["PasswordChanged", "ApiKeyRevoked", "ExternalIdentityUnlinked"] {
        assert_eq!(names.iter().filter(|one| **one == name).count(), 1, "{name}: {names:?}");
    }
    atelier_commands::reconciler::reconcile(&later).await.expect("another");
    assert_eq!(studio.names("Account", &account.to_string()).await, names, "once");
    studio.sign_in(&ada.email, NEW).await;
    studio.stop().await;
}
