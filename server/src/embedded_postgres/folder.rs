//! Where the data lives: the lock that decides who owns a folder, the folder PostgreSQL's user can reach, the socket's folder.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::EmbeddedError;
use super::account::Account;

/// Where substitutes are made when PostgreSQL's user cannot reach the folder that was asked for.
const SUBSTITUTES: &str = "/var/lib/atelier";
/// Short, because a socket's path has 103 to 107 bytes at most.
const SOCKETS: &str = "/tmp";
/// Only names the socket's file: there is no TCP. Not 5432, so that no client finds it by accident (DESIGN 8).
pub(super) const PORT: u16 = 54329;
/// How many names are tried before giving up.
const TRIES: u32 = 100;

/// The folder of the data, owned by this process for as long as the value lives.
#[derive(Debug)]
pub(super) struct Place {
    /// Holds `cluster/` and `postgres.log`.
    pub(super) base: PathBuf,
    pub(super) account: Account,
    pub(super) notices: Vec<String>,
    /// Opened close-on-exec by the standard library, so a surviving postmaster does not hold them after our death.
    _locks: Vec<File>,
}

/// Where PostgreSQL keeps its files under a base.
pub(super) fn cluster_under(base: &Path) -> PathBuf {
    base.join("cluster")
}

impl Place {
    /// Locks the folder and decides where its data is. Blocking.
    pub(super) fn claim(folder: &Path) -> Result<Self, EmbeddedError> {
        std::fs::create_dir_all(folder).map_err(EmbeddedError::io("create", folder))?;
        let folder = &folder.canonicalize().map_err(EmbeddedError::io("resolve", folder))?;
        refuse_unusable(folder)?;
        let mut place = Self {
            base: folder.clone(),
            account: Account::choose(&cluster_under(folder))?,
            notices: Vec::new(),
            _locks: vec![lock(folder, folder)?],
        };
        if let Some(base) = read_pointer(folder)? {
            place.account = Account::choose(&cluster_under(&base))?;
            place.substitute(folder, base)?;
        } else if !cluster_under(folder).exists() && !place.account.reaches(folder) {
            let base = place.make_substitute(folder)?;
            write_pointer(folder, &base)?;
            place.substitute(folder, base)?;
        }
        Ok(place)
    }

    fn substitute(&mut self, folder: &Path, base: PathBuf) -> Result<(), EmbeddedError> {
        // A copy of the folder points to the same base, so the base has a lock of its own.
        self._locks.push(lock(&base, folder)?);
        self.notices.push(format!(
            "user {}, which runs PostgreSQL, cannot reach {}: the database is kept in {} instead (the file `location` there says so)",
            self.account.name,
            folder.display(),
            base.display()
        ));
        self.base = base;
        Ok(())
    }

    /// A substitute without data in it. One with data belonged to a folder that is gone: it is left alone, never taken over,
    /// because its keys went with that folder.
    fn make_substitute(&mut self, folder: &Path) -> Result<PathBuf, EmbeddedError> {
        let parent = Path::new(SUBSTITUTES);
        traversable(parent)?;
        for base in candidates(parent, "", folder) {
            if cluster_under(&base).exists() {
                self.notices.push(format!("an older database was left untouched in {}", base.display()));
                continue;
            }
            traversable(&base)?;
            if self.account.reaches(&base) {
                return Ok(base);
            }
        }
        Err(EmbeddedError::NoReachableFolder {
            user: self.account.name.clone(),
            folder: folder.to_owned(),
            parent: parent.to_owned(),
        })
    }
}

/// A private folder for the socket, the same for the same data unless a stranger sits in it.
pub(super) fn socket_folder(base: &Path, account: &Account) -> Result<PathBuf, EmbeddedError> {
    let parent = Path::new(SOCKETS);
    for path in candidates(parent, "atelier-", base) {
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                // Not followed if it is a link: anyone may put one under /tmp.
                let found = std::fs::symlink_metadata(&path).map_err(EmbeddedError::io("examine", &path))?;
                let private = found.is_dir() && found.mode() & 0o777 == 0o700 && account.may_use(found.uid());
                if !private || !clear_socket(&path)? {
                    continue;
                }
            }
            Err(error) => return Err(EmbeddedError::io("create", &path)(error)),
        }
        account.own(&path)?;
        return Ok(path);
    }
    Err(EmbeddedError::NoSocketFolder { parent: parent.to_owned() })
}

/// Removes what a killed server left; false when a live one answers. PostgreSQL clears up after itself only when the process id in
/// its lock file is free, and a killed server whose parent does not collect it keeps its id.
fn clear_socket(within: &Path) -> Result<bool, EmbeddedError> {
    let socket = within.join(format!(".s.PGSQL.{PORT}"));
    if UnixStream::connect(&socket).is_ok() {
        return Ok(false);
    }
    for path in [within.join(format!(".s.PGSQL.{PORT}.lock")), socket] {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(EmbeddedError::io("remove", &path)(error));
            }
            _ => {}
        }
    }
    Ok(true)
}

