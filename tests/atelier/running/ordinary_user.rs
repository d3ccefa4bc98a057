//! `atelier serve` as a user without rights: PostgreSQL then runs as that same user.

use std::os::unix::fs::MetadataExt;
use std::process::Command;

use serde_json::json;

use crate::harness::process::Home;

fn id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn d8_it_runs_as_an_ordinary_user() {
    // Started by somebody else than root, every other test here is this one.
    let (Some(0), Some(user), Some(group)) = (id(&["-u"]), id(&["-u", "nobody"]), id(&["-g", "nobody"])) else {
        return;
    };
    let home = Home::open_for(user, group).await;
    let mut served = home.serve(&[]);
    let visitor = served.listening().await;
    let ready = visitor.get("/health/ready", None).await;
    assert_eq!((ready.status.as_u16(), &ready.json()["status"]), (200, &json!("ready")));
    let owner = std::fs::metadata(home.postgres().join("cluster/PG_VERSION")).expect("the data is there").uid();
    assert_eq!(owner, user);
    assert!(home.postgres().starts_with(home.data()), "no substitute is needed");
    assert_eq!(served.stop("INT").await.code, Some(0));
    assert_eq!(home.postmaster(), None);
}
