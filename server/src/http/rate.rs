//! The numbers of a key's limits as every answer carries them: the same in the draft standard's headers, the older ones and Retry-After.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// One limit, and where a key stands with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// What the limit is called.
    pub name: &'static str,
    /// How many.
    pub most: u32,
    /// Within how many seconds; `None` for one that knows no time.
    pub within: Option<u32>,
    /// How many are left.
    pub left: u32,
    /// After how many seconds there are more.
    pub reset: u64,
}

/// The limits of one request: those there are, and the one that the other numbers are of.
#[derive(Debug, Clone, Default)]
pub struct Rate {
    /// Every limit of the key.
    pub limits: Vec<Quota>,
    /// The one it met with; the first one otherwise.
    pub met: Option<&'static str>,
}

impl Rate {
    /// Says that a limit is met: none is left, and there are more after so many seconds.
    pub fn meet(&mut self, name: &'static str, reset: u64) {
        self.met = Some(name);
        if let Some(limit) = self.limits.iter_mut().find(|limit| limit.name == name) {
            (limit.left, limit.reset) = (0, reset);
        }
    }

    /// Writes the numbers.
    pub fn write(&self, headers: &mut HeaderMap) {
        let shown = self.met.and_then(|name| self.limits.iter().find(|limit| limit.name == name));
        let Some(shown) = shown.or(self.limits.first()) else { return };
        let policy = |limit: &Quota| match limit.within {
            Some(within) => format!("\"{}\";q={};w={within}", limit.name, limit.most),
            None => format!("\"{}\";q={}", limit.name, limit.most),
        };
        let policies: Vec<String> = self.limits.iter().map(policy).collect();
        let Quota { name, most, left, reset, .. } = *shown;
        put(headers, "ratelimit-policy", &policies.join(", "));
        put(headers, "ratelimit", &format!("\"{name}\";r={left};t={reset}"));
        put(headers, "x-ratelimit-limit", &most.to_string());
        put(headers, "x-ratelimit-remaining", &left.to_string());
        put(headers, "x-ratelimit-reset", &reset.to_string());
        if self.met.is_some() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(reset));
        }
    }
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}
