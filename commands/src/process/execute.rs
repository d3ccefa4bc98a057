//! Carrying out one piece of work. Each is safe to do twice: the aggregates recognise a repeat.

use atelier_domain::account::{Account, AccountCommand, Channel, Status as AccountStatus};
use atelier_domain::credit_ledger::{CreditLedger, CreditLedgerCommand, CreditLedgerError};
use atelier_domain::generation::{
    FailureReason, Generation, GenerationCommand, GenerationEvent, Output, RequestTerms, Status,
};
use atelier_domain::policy::account::UNVERIFIED_LIFE;
use atelier_domain::{AccountId, Credits, GenerationId, LedgerId};
use atelier_vault::Opened;
use atelier_vault::credential_rows::{RowError, staff_roles};
use chrono::{DateTime, Utc};

use super::work::WorkError;
use super::{Work, address_lookups, mails, sign_up_bonus, staff_orders, turns};
use crate::command_path::{CommandContext, CommandError, Commanded, Executed, Target};
use crate::data_export;
use crate::erasure;
use crate::media_types;
use crate::notices::{self, NewNotice};
use crate::ports::{ExportKey, GatewayError, MediaKey, RenderError, RenderRequest};
use crate::use_cases::address_history;
use crate::write_side::WriteSide;

fn try_again<E: std::fmt::Display>(error: &CommandError<E>) -> WorkError {
    WorkError::Command(match error {
        CommandError::Internal(cause) => cause.clone(),
        other => other.to_string(),
    })
}

/// Carries out one piece of work.
pub(super) async fn execute(
    write: &WriteSide,
    context: &CommandContext,
    id: &str,
    work: Work,
) -> Result<(), WorkError> {
    match work {
        Work::RenderGeneration { generation, .. } => render(write, context, generation).await,
        Work::CaptureHold { ledger, generation, amount } => capture(write, context, ledger, generation, amount).await,
        Work::VoidHold { ledger, generation } => {
            ledger_command(write, context, ledger, |now| CreditLedgerCommand::VoidHold {
                hold_id: generation.into(),
                now,
            })
            .await
        }
        // Due by the database's clock, decided by this node's: a node that is behind comes back.
        Work::ExpireLot { at, .. }
        | Work::CloseUnverified { at, .. }
        | Work::GiveUpDataExport { at, .. }
        | Work::RemoveDataExport { at, .. }
            if write.now() < at =>
        {
            Err(WorkError::NotBefore(at))
        }
        Work::ExpireLot { ledger, lot, .. } => {
            ledger_command(write, context, ledger, |now| CreditLedgerCommand::ExpireLot { lot_id: lot, now }).await
        }
        Work::AbandonIfNotRequested { account, generation, .. } => {
            generation_command(write, context, account, generation, || GenerationCommand::Abandon).await
        }
        Work::FailIfNotStarted { generation, .. } => {
            let reason = FailureReason::Timeout;
            let job: Generation = load(write, &generation.to_string()).await?;
            let Some(terms) = job.terms() else { return Ok(()) };
            let command = || GenerationCommand::FailUnstarted { reason };
            generation_command(write, context, terms.account_id, generation, command).await
        }
        Work::TimeOutGeneration { generation, .. } => fail(write, context, generation, FailureReason::Timeout).await,
        Work::GrantSignUpBonus { account, lot } => sign_up_bonus::grant(write, context, account, lot).await,
        Work::DeleteMedia { generation } => delete_media(write, generation).await,
        Work::EraseAccount { account } => {
            erasure::erase(write, context, account).await.map_err(|error| try_again(&error))
        }
        Work::RemoveMediaAgain { account, .. } => remove_again(write, account).await,
        Work::CloseUnverified { account, .. } => close_unverified(write, context, account).await,
        Work::SendFarewell { account } => Ok(erasure::send_farewell(write, account).await?),
        Work::DeleteAvatar { account, avatar } => Ok(write.ports.media.delete_avatar(account, avatar).await?),
        Work::SendVerificationMail { account } => mails::access::verification(write, account, id).await,
        Work::SendAlreadyRegisteredMail { account } => mails::access::already_registered(write, account, id).await,
        Work::SendGenerationNotice { account, generation } => {
            mails::generation::generation_notice(write, account, generation).await
        }
        Work::SendSecurityNotice { account, topic, at } => {
            mails::security::security_notice(write, account, topic, at, id).await
        }
        Work::SendFormerAddressNotice { account, before, at } => {
            mails::security::former_address(write, account, before, at, id).await
        }
        Work::PostNotice { account, topic, about, at } => {
            // The work's own id, as a UUID: the same at every delivery.
            post_notice(write, NewNotice { notice_id: context.causation_id, account, topic, about, at }).await
        }
        Work::ResendVerification { address, sign_up } => {
            address_lookups::resend_verification(write, &address, sign_up.as_ref(), id).await
        }
        Work::StartPasswordReset { address } => {
            address_lookups::start_password_reset(write, context, &address, id).await
        }
        Work::SettleAccount { account, new_address } => staff_orders::settle(write, account, new_address, id).await,
        Work::SendTwoFactorResetMail { account, due_at } => {
            mails::security::two_factor_reset(write, account, due_at, id).await
        }
        Work::TurnTwoFactorOff { at, .. } if write.now() < at => Err(WorkError::NotBefore(at)),
        Work::TurnTwoFactorOff { account, .. } => staff_orders::turn_two_factor_off(write, context, account).await,
        Work::SendPasswordResetMail { account } => mails::access::password_reset(write, account, id).await,
        Work::BuildDataExport { account, export } => {
            data_export::build(write, context, account, export).await.map_err(|error| try_again(&error))
        }
        Work::GiveUpDataExport { account, export, .. } => {
            data_export::give_up(write, context, account, export).await.map_err(|error| try_again(&error))
        }
        Work::RemoveDataExport { account, export, .. } => {
            Ok(write.ports.media.delete_export(ExportKey { account, export }).await?)
        }
        Work::SendDataExportMail { account, export, expires_at } => {
            mails::data_export::send_word(write, account, export, expires_at, id).await
        }
    }
}

