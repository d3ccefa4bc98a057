//! What staff do to somebody's account, each with a reason that its owner can read (A13, U36, sec.A2). The rules are in
//! `commands/src/use_cases/staff_desk.rs`: the role by the account's own state, a second factor, a fresh proof, and nobody's own account.

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_commands::use_cases::{
    Desk, ResetRequested, Right, StaffChangeEmail, StaffEndSessions, StaffGrantRole, StaffResetTwoFactor,
    StaffRevokeApiKey, StaffViewAccount, StaffWithdrawRole, Whom, two_factor_reset_due_at,
};
use atelier_commands::{Named, Refusal};
use atelier_domain::{AccountId, Invalid, Reason};
use chrono::{DateTime, Utc};

use crate::Sides;
use crate::error::command_fault;
use crate::global_id;
use crate::once::{Done, Once};
use crate::payload::{UserErrors, payload};
use crate::staff::{Role, StaffAccountView, desk};

/// The mutations of this room.
#[derive(Default)]
pub struct StaffMutation;

/// What `staffViewAccount` takes.
#[derive(InputObject)]
pub struct StaffViewAccountInput {
    /// The account's id; or one of the next two.
    account_id: Option<ID>,
    /// Its address.
    email: Option<String>,
    /// Its handle.
    username: Option<String>,
    /// Why, 1 to 500 characters; the account's owner can read it.
    reason: String,
}

payload! {
    /// The account. The look is on record, with its reason.
    StaffViewAccountPayload {
        /// What support needs of it.
        account: Result<StaffAccountView>,
    }
}

/// What `staffChangeEmail` takes.
#[derive(InputObject)]
pub struct StaffChangeEmailInput {
    /// The account.
    account_id: ID,
    /// The new address.
    email: String,
    /// Why, 1 to 500 characters; the account's owner can read it.
    reason: String,
}

payload! {
    /// The account has another address, which its owner proves by the mail sent there. Its sessions have ended.
    StaffChangeEmailPayload {}
}

/// What `staffResetTwoFactor` takes.
#[derive(InputObject)]
pub struct StaffResetTwoFactorInput {
    /// The account.
    account_id: ID,
    /// Why, 1 to 500 characters; the account's owner can read it.
    reason: String,
}

payload! {
    /// The second factor goes off in a day, unless its owner says no.
    StaffResetTwoFactorPayload {
        /// When.
        due_at: DateTime<Utc>,
    }
}

/// What `staffEndSessions` takes.
#[derive(InputObject)]
pub struct StaffEndSessionsInput {
    /// The account.
    account_id: ID,
    /// The session; all of them when none is named.
    session_id: Option<ID>,
    /// Why, 1 to 500 characters; the account's owner can read it.
    reason: String,
}

payload! {
    /// The sessions no longer count.
    StaffEndSessionsPayload {}
}

/// What `staffRevokeApiKey` takes.
#[derive(InputObject)]
pub struct StaffRevokeApiKeyInput {
    /// The account.
    account_id: ID,
    /// The key.
    api_key_id: ID,
    /// Why, 1 to 500 characters; the account's owner can read it.
    reason: String,
}

payload! {
    /// The key no longer counts.
    StaffRevokeApiKeyPayload {}
}

/// What `staffGrantRole` takes.
#[derive(InputObject)]
pub struct StaffGrantRoleInput {
    /// The account.
    account_id: ID,
    /// The role.
    role: Role,
    /// Why, 1 to 500 characters; the account's owner can read it.
    reason: String,
}

payload! {
    /// The account has the role; its sessions have ended, and the next ones end after 12 hours without use.
    StaffGrantRolePayload {}
}

/// What `staffWithdrawRole` takes.
#[derive(InputObject)]
pub struct StaffWithdrawRoleInput {
    /// The account.
    account_id: ID,
    /// The role.
    role: Role,
    /// Why, 1 to 500 characters; the account's owner can read it.
    reason: String,
}

payload! {
    /// The account has the role no more; its sessions have ended.
    StaffWithdrawRolePayload {}
}

