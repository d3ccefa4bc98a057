//! A copy of everything an account has, as a zip (U25; GDPR Art. 15 and 20).
//!
//! What the log knows of the account is as of one position, that of the request: the account's stream, its two ledgers, its generations,
//! each read up to there and page by page. What is kept beside the log, and the files, are as of the making. The archive goes to the store
//! while it is being written; memory holds a page of events, one file, and some pieces on their way, and no temporary file is left anywhere.
//!
//! | dies | what is left | what the next try does |
//! | --- | --- | --- |
//! | while it is being made | half an object under a staged name, or nothing | removes the copy's folder and begins anew |
//! | after the object, before `DataExportReady` | a whole object | finds it, and appends the event |
//! | after the event | nothing to do | finds that no copy is under way |
//! | account deleted meanwhile | perhaps an object that came after the erasure's removal | removes everything of the account |
//! | given up meanwhile | perhaps an object | nothing: `DataExport` removes it an hour after `DataExportFailed` |
//!
//! The zip lies with the media, with the same protection: it holds what they and their prompts hold, in the clear, for a week.

mod account;
mod archive;
mod credits;
mod generations;
mod history;
mod missing;
mod rows;

use atelier_domain::account::{Account, AccountCommand, AccountError, Status};
use atelier_domain::policy::account::EXPORT_LIFE;
use atelier_domain::{AccountId, ExportId, GenerationId};
use bytes::Bytes;
use serde_json::json;

use self::account::Known;
use self::archive::Archive;
use self::history::{History, line};
use self::missing::Missing;
use crate::command_path::{CommandContext, CommandError};
use crate::ports::{ExportKey, GatewayError, MediaObject};
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// The version of the archive's form; it stands in the manifest.
const FORMAT: u32 = 1;

/// A generation's id as clients see it.
fn generation_name(id: GenerationId) -> String {
    format!("gen_{}", id.0.simple())
}

fn unavailable(error: &GatewayError) -> UseCaseError {
    CommandError::Internal(error.to_string())
}

async fn state(write: &WriteSide, account: AccountId) -> Result<Account, UseCaseError> {
    Ok(write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?.state)
}

/// Whether a copy is under way still.
///
/// # Errors
/// When the log cannot be read.
pub async fn is_wanted(write: &WriteSide, account: AccountId, export: ExportId) -> Result<bool, UseCaseError> {
    let owner = state(write, account).await?;
    Ok(owner.status() == Status::Open && owner.export() == Some(export))
}

/// Makes a copy, and says that it is ready. Again is harmless.
///
/// # Errors
/// When the log, the rows, the keys or the store failed: it is to be tried again.
pub async fn build(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
    export: ExportId,
) -> Result<(), UseCaseError> {
    if !is_wanted(write, account, export).await? {
        return leave(write, account).await;
    }
    let key = ExportKey { account, export };
    let made = write.ports.media.find(&MediaObject::Export(key)).await.map_err(|error| unavailable(&error))?;
    if made.is_none() {
        // What a killed try left half-written.
        write.ports.media.delete_export(key).await.map_err(|error| unavailable(&error))?;
        store(write, key).await?;
    }
    let ready = |now| AccountCommand::FinishDataExport { export_id: export, expires_at: now + EXPORT_LIFE };
    match write.path.execute::<Account>(&account_target(account), context, None, ready).await {
        Ok(_) => Ok(()),
        Err(CommandError::Refused(AccountError::NotOpen)) => leave(write, account).await,
        Err(error) => Err(error.map(Refusal::from)),
    }
}

/// Gives a copy up that was not made in time. One that was, or was given up before, stays as it is.
///
/// # Errors
/// When the log failed.
pub async fn give_up(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
    export: ExportId,
) -> Result<(), UseCaseError> {
    let fail = |_| AccountCommand::FailDataExport { export_id: export };
    match write.path.execute::<Account>(&account_target(account), context, None, fail).await {
        Ok(_) | Err(CommandError::Refused(AccountError::NotOpen)) => Ok(()),
        Err(error) => Err(error.map(Refusal::from)),
    }
}

/// Nobody waits for the copy any more. Of an account that is deleted nothing may come back: whatever was stored after the erasure's own
/// removal goes now.
async fn leave(write: &WriteSide, account: AccountId) -> Result<(), UseCaseError> {
    match state(write, account).await?.status() {
        Status::Deleting | Status::Erased => {
            write.ports.media.delete_account(account).await.map_err(|error| unavailable(&error))
        }
        Status::New | Status::Open | Status::Abandoned => Ok(()),
    }
}

/// Writes the archive into the store: both at once, so that neither is ahead of the other by more than some pieces.
async fn store(write: &WriteSide, key: ExportKey) -> Result<(), UseCaseError> {
    let known = Known::read(write, key.account, key.export).await?;
    let (archive, pieces) = archive::begin(known.requested_at);
    let stored = async { write.ports.media.put_export(key, pieces).await.map_err(|error| unavailable(&error)) };
    tokio::try_join!(contents(write, &known, key.export, archive), stored)?;
    Ok(())
}

/// Everything, in an order that is always the same.
async fn contents(write: &WriteSide, known: &Known, export: ExportId, archive: Archive) -> Result<(), UseCaseError> {
    let mut missing = Missing::default();
    archive.file("README.txt", Bytes::from_static(include_bytes!("readme.txt")), true).await?;
    archive.json("profile.json", &known.profile(write).await?).await?;
    archive.json("account.json", &known.account(write).await?).await?;
    archive.json("sessions.json", &rows::sessions(write, known).await?).await?;
    rows::api_keys(write, known, &archive).await?;
    archive.json("notification_preferences.json", &known.preferences()).await?;
    archive.json("notices.json", &rows::notices(write, known).await?).await?;
    let jobs = credits::credits(write, known, &archive).await?;
    let generations = generations::generations(write, known, &jobs, &archive, &mut missing).await?;
    generations::avatar(write, known, &archive, &mut missing).await?;
    let events = events(write, known, &jobs.ids, &archive).await?;
    let (named, more) = missing.told();
    let manifest = json!({
        "format": FORMAT,
        "export": format!("exp_{}", export.0.simple()),
        "account": format!("acc_{}", known.account.0.simple()),
        "as_of": known.requested_at,
        "log_position": known.position.number,
        "made_at": write.now(),
        "generations": generations,
        "generations_left_out": jobs.left_out,
        "events": events,
        "missing": named,
        "missing_and_not_named": more,
    });
    archive.finish(manifest).await
}

/// `events.jsonl`: stream by stream, each in its order; how many there are.
async fn events(
    write: &WriteSide,
    known: &Known,
    jobs: &[GenerationId],
    archive: &Archive,
) -> Result<u64, UseCaseError> {
    let mut list = archive.list("events.jsonl", true).await?;
    let until = known.position;
    let own = [History::of_account(write, known.account, Some(until))];
    let ledgers = credits::ledgers(known).map(|ledger| History::of_ledger(write, ledger, until));
    let jobs = jobs.iter().map(|job| History::of_generation(write, *job, until));
    for mut history in own.into_iter().chain(ledgers).chain(jobs) {
        while let Some((stored, event)) = history.next().await? {
            list.push(&line(write, known.account, &stored, event).await?).await?;
        }
    }
    list.end().await
}
