//! `atelier doctor`: what is wrong with this machine and its data, line by line.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use chrono::{DateTime, Utc};

use atelier_commands::ports::Clock;
use atelier_commands::process::Backlog;
use atelier_projections::Quarantined;

use crate::config::Config;
use crate::database::{self, Database};
use crate::embedded_postgres::find_programs;
use crate::system::SystemClock;

/// A finding: what was looked at, and what is wrong with it if anything is.
type Finding = (&'static str, Result<String, String>);

/// Looks at everything and prints a line each; the exit code says whether all is well.
///
/// # Errors
/// When the findings cannot be printed.
pub async fn run(config: &Config) -> Result<ExitCode, Box<dyn Error>> {
    let mut findings: Vec<Finding> = vec![folder(config)];
    if config.database_url.is_none() {
        findings.push(("PostgreSQL's programs", find_programs().map(shown).map_err(|error| error.to_string())));
    }
    findings.push(("mail", mail(config).await));
    match Database::open(config).await {
        Ok(database) => {
            findings.extend(look(config, &database).await);
            if let Err(error) = database.stop().await {
                findings.push(("stopping PostgreSQL", Err(error.to_string())));
            }
        }
        Err(error) => findings.push(("database", Err(error.to_string()))),
    }
    let mut out = std::io::stdout();
    let mut well = true;
    for (what, found) in findings {
        let (mark, said) = match &found {
            Ok(said) => ("ok   ", said),
            Err(said) => ("WRONG", said),
        };
        well &= found.is_ok();
        writeln!(out, "{mark}  {what}: {said}")?;
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn shown(path: std::path::PathBuf) -> String {
    path.display().to_string()
}

fn folder(config: &Config) -> Finding {
    let probe = config.data.join(".doctor");
    let written = std::fs::create_dir_all(&config.data).and_then(|()| std::fs::write(&probe, b"ok"));
    let removed = written.and_then(|()| std::fs::remove_file(&probe));
    let said = config.data.display().to_string();
    ("data folder", removed.map(|()| said.clone()).map_err(|error| format!("{said} cannot be written: {error}")))
}

/// Whether mails leave, and if so whether the server takes us in. What is said holds no setting.
async fn mail(config: &Config) -> Result<String, String> {
    match config.smtp().map_err(|error| error.to_string())? {
        None => Ok("stays in the data folder's mailbox; ATELIER_SMTP_URL sends it".into()),
        Some(smtp) => smtp.check().await.map(|()| "the mail server answers".into()).map_err(|error| error.to_string()),
    }
}

async fn look(config: &Config, database: &Database) -> Vec<Finding> {
    let pool = match database::pool(&database.url, 2).await {
        Ok(pool) => pool,
        Err(error) => return vec![("database", Err(error.to_string()))],
    };
    let mut findings = Vec::new();
    for (setting, wanted) in [("fsync", "on"), ("full_page_writes", "on"), ("synchronous_commit", "on")] {
        let found: Result<String, sqlx::Error> =
            sqlx::query_scalar("select current_setting($1)").bind(setting).fetch_one(&pool).await;
        findings.push((
            "durability",
            match found {
                Ok(value) if value == wanted => Ok(format!("{setting} is {value}")),
                Ok(value) => Err(format!("{setting} is {value}; acknowledged commands can be lost")),
                Err(error) => Err(error.to_string()),
            },
        ));
    }
    let before = SystemClock.now();
    let theirs: Result<DateTime<Utc>, _> = sqlx::query_scalar("select clock_timestamp()").fetch_one(&pool).await;
    findings.push((
        "clock",
        match theirs {
            Ok(theirs) => {
                let skew = (theirs - before).num_milliseconds();
                let said = format!("{skew} ms from the database's");
                if skew.abs() <= 1_000 { Ok(said) } else { Err(said) }
            }
            Err(error) => Err(error.to_string()),
        },
    ));
    findings.extend(log(&pool).await);
    findings.push(("work", work(&pool).await));
    findings.push(keys(config));
    findings
}

async fn log(pool: &sqlx::PgPool) -> Vec<Finding> {
    let exists: Result<bool, _> = sqlx::query_scalar("select to_regclass('events') is not null").fetch_one(pool).await;
    if !matches!(exists, Ok(true)) {
        return vec![("log", Err("there is none yet; run atelier migrate, or atelier serve".into()))];
    }
    let dense: Result<(i64, i64), _> =
        sqlx::query_as("select count(*), coalesce(max(position), 0) from events").fetch_one(pool).await;
    let stopped: Result<Vec<String>, _> =
        sqlx::query_scalar("select name from checkpoints where state = 'stopped'").fetch_all(pool).await;
    let left_out = atelier_projections::quarantined(pool, 1).await;
    vec![
        (
            "log",
            match dense {
                Ok((count, head)) if count == head => Ok(format!("{count} events, positions dense")),
                Ok((count, head)) => Err(format!("{count} events but the last position is {head}")),
                Err(error) => Err(error.to_string()),
            },
        ),
        (
            "projections",
            match stopped {
                Ok(names) if names.is_empty() => Ok("none stopped".into()),
                Ok(names) => Err(format!("stopped: {}; see atelier projections list", names.join(", "))),
                Err(error) => Err(error.to_string()),
            },
        ),
        (
            "quarantine",
            match left_out {
                Ok(first) if first.is_empty() => Ok("empty".into()),
                Ok(first) => {
                    let each = |one: &Quarantined| format!("{} at {}: {}", one.follower, one.position, one.error);
                    let each: Vec<String> = first.iter().map(each).collect();
                    Err(format!("accounts are left out by {}; see atelier projections list", each.join("; ")))
                }
                Err(error) => Err(error.to_string()),
            },
        ),
    ]
}

/// What waits, and what does not end by itself, with what the first few of it failed of.
async fn work(pool: &sqlx::PgPool) -> Result<String, String> {
    let backlog = Backlog::count(pool).await.map_err(|error| error.to_string())?;
    let due: i64 = backlog.lanes.iter().map(|lane| lane.due).sum();
    if backlog.stuck == 0 && backlog.dead == 0 {
        return Ok(format!("{due} due, none stuck, none dead"));
    }
    let troubled: Vec<String> = sqlx::query_scalar(
        "select format('%s %s after %s attempts: %s', state, id, attempts, coalesce(last_error, 'no answer')) \
         from process_work where state <> 'waiting' order by state, id limit 5",
    )
    .fetch_all(pool)
    .await
    .map_err(|error| error.to_string())?;
    Err(format!("{due} due, {} stuck, {} dead: {}", backlog.stuck, backlog.dead, troubled.join("; ")))
}

fn keys(config: &Config) -> Finding {
    let folder = config.data.join("keys");
    if !folder.exists() {
        return ("keys", Ok("none yet; the first start makes them".into()));
    }
    use std::os::unix::fs::PermissionsExt;
    (
        "keys",
        match std::fs::metadata(&folder) {
            Ok(metadata) if metadata.permissions().mode() & 0o077 == 0 => Ok(folder.display().to_string()),
            Ok(_) => Err(format!("{} can be read by others; make it 0700", folder.display())),
            Err(error) => Err(format!("{}: {error}", folder.display())),
        },
    )
}