/// The desk and the account: who may not is told so before the input is looked at.
async fn ordered(
    context: &Context<'_>,
    right: Right,
    account: &ID,
) -> Result<std::result::Result<(Desk, Named<AccountId>, Once), UserErrors>> {
    let desk = match desk(context, right).await? {
        Ok(desk) => desk,
        Err(error) => return Ok(Err(error)),
    };
    Ok(Ok((desk, global_id::account("account_id", account), Once::of(context)?)))
}

fn whom(input: &StaffViewAccountInput) -> Named<Whom> {
    match (&input.account_id, &input.email, &input.username) {
        (Some(id), None, None) => global_id::account("account_id", id).map(Whom::Account),
        (None, Some(email), None) => Whom::of_email(email),
        (None, None, Some(username)) => Whom::of_username(username),
        _ => {
            let invalid = Invalid::new(Reason::ExactlyOne, "or the email address or the username must be given alone");
            Err(Refusal::value("account_id", invalid))
        }
    }
}

#[Object]
impl StaffMutation {
    /// Looks at an account: what only its owner sees otherwise. For support and admins.
    async fn staff_view_account(
        &self,
        context: &Context<'_>,
        input: StaffViewAccountInput,
    ) -> Result<StaffViewAccountPayload> {
        let sides = context.data::<Sides>()?;
        let desk = match desk(context, Right::Help).await? {
            Ok(desk) => desk,
            Err(error) => return Ok(StaffViewAccountPayload::refused(error)),
        };
        let once = Once::of(context)?;
        let use_case = StaffViewAccount { desk, whom: whom(&input), reason: input.reason };
        match once.run(context, use_case.run(&sides.write, &once.command)).await? {
            Ok(done) => {
                let (account, position) = match done {
                    Done::Now((account, position)) => (Some(account), position),
                    Done::Before { result, position } => (result.parse().ok(), position),
                };
                let position = sides.read.token(position);
                // What is not asked for is not read: the snapshot is one of what is.
                let account = match account.filter(|_| context.look_ahead().field("account").exists()) {
                    Some(account) => StaffAccountView::read(context, account, &position).await.transpose(),
                    None => None,
                };
                Ok(StaffViewAccountPayload { account, position: Some(position), ..Default::default() })
            }
            Err(error) => Ok(StaffViewAccountPayload::refused(error)),
        }
    }

    /// Gives an account another address; both are told. For support and admins.
    async fn staff_change_email(
        &self,
        context: &Context<'_>,
        input: StaffChangeEmailInput,
    ) -> Result<StaffChangeEmailPayload> {
        let sides = context.data::<Sides>()?;
        let (desk, account, once) = match ordered(context, Right::Help, &input.account_id).await? {
            Ok(ordered) => ordered,
            Err(error) => return Ok(StaffChangeEmailPayload::refused(error)),
        };
        let use_case = StaffChangeEmail { desk, account, email: input.email, reason: input.reason };
        Ok(match once.at(context, use_case.run(&sides.write, &once.command)).await? {
            Ok(position) => {
                StaffChangeEmailPayload { position: Some(sides.read.token(position)), ..Default::default() }
            }
            Err(error) => StaffChangeEmailPayload::refused(error),
        })
    }

    /// Asks for a lost second factor to be turned off. Its owner is told at once and has a day to say no. For support and admins.
    async fn staff_reset_two_factor(
        &self,
        context: &Context<'_>,
        input: StaffResetTwoFactorInput,
    ) -> Result<StaffResetTwoFactorPayload> {
        let sides = context.data::<Sides>()?;
        let (desk, account, once) = match ordered(context, Right::Help, &input.account_id).await? {
            Ok(ordered) => ordered,
            Err(error) => return Ok(StaffResetTwoFactorPayload::refused(error)),
        };
        let use_case = StaffResetTwoFactor { desk, account, reason: input.reason };
        let meant = use_case.account.clone();
        Ok(match once.run(context, use_case.run(&sides.write, &once.command)).await? {
            Ok(done) => {
                let ResetRequested { position, due_at } = match (done, meant) {
                    (Done::Now(requested), _) => requested,
                    (Done::Before { position, .. }, Ok(account)) => {
                        let due_at = two_factor_reset_due_at(&sides.write, account).await;
                        ResetRequested { position, due_at: due_at.map_err(|fault| command_fault(&fault))? }
                    }
                    (Done::Before { position, .. }, Err(_)) => ResetRequested { position, due_at: None },
                };
                StaffResetTwoFactorPayload { position: Some(sides.read.token(position)), due_at, ..Default::default() }
            }
            Err(error) => StaffResetTwoFactorPayload::refused(error),
        })
    }

