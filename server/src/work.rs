//! `atelier work list|retry|drop`: the work that does not end by itself.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use atelier_commands::process::{MAX_REASON, Which, drop_work, dropped, retry_work, troubled};
use clap::Subcommand;
use sqlx::PgPool;

use crate::config::Config;
use crate::database::Database;

/// The most rows that are listed.
const LISTED: i64 = 100;

/// What to do about dead and stuck work.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// What is dead (can never be done) or stuck (failed twelve times, still tried every 15 minutes): id, kind, attempts, error, age.
    List {
        /// What was given up instead, with the reasons.
        #[arg(long)]
        dropped: bool,
    },
    /// Try again at once: one piece, or all dead and stuck work of a kind.
    Retry {
        /// The piece's id.
        #[arg(required_unless_present = "kind", conflicts_with = "kind")]
        id: Option<String>,
        /// A kind, as the list has it.
        #[arg(long)]
        kind: Option<String>,
    },
    /// Give one piece up for ever. It is kept with the reason; see `list --dropped`.
    Drop {
        /// The piece's id.
        id: String,
        /// Why, 1 to 500 characters; nothing personal.
        #[arg(long, value_parser = reason)]
        reason: String,
    },
}

fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    let plain = !text.is_empty() && text.chars().count() <= MAX_REASON && !text.chars().any(char::is_control);
    if plain { Ok(text.to_owned()) } else { Err(format!("a reason has 1 to {MAX_REASON} characters, all printable")) }
}

/// Runs one of the actions, also beside running nodes.
///
/// # Errors
/// When the database cannot be used, or there is no such work.
pub async fn run(config: &Config, action: &Action) -> Result<ExitCode, Box<dyn Error>> {
    let database = Database::open_beside(config).await?;
    let done = async {
        let pool = database.pool(1).await?;
        let done = act(&pool, action).await;
        pool.close().await;
        done
    };
    let done = done.await;
    database.stop().await?;
    done
}

async fn act(pool: &PgPool, action: &Action) -> Result<ExitCode, Box<dyn Error>> {
    let mut out = std::io::stdout();
    match action {
        Action::List { dropped: false } => list(pool, &mut out).await?,
        Action::List { dropped: true } => list_dropped(pool, &mut out).await?,
        Action::Retry { id, kind } => {
            let which = match (id, kind) {
                (Some(id), _) => Which::Id(id),
                (None, Some(kind)) => Which::Kind(kind),
                (None, None) => return Err("name a piece of work, or a kind".into()),
            };
            let tried = retry_work(pool, which).await?;
            if tried.is_empty() {
                return Err("no such work is dead or stuck, or it is being tried right now".into());
            }
            for id in tried {
                writeln!(out, "{id} is tried again")?;
            }
        }
        Action::Drop { id, reason } => {
            if !drop_work(pool, id, reason).await? {
                return Err(format!("{id} is not dead or stuck, or it is being tried right now").into());
            }
            writeln!(out, "{id} is given up")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(pool: &PgPool, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let rows = troubled(pool, LISTED).await?;
    if rows.is_empty() {
        writeln!(out, "nothing is dead or stuck")?;
    }
    for row in rows {
        let age = row.asked_at().map_or("-".to_owned(), |at| at.format("%Y-%m-%d %H:%M:%S").to_string());
        let error = row.last_error.as_deref().unwrap_or("no answer");
        writeln!(out, "{} {} {} attempts={} asked={age}: {error}", row.state, row.id, row.kind, row.attempts)?;
    }
    Ok(())
}

async fn list_dropped(pool: &PgPool, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let rows = dropped(pool, LISTED).await?;
    if rows.is_empty() {
        writeln!(out, "nothing was given up")?;
    }
    for row in rows {
        let (at, error) =
            (row.dropped_at.format("%Y-%m-%d %H:%M:%S"), row.last_error.as_deref().unwrap_or("no answer"));
        writeln!(out, "{} {} given up {at}: {} (it had failed of: {error})", row.id, row.kind, row.reason)?;
    }
    Ok(())
}
