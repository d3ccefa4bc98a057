//! What the command path relies on: a state read back from a snapshot folds on as if it had never left, and says about how big it is.

use std::fmt::Debug;

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::account::{
    Account, AccountEvent, Avatar, Channel, IdentityProvider, Language, MAX_API_KEYS, MAX_SESSIONS, NoticeKind,
    PasswordVia, Role, SessionEnd, SpendCaps, TwoFactorEnd,
};
use crate::generation::{FailureReason, Generation, GenerationEvent, RequestTerms};
use crate::policy::catalogue::MediaType;
use crate::policy::plan::Plan;
use crate::text::Prompt;
use crate::{
    AccountId, ApiKeyId, AvatarId, Credits, Environment, ExportId, IdentityId, KeyClass, Personal, Sealed, SessionId,
};

fn folded<A: Aggregate>(state: A, events: &[A::Event]) -> A {
    events.iter().cloned().fold(state, |mut state, event| {
        state.apply(event);
        state
    })
}

/// Cuts a history at every place, and takes the state there through its stored form.
fn survives_snapshots<A: Aggregate + PartialEq + Debug>(events: &[A::Event]) {
    let whole = folded(A::default(), events);
    let bytes = serde_json::to_vec(&whole).unwrap();
    for cut in 0..=events.len() {
        let (before, after) = events.split_at(cut);
        let snapshot = serde_json::to_vec(&folded(A::default(), before)).unwrap();
        let folded_on = folded(serde_json::from_slice::<A>(&snapshot).unwrap(), after);
        assert_eq!(folded_on, whole, "cut at {cut}");
        assert_eq!(serde_json::to_vec(&folded_on).unwrap(), bytes, "cut at {cut}: equal folds are equal bytes");
    }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

fn sealed<T>(text: &str) -> Personal<T> {
    Personal::Sealed(Sealed::from_text(format!("p1.{text}")))
}

fn key_created(n: u128) -> AccountEvent {
    AccountEvent::ApiKeyCreated {
        key_id: ApiKeyId(Uuid::from_u128(n)),
        label: sealed("label"),
        prefix: "atl_live_0".into(),
        last4: "wxyz".into(),
        environment: Environment::Live,
        scopes: Vec::new(),
        expires_at: None,
        caps: SpendCaps { daily: Some(Credits::new(100)), total: None },
        replaces: None,
    }
}

fn session_started(n: u128) -> AccountEvent {
    AccountEvent::SessionStarted { session_id: SessionId(Uuid::from_u128(n)), expires_at: at(60) }
}

fn any_account_event() -> impl Strategy<Value = AccountEvent> {
    (0..27, 0..4_u128, any::<bool>()).prop_map(|(kind, n, yes)| match kind {
        0 => AccountEvent::AccountOpened {
            email: sealed("email"),
            username: sealed("username"),
            display_name: sealed("display_name"),
            minimum_age: Some(18),
            address_claimed: yes,
            has_password: !yes,
        },
        1 => AccountEvent::AccountAbandoned {},
        2 => AccountEvent::EmailVerified {},
        3 => AccountEvent::DisplayNameChanged { display_name: sealed("display_name") },
        4 => AccountEvent::BioChanged { bio: sealed("bio") },
        5 => AccountEvent::PublishPreferenceChanged { publish: yes },
        6 => AccountEvent::PlanAssigned { plan: if yes { Plan::Pro } else { Plan::Free } },
        7 => session_started(n),
        8 => AccountEvent::SessionEnded { session_id: SessionId(Uuid::from_u128(n)), reason: SessionEnd::Revoked },
        9 => key_created(n),
        10 if yes => AccountEvent::ApiKeyExpired { key_id: ApiKeyId(Uuid::from_u128(n)) },
        10 => AccountEvent::ApiKeyRevoked { key_id: ApiKeyId(Uuid::from_u128(n)) },
        kind => later_account_event(kind, n, yes),
    })
}

fn later_account_event(kind: i32, n: u128, yes: bool) -> AccountEvent {
    let id = Uuid::from_u128(n);
    match kind {
        11 => AccountEvent::EmailChanged { email: sealed("email") },
        12 => AccountEvent::UsernameChanged { username: sealed("username"), changed_at: at(n as i64) },
        13 => AccountEvent::AvatarChanged {
            avatar: Avatar { avatar_id: AvatarId(id), media_type: "image/png".into(), sizes: vec![64, 256] },
        },
        14 => AccountEvent::AvatarRemoved {},
        15 => AccountEvent::PublicProfileChanged { public: yes },
        16 => AccountEvent::LanguageChanged { language: if yes { Language::De } else { Language::En } },
        17 => AccountEvent::NotificationPreferenceChanged {
            kind: NoticeKind::ALL[n as usize],
            channel: Channel::ALL[usize::from(yes)],
            on: yes,
            text_version: None,
        },
        18 => AccountEvent::PasswordChanged { via: PasswordVia::Reset },
        19 => AccountEvent::ExternalIdentityLinked {
            identity_id: IdentityId(id),
            provider: IdentityProvider::Google,
            label: sealed("label"),
        },
        20 if yes => AccountEvent::TwoFactorResetRequested { due_at: at(90) },
        20 => AccountEvent::ExternalIdentityUnlinked { identity_id: IdentityId(id) },
        21 if yes => AccountEvent::TwoFactorEnabled {},
        21 => AccountEvent::TwoFactorDisabled { by: TwoFactorEnd::Owner },
        22 if yes => AccountEvent::TwoFactorResetStopped {},
        22 => AccountEvent::ApiKeyExpiryChanged { key_id: ApiKeyId(id), expires_at: at(90) },
        23 if yes => AccountEvent::RoleGranted { role: Role::Auditor },
        23 => AccountEvent::RoleWithdrawn { role: Role::Auditor },
        24 if yes => AccountEvent::DataExportRequested { export_id: ExportId(id) },
        24 => AccountEvent::DataExportReady { export_id: ExportId(id), expires_at: at(90) },
        25 if yes => AccountEvent::DataExportFailed { export_id: ExportId(id) },
        25 => AccountEvent::AccountDeletionRequested { policy_version: 1 },
        _ => AccountEvent::AccountErased { policy_version: 1, keys: vec![KeyClass::Profile] },
    }
}

fn requested(prompt: Personal<Prompt>) -> GenerationEvent {
    let terms = RequestTerms {
        account_id: AccountId(Uuid::from_u128(1)),
        environment: Environment::Live,
        api_key_id: None,
        model: "z-image-turbo".into(),
        media_type: MediaType::Image,
        width: 512,
        height: 512,
        num_images: 2,
        seed: u64::MAX - 1,
        unit_price: Credits::new(100),
        price: Credits::new(200),
        price_version: 1,
        publish: true,
    };
    GenerationEvent::GenerationRequested { terms, prompt }
}

fn any_generation_event() -> impl Strategy<Value = GenerationEvent> {
    (0..8, 0..4_u32).prop_map(|(kind, n)| match kind {
        0 => requested(sealed("prompt")),
        1 => GenerationEvent::GenerationAbandoned {},
        2 => GenerationEvent::GenerationStarted { attempt: n },
        3 => GenerationEvent::GenerationSucceeded { outputs: Vec::new(), price: Credits::new(n.into()) },
        4 => GenerationEvent::GenerationFailed { reason: FailureReason::Timeout },
        5 => GenerationEvent::GenerationCancelled {},
        6 => GenerationEvent::GenerationPublished {},
        _ => GenerationEvent::GenerationDeleted {},
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn d3_an_account_survives_a_snapshot_at_any_place(events in prop::collection::vec(any_account_event(), 0..24)) {
        survives_snapshots::<Account>(&events);
    }

    #[test]
    fn d3_a_generation_survives_a_snapshot_at_any_place(events in prop::collection::vec(any_generation_event(), 0..12)) {
        survives_snapshots::<Generation>(&events);
    }
}

#[test]
fn d7_a_state_never_holds_a_prompt_that_can_be_read() {
    let open = Personal::Open(Prompt::parse("a calm ocean").unwrap());
    let state = folded(Generation::default(), &[requested(open)]);
    assert_eq!(state.prompt(), None);
    assert!(!serde_json::to_string(&state).unwrap().contains("ocean"));
    let state = folded(Generation::default(), &[requested(sealed("prompt"))]);
    assert!(serde_json::to_string(&state).unwrap().contains(r#""prompt":"p1.prompt""#));
}

#[test]
fn d3_a_state_says_about_how_big_it_is() {
    assert_eq!((Account::default().heap_bytes(), Generation::default().heap_bytes()), (0, 0));
    let sessions: Vec<_> = (0..MAX_SESSIONS as u128).map(session_started).collect();
    let keys: Vec<_> = (0..MAX_API_KEYS as u128).map(key_created).collect();
    let signed_in = folded(Account::default(), &sessions).heap_bytes();
    let full = folded(folded(Account::default(), &sessions), &keys).heap_bytes();
    assert!(
        (2_800..16_000).contains(&signed_in) && (4_000..15_000).contains(&(full - signed_in)),
        "{signed_in} {full}"
    );
    let job = folded(Generation::default(), &[requested(sealed(&"x".repeat(10_000)))]).heap_bytes();
    assert!((10_000..11_000).contains(&job), "{job}");
}
