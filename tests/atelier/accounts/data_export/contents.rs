//! What is in a copy, beside what the API shows; and what must not be.

use std::collections::BTreeMap;

use atelier_commands::command_path::Target;
use atelier_domain::Actor;
use atelier_domain::account::{Account, AccountCommand, StaffCommand, StaffOrder};
use atelier_domain::text::StaffReason;
use serde_json::{Value, json};

use super::super::avatars::{picture, place, put};
use super::super::second_factor::{Guarded, guarded};
use super::inside::{another_program_agrees, digests, nowhere, the_events, the_generations};
use super::{asked, documents, exports, fetched, made, nodes, sorted, text, unpacked};
use crate::harness::TestStudio;
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
    let order =
        StaffOrder { staff: Some(staff), reason: StaffReason::parse("a question about a bill").expect("a reason") };
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

    the_generations(&studio, &files, &docs, &me).await;
    the_events(&studio, account, &files, &docs["manifest.json"]).await;
    let strangers = [staff.to_string(), staff.0.simple().to_string(), "benedict".to_owned()];
    let sealed = ["\"p1.", "\"r1.", "address_claimed"].map(str::to_owned);
    let digests = digests(&studio).await;
    assert!(digests.len() > 15, "sessions, keys, codes, a seed, passwords");
    nowhere(&files, secrets.into_iter().chain(digests).chain(strangers).chain(sealed));
    another_program_agrees(&studio, &zip, &files, &docs["manifest.json"]).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn u25_a_copy_is_as_of_its_request_whatever_came_after() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&ada).await;
    generated(&studio, &key, "before").await;
    studio.drain().await;
    studio.hold_exports().await;
    asked(&studio, &ada).await;
    generated(&studio, &key, "after").await;
    let rename = "mutation { updateProfile(input: {displayName: \"Later\"}) { userErrors { code } } }";
    studio.mutate(Some(&ada.token), rename, json!({})).await;
    studio.api_key(&ada).await;
    studio.drain().await;
    studio.release_exports().await;
    studio.drain().await;
    let export = exports(&studio, &ada).await.swap_remove(0);
    let (_, _, zip) = fetched(&studio, &text(&export["url"]), Some(&ada.token), "*/*").await;
    let files = unpacked(&zip);
    let docs = documents(&files);
    assert_eq!(docs["profile.json"]["display_name"], json!("ada"));
    assert_eq!(docs["credits/balance.json"]["live"]["available"], json!(400), "one of 100 was paid by then");
    let prompts: Vec<_> =
        docs["generations.json"].as_array().expect("jobs").iter().map(|one| text(&one["prompt"])).collect();
    assert_eq!((prompts, docs["api_keys.json"].as_array().map(Vec::len)), (vec!["before".to_owned()], Some(1)));
    let events = &files.iter().find(|(name, _)| name == "events.jsonl").expect("the events").1;
    let position = docs["manifest.json"]["log_position"].as_i64().expect("a position");
    let events = String::from_utf8_lossy(events);
    let latest = events.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["position"].as_i64());
    assert_eq!(latest.max(), Some(Some(position)), "nothing later than the request, and the request itself");
    studio.stop().await;
}
