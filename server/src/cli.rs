//! The command line.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::Resettable;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{Config, ServeConfig};
use crate::database::Database;
use crate::{doctor, keys, log_branches, logs, projections, serve, staff, work};

/// The event-sourced backend of an AI-art studio.
#[derive(Debug, Parser)]
#[command(name = "atelier", version)]
struct Cli {
    #[command(flatten)]
    config: Config,

    /// Logs as JSON lines, for machines.
    #[arg(long, env = "ATELIER_LOG_JSON", global = true)]
    log_json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node: HTTP, projections and background work. Without DATABASE_URL it brings its own PostgreSQL.
    Serve(Box<ServeConfig>),
    /// Bring the database's schema up to date, as its owner.
    Migrate,
    /// Print the GraphQL schema.
    Schema,
    /// Look at the read models and process managers, or rebuild one.
    Projections {
        #[command(subcommand)]
        action: projections::Action,
    },
    /// Look at the branches of the log, which a failover, a restore or an older volume opens, and acknowledge what was lost. Works beside
    /// running nodes, also with the private PostgreSQL.
    Log {
        #[command(subcommand)]
        action: log_branches::Action,
    },
    /// Look at the work that does not end by itself, and repair it. Works beside running nodes, also with the private PostgreSQL.
    Work {
        #[command(subcommand)]
        action: work::Action,
    },
    /// Look after the keys that personal data is sealed with.
    Keys {
        #[command(subcommand)]
        action: keys::Action,
    },
    /// Give accounts roles, take them away, see who has some. Works beside running nodes, also with the private PostgreSQL.
    Staff {
        #[command(subcommand)]
        action: staff::Action,
    },
    /// Check this machine and its data, and say what is wrong.
    Doctor,
}

/// How long threads may end what they are at when everything else has ended.
const LEFT_OVERS: Duration = Duration::from_millis(300);

/// Runs the command of the process's own arguments.
#[must_use]
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

/// Runs a command. The first argument is the program's name.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> ExitCode {
    let parsed = without_empty(Cli::command()).try_get_matches_from(arguments);
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too; clap knows which stream and code each wants.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    logs::start(cli.log_json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let code = match runtime.block_on(execute(&cli)) {
        Ok(code) => code,
        Err(error) => failed(error.as_ref()),
    };
    // A blocking call that hangs, in a dead file system for one, does not keep the process.
    runtime.shutdown_timeout(LEFT_OVERS);
    code
}

/// The same command line, for which a variable that is set to nothing is not set: compose files and service managers pass such ones along
/// for what nobody has said.
fn without_empty(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|argument| {
        let value = argument.get_env().and_then(std::env::var_os);
        if value.is_some_and(|value| value.is_empty()) { argument.env(Resettable::Reset) } else { argument }
    });
    command.mut_subcommands(without_empty)
}

fn failed(error: &dyn Error) -> ExitCode {
    // The last word of a process that cannot go on; if even standard error is gone there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "atelier: {error}");
    ExitCode::FAILURE
}

async fn execute(cli: &Cli) -> Result<ExitCode, Box<dyn Error>> {
    match &cli.command {
        Command::Serve(options) => serve::serve(&cli.config, options).await.map(|()| ExitCode::SUCCESS),
        Command::Migrate => {
            let database = Database::open_for_migration(&cli.config).await?;
            let migrated = database.prepare().await;
            database.stop().await?;
            migrated?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Schema => {
            std::io::stdout().write_all(atelier_graphql::sdl().as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Projections { action } => projections::run(&cli.config, action).await,
        Command::Log { action } => log_branches::run(&cli.config, action).await,
        Command::Work { action } => work::run(&cli.config, action).await,
        Command::Keys { action } => keys::run(&cli.config, action).await,
        Command::Staff { action } => staff::run(&cli.config, action).await,
        Command::Doctor => doctor::run(&cli.config).await,
    }
}
