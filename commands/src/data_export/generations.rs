//! The generations of an account: what was asked for, what came of it, and the files, one at a time.

use atelier_domain::generation::{GenerationEvent, Output};
use atelier_domain::{GenerationId, LogEvent};
use serde_json::{Value, json};

use super::account::Known;
use super::archive::Archive;
use super::credits::Jobs;
use super::generation_name;
use super::history::{History, opened};
use super::missing::Missing;
use crate::ports::{AvatarKey, GatewayError, MediaObject};
use crate::refusal::UseCaseError;
use crate::write_side::WriteSide;

/// The most files of generations in one copy, and the most bytes of them; what is beyond stands in the manifest.
const MOST_FILES: usize = 100_000;
const MOST_BYTES: u64 = 16 * 1024 * 1024 * 1024;

/// A file to be fetched: its name in the archive, and where it is kept.
struct File {
    name: String,
    object: String,
}

/// `generations.json`, and then their files. What is not there any more is said, not waited for.
pub(super) async fn generations(
    write: &WriteSide,
    known: &Known,
    jobs: &Jobs,
    archive: &Archive,
    missing: &mut Missing,
) -> Result<u64, UseCaseError> {
    let (mut files, mut bytes) = (Vec::new(), 0_u64);
    let mut list = archive.list("generations.json", false).await?;
    for id in &jobs.ids {
        let Some((mut value, outputs)) = generation(write, known, *id).await? else { continue };
        let mut names = Vec::new();
        for (n, output) in outputs.into_iter().enumerate() {
            let extension = output.object.rsplit('.').next().unwrap_or("bin");
            let name = format!("media/{}/{n}.{extension}", generation_name(*id));
            bytes = bytes.saturating_add(output.bytes);
            if files.len() >= MOST_FILES || bytes > MOST_BYTES {
                missing.add(&name, "the archive would be too large; fetch this file by itself");
            } else {
                files.push(File { name: name.clone(), object: output.object });
            }
            names.push(name);
        }
        value["files"] = json!(names);
        list.push(&value).await?;
    }
    let listed = list.end().await?;
    for File { name, object } in files {
        match write.ports.media.get(&MediaObject::Output(object)).await {
            Ok(Some(bytes)) => archive.file(&name, bytes, false).await?,
            Ok(None) => missing.add(&name, "the file is not there any more"),
            Err(GatewayError::Refused(_)) => missing.add(&name, "the file cannot be read"),
            Err(error) => return Err(super::unavailable(&error)),
        }
    }
    Ok(listed)
}

/// One generation as of the request, with its files; none when nothing was asked for under the id, or by somebody else.
async fn generation(
    write: &WriteSide,
    known: &Known,
    id: GenerationId,
) -> Result<Option<(Value, Vec<Output>)>, UseCaseError> {
    let mut history = History::of_generation(write, id, known.position);
    let (mut value, mut files) = (None, Vec::new());
    while let Some((stored, event)) = history.next().await? {
        let LogEvent::Generation(_, event) = event else { continue };
        let at = stored.decided_at;
        if let GenerationEvent::GenerationRequested { terms, prompt } = &event {
            if terms.account_id != known.account {
                return Ok(None);
            }
            value = Some(json!({
                "id": generation_name(id),
                "environment": terms.environment.as_str(),
                "status": "queued",
                "model": terms.model,
                "media_type": terms.media_type.as_str(),
                "prompt": opened(write, known.account, "prompt", prompt.sealed()).await?,
                "width": terms.width,
                "height": terms.height,
                "num_images": terms.num_images,
                "seed": terms.seed,
                "price": terms.price.get(),
                "price_version": terms.price_version,
                "api_key": terms.api_key_id.map(|key| format!("key_{}", key.0.simple())),
                "published": false,
                "failure": null,
                "requested_at": at,
                "ended_at": null,
                "deleted_at": null,
            }));
        }
        let Some(value) = &mut value else { continue };
        let mut ends = |status: &str| (value["status"], value["ended_at"]) = (json!(status), json!(at));
        match event {
            GenerationEvent::GenerationRequested { .. } | GenerationEvent::GenerationAbandoned {} => {}
            GenerationEvent::GenerationStarted { .. } => value["status"] = json!("running"),
            GenerationEvent::GenerationSucceeded { outputs, price } => {
                ends("succeeded");
                (value["price"], files) = (json!(price.get()), outputs);
            }
            GenerationEvent::GenerationFailed { reason } => {
                ends("failed");
                value["failure"] = json!(reason.as_str());
            }
            GenerationEvent::GenerationCancelled {} => ends("cancelled"),
            GenerationEvent::GenerationPublished {} => value["published"] = json!(true),
            // Its files were removed.
            GenerationEvent::GenerationDeleted {} => {
                value["deleted_at"] = json!(at);
                files.clear();
            }
        }
    }
    Ok(value.map(|value| (value, files)))
}

/// `avatar.png`: the largest square there is.
pub(super) async fn avatar(
    write: &WriteSide,
    known: &Known,
    archive: &Archive,
    missing: &mut Missing,
) -> Result<(), UseCaseError> {
    let Some((shown, edge)) = known.state.avatar().and_then(|avatar| Some((avatar, *avatar.sizes.last()?))) else {
        return Ok(());
    };
    let key = AvatarKey { account: known.account, avatar: shown.avatar_id, edge };
    match write.ports.media.get(&MediaObject::Avatar(key)).await {
        Ok(Some(bytes)) => archive.file("avatar.png", bytes, false).await,
        Ok(None) | Err(GatewayError::Refused(_)) => {
            missing.add("avatar.png", "the file is not there any more");
            Ok(())
        }
        Err(error) => Err(super::unavailable(&error)),
    }
}
