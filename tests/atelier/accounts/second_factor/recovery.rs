//! Recovery codes: each once, counted, void when renewed; and staff who turn a lost factor off (U36, sec.T2).

use atelier_commands::command_path::Target;
use atelier_domain::LogEvent;
use atelier_domain::account::{
    Account, AccountCommand, AccountEvent, StaffAction, StaffCommand, StaffOrder, TwoFactorEnd,
};
use atelier_domain::text::StaffReason;
use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};

use super::{DISABLE, challenge, code_now, complete, factor, guarded, much_later, refused};
use crate::harness::TestStudio;

const RENEW: &str = "mutation { renewRecoveryCodes { recoveryCodes userErrors { code } position } }";

#[tokio::test(flavor = "multi_thread")]
async fn u36_sec_t2_a_recovery_code_counts_once_however_many_try() {
    let studio = TestStudio::start().await;
    let ada = guarded(&studio, "ada").await;
    let mut challenges = Vec::new();
    for _ in 0..5 {
        challenges.push(challenge(&studio, &ada.person.email).await);
    }
    let code = &ada.recovery_codes[3];
    let answers = join_all((0..25).map(|n| complete(&studio, &challenges[n % 5], code))).await;
    assert_eq!(answers.iter().filter(|answer| answer["token"].is_string()).count(), 1, "{answers:?}");
    assert_eq!(factor(&studio, &ada.person.token).await, (true, 9), "the count is shown");
    assert_eq!(studio.events_named("RecoveryCodeUsed").await, 1);
    // However it is typed.
    let next = challenge(&studio, &ada.person.email).await;
    let typed = ada.recovery_codes[4].replace('-', " ").to_uppercase();
    assert!(complete(&studio, &next, &typed).await["token"].is_string());
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_t2_renewed_codes_void_the_old_ones() {
    let studio = TestStudio::start().await;
    let ada = guarded(&studio, "ada").await;
    let renewed = studio.mutate(Some(&ada.person.token), RENEW, json!({})).await;
    let fresh: Vec<&str> =
        renewed["recoveryCodes"].as_array().expect("codes").iter().filter_map(Value::as_str).collect();
    assert_eq!(fresh.len(), 10);
    let waiting = challenge(&studio, &ada.person.email).await;
    assert_eq!(refused(&complete(&studio, &waiting, &ada.recovery_codes[0]).await), "INVALID_CODE");
    assert!(complete(&studio, &waiting, fresh[0]).await["token"].is_string());
    assert_eq!(factor(&studio, &ada.person.token).await, (true, 9));
    // Another's codes are nobody else's.
    let ben = guarded(&studio, "ben").await;
    let waiting = challenge(&studio, &ben.person.email).await;
    assert_eq!(refused(&complete(&studio, &waiting, fresh[1]).await), "INVALID_CODE");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v11_the_factor_is_turned_off_with_a_code_or_a_recovery_code() {
    let studio = TestStudio::start().await;
    for (username, by_code) in [("ada", true), ("ben", false)] {
        let guarded = guarded(&studio, username).await;
        let token = Some(guarded.person.token.as_str());
        let wrong = studio.graphql(token, DISABLE, json!({ "code": "12345" })).await;
        assert_eq!(wrong["disableTwoFactor"]["userErrors"][0]["code"], json!("INVALID_CODE"));
        assert!(factor(&studio, &guarded.person.token).await.0);
        let code = if by_code { code_now(&studio, &guarded.secret).await } else { guarded.recovery_codes[9].clone() };
        studio.mutate(token, DISABLE, json!({ "code": code })).await;
        assert_eq!(factor(&studio, &guarded.person.token).await, (false, 0));
        studio.sign_in(&guarded.person.email, crate::harness::studio::PASSWORD).await;
        let off = studio.graphql(token, DISABLE, json!({ "code": code })).await;
        assert_eq!(off["disableTwoFactor"]["userErrors"][0]["code"], json!("NOT_POSSIBLE_NOW"));
    }
    let left: i64 = sqlx::query_scalar(
        "select (select count(*) from credentials.second_factors) + (select count(*) from credentials.recovery_codes)",
    )
    .fetch_one(&studio.database.pool)
    .await
    .expect("rows");
    assert_eq!(left, 0, "nothing of it is kept");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u36_staff_turn_a_lost_factor_off_and_the_history_says_so() {
    let studio = TestStudio::start().await;
    let ada = guarded(&studio, "ada").await;
    let account = studio.account(&ada.person).await;
    let waiting = challenge(&studio, &ada.person.email).await;
    let order = StaffOrder { staff: None, reason: StaffReason::parse("lost the phone").expect("a reason") };
    let ask = |now| AccountCommand::ByStaff {
        order: order.clone(),
        command: StaffCommand::RequestTwoFactorReset { address: None, now: now - TimeDelta::hours(24) },
    };
    let write = &studio.node.studio.write;
    let target = Target { id: account.to_string(), subject: account };
    write.path.execute::<Account>(&target, &studio.operator(), None, ask).await.expect("asked a day ago");
    studio.drain().await;
    let history = studio.stream("Account", &account.to_string()).await;
    let by_staff = |event: &&LogEvent| {
        matches!(event, LogEvent::Account(_, AccountEvent::TwoFactorDisabled { by: TwoFactorEnd::Staff }))
            || matches!(
                event,
                LogEvent::Account(_, AccountEvent::StaffActionRecorded { action: StaffAction::TwoFactorDisabled, .. })
            )
    };
    assert_eq!(history.iter().filter(by_staff).count(), 2);
    // Whoever waits for a code has proven the first factor, and that is enough now.
    assert!(complete(&studio, &waiting, "").await["token"].is_string());
    let rows: i64 = sqlx::query_scalar("select count(*) from credentials.second_factors")
        .fetch_one(&studio.database.pool)
        .await
        .expect("rows");
    assert_eq!(rows, 0);
    much_later(&studio).await;
    studio.stop().await;
}
