//! Outputs in an object store: a local folder today, any other `object_store` backend behind the same adapter (DESIGN 7).

use std::os::unix::fs::PermissionsExt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use atelier_commands::ports::{AvatarKey, ExportKey, GatewayError, MediaKey, MediaStore, Pieces};
use atelier_domain::{AccountId, AvatarId, GenerationId};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt};

use crate::export_objects;

/// The largest object kept, in bytes.
pub const MAX_OBJECT_BYTES: usize = 64 * 1024 * 1024;

/// The extensions an output may have: the media types of REQUIREMENTS part 3.
const EXTENSIONS: [&str; 6] = ["png", "jpg", "jpeg", "webp", "mp4", "mp3"];

/// Objects removed in one call; far above what a generation has. What is left is an error, and so tried again.
const MAX_DELETED: usize = 1_000;

/// Keeps outputs in an object store.
#[derive(Debug, Clone)]
pub struct MediaFolder {
    store: Arc<dyn ObjectStore>,
    /// The store's own folder, when it is local.
    root: Option<PathBuf>,
}

impl MediaFolder {
    /// Outputs under a local folder, made if missing. Writes are atomic (a staged file, renamed) and durable.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(root: &FilePath) -> Result<Self, GatewayError> {
        std::fs::create_dir_all(root)
            // Private pictures are nobody else's on this machine either.
            .and_then(|()| std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o700)))
            .map_err(|error| GatewayError::Unavailable(format!("the media folder cannot be made: {error}")))?;
        let store = LocalFileSystem::new_with_prefix(root).map_err(unavailable)?.with_fsync(true);
        Ok(Self { store: Arc::new(store), root: Some(root.to_path_buf()) })
    }

    /// Outputs in any object store.
    #[must_use]
    pub fn over(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, root: None }
    }

    async fn write(&self, path: String, bytes: Bytes) -> Result<(), GatewayError> {
        if bytes.len() > MAX_OBJECT_BYTES {
            return Err(GatewayError::Refused(format!("an object of {} bytes is too large", bytes.len())));
        }
        self.store.put(&Path::from(path), bytes.into()).await.map_err(unavailable).map(|_| ())
    }

    async fn read(&self, path: String) -> Result<Option<Bytes>, GatewayError> {
        let found = match self.store.get(&Path::from(path)).await {
            Ok(found) => found,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(unavailable(error)),
        };
        if found.meta.size > MAX_OBJECT_BYTES as u64 {
            return Err(GatewayError::Refused(format!("an object of {} bytes is too large", found.meta.size)));
        }
        found.bytes().await.map(Some).map_err(unavailable)
    }

    /// Removes what a listing does not show: empty folders, and files staged by a write that was killed. Erasure must
    /// leave nothing (DESIGN 7).
    async fn remove_folder(&self, prefix: &str) -> Result<(), GatewayError> {
        let Some(root) = &self.root else { return Ok(()) };
        match tokio::fs::remove_dir_all(root.join(prefix)).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(GatewayError::Unavailable(format!("a media folder cannot be removed: {}", error.kind())))
            }
            _ => Ok(()),
        }
    }
}

impl MediaFolder {
    /// Removes everything under a prefix, as far as one call goes.
    async fn delete_under(&self, prefix: &str) -> Result<(), GatewayError> {
        if self.delete_some(prefix).await? {
            return Err(GatewayError::Unavailable(format!(
                "more than {MAX_DELETED} objects; the rest is left for the next try"
            )));
        }
        self.remove_folder(prefix).await
    }

