//! What an account decides.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::aggregate::{MAX_API_KEYS, MAX_IDENTITIES, MAX_SESSIONS};
use super::{
    Account, AccountCommand, AccountError, AccountEvent, IdentityProvider, KeyExpiry, KeyRecord, NewApiKey,
    NewIdentity, NotificationChoice, PasswordVia, Replaced, Role, SameTexts, SessionEnd, StaffAction, StaffCommand,
    StaffOrder, Status, TwoFactorEnd,
};
use crate::policy::account::{
    CONSENT_TEXT, DELETION_POLICY, EMAIL_CHANGE_ENDS_SESSIONS, MINIMUM_AGE, TWO_FACTOR_RESET_DELAY,
};
use crate::policy::plan::Plan;
use crate::text::{Bio, DisplayName, Email, KeyLabel, Username};
use crate::{ApiKeyId, Decide, IdentityId, Personal, Sealed, SessionId};

type Decided = Result<Vec<AccountEvent>, AccountError>;

impl Decide for Account {
    /// 2: addresses, keys and everything about identity came into the state. 3: resets of a lost second factor.
    /// 4: how many keys were made, and the ends they were made with.
    /// 5: name and biography, so that what does not change them is not written.
    /// 6: the claim of an address comes with its proof.
    const STATE_FORM: &'static str = "6";

    fn decide(&self, command: AccountCommand) -> Decided {
        match (self.status, command) {
            (Status::New, AccountCommand::Open { email, username, minimum_age, vouched_by }) => {
                if minimum_age < MINIMUM_AGE {
                    return Err(AccountError::TooYoung(MINIMUM_AGE));
                }
                let display_name = DisplayName::parse(username.as_ref())
                    .expect("a username of 3-30 ASCII characters is a display name");
                let verified = vouched_by.as_ref().is_some_and(|identity| identity.vouches_for_address);
                let opened = AccountEvent::AccountOpened {
                    email: Personal::Open(email),
                    username: Personal::Open(username),
                    display_name: Personal::Open(display_name),
                    minimum_age: Some(minimum_age),
                    address_claimed: verified,
                    has_password: vouched_by.is_none(),
                };
                let linked = vouched_by.map(linked);
                let verified = verified.then_some(AccountEvent::EmailVerified {});
                Ok([opened].into_iter().chain(linked).chain(verified).collect())
            }
            (Status::New, AccountCommand::Abandon) => Ok(vec![AccountEvent::AccountAbandoned {}]),
            (Status::Abandoned, AccountCommand::Abandon)
            | (Status::Deleting | Status::Erased, AccountCommand::RequestDeletion | AccountCommand::EndUnproven)
            | (Status::Erased, AccountCommand::Erase { .. }) => Ok(Vec::new()),
            (Status::Deleting, AccountCommand::Erase { keys }) => {
                Ok(vec![AccountEvent::AccountErased { policy_version: DELETION_POLICY, keys }])
            }
            (_, AccountCommand::Open { .. } | AccountCommand::Abandon) => Err(AccountError::AlreadyUsed),
            (Status::Open, command) => self.decide_open(command),
            (Status::New | Status::Abandoned | Status::Deleting | Status::Erased, _) => Err(AccountError::NotOpen),
        }
    }

    fn heap_bytes(&self) -> usize {
        let labels =
            |key: &KeyRecord| key.label.as_ref().map_or(0, |label| label.as_text().len()) + key.scopes.capacity();
        // Twice the entries: the nodes of a B-tree are about half full.
        2 * (self.sessions.len() * size_of::<(SessionId, DateTime<Utc>)>()
            + self.api_keys.len() * size_of::<(ApiKeyId, KeyRecord)>()
            + self.identities.len() * size_of::<(IdentityId, IdentityProvider)>())
            + self.api_keys.values().map(labels).sum::<usize>()
            + [self.email(), self.display_name(), self.bio()].into_iter().flatten().map(|text| text.as_text().len()).sum::<usize>()
            + self.two_factor_reset.as_ref().and_then(|reset| reset.reason.as_ref()).map_or(0, |why| why.as_text().len())
            + self.avatar.as_ref().map_or(0, |avatar| avatar.media_type.capacity() + avatar.sizes.capacity() * size_of::<u32>())
            // Ten switches and three roles at most, in small nodes.
            + 32 * (self.notifications.len() + self.roles.len())
    }
}

