//! The account key store as files: `accounts/<2 hex>/<account>.json` wrapped by `kek/<epoch>`, all under one folder (DESIGN 7).
//!
//! Readers take no lock. Writers (sign-up, shredding, rotation) hold the folder's lock for one account at a time, so
//! several processes may share a folder. A file system that copies on write, or a disk that remaps blocks, may keep an
//! old wrapped key for a while: rotating the KEK after a shredding makes that copy unreadable too.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use atelier_domain::{AccountId, KeyClass};

use crate::account_key_file::{AccountKeyFile, Wrapping, overwriting};
use crate::erasure_journal::ErasureJournal;
use crate::key_folder::KeyFolder;
use crate::{
    AccountKey, AccountKeyStore, AccountKeys, KekRotation, KeyStoreError, RandomBytes, SecretKey, durable_file,
};

/// How often a reader looks again while a rotation moves things under it.
const READ_ATTEMPTS: usize = 4;

/// The file adapter of [`AccountKeyStore`]. Cheap to clone.
#[derive(Clone)]
pub struct FileKeyStore(Arc<Folder>);

struct Folder {
    root: PathBuf,
    kek_folder: KeyFolder,
    keks: RwLock<BTreeMap<u32, SecretKey>>,
    journal: ErasureJournal,
    random: Arc<dyn RandomBytes>,
}

impl FileKeyStore {
    /// Opens the keys folder, making it (mode 0700) and the first KEK when there is none yet.
    ///
    /// # Errors
    /// `NoKek` when there are accounts but no KEK, `Io` when the folder cannot be read or written.
    pub fn open(root: &Path, random: Arc<dyn RandomBytes>) -> Result<Self, KeyStoreError> {
        durable_file::make_folder(&root.join("accounts"))?;
        let kek_folder = KeyFolder::open(root.join("kek"))?;
        let journal = ErasureJournal::of(root);
        let folder = Folder { root: root.to_owned(), kek_folder, keks: RwLock::default(), journal, random };
        let lock = folder.lock()?;
        folder.kek_folder.finish_destroying()?;
        if folder.kek_folder.versions()?.is_empty() {
            if !folder.accounts()?.is_empty() {
                return Err(KeyStoreError::NoKek);
            }
            folder.kek_folder.create(1, folder.random.as_ref())?;
        }
        drop(lock);
        folder.reload_keks()?;
        Ok(Self(Arc::new(folder)))
    }

    /// Files block, and a flushed write takes milliseconds: off the async threads.
    async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder) -> Result<T, KeyStoreError> + Send + 'static,
    ) -> Result<T, KeyStoreError> {
        let folder = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&folder))
            .await
            .unwrap_or_else(|stopped| Err(KeyStoreError::Io(io::Error::other(stopped))))
    }
}

#[async_trait]
impl AccountKeyStore for FileKeyStore {
    async fn create(&self, account: AccountId) -> Result<(), KeyStoreError> {
        self.off_thread(move |folder| folder.create(account)).await
    }

    async fn load(&self, account: AccountId) -> Result<AccountKeys, KeyStoreError> {
        self.off_thread(move |folder| folder.load(account)).await
    }

    async fn shred(&self, account: AccountId, class: KeyClass) -> Result<(), KeyStoreError> {
        self.off_thread(move |folder| folder.shred(account, class)).await
    }

    async fn shredded(&self) -> Result<Vec<AccountId>, KeyStoreError> {
        self.off_thread(|folder| Ok(folder.journal.read()?)).await
    }

    async fn accounts(&self) -> Result<Vec<AccountId>, KeyStoreError> {
        self.off_thread(|folder| Ok(folder.accounts()?)).await
    }

    async fn rotate_kek(&self) -> Result<KekRotation, KeyStoreError> {
        self.off_thread(Folder::rotate).await
    }
}

impl Folder {
    fn lock(&self) -> io::Result<File> {
        durable_file::lock(&self.root)
    }

    fn path(&self, account: AccountId) -> PathBuf {
        let name = account.to_string();
        // The last two digits: a UUIDv7 begins with its time, which would put a whole year into one folder.
        let shard = &name[name.len() - 2..];
        self.root.join("accounts").join(shard).join(format!("{name}.json"))
    }