    /// Removes up to [`MAX_DELETED`] objects under a prefix; whether there are more.
    async fn delete_some(&self, prefix: &str) -> Result<bool, GatewayError> {
        let listed = self.store.list(Some(&Path::from(prefix))).take(MAX_DELETED + 1);
        let mut found: Vec<Path> = listed.map_ok(|object| object.location).try_collect().await.map_err(unavailable)?;
        let more = found.len() > MAX_DELETED;
        found.truncate(MAX_DELETED);
        let mut deletions = self.store.delete_stream(stream::iter(found.into_iter().map(Ok)).boxed());
        let mut failure = None;
        while let Some(deleted) = deletions.next().await {
            match deleted {
                // Someone else removed it first.
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        match failure {
            Some(error) => Err(unavailable(error)),
            None => Ok(more),
        }
    }
}

/// The key a path stands for, when it is one that [`MediaKey::path`] can have made, to the byte.
fn parse(path: &str) -> Option<MediaKey> {
    let mut parts = path.split('/');
    let (account, generation, attempt, file) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (index, extension) = file.split_once('.')?;
    let key = MediaKey {
        account: account.parse().ok()?,
        generation: generation.parse().ok()?,
        attempt: attempt.parse().ok()?,
        index: index.parse().ok()?,
        extension: EXTENSIONS.iter().find(|known| **known == extension)?.to_string(),
    };
    // Other spellings of the same ids and numbers (`+1`, `01`, braces, capitals) and further parts end here.
    (key.attempt > 0 && key.path() == path).then_some(key)
}

fn unavailable(error: Error) -> GatewayError {
    GatewayError::Unavailable(format!("the media store is unavailable: {error}"))
}

#[async_trait]
impl MediaStore for MediaFolder {
    async fn put(&self, key: &MediaKey, bytes: Bytes) -> Result<(), GatewayError> {
        let path = key.path();
        if parse(&path).is_none() {
            return Err(GatewayError::Refused("not a key an output can have".to_owned()));
        }
        self.write(path, bytes).await
    }

    async fn get(&self, path: &str) -> Result<Option<Bytes>, GatewayError> {
        let Some(key) = parse(path) else { return Ok(None) };
        self.read(key.path()).await
    }

    async fn delete_generation(&self, account: AccountId, generation: GenerationId) -> Result<(), GatewayError> {
        self.delete_under(&format!("{account}/{generation}")).await
    }

    async fn put_avatar(&self, key: AvatarKey, bytes: Bytes) -> Result<(), GatewayError> {
        self.write(key.path(), bytes).await
    }

    async fn get_avatar(&self, key: AvatarKey) -> Result<Option<Bytes>, GatewayError> {
        self.read(key.path()).await
    }

    async fn delete_avatar(&self, account: AccountId, avatar: AvatarId) -> Result<(), GatewayError> {
        self.delete_under(&format!("{account}/avatar/{avatar}")).await
    }

    async fn put_export(&self, key: ExportKey, pieces: Pieces) -> Result<u64, GatewayError> {
        export_objects::put(self.store.as_ref(), key, pieces).await
    }

    async fn export_bytes(&self, key: ExportKey) -> Result<Option<u64>, GatewayError> {
        export_objects::bytes(self.store.as_ref(), key).await
    }

    async fn get_export(&self, key: ExportKey) -> Result<Option<(u64, Pieces)>, GatewayError> {
        export_objects::get(self.store.as_ref(), key).await
    }

    async fn delete_export(&self, key: ExportKey) -> Result<(), GatewayError> {
        self.delete_under(&key.folder()).await
    }

    async fn delete_account(&self, account: AccountId) -> Result<(), GatewayError> {
        let prefix = account.to_string();
        // However many they are: each round removes some, or fails. Whoever is cut off in between goes on where it was.
        while self.delete_some(&prefix).await? {}
        self.remove_folder(&prefix).await
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;
    use uuid::Uuid;

    use super::*;

    fn key(index: u32) -> MediaKey {
        let (account, generation) = (AccountId(Uuid::from_u128(0xa11ce)), GenerationId(Uuid::from_u128(7)));
        MediaKey { account, generation, attempt: 1, index, extension: "png".to_owned() }
    }

    fn folder() -> (tempfile::TempDir, MediaFolder) {
        let temp = tempfile::tempdir().unwrap();
        let media = MediaFolder::open(&temp.path().join("deep/media")).unwrap();
        (temp, media)
    }

    #[tokio::test]
    async fn an_object_comes_back_and_a_repeat_is_harmless() {
        let (_temp, local) = folder();
        for media in [local, MediaFolder::over(Arc::new(InMemory::new()))] {
            let path = key(0).path();
            assert_eq!(media.get(&path).await.unwrap(), None);
            for _ in 0..2 {
                media.put(&key(0), Bytes::from_static(b"pixels")).await.unwrap();
                assert_eq!(media.get(&path).await.unwrap(), Some(Bytes::from_static(b"pixels")));
            }
            assert_eq!(media.get(&key(1).path()).await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn only_a_keys_own_path_is_looked_up() {
        let (temp, media) = folder();
        media.put(&key(0), Bytes::from_static(b"pixels")).await.unwrap();
        std::fs::write(temp.path().join("secret.png"), b"secret").unwrap();
        let good = key(0).path();
        assert!(media.get(&good).await.unwrap().is_some());
        let (account, generation) = (key(0).account.to_string(), key(0).generation.to_string());
        let simple = key(0).account.0.simple().to_string();
        let refused = [
            String::new(),
            "/".to_owned(),
            format!("/{good}"),
            format!("{good}/"),
            format!("./{good}"),
            format!("{good}/../0.png"),
            format!("{account}/{generation}/1"),
            format!("{account}/{generation}/1/"),
            format!("{account}/{generation}/1/.png"),
            format!("{account}/{generation}/0/0.png"),
            format!("{account}/{generation}/01/0.png"),
            format!("{account}/{generation}/+1/0.png"),
            format!("{account}/{generation}/1/00.png"),
            format!("{account}/{generation}/1/0.PNG"),
            format!("{account}/{generation}/1/0.png.png"),
            format!("{account}/{generation}/1/0.svg"),
            format!("{account}/{generation}/1/0.png#1"),
            format!("{account}/{generation}/1/0.png\0"),
            format!("{account}/{generation}/1/0.png?x"),
            format!("{account}/{generation}/1//0.png"),
            format!("{account}/{generation}/1/4294967296.png"),
            format!("{account}\\{generation}\\1\\0.png"),
            format!("{{{account}}}/{generation}/1/0.png"),
            format!("urn:uuid:{account}/{generation}/1/0.png"),
            format!("{simple}/{generation}/1/0.png"),
            good.replace("a11ce", "A11CE"),
            good.replace('/', "%2F"),
            good.replace('/', "%2f").replace('.', "%2e"),
            format!("{account}/%2e%2e/1/0.png"),
            "../secret.png".to_owned(),
            "../../secret.png".to_owned(),
            format!("{account}/../../../secret.png"),
            temp.path().join("secret.png").display().to_string(),
        ];
        for path in refused {
            assert_eq!(media.get(&path).await.unwrap(), None, "{path:?}");
        }
    }

    #[tokio::test]
    async fn a_key_with_an_unknown_extension_is_not_stored() {
        let (temp, media) = folder();
        for extension in ["svg", "", "png/../../x", "../png", "html"] {
            let bad = MediaKey { extension: extension.to_owned(), ..key(0) };
            assert!(media.put(&bad, Bytes::from_static(b"x")).await.is_err(), "{extension}");
        }
        assert_eq!(std::fs::read_dir(temp.path().join("deep/media")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn deleting_a_generation_removes_all_of_it_and_only_it_and_again_is_harmless() {
        let (temp, local) = folder();
        for media in [local, MediaFolder::over(Arc::new(InMemory::new()))] {
            let other = MediaKey { generation: GenerationId(Uuid::from_u128(8)), ..key(0) };
            let retried = MediaKey { attempt: 2, ..key(0) };
            for key in [&key(0), &key(1), &retried, &other] {
                media.put(key, Bytes::from_static(b"x")).await.unwrap();
            }
            for _ in 0..2 {
                media.delete_generation(key(0).account, key(0).generation).await.unwrap();
                for gone in [&key(0), &key(1), &retried] {
                    assert_eq!(media.get(&gone.path()).await.unwrap(), None);
                }
                assert!(media.get(&other.path()).await.unwrap().is_some());
            }
        }
        let account = temp.path().join("deep/media").join(key(0).account.to_string());
        assert_eq!(std::fs::read_dir(account).unwrap().count(), 1, "no empty folder is left of it");
    }

    #[tokio::test]
    async fn an_avatar_comes_back_and_goes_alone_and_an_account_goes_with_all_it_has() {
        let (temp, local) = folder();
        for media in [local, MediaFolder::over(Arc::new(InMemory::new()))] {
            let account = key(0).account;
            let square = |avatar, edge| AvatarKey { account, avatar: AvatarId(Uuid::from_u128(avatar)), edge };
            let stranger = MediaKey { account: AccountId(Uuid::from_u128(0xb0b)), ..key(0) };
            for key in [square(1, 64), square(1, 512), square(2, 64)] {
                media.put_avatar(key, Bytes::from_static(b"face")).await.unwrap();
                // An avatar is no output: the links of outputs never reach it.
                assert_eq!(media.get(&key.path()).await.unwrap(), None);
            }
            for key in [&key(0), &stranger] {
                media.put(key, Bytes::from_static(b"x")).await.unwrap();
            }
            for _ in 0..2 {
                media.delete_avatar(account, square(1, 64).avatar).await.unwrap();
                assert_eq!(media.get_avatar(square(1, 64)).await.unwrap(), None);
                assert_eq!(media.get_avatar(square(1, 512)).await.unwrap(), None);
                assert_eq!(media.get_avatar(square(2, 64)).await.unwrap(), Some(Bytes::from_static(b"face")));
            }
            for _ in 0..2 {
                media.delete_account(account).await.unwrap();
                assert_eq!(media.get_avatar(square(2, 64)).await.unwrap(), None);
                assert_eq!(media.get(&key(0).path()).await.unwrap(), None);
                assert!(media.get(&stranger.path()).await.unwrap().is_some());
            }
        }
        assert!(!temp.path().join("deep/media").join(key(0).account.to_string()).exists());
    }

    #[tokio::test]
    async fn deleting_a_generation_also_removes_a_killed_writes_staged_file() {
        let (temp, media) = folder();
        let path = temp.path().join("deep/media").join(key(0).path());
        let job = path.parent().unwrap().parent().unwrap();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path.with_file_name("0.png#1"), b"half").unwrap();
        media.delete_generation(key(0).account, key(0).generation).await.unwrap();
        assert!(!job.exists());
    }

    #[tokio::test]
    async fn many_deletions_at_once_all_succeed() {
        let (_temp, media) = folder();
        for index in 0..40 {
            media.put(&key(index), Bytes::from_static(b"x")).await.unwrap();
        }
        let all = futures::future::join_all((0..4).map(|_| {
            let media = media.clone();
            tokio::spawn(async move { media.delete_generation(key(0).account, key(0).generation).await })
        }));
        for outcome in all.await {
            outcome.unwrap().unwrap();
        }
        assert_eq!(media.get(&key(0).path()).await.unwrap(), None);
    }

    #[tokio::test]
    async fn more_objects_than_the_bound_take_several_tries() {
        let media = MediaFolder::over(Arc::new(InMemory::new()));
        for index in 0..=MAX_DELETED as u32 {
            media.put(&key(index), Bytes::new()).await.unwrap();
        }
        assert!(media.delete_generation(key(0).account, key(0).generation).await.is_err());
        media.delete_generation(key(0).account, key(0).generation).await.unwrap();
        assert_eq!(media.get(&key(MAX_DELETED as u32).path()).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a37_an_account_goes_whole_however_many_objects_it_has() {
        let (_temp, local) = folder();
        for media in [local, MediaFolder::over(Arc::new(InMemory::new()))] {
            let mut other = key(0);
            other.account = AccountId(Uuid::from_u128(0xb0b));
            media.put(&other, Bytes::from_static(b"another's")).await.unwrap();
            for index in 0..=2 * MAX_DELETED as u32 {
                media.put(&key(index), Bytes::from_static(b"p")).await.unwrap();
            }
            media.delete_account(key(0).account).await.unwrap();
            for index in [0, MAX_DELETED as u32, 2 * MAX_DELETED as u32] {
                assert_eq!(media.get(&key(index).path()).await.unwrap(), None, "{index}");
            }
            assert!(media.get(&other.path()).await.unwrap().is_some(), "nobody else's");
        }
    }
}
