//! A log with every event there is, of several accounts at once, in an order that depends on a number alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use atelier_domain::account::{
    AccountEvent, Avatar, Channel, IdentityProvider, KeyScope, Language, NoticeKind, PasswordVia, Role, SessionEnd,
    SpendCaps, StaffAction, TwoFactorEnd,
};
use atelier_domain::credit_ledger::{CreditLedgerEvent, Entry, ForfeitReason, GrantReason, GrantSource, LedgerAccount};
use atelier_domain::generation::{FailureReason, GenerationEvent, Output, RequestTerms};
use atelier_domain::policy::catalogue::MediaType;
use atelier_domain::policy::plan::Plan;
use atelier_domain::{
    AccountId, ApiKeyId, AvatarId, Credits, Environment, ExportId, GenerationId, HoldId, IdentityId, KeyClass,
    LedgerId, LogEvent, LotId, Personal, Sealed, SessionId,
};
use chrono::{DateTime, TimeDelta};
use cqrs_es::DomainEvent;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::harness::TestDatabase;

/// How many accounts live at once.
const ACCOUNTS: u32 = 6;

/// A database whose log has every event; with its head.
pub async fn database() -> (TestDatabase, i64) {
    let database = TestDatabase::fresh().await;
    let events = interleaved((0..ACCOUNTS).map(life).collect());
    covers_every_event(&events);
    let head = write(&database, &events).await;
    (database, head)
}

/// The account of this number.
pub fn account(n: u32) -> AccountId {
    AccountId(id(n, 1, 0))
}

/// A job of the account of this number.
pub fn generation(n: u32, job: u32) -> GenerationId {
    GenerationId(id(n, 2, job))
}

/// The number of the account that is deleted in the end.
pub const DELETED: u32 = ACCOUNTS - 1;

fn id(account: u32, kind: u128, n: u32) -> Uuid {
    Uuid::from_u128(0x019b_76da_a800_7000_8000_0000_0000_0000 | u128::from(account) << 32 | kind << 24 | u128::from(n))
}

fn sealed<T>(text: &str) -> Personal<T> {
    Personal::Sealed(Sealed::from_text(format!("p1.{text} with \"quotes\", \\ and ü")))
}

fn entries<const N: usize>(lines: [(LedgerAccount, i64); N]) -> Vec<Entry> {
    lines.map(|(account, amount)| Entry::new(account, Credits::new(amount))).to_vec()
}

/// Everything that happens to one account, in order.
pub fn life(n: u32) -> VecDeque<LogEvent> {
    let account = AccountId(id(n, 1, 0));
    let mut events = VecDeque::new();
    if n == 0 {
        events.push_back(LogEvent::Account(AccountId(id(n, 1, 1)), AccountEvent::AccountAbandoned {}));
        let abandoned = GenerationId(id(n, 2, 999));
        events.push_back(LogEvent::Generation(abandoned, GenerationEvent::GenerationAbandoned {}));
    }
    events.extend(doings(n).into_iter().map(|event| LogEvent::Account(account, event)));
    let ledger = LedgerId::live(account);
    for lot in 0..2 {
        events.push_back(LogEvent::CreditLedger(ledger, granted(n, lot)));
    }
    for job in 0..6 {
        events.extend(job_of(n, job));
    }
    if n == ACCOUNTS - 1 {
        events.extend(end_of(n, account));
        return events;
    }
    let lot = LotId(id(n, 5, 0));
    events.push_back(LogEvent::CreditLedger(
        ledger,
        CreditLedgerEvent::LotExpired {
            lot_id: lot,
            amount: Credits::new(40),
            entries: entries([(LedgerAccount::Lot(lot), -40), (LedgerAccount::Breakage, 40)]),
        },
    ));
    events
}