impl Account {
    fn decide_open(&self, command: AccountCommand) -> Decided {
        match command {
            AccountCommand::Open { .. } | AccountCommand::Abandon => Err(AccountError::AlreadyUsed),
            AccountCommand::Erase { .. } => Err(AccountError::DeletionNotRequested),
            AccountCommand::VerifyEmail { address } | AccountCommand::VerifyEmailAfresh { address }
                if address.is_some() && address != self.email =>
            {
                Err(AccountError::AnotherAddress)
            }
            AccountCommand::VerifyEmail { .. } => Ok(unless(self.email_verified, AccountEvent::EmailVerified {})),
            AccountCommand::VerifyEmailAfresh { .. } => Ok(self.verify_afresh()),
            AccountCommand::EndUnproven if self.was_verified => Err(AccountError::AddressProven),
            AccountCommand::EndUnproven => Ok(self.request_deletion()),
            AccountCommand::UpdateProfile { display_name, bio, same } => {
                Ok(self.update_profile(display_name, bio, &same))
            }
            AccountCommand::ChangeUsername { unchanged: true, .. } => Ok(Vec::new()),
            AccountCommand::ChangeUsername { username, now, .. } => self.change_username(username, now),
            AccountCommand::SetAvatar { avatar } => {
                Ok(unless(self.avatar.as_ref() == Some(&avatar), AccountEvent::AvatarChanged { avatar }))
            }
            AccountCommand::RemoveAvatar => Ok(unless(self.avatar.is_none(), AccountEvent::AvatarRemoved {})),
            AccountCommand::SetPublicProfile { public } => {
                Ok(unless(public == self.public, AccountEvent::PublicProfileChanged { public }))
            }
            AccountCommand::SetLanguage { language } => {
                Ok(unless(language == self.language, AccountEvent::LanguageChanged { language }))
            }
            AccountCommand::SetNotifications { choices } => Ok(self.set_notifications(&choices)),
            AccountCommand::SetPublishToExplore { publish } => {
                if !publish && !self.plan.allows_private_generations() {
                    return Err(AccountError::PlanRequired);
                }
                Ok(unless(publish == self.publish, AccountEvent::PublishPreferenceChanged { publish }))
            }
            AccountCommand::AssignPlan { plan } => Ok(self.assign_plan(plan)),
            AccountCommand::RequestDataExport { export_id } => match self.export {
                Some(under_way) if under_way == export_id => Ok(Vec::new()),
                Some(_) => Err(AccountError::ExportUnderWay),
                None => Ok(vec![AccountEvent::DataExportRequested { export_id }]),
            },
            AccountCommand::FinishDataExport { export_id, expires_at } => {
                let ready = AccountEvent::DataExportReady { export_id, expires_at };
                Ok(unless(self.export != Some(export_id), ready))
            }
            AccountCommand::FailDataExport { export_id } => {
                Ok(unless(self.export != Some(export_id), AccountEvent::DataExportFailed { export_id }))
            }
            AccountCommand::RequestDeletion => Ok(self.request_deletion()),
            AccountCommand::GrantRole { role } => Ok(self.grant(role)),
            AccountCommand::WithdrawRole { role } => Ok(self.withdraw(role)),
            AccountCommand::ByStaff { order, command } => self.by_staff(order, command),
            AccountCommand::StartSession { session_id, expires_at, now } => {
                self.start_session(session_id, expires_at, now)
            }
            AccountCommand::EndSession { session_id, reason } => Ok(self.end_session(session_id, reason)),
            AccountCommand::EndSessions { except, reason } => Ok(self.end_sessions(except, reason)),
            AccountCommand::RequestPasswordReset => Ok(vec![AccountEvent::PasswordResetRequested {}]),
            AccountCommand::ChangePassword { via, except } => Ok(self.change_password(via, except)),
            AccountCommand::LinkIdentity { identity } => self.link_identity(identity),
            AccountCommand::UnlinkIdentity { identity_id } => self.unlink_identity(identity_id),
            AccountCommand::EnableTwoFactor if self.two_factor => Err(AccountError::TwoFactorOn),
            AccountCommand::EnableTwoFactor => Ok(vec![AccountEvent::TwoFactorEnabled {}]),
            AccountCommand::DisableTwoFactor => {
                Ok(unless(!self.two_factor, AccountEvent::TwoFactorDisabled { by: TwoFactorEnd::Owner }))
            }
            AccountCommand::StopTwoFactorReset => {
                Ok(unless(self.two_factor_reset.is_none(), AccountEvent::TwoFactorResetStopped {}))
            }
            AccountCommand::RenewRecoveryCodes if self.two_factor => Ok(vec![AccountEvent::RecoveryCodesRenewed {}]),
            AccountCommand::UseRecoveryCode if self.two_factor => Ok(vec![AccountEvent::RecoveryCodeUsed {}]),
            AccountCommand::RenewRecoveryCodes | AccountCommand::UseRecoveryCode => Err(AccountError::TwoFactorOff),
            AccountCommand::CreateApiKey { key, now } => self.create_api_key(key, now),
            AccountCommand::RevokeApiKey { key_id } => Ok(self.revoke_api_key(key_id)),
        }
    }

