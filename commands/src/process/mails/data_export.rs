//! The mail that a copy of everything can be fetched, or could not be made (U25). Its link takes a sign-in and grants nothing.

use atelier_domain::account::Status;
use atelier_domain::{AccountId, ExportId};
use chrono::{DateTime, Utc};

use super::letters::Letter;
use super::{Owner, send};
use crate::export_link;
use crate::process::work::WorkError;
use crate::write_side::WriteSide;

/// Tells an owner, whatever the switches say: it was asked for.
pub(in crate::process) async fn send_word(
    write: &WriteSide,
    account: AccountId,
    export: ExportId,
    expires_at: Option<DateTime<Utc>>,
    id: &str,
) -> Result<(), WorkError> {
    let Some(owner) = Owner::find(write, account).await? else { return Ok(()) };
    if owner.state.status() != Status::Open || !owner.state.address_claimed() {
        return Ok(());
    }
    let letter = match expires_at {
        Some(until) => {
            let until = until.format("%Y-%m-%d %H:%M UTC").to_string();
            Letter::DataExport { ready: true, until, link: export_link::url(write, export) }
        }
        None => Letter::DataExport { ready: false, until: String::new(), link: write.public_url.clone() },
    };
    send(write, &owner, id, &letter, None).await
}
