//! `/graphql/ws`: subscriptions by the protocol `graphql-transport-ws`, in an adapter of our own (DESIGN 6).
//!
//! Who asks is a session, as for a request: the cookie (or bearer header) of the upgrade, or `{"authorization": "Bearer ..."}` as the
//! payload of `connection_init`, which goes before. What is refused, and how:
//!
//! | what is wrong | answer |
//! | --- | --- |
//! | a page of another origin; a cookie without an origin (sec.R2) | 403, no upgrade |
//! | a node without room; an address with too many sockets (sec.R5) | 503, 429 |
//! | no subprotocol `graphql-transport-ws` | close 4406 |
//! | no `connection_init` in time, a second one, a subscription before it | close 4408, 4429, 4401 |
//! | no session that counts, now or at any later event (sec.S6) | close 4403 |
//! | not a text message of the protocol; an id that is taken | close 4400, 4409 |
//! | a message over the limit of a request's body; too many messages; too many sockets of the account | close 1009, 4429, 1013 |
//! | a client that takes nothing, or answers no ping; a database that does not answer | close 1013 |
//! | a query or a mutation, a document over its limits, too many subscriptions | `error` for its id |
//! | the node stops | close 1001 |
//!
//! Before an event is sent the session is looked up, as for every request: one statement by key for each event, beside the few that
//! read it. Nothing is sent after a revocation was acknowledged but what was on its way.

mod conversation;
mod message;
mod subscriptions;

use std::sync::Arc;

use atelier_vault::Client;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::answer::{ApiError, ApiResult};
use super::observe::RequestId;
use super::{Edge, auth, client, cookies};
use crate::open_sockets::Full;
use conversation::{Arrival, Conversation};

/// The protocol.
const SUBPROTOCOL: &str = "graphql-transport-ws";
/// How many times the limit of a message is read at most, so that one a little over it is told so; one far over it is cut off.
const READ_OVER: usize = 4;
/// Bytes that a socket reads at once; they are set aside for each, idle or not.
const READ_BUFFER: usize = 8 * 1024;
/// Bytes of one message that wait for the client at most, and a message more.
const WRITE_BUFFER: usize = 128 * 1024;

/// Upgrades a request to a socket.
pub async fn upgrade(State(edge): State<Arc<Edge>>, request: Request) -> ApiResult<Response> {
    let forbidden = || ApiError::new(StatusCode::FORBIDDEN, "forbidden", "Pages of this origin may not connect.");
    let cookie = cookies::find(request.headers(), edge.cookie.name()).is_some();
    if !edge.origins.admit(request.headers(), cookie) {
        return Err(forbidden());
    }
    if edge.stopping.is_cancelled() {
        return Err(ApiError::unavailable("temporarily_unavailable", "The node stops."));
    }
    let trace_id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let origin = client::origin(&edge, &request);
    let (credential, _) = auth::credential(&edge, request.headers());
    let (mut parts, _body) = request.into_parts();
    let asked = WebSocketUpgrade::from_request_parts(&mut parts, &()).await.map_err(|_| {
        ApiError::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", "This address is for WebSockets of HTTP/1.1.")
    })?;
    let place = edge.sockets.enter(origin.client.as_ref().and_then(Client::narrowest), &edge.socket_limits).map_err(
        |full| match full {
            Full::Node => ApiError::unavailable("temporarily_unavailable", "The node has no room for another socket."),
            Full::Client => ApiError::too_many("Too many sockets from this address.", 1),
        },
    )?;
    let most = edge.graphql.body_bytes() * READ_OVER;
    let asked = asked.protocols([SUBPROTOCOL]).max_message_size(most).max_frame_size(most);
    let asked = asked.read_buffer_size(READ_BUFFER).write_buffer_size(WRITE_BUFFER);
    let spoken = asked.selected_protocol().is_some();
    // The node waits for its end when it stops.
    let begun = edge.begun.token();
    Ok(asked.on_upgrade(move |socket| async move {
        let _begun = begun;
        let arrival = Arrival { trace_id, origin, credential, spoken };
        Conversation::new(edge, place, arrival).run(socket).await;
    }))
}
