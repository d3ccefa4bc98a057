//! Nothing public leads to the account of somebody who does not show their profile (C3): every answer that a stranger can get is searched
//! for the account's id, in every form in which an id is written.

use std::collections::{BTreeMap, BTreeSet};

use atelier_commands::use_cases::AssignPlan;
use atelier_domain::AccountId;
use atelier_domain::policy::plan::Plan;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::accounts::avatars;
use crate::harness::TestStudio;

/// The forms of an id: its bytes, and its texts.
fn forms(account: AccountId) -> Vec<Vec<u8>> {
    let (plain, dashed) = (account.0.simple().to_string(), account.0.to_string());
    let texts = [plain.clone(), dashed.clone(), plain.to_uppercase(), dashed.to_uppercase()];
    let mut forms: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
    forms.push(account.0.as_bytes().to_vec());
    forms
}

fn has(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}

/// Whether an id is there, openly or in a word of base64.
fn leads_to(account: AccountId, answer: &[u8]) -> bool {
    let forms = forms(account);
    let shows = |bytes: &[u8]| forms.iter().any(|form| has(bytes, form));
    let is_word = |b: &u8| b.is_ascii_alphanumeric() || b"-_+/".contains(b);
    let words = answer.split(|b| !is_word(b)).flat_map(|word| {
        // A path is several words.
        word.split(|b| *b == b'/').chain([word]).map(<[u8]>::to_vec).collect::<Vec<_>>()
    });
    shows(answer)
        || words.filter(|word| word.len() >= 22).any(|word| {
            (0..4).any(|start| {
                let part = &word[start..];
                let part = &part[..part.len() - usize::from(part.len() % 4 == 1)];
                [URL_SAFE_NO_PAD.decode(part), STANDARD.decode(part)].iter().flatten().any(|bytes| shows(bytes))
            })
        })
}

#[test]
fn the_search_finds_what_it_looks_for() {
    let account = AccountId(uuid::Uuid::from_u128(0x0192_3456_789a_7bcd_8ef0_1234_5678_9abc));
    let id = account.0;
    for start in 0..3 {
        let bytes = [vec![9; start], id.as_bytes().to_vec(), vec![7; 5]].concat();
        let word = URL_SAFE_NO_PAD.encode(bytes);
        assert!(leads_to(account, format!("a=/x/{word}?y").as_bytes()), "{start}");
    }
    for text in [format!("/media/{id}/x"), format!("acc_{}", id.simple()), id.to_string().to_uppercase()] {
        assert!(leads_to(account, text.as_bytes()), "{text}");
    }
    assert!(!leads_to(account, b"gen_0192345678907bcd8ef0123456789abc"));
}

/// A selection of everything that a type of the schema has without arguments that must be given, some levels deep.
fn selection(types: &BTreeMap<String, Value>, name: &str, depth: usize) -> String {
    let fields = types[name]["fields"].as_array().cloned().unwrap_or_default();
    let mut selected = String::from("__typename ");
    for field in fields {
        let needs = |argument: &Value| argument["type"]["kind"] == "NON_NULL" && argument["defaultValue"].is_null();
        if field["args"].as_array().is_some_and(|arguments| arguments.iter().any(needs)) {
            continue;
        }
        let mut kind = &field["type"];
        while !kind["ofType"].is_null() {
            kind = &kind["ofType"];
        }
        let pages = field["args"].as_array().is_some_and(|all| all.iter().any(|argument| argument["name"] == "first"));
        let (of, field) = (kind["name"].as_str().expect("a name"), field["name"].as_str().expect("a name"));
        // Pages within pages are multiplied, and bounded.
        let field = if pages { format!("{field}(first: 2)") } else { field.to_owned() };
        match kind["kind"].as_str() {
            Some("OBJECT") if depth > 0 => selected += &format!("{field} {{ {} }} ", selection(types, of, depth - 1)),
            Some("OBJECT" | "INTERFACE" | "UNION") => {}
            _ => selected += &format!("{field} "),
        }
    }
    selected
}

