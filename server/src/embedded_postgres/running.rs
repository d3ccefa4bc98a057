//! The private PostgreSQL of another process: a node runs, and a command works beside it. Nothing is started, adopted or stopped.

use std::path::Path;

use super::cluster::{Postmaster, postmaster_of};
use super::folder::{cluster_under, read_pointer};
use super::{EmbeddedError, databases};

/// A private PostgreSQL that somebody else owns.
#[derive(Debug)]
pub struct RunningPostgres(Postmaster);

impl RunningPostgres {
    /// Finds the server of a folder that another process has locked.
    ///
    /// # Errors
    /// `Unreachable` when none answers yet or any more; `OtherServer` when it is of other data.
    pub async fn find(folder: &Path) -> Result<Self, EmbeddedError> {
        let base = read_pointer(folder)?.unwrap_or_else(|| folder.to_owned());
        let data = cluster_under(&base);
        let postmaster =
            postmaster_of(&data).ok_or_else(|| EmbeddedError::Unreachable { pid: 0, data: data.clone() })?;
        let client = databases::connect(&postmaster).await?;
        databases::check_data_directory(&client, &data).await?;
        Ok(Self(postmaster))
    }

    /// Its URL, as [`super::EmbeddedPostgres::url`].
    #[must_use]
    pub fn url(&self, user: &str, database: &str) -> String {
        databases::url(&self.0, user, database)
    }
}
