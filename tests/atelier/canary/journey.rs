//! A journey with planted texts: everything that goes well, and everything that is refused, each with its body kept.

use std::path::Path;

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::{CONTROL_ID, IDEMPOTENCY_KEY, MARK};
use crate::harness::process::until;
use crate::harness::studio::Answer;
use crate::harness::visitor::Visitor;

/// What was told once, and must be nowhere.
pub struct Secrets {
    session: String,
    api_key: String,
    mail_token: String,
    person: Person,
}

/// What a person writes of themselves.
struct Person {
    address: String,
    username: String,
    password: String,
    name: String,
    bio: String,
    label: String,
    prompt: String,
}

impl Secrets {
    /// Each with a name; of the API key also the part that is not shown for ever.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let secret = &self.api_key["atl_live_".len() + 12..];
        [("session token", self.session.as_str()), ("API key", &self.api_key), ("API key's secret", secret)]
            .into_iter()
            .chain([("mail token", self.mail_token.as_str()), ("mail token", &self.mail_token["atm_".len()..])])
    }
}

impl Secrets {
    /// The session's token.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// The API key.
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// The handle.
    pub fn username(&self) -> &str {
        &self.person.username
    }
}

fn person() -> Person {
    Person {
        address: format!("{MARK}-address@{MARK}-domain.example"),
        username: format!("{MARK}-username"),
        password: format!("{MARK}-Password-1"),
        name: format!("{MARK} display name"),
        bio: format!("{MARK} biography, of a few words"),
        label: format!("{MARK} label"),
        prompt: format!("{MARK} prompt: a harbour at dusk"),
    }
}

/// What the person planted, by name.
pub fn planted() -> Vec<(&'static str, String)> {
    let Person { address, username, password, name, bio, label, prompt } = person();
    vec![
        ("address", address),
        ("username", username),
        ("password", password),
        ("display name", name),
        ("biography", bio),
        ("label", label),
        ("prompt", prompt),
    ]
}

/// Somebody who writes down what every refusal says.
struct Traveller<'a> {
    visitor: &'a Visitor,
    refusals: Vec<(&'static str, String)>,
}

pub(super) const SIGN_UP: &str =
    "mutation($input: SignUpInput!) { signUp(input: $input) { userErrors { code field message } position } }";
const SIGN_IN: &str =
    "mutation($input: SignInInput!) { signIn(input: $input) { token userErrors { code field message } } }";
const UPDATE: &str =
    "mutation($input: UpdateProfileInput!) { updateProfile(input: $input) { userErrors { code field message } } }";
const CREATE_KEY: &str =
    "mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret userErrors { code field message } } }";
pub(super) const REQUEST: &str = "mutation($input: RequestGenerationInput!) { requestGeneration(input: $input) \
    { generation { id } userErrors { code field message } } }";
const ME: &str = "{ me { profile { username displayName bio email } apiKeys { edges { node { label } } } \
    creations { edges { node { prompt } } } } }";

impl Traveller<'_> {
    fn graphql(&self, token: Option<&str>, query: &str, variables: &Value) -> RequestBuilder {
        let request = self.visitor.request("POST", "/graphql").json(&json!({ "query": query, "variables": variables }));
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// A REST call that is refused with this status.
    async fn refused(&mut self, what: &'static str, status: u16, request: RequestBuilder) {
        let answer = Answer::of(request.send().await.expect("the process answers")).await;
        assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.text);
        self.refusals.push((what, format!("{:?}\n{}", answer.headers, answer.text)));
    }

    /// A GraphQL call that is refused, by a rule or before.
    async fn refused_graphql(&mut self, what: &'static str, token: Option<&str>, query: &str, variables: Value) {
        let request = self.graphql(token, query, &variables);
        let answer = Answer::of(request.send().await.expect("the process answers")).await;
        assert!(answer.text.contains("rrors\":[{"), "{what}: {}", answer.text);
        self.refusals.push((what, format!("{:?}\n{}", answer.headers, answer.text)));
    }

    /// A call whose answer may say back what was sent; only what it leaves behind is looked at.
    async fn unheard(&self, request: RequestBuilder) {
        request.send().await.expect("the process answers");
    }
}

