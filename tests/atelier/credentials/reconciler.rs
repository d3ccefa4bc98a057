//! The reconciler: completes either half of what a dead process left, and leaves what may still be at work.

use atelier_commands::reconciler::reconcile;
use atelier_domain::account::{AccountCommand, AccountEvent, KeyScope, NewApiKey as DomainKey, SessionEnd, SpendCaps};
use atelier_domain::text::KeyLabel;
use atelier_domain::{AccountId, ApiKeyId, Environment, LogEvent, SessionId};
use atelier_vault::credential_rows::api_keys::{self, NewApiKey};
use atelier_vault::credential_rows::sessions::{self, NewSession};
use atelier_vault::{ApiKeySecret, SessionToken};
use chrono::TimeDelta;
use serde_json::json;
use uuid::Uuid;

use super::command;
use crate::harness::TestStudio;

const OLD: TimeDelta = TimeDelta::minutes(11);
const YOUNG: TimeDelta = TimeDelta::minutes(9);

/// A session whose sign-in died after its row, some time ago.
async fn pending_session(studio: &TestStudio, account: AccountId, age: TimeDelta) -> SessionToken {
    let write = &studio.node.studio.write;
    let session = SessionId(write.fresh_id());
    let token = SessionToken::generate(session, write.ports.random.as_ref());
    let created_at = write.now() - age;
    let expires_at = write.now() + TimeDelta::days(1);
    let digest = write.secrets.session(&token);
    let row = NewSession {
        session,
        account,
        digest,
        created_at,
        expires_at,
        idle_seconds: 86_400,
        device: None,
        place: None,
    };
    sessions::insert_pending(&write.pool, &row).await.expect("a row is inserted");
    token
}

/// A key whose making died after its row, some time ago.
async fn pending_key(studio: &TestStudio, account: AccountId, age: TimeDelta) -> (ApiKeyId, ApiKeySecret) {
    let write = &studio.node.studio.write;
    let key = ApiKeyId(write.fresh_id());
    let secret = ApiKeySecret::generate(Environment::Live, write.ports.random.as_ref());
    let scopes = KeyScope::ALL.map(|scope| scope.as_str().to_owned());
    let row = NewApiKey {
        key,
        account,
        secret: &secret,
        digest: write.secrets.api_key(&secret),
        scopes: &scopes,
        created_at: write.now() - age,
        expires_at: None,
        caps: SpendCaps::default(),
        replaces: None,
    };
    api_keys::insert_pending(&write.pool, &row).await.expect("a row is inserted");
    (key, secret)
}

/// The event that the dead process had already appended.
async fn with_event(studio: &TestStudio, account: AccountId, key: ApiKeyId, secret: &ApiKeySecret) {
    let key = DomainKey {
        key_id: key,
        label: Some(KeyLabel::parse("left behind").expect("a label")),
        prefix: secret.prefix().to_owned(),
        last4: secret.last4().to_owned(),
        environment: Environment::Live,
        scopes: KeyScope::ALL.to_vec(),
        expires_at: None,
        caps: SpendCaps::default(),
        replaces: None,
    };
    let created = AccountCommand::CreateApiKey { key, now: studio.node.studio.write.now() };
    command(studio, account, created).await.expect("the event is appended");
}

async fn state(studio: &TestStudio, table: &str, id: Uuid) -> Option<String> {
    let column = if table == "sessions" { "session_id" } else { "key_id" };
    let query = format!("select state from credentials.{table} where {column} = $1");
    sqlx::query_scalar(&query).bind(id).fetch_optional(&studio.database.pool).await.expect("the rows answer")
}

async fn signed_in(studio: &TestStudio, token: &SessionToken) -> bool {
    !studio.me(token.expose(), "id").await.is_null()
}

async fn works(studio: &TestStudio, key: &ApiKeySecret) -> bool {
    studio.get("/v1/models", Some(key.expose())).await.status.as_u16() == 200
}

