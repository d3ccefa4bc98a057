//! `atelier projections list|rebuild|retry`.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use atelier_projections::{Feed, Runner, RunnerOptions, models};
use clap::Subcommand;
use sqlx::Row;

use crate::config::Config;
use crate::database::Database;

/// What to do with the followers of the log.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Where each is, and which stopped.
    List,
    /// Empty one read model and fold it again from the first event; a running node does the folding.
    Rebuild {
        /// The read model's name.
        name: String,
    },
    /// Let a stopped one try again.
    Retry {
        /// Its name.
        name: String,
    },
}

/// Runs one of the actions. With the private PostgreSQL no node may be running at the same time.
///
/// # Errors
/// When the database cannot be used or there is no such follower.
pub async fn run(config: &Config, action: &Action) -> Result<ExitCode, Box<dyn Error>> {
    let database = Database::open(config).await?;
    let acted = act(&database, action).await;
    database.stop().await?;
    acted
}

async fn act(database: &Database, action: &Action) -> Result<ExitCode, Box<dyn Error>> {
    let pool = database.pool(2).await?;
    let runner = Runner::new(pool.clone(), Feed::new(pool.clone()), models::all(), RunnerOptions::default());
    let mut out = std::io::stdout();
    match action {
        Action::List => {
            let rows = sqlx::query(
                "select name, version, position, state, failed_position, error, (select coalesce(max(position), 0) from events) \
                 from checkpoints order by name, version",
            )
            .fetch_all(&pool)
            .await?;
            writeln!(out, "{:<20} {:>7} {:>12} {:>8}  state", "name", "version", "position", "behind")?;
            for row in rows {
                let (position, head): (i64, i64) = (row.try_get(2)?, row.try_get(6)?);
                let (name, version, state): (String, i32, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(3)?);
                let why = match (row.try_get::<Option<i64>, _>(4)?, row.try_get::<Option<String>, _>(5)?) {
                    (Some(at), Some(error)) => format!(" at {at}: {error}"),
                    _ => String::new(),
                };
                writeln!(out, "{name:<20} {version:>7} {position:>12} {:>8}  {state}{why}", head - position)?;
            }
        }
        Action::Rebuild { name } => {
            let rebuilt = runner.rebuild(name, |_, _| {}).await?;
            writeln!(out, "{name} was rebuilt and took over at {}", rebuilt.position)?;
        }
        Action::Retry { name } => {
            if !runner.retry(name).await? {
                return Err(format!("{name} is not stopped").into());
            }
            writeln!(out, "{name} tries again")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
