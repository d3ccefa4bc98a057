//! What people see of a quarantine: its account's reads say `UNAVAILABLE` and never anything wrong, everybody else's are exact, commands
//! go on, and an operator sees and repairs it.

use serde_json::{Value, json};

use super::aggregates::refuse;
use super::*;
use crate::as_atelier;
use crate::harness::TestStudio;
use crate::harness::studio::{PASSWORD, Person};

const ME: &str = "{ me { profile { username } rank { count } progress { count } credits { available } transactions { edges { node { amount } } } \
                  creations { edges { node { prompt } } } preferences { language } sessions { current } history { edges { node { kind } } } \
                  dataExports { state } apiKeys { edges { node { label } } } } }";
const FIELDS: [&str; 11] = [
    "profile",
    "rank",
    "progress",
    "credits",
    "transactions",
    "creations",
    "preferences",
    "sessions",
    "history",
    "dataExports",
    "apiKeys",
];

/// Runs the command line on the studio's database.
async fn command(studio: &TestStudio, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = as_atelier::command(arguments);
    command.env("DATABASE_URL", &studio.database.url).env("ATELIER_DATA", studio.data.path());
    let output = tokio::process::Command::from(command).output().await.expect("this binary runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).expect("UTF-8"))
}

fn small(prompt: &str) -> Value {
    json!({ "prompt": prompt, "model": "z-image-turbo", "width": 64, "height": 64 })
}

/// Everything that an account does which every read model keeps a row of.
async fn busy(studio: &TestStudio, person: &Person, key: &str, what: &str) -> String {
    let done = studio.post("/v1/generate", key, &small(what)).await;
    assert!([200, 202].contains(&done.status.as_u16()), "{}", done.text);
    let update = "mutation($bio: String!) { updateProfile(input: {bio: $bio}) { userErrors { code } } }";
    studio.mutate(Some(&person.token), update, json!({ "bio": what })).await;
    let language = if what.starts_with("before") { "DE" } else { "EN" };
    let set = "mutation($language: Language!) { setLanguage(input: {language: $language}) { userErrors { code } } }";
    studio.mutate(Some(&person.token), set, json!({ "language": language })).await;
    studio.sign_in(&person.email, PASSWORD).await;
    studio.mutate(Some(&person.token), "mutation { requestDataExport { userErrors { code } } }", json!({})).await;
    studio.api_key(person).await;
    studio.drain().await;
    done.json()["request_id"].as_str().expect("an id").to_owned()
}

/// Each field of `me` with the code and reason of its error.
async fn faults(studio: &TestStudio, person: &Person) -> Vec<(String, String, String)> {
    let answer = studio.graphql_raw(Some(&person.token), ME, json!({})).await;
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let fault = |error: &Value| {
        assert_eq!(answer["data"]["me"][text(&error["path"][1])], Value::Null, "never anything wrong");
        (text(&error["path"][1]), text(&error["extensions"]["code"]), text(&error["extensions"]["reason"]))
    };
    errors.iter().map(fault).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_an_account_in_quarantine_is_unavailable_and_nobody_else_sees_a_difference() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let ((_, key), (_, bens)) = (studio.api_key(&ada).await, studio.api_key(&ben).await);
    let before = busy(&studio, &ada, &key, "before").await;
    let account = studio.account(&ada).await;
    refuse(&studio.database, account).await;
    // Commands of the account go on, each of them; the read models leave it out.
    let during = busy(&studio, &ada, &key, "during").await;
    busy(&studio, &ben, &bens, "of ben").await;
    let pool = &studio.database.pool;
    assert_eq!(parked(pool).await.len(), names().len(), "every read model: {:?}", parked(pool).await);
    let unavailable = |field: &&str| (field.to_string(), "UNAVAILABLE".to_owned(), "QUARANTINED".to_owned());
    let mut found = faults(&studio, &ada).await;
    found.sort_unstable();
    let mut expected: Vec<_> = FIELDS.iter().map(unavailable).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(faults(&studio, &ben).await, []);
    for (path, status) in [("/v1/generations", 503), ("/v1/credits", 503), (&*format!("/v1/generations/{before}"), 503)]
    {
        let answer = studio.get(path, Some(&key)).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["error"]),
            (status, &json!("account_unavailable")),
            "{path}"
        );
    }
    let waiting = studio.post("/v1/generate", &key, &small("waited for")).await;
    assert_eq!(waiting.status.as_u16(), 202, "accepted; only its picture cannot be shown here: {}", waiting.text);
    let queued = studio.post_with("/v1/generate", &key, &small("withdrawn"), &[("prefer", "wait=0")]).await.json();
    let cancel = format!("/v1/generations/{}/cancel", queued["request_id"].as_str().expect("an id"));
    let cancelled = studio.post(&cancel, &key, &json!({})).await;
    assert!([200, 409].contains(&cancelled.status.as_u16()), "it is withdrawn, or was faster: {}", cancelled.text);
    let others = studio.post(&format!("/v1/generations/{before}/cancel"), &bens, &json!({})).await;
    assert_eq!(others.status.as_u16(), 404, "and nobody else's");

    let seen = async |token: Option<&str>, query: &str| {
        let variables = if query.contains("$id") { json!({ "id": before }) } else { json!({}) };
        studio.graphql_raw(token, query, variables).await
    };
    let list = "{ explore { edges { node { prompt creator { username } } } } }";
    for token in [None, Some(&*ben.token), Some(&*ada.token)] {
        let explore = seen(token, list).await;
        let shown: Vec<_> = explore["data"]["explore"]["edges"].as_array().expect("a list").iter().collect();
        assert_eq!(shown.len(), 1, "without the account's: {explore}");
        assert_eq!(shown[0]["node"], json!({ "prompt": "of ben", "creator": { "username": "ben" } }));
    }
    let one = "query($id: ID!) { generation(id: $id) { prompt } }";
    assert_eq!(seen(Some(&ada.token), one).await["errors"][0]["extensions"]["code"], json!("UNAVAILABLE"));
    assert_eq!(seen(Some(&ben.token), one).await, json!({ "data": { "generation": null } }));
    let creator = seen(None, "{ creator(username: \"ada\") { username } }").await;
    assert_eq!(creator["errors"][0]["extensions"]["reason"], json!("QUARANTINED"));
    let creator = seen(None, "{ creator(username: \"ben\") { rank published { edges { node { prompt } } } } }").await;
    assert_eq!(creator["data"]["creator"]["published"]["edges"][0]["node"]["prompt"], json!("of ben"));

    let (code, list) = command(&studio, &["projections", "list"]).await;
    assert_eq!(code, Some(0));
    let lines = list.lines().filter(|line| line.contains(&account.to_string()) && line.contains("SQLSTATE 22003"));
    assert_eq!(lines.count(), names().len(), "{list}");
    assert!(
        list.lines().any(|line| line.starts_with("ApiKeys ") && line.contains("partial, 1 in quarantine")),
        "{list}"
    );
    let (code, said) = command(&studio, &["doctor"]).await;
    assert!(
        code == Some(1) && said.contains("WRONG  quarantine: accounts are left out by AccountHistory at"),
        "{said}"
    );

    as_owner(&studio.database, "drop function refuse() cascade").await;
    for name in names() {
        let (code, said) = command(&studio, &["projections", "retry", name]).await;
        assert_eq!((code, said.contains(&format!("{account} is whole again in {name}"))), (Some(0), true), "{said}");
    }
    assert_eq!((parked(pool).await, faults(&studio, &ada).await), (Vec::new(), Vec::new()));
    for id in [&before, &during] {
        let shown = studio.get(&format!("/v1/generations/{id}"), Some(&key)).await;
        assert_eq!((shown.status.as_u16(), &shown.json()["status"]), (200, &json!("succeeded")));
    }
    studio.drain().await;
    let followed = dump_all(pool).await;
    for name in names() {
        studio.node.studio.runner.rebuild(name, |_, _| {}).await.expect("a rebuild");
    }
    assert_eq!(dump_all(pool).await, followed, "byte for byte as rebuilt");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_deleting_an_account_removes_what_is_in_quarantine_of_it() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let ((_, key), (_, bens)) = (studio.api_key(&ada).await, studio.api_key(&ben).await);
    busy(&studio, &ada, &key, "before").await;
    busy(&studio, &ben, &bens, "of ben").await;
    let account = studio.account(&ada).await;
    refuse(&studio.database, account).await;
    busy(&studio, &ada, &key, "during").await;
    let pool = &studio.database.pool;
    assert_eq!(parked(pool).await.len(), names().len());
    let offer = "mutation { requestAccountDeletion { token userErrors { code } } }";
    let token = studio.mutate(Some(&ada.token), offer, json!({})).await["token"].clone();
    let confirm = "mutation($input: ConfirmAccountDeletionInput!) { confirmAccountDeletion(input: $input) { userErrors { code } } }";
    studio.mutate(Some(&ada.token), confirm, json!({ "input": { "token": token, "username": "ada" } })).await;
    studio.drain().await;
    assert_eq!((parked(pool).await, states(pool).await), (Vec::new(), vec!["running".to_owned()]));
    let left: Vec<_> =
        dump_all(pool).await.into_iter().filter(|(_, rows)| rows.contains(&account.to_string())).collect();
    assert_eq!(left, [], "no row of it in any read model");
    as_owner(&studio.database, "drop function refuse() cascade").await;
    let followed = dump_all(pool).await;
    for name in names() {
        studio.node.studio.runner.rebuild(name, |_, _| {}).await.expect("a rebuild");
    }
    assert_eq!(dump_all(pool).await, followed, "byte for byte as rebuilt");
    assert_eq!(faults(&studio, &ben).await, []);
    studio.stop().await;
}

