//! Links to outputs: signed, short-lived, checked by our own server (A30, DESIGN 7).

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::write_side::WriteSide;

/// How long a link works; whoever may see the job gets a fresh one with every answer.
const LINK_LIFE: TimeDelta = TimeDelta::hours(1);

fn signature(write: &WriteSide, object: &str, expires: i64) -> String {
    let signed = write
        .secrets
        .fingerprint(atelier_domain::AccountId(Uuid::nil()), format!("media {expires} {object}").as_bytes());
    signed.iter().fold(String::with_capacity(64), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}

/// A link to an object of the media store, for somebody who may see it.
#[must_use]
pub fn sign(write: &WriteSide, object: &str) -> String {
    let expires = (write.now() + LINK_LIFE).timestamp();
    format!("{}/media/{object}?expires={expires}&signature={}", write.public_url, signature(write, object, expires))
}

/// Whether a link was given out by us and still works.
#[must_use]
pub fn verify(write: &WriteSide, object: &str, expires: i64, presented: &str) -> bool {
    let alive = DateTime::from_timestamp(expires, 0).is_some_and(|end: DateTime<Utc>| end > write.now());
    // Compared through another keyed digest, so that the time taken tells nothing about the right signature.
    let digest = |text: &str| write.secrets.fingerprint(atelier_domain::AccountId(Uuid::nil()), text.as_bytes());
    alive && digest(presented) == digest(&signature(write, object, expires))
}