    /// A text that says the same as the stored one is no change. If another request has replaced that one meanwhile, it is.
    fn update_profile(&self, name: Option<DisplayName>, bio: Option<Bio>, same: &SameTexts) -> Vec<AccountEvent> {
        let is_same = |stored: &Option<Sealed>, same: &Option<Sealed>| stored.is_some() && stored == same;
        let name = name.filter(|_| !is_same(&self.display_name, &same.display_name));
        let none_yet = |bio: &Bio| self.bio.is_none() && bio.as_ref().is_empty();
        let bio = bio.filter(|bio| !is_same(&self.bio, &same.bio) && !none_yet(bio));
        let name = name.map(|name| AccountEvent::DisplayNameChanged { display_name: Personal::Open(name) });
        let bio = bio.map(|bio| AccountEvent::BioChanged { bio: Personal::Open(bio) });
        name.into_iter().chain(bio).collect()
    }

    /// An account that was proven before keeps its second factor and its identities, as it does by a reset.
    fn verify_afresh(&self) -> Vec<AccountEvent> {
        if self.email_verified {
            return Vec::new();
        }
        let mut events = self.end_sessions(None, SessionEnd::PasswordChanged);
        if !self.was_verified {
            let unlinked =
                self.identities.keys().map(|&identity_id| AccountEvent::ExternalIdentityUnlinked { identity_id });
            events.extend(unlinked);
            events.extend(unless(!self.two_factor, AccountEvent::TwoFactorDisabled { by: TwoFactorEnd::Owner }));
        }
        events.push(AccountEvent::EmailVerified {});
        events
    }

    fn change_username(&self, username: Username, now: DateTime<Utc>) -> Decided {
        match self.username_changeable_at().filter(|until| now < *until) {
            Some(until) => Err(AccountError::RenamedRecently(until)),
            None => Ok(vec![AccountEvent::UsernameChanged { username: Personal::Open(username), changed_at: now }]),
        }
    }

    fn change_password(&self, via: PasswordVia, except: Option<SessionId>) -> Vec<AccountEvent> {
        let changed = [AccountEvent::PasswordChanged { via }];
        changed.into_iter().chain(self.end_sessions(except, SessionEnd::PasswordChanged)).collect()
    }

    fn link_identity(&self, identity: NewIdentity) -> Decided {
        if self.identities.contains_key(&identity.identity_id) {
            return Ok(Vec::new());
        }
        if self.identities.len() >= MAX_IDENTITIES {
            return Err(AccountError::TooManyIdentities(MAX_IDENTITIES));
        }
        Ok(vec![linked(identity)])
    }

    fn unlink_identity(&self, identity_id: IdentityId) -> Decided {
        if self.identities.contains_key(&identity_id) && !self.has_password && self.identities.len() == 1 {
            return Err(AccountError::LastWayIn);
        }
        let known = self.identities.contains_key(&identity_id);
        Ok(unless(!known, AccountEvent::ExternalIdentityUnlinked { identity_id }))
    }

    fn create_api_key(&self, key: NewApiKey, now: DateTime<Utc>) -> Decided {
        let expires_at = key.expires_at.map(KeyExpiry::get);
        self.may_create_key(expires_at, now)?;
        let gives_way = self.place_for_key(now)?;
        let overlap = key.replaces.map(|replaced| self.overlap(replaced)).transpose()?.flatten();
        let NewApiKey { key_id, label, prefix, last4, environment, scopes, caps, replaces, .. } = key;
        let label = Personal::Open(label.unwrap_or_else(|| KeyLabel::numbered(self.keys_made + 1)));
        let replaces = replaces.map(|replaced| replaced.key_id);
        let created = AccountEvent::ApiKeyCreated {
            key_id,
            label,
            prefix,
            last4,
            environment,
            scopes,
            expires_at,
            caps,
            replaces,
        };
        Ok(gives_way.into_iter().chain([created]).chain(overlap).collect())
    }

