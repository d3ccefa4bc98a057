//! Identity, credentials, settings, staff and the end of an account.

use super::*;

fn account(events: impl IntoIterator<Item = AccountEvent>) -> Account {
    events.into_iter().fold(Account::default(), |mut account, event| {
        account.apply(event);
        account
    })
}

fn apply(account: &mut Account, command: AccountCommand) -> Result<Vec<AccountEvent>, AccountError> {
    let events = account.decide(command)?;
    events.iter().cloned().for_each(|event| account.apply(event));
    Ok(events)
}

#[test]
fn u42_nobody_below_the_least_age_opens_an_account() {
    let young = AccountCommand::Open { email: email(), username: username(), minimum_age: 12, vouched_by: None };
    assert_eq!(Account::default().decide(young), Err(AccountError::TooYoung(13)));
}

fn identity(n: u128) -> NewIdentity {
    let label = crate::text::IdentityLabel::parse("ada@gmail.example").unwrap();
    let identity_id = crate::IdentityId(Uuid::from_u128(n));
    NewIdentity { identity_id, provider: IdentityProvider::Google, label, vouches_for_address: true }
}

#[test]
fn a16_u26_who_is_vouched_for_has_no_password_and_a_verified_address() {
    let open =
        AccountCommand::Open { email: email(), username: username(), minimum_age: 18, vouched_by: Some(identity(1)) };
    let mut account = Account::default();
    assert_eq!(apply(&mut account, open).unwrap().len(), 3);
    assert!(account.email_verified() && !account.has_password() && account.identities().len() == 1);
    let unlink = AccountCommand::UnlinkIdentity { identity_id: identity(1).identity_id };
    assert_eq!(account.decide(unlink.clone()), Err(AccountError::LastWayIn));
    apply(&mut account, AccountCommand::ChangePassword { via: PasswordVia::Added, except: None }).unwrap();
    assert_eq!(apply(&mut account, unlink.clone()).unwrap().len(), 1);
    assert_eq!(account.decide(unlink), Ok(vec![]), "a repeat is a no-op");
}

#[test]
fn u26_u30_an_address_nobody_vouches_for_is_proven_by_mail() {
    let open = AccountCommand::Open {
        email: email(),
        username: username(),
        minimum_age: 18,
        vouched_by: Some(NewIdentity { vouches_for_address: false, ..identity(1) }),
    };
    let mut account = Account::default();
    apply(&mut account, open).unwrap();
    assert!(!account.email_verified() && !account.has_password() && account.identities().len() == 1);
}

#[test]
fn identities_are_bounded() {
    let mut account = account([opened()]);
    for n in 0..MAX_IDENTITIES as u128 {
        apply(&mut account, AccountCommand::LinkIdentity { identity: identity(n) }).unwrap();
        assert_eq!(account.decide(AccountCommand::LinkIdentity { identity: identity(n) }), Ok(vec![]), "a repeat");
    }
    let one_more = AccountCommand::LinkIdentity { identity: identity(99) };
    assert_eq!(account.decide(one_more), Err(AccountError::TooManyIdentities(MAX_IDENTITIES)));
}

#[test]
fn u29_a_handle_is_changed_once_in_thirty_days() {
    let rename = |name: &str, now| AccountCommand::ChangeUsername {
        username: Username::parse(name).unwrap(),
        unchanged: false,
        now,
    };
    let mut account = account([opened()]);
    apply(&mut account, rename("lovelace", at(0))).unwrap();
    let until = at(30 * 86_400);
    assert_eq!(
        account.decide(rename("byron", until - TimeDelta::milliseconds(1))),
        Err(AccountError::RenamedRecently(until))
    );
    assert_eq!(account.decide(rename("byron", until)).unwrap().len(), 1);
    let same = AccountCommand::ChangeUsername { username: username(), unchanged: true, now: at(1) };
    assert_eq!(account.decide(same), Ok(vec![]));
}

#[test]
fn c5_a_new_password_ends_every_other_session_in_the_same_append() {
    let mut account = account([opened()]);
    for n in 1..=3 {
        account.apply(AccountEvent::SessionStarted { session_id: session(n), expires_at: at(60) });
    }
    let change = AccountCommand::ChangePassword { via: PasswordVia::Change, except: Some(session(2)) };
    let ended = |n| AccountEvent::SessionEnded { session_id: session(n), reason: SessionEnd::PasswordChanged };
    let changed = AccountEvent::PasswordChanged { via: PasswordVia::Change };
    assert_eq!(apply(&mut account, change).unwrap(), vec![changed, ended(1), ended(3)]);
    assert!(account.has_session(&session(2)));
}

