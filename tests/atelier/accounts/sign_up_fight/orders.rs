//! Every order, at the same moment, and with a death between any two steps.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use atelier_commands::RefusalCode;
use atelier_commands::use_cases::{RequestPasswordReset, ResendVerification, VerifyEmail};
use atelier_domain::account::Status;
use atelier_vault::credential_rows::{claims, unproven_addresses};
use futures::future::join_all;

use super::super::{code, sign_in};
use super::{
    ANEW, Begun, HERS, HIS, afresh, has_ended, holder, link_of, links, refused, signs_up, signs_up_if_it_lasts, state,
    verified, with_password, with_token,
};
use crate::crash::dice::Dice;
use crate::harness::TestStudio;

/// Runs a future until it has been polled so often, and drops it then: what a death between two of its steps leaves. Says what came
/// of it when it came to its end.
async fn dies_after<T>(polls: usize, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut polled = 0;
    std::future::poll_fn(move |context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if polled == polls => Poll::Ready(None),
        Poll::Pending => {
            polled += 1;
            Poll::Pending
        }
    })
    .await
}

/// However it went: one account has the address at most, and the stranger is in none.
async fn nobody_else_is_in(studio: &TestStudio, email: &str, all: &[&Begun]) {
    let mut proven = Vec::new();
    for begun in all {
        let state = state(studio, begun.account).await;
        if state.email_verified() && state.status() == Status::Open {
            proven.push(begun.account);
        }
    }
    assert!(proven.len() <= 1, "{email}: {proven:?}");
    super::super::time_passes(studio, 3_600).await;
    assert_eq!(code(&sign_in(studio, &[], email, HIS).await), "INVALID_CREDENTIALS", "{email}");
}

