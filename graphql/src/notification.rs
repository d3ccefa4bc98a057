//! Notices: which are wanted where, and what an account was told inside the application (A32, V12-V17).

use async_graphql::{Enum, ID, SimpleObject};
use atelier_commands::NoticeTopic;
use atelier_domain::{GenerationId, account};
use atelier_projections::models::notification_preferences::SwitchView;
use atelier_projections::notices::NoticeView;
use chrono::{DateTime, Utc};

use crate::global_id::GlobalId;
use crate::number::int;

/// What a notice is about, as the settings have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum NotificationKind {
    /// A generation has ended.
    GenerationComplete,
    /// The balance has fallen below the threshold.
    LowCreditAlert,
    /// An invoice after a payment.
    BillingReceipts,
    /// News of the studio; turning it on is a consent.
    Newsletter,
    /// Offers; turning it on is a consent.
    Marketing,
    /// Who may get into the account, and what can be taken out of it; cannot be switched off.
    Security,
    /// Terms and duties; cannot be switched off.
    Legal,
}

impl NotificationKind {
    /// The switch of this kind; `None` for what cannot be switched (V12).
    pub(crate) const fn switch(self) -> Option<account::NoticeKind> {
        match self {
            Self::GenerationComplete => Some(account::NoticeKind::GenerationComplete),
            Self::LowCreditAlert => Some(account::NoticeKind::LowCreditAlert),
            Self::BillingReceipts => Some(account::NoticeKind::BillingReceipts),
            Self::Newsletter => Some(account::NoticeKind::Newsletter),
            Self::Marketing => Some(account::NoticeKind::Marketing),
            Self::Security | Self::Legal => None,
        }
    }
}

impl From<account::NoticeKind> for NotificationKind {
    fn from(kind: account::NoticeKind) -> Self {
        match kind {
            account::NoticeKind::GenerationComplete => Self::GenerationComplete,
            account::NoticeKind::LowCreditAlert => Self::LowCreditAlert,
            account::NoticeKind::BillingReceipts => Self::BillingReceipts,
            account::NoticeKind::Newsletter => Self::Newsletter,
            account::NoticeKind::Marketing => Self::Marketing,
        }
    }
}

/// Where a notice appears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "account::Channel")]
pub enum NotificationChannel {
    /// By mail to the registered address.
    Mail,
    /// In the application.
    InApp,
}

/// The language of mails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "account::Language")]
pub enum Language {
    /// English.
    En,
    /// German.
    De,
}

/// A switch of the settings.
#[derive(Debug, Clone, SimpleObject)]
pub struct NotificationSwitch {
    /// What about.
    kind: NotificationKind,
    /// Where.
    channel: NotificationChannel,
    /// On or off.
    on: bool,
    /// Whether it can be switched.
    switchable: bool,
    /// The version of the text that was agreed to, where turning it on was a consent.
    consent_text_version: Option<i32>,
    /// Since when; null while it is as it is by default.
    since: Option<DateTime<Utc>>,
}

/// Every line of the settings: the switches, then what cannot be switched off.
pub(crate) fn switches(set: &[SwitchView]) -> Vec<NotificationSwitch> {
    let switch = |view: &SwitchView| NotificationSwitch {
        kind: view.kind.into(),
        channel: view.channel.into(),
        on: view.on,
        switchable: true,
        consent_text_version: view.text_version.map(int),
        since: view.since,
    };
    let fixed = [NotificationKind::Security, NotificationKind::Legal].into_iter().flat_map(|kind| {
        account::Channel::ALL.map(|channel| NotificationSwitch {
            kind,
            channel: channel.into(),
            on: true,
            switchable: false,
            consent_text_version: None,
            since: None,
        })
    });
    set.iter().map(switch).chain(fixed).collect()
}

/// What a notice says; the application has the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "NoticeTopic")]
pub enum Topic {
    /// A generation is ready.
    GenerationSucceeded,
    /// A generation failed; nothing was charged.
    GenerationFailed,
    /// The password is another one.
    PasswordChanged,
    /// Signing in takes a code now.
    TwoFactorEnabled,
    /// Signing in takes no code any more.
    TwoFactorDisabled,
    /// Staff were asked to turn the second factor off; `keepTwoFactor` says no.
    TwoFactorResetRequested,
    /// It stays on.
    TwoFactorResetStopped,
    /// There are new recovery codes.
    RecoveryCodesRenewed,
    /// A recovery code was used up.
    RecoveryCodeUsed,
    /// An identity elsewhere signs in now.
    IdentityLinked,
    /// An identity elsewhere signs in no more.
    IdentityUnlinked,
    /// The address is another one.
    EmailChanged,
    /// The username is another one.
    UsernameChanged,
    /// There is another API key.
    ApiKeyCreated,
    /// The account has a role now.
    RoleGranted,
    /// The account has a role no more.
    RoleWithdrawn,
    /// A copy of all data was asked for.
    DataExportRequested,
    /// The copy of all data can be fetched.
    DataExportReady,
    /// The copy of all data could not be made.
    DataExportFailed,
}

/// Something the account was told inside the application.
#[derive(Debug, Clone, SimpleObject)]
pub struct Notice {
    /// The notice's id.
    id: ID,
    /// Which switch it is under.
    kind: NotificationKind,
    /// What it says.
    topic: Topic,
    /// The generation it is about, if it is about one.
    generation_id: Option<ID>,
    /// When it happened.
    created_at: DateTime<Utc>,
    /// When it was read; null while it was not.
    read_at: Option<DateTime<Utc>>,
}

impl Notice {
    /// A notice as it is shown; `None` when this release does not know its topic.
    pub(crate) fn of(view: NoticeView) -> Option<Self> {
        let topic = NoticeTopic::parse(&view.topic)?;
        let kind = topic.kind().map_or(NotificationKind::Security, NotificationKind::from);
        let generation = view.about.filter(|_| kind == NotificationKind::GenerationComplete);
        Some(Self {
            id: GlobalId::Notice(view.notice_id).into(),
            kind,
            topic: topic.into(),
            generation_id: generation.map(|id| GlobalId::Generation(GenerationId(id)).into()),
            created_at: view.at,
            read_at: view.read_at,
        })
    }
}
