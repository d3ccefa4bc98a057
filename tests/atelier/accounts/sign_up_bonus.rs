//! One sign-up bonus for a mailbox, however its address is written, and none again within a year of a deletion (U19).

use atelier_commands::command_path::Target;
use atelier_commands::erasure;
use atelier_commands::process::{Work, enqueue};
use atelier_commands::reconciler::reconcile;
use atelier_domain::account::{Account, AccountCommand, StaffCommand, StaffOrder};
use atelier_domain::policy::mailboxes::mailbox_of;
use atelier_domain::text::{Email, StaffReason};
use atelier_domain::{AccountId, LotId};
use atelier_vault::credential_rows::bonus_marks;
use chrono::{DateTime, TimeDelta, Utc};

use crate::harness::TestStudio;
use crate::harness::studio::Person;

/// The bonus, and what a newcomer of a test has: theirs, by the address of their own.
const BONUS: i64 = 500;

async fn command(studio: &TestStudio, account: AccountId, command: AccountCommand) {
    let target = Target { id: account.to_string(), subject: account };
    let path = &studio.node.studio.write.path;
    path.execute::<Account>(&target, &studio.operator(), None, |_| command.clone()).await.expect("it is done");
}

/// Somebody who has another address by now.
async fn at_address(studio: &TestStudio, username: &str, address: &str) -> (Person, AccountId) {
    let person = studio.newcomer(username).await;
    let account = studio.account(&person).await;
    let order = StaffOrder { staff: None, reason: StaffReason::parse("a new address").expect("a reason") };
    let email = Email::parse(address).expect("an address");
    let change = StaffCommand::ChangeEmail { unchanged: false, email };
    command(studio, account, AccountCommand::ByStaff { order, command: change }).await;
    studio.drain().await;
    (person, account)
}

fn fresh_lot(studio: &TestStudio) -> LotId {
    LotId(studio.node.studio.write.fresh_id())
}

/// Asks for a bonus as `Welcome` does, without waiting for it.
async fn asked(studio: &TestStudio, account: AccountId, lot: LotId) {
    let work = Work::GrantSignUpBonus { account, lot };
    enqueue(&studio.database.pool, &format!("Welcome:{}:0", lot.0), &work).await.expect("work is enqueued");
}

async fn welcomed(studio: &TestStudio, account: AccountId) {
    asked(studio, account, fresh_lot(studio)).await;
    studio.drain().await;
}

async fn credits(studio: &TestStudio, account: AccountId) -> i64 {
    let token = studio.session_of(account).await;
    studio.drain().await;
    studio.me(&token, "credits { available }").await["credits"]["available"].as_i64().expect("a number")
}

