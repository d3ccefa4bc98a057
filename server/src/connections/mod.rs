//! Connections of clients: accepted up to a bound that the machine's descriptors allow, served by hyper, and ended when the client lets us
//! wait too long.
//!
//! | what a client lets us wait for | how long | what happens |
//! | --- | --- | --- |
//! | the head of its first or next request | [`ConnectionLimits::head`] | closed, by hyper |
//! | the body of its request | [`ConnectionLimits::body`] | 408, and closed |
//! | the rest of a body that is not wanted | 2 seconds, a quarter of one between parts, 16 MiB | answered, and closed |
//! | taking what we send | [`ConnectionLimits::write`] | closed, by [`crate::write_timeout`] |
//!
//! At the bound a new connection takes the place of the one that has let us wait longest, so idle, half-sent and unread ones never shut
//! anybody out. When none waits, and all are at work, a few more are answered: `/health/live` as ever, everything else by a 503.

mod body;
mod limits;
mod placed;
mod places;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::write_timeout::WriteTimeout;
use body::{Answering, Arriving, Unread};
pub use limits::{ConnectionLimits, descriptor_limit, raise_descriptor_limit};
use placed::Placed;
use places::{Place, Places};

/// Between two tries to accept when the system refuses.
const REFUSED: Duration = Duration::from_millis(100);
/// Seconds after which a client that was turned away may come again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Serves a router on a listener until stopped; then takes no new connection, and returns when the open requests are answered.
pub async fn serve(listener: TcpListener, router: Router, limits: ConnectionLimits, stop: CancellationToken) {
    let places = Arc::new(Places::new(limits.most, limits.overflow));
    let connections = TaskTracker::new();
    loop {
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener) => accepted,
        };
        let place = tokio::select! {
            () = stop.cancelled() => break,
            place = places.enter() => place,
        };
        // With no place even to be turned away there is nothing to say.
        let Some(place) = place else { continue };
        let (router, stop) = (router.clone(), stop.clone());
        connections.spawn(async move { converse(stream, peer, Arc::new(place), router, limits, stop).await });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                let gone = std::io::ErrorKind::ConnectionAborted;
                if error.kind() != gone {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(REFUSED).await;
                }
            }
        }
    }
}

/// One connection, to its end.
async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    place: Arc<Place>,
    router: Router,
    limits: ConnectionLimits,
    stop: CancellationToken,
) {
    let io = TokioIo::new(Placed::new(WriteTimeout::of(stream, limits.write), place.clone()));
    let inner = TowerToHyperService::new(router);
    let (evicted, beyond) = (place.evicted(), place.is_beyond());
    let service = service_fn(|request: Request<Incoming>| {
        let (inner, place) = (inner.clone(), place.clone());
        async move {
            place.works();
            let response = if beyond {
                turned_away(request.uri().path())
            } else {
                answer(&inner, request, peer, &place, limits).await
            };
            // From an upgrade on it is no longer ours to say when it waits.
            let upgraded = response.status() == StatusCode::SWITCHING_PROTOCOLS;
            Ok::<_, Infallible>(if upgraded {
                response
            } else {
                response.map(|body| Body::new(Answering::new(body, place)))
            })
        }
    });
    let head = if beyond { limits.head_beyond } else { limits.head };
    let mut builder = http1::Builder::new();
    let connection = builder.timer(TokioTimer::new()).header_read_timeout(head).serve_connection(io, service);
    let mut connection = pin!(connection.with_upgrades());
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection failed");
                }
                return;
            }
            () = stop.cancelled(), if !stopping => {
                connection.as_mut().graceful_shutdown();
                stopping = true;
            }
            () = evicted.cancelled() => return,
        }
    }
}

/// The router's answer, or a 408 when the body does not arrive in time.
async fn answer(
    inner: &TowerToHyperService<Router>,
    request: Request<Incoming>,
    peer: SocketAddr,
    place: &Arc<Place>,
    limits: ConnectionLimits,
) -> Response {
    let (late, unread) = (CancellationToken::new(), Unread::default());
    let unasked = !request.headers().contains_key(header::EXPECT);
    let mut request = request
        .map(|body| Body::new(Arriving::new(body, unasked, unread.clone(), place.clone(), limits.body, late.clone())));
    request.extensions_mut().insert(ConnectInfo(peer));
    tokio::select! {
        answered = inner.call(request) => {
            let Ok(response) = answered;
            unread.drop_rest(place).await;
            response
        }
        () = late.cancelled() => {
            metrics::counter!("atelier_http_body_timeouts_total").increment(1);
            let close = [(header::CONNECTION, HeaderValue::from_static("close"))];
            (StatusCode::REQUEST_TIMEOUT, close, "The body did not arrive in time.\n").into_response()
        }
    }
}

/// The answer where there is no room: that the process lives, or that it has no room.
fn turned_away(path: &str) -> Response {
    let close = [(header::CONNECTION, HeaderValue::from_static("close"))];
    if path == "/health/live" {
        return (close, crate::http::live()).into_response();
    }
    metrics::counter!("atelier_http_connections_turned_away_total").increment(1);
    let full = "The server has no room for another connection.\n";
    (StatusCode::SERVICE_UNAVAILABLE, close, [(header::RETRY_AFTER, RETRY_AFTER)], full).into_response()
}
