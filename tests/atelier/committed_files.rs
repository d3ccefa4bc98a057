//! Files that are generated and committed: a test fails when they differ, `make schema` writes them anew.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn check(name: &str, now: &str) {
    let file = root().join(name);
    if std::env::var_os("ATELIER_BLESS").is_some() {
        fs::write(&file, now).expect("the file can be written");
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == now, "{name} is not up to date: run `make schema` and look at the difference");
}

#[test]
fn committed_files_the_graphql_schema() {
    check("schema.graphql", &atelier_graphql::sdl());
}

#[test]
fn committed_files_the_openapi_document() {
    let document = atelier_server::openapi::document();
    check("openapi.json", &format!("{}\n", serde_json::to_string_pretty(&document).expect("JSON")));
}

/// A18: the public profile shows name, picture, biography, rank and published work, and nothing else personal.
#[test]
fn a18_committed_files_the_public_profile_has_no_other_field() {
    let sdl = atelier_graphql::sdl();
    let creator =
        sdl.split("type Creator implements Node {").nth(1).and_then(|rest| rest.split("\n}").next()).expect("the type");
    // Descriptions stand between triple quotes, a line each.
    let outside = creator.split("\"\"\"").step_by(2);
    let fields: Vec<&str> = outside
        .flat_map(str::lines)
        .filter_map(|line| line.strip_prefix('\t').filter(|line| line.starts_with(char::is_alphabetic)))
        .map(|line| line.split(['(', ':', ' ']).next().unwrap_or_default())
        .collect();
    assert_eq!(fields, ["id", "username", "displayName", "bio", "avatar", "rank", "published"]);
}
