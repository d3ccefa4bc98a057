//! Who is asking: an API key for REST (see `key_gate`), a session for GraphQL. Looked up on every request, never cached (B06, sec.K3).

use atelier_graphql::Caller;
use atelier_vault::SessionToken;
use atelier_vault::credential_rows::sessions::{self, AuthenticatedSession};
use axum::http::{HeaderMap, header};

use super::answer::ApiResult;
use super::{Edge, cookies};

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
pub(super) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    cookies::text(headers, name)
}

/// What a request for a session brings.
pub(super) enum Credential {
    /// Nothing.
    None,
    /// Something that is no token of a session.
    Malformed,
    /// A token, which may count or not.
    Token(SessionToken),
}

impl Credential {
    /// The token of a text.
    fn of(text: Option<&str>) -> Self {
        text.and_then(|text| SessionToken::parse(text).ok()).map_or(Self::Malformed, Self::Token)
    }

    /// What an `Authorization` says, by header or in a socket's first message. One that names no token, as clients send it that have
    /// none, says nothing.
    pub(super) fn of_authorization(value: &str) -> Self {
        let value = value.trim();
        if value.is_empty() || value.eq_ignore_ascii_case("bearer") { Self::None } else { Self::of(bearer_of(value)) }
    }
}

/// What a request brings, and whether by cookie: `Authorization` goes before the cookie, and an empty one of either is none.
pub(super) fn credential(edge: &Edge, headers: &HeaderMap) -> (Credential, bool) {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let by_header = match (values.next(), values.next()) {
        (None, _) => Credential::None,
        (Some(value), None) => value.to_str().map_or(Credential::Malformed, Credential::of_authorization),
        (Some(_), Some(_)) => Credential::Malformed,
    };
    match (by_header, cookies::find(headers, edge.cookie.name())) {
        (Credential::None, Some(value)) if !value.is_empty() => {
            (Credential::of(std::str::from_utf8(&value).ok()), true)
        }
        (by_header, _) => (by_header, false),
    }
}

/// Who a GraphQL call is by.
pub struct Identity {
    /// The caller.
    pub caller: Caller,
    /// Whether a cookie was brought whose session does not count: the browser had better forget it.
    pub stale_cookie: bool,
}

/// Who asks: the session's credential is looked up, on every request. One that does not count is nobody's.
///
/// # Errors
/// When the database does not answer; never taken for a credential that does not count.
pub async fn identity(edge: &Edge, headers: &HeaderMap) -> ApiResult<Identity> {
    let (credential, by_cookie) = credential(edge, headers);
    let ended = Identity { caller: Caller::Ended, stale_cookie: by_cookie };
    let token = match credential {
        Credential::None => return Ok(Identity { caller: Caller::Anonymous, stale_cookie: false }),
        Credential::Malformed => return Ok(ended),
        Credential::Token(token) => token,
    };
    let digest = edge.write.secrets.session(&token);
    let now = edge.write.now();
    let Some(found) = sessions::authenticate(&edge.write.pool, token.session_id(), &digest, now).await? else {
        return Ok(ended);
    };
    edge.activity.note(&found, now);
    Ok(Identity { caller: caller_of(&found), stale_cookie: false })
}

/// The same where a cookie is not taken back.
///
/// # Errors
/// As [`identity`].
pub async fn caller(edge: &Edge, headers: &HeaderMap) -> ApiResult<Caller> {
    Ok(identity(edge, headers).await?.caller)
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
    fn an_authorization_without_a_token_is_none_and_any_other_is_a_credential() {
        for none in ["", " ", "Bearer", "bearer "] {
            assert!(matches!(Credential::of_authorization(none), Credential::None), "{none:?}");
        }
        for malformed in
            ["Bearer null", "Bearer undefined", "Bearer atl_live_x", "Basic dTpw", "nonsense", "Bearer a b"]
        {
            assert!(matches!(Credential::of_authorization(malformed), Credential::Malformed), "{malformed:?}");
        }
    }
}
