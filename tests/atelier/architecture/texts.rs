//! Habits that can be read from the text of a file (DESIGN 1 and 9).

use super::files::{self, File};
use super::{assert_none, metadata, read};

/// Names that say nothing about what is inside (DESIGN 1).
const EMPTY_NAMES: &[&str] = &["utils", "common", "helpers", "types", "manager", "service"];

/// The most lines of a source file.
const LINES: usize = 400;

/// Files that are longer all the same, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// The crates whose matches on events must be exhaustive (DESIGN 1).
const EXHAUSTIVE: &[&str] = &["domain", "projections"];

/// Homes that are no person's: where Homebrew installs itself on Linux.
const PUBLIC_HOMES: &[&str] = &["linuxbrew"];

fn sources() -> impl Iterator<Item = File> {
    files::all().into_iter().filter(|file| file.path.ends_with(".rs"))
}

/// Whether the first paragraph of the inner documentation, on the very first line, is a sentence.
fn opens_with_a_sentence(text: &str) -> bool {
    let paragraph: Vec<_> = text.lines().map_while(|line| line.strip_prefix("//! ")).map(str::trim).collect();
    paragraph.join(" ").split_once(' ').is_some_and(|(_, rest)| rest.ends_with(['.', ':', '?', '!']))
}

/// The first name, among the folders and the file of a path and the modules in the text, that says nothing.
fn empty_name<'a>(path: &'a str, text: &'a str) -> Option<&'a str> {
    let parts = path.split('/').map(|part| part.strip_suffix(".rs").unwrap_or(part));
    let modules = text.lines().filter_map(|line| {
        let declared = line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
        declared.strip_prefix("mod ")?.split([' ', ';', '{']).next()
    });
    parts.chain(modules).find(|name| EMPTY_NAMES.contains(name))
}

fn inherits_lints(manifest: &str) -> bool {
    manifest.replace(' ', "").contains("\n[lints]\nworkspace=true\n")
}

fn denies_wildcards(library: &str) -> bool {
    library.lines().any(|line| line == "#![deny(clippy::wildcard_enum_match_arm)]")
}

/// The first path that exists only on the machine of whoever wrote it.
fn path_of_a_workplace(text: &str) -> Option<&str> {
    let starts_a_path = |at: usize| !text[..at].ends_with(|c: char| c.is_alphanumeric() || "._-*>}~".contains(c));
    let folder = |root: &str| text.match_indices(&format!("/{root}/")).map(|(at, _)| at).collect::<Vec<_>>();
    let name = |rest: &str| rest.find(|c: char| !c.is_ascii_alphanumeric() && !"._-".contains(c)).unwrap_or(rest.len());
    for root in ["root", "work", "home", "Users"] {
        for at in folder(root).into_iter().filter(|at| starts_a_path(*at)) {
            let from = at + root.len() + 2;
            let end = from + name(&text[from..]);
            let whose = &text[from..end];
            let a_home = ["home", "Users"].contains(&root);
            if !a_home || (!whose.is_empty() && text[end..].starts_with('/') && !PUBLIC_HOMES.contains(&whose)) {
                return Some(&text[at..end]);
            }
        }
    }
    None
}

#[test]
fn d1_every_source_file_opens_with_a_sentence_about_what_it_holds() {
    let silent: Vec<_> = sources().filter(|file| !opens_with_a_sentence(&file.text)).map(|file| file.path).collect();
    assert_none("The first line must be `//! ` and a sentence, ended by its mark:", &silent);
    for bad in ["", "use a::b;\n//! Late.", "//! no mark at the end\n", "//!Tight.\n", "//! One.", "/// Of an item.\n"]
    {
        assert!(!opens_with_a_sentence(bad), "{bad:?}");
    }
    assert!(opens_with_a_sentence("//! What is here, and\n//! why.\n\nuse a::b;\n"));
}

