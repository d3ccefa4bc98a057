//! `atelier doctor`: what is wrong with this machine and its data, line by line. It runs beside nodes, makes nothing and changes nothing; a
//! private PostgreSQL that no node has started is started for as long as it looks.

mod machine;
mod privileges;
mod replication;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use atelier_commands::process::Backlog;
use atelier_projections::Quarantined;
use atelier_vault::Vault;

use crate::clock_watch;
use crate::config::Config;
use crate::database::{self, Database, DatabaseError};
use crate::embedded_postgres::find_programs;
use crate::keys_match;
use crate::log_branches;
use crate::system::{SystemClock, SystemRandom};

/// What was looked at, and what was found.
struct Finding {
    what: &'static str,
    verdict: Verdict,
    said: String,
}

/// How bad it is. Only what is wrong makes the command fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Well,
    Warning,
    Wrong,
}

impl Finding {
    fn of<E: std::fmt::Display>(what: &'static str, found: Result<String, E>) -> Self {
        match found {
            Ok(said) => Self { what, verdict: Verdict::Well, said },
            Err(error) => Self { what, verdict: Verdict::Wrong, said: error.to_string() },
        }
    }

    fn warning(what: &'static str, said: String) -> Self {
        Self { what, verdict: Verdict::Warning, said }
    }
}

/// Looks at everything and prints a line each; the exit code says whether anything is wrong.
///
/// # Errors
/// When the findings cannot be printed.
pub async fn run(config: &Config) -> Result<ExitCode, Box<dyn Error>> {
    let mut findings = vec![machine::folder(config)];
    findings.extend(machine::disks(config));
    findings.push(machine::descriptors(config));
    if config.database_url.is_none() {
        let programs = find_programs().map(|path| path.display().to_string());
        findings.push(Finding::of("PostgreSQL's programs", programs));
    }
    findings.push(Finding::of("mail", mail(config).await));
    match Database::open_beside(config).await {
        Ok(database) => {
            findings.extend(look(config, &database).await);
            if let Err(error) = database.stop().await {
                findings.push(Finding::of("stopping PostgreSQL", Err::<String, _>(error)));
            }
        }
        Err(DatabaseError::NoStudio { .. }) => {
            findings.push(Finding::of(
                "database",
                Ok::<_, String>("none yet; the first start of atelier serve makes it".into()),
            ));
        }
        Err(error) => findings.push(Finding::of("database", Err::<String, _>(error))),
    }
    let mut out = std::io::stdout();
    let wrong = findings.iter().any(|finding| finding.verdict == Verdict::Wrong);
    for Finding { what, verdict, said } in findings {
        let mark = match verdict {
            Verdict::Well => "ok   ",
            Verdict::Warning => "note ",
            Verdict::Wrong => "WRONG",
        };
        writeln!(out, "{mark}  {what}: {said}")?;
    }
    Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
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
        Err(error) => return vec![Finding::of("database", Err::<String, _>(error))],
    };
    let mut findings = Vec::new();
    for (setting, wanted) in [("fsync", "on"), ("full_page_writes", "on"), ("synchronous_commit", "on")] {
        let found: Result<String, sqlx::Error> =
            sqlx::query_scalar("select current_setting($1)").bind(setting).fetch_one(&pool).await;
        let found = match found {
            Ok(value) if value == wanted => Ok(format!("{setting} is {value}")),
            Ok(value) => Err(format!("{setting} is {value}; acknowledged commands can be lost")),
            Err(error) => Err(error.to_string()),
        };
        findings.push(Finding::of("durability", found));
    }
    findings.push(Finding::of("replication", replication::look(&pool).await));
    let skew = match clock_watch::measure(&pool, &SystemClock).await {
        Ok(skew) => {
            let said = format!("{} ms from the database's", skew.by.num_milliseconds());
            if skew.is_too_much() { Err(format!("{said}: nodes refuse commands until it is right")) } else { Ok(said) }
        }
        Err(error) => Err(error.to_string()),
    };
    findings.push(Finding::of("clock", skew));
    findings.push(Finding::of("role", privileges::role(&pool).await));
    match database::check_schema(&database.url).await {
        Ok(()) => {
            findings.push(Finding::of("schema", Ok::<_, String>("of this release".into())));
            findings.extend(log(&pool).await);
            findings.push(Finding::of("log branches", log_branches::diagnosis(&pool).await));
            findings.push(Finding::of("work", work(&pool).await));
            findings.push(Finding::of("holds", holds(&pool).await));
            findings.push(keys(config, &pool).await);
        }
        Err(error) => findings.push(Finding::of("schema", Err::<String, _>(error))),
    }
    pool.close().await;
    findings
}

