//! Another address by support: claimed before, given up after, proven anew; whoever dies or races (A13, U26).

use atelier_commands::process::{Work, enqueue};
use atelier_commands::reconciler::reconcile;
use atelier_domain::account::{AccountCommand, Role, StaffCommand, StaffOrder, Status};
use atelier_domain::text::{Email, StaffReason};
use atelier_vault::credential_rows::claims::{self, Claim, ClaimState};
use atelier_vault::credential_rows::mail_tokens::{self, MailPurpose, MailedTo};
use atelier_vault::{IndexDigest, IndexKind};
use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};

use super::super::notices::subjects;
use super::super::{code, counts, sign_in};
use super::{ask, command, done, id, staff, state};
use crate::harness::TestStudio;
use crate::harness::studio::PASSWORD;

const NEW: &str = "ada@new.example";
const VERIFY: &str = "mutation($token: String!) { verifyEmail(input: {token: $token, password: \"correct-horse-1\"}) { userErrors { code } position } }";

fn index(studio: &TestStudio, address: &str) -> IndexDigest {
    let folded = Email::parse(address).expect("an address").folded();
    studio.node.studio.write.blind_index.digest(IndexKind::Email, &folded)
}

async fn claim(studio: &TestStudio, address: &str) -> Option<Claim> {
    claims::find(&studio.database.pool, &index(studio, address)).await.expect("the rows answer")
}

