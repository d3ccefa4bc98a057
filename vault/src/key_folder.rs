//! A folder of numbered server keys (`kek/3`, `index/1`, `credentials/1`): 32 raw bytes each; the highest number is in use.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::{RandomBytes, SecretKey, durable_file};

/// What marks a key whose destruction has begun; no reader takes it for a key any more.
const DESTROYED: &str = "destroyed";

pub(crate) struct KeyFolder(PathBuf);

impl KeyFolder {
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        durable_file::make_folder(&path)?;
        Ok(Self(path))
    }

    fn path(&self, version: u32) -> PathBuf {
        self.0.join(version.to_string())
    }

    /// The numbers of all keys, ascending.
    pub(crate) fn versions(&self) -> io::Result<Vec<u32>> {
        let mut versions = Vec::new();
        for entry in std::fs::read_dir(&self.0)? {
            versions.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
        }
        versions.sort_unstable();
        Ok(versions)
    }

    /// Every key. One that another process destroys meanwhile is left out.
    pub(crate) fn read_all(&self) -> io::Result<BTreeMap<u32, SecretKey>> {
        let mut keys = BTreeMap::new();
        for version in self.versions()? {
            let bytes = match std::fs::read(self.path(version)) {
                Ok(bytes) => Zeroizing::new(bytes),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let key = SecretKey::from_slice(&bytes)
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a key file does not hold 32 bytes"))?;
            keys.insert(version, key);
        }
        Ok(keys)
    }

    /// Makes a new key under a number that is free; the caller holds the folder's lock.
    pub(crate) fn create(&self, version: u32, random: &dyn RandomBytes) -> io::Result<SecretKey> {
        let key = SecretKey::generate(random);
        durable_file::replace(&self.path(version), key.bytes())?;
        Ok(key)
    }

    /// Destroys a key: first it stops being one, then its bytes go. The caller holds the folder's lock.
    pub(crate) fn destroy(&self, version: u32) -> io::Result<()> {
        let marked = self.path(version).with_extension(DESTROYED);
        match std::fs::rename(self.path(version), &marked) {
            Ok(()) => durable_file::sync_folder_of(&marked)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        durable_file::destroy(&marked)
    }

    /// Finishes what a crash in the middle of [`Self::destroy`] left.
    pub(crate) fn finish_destroying(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.0)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == DESTROYED) {
                durable_file::destroy(&path)?;
            }
        }
        Ok(())
    }
}

/// Every key of `<keys folder>/<name>`, by version; none where there is no such folder. Nothing is made.
pub(crate) fn read(keys: &Path, name: &str) -> io::Result<BTreeMap<u32, SecretKey>> {
    let folder = keys.join(name);
    if folder.is_dir() { KeyFolder(folder).read_all() } else { Ok(BTreeMap::new()) }
}

/// The key in use of `<keys folder>/<name>`, with its number; the first run makes number 1.
pub(crate) fn newest_or_first(keys: &Path, name: &str, random: &dyn RandomBytes) -> io::Result<(u32, SecretKey)> {
    let folder = KeyFolder::open(keys.join(name))?;
    // Two processes starting at once on an empty folder must end up with the same key.
    let _lock = durable_file::lock(keys)?;
    match folder.read_all()?.pop_last() {
        Some(newest) => Ok(newest),
        None => Ok((1, folder.create(1, random)?)),
    }
}
