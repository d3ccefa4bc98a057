//! The profile: what an account shows of itself, to its owner and to everybody (A01, A12, A17, A18).

use std::sync::Arc;

use async_trait::async_trait;
use atelier_domain::account::{AccountEvent, Avatar, Language};
use atelier_domain::policy::plan::Plan;
use atelier_domain::{AccountId, Envelope, LogEvent, Sealed};
use atelier_vault::IndexKind;
use atelier_vault::credential_rows::claims::{self, ClaimState};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::account_end::drop_rows;
use crate::read_row::{ReadRow, Rows};
use crate::runner::Projection;
use crate::snapshot::{ReadError, Snapshot};

/// The projection.
pub struct Profile;

/// Its name.
pub const NAME: &str = "Profile";

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    account_id: Uuid,
    email: Sealed,
    username: Sealed,
    display_name: Sealed,
    bio: Option<Sealed>,
    avatar: Option<Avatar>,
    public: bool,
    language: Language,
    email_verified: bool,
    plan: Plan,
    publish: bool,
    #[serde(serialize_with = "crate::carried::instant")]
    opened_at: DateTime<Utc>,
}

impl ReadRow for Row {
    type Key = Uuid;
    const TABLE: &'static str = "profile_v2";
    const KEY: &'static str = "account_id";
    const KEY_TYPE: &'static str = "uuid";

    fn key(&self) -> Uuid {
        self.account_id
    }
}

#[async_trait]
impl Projection for Profile {
    fn name(&self) -> &'static str {
        NAME
    }

    /// 2: renames, avatars, the public switch and the language came in.
    fn version(&self) -> i32 {
        2
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
            drop_rows(&mut rows, &envelope.event, |row, account| row.account_id == account.0);
            if let LogEvent::Account(account, event) = &envelope.event {
                fold(&mut rows, *account, event, envelope.decided_at);
            }
        }
        rows.save(connection).await
    }
}

fn fold(rows: &mut Rows<Row>, account: AccountId, event: &AccountEvent, at: DateTime<Utc>) {
    if let AccountEvent::AccountOpened { email, username, display_name, .. } = event {
        let sealed = (email.sealed(), username.sealed(), display_name.sealed());
        if let (Some(email), Some(username), Some(display_name)) = sealed {
            rows.put(Row {
                account_id: account.0,
                email: email.clone(),
                username: username.clone(),
                display_name: display_name.clone(),
                bio: None,
                avatar: None,
                public: true,
                language: Language::default(),
                email_verified: false,
                plan: Plan::Free,
                publish: true,
                opened_at: at,
            });
        }
        return;
    }
    let Some(row) = rows.get_mut(account.0) else { return };
    match event {
        AccountEvent::EmailVerified {} => row.email_verified = true,
        AccountEvent::EmailChanged { email } => {
            if let Some(sealed) = email.sealed() {
                (row.email, row.email_verified) = (sealed.clone(), false);
            }
        }
        AccountEvent::DisplayNameChanged { display_name } => {
            if let Some(sealed) = display_name.sealed() {
                row.display_name = sealed.clone();
            }
        }
        AccountEvent::UsernameChanged { username, .. } => {
            if let Some(sealed) = username.sealed() {
                row.username = sealed.clone();
            }
        }
        AccountEvent::BioChanged { bio } => row.bio = bio.sealed().cloned(),
        AccountEvent::AvatarChanged { avatar } => row.avatar = Some(avatar.clone()),
        AccountEvent::AvatarRemoved {} => row.avatar = None,
        AccountEvent::PublicProfileChanged { public } => row.public = *public,
        AccountEvent::LanguageChanged { language } => row.language = *language,
        AccountEvent::PublishPreferenceChanged { publish } => row.publish = *publish,
        AccountEvent::PlanAssigned { plan } => row.plan = *plan,
        AccountEvent::AccountOpened { .. }
        | AccountEvent::AccountAbandoned {}
        | AccountEvent::SessionStarted { .. }
        | AccountEvent::SessionEnded { .. }
        | AccountEvent::ApiKeyCreated { .. }
        | AccountEvent::ApiKeyRevoked { .. }
        | AccountEvent::NotificationPreferenceChanged { .. }
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
        | AccountEvent::ApiKeyExpiryChanged { .. }
        | AccountEvent::ApiKeyExpired { .. }
        | AccountEvent::RoleGranted { .. }
        | AccountEvent::RoleWithdrawn { .. }
        | AccountEvent::StaffActionRecorded { .. }
        | AccountEvent::DataExportRequested { .. }
        | AccountEvent::DataExportReady { .. }
        | AccountEvent::DataExportFailed { .. }
        | AccountEvent::AccountDeletionRequested { .. }
        | AccountEvent::AccountErased { .. } => {}
    }
}

