//! How the house is built, read from `cargo metadata`, `Cargo.lock` and the files themselves (DESIGN 1, 2 and 9).

mod arrows;
mod deployment;
mod duplicates;
mod files;
mod licences;
mod numbers;
mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use cargo_metadata::semver::Version;
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// The folder of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the crate lies in the workspace")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// What cargo resolved for this machine's platform. Other platforms' crates may never have been downloaded here.
fn metadata() -> &'static Metadata {
    static METADATA: OnceLock<Metadata> = OnceLock::new();
    METADATA.get_or_init(|| {
        let said = Command::new(cargo()).arg("-vV").output().expect("cargo starts");
        let said = String::from_utf8(said.stdout).expect("cargo speaks UTF-8");
        let host = said.lines().find_map(|line| line.strip_prefix("host: ")).expect("cargo names its host");
        MetadataCommand::new()
            .cargo_path(cargo())
            .manifest_path(root().join("Cargo.toml"))
            .other_options(["--offline", "--locked", "--filter-platform", host].map(str::to_owned).to_vec())
            .exec()
            .expect("cargo metadata")
    })
}

/// Whether a dependency of this kind ends up in a build of the crate itself, rather than of its tests only.
const fn is_built_in(kind: DependencyKind) -> bool {
    matches!(kind, DependencyKind::Normal | DependencyKind::Build)
}

/// Every crate of `Cargo.lock`, for all platforms, with its versions.
fn locked() -> BTreeMap<String, BTreeSet<Version>> {
    let mut crates: BTreeMap<String, BTreeSet<Version>> = BTreeMap::new();
    for package in read("Cargo.lock").split("[[package]]").skip(1) {
        let value = |key| package.lines().find_map(|line| line.strip_prefix(key)?.strip_suffix('"'));
        let (name, version) =
            value("name = \"").zip(value("version = \"")).expect("a package has a name and a version");
        crates.entry(name.to_owned()).or_default().insert(version.parse().expect("a version"));
    }
    crates
}

/// The texts of the files under a folder of the workspace.
pub fn files_of(folder: &str) -> Vec<String> {
    files::all().into_iter().filter(|file| file.path.starts_with(folder)).map(|file| file.text).collect()
}

/// Fails with one finding per line.
#[track_caller]
fn assert_none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}\n  {}", findings.join("\n  "));
}
