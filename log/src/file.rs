//! What a node knows of the log as a small file beside its keys: a volume that is put back while the node does not run is found out at
//! its next start. Text: the log, the branches in their order, the events by position. Replaced whole, without waiting for the disk:
//! an older file, or none, only knows less.

use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The log's own id.
    pub(crate) log: Uuid,
    /// The branches that were known, the last one that of the events.
    pub(crate) branches: Vec<Uuid>,
    /// Positions in rising order with their events.
    pub(crate) events: Vec<(i64, Uuid)>,
}

impl Kept {
    /// What was kept; none when nothing was, or it makes no sense.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn read(file: &Path) -> io::Result<Option<Self>> {
        match std::fs::read_to_string(file) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut kept: Option<Self> = None;
        for line in text.lines() {
            let (word, id) = line.split_once(' ')?;
            let id: Uuid = id.parse().ok()?;
            match (word, &mut kept) {
                ("log", None) => kept = Some(Self { log: id, branches: Vec::new(), events: Vec::new() }),
                ("branch", Some(kept)) => kept.branches.push(id),
                (position, Some(kept)) => kept.events.push((position.parse().ok()?, id)),
                _ => return None,
            }
        }
        kept
    }

    fn text(&self) -> String {
        let mut text = format!("log {}\n", self.log);
        self.branches.iter().for_each(|branch| text.push_str(&format!("branch {branch}\n")));
        self.events.iter().for_each(|(position, event)| text.push_str(&format!("{position} {event}\n")));
        text
    }

    /// Replaces the file, unless another node has written there that knows more of the same branch.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn write(&self, file: &Path) -> io::Result<()> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let top = |kept: &Self| kept.events.last().map_or(0, |(position, _)| *position);
        let theirs = Self::read(file)?;
        let same = |kept: &Self| kept.log == self.log && kept.branches.last() == self.branches.last();
        if theirs.is_some_and(|theirs| same(&theirs) && top(&theirs) > top(self)) {
            return Ok(());
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let draft = file.with_extension(format!("{}-{number}.tmp", std::process::id()));
        let written = (|| {
            let mut open =
                std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
            open.write_all(self.text().as_bytes())?;
            std::fs::rename(&draft, file)
        })();
        if written.is_err() {
            // A disk that is full has no room for drafts.
            let _ = std::fs::remove_file(&draft);
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn kept(branch: u128, top: i64) -> Kept {
        Kept { log: id(1), branches: vec![id(2), id(branch)], events: vec![(top - 1, id(8)), (top, id(9))] }
    }

    #[test]
    fn what_is_kept_comes_back_and_what_makes_no_sense_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known_log");
        assert_eq!(Kept::read(&file).unwrap(), None);
        kept(3, 20).write(&file).unwrap();
        assert_eq!(Kept::read(&file).unwrap(), Some(kept(3, 20)));
        let whole = std::fs::read_to_string(&file).unwrap();
        for broken in ["", "7 x", "log", &whole[4..], &whole[..whole.len() - 9], &whole.replace("branch", "")] {
            std::fs::write(&file, broken).unwrap();
            assert_eq!(Kept::read(&file).unwrap(), None, "{broken}");
        }
    }

    #[test]
    fn of_two_nodes_the_one_that_knows_more_stays_and_another_branch_is_written_always() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known_log");
        for (written, stays) in [
            (kept(3, 20), kept(3, 20)),
            (kept(3, 10), kept(3, 20)),
            (kept(4, 10), kept(4, 10)),
            (kept(4, 11), kept(4, 11)),
        ] {
            written.write(&file).unwrap();
            assert_eq!(Kept::read(&file).unwrap(), Some(stays));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no drafts are left");
    }
}
