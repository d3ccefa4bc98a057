//! The making of the demo studio, interrupted again and again: the next start goes on, and nothing is made twice.

use sqlx::{Executor, PgConnection};

use super::{PAINTED, PEOPLE, environment, is_filled};
use crate::harness::process::{Home, Served, until};

async fn events(admin: &mut PgConnection) -> i64 {
    // Not migrated yet counts as none.
    sqlx::query_scalar("select count(*) from events").fetch_one(admin).await.unwrap_or(0)
}

/// Waits until the log has this many events.
async fn reached(home: &Home, served: &mut Served, wanted: i64) {
    let mut admin = until("PostgreSQL", async || home.superuser().await).await;
    until("the log to grow", async || {
        served.still_runs();
        (events(&mut admin).await >= wanted).then_some(())
    })
    .await;
}

/// Starts making the studio, and kills it between the claims of a sign-up and the account they are for.
async fn killed_in_a_sign_up(home: &Home) {
    let served = home.serve(&["--demo"]);
    let mut admin = until("PostgreSQL", async || home.superuser().await).await;
    // Readers pass, writers wait: the sign-up stands still before its password row.
    until("the tables", async || {
        let table = sqlx::query_scalar::<_, bool>("select to_regclass('credentials.passwords') is not null");
        table.fetch_one(&mut admin).await.expect("the superuser may ask").then_some(())
    })
    .await;
    admin.execute("begin; lock table credentials.passwords in share mode").await.expect("the superuser may lock");
    let waiting =
        "select exists (select from pg_locks where not granted and relation = 'credentials.passwords'::regclass)";
    until("the sign-up", async || {
        sqlx::query_scalar::<_, bool>(waiting).fetch_one(&mut admin).await.expect("the lock is ours").then_some(())
    })
    .await;
    served.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn d8_an_interrupted_demo_studio_is_completed_by_the_next_start() {
    let home = Home::open().await;
    killed_in_a_sign_up(&home).await;
    for (wanted, signal) in [(60, "KILL"), (140, "INT"), (220, "KILL")] {
        let mut served = home.serve(&["--demo"]);
        reached(&home, &mut served, wanted).await;
        assert!(!served.said().contains("atelier is ready"), "interrupted too late to tell anything");
        let ended = served.stop(signal).await;
        assert_eq!(ended.code, (signal == "INT").then_some(0), "{}", ended.logged);
    }
    let mut served = home.serve(&["--demo"]);
    let visitor = served.ready().await;
    is_filled(&visitor, &environment(&home)).await;
    // The log says the same: nobody signed up twice, nothing was held, asked for or paid twice.
    let mut admin = home.superuser().await.expect("PostgreSQL runs");
    for (event, times) in [
        ("AccountOpened", PEOPLE),
        ("EmailVerified", PEOPLE),
        ("HoldPlaced", PAINTED),
        ("GenerationRequested", PAINTED),
        ("GenerationSucceeded", PAINTED),
        ("HoldCaptured", PAINTED),
        ("HoldVoided", 0),
    ] {
        let counted: i64 = sqlx::query_scalar("select count(*) from events where event_type = $1")
            .bind(event)
            .fetch_one(&mut admin)
            .await
            .expect("the log can be read");
        assert_eq!(usize::try_from(counted).ok(), Some(times), "{event}");
    }
    assert_eq!(served.stop("INT").await.code, Some(0));
}
