//! Every route of the router: what stands in the way of it, and that being signed in as somebody opens none that a link, a ticket or a
//! key must open (sec.A1).

use std::collections::BTreeSet;

use super::Caller;
use super::cast::Cast;

/// What opens a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opens {
    /// Nothing is needed.
    Public,
    /// The rows of mutations.rs, queries.rs and subscriptions.rs.
    Graphql,
    /// The rows of rest.rs.
    Rest,
    /// A token, ticket or signature in the link or the body.
    Link,
    /// A session of the owner's; to everybody else the thing is unknown.
    Owner,
    /// Public, on a development node alone.
    Development,
}

/// A route: what opens it, a request without that, and the status everybody gets for it.
type Row = (&'static str, Opens, &'static str, &'static [u16]);

const ROWS: &[Row] = &[
    ("/graphql", Opens::Graphql, "", &[]),
    ("/graphql/ws", Opens::Graphql, "", &[]),
    ("/v1/generate", Opens::Rest, "", &[]),
    ("/v1/generations", Opens::Rest, "", &[]),
    ("/v1/generations/{id}", Opens::Rest, "", &[]),
    ("/v1/generations/{id}/cancel", Opens::Rest, "", &[]),
    ("/v1/models", Opens::Rest, "", &[]),
    ("/v1/credits", Opens::Rest, "", &[]),
    ("/schema.graphql", Opens::Public, "GET /schema.graphql", &[200]),
    ("/v1/openapi.json", Opens::Public, "GET /v1/openapi.json", &[200]),
    ("/health/live", Opens::Public, "GET /health/live", &[200]),
    ("/health/ready", Opens::Public, "GET /health/ready", &[200]),
    ("/metrics", Opens::Public, "GET /metrics", &[200]),
    ("/avatars/{id}/{edge}", Opens::Public, "GET /avatars/x/256", &[404]),
    ("/avatars/{account}/{avatar}/{edge}", Opens::Public, "GET /avatars/x/y/256", &[404]),
    ("/auth/google/start", Opens::Public, "GET /auth/google/start", &[400]),
    ("/auth/google/callback", Opens::Link, "GET /auth/google/callback?code=x&state=y", &[400]),
    ("/auth/google/sign-up", Opens::Link, "POST /auth/google/sign-up", &[400]),
    ("/auth/complete", Opens::Link, "POST /auth/complete", &[400]),
    ("/media/{id}", Opens::Link, "GET /media/{private}?expires=9999999999&signature=x", &[403]),
    (
        "/media/{account}/{generation}/{attempt}/{file}",
        Opens::Link,
        "GET /media/{account}/{private}/1/0.png?expires=9999999999&signature=x",
        &[403],
    ),
    ("/uploads/avatar/{ticket}", Opens::Link, "PUT /uploads/avatar/x", &[400]),
    ("/exports/{id}", Opens::Owner, "GET /exports/{export}", &[200, 404]),
    ("/verify-email", Opens::Link, "POST /verify-email token=atm_x", &[400]),
    ("/keep-two-factor", Opens::Link, "POST /keep-two-factor token=atm_x", &[400]),
    ("/reset-password", Opens::Link, "POST /reset-password token=atm_x", &[400]),
    ("/unsubscribe", Opens::Link, "POST /unsubscribe?token=x", &[400]),
    ("/", Opens::Development, "GET /", &[200]),
    ("/graphiql/{file}", Opens::Development, "GET /graphiql/start.js", &[200]),
    ("/mailbox", Opens::Development, "GET /mailbox", &[200]),
    ("/mailbox/{file}", Opens::Development, "GET /mailbox/nothing", &[404]),
    ("/mailbox/{file}/html", Opens::Development, "GET /mailbox/nothing/html", &[404]),
];

/// Every path of the router, as it is written there.
pub fn routes() -> BTreeSet<String> {
    let files = crate::architecture::files_of("server/src/http/");
    let mut routes = BTreeSet::new();
    for file in files {
        for (at, start) in file.match_indices(".route(\"") {
            let path = &file[at + start.len()..];
            routes.insert(path.split('"').next().expect("a path").to_owned());
        }
    }
    routes
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_every_route_has_a_row_and_no_session_opens_what_a_link_must_open() {
    let rows: BTreeSet<String> = ROWS.iter().map(|row| row.0.to_owned()).collect();
    assert_eq!(routes(), rows, "sec.A1: each route says here what opens it");
    let cast = Cast::assemble().await;
    let before = cast.owners_state_at_rest().await;
    let mut wrong = Vec::new();
    for (route, opens, request, expected) in ROWS.iter().filter(|row| !row.2.is_empty()) {
        let mut told = BTreeSet::new();
        for caller in Caller::ALL {
            let mut parts = request.splitn(3, ' ');
            let (method, path, body) = (parts.next().expect("a method"), parts.next().expect("a path"), parts.next());
            let account = cast.account.to_string();
            let private = cast.private.trim_start_matches("gen_");
            let path =
                path.replace("{account}", &account).replace("{private}", private).replace("{export}", &cast.export_id);
            let method = method.parse().expect("a method");
            let mut call = cast.studio.client().request(method, format!("{}{path}", cast.studio.url));
            if let Some(token) = cast.token(caller) {
                call = call.bearer_auth(token).header("cookie", format!("atelier-session-dev={token}"));
            }
            if let Some(body) = body {
                call = call.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned());
            }
            let status = call.send().await.expect("an answer").status().as_u16();
            if *opens == Opens::Owner {
                assert_eq!(status == 200, caller == Caller::Owner, "{route} by {caller:?}");
            }
            told.insert(status);
        }
        if told != expected.iter().copied().collect() {
            wrong.push(format!("{route}, {opens:?}: {told:?}, not {expected:?}"));
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert_eq!(cast.owners_state_at_rest().await, before, "nothing happened");
    cast.studio.stop().await;
}