#[tokio::test(flavor = "multi_thread")]
async fn design_4_a_pending_session_counts_only_once_its_event_is_found() {
    let studio = TestStudio::start().await;
    let account = studio.account(&studio.newcomer("ada").await).await;
    let without = pending_session(&studio, account, OLD).await;
    let with = pending_session(&studio, account, OLD).await;
    let young = pending_session(&studio, account, YOUNG).await;
    let now = studio.node.studio.write.now();
    let start =
        AccountCommand::StartSession { session_id: with.session_id(), expires_at: now + TimeDelta::days(1), now };
    command(&studio, account, start).await.expect("the event is appended");
    for token in [&without, &with, &young] {
        assert!(!signed_in(&studio, token).await, "a pending row never authenticates");
    }
    reconcile(&studio.node.studio.write).await.expect("a round");
    for (token, expected) in [(&without, None), (&with, Some("active")), (&young, Some("pending"))] {
        assert_eq!(state(&studio, "sessions", token.session_id().0).await.as_deref(), expected);
        assert_eq!(signed_in(&studio, token).await, expected == Some("active"));
    }
    // The other half of the dead process may come late, and finds its row gone.
    assert!(!sessions::activate(&studio.database.pool, without.session_id()).await.expect("the rows answer"));
    assert!(!signed_in(&studio, &without).await);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn design_4_a_pending_key_counts_only_once_its_event_is_found() {
    let studio = TestStudio::start().await;
    let account = studio.account(&studio.newcomer("ada").await).await;
    let without = pending_key(&studio, account, OLD).await;
    let with = pending_key(&studio, account, OLD).await;
    let young = pending_key(&studio, account, YOUNG).await;
    with_event(&studio, account, with.0, &with.1).await;
    for (_, key) in [&without, &with, &young] {
        assert!(!works(&studio, key).await, "a pending row never authenticates");
    }
    reconcile(&studio.node.studio.write).await.expect("a round");
    for ((id, key), expected) in [(&without, None), (&with, Some("active")), (&young, Some("pending"))] {
        assert_eq!(state(&studio, "api_keys", id.0).await.as_deref(), expected);
        assert_eq!(works(&studio, key).await, expected == Some("active"));
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn design_4_a_revoked_row_without_its_event_gets_it_and_goes() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    // The process died after the rows were revoked and before the events of it.
    let token = SessionToken::parse(&ada.token).expect("a token");
    let (key, secret) = pending_key(&studio, account, OLD).await;
    with_event(&studio, account, key, &secret).await;
    api_keys::activate(&studio.database.pool, key).await.expect("the rows answer");
    assert!(works(&studio, &secret).await && signed_in(&studio, &token).await);
    assert!(api_keys::revoke(&studio.database.pool, account, key).await.expect("the rows answer"));
    assert!(sessions::revoke(&studio.database.pool, account, token.session_id()).await.expect("the rows answer"));
    assert!(!works(&studio, &secret).await && !signed_in(&studio, &token).await, "at once");
    reconcile(&studio.node.studio.write).await.expect("a round");
    assert_eq!(state(&studio, "sessions", token.session_id().0).await.as_deref(), Some("revoked"), "too young");
    let aged = "update credentials.sessions set created_at = created_at - interval '11 minutes'";
    sqlx::query(aged).execute(&studio.database.pool).await.expect("the rows answer");
    reconcile(&studio.node.studio.write).await.expect("a round");
    assert_eq!(state(&studio, "sessions", token.session_id().0).await, None);
    assert_eq!(state(&studio, "api_keys", key.0).await, None);
    assert!(!works(&studio, &secret).await && !signed_in(&studio, &token).await, "V30: never again");
    let ended: Vec<LogEvent> = studio.stream("Account", &account.to_string()).await.into_iter().rev().take(2).collect();
    let expected = [
        LogEvent::Account(
            account,
            AccountEvent::SessionEnded { session_id: token.session_id(), reason: SessionEnd::Revoked },
        ),
        LogEvent::Account(account, AccountEvent::ApiKeyRevoked { key_id: key }),
    ];
    assert!(expected.iter().all(|event| ended.contains(event)), "{ended:?}");
    // Another round finds nothing to do.
    let head = studio.head().await;
    reconcile(&studio.node.studio.write).await.expect("a round");
    assert_eq!(studio.head().await, head);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn design_4_a_revoked_row_whose_event_is_there_only_goes() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&ada).await;
    studio.mutate(Some(&ada.token), "mutation { signOut { userErrors { code } position } }", json!({})).await;
    let aged = "update credentials.sessions set created_at = created_at - interval '11 minutes'; \
                update credentials.api_keys set created_at = created_at - interval '11 minutes'";
    studio.as_superuser(aged).await;
    studio.drain().await;
    let head = studio.head().await;
    reconcile(&studio.node.studio.write).await.expect("a round");
    assert_eq!(studio.head().await, head, "the event is not appended twice");
    let left: i64 = sqlx::query_scalar("select count(*) from credentials.sessions")
        .fetch_one(&studio.database.pool)
        .await
        .expect("rows");
    assert_eq!(left, 0);
    assert_eq!(studio.get("/v1/models", Some(&key)).await.status.as_u16(), 200, "an old active key is left alone");
    studio.stop().await;
}
