//! Who may know whom: the table of DESIGN 1, and the crates that some of ours must do without.

use std::collections::BTreeSet;

use cargo_metadata::Metadata;

use super::{assert_none, is_built_in, locked, metadata};

/// The table of DESIGN 1: a folder, and the folders it may know. Nobody knows `tests` or `bench`.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("log", &[]),
    ("vault", &["domain"]),
    ("commands", &["domain", "log", "vault"]),
    ("projections", &["domain", "log", "vault"]),
    ("gateways", &["commands", "domain"]),
    ("graphql", &["commands", "projections", "domain"]),
    ("server", &["domain", "log", "vault", "commands", "projections", "gateways", "graphql"]),
    ("tests", &["domain", "log", "vault", "commands", "projections", "gateways", "graphql", "server"]),
    ("bench", &["domain", "log", "vault", "commands", "projections", "gateways", "graphql", "server"]),
];

/// What a crate must not name itself; what its dependencies bring along is theirs (DESIGN 1).
const MUST_NOT_NAME: &[(&str, &[&str])] =
    &[("domain", &["axum", "sqlx", "tokio", "tokio-postgres"]), ("graphql", &["axum", "sqlx", "tokio-postgres"])];

/// What must be nowhere, on no platform: TLS is rustls with ring (DESIGN 2).
const NOWHERE: &[&str] = &["openssl-sys", "native-tls", "aws-lc-sys"];

/// An arrow: who knows, who is known.
type Arrow = (String, String);

/// Every direct dependency, built into the crate, of every crate of the workspace. Ours are called by their folders.
fn arrows(metadata: &Metadata) -> BTreeSet<Arrow> {
    let folder = |name: &str| name.strip_prefix("atelier-").unwrap_or(name).to_owned();
    let mut arrows = BTreeSet::new();
    for package in metadata.workspace_packages() {
        for dependency in package.dependencies.iter().filter(|dependency| is_built_in(dependency.kind)) {
            arrows.insert((folder(&package.name), folder(&dependency.name)));
        }
    }
    arrows
}

fn forbidden(arrows: &BTreeSet<Arrow>) -> Vec<String> {
    let row = |of: &str| MAY_KNOW.iter().find(|(folder, _)| *folder == of).map(|(_, known)| *known);
    let mut findings = Vec::new();
    for (from, to) in arrows {
        let ours = row(to).is_some();
        if ours && !row(from).is_some_and(|known| known.contains(&to.as_str())) {
            findings.push(format!("{from} must not know {to}"));
        }
        if MUST_NOT_NAME.iter().any(|(folder, names)| folder == from && names.contains(&to.as_str())) {
            findings.push(format!("{from} must not depend on {to}"));
        }
    }
    findings
}

#[test]
fn d1_only_the_arrows_of_the_table() {
    let arrows = arrows(metadata());
    assert!(arrows.contains(&("commands".to_owned(), "domain".to_owned())), "the graph was not read: {arrows:?}");
    assert_none("DESIGN 1 allows no such arrow:", &forbidden(&arrows));
}

#[test]
fn d1_every_crate_is_named_after_its_folder_and_has_a_row_in_the_table() {
    for package in metadata().workspace_packages() {
        let folder = package.manifest_path.parent().and_then(|folder| folder.file_name()).expect("a folder");
        assert_eq!(package.name.as_str(), format!("atelier-{folder}"));
        assert!(MAY_KNOW.iter().any(|(known, _)| *known == folder), "{folder} has no row in the table");
    }
}

#[test]
fn d1_the_check_names_both_ends_of_a_forbidden_arrow() {
    let graph = [
        ("commands", "domain"),
        ("commands", "projections"),
        ("server", "tests"),
        ("domain", "sqlx"),
        ("new", "vault"),
    ];
    let graph = graph.map(|(from, to)| (from.to_owned(), to.to_owned())).into_iter().collect();
    let expected = [
        "commands must not know projections",
        "domain must not depend on sqlx",
        "new must not know vault",
        "server must not know tests",
    ];
    assert_eq!(forbidden(&graph), expected);
}

#[test]
fn d2_no_other_tls_than_rustls_with_ring() {
    let locked = locked();
    assert!(locked.contains_key("ring"), "Cargo.lock was not read");
    let found: Vec<_> = NOWHERE
        .iter()
        .filter(|name| locked.contains_key(**name))
        .map(|name| format!("{name}: cargo tree -i {name}"))
        .collect();
    assert_none("TLS is rustls with ring:", &found);
}
