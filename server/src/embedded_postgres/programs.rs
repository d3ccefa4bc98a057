//! Finding PostgreSQL's programs (initdb, pg_ctl, postgres) of version 15 or newer.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::EmbeddedError;

/// The oldest major version that works (DESIGN 2).
const OLDEST: u32 = 15;
/// All of them must stand in one folder.
const NEEDED: [&str; 3] = ["initdb", "pg_ctl", "postgres"];

/// A folder of programs and their major version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Programs {
    pub(super) bin: PathBuf,
    pub(super) major: u32,
}

/// The folder of PostgreSQL's programs a new database is made with: PATH first, then `pg_config`, then the usual folders,
/// newest first (DESIGN 8). Starts short-lived processes, so not for an async thread.
///
/// # Errors
/// `NotInstalled` when no version from 15 on is found.
pub fn find_programs() -> Result<PathBuf, EmbeddedError> {
    installed().into_iter().next().map(|programs| programs.bin).ok_or(EmbeddedError::NotInstalled)
}

/// Every usable installation, the preferred one first.
pub(super) fn installed() -> Vec<Programs> {
    let mut found: Vec<Programs> = Vec::new();
    for folder in places() {
        if let Some(programs) = examine(&folder)
            && !found.contains(&programs)
        {
            found.push(programs);
        }
    }
    found
}

/// The programs that can serve data of the given major version, or the preferred ones for new data.
pub(super) fn choose(installed: Vec<Programs>, data: Option<(&Path, u32)>) -> Result<Programs, EmbeddedError> {
    let Some((folder, found)) = data else {
        return installed.into_iter().next().ok_or(EmbeddedError::NotInstalled);
    };
    if let Some(programs) = installed.iter().find(|programs| programs.major == found) {
        return Ok(programs.clone());
    }
    let majors: Vec<String> = installed.iter().map(|programs| programs.major.to_string()).collect();
    let available = if majors.is_empty() { "none".to_owned() } else { majors.join(", ") };
    Err(EmbeddedError::OtherVersion { folder: folder.to_owned(), found, available })
}

fn places() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    places.extend(said_by_pg_config());
    places.extend(newest_first(Path::new("/usr/lib/postgresql"), "", "bin"));
    places.extend(newest_first(Path::new("/usr"), "pgsql-", "bin"));
    places.extend(newest_first(Path::new("/usr/lib"), "postgresql", "bin"));
    places.extend(newest_first(Path::new("/usr/libexec"), "postgresql", ""));
    for prefix in ["/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"] {
        places.extend(newest_first(Path::new(prefix), "postgresql@", "bin"));
    }
    places.extend(newest_first(Path::new("/Applications/Postgres.app/Contents/Versions"), "", "bin"));
    places
}

fn said_by_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?;
    Path::new(line).is_absolute().then(|| PathBuf::from(line))
}

/// `parent/<prefix><version>/<rest>` for every version that is there.
fn newest_first(parent: &Path, prefix: &str, rest: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let major = leading_number(name.strip_prefix(prefix)?)?;
            Some((major, entry.path().join(rest)))
        })
        .collect();
    versions.sort_by(|a, b| b.cmp(a));
    versions.into_iter().map(|(_, path)| path).collect()
}

fn examine(folder: &Path) -> Option<Programs> {
    if !NEEDED.iter().all(|name| folder.join(name).is_file()) {
        return None;
    }
    // Links such as /usr/local/bin/postgres are followed, so that one installation is listed once.
    let server = folder.join("postgres").canonicalize().ok()?;
    let real = server.parent()?;
    let bin = if NEEDED.iter().all(|name| real.join(name).is_file()) { real } else { folder };
    let major = version_of(server.as_os_str())?;
    (major >= OLDEST).then(|| Programs { bin: bin.to_owned(), major })
}

fn version_of(server: &OsStr) -> Option<u32> {
    let output = Command::new(server).arg("--version").stderr(Stdio::null()).output().ok()?;
    parse_version(&String::from_utf8(output.stdout).ok()?)
}

/// The major version in a line such as `postgres (PostgreSQL) 17.2 (Debian 17.2-1)`.
fn parse_version(line: &str) -> Option<u32> {
    line.split_whitespace().find_map(leading_number)
}

fn leading_number(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn programs(major: u32) -> Programs {
        Programs { bin: PathBuf::from(format!("/pg/{major}/bin")), major }
    }

    #[test]
    fn d8_version_lines_of_all_vendors_are_understood() {
        assert_eq!(parse_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_version("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(parse_version("postgres (PostgreSQL) 16.4 (Homebrew)"), Some(16));
        assert_eq!(parse_version("no such thing"), None);
    }

    #[test]
    fn d8_new_data_takes_the_first_programs_and_old_data_takes_its_own_version() {
        let both = vec![programs(17), programs(15)];
        assert_eq!(choose(both.clone(), None).unwrap(), programs(17));
        assert_eq!(choose(both, Some((Path::new("/data"), 15))).unwrap(), programs(15));
        assert!(matches!(choose(Vec::new(), None), Err(EmbeddedError::NotInstalled)));
    }

    #[test]
    fn d8_data_of_an_absent_version_is_one_sentence_that_names_it() {
        let error = choose(vec![programs(17)], Some((Path::new("/data"), 15))).unwrap_err().to_string();
        assert!(error.contains("/data") && error.contains("PostgreSQL 15") && error.contains("(17)"), "{error}");
        assert!(!error.contains('\n'));
    }

    #[test]
    fn d8_versions_are_listed_newest_first_as_numbers() {
        let home = tempfile::tempdir().unwrap();
        for name in ["postgresql@9", "postgresql@17", "postgresql@15", "postgresql-common"] {
            std::fs::create_dir(home.path().join(name)).unwrap();
        }
        let found = newest_first(home.path(), "postgresql@", "bin");
        let expected: Vec<PathBuf> =
            ["17", "15", "9"].iter().map(|v| home.path().join(format!("postgresql@{v}/bin"))).collect();
        assert_eq!(found, expected);
    }
}