/// `parent/<prefix><hash of the path>`, then the same with -1, -2 and so on.
fn candidates(parent: &Path, prefix: &str, path: &Path) -> impl Iterator<Item = PathBuf> {
    let stem = format!("{prefix}{:016x}", fnv1a(path.as_os_str().as_encoded_bytes()));
    let parent = parent.to_owned();
    (0..TRIES).map(move |n| parent.join(if n == 0 { stem.clone() } else { format!("{stem}-{n}") }))
}

/// FNV-1a: the same in every release, which the standard library's hasher does not promise.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Makes a folder that others may pass through, whatever our umask is.
fn traversable(path: &Path) -> Result<(), EmbeddedError> {
    match DirBuilder::new().create(path) {
        Ok(()) => std::fs::set_permissions(path, Permissions::from_mode(0o711))
            .map_err(EmbeddedError::io("change the mode of", path)),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(EmbeddedError::io("create", path)(error)),
    }
}

/// pg_ctl hands paths to a shell between double quotes, and postmaster.pid holds them in lines.
fn refuse_unusable(folder: &Path) -> Result<(), EmbeddedError> {
    let usable = folder.to_str().is_some_and(|text| !text.contains(|c: char| "\"'$`\\".contains(c) || c.is_control()));
    if usable { Ok(()) } else { Err(EmbeddedError::UnusableFolder { path: folder.to_owned() }) }
}

fn lock(within: &Path, asked: &Path) -> Result<File, EmbeddedError> {
    let path = within.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(EmbeddedError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(EmbeddedError::InUse { folder: asked.to_owned() }),
        Err(TryLockError::Error(error)) => Err(EmbeddedError::io("lock", &path)(error)),
    }
}

/// The substitute this folder's data was put into by an earlier start.
pub(super) fn read_pointer(folder: &Path) -> Result<Option<PathBuf>, EmbeddedError> {
    let path = folder.join("location");
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(PathBuf::from(text.trim_end_matches('\n')))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(EmbeddedError::io("read", &path)(error)),
    }
}

/// Written before anything is put there, and whole or not at all: data without a pointer would be lost to the next start.
fn write_pointer(folder: &Path, base: &Path) -> Result<(), EmbeddedError> {
    let (path, draft) = (folder.join("location"), folder.join("location.new"));
    let mut file = File::create(&draft).map_err(EmbeddedError::io("create", &draft))?;
    writeln!(file, "{}", base.display()).and_then(|()| file.sync_all()).map_err(EmbeddedError::io("write", &draft))?;
    std::fs::rename(&draft, &path).map_err(EmbeddedError::io("rename", &draft))?;
    sync_folder(folder)
}

/// Makes renames in a folder survive a power cut.
pub(super) fn sync_folder(folder: &Path) -> Result<(), EmbeddedError> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(EmbeddedError::io("sync", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d8_the_hash_of_a_folder_never_changes_between_releases() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x85944171f73967e8);
    }

    #[test]
    fn d8_a_folder_name_a_shell_would_read_is_refused() {
        for bad in ["/a\"b", "/a$b", "/a`b", "/a\\b", "/a'b", "/a\nb"] {
            assert!(refuse_unusable(Path::new(bad)).is_err(), "{bad:?}");
        }
        assert!(refuse_unusable(Path::new("/a b/ü")).is_ok());
    }

    #[test]
    fn d8_a_pointer_is_read_back() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(read_pointer(home.path()).unwrap(), None);
        write_pointer(home.path(), Path::new("/var/lib/some where")).unwrap();
        assert_eq!(read_pointer(home.path()).unwrap(), Some(PathBuf::from("/var/lib/some where")));
    }

    #[test]
    fn d8_a_socket_folder_others_could_read_is_not_used() {
        let home = tempfile::tempdir().unwrap();
        let account = Account::choose(Path::new("/nonexistent")).unwrap();
        let first = socket_folder(home.path(), &account).unwrap();
        assert_eq!(socket_folder(home.path(), &account).unwrap(), first, "the same folder gets the same socket");
        std::fs::set_permissions(&first, Permissions::from_mode(0o755)).unwrap();
        let second = socket_folder(home.path(), &account).unwrap();
        let found = std::fs::metadata(&second).unwrap();
        std::fs::remove_dir(&first).unwrap();
        std::fs::remove_dir(&second).unwrap();
        assert_ne!(second, first);
        assert_eq!((found.mode() & 0o777, found.uid()), (0o700, account.uid));
    }
}
