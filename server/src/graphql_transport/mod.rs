//! GraphQL over HTTP, strictly (DESIGN 6, sec.R1, sec.R3, sec.R4, sec.R6): the stock handlers of async-graphql are not used.
//!
//! A request is checked from the outside in, and the first thing wrong ends it. Nothing runs before all of it is checked.
//!
//! | what is wrong | code | `application/graphql-response+json` | `application/json` |
//! | --- | --- | --- | --- |
//! | a method other than POST and GET (or HEAD); a mutation by GET | `METHOD_NOT_ALLOWED` | 405, with `Allow` | the same |
//! | content type other than `application/json`, or an encoding | `UNSUPPORTED_MEDIA_TYPE` | 415, body unread | the same |
//! | `Accept` names neither media type | `NOT_ACCEPTABLE` | - | 406, body unread |
//! | body over the limit | `PAYLOAD_TOO_LARGE` | 413 | the same |
//! | the address of a GET over the limit | `URI_TOO_LONG` | 414 | the same |
//! | no JSON, a batch, unknown or wrong members | `BAD_REQUEST` | 400 | the same |
//! | the operation is a subscription | `BAD_REQUEST` | 400 | the same |
//! | the hash of a persisted query alone | `PERSISTED_QUERY_NOT_SUPPORTED` | 400 | 200 |
//! | no GraphQL | `GRAPHQL_PARSE_FAILED` | 400 | 200 |
//! | over one of [`Limits`], pages within pages multiplied | `LIMIT_EXCEEDED` | 400 | 200 |
//! | does not fit the schema; unknown operation; introspection while off | `GRAPHQL_VALIDATION_FAILED` | 400 | 200 |
//! | a variable is missing, or not of its type | `BAD_INPUT` | 400 | 200 |
//! | a field failed (`data` is there, perhaps null) | the resolver's, `BAD_INPUT` or `INTERNAL` | 200 | 200 |
//! | the database failed, and no root field has data | `UNAVAILABLE`, `OUTCOME_UNKNOWN` | 503, `Retry-After` | the same |
//! | a panic | `INTERNAL` | 500 | 500 |
//!
//! A socket's subscriptions (`http/socket`) pass the same checks, from the members of the envelope on.
//!
//! Every error has `extensions.code` and `extensions.traceId`. An answer without `data` is one to a request that did not run.

mod answer;
mod envelope;
mod input_schema;
mod lexer;
mod limits;
mod measure;
mod negotiation;
mod refusal;
mod strings;
mod subscription;
#[cfg(test)]
mod tests;
mod validation;
mod variables;

use std::panic::AssertUnwindSafe;

use async_graphql::parser::types::{ExecutableDocument, OperationDefinition, OperationType, Selection};
use async_graphql::parser::{Error as ParseError, parse_query};
use async_graphql::{Executor, ObjectType, Schema, SubscriptionType};
use axum::response::Response;
use futures::FutureExt;
use futures::stream::BoxStream;

pub use answer::Event;
pub use limits::Limits;
pub use refusal::ErrorCode;

use envelope::Envelope;
use input_schema::InputSchema;
use negotiation::{Channel, MediaType};
use refusal::{Refusal, shown};
use validation::Validator;

/// The text of the schema could not be read back, which is a fault of the schema's names or descriptions.
#[derive(Debug, thiserror::Error)]
pub enum SchemaUnreadable {
    /// It is no text of a schema.
    #[error("the schema's text cannot be read back")]
    Text(#[source] ParseError),
    /// It is none of a valid schema.
    #[error("the schema breaks the rules of GraphQL: {0}")]
    Rules(String),
}

/// A schema behind HTTP.
#[derive(Debug)]
pub struct Transport<E> {
    executor: E,
    inputs: InputSchema,
    validator: Validator,
    limits: Limits,
}

/// How an operation comes in, and so which it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// A request in a body: queries and mutations.
    Request,
    /// A request in an address: queries.
    Address,
    /// A socket: subscriptions.
    Socket,
}

/// What the HTTP handler knows of a request beside the request.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Under what the causes of faults are logged; the answer's errors carry it.
    pub trace_id: &'a str,
    /// Whether this caller may ask for the schema, and be told names near those it got wrong (sec.R4).
    pub introspection: bool,
}

impl<Q, M, S> Transport<Schema<Q, M, S>>
where
    Q: ObjectType + 'static,
    M: ObjectType + 'static,
    S: SubscriptionType + 'static,
{
    /// Puts a schema behind HTTP. It is built with `ValidationMode::Fast`, because documents are validated here.
    ///
    /// # Errors
    ///
    /// [`SchemaUnreadable`] when the schema's own text does not parse.
    pub fn new(schema: Schema<Q, M, S>, limits: Limits) -> Result<Self, SchemaUnreadable> {
        let sdl = schema.sdl();
        let inputs = InputSchema::read(&sdl).map_err(SchemaUnreadable::Text)?;
        let validator = Validator::read(&sdl).map_err(SchemaUnreadable::Rules)?;
        Ok(Self { executor: schema, inputs, validator, limits })
    }
}

