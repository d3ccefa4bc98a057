//! The erasure journal: which accounts were shredded, beside the keys and outside PostgreSQL, so that a restored backup of the database is
//! told (REQUIREMENTS 4.2.7, E4). Random ids, one a line; it only grows.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use atelier_domain::AccountId;

use crate::durable_file;

pub(crate) struct ErasureJournal(PathBuf);

impl ErasureJournal {
    /// The journal of a keys folder.
    pub(crate) fn of(root: &Path) -> Self {
        Self(root.join("erasures"))
    }

    /// Adds an account, durably; the caller holds the folder's lock. A line that a crash cut short ends before the next one begins.
    pub(crate) fn add(&self, account: AccountId) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.0)?;
        file.write_all(format!("\n{account}").as_bytes())?;
        file.sync_all()?;
        durable_file::sync_folder_of(&self.0)
    }

    /// Every account in it, each once. Half a line of a crash was never acted on, and is passed over.
    pub(crate) fn read(&self) -> io::Result<Vec<AccountId>> {
        match std::fs::read_to_string(&self.0) {
            Ok(text) => {
                let accounts: BTreeSet<AccountId> = text.lines().filter_map(|line| line.parse().ok()).collect();
                Ok(accounts.into_iter().collect())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::account;

    #[test]
    fn e4_the_journal_names_each_account_once_and_survives_half_a_line() {
        let root = tempfile::tempdir().unwrap();
        let journal = ErasureJournal::of(root.path());
        assert_eq!(journal.read().unwrap(), []);
        journal.add(account(1)).unwrap();
        std::fs::write(&journal.0, format!("{}\n0000", std::fs::read_to_string(&journal.0).unwrap())).unwrap();
        journal.add(account(2)).unwrap();
        journal.add(account(1)).unwrap();
        assert_eq!(ErasureJournal::of(root.path()).read().unwrap(), [account(1), account(2)]);
    }
}
