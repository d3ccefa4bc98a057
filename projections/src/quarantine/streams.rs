//! The streams of a subject: an account's own, its two ledgers, and the generations that their holds name.

use atelier_domain::LedgerId;
use futures::TryStreamExt;
use serde_json::Value;
use sqlx::PgConnection;

use super::Subject;

/// The positions of a subject's events after `after` and up to `to`, in the order of the log.
///
/// # Errors
/// When the log cannot be read.
pub(super) async fn positions(
    connection: &mut PgConnection,
    subject: &Subject,
    after: i64,
    to: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    let (mut kinds, mut ids) = (Vec::new(), Vec::new());
    if let Some(account) = subject.account {
        let ledgers = LedgerId::both(account).map(|ledger| ledger.to_string());
        for generation in generations(connection, &ledgers).await? {
            kinds.push("Generation".to_owned());
            ids.push(generation);
        }
        kinds.push("Account".to_owned());
        ids.push(account.to_string());
        kinds.extend([(); 2].map(|()| "CreditLedger".to_owned()));
        ids.extend(ledgers);
    } else if let Some((kind, id)) = subject.stream() {
        kinds.push(kind.to_owned());
        ids.push(id.to_owned());
    }
    let positions = "select e.position from unnest($1::text[], $2::text[]) as s (kind, id) \
                     join events e on e.aggregate_type = s.kind and e.aggregate_id = s.id \
                     where e.position > $3 and e.position <= $4 order by e.position";
    sqlx::query_scalar(positions).bind(kinds).bind(ids).bind(after).bind(to).fetch_all(connection).await
}

/// The generations that the holds of these ledgers name. Read as plain JSON, so that a hold of another version names its own too.
async fn generations(connection: &mut PgConnection, ledgers: &[String]) -> Result<Vec<String>, sqlx::Error> {
    let holds = "select payload::text from events where aggregate_type = 'CreditLedger' and aggregate_id = any($1) \
                 and event_type = 'HoldPlaced'";
    let mut holds = sqlx::query_scalar::<_, String>(holds).bind(ledgers).fetch(connection);
    let mut named = Vec::new();
    while let Some(payload) = holds.try_next().await? {
        let payload: Option<Value> = serde_json::from_str(&payload).ok();
        let id = payload.as_ref().and_then(|payload| payload["HoldPlaced"]["generation_id"].as_str());
        named.extend(id.map(str::to_owned));
    }
    named.sort_unstable();
    named.dedup();
    Ok(named)
}