impl<E: Executor> Transport<E> {
    /// Answers one request of any method; `data` adds what resolvers need to know of the caller.
    pub async fn handle(
        &self,
        request: axum::extract::Request,
        call: Call<'_>,
        data: impl FnOnce(async_graphql::Request) -> async_graphql::Request + Send,
    ) -> Response {
        let (parts, body) = request.into_parts();
        let accepted = negotiation::accepted(&parts.headers);
        let media_type = *accepted.as_ref().unwrap_or(&MediaType::Json);
        let answer = async {
            let (envelope, door) = match negotiation::channel(&parts.method)? {
                Channel::Get => {
                    accepted?;
                    (envelope::parse_address(&parts.uri, &self.limits)?, Door::Address)
                }
                Channel::Post => {
                    negotiation::check_content_type(&parts.headers)?;
                    accepted?;
                    let body = envelope::read_body(&parts.headers, body, self.limits.body_bytes).await?;
                    (envelope::parse(&body, &self.limits)?, Door::Request)
                }
            };
            let request = self.prepare(envelope, call, door)?;
            let response = Box::pin(self.executor.execute(data(request))).await;
            Ok::<_, Refusal>(answer::executed(response, media_type, call.trace_id))
        };
        match AssertUnwindSafe(answer).catch_unwind().await {
            Ok(Ok(response)) => response,
            Ok(Err(refusal)) => answer::refused(refusal, media_type, call.trace_id),
            Err(_panic) => {
                // Its text may hold anything, so it goes nowhere.
                tracing::error!(trace_id = call.trace_id, "a request panicked");
                answer::fault(media_type, call.trace_id)
            }
        }
    }

    /// The answer when who asks cannot be found out: nothing ran.
    pub fn unavailable(&self, headers: &axum::http::HeaderMap, trace_id: &str) -> Response {
        answer::unavailable(negotiation::accepted(headers).unwrap_or(MediaType::Json), trace_id)
    }

    /// Begins a subscription of a socket after the same checks as for a request; `payload` has the members of a request's body. Its events
    /// are for [`Event::of`].
    ///
    /// # Errors
    /// The errors that the client is sent instead of events.
    pub fn subscribe(
        &self,
        payload: &[u8],
        call: Call<'_>,
        data: impl FnOnce(async_graphql::Request) -> async_graphql::Request,
    ) -> Result<BoxStream<'static, async_graphql::Response>, Event> {
        let envelope = envelope::parse(payload, &self.limits);
        let request = envelope.and_then(|envelope| self.prepare(envelope, call, Door::Socket));
        let request = request.map_err(|refusal| Event::refused(refusal, call.trace_id))?;
        Ok(self.executor.execute_stream(data(request), None))
    }

    /// The most bytes of a request's body, or of a socket's message.
    pub const fn body_bytes(&self) -> usize {
        self.limits.body_bytes
    }

    /// Everything that can be checked before the executor. What the document may cost comes before its validation, as far as it is known
    /// without the variables.
    fn prepare(&self, envelope: Envelope, call: Call<'_>, door: Door) -> Result<async_graphql::Request, Refusal> {
        let Envelope { query, operation_name, variables } = envelope;
        let text = lexer::read(&query, &self.limits)?;
        let mut document = parse_query(&*text).map_err(|error| not_graphql(&error))?;
        let bounds = measure::Bounds { schema: &self.inputs, limits: &self.limits, variables: None };
        measure::check(&document, bounds, call.introspection)?;
        self.validator.check(&text, &self.inputs)?;
        if door == Door::Socket {
            subscription::unfold(&mut document, operation_name.as_deref());
        }
        let operation = select(&document, operation_name.as_deref())?;
        check_door(operation, door)?;
        let variables = variables::coerce(operation, variables, &self.inputs)?;
        measure::check(&document, measure::Bounds { variables: Some(&variables), ..bounds }, call.introspection)?;
        let mut request = async_graphql::Request::new(text).variables(variables);
        request.operation_name = operation_name;
        request.set_parsed_query(document);
        Ok(request)
    }
}

/// A socket has subscriptions only, because queries and mutations have a request with a status, and one path through the code; a
/// subscription is one field, which stands where the executor looks for it.
fn check_door(operation: &OperationDefinition, door: Door) -> Result<(), Refusal> {
    match (door, operation.ty) {
        (Door::Request | Door::Address, OperationType::Subscription) => {
            Err(Refusal::bad_request("subscriptions are not served over HTTP"))
        }
        (Door::Address, OperationType::Mutation) => Err(Refusal::method("POST", "mutations are asked with POST")),
        (Door::Socket, OperationType::Query | OperationType::Mutation) => {
            Err(Refusal::bad_request("queries and mutations are not served over sockets"))
        }
        (Door::Request, OperationType::Query | OperationType::Mutation) | (Door::Address, OperationType::Query) => {
            Ok(())
        }
        (Door::Socket, OperationType::Subscription) => match operation.selection_set.node.items.as_slice() {
            [only] if matches!(&only.node, Selection::Field(field) if field.node.directives.is_empty()) => Ok(()),
            _ => {
                let message = "a subscription has exactly one root field, without directives";
                Err(Refusal::document(ErrorCode::GraphqlValidationFailed, message))
            }
        },
    }
}

/// The parser's own message quotes the document and its grammar; the position is enough.
fn not_graphql(error: &ParseError) -> Refusal {
    let message = match error {
        ParseError::Syntax { .. } => "syntax error".to_owned(),
        other => other.to_string(),
    };
    Refusal::document(ErrorCode::GraphqlParseFailed, message).at(error.positions())
}

/// The operation that would run.
fn select<'a>(document: &'a ExecutableDocument, name: Option<&str>) -> Result<&'a OperationDefinition, Refusal> {
    let mut operations = document.operations.iter();
    let (selected, refusal) = match name {
        Some(name) => {
            let named = operations.find(|(own, _)| own.is_some_and(|own| own.as_str() == name));
            (named, format!("unknown operation \"{}\"", shown(name)))
        }
        None => {
            let only = if operations.len() == 1 { operations.next() } else { None };
            (only, "operationName is required: there are several".to_owned())
        }
    };
    let refusal = || Refusal::document(ErrorCode::GraphqlValidationFailed, refusal);
    selected.map(|(_, operation)| &operation.node).ok_or_else(refusal)
}
