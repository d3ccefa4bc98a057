//! Sessions: where and when they are used, how long they count, how they end together, and the token that changes at a step-up
//! (V09, V10, U37, U38, sec.S6, sec.S7).

use atelier_commands::CommandError;
use atelier_commands::reconciler::reconcile;
use atelier_commands::use_cases::{OpenSession, Proof};
use atelier_domain::account::{Account, AccountCommand, Role};
use atelier_vault::credential_rows::sessions;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};

use super::{counts, sign_in, sign_in_raw};
use crate::harness::TestStudio;
use crate::harness::process::until;
use crate::harness::studio::PASSWORD;

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
const LIST: &str = "{ me { sessions { id current device place lastActiveAt startedAt expiresAt } } }";
const REAUTHENTICATE: &str =
    "mutation($password: String!) { reauthenticate(input: {password: $password}) { token userErrors { code field } } }";

async fn set(studio: &TestStudio, statement: &str) -> u64 {
    sqlx::query(statement).execute(&studio.database.pool).await.expect("set").rows_affected()
}

#[tokio::test(flavor = "multi_thread")]
async fn v09_u38_the_list_says_which_device_and_when_and_no_row_says_it_in_the_clear() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    sign_in(&studio, &[("user-agent", FIREFOX)], &ada.email, PASSWORD).await;
    studio.drain().await;
    let list = studio.graphql(Some(&ada.token), LIST, json!({})).await["me"]["sessions"].take();
    let list = list.as_array().expect("a list");
    assert_eq!(
        (list[0]["device"].as_str(), list[0]["current"].as_bool()),
        (Some("Firefox on Linux"), Some(false)),
        "{list:?}"
    );
    assert_eq!((&list[1]["current"], &list[1]["place"]), (&json!(true), &Value::Null), "no file of places, no place");
    let device: String = sqlx::query_scalar("select device from credentials.sessions where device is not null")
        .fetch_one(&studio.database.pool)
        .await
        .expect("the rows answer");
    assert!(device.starts_with("r1.") && !device.contains("Firefox"), "{device}");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v09_the_last_use_is_written_in_batches_and_at_the_stop() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    set(&studio, "update credentials.sessions set last_active_at = last_active_at - interval '5 minutes'").await;
    let before = studio.node.studio.write.now();
    let last = "select last_active_at from credentials.sessions";
    let row = async || -> chrono::DateTime<chrono::Utc> {
        sqlx::query_scalar(last).fetch_one(&studio.database.pool).await.expect("the rows answer")
    };
    let written = async || -> i64 {
        sqlx::query_scalar("select xmin::text::int8 from credentials.sessions")
            .fetch_one(&studio.database.pool)
            .await
            .expect("a row")
    };
    // Whoever writes the rows now fails: the batches of the node, which come by themselves, and keep their notes for later.
    studio.as_superuser("revoke update on credentials.sessions from atelier_app").await;
    let version = written().await;
    for _ in 0..50 {
        assert!(counts(&studio, &ada.token).await, "no request writes its row");
    }
    assert_eq!(written().await, version);
    studio.as_superuser("grant update on credentials.sessions to atelier_app").await;
    // A batch of the node's own may be failing still, and has the notes until then.
    until("the batch", async || {
        studio.node.studio.activity.flush(&studio.database.pool).await.expect("the rows answer");
        (row().await >= before).then_some(())
    })
    .await;
    // A row that is young is not noted again.
    let version = written().await;
    assert!(counts(&studio, &ada.token).await);
    studio.node.studio.activity.flush(&studio.database.pool).await.expect("the rows answer");
    assert_eq!(written().await, version);
    // The stop writes what is noted.
    set(&studio, "update credentials.sessions set last_active_at = last_active_at - interval '5 minutes'").await;
    assert!(counts(&studio, &ada.token).await);
    let pool = studio.database.pool.clone();
    studio.node.studio.stop().await;
    let row: chrono::DateTime<chrono::Utc> = sqlx::query_scalar(last).fetch_one(&pool).await.expect("the rows answer");
    assert!(row >= before);
}

