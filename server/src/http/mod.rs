//! The HTTP edge: routes, who is asking, and what every answer carries.

mod answer;
mod auth;
pub mod client;
mod cookies;
mod cors;
mod files;
mod google;
mod graphiql;
mod graphql;
mod health;
mod keep_two_factor;
mod key_gate;
mod mailbox;
mod observe;
mod operations;
mod origins;
mod page;
mod prefer;
mod rate;
mod reset_password;
mod rest;
mod socket;
mod unsubscribe;
mod verify_email;
mod windows;

use std::sync::{Arc, Once};

use atelier_commands::WriteSide;
use atelier_commands::activity::SessionActivity;
use atelier_gateways::Mailbox;
use atelier_graphql::AtelierSchema;
use atelier_graphql::caller::SessionCookie;
use atelier_projections::ReadModels;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get, post, put};
use chrono::TimeDelta;
use ipnet::IpNet;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::Admission;
use crate::graphql_transport::Transport;
use crate::open_sockets::{OpenSockets, SocketLimits};

use files::{avatars, exports, media};

/// How long the device's cookie is kept; the token says itself how long it counts.
const DEVICE_COOKIE: TimeDelta = TimeDelta::days(180);

pub use health::live;
pub use key_gate::Gate;
pub use operations::{Disks, operations};
pub use origins::Origins;

/// What the handlers share.
pub struct Edge {
    /// Where commands go.
    pub write: WriteSide,
    /// Where answers come from.
    pub read: ReadModels,
    /// The GraphQL schema over both, behind HTTP.
    pub graphql: Transport<AtelierSchema>,
    /// What keys and addresses did of late.
    pub gate: Gate,
    /// The development mailbox, when mails go there.
    pub mailbox: Option<Mailbox>,
    /// GraphiQL, mailbox page, introspection.
    pub development: bool,
    /// How the session's cookie is written.
    pub cookie: SessionCookie,
    /// Whose `X-Forwarded-For` is believed (sec.R5).
    pub proxies: Vec<IpNet>,
    /// Whether it was said already that a proxy is not believed.
    pub unbelieved: Once,
    /// Whose pages may ask with cookies, and read the answers (sec.R2).
    pub origins: Origins,
    /// The sockets that are open.
    pub sockets: Arc<OpenSockets>,
    /// Their bounds.
    pub socket_limits: SocketLimits,
    /// When sessions were last used.
    pub activity: Arc<SessionActivity>,
    /// Whether the log that the node is on was compared with what lies outside PostgreSQL.
    pub admission: Arc<Admission>,
    /// What `/metrics` shows.
    pub metrics: PrometheusHandle,
    /// Where the node writes.
    pub disks: Disks,
    /// Cancelled when the node stops: waiting requests answer with what they have.
    pub stopping: CancellationToken,
    /// What was begun for a client goes on when that client has gone: a command is not cut in two by a closed connection.
    pub begun: TaskTracker,
}

impl Edge {
    /// Carries something out to its end, whether or not the client still waits.
    ///
    /// # Errors
    /// When it panicked; the cause is logged by the panic itself.
    pub async fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, answer::ApiError> {
        self.begun.spawn(work).await.map_err(|_| answer::ApiError::internal("a request panicked"))
    }
}

/// Lets nobody in before the log that the node is on was compared; whoever looks after the node sees why.
async fn admitted(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let watched = ["/health/live", "/health/ready", "/metrics"].contains(&request.uri().path());
    if watched || edge.admission.waits().await {
        return next.run(request).await;
    }
    answer::ApiError::unavailable("unavailable", "Temporarily unavailable; try again.").into_response()
}

/// The routes.
pub fn router(edge: Arc<Edge>) -> Router {
    // Around the handlers and not around the paths: a method that a path does not know is 405 for everybody.
    let keyed = |routes: MethodRouter<Arc<Edge>>| routes.route_layer(from_fn_with_state(edge.clone(), key_gate::gate));
    // Pages and uploads, whose handlers look at no header of the body; GraphQL and REST refuse an encoded one themselves.
    let plain = |routes: MethodRouter<Arc<Edge>>| routes.route_layer(from_fn(rest::body::plain));
    let mut router = Router::new()
        .route("/graphql", any(graphql::graphql))
        .route("/graphql/ws", get(socket::upgrade))
        .route("/schema.graphql", get(graphql::schema))
        .route("/v1/generate", keyed(post(rest::generate::generate)))
        .route("/v1/generations", keyed(post(rest::generate::submit).get(rest::generations::list)))
        .route("/v1/generations/{id}", keyed(get(rest::generations::find).delete(rest::generations::delete)))
        .route("/v1/generations/{id}/cancel", keyed(post(rest::generations::cancel)))
        .route("/v1/openapi.json", get(rest::catalogue::openapi))
        .route("/v1/models", keyed(get(rest::catalogue::models)))
        .route("/v1/credits", keyed(get(rest::catalogue::credits)))
        .route("/media/{id}", get(media::download))
        .route("/media/{account}/{generation}/{attempt}/{file}", get(media::download_former))
        .route("/auth/google/start", get(google::start))
        .route("/auth/google/callback", get(google::callback))
        .route("/auth/google/sign-up", plain(post(google::sign_up)))
        .route("/auth/complete", plain(post(google::complete)))
        .route("/uploads/avatar/{ticket}", plain(put(avatars::upload)))
        .route("/avatars/{id}/{edge}", get(avatars::show))
        .route("/avatars/{account}/{avatar}/{edge}", get(avatars::show_former))
        .route("/keep-two-factor", plain(get(keep_two_factor::page_of_link).post(keep_two_factor::submit)))
        .route("/exports/{id}", get(exports::download))
        .route("/verify-email", plain(get(verify_email::page_of_link).post(verify_email::submit)))
        .route("/reset-password", plain(get(reset_password::page_of_link).post(reset_password::submit)))
        .route("/unsubscribe", plain(get(unsubscribe::page_of_link).post(unsubscribe::submit)))
        .route("/health/live", get(async || live()))
        .route("/health/ready", get(health::ready))
        .fallback(answer::not_found)
        .method_not_allowed_fallback(answer::method_not_allowed);
    if edge.development {
        router = router
            .route("/metrics", get(operations::metrics))
            .route("/", get(graphiql::page))
            .route("/graphiql/{file}", get(graphiql::file))
            .route("/mailbox", get(mailbox::list))
            .route("/mailbox/{file}", get(mailbox::show))
            .route("/mailbox/{file}/html", get(mailbox::html));
    }
    let cors = from_fn_with_state(edge.clone(), cors::cors);
    let admitted = from_fn_with_state(edge.clone(), admitted);
    router.layer(admitted).layer(cors).layer(from_fn_with_state(edge.clone(), observe::observe)).with_state(edge)
}
