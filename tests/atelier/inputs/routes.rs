//! Every route of the router with odd bytes in its path, its query and its form: never a fault of ours.

use super::everything_moves;
use super::rest::escaped;
use crate::authorization::cast::Cast;
use crate::authorization::routes::routes;
use crate::rest::wire;

/// The names that links and forms have.
const NAMES: [&str; 17] = [
    "token",
    "state",
    "code",
    "iss",
    "expires",
    "signature",
    "cursor",
    "limit",
    "dry_run",
    "new_password",
    "password",
    "ticket",
    "username",
    "minimum_age",
    "challenge",
    "size",
    "operationName",
];

#[tokio::test(flavor = "multi_thread")]
async fn a4_no_path_no_query_and_no_form_is_a_fault_of_ours() {
    let cast = Cast::assemble().await;
    let authorization = format!("Bearer {}", cast.key);
    let (mut number, mut wrong) = (0, Vec::new());
    for route in routes() {
        let parts: Vec<&str> = route.split('/').collect();
        let holes: Vec<usize> = (0..parts.len()).filter(|at| parts[*at].starts_with('{')).collect();
        for value in escaped() {
            let mut paths = Vec::new();
            for hole in &holes {
                let filled = parts.iter().enumerate().map(|(at, part)| match (at == *hole, part.starts_with('{')) {
                    (true, _) => value.clone(),
                    (false, true) => "x".to_owned(),
                    (false, false) => (*part).to_owned(),
                });
                paths.push(filled.collect::<Vec<_>>().join("/"));
            }
            let pairs: Vec<String> = NAMES.iter().map(|name| format!("{name}={value}")).collect();
            let pairs = if value.len() > 1_000 { format!("token={value}") } else { pairs.join("&") };
            let plain = parts.iter().map(|part| if part.starts_with('{') { "x" } else { part });
            let plain = plain.collect::<Vec<_>>().join("/");
            paths.push(format!("{plain}?{pairs}"));
            paths.push(plain);
            for path in paths {
                for method in ["GET", "POST", "PUT", "DELETE"] {
                    // What waits for a job or for a socket has tests of its own.
                    let headers = [
                        ("authorization", authorization.as_str()),
                        ("content-type", "application/x-www-form-urlencoded"),
                        ("prefer", "wait=0"),
                    ];
                    number += 1;
                    let reply = wire::call(&cast.studio, &format!("{method} {path}"), &headers, &pairs).await;
                    if reply.status >= 500 {
                        wrong.push(format!("{method} {path:.100}: {} {:.200}", reply.status, reply.body));
                    }
                }
            }
        }
    }
    assert!(number > 2_000, "{number} requests");
    assert_eq!(wrong, [""; 0], "{} of {number}", wrong.len());
    everything_moves(&cast, "routes", 1).await;
    cast.studio.stop().await;
}