/// Whether work at hand is still of use: nobody waits for the picture of a job that has ended, or for the copy of an account that is
/// being deleted.
pub(super) async fn is_wanted(write: &WriteSide, work: &Work) -> Result<bool, WorkError> {
    if let Work::BuildDataExport { account, export } = work {
        return data_export::is_wanted(write, *account, *export).await.map_err(|error| try_again(&error));
    }
    let Work::RenderGeneration { generation, .. } = work else { return Ok(true) };
    let job: Generation = load(write, &generation.to_string()).await?;
    Ok(matches!(job.status(), Status::Queued | Status::Running))
}

async fn capture(
    write: &WriteSide,
    context: &CommandContext,
    ledger: LedgerId,
    generation: GenerationId,
    amount: Credits,
) -> Result<(), WorkError> {
    let command = |now| CreditLedgerCommand::CaptureHold { hold_id: generation.into(), amount, now };
    let target = Target { id: ledger.to_string(), subject: ledger.account };
    match write.path.execute::<CreditLedger>(&target, context, None, command).await {
        Ok(Executed::Done { events, .. }) if !events.is_empty() => {
            count_payment(write, generation, amount).await;
            Ok(())
        }
        // Ended already: a repeat.
        Ok(_) | Err(CommandError::Refused(CreditLedgerError::HoldNotOpen)) => Ok(()),
        // Anything else would leave the hold open and the work delivered for nothing: it stays on the list, and shows.
        Err(error) => Err(try_again(&error)),
    }
}

/// Counts what a key's job has cost (V31): telemetry, so that nothing fails by it.
async fn count_payment(write: &WriteSide, generation: GenerationId, amount: Credits) {
    let Ok(job) = load::<Generation>(write, &generation.to_string()).await else { return };
    if let Some((key, account)) = job.terms().and_then(|terms| Some((terms.api_key_id?, terms.account_id))) {
        write.usage.paid(key, account, amount, write.now());
    }
}

async fn ledger_command(
    write: &WriteSide,
    context: &CommandContext,
    ledger: LedgerId,
    command: impl Fn(DateTime<Utc>) -> CreditLedgerCommand + Send + Sync,
) -> Result<(), WorkError> {
    let target = Target { id: ledger.to_string(), subject: ledger.account };
    answered(write.path.execute::<CreditLedger>(&target, context, None, command).await.map(drop))
}