/// The address is an account's that has it by log and rows, and every other sign-up is gone.
async fn settled(studio: &TestStudio, email: &str, all: &[&Begun]) {
    studio.drain().await;
    let index = studio.index_of(email);
    let claim = claims::find(&studio.database.pool, &index).await.expect("the rows answer").expect("it is claimed");
    let holder_state = state(studio, claim.account).await;
    assert!(holder_state.email_verified() && holder_state.status() == Status::Open, "{email}");
    for begun in all.iter().filter(|begun| begun.account != claim.account) {
        assert!(has_ended(studio, begun.account).await, "{email}: {}", begun.username);
        assert_eq!(holder(studio, &begun.username).await, None, "{email}: {}", begun.username);
    }
    let waiting = unproven_addresses::of(&studio.database.pool, &index, None, 10).await.expect("the rows answer");
    // A death after the event leaves the holder's own, which counts for nothing.
    assert!(waiting.iter().all(|unproven| unproven.account == claim.account), "{email}: {waiting:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn u26_whoever_dies_between_two_steps_of_a_proof_the_owner_gets_in() {
    let studio = TestStudio::start().await;
    let mut deaths = 0;
    for polls in 0..44 {
        {
            let new_password = polls % 2 == 1;
            let email = format!("ada{polls}{new_password}@example.com");
            let his = signs_up(&studio, &email, &format!("his{polls}{new_password}"), HIS).await;
            let hers = signs_up(&studio, &email, &format!("hers{polls}{new_password}"), HERS).await;
            studio.mails_go_out().await;
            let (his_link, her_link) = (link_of(&studio, &email, &his).await, link_of(&studio, &email, &hers).await);
            let proof = if new_password { afresh(&his_link) } else { with_token(&her_link, &hers) };
            let ended = dies_after(polls, proof.run(&studio.node.studio.write, &studio.operator())).await;
            deaths += usize::from(ended.is_none());
            nobody_else_is_in(&studio, &email, &[&his, &hers]).await;
            // She goes on: with the same link, or another one.
            let mut done = refused(
                verify_again(&studio, if new_password { afresh(&his_link) } else { with_token(&her_link, &hers) })
                    .await,
            );
            if new_password && done.is_some() && !state(&studio, his.account).await.email_verified() {
                studio.time_passes(61).await;
                let resend = ResendVerification {
                    email: email.clone(),
                    origin: super::Origin { sign_up_token: None, ..super::Origin::default() },
                };
                resend.run(&studio.node.studio.write).await.expect("it is asked for");
                studio.mails_go_out().await;
                let mailed = links(&studio, &email).await;
                let (account, link) = mailed.first().expect("another link").clone();
                done = verified(&studio, with_password(&link, if account == his.account { ANEW } else { HERS })).await;
                assert_eq!(done, None, "{polls}: by another link and the password that is hers");
            }
            let in_by = [HERS, ANEW];
            let mut signed_in = false;
            for password in in_by {
                signed_in |= code(&sign_in(&studio, &[], &email, password).await).is_empty();
            }
            assert!(signed_in, "{polls} {new_password}: {done:?}");
            nobody_else_is_in(&studio, &email, &[&his, &hers]).await;
            settled(&studio, &email, &[&his, &hers]).await;
        }
    }
    assert!(deaths > 10, "deaths were tried: {deaths}");
    studio.stop().await;
}

async fn verify_again(studio: &TestStudio, verify: VerifyEmail) -> Result<(), super::UseCaseError> {
    verify.run(&studio.node.studio.write, &studio.operator()).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn u26_of_all_links_pressed_at_the_same_moment_one_counts() {
    let studio = TestStudio::start().await;
    for round in 0..10 {
        let email = format!("ada{round}@example.com");
        let mut all = Vec::new();
        for number in 0..4 {
            all.push(signs_up(&studio, &email, &format!("p{round}x{number}"), HERS).await);
        }
        studio.mails_go_out().await;
        let mut proofs = Vec::new();
        for begun in &all {
            let link = link_of(&studio, &email, begun).await;
            proofs.extend([with_token(&link, begun), with_password(&link, HERS)]);
        }
        let answers = join_all(proofs.into_iter().map(|proof| verified(&studio, proof))).await;
        let won: Vec<usize> = (0..4).filter(|n| answers[2 * n].is_none() || answers[2 * n + 1].is_none()).collect();
        assert_eq!(won.len(), 1, "{answers:?}");
        let others = answers.iter().flatten();
        // The password and the token of one that is being erased are gone.
        let said = [
            RefusalCode::InvalidToken,
            RefusalCode::NotPossibleNow,
            RefusalCode::InvalidCredentials,
            RefusalCode::SignUpProofRequired,
        ];
        others.for_each(|refused| assert!(said.contains(refused), "{refused:?}"));
        assert!(state(&studio, all[won[0]].account).await.email_verified());
        settled(&studio, &email, &all.iter().collect::<Vec<_>>()).await;
    }
    studio.stop().await;
}

/// What the two do to one address.
#[derive(Debug, Clone, Copy)]
enum Move {
    HeSignsUp,
    SheSignsUp,
    HeResends,
    HeResets,
    HeTriesHisTokenOnTheNewestLink,
    SheProvesHers,
    SheUsesTheNewestLinkAlone,
    SheDiesInAProof(usize),
    MailsGoOut,
}

#[tokio::test(flavor = "multi_thread")]
async fn u26_in_every_order_and_at_the_same_moment_only_the_owner_gets_in() {
    let studio = TestStudio::start().await;
    let mut dice = Dice::of("u26_in_every_order_and_at_the_same_moment_only_the_owner_gets_in");
    for case in 0..12 {
        let email = format!("case{case}@example.com");
        let (mut his, mut hers): (Vec<Begun>, Vec<Begun>) = (Vec::new(), Vec::new());
        let mut history = Vec::new();
        for step in 0..8 {
            let moves = [
                Move::HeSignsUp,
                Move::SheSignsUp,
                Move::HeResends,
                Move::HeResets,
                Move::HeTriesHisTokenOnTheNewestLink,
                Move::SheProvesHers,
                Move::SheUsesTheNewestLinkAlone,
                Move::SheDiesInAProof(dice.below(40)),
                Move::MailsGoOut,
                Move::MailsGoOut,
            ];
            let pair = [*dice.pick(&moves), *dice.pick(&moves)];
            history.push(pair);
            let names = [format!("c{case}s{step}a"), format!("c{case}s{step}b")];
            let [one, two] =
                [0, 1].map(|n| play(&studio, &email, pair[n], &names[n], his.last().cloned(), hers.last().cloned()));
            let (one, two) = tokio::join!(one, two);
            for (what, begun) in pair.iter().zip([one, two]) {
                match (what, begun) {
                    (Move::HeSignsUp, Some(begun)) => his.push(begun),
                    (Move::SheSignsUp, Some(begun)) => hers.push(begun),
                    _ => {}
                }
            }
            let all: Vec<&Begun> = his.iter().chain(&hers).collect();
            let mut proven = 0;
            for begun in &all {
                proven += usize::from(
                    state(&studio, begun.account).await.email_verified() && !has_ended(&studio, begun.account).await,
                );
            }
            assert!(proven <= 1, "{history:?}");
        }
        let all: Vec<&Begun> = his.iter().chain(&hers).collect();
        nobody_else_is_in(&studio, &email, &all).await;
        // Whatever has happened, the owner of the mailbox gets in.
        if code(&sign_in(&studio, &[], &email, HERS).await).is_empty()
            || code(&sign_in(&studio, &[], &email, ANEW).await).is_empty()
        {
            continue;
        }
        studio.time_passes(24 * 3_600).await;
        let hers = signs_up(&studio, &email, &format!("c{case}last"), HERS).await;
        studio.mails_go_out().await;
        let link = link_of(&studio, &email, &hers).await;
        assert_eq!(verified(&studio, with_token(&link, &hers)).await, None, "{history:?}");
        studio.sign_in(&email, HERS).await;
        nobody_else_is_in(&studio, &email, &all).await;
        settled(&studio, &email, &all).await;
    }
    studio.stop().await;
}

async fn play(
    studio: &TestStudio,
    email: &str,
    what: Move,
    name: &str,
    his: Option<Begun>,
    hers: Option<Begun>,
) -> Option<Begun> {
    let write = &studio.node.studio.write;
    let email = email.to_owned();
    match what {
        Move::HeSignsUp => return signs_up_if_it_lasts(studio, &email, name, HIS).await,
        Move::SheSignsUp => return signs_up_if_it_lasts(studio, &email, name, HERS).await,
        Move::HeResends => {
            let sign_up_token = his.map(|his| his.token);
            let resend =
                ResendVerification { email, origin: super::Origin { sign_up_token, ..super::Origin::default() } };
            resend.run(write).await.expect("it is asked for");
        }
        Move::HeResets => {
            let reset = RequestPasswordReset { email, origin: super::Origin::default() };
            reset.run(write).await.expect("it is asked for");
        }
        // As if he could make her browser do it.
        Move::HeTriesHisTokenOnTheNewestLink => {
            let newest = links(studio, &email).await;
            if let (Some((account, link)), Some(his)) = (newest.first(), &his)
                && *account != his.account
            {
                let refused = verified(studio, with_token(link, his)).await;
                let proven = state(studio, *account).await.email_verified();
                assert!(refused.is_some() || proven, "{refused:?}");
            }
        }
        Move::SheProvesHers | Move::SheDiesInAProof(_) => {
            let hers = hers?;
            let mailed = links(studio, &email).await.into_iter().find(|(account, _)| *account == hers.account);
            let (_, link) = mailed?;
            let proof = with_token(&link, &hers);
            match what {
                Move::SheDiesInAProof(polls) => {
                    dies_after(polls, proof.run(write, &studio.operator())).await;
                }
                _ => {
                    verified(studio, proof).await;
                }
            }
        }
        Move::SheUsesTheNewestLinkAlone => {
            if let Some((_, link)) = links(studio, &email).await.first() {
                verified(studio, afresh(link)).await;
            }
        }
        Move::MailsGoOut => studio.mails_go_out().await,
    }
    None
}
