//! Which user runs PostgreSQL's programs (never root), and how they are run: clean environment, bounded time.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use super::EmbeddedError;

/// In order of preference when we are root.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];
/// What the programs may see of our environment. Everything else stays here: it may hold secrets, and PG* variables
/// would change what the programs do.
const KEPT_ENVIRONMENT: [&str; 3] = ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"];

/// The user that runs PostgreSQL's programs.
#[derive(Debug, Clone)]
pub(super) struct Account {
    /// For people.
    pub(super) name: String,
    pub(super) uid: u32,
    gid: u32,
    /// We are root and become this user; otherwise it is who we are.
    dropped: bool,
}

impl Account {
    /// The owner of the existing data if there is any, else an unprivileged user if we are root, else ourselves.
    pub(super) fn choose(data: &Path) -> Result<Self, EmbeddedError> {
        let (uid, gid) = ids(None).ok_or(EmbeddedError::NoUnprivilegedUser)?;
        if uid != 0 {
            return Ok(Self { name: uid.to_string(), uid, gid, dropped: false });
        }
        if let Ok(owner) = std::fs::metadata(data)
            && owner.uid() != 0
        {
            return Ok(Self { name: owner.uid().to_string(), uid: owner.uid(), gid: owner.gid(), dropped: true });
        }
        UNPRIVILEGED
            .iter()
            .find_map(|name| {
                let (uid, gid) = ids(Some(name)).filter(|(uid, _)| *uid != 0)?;
                Some(Self { name: (*name).to_owned(), uid, gid, dropped: true })
            })
            .ok_or(EmbeddedError::NoUnprivilegedUser)
    }

    /// Whether the user can traverse to the folder; the kernel is asked, as the rules (modes, lists, mounts) are its own.
    pub(super) fn reaches(&self, folder: &Path) -> bool {
        let mut command = self.command(Path::new("/bin/sh"));
        command.args(["-c", "cd \"$1\"", "sh"]).arg(folder);
        command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    /// Whether a folder of this owner is safe to hand to the user: its own, or root's that is about to be given away.
    pub(super) fn may_use(&self, owner: u32) -> bool {
        owner == self.uid || (self.dropped && owner == 0)
    }

    /// Gives a path we made to the user; nothing to do when that is us.
    pub(super) fn own(&self, path: &Path) -> Result<(), EmbeddedError> {
        if !self.dropped {
            return Ok(());
        }
        chown(path, Some(self.uid), Some(self.gid)).map_err(EmbeddedError::io("change the owner of", path))
    }

    /// A program run as the user, in its own process group so that Ctrl-C in the terminal does not reach it. The standard
    /// library drops root's supplementary groups together with the user id.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("LC_ALL", "C").current_dir("/").stdin(Stdio::null()).process_group(0);
        for name in KEPT_ENVIRONMENT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if self.dropped {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }
}

/// Runs a command to its end and returns what it said; killed when the time is over.
pub(super) async fn run(command: Command, limit: Duration) -> Result<Output, EmbeddedError> {
    let program = Path::new(command.get_program()).to_owned();
    let mut command = tokio::process::Command::from(command);
    let running = command.kill_on_drop(true).output();
    match tokio::time::timeout(limit, running).await {
        Ok(output) => output.map_err(EmbeddedError::io("run", &program)),
        Err(_) => Err(EmbeddedError::Timeout { program: name_of(&program), seconds: limit.as_secs() }),
    }
}

/// The last part of a program's path, for messages.
pub(super) fn name_of(program: &Path) -> String {
    program.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// User and group id of a user, or of ourselves.
fn ids(user: Option<&str>) -> Option<(u32, u32)> {
    Some((id("-u", user)?, id("-g", user)?))
}

fn id(which: &str, user: Option<&str>) -> Option<u32> {
    let output = Command::new("id").arg(which).args(user).stderr(Stdio::null()).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d8_programs_never_run_as_root_and_see_no_secret() {
        let account = Account::choose(Path::new("/nonexistent")).unwrap();
        assert_ne!(account.uid, 0);
        let mut command = account.command(Path::new("/bin/sh"));
        command.args(["-c", "id -u; env"]);
        let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let mut lines = said.lines();
        assert_eq!(lines.next(), Some(account.uid.to_string().as_str()));
        let names: Vec<&str> = lines.filter_map(|line| line.split('=').next()).collect();
        // cargo sets CARGO_MANIFEST_DIR for every test: it stands for any variable of ours.
        assert!(
            std::env::var_os("CARGO_MANIFEST_DIR").is_some() && !names.contains(&"CARGO_MANIFEST_DIR"),
            "{names:?}"
        );
    }

    #[test]
    fn d8_root_hands_the_data_of_an_ordinary_user_to_that_user() {
        let home = tempfile::tempdir().unwrap();
        if ids(None).unwrap().0 == 0 {
            chown(home.path(), Some(12345), Some(12345)).unwrap();
            assert_eq!(Account::choose(home.path()).unwrap().uid, 12345);
        } else {
            assert!(!Account::choose(home.path()).unwrap().dropped);
        }
    }

    #[tokio::test]
    async fn d8_a_program_that_hangs_is_ended() {
        let account = Account::choose(Path::new("/nonexistent")).unwrap();
        let mut command = account.command(Path::new("/bin/sh"));
        command.args(["-c", "exec tail -f /dev/null"]);
        let error = run(command, Duration::ZERO).await.unwrap_err();
        assert!(matches!(error, EmbeddedError::Timeout { .. }), "{error}");
    }
}
