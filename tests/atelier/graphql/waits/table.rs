//! The rows: every field that can be asked for at a position, with the read models it needs.

use atelier_projections::models::{
    account_history, api_keys, creations, credit_balance, data_exports, explore, notification_preferences, profile,
    rank, sessions, transaction_history,
};

const PROFILE: &str = profile::NAME;
const RANK: &str = rank::NAME;
const BALANCE: &str = credit_balance::NAME;
const TRANSACTIONS: &str = transaction_history::NAME;
const CREATIONS: &str = creations::NAME;
const EXPLORE: &str = explore::NAME;
const HISTORY: &str = account_history::NAME;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Owner,
    Auditor,
    Support,
}

/// How a type is reached: a document with `@` where its field stands, and what is read on the way.
pub struct Way {
    pub of: &'static str,
    pub by: By,
    pub document: &'static str,
    pub needs: &'static [&'static str],
}

/// The types that read, each with a root field that takes `minPosition`.
pub const WAYS: &[Way] = &[
    Way { of: "Me", by: By::Owner, document: "query($p: String) { me(minPosition: $p) { @ } }", needs: &[] },
    Way {
        of: "Creator",
        by: By::Owner,
        document: "query($p: String) { creator(username: \"ada\", minPosition: $p) { @ } }",
        needs: &[PROFILE],
    },
    Way {
        of: "Generation",
        by: By::Owner,
        document: "query($p: String) { generation(id: \"{published}\", minPosition: $p) { @ } }",
        needs: &[CREATIONS],
    },
    Way {
        of: "GenerationConnection",
        by: By::Owner,
        document: "query($p: String) { explore(minPosition: $p) { @ } }",
        needs: &[EXPLORE],
    },
    Way { of: "Audit", by: By::Auditor, document: "query($p: String) { audit(minPosition: $p) { @ } }", needs: &[] },
    Way {
        of: "Ledger",
        by: By::Auditor,
        document: "query($p: String) { audit(minPosition: $p) { ledger(accountId: \"{account}\") { @ } } }",
        needs: &[],
    },
];

/// The fields of those types, by what they need beyond the way to them.
pub const FIELDS: &[(&str, &[&str], &str)] = &[
    ("Me", &[], "id position notices unreadNoticeCount twoFactor authMethods usernameChangeableAt"),
    ("Me", &[PROFILE], "profile apiAccess"),
    ("Me", &[RANK], "rank progress"),
    ("Me", &[BALANCE], "credits"),
    ("Me", &[TRANSACTIONS], "transactions"),
    ("Me", &[CREATIONS], "creations"),
    ("Me", &[PROFILE, notification_preferences::NAME], "preferences"),
    ("Me", &[sessions::NAME], "sessions"),
    ("Me", &[HISTORY], "history"),
    ("Me", &[data_exports::NAME], "dataExports"),
    ("Me", &[api_keys::NAME], "apiKeys"),
    ("Creator", &[], "id username displayName bio avatar"),
    ("Creator", &[RANK], "rank"),
    ("Creator", &[EXPLORE], "published"),
    (
        "Generation",
        &[],
        "id status model mediaType prompt width height images published createdAt endedAt numImages seed price creditsUsed \
         failure",
    ),
    ("Generation", &[PROFILE], "creator"),
    ("GenerationConnection", &[], "edges pageInfo position"),
    ("Audit", &[], "position ledger staff"),
    ("Audit", &[HISTORY], "history"),
    ("Ledger", &[BALANCE], "balance"),
    ("Ledger", &[TRANSACTIONS], "transactions"),
];

/// Selections that a client may make of the same: through lists, fragments and directives.
pub const SELECTIONS: &[(&str, &[&str])] = &[
    ("query($p: String) { me(minPosition: $p) { __typename } }", &[]),
    (
        "query($p: String) { me(minPosition: $p) { name: profile { bio } standing: rank { current } } }",
        &[PROFILE, RANK],
    ),
    (
        "query($p: String) { me(minPosition: $p) { ...A ... on Me { rank { current } } } } \
         fragment A on Me { ...B } fragment B on Me { sessions { id } }",
        &[RANK, sessions::NAME],
    ),
    (
        "query($p: String, $no: Boolean = false) { me(minPosition: $p) { rank { current } profile @skip(if: true) { bio } \
         apiKeys @include(if: $no) { position } ...A @include(if: $no) ... @skip(if: true) { credits { held } } } } \
         fragment A on Me { sessions { id } }",
        &[RANK],
    ),
    ("query($p: String) { explore(minPosition: $p) { edges { node { id prompt images { url } } } } }", &[EXPLORE]),
    ("query($p: String) { explore(minPosition: $p) { edges { node { creator { username } } } } }", &[EXPLORE, PROFILE]),
    (
        "query($p: String) { explore(minPosition: $p) { edges { node { creator { rank } } } } }",
        &[EXPLORE, PROFILE, RANK],
    ),
    (
        "query($p: String) { me(minPosition: $p) { creations { edges { node { creator { published { edges { node { id } } } } } } } } }",
        &[CREATIONS, PROFILE, EXPLORE],
    ),
];

/// Every subscription, and a selection that reads more than the event itself.
pub const SUBSCRIPTIONS: &[(&str, &str, &[&str])] = &[
    (
        "generationUpdated",
        "subscription($p: String) { generationUpdated(id: \"{published}\", after: $p) { generation { id } position } }",
        &[CREATIONS],
    ),
    (
        "generationUpdated",
        "subscription($p: String) { generationUpdated(id: \"{published}\", after: $p) { generation { creator { rank } } } }",
        &[CREATIONS, PROFILE, RANK],
    ),
    ("balanceChanged", "subscription($p: String) { balanceChanged(after: $p) { available position } }", &[BALANCE]),
    ("notifications", "subscription($p: String) { notifications(after: $p) { position } }", &[CREATIONS]),
];
