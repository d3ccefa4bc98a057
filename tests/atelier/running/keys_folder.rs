//! A keys folder that is not the database's: the node refuses to start, changes nothing, and says what to do.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use sqlx::Executor;
use tempfile::TempDir;

use crate::harness::process::{Ended, Home, Served, until};
use crate::harness::visitor::Visitor;

const SIGN_UP: &str = "mutation($input: SignUpInput!) { signUp(input: $input) { userErrors { code } } }";

/// A home whose database has an account; stopped.
async fn inhabited(home: &Home) {
    let mut served = home.serve(&[]);
    let visitor = served.listening().await;
    sign_up(&visitor, "ada").await;
    assert_eq!(served.stop("TERM").await.code, Some(0));
}

async fn sign_up(visitor: &Visitor, name: &str) {
    let input = json!({
        "email": format!("{name}@example.com"), "password": "correct-horse-1", "username": name, "minimumAge": 18
    });
    visitor.graphql(None, SIGN_UP, json!({ "input": input })).await;
}

fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.expect("cp is on every machine").success());
}

fn replace(from: &Path, to: &Path) {
    fs::copy(from, to).expect("it is copied");
}

/// Every file of a folder, with what is in it.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if path.file_name().is_some_and(|name| name != "lock") {
            found.push((path.clone(), fs::read(&path).expect("a file")));
        }
    }
    found.sort();
    found
}

async fn refused(home: &Home) -> Ended {
    let ended = home.serve(&[]).ended().await;
    assert_eq!((ended.code, home.postmaster()), (Some(1), None), "{}", ended.logged);
    ended
}

/// The keys folder of another studio that has an account of its own. Made before a test opens its own home: homes have few places.
async fn foreign_keys() -> (TempDir, PathBuf) {
    let home = Home::open().await;
    inhabited(&home).await;
    let folder = TempDir::new().expect("a temporary folder");
    let keys = folder.path().join("keys");
    copy(&home.data().join("keys"), &keys);
    (folder, keys)
}

#[tokio::test(flavor = "multi_thread")]
async fn c2_a_node_with_another_keys_folder_than_the_databases_refuses_to_start() {
    let (_folder, foreign) = foreign_keys().await;
    let home = Home::open().await;
    inhabited(&home).await;
    let (keys, kept) = (home.data().join("keys"), home.data().join("kept"));
    fs::rename(&keys, &kept).expect("our own folder");
    // What is done to a copy of the right folder, and what the refusal says.
    type Change = fn(&Path, &Path);
    let cases: [(&str, Change, &str); 7] = [
        ("absent", |keys, _| fs::remove_dir_all(keys).expect("it is there"), "there are no keys in"),
        (
            "empty",
            |keys, _| {
                fs::remove_dir_all(keys).expect("it is there");
                fs::create_dir(keys).expect("our own folder");
            },
            "there are no keys in",
        ),
        (
            "foreign",
            |keys, foreign| {
                fs::remove_dir_all(keys).expect("it is there");
                copy(foreign, keys);
            },
            "are not those of this database",
        ),
        (
            "with a foreign index key",
            |keys, foreign| replace(&foreign.join("index/1"), &keys.join("index/1")),
            "are not those of this database",
        ),
        (
            "with a foreign credentials key",
            |keys, foreign| replace(&foreign.join("credentials/1"), &keys.join("credentials/1")),
            "are not those of this database",
        ),
        (
            "without its credentials key",
            |keys, _| fs::remove_file(keys.join("credentials/1")).expect("it is there"),
            "are not those of this database",
        ),
        (
            "with a foreign key-encrypting key",
            |keys, foreign| replace(&foreign.join("kek/1"), &keys.join("kek/1")),
            "keys of the database's accounts are not in",
        ),
    ];
    for (what, change, says) in cases {
        copy(&kept, &keys);
        change(&keys, &foreign);
        let before = contents(&keys);
        let ended = refused(&home).await;
        assert!(ended.logged.contains(says), "{what}: {}", ended.logged);
        assert!(ended.logged.contains(&keys.display().to_string()), "{what} names the folder: {}", ended.logged);
        assert!(contents(&keys) == before, "{what}: nothing was made or changed in it");
        fs::remove_dir_all(&keys).ok();
    }

    // `staff` looks up addresses with the same keys.
    copy(&foreign, &keys);
    let staff = home.run(&["staff", "list"]).await;
    assert!(staff.code == Some(1) && staff.logged.contains("are not those of this database"), "{}", staff.logged);
    fs::remove_dir_all(&keys).expect("our copy");

    // The right one, with its key-encrypting key rotated, is the right one still.
    fs::rename(&kept, &keys).expect("our own folder");
    let rotated = home.run(&["keys", "rotate", "--backup", &home.data().join("backup").display().to_string()]).await;
    assert_eq!(rotated.code, Some(0), "{}", rotated.logged);
    let mut served = home.serve(&[]);
    signs_in(&served.listening().await).await;
    assert_eq!(served.stop("TERM").await.code, Some(0));
}

async fn signs_in(visitor: &Visitor) {
    // Taken already: the address and the name are found by the keys of before.
    let taken = "{ usernameAvailability(username: \"ada\") { available } }";
    let answer = visitor.graphql(None, taken, json!({})).await;
    assert_eq!(answer["available"], json!(false), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn c2_a_database_of_the_release_before_takes_the_folder_that_opens_its_accounts() {
    let (_folder, foreign) = foreign_keys().await;
    let home = Home::open().await;
    inhabited(&home).await;
    let (keys, kept) = (home.data().join("keys"), home.data().join("kept"));
    let forget = async || {
        let served: Served = home.serve(&[]);
        let mut admin = until("PostgreSQL", async || home.superuser().await).await;
        until("the fingerprints", async || {
            let forgotten = admin.execute("delete from key_fingerprints").await.ok()?;
            (forgotten.rows_affected() > 0).then_some(())
        })
        .await;
        served.kill();
    };
    forget().await;
    fs::rename(&keys, &kept).expect("our own folder");
    let ended = home.serve(&[]).ended().await;
    assert!(ended.code == Some(1) && ended.logged.contains("there are no keys in"), "{}", ended.logged);
    assert!(!keys.exists(), "and none were made");
    copy(&foreign, &keys);
    let ended = home.serve(&[]).ended().await;
    assert!(ended.code == Some(1) && ended.logged.contains("keys of the database's accounts"), "{}", ended.logged);
    fs::remove_dir_all(&keys).expect("our copy");
    fs::rename(&kept, &keys).expect("our own folder");
    let mut served = home.serve(&[]);
    signs_in(&served.listening().await).await;
    assert_eq!(served.stop("TERM").await.code, Some(0));
}
