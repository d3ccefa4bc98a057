//! One PostgreSQL data folder: made whole or not at all, started, found alive, stopped.

use std::fs::{DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use super::account::{Account, name_of, run};
use super::folder::{cluster_under, sync_folder};
use super::programs::Programs;
use super::{EmbeddedError, settings};

/// The role initdb makes; its name does not depend on who runs the programs.
pub(super) const SUPERUSER: &str = "postgres";
/// Crash recovery of a full log may take minutes.
pub(super) const START_LIMIT: Duration = Duration::from_secs(300);
/// How long a server may take to stop in order when nobody is in a hurry, and how long it may take at once. In order it writes out what it
/// has in memory; at once it leaves that to the recovery of the next start, and loses nothing either.
pub(super) const STOP_LIMIT: Duration = Duration::from_secs(30);
const AT_ONCE_LIMIT: Duration = Duration::from_secs(15);
const INIT_LIMIT: Duration = Duration::from_secs(180);
const STATUS_LIMIT: Duration = Duration::from_secs(30);
/// How long the last backends of a killed postmaster may hold its shared memory.
const MEMORY_LIMIT: Duration = Duration::from_secs(60);
/// Between two looks at something that has no event to wait for.
pub(super) const PAUSE: Duration = Duration::from_millis(100);
/// pg_ctl's exit status for "no server runs here".
const NOT_RUNNING: i32 = 3;
/// How much of a program's words goes into an error, in bytes.
const TAIL: usize = 2000;

/// What a live or dead postmaster left in `postmaster.pid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Postmaster {
    pub(super) pid: u32,
    pub(super) port: u16,
    pub(super) socket: PathBuf,
}

/// A data folder and what is needed to run it.
#[derive(Debug)]
pub(super) struct Cluster {
    programs: Programs,
    account: Account,
    base: PathBuf,
    data: PathBuf,
    durable: bool,
    extra: Vec<(String, String)>,
}

impl Cluster {
    pub(super) fn new(
        programs: Programs,
        account: Account,
        base: PathBuf,
        durable: bool,
        extra: Vec<(String, String)>,
    ) -> Self {
        let data = cluster_under(&base);
        Self { programs, account, base, data, durable, extra }
    }

    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    pub(super) fn log(&self) -> PathBuf {
        self.base.join("postgres.log")
    }

    /// Makes the data folder if there is none: beside its place, then renamed, so that a kill leaves no half of one.
    pub(super) async fn initialise(&self) -> Result<(), EmbeddedError> {
        if self.data.exists() {
            return Ok(());
        }
        // The owner's process id is in the name: the initdb of a killed owner may still be writing under another one.
        let draft = self.base.join(format!("cluster.init-{}", std::process::id()));
        self.remove_drafts()?;
        DirBuilder::new().mode(0o700).create(&draft).map_err(EmbeddedError::io("create", &draft))?;
        self.account.own(&draft)?;
        let mut command = self.command("initdb");
        command.arg("-D").arg(&draft).args([
            "--locale=C",
            "--encoding=UTF8",
            "--auth=trust",
            "--data-checksums",
            "--no-instructions",
        ]);
        command.arg(format!("--username={SUPERUSER}"));
        if !self.durable {
            command.arg("--no-sync");
        }
        succeeded("initdb", &run(command, INIT_LIMIT).await?)?;
        std::fs::rename(&draft, &self.data).map_err(EmbeddedError::io("rename", &draft))?;
        sync_folder(&self.base)
    }

    fn remove_drafts(&self) -> Result<(), EmbeddedError> {
        let entries = std::fs::read_dir(&self.base).map_err(EmbeddedError::io("read", &self.base))?;
        for entry in entries.filter_map(Result::ok) {
            if entry.file_name().to_string_lossy().starts_with("cluster.init-") {
                std::fs::remove_dir_all(entry.path()).map_err(EmbeddedError::io("remove", &entry.path()))?;
            }
        }
        Ok(())
    }