#[test]
fn v11_the_second_factor_is_on_or_off_and_its_codes_go_with_it() {
    let mut account = account([opened()]);
    assert_eq!(account.decide(AccountCommand::RenewRecoveryCodes), Err(AccountError::TwoFactorOff));
    apply(&mut account, AccountCommand::EnableTwoFactor).unwrap();
    assert_eq!(account.decide(AccountCommand::EnableTwoFactor), Err(AccountError::TwoFactorOn));
    assert_eq!(apply(&mut account, AccountCommand::UseRecoveryCode).unwrap(), vec![AccountEvent::RecoveryCodeUsed {}]);
    apply(&mut account, AccountCommand::DisableTwoFactor).unwrap();
    assert!(!account.two_factor());
    assert_eq!(account.decide(AccountCommand::DisableTwoFactor), Ok(vec![]));
}

#[test]
fn v12_v17_switches_are_set_together_and_only_changes_are_written() {
    let choice = |kind, channel, on| NotificationChoice { kind, channel, on };
    let mut account = account([opened()]);
    let choices = vec![
        choice(NoticeKind::GenerationComplete, Channel::Mail, false),
        choice(NoticeKind::GenerationComplete, Channel::InApp, true),
        choice(NoticeKind::Newsletter, Channel::Mail, false),
        choice(NoticeKind::Newsletter, Channel::Mail, true),
    ];
    let set = AccountCommand::SetNotifications { choices };
    let switched = |kind, on, text_version| AccountEvent::NotificationPreferenceChanged {
        kind,
        channel: Channel::Mail,
        on,
        text_version,
    };
    let expected =
        vec![switched(NoticeKind::GenerationComplete, false, None), switched(NoticeKind::Newsletter, true, Some(1))];
    assert_eq!(apply(&mut account, set.clone()).unwrap(), expected);
    assert_eq!(account.decide(set), Ok(vec![]));
    assert!(!account.notifications().wants(NoticeKind::GenerationComplete, Channel::Mail));
    assert!(!account.notifications().wants(NoticeKind::Marketing, Channel::Mail), "V16: off by default");
}

#[test]
fn a13_what_staff_does_is_recorded_with_its_effect_or_not_at_all() {
    let order = || StaffOrder {
        staff: Some(crate::AccountId(Uuid::from_u128(9))),
        reason: crate::text::StaffReason::parse("ticket 7: lost mailbox").unwrap(),
    };
    let by_staff = |command| AccountCommand::ByStaff { order: order(), command };
    let mut account = account([opened(), AccountEvent::EmailVerified {}]);
    let new = Email::parse("ada@new.example").unwrap();
    let events = apply(&mut account, by_staff(StaffCommand::ChangeEmail { unchanged: false, email: new })).unwrap();
    assert!(matches!(
        events.as_slice(),
        [
            AccountEvent::EmailChanged { .. },
            AccountEvent::StaffActionRecorded { action: StaffAction::EmailChanged, .. }
        ]
    ));
    assert!(!account.email_verified(), "U26: the new address is to be proven");
    assert_eq!(apply(&mut account, by_staff(StaffCommand::View)).unwrap().len(), 1);
    let unknown = by_staff(StaffCommand::EndSession { session_id: SessionId(Uuid::from_u128(1)) });
    assert_eq!(account.decide(unknown), Ok(vec![]), "nothing done, nothing recorded");
    apply(&mut account, by_staff(StaffCommand::GrantRole { role: Role::Auditor })).unwrap();
    assert!(account.has_role(Role::Auditor) && !account.has_role(Role::Admin));
}

#[test]
fn u36_a_lost_factor_goes_off_when_it_is_due_and_nobody_said_no() {
    let by_staff = |command| AccountCommand::ByStaff {
        order: StaffOrder { staff: None, reason: crate::text::StaffReason::parse("lost the phone").unwrap() },
        command,
    };
    let request = |now| by_staff(StaffCommand::RequestTwoFactorReset { address: None, now });
    let disable = |now| by_staff(StaffCommand::DisableTwoFactor { now });
    let day = TimeDelta::hours(24);
    let mut account = account([opened(), AccountEvent::EmailVerified {}]);
    assert_eq!(account.decide(request(at(0))), Err(AccountError::TwoFactorOff));
    apply(&mut account, AccountCommand::EnableTwoFactor).unwrap();
    assert_eq!(account.decide(disable(at(0))), Err(AccountError::TwoFactorResetNotDue), "nobody asked");
    apply(&mut account, request(at(0))).unwrap();
    assert_eq!(account.decide(request(at(9))), Err(AccountError::TwoFactorResetPending));
    let early = at(0) + day - TimeDelta::microseconds(1);
    assert_eq!(account.decide(disable(early)), Err(AccountError::TwoFactorResetNotDue), "not a moment sooner");
    let mut stopped = account.clone();
    assert_eq!(apply(&mut stopped, AccountCommand::StopTwoFactorReset).unwrap().len(), 1);
    assert_eq!(stopped.decide(disable(at(0) + day)), Err(AccountError::TwoFactorResetNotDue));
    assert_eq!(stopped.decide(AccountCommand::StopTwoFactorReset), Ok(vec![]));
    let done = apply(&mut account, disable(at(0) + day)).unwrap();
    assert!(matches!(
        done.as_slice(),
        [
            AccountEvent::TwoFactorDisabled { by: TwoFactorEnd::Staff },
            AccountEvent::StaffActionRecorded { staff: None, action: StaffAction::TwoFactorDisabled, .. }
        ]
    ));
    assert!(account.two_factor_reset().is_none() && !account.two_factor());
}

