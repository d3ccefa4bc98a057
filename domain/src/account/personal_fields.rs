//! Which fields of an account's events are personal: all of the profile class, which dies with the account (REQUIREMENTS 4.2.1).

use super::AccountEvent;
use crate::{KeyClass, PersonalFields, PersonalSlot};

impl PersonalFields for AccountEvent {
    fn personal_fields(&mut self) -> Vec<PersonalSlot<'_>> {
        const PROFILE: KeyClass = KeyClass::Profile;
        match self {
            Self::AccountOpened { email, username, display_name, .. } => vec![
                PersonalSlot::new("email", PROFILE, email),
                PersonalSlot::new("username", PROFILE, username),
                PersonalSlot::new("display_name", PROFILE, display_name),
            ],
            Self::EmailChanged { email } => vec![PersonalSlot::new("email", PROFILE, email)],
            Self::UsernameChanged { username, .. } => vec![PersonalSlot::new("username", PROFILE, username)],
            Self::DisplayNameChanged { display_name } => vec![PersonalSlot::new("display_name", PROFILE, display_name)],
            Self::BioChanged { bio } => vec![PersonalSlot::new("bio", PROFILE, bio)],
            Self::ExternalIdentityLinked { label, .. } => vec![PersonalSlot::new("label", PROFILE, label)],
            Self::ApiKeyCreated { label, .. } => vec![PersonalSlot::new("label", PROFILE, label)],
            Self::StaffActionRecorded { reason, .. } => vec![PersonalSlot::new("reason", PROFILE, reason)],
            Self::AccountAbandoned {}
            | Self::EmailVerified {}
            | Self::AvatarChanged { .. }
            | Self::AvatarRemoved {}
            | Self::PublicProfileChanged { .. }
            | Self::LanguageChanged { .. }
            | Self::NotificationPreferenceChanged { .. }
            | Self::PublishPreferenceChanged { .. }
            | Self::PlanAssigned { .. }
            | Self::SessionStarted { .. }
            | Self::SessionEnded { .. }
            | Self::PasswordResetRequested {}
            | Self::PasswordChanged { .. }
            | Self::ExternalIdentityUnlinked { .. }
            | Self::TwoFactorEnabled {}
            | Self::TwoFactorDisabled { .. }
            | Self::TwoFactorResetRequested { .. }
            | Self::TwoFactorResetStopped {}
            | Self::RecoveryCodesRenewed {}
            | Self::RecoveryCodeUsed {}
            | Self::ApiKeyExpiryChanged { .. }
            | Self::ApiKeyExpired { .. }
            | Self::ApiKeyRevoked { .. }
            | Self::RoleGranted { .. }
            | Self::RoleWithdrawn { .. }
            | Self::DataExportRequested { .. }
            | Self::DataExportReady { .. }
            | Self::DataExportFailed { .. }
            | Self::AccountDeletionRequested { .. }
            | Self::AccountErased { .. } => Vec::new(),
        }
    }
}
