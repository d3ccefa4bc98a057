//! `notifications`: what an account is told inside the application, as it comes (A32, V12).

use std::collections::HashSet;

use async_graphql::{Context, Result, SimpleObject};
use atelier_domain::AccountId;
use atelier_projections::notices;
use uuid::Uuid;

use crate::Sides;
use crate::following::{Followed, Told};
use crate::notification::Notice;
use crate::reading::{Reading, SUBSCRIPTION};

/// Notices that are new.
#[derive(SimpleObject)]
pub struct NewNotices {
    /// The notices, oldest first.
    notices: Vec<Notice>,
    /// The position to go on from, for `after`.
    position: String,
}

/// An account's notices that are followed.
pub(super) struct Notices<'c> {
    context: &'c Context<'c>,
    account: AccountId,
    after: Option<String>,
    /// Since where a notice may be new; `None` before the first read.
    from: Option<i64>,
    /// Those told that would be found again, at most as many as an account has.
    told: HashSet<Uuid>,
}

impl<'c> Notices<'c> {
    pub(super) fn new(context: &'c Context<'c>, account: AccountId, after: Option<String>) -> Self {
        Self { context, account, after, from: None, told: HashSet::new() }
    }
}

impl Followed for Notices<'_> {
    type Event = NewNotices;

    async fn read(&mut self) -> Result<Told<NewNotices>> {
        let sides = self.context.data::<Sides>()?;
        let _turn = sides.changes.turn().await;
        let (account, now) = (self.account, sides.write.now());
        // At first where the client goes on, then what it was told last: if the log does not have that any more, it is told so.
        let after = self.after.clone();
        let reading = Reading::begin(self.context, SUBSCRIPTION, after.as_deref()).await?;
        let here = reading.begins(None).await;
        let first = self.from.is_none();
        let from = match self.from {
            Some(from) => from,
            None => reading.begins(after.as_deref()).await,
        };
        let found = reading.read(async |snapshot| notices::since(snapshot, account, now, from).await).await?;
        let ids = found.iter().map(|notice| notice.notice_id).collect();
        // Without a position to go on from, what is there already is not new.
        let known = if first && after.is_none() { &ids } else { &self.told };
        let new = found.into_iter().filter(|notice| !known.contains(&notice.notice_id));
        let notices: Vec<Notice> = new.filter_map(Notice::of).collect();
        (self.from, self.told) = (Some(here.max(from)), ids);
        let position = reading.position().to_owned();
        self.after = Some(position.clone());
        if notices.is_empty() && !first {
            return Ok(Told::Same);
        }
        Ok(Told::New(NewNotices { notices, position }))
    }
}
