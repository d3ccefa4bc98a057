//! Files by HTTP: what links show and how long they work, versions and parts, every media type, and readers that read nothing (A30, C3).

mod conditions;
mod formats;
mod links;
mod readers;
mod whose;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use atelier_commands::ports::{Generator, RenderError, RenderRequest, Rendered};
use atelier_graphql::global_id::GlobalId;
use serde_json::{Value, json};

use crate::harness::TestStudio;
use crate::harness::studio::Person;

/// A model that delivers what the test says, for prompts that are numbers.
struct Delivers(Vec<Result<Rendered, &'static str>>);

impl Delivers {
    fn one(media_type: &'static str, bytes: &[u8]) -> Arc<Self> {
        Arc::new(Self(vec![Ok(Rendered { bytes: bytes.to_vec().into(), media_type })]))
    }
}

#[async_trait]
impl Generator for Delivers {
    async fn render(&self, request: RenderRequest) -> Result<Rendered, RenderError> {
        let number: usize = request.prompt.parse().expect("prompts of these tests are numbers");
        self.0[number].clone().map_err(RenderError::Refused)
    }
}

/// Asks for one output of a number, and waits until the job is settled: the job as REST shows it.
async fn made(studio: &TestStudio, key: &str, number: usize) -> Value {
    let body = json!({ "prompt": number.to_string(), "model": "z-image-turbo", "width": 64, "height": 64 });
    let asked = studio.post_with("/v1/generate", key, &body, &[("prefer", "wait=0")]).await.json();
    studio.drain().await;
    let id = asked["request_id"].as_str().expect("an id");
    studio.get(&format!("/v1/generations/{id}"), Some(key)).await.json()
}

/// The link to the first output.
fn link(job: &Value) -> String {
    job["images"][0]["url"].as_str().unwrap_or_else(|| panic!("no link: {job}")).to_owned()
}

/// Where the first output of somebody's job is kept.
async fn kept_at(studio: &TestStudio, person: &Person, job: &Value) -> PathBuf {
    let account = studio.account(person).await;
    let generation = GlobalId::generation(job["request_id"].as_str().expect("an id")).expect("a job's id");
    let folder = studio.data.path().join("media").join(account.to_string()).join(generation.to_string()).join("1");
    let mut files = std::fs::read_dir(folder).expect("the folder of its outputs");
    files.next().expect("a file").expect("a file").path()
}
