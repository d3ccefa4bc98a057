//! Who may do what to whose account, as staff (A13, sec.A1, sec.A2). The rules, all of them here:
//!
//! - A role counts by the account's own state, read from the log at every request: withdrawn, it is no right at the very next one.
//! - A role counts only while the account's second factor is on, and what changes anything takes a fresh proof too (the edge sees to it).
//! - Support helps accounts without roles; only an admin acts on accounts that have one. Nobody acts on their own account, but that an
//!   admin may give their own role up, unless it is the last.
//! - An auditor reads and changes nothing. An admin grants and withdraws roles, and reads no ledger for it.
//! - Whoever has no role is told so before anything about the account in question is looked at.
//!
//! What is not promised: the right and the other account are two streams, so a role that is withdrawn while a request of its holder is
//! already past this desk does not stop that request. The same holds for a role that the other account is given at that moment.

use atelier_domain::account::{Account, Role, StaffOrder, Status};
use atelier_domain::text::{Email, StaffReason, Username};
use atelier_domain::{AccountId, Reason};
use atelier_vault::credential_rows::claims::{self, ClaimState};
use atelier_vault::credential_rows::staff_roles;

use super::account_claims::username_digest;
use super::address_lookup::{Looked, look_up};
use super::{address_claims, rename_claims};
use crate::refusal::{Named, Refusal, RefusalCode, UseCaseError, in_field};
use crate::throttle::{self, Bucket, Rule};
use crate::write_side::WriteSide;

/// What somebody wants to do as staff.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Look at an account and help its owner: support and admins.
    Help,
    /// Grant and withdraw roles: admins.
    Appoint,
    /// Read ledgers and histories: auditors.
    Audit,
}

impl Right {
    const fn roles(self) -> &'static [Role] {
        match self {
            Self::Help => &[Role::Support, Role::Admin],
            Self::Appoint => &[Role::Admin],
            Self::Audit => &[Role::Auditor],
        }
    }
}

/// Somebody whose right was looked at, for one request.
#[derive(Debug, Clone, Copy)]
pub struct Desk {
    staff: Option<AccountId>,
    admin: bool,
}

/// Which account is meant.
#[derive(Clone)]
pub enum Whom {
    /// By its id.
    Account(AccountId),
    /// By its address.
    Email(Email),
    /// By its handle.
    Username(Username),
}

impl Whom {
    /// By an address.
    ///
    /// # Errors
    /// The refusal of `email`.
    pub fn of_email(text: &str) -> Named<Self> {
        in_field("email", Email::parse(text)).map(Self::Email)
    }

    /// By a handle.
    ///
    /// # Errors
    /// The refusal of `username`.
    pub fn of_username(text: &str) -> Named<Self> {
        in_field("username", Username::parse(text)).map(Self::Username)
    }

    const fn field(&self) -> &'static str {
        match self {
            Self::Account(_) => "account_id",
            Self::Email(_) => "email",
            Self::Username(_) => "username",
        }
    }
}

/// Why somebody of the staff wants something, as they wrote it.
pub(super) fn reasoned(reason: &str) -> Named<StaffReason> {
    in_field("reason", StaffReason::parse(reason))
}

fn forbidden(message: &str) -> UseCaseError {
    Refusal::new(RefusalCode::Forbidden, message).into()
}

/// The state of an account, as the log has it.
pub(super) async fn state(write: &WriteSide, account: AccountId) -> Result<Account, UseCaseError> {
    Ok(write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?.state)
}

impl Desk {
    /// Lets somebody in who has the right.
    ///
    /// # Errors
    /// `forbidden` without the role; `two_factor_required`; the log's failures.
    pub async fn admit(write: &WriteSide, account: AccountId, right: Right) -> Result<Self, UseCaseError> {
        let who = state(write, account).await?;
        if who.status() != Status::Open || !right.roles().iter().any(|role| who.has_role(*role)) {
            return Err(forbidden("This takes a role that your account does not have."));
        }
        if !who.email_verified() {
            let message = "Prove your address first: a role counts only with it.";
            return Err(Refusal::new(RefusalCode::EmailNotVerified, message).into());
        }
        if !who.two_factor() {
            let message = "Turn two-factor authentication on first: a role counts only with it.";
            return Err(Refusal::new(RefusalCode::TwoFactorRequired, message).into());
        }
        Ok(Self { staff: Some(account), admin: who.has_role(Role::Admin) })
    }

    /// The operator at the console: whoever holds the database and the keys needs no account, and is nobody's colleague. What they do is
    /// recorded without a staff member, its events have the actor `operator`.
    #[must_use]
    pub const fn console() -> Self {
        Self { staff: None, admin: true }
    }

    /// Who it is; nobody for the console.
    #[must_use]
    pub const fn staff(&self) -> Option<AccountId> {
        self.staff
    }

