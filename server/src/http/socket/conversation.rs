//! One socket, from its first message to its close: whoever of client, subscriptions, session, clock and node has something is next.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::Response;
use atelier_commands::Origin;
use atelier_vault::SecretDigest;
use atelier_vault::credential_rows::sessions::{self, AuthenticatedSession};
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use tokio::time::{Instant, sleep_until, timeout};

use super::super::Edge;
use super::super::auth::{self, Credential};
use super::message::{Answer, Closing, Said};
use super::subscriptions::{Given, Subscriptions};
use crate::graphql_transport::{Call, Event};
use crate::open_sockets::Place;

/// How long a close may take, the client's part included.
const CLOSE: Duration = Duration::from_secs(2);

/// What the upgrade brought.
pub struct Arrival {
    /// Under what faults are logged.
    pub trace_id: String,
    /// Where from.
    pub origin: Origin,
    /// What the headers brought.
    pub credential: Credential,
    /// Whether the client speaks our subprotocol.
    pub spoken: bool,
}

/// Why a conversation is over.
enum Over {
    /// We close it.
    Close(Closing),
    /// The client did, or is gone.
    Gone,
}

impl From<Closing> for Over {
    fn from(closing: Closing) -> Self {
        Self::Close(closing)
    }
}

/// What comes next.
enum Turn {
    Client(Option<Result<Message, axum::Error>>),
    Subscription(String, Given),
    Clock,
}

/// By what the client was let in.
#[derive(Clone, Copy)]
struct Key {
    session: atelier_domain::SessionId,
    digest: SecretDigest,
}

/// One socket's conversation.
pub struct Conversation {
    edge: Arc<Edge>,
    place: Place,
    arrival: Arrival,
    key: Option<Key>,
    subscriptions: Subscriptions,
    /// When something is due: `connection_init`, then pings and what answers them.
    due: Instant,
    unanswered: bool,
    /// Messages of the window that began here.
    said: (Instant, u32),
}

impl Conversation {
    /// A conversation about to begin.
    pub fn new(edge: Arc<Edge>, place: Place, arrival: Arrival) -> Self {
        let now = Instant::now();
        let due = now + edge.socket_limits.init;
        let subscriptions = Subscriptions::default();
        Self { edge, place, arrival, key: None, subscriptions, due, unanswered: false, said: (now, 0) }
    }

    /// Speaks until one of both has enough.
    pub async fn run(mut self, mut socket: WebSocket) {
        let Err(over) = self.speak(&mut socket).await;
        // Whatever they read is let go before the client takes its time.
        self.subscriptions = Subscriptions::default();
        let label = match over {
            Over::Gone => "gone".to_owned(),
            Over::Close(closing) => {
                close(&mut socket, closing).await;
                closing.code().to_string()
            }
        };
        metrics::counter!("atelier_sockets_closed_total", "code" => label).increment(1);
    }

    async fn speak(&mut self, socket: &mut WebSocket) -> Result<std::convert::Infallible, Over> {
        if !self.arrival.spoken {
            return Err(Closing::BadSubprotocol.into());
        }
        loop {
            let (ended, stopping) = (self.place.end.clone(), self.edge.stopping.clone());
            let turn = tokio::select! {
                biased;
                () = ended.cancelled() => return Err(Closing::Forbidden.into()),
                () = stopping.cancelled() => return Err(Closing::GoingAway.into()),
                () = sleep_until(self.due) => Turn::Clock,
                said = socket.recv() => Turn::Client(said),
                (id, given) = self.subscriptions.next() => Turn::Subscription(id, given),
            };
            match turn {
                Turn::Clock => self.clock(socket).await?,
                Turn::Client(said) => self.hear(socket, said).await?,
                Turn::Subscription(id, given) => self.tell(socket, &id, given).await?,
            }
        }
    }

    /// Something is due.
    async fn clock(&mut self, socket: &mut WebSocket) -> Result<(), Over> {
        let limits = self.edge.socket_limits;
        if self.key.is_none() {
            return Err(Closing::InitTimeout.into());
        }
        if self.unanswered {
            return Err(Closing::Unresponsive.into());
        }
        // Every client answers a ping of WebSocket itself; that of the protocol would be for its application.
        self.send(socket, Message::Ping(Bytes::new())).await?;
        (self.unanswered, self.due) = (true, Instant::now() + limits.pong);
        Ok(())
    }

    async fn hear(&mut self, socket: &mut WebSocket, said: Option<Result<Message, axum::Error>>) -> Result<(), Over> {
        let Some(said) = said else { return Err(Over::Gone) };
        // A connection that broke, a message far over the limit, or no WebSocket: there is nobody to talk to.
        let Ok(said) = said else { return Err(Over::Gone) };
        if self.key.is_some() {
            // Whatever it is, the client lives.
            (self.unanswered, self.due) = (false, Instant::now() + self.edge.socket_limits.ping);
        }
        self.count()?;
        let text = match said {
            Message::Text(text) => text,
            Message::Binary(_) => return Err(Closing::BadMessage.into()),
            // The close is answered as the reader goes on.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => return Ok(()),
        };
        if text.len() > self.edge.graphql.body_bytes() {
            return Err(Closing::TooBig.into());
        }
        match Said::read(&text).ok_or(Closing::BadMessage)? {
            Said::Init { .. } if self.key.is_some() => Err(Closing::TwiceInit.into()),
            Said::Init { authorization } => self.begin(socket, authorization.as_deref()).await,
            Said::Ping => self.say(socket, &Answer::plain("pong")).await,
            Said::Pong => Ok(()),
            Said::Subscribe { id, payload } => self.subscribe(socket, id, payload.get().as_bytes()).await,
            Said::Complete { id } => {
                self.subscriptions.end(&id);
                Ok(())
            }
        }
    }