    /// Room for one more key. When all places are taken, the key that expired first gives way: it is only remembered so that it can be
    /// rotated, and the state stays bounded.
    fn place_for_key(&self, now: DateTime<Utc>) -> Result<Option<AccountEvent>, AccountError> {
        if self.api_keys.len() < MAX_API_KEYS {
            return Ok(None);
        }
        let expired = self.api_keys.iter().filter(|(_, key)| key.has_expired(now));
        let first = expired.min_by_key(|&(id, key)| (key.expires_at, *id));
        let (&key_id, _) = first.ok_or(AccountError::TooManyApiKeys(MAX_API_KEYS))?;
        Ok(Some(AccountEvent::ApiKeyExpired { key_id }))
    }

    /// The event that ends a predecessor; none when it ends sooner anyway.
    fn overlap(&self, replaced: Replaced) -> Result<Option<AccountEvent>, AccountError> {
        let key = self.api_keys.get(&replaced.key_id).ok_or(AccountError::NoSuchApiKey)?;
        let sooner = key.expires_at.is_some_and(|end| end <= replaced.ends_at);
        let Replaced { key_id, ends_at } = replaced;
        Ok((!sooner).then_some(AccountEvent::ApiKeyExpiryChanged { key_id, expires_at: ends_at }))
    }

    fn assign_plan(&self, plan: Plan) -> Vec<AccountEvent> {
        unless(plan == self.plan, AccountEvent::PlanAssigned { plan })
    }

    fn set_notifications(&self, choices: &[NotificationChoice]) -> Vec<AccountEvent> {
        // The last word on a switch counts, and only what changes is written.
        let last: BTreeMap<_, _> = choices.iter().map(|choice| ((choice.kind, choice.channel), choice.on)).collect();
        let changed = last.into_iter().filter(|((kind, channel), on)| self.notifications.wants(*kind, *channel) != *on);
        changed
            .map(|((kind, channel), on)| {
                let text_version = (on && kind.needs_consent()).then_some(CONSENT_TEXT);
                AccountEvent::NotificationPreferenceChanged { kind, channel, on, text_version }
            })
            .collect()
    }

    fn start_session(&self, session_id: SessionId, expires_at: DateTime<Utc>, now: DateTime<Utc>) -> Decided {
        if expires_at <= now {
            return Err(AccountError::ExpiryInThePast);
        }
        // Expired sessions count too, so the state stays bounded; they are the first to give way.
        let displaced = (self.sessions.len() >= MAX_SESSIONS)
            .then(|| self.sessions.iter().min_by_key(|&(id, end)| (*end, *id)))
            .flatten()
            .map(|(&session_id, _)| AccountEvent::SessionEnded { session_id, reason: SessionEnd::Displaced });
        let started = AccountEvent::SessionStarted { session_id, expires_at };
        Ok(displaced.into_iter().chain([started]).collect())
    }

    /// An ended session left the state, so a repeat cannot be told from a stranger's id; both change nothing.
    fn end_session(&self, session_id: SessionId, reason: SessionEnd) -> Vec<AccountEvent> {
        unless(!self.sessions.contains_key(&session_id), AccountEvent::SessionEnded { session_id, reason })
    }

    fn end_sessions(&self, except: Option<SessionId>, reason: SessionEnd) -> Vec<AccountEvent> {
        let ended = self.sessions.keys().copied().filter(|session| Some(*session) != except);
        ended.map(|session_id| AccountEvent::SessionEnded { session_id, reason }).collect()
    }

    fn revoke_api_key(&self, key_id: ApiKeyId) -> Vec<AccountEvent> {
        unless(!self.api_keys.contains_key(&key_id), AccountEvent::ApiKeyRevoked { key_id })
    }