#[test]
fn d1_no_module_has_an_empty_name() {
    let empty: Vec<_> = sources()
        .filter_map(|file| empty_name(&file.path, &file.text).map(|name| format!("{}: {name}", file.path)))
        .collect();
    assert_none("A module is called after what it holds:", &empty);
    assert_eq!(empty_name("a/src/utils.rs", ""), Some("utils"));
    assert_eq!(empty_name("a/src/service/mod.rs", ""), Some("service"));
    assert_eq!(empty_name("a/src/b.rs", "use c::d;\n    pub mod helpers {\n"), Some("helpers"));
    assert_eq!(empty_name("a/src/my_types.rs", "// mod types;\nmod types_of_media;\n"), None);
}

#[test]
fn d1_source_files_stay_short() {
    let files: Vec<_> = sources().map(|file| (file.path, file.text.lines().count())).collect();
    let excused = |path: &str| LONG_FILES.iter().any(|(long, _)| *long == path);
    let long = files.iter().filter(|(path, lines)| *lines > LINES && !excused(path));
    let long: Vec<_> = long.map(|(path, lines)| format!("{path}: {lines} lines")).collect();
    assert_none("Split it, or give its reason in LONG_FILES:", &long);
    let is_long = |path: &str| files.iter().any(|(known, lines)| known == path && *lines > LINES);
    let stale = LONG_FILES.iter().filter(|(path, _)| !is_long(path)).map(|(path, _)| (*path).to_owned());
    assert_none("No longer long; take it out of LONG_FILES:", &stale.collect::<Vec<_>>());
}

#[test]
fn d9_every_crate_inherits_the_lints_of_the_workspace() {
    for package in metadata().workspace_packages() {
        let manifest = std::fs::read_to_string(&package.manifest_path).expect("a manifest can be read");
        assert!(inherits_lints(&manifest), "{}: [lints] workspace = true", package.manifest_path);
    }
    assert!(!inherits_lints("[package]\nname = \"a\"\n\n[lints.rust]\nunsafe_code = \"allow\"\n"));
}

/// The compiler then names every place that must decide about a new event.
#[test]
fn d1_matches_on_events_are_exhaustive_where_it_matters() {
    for folder in EXHAUSTIVE {
        let library = read(&format!("{folder}/src/lib.rs"));
        assert!(denies_wildcards(&library), "{folder}/src/lib.rs: #![deny(clippy::wildcard_enum_match_arm)]");
    }
    let allowed = concat!("allow(clippy::", "wildcard_enum_match_arm");
    let excused =
        |file: &File| EXHAUSTIVE.contains(&file.path.split('/').next().unwrap_or("")) && file.text.contains(allowed);
    assert_none("Name every variant instead:", &sources().filter(excused).map(|file| file.path).collect::<Vec<_>>());
    assert!(!denies_wildcards("// #![deny(clippy::wildcard_enum_match_arm)]\n"));
}

#[test]
fn no_file_names_a_path_of_the_machine_it_was_written_on() {
    // In a container the home of root is everybody's.
    let files = files::all().into_iter().filter(|file| file.path != "Dockerfile");
    let found: Vec<_> =
        files.filter_map(|file| path_of_a_workplace(&file.text).map(|at| format!("{}: {at}", file.path))).collect();
    assert_none("A path that nobody else has:", &found);
    for (start, end) in
        [("\"/wo", "rk/main\""), ("in /ro", "ot/.cargo"), ("file:///ho", "me/ada/x"), ("=/Us", "ers/ada/x")]
    {
        assert!(path_of_a_workplace(&format!("{start}{end}")).is_some(), "{start}{end}");
    }
    for (start, end) in [
        ("/ho", "me/linuxbrew/x"),
        ("/ho", "me/"),
        ("at https://host/ro", "ot/x"),
        ("net", "work/x"),
        ("/ho", "me/<name>/"),
    ] {
        assert_eq!(path_of_a_workplace(&format!("{start}{end}")), None, "{start}{end}");
    }
}
