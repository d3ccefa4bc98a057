//! What was acknowledged outlives a kill of the server, and of PostgreSQL with it (G1).

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use sqlx::{Executor, PgConnection};

use super::{CREDITS, demo_account, environment, generate, me};
use crate::harness::process::{Home, kill};
use crate::harness::visitor::Visitor;

/// What was answered: the biography is this, one generation was made, another was made and deleted.
struct Acknowledged {
    bio: &'static str,
    kept: String,
    deleted: String,
    position: Value,
}

/// The last answer, a deletion, is on the disk by its own append alone: those whose commits would take it along, the followers of
/// the log, are held still by the connection that is returned.
async fn acknowledged(home: &Home, visitor: &Visitor, token: &str, bio: &'static str) -> (Acknowledged, PgConnection) {
    let key = &environment(home)["ATELIER_API_KEY"];
    let (kept, deleted) = (generate(visitor, key, bio).await, generate(visitor, key, "Not for long").await);
    let update = "mutation($bio: String!) { updateProfile(input: { bio: $bio }) { userErrors { code } } }";
    visitor.graphql(Some(token), update, json!({ "bio": bio })).await;
    let mut holding = home.superuser().await.expect("PostgreSQL runs");
    holding.execute("begin; lock table checkpoints in share mode").await.expect("the superuser may lock");
    let delete = "mutation($id: ID!) { deleteGeneration(input: { id: $id }) { position userErrors { code } } }";
    let position = visitor.graphql(Some(token), delete, json!({ "id": deleted })).await["position"].clone();
    (Acknowledged { bio, kept, deleted, position }, holding)
}

/// Everything acknowledged so far is there, once.
async fn is_kept(visitor: &Visitor, token: &str, all: &[&Acknowledged]) {
    let last = all.last().expect("something was acknowledged");
    // The session and the position of before the kill still count.
    let account = me(visitor, token, &last.position).await;
    assert_eq!(account["profile"]["bio"], json!(last.bio));
    let creations = account["creations"]["edges"].as_array().expect("edges");
    let found = |id: &String| creations.iter().filter(|edge| edge["node"]["id"] == json!(id)).count();
    for round in all {
        assert_eq!((found(&round.kept), found(&round.deleted)), (1, 0), "{}", round.bio);
    }
    assert!(creations.iter().all(|edge| edge["node"]["status"] == json!("SUCCEEDED")), "{creations:?}");
    let spent = 200 * i64::try_from(all.len()).expect("a few");
    assert_eq!(account["credits"], json!({ "available": CREDITS - spent, "held": 0 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_what_was_acknowledged_outlives_the_server_and_postgresql() {
    let home = Home::open().await;
    let mut served = home.serve(&["--demo"]);
    let visitor = served.ready().await;
    let told = environment(&home);
    let token = demo_account(&visitor, &told).await;
    let (first, holding) = acknowledged(&home, &visitor, &token, "Before the first kill").await;
    served.kill();
    drop(holding);

    // Its PostgreSQL lives on, and the next start takes it over as it is.
    let orphan = home.postmaster().expect("the postmaster outlives its owner");
    let mut served = home.serve(&["--demo"]);
    let visitor = served.ready().await;
    assert_eq!(home.postmaster(), Some(orphan), "adopted, not started again");
    is_kept(&visitor, &token, &[&first]).await;

    // A second owner is refused in one line, and the first goes on.
    let refused = home.run(&["serve", "--listen", "127.0.0.1:0"]).await;
    assert_eq!((refused.code, refused.logged.lines().count()), (Some(1), 1), "{}", refused.logged);
    assert!(refused.logged.contains("is in use by another atelier process"), "{}", refused.logged);
    assert_eq!(visitor.get("/health/ready", None).await.json()["status"], json!("ready"));

    let (second, holding) = acknowledged(&home, &visitor, &token, "Before the second kill").await;
    kill(orphan);
    served.kill();
    drop(holding);
    let mut served = home.serve(&["--demo"]);
    let visitor = served.ready().await;
    assert_ne!(home.postmaster(), Some(orphan));
    is_kept(&visitor, &token, &[&first, &second]).await;
    assert_eq!(served.stop("INT").await.code, Some(0));
    looks_well_afterwards(&home).await;
}

/// `doctor` and `projections list` on the stopped folder; then `doctor` on a folder with something wrong.
async fn looks_well_afterwards(home: &Home) {
    let well = home.run(&["doctor"]).await;
    assert_eq!(well.code, Some(0), "{}", well.said);
    let findings: Vec<&str> = well.said.lines().filter(|line| line.contains(": ")).collect();
    assert!(findings.len() >= 8 && findings.iter().all(|line| line.starts_with("ok ")), "{}", well.said);
    assert!(well.said.contains("positions dense"), "{}", well.said);
    let list = home.run(&["projections", "list"]).await;
    assert_eq!(list.code, Some(0), "{}", list.logged);
    for name in ["Explore", "Creations", "CreditBalance", "Welcome", "GenerationCharge"] {
        assert!(list.said.lines().any(|line| line.starts_with(name) && line.ends_with("running")), "{}", list.said);
    }
    std::fs::set_permissions(home.data().join("keys"), std::fs::Permissions::from_mode(0o755)).expect("ours");
    let ill = home.run(&["doctor"]).await;
    assert_eq!(ill.code, Some(1), "{}", ill.said);
    let wrong: Vec<&str> = ill.said.lines().filter(|line| line.starts_with("WRONG")).collect();
    assert!(wrong.len() == 1 && wrong[0].contains("keys"), "{}", ill.said);
    assert_eq!(home.postmaster(), None, "every command stops what it started");
}

#[tokio::test(flavor = "multi_thread")]
async fn d8_a_folder_is_migrated_and_a_taken_port_is_told() {
    let home = Home::open().await;
    let migrated = home.run(&["migrate"]).await;
    assert_eq!((migrated.code, migrated.logged.as_str()), (Some(0), ""));
    assert_eq!(home.postmaster(), None);
    let listed = home.run(&["projections", "list"]).await;
    assert_eq!(listed.code, Some(0), "migrated: the tables are there; {}", listed.logged);
    let unknown = home.run(&["projections", "rebuild", "nonsense"]).await;
    assert_eq!((unknown.code, unknown.logged.as_str()), (Some(1), "atelier: there is no read model named nonsense\n"));

    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let refused = home.run(&["serve", "--listen", &address]).await;
    assert_eq!((refused.code, refused.logged.lines().count()), (Some(1), 1), "{}", refused.logged);
    assert!(refused.logged.contains(&address) && refused.logged.contains("--listen"), "{}", refused.logged);
    assert_eq!(home.postmaster(), None, "what it started is stopped");
}