/// Appends what no release decodes to a stream, as its next event.
async fn poison(studio: &TestStudio, aggregate: &str, stream: &str) {
    let append = "select append_events(array[1], array[$1], array[$2], array[(select coalesce(max(sequence), 0) + 1 from events \
                  where aggregate_type = $1 and aggregate_id = $2)], array['NotYetInvented'], array['1'], array[$3], \
                  array['{\"actor\":\"operator\",\"correlation_id\":\"00000000-0000-0000-0000-000000000001\",\"causation_id\":\"00000000-0000-0000-0000-000000000001\"}'], \
                  array[gen_random_uuid()], array[now()], '{}', '{}', '{}', '{}', '{}', '{}', '{}')";
    let append = sqlx::query(append).bind(aggregate).bind(stream).bind(POISON);
    append.execute(&studio.database.pool).await.expect("an event is appended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_a_studio_with_each_aggregate_of_somebody_poisoned_serves_everybody_else() {
    let studio = TestStudio::start().await;
    let mut people = Vec::new();
    for name in ["ada", "ben", "eve", "joe"] {
        let person = studio.newcomer(name).await;
        let (_, key) = studio.api_key(&person).await;
        let job = busy(&studio, &person, &key, &format!("before {name}")).await;
        people.push((person, key, job));
    }
    let [ada, ben, eve, joe] = &people[..] else { panic!("four people") };
    let of = async |person: &Person| studio.account(person).await.to_string();
    let job = ada.2.strip_prefix("gen_").and_then(|id| id.parse::<uuid::Uuid>().ok()).expect("a job's id").to_string();
    let accounts = [of(&ada.0).await, of(&ben.0).await, of(&eve.0).await];
    poison(&studio, "Generation", &job).await;
    poison(&studio, "CreditLedger", &format!("{}:live", accounts[1])).await;
    poison(&studio, "Account", &accounts[2]).await;
    // The one whom nothing happened to, and a newcomer, miss nothing: no read, no mail, no picture.
    busy(&studio, &joe.0, &joe.1, "after joe").await;
    let zoe = studio.newcomer("zoe").await;
    assert_eq!((faults(&studio, &joe.0).await, faults(&studio, &zoe).await), (Vec::new(), Vec::new()));
    let shown =
        studio.graphql(Some(&joe.0.token), "{ me { creations { edges { node { prompt status } } } } }", json!({}));
    assert_eq!(
        shown.await["me"]["creations"]["edges"][0]["node"],
        json!({ "prompt": "after joe", "status": "SUCCEEDED" })
    );
    let mut left_out: Vec<String> =
        parked(&studio.database.pool).await.into_iter().map(|(_, subject, ..)| subject).collect();
    let followers = left_out.len() / 3;
    left_out.sort_unstable();
    left_out.dedup();
    let mut expected = accounts.to_vec();
    expected.sort_unstable();
    assert_eq!(
        (left_out, followers),
        (expected, studio.node.studio.runner.followers().count()),
        "each in each follower"
    );
    for (person, ..) in [ada, ben, eve] {
        assert_eq!(faults(&studio, person).await.len(), FIELDS.len());
    }
    studio.stop().await;
}
