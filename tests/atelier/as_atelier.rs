//! This binary as `atelier`: a test that needs a process of its own runs the test binary again, and lands here.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

/// The variable that carries the arguments, one a line.
const ARGUMENTS: &str = "ATELIER_TEST_ARGUMENTS";

/// A command that runs this binary as `atelier` with these arguments.
pub fn command(arguments: &[&str]) -> Command {
    command_by(&std::env::current_exe().expect("a running test binary has a path"), arguments)
}

/// The same by a copy of this binary, which stands where another user may start it.
pub fn command_by(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(["--exact", "as_atelier::run", "--nocapture", "--quiet"]).env(ARGUMENTS, arguments.join("\n"));
    command
}

/// Not a test of its own: without arguments it has nothing to do; with them it is `atelier`.
#[test]
fn run() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return };
    let arguments = ["atelier"].into_iter().chain(arguments.lines()).map(OsString::from);
    let code = atelier_server::cli::run(arguments);
    // An exit code does not tell its number, but it can be compared.
    let number = (0..=u8::MAX).find(|number| ExitCode::from(*number) == code).expect("an exit code is one of these");
    // Leaves before the test harness can add to the output.
    std::process::exit(i32::from(number));
}