/// The journey; what was told once, and the body of every refusal by its name.
pub async fn run(visitor: &Visitor, mailbox: &Path) -> (Secrets, Vec<(&'static str, String)>) {
    let mut traveller = Traveller { visitor, refusals: Vec::new() };
    let person = person();
    let mail_token = signs_up(&mut traveller, &person, mailbox).await;
    let session = signs_in(&mut traveller, &person).await;
    let api_key = settles_in(&mut traveller, &person, &session).await;
    generates(&mut traveller, &person, &session, &api_key).await;
    misuses_rest(&mut traveller, &api_key).await;
    misuses_graphql(&mut traveller, &session).await;
    pries(&traveller).await;
    let secrets = Secrets { session, api_key, mail_token, person };
    can_still_read(visitor, &secrets).await;
    (secrets, traveller.refusals)
}

async fn signs_up(traveller: &mut Traveller<'_>, person: &Person, mailbox: &Path) -> String {
    let Person { address, username, password, .. } = person;
    let input = json!({ "input": { "email": address, "password": password, "username": username, "minimumAge": 18 } });
    let signed_up = traveller.graphql(None, SIGN_UP, &input).header("x-request-id", CONTROL_ID).send().await;
    assert!(Answer::of(signed_up.expect("the process answers")).await.text.contains("\"userErrors\":[]"));
    let other = format!("{MARK}-other");
    for (what, email, username, password) in [
        ("a taken username", format!("{MARK}@other.example"), username, password),
        ("a bad address", format!("{MARK}@"), &other, password),
        ("a bad username", format!("{MARK}@other.example"), &format!("{MARK} Ü!"), password),
        ("a weak password", format!("{MARK}@other.example"), &other, &format!("{MARK}weak")),
    ] {
        let input =
            json!({ "input": { "email": email, "password": password, "username": username, "minimumAge": 18 } });
        traveller.refused_graphql(what, None, SIGN_UP, input).await;
    }
    // Another sign-up with the address, which ends when this one is proven.
    let again = json!({ "input": { "email": address, "password": password, "username": other, "minimumAge": 18 } });
    traveller.visitor.graphql(None, SIGN_UP, again).await;
    let token = until("the mail", async || {
        let mails =
            std::fs::read_dir(mailbox).ok()?.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok());
        let mut links = mails.filter_map(|mail| Some(mail.split_once("/verify-email?token=")?.1.to_owned()));
        Some(links.next()?.lines().next().expect("a token").trim().to_owned())
    });
    let token = token.await;
    let encoded: String = password.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let form = traveller.visitor.request("POST", "/verify-email");
    let form = form.header("content-type", "application/x-www-form-urlencoded");
    let right = form.body(format!("token={token}&password={encoded}"));
    assert!(right.send().await.expect("the process answers").status().is_success());
    token
}

async fn signs_in(traveller: &mut Traveller<'_>, person: &Person) -> String {
    let Person { address, password, .. } = person;
    for (what, email, password) in [
        ("a wrong password", address, &format!("{MARK}-wrong-1")),
        ("an unknown address", &format!("{MARK}@nobody.example"), password),
        ("a password for an address", password, address),
    ] {
        let input = json!({ "input": { "email": email, "password": password } });
        traveller.refused_graphql(what, None, SIGN_IN, input).await;
    }
    traveller.visitor.sign_in(address, password).await
}

/// Profile and API key; the key.
async fn settles_in(traveller: &mut Traveller<'_>, person: &Person, session: &str) -> String {
    let Person { name, bio, label, .. } = person;
    let token = Some(session);
    let input = json!({ "input": { "displayName": name, "bio": bio } });
    traveller.visitor.graphql(token, UPDATE, input).await;
    let long = json!({ "input": { "bio": MARK.repeat(100) } });
    traveller.refused_graphql("a long biography", token, UPDATE, long).await;
    let bell = json!({ "input": { "displayName": format!("{MARK}\u{7}") } });
    traveller.refused_graphql("a bell in a name", token, UPDATE, bell).await;
    for (what, input) in [
        ("a bell in a label", json!({ "label": format!("{MARK}\u{7}") })),
        ("an unknown scope", json!({ "label": label, "scopes": [MARK] })),
        ("no date", json!({ "label": label, "expiresAt": MARK })),
    ] {
        traveller.refused_graphql(what, token, CREATE_KEY, json!({ "input": input })).await;
    }
    let created = traveller.visitor.graphql(token, CREATE_KEY, json!({ "input": { "label": label } })).await;
    created["secret"].as_str().expect("shown once").to_owned()
}

