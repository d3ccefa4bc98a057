//! Google's sign-in, with a real OpenID provider on the other side, and a lying one for what a right one does not do (A16, U30, sec.O1).

mod frontends;
mod halves;
mod linking;
mod no_password;
mod returns;
mod sign_in;
mod words;

use std::collections::BTreeMap;

use atelier_commands::AppAddress;
use atelier_server::config::{AccessConfig, GoogleConfig, Unprinted};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::harness::TestStudio;
use crate::harness::peers::Peer;
use crate::harness::studio::Answer;

/// How the studio is reached, so that cookies are written as in production.
const PUBLIC: &str = "https://studio.example";
const CLIENT: &str = "studio-client";
const SECRET: &str = "a-client-secret-of-the-tests";
const SESSION: &str = "__Host-atelier-session";
const BROWSER: &str = "__Host-atelier-browser";

/// A studio whose Google is a provider of the tests.
struct World {
    studio: TestStudio,
    provider: Peer,
}

impl World {
    /// With a right provider.
    async fn start() -> Self {
        Self::with("oidc.mjs", &[CLIENT, SECRET, &format!("{PUBLIC}/auth/google/callback")]).await
    }

    /// With a lying one.
    async fn lying() -> Self {
        Self::with("lying_oidc.mjs", &[CLIENT, SECRET]).await
    }

    async fn with(program: &str, arguments: &[&str]) -> Self {
        let provider = Peer::start(program, arguments).await;
        let google = GoogleConfig {
            issuer: Some(format!("http://127.0.0.1:{}", provider.port)),
            client_id: Some(CLIENT.to_owned()),
            client_secret: Some(Unprinted(SECRET.to_owned())),
        };
        let trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
        let origins = vec!["https://app.example.com".to_owned(), "http://localhost:5173".to_owned()];
        let app_redirects = vec![AppAddress::parse("com.example.app:/callback").expect("an app's address")];
        let access = AccessConfig { google, trusted_proxies, origins, app_redirects, ..AccessConfig::default() };
        Self { studio: TestStudio::start_at(Some(PUBLIC.to_owned()), access).await, provider }
    }

    fn browser(&self) -> Browser {
        let http = Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let provider = format!("http://127.0.0.1:{}", self.provider.port);
        Browser { http, studio: self.studio.url.clone(), provider, ours: BTreeMap::new(), theirs: BTreeMap::new() }
    }

    async fn count(&self, what: &str) -> i64 {
        let query = format!("select count(*) from {what}");
        sqlx::query_scalar(&query).fetch_one(&self.studio.database.pool).await.expect("rows")
    }
}

/// A browser: it keeps cookies, and follows redirects one at a time.
#[derive(Clone)]
struct Browser {
    http: Client,
    studio: String,
    provider: String,
    /// Cookies of the studio.
    ours: BTreeMap<String, String>,
    /// Cookies of the provider.
    theirs: BTreeMap<String, String>,
}

fn keep(jar: &mut BTreeMap<String, String>, answer: &Answer) {
    for cookie in answer.headers.get_all(SET_COOKIE) {
        let text = cookie.to_str().expect("ASCII");
        let (name, rest) = text.split_once('=').expect("a pair");
        let value = rest.split(';').next().unwrap_or_default();
        jar.retain(|kept, _| kept != name);
        if !value.is_empty() {
            jar.insert(name.to_owned(), value.to_owned());
        }
    }
}

fn with_cookies(request: RequestBuilder, jar: &BTreeMap<String, String>) -> RequestBuilder {
    let pairs: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if pairs.is_empty() { request } else { request.header(COOKIE, pairs.join("; ")) }
}

fn location(answer: &Answer) -> String {
    answer.headers.get(LOCATION).expect("a redirect").to_str().expect("ASCII").to_owned()
}

impl Browser {
    /// A page of the studio, by its path.
    async fn get(&mut self, path: &str) -> Answer {
        let request = with_cookies(self.http.get(format!("{}{path}", self.studio)), &self.ours);
        let answer = Answer::of(request.send().await.expect("the studio answers")).await;
        keep(&mut self.ours, &answer);
        answer
    }

    /// A form of the studio.
    async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Answer {
        let body: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let request = self.http.post(format!("{}{path}", self.studio)).body(body.join("&"));
        let request =
            request.header("content-type", "application/x-www-form-urlencoded").header("sec-fetch-site", "same-origin");
        let answer = Answer::of(with_cookies(request, &self.ours).send().await.expect("the studio answers")).await;
        keep(&mut self.ours, &answer);
        answer
    }

    /// Leaves for the provider; its address.
    async fn leave(&mut self) -> String {
        let answer = self.get("/auth/google/start").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        location(&answer)
    }

    /// Goes through the provider as somebody; the path to come back by.
    async fn through(&mut self, address: &str, whom: &str) -> String {
        let mut at = format!("{address}&login_hint={}", encoded(whom));
        for _ in 0..10 {
            let request = with_cookies(self.http.get(&at), &self.theirs);
            let answer = Answer::of(request.send().await.expect("the provider answers")).await;
            keep(&mut self.theirs, &answer);
            at = location(&answer);
            if let Some(path) = at.strip_prefix(PUBLIC) {
                return path.to_owned();
            }
            if at.starts_with('/') {
                at = format!("{}{at}", self.provider);
            }
        }
        panic!("the provider never sends the browser back: {at}");
    }

    /// Signs in with Google as somebody; the page after the return.
    async fn arrive(&mut self, whom: &str) -> Answer {
        let address = self.leave().await;
        let back = self.through(&address, whom).await;
        self.get(&back).await
    }

    /// Opens an account with the form of an answer.
    async fn sign_up(&mut self, form: &Answer, username: &str) -> Answer {
        let ticket = field(form, "ticket");
        self.post("/auth/google/sign-up", &[("ticket", &ticket), ("username", username), ("minimum_age", "20")]).await
    }

    /// The session it has, if any.
    fn session(&self) -> Option<&str> {
        self.ours.get(SESSION).map(String::as_str)
    }
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The value of a hidden field of a form.
fn field(page: &Answer, name: &str) -> String {
    let (_, rest) = page
        .text
        .split_once(&format!("name=\"{name}\" value=\""))
        .unwrap_or_else(|| panic!("no {name}: {}", page.text));
    rest.split('"').next().expect("a value").to_owned()
}

/// A parameter of an address.
fn parameter(address: &str, name: &str) -> String {
    let (_, query) = address.split_once('?').expect("a query");
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("no {name}: {address}")).to_owned()
}

async fn ways_in(studio: &TestStudio, token: &str) -> Value {
    let query = "{ me { authMethods { password identities { id provider label linkedAt } } profile { username emailVerified } } }";
    studio.drain().await;
    studio.graphql(Some(token), query, json!({})).await["me"].take()
}
