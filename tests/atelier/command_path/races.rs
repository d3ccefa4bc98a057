//! Races of two nodes for one ledger: as many winners as there are credits, and no grant is lost (L08, L09).

use atelier_commands::CommandError;
use tokio::task::JoinSet;

use super::stage::{Ask, Ledger, Stage, done, insufficient, refused, spendable};

const WINNERS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn l08_of_64_on_two_nodes_as_many_win_as_there_are_credits() {
    let stage = Stage::fresh().await;
    let (nodes, ledger) = ([stage.path(), stage.path()], Ledger::fresh());
    done(ledger.ask(&nodes[0], Ask::grant(10 * 20)).await);
    let mut racers = JoinSet::new();
    for racer in 0..64 {
        racers.spawn(ledger.ask(&nodes[racer % 2], Ask::hold(10)));
    }
    let (winners, losers): (Vec<_>, Vec<_>) = racers.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!((winners.len(), losers.len()), (WINNERS, 44));
    winners.into_iter().for_each(|won| assert_eq!(done(won).0.len(), 1));
    losers.into_iter().for_each(|lost| assert_eq!(refused(lost), insufficient(10, 0)));
    assert_eq!(stage.history(&ledger).await.len(), 1 + WINNERS);
    assert_eq!(spendable(&stage.truth(&ledger).await), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn l09_five_hundred_parallel_grants_are_all_there() {
    let stage = Stage::fresh().await;
    let (nodes, ledger) = ([stage.path(), stage.path()], Ledger::fresh());
    let mut grants = JoinSet::new();
    for number in 0..500 {
        grants.spawn(ledger.ask(&nodes[number % 2], Ask::grant(1)));
    }
    grants.join_all().await.into_iter().for_each(|granted| assert_eq!(done(granted).0.len(), 1));
    assert_eq!(spendable(&stage.truth(&ledger).await), 500);
    for node in &nodes {
        assert_eq!(spendable(&ledger.load(node).await.state), 500);
    }
}

/// Two nodes that never leave the ledger alone: each must get on, and the one that does not at this moment says so, not that there
/// were no credits.
#[tokio::test(flavor = "multi_thread")]
async fn l06_two_nodes_that_spend_all_the_time_both_get_on() {
    let stage = Stage::fresh().await;
    let (nodes, ledger) = ([stage.path(), stage.path()], Ledger::fresh());
    done(ledger.ask(&nodes[0], Ask::grant(1_000_000)).await);
    let mut spenders = JoinSet::new();
    for spender in 0..16 {
        let (node, ledger) = (nodes[spender % 2].clone(), ledger.clone());
        spenders.spawn(async move {
            let mut counted = (spender % 2, 0_usize, 0_usize);
            for _ in 0..25 {
                let hold = Ask::hold(1);
                match ledger.ask(&node, hold).await {
                    Ok(_) => counted.1 += 1,
                    Err(CommandError::Conflict) => counted.2 += 1,
                    Err(other) => panic!("{other:?}"),
                }
            }
            counted
        });
    }
    let mut written = [0, 0];
    let mut conflicts = [0, 0];
    for (node, done, lost) in spenders.join_all().await {
        written[node] += done;
        conflicts[node] += lost;
    }
    assert!(written.iter().all(|&written| written > 0), "one node got nothing done: {written:?}, {conflicts:?}");
    assert_eq!(stage.history(&ledger).await.len(), 1 + written.iter().sum::<usize>());
    stage.truth(&ledger).await;
}