fn doings(n: u32) -> Vec<AccountEvent> {
    let until = DateTime::from_timestamp(1_800_000_000, 0).expect("an instant");
    let mut events = vec![
        AccountEvent::AccountOpened {
            email: sealed("email"),
            username: sealed("name"),
            display_name: sealed("display"),
            minimum_age: Some(18),
            address_claimed: true,
            has_password: true,
        },
        AccountEvent::EmailVerified {},
        AccountEvent::DisplayNameChanged { display_name: sealed("another") },
        AccountEvent::BioChanged { bio: sealed("bio") },
        AccountEvent::PublishPreferenceChanged { publish: n.is_multiple_of(2) },
        AccountEvent::PlanAssigned { plan: Plan::Pro },
    ];
    for session in 0..3 {
        let session_id = SessionId(id(n, 3, session));
        events.push(AccountEvent::SessionStarted { session_id, expires_at: until });
        if session > 0 {
            events.push(AccountEvent::SessionEnded { session_id, reason: SessionEnd::SignedOut });
        }
    }
    for key in 0..2 {
        let key_id = ApiKeyId(id(n, 4, key));
        events.push(AccountEvent::ApiKeyCreated {
            key_id,
            label: sealed("label"),
            prefix: "atl_live_0123456789ab".to_owned(),
            last4: "wxyz".to_owned(),
            environment: Environment::Live,
            scopes: KeyScope::ALL.to_vec(),
            expires_at: (key == 0).then_some(until),
            caps: SpendCaps::default(),
            replaces: None,
        });
        if key == 1 {
            events.push(AccountEvent::ApiKeyRevoked { key_id });
        }
    }
    events.extend(settings(n));
    events
}

/// Everything else that an account's owner or staff can do.
fn settings(n: u32) -> Vec<AccountEvent> {
    let later = DateTime::from_timestamp(1_781_000_000, 0).expect("an instant");
    let (identity_id, export_id) = (IdentityId(id(n, 6, 0)), ExportId(id(n, 7, 0)));
    let avatar = Avatar { avatar_id: AvatarId(id(n, 8, 0)), media_type: "image/png".to_owned(), sizes: vec![64, 256] };
    vec![
        AccountEvent::EmailChanged { email: sealed("new email") },
        AccountEvent::UsernameChanged { username: sealed("new name"), changed_at: later },
        AccountEvent::AvatarChanged { avatar: avatar.clone() },
        AccountEvent::AvatarRemoved {},
        AccountEvent::AvatarChanged { avatar },
        AccountEvent::PublicProfileChanged { public: n.is_multiple_of(2) },
        AccountEvent::LanguageChanged { language: Language::De },
        AccountEvent::NotificationPreferenceChanged {
            kind: NoticeKind::Newsletter,
            channel: Channel::Mail,
            on: true,
            text_version: Some(1),
        },
        AccountEvent::PasswordResetRequested {},
        AccountEvent::PasswordChanged { via: PasswordVia::Reset },
        AccountEvent::ExternalIdentityLinked {
            identity_id,
            provider: IdentityProvider::Google,
            label: sealed("identity"),
        },
        AccountEvent::ExternalIdentityUnlinked { identity_id },
        AccountEvent::TwoFactorEnabled {},
        AccountEvent::RecoveryCodesRenewed {},
        AccountEvent::RecoveryCodeUsed {},
        AccountEvent::TwoFactorResetRequested { due_at: later },
        AccountEvent::TwoFactorResetStopped {},
        AccountEvent::TwoFactorDisabled { by: TwoFactorEnd::Owner },
        AccountEvent::ApiKeyExpiryChanged { key_id: ApiKeyId(id(n, 4, 0)), expires_at: later },
        AccountEvent::ApiKeyExpired { key_id: ApiKeyId(id(n, 4, 0)) },
        AccountEvent::RoleGranted { role: Role::Support },
        AccountEvent::RoleWithdrawn { role: Role::Support },
        AccountEvent::StaffActionRecorded {
            staff: Some(AccountId(id(0, 1, 0))),
            action: StaffAction::AccountViewed,
            reason: sealed("reason"),
        },
        AccountEvent::DataExportRequested { export_id },
        AccountEvent::DataExportReady { export_id, expires_at: later },
        AccountEvent::DataExportRequested { export_id: ExportId(id(n, 7, 1)) },
        AccountEvent::DataExportFailed { export_id: ExportId(id(n, 7, 1)) },
        AccountEvent::DataExportRequested { export_id: ExportId(id(n, 7, 2)) },
    ]
}