    fn read(&self, account: AccountId) -> Result<Vec<u8>, KeyStoreError> {
        std::fs::read(self.path(account)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => KeyStoreError::Missing,
            _ => KeyStoreError::Io(error),
        })
    }

    /// Every account that has a file.
    fn accounts(&self) -> io::Result<Vec<AccountId>> {
        let mut accounts = Vec::new();
        for shard in std::fs::read_dir(self.root.join("accounts"))? {
            for entry in std::fs::read_dir(shard?.path())? {
                let name = entry?.file_name();
                let stem = name.to_str().and_then(|name| name.strip_suffix(".json"));
                accounts.extend(stem.and_then(|stem| stem.parse::<AccountId>().ok()));
            }
        }
        Ok(accounts)
    }

    fn reload_keks(&self) -> io::Result<()> {
        let keks = self.kek_folder.read_all()?;
        *self.keks.write().unwrap_or_else(PoisonError::into_inner) = keks;
        Ok(())
    }

    fn known_kek(&self, epoch: u32) -> Option<SecretKey> {
        self.keks.read().unwrap_or_else(PoisonError::into_inner).get(&epoch).cloned()
    }

    /// The KEK of an epoch, from memory or else from the folder: another process may have rotated it.
    fn kek(&self, epoch: u32) -> Result<SecretKey, KeyStoreError> {
        if let Some(kek) = self.known_kek(epoch) {
            return Ok(kek);
        }
        self.reload_keks()?;
        self.known_kek(epoch).ok_or(KeyStoreError::KekMissing(epoch))
    }

    fn create(&self, account: AccountId) -> Result<(), KeyStoreError> {
        let path = self.path(account);
        durable_file::make_folder(path.parent().expect("an account's file is inside the accounts folder"))?;
        let _lock = self.lock()?;
        match self.read(account) {
            Ok(bytes) if AccountKeyFile::decode(&bytes)?.has_tombstone() => return Err(KeyStoreError::Shredded),
            Ok(_) => return Err(KeyStoreError::AlreadyExists),
            Err(KeyStoreError::Missing) => {}
            Err(error) => return Err(error),
        }
        let random = self.random.as_ref();
        // From the folder and under its lock: a key wrapped with an older epoch could miss a rotation's last look.
        let epoch = self.kek_folder.versions()?.last().copied().ok_or(KeyStoreError::NoKek)?;
        let keys = AccountKeys {
            profile: AccountKey::Live(SecretKey::generate(random)),
            billing: AccountKey::Live(SecretKey::generate(random)),
        };
        let file = Wrapping { account, epoch, kek: &self.kek(epoch)? }.wrap_both(&keys, random);
        Ok(durable_file::replace(&path, &file.encode())?)
    }

    fn load(&self, account: AccountId) -> Result<AccountKeys, KeyStoreError> {
        self.unwrap_latest(account, || self.read(account))
    }

    /// Unwraps what `read` gives. A KEK that is missing may mean that the file was wrapped anew and the old KEK
    /// destroyed since it was read: then it is read again.
    fn unwrap_latest(
        &self,
        account: AccountId,
        mut read: impl FnMut() -> Result<Vec<u8>, KeyStoreError>,
    ) -> Result<AccountKeys, KeyStoreError> {
        let mut outcome = Err(KeyStoreError::Missing);
        for _ in 0..READ_ATTEMPTS {
            let file = AccountKeyFile::decode(&read()?)?;
            outcome = self
                .kek(file.epoch)
                .and_then(|kek| Wrapping { account, epoch: file.epoch, kek: &kek }.unwrap_both(&file));
            if !matches!(outcome, Err(KeyStoreError::KekMissing(_))) {
                break;
            }
        }
        outcome
    }

    fn shred(&self, account: AccountId, class: KeyClass) -> Result<(), KeyStoreError> {
        let _lock = self.lock()?;
        let path = self.path(account);
        let contents = self.read(account)?;
        let mut file = AccountKeyFile::decode(&contents)?;
        let Some(wrapped) = file.bury(class) else { return Ok(()) };
        if class == KeyClass::Profile {
            // Before the key goes: an entry too many is looked at once more, an entry too few would bring a dead account back.
            self.journal.add(account)?;
        }
        // In place first, so that the bytes do not live on in a freed block; from its first byte on the key counts as
        // shredded, and a crash before the replacement loses nothing of the account's other key.
        if let Some((offset, bytes)) = overwriting(&contents, &wrapped) {
            durable_file::overwrite(&path, offset, &bytes)?;
        }
        Ok(durable_file::replace(&path, &file.encode())?)
    }

    fn rotate(&self) -> Result<KekRotation, KeyStoreError> {
        let epoch = self.begin_rotation()?;
        let mut rewrapped = 0;
        // A pass that finds nothing older proves that no file needs the older KEKs: sign-ups use the new one already.
        loop {
            let mut moved = 0;
            for account in self.accounts()? {
                moved += u64::from(self.rewrap(account, epoch)?);
            }
            rewrapped += moved;
            if moved == 0 {
                break;
            }
        }
        let lock = self.lock()?;
        for older in self.kek_folder.versions()?.into_iter().filter(|version| *version < epoch) {
            self.kek_folder.destroy(older)?;
        }
        drop(lock);
        self.reload_keks()?;
        Ok(KekRotation { epoch, rewrapped })
    }

    /// The epoch to move to: a new one, or the one of a rotation that a crash cut short.
    fn begin_rotation(&self) -> Result<u32, KeyStoreError> {
        let _lock = self.lock()?;
        self.kek_folder.finish_destroying()?;
        match self.kek_folder.versions()?.as_slice() {
            [] => Err(KeyStoreError::NoKek),
            [only] => {
                self.kek_folder.create(only + 1, self.random.as_ref())?;
                Ok(only + 1)
            }
            [.., newest] => Ok(*newest),
        }
    }

    /// Wraps an account's keys with the KEK of `epoch`; says whether they were wrapped with an older one.
    fn rewrap(&self, account: AccountId, epoch: u32) -> Result<bool, KeyStoreError> {
        let _lock = self.lock()?;
        let file = AccountKeyFile::decode(&self.read(account)?)?;
        if file.epoch >= epoch {
            return Ok(false);
        }
        let keys = Wrapping { account, epoch: file.epoch, kek: &self.kek(file.epoch)? }.unwrap_both(&file)?;
        let file = Wrapping { account, epoch, kek: &self.kek(epoch)? }.wrap_both(&keys, self.random.as_ref());
        durable_file::replace(&self.path(account), &file.encode())?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
