//! The work that process managers ask for: commands, timers, messages. Ids only, nothing personal.

use atelier_domain::{AccountId, AvatarId, ExportId, GenerationId, LedgerId, LotId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::{AddressDigest, SignUpDigest};
use crate::notice_topic::NoticeTopic;
use crate::ports::GatewayError;

fn ledger_as_text<S: Serializer>(ledger: &LedgerId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(ledger)
}

fn ledger_from_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LedgerId, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// One piece of work, carried out at least once; carrying it out twice does nothing more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Work {
    /// Draw a job's outputs.
    RenderGeneration {
        /// The job.
        generation: GenerationId,
        /// Whose turn it takes; `None` in work of an earlier release.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<AccountId>,
    },
    /// Pay for what was delivered.
    CaptureHold {
        /// Whose credits.
        #[serde(serialize_with = "ledger_as_text", deserialize_with = "ledger_from_text")]
        ledger: LedgerId,
        /// The job; its hold has the same id.
        generation: GenerationId,
        /// The price of what was delivered.
        amount: atelier_domain::Credits,
    },
    /// Give the held credits back.
    VoidHold {
        /// Whose credits.
        #[serde(serialize_with = "ledger_as_text", deserialize_with = "ledger_from_text")]
        ledger: LedgerId,
        /// The job; its hold has the same id.
        generation: GenerationId,
    },
    /// Close the id of a hold whose job never came.
    AbandonIfNotRequested {
        /// Whose keys the stream belongs to.
        account: AccountId,
        /// The job that should be there.
        generation: GenerationId,
        /// Not before.
        at: DateTime<Utc>,
    },
    /// Fail a job that has not begun by its longest wait (U14).
    FailIfNotStarted {
        /// The job.
        generation: GenerationId,
        /// Not before.
        at: DateTime<Utc>,
    },
    /// Fail a job that did not end in time, counted from its start (U14).
    TimeOutGeneration {
        /// The job.
        generation: GenerationId,
        /// Not before.
        at: DateTime<Utc>,
    },
    /// Write off a lot (L13).
    ExpireLot {
        /// Whose credits.
        #[serde(serialize_with = "ledger_as_text", deserialize_with = "ledger_from_text")]
        ledger: LedgerId,
        /// The lot.
        lot: LotId,
        /// Not before.
        at: DateTime<Utc>,
    },
    /// Grant the promotional credits of a verified newcomer (U19).
    GrantSignUpBonus {
        /// The newcomer.
        account: AccountId,
        /// The lot's id, derived from the event, so that a repeat grants nothing.
        lot: LotId,
    },
    /// Remove a deleted job's files (A31).
    DeleteMedia {
        /// The job.
        generation: GenerationId,
    },
    /// Remove the objects of an avatar that is shown no more (A04).
    DeleteAvatar {
        /// Whose it was.
        account: AccountId,
        /// The avatar.
        avatar: AvatarId,
    },
    /// Send the link that verifies an address, or the word that it belongs to an account already (U26, sec.S4).
    SendVerificationMail {
        /// To whom.
        account: AccountId,
    },
    /// Tell an owner that a generation has ended (A33).
    SendGenerationNotice {
        /// To whom.
        account: AccountId,
        /// The job.
        generation: GenerationId,
    },
    /// Take a deleted account apart (A37).
    EraseAccount {
        /// The account.
        account: AccountId,
    },
    /// Remove its files once more, for those that were on their way (DESIGN 7).
    RemoveMediaAgain {
        /// The account.
        account: AccountId,
        /// Not before.
        at: DateTime<Utc>,
    },
    /// Delete an account whose address was never proven (U26).
    CloseUnverified {
        /// The account.
        account: AccountId,
        /// Not before.
        at: DateTime<Utc>,
    },
    /// Write to the owner of an erased account for the last time.
    SendFarewell {
        /// The account.
        account: AccountId,
    },
    /// Tell an address's owner that somebody tried to sign up with it: asked for by releases that knew so at the sign-up.
    SendAlreadyRegisteredMail {
        /// To whom.
        account: AccountId,
    },
    /// Find out whether an address waits for a verification mail, and send it (U26, sec.S4).
    ResendVerification {
        /// The address.
        address: AddressDigest,
        /// The digest of what the sign-up returned, where its client asks; the newest sign-up with the address is meant otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sign_up: Option<SignUpDigest>,
    },
    /// Find out whose address it is that wants a new password, and begin (A14, sec.S4).
    StartPasswordReset {
        /// The address.
        address: AddressDigest,
    },
    /// Send the link for a new password (A14).
    SendPasswordResetMail {
        /// To whom.
        account: AccountId,
    },
    /// Tell an owner that something about the account's security has changed (sec.S7).
    SendSecurityNotice {
        /// To whom.
        account: AccountId,
        /// What.
        topic: NoticeTopic,
        /// When it was decided.
        at: DateTime<Utc>,
    },
    /// Tell an account's former address that there is another one now (A13).
    SendFormerAddressNotice {
        /// Whose.
        account: AccountId,
        /// The sequence of the event that changed it: the address before that one is meant.
        before: i64,
        /// When it was decided.
        at: DateTime<Utc>,
    },
    /// Make the rows beside an account's events what its log says, after an order of staff.
    SettleAccount {
        /// Whose.
        account: AccountId,
        /// For another address: when it was decided. Links mailed before count no more, and the new one is to be proven.
        new_address: Option<DateTime<Utc>>,
    },
    /// Tell an owner that staff were asked to turn the second factor off, and how to say no (U36).
    SendTwoFactorResetMail {
        /// Whose.
        account: AccountId,
        /// When it is due.
        due_at: DateTime<Utc>,
    },
    /// Turn a lost second factor off, unless its owner said no (U36).
    TurnTwoFactorOff {
        /// Whose.
        account: AccountId,
        /// Not before.
        at: DateTime<Utc>,
    },
    /// Show an owner a notice inside the application (C8).
    PostNotice {
        /// Whose.
        account: AccountId,
        /// What about.
        topic: NoticeTopic,
        /// The thing it is about.
        about: Option<Uuid>,
        /// When that happened.
        at: DateTime<Utc>,
    },
    /// Make a copy of everything an account has (U25).
    BuildDataExport {
        /// Whose.
        account: AccountId,
        /// Which copy.
        export: ExportId,
    },
    /// Give a copy up that was not made in time.
    GiveUpDataExport {
        /// Whose.
        account: AccountId,
        /// Which copy.
        export: ExportId,
        /// Not before.
        at: DateTime<Utc>,
    },
    /// Remove a copy whose time is over, or that made room.
    RemoveDataExport {
        /// Whose.
        account: AccountId,
        /// Which copy.
        export: ExportId,
        /// Not before.
        at: DateTime<Utc>,
    },
    /// Tell an owner that the copy can be fetched, or that it could not be made.
    SendDataExportMail {
        /// To whom.
        account: AccountId,
        /// Which copy.
        export: ExportId,
        /// Until when it can be fetched; `None` when it could not be made.
        expires_at: Option<DateTime<Utc>>,
    },
}

