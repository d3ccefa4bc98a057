//! One case for each way in: cookie, app, password, link alone, page, Google, support.

use atelier_commands::RefusalCode;
use atelier_commands::use_cases::ResendVerification;
use atelier_domain::account::{AccountCommand, StaffCommand, StaffOrder};
use atelier_domain::text::{Email, StaffReason};
use atelier_vault::credential_rows::claims;
use serde_json::{Value, json};

use super::super::{code, counts, sign_in};
use super::{
    ANEW, Begun, HERS, HIS, afresh, has_ended, holder, link_of, links, signs_up, state, verified, with_password,
    with_token,
};
use crate::harness::TestStudio;

const ADDRESS: &str = "ada@example.com";
const SIGN_UP: &str = "mutation($input: SignUpInput!) { signUp(input: $input) { signUpToken userErrors { code } } }";
const VERIFY: &str =
    "mutation($input: VerifyEmailInput!) { verifyEmail(input: $input) { userErrors { code field } position } }";

/// The stranger was first.
async fn both(studio: &TestStudio) -> (Begun, Begun) {
    let his = signs_up(studio, ADDRESS, "stranger", HIS).await;
    let hers = signs_up(studio, ADDRESS, "ada", HERS).await;
    studio.mails_go_out().await;
    (his, hers)
}

