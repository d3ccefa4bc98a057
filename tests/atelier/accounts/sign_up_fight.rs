//! A stranger and the owner of a mailbox sign up with one address: whoever came first, the owner gets in and the stranger does not, at every
//! entrance, in every order, and whoever died in between (U26, sec.S4).

mod entrances;
mod orders;

use atelier_commands::use_cases::{SignUp, VerifyEmail};
use atelier_commands::{CommandError, Origin, RefusalCode, UseCaseError};
use atelier_domain::AccountId;
use atelier_domain::account::{Account, Status};
use atelier_vault::credential_rows::claims;
use atelier_vault::credential_rows::mail_tokens::{self, MailPurpose};
use atelier_vault::{IndexKind, MailToken, PassingToken};

use crate::harness::TestStudio;

/// The passwords of the two, and the one that the owner sets anew.
const HERS: &str = "owner-horse-11";
const HIS: &str = "stranger-horse-22";
const ANEW: &str = "anew-horse-33";

/// A sign-up, and what its client has of it.
#[derive(Clone)]
struct Begun {
    username: String,
    account: AccountId,
    token: PassingToken,
}

async fn signs_up(studio: &TestStudio, email: &str, username: &str, password: &str) -> Begun {
    signs_up_if_it_lasts(studio, email, username, password).await.expect("the name is claimed")
}

/// The same beside proofs: nothing, when the sign-up has ended already.
async fn signs_up_if_it_lasts(studio: &TestStudio, email: &str, username: &str, password: &str) -> Option<Begun> {
    let sign_up = SignUp {
        email: email.to_owned(),
        password: password.to_owned(),
        username: username.to_owned(),
        minimum_age: 18,
        origin: Origin::default(),
    };
    let token = sign_up.run(&studio.node.studio.write, &studio.operator()).await.expect("it opens");
    let account = holder(studio, username).await?;
    Some(Begun { username: username.to_owned(), account, token })
}

/// Whose a username is.
async fn holder(studio: &TestStudio, username: &str) -> Option<AccountId> {
    let index = studio.node.studio.write.blind_index.digest(IndexKind::Username, username);
    claims::find(&studio.database.pool, &index).await.expect("the rows answer").map(|claim| claim.account)
}

/// The links that were mailed to an address and count, with the accounts they are of; newest first.
async fn links(studio: &TestStudio, email: &str) -> Vec<(AccountId, String)> {
    let write = &studio.node.studio.write;
    let mut links = Vec::new();
    for mail in studio.node.mailbox.list(1_000).await.expect("the mailbox can be read") {
        if mail.to != email {
            continue;
        }
        // It goes with an account that has ended meanwhile.
        let Some(mail) = studio.node.mailbox.read(&mail.file).await.expect("read") else { continue };
        let text = mail.text;
        let Some((_, rest)) = text.split_once("/verify-email?token=") else { continue };
        let token = rest.lines().next().expect("a token").trim().to_owned();
        let digest = write.secrets.mail(&MailToken::parse(&token).expect("a token"));
        let held = mail_tokens::peek(&write.pool, &digest, MailPurpose::VerifyEmail, write.now()).await;
        if let Some(held) = held.expect("the rows answer") {
            links.push((held.account, token));
        }
    }
    links
}

/// The newest link of a sign-up.
async fn link_of(studio: &TestStudio, email: &str, begun: &Begun) -> String {
    let links = links(studio, email).await;
    let found = links.into_iter().find(|(account, _)| *account == begun.account);
    found.expect("its link was mailed").1
}

fn with_token(link: &str, begun: &Begun) -> VerifyEmail {
    let origin = Origin { sign_up_token: Some(begun.token.clone()), ..Origin::default() };
    VerifyEmail { token: link.to_owned(), origin, ..VerifyEmail::default() }
}

fn with_password(link: &str, password: &str) -> VerifyEmail {
    VerifyEmail { token: link.to_owned(), password: Some(password.to_owned()), ..VerifyEmail::default() }
}

fn afresh(link: &str) -> VerifyEmail {
    VerifyEmail { token: link.to_owned(), new_password: Some(ANEW.to_owned()), ..VerifyEmail::default() }
}

/// Carries a verification out: nothing, or the code it is refused with.
async fn verified(studio: &TestStudio, verify: VerifyEmail) -> Option<RefusalCode> {
    refused(verify.run(&studio.node.studio.write, &studio.operator()).await.map(drop))
}

fn refused(done: Result<(), UseCaseError>) -> Option<RefusalCode> {
    match done {
        Ok(()) => None,
        Err(CommandError::Refused(refusal)) => Some(refusal.code),
        Err(error) => panic!("a fault: {error}"),
    }
}

async fn state(studio: &TestStudio, account: AccountId) -> Account {
    let loaded = studio.node.studio.write.path.load::<Account>(&account.to_string()).await;
    loaded.expect("the log answers").state
}

/// Whether an account is gone, or going.
async fn has_ended(studio: &TestStudio, account: AccountId) -> bool {
    matches!(state(studio, account).await.status(), Status::Deleting | Status::Erased)
}
