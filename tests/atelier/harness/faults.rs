//! Faults and pauses that a test plants in its own database, from outside the program.

use sqlx::{Connection, Executor, PgConnection};

use super::TestStudio;

impl TestStudio {
    /// Runs SQL as the superuser of the test's server.
    pub async fn as_superuser(&self, sql: &str) {
        let mut connection = PgConnection::connect(&self.database.superuser_url).await.expect("the superuser connects");
        connection.execute(sql).await.expect("the statement runs");
        connection.close().await.expect("the superuser leaves");
    }

    /// From now on no worker takes a render: jobs stay queued until [`Self::release_renders`].
    pub async fn hold_renders(&self) {
        self.as_superuser(
            "create function hold_renders() returns trigger language plpgsql as \
                 $$ begin new.due_at := now() + interval '1 day'; return new; end $$; \
             create trigger hold_renders before insert on process_work for each row \
                 when (new.lane = 'render') execute function hold_renders()",
        )
        .await;
    }

    /// Workers take renders again, those held back first.
    pub async fn release_renders(&self) {
        self.as_superuser(
            "drop trigger hold_renders on process_work; drop function hold_renders(); \
             update process_work set due_at = now() where lane = 'render'",
        )
        .await;
    }

    /// From now on no worker makes a copy of somebody's data, until [`Self::release_exports`].
    pub async fn hold_exports(&self) {
        self.as_superuser(
            "create function hold_exports() returns trigger language plpgsql as \
                 $$ begin new.due_at := now() + interval '1 day'; return new; end $$; \
             create trigger hold_exports before insert on process_work for each row \
                 when (new.lane = 'export') execute function hold_exports()",
        )
        .await;
    }

    /// Workers make copies again, those held back first.
    pub async fn release_exports(&self) {
        self.as_superuser(
            "drop trigger hold_exports on process_work; drop function hold_exports(); \
             update process_work set due_at = now() where lane = 'export'",
        )
        .await;
    }

    /// From now on the log refuses every event of this kind of aggregate, as if the process died before appending it.
    pub async fn refuse_events_of(&self, aggregate_type: &str) {
        self.as_superuser(&format!(
            "create function refuse_append() returns trigger language plpgsql as \
                 $$ begin raise exception 'planted by a test'; end $$; \
             create trigger refuse_append before insert on events for each row \
                 when (new.aggregate_type = '{aggregate_type}') execute function refuse_append()"
        ))
        .await;
    }

    /// The log takes every event again.
    pub async fn accept_events(&self) {
        self.as_superuser("drop trigger refuse_append on events; drop function refuse_append()").await;
    }

    /// Every timer of this kind is due now, whatever it was set to.
    pub async fn fire_timers(&self, kind: &str) {
        let due = sqlx::query("update process_work set due_at = now() where lane = 'timer' and payload->>'kind' = $1");
        let due = due.bind(kind).execute(&self.database.pool).await.expect("the work list answers");
        assert!(due.rows_affected() > 0, "no timer of kind {kind} waits");
    }
}
