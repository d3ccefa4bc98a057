//! Marks in a snapshot: what fails after one costs nothing that was read before, nor what is read then.

use sqlx::Executor;

use super::{ReadError, Snapshot};

impl Snapshot {
    /// Marks where the snapshot is, before something is read that may fail alone.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn mark(&mut self) -> Result<(), ReadError> {
        // Marks do not pile up: the last one goes with the statement that sets the next.
        let mark = if self.marked { "release savepoint mark; savepoint mark" } else { "savepoint mark" };
        self.transaction.execute(mark).await?;
        self.marked = true;
        Ok(())
    }

    /// Goes back to the mark after a statement failed, so that the snapshot can be read from as before.
    ///
    /// # Errors
    /// When the database failed; then nothing can be read from the snapshot any more.
    pub async fn back_to_mark(&mut self) -> Result<(), ReadError> {
        self.transaction.execute("rollback to savepoint mark").await?;
        Ok(())
    }
}
