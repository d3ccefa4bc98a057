//! The commands that need no folder.

use std::process::Output;

use crate::as_atelier;

fn run(arguments: &[&str]) -> Output {
    as_atelier::command(arguments).output().expect("this binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn d8_help_names_every_command_and_a_wrong_flag_is_a_wrong_use() {
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for command in ["serve", "migrate", "schema", "projections", "staff", "doctor"] {
        assert!(text(&help.stdout).contains(&format!("\n  {command} ")), "{command}");
    }
    let wrong = run(&["serve", "--nonsense"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("--nonsense"), "{}", text(&wrong.stderr));
}

#[test]
fn d6_schema_prints_the_schema() {
    let schema = run(&["schema"]);
    assert_eq!(schema.status.code(), Some(0));
    assert!(text(&schema.stdout).ends_with(&atelier_graphql::sdl()));
}
