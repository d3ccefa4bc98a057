//! GraphiQL on a development node, from files that are inside the program: it works without a network, and its page may run no script
//! and ask no server but this one's. `scripts/graphiql.sh` makes the files anew.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::answer::{ApiError, ApiResult};

/// Scripts and styles are files of ours. Editors set sizes and colours of their own elements, which takes inline styles.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src data:; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file, whether it is packed with gzip.
struct File {
    name: &'static str,
    kind: &'static str,
    packed: bool,
    bytes: &'static [u8],
}

const FILES: [File; 5] = [
    File {
        name: "graphiql.js",
        kind: "text/javascript; charset=utf-8",
        packed: true,
        bytes: include_bytes!("../../assets/graphiql/graphiql.js.gz"),
    },
    File {
        name: "graphiql.css",
        kind: "text/css; charset=utf-8",
        packed: true,
        bytes: include_bytes!("../../assets/graphiql/graphiql.css.gz"),
    },
    File {
        name: "start.js",
        kind: "text/javascript; charset=utf-8",
        packed: false,
        bytes: include_bytes!("../../assets/graphiql/start.js"),
    },
    File {
        name: "page.css",
        kind: "text/css; charset=utf-8",
        packed: false,
        bytes: include_bytes!("../../assets/graphiql/page.css"),
    },
    File {
        name: "LICENSES.txt",
        kind: "text/plain; charset=utf-8",
        packed: false,
        bytes: include_bytes!("../../assets/graphiql/LICENSES.txt"),
    },
];

/// `GET /`: the page.
pub async fn page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, include_str!("../../assets/graphiql/index.html")).into_response()
}

/// `GET /graphiql/{file}`: what the page is made of. Packed files go out as they are, because every browser unpacks them.
pub async fn file(name: Result<Path<String>, PathRejection>) -> ApiResult<Response> {
    let Ok(Path(name)) = name else { return Err(ApiError::not_found()) };
    let file = FILES.iter().find(|file| file.name == name).ok_or_else(ApiError::not_found)?;
    let headers = [(header::CONTENT_TYPE, file.kind), (header::CACHE_CONTROL, "no-cache")];
    let mut response = (headers, file.bytes).into_response();
    if file.packed {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}
