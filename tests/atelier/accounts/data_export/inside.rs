//! What every archive is checked for: its generations, its events, what must be nowhere in it, and what another program reads.

use std::collections::BTreeMap;

use atelier_domain::AccountId;
use serde_json::{Value, json};

use super::{fetched, nodes, sorted, text};
use crate::harness::TestStudio;
use crate::harness::peers::ask;

/// The files of an archive, in their order.
type Files = [(String, Vec<u8>)];

/// Every digest, hash and sealed text that the credential rows have, in the forms in which it could be written.
pub async fn digests(studio: &TestStudio) -> Vec<String> {
    let all = "select encode(digest, 'hex') from credentials.sessions union all select encode(digest, 'base64') from credentials.sessions \
        union all select encode(digest, 'hex') from credentials.api_keys union all select encode(digest, 'base64') from credentials.api_keys \
        union all select encode(digest, 'hex') from credentials.recovery_codes union all select seed from credentials.second_factors \
        union all select phc from credentials.passwords";
    sqlx::query_scalar(all).fetch_all(&studio.database.pool).await.expect("the rows answer")
}

/// The deleted one without files, each file as it is served, the keys with their usage.
pub async fn the_generations(studio: &TestStudio, files: &Files, docs: &BTreeMap<String, Value>, me: &Value) {
    let ours = docs["generations.json"].as_array().expect("generations");
    let kept: Vec<&Value> = ours.iter().filter(|one| one["deleted_at"].is_null()).collect();
    let prompts = sorted(ours.iter().map(|one| text(&one["prompt"])));
    assert_eq!(prompts, ["a harbour at dawn, confidential", "a mistake", "a test of nothing"]);
    let deleted: Vec<&Value> = ours.iter().filter(|one| !one["deleted_at"].is_null()).collect();
    assert_eq!((deleted.len(), &deleted[0]["files"]), (1, &json!([])));
    let shown = nodes(&me["creations"]);
    assert_eq!(shown.len(), 1, "the test key's is in no history");
    let same = kept.iter().find(|one| one["id"] == shown[0]["id"]).expect("the one that is shown");
    assert_eq!((&same["prompt"], &same["status"]), (&shown[0]["prompt"], &json!("succeeded")));
    let (_, _, served) = fetched(studio, &text(&shown[0]["images"][0]["url"]), None, "*/*").await;
    let file = files.iter().find(|(name, _)| *name == text(&same["files"][0])).expect("its file");
    assert_eq!(file.1, served, "to the byte");
    assert!(image::load_from_memory(&files.iter().find(|(name, _)| name == "avatar.png").expect("a face").1).is_ok());
    let used =
        docs["api_keys.json"].as_array().expect("keys").iter().filter(|key| !key["usage"]["last_used_at"].is_null());
    assert_eq!(used.count(), 2, "with its usage");
}

/// Every event of the account's own streams up to the request, opened.
pub async fn the_events(studio: &TestStudio, account: AccountId, files: &Files, manifest: &Value) {
    let events = &files.iter().find(|(name, _)| name == "events.jsonl").expect("the events").1;
    let events: Vec<Value> =
        String::from_utf8_lossy(events).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let own: i64 = sqlx::query_scalar(
        "select count(*) from events where position <= $2 and (aggregate_id like $1 || '%' or aggregate_id in ( \
             select payload->'HoldPlaced'->>'generation_id' from events where aggregate_id like $1 || ':%' and event_type = 'HoldPlaced'))",
    )
    .bind(account.to_string())
    .bind(manifest["log_position"].as_i64().expect("a position"))
    .fetch_one(&studio.database.pool)
    .await
    .expect("the log answers");
    assert_eq!((events.len(), &manifest["events"]), (usize::try_from(own).expect("few"), &json!(own)));
    assert_eq!(events[0]["data"]["email"], json!("ada@example.com"));
    let by_staff = events.iter().find(|event| event["event"] == "StaffActionRecorded").expect("what staff did");
    assert_eq!(
        (&by_staff["data"]["reason"], &by_staff["data"]["staff"]),
        (&json!("a question about a bill"), &Value::Null)
    );
    let last = events.iter().rfind(|event| event["stream"] == "account").expect("events");
    assert_eq!(last["event"], json!("DataExportRequested"));
}

/// None of these is anywhere in the archive.
pub fn nowhere(files: &Files, nevers: impl Iterator<Item = String>) {
    for never in nevers {
        assert!(never.len() >= 4, "a canary that says something");
        for (name, bytes) in files {
            let found = bytes.windows(never.len()).any(|window| window == never.as_bytes());
            assert!(!found, "{name} holds {never:?}");
        }
    }
}

/// The manifest lists every file, and another program that reads the archive agrees to the byte.
pub async fn another_program_agrees(studio: &TestStudio, zip: &[u8], files: &Files, manifest: &Value) {
    assert_eq!(manifest["missing"], json!([]));
    let path = studio.data.path().join("copy.zip");
    std::fs::write(&path, zip).expect("written");
    let theirs: BTreeMap<String, Value> =
        serde_json::from_str(&ask("unzip.py", &[&path.display().to_string()], "").await).expect("JSON");
    let listed = manifest["files"].as_array().expect("files");
    assert_eq!(listed.len() + 1, theirs.len(), "all but the manifest itself");
    for file in listed {
        let theirs = &theirs[&text(&file["name"])];
        assert_eq!((&file["bytes"], &file["sha256"]), (&theirs["bytes"], &theirs["sha256"]), "{file}");
    }
    let readme = String::from_utf8_lossy(&files[0].1).into_owned();
    for (name, _) in files.iter().filter(|(name, _)| !name.starts_with("media/")) {
        assert!(readme.contains(name.as_str()), "README.txt says what {name} is");
    }
}
