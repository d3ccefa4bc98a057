//! Crates that are here in several incompatible versions: each costs build time and size, so each has a reason.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::semver::Version;

use super::{assert_none, locked, metadata};

const RUST_CRYPTO: &str = "sqlx 0.8 is of RustCrypto's 0.10 generation; the vault and tokio-postgres are of 0.11";
const RAND: &str = "sqlx 0.8 uses rand 0.8, metrics-util 0.9, tokio-postgres 0.10";
const OPENID: &str = "openidconnect 4 has RSA of the generation before and elliptic curves of today's";
const SERDE_WITH: &str = "serde_with, of openidconnect, is ready for both; none of them is built in";
const HASH_MAPS: &str =
    "rowan, of apollo-compiler, uses hashbrown 0.14, sqlx 0.8 0.15, metrics-util 0.16, indexmap 0.17";

/// Every crate that may be here more than once, with the reason why it is.
const REASONS: &[(&str, &str)] = &[
    ("base64", "reqwest, of the tests, uses 0.23; everything else 0.22"),
    ("bitflags", "ariadne, of apollo-compiler, uses 1"),
    ("block-buffer", RUST_CRYPTO),
    ("const-oid", RUST_CRYPTO),
    ("cpufeatures", RUST_CRYPTO),
    ("crypto-common", RUST_CRYPTO),
    ("darling", "async-graphql uses 0.23, serde_with 0.24; build time only"),
    ("darling_core", "as darling"),
    ("darling_macro", "as darling"),
    ("der", OPENID),
    ("digest", RUST_CRYPTO),
    ("foldhash", HASH_MAPS),
    ("getrandom", "ring uses 0.2, rand 0.9 uses 0.3; 0.4 is ours"),
    ("hashbrown", HASH_MAPS),
    ("hmac", RUST_CRYPTO),
    ("indexmap", SERDE_WITH),
    ("itertools", "openidconnect uses 0.14, object_store 0.15"),
    ("md-5", RUST_CRYPTO),
    ("miniz_oxide", "png uses 0.8, flate2 0.9"),
    ("pem-rfc7468", OPENID),
    ("pkcs8", OPENID),
    ("rand", RAND),
    ("rand_chacha", RAND),
    ("rand_core", RAND),
    ("rustc-hash", "rowan, of apollo-compiler, uses 1"),
    ("schemars", SERDE_WITH),
    ("sha1", "axum's WebSockets use 0.10, totp-rs 0.11"),
    ("sha2", RUST_CRYPTO),
    ("signature", OPENID),
    ("spki", OPENID),
    ("syn", "derive macros move from 2 to 3 one by one; build time only"),
    ("thiserror", "oauth2 uses 1"),
    ("thiserror-impl", "as thiserror"),
    ("webpki-roots", "sqlx 0.8 uses 0.26, which is only a door to 1"),
    ("whoami", "sqlx 0.8 uses 1, tokio-postgres 2"),
];

/// The part of a version that a caret requirement holds fast: two versions that differ in it cannot stand in for each other.
const fn compatibility(version: &Version) -> (u64, u64, u64) {
    match (version.major, version.minor, version.patch) {
        (0, 0, patch) => (0, 0, patch),
        (0, minor, _) => (0, minor, 0),
        (major, ..) => (major, 0, 0),
    }
}

fn duplicated<'a>(crates: impl IntoIterator<Item = (&'a str, &'a Version)>) -> BTreeSet<&'a str> {
    let mut kinds: BTreeMap<&str, BTreeSet<_>> = BTreeMap::new();
    for (name, version) in crates {
        kinds.entry(name).or_default().insert(compatibility(version));
    }
    kinds.into_iter().filter(|(_, kinds)| kinds.len() > 1).map(|(name, _)| name).collect()
}

#[test]
fn d9_every_duplicate_has_a_reason() {
    let found = duplicated(metadata().packages.iter().map(|package| (package.name.as_str(), &package.version)));
    let unexplained = found.into_iter().filter(|name| REASONS.iter().all(|(known, _)| known != name));
    let unexplained: Vec<_> = unexplained.map(|name| format!("{name}: cargo tree -d")).collect();
    assert_none("In several incompatible versions, without a reason in REASONS:", &unexplained);
}

/// Against `Cargo.lock`, which is the same on every platform.
#[test]
fn d9_no_reason_outlives_its_duplicate() {
    let locked = locked();
    let found = duplicated(locked.iter().flat_map(|(name, versions)| versions.iter().map(move |v| (name.as_str(), v))));
    let stale = REASONS.iter().filter(|(name, _)| !found.contains(name)).map(|(name, why)| format!("{name}: {why}"));
    assert_none("No longer in several versions; take the line out of REASONS:", &stale.collect::<Vec<_>>());
}

#[test]
fn d9_what_counts_as_a_duplicate() {
    let versions =
        ["a 1.0.0", "a 1.9.0", "b 0.1.0", "b 0.1.7", "c 0.1.0", "c 0.2.0", "d 0.0.1", "d 0.0.2", "e 1.0.0", "e 0.1.0"];
    let versions: Vec<(&str, Version)> = versions
        .iter()
        .map(|line| line.split_once(' ').expect("a name and a version"))
        .map(|(name, version)| (name, version.parse().expect("a version")))
        .collect();
    assert_eq!(duplicated(versions.iter().map(|(name, version)| (*name, version))), ["c", "d", "e"].into());
}
