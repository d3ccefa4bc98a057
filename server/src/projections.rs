//! `atelier projections list|rebuild|retry|prune`.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use atelier_projections::{Feed, Rebuilt, Retried, Runner, RunnerOptions, quarantined};
use clap::Subcommand;
use sqlx::{PgPool, Row};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::Config;
use crate::database::Database;
use crate::studio::followers;

/// What to do with the followers of the log.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Where each is, on how many nodes it is followed, which stopped, what is built beside, and which accounts are in quarantine.
    List,
    /// Fold one read model again from the first event, beside the one that serves; it takes over when it has caught up. Nodes go
    /// on answering meanwhile. Let every node have the corrected fold first.
    Rebuild {
        /// The read model's name.
        name: String,
    },
    /// Let a stopped one try again, and fold its accounts in quarantine again, after a corrected release runs everywhere: a read model
    /// from their first event on, a process manager from the parked one on. Whoever fails again stays in quarantine.
    Retry {
        /// The read model's or process manager's name.
        name: String,
    },
    /// Drop the versions that a newer one replaces and no node has followed for a minute, with their tables.
    Prune,
}

/// The most accounts in quarantine that are listed of each follower.
const LISTED: i64 = 20;
/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(1);

/// Runs one of the actions, also beside running nodes.
///
/// # Errors
/// When the database cannot be used or there is no such follower.
pub async fn run(config: &Config, action: &Action) -> Result<ExitCode, Box<dyn Error>> {
    let database = Database::open_beside(config).await?;
    let acted = act(&database, action).await;
    database.stop().await?;
    acted
}

async fn act(database: &Database, action: &Action) -> Result<ExitCode, Box<dyn Error>> {
    // A rebuild reads two ranges of the log while it writes.
    let pool = database.pool(4).await?;
    let runner = Runner::new(
        pool.clone(),
        Feed::new(pool.clone()),
        followers(&Arc::new(Notify::new())),
        RunnerOptions::default(),
    );
    let mut out = std::io::stdout();
    match action {
        Action::List => list(&pool, &mut out).await?,
        Action::Rebuild { name } => {
            let (mut told, begun) = (None, Instant::now());
            let rebuilt = runner.rebuild(name, |position, head| {
                if told.is_none_or(|at: Instant| at.elapsed() >= PROGRESS) {
                    told = Some(Instant::now());
                    // Whoever does not listen any more does not need the line.
                    let _ = writeln!(std::io::stdout(), "{name}: {position} of {head} events folded");
                }
            });
            report(&rebuilt.await?, name, begun.elapsed(), &mut out)?;
        }
        Action::Retry { name } => {
            let retried = runner.retry(name).await?;
            told(&retried, name, &mut out)?;
            if !retried.failed.is_empty() {
                return Ok(ExitCode::FAILURE);
            }
        }
        Action::Prune => {
            let pruned: Vec<String> = sqlx::query_scalar("select prune_followers()").fetch_all(&pool).await?;
            if pruned.is_empty() {
                writeln!(out, "nothing to drop")?;
            }
            for what in pruned {
                writeln!(out, "dropped {what}")?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(pool: &PgPool, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let rows = sqlx::query(
        "select c.name, c.version, c.position, c.state, c.failed_position, c.error, h.head, c.serving, \
         (select count(*) from follower_nodes f where (f.name, f.version) = (c.name, c.version) and f.seen_at > now() - interval '1 minute'), \
         r.position, r.state, \
         (select count(*) from quarantine q where (q.follower, q.version, q.place) = (c.name, c.version, c.place)) \
         from checkpoints c cross join (select coalesce(max(position), 0) as head from events) h \
         left join rebuilds r using (name, version) order by c.name, c.version",
    )
    .fetch_all(pool)
    .await?;
    writeln!(out, "{:<20} {:>7} {:>12} {:>8} {:>5}  state", "name", "version", "position", "behind", "nodes")?;
    for row in rows {
        let (name, version, position): (String, i32, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let (head, serving, nodes): (i64, bool, i64) = (row.try_get(6)?, row.try_get(7)?, row.try_get(8)?);
        let mut state: String = row.try_get(3)?;
        if let (Some(at), Some(error)) = (row.try_get::<Option<i64>, _>(4)?, row.try_get::<Option<String>, _>(5)?) {
            state += &format!(" at {at}: {error}");
        }
        if !serving {
            state += ", does not serve yet";
        }
        if let (Some(at), Some(building)) = (row.try_get::<Option<i64>, _>(9)?, row.try_get::<Option<String>, _>(10)?) {
            state += &format!(", {building} beside at {at}");
        }
        let left_out: i64 = row.try_get(11)?;
        if left_out > 0 {
            state += &format!(", {left_out} in quarantine");
        }
        writeln!(out, "{name:<20} {version:>7} {position:>12} {:>8} {nodes:>5}  {state}", head - position)?;
    }
    let left_out = quarantined(pool, LISTED).await?;
    if !left_out.is_empty() {
        writeln!(
            out,
            "\nin quarantine, at most {LISTED} of each; atelier projections retry NAME, after a corrected release:"
        )?;
    }
    for one in left_out {
        let since = one.since.format("%Y-%m-%d %H:%M:%S");
        writeln!(
            out,
            "{:<20} {} since {since}, {} at {}: {}",
            one.follower, one.subject, one.kind, one.position, one.error
        )?;
    }
    Ok(())
}

/// Says what a retry did.
fn told(retried: &Retried, name: &str, out: &mut impl Write) -> std::io::Result<()> {
    let Retried { resumed, repaired, failed } = retried;
    if *resumed {
        writeln!(out, "{name} tries again")?;
    }
    for subject in repaired {
        writeln!(out, "{subject} is whole again in {name}")?;
    }
    for (subject, position, error) in failed {
        writeln!(out, "{subject} stays in quarantine, at {position}: {error}")?;
    }
    if !resumed && repaired.is_empty() && failed.is_empty() {
        writeln!(out, "{name} is not stopped, and has nothing in quarantine")?;
    }
    Ok(())
}

/// Says what took over, and where it differs from what served.
fn report(rebuilt: &Rebuilt, name: &str, took: Duration, out: &mut impl Write) -> std::io::Result<()> {
    for table in &rebuilt.tables {
        let rows = |side: &Option<(i64, String)>| side.as_ref().map_or("?".to_owned(), |(rows, _)| rows.to_string());
        let verdict = match table.same() {
            Some(true) => "the same content",
            Some(false) => "DIFFERENT content",
            None => "too many to compare the content in time",
        };
        writeln!(out, "{}: {} rows served, {} rebuilt, {verdict}", table.table, rows(&table.old), rows(&table.new))?;
    }
    if rebuilt.tables.is_empty() {
        writeln!(out, "nothing to compare with: what served stood at another position")?;
    }
    if rebuilt.left_out > 0 {
        writeln!(
            out,
            "{} accounts could not be folded and are in quarantine; see atelier projections list",
            rebuilt.left_out
        )?;
    }
    writeln!(out, "{name} has taken over at position {} after {:.1} s", rebuilt.position, took.as_secs_f64())
}