/// An account that is deleted: its last job is cancelled, and its ledger closed, in between.
fn end_of(n: u32, account: AccountId) -> Vec<LogEvent> {
    let (hold_id, generation_id) = (HoldId(id(n, 2, 5)), GenerationId(id(n, 2, 5)));
    let lots = [0, 1].map(|lot| LedgerAccount::Lot(LotId(id(n, 5, lot))));
    let ledger = |event| LogEvent::CreditLedger(LedgerId::live(account), event);
    let void = CreditLedgerEvent::HoldVoided {
        hold_id,
        generation_id,
        returned: Credits::new(40),
        entries: entries([(LedgerAccount::Held, -40), (lots[1], 40)]),
    };
    let closed = CreditLedgerEvent::LedgerClosed {
        forfeited: Credits::new(910),
        reason: ForfeitReason::AccountDeleted,
        entries: entries([(lots[0], -440), (lots[1], -470), (LedgerAccount::Forfeited, 910)]),
    };
    vec![
        LogEvent::Account(account, AccountEvent::AccountDeletionRequested { policy_version: 1 }),
        LogEvent::Generation(generation_id, GenerationEvent::GenerationCancelled {}),
        ledger(void),
        ledger(closed),
        LogEvent::Account(account, AccountEvent::AccountErased { policy_version: 1, keys: vec![KeyClass::Profile] }),
    ]
}

fn granted(n: u32, lot: u32) -> CreditLedgerEvent {
    let lot_id = LotId(id(n, 5, lot));
    CreditLedgerEvent::CreditsGranted {
        lot_id,
        source: if lot == 0 { GrantSource::Promotional } else { GrantSource::Purchased },
        reason: GrantReason::SignUpBonus,
        amount: Credits::new(500),
        expires_at: (lot == 0).then(|| DateTime::from_timestamp(1_790_000_000, 123_456_000).expect("an instant")),
        entries: entries([(LedgerAccount::IssuedPromotional, -500), (LedgerAccount::Lot(lot_id), 500)]),
    }
}

/// A job from its hold to its end; each sixth has another end, and the last has none.
fn job_of(n: u32, job: u32) -> Vec<LogEvent> {
    let (account, hold_id, generation_id) =
        (AccountId(id(n, 1, 0)), HoldId(id(n, 2, job)), GenerationId(id(n, 2, job)));
    let (held, lot) = (LedgerAccount::Held, LedgerAccount::Lot(LotId(id(n, 5, job % 2))));
    let ledger = |event| LogEvent::CreditLedger(LedgerId::live(account), event);
    let generation = |event| LogEvent::Generation(generation_id, event);
    let amount = Credits::new(40);
    let place = CreditLedgerEvent::HoldPlaced {
        hold_id,
        generation_id,
        amount,
        price_version: 1,
        budget: None,
        entries: entries([(lot, -40), (held, 40)]),
    };
    let capture = CreditLedgerEvent::HoldCaptured {
        hold_id,
        generation_id,
        captured: Credits::new(30),
        price_version: 1,
        entries: entries([(held, -40), (LedgerAccount::Consumed, 30), (lot, 10)]),
    };
    let void = CreditLedgerEvent::HoldVoided {
        hold_id,
        generation_id,
        returned: amount,
        entries: entries([(held, -40), (lot, 40)]),
    };
    let outputs = vec![Output {
        object: format!("{account}/{generation_id}/1/0.png"),
        media_type: "image/png".to_owned(),
        width: 64,
        height: 64,
        bytes: 123,
    }];
    let succeeded = GenerationEvent::GenerationSucceeded { outputs, price: Credits::new(30) };
    let mut events = vec![ledger(place), generation(requested(n, job))];
    if job != 2 {
        events.push(generation(GenerationEvent::GenerationStarted { attempt: 1 }));
    }
    events.extend(match job {
        0 => vec![generation(succeeded), ledger(capture), generation(GenerationEvent::GenerationPublished {})],
        1 => {
            vec![generation(GenerationEvent::GenerationFailed { reason: FailureReason::ProviderFailed }), ledger(void)]
        }
        2 => vec![generation(GenerationEvent::GenerationCancelled {}), ledger(void)],
        3 => vec![generation(succeeded), ledger(capture), generation(GenerationEvent::GenerationDeleted {})],
        4 => vec![ledger(capture), generation(succeeded)],
        _ => Vec::new(),
    });
    events
}