    /// Starts the server with its socket in the given folder and waits until it takes connections.
    pub(super) async fn start(&self, socket: &Path) -> Result<(), EmbeddedError> {
        let log = self.log();
        OpenOptions::new().append(true).create(true).mode(0o600).open(&log).map_err(EmbeddedError::io("open", &log))?;
        self.account.own(&log)?;
        let line = settings::for_shell(&settings::arguments(self.durable, socket, &self.extra));
        let deadline = tokio::time::Instant::now() + MEMORY_LIMIT;
        loop {
            let before = std::fs::metadata(&log).map_or(0, |found| found.len());
            let mut command = self.command("pg_ctl");
            command.args(["start", "-w", "-s", "-t"]).arg(START_LIMIT.as_secs().to_string());
            command.arg("-D").arg(&self.data).arg("-l").arg(&log).arg("-o").arg(&line);
            let output = run(command, START_LIMIT + STATUS_LIMIT).await?;
            if output.status.success() {
                return Ok(());
            }
            let written = std::fs::read(&log).unwrap_or_default();
            let from = usize::try_from(before).unwrap_or(0).min(written.len());
            let said = format!("{} {}", words(&output), String::from_utf8_lossy(&written[from..]));
            // The last backends of a killed postmaster still hold its memory: they notice within moments.
            if !said.contains("is still in use") || tokio::time::Instant::now() >= deadline {
                return Err(EmbeddedError::Program { program: "pg_ctl start".to_owned(), detail: tail(&said) });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Stops the server in order, and at once when it has not stopped within the limit; a server that is already gone is fine. A fast
    /// shutdown can hang for ever: PostgreSQL 15 does when one of its processes was killed just before, and it is told to stop as its
    /// recovery begins.
    pub(super) async fn stop(&self, in_order: Duration) -> Result<(), EmbeddedError> {
        if self.stopped("fast", in_order).await?.status.success() || !self.is_running().await? {
            return Ok(());
        }
        tracing::warn!("PostgreSQL does not stop in order; it stops at once, and recovers at its next start");
        let output = self.stopped("immediate", AT_ONCE_LIMIT).await?;
        if !output.status.success() && self.is_running().await? {
            succeeded("pg_ctl stop", &output)?;
        }
        Ok(())
    }

    /// Tells the server to stop in this mode, and waits for so long, in whole seconds and one at least.
    async fn stopped(&self, mode: &str, limit: Duration) -> Result<Output, EmbeddedError> {
        let mut command = self.command("pg_ctl");
        command.args(["stop", "-m", mode, "-w", "-s", "-t"]).arg(limit.as_secs().max(1).to_string());
        command.arg("-D").arg(&self.data);
        run(command, limit + STATUS_LIMIT).await
    }

    /// Whether pg_ctl finds a live process for this data.
    pub(super) async fn is_running(&self) -> Result<bool, EmbeddedError> {
        let mut command = self.command("pg_ctl");
        command.arg("status").arg("-D").arg(&self.data);
        let output = run(command, STATUS_LIMIT).await?;
        if output.status.code() == Some(NOT_RUNNING) {
            return Ok(false);
        }
        succeeded("pg_ctl status", &output).map(|()| true)
    }

    /// What `postmaster.pid` says; `None` while it is absent or half written.
    pub(super) fn postmaster(&self) -> Option<Postmaster> {
        postmaster_of(&self.data)
    }

    /// Removes `postmaster.pid` if its process id was given to another program since, as happens in containers, where the
    /// same few ids come back: pg_ctl would refuse for ever. True when it was. PostgreSQL still guards the data by its shared memory.
    pub(super) fn remove_recycled(&self, pid: u32) -> Result<bool, EmbeddedError> {
        // A postmaster's working folder is its data; without /proc nothing is known and nothing removed.
        let data = self.data.canonicalize().map_err(EmbeddedError::io("resolve", &self.data))?;
        let dead_or_other = match std::fs::read_link(format!("/proc/{pid}/cwd")) {
            Ok(cwd) => cwd != data,
            Err(error) => error.kind() == ErrorKind::NotFound && Path::new("/proc/self/cwd").exists(),
        };
        if dead_or_other {
            let path = self.pid_file();
            match std::fs::remove_file(&path) {
                // A server that just ended took it along.
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(EmbeddedError::io("remove", &path)(error));
                }
                _ => {}
            }
        }
        Ok(dead_or_other)
    }

    /// Whether the running server was started with exactly the settings we would start it with.
    pub(super) fn has_our_settings(&self, socket: &Path) -> bool {
        let recorded = std::fs::read_to_string(self.data.join("postmaster.opts")).unwrap_or_default();
        let ours = settings::as_recorded(&self.data, &settings::arguments(self.durable, socket, &self.extra));
        recorded.trim_end().ends_with(&ours)
    }

    fn pid_file(&self) -> PathBuf {
        pid_file(&self.data)
    }

    fn command(&self, program: &str) -> std::process::Command {
        self.account.command(&self.programs.bin.join(program))
    }
}

/// The major version of the data under a base, if there is any.
pub(super) fn version_of_data(base: &Path) -> Result<Option<u32>, EmbeddedError> {
    let data = cluster_under(base);
    if !data.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(data.join("PG_VERSION")).unwrap_or_default();
    match text.trim().split('.').next().unwrap_or_default().parse() {
        Ok(major) => Ok(Some(major)),
        Err(_) => Err(EmbeddedError::NotACluster { path: data }),
    }
}

/// What the `postmaster.pid` of a data folder says; `None` while it is absent or half written.
pub(super) fn postmaster_of(data: &Path) -> Option<Postmaster> {
    parse_pid_file(&std::fs::read_to_string(pid_file(data)).ok()?)
}

fn pid_file(data: &Path) -> PathBuf {
    data.join("postmaster.pid")
}

fn parse_pid_file(text: &str) -> Option<Postmaster> {
    let lines: Vec<&str> = text.lines().collect();
    let (pid, port, socket) = (lines.first()?, lines.get(3)?, lines.get(4)?);
    Some(Postmaster { pid: pid.trim().parse().ok()?, port: port.trim().parse().ok()?, socket: PathBuf::from(socket) })
}

fn succeeded(program: &str, output: &Output) -> Result<(), EmbeddedError> {
    if output.status.success() {
        return Ok(());
    }
    Err(EmbeddedError::Program { program: name_of(Path::new(program)), detail: tail(&words(output)) })
}

fn words(output: &Output) -> String {
    format!("{} {}", String::from_utf8_lossy(&output.stdout).trim(), String::from_utf8_lossy(&output.stderr).trim())
}

/// The last words, in one line.
fn tail(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let from = line.ceil_char_boundary(line.len().saturating_sub(TAIL));
    line[from..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d8_the_pid_file_gives_the_socket_of_an_orphan() {
        let text = "71\n/d/cluster\n1700000000\n54329\n/tmp/atelier-1\n\n  54329001    32768\nready   \n";
        let expected = Postmaster { pid: 71, port: 54329, socket: PathBuf::from("/tmp/atelier-1") };
        assert_eq!(parse_pid_file(text), Some(expected));
        assert_eq!(parse_pid_file("71\n/d/cluster\n"), None);
    }

    #[test]
    fn d8_a_long_story_is_cut_from_the_front_at_a_letter() {
        let told = tail(&format!("start {} end", "ü".repeat(3000)));
        assert!(told.len() <= TAIL && told.ends_with("ü end") && !told.contains("start"));
    }
}