#[test]
fn s6_u37_a_role_and_another_address_end_every_session_in_the_same_append() {
    let session = |n| SessionId(Uuid::from_u128(n));
    let start = |n| AccountCommand::StartSession { session_id: session(n), expires_at: at(1_000), now: at(0) };
    let by_staff = |command| AccountCommand::ByStaff {
        order: StaffOrder { staff: None, reason: crate::text::StaffReason::parse("a ticket").unwrap() },
        command,
    };
    let mut account = account([opened(), AccountEvent::EmailVerified {}]);
    for command in [
        StaffCommand::GrantRole { role: Role::Support },
        StaffCommand::WithdrawRole { role: Role::Support },
        StaffCommand::ChangeEmail { unchanged: false, email: Email::parse("ada@new.example").unwrap() },
        StaffCommand::EndSessions,
    ] {
        for n in [1, 2] {
            apply(&mut account, start(n)).unwrap();
        }
        apply(&mut account, by_staff(command)).unwrap();
        assert!(!account.has_session(&session(1)) && !account.has_session(&session(2)));
    }
    apply(&mut account, start(3)).unwrap();
    let nothing = by_staff(StaffCommand::WithdrawRole { role: Role::Support });
    assert_eq!(account.decide(nothing), Ok(vec![]), "a role it has not is no reason to sign in again");
}

#[test]
fn b18_a_rotated_key_goes_on_for_the_overlap_unless_it_ends_sooner() {
    let mut account = account([opened(), AccountEvent::EmailVerified {}]);
    apply(&mut account, create_key(1, None)).unwrap();
    apply(&mut account, create_key(2, Some(at(50)))).unwrap();
    let rotate = |new, old| AccountCommand::CreateApiKey {
        key: NewApiKey { replaces: Some(Replaced { key_id: key(old), ends_at: at(100) }), ..new_key(new, None) },
        now: at(0),
    };
    let events = apply(&mut account, rotate(3, 1)).unwrap();
    assert_eq!(events[1..], [AccountEvent::ApiKeyExpiryChanged { key_id: key(1), expires_at: at(100) }]);
    assert_eq!(account.api_key(&key(1)).unwrap().expires_at, Some(at(100)));
    assert_eq!(apply(&mut account, rotate(4, 2)).unwrap().len(), 1, "it ends sooner anyway");
    assert_eq!(account.decide(rotate(5, 77)), Err(AccountError::NoSuchApiKey));
}

#[test]
fn b18_a_key_that_is_rotated_twice_gives_successors_with_the_life_it_was_made_with() {
    for agreed in [None, Some(at(500))] {
        let mut account = account([opened(), AccountEvent::EmailVerified {}]);
        apply(&mut account, create_key(1, agreed)).unwrap();
        for (new, ends_at) in [(2, at(100)), (3, at(60)), (4, at(90))] {
            let replaces = Some(Replaced { key_id: key(1), ends_at });
            let rotate = AccountCommand::CreateApiKey { key: NewApiKey { replaces, ..new_key(new, None) }, now: at(0) };
            apply(&mut account, rotate).unwrap();
            assert_eq!(account.api_key(&key(1)).unwrap().agreed_end, agreed, "what the next one takes over");
        }
        assert_eq!(account.api_key(&key(1)).unwrap().expires_at, Some(at(60)), "the soonest end counts");
    }
}