    /// The same right, for what one may do to oneself.
    pub(super) const fn as_colleague(self) -> Self {
        Self { staff: None, ..self }
    }

    /// Counts a request of staff, so that a session that was taken over does not read every account (sec.R5).
    pub(super) async fn count(&self, write: &WriteSide) -> Result<(), UseCaseError> {
        let Some(staff) = self.staff else { return Ok(()) };
        let bucket = Bucket::of(write, Rule::StaffRequest, &[staff.0.as_bytes()]);
        throttle::count(write, vec![bucket], Some(staff)).await.map(drop)
    }

    /// The open account that is meant, if this desk may act on it; with what is recorded of it. Counted before anything is looked for (sec.R5).
    ///
    /// # Errors
    /// `rate_limited`; `not_found`; `forbidden` for one's own account, and for a holder of roles when this
    /// is not an admin.
    pub(super) async fn opens(
        &self,
        write: &WriteSide,
        account: AccountId,
        reason: StaffReason,
    ) -> Result<(Account, StaffOrder), UseCaseError> {
        self.count(write).await?;
        self.opens_for(write, account, reason).await
    }

    /// As [`Self::opens`], for a request that was counted.
    pub(super) async fn opens_for(
        &self,
        write: &WriteSide,
        account: AccountId,
        reason: StaffReason,
    ) -> Result<(Account, StaffOrder), UseCaseError> {
        if self.staff == Some(account) {
            return Err(forbidden("Nobody acts on their own account; ask a colleague."));
        }
        let state = state(write, account).await?;
        if state.status() != Status::Open {
            return Err(Refusal::coded(
                RefusalCode::NotFound,
                "account_id",
                Reason::Unknown,
                "There is no such account.",
            )
            .into());
        }
        if !state.roles().is_empty() && !self.admin {
            return Err(forbidden("Only an admin acts on an account that has a role."));
        }
        Ok((state, StaffOrder { staff: self.staff, reason }))
    }
}

/// Somebody with roles, as `atelier staff list` shows them.
#[derive(Debug, Clone)]
pub struct Member {
    /// The account.
    pub account: AccountId,
    /// Its handle; none once it is erased.
    pub username: Option<Username>,
    /// Its roles.
    pub roles: Vec<Role>,
    /// Whether its second factor is on: without it the roles do not count.
    pub two_factor: bool,
}

/// Everybody who has roles, at most `staff_roles::MOST`, with what their own state says. For the operator.
///
/// # Errors
/// When the rows or the log cannot be read.
pub async fn roll(write: &WriteSide) -> Result<Vec<Member>, UseCaseError> {
    let mut roll = Vec::new();
    for holder in staff_roles::holders(&write.pool, None, None, staff_roles::MOST).await? {
        let state = state(write, holder.account).await?;
        let username = rename_claims::current(write, holder.account).await?;
        let roles = state.roles().iter().copied().collect();
        roll.push(Member { account: holder.account, username, roles, two_factor: state.two_factor() });
    }
    Ok(roll)
}

/// Up to `limit` accounts that have roles now, by their ids; those after one, if it is given.
///
/// # Errors
/// When the rows or the log cannot be read.
pub async fn members(
    write: &WriteSide,
    after: Option<AccountId>,
    limit: usize,
) -> Result<Vec<(AccountId, Vec<Role>)>, UseCaseError> {
    let limit = i64::try_from(limit).unwrap_or(staff_roles::MOST).min(staff_roles::MOST);
    let holders = staff_roles::holders(&write.pool, None, after, limit).await?;
    Ok(holders.into_iter().map(|holder| (holder.account, holder.roles.into_iter().collect())).collect())
}

/// The account that is meant. A handle that was given up lately finds it too.
///
/// # Errors
/// `not_found`.
pub async fn find(write: &WriteSide, whom: &Whom) -> Result<AccountId, UseCaseError> {
    let message = "There is no such account.";
    let unknown = || UseCaseError::from(Refusal::coded(RefusalCode::NotFound, whom.field(), Reason::Unknown, message));
    match whom {
        Whom::Account(account) => Ok(*account),
        Whom::Email(email) => {
            let Looked { index: digest, claim } = look_up(write, email.as_ref()).await?;
            let claim = claim.ok_or_else(unknown)?;
            // A claim that is on its way, or was left by a death, is not yet, or no more, the account's address.
            let address = address_claims::current(write, claim.account, &state(write, claim.account).await?).await?;
            if address == Some(digest) { Ok(claim.account) } else { Err(unknown()) }
        }
        Whom::Username(username) => {
            let digest = username_digest(write, username);
            let claim = claims::find(&write.pool, &digest).await?.ok_or_else(unknown)?;
            let counts = match claim.state {
                ClaimState::Held => true,
                ClaimState::Released | ClaimState::Pending => claim.redirects(write.now()),
            };
            if counts { Ok(claim.account) } else { Err(unknown()) }
        }
    }
}
