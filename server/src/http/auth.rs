//! Who is asking: an API key for REST (see `key_gate`), a session for GraphQL. Looked up on every request, never cached (B06, sec.K3).

use atelier_graphql::Caller;
use atelier_vault::SessionToken;
use atelier_vault::credential_rows::sessions::{self, AuthenticatedSession};
use axum::http::{HeaderMap, header};

use super::Edge;
use super::answer::ApiResult;

/// The value after `Bearer `: the scheme's name in any case, exactly one space, and nothing trimmed (B07, B11, B12).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    bearer_of(value)
}

/// The value after `Bearer `.
pub(super) fn bearer_of(value: &str) -> Option<&str> {
    let (scheme, credentials) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(credentials)
}

/// The presented API key: from `Authorization` or `x-api-key`; two different values are refused (C15).
pub(super) fn presented(headers: &HeaderMap) -> Option<&str> {
    let mut extra = headers.get_all("x-api-key").iter();
    let by_header = match (extra.next(), extra.next()) {
        (None, _) => None,
        (Some(value), None) => Some(value.to_str().ok()?),
        (Some(_), Some(_)) => return None,
    };
    match (headers.contains_key(header::AUTHORIZATION), by_header) {
        (true, None) => bearer(headers),
        (true, Some(key)) => bearer(headers).filter(|bearer| *bearer == key),
        (false, key) => key,
    }
}

/// A cookie's value, by its whole name.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    pairs.flat_map(|value| value.split("; ")).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// The token of a session that a GraphQL call comes by: a bearer token, or the cookie.
pub(super) fn session_token(edge: &Edge, headers: &HeaderMap) -> Option<SessionToken> {
    let text =
        if headers.contains_key(header::AUTHORIZATION) { bearer(headers) } else { cookie(headers, edge.cookie.name()) };
    text.and_then(|text| SessionToken::parse(text).ok())
}

/// The session a GraphQL call comes by. One that does not count is nobody.
pub async fn caller(edge: &Edge, headers: &HeaderMap) -> ApiResult<Caller> {
    let Some(token) = session_token(edge, headers) else { return Ok(Caller::Anonymous) };
    let digest = edge.write.secrets.session(&token);
    let now = edge.write.now();
    let Some(found) = sessions::authenticate(&edge.write.pool, token.session_id(), &digest, now).await? else {
        return Ok(Caller::Anonymous);
    };
    edge.activity.note(&found, now);
    Ok(caller_of(&found))
}

/// Who a session that counts is to the schema.
pub(super) const fn caller_of(found: &AuthenticatedSession) -> Caller {
    Caller::Session { account: found.account, session: found.session, proved_at: found.proved_at }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn b07_b11_b12_the_scheme_in_any_case_one_space_nothing_trimmed() {
        for good in ["Bearer k", "bearer k", "BEARER k"] {
            assert_eq!(presented(&headers(&[("authorization", good)])), Some("k"), "{good}");
        }
        assert_eq!(presented(&headers(&[("authorization", "k")])), None);
        assert_eq!(presented(&headers(&[("authorization", "Basic k")])), None);
        // What is not trimmed does not parse as a key.
        assert_eq!(presented(&headers(&[("authorization", "Bearer  k")])), Some(" k"));
        assert_eq!(presented(&headers(&[("authorization", "Bearer\tk")])), None);
        assert_eq!(presented(&headers(&[("authorization", "Bearer k"), ("authorization", "Bearer k")])), None);
    }

    #[test]
    fn c15_both_headers_must_agree() {
        assert_eq!(presented(&headers(&[("x-api-key", "k")])), Some("k"));
        assert_eq!(presented(&headers(&[("authorization", "Bearer k"), ("x-api-key", "k")])), Some("k"));
        assert_eq!(presented(&headers(&[("authorization", "Bearer k"), ("x-api-key", "l")])), None);
        assert_eq!(presented(&headers(&[("x-api-key", "k"), ("x-api-key", "k")])), None);
        assert_eq!(presented(&headers(&[])), None);
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let jar = headers(&[("cookie", "a=1; atelier-session-dev=tok; b=2")]);
        assert_eq!(cookie(&jar, "atelier-session-dev"), Some("tok"));
        assert_eq!(cookie(&jar, "session-dev"), None);
    }
}
