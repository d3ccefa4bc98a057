//! Process managers after a death: holds without jobs, workers that never came back, jobs past their deadline, work done twice (DESIGN 4).

mod batches;
mod charge_once;
mod crash;
mod deadlines;
mod holds_without_jobs;
mod races;
mod turns;
mod twice;
mod twins;
mod work_list;

use atelier_commands::CommandError;
use atelier_commands::command_path::{Executed, Target};
use atelier_domain::generation::{Generation, GenerationCommand, GenerationError};
use atelier_domain::{AccountId, GenerationId};
use atelier_graphql::global_id::GlobalId;
use serde_json::{Value, json};

use crate::harness::TestStudio;

/// A newcomer with 500 credits and a key, in a studio of their own.
struct Scene {
    studio: TestStudio,
    account: AccountId,
    key: String,
}

impl Scene {
    async fn set() -> Self {
        let studio = TestStudio::start().await;
        let person = studio.newcomer("ada").await;
        let (account, (_, key)) = (studio.account(&person).await, studio.api_key(&person).await);
        Self { studio, account, key }
    }

    /// Requests a picture for 100 credits without waiting for it.
    async fn request(&self) -> GenerationId {
        let answer = self.studio.post_with("/v1/generate", &self.key, &picture(), &[("prefer", "wait=0")]).await;
        assert_eq!(answer.status.as_u16(), 202, "{}", answer.text);
        GlobalId::generation(answer.json()["request_id"].as_str().expect("an id")).expect("a job's id")
    }

    /// Gives a job's stream a command, as a worker or a user would.
    async fn command(
        &self,
        job: GenerationId,
        command: GenerationCommand,
    ) -> Result<Executed<Generation>, CommandError<GenerationError>> {
        let target = Target { id: job.to_string(), subject: self.account };
        self.studio.node.studio.write.path.execute(&target, &self.studio.operator(), None, |_| command.clone()).await
    }

    /// What happened to a job.
    async fn story(&self, job: GenerationId) -> Vec<&'static str> {
        self.studio.names("Generation", &job.to_string()).await
    }

    /// What happened to the credits since the bonus.
    async fn ledger(&self) -> Vec<&'static str> {
        let mut names = self.studio.names("CreditLedger", &format!("{}:live", self.account)).await;
        assert_eq!(names.remove(0), "CreditsGranted");
        names
    }

    /// What can be spent, and what is held.
    async fn balance(&self) -> (i64, i64) {
        let credits = self.studio.get("/v1/credits", Some(&self.key)).await.json();
        (credits["available"].as_i64().expect("a number"), credits["held"].as_i64().expect("a number"))
    }

    /// The job as its owner sees it.
    async fn shown(&self, job: GenerationId) -> Value {
        let path = format!("/v1/generations/{}", GlobalId::Generation(job).text());
        self.studio.get(&path, Some(&self.key)).await.json()
    }
}

/// The cheapest and smallest picture.
fn picture() -> Value {
    json!({ "prompt": "A calm ocean at dawn", "model": "z-image-turbo", "width": 64, "height": 64 })
}
