//! Roles: by the account's own state, with a second factor, never by input; and the last admin (sec.A1, sec.A2, U37).

use std::sync::{Arc, Mutex};

use atelier_commands::Origin;
use atelier_commands::command_path::Target;
use atelier_commands::ports::Clock;
use atelier_commands::use_cases::{Desk, OpenSession, Proof, Right, StaffGrantRole, StaffWithdrawRole};
use atelier_domain::account::{Account, AccountCommand, Role};
use chrono::{DateTime, Utc};
use futures::future::join_all;
use serde_json::{Value, json};

use super::super::{code, counts};
use super::{ask, command, done, id, staff, state};
use crate::harness::TestStudio;
use crate::harness::studio::Person;

const NAMES: [&str; 6] = [
    "staffChangeEmail",
    "staffResetTwoFactor",
    "staffEndSessions",
    "staffRevokeApiKey",
    "staffGrantRole",
    "staffWithdrawRole",
];

fn more(name: &str) -> Value {
    match name {
        "staffChangeEmail" => json!({ "email": "new@example.com" }),
        "staffRevokeApiKey" => json!({ "apiKeyId": "key_00000000000000000000000000000001" }),
        "staffGrantRole" | "staffWithdrawRole" => json!({ "role": "SUPPORT" }),
        _ => json!({}),
    }
}