/// A profile, opened for whoever may see it. An erased field is `None`.
#[derive(Debug, Clone)]
pub struct ProfileView {
    /// Whose.
    pub account: AccountId,
    /// For the owner only.
    pub email: Option<String>,
    /// The handle.
    pub username: Option<String>,
    /// The name shown.
    pub display_name: Option<String>,
    /// The biography; `None` when there is none.
    pub bio: Option<String>,
    /// The avatar; `None` when there is none.
    pub avatar: Option<Avatar>,
    /// Whether others see the profile (V05).
    pub public: bool,
    /// For the owner only: the language of mails.
    pub language: Language,
    /// For the owner only.
    pub email_verified: bool,
    /// For the owner only.
    pub plan: Plan,
    /// For the owner only.
    pub publish: bool,
    /// When the account was opened.
    pub opened_at: DateTime<Utc>,
}

/// An account's profile; `None` when there is no such account.
///
/// # Errors
/// `Quarantined`; or when the database failed or a sealed value cannot be opened.
pub async fn of(snapshot: &mut Snapshot, account: AccountId) -> Result<Option<ProfileView>, ReadError> {
    snapshot.whole(NAME, account).await?;
    Ok(find(snapshot, &[account]).await?.into_iter().next())
}

/// The profiles of these accounts, in one statement; those that do not exist are left out, and those in quarantine.
///
/// # Errors
/// When the database failed or a sealed value cannot be opened.
pub async fn find(snapshot: &mut Snapshot, accounts: &[AccountId]) -> Result<Vec<ProfileView>, ReadError> {
    let left_out = snapshot.left_out(NAME, accounts).await?;
    let rows = snapshot.rows::<Row>(accounts.iter().map(|account| account.0)).await?;
    let mut found = Vec::new();
    for account in accounts.iter().filter(|account| !left_out.contains(account)) {
        let Some(row) = rows.get(account.0) else { continue };
        let bio = match &row.bio {
            Some(bio) => snapshot.open(*account, "bio", bio).await?.filter(|bio| !bio.is_empty()),
            None => None,
        };
        found.push(ProfileView {
            account: *account,
            email: snapshot.open(*account, "email", &row.email).await?,
            username: snapshot.open(*account, "username", &row.username).await?,
            display_name: snapshot.open(*account, "display_name", &row.display_name).await?,
            bio,
            avatar: row.avatar.clone(),
            public: row.public,
            language: row.language,
            email_verified: row.email_verified,
            plan: row.plan,
            publish: row.publish,
            opened_at: row.opened_at,
        });
    }
    Ok(found)
}

/// Whose username this is, or was until less than 90 days ago (U29); found by its keyed digest, because the name itself is sealed.
///
/// # Errors
/// `Quarantined`, where only the profile could tell; or when the database failed or a sealed value cannot be opened.
pub async fn account_of(
    snapshot: &mut Snapshot,
    username: &str,
    now: DateTime<Utc>,
) -> Result<Option<AccountId>, ReadError> {
    let folded = username.to_ascii_lowercase();
    let digest = snapshot.models.blind_index.digest(IndexKind::Username, &folded);
    let Some(claim) = claims::find(&mut *snapshot.connection(), &digest).await? else { return Ok(None) };
    let found = match claim.state {
        ClaimState::Held => true,
        ClaimState::Released => claim.redirects(now),
        // A rename took it: it is the account's once its event is there.
        ClaimState::Pending => {
            let profile = of(snapshot, claim.account).await?;
            claim.redirects(now) || profile.is_some_and(|profile| profile.username.as_ref() == Some(&folded))
        }
    };
    Ok(found.then_some(claim.account))
}
