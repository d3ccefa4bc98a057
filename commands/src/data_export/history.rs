//! The events of an account's own streams, up to one position, opened for their owner.

use std::vec::IntoIter;

use atelier_domain::account::{Account, AccountEvent};
use atelier_domain::credit_ledger::CreditLedger;
use atelier_domain::generation::Generation;
use atelier_domain::{AccountId, GenerationId, LedgerId, LogEvent, PersonalFields, Sealed};
use atelier_vault::Opened;
use cqrs_es::Aggregate;
use serde_json::{Value, json};

use crate::command_path::CommandError;
use crate::event_store::{Position, StoredEvent, StreamId};
use crate::refusal::UseCaseError;
use crate::write_side::WriteSide;

/// How many events are in memory at once.
const PAGE: usize = 512;

/// One stream, read page by page.
pub(super) struct History<'a> {
    write: &'a WriteSide,
    stream: StreamId,
    until: Option<Position>,
    page: IntoIter<StoredEvent>,
    read: i64,
    ended: bool,
}

impl<'a> History<'a> {
    fn of(write: &'a WriteSide, aggregate_type: &'static str, id: String, until: Option<Position>) -> Self {
        let stream = StreamId { aggregate_type, aggregate_id: id };
        Self { write, stream, until, page: Vec::new().into_iter(), read: 0, ended: false }
    }

    /// The account's.
    pub(super) fn of_account(write: &'a WriteSide, account: AccountId, until: Option<Position>) -> Self {
        Self::of(write, Account::TYPE, account.to_string(), until)
    }

    /// A ledger's.
    pub(super) fn of_ledger(write: &'a WriteSide, ledger: LedgerId, until: Position) -> Self {
        Self::of(write, CreditLedger::TYPE, ledger.to_string(), Some(until))
    }

    /// A generation's.
    pub(super) fn of_generation(write: &'a WriteSide, generation: GenerationId, until: Position) -> Self {
        Self::of(write, Generation::TYPE, generation.to_string(), Some(until))
    }

    /// The next event; `None` after the last one that is not later than the position.
    pub(super) async fn next(&mut self) -> Result<Option<(StoredEvent, LogEvent)>, UseCaseError> {
        if self.page.len() == 0 && !self.ended {
            let page = self.write.path.store().page(&self.stream, self.read, PAGE).await?;
            self.ended = page.len() < PAGE;
            self.page = page.into_iter();
        }
        let Some(stored) = self.page.next() else { return Ok(None) };
        if self.until.is_some_and(|until| stored.position.number > until.number) {
            (self.page, self.ended) = (Vec::new().into_iter(), true);
            return Ok(None);
        }
        self.read = stored.sequence;
        let StreamId { aggregate_type, aggregate_id } = &self.stream;
        let decoded =
            LogEvent::decode(aggregate_type, aggregate_id, &stored.event_type, &stored.event_version, &stored.payload);
        let event = decoded.map_err(|error| CommandError::Internal(error.to_string()))?;
        Ok(Some((stored, event)))
    }
}

/// A sealed field, opened; `None` once it is erased.
pub(super) async fn opened(
    write: &WriteSide,
    account: AccountId,
    field: &str,
    sealed: Option<&Sealed>,
) -> Result<Option<String>, UseCaseError> {
    let Some(sealed) = sealed else { return Ok(None) };
    match write.vault.open(account, field, sealed).await? {
        Opened::Text(text) => Ok(Some(text)),
        Opened::Erased => Ok(None),
    }
}

/// An event as a line of `events.jsonl`: its personal fields opened, without what is not its owner's.
pub(super) async fn line(
    write: &WriteSide,
    account: AccountId,
    stored: &StoredEvent,
    mut event: LogEvent,
) -> Result<Value, UseCaseError> {
    let payload = event.payload().map_err(|error| CommandError::Internal(error.to_string()))?;
    let mut data = payload.get(event.name()).cloned().unwrap_or_default();
    let personal = match &mut event {
        LogEvent::Account(_, event) => event.personal_fields(),
        LogEvent::CreditLedger(_, event) => event.personal_fields(),
        LogEvent::Generation(_, event) => event.personal_fields(),
    };
    for field in personal.into_iter().map(|slot| slot.field).collect::<Vec<_>>() {
        let sealed = data[field].as_str().map(|text| Sealed::from_text(text.to_owned()));
        data[field] = json!(opened(write, account, field, sealed.as_ref()).await?);
    }
    for hidden in hidden(&event) {
        data.as_object_mut().and_then(|data| data.remove(*hidden));
    }
    let stream = match &event {
        LogEvent::Account(..) => "account".to_owned(),
        LogEvent::CreditLedger(ledger, _) => format!("credits/{}", ledger.environment.as_str()),
        LogEvent::Generation(generation, _) => super::generation_name(*generation),
    };
    Ok(json!({
        "position": stored.position.number,
        "stream": stream,
        "sequence": stored.sequence,
        "event": event.name(),
        "at": stored.decided_at,
        "data": data,
    }))
}

/// The fields of an event that say something about somebody else. Whoever adds an event decides here.
#[deny(clippy::wildcard_enum_match_arm)]
const fn hidden(event: &LogEvent) -> &'static [&'static str] {
    match event {
        LogEvent::Account(_, event) => match event {
            // Whether somebody else has the address (sec.S4).
            AccountEvent::AccountOpened { .. } => &["address_claimed"],
            // Who of the staff.
            AccountEvent::StaffActionRecorded { .. } => &["staff"],
            AccountEvent::AccountAbandoned {}
            | AccountEvent::EmailVerified {}
            | AccountEvent::EmailChanged { .. }
            | AccountEvent::UsernameChanged { .. }
            | AccountEvent::DisplayNameChanged { .. }
            | AccountEvent::BioChanged { .. }
            | AccountEvent::AvatarChanged { .. }
            | AccountEvent::AvatarRemoved {}
            | AccountEvent::PublicProfileChanged { .. }
            | AccountEvent::LanguageChanged { .. }
            | AccountEvent::NotificationPreferenceChanged { .. }
            | AccountEvent::PublishPreferenceChanged { .. }
            | AccountEvent::PlanAssigned { .. }
            | AccountEvent::SessionStarted { .. }
            | AccountEvent::SessionEnded { .. }
            | AccountEvent::PasswordResetRequested {}
            | AccountEvent::PasswordChanged { .. }
            | AccountEvent::ExternalIdentityLinked { .. }
            | AccountEvent::ExternalIdentityUnlinked { .. }
            | AccountEvent::TwoFactorEnabled {}
            | AccountEvent::TwoFactorDisabled { .. }
            | AccountEvent::TwoFactorResetRequested { .. }
            | AccountEvent::TwoFactorResetStopped {}
            | AccountEvent::RecoveryCodesRenewed {}
            | AccountEvent::RecoveryCodeUsed {}
            | AccountEvent::ApiKeyCreated { .. }
            | AccountEvent::ApiKeyExpiryChanged { .. }
            | AccountEvent::ApiKeyExpired { .. }
            | AccountEvent::ApiKeyRevoked { .. }
            | AccountEvent::RoleGranted { .. }
            | AccountEvent::RoleWithdrawn { .. }
            | AccountEvent::DataExportRequested { .. }
            | AccountEvent::DataExportReady { .. }
            | AccountEvent::DataExportFailed { .. }
            | AccountEvent::AccountDeletionRequested { .. }
            | AccountEvent::AccountErased { .. } => &[],
        },
        // Credits, random ids and instants of the account's own.
        LogEvent::CreditLedger(..) | LogEvent::Generation(..) => &[],
    }
}
