//! The rows: every field of every type, who sees it; every root field, on which things and for whom.

use super::Caller;
use super::Caller::{Admin, Anonymous, Auditor, Key, Other, Owner, Support};
use super::cast::Cast;

/// A type's fields: those that whoever reaches the thing sees, and those that are its owner's alone.
pub struct Fields {
    pub of: &'static str,
    pub seen: &'static str,
    pub owners: &'static str,
}

const fn seen(of: &'static str, seen: &'static str) -> Fields {
    Fields { of, seen, owners: "" }
}

/// Every field of every type that is no payload.
pub const FIELDS: &[Fields] = &[
    // What everybody reaches.
    Fields {
        of: "Generation",
        seen: "id status model mediaType prompt width height images published createdAt creator",
        owners: "endedAt numImages seed price creditsUsed failure",
    },
    seen("Creator", "id username displayName bio avatar rank published"),
    seen("Avatar", "url sizes"),
    seen("Image", "url contentType width height bytes"),
    seen("Model", "id mediaType price priceVersion typicalSeconds minSide maxSide maxImages"),
    seen("SignUpOptions", "google password username minimumAge supportUrl"),
    seen("PasswordRules", "minLength maxBytes needsNumber needsSymbol"),
    seen("UsernameRules", "minLength maxLength pattern"),
    seen("UsernameAvailability", "available userErrors"),
    seen("GenerationConnection", "edges pageInfo position"),
    seen("GenerationEdge", "cursor node"),
    seen("PageInfo", "hasNextPage hasPreviousPage startCursor endCursor"),
    // What only `me` leads to: its own account's.
    seen(
        "Me",
        "id position profile rank progress credits transactions creations preferences notices unreadNoticeCount sessions \
         apiAccess twoFactor authMethods usernameChangeableAt apiKeys history dataExports",
    ),
    seen("Profile", "username displayName bio avatar public email emailVerified supportUrl plan createdAt"),
    seen("Rank", "current count next nextAt remaining ratio"),
    seen("Credits", "available held expiringSoon lots position"),
    seen("CreditLot", "remaining granted source expiresAt"),
    seen("Transaction", "id kind amount generationId priceVersion at settledAt"),
    seen("TransactionConnection", "edges pageInfo position"),
    seen("TransactionEdge", "cursor node"),
    seen("Preferences", "publish language notifications"),
    seen("PublishPreference", "value locked reason"),
    seen("NotificationSwitch", "kind channel on switchable consentTextVersion since"),
    seen("Notice", "id kind topic generationId createdAt readAt"),
    seen("NoticeConnection", "edges pageInfo position"),
    seen("NoticeEdge", "cursor node"),
    seen("Session", "id current device place lastActiveAt startedAt expiresAt"),
    seen("ApiAccess", "enabled reason scopes"),
    seen(
        "ApiKey",
        "id label prefix last4 environment scopes dailyCap totalCap replaces replacedBy status createdAt expiresAt revokedAt usage",
    ),
    seen("ApiKeyConnection", "edges pageInfo position"),
    seen("ApiKeyEdge", "cursor node"),
    seen("ApiKeyUsage", "total byDay lastUsedAt"),
    seen("UsageTotal", "requests byStatus credits"),
    seen("UsageOfDay", "date requests byStatus credits"),
    seen("StatusCount", "status requests"),
    seen("HistoryConnection", "edges pageInfo position"),
    seen("HistoryEdge", "cursor node"),
    seen("HistoryEntry", "id at kind actor about detail reason"),
    // What auditors alone reach; `queries.rs` asks for it by everybody.
    seen("Audit", "position ledger history staff"),
    seen("Ledger", "balance transactions"),
    seen("StaffMember", "accountId roles"),
    seen("StaffHistoryConnection", "edges pageInfo position"),
    seen("StaffHistoryEdge", "cursor node"),
    seen("StaffHistoryEntry", "entry staffId"),
    // What support and admins are answered with.
    seen(
        "StaffAccountView",
        "id username email emailVerified twoFactorEnabled twoFactorResetDueAt roles sessions apiKeys createdAt",
    ),
    seen("StaffSessionView", "id device place lastActiveAt startedAt"),
    seen("StaffApiKeyView", "id label prefix createdAt expiresAt revokedAt status"),
    seen("DataExport", "id state requestedAt readyAt expiresAt bytes url"),
    seen("TwoFactor", "enabled recoveryCodesLeft pendingReset"),
    seen("TwoFactorReset", "dueAt reason"),
    seen("AuthMethods", "password identities"),
    seen("ExternalIdentity", "id provider label linkedAt"),
    // What subscriptions tell.
    seen("GenerationUpdate", "generation position"),
    seen("NewNotices", "notices position"),
    // What payloads are made of.
    seen("UserError", "code field message reason min max required available retryAfter"),
    seen("NewSession", "id expiresAt"),
    seen("GoogleSignUp", "ticket email emailVerified suggestedUsername"),
    seen("AvatarUpload", "url expiresAt maxBytes accepts"),
];