async fn generates(traveller: &mut Traveller<'_>, person: &Person, session: &str, key: &str) {
    let visitor = traveller.visitor;
    let generate = |body: Value| {
        let request = visitor.request("POST", "/v1/generate").bearer_auth(key).json(&body);
        request.header("idempotency-key", IDEMPOTENCY_KEY)
    };
    let body = json!({ "prompt": person.prompt, "model": "z-image-turbo", "width": 256, "height": 256 });
    for _repeat in 0..2 {
        let answer = generate(body.clone()).send().await.expect("the process answers");
        assert!(answer.status().is_success());
    }
    let other = json!({ "prompt": format!("{MARK} another"), "model": "z-image-turbo" });
    traveller.refused("another body under the same key", 409, generate(other)).await;
    let dear = json!({ "prompt": person.prompt, "model": "nano-banana-pro" });
    let dear = visitor.request("POST", "/v1/generate").bearer_auth(key).json(&dear);
    traveller.refused("too few credits", 402, dear).await;
    for (what, input) in [
        ("an unknown model", json!({ "prompt": person.prompt, "model": MARK })),
        ("a long prompt", json!({ "prompt": MARK.repeat(600), "model": "z-image-turbo" })),
        (
            "a bad idempotency key",
            json!({ "prompt": MARK, "model": "z-image-turbo", "idempotencyKey": format!("{MARK} !") }),
        ),
        ("a private one", json!({ "prompt": person.prompt, "model": "z-image-turbo", "publish": false })),
    ] {
        traveller.refused_graphql(what, Some(session), REQUEST, json!({ "input": input })).await;
    }
    // One more, and gone again.
    let input = json!({ "input": { "prompt": person.prompt, "model": "z-image-turbo", "width": 64, "height": 64 } });
    let asked = visitor.graphql(Some(session), REQUEST, input).await;
    let id = asked["generation"]["id"].as_str().expect("an id").to_owned();
    until("its deletion", async || {
        let deleted = visitor.request("DELETE", &format!("/v1/generations/{id}")).bearer_auth(key).send().await;
        deleted.expect("the process answers").status().is_success().then_some(())
    })
    .await;
}

/// Everything that a REST call can be refused for, with something planted in it.
async fn misuses_rest(traveller: &mut Traveller<'_>, key: &str) {
    let visitor = traveller.visitor;
    let post = |body: Value| visitor.request("POST", "/v1/generate").bearer_auth(key).json(&body);
    for (what, body) in [
        ("a prompt of another type", json!({ "prompt": { "text": MARK }, "model": "z-image-turbo" })),
        ("a width of another type", json!({ "prompt": MARK, "model": "z-image-turbo", "width": MARK })),
        ("an unknown field", json!({ "prompt": MARK, "model": "z-image-turbo", "style": MARK })),
        ("no model", json!({ "prompt": MARK })),
        ("a bell", json!({ "prompt": format!("{MARK}\u{7}"), "model": "z-image-turbo" })),
        ("no object", json!([MARK])),
    ] {
        traveller.refused(what, 400, post(body)).await;
    }
    traveller.refused("no such model", 422, post(json!({ "prompt": MARK, "model": MARK }))).await;
    let raw = |kind: &str, body: String| {
        visitor.request("POST", "/v1/generate").bearer_auth(key).header("content-type", kind).body(body)
    };
    traveller.refused("no JSON", 400, raw("application/json", format!("{{\"prompt\": {MARK}"))).await;
    traveller.refused("another type", 415, raw("text/plain", MARK.to_owned())).await;
    let valid = json!({ "prompt": MARK, "model": "z-image-turbo" });
    let wrong = json!({ "prompt": MARK, "model": "z-image-turbo", "width": 1 });
    traveller.refused("beside a wait of no number", 400, post(wrong).header("prefer", format!("wait={MARK}"))).await;
    traveller.refused("a bad key", 400, post(valid.clone()).header("idempotency-key", format!("{MARK} !"))).await;
    for wrong in [MARK.to_owned(), format!("{key}x"), format!("atl_live_{MARK}")] {
        let request = visitor.request("POST", "/v1/generate").bearer_auth(wrong).json(&valid);
        traveller.refused("a wrong API key", 401, request).await;
    }
    for (what, status, path) in [
        ("an unknown job", 404, format!("/v1/generations/{MARK}")),
        ("a bad limit", 400, format!("/v1/generations?limit={MARK}")),
        ("a bad cursor", 400, format!("/v1/generations?cursor={MARK}")),
        ("a bad link", 403, format!("/media/{MARK}?expires=1&signature={MARK}")),
        ("an unknown path", 404, format!("/{MARK}?{MARK}={MARK}")),
        ("an incomplete link", 400, format!("/verify-email?{MARK}={MARK}")),
    ] {
        traveller.refused(what, status, visitor.request("GET", &path).bearer_auth(key)).await;
    }
}

