//! The container is built by the compiler that the workspace names.

use super::read;

#[test]
fn d8_the_container_is_built_by_the_rust_that_the_workspace_names() {
    let (manifest, recipe) = (read("Cargo.toml"), read("Dockerfile"));
    let workspace = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'));
    let image = recipe.lines().find_map(|line| line.strip_prefix("FROM rust:")?.split('-').next());
    assert!(workspace.is_some(), "Cargo.toml names no rust-version");
    assert_eq!(workspace, image, "rust-version of Cargo.toml, and the image the Dockerfile builds in");
}
