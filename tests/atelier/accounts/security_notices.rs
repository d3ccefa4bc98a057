//! What changes who may get into an account is told to its owner, by mail and inside the application, once (sec.S7, A13).

use atelier_commands::command_path::Target;
use atelier_commands::process::{Work, enqueue};
use atelier_domain::account::{
    Account, AccountCommand, IdentityProvider, NewIdentity, PasswordVia, Role, StaffCommand, StaffOrder,
};
use atelier_domain::text::{Email, IdentityLabel, StaffReason, Username};
use atelier_domain::{AccountId, ExportId, IdentityId};
use serde_json::json;
use uuid::Uuid;

use super::notices::{shown, subjects};
use crate::harness::TestStudio;
use crate::harness::studio::Person;

/// Gives an account a command, as the use case that belongs to it does.
async fn command(studio: &TestStudio, account: AccountId, command: AccountCommand) {
    let target = Target { id: account.to_string(), subject: account };
    let path = &studio.node.studio.write.path;
    path.execute::<Account>(&target, &studio.operator(), None, |_| command.clone()).await.expect("no rule refuses");
    studio.drain().await;
}

fn by_staff(command: StaffCommand) -> AccountCommand {
    let reason = StaffReason::parse("ticket 7: lost mailbox").expect("a reason");
    AccountCommand::ByStaff { order: StaffOrder { staff: Some(AccountId(Uuid::from_u128(9))), reason }, command }
}

