//! What is in a copy, beside what the API shows; and what must not be.

use std::collections::BTreeMap;

use atelier_commands::command_path::Target;
use atelier_domain::Actor;
use atelier_domain::account::{Account, AccountCommand, StaffCommand, StaffOrder};
use atelier_domain::text::StaffReason;
use serde_json::{Value, json};

use super::super::avatars::{picture, place, put};
use super::super::second_factor::{Guarded, guarded};
use super::{documents, fetched, made, unpacked};
use crate::harness::TestStudio;
use crate::harness::peers::ask;
use crate::harness::studio::{PASSWORD, Person};

const ME: &str = "{ me { id \
    profile { username displayName bio email emailVerified public plan createdAt } \
    credits { available held lots { remaining granted } } test: credits(environment: TEST) { available held } \
    transactions(first: 100) { edges { node { id kind amount generationId at settledAt } } } \
    tests: transactions(first: 100, environment: TEST) { edges { node { id amount } } } \
    creations(first: 100) { edges { node { id prompt status seed images { url } } } } \
    apiKeys(first: 100) { edges { node { id label prefix last4 revokedAt usage { lastUsedAt } } } } \
    sessions { id device startedAt } \
    notices(first: 100) { edges { node { id topic } } } \
    preferences { notifications { kind channel on since switchable } } \
    dataExports { bytes } } }";

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

async fn generated(studio: &TestStudio, key: &str, prompt: &str) -> String {
    let body = json!({ "prompt": prompt, "model": "z-image-turbo", "width": 64, "height": 64 });
    let made = studio.post("/v1/generate", key, &body).await;
    assert_eq!(made.status.as_u16(), 200, "{}", made.text);
    made.json()["id"].as_str().or(made.json()["generation_id"].as_str()).unwrap_or_default().to_owned()
}

/// Somebody who has some of everything; her secrets.
async fn rich(studio: &TestStudio) -> (Person, Vec<String>) {
    let Guarded { person: ada, secret: seed, recovery_codes } = guarded(studio, "ada").await;
    let token = Some(ada.token.as_str());
    let say = async |mutation: &str| studio.mutate(token, &format!("mutation {{ {mutation} }}"), json!({})).await;
    say("updateProfile(input: {displayName: \"Ada L.\", bio: \"draws harbours\"}) { userErrors { code } }").await;
    say("setNotification(input: {kind: NEWSLETTER, channel: MAIL, on: true}) { userErrors { code } }").await;
    let shown = put(studio, &place(studio, &ada).await, picture(90)).await;
    assert_eq!(shown.status.as_u16(), 200, "{}", shown.text);
    let (_, key) = studio.api_key(&ada).await;
    let create = "createApiKey(input: {label: \"ci\", environment: TEST}) { id secret userErrors { code } }";
    let test_key = text(&say(create).await["secret"]);
    generated(studio, &key, "a harbour at dawn, confidential").await;
    generated(studio, &test_key, "a test of nothing").await;
    generated(studio, &key, "a mistake").await;
    studio.drain().await;
    let newest = "{ me { creations(first: 1) { edges { node { id prompt } } } } }";
    let newest = studio.graphql(token, newest, json!({})).await;
    let newest = nodes(&newest["me"]["creations"])[0].clone();
    assert_eq!(newest["prompt"], json!("a mistake"));
    say(&format!("deleteGeneration(input: {{id: \"{}\"}}) {{ userErrors {{ code }} }}", text(&newest["id"]))).await;
    studio.drain().await;
    let mut secrets = vec![PASSWORD.to_owned(), ada.token.clone(), key, test_key, seed];
    secrets.extend(recovery_codes);
    (ada, secrets)
}

/// Every digest, hash and sealed text that the credential rows have, in the forms in which it could be written.
async fn digests(studio: &TestStudio) -> Vec<String> {
    let all = "select encode(digest, 'hex') from credentials.sessions union all select encode(digest, 'base64') from credentials.sessions \
        union all select encode(digest, 'hex') from credentials.api_keys union all select encode(digest, 'base64') from credentials.api_keys \
        union all select encode(digest, 'hex') from credentials.recovery_codes union all select seed from credentials.second_factors \
        union all select phc from credentials.passwords";
    sqlx::query_scalar(all).fetch_all(&studio.database.pool).await.expect("the rows answer")
}

