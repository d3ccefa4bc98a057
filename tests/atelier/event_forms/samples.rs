//! One sample of every event, with fixed ids. A new event does not compile until it has its sample here.

use atelier_domain::account::{
    AccountEvent, Avatar, Channel, IdentityProvider, KeyScope, Language, NoticeKind, PasswordVia, Role, SessionEnd,
    SpendCaps, StaffAction, TwoFactorEnd,
};
use atelier_domain::credit_ledger::{
    BudgetCharge, CreditLedgerEvent, Entry, ForfeitReason, GrantReason, GrantSource, LedgerAccount,
};
use atelier_domain::generation::{FailureReason, GenerationEvent, Output, RequestTerms};
use atelier_domain::policy::catalogue::MediaType;
use atelier_domain::policy::plan::Plan;
use atelier_domain::{
    AccountId, ApiKeyId, AvatarId, Credits, Environment, ExportId, GenerationId, HoldId, IdentityId, KeyClass,
    LedgerId, LogEvent, LotId, Personal, Sealed, SessionId,
};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Samples of the events of one enum. The match has no wildcard, so that the list is whole.
macro_rules! samples {
    ($event:ident { $($variant:ident => { $($fields:tt)* }),+ $(,)? }) => {{
        const fn is_listed(event: &$event) {
            match event { $($event::$variant { .. } => ()),+ }
        }
        let samples = vec![$($event::$variant { $($fields)* }),+];
        samples.iter().for_each(is_listed);
        samples
    }};
}

/// One sample of every event.
pub fn all() -> Vec<LogEvent> {
    let account = accounts().into_iter().map(|event| LogEvent::Account(AccountId(id(1)), event));
    let ledger = ledgers().into_iter().map(|event| LogEvent::CreditLedger(LedgerId::live(AccountId(id(1))), event));
    let generation = generations().into_iter().map(|event| LogEvent::Generation(GenerationId(id(2)), event));
    account.chain(ledger).chain(generation).collect()
}

/// The forms that no release writes any more, by their files, to the byte; and what each is read as.
pub fn retired() -> Vec<(&'static str, &'static str, LogEvent)> {
    let granted = ledgers().swap_remove(0);
    let CreditLedgerEvent::CreditsGranted { lot_id, source, amount, expires_at, entries, .. } = granted else {
        panic!("the first sample of a ledger is a grant");
    };
    let reason = GrantReason::Unrecorded;
    let granted = CreditLedgerEvent::CreditsGranted { lot_id, source, reason, amount, expires_at, entries };
    let granted = LogEvent::CreditLedger(LedgerId::live(AccountId(id(1))), granted);
    let owner = |event| LogEvent::Account(AccountId(id(1)), event);
    let opened = owner(AccountEvent::AccountOpened {
        email: sealed("email"),
        username: sealed("username"),
        display_name: sealed("display_name"),
        minimum_age: None,
        address_claimed: true,
        has_password: true,
    });
    let created = owner(AccountEvent::ApiKeyCreated {
        key_id: ApiKeyId(id(4)),
        label: sealed("label"),
        prefix: "atl_live_0123456789ab".to_owned(),
        last4: "wxyz".to_owned(),
        environment: Environment::Live,
        scopes: KeyScope::ALL.to_vec(),
        expires_at: None,
        caps: SpendCaps::default(),
        replaces: None,
    });
    vec![
        ("CreditLedger.CreditsGranted.v1.json", GRANTED_1, granted),
        ("CreditLedger.HoldPlaced.v1.json", PLACED_1, placed_without_a_budget()),
        ("Account.AccountOpened.v1.json", OPENED_1, opened),
        ("Account.ApiKeyCreated.v1.json", CREATED_1, created),
    ]
}

fn placed_without_a_budget() -> LogEvent {
    let lot = LedgerAccount::Lot(LotId(id(5)));
    let placed = CreditLedgerEvent::HoldPlaced {
        hold_id: HoldId(id(2)),
        generation_id: GenerationId(id(2)),
        amount: Credits::new(400),
        price_version: 1,
        budget: None,
        entries: entries([(lot, -400), (LedgerAccount::Held, 400)]),
    };
    LogEvent::CreditLedger(LedgerId::live(AccountId(id(1))), placed)
}

const OPENED_1: &str = r#"{
  "AccountOpened": {
    "email": "p1.sample-email",
    "username": "p1.sample-username",
    "display_name": "p1.sample-display_name"
  }
}
"#;