/// Which queue a piece of work waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Quick commands.
    Command,
    /// Commands for later.
    Timer,
    /// Messages to the outside: the outbox.
    Message,
    /// Long work on a model.
    Render,
    /// Copies of everything an account has: long, and of no hurry.
    Export,
}

impl Lane {
    /// Every lane.
    pub const ALL: [Self; 5] = [Self::Command, Self::Timer, Self::Message, Self::Render, Self::Export];

    /// The stored word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Timer => "timer",
            Self::Message => "message",
            Self::Render => "render",
            Self::Export => "export",
        }
    }
}

impl Work {
    /// Of a render: whose turn it takes, and the job.
    #[must_use]
    pub const fn turn(&self) -> Option<(Option<AccountId>, GenerationId)> {
        match self {
            Self::RenderGeneration { generation, account } => Some((*account, *generation)),
            _ => None,
        }
    }

    /// The queue this work waits in.
    #[must_use]
    pub const fn lane(&self) -> Lane {
        match self {
            Self::RenderGeneration { .. } => Lane::Render,
            Self::BuildDataExport { .. } => Lane::Export,
            Self::CaptureHold { .. }
            | Self::VoidHold { .. }
            | Self::GrantSignUpBonus { .. }
            | Self::EraseAccount { .. }
            | Self::ResendVerification { .. }
            | Self::StartPasswordReset { .. }
            | Self::PostNotice { .. }
            | Self::SettleAccount { .. }
            | Self::DeleteMedia { .. }
            | Self::DeleteAvatar { .. } => Lane::Command,
            Self::AbandonIfNotRequested { .. }
            | Self::FailIfNotStarted { .. }
            | Self::TimeOutGeneration { .. }
            | Self::RemoveMediaAgain { .. }
            | Self::CloseUnverified { .. }
            | Self::TurnTwoFactorOff { .. }
            | Self::GiveUpDataExport { .. }
            | Self::RemoveDataExport { .. }
            | Self::ExpireLot { .. } => Lane::Timer,
            Self::SendFarewell { .. }
            | Self::SendVerificationMail { .. }
            | Self::SendGenerationNotice { .. }
            | Self::SendPasswordResetMail { .. }
            | Self::SendSecurityNotice { .. }
            | Self::SendFormerAddressNotice { .. }
            | Self::SendTwoFactorResetMail { .. }
            | Self::SendDataExportMail { .. }
            | Self::SendAlreadyRegisteredMail { .. } => Lane::Message,
        }
    }