    /// Counts a message; a client that has too many to say is too much work.
    fn count(&mut self) -> Result<(), Over> {
        let limits = self.edge.socket_limits;
        if self.said.0.elapsed() >= limits.window {
            self.said = (Instant::now(), 0);
        }
        self.said.1 += 1;
        if self.said.1 > limits.messages { Err(Closing::TooManyMessages.into()) } else { Ok(()) }
    }

    /// `connection_init`: the session is looked up, as for a request. Its end is listened for before.
    async fn begin(&mut self, socket: &mut WebSocket, authorization: Option<&str>) -> Result<(), Over> {
        let by_message = authorization.map_or(Credential::None, Credential::of_authorization);
        let by_header = std::mem::replace(&mut self.arrival.credential, Credential::None);
        let ((Credential::Token(token), _) | (Credential::None, Credential::Token(token))) = (by_message, by_header)
        else {
            return Err(Closing::Forbidden.into());
        };
        let key = Key { session: token.session_id(), digest: self.edge.write.secrets.session(&token) };
        self.place.presents(key.session, key.digest);
        let found = self.authenticate(key).await?;
        if !self.place.belongs_to(found.account, &self.edge.socket_limits) {
            return Err(Closing::TooManySockets.into());
        }
        self.edge.activity.note(&found, self.edge.write.now());
        self.key = Some(key);
        self.due = Instant::now() + self.edge.socket_limits.ping;
        self.say(socket, &Answer::plain("connection_ack")).await
    }

    /// The session, if it counts at this moment; a look-up that fails is no yes.
    async fn authenticate(&mut self, key: Key) -> Result<AuthenticatedSession, Over> {
        let write = &self.edge.write;
        match sessions::authenticate(&write.pool, key.session, &key.digest, write.now()).await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(Closing::Forbidden.into()),
            Err(error) => {
                tracing::error!(trace_id = self.arrival.trace_id, %error, "a socket's session cannot be looked up");
                Err(Closing::Unavailable.into())
            }
        }
    }

    async fn subscribe(&mut self, socket: &mut WebSocket, id: String, payload: &[u8]) -> Result<(), Over> {
        let key = self.key.ok_or(Closing::Unauthorized)?;
        if self.subscriptions.has(&id) {
            return Err(Closing::Duplicate.into());
        }
        let limit = self.edge.socket_limits.subscriptions;
        if self.subscriptions.count() >= limit {
            return self.fail(socket, &id, Event::too_many(limit, &self.arrival.trace_id)).await;
        }
        let found = self.authenticate(key).await?;
        self.edge.activity.note(&found, self.edge.write.now());
        let (caller, origin) = (auth::caller_of(&found), self.arrival.origin.clone());
        let begun = self.edge.graphql.subscribe(payload, self.call(), move |request| request.data(caller).data(origin));
        match begun {
            Ok(events) => {
                self.subscriptions.begin(id, events);
                Ok(())
            }
            Err(refusal) => self.fail(socket, &id, refusal).await,
        }
    }

    fn call(&self) -> Call<'_> {
        Call { trace_id: &self.arrival.trace_id, introspection: true }
    }

    async fn tell(&mut self, socket: &mut WebSocket, id: &str, given: Given) -> Result<(), Over> {
        match given {
            Given::Event(response) => self.event(socket, id, *response).await,
            Given::End => self.say(socket, &Answer::to(id, "complete", None)).await,
            Given::Panic => {
                tracing::error!(trace_id = self.arrival.trace_id, "a subscription panicked");
                self.fail(socket, id, Event::fault(&self.arrival.trace_id)).await
            }
        }
    }

    /// An event, if the session still counts (sec.S6): asked after it was read and right before it is sent.
    async fn event(&mut self, socket: &mut WebSocket, id: &str, response: Response) -> Result<(), Over> {
        let key = self.key.ok_or(Closing::Unauthorized)?;
        match Event::of(response, &self.arrival.trace_id) {
            Event::Next(payload) => {
                self.authenticate(key).await?;
                self.say(socket, &Answer::to(id, "next", Some(&payload))).await
            }
            failed @ Event::Failed(_) => {
                self.subscriptions.end(id);
                self.fail(socket, id, failed).await
            }
        }
    }

    async fn fail(&mut self, socket: &mut WebSocket, id: &str, event: Event) -> Result<(), Over> {
        let (Event::Failed(payload) | Event::Next(payload)) = event;
        self.say(socket, &Answer::to(id, "error", Some(&payload))).await
    }

    async fn say(&mut self, socket: &mut WebSocket, answer: &Answer<'_>) -> Result<(), Over> {
        metrics::counter!("atelier_socket_messages_total", "type" => answer.kind()).increment(1);
        self.send(socket, Message::Text(answer.text().into())).await
    }

    /// Sends one message and waits until it is taken, for a while: there is never more than one on its way.
    async fn send(&mut self, socket: &mut WebSocket, message: Message) -> Result<(), Over> {
        match timeout(self.edge.socket_limits.send, socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Over::Gone),
            Err(_) => Err(Closing::Unresponsive.into()),
        }
    }
}

/// Says why, and waits for the client's own close; a client that does not take it is cut off.
async fn close(socket: &mut WebSocket, closing: Closing) {
    let frame = CloseFrame { code: closing.code(), reason: closing.reason().into() };
    let closed = async {
        if socket.send(Message::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    // In time or not, the socket is dropped.
    let _ = timeout(CLOSE, closed).await;
}