/// She has the address, by this password; nothing of his lets anybody in, and his name is free.
async fn she_won(studio: &TestStudio, his: &Begun, password: &str) {
    for (wrong, whose) in
        [(HIS, "his"), (HERS, "hers"), (ANEW, "a new")].into_iter().filter(|(one, _)| *one != password)
    {
        let answer = sign_in(studio, &[], ADDRESS, wrong).await;
        assert_eq!(code(&answer), "INVALID_CREDENTIALS", "by {whose} password");
    }
    studio.sign_in(ADDRESS, password).await;
    assert!(has_ended(studio, his.account).await);
    studio.drain().await;
    assert_eq!(studio.events_named("EmailVerified").await, 1);
    assert_eq!(holder(studio, &his.username).await, None, "what it claimed is free");
    signs_up(studio, "else@example.com", &his.username, HIS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u26_each_sign_up_has_its_own_link_and_hers_verifies_hers() {
    for by_token in [true, false] {
        let studio = TestStudio::start().await;
        let (his, hers) = both(&studio).await;
        assert_eq!(links(&studio, ADDRESS).await.len(), 2);
        let link = link_of(&studio, ADDRESS, &hers).await;
        let with = if by_token { with_token(&link, &hers) } else { with_password(&link, HERS) };
        let his_link = link_of(&studio, ADDRESS, &his).await;
        assert_eq!(verified(&studio, with).await, None);
        assert_eq!(holder(&studio, &his.username).await, None, "at once");
        // His link is in her mailbox, and in nobody else's; it is worth nothing now.
        assert_eq!(verified(&studio, with_token(&his_link, &his)).await, Some(RefusalCode::InvalidToken));
        assert_eq!(verified(&studio, afresh(&his_link)).await, Some(RefusalCode::InvalidToken));
        she_won(&studio, &his, HERS).await;
        studio.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn u26_a_link_takes_something_of_its_own_sign_up() {
    let studio = TestStudio::start().await;
    let (his, hers) = both(&studio).await;
    let (his_link, her_link) = (link_of(&studio, ADDRESS, &his).await, link_of(&studio, ADDRESS, &hers).await);
    let alone = super::VerifyEmail { token: his_link.clone(), ..super::VerifyEmail::default() };
    assert_eq!(verified(&studio, alone).await, Some(RefusalCode::SignUpProofRequired));
    // What she has is of hers, and his of his.
    assert_eq!(verified(&studio, with_token(&his_link, &hers)).await, Some(RefusalCode::SignUpProofRequired));
    assert_eq!(verified(&studio, with_token(&her_link, &his)).await, Some(RefusalCode::SignUpProofRequired));
    assert_eq!(verified(&studio, with_password(&his_link, HERS)).await, Some(RefusalCode::InvalidCredentials));
    assert_eq!(verified(&studio, with_password(&her_link, HIS)).await, Some(RefusalCode::InvalidCredentials));
    studio.drain().await;
    assert_eq!(studio.events_named("EmailVerified").await, 0);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u26_by_his_link_alone_she_sets_a_password_and_all_that_he_had_ends() {
    let studio = TestStudio::start().await;
    let his = signs_up(&studio, ADDRESS, "stranger", HIS).await;
    studio.mails_go_out().await;
    let link = link_of(&studio, ADDRESS, &his).await;
    // A password that the rules refuse uses nothing up.
    let weak = super::VerifyEmail { new_password: Some("short-1".into()), ..afresh(&link) };
    assert_eq!(verified(&studio, weak).await, Some(RefusalCode::InvalidField));
    assert_eq!(verified(&studio, afresh(&link)).await, None);
    assert_eq!(verified(&studio, with_token(&link, &his)).await, Some(RefusalCode::InvalidToken));
    assert_eq!(code(&sign_in(&studio, &[], ADDRESS, HIS).await), "INVALID_CREDENTIALS");
    studio.sign_in(ADDRESS, ANEW).await;
    studio.drain().await;
    let names = studio.names("Account", &his.account.to_string()).await;
    assert_eq!(names[..3], ["AccountOpened", "PasswordChanged", "EmailVerified"]);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u26_a_browser_proves_by_its_cookie_and_an_app_by_the_token() {
    let studio = TestStudio::start().await;
    for (name, by_cookie) in [("ada", true), ("ben", false)] {
        let address = format!("{name}@example.com");
        let input = json!({ "email": address, "password": HERS, "username": name, "minimumAge": 18 });
        let answer = studio.graphql_with(&[], SIGN_UP, json!({ "input": input })).await;
        let cookie = answer.headers["set-cookie"].to_str().expect("text").to_owned();
        assert!(cookie.starts_with("atelier-sign-up-dev=atp_") && cookie.contains("HttpOnly"), "{cookie}");
        let token = answer.json()["data"]["signUp"]["signUpToken"].as_str().expect("a token").to_owned();
        assert!(cookie.contains(&token));
        let link = studio.mailed_token(&address).await;
        let pair = cookie.split(';').next().expect("a pair").to_owned();
        let (headers, input) = if by_cookie {
            (vec![("cookie", pair.as_str())], json!({ "token": link }))
        } else {
            (vec![], json!({ "token": link, "signUpToken": token }))
        };
        let answer = studio.graphql_with(&headers, VERIFY, json!({ "input": input })).await;
        assert_eq!(answer.json()["data"]["verifyEmail"]["userErrors"], json!([]), "{}", answer.text);
        let cleared = answer.headers["set-cookie"].to_str().expect("text");
        assert!(cleared.starts_with("atelier-sign-up-dev=; Max-Age=0"), "{cleared}");
        studio.sign_in(&address, HERS).await;
    }
    // No token is kept as it is.
    let clear: i64 =
        sqlx::query_scalar("select count(*) from credentials.unproven_addresses where sign_up_token is null")
            .fetch_one(&studio.database.pool)
            .await
            .expect("the rows answer");
    assert_eq!(clear, 0);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u26_the_page_asks_a_browser_that_did_not_sign_up() {
    let studio = TestStudio::start().await;
    let his = signs_up(&studio, ADDRESS, "stranger", HIS).await;
    studio.mails_go_out().await;
    let link = link_of(&studio, ADDRESS, &his).await;
    let path = format!("/verify-email?token={link}");
    let page = studio.get(&path, None).await;
    assert!(page.text.contains("name=\"password\"") && page.text.contains("name=\"new_password\""), "{}", page.text);
    let send = async |cookie: &str, body: String| {
        let form = studio.client().post(format!("{}/verify-email", studio.url)).header("cookie", cookie);
        let form =
            form.header("content-type", "application/x-www-form-urlencoded").body(format!("token={link}&{body}"));
        crate::harness::studio::Answer::of(form.send().await.expect("an answer")).await
    };
    for body in ["", "password=owner-horse-11", "new_password=short-1"] {
        let again = send("", body.to_owned()).await;
        assert_eq!(again.status.as_u16(), 400, "{body}");
        assert!(again.text.contains("name=\"new_password\"") && !again.text.contains("horse"), "{}", again.text);
    }
    let foreign = send("atelier-sign-up-dev=atp_nonsense", String::new()).await;
    assert_eq!(foreign.status.as_u16(), 400);
    let cookie = format!("atelier-sign-up-dev={}", his.token.expose());
    let request = studio.client().get(format!("{}{path}", studio.url)).header("cookie", &cookie);
    let page = request.send().await.expect("an answer").text().await.expect("a page");
    assert!(page.contains("<button>Verify my address</button>") && !page.contains("type=\"password\""), "{page}");
    assert_eq!(send(&cookie, String::new()).await.status.as_u16(), 200);
    studio.sign_in(ADDRESS, HIS).await;
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u26_the_newest_five_count_and_one_that_was_not_mailed_takes_no_place() {
    let studio = TestStudio::start().await;
    let mut begun = Vec::new();
    for number in 0..7 {
        begun.push(signs_up(&studio, ADDRESS, &format!("person{number}"), HIS).await);
    }
    studio.mails_go_out().await;
    let mut mailed = links(&studio, ADDRESS).await;
    assert_eq!(mailed.len(), 7);
    let of = |n: usize| mailed.iter().find(|(account, _)| *account == begun[n].account).expect("mailed").1.clone();
    for old in 0..2 {
        assert_eq!(verified(&studio, with_password(&of(old), HIS)).await, Some(RefusalCode::InvalidToken), "{old}");
        assert_eq!(verified(&studio, afresh(&of(old))).await, Some(RefusalCode::InvalidToken), "{old}");
    }
    // Ten more, three of whose mails go out on that day: they push three of the five out, and no more.
    for number in 7..17 {
        begun.push(signs_up(&studio, ADDRESS, &format!("person{number}"), HIS).await);
    }
    studio.mails_go_out().await;
    mailed = links(&studio, ADDRESS).await;
    assert_eq!(mailed.len(), 10);
    let of = |n: usize| mailed.iter().find(|(account, _)| *account == begun[n].account).expect("mailed").1.clone();
    assert_eq!(verified(&studio, with_password(&of(4), HIS)).await, Some(RefusalCode::InvalidToken));
    assert_eq!(verified(&studio, with_password(&of(5), HIS)).await, None);
    studio.drain().await;
    for (number, other) in begun.iter().enumerate() {
        assert_eq!(has_ended(&studio, other.account).await, number != 5, "{number}");
        assert_eq!(holder(&studio, &other.username).await.is_some(), number == 5, "{number}");
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u26_her_own_link_is_sent_again_to_whoever_brings_her_token() {
    let studio = TestStudio::start().await;
    let hers = signs_up(&studio, ADDRESS, "ada", HERS).await;
    let his = signs_up(&studio, ADDRESS, "stranger", HIS).await;
    studio.mails_go_out().await;
    studio.time_passes(61).await;
    for (token, account) in [(Some(hers.token.clone()), hers.account), (None, his.account)] {
        let before = links(&studio, ADDRESS).await.len();
        let origin = atelier_commands::Origin { sign_up_token: token, ..atelier_commands::Origin::default() };
        let resend = ResendVerification { email: ADDRESS.to_owned(), origin };
        resend.run(&studio.node.studio.write).await.expect("it is asked for");
        studio.mails_go_out().await;
        let links = links(&studio, ADDRESS).await;
        assert_eq!((links.len(), links[0].0), (before + 1, account));
        studio.time_passes(61).await;
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_an_address_that_staff_mistyped_goes_to_who_proves_it_and_the_account_stays() {
    let studio = TestStudio::start().await;
    let eve = studio.newcomer("eve").await;
    let account = studio.account(&eve).await;
    let order = StaffOrder { staff: None, reason: StaffReason::parse("ticket 7").expect("a reason") };
    let desk = atelier_commands::use_cases::Desk::console();
    let change = atelier_commands::use_cases::StaffChangeEmail {
        desk,
        account: Ok(account),
        email: ADDRESS.to_owned(),
        reason: "ticket 7".to_owned(),
    };
    let hers = signs_up(&studio, ADDRESS, "ada", HERS).await;
    change.run(&studio.node.studio.write, &studio.operator()).await.expect("a sign-up keeps nobody from an address");
    studio.mails_go_out().await;
    let staff_link = links(&studio, ADDRESS).await.into_iter().find(|(of, _)| *of == account).expect("mailed").1;
    let link = link_of(&studio, ADDRESS, &hers).await;
    assert_eq!(verified(&studio, with_token(&link, &hers)).await, None);
    studio.sign_in(ADDRESS, HERS).await;
    assert!(!has_ended(&studio, account).await, "it was proven once: it is nobody's sign-up");
    assert!(verified(&studio, afresh(&staff_link)).await.is_some(), "the address is hers");
    // Support gives it its right one.
    let again =
        StaffCommand::ChangeEmail { unchanged: false, email: Email::parse("eve@right.example").expect("an address") };
    super::super::staff::command(&studio, account, AccountCommand::ByStaff { order, command: again }).await;
    studio.mails_go_out().await;
    assert!(!state(&studio, account).await.email_verified());
    let held = claims::find(&studio.database.pool, &studio.index_of(ADDRESS)).await.expect("the rows answer");
    assert_eq!(held.expect("claimed").account, hers.account);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_a_pending_sign_up_is_unknown_to_every_other_entrance() {
    let studio = TestStudio::start().await;
    let his = signs_up(&studio, ADDRESS, "stranger", HIS).await;
    studio.mails_go_out().await;
    let unknown = sign_in(&studio, &[], "nobody@example.com", HIS).await;
    assert_eq!(sign_in(&studio, &[], ADDRESS, HIS).await, unknown);
    let reset =
        "mutation($email: String!) { requestPasswordReset(input: {email: $email}) { userErrors { code } position } }";
    let asked: Vec<Value> = vec![
        studio.graphql(None, reset, json!({ "email": ADDRESS })).await,
        studio.graphql(None, reset, json!({ "email": "nobody@example.com" })).await,
    ];
    assert_eq!(asked[0], asked[1]);
    studio.drain().await;
    assert_eq!(studio.names("Account", &his.account.to_string()).await, ["AccountOpened"]);
    // A session, however it was had, makes nothing that outlives the proof by another.
    let session = studio.session_of(his.account).await;
    let hers = signs_up(&studio, ADDRESS, "ada", HERS).await;
    studio.mails_go_out().await;
    let link = link_of(&studio, ADDRESS, &hers).await;
    assert_eq!(verified(&studio, with_token(&link, &hers)).await, None);
    assert!(!counts(&studio, &session).await, "sessions of the others end with them");
    studio.stop().await;
}