/// Fields that the queries of this matrix show to nobody, and why that is no hole in it.
pub const SHOWN_ELSEWHERE: &[(&str, &str)] = &[
    ("Generation.failure", "no job of the cast fails; a18_ asks for it"),
    ("Session.place", "loopback has no place; u38_ asks for it"),
    ("ApiAccess.reason", "the deployment of the cast lets everybody; v27_ asks for it"),
    ("Me.usernameChangeableAt", "the owner of the cast was not renamed; u29_an_account_says_ asks for it"),
    ("Transaction.settledAt", "see TransactionConnection"),
    ("TwoFactor.pendingReset", "staff have not begun one for the cast's owner; u36_ asks for it"),
    ("TwoFactorReset.dueAt", "see TwoFactor.pendingReset"),
    ("TwoFactorReset.reason", "see TwoFactor.pendingReset"),
    ("GenerationUpdate.generation", "subscriptions.rs asks for it"),
    ("GenerationUpdate.position", "subscriptions.rs asks for it"),
    ("NewNotices.notices", "subscriptions.rs asks for it"),
    ("NewNotices.position", "subscriptions.rs asks for it"),
];

/// A root field of `Query` on one thing: how it is asked for, and who sees it.
pub struct Root {
    pub field: &'static str,
    pub what: &'static str,
    /// The arguments, with the thing's id or name filled in.
    pub arguments: fn(&Cast) -> String,
    pub sees: &'static [Caller],
}

const EVERYBODY: &[Caller] = &Caller::ALL;
const SIGNED_IN: &[Caller] = &[Other, Owner, Auditor, Support, Admin];
const OWNER: &[Caller] = &[Owner];
const NOBODY: &[Caller] = &[];
/// Callers who are somebody else or nobody; they see of `EVERYBODY`'s things what is not the owner's alone.
pub const STRANGERS: &[Caller] = &[Anonymous, Key, Other, Auditor, Support, Admin];

/// `id: "..."`.
fn id(id: &str) -> String {
    format!("(id: \"{id}\")")
}

const fn root(
    field: &'static str,
    what: &'static str,
    arguments: fn(&Cast) -> String,
    sees: &'static [Caller],
) -> Root {
    Root { field, what, arguments, sees }
}

/// Every root field of `Query`, on everything that makes a difference.
pub const ROOTS: &[Root] = &[
    root("me", "one's own account", |_| String::new(), SIGNED_IN),
    root("creator", "a public profile", |cast| format!("(username: \"{}\")", cast.username), EVERYBODY),
    root("creator", "an unknown name", |_| "(username: \"nobody\")".to_owned(), NOBODY),
    root("explore", "the feed", |_| "(first: 3)".to_owned(), EVERYBODY),
    root("generation", "a published one", |cast| id(&cast.published), EVERYBODY),
    root("generation", "a private one", |cast| id(&cast.private), OWNER),
    root("generation", "one that waits", |cast| id(&cast.waiting), OWNER),
    root("generation", "an unknown one", |cast| id(&cast.unknown("gen")), NOBODY),
    root("node", "a published generation", |cast| id(&cast.published), EVERYBODY),
    root("node", "a private generation", |cast| id(&cast.private), OWNER),
    root("node", "an account", |cast| id(&cast.account_id), OWNER),
    root("node", "a creator", |cast| id(&cast.account_id.replacen("acc_", "cre_", 1)), EVERYBODY),
    root("node", "an API key", |cast| id(&cast.key_id), NOBODY),
    root("node", "a session", |cast| id(&cast.session_id), NOBODY),
    root("node", "a notice", |cast| id(&cast.notice_id), NOBODY),
    root("node", "an identity", |cast| id(&cast.identity_id), NOBODY),
    root("node", "a copy of everything", |cast| id(&cast.export_id), NOBODY),
    root("node", "an unknown creator", |cast| id(&cast.unknown("cre")), NOBODY),
    root("node", "an unknown account", |cast| id(&cast.unknown("acc")), NOBODY),
    root("signUpOptions", "what a sign-up screen asks", |_| String::new(), EVERYBODY),
    root("usernameAvailability", "a free name", |_| "(username: \"nobody\")".to_owned(), EVERYBODY),
    root("usernameAvailability", "a reserved name", |_| "(username: \"admin\")".to_owned(), EVERYBODY),
    root("models", "the catalogue", |_| String::new(), EVERYBODY),
];