/// Every mark: whether a grant is on its way in it, and when it ends.
async fn marks(studio: &TestStudio) -> Vec<(bool, Option<DateTime<Utc>>)> {
    let all = "select holder is not null, ends_at from credentials.bonus_marks order by ends_at nulls first";
    sqlx::query_as(all).fetch_all(&studio.database.pool).await.expect("the rows answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn u19_one_bonus_for_a_mailbox_however_its_address_is_written() {
    let studio = TestStudio::start().await;
    for (username, address, expected) in [
        ("ada", "ada.lovelace@gmail.com", 2 * BONUS),
        ("ben", "AdaLovelace+2@googlemail.com", BONUS),
        ("cyd", "ADA.LOVELACE@GMAIL.COM", BONUS),
        ("dan", "ada.lovelace@outlook.com", 2 * BONUS),
        ("eve", "adalovelace@outlook.com", 2 * BONUS),
        ("fay", "Ada.Lovelace+x@Outlook.com", BONUS),
        ("gus", "ada.lovelace@b\u{fc}cher.example", 2 * BONUS),
        ("hal", "Ada.Lovelace@B\u{dc}CHER.example", BONUS),
    ] {
        let (_, account) = at_address(&studio, username, address).await;
        welcomed(&studio, account).await;
        assert_eq!(credits(&studio, account).await, expected, "{address}");
    }
    assert!(
        marks(&studio).await.iter().all(|(on_its_way, ends)| !on_its_way && ends.is_none()),
        "nobody's, while they live"
    );
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u19_of_many_at_once_one_is_granted() {
    let studio = TestStudio::start().await;
    let mut accounts = Vec::new();
    for n in 0..8 {
        accounts.push(at_address(&studio, &format!("ada{n}x"), &format!("ada+{n}@gmail.com")).await.1);
    }
    for account in &accounts {
        asked(&studio, *account, fresh_lot(&studio)).await;
    }
    studio.drain().await;
    let mut all = 0;
    for account in &accounts {
        all += credits(&studio, *account).await;
    }
    assert_eq!(all, 9 * BONUS, "their own, and one more");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u19_a_process_that_dies_between_any_two_steps_grants_once() {
    let studio = TestStudio::start().await;
    let write = &studio.node.studio.write;
    let (_, account) = at_address(&studio, "ada", "ada.lovelace@gmail.com").await;
    let lot = fresh_lot(&studio);
    let mark = write.blind_index.bonus_mark(&mailbox_of(&Email::parse("ada.lovelace@gmail.com").expect("an address")));
    let grant = write.blind_index.grant(lot);
    // Died after the mark: it is found to be its own.
    assert!(bonus_marks::take(&write.pool, &mark, &grant, write.now()).await.expect("the rows answer"));
    let other = write.blind_index.grant(fresh_lot(&studio));
    assert!(
        !bonus_marks::take(&write.pool, &mark, &other, write.now()).await.expect("the rows answer"),
        "one at a time"
    );
    asked(&studio, account, lot).await;
    studio.drain().await;
    assert_eq!(credits(&studio, account).await, 2 * BONUS);
    // Died after the grant, before the mark lost its name: the ledger knows the lot.
    let named = "update credentials.bonus_marks set holder = $2 where digest = $1";
    let digests: Vec<Vec<u8>> = sqlx::query_scalar("select digest from credentials.bonus_marks")
        .fetch_all(&write.pool)
        .await
        .expect("the rows answer");
    for digest in digests {
        sqlx::query(named).bind(&digest).bind(vec![7_u8; 32]).execute(&write.pool).await.expect("set");
    }
    bonus_marks::granted(&write.pool, &mark, &grant).await.expect("again is harmless");
    assert!(marks(&studio).await.iter().all(|(on_its_way, _)| *on_its_way), "another grant's name is left alone");
    let cleared = "update credentials.bonus_marks set holder = null";
    sqlx::query(cleared).execute(&write.pool).await.expect("set");
    // Died after that: a repeat finds nothing to do.
    asked(&studio, account, lot).await;
    studio.drain().await;
    assert_eq!(credits(&studio, account).await, 2 * BONUS);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u19_a_mark_outlives_its_account_by_twelve_months_and_names_nobody() {
    let studio = TestStudio::start().await;
    let write = &studio.node.studio.write;
    let (_, account) = at_address(&studio, "ada", "ada.lovelace@gmail.com").await;
    welcomed(&studio, account).await;
    // An account of a release before has no marks, and is treated no better.
    sqlx::query("delete from credentials.bonus_marks").execute(&write.pool).await.expect("deleted");
    let before = write.now();
    command(&studio, account, AccountCommand::RequestDeletion).await;
    // Died after any number of steps: begun again, it comes to the same.
    for steps in [erasure::STEPS.len() - 3, erasure::STEPS.len()] {
        erasure::erase_up_to(write, &studio.operator(), account, steps).await.expect("steps are done");
    }
    studio.drain().await;
    let left = marks(&studio).await;
    assert_eq!(left.len(), 2, "the address it was opened with, and the one that it had");
    for (on_its_way, ends) in left {
        let lasts = ends.expect("an end") - before;
        assert!(!on_its_way && lasts >= TimeDelta::days(364) && lasts <= TimeDelta::days(367), "{lasts}");
    }
    let columns =
        "select count(*) from information_schema.columns where table_name = 'bonus_marks' and data_type = 'uuid'";
    let ids: i64 = sqlx::query_scalar(columns).fetch_one(&write.pool).await.expect("a number");
    assert_eq!(ids, 0, "no account beside it");
    let (_, again) = at_address(&studio, "ben", "adalovelace@googlemail.com").await;
    welcomed(&studio, again).await;
    assert_eq!(credits(&studio, again).await, BONUS, "its own alone");
    // Its time is over a year later, and it is swept.
    reconcile(&studio.at(TimeDelta::days(364))).await.expect("a round");
    assert_eq!(marks(&studio).await.len(), 3, "and ben's own");
    reconcile(&studio.at(TimeDelta::days(367))).await.expect("a round");
    assert_eq!(marks(&studio).await.len(), 1);
    welcomed(&studio, again).await;
    assert_eq!(credits(&studio, again).await, 2 * BONUS);
    studio.stop().await;
}
