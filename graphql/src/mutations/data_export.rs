//! Asking for a copy of everything (U25).

use async_graphql::{Context, ID, Object, Result};
use atelier_commands::use_cases::RequestDataExport;

use crate::Sides;
use crate::caller::freshly_proven;
use crate::global_id::GlobalId;
use crate::once::{Done, Once};
use crate::payload::payload;

/// The mutations of this room.
#[derive(Default)]
pub struct DataExportMutation;

payload! {
    /// The copy is being made; a mail and a notice say when it can be fetched, and `me { dataExports }` shows where it is.
    RequestDataExportPayload {
        /// The copy's id.
        export_id: ID,
    }
}

#[Object]
impl DataExportMutation {
    /// Asks for a copy of everything the account has, as a zip. One at a time, three at once, then one in half a day. Needs a fresh
    /// proof of who asks (`reauthenticate`).
    async fn request_data_export(&self, context: &Context<'_>) -> Result<RequestDataExportPayload> {
        let sides = context.data::<Sides>()?;
        let account = match freshly_proven(context)? {
            Ok((account, _)) => account,
            Err(error) => return Ok(RequestDataExportPayload::refused(error)),
        };
        let use_case = RequestDataExport { account };
        let once = Once::of(context)?;
        Ok(match once.run(context, use_case.run(&sides.write, &once.command)).await? {
            Ok(done) => {
                let (export, position) = match done {
                    Done::Now((export, position)) => (Some(export), position),
                    Done::Before { result, position } => (result.parse().ok(), position),
                };
                RequestDataExportPayload {
                    export_id: export.map(|export| GlobalId::Export(export).into()),
                    position: Some(sides.read.token(position)),
                    ..Default::default()
                }
            }
            Err(error) => RequestDataExportPayload::refused(error),
        })
    }
}