    /// When it is due; `None` means at once.
    #[must_use]
    pub const fn due_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::AbandonIfNotRequested { at, .. }
            | Self::FailIfNotStarted { at, .. }
            | Self::TimeOutGeneration { at, .. }
            | Self::RemoveMediaAgain { at, .. }
            | Self::CloseUnverified { at, .. }
            | Self::TurnTwoFactorOff { at, .. }
            | Self::GiveUpDataExport { at, .. }
            | Self::RemoveDataExport { at, .. }
            | Self::ExpireLot { at, .. } => Some(*at),
            Self::RenderGeneration { .. }
            | Self::CaptureHold { .. }
            | Self::VoidHold { .. }
            | Self::GrantSignUpBonus { .. }
            | Self::DeleteMedia { .. }
            | Self::EraseAccount { .. }
            | Self::SendFarewell { .. }
            | Self::DeleteAvatar { .. }
            | Self::SendVerificationMail { .. }
            | Self::SendGenerationNotice { .. }
            | Self::ResendVerification { .. }
            | Self::StartPasswordReset { .. }
            | Self::SendPasswordResetMail { .. }
            | Self::SendSecurityNotice { .. }
            | Self::SendFormerAddressNotice { .. }
            | Self::PostNotice { .. }
            | Self::SettleAccount { .. }
            | Self::SendTwoFactorResetMail { .. }
            | Self::BuildDataExport { .. }
            | Self::SendDataExportMail { .. }
            | Self::SendAlreadyRegisteredMail { .. } => None,
        }
    }
}

/// Why a piece of work is not done yet. A rule's refusal is not here: it is an answer, and ends the work.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkError {
    /// The command path did not accept it.
    #[error("command: {0}")]
    Command(String),
    /// The outside world did not.
    #[error("gateway: {0}")]
    Gateway(#[from] GatewayError),
    /// It is due by the database's clock, and not yet by this node's: again at this instant.
    #[error("not before {0}")]
    NotBefore(DateTime<Utc>),
    /// Somebody did not answer for as long as anybody waits.
    #[error("no answer in time")]
    Silent,
    /// Another node has taken it over.
    #[error("taken over by another node")]
    Lost,
}

impl WorkError {
    /// Whether trying again is in vain.
    pub(super) const fn is_final(&self) -> bool {
        match self {
            Self::Gateway(GatewayError::Refused(_) | GatewayError::Recipient(_)) => true,
            Self::Gateway(GatewayError::Unavailable(_))
            | Self::Command(_)
            | Self::NotBefore(_)
            | Self::Silent
            | Self::Lost => false,
        }
    }
}