/// A clock during whose first look something happens.
struct Meanwhile {
    clock: Arc<dyn Clock>,
    happens: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Clock for Meanwhile {
    fn now(&self) -> DateTime<Utc> {
        let happens = self.happens.lock().expect("nobody panics with it").take();
        if let Some(happens) = happens {
            happens();
        }
        self.clock.now()
    }
}

async fn head(studio: &TestStudio) -> i64 {
    studio.drain().await;
    studio.head().await
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_a2_a_role_is_needed_and_whoever_has_none_learns_nothing() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (ben, auditor) = (studio.newcomer("ben").await, staff(&studio, "iris", Role::Auditor).await);
    let support = staff(&studio, "sam", Role::Support).await;
    let account = id(studio.account(&ada).await);
    let nobody = "acc_00000000000000000000000000000009";
    let before = head(&studio).await;
    for (who, names) in [(&ben, &NAMES[..]), (&auditor, &NAMES[..]), (&support, &NAMES[4..])] {
        for name in names {
            let known = ask(&studio, who, name, &account, more(name)).await;
            assert_eq!(code(&known), "FORBIDDEN", "{name}: {known}");
            for other in [nobody, "nonsense"] {
                assert_eq!(ask(&studio, who, name, other, more(name)).await, known, "{name} tells nothing");
            }
        }
    }
    assert_eq!(head(&studio).await, before, "nothing was done, nothing recorded");
    // Whoever may is told what there is.
    let unknown = ask(&studio, &support, "staffEndSessions", nobody, json!({})).await;
    assert_eq!(code(&unknown), "NOT_FOUND");
    let empty = ask(&studio, &support, "staffEndSessions", &account, json!({ "reason": " " })).await;
    assert_eq!((code(&empty), &empty["userErrors"][0]["field"]), ("INVALID_FIELD", &json!("reason")));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_a2_s7_a_role_takes_the_second_factor_and_a_fresh_proof_and_is_no_help_to_oneself() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (support, admin) = (staff(&studio, "sam", Role::Support).await, staff(&studio, "kim", Role::Admin).await);
    let account = id(studio.account(&ada).await);
    let (own, chief) = (studio.account(&support).await, studio.account(&admin).await);
    assert_eq!(code(&ask(&studio, &support, "staffEndSessions", &id(own), json!({})).await), "FORBIDDEN", "oneself");
    assert_eq!(code(&ask(&studio, &support, "staffEndSessions", &id(chief), json!({})).await), "FORBIDDEN", "a role");
    assert_eq!(
        code(&ask(&studio, &admin, "staffGrantRole", &id(chief), json!({ "role": "AUDITOR" })).await),
        "FORBIDDEN"
    );
    let aged = "update credentials.sessions set proved_at = proved_at - make_interval(mins => $1)";
    let age = async |minutes: i32| sqlx::query(aged).bind(minutes).execute(&studio.database.pool).await.expect("aged");
    age(11).await;
    let stale = ask(&studio, &support, "staffEndSessions", &account, json!({})).await;
    assert_eq!(code(&stale), "REAUTHENTICATION_REQUIRED");
    age(-11).await;
    command(&studio, own, AccountCommand::DisableTwoFactor).await;
    let bare = ask(&studio, &support, "staffEndSessions", &account, json!({})).await;
    assert_eq!(code(&bare), "TWO_FACTOR_REQUIRED");
    command(&studio, own, AccountCommand::EnableTwoFactor).await;
    done(&studio, &support, "staffEndSessions", &account, json!({})).await;
    done(&studio, &admin, "staffEndSessions", &id(own), json!({})).await;
    assert!(!counts(&studio, &support.token).await, "an admin acts on accounts with roles");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_a2_u37_a_role_begins_and_ends_with_new_sessions_and_is_gone_on_the_very_next_request() {
    let studio = TestStudio::start().await;
    let admin = staff(&studio, "kim", Role::Admin).await;
    let ben = studio.newcomer("ben").await;
    let account = studio.account(&ben).await;
    done(&studio, &admin, "staffGrantRole", &id(account), json!({ "role": "SUPPORT" })).await;
    assert!(!counts(&studio, &ben.token).await, "sec.S6: the session from before has ended");
    command(&studio, account, AccountCommand::EnableTwoFactor).await;
    let support = Person { token: studio.session_of(account).await, ..ben };
    let idle =
        "update credentials.sessions set last_active_at = now() - make_interval(hours => $1) where account_id = $2";
    let idle = async |hours: i32| {
        sqlx::query(idle).bind(hours).bind(account.0).execute(&studio.database.pool).await.expect("set");
    };
    idle(11).await;
    assert!(counts(&studio, &support.token).await);
    idle(12).await;
    assert!(!counts(&studio, &support.token).await, "U37: twelve hours");
    idle(0).await;
    let ada = studio.newcomer("ada").await;
    let somebody = id(studio.account(&ada).await);
    done(&studio, &support, "staffEndSessions", &somebody, json!({})).await;
    done(&studio, &admin, "staffWithdrawRole", &id(account), json!({ "role": "SUPPORT" })).await;
    assert!(!counts(&studio, &support.token).await);
    // Another session, whose row knows nothing of roles: the account's own state decides.
    let later = Person { token: studio.session_of(account).await, ..support };
    assert_eq!(code(&ask(&studio, &later, "staffEndSessions", &somebody, json!({})).await), "FORBIDDEN");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_s6_whoever_dies_between_the_role_and_the_rows_is_followed_by_work_that_ends_the_sessions() {
    let studio = TestStudio::start().await;
    let ben = studio.newcomer("ben").await;
    let account = studio.account(&ben).await;
    // The append alone: what a process leaves that dies right after it.
    command(&studio, account, AccountCommand::GrantRole { role: Role::Admin }).await;
    studio.drain().await;
    assert!(!counts(&studio, &ben.token).await);
    let roles: Vec<String> = sqlx::query_scalar("select roles from credentials.staff_roles where account_id = $1")
        .bind(account.0)
        .fetch_one(&studio.database.pool)
        .await
        .expect("a row");
    assert_eq!(roles, ["admin"], "and it is found");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_a2_the_last_admin_stays_one_and_two_who_remove_each_other_leave_one() {
    let studio = TestStudio::start().await;
    let (kim, lee) = (staff(&studio, "kim", Role::Admin).await, staff(&studio, "lee", Role::Admin).await);
    let (of_kim, of_lee) = (studio.account(&kim).await, studio.account(&lee).await);
    let admin = json!({ "role": "ADMIN" });
    let (write, context) = (&studio.node.studio.write, studio.operator());
    let mut left = of_kim;
    for round in 0..8 {
        // Both are past the desk before either is withdrawn: only the lock makes them come one after the other.
        let mut removals = Vec::new();
        for (who, account) in [(of_kim, of_lee), (of_lee, of_kim)] {
            let desk = Desk::admit(write, who, Right::Appoint).await.expect("an admin");
            removals.push(StaffWithdrawRole {
                desk,
                account: Ok(account),
                role: Role::Admin,
                reason: "a quarrel".to_owned(),
            });
        }
        let answers = join_all(removals.into_iter().map(|removal| removal.run(write, &context))).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "round {round}: {answers:?}");
        let gone = if state(&studio, of_kim).await.has_role(Role::Admin) { of_lee } else { of_kim };
        left = if gone == of_kim { of_lee } else { of_kim };
        assert!(state(&studio, left).await.has_role(Role::Admin), "round {round}");
        let again = StaffGrantRole {
            desk: Desk::console(),
            account: Ok(gone),
            role: Role::Admin,
            reason: "made up".to_owned(),
        };
        again.run(write, &context).await.expect("granted");
    }
    let (desk, other) = (Desk::console(), if left == of_kim { of_lee } else { of_kim });
    let alone = StaffWithdrawRole { desk, account: Ok(other), role: Role::Admin, reason: "moved on".to_owned() };
    alone.run(write, &context).await.expect("withdrawn");
    let admins = [left];
    let last = Person { token: studio.session_of(admins[0]).await, email: String::new() };
    let refused = ask(&studio, &last, "staffWithdrawRole", &id(admins[0]), admin.clone()).await;
    assert_eq!(code(&refused), "NOT_POSSIBLE_NOW", "{refused}");
    done(&studio, &last, "staffGrantRole", &id(other), admin.clone()).await;
    done(&studio, &last, "staffWithdrawRole", &id(admins[0]), admin).await;
    assert!(!state(&studio, admins[0]).await.has_role(Role::Admin), "with another one, one may give one's own up");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u37_a_session_that_begins_while_a_role_comes_has_twelve_hours_too() {
    let studio = TestStudio::start().await;
    let ben = studio.newcomer("ben").await;
    let (account, mut write) = (studio.account(&ben).await, studio.node.studio.write.clone());
    let (path, context) = (write.path.clone(), studio.operator());
    // A sign-in asks for the time after its first look at the roles, and before its append.
    let granted = move || {
        let target = Target { id: account.to_string(), subject: account };
        let grant =
            path.execute::<Account>(&target, &context, None, |_| AccountCommand::GrantRole { role: Role::Support });
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(grant)).expect("granted");
    };
    let clock = write.ports.clock.clone();
    write.ports.clock = Arc::new(Meanwhile { clock, happens: Mutex::new(Some(Box::new(granted))) });
    let open = OpenSession { account, proof: Proof::Identity, origin: Origin::default() };
    let opened = open.run(&write, &studio.operator()).await.expect("a session");
    studio.drain().await;
    assert!(!counts(&studio, &ben.token).await, "the role came, and ended what was there");
    for (hours, left) in [(11, true), (12, false)] {
        let idle =
            "update credentials.sessions set last_active_at = now() - make_interval(hours => $1) where session_id = $2";
        let idle = sqlx::query(idle).bind(hours).bind(opened.session.0);
        idle.execute(&studio.database.pool).await.expect("set");
        assert_eq!(counts(&studio, opened.token.expose()).await, left, "{hours} hours");
    }
    studio.stop().await;
}
