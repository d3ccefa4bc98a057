//! The history of an account: what happened to its security, line by line in the order of its stream, and who did it. Every action of
//! staff is in it with its reason (A13). The owner reads it without the names of staff, auditors with their ids.

use std::sync::Arc;

use async_trait::async_trait;
use atelier_domain::account::{AccountEvent, PasswordVia, SessionEnd, StaffAction, TwoFactorEnd};
use atelier_domain::{AccountId, Actor, Envelope, LogEvent, Sealed};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::account_end::drop_rows;
use crate::cursor::Cursor;
use crate::read_row::{ReadRow, Rows};
use crate::runner::Projection;
use crate::snapshot::{Page, ReadError, Snapshot};

/// The projection.
pub struct AccountHistory;

/// Its name.
pub const NAME: &str = "AccountHistory";

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryKind {
    /// The account was opened.
    AccountOpened,
    /// The address was proven (U26).
    EmailVerified,
    /// Another address (A13).
    EmailChanged,
    /// Another handle (U29).
    UsernameChanged,
    /// Somebody signed in.
    SessionStarted,
    /// A session ended before its time.
    SessionEnded,
    /// A link for a new password was asked for (A14).
    PasswordResetRequested,
    /// Another password (V08, A15).
    PasswordChanged,
    /// An identity elsewhere signs in now (A16).
    IdentityLinked,
    /// It does no more.
    IdentityUnlinked,
    /// Signing in takes a code now (V11).
    TwoFactorEnabled,
    /// It does no more.
    TwoFactorDisabled,
    /// Staff were asked to turn the second factor off (U36).
    TwoFactorResetRequested,
    /// They will not.
    TwoFactorResetStopped,
    /// New recovery codes (sec.T2).
    RecoveryCodesRenewed,
    /// One of them was used.
    RecoveryCodeUsed,
    /// A key was made (B03).
    ApiKeyCreated,
    /// A key ends at another time: it is being rotated (B18).
    ApiKeyExpiryChanged,
    /// A key was revoked (V30).
    ApiKeyRevoked,
    /// The account has a role now.
    RoleGranted,
    /// It has it no more.
    RoleWithdrawn,
    /// Staff did something, with a reason.
    StaffAction,
    /// A copy of everything was asked for (U25).
    DataExportRequested,
    /// It can be fetched.
    DataExportReady,
    /// It could not be made.
    DataExportFailed,
}

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryActor {
    /// The account's owner, signed in or by a key.
    Owner,
    /// Somebody who was not signed in: a sign-in, or the link of a mail.
    NotSignedIn,
    /// A member of the staff.
    Staff,
    /// The operator at the console.
    Operator,
    /// The studio by itself, such as a timer.
    Studio,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    entry_id: Uuid,
    account_id: Uuid,
    sequence: i64,
    #[serde(serialize_with = "crate::carried::instant")]
    at: DateTime<Utc>,
    kind: HistoryKind,
    actor: HistoryActor,
    staff: Option<Uuid>,
    about: Option<Uuid>,
    detail: Option<String>,
    reason: Option<Sealed>,
}

impl ReadRow for Row {
    type Key = Uuid;
    const TABLE: &'static str = "account_history_v1";
    const KEY: &'static str = "entry_id";
    const KEY_TYPE: &'static str = "uuid";

    fn key(&self) -> Uuid {
        self.entry_id
    }
}

#[async_trait]
impl Projection for AccountHistory {
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
        let mut rows = Rows::<Row>::load(connection, []).await?;
        for envelope in events {
            drop_rows(&mut rows, &envelope.event, |row, account| row.account_id == account.0);
            let LogEvent::Account(account, event) = &envelope.event else { continue };
            if let Some(line) = line(event) {
                rows.put(row(*account, line, envelope));
            }
        }
        rows.save(connection).await
    }
}

/// What one event says in the history.
struct Line {
    kind: HistoryKind,
    about: Option<Uuid>,
    detail: Option<&'static str>,
    by: By,
}

enum By {
    /// Whoever gave the command.
    Actor,
    /// Staff, in this name and for this reason.
    Order { staff: Option<AccountId>, reason: Option<Sealed> },
}

const fn plain(kind: HistoryKind) -> Option<Line> {
    Some(Line { kind, about: None, detail: None, by: By::Actor })
}

const fn thing(kind: HistoryKind, id: Uuid) -> Option<Line> {
    Some(Line { kind, about: Some(id), detail: None, by: By::Actor })
}

