//! Copies of everything (U25; GDPR Art. 15, 20): what is in them and what is not, for whom, for how long, and what a crash leaves.

mod contents;
mod crashes;
mod ends;
mod inside;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use atelier_domain::{AccountId, ExportId};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use zip::ZipArchive;

use crate::harness::TestStudio;
use crate::harness::studio::Person;

const REQUEST: &str = "mutation { requestDataExport { exportId position userErrors { code retryAfter } } }";
const EXPORTS: &str =
    "query($at: String) { me(minPosition: $at) { dataExports { id state requestedAt readyAt expiresAt bytes url } } }";

/// Asks for a copy, which no rule may refuse; its id.
pub async fn asked(studio: &TestStudio, person: &Person) -> String {
    let payload = studio.mutate(Some(&person.token), REQUEST, json!({})).await;
    let id = payload["exportId"].as_str().expect("an id").to_owned();
    // Read your writes: it is there at once.
    let me = studio.graphql(Some(&person.token), EXPORTS, json!({ "at": payload["position"] })).await;
    assert_eq!(me["me"]["dataExports"][0]["id"], json!(id));
    id
}

/// The code of the refusal of another one.
async fn refused(studio: &TestStudio, person: &Person) -> Value {
    let answer = studio.graphql(Some(&person.token), REQUEST, json!({})).await;
    answer["requestDataExport"]["userErrors"][0]["code"].clone()
}

/// The copies of somebody, newest first.
async fn exports(studio: &TestStudio, person: &Person) -> Vec<Value> {
    let me = studio.graphql(Some(&person.token), EXPORTS, json!({})).await;
    me["me"]["dataExports"].as_array().expect("a list").clone()
}

/// The states of somebody's copies, newest first.
async fn states(studio: &TestStudio, person: &Person) -> Vec<String> {
    let all = exports(studio, person).await;
    all.iter().map(|export| export["state"].as_str().expect("a state").to_owned()).collect()
}

/// A copy that was asked for and made; how it is shown.
async fn made(studio: &TestStudio, person: &Person) -> Value {
    let id = asked(studio, person).await;
    studio.drain().await;
    let newest = exports(studio, person).await.swap_remove(0);
    assert_eq!((&newest["id"], &newest["state"]), (&json!(id), &json!("READY")), "{newest}");
    newest
}

/// Fetches a link in somebody's session, or in none: status, headers, body.
async fn fetched(studio: &TestStudio, url: &str, token: Option<&str>, accept: &str) -> (u16, HeaderMap, Vec<u8>) {
    let mut request = studio.client().get(url).header("accept", accept);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.expect("the node answers");
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    (status, headers, answer.bytes().await.expect("a body arrives").to_vec())
}

/// The files of an archive, in their order.
fn unpacked(zip: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = ZipArchive::new(std::io::Cursor::new(zip)).expect("a zip");
    (0..archive.len())
        .map(|n| {
            let mut file = archive.by_index(n).expect("a file");
            let name = file.name().expect("a name").into_owned();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).expect("its bytes, with the right checksum");
            (name, bytes)
        })
        .collect()
}

/// The JSON files of an archive.
fn documents(files: &[(String, Vec<u8>)]) -> BTreeMap<String, Value> {
    let json = files.iter().filter(|(name, _)| name.ends_with(".json"));
    json.map(|(name, bytes)| (name.clone(), serde_json::from_slice(bytes).unwrap_or_else(|e| panic!("{name}: {e}"))))
        .collect()
}

/// The folder of an account in the store.
fn folder(studio: &TestStudio, account: AccountId) -> PathBuf {
    studio.data.path().join("media").join(account.to_string())
}

/// What is stored of an account's copies: names of files, with their size and the number of their place on the disk.
fn stored(studio: &TestStudio, account: AccountId) -> Vec<(String, u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let mut found = Vec::new();
    for export in std::fs::read_dir(folder(studio, account).join("exports")).into_iter().flatten() {
        for file in std::fs::read_dir(export.expect("an entry").path()).expect("a folder") {
            let file = file.expect("an entry");
            let (name, meta) = (file.path(), file.metadata().expect("a file"));
            found.push((name.display().to_string(), meta.size(), meta.ino()));
        }
    }
    found
}

/// The id behind the name that clients see.
fn export_id(name: &str) -> ExportId {
    atelier_commands::export_link::parse(name).expect("a copy's id")
}

/// The mails with a subject that begins so.
async fn mails(studio: &TestStudio, subject: &str) -> usize {
    let all = studio.node.mailbox.list(1_000).await.expect("the mailbox can be read");
    all.iter().filter(|mail| mail.subject.starts_with(subject)).count()
}

fn nodes(connection: &Value) -> Vec<&Value> {
    connection["edges"].as_array().expect("edges").iter().map(|edge| &edge["node"]).collect()
}

/// Something by which to compare two lists, sorted.
fn sorted<T: Ord>(list: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut list: Vec<T> = list.into_iter().collect();
    list.sort();
    list
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

const READY: &str = "The copy of your data is ready";
