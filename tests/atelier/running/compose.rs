//! Every service of `compose.yaml` with its own command and environment, without containers: hosts, ports and folders alone are replaced.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use atelier_server::embedded_postgres::{EmbeddedOptions, EmbeddedPostgres, find_programs};
use sqlx::{Connection, Executor, PgConnection};
use yaml_rust2::{Yaml, YamlLoader};

use crate::harness::process::{Home, until};

/// What the operator must give, and Compose refuses to start without.
const SECRETS: [(&str, &str); 3] =
    [("POSTGRES_PASSWORD", "a1"), ("ATELIER_OWNER_PASSWORD", "b2"), ("ATELIER_APP_PASSWORD", "c3")];

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A value as Compose has it after its variables were put in: `${NAME}`, `${NAME:-default}` and `${NAME:?message}`.
fn interpolated(text: &str) -> String {
    let Some((before, rest)) = text.split_once("${") else { return text.to_owned() };
    let (inside, after) = rest.split_once('}').expect("a variable ends");
    let end = inside.find(':').unwrap_or(inside.len());
    let given = SECRETS.iter().find(|(name, _)| *name == &inside[..end]).map(|(_, value)| *value);
    let value = match (given, &inside[end..]) {
        (Some(value), _) => value,
        (None, otherwise) => otherwise.strip_prefix(":-").unwrap_or_else(|| panic!("{inside} has no value")),
    };
    format!("{before}{value}{}", interpolated(after))
}

fn text(value: &Yaml) -> String {
    match value {
        Yaml::String(text) => interpolated(text),
        Yaml::Integer(number) => number.to_string(),
        Yaml::Boolean(value) => value.to_string(),
        Yaml::Null => String::new(),
        other => panic!("{other:?} is not a value"),
    }
}

fn list(value: &Yaml) -> Vec<String> {
    value.as_vec().expect("a list").iter().map(text).collect()
}

/// A service's environment: the image's, and its own over it.
fn environment(service: &Yaml, image: &[(String, String)]) -> BTreeMap<String, String> {
    let own = service["environment"].as_hash().expect("an environment");
    let own = own.iter().map(|(name, value)| (text(name), text(value)));
    image.iter().cloned().chain(own).collect()
}