const fn word(kind: HistoryKind, detail: &'static str) -> Option<Line> {
    Some(Line { kind, about: None, detail: Some(detail), by: By::Actor })
}

fn line(event: &AccountEvent) -> Option<Line> {
    match event {
        AccountEvent::AccountOpened { .. } => plain(HistoryKind::AccountOpened),
        AccountEvent::EmailVerified {} => plain(HistoryKind::EmailVerified),
        AccountEvent::EmailChanged { .. } => plain(HistoryKind::EmailChanged),
        AccountEvent::UsernameChanged { .. } => plain(HistoryKind::UsernameChanged),
        AccountEvent::SessionStarted { session_id, .. } => thing(HistoryKind::SessionStarted, session_id.0),
        AccountEvent::SessionEnded { session_id, reason } => Some(Line {
            kind: HistoryKind::SessionEnded,
            about: Some(session_id.0),
            detail: Some(why_ended(*reason)),
            by: By::Actor,
        }),
        AccountEvent::PasswordResetRequested {} => plain(HistoryKind::PasswordResetRequested),
        AccountEvent::PasswordChanged { via } => word(
            HistoryKind::PasswordChanged,
            match via {
                PasswordVia::Change => "change",
                PasswordVia::Reset => "reset",
                PasswordVia::Added => "added",
            },
        ),
        AccountEvent::ExternalIdentityLinked { identity_id, provider, .. } => {
            let detail = Some(provider.as_str());
            Some(Line { kind: HistoryKind::IdentityLinked, about: Some(identity_id.0), detail, by: By::Actor })
        }
        AccountEvent::ExternalIdentityUnlinked { identity_id } => thing(HistoryKind::IdentityUnlinked, identity_id.0),
        AccountEvent::TwoFactorEnabled {} => plain(HistoryKind::TwoFactorEnabled),
        AccountEvent::TwoFactorDisabled { by } => word(
            HistoryKind::TwoFactorDisabled,
            match by {
                TwoFactorEnd::Owner => "owner",
                TwoFactorEnd::Staff => "staff",
            },
        ),
        AccountEvent::TwoFactorResetRequested { .. } => plain(HistoryKind::TwoFactorResetRequested),
        AccountEvent::TwoFactorResetStopped {} => plain(HistoryKind::TwoFactorResetStopped),
        AccountEvent::RecoveryCodesRenewed {} => plain(HistoryKind::RecoveryCodesRenewed),
        AccountEvent::RecoveryCodeUsed {} => plain(HistoryKind::RecoveryCodeUsed),
        AccountEvent::ApiKeyCreated { key_id, .. } => thing(HistoryKind::ApiKeyCreated, key_id.0),
        AccountEvent::ApiKeyExpiryChanged { key_id, .. } => thing(HistoryKind::ApiKeyExpiryChanged, key_id.0),
        AccountEvent::ApiKeyRevoked { key_id } => thing(HistoryKind::ApiKeyRevoked, key_id.0),
        AccountEvent::RoleGranted { role } => word(HistoryKind::RoleGranted, role.as_str()),
        AccountEvent::RoleWithdrawn { role } => word(HistoryKind::RoleWithdrawn, role.as_str()),
        AccountEvent::StaffActionRecorded { staff, action, reason } => Some(Line {
            kind: HistoryKind::StaffAction,
            about: None,
            detail: Some(what_staff_did(*action)),
            by: By::Order { staff: *staff, reason: reason.sealed().cloned() },
        }),
        AccountEvent::DataExportRequested { export_id } => thing(HistoryKind::DataExportRequested, export_id.0),
        AccountEvent::DataExportReady { export_id, .. } => thing(HistoryKind::DataExportReady, export_id.0),
        AccountEvent::DataExportFailed { export_id } => thing(HistoryKind::DataExportFailed, export_id.0),
        // No security in them; or nobody is left to read it: the rows go with these (A37).
        AccountEvent::AccountAbandoned {}
        | AccountEvent::DisplayNameChanged { .. }
        | AccountEvent::BioChanged { .. }
        | AccountEvent::AvatarChanged { .. }
        | AccountEvent::AvatarRemoved {}
        | AccountEvent::PublicProfileChanged { .. }
        | AccountEvent::LanguageChanged { .. }
        | AccountEvent::NotificationPreferenceChanged { .. }
        | AccountEvent::PublishPreferenceChanged { .. }
        | AccountEvent::PlanAssigned { .. }
        | AccountEvent::ApiKeyExpired { .. }
        | AccountEvent::AccountDeletionRequested { .. }
        | AccountEvent::AccountErased { .. } => None,
    }
}

