//! What an operator sees of the followers: metrics, health, the command line (DESIGN 8).

use atelier_projections::models::{all, profile};
use serde_json::json;

use super::{append, live};
use crate::as_atelier;
use crate::harness::TestStudio;
use crate::harness::process::until;

/// The lines of a metric for a projection.
async fn metric(studio: &TestStudio, name: &str, projection: &str) -> Option<f64> {
    let text = studio.get("/metrics", None).await.text;
    let label = format!("projection=\"{projection}\"");
    let line = text.lines().find(|line| {
        let end = line.find(['{', ' ']).unwrap_or(line.len());
        line[..end] == *name && line.contains(&label)
    });
    line?.rsplit(' ').next()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn d8_the_metrics_show_lag_batches_takeovers_stops_and_rebuilds() {
    let studio = TestStudio::start().await;
    live(&studio).await;
    for projection in all() {
        for name in [
            "lag_events",
            "lag_seconds",
            "stopped",
            "rebuild_left",
            "events_total",
            "batch_events_count",
            "apply_seconds_count",
        ] {
            let name = format!("atelier_projection_{name}");
            until(&name, async || metric(&studio, &name, projection.name()).await).await;
        }
    }
    // As if another node had held it.
    sqlx::query("update checkpoints set holder = gen_random_uuid()").execute(&studio.database.pool).await.expect("set");
    until("a takeover", async || {
        let email = "mutation { updateProfile(input: {bio: \"x\"}) { userErrors { code } } }";
        let _ = studio.graphql_raw(None, email, json!({})).await;
        let head = studio.head().await;
        append(&studio.database.pool, 1_000_000 + head, 1, r#"{"EmailVerified":{}}"#).await;
        metric(&studio, "atelier_projection_takeovers_total", profile::NAME).await.filter(|count| *count >= 1.0)
    })
    .await;
    // Three accounts in quarantine; then a stop, and with it an age that grows.
    append(&studio.database.pool, 2_000_000, 4, r#"{"NoSuchEvent":{}}"#).await;
    until("a stop", async || {
        metric(&studio, "atelier_quarantine_parked_total", profile::NAME).await.filter(|parked| *parked >= 3.0)?;
        metric(&studio, "atelier_quarantined_accounts", profile::NAME).await.filter(|left_out| *left_out == 3.0)?;
        metric(&studio, "atelier_projection_stops_total", profile::NAME).await?;
        metric(&studio, "atelier_projection_stopped", profile::NAME).await.filter(|stopped| *stopped == 1.0)
    })
    .await;
    until("its age", async || {
        metric(&studio, "atelier_projection_lag_seconds", profile::NAME).await.filter(|age| *age > 0.0)
    })
    .await;
    studio.stop().await;
}

/// Runs the command line on the studio's database.
async fn command(studio: &TestStudio, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = as_atelier::command(&[&["projections"], arguments].concat());
    command.env("DATABASE_URL", &studio.database.url).env("ATELIER_DATA", studio.data.path());
    let output = tokio::process::Command::from(command).output().await.expect("this binary runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).expect("UTF-8"))
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_the_command_line_lists_rebuilds_and_retries_beside_a_running_node() {
    let studio = TestStudio::start().await;
    live(&studio).await;
    let (code, list) = until("every follower to be seen", async || {
        let (code, list) = command(&studio, &["list"]).await;
        list.lines().any(|line| line.starts_with("Profile ") && line.contains("    1  running")).then_some((code, list))
    })
    .await;
    assert_eq!(code, Some(0));
    assert!(all().iter().all(|model| list.contains(model.name())), "{list}");

    let (code, said) = command(&studio, &["rebuild", "TransactionHistory"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("events folded") && said.contains("the same content"), "{said}");
    assert!(said.contains("TransactionHistory has taken over at position"), "{said}");
    let (code, said) = command(&studio, &["rebuild", "Nobody"]).await;
    assert_eq!((code, said.contains("no read model named Nobody")), (Some(1), true), "{said}");
    let (code, said) = command(&studio, &["prune"]).await;
    assert_eq!((code, said.contains("nothing to drop")), (Some(0), true), "{said}");

    let (code, said) = command(&studio, &["retry", "Welcome"]).await;
    assert_eq!(
        (code, said.contains("Welcome is not stopped, and has nothing in quarantine")),
        (Some(0), true),
        "{said}"
    );
    append(&studio.database.pool, 3_000_000, 4, r#"{"NoSuchEvent":{}}"#).await;
    let stopped = until("a stop in the list", async || {
        let (_, list) = command(&studio, &["list"]).await;
        list.lines().find(|line| line.starts_with("Profile ") && line.contains("stopped")).map(str::to_owned)
    })
    .await;
    assert!(stopped.contains("malformed payload of EmailVerified") && stopped.contains("3 in quarantine"), "{stopped}");
    let (code, said) = command(&studio, &["retry", "Profile"]).await;
    assert_eq!((code, said.contains("Profile tries again")), (Some(1), true), "{said}");
    assert_eq!(said.matches("stays in quarantine, at").count(), 3, "{said}");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_a_release_whose_read_models_are_not_built_yet_neither_is_ready_nor_answers() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    // As a new version is while it folds an old log. If the node last looked before what it lacks was there, it lets it serve,
    // rightly; at the next look it does not.
    let stop = "update checkpoints set state = 'stopped', position = position - 1, failed_position = position, error = 'planted by a test' \
                where name = $1";
    sqlx::query(stop).bind(profile::NAME).execute(&studio.database.pool).await.expect("set");
    until("it does not answer", async || {
        let building = sqlx::query("update checkpoints set serving = false where name = $1").bind(profile::NAME);
        building.execute(&studio.database.pool).await.expect("set");
        let answer = studio.graphql_raw(Some(&ada.token), "{ me { profile { username } } }", json!({})).await;
        (answer["errors"][0]["extensions"]["code"] == json!("STALE_READ")).then_some(())
    })
    .await;
    let health = studio.get("/health/ready", None).await;
    assert_eq!((health.status.as_u16(), health.json()["status"].clone()), (503, json!("building read models")));
    assert_eq!(health.json()["building"], json!([profile::NAME]));
    let go_on = "update checkpoints set state = 'running', failed_position = null, error = null where name = $1";
    sqlx::query(go_on).bind(profile::NAME).execute(&studio.database.pool).await.expect("set");
    until("it is built", async || {
        let health = studio.get("/health/ready", None).await;
        (health.status.as_u16() == 200).then_some(())
    })
    .await;
    let me = studio.graphql(Some(&ada.token), "{ me { profile { username } } }", json!({})).await;
    assert_eq!(me["me"]["profile"]["username"], json!("ada"));
    studio.stop().await;
}
