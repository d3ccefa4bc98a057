//! How much room the disks have that a node writes to.

use std::io;
use std::path::{Path, PathBuf};

/// Bytes below which a disk counts as full by default: PostgreSQL and the media need some to end what they are at.
pub const RESERVE: u64 = 64 << 20;
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
        Ok(Self { folder: folder.to_owned(), free: bytes(found.f_bavail), total: bytes(found.f_blocks) })
    }

    /// Whether less than a reserve is left.
    #[must_use]
    pub const fn is_full(&self, reserve: u64) -> bool {
        self.free < reserve
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
        let room = |free, total| Room { folder: PathBuf::new(), free, total };
        assert!(!room(4 << 30, 20 << 30).is_nearly_full(), "a fifth");
        assert!(!room(40 << 30, 4_000 << 30).is_nearly_full(), "a hundredth, and yet a lot");
        assert!(room(1 << 30, 100 << 30).is_nearly_full());
        assert!(room(RESERVE - 1, 100 << 30).is_full(RESERVE) && !room(RESERVE, 100 << 30).is_full(RESERVE));
    }

    #[test]
    fn the_room_of_a_folder_that_is_not_there_yet_is_that_of_its_parent() {
        let home = tempfile::tempdir().unwrap();
        let room = Room::at(&home.path().join("not/there")).unwrap();
        assert!(room.total > 0 && room.free <= room.total);
        assert!(!home.path().join("not").exists(), "looking makes nothing");
    }
}