async fn generation_command(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
    generation: GenerationId,
    command: impl Fn() -> GenerationCommand + Send + Sync,
) -> Result<(), WorkError> {
    let target = Target { id: generation.to_string(), subject: account };
    answered(write.path.execute::<Generation>(&target, context, None, |_| command()).await.map(drop))
}

/// A refusal is an answer: a repeat, or somebody was first. Everything else is tried again.
fn answered<E: std::fmt::Display>(result: Result<(), CommandError<E>>) -> Result<(), WorkError> {
    match result {
        Ok(()) | Err(CommandError::Refused(_)) => Ok(()),
        Err(error) => Err(try_again(&error)),
    }
}

async fn load<A: Commanded>(write: &WriteSide, id: &str) -> Result<A, WorkError> {
    Ok(write.path.load::<A>(id).await.map_err(|error| try_again(&error))?.state)
}

async fn fail(
    write: &WriteSide,
    context: &CommandContext,
    generation: GenerationId,
    reason: FailureReason,
) -> Result<(), WorkError> {
    let job: Generation = load(write, &generation.to_string()).await?;
    let Some(terms) = job.terms() else { return Ok(()) };
    generation_command(write, context, terms.account_id, generation, || GenerationCommand::Fail { reason }).await
}

/// Shows a notice to an owner who wants to see it, as the switch is now; nobody is left to see one whose account is going.
async fn post_notice(write: &WriteSide, notice: NewNotice) -> Result<(), WorkError> {
    let owner: Account = load(write, &notice.account.to_string()).await?;
    let wanted = notice.topic.kind().is_none_or(|kind| owner.notifications().wants(kind, Channel::InApp));
    if owner.status() != AccountStatus::Open || !wanted {
        return Ok(());
    }
    notices::post(&write.pool, &notice).await.map_err(|error| WorkError::Command(error.to_string()))
}

async fn delete_media(write: &WriteSide, generation: GenerationId) -> Result<(), WorkError> {
    let job: Generation = load(write, &generation.to_string()).await?;
    let Some(terms) = job.terms() else { return Ok(()) };
    // Nobody waits for it any more: it takes no turn, and no place in anybody's queue.
    turns::leave(&write.pool, generation).await.map_err(|error| WorkError::Command(error.to_string()))?;
    Ok(write.ports.media.delete_generation(terms.account_id, generation).await?)
}

/// What was on its way while an account was erased: files, and a notice whose work had begun.
async fn remove_again(write: &WriteSide, account: AccountId) -> Result<(), WorkError> {
    write.ports.media.delete_account(account).await?;
    write.ports.mailer.forget(account, None).await?;
    let failed = |error: RowError| WorkError::Command(error.to_string());
    staff_roles::delete_account(&write.pool, account).await.map_err(failed)?;
    notices::delete_account(&write.pool, account).await.map_err(failed)
}

/// An account whose address was not proven in time goes as any other does; one that was proven once stays.
async fn close_unverified(write: &WriteSide, context: &CommandContext, account: AccountId) -> Result<(), WorkError> {
    let owner: Account = load(write, &account.to_string()).await?;
    if owner.status() != AccountStatus::Open || owner.was_verified() {
        return Ok(());
    }
    // Support has given it another address, whose owner has as long to prove it.
    let changed = address_history::last_change(write, account).await.map_err(|error| try_again(&error))?;
    if let Some(until) = changed.map(|changed| changed + UNVERIFIED_LIFE).filter(|until| write.now() < *until) {
        return Err(WorkError::NotBefore(until));
    }
    let target = Target { id: account.to_string(), subject: account };
    answered(write.path.execute::<Account>(&target, context, None, |_| AccountCommand::EndUnproven).await.map(drop))
}