/// The variables that the Dockerfile sets.
fn of_image() -> Vec<(String, String)> {
    let recipe = file("Dockerfile");
    let lines = recipe.lines().filter_map(|line| line.strip_prefix("ENV "));
    let pairs = lines.flat_map(|line| line.split_whitespace().filter_map(|pair| pair.split_once('=')));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A PostgreSQL on which `init-roles.sql` was run, as the image of the service runs it, where roles need their passwords.
struct Prepared {
    postgres: EmbeddedPostgres,
    /// Its host, as URLs have it, and its port.
    host: String,
}

impl Prepared {
    async fn by(home: &Home, environment: &BTreeMap<String, String>) -> Self {
        // The superuser is ours; whoever else comes has a password.
        let rules = home.data().parent().expect("the home").join("pg_hba.conf");
        std::fs::write(&rules, "local all postgres trust\nlocal all all scram-sha-256\n").expect("our own folder");
        let rules = rules.to_str().expect("a plain name").to_owned();
        let options = EmbeddedOptions {
            folder: home.data().join("postgres"),
            durable: true,
            extra_settings: vec![("hba_file".to_owned(), rules)],
        };
        let postgres = EmbeddedPostgres::start(options).await.expect("PostgreSQL starts");
        // An empty server, as a fresh volume has it.
        let mut admin =
            PgConnection::connect(&postgres.superuser_url("postgres")).await.expect("the superuser connects");
        for statement in ["drop database atelier", "drop role atelier_app", "drop role atelier_owner"] {
            admin.execute(statement).await.expect("it is there to be dropped");
        }
        admin.close().await.expect("the superuser leaves");
        let url = postgres.superuser_url("postgres");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/init-roles.sql");
        let mut psql = Command::new(find_programs().expect("it runs").join("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--file"]).arg(script).arg(&url).envs(environment);
        let made = psql.output().expect("psql starts");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let host = url.split_once('@').and_then(|(_, rest)| rest.split_once('/')).expect("a host").0.to_owned();
        Self { postgres, host }
    }
}

/// The environment with the host and port of the database in place of the service's.
fn moved(environment: BTreeMap<String, String>, host: &str) -> Vec<(String, String)> {
    let mut moved = Vec::new();
    for (name, value) in environment {
        let value = match name.as_str() {
            // The home's --data stands for the volume.
            "ATELIER_DATA" => continue,
            "ATELIER_LISTEN" => value.replace("0.0.0.0:8080", "127.0.0.1:0"),
            _ => value.replace("postgres:5432", host),
        };
        moved.push((name, value));
    }
    moved
}

#[tokio::test(flavor = "multi_thread")]
async fn c1_every_service_of_compose_starts_with_its_own_command_and_environment() {
    let documents = YamlLoader::load_from_str(&file("compose.yaml")).expect("YAML");
    let services = documents[0]["services"].as_hash().expect("services");
    let service = |name: &str| &services[&Yaml::String(name.to_owned())];
    let names: Vec<String> = services.keys().map(text).collect();
    assert_eq!(names, ["postgres", "atelier-migrate", "atelier"], "a new service is started here as well");

    let home = Home::open().await;
    let prepared = Prepared::by(&home, &environment(service("postgres"), &[])).await;
    let image = of_image();
    let of = |name: &str| {
        let environment = moved(environment(service(name), &image), &prepared.host);
        (list(&service(name)["command"]), environment)
    };

    // Before the migration the application says what is missing, and changes nothing.
    let (command, variables) = of("atelier");
    let arguments: Vec<&str> = command.iter().map(String::as_str).collect();
    let early = home.start(&arguments, &variables).ended().await;
    assert_eq!(early.code, Some(1), "{}", early.logged);
    assert!(early.logged.contains("no schema yet: run `atelier migrate`"), "{}", early.logged);

    let (command, owner) = of("atelier-migrate");
    let migrate: Vec<&str> = command.iter().map(String::as_str).collect();
    for _ in 0..2 {
        // Compose runs it at each start.
        let migrated = home.start(&migrate, &owner).ended().await;
        assert_eq!(migrated.code, Some(0), "{}", migrated.logged);
    }

    let mut served = home.start(&arguments, &variables);
    let visitor = served.listening().await;
    let port = visitor.url.rsplit(':').next().expect("a port").to_owned();
    // The healthchecks themselves, with the ports of here.
    let check = |name: &str| {
        let test = list(&service(name)["healthcheck"]["test"]);
        assert_eq!(test[0], "CMD");
        test[1..].to_vec()
    };
    let healthy = async |mut command: Vec<String>| {
        for argument in &mut command {
            *argument = argument.replace(":8080", &format!(":{port}"));
            if argument == "--host=127.0.0.1" {
                let (host, number) = prepared.host.rsplit_once(':').expect("a port");
                *argument = format!("--host={}", host.replace("%2F", "/"));
                *argument += &format!("\n--port={number}");
            }
        }
        let command: Vec<&str> = command.iter().flat_map(|argument| argument.split('\n')).collect();
        Command::new(command[0]).args(&command[1..]).output().is_ok_and(|done| done.status.success())
    };
    for name in ["postgres", "atelier"] {
        until(name, async || healthy(check(name)).await.then_some(())).await;
    }
    served.still_runs();
    let ended = served.stop("TERM").await;
    assert_eq!(ended.code, Some(0), "{}", ended.logged);

    // A newer release's schema is said to be newer, to the application and to the owner.
    let url = prepared.postgres.superuser_url("atelier");
    let mut admin = PgConnection::connect(&url).await.expect("the superuser connects");
    let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (9999, 'later', true, '', 0)";
    admin.execute(newer).await.expect("a row is added");
    admin.close().await.expect("the superuser leaves");
    for (arguments, variables) in [(&arguments, &variables), (&migrate, &owner)] {
        let refused = home.start(arguments, variables).ended().await;
        assert_eq!(refused.code, Some(1), "{}", refused.logged);
        assert!(refused.logged.contains("made by a newer release"), "{}", refused.logged);
    }
    prepared.postgres.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn c1_the_owners_url_alone_is_for_migrations() {
    let home = Home::open().await;
    let owner = [("ATELIER_OWNER_URL".to_owned(), "postgres://nobody@localhost:1/none".to_owned())];
    for arguments in [&["serve"][..], &["doctor"], &["projections", "list"], &["work", "list"]] {
        let refused = home.start(arguments, &owner).ended().await;
        assert_eq!(refused.code, Some(1), "{arguments:?}: {}", refused.logged);
        let all = format!("{}{}", refused.said, refused.logged);
        assert!(all.contains("DATABASE_URL is missing"), "{arguments:?}: {all}");
    }
    assert!(!home.data().join("postgres").exists(), "no private database was made instead");
}