    /// Ends one session of an account, or all. For support and admins.
    async fn staff_end_sessions(
        &self,
        context: &Context<'_>,
        input: StaffEndSessionsInput,
    ) -> Result<StaffEndSessionsPayload> {
        let sides = context.data::<Sides>()?;
        let (desk, account, once) = match ordered(context, Right::Help, &input.account_id).await? {
            Ok(ordered) => ordered,
            Err(error) => return Ok(StaffEndSessionsPayload::refused(error)),
        };
        let session = input.session_id.as_ref().map(|id| global_id::session("session_id", id));
        let use_case = StaffEndSessions { desk, account, session, reason: input.reason };
        Ok(match once.at(context, use_case.run(&sides.write, &once.command)).await? {
            Ok(position) => {
                StaffEndSessionsPayload { position: Some(sides.read.token(position)), ..Default::default() }
            }
            Err(error) => StaffEndSessionsPayload::refused(error),
        })
    }

    /// Revokes a key of an account for ever. For support and admins.
    async fn staff_revoke_api_key(
        &self,
        context: &Context<'_>,
        input: StaffRevokeApiKeyInput,
    ) -> Result<StaffRevokeApiKeyPayload> {
        let sides = context.data::<Sides>()?;
        let (desk, account, once) = match ordered(context, Right::Help, &input.account_id).await? {
            Ok(ordered) => ordered,
            Err(error) => return Ok(StaffRevokeApiKeyPayload::refused(error)),
        };
        let key = global_id::api_key("api_key_id", &input.api_key_id);
        let use_case = StaffRevokeApiKey { desk, account, key, reason: input.reason };
        Ok(match once.at(context, use_case.run(&sides.write, &once.command)).await? {
            Ok(position) => {
                StaffRevokeApiKeyPayload { position: Some(sides.read.token(position)), ..Default::default() }
            }
            Err(error) => StaffRevokeApiKeyPayload::refused(error),
        })
    }

    /// Grants a role to an account whose address is proven. For admins.
    async fn staff_grant_role(
        &self,
        context: &Context<'_>,
        input: StaffGrantRoleInput,
    ) -> Result<StaffGrantRolePayload> {
        let sides = context.data::<Sides>()?;
        let (desk, account, once) = match ordered(context, Right::Appoint, &input.account_id).await? {
            Ok(ordered) => ordered,
            Err(error) => return Ok(StaffGrantRolePayload::refused(error)),
        };
        let use_case = StaffGrantRole { desk, account, role: input.role.into(), reason: input.reason };
        let changed = async { use_case.run(&sides.write, &once.command).await.map(|(position, _)| position) };
        Ok(match once.at(context, changed).await? {
            Ok(position) => StaffGrantRolePayload { position: Some(sides.read.token(position)), ..Default::default() },
            Err(error) => StaffGrantRolePayload::refused(error),
        })
    }

    /// Withdraws a role, in effect on the very next request. For admins; the last one stays.
    async fn staff_withdraw_role(
        &self,
        context: &Context<'_>,
        input: StaffWithdrawRoleInput,
    ) -> Result<StaffWithdrawRolePayload> {
        let sides = context.data::<Sides>()?;
        let (desk, account, once) = match ordered(context, Right::Appoint, &input.account_id).await? {
            Ok(ordered) => ordered,
            Err(error) => return Ok(StaffWithdrawRolePayload::refused(error)),
        };
        let use_case = StaffWithdrawRole { desk, account, role: input.role.into(), reason: input.reason };
        let changed = async { use_case.run(&sides.write, &once.command).await.map(|(position, _)| position) };
        Ok(match once.at(context, changed).await? {
            Ok(position) => {
                StaffWithdrawRolePayload { position: Some(sides.read.token(position)), ..Default::default() }
            }
            Err(error) => StaffWithdrawRolePayload::refused(error),
        })
    }
}
