//! Copies of everything in the object store: written and read piece by piece, whole or not at all (U25).

use atelier_commands::ports::{ExportKey, GatewayError, Pieces};
use futures::StreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, WriteMultipart};

/// How much of one part waits in memory, bytes, and how many parts are on their way at once.
const PART: usize = 5 * 1024 * 1024;
const PARTS_AT_ONCE: usize = 2;

fn unavailable(error: Error) -> GatewayError {
    GatewayError::Unavailable(format!("the media store is unavailable: {error}"))
}

/// Stores a copy; its size in bytes. Cut off anywhere, nothing is there under its name.
pub(crate) async fn put(store: &dyn ObjectStore, key: ExportKey, mut pieces: Pieces) -> Result<u64, GatewayError> {
    let upload = store.put_multipart(&Path::from(key.path())).await.map_err(unavailable)?;
    let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
    let mut bytes = 0;
    while let Some(piece) = pieces.next().await {
        let written = match piece {
            Ok(piece) => {
                bytes += piece.len() as u64;
                upload.wait_for_capacity(PARTS_AT_ONCE).await.map_err(unavailable).map(|()| upload.put(piece))
            }
            Err(cut) => Err(cut),
        };
        if let Err(error) = written {
            // What stays behind of it goes with its folder, before the next try.
            if let Err(left) = upload.abort().await {
                tracing::warn!(%left, "half a data export could not be removed");
            }
            return Err(error);
        }
    }
    upload.finish().await.map_err(unavailable)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atelier_commands::ports::{MediaObject, MediaStore};
    use atelier_domain::{AccountId, ExportId};
    use bytes::Bytes;
    use futures::{TryStreamExt, stream};
    use object_store::memory::InMemory;
    use uuid::Uuid;

    use super::*;
    use crate::MediaFolder;

    const KEY: ExportKey = ExportKey { account: AccountId(Uuid::from_u128(1)), export: ExportId(Uuid::from_u128(2)) };

    fn copy(key: ExportKey) -> MediaObject {
        MediaObject::Export(key)
    }

    fn pieces(cut: bool) -> Pieces {
        let whole = (0..12).map(|n| Ok(Bytes::from(vec![n; 1024 * 1024])));
        let end = cut.then(|| Err(GatewayError::Unavailable("cut".to_owned())));
        stream::iter(whole.chain(end)).boxed()
    }

    #[tokio::test]
    async fn u25_a_copy_is_there_whole_or_not_at_all_and_goes_alone() {
        let temp = tempfile::tempdir().unwrap();
        let local = MediaFolder::open(temp.path()).unwrap();
        for media in [local, MediaFolder::over(Arc::new(InMemory::new()))] {
            assert!(media.put_export(KEY, pieces(true)).await.is_err());
            assert_eq!(media.find(&copy(KEY)).await.unwrap(), None, "half of one is none");
            assert!(media.read(&copy(KEY), 0..1).await.unwrap().is_none());
            for _ in 0..2 {
                assert_eq!(media.put_export(KEY, pieces(false)).await.unwrap(), 12 * 1024 * 1024);
            }
            let size = media.find(&copy(KEY)).await.unwrap().unwrap().bytes;
            let read = media.read(&copy(KEY), 0..size).await.unwrap().unwrap();
            let read: Vec<Bytes> = read.try_collect().await.unwrap();
            let read = read.concat();
            assert_eq!((size, read.len()), (12 * 1024 * 1024, 12 * 1024 * 1024));
            assert!(read.iter().enumerate().all(|(at, byte)| at / (1024 * 1024) == usize::from(*byte)));
            // It is no output: the links of outputs never reach it.
            assert_eq!(media.find(&MediaObject::Output(KEY.path())).await.unwrap(), None);
            let other = ExportKey { export: ExportId(Uuid::from_u128(3)), ..KEY };
            media.put_export(other, pieces(false)).await.unwrap();
            for _ in 0..2 {
                media.delete_export(KEY).await.unwrap();
                assert_eq!(media.find(&copy(KEY)).await.unwrap(), None);
            }
            assert!(media.find(&copy(other)).await.unwrap().is_some());
        }
        // What a killed write left, and nothing else, goes with the folder.
        let folder = temp.path().join(KEY.folder());
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("data.zip#1"), b"half").unwrap();
        MediaFolder::open(temp.path()).unwrap().delete_export(KEY).await.unwrap();
        assert!(!folder.exists());
    }
}