const CREATED_1: &str = r#"{
  "ApiKeyCreated": {
    "key_id": "019b76da-a800-7000-8000-000000000004",
    "label": "p1.sample-label",
    "prefix": "atl_live_0123456789ab",
    "last4": "wxyz",
    "environment": "live",
    "scopes": [
      "generate",
      "generations:read",
      "generations:write",
      "models:read",
      "account:read"
    ],
    "expires_at": null
  }
}
"#;

const PLACED_1: &str = r#"{
  "HoldPlaced": {
    "hold_id": "019b76da-a800-7000-8000-000000000002",
    "generation_id": "019b76da-a800-7000-8000-000000000002",
    "amount": 400,
    "price_version": 1,
    "entries": [
      {
        "account": "lot:019b76da-a800-7000-8000-000000000005",
        "amount": -400
      },
      {
        "account": "held",
        "amount": 400
      }
    ]
  }
}
"#;

const GRANTED_1: &str = r#"{
  "CreditsGranted": {
    "lot_id": "019b76da-a800-7000-8000-000000000005",
    "source": "promotional",
    "amount": 500,
    "expires_at": "2026-01-01T00:00:00.123456Z",
    "entries": [
      {
        "account": "system:issued:promotional",
        "amount": -500
      },
      {
        "account": "lot:019b76da-a800-7000-8000-000000000005",
        "amount": 500
      }
    ]
  }
}
"#;

/// The id of the stream that the samples of an aggregate are in.
pub fn stream(aggregate: &str) -> String {
    if aggregate == "CreditLedger" { LedgerId::live(AccountId(id(1))).to_string() } else { id(1).to_string() }
}

/// A fixed UUIDv7 of 1 January 2026.
fn id(n: u128) -> Uuid {
    Uuid::from_u128(0x019b_76da_a800_7000_8000_0000_0000_0000 | n)
}

fn sealed<T>(field: &str) -> Personal<T> {
    Personal::Sealed(Sealed::from_text(format!("p1.sample-{field}")))
}

fn instant() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_767_225_600_123_456).expect("an instant")
}

fn entries<const N: usize>(lines: [(LedgerAccount, i64); N]) -> Vec<Entry> {
    lines.map(|(account, amount)| Entry::new(account, Credits::new(amount))).to_vec()
}

fn accounts() -> Vec<AccountEvent> {
    samples!(AccountEvent {
        AccountOpened => {
            email: sealed("email"),
            username: sealed("username"),
            display_name: sealed("display_name"),
            minimum_age: Some(18),
            address_claimed: true,
            has_password: true,
        },
        AccountAbandoned => {},
        EmailVerified => {},
        DisplayNameChanged => { display_name: sealed("display_name") },
        BioChanged => { bio: sealed("bio") },
        PublishPreferenceChanged => { publish: false },
        PlanAssigned => { plan: Plan::Pro },
        SessionStarted => { session_id: SessionId(id(3)), expires_at: instant() },
        SessionEnded => { session_id: SessionId(id(3)), reason: SessionEnd::SignedOut },
        ApiKeyCreated => {
            key_id: ApiKeyId(id(4)),
            label: sealed("label"),
            prefix: "atl_live_0123456789ab".to_owned(),
            last4: "wxyz".to_owned(),
            environment: Environment::Live,
            scopes: KeyScope::ALL.to_vec(),
            expires_at: None,
            caps: SpendCaps { daily: Some(Credits::new(1_000)), total: None },
            replaces: Some(ApiKeyId(id(6))),
        },
        ApiKeyRevoked => { key_id: ApiKeyId(id(4)) },
        ApiKeyExpired => { key_id: ApiKeyId(id(4)) },
        ApiKeyExpiryChanged => { key_id: ApiKeyId(id(6)), expires_at: instant() },
        EmailChanged => { email: sealed("email") },
        UsernameChanged => { username: sealed("username"), changed_at: instant() },
        AvatarChanged => {
            avatar: Avatar { avatar_id: AvatarId(id(7)), media_type: "image/png".to_owned(), sizes: vec![64, 256] },
        },
        AvatarRemoved => {},
        PublicProfileChanged => { public: false },
        LanguageChanged => { language: Language::De },
        NotificationPreferenceChanged => {
            kind: NoticeKind::Newsletter,
            channel: Channel::Mail,
            on: true,
            text_version: Some(1),
        },
        PasswordResetRequested => {},
        PasswordChanged => { via: PasswordVia::Reset },
        ExternalIdentityLinked => {
            identity_id: IdentityId(id(8)),
            provider: IdentityProvider::Google,
            label: sealed("label"),
        },
        ExternalIdentityUnlinked => { identity_id: IdentityId(id(8)) },
        TwoFactorEnabled => {},
        TwoFactorDisabled => { by: TwoFactorEnd::Staff },
        TwoFactorResetRequested => { due_at: instant() },
        TwoFactorResetStopped => {},
        RecoveryCodesRenewed => {},
        RecoveryCodeUsed => {},
        RoleGranted => { role: Role::Support },
        RoleWithdrawn => { role: Role::Support },
        StaffActionRecorded => {
            staff: Some(AccountId(id(9))),
            action: StaffAction::EmailChanged,
            reason: sealed("reason"),
        },
        DataExportRequested => { export_id: ExportId(id(10)) },
        DataExportReady => { export_id: ExportId(id(10)), expires_at: instant() },
        DataExportFailed => { export_id: ExportId(id(10)) },
        AccountDeletionRequested => { policy_version: 1 },
        AccountErased => { policy_version: 1, keys: vec![KeyClass::Profile] },
    })
}

