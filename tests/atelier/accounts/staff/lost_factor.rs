//! A lost second factor: off after a day, with a mail at once, unless its owner says no in any of three ways (U36).

use atelier_commands::process::Work;
use atelier_commands::use_cases::StaffResetTwoFactor;
use atelier_commands::use_cases::staff_desk::Desk;
use atelier_domain::account::{AccountCommand, Role, StaffCommand, StaffOrder};
use atelier_domain::text::StaffReason;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::types::Json;

use super::super::code;
use super::super::notices::subjects;
use super::super::second_factor::{challenge, code_now, complete, guarded};
use super::{ask, command, done, id, staff, state};
use crate::harness::TestStudio;
use crate::harness::studio::Person;

const ASKED: &str = "Staff were asked to turn your two-factor sign-in off";
const KEEP: &str =
    "mutation($token: String) { keepTwoFactor(input: {token: $token}) { userErrors { code } position } }";

/// The token of the newest mail's link that keeps the factor on.
async fn link(studio: &TestStudio, address: &str) -> String {
    studio.drain().await;
    for mail in studio.node.mailbox.list(1_000).await.expect("the mailbox can be read") {
        let read = studio.node.mailbox.read(&mail.file).await.expect("a mail").expect("a listed mail is there");
        if let Some((_, rest)) = read.text.split_once("/keep-two-factor?token=").filter(|_| mail.to == address) {
            return rest.lines().next().expect("a token").trim().to_owned();
        }
    }
    panic!("no mail with this link");
}

/// What the settings of the owner show of it.
async fn pending_reset(studio: &TestStudio, person: &Person) -> Value {
    let me = studio.me(&person.token, "twoFactor { enabled pendingReset { dueAt reason } }").await;
    me["twoFactor"]["pendingReset"].clone()
}

