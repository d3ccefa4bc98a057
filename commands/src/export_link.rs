//! Links to copies of everything: they name a copy and grant nothing; who fetches one is signed in (U25).

use atelier_domain::ExportId;
use uuid::Uuid;

use crate::write_side::WriteSide;

/// The link to a copy.
#[must_use]
pub fn url(write: &WriteSide, export: ExportId) -> String {
    format!("{}/exports/exp_{}", write.public_url, export.0.simple())
}

/// The copy that the last part of a link names; `None` when it is not of the form that [`url`] gives out.
#[must_use]
pub fn parse(text: &str) -> Option<ExportId> {
    let id = text.strip_prefix("exp_")?;
    let plain = id.len() == 32 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    Uuid::try_parse(id).ok().filter(|_| plain).map(ExportId)
}