    fn may_create_key(&self, expires_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<(), AccountError> {
        if !self.email_verified {
            return Err(AccountError::EmailNotVerified);
        }
        if expires_at.is_some_and(|end| end <= now) {
            return Err(AccountError::ExpiryInThePast);
        }
        Ok(())
    }

    fn grant(&self, role: Role) -> Vec<AccountEvent> {
        self.with_new_sessions(unless(self.has_role(role), AccountEvent::RoleGranted { role }))
    }

    fn withdraw(&self, role: Role) -> Vec<AccountEvent> {
        self.with_new_sessions(unless(!self.has_role(role), AccountEvent::RoleWithdrawn { role }))
    }

    /// What changes the rights of a session ends them all in the same append (sec.S6); what changes nothing ends none.
    fn with_new_sessions(&self, changed: Vec<AccountEvent>) -> Vec<AccountEvent> {
        let ended = if changed.is_empty() { Vec::new() } else { self.end_sessions(None, SessionEnd::ByStaff) };
        changed.into_iter().chain(ended).collect()
    }

    fn change_email(&self, email: Email) -> Vec<AccountEvent> {
        let changed = vec![AccountEvent::EmailChanged { email: Personal::Open(email) }];
        if EMAIL_CHANGE_ENDS_SESSIONS { self.with_new_sessions(changed) } else { changed }
    }

    fn request_two_factor_reset(&self, now: DateTime<Utc>) -> Decided {
        match (self.two_factor, &self.two_factor_reset) {
            (false, _) => Err(AccountError::TwoFactorOff),
            (true, Some(_)) => Err(AccountError::TwoFactorResetPending),
            (true, None) => Ok(vec![AccountEvent::TwoFactorResetRequested { due_at: now + TWO_FACTOR_RESET_DELAY }]),
        }
    }

    /// The owner has had all the time there is, and said nothing (U36).
    fn disable_two_factor_by_staff(&self, now: DateTime<Utc>) -> Decided {
        match &self.two_factor_reset {
            Some(reset) if reset.due_at <= now => Ok(vec![AccountEvent::TwoFactorDisabled { by: TwoFactorEnd::Staff }]),
            Some(_) | None => Err(AccountError::TwoFactorResetNotDue),
        }
    }

    /// The effect and its record in one append (A13). What changes nothing is not recorded, but for a look, which is all effect.
    fn by_staff(&self, order: StaffOrder, command: StaffCommand) -> Decided {
        let (action, effect) = match command {
            StaffCommand::View => (StaffAction::AccountViewed, None),
            StaffCommand::ChangeEmail { unchanged: true, .. } => (StaffAction::EmailChanged, Some(Vec::new())),
            // The address is the owner's way to say no: nobody takes it away while they may (U36).
            StaffCommand::ChangeEmail { .. } if self.two_factor_reset.is_some() => {
                return Err(AccountError::TwoFactorResetPending);
            }
            StaffCommand::ChangeEmail { email, .. } => (StaffAction::EmailChanged, Some(self.change_email(email))),
            StaffCommand::RequestTwoFactorReset { address, .. } if address.is_some() && address != self.email => {
                return Err(AccountError::AnotherAddress);
            }
            StaffCommand::RequestTwoFactorReset { now, .. } => {
                (StaffAction::TwoFactorResetRequested, Some(self.request_two_factor_reset(now)?))
            }
            StaffCommand::DisableTwoFactor { now } => {
                (StaffAction::TwoFactorDisabled, Some(self.disable_two_factor_by_staff(now)?))
            }
            StaffCommand::EndSessions => {
                (StaffAction::SessionEnded, Some(self.end_sessions(None, SessionEnd::ByStaff)))
            }
            StaffCommand::EndSession { session_id } => {
                (StaffAction::SessionEnded, Some(self.end_session(session_id, SessionEnd::ByStaff)))
            }
            StaffCommand::RevokeApiKey { key_id } => (StaffAction::ApiKeyRevoked, Some(self.revoke_api_key(key_id))),
            StaffCommand::GrantRole { role } => (StaffAction::RoleGranted, Some(self.grant(role))),
            StaffCommand::WithdrawRole { role } => (StaffAction::RoleWithdrawn, Some(self.withdraw(role))),
        };
        if effect.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let StaffOrder { staff, reason } = order;
        let recorded = AccountEvent::StaffActionRecorded { staff, action, reason: Personal::Open(reason) };
        Ok(effect.into_iter().flatten().chain([recorded]).collect())
    }

    /// Keys and sessions end in the same append as the request (U22, sec.S6).
    fn request_deletion(&self) -> Vec<AccountEvent> {
        let keys = self.api_keys.keys().map(|&key_id| AccountEvent::ApiKeyRevoked { key_id });
        let requested = AccountEvent::AccountDeletionRequested { policy_version: DELETION_POLICY };
        keys.chain(self.end_sessions(None, SessionEnd::AccountDeleted)).chain([requested]).collect()
    }
}

/// The event, unless things are that way already.
fn unless(already: bool, event: AccountEvent) -> Vec<AccountEvent> {
    if already { Vec::new() } else { vec![event] }
}

fn linked(identity: NewIdentity) -> AccountEvent {
    let NewIdentity { identity_id, provider, label, vouches_for_address: _ } = identity;
    AccountEvent::ExternalIdentityLinked { identity_id, provider, label: Personal::Open(label) }
}