fn identity(n: u128) -> NewIdentity {
    let label = IdentityLabel::parse("ada@gmail.example").expect("a label");
    NewIdentity {
        identity_id: IdentityId(Uuid::from_u128(n)),
        provider: IdentityProvider::Google,
        label,
        vouches_for_address: true,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s7_every_change_of_who_may_get_in_is_mailed_and_shown_once_and_cannot_be_switched_off() {
    let studio = TestStudio::start().await;
    // The end of the copy has words of its own (U25).
    studio.hold_exports().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    let all_off = "mutation { setNotifications(input: { choices: [{kind: GENERATION_COMPLETE, channel: MAIL, on: false}, \
        {kind: GENERATION_COMPLETE, channel: IN_APP, on: false}, {kind: LOW_CREDIT_ALERT, channel: MAIL, on: false}] }) \
        { userErrors { code } position } }";
    studio.mutate(Some(&ada.token), all_off, json!({})).await;
    let before = subjects(&studio, &ada.email).await.len();
    assert_eq!(shown(&studio, &ada).await.0.len(), 0, "a sign-up is no news");
    let now = studio.node.studio.write.now();
    let username = Username::parse("lovelace").expect("a handle");
    let told = [
        (
            AccountCommand::ChangePassword { via: PasswordVia::Change, except: None },
            "Your password was changed",
            "PASSWORD_CHANGED",
        ),
        (AccountCommand::EnableTwoFactor, "Two-factor sign-in was turned on", "TWO_FACTOR_ENABLED"),
        (AccountCommand::RenewRecoveryCodes, "New recovery codes were made", "RECOVERY_CODES_RENEWED"),
        (AccountCommand::UseRecoveryCode, "A recovery code was used", "RECOVERY_CODE_USED"),
        (AccountCommand::DisableTwoFactor, "Two-factor sign-in was turned off", "TWO_FACTOR_DISABLED"),
        (
            AccountCommand::LinkIdentity { identity: identity(1) },
            "Another way to sign in was linked",
            "IDENTITY_LINKED",
        ),
        (
            AccountCommand::UnlinkIdentity { identity_id: identity(1).identity_id },
            "A way to sign in was removed",
            "IDENTITY_UNLINKED",
        ),
        (
            AccountCommand::ChangeUsername { username, unchanged: false, now },
            "Your username was changed",
            "USERNAME_CHANGED",
        ),
        (AccountCommand::GrantRole { role: Role::Auditor }, "You were given a role", "ROLE_GRANTED"),
        (AccountCommand::WithdrawRole { role: Role::Auditor }, "A role of yours was withdrawn", "ROLE_WITHDRAWN"),
        (
            AccountCommand::RequestDataExport { export_id: ExportId(Uuid::from_u128(3)) },
            "A copy of your data was asked for",
            "DATA_EXPORT_REQUESTED",
        ),
    ];
    // The password's change ended the session; its own words are read with another.
    let mut expected = Vec::new();
    for (what, subject, topic) in told {
        command(&studio, account, what).await;
        expected.push((subject.to_owned(), topic.to_owned()));
    }
    let sign_in = "mutation($input: SignInInput!) { signIn(input: $input) { token userErrors { code } } }";
    let input = json!({ "input": { "email": ada.email, "password": crate::harness::studio::PASSWORD } });
    let signed_in = studio.mutate(None, sign_in, input).await;
    let again = Person { token: signed_in["token"].as_str().expect("a token").to_owned(), ..ada.clone() };
    studio.api_key(&again).await;
    expected.push(("An API key was made".to_owned(), "API_KEY_CREATED".to_owned()));
    let mails = subjects(&studio, &ada.email).await;
    assert_eq!(mails[before..], expected.iter().map(|(subject, _)| subject.clone()).collect::<Vec<_>>());
    let (notices, unread) = shown(&studio, &again).await;
    let mut topics: Vec<_> =
        notices.iter().map(|notice| notice["topic"].as_str().expect("a topic").to_owned()).collect();
    topics.reverse();
    assert_eq!(topics, expected.iter().map(|(_, topic)| topic.clone()).collect::<Vec<_>>());
    assert_eq!(unread, i64::try_from(expected.len()).expect("few"));
    assert!(notices.iter().all(|notice| notice["kind"] == "SECURITY" && notice["generationId"].is_null()));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_a_changed_address_is_told_to_the_former_one_and_to_the_new_one() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    let before = subjects(&studio, &ada.email).await.len();
    let change = |to: &str| {
        by_staff(StaffCommand::ChangeEmail { unchanged: false, email: Email::parse(to).expect("an address") })
    };
    command(&studio, account, change("ada@new.example")).await;
    command(&studio, account, change("ada@newest.example")).await;
    let (changed, former) =
        ("The address of your account was changed", "This is no longer the address of your account");
    assert_eq!(subjects(&studio, &ada.email).await[before..], [former]);
    let mut second = subjects(&studio, "ada@new.example").await;
    second.sort();
    assert_eq!(second, [changed, former, "Verify your email address"]);
    let mut newest = subjects(&studio, "ada@newest.example").await;
    newest.sort();
    assert_eq!(newest, [changed, "Verify your email address"], "U26: it is to be proven");
    let mails = studio.node.mailbox.list(100).await.expect("the mailbox can be read");
    for mail in mails.iter().filter(|mail| mail.subject == former) {
        let read = studio.node.mailbox.read(&mail.file).await.expect("a mail").expect("a listed mail is there");
        assert!(
            !read.text.contains("new.example") && !read.text.contains("newest"),
            "where to is nobody else's business"
        );
    }
    let ada = Person { token: studio.session_of(account).await, ..ada };
    assert_eq!(shown(&studio, &ada).await.0.len(), 2, "one for each change");
    // Delivered again, long after: the same messages.
    let at = studio.node.studio.write.now();
    let (before, all) = (4, mails.len());
    let ids: Vec<String> =
        sqlx::query_scalar("select event_id::text from events where event_type = 'EmailChanged' order by position")
            .fetch_all(&studio.database.pool)
            .await
            .expect("two events");
    let work = Work::SendFormerAddressNotice { account, before, at };
    enqueue(&studio.database.pool, &format!("SecurityNotifier:{}:2", ids[0]), &work).await.expect("work is enqueued");
    let work = Work::SendSecurityNotice { account, topic: atelier_commands::NoticeTopic::EmailChanged, at };
    enqueue(&studio.database.pool, &format!("SecurityNotifier:{}:1", ids[1]), &work).await.expect("work is enqueued");
    studio.drain().await;
    assert_eq!(studio.node.mailbox.list(100).await.expect("the mailbox can be read").len(), all, "once");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_s7_whose_address_an_account_only_pretends_to_have_is_told_nothing() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let before = subjects(&studio, &ada.email).await;
    let account = AccountId(studio.node.studio.write.fresh_id());
    studio.node.studio.write.vault.store().create(account).await.expect("keys");
    let open = AccountCommand::Open {
        email: Email::parse(&ada.email).expect("an address"),
        username: Username::parse("eve").expect("a handle"),
        minimum_age: 18,
        vouched_by: None,
    };
    command(&studio, account, open).await;
    studio.mails_go_out().await;
    let after_opening = subjects(&studio, &ada.email).await;
    assert_eq!(after_opening.len(), before.len() + 1, "sec.S4: that somebody tried, which is all she learns");
    command(&studio, account, AccountCommand::ChangePassword { via: PasswordVia::Change, except: None }).await;
    let email = Email::parse("eve@example.com").expect("an address");
    command(&studio, account, by_staff(StaffCommand::ChangeEmail { unchanged: false, email })).await;
    assert_eq!(subjects(&studio, &ada.email).await, after_opening);
    let mut told = subjects(&studio, "eve@example.com").await;
    told.sort();
    assert_eq!(told, ["The address of your account was changed", "Verify your email address"]);
    let rows: i64 = sqlx::query_scalar("select count(*) from notices where account_id = $1")
        .bind(account.0)
        .fetch_one(&studio.database.pool)
        .await
        .expect("an answer");
    assert_eq!(rows, 2, "inside the application it is told all the same");
    studio.stop().await;
}
