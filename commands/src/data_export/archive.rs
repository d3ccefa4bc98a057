//! The zip itself: written on a thread of its own, from one bounded channel into another, so that memory does not grow with it.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use chrono::{DateTime, Datelike, Timelike, Utc};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::command_path::CommandError;
use crate::ports::{GatewayError, Pieces};
use crate::refusal::UseCaseError;

/// The most bytes that go from hand to hand at once, and how many such pieces may wait on either side of the thread.
const PIECE: usize = 256 * 1024;
const WAITING: usize = 8;

enum Part {
    /// A file begins, and the one before it ends.
    Begin { name: String, packed: bool },
    /// More of it.
    Data(Bytes),
    /// The archive ends with its manifest, which lists the files there were.
    Finish(Value),
}

/// An archive being written. Dropped unfinished, its pieces end with an error.
pub(super) struct Archive {
    parts: mpsc::Sender<Part>,
}

/// Begins an archive whose files carry this time; its bytes come out of the other half.
pub(super) fn begin(at: DateTime<Utc>) -> (Archive, Pieces) {
    let (parts, from) = mpsc::channel(WAITING);
    let (to, bytes) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let outlet = Outlet { to, waiting: Vec::with_capacity(PIECE), gone: Arc::default() };
        if let Err(error) = pack(from, outlet, at) {
            tracing::warn!(%error, "a data export could not be packed");
        }
    });
    // Whole is only what says so: the thread may have ended for any reason.
    let pieces = stream::unfold(Some(bytes), |bytes| async move {
        let mut bytes: mpsc::Receiver<Option<Bytes>> = bytes?;
        match bytes.recv().await {
            Some(Some(piece)) => Some((Ok(piece), Some(bytes))),
            Some(None) => None,
            None => Some((Err(GatewayError::Unavailable("the archive was cut off".to_owned())), None)),
        }
    });
    (Archive { parts }, pieces.boxed())
}

impl Archive {
    async fn send(&self, part: Part) -> Result<(), UseCaseError> {
        self.parts.send(part).await.map_err(|_| CommandError::Internal("the archive was cut off".to_owned()))
    }

    /// Adds a file. `packed` says whether its bytes are worth packing.
    pub(super) async fn file(&self, name: &str, bytes: Bytes, packed: bool) -> Result<(), UseCaseError> {
        self.send(Part::Begin { name: name.to_owned(), packed }).await?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let piece = rest.split_to(rest.len().min(PIECE));
            self.send(Part::Data(piece)).await?;
        }
        Ok(())
    }

    /// Adds a JSON file for people to read.
    pub(super) async fn json(&self, name: &str, value: &Value) -> Result<(), UseCaseError> {
        self.file(name, Bytes::from(format!("{value:#}\n")), true).await
    }

    /// Begins a JSON file of many values: an array, or a value a line.
    pub(super) async fn list(&self, name: &str, lines: bool) -> Result<List<'_>, UseCaseError> {
        self.send(Part::Begin { name: name.to_owned(), packed: true }).await?;
        Ok(List { archive: self, waiting: Vec::new(), lines, values: 0 })
    }

    /// Ends the archive with `manifest.json`: this object, and the list of files.
    pub(super) async fn finish(self, manifest: Value) -> Result<(), UseCaseError> {
        self.send(Part::Finish(manifest)).await
    }
}

/// A file of many values.
pub(super) struct List<'a> {
    archive: &'a Archive,
    waiting: Vec<u8>,
    lines: bool,
    values: u64,
}

impl List<'_> {
    /// Adds a value.
    pub(super) async fn push(&mut self, value: &Value) -> Result<(), UseCaseError> {
        let before = match (self.lines, self.values) {
            (true, _) => "",
            (false, 0) => "[\n",
            (false, _) => ",\n",
        };
        self.waiting.extend_from_slice(format!("{before}{value}{}", if self.lines { "\n" } else { "" }).as_bytes());
        self.values += 1;
        if self.waiting.len() >= PIECE { self.hand_on().await } else { Ok(()) }
    }

    /// Ends the file; how many values it has.
    pub(super) async fn end(mut self) -> Result<u64, UseCaseError> {
        let after = match (self.lines, self.values) {
            (true, _) => "",
            (false, 0) => "[]\n",
            (false, _) => "\n]\n",
        };
        self.waiting.extend_from_slice(after.as_bytes());
        self.hand_on().await?;
        Ok(self.values)
    }

    async fn hand_on(&mut self) -> Result<(), UseCaseError> {
        self.archive.send(Part::Data(Bytes::from(std::mem::take(&mut self.waiting)))).await
    }
}

