//! Links to outputs: they name an opaque id, are signed, and work for one to two hours for anybody who has them (A30, C3, DESIGN 7).
//!
//! Nothing in a link leads to the account. All links to an output that are made within one hour of the clock are the same, so that a
//! browser which asks again finds the picture in its cache.

use atelier_domain::account::{Account, Status};
use atelier_domain::generation::Generation;
use atelier_domain::{AccountId, GenerationId};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::WriteSide;

/// Seconds of the hour in which all links to an output are the same. A link works until the end of the next one.
const HOUR: i64 = 3_600;

/// A valid link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedLink {
    /// The job.
    pub generation: GenerationId,
    /// Which of its outputs.
    pub output: OutputName,
    /// When the link ends.
    pub until: DateTime<Utc>,
}

/// How a link names an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputName {
    /// By its place among the job's outputs, from 0.
    Index(u32),
    /// By its path in the store, as links of the release before did; the last of them ends an hour after the upgrade.
    Path(String),
}

fn signature(write: &WriteSide, named: &str, expires: i64) -> String {
    hex(&write.secrets.media_signature(named, expires))
}

/// What the release before signed with, under the label of idempotency. Its links end within two hours of the upgrade.
fn former_signature(write: &WriteSide, named: &str, expires: i64) -> String {
    hex(&write.secrets.fingerprint(AccountId(Uuid::nil()), format!("media {expires} {named}").as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}

/// A link to an output of a job, counted from 0, for a caller who may see it.
#[must_use]
pub fn url(write: &WriteSide, generation: GenerationId, index: u32) -> String {
    let expires = (write.now().timestamp().div_euclid(HOUR) + 2) * HOUR;
    let id = write.secrets.media_id(generation, index);
    format!("{}/media/{id}?expires={expires}&signature={}", write.public_url, signature(write, &id, expires))
}

/// What a link opens; `None` when it is not one that we gave out, or has ended.
#[must_use]
pub fn open(write: &WriteSide, id: &str, expires: i64, presented: &str) -> Option<OpenedLink> {
    let until = verify(write, id, expires, presented)?;
    let (generation, index) = write.secrets.read_media_id(id)?;
    Some(OpenedLink { generation, output: OutputName::Index(index), until })
}

/// The same for a link of the release before, which named the object's path.
#[must_use]
pub fn open_former(write: &WriteSide, path: &str, expires: i64, presented: &str) -> Option<OpenedLink> {
    let until = verify(write, path, expires, presented)?;
    let generation = path.split('/').nth(1)?.parse().ok()?;
    Some(OpenedLink { generation, output: OutputName::Path(path.to_owned()), until })
}

/// Whether a job, or its whole account, was deleted, by the log itself: read models may be some moments behind.
///
/// # Errors
/// When the log failed.
pub async fn is_deleted(write: &WriteSide, generation: GenerationId) -> Result<bool, UseCaseError> {
    let job =
        write.path.load::<Generation>(&generation.to_string()).await.map_err(|error| error.map(Refusal::from))?.state;
    let Some(terms) = job.terms() else { return Ok(false) };
    let owner = write
        .path
        .load::<Account>(&terms.account_id.to_string())
        .await
        .map_err(|error| error.map(Refusal::from))?
        .state;
    Ok(job.deleted() || owner.status() != Status::Open)
}

fn verify(write: &WriteSide, named: &str, expires: i64, presented: &str) -> Option<DateTime<Utc>> {
    let until = DateTime::from_timestamp(expires, 0).filter(|end| *end > write.now())?;
    // Compared through another keyed digest, so that the time taken tells nothing about the right signature.
    let digest = |text: &str| write.secrets.fingerprint(AccountId(Uuid::nil()), text.as_bytes());
    let presented = digest(presented);
    let signatures = [signature(write, named, expires), former_signature(write, named, expires)];
    signatures.iter().any(|signature| digest(signature) == presented).then_some(until)
}
