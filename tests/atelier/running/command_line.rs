//! The commands that need no folder.

use std::process::Output;

use crate::as_atelier;
use crate::harness::process::Home;

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

/// The variables that `serve` reads, by its own help; and the log's.
fn variables() -> Vec<String> {
    let help = text(&run(&["serve", "--help"]).stdout);
    let mut names: Vec<String> =
        help.split("[env: ").skip(1).filter_map(|rest| Some(rest.split(['=', ']']).next()?.to_owned())).collect();
    names.push("ATELIER_LOG".to_owned());
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_is_set_to_nothing_is_as_good_as_none() {
    let names = variables();
    for known in ["DATABASE_URL", "ATELIER_TRUSTED_PROXIES", "ATELIER_PUBLIC_URL", "ATELIER_GEOIP", "ATELIER_POOL"] {
        assert!(names.iter().any(|name| name == known), "{known}: {names:?}");
    }
    let home = Home::open().await;
    let nothing: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let mut served = home.serve_with(&[], &nothing);
    let visitor = served.listening().await;
    assert_eq!(visitor.get("/health/ready", None).await.status.as_u16(), 200);
    assert!(served.logged().contains("X-Forwarded-For is believed from nobody"), "{}", served.logged());
    assert_eq!(served.stop("TERM").await.code, Some(0));
    // What is said is still read, and wrong words are still refused.
    let wrong = home.serve_with(&[], &[("ATELIER_TRUSTED_PROXIES", "nowhere")]).ended().await;
    assert_eq!(wrong.code, Some(2), "{}", wrong.logged);
}
