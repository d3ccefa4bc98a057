//! A process manager resumes at the parked event, never earlier: what it asks for is asked for once, whoever dies in between.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use atelier_domain::{Envelope, LogEvent};
use atelier_projections::Projection;
use tokio::time::timeout;

use super::*;
use crate::projections::counted_table;

/// The account at which it fails, from its third event on.
const ACCOUNT: &str = "00000000-0000-0000-0000-000000000003";

/// How it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failing {
    ByValue,
    ByPanic,
}

/// Asks for something at every event of an account, and must not ask twice: without tables, as a process manager, and without any care
/// of its own.
struct Asking {
    failing: Failing,
    broken: Arc<AtomicBool>,
}

#[async_trait]
impl Projection for Asking {
    fn name(&self) -> &'static str {
        "Asking"
    }

    fn version(&self) -> i32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &[]
    }

    fn durable(&self) -> bool {
        true
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[Arc<Envelope>]) -> Result<(), sqlx::Error> {
        for event in events {
            let LogEvent::Account(account, _) = &event.event else { continue };
            let fails = account.to_string() == ACCOUNT && event.sequence == 3 && self.broken.load(Ordering::Relaxed);
            if fails && self.failing == Failing::ByPanic {
                panic!("planted by a test");
            }
            let ask = "insert into counted (position) values ($1 / case when $2 then 0 else 1 end)";
            sqlx::query(ask).bind(event.position).bind(fails).execute(&mut *connection).await?;
        }
        Ok(())
    }
}

/// A round of events: the next one of each of five accounts.
async fn round(database: &TestDatabase, sequence: i64) {
    let append = format!(
        "select append_events(array_agg(n::int), array_agg('Account'::text), array_agg('00000000-0000-0000-0000-' || lpad(n::text, 12, '0')), \
         array_agg({sequence}::bigint), array_agg('EmailVerified'::text), array_agg('1'::text), array_agg('{{\"EmailVerified\":{{}}}}'::text), \
         array_agg('{{\"actor\":\"operator\",\"correlation_id\":\"00000000-0000-0000-0000-000000000001\",\"causation_id\":\"00000000-0000-0000-0000-000000000001\"}}'::text), \
         array_agg(gen_random_uuid()), array_agg(now()), '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}') from generate_series(1, 5) n"
    );
    sqlx::query(&append).execute(&database.pool).await.expect("events are appended");
}

/// The positions that were asked for, in order.
async fn asked(pool: &PgPool) -> Vec<i64> {
    sqlx::query_scalar("select position from counted order by position").fetch_all(pool).await.expect("rows")
}

async fn resumes_where_it_was_parked(failing: Failing) {
    let database = counted_table(0).await;
    let (pool, broken) = (&database.pool, Arc::new(AtomicBool::new(true)));
    let node = |batch| {
        let options = RunnerOptions { batch, rest: Duration::from_millis(1), ..RunnerOptions::default() };
        let asking = Asking { failing, broken: broken.clone() };
        Arc::new(Runner::new(pool.clone(), Feed::new(pool.clone()), vec![Arc::new(asking)], options))
    };
    node(1).register().await.expect("a checkpoint");
    let following: Vec<_> = (0..2).map(|_| Following::start(&node(4))).collect();
    for sequence in 1..=8 {
        round(&database, sequence).await;
    }
    at_head(pool, &["Asking"]).await;
    // The third event of the third of five accounts, and what follows it.
    let left_out: Vec<i64> = (3..=8).map(|sequence| (sequence - 1) * 5 + 3).collect();
    let kept = |position: &i64| !left_out.contains(position);
    assert_eq!(asked(pool).await, (1..=40).filter(kept).collect::<Vec<_>>(), "nobody else misses anything");
    assert_eq!(parked(pool).await, [("Asking".to_owned(), ACCOUNT.to_owned(), 13, "unfoldable".to_owned())]);
    let retried = node(1).retry("Asking").await.expect("a retry");
    assert_eq!((retried.repaired.len(), retried.failed.len()), (0, 1), "{failing:?}");
    assert_eq!(asked(pool).await.len(), 34, "{failing:?}: nothing was asked for again");

    broken.store(false, Ordering::Relaxed);
    let (mut ended, mut sequence) = (0, 8);
    for after in 0..200_u64 {
        // Ended at any moment, while the log grows.
        if after % 8 == 0 {
            sequence += 1;
            round(&database, sequence).await;
        }
        ended += u32::from(timeout(Duration::from_micros(100 * after), node(1).retry("Asking")).await.is_err());
        if parked(pool).await.is_empty() {
            break;
        }
    }
    assert!(ended > 5, "{failing:?}: some were ended: {ended}");
    node(1).retry("Asking").await.expect("a retry");
    round(&database, sequence + 1).await;
    at_head(pool, &["Asking"]).await;
    stopped(following).await;
    let head: i64 = sqlx::query_scalar("select max(position) from events").fetch_one(pool).await.expect("a head");
    assert_eq!(asked(pool).await, (1..=head).collect::<Vec<_>>(), "{failing:?}: each once");
    assert_eq!((parked(pool).await, states(pool).await), (Vec::new(), vec!["running".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_a_process_manager_resumes_at_the_parked_event_and_asks_for_nothing_twice() {
    resumes_where_it_was_parked(Failing::ByValue).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_a_fold_that_panics_costs_its_account_alone() {
    resumes_where_it_was_parked(Failing::ByPanic).await;
}