const fn why_ended(reason: SessionEnd) -> &'static str {
    match reason {
        SessionEnd::SignedOut => "signed_out",
        SessionEnd::Revoked => "revoked",
        SessionEnd::Displaced => "displaced",
        SessionEnd::PasswordChanged => "password_changed",
        SessionEnd::ByStaff => "by_staff",
        SessionEnd::AccountDeleted => "account_deleted",
    }
}

const fn what_staff_did(action: StaffAction) -> &'static str {
    match action {
        StaffAction::AccountViewed => "account_viewed",
        StaffAction::EmailChanged => "email_changed",
        StaffAction::TwoFactorResetRequested => "two_factor_reset_requested",
        StaffAction::TwoFactorDisabled => "two_factor_disabled",
        StaffAction::SessionEnded => "session_ended",
        StaffAction::ApiKeyRevoked => "api_key_revoked",
        StaffAction::RoleGranted => "role_granted",
        StaffAction::RoleWithdrawn => "role_withdrawn",
    }
}

fn row(account: AccountId, line: Line, envelope: &Envelope) -> Row {
    let (actor, staff, reason) = match line.by {
        By::Order { staff: Some(staff), reason } => (HistoryActor::Staff, Some(staff), reason),
        By::Order { staff: None, reason } => (HistoryActor::Operator, None, reason),
        By::Actor => match &envelope.metadata.actor {
            Actor::Account(id) if *id == account => (HistoryActor::Owner, None, None),
            Actor::Account(id) => (HistoryActor::Staff, Some(*id), None),
            Actor::ApiKey(_) => (HistoryActor::Owner, None, None),
            Actor::Anonymous => (HistoryActor::NotSignedIn, None, None),
            Actor::Operator => (HistoryActor::Operator, None, None),
            Actor::Process(_) => (HistoryActor::Studio, None, None),
        },
    };
    Row {
        entry_id: envelope.event_id.0,
        account_id: account.0,
        sequence: envelope.sequence,
        at: envelope.decided_at,
        kind: line.kind,
        actor,
        staff: staff.map(|staff| staff.0),
        about: line.about,
        detail: line.detail.map(str::to_owned),
        reason,
    }
}

/// A line of the history, opened.
#[derive(Debug, Clone)]
pub struct HistoryView {
    /// The line.
    pub entry: Uuid,
    /// When it was decided.
    pub at: DateTime<Utc>,
    /// What it is about.
    pub kind: HistoryKind,
    /// Who did it.
    pub actor: HistoryActor,
    /// Which member of the staff; for auditors only.
    pub staff: Option<AccountId>,
    /// The session, key, identity or export.
    pub about: Option<Uuid>,
    /// A word more: the role, the way, the action.
    pub detail: Option<String>,
    /// Why, where staff did it.
    pub reason: Option<String>,
}

/// A page of an account's history, newest first.
///
/// # Errors
/// `BadCursor`; `Quarantined`; or when the database failed.
pub async fn page(
    snapshot: &mut Snapshot,
    account: AccountId,
    first: usize,
    after: Option<&str>,
) -> Result<Page<HistoryView>, ReadError> {
    snapshot.whole(NAME, account).await?;
    // The place in the stream is the cursor's id: events of one append have one time.
    let after = snapshot.cursor(after)?.map(|cursor| i64::try_from(cursor.id.as_u128()).unwrap_or(i64::MAX));
    let sql = format!(
        "select row_to_json(t) from {} t where account_id = $1 and ($2::bigint is null or sequence < $2) \
         order by sequence desc limit $3",
        snapshot.table::<Row>()?
    );
    let rows: Vec<sqlx::types::Json<Row>> = sqlx::query_scalar(&sql)
        .bind(account.0)
        .bind(after)
        .bind(i64::try_from(first).unwrap_or(i64::MAX - 1) + 1)
        .fetch_all(snapshot.connection())
        .await?;
    let mut lines = Vec::with_capacity(rows.len());
    for sqlx::types::Json(row) in rows {
        let reason = match &row.reason {
            Some(sealed) => snapshot.open(account, "reason", sealed).await?,
            None => None,
        };
        let cursor = Cursor { at: row.at, id: Uuid::from_u128(u128::from(row.sequence.unsigned_abs())) };
        let view = HistoryView {
            entry: row.entry_id,
            at: row.at,
            kind: row.kind,
            actor: row.actor,
            staff: row.staff.map(AccountId),
            about: row.about,
            detail: row.detail,
            reason,
        };
        lines.push((cursor, view));
    }
    Ok(snapshot.page(lines, first))
}
