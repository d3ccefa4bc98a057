//! The history of an account: for its owner without the names of staff, for auditors with their ids (A13).

use async_graphql::{Enum, ID, Result, SimpleObject};
use atelier_domain::AccountId;
use atelier_projections::models::account_history::{self, HistoryActor as Actor, HistoryKind as Kind, HistoryView};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::connection::{HistoryConnection, StaffHistoryConnection};
use crate::global_id::GlobalId;
use crate::reading::{Reading, page_size};

/// What a line of the history is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "Kind")]
pub enum HistoryKind {
    /// The account was opened.
    AccountOpened,
    /// The address was proven.
    EmailVerified,
    /// Another address.
    EmailChanged,
    /// Another username.
    UsernameChanged,
    /// Somebody signed in.
    SessionStarted,
    /// A session ended; `detail` says why.
    SessionEnded,
    /// A link for a new password was asked for.
    PasswordResetRequested,
    /// Another password; `detail` says how.
    PasswordChanged,
    /// An identity elsewhere signs in now.
    IdentityLinked,
    /// It does no more.
    IdentityUnlinked,
    /// Signing in takes a code now.
    TwoFactorEnabled,
    /// It does no more; `detail` says whose word it was.
    TwoFactorDisabled,
    /// Staff were asked to turn the second factor off.
    TwoFactorResetRequested,
    /// It stays on.
    TwoFactorResetStopped,
    /// New recovery codes.
    RecoveryCodesRenewed,
    /// A recovery code was used.
    RecoveryCodeUsed,
    /// An API key was made.
    ApiKeyCreated,
    /// An API key ends at another time.
    ApiKeyExpiryChanged,
    /// An API key was revoked.
    ApiKeyRevoked,
    /// The account has a role now; `detail` says which.
    RoleGranted,
    /// The account has a role no more; `detail` says which.
    RoleWithdrawn,
    /// Staff did what `detail` says, for this `reason`; what came of it are the lines before it.
    StaffAction,
    /// A copy of all data was asked for.
    DataExportRequested,
    /// It can be fetched.
    DataExportReady,
    /// It could not be made.
    DataExportFailed,
}

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "Actor")]
pub enum HistoryActor {
    /// The account's owner, signed in or by an API key.
    Owner,
    /// Somebody who was not signed in: a sign-in, or the link of a mail.
    NotSignedIn,
    /// A member of the staff.
    Staff,
    /// The operator of the studio.
    Operator,
    /// The studio by itself.
    Studio,
}

/// A line of one's own history.
#[derive(Clone, SimpleObject)]
pub struct HistoryEntry {
    /// The line's id.
    id: ID,
    /// When.
    at: DateTime<Utc>,
    /// What.
    kind: HistoryKind,
    /// Who.
    actor: HistoryActor,
    /// The session, API key or identity it is about, if it is about one.
    about: Option<ID>,
    /// A word more, such as the role or why a session ended.
    detail: Option<String>,
    /// Why, where staff did it.
    reason: Option<String>,
}

/// A line of an account's history, as auditors see it.
#[derive(Clone, SimpleObject)]
pub struct StaffHistoryEntry {
    /// The line, as the owner sees it.
    entry: HistoryEntry,
    /// Which member of the staff did it.
    staff_id: Option<ID>,
}

fn about(kind: Kind, id: Uuid) -> Option<ID> {
    let id = match kind {
        Kind::SessionStarted | Kind::SessionEnded => GlobalId::Session(atelier_domain::SessionId(id)),
        Kind::ApiKeyCreated | Kind::ApiKeyExpiryChanged | Kind::ApiKeyRevoked => {
            GlobalId::ApiKey(atelier_domain::ApiKeyId(id))
        }
        Kind::IdentityLinked | Kind::IdentityUnlinked => GlobalId::Identity(atelier_domain::IdentityId(id)),
        _ => return None,
    };
    Some(id.into())
}

impl From<HistoryView> for HistoryEntry {
    fn from(view: HistoryView) -> Self {
        Self {
            id: ID(format!("his_{}", view.entry.simple())),
            at: view.at,
            kind: view.kind.into(),
            actor: view.actor.into(),
            about: view.about.and_then(|id| about(view.kind, id)),
            detail: view.detail,
            reason: view.reason,
        }
    }
}

async fn read(
    reading: &Reading,
    account: AccountId,
    first: Option<i32>,
    after: Option<&str>,
) -> Result<(Vec<(String, HistoryView)>, bool)> {
    let first = page_size(first, 20)?;
    let page = reading.read(async |snapshot| account_history::page(snapshot, account, first, after).await).await?;
    Ok((page.items, page.has_next))
}

/// A page of an account's history, for its owner.
pub(crate) async fn of_owner(
    reading: &Reading,
    account: AccountId,
    first: Option<i32>,
    after: Option<&str>,
) -> Result<HistoryConnection> {
    let (items, has_next) = read(reading, account, first, after).await?;
    let items = items.into_iter().map(|(cursor, view)| (cursor, view.into())).collect();
    Ok(HistoryConnection::new(items, has_next, after, reading.position()))
}

/// The same for an auditor.
pub(crate) async fn of_auditor(
    reading: &Reading,
    account: AccountId,
    first: Option<i32>,
    after: Option<&str>,
) -> Result<StaffHistoryConnection> {
    let (items, has_next) = read(reading, account, first, after).await?;
    let whole = |view: HistoryView| StaffHistoryEntry {
        staff_id: view.staff.map(|staff| GlobalId::Account(staff).into()),
        entry: view.into(),
    };
    let items = items.into_iter().map(|(cursor, view)| (cursor, whole(view))).collect();
    Ok(StaffHistoryConnection::new(items, has_next, after, reading.position()))
}