#[tokio::test(flavor = "multi_thread")]
async fn u37_a_session_slides_for_thirty_days_and_twelve_hours_with_a_role_and_ends_absolutely() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    let idle = async |days: i32, hours: i32| {
        let idle = "update credentials.sessions set last_active_at = now() - make_interval(days => $1, hours => $2) + interval '1 minute'";
        sqlx::query(idle).bind(days).bind(hours).execute(&studio.database.pool).await.expect("set");
    };
    idle(30, 0).await;
    assert!(counts(&studio, &ada.token).await, "just used in time");
    idle(30, 1).await;
    assert!(!counts(&studio, &ada.token).await, "idle for too long");
    // With a role, half a day.
    let target = atelier_commands::command_path::Target { id: account.to_string(), subject: account };
    let grant = |_| AccountCommand::GrantRole { role: Role::Support };
    studio.node.studio.write.path.execute::<Account>(&target, &studio.operator(), None, grant).await.expect("granted");
    studio.drain().await;
    let token = studio.sign_in(&ada.email, PASSWORD).await;
    idle(0, 12).await;
    assert!(counts(&studio, &token).await);
    idle(0, 13).await;
    assert!(!counts(&studio, &token).await);
    // Used all the time, it ends all the same.
    let token = studio.sign_in(&ada.email, PASSWORD).await;
    set(&studio, "update credentials.sessions set expires_at = now()").await;
    assert!(!counts(&studio, &token).await);
    // The dead rows go, in rounds.
    assert!(reconcile(&studio.node.studio.write).await.expect("a round").expired_rows >= 2);
    assert_eq!(set(&studio, "delete from credentials.sessions where state = 'active'").await, 0);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v10_the_other_sessions_or_all_end_on_the_very_next_request() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let ben = studio.newcomer("ben").await;
    let (phone, tablet) = (studio.sign_in(&ada.email, PASSWORD).await, studio.sign_in(&ada.email, PASSWORD).await);
    let others = "mutation { revokeOtherSessions { userErrors { code } position } }";
    let revoked = studio.mutate(Some(&phone), others, json!({})).await;
    assert!(counts(&studio, &phone).await);
    for token in [&tablet, &ada.token] {
        assert!(!counts(&studio, token).await);
    }
    let list = "query($position: String) { me(minPosition: $position) { sessions { current } } }";
    let list = studio.graphql(Some(&phone), list, json!({ "position": revoked["position"] })).await;
    assert_eq!(list["me"]["sessions"], json!([{ "current": true }]));
    let all = "mutation { revokeAllSessions { userErrors { code } position } }";
    studio.mutate(Some(&phone), all, json!({})).await;
    assert!(!counts(&studio, &phone).await);
    assert!(counts(&studio, &ben.token).await, "another's go on");
    studio.drain().await;
    assert_eq!(studio.events_named("SessionEnded").await, 3);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v10_a_session_that_begins_while_all_are_ended_counts_only_if_the_log_has_it() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    // The rows are looked at and not written yet.
    let mut holder = PgConnection::connect(&studio.database.superuser_url).await.expect("the superuser connects");
    holder.execute("begin; select from credentials.sessions for update").await.expect("they are held");
    let all = "mutation { revokeAllSessions { userErrors { code } position } }";
    let meanwhile = async {
        let waits = "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' \
                     and query like '%credentials.sessions%revoked%' and pid <> pg_backend_pid())";
        until("the rows to be waited for", async || {
            // Not by the holder: in one transaction the activity is looked at once.
            let waits = sqlx::query_scalar::<_, bool>(waits).fetch_one(&studio.database.pool).await;
            waits.expect("the activity is told").then_some(())
        })
        .await;
        let begun = studio.session_of(account).await;
        holder.execute("commit").await.expect("they are free");
        begun
    };
    let (_, begun) = tokio::join!(studio.mutate(Some(&ada.token), all, json!({})), meanwhile);
    assert_eq!(studio.events_named("SessionEnded").await, 2, "in the log both have ended");
    assert!(!counts(&studio, &begun).await && !counts(&studio, &ada.token).await, "and count no more");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s6_s7_a_step_up_proves_anew_and_changes_the_token() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let refused = studio.graphql(Some(&ada.token), REAUTHENTICATE, json!({ "password": "wrong-horse-1" })).await;
    assert_eq!(
        refused["reauthenticate"]["userErrors"],
        json!([{ "code": "INVALID_CREDENTIALS", "field": "password" }])
    );
    assert!(counts(&studio, &ada.token).await);
    set(&studio, "update credentials.sessions set proved_at = proved_at - interval '1 hour'").await;
    let proved = studio.mutate(Some(&ada.token), REAUTHENTICATE, json!({ "password": PASSWORD })).await;
    let token = proved["token"].as_str().expect("a token").to_owned();
    assert_ne!(token, ada.token);
    assert!(!counts(&studio, &ada.token).await, "the old one is dead at once");
    assert!(counts(&studio, &token).await);
    let fresh: bool = sqlx::query_scalar("select proved_at > now() - interval '1 minute' from credentials.sessions")
        .fetch_one(&studio.database.pool)
        .await
        .expect("the rows answer");
    assert!(fresh);
    // The cookie follows.
    let answer = studio
        .graphql_with(&[("authorization", &format!("Bearer {token}"))], REAUTHENTICATE, json!({ "password": PASSWORD }))
        .await;
    let cookie = answer.headers["set-cookie"].to_str().expect("ASCII").to_owned();
    let next = answer.json()["data"]["reauthenticate"]["token"].as_str().expect("a token").to_owned();
    assert!(cookie.starts_with(&format!("atelier-session-dev={next};")), "{cookie}");
    // Wrong ones slow down, whatever session they come from.
    let mut codes = Vec::new();
    for _ in 0..12 {
        let answer = studio.graphql(Some(&next), REAUTHENTICATE, json!({ "password": "wrong-horse-1" })).await;
        codes.push(super::code(&answer["reauthenticate"]).to_owned());
    }
    assert_eq!(codes.iter().filter(|code| *code == "INVALID_CREDENTIALS").count(), 11, "{codes:?}");
    assert_eq!(codes[11], "RATE_LIMITED");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s6_every_sign_in_has_a_token_of_its_own() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    // A client that offers a session of its own choosing is given another one.
    let offered = format!("atelier-session-dev={}", ada.token);
    let signed_in = sign_in_raw(&studio, &[("cookie", &offered)], &ada.email, PASSWORD).await.json();
    let token = signed_in["data"]["signIn"]["token"].as_str().expect("a token").to_owned();
    assert_ne!(token, ada.token);
    assert!(counts(&studio, &token).await);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s6_no_session_begins_by_a_password_that_was_changed_meanwhile() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    let write = &studio.node.studio.write;
    // The sign-in checked version 1; before it goes on, the password becomes version 2.
    set(&studio, "update credentials.passwords set version = version + 1").await;
    let open = OpenSession { account, proof: Proof::Password(1), origin: atelier_commands::Origin::default() };
    let opened = open.clone().run(write, &studio.operator()).await;
    assert!(matches!(opened, Err(CommandError::Refused(_))), "{opened:?}");
    let active = "select count(*) from credentials.sessions where state = 'active'";
    let count: i64 = sqlx::query_scalar(active).fetch_one(&studio.database.pool).await.expect("the rows answer");
    assert_eq!(count, 1, "hers of before");
    // Its row is dead for good: no reconciler brings it back.
    set(&studio, "update credentials.sessions set created_at = created_at - interval '1 hour'").await;
    reconcile(write).await.expect("a round");
    let count: i64 = sqlx::query_scalar(active).fetch_one(&studio.database.pool).await.expect("the rows answer");
    assert_eq!(count, 1);
    let opened =
        OpenSession { proof: Proof::Password(2), ..open }.run(write, &studio.operator()).await.expect("it holds");
    assert!(
        sessions::details(&write.pool, account, write.now())
            .await
            .expect("rows")
            .iter()
            .any(|row| row.session == opened.session)
    );
    studio.stop().await;
}
