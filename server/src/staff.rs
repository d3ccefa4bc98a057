//! `atelier staff add|remove|list`: the operator at the console, who needs no account. The first admin of a studio is made here.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use atelier_commands::api_policy::ApiPolicy;
use atelier_commands::command_path::CommandContext;
use atelier_commands::event_store::WriterOptions;
use atelier_commands::process::DispatcherOptions;
use atelier_commands::use_cases::staff_desk::{self, Member};
use atelier_commands::use_cases::{Desk, StaffGrantRole, StaffWithdrawRole, Whom};
use atelier_commands::write_side::AccessSettings;
use atelier_commands::{CommandError, RefusalCode, UseCaseError, WriteSide};
use atelier_domain::account::Role;
use atelier_domain::{AccountId, Actor};
use atelier_projections::RunnerOptions;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::config::Config;
use crate::database::Database;
use crate::node;
use crate::studio::{Studio, StudioOptions};

/// Connections of a command that does one thing after the other.
const CONNECTIONS: u32 = 4;

/// What to do with the staff.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Give an account a role. Its address must be proven; its sessions end, and the role counts once it has signed in again and turned
    /// two-factor authentication on.
    Add(Appointment),
    /// Take a role away, in effect on the very next request; the account's sessions end.
    Remove(Appointment),
    /// Who has roles: account, username, roles, and whether two-factor authentication is on, without which they do not count.
    List {
        /// As JSON, for machines.
        #[arg(long)]
        json: bool,
    },
}

/// Whose role, which, and why.
#[derive(Debug, Args)]
pub struct Appointment {
    /// The account, by its address or its username.
    who: String,
    /// `support` looks accounts up and helps their owners; `auditor` reads every ledger and history and changes nothing; `admin` may what
    /// support may, and grants and withdraws roles.
    #[arg(long, value_parser = role)]
    role: Role,
    /// Why, 1 to 500 characters. The account's owner reads it in the history.
    #[arg(long)]
    reason: String,
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "there is no such role; there are support, auditor and admin".to_owned())
}

/// Runs one of the actions, also beside running nodes.
///
/// # Errors
/// Whatever keeps it from being done, in one sentence.
pub async fn run(config: &Config, action: &Action) -> Result<ExitCode, Box<dyn Error>> {
    let keys = config.data.join("keys");
    if !keys.is_dir() {
        let message = "there is no studio in {}: start atelier serve first, or name another folder with --data";
        return Err(message.replace("{}", &config.data.display().to_string()).into());
    }
    let database = Database::open_beside(config).await?;
    let done = async {
        let pool = database.pool(CONNECTIONS).await?;
        let (ports, _) = node::ports(&config.data, None, None)?;
        let studio = Studio::open(StudioOptions {
            database_url: database.url.clone(),
            pool: pool.clone(),
            keys,
            ports,
            public_url: String::new(),
            access: AccessSettings::default(),
            writer: WriterOptions::default(),
            runner: RunnerOptions::default(),
            dispatcher: DispatcherOptions::default(),
            api: ApiPolicy::default(),
        })
        .await?;
        let done = perform(&studio.write, action).await;
        studio.stop().await;
        pool.close().await;
        done
    };
    let done = done.await;
    database.stop().await?;
    done
}

async fn perform(write: &WriteSide, action: &Action) -> Result<ExitCode, Box<dyn Error>> {
    let mut out = std::io::stdout();
    let context = write.request_context(Actor::Operator);
    match action {
        Action::Add(appointment) => {
            let (account, changed) = appoint(write, &context, appointment, true).await.map_err(said)?;
            let word = if changed { "has the role" } else { "had the role already" };
            writeln!(
                out,
                "{account} {word} {}; it counts with two-factor authentication only",
                appointment.role.as_str()
            )?;
        }
        Action::Remove(appointment) => {
            let (account, changed) = appoint(write, &context, appointment, false).await.map_err(said)?;
            let word = if changed { "has no more the role" } else { "did not have the role" };
            writeln!(out, "{account} {word} {}", appointment.role.as_str())?;
        }
        Action::List { json } => {
            let roll = staff_desk::roll(write).await.map_err(said)?;
            if *json { as_json(&roll, &mut out)? } else { as_table(&roll, &mut out)? }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn appoint(
    write: &WriteSide,
    context: &CommandContext,
    appointment: &Appointment,
    add: bool,
) -> Result<(AccountId, bool), UseCaseError> {
    let Appointment { who, role, reason } = appointment;
    let whom = if who.contains('@') { Whom::of_email(who) } else { Whom::of_username(who) };
    let account = staff_desk::find(write, &whom?).await?;
    let (desk, role, reason) = (Desk::console(), *role, reason.clone());
    let (_, changed) = if add {
        StaffGrantRole { desk, account: Ok(account), role, reason }.run(write, context).await?
    } else {
        StaffWithdrawRole { desk, account: Ok(account), role, reason }.run(write, context).await?
    };
    Ok((account, changed))
}

/// A sentence for whoever sits at the console.
fn said(error: UseCaseError) -> String {
    match error {
        CommandError::Refused(refusal) if refusal.code == RefusalCode::NotFound => {
            "no account has this address or username".to_owned()
        }
        CommandError::Refused(refusal) if refusal.code == RefusalCode::EmailNotVerified => {
            "this account's address is not verified yet: its owner follows the link of the mail first".to_owned()
        }
        other => other.to_string(),
    }
}

fn words(member: &Member) -> Vec<&'static str> {
    member.roles.iter().map(|role| role.as_str()).collect()
}

fn as_table(roll: &[Member], out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "{:<36}  {:<30}  {:<22}  two-factor", "account", "username", "roles")?;
    for member in roll {
        let username = member.username.as_ref().map_or("-", AsRef::as_ref);
        let two_factor = if member.two_factor { "on" } else { "off: the roles do not count" };
        let roles = words(member).join(", ");
        writeln!(out, "{:<36}  {username:<30}  {roles:<22}  {two_factor}", member.account.to_string())?;
    }
    Ok(())
}

fn as_json(roll: &[Member], out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let member = |member: &Member| {
        json!({
            "account": member.account.to_string(),
            "username": member.username.as_ref().map(AsRef::<str>::as_ref),
            "roles": words(member),
            "twoFactor": member.two_factor,
        })
    };
    let roll: Vec<_> = roll.iter().map(member).collect();
    Ok(writeln!(out, "{}", serde_json::to_string_pretty(&roll)?)?)
}
