//! Branches of the log as operators see them: `atelier log branches|acknowledge`, readiness, doctor, the metric.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::Subcommand;
use serde_json::{Value, json};
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use crate::config::Config;
use crate::database::Database;

/// The most characters of a name that acknowledges.
const NAME: usize = 100;

/// What to do with the branches of the log.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// The branches: where each begins, what was lost of the one before, and who has acknowledged it. A branch is opened by a failover, a
    /// restore or an older volume; one that lost nothing is no cause for concern.
    Branches,
    /// Say that a loss is known and seen to: it is not shown as a warning any more. A loss that turns out to be larger is shown again.
    Acknowledge {
        /// The branch, as the list has it; all of them when not given.
        branch: Option<Uuid>,
        /// Who says so: 1 to 100 characters.
        #[arg(long, default_value = "operator", value_parser = name)]
        by: String,
    },
}

fn name(text: &str) -> Result<String, String> {
    let text = text.trim();
    let plain = !text.is_empty() && text.chars().count() <= NAME && !text.chars().any(char::is_control);
    if plain { Ok(text.to_owned()) } else { Err(format!("a name has 1 to {NAME} characters, all printable")) }
}

/// A branch.
#[derive(Debug, Clone, FromRow)]
pub struct LogBranch {
    /// Its id.
    pub branch: Uuid,
    /// Its place among the branches, from 1.
    pub ordinal: i64,
    /// Where it begins.
    pub first_position: i64,
    /// When a node found the log on it.
    pub opened_at: DateTime<Utc>,
    /// The last position of an earlier branch that a node had seen and that is gone.
    pub lost_through: Option<i64>,
    /// When an operator has acknowledged it.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// Who.
    pub acknowledged_by: Option<String>,
}

impl LogBranch {
    /// How many positions of the earlier branch are gone, at most.
    #[must_use]
    pub fn lost(&self) -> i64 {
        self.lost_through.map_or(0, |last| last - self.first_position + 1)
    }

    /// Whether nobody has acknowledged a loss.
    #[must_use]
    pub fn warns(&self) -> bool {
        self.lost() > 0 && self.acknowledged_at.is_none()
    }

    /// As readiness shows it.
    #[must_use]
    pub fn shown(&self) -> Value {
        json!({
            "branch": self.branch, "first_position": self.first_position, "lost_positions": self.lost(),
            "lost_through": self.lost_through, "opened_at": self.opened_at,
        })
    }
}

/// All branches, in their order; sets the metric.
///
/// # Errors
/// When the database failed.
pub async fn all(pool: &PgPool) -> Result<Vec<LogBranch>, sqlx::Error> {
    let all = "select branch, ordinal, first_position, opened_at, lost_through, acknowledged_at, acknowledged_by \
               from log_branches order by ordinal";
    let all: Vec<LogBranch> = sqlx::query_as(all).fetch_all(pool).await?;
    let lost: i64 = all.iter().filter(|branch| branch.warns()).map(LogBranch::lost).sum();
    metrics::gauge!("atelier_log_lost_positions").set(f64::from(i32::try_from(lost).unwrap_or(i32::MAX)));
    metrics::gauge!("atelier_log_branches").set(f64::from(u32::try_from(all.len()).unwrap_or(u32::MAX)));
    Ok(all)
}

/// What doctor says of them.
///
/// # Errors
/// In a sentence, when something was lost that nobody has acknowledged, or the database failed.
pub async fn diagnosis(pool: &PgPool) -> Result<String, String> {
    let branches = all(pool).await.map_err(|error| error.to_string())?;
    let told = |branch: &LogBranch| {
        let (first, lost, at) = (branch.first_position, branch.lost(), branch.opened_at.format("%F %T"));
        format!("from position {first} on, {lost} positions lost, found at {at} UTC")
    };
    let warns: Vec<String> = branches.iter().filter(|branch| branch.warns()).map(told).collect();
    if warns.is_empty() {
        let newest = branches.last().map_or(0, |branch| branch.first_position);
        return Ok(format!(
            "{} so far, the newest from position {newest} on; no loss that was not acknowledged",
            branches.len()
        ));
    }
    Err(format!(
        "the database came back shorter: {}; clients were told of what is gone, see atelier log branches and docs/recovery.md, \
         then atelier log acknowledge",
        warns.join("; ")
    ))
}

/// Runs one of the actions, also beside running nodes.
///
/// # Errors
/// When the database cannot be used, or there is no such branch.
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
    let (mut out, branches) = (std::io::stdout(), all(pool).await?);
    let (wanted, by) = match action {
        Action::Branches => {
            for branch in branches {
                writeln!(out, "{}", line(&branch))?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        Action::Acknowledge { branch, by } => (branch, by),
    };
    if wanted.is_some_and(|wanted| !branches.iter().any(|branch| branch.branch == wanted)) {
        return Err("there is no such branch: see atelier log branches".into());
    }
    let of = |branch: &&LogBranch| match wanted {
        Some(wanted) => branch.branch == *wanted,
        None => branch.ordinal > 1,
    };
    for branch in branches.iter().filter(of) {
        let acknowledge = sqlx::query_scalar("select acknowledge_log_branch($1, $2)").bind(branch.branch).bind(by);
        let done: bool = acknowledge.fetch_one(pool).await?;
        writeln!(out, "{} {}", branch.branch, if done { "acknowledged" } else { "was acknowledged before" })?;
    }
    Ok(ExitCode::SUCCESS)
}

fn line(branch: &LogBranch) -> String {
    let loss = match branch.lost_through {
        Some(through) => format!("{} positions lost, {} to {through}", branch.lost(), branch.first_position),
        None => "nothing lost".to_owned(),
    };
    let seen = match (&branch.acknowledged_at, &branch.acknowledged_by) {
        (Some(at), by) => {
            format!(", acknowledged {} UTC by {}", at.format("%F %T"), by.as_deref().unwrap_or("somebody"))
        }
        (None, _) if branch.warns() => ", not acknowledged".to_owned(),
        (None, _) => String::new(),
    };
    format!(
        "{} from position {}, found {} UTC: {loss}{seen}",
        branch.branch,
        branch.first_position,
        branch.opened_at.format("%F %T")
    )
}
