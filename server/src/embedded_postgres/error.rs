//! What can go wrong with the private PostgreSQL: each variant is one sentence for the operator that says what to do.

use std::path::{Path, PathBuf};

/// Why the private PostgreSQL could not be started, used or stopped.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No usable programs on this machine.
    #[error(
        "PostgreSQL 15 or newer was not found: install it (Debian, Ubuntu: apt-get install postgresql; Fedora: dnf install postgresql-server; \
         Alpine: apk add postgresql; macOS: brew install postgresql@17), or set DATABASE_URL to a server of your own"
    )]
    NotInstalled,
    /// Another process owns the folder.
    #[error("the database folder {} is in use by another atelier process: stop that one first, or choose another folder", .folder.display())]
    InUse {
        /// The folder that was asked for.
        folder: PathBuf,
    },
    /// The data was made by a major version that is not installed.
    #[error(
        "the database in {} was made by PostgreSQL {found}, which is not among the programs found here ({available}): install PostgreSQL {found}, \
         or restore a backup into another folder", .folder.display()
    )]
    OtherVersion {
        /// The folder of the data.
        folder: PathBuf,
        /// The major version written in the data.
        found: u32,
        /// The major versions that are installed, for people.
        available: String,
    },
    /// The data folder exists and holds something else.
    #[error("{} is not a PostgreSQL data folder: move it away and start again", .path.display())]
    NotACluster {
        /// The folder in the way.
        path: PathBuf,
    },
    /// The path cannot be handed to PostgreSQL's programs.
    #[error("the folder name {} holds a quote, a dollar, a backslash or a control character, or is not UTF-8: choose another one", .path.display())]
    UnusableFolder {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// A role, database or setting name that is not plain, or a setting that is not open to change.
    #[error(
        "{0:?} cannot be used here: names are a-z, 0-9 and _, and what keeps the database durable and private cannot be changed"
    )]
    UnusableName(String),
    /// Started by root on a machine without an unprivileged user to run PostgreSQL.
    #[error(
        "PostgreSQL refuses to run as root and there is neither a user postgres nor nobody: start atelier as an ordinary user"
    )]
    NoUnprivilegedUser,
    /// No folder for the data can be found.
    #[error("user {user} cannot reach {}, and no folder under {} is free for it: choose another folder", .folder.display(), .parent.display())]
    NoReachableFolder {
        /// Who runs PostgreSQL.
        user: String,
        /// The folder that was asked for.
        folder: PathBuf,
        /// Where a substitute was looked for.
        parent: PathBuf,
    },
    /// No folder for the socket can be made.
    #[error("no private folder for the database's socket could be made under {}: remove old atelier-* folders there", .parent.display())]
    NoSocketFolder {
        /// Where it was tried.
        parent: PathBuf,
    },
    /// The server that answers is of other data.
    #[error(
        "the server behind {} serves {} instead: if the folder is a copy of a running one, delete postmaster.pid in the copy and start again",
        .expected.display(), .actual.display()
    )]
    OtherServer {
        /// Our data.
        expected: PathBuf,
        /// What the server says it serves.
        actual: PathBuf,
    },
    /// A live server of our data does not answer.
    #[error("the database server {pid} of {} is running and does not answer: stop it with `kill -INT {pid}` and start again", .data.display())]
    Unreachable {
        /// The postmaster's process id.
        pid: u32,
        /// Our data.
        data: PathBuf,
    },
    /// Something else has taken the socket's folder of a server that died.
    #[error("the private PostgreSQL cannot be started in {} again: something else is there now; start again", .socket.display())]
    Moved {
        /// Where its clients look for it.
        socket: PathBuf,
    },
    /// A file operation failed.
    #[error("could not {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// One of PostgreSQL's programs failed.
    #[error("PostgreSQL's {program} failed; the end of what it said: {detail}")]
    Program {
        /// The program's name.
        program: String,
        /// The end of its output or log.
        detail: String,
    },
    /// A program did not end in its time.
    #[error("PostgreSQL's {program} did not end within {seconds} s: look at the load of the machine and start again")]
    Timeout {
        /// The program's name.
        program: String,
        /// Its limit, in seconds.
        seconds: u64,
    },
    /// A statement of ours was refused, or the connection failed.
    #[error("could not {action} in the private database: {source}")]
    Sql {
        /// What was tried.
        action: &'static str,
        /// The cause.
        source: tokio_postgres::Error,
    },
}

impl EmbeddedError {
    /// Names the file operation that failed; made for `map_err`.
    pub(super) fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> Self + use<'a> {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// Names the statement that failed; made for `map_err`.
    pub(super) fn sql(action: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Sql { action, source }
    }
}
