//! Somebody who speaks to an `atelier` process by HTTP alone.

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use super::http_client;
use super::studio::Answer;

/// A client of one address.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// The address, without a trailing slash.
    pub url: String,
    http: Client,
}

impl Visitor {
    /// A client of an address.
    pub fn of(url: String) -> Self {
        Self { url, http: http_client() }
    }

    /// A request of any shape.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.http.request(method.parse().expect("a method"), format!("{}{path}", self.url))
    }

    /// `GET` with a key or without.
    pub async fn get(&self, path: &str, key: Option<&str>) -> Answer {
        let mut request = self.request("GET", path);
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        Answer::of(request.send().await.expect("the process answers")).await
    }

    /// `POST` of JSON with a key.
    pub async fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        let request = self.request("POST", path).bearer_auth(key).json(body);
        Answer::of(request.send().await.expect("the process answers")).await
    }

    /// One GraphQL request that must have no errors of any kind; its first root field.
    pub async fn graphql(&self, token: Option<&str>, query: &str, variables: Value) -> Value {
        let mut request = self.request("POST", "/graphql").json(&json!({ "query": query, "variables": variables }));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = Answer::of(request.send().await.expect("the process answers")).await.json();
        assert!(answer.get("errors").is_none(), "{query}: {answer}");
        let field = answer["data"].as_object().and_then(|data| data.values().next()).cloned().expect("one root field");
        assert!(matches!(&field["userErrors"], Value::Null) || field["userErrors"] == json!([]), "{query}: {field}");
        field
    }

    /// Signs in; the session's token.
    pub async fn sign_in(&self, email: &str, password: &str) -> String {
        let sign_in = "mutation($input: SignInInput!) { signIn(input: $input) { token userErrors { code } } }";
        let variables = json!({ "input": { "email": email, "password": password } });
        self.graphql(None, sign_in, variables).await["token"].as_str().expect("a token").to_owned()
    }
}