/// Starts the job, draws its outputs, stores them, and reports success. Died in between, the lease runs out and the next
/// worker starts another attempt; whichever reports first wins, the other is refused.
async fn render(write: &WriteSide, context: &CommandContext, generation: GenerationId) -> Result<(), WorkError> {
    let job: Generation = load(write, &generation.to_string()).await?;
    let (Some(terms), Some(prompt)) = (job.terms().cloned(), job.prompt()) else { return Ok(()) };
    let account = terms.account_id;
    if !matches!(job.status(), Status::Queued | Status::Running) {
        return remove_undelivered(write, account, generation).await;
    }
    let prompt = match write.vault.open(account, "prompt", prompt).await {
        Ok(Opened::Text(prompt)) => prompt,
        Ok(Opened::Erased) => return fail(write, context, generation, FailureReason::PromptErased).await,
        Err(error) => return Err(WorkError::Command(error.to_string())),
    };
    let target = Target { id: generation.to_string(), subject: account };
    let started = match write.path.execute::<Generation>(&target, context, None, |_| GenerationCommand::Start).await {
        Ok(Executed::Done { events, .. }) => events.into_iter().next(),
        Ok(Executed::Repeat { .. }) | Err(CommandError::Refused(_)) => return Ok(()),
        Err(error) => return Err(try_again(&error)),
    };
    let Some(GenerationEvent::GenerationStarted { attempt }) = started else { return Ok(()) };
    let outputs = draw(write, generation, attempt, &terms, &prompt).await?;
    if outputs.is_empty() {
        return fail(write, context, generation, FailureReason::ProviderFailed).await;
    }
    let report = |_| GenerationCommand::Succeed { attempt, outputs: outputs.clone() };
    match write.path.execute::<Generation>(&target, context, None, report).await {
        Ok(_) => Ok(()),
        // Too late: withdrawn, timed out, or another attempt was faster.
        Err(CommandError::Refused(_)) => remove_undelivered(write, account, generation).await,
        Err(error) => Err(try_again(&error)),
    }
}

/// Draws and stores outputs until all are there, or until one is refused by the model or by the store: what is there by then is delivered
/// (U12), and nothing else is paid for.
async fn draw(
    write: &WriteSide,
    generation: GenerationId,
    attempt: u32,
    terms: &RequestTerms,
    prompt: &str,
) -> Result<Vec<Output>, WorkError> {
    let mut outputs = Vec::new();
    for index in 0..terms.num_images {
        let request = RenderRequest {
            model: terms.model.clone(),
            prompt: prompt.to_owned(),
            width: terms.width,
            height: terms.height,
            seed: terms.seed.wrapping_add(u64::from(index)),
        };
        let rendered = match write.ports.generator.render(request).await {
            Ok(rendered) => rendered,
            Err(RenderError::Refused(reason)) => {
                refused(generation, reason, "");
                break;
            }
            Err(RenderError::Unavailable(cause)) => return Err(WorkError::Gateway(GatewayError::Unavailable(cause))),
        };
        let media_type = media_types::canonical(rendered.media_type);
        let extension = media_types::extension(&media_type).to_owned();
        let key = MediaKey { account: terms.account_id, generation, attempt, index, extension };
        let bytes = rendered.bytes.len() as u64;
        match write.ports.media.put(&key, rendered.bytes).await {
            Ok(()) => {}
            Err(GatewayError::Refused(cause)) => {
                refused(generation, "not_stored", &cause);
                break;
            }
            Err(unavailable) => return Err(unavailable.into()),
        }
        let (width, height) = (terms.width, terms.height);
        outputs.push(Output { object: key.path(), media_type, width, height, bytes });
    }
    Ok(outputs)
}

/// Records why an output was refused, for operators: the owner sees `provider_failed`, or fewer outputs than were asked for. Reasons are
/// codes of adapters, and causes what they say of an object: neither holds anything personal.
fn refused(generation: GenerationId, reason: &'static str, cause: &str) {
    metrics::counter!("atelier_outputs_refused_total", "reason" => reason).increment(1);
    tracing::warn!(%generation, reason, cause, "an output was refused");
}

/// Removes what attempts stored of a job that ended without delivery, or was deleted since: the removal that its end asked for may
/// have come before the last file (U13, A31).
async fn remove_undelivered(write: &WriteSide, account: AccountId, generation: GenerationId) -> Result<(), WorkError> {
    let job: Generation = load(write, &generation.to_string()).await?;
    match job.status() {
        Status::Failed | Status::Cancelled => delete_media(write, generation).await,
        Status::Succeeded if job.deleted() => delete_media(write, generation).await,
        // The job was there when its picture was begun, and its log is gone.
        Status::New => Ok(write.ports.media.delete_generation(account, generation).await?),
        Status::Abandoned | Status::Queued | Status::Running | Status::Succeeded => Ok(()),
    }
}
