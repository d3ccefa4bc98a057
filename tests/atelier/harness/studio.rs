//! A studio for one test: a node on a free port over the test's own database, and a client that speaks to it by HTTP alone.

use std::sync::Arc;
use std::time::Duration;

use atelier_commands::api_policy::ApiPolicy;
use atelier_commands::command_path::Target;
use atelier_commands::ports::{Clock, Generator};
use atelier_commands::use_cases::{OpenSession, Proof};
use atelier_commands::{Origin, WriteSide};
use atelier_domain::AccountId;
use atelier_domain::account::{Account, AccountCommand, StaffCommand, StaffOrder};
use atelier_domain::text::{Email, StaffReason};
use atelier_gateways::Smtp;
use atelier_server::config::AccessConfig;
use atelier_server::connections::ConnectionLimits;
use atelier_server::node::{Node, NodeOptions};
use atelier_server::open_sockets::SocketLimits;
use atelier_vault::credential_rows::claims;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

pub use super::answer::Answer;
use super::{TestDatabase, http_client, sentences};

/// A password that every rule likes.
pub const PASSWORD: &str = "correct-horse-1";

/// A clock that stands still.
struct Stopped(DateTime<Utc>);

impl Clock for Stopped {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }
}

/// A running studio.
pub struct TestStudio {
    /// The node.
    pub node: Node,
    /// Its database.
    pub database: TestDatabase,
    /// Its data folder.
    pub data: TempDir,
    /// Where it listens.
    pub url: String,
    http: Client,
}

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub struct Person {
    /// The address.
    pub email: String,
    /// The session's token.
    pub token: String,
}

/// What a studio of a test may have of its own.
struct Setting {
    access: AccessConfig,
    smtp: Option<Smtp>,
    public_url: Option<String>,
    api: ApiPolicy,
    sockets: SocketLimits,
    connections: ConnectionLimits,
    generator: Option<Arc<dyn Generator>>,
    development: bool,
    clock: Option<Arc<dyn Clock>>,
}

impl Default for Setting {
    fn default() -> Self {
        let (api, sockets) = (ApiPolicy::without_limits(), SocketLimits::default());
        let (access, connections) = (AccessConfig::default(), ConnectionLimits::default());
        let (smtp, public_url, generator, development, clock) = (None, None, None, true, None);
        Self { access, smtp, public_url, api, sockets, connections, generator, development, clock }
    }
}

impl TestStudio {
    /// Starts a studio over a fresh database, whose API keys may do what they like.
    pub async fn start() -> Self {
        Self::of(Setting::default()).await
    }

    /// Starts a studio that says something of its own about access.
    pub async fn start_with(access: AccessConfig) -> Self {
        Self::of(Setting { access, ..Setting::default() }).await
    }

    /// Starts a studio whose mails go to a server instead of the mailbox, and whose links begin with another address than its own.
    pub async fn start_mailing(smtp: Option<Smtp>, public_url: Option<&str>) -> Self {
        Self::of(Setting { smtp, public_url: public_url.map(str::to_owned), ..Setting::default() }).await
    }

    /// Starts a studio with a word on access, reached under another address.
    pub async fn start_at(public_url: Option<String>, access: AccessConfig) -> Self {
        Self::of(Setting { access, public_url, ..Setting::default() }).await
    }

    /// Starts a studio with a policy for API keys.
    pub async fn with(api: ApiPolicy) -> Self {
        Self::of(Setting { api, ..Setting::default() }).await
    }

    /// Starts a studio with bounds of its own for sockets.
    pub async fn with_sockets(sockets: SocketLimits, access: AccessConfig) -> Self {
        Self::of(Setting { sockets, access, ..Setting::default() }).await
    }

    /// Starts a studio whose outputs come from the test's own model, and which closes connections that do not read for so long.
    pub async fn drawing(generator: Arc<dyn Generator>, write_timeout: Duration) -> Self {
        let connections = ConnectionLimits { write: write_timeout, ..ConnectionLimits::default() };
        Self::of(Setting { generator: Some(generator), connections, ..Setting::default() }).await
    }

    /// Starts a studio by another clock than the machine's.
    pub async fn by_clock(clock: Arc<dyn Clock>) -> Self {
        Self::of(Setting { clock: Some(clock), ..Setting::default() }).await
    }

    /// Starts a studio with bounds of its own for connections.
    pub async fn with_connections(connections: ConnectionLimits) -> Self {
        Self::of(Setting { connections, ..Setting::default() }).await
    }

    /// Starts a studio as in production.
    pub async fn in_production(access: AccessConfig) -> Self {
        Self::of(Setting { access, development: false, ..Setting::default() }).await
    }

    /// Starts a studio with a word on access, and with a policy for API keys.
    pub async fn with_both(api: ApiPolicy, access: AccessConfig) -> Self {
        Self::of(Setting { api, access, ..Setting::default() }).await
    }

