//! The real counterparts that `make peers` installs: programs of `tests/peers/` in Python and node, each ended with its test.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// How long a counterpart may take to start or to answer before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A counterpart that listens on a port of its own choice on loopback.
///
/// Its program prints the port as its first line, and ends when its input does: so it goes even when the tests are killed.
/// What it prints after that can be read line by line.
pub struct Peer {
    /// Where it listens.
    pub port: u16,
    lines: Lines<BufReader<ChildStdout>>,
    child: Child,
    _input: ChildStdin,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the crate lies in the workspace")
}

/// The command of a program of `tests/peers/`: Python or node, by its name's end.
fn command(program: &str, arguments: &[&str]) -> Command {
    let installed = root().join("target/peers");
    assert!(installed.join("installed").is_file(), "the tests' counterparts are not installed: run `make peers`");
    let interpreter =
        if program.ends_with(".py") { installed.join("python/bin/python") } else { PathBuf::from("node") };
    let mut command = Command::new(interpreter);
    command.arg(root().join("tests/peers").join(program)).args(arguments);
    command.env("PEERS", &installed).env("PYTHONUNBUFFERED", "1").env("PYTHONDONTWRITEBYTECODE", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    command
}

impl Peer {
    /// Starts a program and waits until it listens.
    pub async fn start(program: &str, arguments: &[&str]) -> Self {
        let mut child = command(program, arguments).spawn().expect("the interpreter of a counterpart starts");
        let input = child.stdin.take().expect("its input was piped");
        let mut lines = BufReader::new(child.stdout.take().expect("its output was piped")).lines();
        let first = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("a counterpart starts in time");
        let first = first.expect("its output can be read").unwrap_or_default();
        let port = first.trim().parse().unwrap_or_else(|_| panic!("{program} said no port: {first:?}"));
        Self { port, lines, child, _input: input }
    }

    /// The next line it prints.
    pub async fn line(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await.expect("a counterpart speaks in time");
        line.expect("its output can be read").expect("it still runs")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // By its process id; the runtime collects it.
        let _ = self.child.start_kill();
    }
}

/// Runs a program to its end with an input, and answers what it printed.
pub async fn ask(program: &str, arguments: &[&str], input: &str) -> String {
    let mut child = command(program, arguments).spawn().expect("the interpreter of a counterpart starts");
    let mut pipe = child.stdin.take().expect("its input was piped");
    pipe.write_all(input.as_bytes()).await.expect("it reads its input");
    drop(pipe);
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("a counterpart ends in time");
    let output = output.expect("its output can be read");
    assert!(output.status.success(), "{program} {arguments:?} failed: {}", output.status);
    String::from_utf8(output.stdout).expect("a counterpart speaks UTF-8").trim_end().to_owned()
}