async fn log(pool: &sqlx::PgPool) -> Vec<Finding> {
    let dense: Result<(i64, i64), _> =
        sqlx::query_as("select count(*), coalesce(max(position), 0) from events").fetch_one(pool).await;
    let stopped: Result<Vec<String>, _> =
        sqlx::query_scalar("select name from checkpoints where state = 'stopped'").fetch_all(pool).await;
    let left_out = atelier_projections::quarantined(pool, 1).await;
    vec![
        Finding::of(
            "log",
            match dense {
                Ok((count, head)) if count == head => Ok(format!("{count} events, positions dense")),
                Ok((count, head)) => Err(format!("{count} events but the last position is {head}")),
                Err(error) => Err(error.to_string()),
            },
        ),
        Finding::of(
            "projections",
            match stopped {
                Ok(names) if names.is_empty() => Ok("none stopped".into()),
                Ok(names) => Err(format!("stopped: {}; see atelier projections list", names.join(", "))),
                Err(error) => Err(error.to_string()),
            },
        ),
        Finding::of(
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

/// Credits that were set aside for a job long ago, for which nobody can wait any more.
async fn holds(pool: &sqlx::PgPool) -> Result<String, String> {
    let overdue: Result<(i64, Option<String>), _> = sqlx::query_as(
        "select count(*), min(at)::text from read_models.transaction_history_v1 where kind = 'held' and at < now() - interval '1 hour'",
    )
    .fetch_one(pool)
    .await;
    match overdue {
        Ok((0, _)) => Ok("none is overdue".into()),
        Ok((count, oldest)) => {
            let oldest = oldest.unwrap_or_default();
            Err(format!("{count} are older than an hour, the oldest of {oldest}; see atelier work list"))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Whether the keys are there, are this database's, and closed to others.
async fn keys(config: &Config, pool: &sqlx::PgPool) -> Finding {
    let folder = config.data.join("keys");
    if let Err(error) = keys_match::check(pool, &folder).await {
        return Finding::of("keys", Err::<String, _>(error));
    }
    if !folder.exists() {
        return Finding::of("keys", Ok::<_, String>("none yet; the first start makes them".into()));
    }
    if let Err(open) = machine::is_private(&folder) {
        return Finding::of("keys", Err::<String, _>(open));
    }
    // Opening finishes what a rotation that died left; a folder without a key-encrypting key would be given one.
    let wrapped = folder.join("kek").read_dir().is_ok_and(|mut entries| entries.next().is_some());
    let opened = wrapped.then(|| Vault::open_folder(&folder, std::sync::Arc::new(SystemRandom)));
    let said = folder.display();
    match opened {
        None => Finding::of("keys", Err::<String, _>(format!("{said} has no key-encrypting key"))),
        Some(Err(error)) => Finding::of("keys", Err::<String, _>(format!("{said}: {error}"))),
        Some(Ok(vault)) => match keys_match::sample(pool, &folder, &vault).await {
            Ok((_, 0)) => match keys_match::orphans(pool, &vault).await {
                Ok(0) => Finding::of("keys", Ok::<_, String>(said.to_string())),
                // Of accounts that a restore or a failover took away, or of a sign-up that was cut short. They open nothing, and are kept.
                Ok(count) => {
                    Finding::warning("keys", format!("{said}; {count} are of accounts that the log does not have"))
                }
                Err(error) => Finding::of("keys", Err::<String, _>(error)),
            },
            Ok((looked_at, unreadable)) => {
                let told = format!(
                    "of {looked_at} accounts that were looked at, {unreadable} have no keys in {said} that can be read: was the folder \
                     restored from an older backup than the database?"
                );
                Finding::of("keys", Err::<String, _>(told))
            }
            Err(error) => Finding::of("keys", Err::<String, _>(error)),
        },
    }
}
