//! Who is asking: an API key for REST, a session for GraphQL. Looked up on every request, never cached (B06, sec.K3).

use atelier_domain::account::KeyScope;
use atelier_graphql::Caller;
use atelier_vault::credential_rows::api_keys::{self, AuthenticatedApiKey};
use atelier_vault::credential_rows::sessions::{self, AuthenticatedSession};
use atelier_vault::{ApiKeySecret, SessionToken};
use axum::http::{HeaderMap, StatusCode, header};

use super::Edge;
use super::answer::{ApiError, ApiResult};

/// The value after `Bearer `: the scheme's name in any case, exactly one space, and nothing trimmed (B07, B11, B12).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, credentials) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(credentials)
}

/// The presented API key: from `Authorization` or `x-api-key`; two different values are refused (C15).
fn presented(headers: &HeaderMap) -> Option<&str> {
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

/// The API key a REST call comes by, with the scope it needs.
pub async fn api_key(edge: &Edge, headers: &HeaderMap, scope: KeyScope) -> ApiResult<AuthenticatedApiKey> {
    let key =
        presented(headers).and_then(|text| ApiKeySecret::parse(text).ok()).ok_or_else(ApiError::invalid_api_key)?;
    let digest = edge.write.secrets.api_key(&key);
    let found = api_keys::authenticate(&edge.write.pool, &key, &digest, edge.write.now()).await?;
    let found = found.ok_or_else(ApiError::invalid_api_key)?;
    if !found.scopes.iter().any(|name| name == scope.as_str()) {
        let message = format!("This API key lacks the scope {}.", scope.as_str());
        return Err(ApiError::new(StatusCode::FORBIDDEN, "scope_missing", message).with("scope", scope.as_str()));
    }
    Ok(found)
}

/// A cookie's value, by its whole name.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    pairs.flat_map(|value| value.split("; ")).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// The session a GraphQL call comes by: a bearer token, or the cookie. One that does not count is nobody.
pub async fn caller(edge: &Edge, headers: &HeaderMap) -> ApiResult<Caller> {
    let text =
        if headers.contains_key(header::AUTHORIZATION) { bearer(headers) } else { cookie(headers, edge.cookie.name()) };
    let Some(token) = text.and_then(|text| SessionToken::parse(text).ok()) else { return Ok(Caller::Anonymous) };
    let digest = edge.write.secrets.session(&token);
    let now = edge.write.now();
    let Some(found) = sessions::authenticate(&edge.write.pool, token.session_id(), &digest, now).await? else {
        return Ok(Caller::Anonymous);
    };
    edge.activity.note(&found, now);
    let AuthenticatedSession { session, account, proved_at, .. } = found;
    Ok(Caller::Session { account, session, proved_at })
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
