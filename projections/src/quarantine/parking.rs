//! What becomes of an event that cannot be decoded, and of the quarantine of an account that is erased.

use std::sync::Arc;

use atelier_domain::Envelope;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Slot, Subject, rows};
use crate::batch::Undecodable;
use crate::fault::{self, FLOOD, Fault, UNDECODABLE};
use crate::forms;
use crate::runner::Projection;

/// What a follower does about an event that this program cannot decode.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Parks it.
    Park,
    /// Stops, with this error: a live node decodes it and ends the stop, or too many accounts have such events.
    Stop(String),
}

/// Decides about an undecodable event.
///
/// # Errors
/// When the database failed.
pub(crate) async fn verdict(
    connection: &mut PgConnection,
    node: Uuid,
    subject: &Subject,
    event: &Undecodable,
) -> Result<Verdict, sqlx::Error> {
    if forms::another_decodes(connection, node, event).await? {
        return Ok(Verdict::Stop(format!("{UNDECODABLE}{}", event.error)));
    }
    if rows::flooded(connection, subject).await? {
        return Ok(Verdict::Stop(format!("{FLOOD}{}", event.error)));
    }
    Ok(Verdict::Park)
}

/// Ends the quarantine of an account that is erased: nothing of it is left, and nothing more happens to it. The row goes first, so that
/// a retry that is under way has written what it does before, and writes nothing after.
///
/// # Errors
/// The [`Fault`]. The transaction is then to be rolled back.
pub(crate) async fn lift_erased(
    projection: &dyn Projection,
    connection: &mut PgConnection,
    slot: Slot,
    subject: &Subject,
    erased: &Arc<Envelope>,
) -> Result<(), Fault> {
    for name in subject.names() {
        rows::lift(connection, slot, &name, None).await?;
    }
    if let Some(account) = subject.account {
        projection.forget(connection, account).await?;
    }
    fault::apply(projection, connection, std::slice::from_ref(erased)).await
}
