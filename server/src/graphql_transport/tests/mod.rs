//! A small schema behind the transport, whose counter tells whether a refused request had a side effect.

mod address;
mod corpus;
mod cost;
mod documents;
mod faults;
mod http;
mod limits;
mod validation;
mod variables;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_graphql::{
    ComplexObject, Context, EmptySubscription, Enum, Error, ErrorExtensions, ID, InputObject, Object, OneofObject,
    Result, Schema, SimpleObject, Subscription, ValidationMode,
};
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use chrono::{DateTime, FixedOffset, NaiveDateTime};
use futures::Stream;
use serde_json::{Value, json};
use uuid::Uuid;

use super::input_schema::InputSchema;
use super::validation::Validator;
use super::{Call, Limits, Transport};

const TRACE: &str = "trace-1";
const JSON: &str = "application/json";
const GRAPHQL: &str = "application/graphql-response+json";

/// How many resolvers with an effect ran.
#[derive(Clone, Default)]
struct Ran(Arc<AtomicU32>);

impl Ran {
    fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

fn ran(context: &Context<'_>) -> i32 {
    let before = context.data_unchecked::<Ran>().0.fetch_add(1, Ordering::SeqCst);
    i32::try_from(before + 1).expect("few")
}

#[derive(Clone, Copy, PartialEq, Eq, Enum)]
enum Colour {
    Red,
    Blue,
}

#[derive(InputObject)]
struct Paint {
    name: String,
    colour: Colour,
    #[graphql(default = 1)]
    coats: i32,
    tags: Option<Vec<String>>,
    under: Option<Box<Paint>>,
}

#[derive(OneofObject)]
enum Pick {
    Id(ID),
    Name(String),
}

#[derive(SimpleObject)]
#[graphql(complex)]
struct Node {
    name: String,
}

#[ComplexObject]
impl Node {
    async fn child(&self) -> Self {
        Self { name: "child".to_owned() }
    }

    /// A page, by its argument; it is short whatever is asked for.
    async fn children(&self, first: Option<i32>) -> Vec<Self> {
        let count = usize::try_from(first.unwrap_or(1).clamp(0, 1)).unwrap_or_default();
        (0..count).map(|_| Self { name: "child".to_owned() }).collect()
    }

    async fn echo(&self, number: i32) -> i32 {
        number
    }

    async fn at(&self, moment: DateTime<FixedOffset>) -> String {
        moment.to_rfc3339()
    }

    /// Of a scalar that the transport does not know.
    async fn local(&self, moment: NaiveDateTime) -> String {
        moment.to_string()
    }
}

struct Query;

#[Object]
impl Query {
    async fn node(&self, context: &Context<'_>) -> Node {
        ran(context);
        Node { name: "root".to_owned() }
    }

    async fn greeting(&self) -> &'static str {
        "hello"
    }

    async fn caller(&self, context: &Context<'_>) -> Option<String> {
        context.data_opt::<String>().cloned()
    }

    /// `Result<Option<_>>` would take its parents along: only `Option<Result<_>>` fails alone.
    async fn coded(&self) -> Option<Result<i32>> {
        Some(Err(Error::new("not here").extend_with(|_, extensions| {
            extensions.set("code", "NOT_FOUND");
            extensions.set("hint", 7);
        })))
    }

    /// A fault of the database.
    async fn passing(&self) -> Option<Result<i32>> {
        Some(Err(Error::new("later").extend_with(|_, extensions| {
            extensions.set("code", "UNAVAILABLE");
            extensions.set("retryAfter", 7);
        })))
    }

    /// One account in one read model.
    async fn parked(&self) -> Option<Result<i32>> {
        Some(Err(Error::new("parked").extend_with(|_, extensions| extensions.set("code", "UNAVAILABLE"))))
    }

    async fn uncoded(&self) -> Option<Result<i32>> {
        Some(Err(Error::new("connection to 10.0.0.7 refused")))
    }

    async fn coded_internal(&self) -> Option<Result<i32>> {
        Some(Err(Error::new("host 10.0.0.7").extend_with(|_, extensions| {
            extensions.set("code", "INTERNAL");
            extensions.set("hint", 7);
        })))
    }

    /// A fault of ours that sounds like async-graphql's own about an argument.
    async fn parses(&self) -> Option<Result<i32>> {
        Some(Err(std::io::Error::other("Failed to parse \"settings\"").into()))
    }