fn ledgers() -> Vec<CreditLedgerEvent> {
    let (lot_id, hold_id, generation_id) = (LotId(id(5)), HoldId(id(2)), GenerationId(id(2)));
    let (lot, held) = (LedgerAccount::Lot(lot_id), LedgerAccount::Held);
    samples!(CreditLedgerEvent {
        CreditsGranted => {
            lot_id,
            source: GrantSource::Promotional,
            reason: GrantReason::SignUpBonus,
            amount: Credits::new(500),
            expires_at: Some(instant()),
            entries: entries([(LedgerAccount::IssuedPromotional, -500), (lot, 500)]),
        },
        HoldPlaced => {
            hold_id,
            generation_id,
            amount: Credits::new(400),
            price_version: 1,
            budget: Some(BudgetCharge {
                key_id: ApiKeyId(id(4)),
                caps: SpendCaps { daily: None, total: Some(Credits::new(1_000)) },
                day: instant().date_naive(),
            }),
            entries: entries([(lot, -400), (held, 400)]),
        },
        HoldCaptured => {
            hold_id,
            generation_id,
            captured: Credits::new(100),
            price_version: 1,
            entries: entries([(held, -400), (LedgerAccount::Consumed, 100), (lot, 300)]),
        },
        HoldVoided => {
            hold_id,
            generation_id,
            returned: Credits::new(400),
            entries: entries([(held, -400), (lot, 400)]),
        },
        LedgerClosed => {
            forfeited: Credits::new(60),
            reason: ForfeitReason::AccountDeleted,
            entries: entries([(lot, -60), (LedgerAccount::Forfeited, 60)]),
        },
        LotExpired => {
            lot_id,
            amount: Credits::new(400),
            entries: entries([(lot, -400), (LedgerAccount::Breakage, 400)]),
        },
    })
}

fn generations() -> Vec<GenerationEvent> {
    samples!(GenerationEvent {
        GenerationRequested => {
            terms: RequestTerms {
                account_id: AccountId(id(1)),
                environment: Environment::Live,
                api_key_id: Some(ApiKeyId(id(4))),
                model: "z-image-turbo".to_owned(),
                media_type: MediaType::Image,
                width: 1_024,
                height: 768,
                num_images: 4,
                // Above 2^53: a reader that takes numbers for doubles would change it.
                seed: u64::MAX - 1,
                unit_price: Credits::new(100),
                price: Credits::new(400),
                price_version: 1,
                publish: true,
            },
            prompt: sealed("prompt"),
        },
        GenerationAbandoned => {},
        GenerationStarted => { attempt: 1 },
        GenerationSucceeded => {
            outputs: vec![Output {
                object: format!("{}/{}/1/0.png", id(1), id(2)),
                media_type: "image/png".to_owned(),
                width: 1_024,
                height: 768,
                bytes: 123_456,
            }],
            price: Credits::new(100),
        },
        GenerationFailed => { reason: FailureReason::ProviderFailed },
        GenerationCancelled => {},
        GenerationPublished => {},
        GenerationDeleted => {},
    })
}
