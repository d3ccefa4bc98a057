//! Outputs in an object store: a local folder today, any other `object_store` backend behind the same adapter (DESIGN 7).

use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use atelier_commands::ports::{
    AvatarKey, ExportKey, GatewayError, MAX_WHOLE_BYTES, MediaKey, MediaObject, MediaStore, Pieces, Stored, Thing,
    Things,
};
use atelier_domain::{AccountId, AvatarId, GenerationId};
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt};

use crate::export_objects;

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
            .map_err(|error| {
                GatewayError::Unavailable(format!("the media folder {} cannot be made: {error}", root.display()))
            })?;
        let store = LocalFileSystem::new_with_prefix(root).map_err(unavailable)?.with_fsync(true);
        Ok(Self { store: Arc::new(store), root: Some(root.to_path_buf()) })
    }

    /// Outputs in any object store.
    #[must_use]
    pub fn over(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, root: None }
    }

    async fn write(&self, path: String, bytes: Bytes) -> Result<(), GatewayError> {
        if bytes.len() as u64 > MAX_WHOLE_BYTES {
            return Err(GatewayError::Refused(format!("an object of {} bytes is too large", bytes.len())));
        }
        self.store.put(&Path::from(path), bytes.into()).await.map_err(unavailable).map(|_| ())
    }

    /// Where an object is; `None` for what cannot be one.
    fn place(object: &MediaObject) -> Option<Path> {
        Some(Path::from(match object {
            MediaObject::Output(path) => parse(path)?.path(),
            MediaObject::Avatar(key) => key.path(),
            MediaObject::Export(key) => key.path(),
        }))
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

/// Whose an object is and what it is of, by its path.
fn thing(path: &str) -> Option<(AccountId, Thing)> {
    let mut parts = path.split('/');
    let account = parts.next()?.parse().ok()?;
    let thing = match (parts.next()?, parts.next()?) {
        ("avatar", id) => Thing::Avatar(id.parse().ok()?),
        ("exports", id) => Thing::Export(id.parse().ok()?),
        (id, _) => Thing::Generation(id.parse().ok()?),
    };
    Some((account, thing))
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
        extension: extension.to_owned(),
    };
    // Any media type is kept: an extension only has to be harmless in a path.
    let plain = |b: u8| b.is_ascii_digit() || b.is_ascii_lowercase();
    if !(1..=8).contains(&extension.len()) || !extension.bytes().all(plain) {
        return None;
    }
    // Other spellings of the same ids and numbers (`+1`, `01`, braces, capitals) and further parts end here.
    (key.attempt > 0 && key.path() == path).then_some(key)
}

/// The same pieces, whose end is an error unless they are as many bytes as were asked for: what is short is no whole object.
fn whole(
    pieces: impl Stream<Item = Result<Bytes, GatewayError>> + Send + 'static,
    bytes: u64,
) -> impl Stream<Item = Result<Bytes, GatewayError>> + Send {
    let pieces = Box::pin(pieces);
    stream::try_unfold((pieces, bytes), |(mut pieces, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let short = || GatewayError::Unavailable("an object is shorter than it was".to_owned());
        // An empty piece is how a local file that was cut off goes on for ever.
        let piece = pieces.try_next().await?.filter(|piece| !piece.is_empty()).ok_or_else(short)?;
        let left = left.checked_sub(piece.len() as u64).ok_or_else(short)?;
        Ok(Some((piece, (pieces, left))))
    })
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

    async fn find(&self, object: &MediaObject) -> Result<Option<Stored>, GatewayError> {
        let Some(place) = Self::place(object) else { return Ok(None) };
        match self.store.head(&place).await {
            Ok(found) => Ok(Some(Stored { bytes: found.size, written_at: found.last_modified })),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    async fn read(&self, object: &MediaObject, range: Range<u64>) -> Result<Option<Pieces>, GatewayError> {
        let Some(place) = Self::place(object) else { return Ok(None) };
        let options = GetOptions {
            // No store gives nothing of an object.
            range: (!range.is_empty()).then(|| GetRange::Bounded(range.clone())),
            head: range.is_empty(),
            ..GetOptions::default()
        };
        match self.store.get_opts(&place, options).await {
            Ok(_) if range.is_empty() => Ok(Some(stream::empty().boxed())),
            Ok(found) => Ok(Some(whole(found.into_stream().map_err(unavailable), range.end - range.start).boxed())),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    async fn delete_generation(&self, account: AccountId, generation: GenerationId) -> Result<(), GatewayError> {
        self.delete_under(&format!("{account}/{generation}")).await
    }

    async fn put_avatar(&self, key: AvatarKey, bytes: Bytes) -> Result<(), GatewayError> {
        self.write(key.path(), bytes).await
    }

    async fn delete_avatar(&self, account: AccountId, avatar: AvatarId) -> Result<(), GatewayError> {
        self.delete_under(&format!("{account}/avatar/{avatar}")).await
    }

    async fn put_export(&self, key: ExportKey, pieces: Pieces) -> Result<u64, GatewayError> {
        export_objects::put(self.store.as_ref(), key, pieces).await
    }

    async fn delete_export(&self, key: ExportKey) -> Result<(), GatewayError> {
        self.delete_under(&key.folder()).await
    }

    fn things(&self) -> Things {
        let listed = self.store.list(None).map_err(unavailable);
        listed
            .try_filter_map(async |object| {
                Ok(thing(object.location.as_ref()).map(|(account, thing)| (account, thing, object.last_modified)))
            })
            .boxed()
    }

    async fn delete_account(&self, account: AccountId) -> Result<(), GatewayError> {
        let prefix = account.to_string();
        // However many they are: each round removes some, or fails. Whoever is cut off in between goes on where it was.
        while self.delete_some(&prefix).await? {}
        self.remove_folder(&prefix).await
    }
}

#[cfg(test)]
mod tests;