    async fn required(&self) -> Result<i32> {
        Err(Error::new("connection to 10.0.0.7 refused"))
    }

    async fn panics(&self) -> i32 {
        "x".parse().expect("secret of the panic")
    }

    async fn cookie(&self, context: &Context<'_>) -> bool {
        context.append_http_header("set-cookie", "a=1");
        context.append_http_header("set-cookie", "b=2");
        true
    }
}

struct Mutation;

#[Object]
impl Mutation {
    async fn bump(&self, context: &Context<'_>) -> Node {
        ran(context);
        Node { name: "bumped".to_owned() }
    }

    async fn int(&self, context: &Context<'_>, value: i32) -> i32 {
        ran(context);
        value
    }

    async fn paint(&self, context: &Context<'_>, input: Paint) -> String {
        ran(context);
        let under = input.under.map_or_else(String::new, |paint| format!(" over {}", paint.name));
        let tags = input.tags.unwrap_or_default().join("+");
        format!(
            "{} {:?} x{} [{tags}]{under}",
            input.name,
            async_graphql::resolver_utils::enum_value(input.colour),
            input.coats
        )
    }

    #[expect(clippy::too_many_arguments, reason = "one argument per kind of input")]
    async fn all(
        &self,
        context: &Context<'_>,
        float: Option<f64>,
        string: Option<String>,
        boolean: Option<bool>,
        id: Option<ID>,
        uuid: Option<Uuid>,
        moment: Option<DateTime<FixedOffset>>,
        ints: Option<Vec<i32>>,
        pick: Option<Pick>,
    ) -> String {
        ran(context);
        let pick = pick.map(|pick| match pick {
            Pick::Id(id) => format!("id {}", id.0),
            Pick::Name(name) => format!("name {name}"),
        });
        format!("{float:?} {string:?} {boolean:?} {:?} {uuid:?} {moment:?} {ints:?} {pick:?}", id.map(|id| id.0))
    }
}

struct Ticks;

#[Subscription]
impl Ticks {
    async fn ticks(&self, context: &Context<'_>) -> impl Stream<Item = i32> {
        ran(context);
        futures::stream::iter([1])
    }
}

/// A transport and the counter behind it.
struct Kit {
    transport: Transport<Schema<Query, Mutation, Ticks>>,
    ran: Ran,
}

/// An answer, read.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    /// The code of the first error.
    fn code(&self) -> &str {
        self.body["errors"][0]["extensions"]["code"].as_str().unwrap_or("none")
    }

    /// The message of the first error.
    fn message(&self) -> &str {
        self.body["errors"][0]["message"].as_str().unwrap_or("none")
    }

    fn assert_refused(&self, status: StatusCode, code: &str) {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.body);
        assert_eq!(self.body["errors"][0]["extensions"]["traceId"], TRACE);
        assert!(self.body.get("data").is_none(), "what did not run has no data: {}", self.body);
    }
}

impl Kit {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let ran = Ran::default();
        let schema =
            Schema::build(Query, Mutation, Ticks).validation_mode(ValidationMode::Fast).data(ran.clone()).finish();
        Self { transport: Transport::new(schema, limits).expect("the test schema reads back"), ran }
    }

    async fn send(&self, request: Request<Body>, introspection: bool) -> Answer {
        let call = Call { trace_id: TRACE, introspection };
        let response = self.transport.handle(request, call, |request| request.data("ada".to_owned())).await;
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.expect("our body is whole");
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).expect("our body is JSON"),
        }
    }

    /// Posts this body and reads the strict media type back.
    async fn post(&self, body: Value) -> Answer {
        self.send(post(GRAPHQL, body.to_string()), false).await
    }

    async fn query(&self, query: &str) -> Answer {
        self.post(json!({ "query": query })).await
    }
}

fn post(accept: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post("/graphql")
        .header("content-type", JSON)
        .header("accept", accept)
        .body(body.into())
        .expect("a request")
}

#[test]
fn a_schema_that_reads_back_is_accepted_without_subscriptions_too() {
    let schema = Schema::new(Query, Mutation, EmptySubscription);
    assert!(Transport::new(schema, Limits::default()).is_ok());
}

#[test]
fn the_studios_own_schema_reads_back() {
    let sdl = atelier_graphql::sdl();
    assert!(InputSchema::read(&sdl).is_ok());
    assert_eq!(Validator::read(&sdl).err(), None);
}