/// The types of the served schema.
async fn schema(studio: &TestStudio) -> BTreeMap<String, Value> {
    let of = "kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";
    let query = format!(
        "{{ __schema {{ types {{ name fields {{ name type {{ {of} }} args {{ name defaultValue type {{ kind }} }} }} }} }} }}"
    );
    let mut shown = studio.graphql(None, &query, json!({})).await;
    let types = shown["__schema"]["types"].take();
    let named = |kind: &Value| (kind["name"].as_str().expect("a name").to_owned(), kind.clone());
    types.as_array().expect("types").iter().map(named).collect()
}

/// Every link in an answer.
fn links(studio: &TestStudio, answer: &str) -> BTreeSet<String> {
    answer.split('"').filter(|text| text.starts_with(&studio.url)).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn c3_nothing_public_leads_to_an_account_that_hides() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let account = studio.account(&ada).await;
    let plan = AssignPlan { account, plan: Plan::Pro };
    plan.run(&studio.node.studio.write, &studio.operator()).await.expect("a plan is assigned");
    let (_, key) = studio.api_key(&ada).await;
    let (_, bens_key) = studio.api_key(&ben).await;
    let picture = json!({ "prompt": "a hidden garden", "model": "z-image-turbo", "width": 64, "height": 64 });
    let job = studio.post("/v1/generate", &key, &picture).await.json();
    let place = avatars::place(&studio, &ada).await;
    let face = avatars::put(&studio, &place, avatars::picture(100)).await.text;
    studio.drain().await;
    let generation = job["request_id"].as_str().expect("an id");
    let types = schema(&studio).await;
    let whole = selection(&types, "Generation", 3);
    let feed = selection(&types, "GenerationConnection", 5);
    let query = format!(
        "query($id: ID!) {{ explore(first: 2) {{ {feed} }} generation(id: $id) {{ {whole} }} node(id: $id) {{ ... on Generation {{ {whole} }} }} \
         creator(username: \"ada\") {{ {} }} me {{ id }} models {{ {} }} }}",
        selection(&types, "Creator", 4),
        selection(&types, "Model", 1),
    );
    let shown = studio.graphql(None, &query, json!({ "id": generation })).await;
    assert!(leads_to(account, shown.to_string().as_bytes()), "a public profile has an id");
    assert!(shown["creator"]["avatar"]["url"].is_string() && whole.contains("images") && feed.contains("cursor"));

    let ask = "mutation { requestDataExport { userErrors { code } } }";
    studio.mutate(Some(&ada.token), ask, json!({})).await;
    studio.drain().await;
    let exports = "{ me { dataExports { url } } }";
    let copy = studio.graphql(Some(&ada.token), exports, json!({})).await["me"]["dataExports"][0]["url"].take();
    let copy = copy.as_str().expect("a copy").to_owned();
    assert!(!leads_to(account, copy.as_bytes()), "{copy}");

    let hide = "mutation { setPublicProfile(input: {public: false}) { userErrors { code } } }";
    studio.mutate(Some(&ada.token), hide, json!({})).await;
    studio.drain().await;
    let mut answers: Vec<(String, String)> = Vec::new();
    for token in [None, Some(ben.token.as_str())] {
        let mut headers = Vec::new();
        let bearer = token.map(|token| format!("Bearer {token}"));
        headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        let answer = studio.graphql_with(&headers, &query, json!({ "id": generation })).await;
        let shown = answer.json();
        assert_eq!(shown["data"]["creator"], Value::Null, "C3: {shown}");
        assert!(shown["data"]["generation"]["images"][0]["url"].is_string(), "{shown}");
        answers.push((format!("GraphQL, {token:?}"), format!("{:?} {}", answer.headers, answer.text)));
    }
    // What the owner gets is made to be passed on: pictures, the face, a job by REST.
    let status = studio.get(&format!("/v1/generations/{generation}"), Some(&key)).await;
    for (what, text) in [("generate", job.to_string()), ("avatar", face), ("a job", status.text)] {
        answers.push((what.to_owned(), text));
    }
    for path in ["/v1/models", "/v1/openapi.json", "/schema.graphql", "/health/ready", "/metrics", "/v1/generations"] {
        let answer = studio.get(path, Some(&bens_key)).await;
        answers.push((path.to_owned(), format!("{:?} {}", answer.headers, answer.text)));
    }
    // A copy of everything is full of the id, and is fetched by its owner alone.
    for (method, headers) in [
        ("GET", vec![]),
        ("HEAD", vec![]),
        ("GET", vec![("range", "bytes=0-9")]),
        ("GET", vec![("if-none-match", "*")]),
        ("POST", vec![]),
    ] {
        for (whose, session) in [("nobody", None), ("a stranger", Some(&ben.token)), ("its owner", Some(&ada.token))] {
            let mut request = studio.client().request(method.parse().expect("a method"), &copy);
            for (name, value) in &headers {
                request = request.header(*name, *value);
            }
            if let Some(session) = session {
                request = request.bearer_auth(session);
            }
            let response = request.send().await.expect("the node answers");
            let (status, head) = (response.status().as_u16(), format!("{:?}", response.headers()));
            let body = response.bytes().await.expect("a body");
            assert_eq!(status == 404, session != Some(&ada.token) && method != "POST", "{whose} {method}: {status}");
            // The name it is saved under may lie around.
            assert!(!leads_to(account, head.as_bytes()), "{whose} {method}: {head}");
            let owner_reads = session == Some(&ada.token) && method == "GET";
            assert!(owner_reads || !leads_to(account, &body), "{whose} {method} {headers:?}");
        }
    }
    let denied = studio.get(&format!("/v1/generations/{generation}"), Some(&bens_key)).await;
    answers.push(("a stranger's job".to_owned(), format!("{:?} {}", denied.headers, denied.text)));

    let found: BTreeSet<String> = answers.iter().flat_map(|(_, text)| links(&studio, text)).collect();
    let of = |folder: &str| found.iter().filter(|link| link.contains(folder)).count();
    assert!(of("/media/") == 1 && of("/avatars/") == 3, "{found:?}");
    for link in &found {
        for (method, headers) in [
            ("GET", vec![]),
            ("HEAD", vec![]),
            ("GET", vec![("range", "bytes=0-9")]),
            ("GET", vec![("range", "bytes=99999999-")]),
            ("GET", vec![("if-none-match", "*")]),
            ("GET", vec![("if-match", "\"x\"")]),
            ("POST", vec![]),
        ] {
            let mut request = studio.client().request(method.parse().expect("a method"), link);
            for (name, value) in &headers {
                request = request.header(*name, *value);
            }
            let response = request.send().await.expect("the node answers");
            let head = format!("{} {:?}", response.status(), response.headers());
            let body = response.bytes().await.expect("a body");
            assert!(
                !leads_to(account, head.as_bytes()) && !leads_to(account, &body),
                "{method} {headers:?} {link}: {head}"
            );
        }
        let broken = studio.client().get(format!("{link}x")).send().await.expect("the node answers");
        let (head, body) = (format!("{:?}", broken.headers()), broken.text().await.expect("a body"));
        assert!(!leads_to(account, head.as_bytes()) && !leads_to(account, body.as_bytes()));
    }
    for (what, text) in &answers {
        assert!(!leads_to(account, text.as_bytes()), "{what}: {text}");
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c3_links_to_avatars_of_earlier_releases_go_on_and_none_is_given_out() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    let place = avatars::place(&studio, &ada).await;
    let face = avatars::put(&studio, &place, avatars::picture(100)).await;
    let link = face.json()["urls"]["64"].as_str().expect("a link").to_owned();
    assert!(!leads_to(account, face.text.as_bytes()), "{}", face.text);
    let folder = studio.data.path().join("media").join(account.to_string()).join("avatar");
    let avatar = std::fs::read_dir(folder).expect("the avatars").next().expect("one").expect("one").file_name();
    let avatar: uuid::Uuid = avatar.to_str().and_then(|name| name.parse().ok()).expect("an id");
    let former = format!("{}/avatars/{}/{}/64", studio.url, account.0.simple(), avatar.simple());
    assert_eq!(studio.download(&former).await, studio.download(&link).await);
    assert_eq!(studio.download(&former).await.0.as_u16(), 200);
    for wrong in [
        former.replace("/64", "/064"),
        former.replace(&account.0.simple().to_string(), &account.0.to_string()),
        former.replace(&avatar.simple().to_string(), &account.0.simple().to_string()),
    ] {
        assert_eq!(studio.download(&wrong).await.0.as_u16(), 404, "{wrong}");
    }
    studio.stop().await;
}
