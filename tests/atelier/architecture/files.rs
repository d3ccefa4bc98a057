//! The files of the repository: what git tracks or would track, or without git everything but what is built.

use std::path::Path;
use std::process::Command;

use super::root;

/// A file of the repository.
pub struct File {
    /// From the workspace's folder, with `/` between its parts.
    pub path: String,
    /// What is in it; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// Every file of the repository.
pub fn all() -> Vec<File> {
    let root = root();
    let mut paths = by_git(&root).unwrap_or_else(|| by_walking(&root));
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        // Git still lists a file that is deleted but not yet committed.
        if let Ok(bytes) = std::fs::read(root.join(&path)) {
            files.push(File { path, text: String::from_utf8_lossy(&bytes).into_owned() });
        }
    }
    assert!(files.iter().any(|file| file.path == "Cargo.toml"), "the repository was not read");
    files
}

fn by_git(root: &Path) -> Option<Vec<String>> {
    let listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listed = Command::new("git").current_dir(root).args(listing).output().ok()?;
    let listed = listed.status.success().then(|| String::from_utf8_lossy(&listed.stdout).into_owned())?;
    Some(listed.split_terminator('\0').map(str::to_owned).collect())
}

fn by_walking(root: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder can be read") {
            let path = entry.expect("an entry can be read").path();
            let relative =
                path.strip_prefix(root).expect("a walk stays below its start").to_string_lossy().replace('\\', "/");
            let built = ["target", "data", ".git"].contains(&relative.as_str());
            if path.is_dir() && !path.is_symlink() && !built {
                folders.push(path);
            } else if path.is_file() {
                files.push(relative);
            }
        }
    }
    files
}

#[test]
fn without_git_the_same_sources_are_found() {
    let sources = |mut paths: Vec<String>| {
        paths.retain(|path| path.ends_with(".rs"));
        paths.sort();
        paths
    };
    let walked = sources(by_walking(&root()));
    assert!(walked.contains(&"domain/src/lib.rs".to_owned()));
    let read = sources(all().into_iter().map(|file| file.path).collect());
    assert_eq!(walked, read);
}
