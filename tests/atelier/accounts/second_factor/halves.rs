//! What a dead process leaves between the rows of a second factor and its events, and what the reconciler makes of it (DESIGN 4).

use atelier_commands::command_path::Target;
use atelier_commands::reconciler::reconcile;
use atelier_domain::AccountId;
use atelier_domain::account::{Account, AccountCommand};
use atelier_vault::RecoveryCode;
use atelier_vault::credential_rows::recovery_codes;
use atelier_vault::credential_rows::second_factor::{self, FactorState};

use super::{challenge, code_now, complete, factor, guarded, much_later, refused};
use crate::harness::TestStudio;

async fn only_the_event(studio: &TestStudio, account: AccountId, command: AccountCommand) {
    let target = Target { id: account.to_string(), subject: account };
    let path = &studio.node.studio.write.path;
    path.execute::<Account>(&target, &studio.operator(), None, |_| command.clone())
        .await
        .expect("the event is appended");
}

async fn row(studio: &TestStudio) -> Option<String> {
    let state = sqlx::query_scalar("select state from credentials.second_factors");
    state.fetch_optional(&studio.database.pool).await.expect("the rows answer")
}

async fn left_in(studio: &TestStudio, account: AccountId, from: FactorState, to: FactorState) {
    let now = studio.node.studio.write.now();
    assert!(second_factor::shift(&studio.database.pool, account, from, to, now).await.expect("the rows answer"));
}

async fn a_round(studio: &TestStudio) {
    reconcile(&studio.node.studio.write).await.expect("a round");
}

async fn ten_minutes_pass(studio: &TestStudio) {
    let aged = "update credentials.second_factors set changed_at = changed_at - interval '11 minutes'; \
                update credentials.recovery_codes set used_at = used_at - interval '11 minutes'";
    studio.as_superuser(aged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn design_4_a_factor_whose_row_is_behind_its_event_asks_for_codes_at_once() {
    let studio = TestStudio::start().await;
    let ada = guarded(&studio, "ada").await;
    let account = studio.account(&ada.person).await;
    // The process died after the event that turned it on.
    left_in(&studio, account, FactorState::Active, FactorState::Confirming).await;
    let waiting = challenge(&studio, &ada.person.email).await;
    let code = code_now(&studio, &ada.secret).await;
    assert!(complete(&studio, &waiting, &code).await["token"].is_string(), "its owner is not locked out");
    a_round(&studio).await;
    assert_eq!(row(&studio).await.as_deref(), Some("confirming"), "too young");
    ten_minutes_pass(&studio).await;
    a_round(&studio).await;
    assert_eq!(row(&studio).await.as_deref(), Some("active"));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn design_4_a_confirmed_factor_without_its_event_was_never_on() {
    let studio = TestStudio::start().await;
    let ada = guarded(&studio, "ada").await;
    let account = studio.account(&ada.person).await;
    only_the_event(&studio, account, AccountCommand::DisableTwoFactor).await;
    left_in(&studio, account, FactorState::Active, FactorState::Confirming).await;
    assert_eq!(factor(&studio, &ada.person.token).await, (false, 0));
    studio.sign_in(&ada.person.email, crate::harness::studio::PASSWORD).await;
    ten_minutes_pass(&studio).await;
    a_round(&studio).await;
    assert_eq!(row(&studio).await, None);
    let codes: i64 = sqlx::query_scalar("select count(*) from credentials.recovery_codes")
        .fetch_one(&studio.database.pool)
        .await
        .expect("rows");
    assert_eq!(codes, 0);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn design_4_a_factor_on_its_way_off_checks_codes_until_the_log_says_off() {
    let studio = TestStudio::start().await;
    let ada = guarded(&studio, "ada").await;
    let account = studio.account(&ada.person).await;
    // The process died after the row and before the event.
    left_in(&studio, account, FactorState::Active, FactorState::Off).await;
    let waiting = challenge(&studio, &ada.person.email).await;
    assert_eq!(refused(&complete(&studio, &waiting, "").await), "INVALID_CODE", "nothing is skipped");
    let code = code_now(&studio, &ada.secret).await;
    assert!(complete(&studio, &waiting, &code).await["token"].is_string());
    ten_minutes_pass(&studio).await;
    a_round(&studio).await;
    assert_eq!(row(&studio).await.as_deref(), Some("active"), "nobody was told that it is off");
    // The process died after the event.
    left_in(&studio, account, FactorState::Active, FactorState::Off).await;
    only_the_event(&studio, account, AccountCommand::DisableTwoFactor).await;
    studio.sign_in(&ada.person.email, crate::harness::studio::PASSWORD).await;
    ten_minutes_pass(&studio).await;
    a_round(&studio).await;
    assert_eq!(row(&studio).await, None);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn design_4_a_used_recovery_code_gets_its_event() {
    let studio = TestStudio::start().await;
    let ada = guarded(&studio, "ada").await;
    let account = studio.account(&ada.person).await;
    let write = &studio.node.studio.write;
    let code = RecoveryCode::parse(&ada.recovery_codes[0]).expect("a code");
    let digest = write.secrets.recovery_code(account, &code);
    assert!(recovery_codes::consume(&write.pool, account, &digest, write.now()).await.expect("the rows answer"));
    assert_eq!(factor(&studio, &ada.person.token).await, (true, 9), "it counts no more, event or not");
    a_round(&studio).await;
    assert_eq!(studio.events_named("RecoveryCodeUsed").await, 0, "too young");
    ten_minutes_pass(&studio).await;
    a_round(&studio).await;
    a_round(&studio).await;
    assert_eq!(studio.events_named("RecoveryCodeUsed").await, 1);
    assert_eq!(factor(&studio, &ada.person.token).await, (true, 9));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v11_a_seed_that_was_never_proven_goes_after_an_hour() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let enrolled = studio.mutate(Some(&ada.token), super::ENROL, serde_json::json!({})).await;
    let secret = enrolled["secret"].as_str().expect("once");
    let aged = "update credentials.second_factors set changed_at = changed_at - interval '61 minutes'";
    sqlx::query(aged).execute(&studio.database.pool).await.expect("the rows answer");
    let code = code_now(&studio, secret).await;
    let late = studio.graphql(Some(&ada.token), super::CONFIRM, serde_json::json!({ "code": code })).await;
    assert_eq!(late["confirmTwoFactor"]["userErrors"][0]["code"], serde_json::json!("NOT_POSSIBLE_NOW"));
    a_round(&studio).await;
    assert_eq!(row(&studio).await, None);
    much_later(&studio).await;
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u22_nothing_of_the_second_factor_outlives_the_account() {
    let studio = TestStudio::start().await;
    let ada = guarded(&studio, "ada").await;
    let account = studio.account(&ada.person).await;
    challenge(&studio, &ada.person.email).await;
    atelier_vault::credential_rows::delete_account(&studio.database.pool, account).await.expect("it is done");
    for table in ["second_factors", "recovery_codes", "sign_in_challenges", "identities"] {
        let left: i64 = sqlx::query_scalar(&format!("select count(*) from credentials.{table}"))
            .fetch_one(&studio.database.pool)
            .await
            .expect("rows");
        assert_eq!(left, 0, "{table}");
    }
    studio.stop().await;
}
