//! How much room the disks have that a node writes to.

use std::io;
use std::path::{Path, PathBuf};

/// Files that must be left to be made: PostgreSQL and the media make new ones all the time.
const FILES: u64 = 256;
/// Bytes below which a disk is nearly full, if it is also little of the whole.
const FEW: u64 = 5 << 30;
/// The share of the whole below which a disk is nearly full, as a divisor.
const TWENTIETH: u64 = 20;

/// The room at a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// The folder.
    pub folder: PathBuf,
    /// Bytes that an ordinary user may still write.
    pub free: u64,
    /// Bytes of the whole disk.
    pub total: u64,
    /// Files that may still be made; none where the file system has no such bound.
    pub files: Option<u64>,
}

impl Room {
    /// What is free at a folder, or at the nearest folder above it that is there.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn at(folder: &Path) -> io::Result<Self> {
        let there = folder.ancestors().find(|folder| folder.exists());
        let there = there.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let found = rustix::fs::statvfs(there)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        let files = (found.f_files > 0).then_some(found.f_favail);
        Ok(Self { folder: folder.to_owned(), free: bytes(found.f_bavail), total: bytes(found.f_blocks), files })
    }

    /// Whether less than a reserve of bytes is left, or hardly a file can be made any more.
    #[must_use]
    pub const fn is_full(&self, reserve: u64) -> bool {
        self.free < reserve || self.is_out_of_files()
    }

    /// Whether hardly a file can be made any more, however many bytes are free.
    #[must_use]
    pub const fn is_out_of_files(&self) -> bool {
        matches!(self.files, Some(files) if files < FILES)
    }

    /// Whether it will be full before long.
    #[must_use]
    pub const fn is_nearly_full(&self) -> bool {
        self.free < FEW && self.free < self.total / TWENTIETH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_nearly_full_when_little_of_it_and_not_much_at_all_is_left() {
        let room = |free, total| Room { folder: PathBuf::new(), free, total, files: None };
        assert!(!room(4 << 30, 20 << 30).is_nearly_full(), "a fifth");
        assert!(!room(40 << 30, 4_000 << 30).is_nearly_full(), "a hundredth, and yet a lot");
        assert!(room(1 << 30, 100 << 30).is_nearly_full());
        let reserve = 64 << 20;
        assert!(room(reserve - 1, 100 << 30).is_full(reserve) && !room(reserve, 100 << 30).is_full(reserve));
        let of_files = |files| Room { files, ..room(50 << 30, 100 << 30) };
        assert!(of_files(Some(0)).is_full(reserve) && of_files(Some(FILES - 1)).is_full(reserve));
        assert!(!of_files(Some(FILES)).is_full(reserve) && !of_files(None).is_full(reserve));
    }

    #[test]
    fn the_room_of_a_folder_that_is_not_there_yet_is_that_of_its_parent() {
        let home = tempfile::tempdir().unwrap();
        let room = Room::at(&home.path().join("not/there")).unwrap();
        assert!(room.total > 0 && room.free <= room.total);
        assert!(!home.path().join("not").exists(), "looking makes nothing");
    }
}
