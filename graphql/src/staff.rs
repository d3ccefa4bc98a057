//! Staff as the schema sees them: roles, the way to the desk, and what support sees of an account (A13, sec.A1, sec.A2).

use async_graphql::{ComplexObject, Context, Enum, ID, Result, SimpleObject};
use atelier_commands::use_cases::{Desk, Right};
use atelier_domain::AccountId;
use atelier_domain::account::{Account, Role as DomainRole};
use atelier_projections::models::{api_keys, profile, sessions};
use chrono::{DateTime, Utc};

use crate::Sides;
use crate::api_key::ApiKeyStatus;
use crate::caller::{freshly_proven, signed_in};
use crate::error::unavailable;
use crate::global_id::GlobalId;
use crate::payload::{UserErrors, outcome};
use crate::reading::{MUTATION, Reading};

/// The most API keys of one account that staff are shown: more than are active at once.
const KEYS_SHOWN: usize = 100;

/// What a member of the staff may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "DomainRole")]
pub enum Role {
    /// Looks accounts up and helps their owners.
    Support,
    /// Reads every ledger and every account's history, and changes nothing.
    Auditor,
    /// What support may, and grants and withdraws roles.
    Admin,
}

/// Lets somebody to the desk who has the right, and has proven who they are not long ago (sec.S7); else the refusal, which comes before
/// anything about an account is looked at.
///
/// # Errors
/// `UNAUTHENTICATED` without a session; faults.
pub(crate) async fn desk(context: &Context<'_>, right: Right) -> Result<std::result::Result<Desk, UserErrors>> {
    let (account, _) = signed_in(context)?;
    let desk = match outcome(Desk::admit(&context.data::<Sides>()?.write, account, right).await)? {
        Ok(desk) => desk,
        Err(error) => return Ok(Err(error)),
    };
    Ok(freshly_proven(context)?.map(|_| desk))
}

/// A session, as staff see it.
#[derive(SimpleObject)]
pub struct StaffSessionView {
    /// The session's id, for `staffEndSessions`.
    id: ID,
    /// The browser and system it was started from.
    device: Option<String>,
    /// The city and country it was started from, roughly.
    place: Option<String>,
    /// When it was last used, within a minute.
    last_active_at: DateTime<Utc>,
    /// When it started.
    started_at: DateTime<Utc>,
}

/// An API key, as staff see it.
#[derive(SimpleObject)]
pub struct StaffApiKeyView {
    /// The key's id, for `staffRevokeApiKey`.
    id: ID,
    /// What its owner calls it.
    label: Option<String>,
    /// The start of the key.
    prefix: String,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// Its end, if any.
    expires_at: Option<DateTime<Utc>>,
    /// When it was revoked; null while it was not.
    revoked_at: Option<DateTime<Utc>>,
    /// Whether it works still.
    status: ApiKeyStatus,
}

/// What support needs to know of an account, and no more: no generations, no credits.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct StaffAccountView {
    /// The account's id.
    id: ID,
    /// The handle.
    username: Option<String>,
    /// The address.
    email: Option<String>,
    /// Whether the address was proven.
    email_verified: bool,
    /// Whether signing in takes a code.
    two_factor_enabled: bool,
    /// When the second factor goes off, if staff were asked for that and nobody said no.
    two_factor_reset_due_at: Option<DateTime<Utc>>,
    /// The account's roles.
    roles: Vec<Role>,
    /// When it was opened. An account that is being deleted is not shown to anybody any more.
    created_at: DateTime<Utc>,
    #[graphql(skip)]
    account: AccountId,
    #[graphql(skip)]
    reading: Reading,
}

#[ComplexObject]
impl StaffAccountView {
    /// Where it is signed in.
    async fn sessions(&self, context: &Context<'_>) -> Option<Result<Vec<StaffSessionView>>> {
        let answer = async {
            let (account, now) = (self.account, context.data::<Sides>()?.write.now());
            let listed = self.reading.read(async |snapshot| sessions::of(snapshot, account, now).await).await?;
            Ok(listed.into_iter().map(Into::into).collect())
        };
        Some(answer.await)
    }

    /// Its API keys, newest first.
    async fn api_keys(&self, context: &Context<'_>) -> Option<Result<Vec<StaffApiKeyView>>> {
        let answer = async {
            let read = async |snapshot: &mut _| api_keys::page(snapshot, self.account, KEYS_SHOWN, None).await;
            let keys = self.reading.read(read).await?;
            let now = context.data::<Sides>()?.write.now();
            Ok(keys.items.into_iter().map(|(_, key)| StaffApiKeyView::of(key, now)).collect())
        };
        Some(answer.await)
    }
}

impl From<sessions::ListedSession> for StaffSessionView {
    fn from(listed: sessions::ListedSession) -> Self {
        Self {
            id: GlobalId::Session(listed.session).into(),
            device: listed.device,
            place: listed.place,
            last_active_at: listed.last_active_at,
            started_at: listed.started_at,
        }
    }
}

impl StaffApiKeyView {
    fn of(key: api_keys::ApiKeyView, now: DateTime<Utc>) -> Self {
        let status = key.status(now).into();
        Self {
            id: GlobalId::ApiKey(key.key).into(),
            label: key.label,
            prefix: key.prefix,
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            status,
        }
    }
}

impl StaffAccountView {
    /// Reads the view, not older than the record of the look. `None` when the account went in between.
    pub(crate) async fn read(context: &Context<'_>, account: AccountId, position: &str) -> Result<Option<Self>> {
        let reading = Reading::begin(context, MUTATION, Some(position)).await?;
        let found = reading.read(async |snapshot| profile::of(snapshot, account).await).await?;
        let Some(profile) = found else { return Ok(None) };
        let loaded = context.data::<Sides>()?.write.path.load::<Account>(&account.to_string()).await;
        let state = loaded.map_err(|error| unavailable(&error))?.state;
        Ok(Some(Self {
            id: GlobalId::Account(account).into(),
            username: profile.username,
            email: profile.email,
            email_verified: profile.email_verified,
            two_factor_enabled: state.two_factor(),
            two_factor_reset_due_at: state.two_factor_reset().map(|reset| reset.due_at),
            roles: state.roles().iter().map(|role| (*role).into()).collect(),
            created_at: profile.opened_at,
            account,
            reading,
        }))
    }
}
