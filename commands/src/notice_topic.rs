//! What a notice can be about: the words of rows, mails and the API.

use atelier_domain::account::NoticeKind;
use serde::{Deserialize, Serialize};

macro_rules! topics {
    ($($(#[$doc:meta])+ $name:ident = $word:literal),+ $(,)?) => {
        /// What a notice is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum NoticeTopic {
            $($(#[$doc])+ $name),+
        }

        impl NoticeTopic {
            /// Every topic.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$name),+];

            /// The stored word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word),+
                }
            }
        }
    };
}

topics! {
    /// A generation is ready (A33).
    GenerationSucceeded = "generation_succeeded",
    /// A generation failed (A33).
    GenerationFailed = "generation_failed",
    /// The password is another one (V08, A15).
    PasswordChanged = "password_changed",
    /// Signing in takes a code now (V11).
    TwoFactorEnabled = "two_factor_enabled",
    /// It does no more.
    TwoFactorDisabled = "two_factor_disabled",
    /// Staff were asked to turn it off (U36).
    TwoFactorResetRequested = "two_factor_reset_requested",
    /// They will not.
    TwoFactorResetStopped = "two_factor_reset_stopped",
    /// There are new recovery codes (sec.T2).
    RecoveryCodesRenewed = "recovery_codes_renewed",
    /// One of them was used up.
    RecoveryCodeUsed = "recovery_code_used",
    /// An identity elsewhere signs in now (A16).
    IdentityLinked = "identity_linked",
    /// It does no more.
    IdentityUnlinked = "identity_unlinked",
    /// The address is another one (A13).
    EmailChanged = "email_changed",
    /// The handle is another one (U29).
    UsernameChanged = "username_changed",
    /// There is another API key (B03).
    ApiKeyCreated = "api_key_created",
    /// The account has a role now.
    RoleGranted = "role_granted",
    /// It has it no more.
    RoleWithdrawn = "role_withdrawn",
    /// A copy of everything was asked for (U25).
    DataExportRequested = "data_export_requested",
    /// It can be fetched.
    DataExportReady = "data_export_ready",
    /// It could not be made in time.
    DataExportFailed = "data_export_failed",
}

impl NoticeTopic {
    /// Finds a topic by its stored word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.as_str() == text)
    }

    /// The switch that it is under; `None` for security, which cannot be switched off (V12).
    #[must_use]
    pub const fn kind(self) -> Option<NoticeKind> {
        match self {
            Self::GenerationSucceeded | Self::GenerationFailed => Some(NoticeKind::GenerationComplete),
            Self::PasswordChanged
            | Self::TwoFactorEnabled
            | Self::TwoFactorDisabled
            | Self::TwoFactorResetRequested
            | Self::TwoFactorResetStopped
            | Self::RecoveryCodesRenewed
            | Self::RecoveryCodeUsed
            | Self::IdentityLinked
            | Self::IdentityUnlinked
            | Self::EmailChanged
            | Self::UsernameChanged
            | Self::ApiKeyCreated
            | Self::RoleGranted
            | Self::RoleWithdrawn
            | Self::DataExportRequested
            | Self::DataExportReady
            | Self::DataExportFailed => None,
        }
    }

    /// Whether it is about the account's security, and so has the mail of such notices. The end of a copy has a mail of its own.
    #[must_use]
    pub const fn is_security(self) -> bool {
        self.kind().is_none() && !matches!(self, Self::DataExportReady | Self::DataExportFailed)
    }
}