#[test]
fn b13_expired_and_revoked_keys_fill_no_place_and_the_state_stays_bounded() {
    let mut account = account([opened(), AccountEvent::EmailVerified {}]);
    let create =
        |n: u128, end: i64, now: i64| AccountCommand::CreateApiKey { key: new_key(n, Some(at(end))), now: at(now) };
    for n in 0..50 {
        apply(&mut account, create(n, 100 + i64::try_from(n % 7).unwrap(), 0)).unwrap();
    }
    assert_eq!(account.decide(create(50, 900, 99)), Err(AccountError::TooManyApiKeys(50)), "all of them work");
    apply(&mut account, AccountCommand::RevokeApiKey { key_id: key(3) }).unwrap();
    assert_eq!(apply(&mut account, create(50, 900, 99)).unwrap().len(), 1, "a revoked one has no place");
    // At 100 those with the soonest end are over, one at a time gives way, the others stay to be rotated.
    for (n, gone) in [(51, 0), (52, 7), (53, 14)] {
        let events = apply(&mut account, create(n, 900, 100)).unwrap();
        assert_eq!(events[0], AccountEvent::ApiKeyExpired { key_id: key(gone) });
        assert!(events.len() == 2 && !account.has_api_key(&key(gone)) && account.has_api_key(&key(n)));
    }
    for n in 54..600 {
        apply(&mut account, create(n, 1_040 + i64::try_from(n).unwrap(), 1_000 + i64::try_from(n).unwrap())).unwrap();
        assert!(account.api_keys.len() <= 50, "{n}");
    }
}

#[test]
fn c16_a_key_without_a_label_is_numbered_among_all_that_were_made() {
    let mut account = account([opened(), AccountEvent::EmailVerified {}]);
    let unlabelled =
        |n| AccountCommand::CreateApiKey { key: NewApiKey { label: None, ..new_key(n, None) }, now: at(0) };
    let label = |events: Vec<AccountEvent>| match events.into_iter().next() {
        Some(AccountEvent::ApiKeyCreated { label: Personal::Open(label), .. }) => label.as_ref().to_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(label(apply(&mut account, unlabelled(1)).unwrap()), "API key 1");
    apply(&mut account, create_key(2, None)).unwrap();
    apply(&mut account, AccountCommand::RevokeApiKey { key_id: key(2) }).unwrap();
    assert_eq!(label(apply(&mut account, unlabelled(3)).unwrap()), "API key 3", "no number comes twice");
}

#[test]
fn u22_a_deletion_ends_keys_and_sessions_in_its_own_append_and_nothing_happens_after_it() {
    let mut account = account([opened(), AccountEvent::EmailVerified {}]);
    apply(&mut account, create_key(1, None)).unwrap();
    account.apply(AccountEvent::SessionStarted { session_id: session(1), expires_at: at(60) });
    let erase = AccountCommand::Erase { keys: vec![crate::KeyClass::Profile] };
    assert_eq!(account.decide(erase.clone()), Err(AccountError::DeletionNotRequested));
    let events = apply(&mut account, AccountCommand::RequestDeletion).unwrap();
    assert_eq!(
        events,
        vec![
            AccountEvent::ApiKeyRevoked { key_id: key(1) },
            AccountEvent::SessionEnded { session_id: session(1), reason: SessionEnd::AccountDeleted },
            AccountEvent::AccountDeletionRequested { policy_version: 1 },
        ]
    );
    assert_eq!(account.decide(AccountCommand::RequestDeletion), Ok(vec![]));
    assert_eq!(account.decide(create_key(2, None)), Err(AccountError::NotOpen));
    assert_eq!(apply(&mut account, erase.clone()).unwrap().len(), 1);
    assert_eq!(account, Account { status: Status::Erased, ..Account::default() }, "the state keeps nothing of it");
    assert_eq!(account.decide(erase), Ok(vec![]));
    assert_eq!(account.decide(open()), Err(AccountError::AlreadyUsed));
}

#[test]
fn u25_one_export_at_a_time() {
    let export = |n| crate::ExportId(Uuid::from_u128(n));
    let mut account = account([opened()]);
    let request = |n| AccountCommand::RequestDataExport { export_id: export(n) };
    apply(&mut account, request(1)).unwrap();
    assert_eq!(account.decide(request(1)), Ok(vec![]));
    assert_eq!(account.decide(request(2)), Err(AccountError::ExportUnderWay));
    let finish = |n| AccountCommand::FinishDataExport { export_id: export(n), expires_at: at(60) };
    assert_eq!(account.decide(finish(2)), Ok(vec![]), "not the one that was asked for");
    apply(&mut account, finish(1)).unwrap();
    assert_eq!(account.decide(finish(1)), Ok(vec![]));
    apply(&mut account, request(2)).unwrap();
    let fail = |n| AccountCommand::FailDataExport { export_id: export(n) };
    assert_eq!(account.decide(fail(1)), Ok(vec![]), "it was ready in time");
    apply(&mut account, fail(2)).unwrap();
    assert_eq!(account.decide(fail(2)), Ok(vec![]));
    assert_eq!(account.decide(finish(2)), Ok(vec![]), "too late");
    assert_eq!(account.decide(request(3)).unwrap().len(), 1);
}
