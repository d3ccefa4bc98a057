//! `generationUpdated`: one of one's own generations, as it moves on (REQUIREMENTS 3.8).

use async_graphql::{Context, Result, SimpleObject};
use atelier_domain::{AccountId, GenerationId};
use atelier_projections::models::creations::{self, CreationView};

use crate::Sides;
use crate::creator::Makers;
use crate::error::not_found;
use crate::following::{Followed, Told};
use crate::generation::Generation;
use crate::reading::{Reading, SUBSCRIPTION};

/// A generation after a change.
#[derive(SimpleObject)]
pub struct GenerationUpdate {
    /// The generation; null once it is deleted, and nothing follows then.
    generation: Option<Generation>,
    /// The position of the read models it comes from, for `after` and `minPosition`.
    position: String,
}

/// A generation that its owner follows.
pub(super) struct OwnGeneration<'c> {
    context: &'c Context<'c>,
    account: AccountId,
    id: GenerationId,
    after: Option<String>,
    told: Option<CreationView>,
}

impl<'c> OwnGeneration<'c> {
    pub(super) const fn new(
        context: &'c Context<'c>,
        account: AccountId,
        id: GenerationId,
        after: Option<String>,
    ) -> Self {
        Self { context, account, id, after, told: None }
    }
}

impl Followed for OwnGeneration<'_> {
    type Event = GenerationUpdate;

    async fn read(&mut self) -> Result<Told<GenerationUpdate>> {
        let _turn = self.context.data::<Sides>()?.changes.turn().await;
        let reading = Reading::begin(self.context, SUBSCRIPTION, self.after.as_deref()).await?;
        let (id, viewer) = (self.id, Some(self.account));
        let found = reading.read(async |snapshot| creations::find(snapshot, id, viewer).await).await?;
        let position = reading.position().to_owned();
        // Published or not: others ask for it again, they do not follow it.
        let Some(found) = found.filter(|found| found.account == self.account) else {
            let deleted = Told::Last(GenerationUpdate { generation: None, position });
            return if self.told.is_some() { Ok(deleted) } else { Err(not_found()) };
        };
        if self.told.as_ref() == Some(&found) {
            return Ok(Told::Same);
        }
        let makers = Makers::of(&reading, [self.account]);
        self.told = Some(found.clone());
        // Who was told of a position that the log does not have any more is told so.
        self.after = Some(position.clone());
        let generation = Some(Generation::whole(self.context, found, &makers)?);
        Ok(Told::New(GenerationUpdate { generation, position }))
    }
}
