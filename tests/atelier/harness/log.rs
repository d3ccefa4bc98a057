//! The facts beneath a studio's answers: what its log holds, and who a person is there.

use atelier_commands::CommandContext;
use atelier_domain::{AccountId, Actor, LogEvent};
use atelier_graphql::global_id::GlobalId;
use atelier_log::Position;
use serde_json::json;
use sqlx::Row;

use super::TestStudio;
use super::studio::Person;

impl TestStudio {
    /// The position of the last event; 0 for an empty log.
    pub async fn head(&self) -> i64 {
        let head = sqlx::query_scalar("select coalesce(max(position), 0) from events");
        head.fetch_one(&self.database.pool).await.expect("the log answers")
    }

    /// The token of a position on the branch that the node works on.
    pub fn token(&self, number: i64) -> String {
        let studio = &self.node.studio;
        studio.read.token(Position::of(studio.log.branch().expect("the node knows its log"), number))
    }

    /// How many events of this name the log holds.
    pub async fn events_named(&self, name: &str) -> i64 {
        let count = sqlx::query_scalar("select count(*) from events where event_type = $1");
        count.bind(name).fetch_one(&self.database.pool).await.expect("the log answers")
    }

    /// One stream, in order.
    pub async fn stream(&self, aggregate_type: &str, aggregate_id: &str) -> Vec<LogEvent> {
        let rows = sqlx::query(
            "select event_type, event_version, payload::text from events \
             where aggregate_type = $1 and aggregate_id = $2 order by sequence",
        );
        let rows = rows.bind(aggregate_type).bind(aggregate_id).fetch_all(&self.database.pool).await;
        let decoded = |row: &sqlx::postgres::PgRow| {
            let [name, version, payload]: [String; 3] = [row.get(0), row.get(1), row.get(2)];
            LogEvent::decode(aggregate_type, aggregate_id, &name, &version, &payload).expect("an event of ours")
        };
        rows.expect("the log answers").iter().map(decoded).collect()
    }

    /// The names of one stream's events, in order.
    pub async fn names(&self, aggregate_type: &str, aggregate_id: &str) -> Vec<&'static str> {
        self.stream(aggregate_type, aggregate_id).await.iter().map(LogEvent::name).collect()
    }

    /// Somebody's account.
    pub async fn account(&self, person: &Person) -> AccountId {
        let me = self.graphql(Some(&person.token), "{ me { id } }", json!({})).await;
        match me["me"]["id"].as_str().and_then(GlobalId::parse) {
            Some(GlobalId::Account(account)) => account,
            other => panic!("not an account's id: {other:?}"),
        }
    }

    /// The context of a command that a test gives by itself.
    pub fn operator(&self) -> CommandContext {
        self.node.studio.write.request_context(Actor::Operator)
    }
}