/// Where the packing thread leaves what it has packed.
struct Outlet {
    to: mpsc::Sender<Option<Bytes>>,
    waiting: Vec<u8>,
    gone: Arc<AtomicBool>,
}

impl Outlet {
    fn hand_on(&mut self) {
        let piece = std::mem::replace(&mut self.waiting, Vec::with_capacity(PIECE));
        if self.to.blocking_send(Some(Bytes::from(piece))).is_err() {
            self.gone.store(true, Ordering::Relaxed);
        }
    }

    fn end(mut self) {
        self.hand_on();
        let _ = self.to.blocking_send(None);
    }
}

impl Write for Outlet {
    /// Never fails: what nobody takes any more is dropped, and the thread looks whether anybody does.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(PIECE)];
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= PIECE {
            self.hand_on();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that was begun.
struct Begun {
    name: String,
    bytes: u64,
    digest: Sha256,
}

impl Begun {
    fn listed(self) -> Value {
        let digest: String = self.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        json!({ "name": self.name, "bytes": self.bytes, "sha256": digest })
    }
}

fn options(at: DateTime<Utc>, packed: bool) -> SimpleFileOptions {
    let part = |n: u32| u8::try_from(n).unwrap_or_default();
    let time = zip::DateTime::from_date_and_time(
        u16::try_from(at.year()).unwrap_or_default(),
        part(at.month()),
        part(at.day()),
        part(at.hour()),
        part(at.minute()),
        part(at.second()),
    );
    let method = if packed { CompressionMethod::Deflated } else { CompressionMethod::Stored };
    // Sizes are not known when a file begins, and a log may be larger than 4 GiB.
    SimpleFileOptions::default()
        .compression_method(method)
        .last_modified_time(time.unwrap_or_default())
        .unix_permissions(0o600)
        .large_file(packed)
}

/// Packs what comes until the end is asked for. Without that, nothing says that the archive is whole.
fn pack(mut parts: mpsc::Receiver<Part>, outlet: Outlet, at: DateTime<Utc>) -> Result<(), zip::result::ZipError> {
    let gone = Arc::clone(&outlet.gone);
    let mut zip = ZipWriter::new_stream(outlet);
    let (mut listed, mut begun) = (Vec::new(), None::<Begun>);
    while let Some(part) = parts.blocking_recv() {
        if gone.load(Ordering::Relaxed) {
            return Ok(());
        }
        match part {
            Part::Begin { name, packed } => {
                listed.extend(begun.take().map(Begun::listed));
                zip.start_file(name.as_str(), options(at, packed))?;
                begun = Some(Begun { name, bytes: 0, digest: Sha256::new() });
            }
            Part::Data(bytes) => {
                if let Some(file) = &mut begun {
                    file.bytes += bytes.len() as u64;
                    file.digest.update(&bytes);
                }
                zip.write_all(&bytes)?;
            }
            Part::Finish(mut manifest) => {
                listed.extend(begun.take().map(Begun::listed));
                manifest["files"] = Value::Array(listed);
                zip.start_file("manifest.json", options(at, true))?;
                zip.write_all(format!("{manifest:#}\n").as_bytes())?;
                zip.finish()?.into_inner().end();
                return Ok(());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn u25_only_an_archive_that_was_ended_is_whole() {
        for whole in [true, false] {
            let (archive, pieces) = begin(DateTime::UNIX_EPOCH);
            let read = tokio::spawn(pieces.try_collect::<Vec<Bytes>>());
            archive.json("a.json", &json!({ "a": 1 })).await.unwrap();
            archive.file("b.png", Bytes::from(vec![7; 3 * PIECE + 1]), false).await.unwrap();
            if whole {
                archive.finish(json!({})).await.unwrap();
            } else {
                drop(archive);
            }
            let read = read.await.unwrap();
            assert_eq!(read.is_ok(), whole, "what was cut off says so");
            let listed = read.map(|read| zip::ZipArchive::new(io::Cursor::new(read.concat())).unwrap().len());
            assert_eq!(listed.unwrap_or(3), 3, "two files and the manifest");
        }
    }

    #[tokio::test]
    async fn u25_nobody_is_written_for_who_takes_nothing_any_more() {
        let (archive, pieces) = begin(DateTime::UNIX_EPOCH);
        drop(pieces);
        // The thread ends by itself, and whoever writes is told.
        while archive.file("a", Bytes::from(vec![7; PIECE]), false).await.is_ok() {}
    }
}