fn requested(n: u32, job: u32) -> GenerationEvent {
    GenerationEvent::GenerationRequested {
        terms: RequestTerms {
            account_id: AccountId(id(n, 1, 0)),
            environment: if job == 4 { Environment::Test } else { Environment::Live },
            api_key_id: Some(ApiKeyId(id(n, 4, 0))),
            model: "z-image-turbo".to_owned(),
            media_type: MediaType::Image,
            width: 64,
            height: 64,
            num_images: 1,
            seed: u64::from(job),
            unit_price: Credits::new(40),
            price: Credits::new(40),
            price_version: 1,
            publish: job.is_multiple_of(3),
        },
        prompt: sealed("prompt"),
    }
}

/// One after the other of all lives, each in its own order.
fn interleaved(mut lives: Vec<VecDeque<LogEvent>>) -> Vec<LogEvent> {
    let (mut events, mut dice) = (Vec::new(), 7_u32);
    while !lives.is_empty() {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let next = usize::try_from(dice >> 16).expect("small") % lives.len();
        match lives[next].pop_front() {
            Some(event) => events.push(event),
            None => drop(lives.swap_remove(next)),
        }
    }
    events
}

/// The names of the aggregate and the event, the stream, the version.
pub fn address(event: &LogEvent) -> (&'static str, &'static str, String, String) {
    match event {
        LogEvent::Account(id, event) => ("Account", event.name(), id.to_string(), event.event_version()),
        LogEvent::CreditLedger(id, event) => ("CreditLedger", event.name(), id.to_string(), event.event_version()),
        LogEvent::Generation(id, event) => ("Generation", event.name(), id.to_string(), event.event_version()),
    }
}

/// Fails when an event was added and this log does not have it: the committed forms name them all.
fn covers_every_event(events: &[LogEvent]) {
    let forms =
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/event_forms")).expect("the forms are committed");
    let files = forms.map(|form| form.expect("an entry").file_name().to_string_lossy().into_owned());
    let known: BTreeSet<_> = files.filter_map(|file| file.rsplitn(3, '.').last().map(str::to_owned)).collect();
    let ours = events.iter().map(|event| format!("{}.{}", address(event).0, address(event).1));
    assert_eq!(known, ours.collect(), "the rich log has every event");
}

pub async fn write(database: &TestDatabase, events: &[LogEvent]) -> i64 {
    let metadata = r#"{"actor":"operator","correlation_id":"00000000-0000-0000-0000-000000000001","causation_id":"00000000-0000-0000-0000-000000000001"}"#;
    let start = DateTime::from_timestamp(1_780_000_000, 654_321_000).expect("an instant");
    let mut owner = PgConnection::connect(&database.owner_url).await.expect("the owner connects");
    let mut sequences: BTreeMap<String, i64> = BTreeMap::new();
    for (event, position) in events.iter().zip(1_i64..) {
        let (aggregate, name, stream, version) = address(event);
        let sequence = sequences.entry(format!("{aggregate} {stream}")).or_default();
        *sequence += 1;
        sqlx::query("insert into events values ($1, $2, $3, $4, $5, $6::json, $7::json, $8, $9, $10, now())")
            .bind(aggregate)
            .bind(&stream)
            .bind(*sequence)
            .bind(name)
            .bind(version)
            .bind(event.payload().expect("sealed").to_string())
            .bind(metadata)
            .bind(position)
            .bind(Uuid::from_u128(u128::from(position.unsigned_abs())))
            .bind(start + TimeDelta::milliseconds(position))
            .execute(&mut owner)
            .await
            .expect("an event is written");
    }
    owner.close().await.expect("the owner leaves");
    i64::try_from(events.len()).expect("few")
}
