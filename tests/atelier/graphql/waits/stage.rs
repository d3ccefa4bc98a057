//! A studio whose read models are held in front of an event, and its schema with little patience.

use std::time::Duration;

use async_graphql::{Request, Variables};
use atelier_commands::use_cases::UpdateProfile;
use atelier_graphql::{AtelierSchema, Caller, Sides};
use atelier_projections::models;
use futures::StreamExt;
use serde_json::{Value, json};

use super::table::By;
use crate::authorization::Caller as Role;
use crate::authorization::cast::Cast;

/// How long a reader waits for what is held: a reader of anything else does not wait at all.
const PATIENCE: Duration = Duration::from_millis(150);

/// The studio with one of everything.
pub struct Stage {
    pub cast: Cast,
    schema: AtelierSchema,
    owner: Caller,
    auditor: Caller,
    support: Caller,
}

impl Stage {
    pub async fn set() -> Self {
        let cast = Cast::assemble().await;
        cast.studio.drain().await;
        let studio = &cast.studio.node.studio;
        let (write, changes) = (studio.write.clone(), studio.changes.clone());
        let read = studio.read.clone().with_patience(PATIENCE);
        let schema = atelier_graphql::schema(Sides { write, read, changes });
        let (owner, auditor) = (cast.session(Role::Owner).await, cast.session(Role::Auditor).await);
        let support = cast.session(Role::Support).await;
        cast.studio.drain().await;
        Self { cast, schema, owner, auditor, support }
    }

    /// Asks for something at a position; the answer whole.
    pub async fn ask(&self, by: By, document: &str, position: &str) -> Value {
        let caller = match by {
            By::Owner => self.owner,
            By::Auditor => self.auditor,
            By::Support => self.support,
        };
        let response = self.schema.execute(self.request(document, json!({ "p": position })).data(caller)).await;
        serde_json::to_value(response).expect("an answer is JSON")
    }

    /// A subscription's first event at a position.
    pub async fn first_event(&self, document: &str, position: &str) -> Value {
        self.first_event_with(document, json!({ "p": position })).await
    }

    /// A subscription's first event.
    pub async fn first_event_with(&self, document: &str, variables: Value) -> Value {
        let mut events = self.schema.execute_stream(self.request(document, variables).data(self.owner));
        serde_json::to_value(events.next().await.expect("an event")).expect("an event is JSON")
    }

    /// A document with the owner's ids filled in.
    pub fn fill(&self, document: &str) -> String {
        let Cast { published, account_id, .. } = &self.cast;
        document.replace("{published}", published).replace("{account}", account_id)
    }

    fn request(&self, document: &str, variables: Value) -> Request {
        Request::new(self.fill(document)).variables(Variables::from_json(variables))
    }

    /// Holds these read models in front of an event that all others have seen; its position.
    pub async fn hold(&self, held: &[&str]) -> String {
        self.state(held, "stopped").await;
        let studio = &self.cast.studio;
        let account = self.cast.account;
        let update =
            UpdateProfile { account, display_name: None, bio: Some(studio.node.studio.write.fresh_id().to_string()) };
        let position = update.run(&studio.node.studio.write, &studio.operator()).await.expect("it is done");
        studio.drain().await;
        studio.node.studio.read.token(position)
    }

    /// Lets all read models go on.
    pub async fn release(&self) {
        let all: Vec<&str> = models::all().iter().map(|model| model.name()).collect();
        self.state(&all, "running").await;
        self.cast.studio.drain().await;
    }

    async fn state(&self, models: &[&str], state: &str) {
        let set = sqlx::query("update checkpoints set state = $2 where name = any($1)").bind(models).bind(state);
        let set = set.execute(&self.cast.studio.database.pool).await.expect("checkpoints are set").rows_affected();
        assert_eq!(set, models.len() as u64, "each has one version");
    }
}

/// The codes of an answer's errors.
pub fn codes(answer: &Value) -> Vec<&str> {
    let errors = answer["errors"].as_array().map_or(&[][..], Vec::as_slice);
    errors.iter().map(|error| error["extensions"]["code"].as_str().unwrap_or("none")).collect()
}