fn compare_with_the_api(docs: &BTreeMap<String, Value>, me: &Value) {
    let (profile, account) = (&docs["profile.json"], &docs["account.json"]);
    let shown = &me["profile"];
    for (document, name, field) in [
        (profile, "username", "username"),
        (profile, "display_name", "displayName"),
        (profile, "bio", "bio"),
        (profile, "public", "public"),
        (profile, "plan", "plan"),
        (account, "email", "email"),
        (account, "email_verified", "emailVerified"),
        (account, "opened_at", "createdAt"),
    ] {
        let same = match field {
            "createdAt" => text(&document[name])[..19] == text(&shown[field])[..19],
            _ => document[name] == shown[field],
        };
        assert!(same, "{name}: {} beside {}", document[name], shown[field]);
    }
    assert_eq!((&profile["id"], &profile["avatar"]), (&me["id"], &json!("avatar.png")));
    assert_eq!(account["two_factor"], json!({ "enabled": true, "recovery_codes_left": 10 }));
    let balance = &docs["credits/balance.json"];
    for (ledger, shown) in [("live", &me["credits"]), ("test", &me["test"])] {
        assert_eq!((&balance[ledger]["available"], &balance[ledger]["held"]), (&shown["available"], &shown["held"]));
    }
    assert_eq!(balance["live"]["lots"][0]["granted"], me["credits"]["lots"][0]["granted"]);
    let line = |line: &Value| (text(&line["id"]), line["amount"].as_i64().expect("credits"));
    let ours = docs["credits/transactions.json"].as_array().expect("lines").iter().map(line);
    let theirs = nodes(&me["transactions"]).into_iter().chain(nodes(&me["tests"])).map(line);
    assert_eq!(sorted(ours), sorted(theirs), "one line for each, with the same amount");
    let ids = |list: &Value| sorted(list.as_array().expect("a list").iter().map(|one| text(&one["id"])));
    let ids_of = |connection: &Value| sorted(nodes(connection).into_iter().map(|one| text(&one["id"])));
    assert_eq!(ids(&docs["api_keys.json"]), ids_of(&me["apiKeys"]));
    assert!(ids_of(&me["notices"]).iter().all(|id| {
        ids(&docs["notices.json"]).contains(id)
            || nodes(&me["notices"])
                .iter()
                .any(|notice| notice["id"] == json!(id) && text(&notice["topic"]).starts_with("DATA_EXPORT"))
    }));
    assert_eq!(ids(&docs["sessions.json"]), ids(&me["sessions"]));
    let on = |kind: &str| {
        let switches = docs["notification_preferences.json"].as_array().expect("switches").iter();
        switches
            .clone()
            .find(|switch| switch["kind"] == kind && switch["channel"] == "mail")
            .cloned()
            .expect("a switch")
    };
    assert_eq!((&on("newsletter")["on"], &on("newsletter")["consent_text_version"]), (&json!(true), &json!(1)));
    assert_eq!((&on("marketing")["on"], &on("marketing")["since"]), (&json!(false), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn u25_a_copy_has_everything_that_is_the_accounts_and_no_secret_and_nothing_of_others() {
    let studio = TestStudio::start().await;
    let (ada, secrets) = rich(&studio).await;
    let ben = studio.newcomer("benedict").await;
    let (account, staff) = (studio.account(&ada).await, studio.account(&ben).await);
    let order = StaffOrder { staff, reason: StaffReason::parse("a question about a bill").expect("a reason") };
    let view = AccountCommand::ByStaff { order, command: StaffCommand::View };
    let target = Target { id: account.to_string(), subject: account };
    let write = &studio.node.studio.write;
    let context = write.request_context(Actor::Operator);
    write.path.execute::<Account>(&target, &context, None, |_| view.clone()).await.expect("recorded");
    write.usage.flush(&write.pool).await.expect("the usage is written");
    let export = made(&studio, &ada).await;
    let url = text(&export["url"]);
    let (status, headers, zip) = fetched(&studio, &url, Some(&ada.token), "*/*").await;
    assert_eq!(status, 200);
    for (name, value) in [
        ("content-type", "application/zip"),
        ("cache-control", "private, no-store"),
        ("x-content-type-options", "nosniff"),
        ("content-length", zip.len().to_string().as_str()),
    ] {
        assert_eq!(headers[name], value);
    }
    assert!(headers["content-disposition"].to_str().expect("ASCII").starts_with("attachment; filename=\"atelier-"));
    let files = unpacked(&zip);
    let docs = documents(&files);
    let me = studio.graphql(Some(&ada.token), ME, json!({})).await["me"].take();
    assert_eq!(me["dataExports"][0]["bytes"], json!(zip.len()));
    compare_with_the_api(&docs, &me);

    // The generations: the deleted one without files, each file as it is served.
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
    let (_, _, served) = fetched(&studio, &text(&shown[0]["images"][0]["url"]), None, "*/*").await;
    let file = files.iter().find(|(name, _)| *name == text(&same["files"][0])).expect("its file");
    assert_eq!(file.1, served, "to the byte");
    assert!(image::load_from_memory(&files.iter().find(|(name, _)| name == "avatar.png").expect("a face").1).is_ok());
    let used =
        docs["api_keys.json"].as_array().expect("keys").iter().filter(|key| !key["usage"]["last_used_at"].is_null());
    assert_eq!(used.count(), 2, "with its usage");

    // Every event of the account's own streams up to the request, opened.
    let events = &files.iter().find(|(name, _)| name == "events.jsonl").expect("the events").1;
    let events: Vec<Value> =
        String::from_utf8_lossy(events).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let own: i64 = sqlx::query_scalar(
        "select count(*) from events where position <= $2 and (aggregate_id like $1 || '%' or aggregate_id in ( \
             select payload->'HoldPlaced'->>'generation_id' from events where aggregate_id like $1 || ':%' and event_type = 'HoldPlaced'))",
    )
    .bind(account.to_string())
    .bind(docs["manifest.json"]["log_position"].as_i64().expect("a position"))
    .fetch_one(&studio.database.pool)
    .await
    .expect("the log answers");
    assert_eq!((events.len(), &docs["manifest.json"]["events"]), (usize::try_from(own).expect("few"), &json!(own)));
    assert_eq!(events[0]["data"]["email"], json!("ada@example.com"));
    let by_staff = events.iter().find(|event| event["event"] == "StaffActionRecorded").expect("what staff did");
    assert_eq!(
        (&by_staff["data"]["reason"], &by_staff["data"]["staff"]),
        (&json!("a question about a bill"), &Value::Null)
    );
    assert!(
        events.iter().filter(|event| event["stream"] == "account").last().expect("events")["event"]
            == "DataExportRequested"
    );

    // Nothing secret, nothing sealed, nobody else.
    let strangers = [
        staff.to_string(),
        staff.0.simple().to_string(),
        "benedict".to_owned(),
        "\"p1.".to_owned(),
        "address_claimed".to_owned(),
    ];
    for never in secrets.into_iter().chain(digests(&studio).await).chain(strangers) {
        assert!(never.len() >= 4, "a canary that says something");
        for (name, bytes) in &files {
            let found = bytes.windows(never.len()).any(|window| window == never.as_bytes());
            assert!(!found, "{name} holds {never:?}");
        }
    }

    // The manifest lists every file; another program reads the archive and agrees to the byte.
    assert_eq!(docs["manifest.json"]["missing"], json!([]));
    let path = studio.data.path().join("copy.zip");
    std::fs::write(&path, &zip).expect("written");
    let theirs: BTreeMap<String, Value> =
        serde_json::from_str(&ask("unzip.py", &[&path.display().to_string()], "").await).expect("JSON");
    let listed = docs["manifest.json"]["files"].as_array().expect("files");
    assert_eq!(listed.len() + 1, theirs.len(), "all but the manifest itself");
    for file in listed {
        let theirs = &theirs[&text(&file["name"])];
        assert_eq!((&file["bytes"], &file["sha256"]), (&theirs["bytes"], &theirs["sha256"]), "{file}");
    }
    let readme = String::from_utf8_lossy(&files[0].1).into_owned();
    for (name, _) in files.iter().filter(|(name, _)| !name.starts_with("media/")) {
        assert!(readme.contains(name.as_str()), "README.txt says what {name} is");
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u25_a_file_that_is_gone_is_named_and_the_rest_is_there() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&ada).await;
    generated(&studio, &key, "kept").await;
    generated(&studio, &key, "lost").await;
    studio.drain().await;
    let account = studio.account(&ada).await;
    let object: String = sqlx::query_scalar(
        "select payload->'GenerationSucceeded'->'outputs'->0->>'object' from events where event_type = 'GenerationSucceeded' \
         order by position desc limit 1",
    )
    .fetch_one(&studio.database.pool)
    .await
    .expect("an event");
    assert!(object.starts_with(&account.to_string()));
    std::fs::remove_file(studio.data.path().join("media").join(&object)).expect("removed");
    let export = made(&studio, &ada).await;
    let (_, _, zip) = fetched(&studio, &text(&export["url"]), Some(&ada.token), "*/*").await;
    let files = unpacked(&zip);
    let docs = documents(&files);
    let missing = docs["manifest.json"]["missing"].as_array().expect("a list");
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert_eq!(missing[0]["reason"], json!("the file is not there any more"));
    let lost = docs["generations.json"][1]["files"][0].clone();
    assert_eq!((&missing[0]["name"], files.iter().filter(|(name, _)| name.starts_with("media/")).count()), (&lost, 1));
    studio.stop().await;
}