    async fn of(setting: Setting) -> Self {
        Self::over(TestDatabase::fresh().await, TempDir::new().expect("a temporary folder"), setting).await
    }

    /// Starts a studio over a database and a data folder that exist already.
    pub async fn upgraded(database: TestDatabase, data: TempDir) -> Self {
        Self::over(database, data, Setting::default()).await
    }

    async fn over(database: TestDatabase, data: TempDir, setting: Setting) -> Self {
        // `ATELIER_LOG=warn` shows why work is tried again, in a test that fails under load.
        if std::env::var_os("ATELIER_LOG").is_some() {
            atelier_server::logs::start(false);
        }
        let Setting { access, smtp, public_url, api, sockets, connections, generator, development, clock } = setting;
        let node = Node::start(NodeOptions {
            database_url: &database.url,
            pool: database.pool.clone(),
            data: data.path(),
            listen: "127.0.0.1:0".parse().expect("an address"),
            public_url,
            development,
            access,
            smtp,
            api,
            sockets,
            connections,
            generator,
            clock,
            operations: None,
            disks: Vec::new(),
            disk_reserve: 0,
        })
        .await
        .expect("the node starts");
        let url = format!("http://{}", node.address);
        Self { node, database, data, url, http: http_client() }
    }

    /// Stops the node, in order.
    pub async fn stop(self) {
        assert!(self.node.stop().await, "everything that was begun ends in time");
    }

    /// One GraphQL request; the answer whole.
    pub async fn graphql_raw(&self, token: Option<&str>, query: &str, variables: Value) -> Value {
        let asked = json!({ "query": sentences::asking(query), "variables": variables });
        let mut request = self.http.post(format!("{}/graphql", self.url)).json(&asked);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let mut answer: Value = request.send().await.expect("the node answers").json().await.expect("JSON");
        sentences::heard(&mut answer);
        answer
    }

    /// One GraphQL request with these headers; the answer with its headers.
    pub async fn graphql_with(&self, headers: &[(&str, &str)], query: &str, variables: Value) -> Answer {
        let mut request =
            self.http.post(format!("{}/graphql", self.url)).json(&json!({ "query": query, "variables": variables }));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(request.send().await.expect("the node answers")).await
    }

    /// One GraphQL request that must have no top-level errors; its data. A query sees all that was answered before it, as one with
    /// `minPosition` would.
    pub async fn graphql(&self, token: Option<&str>, query: &str, variables: Value) -> Value {
        if !query.trim_start().starts_with("mutation") {
            self.followed().await;
        }
        let mut answer = self.graphql_raw(token, query, variables).await;
        assert!(answer.get("errors").is_none(), "{query}: {answer}");
        answer["data"].take()
    }

    /// What `me` says to a token, or null for one that does not count, which must be said.
    pub async fn me(&self, token: &str, selection: &str) -> Value {
        let mut answer = self.graphql_raw(Some(token), &format!("{{ me {{ {selection} }} }}"), json!({})).await;
        let me = answer["data"]["me"].take();
        let told = answer["errors"][0]["extensions"]["code"].as_str();
        assert_eq!(told, me.is_null().then_some("UNAUTHENTICATED"), "{answer}");
        me
    }

    /// One mutation that no rule may refuse; its payload.
    pub async fn mutate(&self, token: Option<&str>, query: &str, variables: Value) -> Value {
        let data = self.graphql(token, query, variables).await;
        let payload = data.as_object().and_then(|data| data.values().next()).cloned().expect("one root field");
        assert_eq!(payload["userErrors"], json!([]), "{query}");
        payload
    }

    /// Signs somebody up, verifies the address by the mail's link, and signs in. The bonus has arrived.
    pub async fn newcomer(&self, username: &str) -> Person {
        let email = self.signed_up(username).await;
        let token = self.mailed_token(&email).await;
        let verify = "mutation($token: String!) { verifyEmail(input: {token: $token, password: \"correct-horse-1\"}) { userErrors { code } position } }";
        self.mutate(None, verify, json!({ "token": token })).await;
        let token = self.sign_in(&email, PASSWORD).await;
        self.drain().await;
        Person { email, token }
    }

    /// Somebody signed in whose address is taken to be proven, wherever the mails go.
    pub async fn proven(&self, username: &str) -> Person {
        let email = self.signed_up(username).await;
        self.prove(email).await
    }

    /// Takes the address of a sign-up to be proven, and signs in.
    pub async fn prove(&self, email: String) -> Person {
        let (account, index) = (self.account_at(&email).await, self.index_of(&email));
        let write = &self.node.studio.write;
        claims::claim_address(&write.pool, account, &index, None, write.now()).await.expect("the rows answer");
        let target = Target { id: account.to_string(), subject: account };
        let verify = |_| AccountCommand::VerifyEmail { address: None };
        write.path.execute::<Account>(&target, &self.operator(), None, verify).await.expect("it is done");
        let token = self.sign_in(&email, PASSWORD).await;
        Person { email, token }
    }

