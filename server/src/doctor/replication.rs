//! Whether commits wait for a standby, where there are any.

use sqlx::PgPool;

/// What the database says of its standbys; an unprivileged role may know this much.
#[derive(Debug, sqlx::FromRow)]
struct Replication {
    /// Those that are connected.
    standbys: i64,
    /// Those that have a place kept for them, connected or not.
    slots: i64,
    /// For whom a commit waits; empty for nobody.
    synchronous: String,
}

/// Looks at `synchronous_standby_names`. A standby that commits do not wait for lacks the last ones when it takes the leader's place.
pub(super) async fn look(pool: &PgPool) -> Result<String, String> {
    let found = sqlx::query_as::<_, Replication>(
        "select (select count(*) from pg_stat_replication) as standbys, \
         (select count(*) from pg_replication_slots where slot_type = 'physical') as slots, \
         current_setting('synchronous_standby_names') as synchronous",
    );
    verdict(&found.fetch_one(pool).await.map_err(|error| error.to_string())?)
}

fn verdict(found: &Replication) -> Result<String, String> {
    let Replication { standbys, slots, synchronous } = found;
    let waits = !synchronous.trim().is_empty();
    match (*standbys, *slots, waits) {
        (0, 0, false) => Ok("none is configured".into()),
        (_, _, false) => Err(format!(
            "{standbys} standbys follow and synchronous_standby_names is empty: what is acknowledged can be lost when one of them becomes \
             the leader (docs/high-availability.md)"
        )),
        (0, _, true) => {
            Err(format!("commits wait for {synchronous} (synchronous_standby_names), and no standby is connected"))
        }
        // Whether that stays so when the last standby goes is Patroni's to say, not PostgreSQL's.
        (_, _, true) => Ok(format!(
            "commits wait for {synchronous}; {standbys} standbys are connected. Patroni must be in strict mode (synchronous_mode_strict), \
             which cannot be seen from here"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standbys_for_which_no_commit_waits_are_wrong_and_so_are_commits_that_wait_in_vain() {
        for (standbys, slots, synchronous, well) in [
            (0, 0, "", true),
            (1, 0, "", false),
            (0, 1, "", false),
            (2, 2, " ", false),
            (1, 0, "*", true),
            (2, 2, "ANY 1 (one,two)", true),
            (0, 0, "*", false),
            (0, 2, "one", false),
        ] {
            let found = Replication { standbys, slots, synchronous: synchronous.to_owned() };
            assert_eq!(verdict(&found).is_ok(), well, "{found:?}");
        }
    }
}
