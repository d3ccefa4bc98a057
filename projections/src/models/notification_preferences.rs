//! Notification preferences: the language of mails, and the switches that were set, with the time and the text of each consent (V12-V17).
//! A switch that was never touched is as the policy says, without a row.

use std::sync::Arc;

use async_trait::async_trait;
use atelier_domain::account::{AccountEvent, Channel, Language, NoticeKind};
use atelier_domain::{AccountId, Envelope, LogEvent};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::read_row::{ReadRow, Rows};
use crate::runner::Projection;
use crate::snapshot::{ReadError, Snapshot};

/// The projection.
pub struct NotificationPreferences;

/// Its name.
pub const NAME: &str = "NotificationPreferences";

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    account_id: Uuid,
    language: Language,
    /// One for each switch that was ever set, in the order of kinds and channels.
    choices: Vec<Choice>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Choice {
    kind: NoticeKind,
    channel: Channel,
    on: bool,
    #[serde(serialize_with = "crate::carried::maybe_integer")]
    text_version: Option<u32>,
    #[serde(serialize_with = "crate::carried::instant")]
    since: DateTime<Utc>,
}

impl ReadRow for Row {
    type Key = Uuid;
    const TABLE: &'static str = "notification_preferences_v1";
    const KEY: &'static str = "account_id";
    const KEY_TYPE: &'static str = "uuid";

    fn key(&self) -> Uuid {
        self.account_id
    }
}

#[async_trait]
impl Projection for NotificationPreferences {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &[Row::TABLE]
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[Arc<Envelope>]) -> Result<(), sqlx::Error> {
        let accounts = events.iter().filter_map(|envelope| match &envelope.event {
            LogEvent::Account(account, _) => Some(account.0),
            LogEvent::CreditLedger(..) | LogEvent::Generation(..) => None,
        });
        let mut rows = Rows::<Row>::load(connection, accounts).await?;
        for envelope in events {
            if let LogEvent::Account(account, event) = &envelope.event {
                fold(&mut rows, *account, event, envelope.decided_at);
            }
        }
        rows.save(connection).await
    }
}

fn fold(rows: &mut Rows<Row>, account: AccountId, event: &AccountEvent, since: DateTime<Utc>) {
    match event {
        AccountEvent::AccountOpened { .. } => {
            rows.put(Row { account_id: account.0, language: Language::default(), choices: Vec::new() });
        }
        AccountEvent::AccountErased { .. } => {
            rows.remove(account.0);
        }
        AccountEvent::LanguageChanged { language } => {
            if let Some(row) = rows.get_mut(account.0) {
                row.language = *language;
            }
        }
        AccountEvent::NotificationPreferenceChanged { kind, channel, on, text_version } => {
            let Some(row) = rows.get_mut(account.0) else { return };
            row.choices.retain(|choice| (choice.kind, choice.channel) != (*kind, *channel));
            row.choices.push(Choice { kind: *kind, channel: *channel, on: *on, text_version: *text_version, since });
            row.choices.sort_by_key(|choice| (choice.kind, choice.channel));
        }
        AccountEvent::AccountAbandoned {}
        | AccountEvent::EmailVerified {}
        | AccountEvent::EmailChanged { .. }
        | AccountEvent::UsernameChanged { .. }
        | AccountEvent::DisplayNameChanged { .. }
        | AccountEvent::BioChanged { .. }
        | AccountEvent::AvatarChanged { .. }
        | AccountEvent::AvatarRemoved {}
        | AccountEvent::PublicProfileChanged { .. }
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
        | AccountEvent::StaffActionRecorded { .. }
        | AccountEvent::DataExportRequested { .. }
        | AccountEvent::DataExportReady { .. }
        | AccountEvent::DataExportFailed { .. }
        | AccountEvent::AccountDeletionRequested { .. } => {}
    }
}

/// How a switch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwitchView {
    /// What about.
    pub kind: NoticeKind,
    /// Where.
    pub channel: Channel,
    /// On or off.
    pub on: bool,
    /// The version of the text that was agreed to, where turning it on was a consent (V16).
    pub text_version: Option<u32>,
    /// Since when; `None` while it is as the policy says.
    pub since: Option<DateTime<Utc>>,
}

/// What an account prefers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreferencesView {
    /// The language of mails.
    pub language: Language,
    /// Every switch, in the order of the settings screen.
    pub switches: Vec<SwitchView>,
}

/// An account's preferences; `None` when there is no such account.
///
/// # Errors
/// `Quarantined`; or when the database failed.
pub async fn of(snapshot: &mut Snapshot, account: AccountId) -> Result<Option<PreferencesView>, ReadError> {
    snapshot.whole(NAME, account).await?;
    let rows = snapshot.rows::<Row>([account.0]).await?;
    let Some(row) = rows.get(account.0) else { return Ok(None) };
    let every = NoticeKind::ALL.into_iter().flat_map(|kind| Channel::ALL.map(|channel| (kind, channel)));
    let switches = every.map(|(kind, channel)| {
        let set = row.choices.iter().find(|choice| (choice.kind, choice.channel) == (kind, channel));
        SwitchView {
            kind,
            channel,
            on: set.map_or_else(|| kind.on_by_default(), |choice| choice.on),
            text_version: set.and_then(|choice| choice.text_version),
            since: set.map(|choice| choice.since),
        }
    });
    Ok(Some(PreferencesView { language: row.language, switches: switches.collect() }))
}