    /// Signs somebody up, whose address nobody has proven yet; the address.
    pub async fn signed_up(&self, username: &str) -> String {
        let email = format!("{username}@example.com");
        let sign_up =
            "mutation($input: SignUpInput!) { signUp(input: $input) { userErrors { code field message } position } }";
        let input = json!({ "email": email, "password": PASSWORD, "username": username, "minimumAge": 18 });
        self.mutate(None, sign_up, json!({ "input": input })).await;
        email
    }

    /// Signs in; the session's token.
    pub async fn sign_in(&self, email: &str, password: &str) -> String {
        let sign_in = "mutation($input: SignInInput!) { signIn(input: $input) { token userErrors { code } } }";
        let input = json!({ "input": { "email": email, "password": password } });
        self.mutate(None, sign_in, input).await["token"].as_str().expect("a token").to_owned()
    }

    /// Somebody signed in whose address is unverified: staff have set it anew, and the session began after that.
    pub async fn unverified(&self, username: &str) -> Person {
        let person = self.newcomer(username).await;
        let account = self.account(&person).await;
        let command = AccountCommand::ByStaff {
            order: StaffOrder { staff: None, reason: StaffReason::parse("a new address").expect("a reason") },
            command: StaffCommand::ChangeEmail {
                unchanged: false,
                email: Email::parse(&person.email).expect("an address"),
            },
        };
        let target = Target { id: account.to_string(), subject: account };
        let path = &self.node.studio.write.path;
        path.execute::<Account>(&target, &self.operator(), None, |_| command.clone()).await.expect("it is done");
        self.drain().await;
        Person { token: self.session_of(account).await, ..person }
    }

    /// A session of an account by itself, whatever a sign-in would say; its token.
    pub async fn session_of(&self, account: AccountId) -> String {
        let open = OpenSession { account, proof: Proof::Identity, origin: Origin::default() };
        let opened = open.run(&self.node.studio.write, &self.operator()).await.expect("a session");
        opened.token.expose().to_owned()
    }

    /// Opens a session for the owner of an address, who need not prove anything; its token.
    pub async fn opened(&self, email: &str) -> String {
        let account = self.account_at(email).await;
        self.session_of(account).await
    }

    /// The token of the newest mail to an address that verifies it or resets its password.
    pub async fn mailed_token(&self, address: &str) -> String {
        self.drain().await;
        for mail in self.node.mailbox.list(1_000).await.expect("the mailbox can be read") {
            let text = self
                .node
                .mailbox
                .read(&mail.file)
                .await
                .expect("a mail can be read")
                .expect("a listed mail is there")
                .text;
            let link = ["/verify-email?token=", "/reset-password?token="].iter().find_map(|link| text.split_once(link));
            if let Some((_, rest)) = link.filter(|_| mail.to == address) {
                return rest.lines().next().expect("a token").trim().to_owned();
            }
        }
        panic!("no mail with a link to this address");
    }

    /// Makes an API key for everything.
    pub async fn api_key(&self, person: &Person) -> (String, String) {
        let create =
            "mutation { createApiKey(input: {label: \"test\"}) { id secret userErrors { code message } position } }";
        let created = self.mutate(Some(&person.token), create, json!({})).await;
        let text = |name: &str| created[name].as_str().expect("shown once").to_owned();
        (text("id"), text("secret"))
    }

    /// `POST /v1/...` with a key.
    pub async fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.post_with(path, key, body, &[]).await
    }

    /// `POST /v1/...` with a key and more headers.
    pub async fn post_with(&self, path: &str, key: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.http.post(format!("{}{path}", self.url)).bearer_auth(key).json(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(request.send().await.expect("the node answers")).await
    }

    /// `GET /...` with a key.
    pub async fn get(&self, path: &str, key: Option<&str>) -> Answer {
        let mut request = self.http.get(format!("{}{path}", self.url));
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        Answer::of(request.send().await.expect("the node answers")).await
    }

    /// The studio's write side as it will be after so long, or was, when negative: the same rows and log under another clock.
    pub fn at(&self, later: TimeDelta) -> WriteSide {
        let mut write = self.node.studio.write.clone();
        write.ports.clock = Arc::new(Stopped(write.now() + later));
        write
    }

    /// A client for requests of another shape.
    pub const fn client(&self) -> &Client {
        &self.http
    }

    /// Fetches a link as it was given out: status, content type, bytes.
    pub async fn download(&self, url: &str) -> (StatusCode, String, Vec<u8>) {
        let response = self.http.get(url).send().await.expect("the node answers");
        let kind =
            response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        (response.status(), kind, response.bytes().await.expect("a body arrives").to_vec())
    }
}