fn to(address: &str) -> Value {
    json!({ "email": address })
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_u26_another_address_is_proven_anew_and_the_old_one_opens_nothing() {
    let studio = TestStudio::start().await;
    let (ada, support) = (studio.newcomer("ada").await, staff(&studio, "sam", Role::Support).await);
    let ben = studio.newcomer("ben").await;
    let of_ada = studio.account(&ada).await;
    let account = id(of_ada);
    let reset = "mutation($email: String!) { requestPasswordReset(input: {email: $email}) { userErrors { code } } }";
    studio.mutate(None, reset, json!({ "email": ada.email })).await;
    let old_link = studio.mailed_token(&ada.email).await;
    let taken = ask(&studio, &support, "staffChangeEmail", &account, to(&ben.email)).await;
    assert_eq!((code(&taken), &taken["userErrors"][0]["field"]), ("NOT_POSSIBLE_NOW", &json!("email")));
    let same = ask(&studio, &support, "staffChangeEmail", &account, to("ADA@example.com")).await;
    assert_eq!(code(&same), "NOT_POSSIBLE_NOW");
    done(&studio, &support, "staffChangeEmail", &account, to(NEW)).await;
    assert!(!counts(&studio, &ada.token).await, "by policy");
    assert!(!state(&studio, of_ada).await.email_verified());
    assert_eq!(claim(&studio, &ada.email).await, None, "the old one is free");
    let held = claim(&studio, NEW).await.expect("claimed");
    assert_eq!((held.account, held.state, held.settled), (of_ada, ClaimState::Held, true));
    let complete = "mutation($token: String!) { completePasswordReset(input: {token: $token, newPassword: \"another-horse-2\"}) { userErrors { code } } }";
    let stale = studio.graphql(None, complete, json!({ "token": old_link })).await["completePasswordReset"].take();
    assert_eq!(code(&stale), "INVALID_TOKEN", "what was mailed to the old address is void");
    assert_eq!(code(&sign_in(&studio, &[], NEW, PASSWORD).await), "INVALID_CREDENTIALS", "not before it is proven");
    let former = subjects(&studio, &ada.email).await;
    assert_eq!(former.last().map(String::as_str), Some("This is no longer the address of your account"));
    assert!(subjects(&studio, NEW).await.contains(&"The address of your account was changed".to_owned()));
    let token = studio.mailed_token(NEW).await;
    studio.mutate(None, VERIFY, json!({ "token": token })).await;
    assert_eq!(code(&sign_in(&studio, &[], &ada.email, PASSWORD).await), "INVALID_CREDENTIALS");
    studio.sign_in(NEW, PASSWORD).await;
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_a_change_that_died_after_its_claim_is_given_up_and_one_after_its_event_is_completed() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let (of_ada, of_ben) = (studio.account(&ada).await, studio.account(&ben).await);
    let write = &studio.node.studio.write;
    let pending = async |account, address: &str| {
        let now = write.now() - TimeDelta::minutes(20);
        claims::claim_pending(&write.pool, account, &index(&studio, address), now).await.expect("claimed");
    };
    // Dead after the claim: the address is nobody else's until the append cannot come any more, and then free.
    pending(of_ada, NEW).await;
    reconcile(write).await.expect("a round");
    assert_eq!(claim(&studio, NEW).await, None, "given up: the account has moved on since");
    assert!(claim(&studio, &ada.email).await.is_some(), "and the old one stays");
    // Dead after the event.
    pending(of_ben, "ben@new.example").await;
    let order = StaffOrder { staff: None, reason: StaffReason::parse("ticket 7").expect("a reason") };
    let email = Email::parse("ben@new.example").expect("an address");
    command(
        &studio,
        of_ben,
        AccountCommand::ByStaff { order, command: StaffCommand::ChangeEmail { unchanged: false, email } },
    )
    .await;
    studio.drain().await;
    let held = claim(&studio, "ben@new.example").await.expect("claimed");
    assert_eq!((held.account, held.state), (of_ben, ClaimState::Held));
    assert_eq!(claim(&studio, &ben.email).await, None, "only now");
    assert!(!counts(&studio, &ben.token).await);
    studio.mailed_token("ben@new.example").await;
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_of_two_who_give_one_address_to_two_accounts_at_once_one_has_it() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let (sam, kim) = (staff(&studio, "sam", Role::Support).await, staff(&studio, "kim", Role::Support).await);
    let accounts = [studio.account(&ada).await, studio.account(&ben).await];
    for round in 0..5 {
        let address = format!("shared{round}@example.com");
        let both = [(&sam, id(accounts[0])), (&kim, id(accounts[1]))];
        let answers =
            join_all(both.iter().map(|(who, whom)| ask(&studio, who, "staffChangeEmail", whom, to(&address)))).await;
        // At the same moment the second one is refused; a moment later it is given the address, which the first one has not proven.
        let (won, refused): (Vec<_>, Vec<_>) =
            answers.iter().zip(accounts).partition(|(answer, _)| answer["userErrors"] == json!([]));
        assert!(refused.len() < 2, "{answers:?}");
        assert!(refused.iter().all(|(answer, _)| answer["userErrors"][0]["code"] == "NOT_POSSIBLE_NOW"), "{answers:?}");
        let holder = claim(&studio, &address).await.expect("claimed");
        assert!(
            holder.state == ClaimState::Held && won.iter().any(|(_, account)| *account == holder.account),
            "{answers:?}"
        );
    }
    // One account, two addresses: whatever the log ends with is claimed, and nothing else of it.
    let both = [(&sam, "one@example.com"), (&kim, "two@example.com")];
    let account = id(accounts[0]);
    join_all(both.iter().map(|(who, address)| done(&studio, who, "staffChangeEmail", &account, to(address)))).await;
    studio.drain().await;
    let held: i64 =
        sqlx::query_scalar("select count(*) from credentials.claims where kind = 'email' and account_id = $1")
            .bind(accounts[0].0)
            .fetch_one(&studio.database.pool)
            .await
            .expect("the rows answer");
    assert_eq!(held, 1);
    studio.stop().await;
}

/// Twice as many as the node has connections: they wait for each other without one, and nothing else waits for them.
#[tokio::test(flavor = "multi_thread")]
async fn a13_many_changes_of_one_address_at_once_are_all_answered() {
    let studio = TestStudio::start().await;
    let (ada, sam) = (studio.newcomer("ada").await, staff(&studio, "sam", Role::Support).await);
    let account = id(studio.account(&ada).await);
    let changes = (0..24).map(|number| {
        let address = format!("many{number}@example.com");
        let (studio, sam, account) = (&studio, &sam, &account);
        async move { ask(studio, sam, "staffChangeEmail", account, to(&address)).await }
    });
    for answer in join_all(changes).await {
        assert_eq!(answer["userErrors"], json!([]));
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_a_change_of_address_and_one_of_the_password_at_the_same_moment_both_happen() {
    let studio = TestStudio::start().await;
    let (ada, support) = (studio.newcomer("ada").await, staff(&studio, "sam", Role::Support).await);
    let of_ada = studio.account(&ada).await;
    let change = "mutation($new: String!) { changePassword(input: {currentPassword: \"correct-horse-1\", newPassword: $new}) { userErrors { code } position } }";
    let account = id(of_ada);
    let (_, changed) = tokio::join!(
        done(&studio, &support, "staffChangeEmail", &account, to(NEW)),
        studio.graphql_raw(Some(&ada.token), change, json!({ "new": "another-horse-2" })),
    );
    studio.drain().await;
    assert!(!counts(&studio, &ada.token).await, "whichever came first");
    let token = studio.mailed_token(NEW).await;
    let done = changed["data"]["changePassword"]["userErrors"] == json!([]);
    let password = if done { "another-horse-2" } else { PASSWORD };
    studio.mutate(None, &VERIFY.replace(PASSWORD, password), json!({ "token": token })).await;
    studio.sign_in(NEW, password).await;
    let state = state(&studio, of_ada).await;
    assert!(state.email_verified() && state.address_claimed());
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_u26_a_link_proves_the_address_it_was_mailed_to_whoever_died_before_it_was_voided() {
    let studio = TestStudio::start().await;
    let support = staff(&studio, "sam", Role::Support).await;
    let ada = studio.newcomer("ada").await;
    let (old, account) = (ada.email.clone(), studio.account(&ada).await);
    // Mailed, and never used.
    studio.time_passes(61).await;
    let write = &studio.node.studio.write;
    let token = atelier_vault::MailToken::generate(write.ports.random.as_ref());
    let mailed_to = MailedTo::of(state(&studio, account).await.email().expect("an address"));
    let (digest, now) = (write.secrets.mail(&token), write.now());
    let life = now + TimeDelta::hours(1);
    mail_tokens::insert(&write.pool, &digest, account, MailPurpose::VerifyEmail, mailed_to, now, life)
        .await
        .expect("the rows answer");
    let verify_old = token.expose().to_owned();
    let reset = "mutation($email: String!) { requestPasswordReset(input: {email: $email}) { userErrors { code } } }";
    studio.mutate(None, reset, json!({ "email": old })).await;
    let reset_old = studio.mailed_token(&old).await;
    assert_ne!(verify_old, reset_old);
    done(&studio, &support, "staffChangeEmail", &id(account), to(NEW)).await;
    let verify_new = studio.mailed_token(NEW).await;
    // As whoever dies between the event and the rows leaves them.
    let counting = "update credentials.mail_tokens set used_at = null where account_id = $1";
    sqlx::query(counting).bind(account.0).execute(&studio.database.pool).await.expect("set");
    let complete = "mutation($token: String!) { completePasswordReset(input: {token: $token, newPassword: \"another-horse-2\"}) { userErrors { code } } }";
    let refused = studio.graphql(None, complete, json!({ "token": reset_old })).await["completePasswordReset"].take();
    assert_eq!(code(&refused), "INVALID_TOKEN");
    let refused = studio.graphql(None, VERIFY, json!({ "token": verify_old })).await["verifyEmail"].take();
    assert_eq!(code(&refused), "INVALID_TOKEN");
    assert!(!state(&studio, account).await.email_verified(), "the new address was not proven by the old one's link");
    studio.mutate(None, VERIFY, json!({ "token": verify_new })).await;
    assert!(state(&studio, account).await.email_verified());
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u26_an_account_that_support_has_given_its_right_address_has_as_long_again_to_prove_it() {
    let studio = TestStudio::start().await;
    let mistyped = studio.signed_up("ada").await;
    let account = studio.account_at(&mistyped).await;
    let order = StaffOrder { staff: None, reason: StaffReason::parse("ticket 7").expect("a reason") };
    let change = StaffCommand::ChangeEmail { unchanged: false, email: Email::parse(NEW).expect("an address") };
    command(&studio, account, AccountCommand::ByStaff { order, command: change }).await;
    let work = Work::CloseUnverified { account, at: studio.node.studio.write.now() - TimeDelta::seconds(1) };
    enqueue(&studio.database.pool, "test:close:0", &work).await.expect("work is enqueued");
    studio.drain().await;
    assert_eq!(state(&studio, account).await.status(), Status::Open);
    let waits: bool =
        sqlx::query_scalar("select due_at > now() + interval '6 days' from process_work where id = 'test:close:0'")
            .fetch_one(&studio.database.pool)
            .await
            .expect("it waits");
    assert!(waits);
    studio.stop().await;
}
