//! A reader that follows a log by position alone, and the checker of property 1: every position once, in order, none missing,
//! none late; and of property 7: the store's clock never runs back along them.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

/// What a log may never show to a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// After this position another one than the next was found: it is missing, or it will come late.
    Gap { after: i64, found: i64 },
    /// This position was recorded before the one in front of it.
    TimeRanBack { position: i64 },
}

/// What a reader has seen so far. Every position up to the last one seen is among it, so none can arrive late unseen.
pub struct Follower {
    table: &'static str,
    recorded_at: Option<DateTime<Utc>>,
    /// The event ids, by position from 1.
    pub seen: Vec<Uuid>,
}

impl Follower {
    /// A reader that has seen nothing of this table.
    pub const fn of(table: &'static str) -> Self {
        Self { table, recorded_at: None, seen: Vec::new() }
    }

    /// The last position seen.
    pub fn last(&self) -> i64 {
        i64::try_from(self.seen.len()).expect("a small log")
    }

    /// Reads on from the last position seen.
    pub async fn read_on(&mut self, pool: &PgPool) -> Result<(), Violation> {
        let Self { table, .. } = self;
        let sql = format!(
            "select position, event_id, recorded_at from {table} where position > $1 order by position limit 100"
        );
        let rows: Vec<(i64, Uuid, DateTime<Utc>)> =
            sqlx::query_as(&sql).bind(self.last()).fetch_all(pool).await.expect("the log can be read");
        for (position, event_id, recorded_at) in rows {
            if position != self.last() + 1 {
                return Err(Violation::Gap { after: self.last(), found: position });
            }
            if self.recorded_at.is_some_and(|last| recorded_at < last) {
                return Err(Violation::TimeRanBack { position });
            }
            self.recorded_at = Some(recorded_at);
            self.seen.push(event_id);
        }
        Ok(())
    }
}
