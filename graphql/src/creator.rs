//! The public side of an account: what everybody may see, and nothing else personal (A17-A20).

use async_graphql::{ComplexObject, Context, ID, Result, SimpleObject};
use atelier_domain::AccountId;
use atelier_projections::models::profile::ProfileView;
use atelier_projections::models::{explore, rank};

use crate::connection::GenerationConnection;
use crate::generation::Generation;
use crate::global_id::GlobalId;
use crate::reading::{Reading, page_size};

/// A creator's public profile.
#[derive(Clone, SimpleObject)]
#[graphql(complex)]
pub struct Creator {
    /// The creator's id.
    pub id: ID,
    /// The handle, as in `/c/username`.
    username: Option<String>,
    /// The name shown beside their work.
    display_name: Option<String>,
    /// The biography, if there is one.
    bio: Option<String>,
    #[graphql(skip)]
    account: AccountId,
    #[graphql(skip)]
    reading: Reading,
}

impl Creator {
    pub(crate) fn new(profile: &ProfileView, reading: &Reading) -> Self {
        Self {
            id: GlobalId::Account(profile.account).into(),
            username: profile.username.clone(),
            display_name: profile.display_name.clone(),
            bio: profile.bio.clone(),
            account: profile.account,
            reading: reading.clone(),
        }
    }
}

#[ComplexObject]
impl Creator {
    /// The rank: Beginner, Explorer, Creator, Artist or Master (A19).
    async fn rank(&self) -> Result<&'static str> {
        let account = self.account;
        let progress = self.reading.read(async |snapshot| rank::of(snapshot, account).await).await?;
        Ok(progress.current.name())
    }

    /// What they published to Explore, newest first (A20).
    async fn published(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100; 20 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor to go on from.")] after: Option<String>,
    ) -> Result<GenerationConnection> {
        let filter = explore::ExploreFilter { creator: Some(self.account), ..Default::default() };
        published(context, &self.reading, filter, first, after.as_deref()).await
    }
}

/// A page of published work, with its creators fetched in one statement.
pub(crate) async fn published(
    context: &Context<'_>,
    reading: &Reading,
    filter: explore::ExploreFilter<'_>,
    first: Option<i32>,
    after: Option<&str>,
) -> Result<GenerationConnection> {
    let first = page_size(first, 20)?;
    let page = reading.read(async |snapshot| explore::page(snapshot, filter, first, after).await).await?;
    let mut creators: Vec<AccountId> = page.items.iter().map(|(_, item)| item.creator).collect();
    creators.sort_unstable();
    creators.dedup();
    let profiles =
        reading.read(async |snapshot| atelier_projections::models::profile::find(snapshot, &creators).await).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for (cursor, item) in page.items {
        let creator = profiles.iter().find(|profile| profile.account == item.creator);
        let creator = creator.map(|profile| Creator::new(profile, reading));
        items.push((cursor, Generation::public_side(context, item, creator)?));
    }
    Ok(GenerationConnection::new(items, page.has_next, reading.position()))
}
