//! Names of deleted accounts: nobody's for twelve months, then forgotten together with their key (U29, REQUIREMENTS 4.2.9).

use std::path::Path;

use atelier_commands::CommandError;
use atelier_commands::Origin;
use atelier_commands::reconciler::reconcile;
use atelier_commands::use_cases::{ChangeUsername, SignUp};
use atelier_domain::AccountId;
use atelier_vault::credential_rows::delete_account;
use atelier_vault::{IndexDigest, IndexKind};
use chrono::TimeDelta;
use serde_json::json;

use crate::harness::TestStudio;
use crate::harness::studio::PASSWORD;

const DAY: TimeDelta = TimeDelta::days(1);

fn index(studio: &TestStudio, username: &str) -> IndexDigest {
    studio.node.studio.write.blind_index.digest(IndexKind::Username, username)
}

/// What an erasure does with the names of an account.
async fn give_up_names(studio: &TestStudio, account: AccountId) {
    let write = &studio.node.studio.write;
    for _ in 0..2 {
        write.quarantine.put(&write.pool, account, write.now()).await.expect("under quarantine; again is harmless");
    }
    delete_account(&write.pool, account).await.expect("no rows are left");
}

/// Whether somebody may sign up under a name so many days from now.
async fn may_sign_up(studio: &TestStudio, username: &str, days: i32) -> bool {
    let email = format!("{username}-{days}@example.com");
    let sign_up = SignUp {
        email,
        password: PASSWORD.to_owned(),
        username: username.to_owned(),
        minimum_age: 18,
        origin: Origin::default(),
    };
    match sign_up.run(&studio.at(DAY * days), &studio.operator()).await {
        Ok(_) => true,
        Err(CommandError::Refused(refusal)) if refusal.field.as_deref() == Some("username") => false,
        Err(other) => panic!("{other:?}"),
    }
}

fn keys(folder: &Path) -> usize {
    let names = std::fs::read_dir(folder.join("keys/quarantine")).expect("a folder");
    names
        .filter(|name| name.as_ref().is_ok_and(|name| name.file_name().to_string_lossy().parse::<u32>().is_ok()))
        .count()
}

async fn rows(studio: &TestStudio) -> i64 {
    let count = sqlx::query_scalar("select count(*) from credentials.username_quarantine");
    count.fetch_one(&studio.database.pool).await.expect("the rows answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn u29_the_names_of_a_deleted_account_are_nobodys_for_twelve_months() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let rename = "mutation { changeUsername(input: {username: \"countess\"}) { userErrors { code } position } }";
    studio.mutate(Some(&ada.token), rename, json!({})).await;
    let account = studio.account(&ada).await;
    give_up_names(&studio, account).await;
    // The name, and the one before it; neither row says whose it was.
    assert_eq!((rows(&studio).await, keys(studio.data.path())), (2, 1));
    for name in ["ada", "countess"] {
        for days in [0, 1, 180, 364] {
            assert!(!may_sign_up(&studio, name, days).await, "{name} after {days} days");
        }
        let change = ChangeUsername { account: studio.account(&ben).await, username: name.to_owned() };
        let refused = change.run(&studio.node.studio.write, &studio.operator()).await;
        assert!(matches!(refused, Err(CommandError::Refused(_))), "{refused:?}");
    }
    let left: i64 = sqlx::query_scalar("select count(*) from credentials.claims where kind = 'username'")
        .fetch_one(&studio.database.pool)
        .await
        .expect("the rows answer");
    assert_eq!(left, 1, "who was refused holds nothing");
    // Refused newcomers leave no half either: their addresses are free.
    assert!(may_sign_up(&studio, "somebody", 0).await);
    assert!(may_sign_up(&studio, "countess", 367).await, "twelve months later");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u29_what_is_over_goes_and_its_key_is_destroyed_with_it() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    give_up_names(&studio, studio.account(&ada).await).await;
    let write = &studio.node.studio.write;
    for days in [0, 200, 364] {
        reconcile(&studio.at(DAY * days)).await.expect("a round");
        assert_eq!((rows(&studio).await, keys(studio.data.path())), (1, 1), "after {days} days");
    }
    reconcile(&studio.at(DAY * 367)).await.expect("a round");
    assert_eq!(rows(&studio).await, 0);
    // Somebody may have been deleted on the month's last day: the key goes when that is over as well.
    reconcile(&studio.at(DAY * (367 + 31))).await.expect("a round");
    assert_eq!(keys(studio.data.path()), 0);
    let held = write.quarantine.holds(&write.pool, &index(&studio, "ada"), write.now()).await;
    assert!(!held.expect("without keys there is nothing to compare with"));
    studio.stop().await;
}
