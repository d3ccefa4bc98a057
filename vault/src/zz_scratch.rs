//! scratch
use std::time::Instant;
use atelier_domain::*;
use chrono::{Duration, TimeZone, Utc};
use uuid::Uuid;
use crate::testing::{account, Replayable};
use crate::*;
use crate::credential_rows::{self as rows, *};

struct P(Personal<String>, Personal<String>, Personal<String>);
impl PersonalFields for P {
    fn personal_fields(&mut self) -> Vec<PersonalSlot<'_>> {
        vec![PersonalSlot::new("email", KeyClass::Profile, &mut self.0), PersonalSlot::new("name", KeyClass::Profile, &mut self.1), PersonalSlot::new("bio", KeyClass::Profile, &mut self.2)]
    }
}

#[tokio::test]
async fn measure() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open_folder(root.path(), Replayable::new(1)).unwrap();
    let t = Instant::now();
    for n in 0..100 { vault.store().create(account(n)).await.unwrap(); }
    eprintln!("create {:?} each", t.elapsed() / 100);
    let t = Instant::now();
    for n in 0..100 { vault.store().load(account(n)).await.unwrap(); }
    eprintln!("cold load {:?} each", t.elapsed() / 100);
    for size in [20usize, 160, 4000] {
        let n = 20_000u32;
        let mut evs: Vec<P> = (0..n).map(|_| P(Personal::Open("x".repeat(size)), Personal::Open("x".repeat(size)), Personal::Open("x".repeat(size)))).collect();
        let t = Instant::now();
        for (i, e) in evs.iter_mut().enumerate() {
            vault.seal_fields(account(1), EventId(Uuid::from_u128(i as u128)), "AccountOpened", e).await.unwrap();
        }
        eprintln!("size {size}: seal {:?} a field, {} bytes", t.elapsed() / (3 * n), evs[0].0.sealed().unwrap().as_text().len());
        let t = Instant::now();
        for e in &evs { for (f, v) in [("email", &e.0), ("name", &e.1), ("bio", &e.2)] {
            vault.open(account(1), f, v.sealed().unwrap()).await.unwrap();
        } }
        eprintln!("size {size}: open {:?} a field", t.elapsed() / (3 * n));
    }
    let secrets = Secrets::open(root.path(), Replayable::new(2).as_ref()).unwrap();
    let key = ApiKeySecret::generate(Environment::Live, Replayable::new(2).as_ref());
    let t = Instant::now();
    for _ in 0..100_000 { std::hint::black_box(secrets.api_key(&ApiKeySecret::parse(key.expose()).unwrap())); }
    eprintln!("api key parse+digest {:?}", t.elapsed() / 100_000);
    let pw = Passwords::new(Replayable::new(3));
    let t = Instant::now();
    for _ in 0..20 { pw.verify_dummy("abc").await.unwrap(); }
    eprintln!("argon2 {:?}", t.elapsed() / 20);
    fn send<T: Send>(t: T) -> T { t }
    let mut e = P(Personal::Erased, Personal::Erased, Personal::Erased);
    drop(send(vault.seal_fields(account(1), EventId(Uuid::nil()), "x", &mut e)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sql() {
    let Ok(url) = std::env::var("SCRATCH_PG") else { return };
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(10).connect(&url).await.unwrap();
    let root = tempfile::tempdir().unwrap();
    let random = Replayable::new(1);
    let index = BlindIndex::open(root.path(), random.as_ref()).unwrap();
    let secrets = Secrets::open(root.path(), random.as_ref()).unwrap();
    let now = Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap();
    let later = now + Duration::minutes(10);
    let (a, b) = (account(1), account(2));
    let email = |t: &str| index.digest(IndexKind::Email, t);
    let user = |t: &str| index.digest(IndexKind::Username, t);
    // claims
    assert_eq!(claims::claim_pair(&pool, a, &email("a"), &user("a"), now).await.unwrap(), claims::ClaimOutcome::Claimed);
    assert_eq!(claims::claim_pair(&pool, a, &email("a"), &user("a"), later).await.unwrap(), claims::ClaimOutcome::Claimed);
    let holder = claims::Claim { account: a, claimed_at: now };
    assert_eq!(claims::claim_pair(&pool, b, &email("b"), &user("a"), later).await.unwrap(), claims::ClaimOutcome::Taken { kind: IndexKind::Username, holder });
    assert_eq!(claims::find(&pool, &email("b")).await.unwrap(), None, "both or none");
    assert_eq!(claims::find(&pool, &email("a")).await.unwrap(), Some(holder));
    assert!(!claims::take_over(&pool, &email("a"), b, account(3), later).await.unwrap());
    assert!(claims::take_over(&pool, &email("a"), a, b, later).await.unwrap());
    assert_eq!(claims::find(&pool, &email("a")).await.unwrap().unwrap(), claims::Claim { account: b, claimed_at: later });
    claims::release(&pool, a).await.unwrap();
    assert_eq!(claims::find(&pool, &user("a")).await.unwrap(), None);
    // 20 parallel claims of one pair: one winner
    let mut tasks = tokio::task::JoinSet::new();
    for n in 10..30u128 {
        let (pool, e, u) = (pool.clone(), email("race"), user("race"));
        tasks.spawn(async move { claims::claim_pair(&pool, account(n), &e, &u, now).await.unwrap() });
    }
    let outcomes = tasks.join_all().await;
    assert_eq!(outcomes.iter().filter(|o| **o == claims::ClaimOutcome::Claimed).count(), 1);
    // crossing pairs do not deadlock
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..40u128 {
        let (e, u) = if n % 2 == 0 { ("x", "y") } else { ("y", "x") };
        let (pool, e, u) = (pool.clone(), email(e), user(u));
        tasks.spawn(async move { claims::claim_pair(&pool, account(100 + n), &e, &u, now).await.unwrap() });
    }
    tasks.join_all().await;
    // passwords
    assert_eq!(rows::passwords::get(&pool, a).await.unwrap(), None);
    rows::passwords::set(&pool, a, "p1", now).await.unwrap();
    rows::passwords::set(&pool, a, "p2", later).await.unwrap();
    assert_eq!(rows::passwords::get(&pool, a).await.unwrap().as_deref(), Some("p2"));
    rows::passwords::delete(&pool, a).await.unwrap();
    assert_eq!(rows::passwords::get(&pool, a).await.unwrap(), None);
    // sessions
    let s = SessionId(Uuid::from_u128(77));
    let token = SessionToken::generate(s, random.as_ref());
    let digest = secrets.session(&token);
    let other = secrets.session(&SessionToken::generate(s, random.as_ref()));
    sessions::insert_pending(&pool, &sessions::NewSession { session: s, account: a, digest, created_at: now, expires_at: later }).await.unwrap();
    assert_eq!(sessions::authenticate(&pool, s, &digest, now).await.unwrap(), None, "pending");
    assert_eq!(sessions::pending_before(&pool, later, 10).await.unwrap(), [(s, a)]);
    assert_eq!(sessions::pending_before(&pool, now, 10).await.unwrap(), []);
    assert!(sessions::activate(&pool, s).await.unwrap());
    assert!(sessions::activate(&pool, s).await.unwrap());
    assert_eq!(sessions::authenticate(&pool, s, &digest, now).await.unwrap(), Some((s, a)));
    assert_eq!(sessions::authenticate(&pool, s, &other, now).await.unwrap(), None, "another secret");
    assert_eq!(sessions::authenticate(&pool, s, &digest, later).await.unwrap(), None, "expired");
    sessions::touch(&pool, &[(s, later)]).await.unwrap();
    sessions::touch(&pool, &[(s, now)]).await.unwrap();
    let at: chrono::DateTime<Utc> = sqlx::query_scalar("select last_active_at from credentials.sessions").fetch_one(&pool).await.unwrap();
    assert_eq!(at, later);
    assert!(!sessions::revoke(&pool, b, s).await.unwrap(), "foreign");
    sessions::remove(&pool, s).await.unwrap();
    assert_eq!(sessions::authenticate(&pool, s, &digest, now).await.unwrap(), Some((s, a)), "active is not removed");
    assert!(sessions::revoke(&pool, a, s).await.unwrap());
    assert!(!sessions::activate(&pool, s).await.unwrap());
    assert_eq!(sessions::authenticate(&pool, s, &digest, now).await.unwrap(), None);
    assert_eq!(sessions::revoked_before(&pool, later, 10).await.unwrap(), [(s, a)]);
    assert!(sessions::revoke_all(&pool, a).await.unwrap().is_empty());
    sessions::remove(&pool, s).await.unwrap();
    assert_eq!(sessions::revoked_before(&pool, later, 10).await.unwrap(), []);
    // api keys
    let key = ApiKeySecret::generate(Environment::Test, random.as_ref());
    let kid = ApiKeyId(Uuid::from_u128(5));
    let scopes = vec!["generate".to_owned(), "models:read".to_owned()];
    let digest = secrets.api_key(&key);
    let new = api_keys::NewApiKey { key: kid, account: a, secret: &key, digest, scopes: &scopes, created_at: now, expires_at: None };
    api_keys::insert_pending(&pool, &new).await.unwrap();
    let err = api_keys::insert_pending(&pool, &new).await.unwrap_err();
    eprintln!("dup: {err} / {err:?}");
    assert_eq!(api_keys::authenticate(&pool, &key, &digest, now).await.unwrap(), None);
    assert_eq!(api_keys::pending_before(&pool, later, 10).await.unwrap(), [(kid, a)]);
    assert!(api_keys::activate(&pool, kid).await.unwrap());
    let who = api_keys::AuthenticatedApiKey { key: kid, account: a, environment: Environment::Test, scopes: scopes.clone() };
    assert_eq!(api_keys::authenticate(&pool, &key, &digest, now).await.unwrap(), Some(who));
    assert_eq!(api_keys::authenticate(&pool, &key, &other, now).await.unwrap(), None);
    assert_eq!(api_keys::revoke_all(&pool, a).await.unwrap(), [kid]);
    assert_eq!(api_keys::authenticate(&pool, &key, &digest, now).await.unwrap(), None);
    assert_eq!(api_keys::revoked_before(&pool, later, 10).await.unwrap(), [(kid, a)]);
    api_keys::remove(&pool, kid).await.unwrap();
    let new = api_keys::NewApiKey { expires_at: Some(later), ..new };
    api_keys::insert_pending(&pool, &new).await.unwrap();
    api_keys::activate(&pool, kid).await.unwrap();
    assert!(api_keys::authenticate(&pool, &key, &digest, now).await.unwrap().is_some());
    assert!(api_keys::authenticate(&pool, &key, &digest, later).await.unwrap().is_none());
    // mail tokens
    let d = secrets.mail(&MailToken::generate(random.as_ref()));
    use mail_tokens::MailPurpose::VerifyEmail;
    mail_tokens::insert(&pool, &d, a, VerifyEmail, now, later).await.unwrap();
    assert_eq!(mail_tokens::peek(&pool, &d, VerifyEmail, now).await.unwrap(), Some(a));
    assert_eq!(mail_tokens::consume(&pool, &d, VerifyEmail, later).await.unwrap(), None);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let pool = pool.clone();
        tasks.spawn(async move { mail_tokens::consume(&pool, &d, VerifyEmail, now).await.unwrap() });
    }
    assert_eq!(tasks.join_all().await.into_iter().flatten().count(), 1);
    assert_eq!(mail_tokens::peek(&pool, &d, VerifyEmail, now).await.unwrap(), None);
    rows::delete_account(&pool, a).await.unwrap();
    rows::delete_account(&pool, a).await.unwrap();
    let left: i64 = sqlx::query_scalar("select (select count(*) from credentials.api_keys) + (select count(*) from credentials.mail_tokens) + (select count(*) from credentials.sessions)").fetch_one(&pool).await.unwrap();
    assert_eq!(left, 0);
    // a truncated table? not granted
    assert!(sqlx::query("TRUNCATE credentials.claims").execute(&pool).await.is_err());
    eprintln!("sql ok");
}
