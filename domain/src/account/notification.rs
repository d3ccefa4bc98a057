//! What an account may be told, on which channel, and what it is told unless it says otherwise (V12-V17, C8).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A kind of notice that can be switched. Security and legal notices cannot, so they are not here (V12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// A generation has ended (A32, V13).
    GenerationComplete,
    /// The balance has fallen below the threshold (V14).
    LowCreditAlert,
    /// An invoice after a payment (V15).
    BillingReceipts,
    /// News of the studio (V16).
    Newsletter,
    /// Offers (V16).
    Marketing,
}

/// Where a notice appears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// By mail to the registered address.
    Mail,
    /// In the application.
    InApp,
}

impl NoticeKind {
    /// Every kind, in the order of the settings screen.
    pub const ALL: [Self; 5] =
        [Self::GenerationComplete, Self::LowCreditAlert, Self::BillingReceipts, Self::Newsletter, Self::Marketing];

    /// The stored word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GenerationComplete => "generation_complete",
            Self::LowCreditAlert => "low_credit_alert",
            Self::BillingReceipts => "billing_receipts",
            Self::Newsletter => "newsletter",
            Self::Marketing => "marketing",
        }
    }

    /// Finds a kind by its stored word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether it is on until somebody says otherwise (V13-V16).
    #[must_use]
    pub const fn on_by_default(self) -> bool {
        match self {
            Self::GenerationComplete | Self::LowCreditAlert | Self::BillingReceipts => true,
            Self::Newsletter | Self::Marketing => false,
        }
    }

    /// Whether turning it on is a consent, recorded with the version of the text agreed to, and every mail of it can be ended by one
    /// click (V16).
    #[must_use]
    pub const fn needs_consent(self) -> bool {
        match self {
            Self::Newsletter | Self::Marketing => true,
            Self::GenerationComplete | Self::LowCreditAlert | Self::BillingReceipts => false,
        }
    }
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 2] = [Self::Mail, Self::InApp];

    /// The stored word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::InApp => "in_app",
        }
    }
}

/// One switch, set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotificationChoice {
    /// What about.
    pub kind: NoticeKind,
    /// Where.
    pub channel: Channel,
    /// On or off.
    pub on: bool,
}

/// What an account has chosen; everything else is as it is by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationChoices {
    mail: BTreeMap<NoticeKind, bool>,
    in_app: BTreeMap<NoticeKind, bool>,
}

impl NotificationChoices {
    /// Whether a notice of this kind is wanted there.
    #[must_use]
    pub fn wants(&self, kind: NoticeKind, channel: Channel) -> bool {
        self.chosen(channel).get(&kind).copied().unwrap_or_else(|| kind.on_by_default())
    }

    /// How many switches are set.
    pub(super) fn len(&self) -> usize {
        self.mail.len() + self.in_app.len()
    }

    /// Sets one switch.
    pub fn set(&mut self, choice: NotificationChoice) {
        match choice.channel {
            Channel::Mail => self.mail.insert(choice.kind, choice.on),
            Channel::InApp => self.in_app.insert(choice.kind, choice.on),
        };
    }

    const fn chosen(&self, channel: Channel) -> &BTreeMap<NoticeKind, bool> {
        match channel {
            Channel::Mail => &self.mail,
            Channel::InApp => &self.in_app,
        }
    }
}