/// The timers that wait for it: when each is due.
async fn timers(studio: &TestStudio) -> Vec<DateTime<Utc>> {
    let rows: Vec<(Json<Work>, DateTime<Utc>)> =
        sqlx::query_as("select payload, due_at from process_work where lane = 'timer'")
            .fetch_all(&studio.database.pool)
            .await
            .expect("the rows answer");
    let off = |(Json(work), due): (Json<Work>, _)| matches!(work, Work::TurnTwoFactorOff { .. }).then_some(due);
    rows.into_iter().filter_map(off).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn u36_it_waits_a_day_in_the_database_and_its_owner_is_told_at_once() {
    let studio = TestStudio::start().await;
    let (ada, support) = (guarded(&studio, "ada").await, staff(&studio, "sam", Role::Support).await);
    let of_ada = studio.account(&ada.person).await;
    let account = id(of_ada);
    let ben = studio.newcomer("ben").await;
    let off = ask(&studio, &support, "staffResetTwoFactor", &id(studio.account(&ben).await), json!({})).await;
    assert_eq!(code(&off), "NOT_POSSIBLE_NOW", "there is nothing to turn off");
    let asked_at = studio.node.studio.write.now();
    let payload = done(&studio, &support, "staffResetTwoFactor", &account, json!({})).await;
    let due: DateTime<Utc> = payload["dueAt"].as_str().expect("a time").parse().expect("a time");
    assert!((due - asked_at - TimeDelta::hours(24)).num_seconds().abs() < 60, "{due}");
    assert_eq!(
        pending_reset(&studio, &ada.person).await["dueAt"],
        payload["dueAt"],
        "its owner sees it in the settings"
    );
    assert!(pending_reset(&studio, &ada.person).await["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
    let twice = ask(&studio, &support, "staffResetTwoFactor", &account, json!({})).await;
    assert_eq!(code(&twice), "NOT_POSSIBLE_NOW");
    assert_eq!(subjects(&studio, &ada.person.email).await.last().map(String::as_str), Some(ASKED));
    assert_eq!(timers(&studio).await, [due], "a restart does not lose it");
    // Its row made due by a clock that is wrong: the account itself says it is not.
    let rush = "update process_work set due_at = now(), payload = jsonb_set(payload, '{at}', to_jsonb(now() - interval '1 hour')) where payload->>'kind' = 'turn_two_factor_off'";
    sqlx::query(rush).execute(&studio.database.pool).await.expect("set");
    studio.drain().await;
    assert!(timers(&studio).await.is_empty(), "it was delivered");
    assert!(state(&studio, of_ada).await.two_factor(), "and refused");
    let waiting = challenge(&studio, &ada.person.email).await;
    assert_eq!(code(&complete(&studio, &waiting, "000000").await), "INVALID_CODE", "signing in takes the code still");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u36_the_owner_says_no_by_the_link_by_a_code_or_signed_in() {
    let studio = TestStudio::start().await;
    let (ada, support) = (guarded(&studio, "ada").await, staff(&studio, "sam", Role::Support).await);
    let of_ada = studio.account(&ada.person).await;
    let account = id(of_ada);
    let pending = async || state(&studio, of_ada).await.two_factor_reset().is_some();
    let request = async || {
        done(&studio, &support, "staffResetTwoFactor", &account, json!({})).await;
        assert!(pending().await);
    };
    // Opening the page is not yet a no; its button is, once.
    request().await;
    let token = link(&studio, &ada.person.email).await;
    let page = studio.get(&format!("/keep-two-factor?token={token}"), None).await;
    assert!(page.status.is_success() && page.text.contains("method=\"post\"") && pending().await, "{}", page.text);
    let press = async || {
        let button = studio.client().post(format!("{}/keep-two-factor", studio.url));
        let form = button.header("content-type", "application/x-www-form-urlencoded").body(format!("token={token}"));
        form.send().await
    };
    assert!(press().await.expect("an answer").status().is_success() && !pending().await);
    assert_eq!(press().await.expect("an answer").status().as_u16(), 400, "used up");
    let used = studio.graphql(None, KEEP, json!({ "token": token })).await["keepTwoFactor"].take();
    assert_eq!(code(&used), "INVALID_TOKEN");
    // Signed in.
    request().await;
    studio.mutate(Some(&ada.person.token), KEEP, json!({ "token": Value::Null })).await;
    assert!(!pending().await);
    // Who passes it has it.
    request().await;
    let waiting = challenge(&studio, &ada.person.email).await;
    let code = code_now(&studio, &ada.secret).await;
    assert!(complete(&studio, &waiting, &code).await["token"].is_string() && !pending().await);
    studio.drain().await;
    assert_eq!(studio.events_named("TwoFactorResetStopped").await, 3);
    assert!(state(&studio, of_ada).await.two_factor());
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u36_when_it_is_due_it_goes_off_in_the_name_and_for_the_reason_it_was_asked_for() {
    let studio = TestStudio::start().await;
    let (ada, support) = (guarded(&studio, "ada").await, staff(&studio, "sam", Role::Support).await);
    let (of_ada, of_support) = (studio.account(&ada.person).await, studio.account(&support).await);
    let reason = StaffReason::parse("she called from the registered number").expect("a reason");
    let now = studio.node.studio.write.now() - TimeDelta::hours(24);
    let asked = StaffCommand::RequestTwoFactorReset { address: None, now };
    let order = StaffOrder { staff: Some(of_support), reason };
    command(&studio, of_ada, AccountCommand::ByStaff { order, command: asked }).await;
    studio.drain().await;
    assert!(!state(&studio, of_ada).await.two_factor());
    studio.sign_in(&ada.person.email, crate::harness::studio::PASSWORD).await;
    let history = "{ me { history(first: 4) { edges { node { kind actor detail reason } } } } }";
    let me = studio.graphql(Some(&ada.person.token), history, json!({})).await;
    let lines: Vec<Value> =
        me["me"]["history"]["edges"].as_array().expect("a page").iter().map(|edge| edge["node"].clone()).collect();
    let acted = |detail: &str| json!({ "kind": "STAFF_ACTION", "actor": "STAFF", "detail": detail, "reason": "she called from the registered number" });
    assert_eq!(lines[0]["kind"], json!("SESSION_STARTED"));
    assert_eq!(lines[1], acted("two_factor_disabled"));
    assert_eq!((&lines[2]["kind"], &lines[2]["detail"]), (&json!("TWO_FACTOR_DISABLED"), &json!("staff")));
    assert_eq!(lines[3], acted("two_factor_reset_requested"));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u36_an_address_and_a_second_factor_are_not_taken_away_within_one_week() {
    let studio = TestStudio::start().await;
    let (ada, support) = (guarded(&studio, "ada").await, staff(&studio, "sam", Role::Support).await);
    let of_ada = studio.account(&ada.person).await;
    let account = id(of_ada);
    let (new, later) = (json!({ "email": "ada@new.example" }), TimeDelta::days(7));
    done(&studio, &support, "staffResetTwoFactor", &account, json!({})).await;
    let change = ask(&studio, &support, "staffChangeEmail", &account, new.clone()).await;
    assert_eq!(code(&change), "NOT_POSSIBLE_NOW", "its owner is being asked at the old one");
    studio.mutate(None, KEEP, json!({ "token": link(&studio, &ada.person.email).await })).await;
    done(&studio, &support, "staffChangeEmail", &account, new).await;
    let unproven = ask(&studio, &support, "staffResetTwoFactor", &account, json!({})).await;
    assert_eq!(code(&unproven), "NOT_POSSIBLE_NOW");
    let verify = "mutation($token: String!) { verifyEmail(input: {token: $token, password: \"correct-horse-1\"}) { userErrors { code } position } }";
    studio.mutate(None, verify, json!({ "token": studio.mailed_token("ada@new.example").await })).await;
    let at_once = ask(&studio, &support, "staffResetTwoFactor", &account, json!({})).await;
    assert_eq!(code(&at_once), "NOT_POSSIBLE_NOW", "who has the new address would be the only one asked");
    let reset =
        |reason: &str| StaffResetTwoFactor { desk: Desk::console(), account: Ok(of_ada), reason: reason.to_owned() };
    let early = reset("early").run(&studio.at(later - TimeDelta::hours(1)), &studio.operator()).await;
    assert!(early.is_err());
    reset("a week later").run(&studio.at(later), &studio.operator()).await.expect("asked");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u36_what_a_withdrawn_role_has_begun_goes_no_further() {
    let studio = TestStudio::start().await;
    let (ada, support) = (guarded(&studio, "ada").await, staff(&studio, "sam", Role::Support).await);
    let (of_ada, of_support) = (studio.account(&ada.person).await, studio.account(&support).await);
    let reason = StaffReason::parse("ticket 7").expect("a reason");
    let console = StaffOrder { staff: None, reason: reason.clone() };
    let withdraw = StaffCommand::WithdrawRole { role: Role::Support };
    command(&studio, of_support, AccountCommand::ByStaff { order: console, command: withdraw }).await;
    let now = studio.node.studio.write.now() - TimeDelta::hours(24);
    let asked = StaffCommand::RequestTwoFactorReset { address: None, now };
    let order = StaffOrder { staff: Some(of_support), reason };
    command(&studio, of_ada, AccountCommand::ByStaff { order, command: asked }).await;
    studio.drain().await;
    assert!(state(&studio, of_ada).await.two_factor());
    assert_eq!(studio.events_named("TwoFactorResetStopped").await, 1);
    studio.stop().await;
}