/// Everything that a GraphQL call can be refused for.
async fn misuses_graphql(traveller: &mut Traveller<'_>, session: &str) {
    let token = Some(session);
    let none = json!({});
    for (what, query) in [
        ("a syntax error", format!("{{ me {{ {MARK} ")),
        ("an open string", format!("{{ generation(id: \"{MARK}) {{ id }} }}")),
        ("a number that is none", format!("{{ explore(first: \"{MARK}\") {{ edges {{ node {{ id }} }} }} }}")),
        ("a cursor that is none", format!("{{ explore(after: \"{MARK}\") {{ edges {{ node {{ id }} }} }} }}")),
        ("a position that is none", format!("{{ explore(minPosition: \"{MARK}\") {{ edges {{ node {{ id }} }} }} }}")),
        ("an object that is none", format!("mutation {{ verifyEmail(input: \"{MARK}\") {{ position }} }}")),
        (
            "a wrong mail token",
            format!("mutation {{ verifyEmail(input: {{ token: \"{MARK}\" }}) {{ userErrors {{ code message }} }} }}"),
        ),
        (
            "an id that is none",
            format!("mutation {{ revokeApiKey(input: {{ id: \"{MARK}\" }}) {{ userErrors {{ code message }} }} }}"),
        ),
    ] {
        traveller.refused_graphql(what, token, &query, none.clone()).await;
    }
    let input = json!({ "input": { "email": [MARK], "password": { "is": MARK }, "username": 1, "minimumAge": 18 } });
    traveller.refused_graphql("variables of another type", token, SIGN_UP, input).await;
    let media = "query($m: MediaType) { explore(mediaType: $m) { edges { node { id } } } }";
    traveller.refused_graphql("an unknown word", token, media, json!({ "m": MARK })).await;
    let raw = |kind: &str, body: String| {
        traveller.visitor.request("POST", "/graphql").header("content-type", kind).body(body)
    };
    let all = [
        ("no JSON", 400, raw("application/json", format!("{{\"query\": {MARK}"))),
        ("a batch", 400, raw("application/json", format!("[\"{MARK}\"]"))),
        (
            "bad extensions",
            400,
            raw("application/json", format!("{{\"query\": \"{{ me }}\", \"extensions\": \"{MARK}\"}}")),
        ),
        ("another type", 415, raw("text/plain", MARK.to_owned())),
        ("another method", 405, traveller.visitor.request("PUT", &format!("/graphql?query={MARK}"))),
        (
            "a mutation by GET",
            405,
            traveller.visitor.request(
                "GET",
                &format!("/graphql?query=mutation{{revokeApiKey(input:{{id:\"{MARK}\"}}){{position}}}}"),
            ),
        ),
        (
            "a query by GET that is none",
            200,
            traveller.visitor.request("GET", &format!("/graphql?query={{explore(first:\"{MARK}\"){{position}}}}")),
        ),
    ];
    for (what, status, request) in all {
        traveller.refused(what, status, request).await;
    }
}

/// What is answered with the asker's own words, which nobody else may come to see.
async fn pries(traveller: &Traveller<'_>) {
    let visitor = traveller.visitor;
    let unknown = json!({ MARK: 1 });
    for request in [
        visitor.request("GET", &format!("/verify-email?token={MARK}")),
        visitor
            .request("GET", "/health/live")
            .header("user-agent", MARK)
            .header("cookie", format!("atelier-session-dev={MARK}")),
        visitor.request("GET", "/health/live").header("x-request-id", format!("{MARK} of my own")),
        visitor.request("GET", "/health/live").header("traceparent", format!("00-{MARK}-{MARK}-01")),
        visitor.request(MARK, &format!("/{MARK}")),
        traveller.graphql(None, &format!("query {MARK} {{ {MARK}: {MARK} {{ {MARK} }} }}"), &unknown),
        traveller.graphql(None, &format!("{{ explore(mediaType: {MARK}) {{ edges {{ node {{ id }} }} }} }}"), &unknown),
        visitor
            .request("POST", "/graphql")
            .json(&json!({ "query": "{ models { id } }", "operationName": MARK, MARK: MARK })),
        visitor.request(
            "GET",
            &format!(
                "/graphql?query={{creator(username:\"{MARK}\"){{username}}}}&variables={{\"{MARK}\":1}}&{MARK}={MARK}"
            ),
        ),
    ] {
        traveller.unheard(request).await;
    }
}

/// It is all there for its owner: what is not found was sealed, not lost.
pub async fn can_still_read(visitor: &Visitor, secrets: &Secrets) {
    let Person { address, username, name, bio, label, prompt, .. } = &secrets.person;
    until("the profile", async || {
        let me = visitor.graphql(Some(&secrets.session), ME, json!({})).await;
        let profile = json!({ "username": username, "displayName": name, "bio": bio, "email": address });
        let read = me["profile"] == profile
            && me["apiKeys"]["edges"][0]["node"]["label"] == json!(label)
            && me["creations"]["edges"][0]["node"]["prompt"] == json!(prompt);
        read.then_some(())
    })
    .await;
    let query =
        "query($name: String!) { creator(username: $name) { displayName published { edges { node { prompt } } } } }";
    let creator = visitor.graphql(None, query, json!({ "name": username })).await;
    assert_eq!(creator["displayName"], json!(name));
}
