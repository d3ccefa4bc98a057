//! Whose an event is: the account of its stream. A generation's is its hold's, which has the same id.

use std::collections::{BTreeMap, BTreeSet};

use atelier_domain::generation::GenerationEvent;
use atelier_domain::{AccountId, GenerationId, LedgerId, LogEvent};
use sqlx::PgConnection;

use crate::batch::Logged;

/// How many positions before a generation's first event are searched for its hold at first: it is usually right in front of it.
const NEAR: i64 = 20_000;
/// The most positions that one statement searches.
const FAR: i64 = 1_000_000;

/// What a follower leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    /// The account, if it is known.
    pub(crate) account: Option<AccountId>,
    /// The stream of the event, as `stream:<type>:<id>`; empty for a stored subject that is an account.
    stream: String,
}

impl Subject {
    /// As it was stored.
    pub(crate) fn stored(text: &str, account: Option<AccountId>) -> Self {
        Self { account, stream: if account.is_some() { String::new() } else { text.to_owned() } }
    }

    /// What it is stored as: the account, or the stream when none is known.
    pub(crate) fn text(&self) -> String {
        self.account.map_or_else(|| self.stream.clone(), |account| account.to_string())
    }

    /// What it may have been stored as: when its stream was parked, its account may not have been known yet.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> + '_ {
        self.account.map(|account| account.to_string()).into_iter().chain(std::iter::once(self.stream.clone()))
    }

    /// Whether it is one of these, as they are stored.
    pub(crate) fn is_among(&self, stored: &BTreeSet<String>) -> bool {
        self.names().any(|name| stored.contains(&name))
    }

    /// The kind and id of the stream, for a subject without an account.
    pub(crate) fn stream(&self) -> Option<(&str, &str)> {
        self.stream.strip_prefix("stream:")?.split_once(':')
    }
}

/// The subjects of these events, in their order.
///
/// # Errors
/// When the log cannot be read.
pub(crate) async fn subjects(connection: &mut PgConnection, events: &[Logged]) -> Result<Vec<Subject>, sqlx::Error> {
    let mut owners = BTreeMap::new();
    let mut asked = BTreeSet::new();
    for event in events {
        if let Some((generation, owner)) = requested(event) {
            owners.insert(generation, Some(owner));
        } else if let ("Generation", id) = event.stream() {
            asked.insert(id);
        }
    }
    asked.retain(|id| !owners.contains_key(id));
    if !asked.is_empty() {
        owners.extend(owners_of(connection, asked.into_iter().collect()).await?);
    }
    let subject = |event: &Logged| {
        let (kind, id) = event.stream();
        let account = match kind {
            "Account" => id.parse().ok(),
            "CreditLedger" => id.parse::<LedgerId>().ok().map(|ledger| ledger.account),
            "Generation" => owners.get(&id).copied().flatten(),
            _ => None,
        };
        Subject { account, stream: format!("stream:{kind}:{id}") }
    };
    Ok(events.iter().map(subject).collect())
}

/// The stream and the account of a generation's acceptance.
fn requested(event: &Logged) -> Option<(String, AccountId)> {
    let Logged::Event(event) = event else { return None };
    match &event.event {
        LogEvent::Generation(generation, GenerationEvent::GenerationRequested { terms, .. }) => {
            Some((generation.to_string(), terms.account_id))
        }
        LogEvent::Generation(..) | LogEvent::Account(..) | LogEvent::CreditLedger(..) => None,
    }
}

/// The accounts of these generations: by the terms of their first event, else by their holds.
async fn owners_of(
    connection: &mut PgConnection,
    generations: Vec<String>,
) -> Result<BTreeMap<String, Option<AccountId>>, sqlx::Error> {
    let first =
        "select position from events where aggregate_type = 'Generation' and sequence = 1 and aggregate_id = any($1)";
    let first: Vec<i64> = sqlx::query_scalar(first).bind(&generations).fetch_all(&mut *connection).await?;
    let mut owners: BTreeMap<String, Option<AccountId>> = generations.into_iter().map(|id| (id, None)).collect();
    for event in crate::feed::at(connection, &first).await? {
        let (_, id) = event.stream();
        let owner = match requested(&event) {
            Some((_, owner)) => Some(owner),
            None => holder(connection, &id, event.position()).await?,
        };
        owners.insert(id, owner);
    }
    Ok(owners)
}

/// Whose a generation is, as far as the log says.
///
/// # Errors
/// When the log cannot be read.
pub(crate) async fn owner_of(
    connection: &mut PgConnection,
    generation: GenerationId,
) -> Result<Option<AccountId>, sqlx::Error> {
    Ok(owners_of(connection, vec![generation.to_string()]).await?.into_values().next().flatten())
}

/// Whose ledger has the hold of this generation, searched backwards from its first event: a hold is always placed before.
async fn holder(
    connection: &mut PgConnection,
    generation: &str,
    before: i64,
) -> Result<Option<AccountId>, sqlx::Error> {
    // As text, because an event that cannot be decoded may not even be read as JSON of a form.
    let search = "select aggregate_id from events where position > $1 and position <= $2 and aggregate_type = 'CreditLedger' \
                  and event_type = 'HoldPlaced' and strpos(payload::text, $3) > 0 \
                  order by position desc limit 1";
    let (mut to, mut width) = (before, NEAR);
    while to > 0 {
        let from = (to - width).max(0);
        let found: Option<String> =
            sqlx::query_scalar(search).bind(from).bind(to).bind(generation).fetch_optional(&mut *connection).await?;
        if let Some(ledger) = found {
            return Ok(ledger.parse::<LedgerId>().ok().map(|ledger| ledger.account));
        }
        (to, width) = (from, (width * 4).min(FAR));
    }
    Ok(None)
}
