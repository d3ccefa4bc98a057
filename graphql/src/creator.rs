//! The public side of an account: what everybody may see, and nothing else personal (A17-A20).

use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result};
use atelier_domain::AccountId;
use atelier_domain::policy::rank::RankProgress;
use atelier_projections::ReadError;
use atelier_projections::models::profile::ProfileView;
use atelier_projections::models::{explore, profile, rank};
use tokio::sync::OnceCell;

use crate::avatar::Avatar;
use crate::caller;
use crate::connection::GenerationConnection;
use crate::generation::Generation;
use crate::global_id::GlobalId;
use crate::reading::{Reading, page_size};

/// A creator's public profile.
#[derive(Clone)]
pub struct Creator {
    id: ID,
    profile: ProfileView,
    makers: Arc<Makers>,
}

/// Those who made what is on a page: each thing about them is read once, in one statement for all of them, when the first is asked for it.
pub(crate) struct Makers {
    reading: Reading,
    accounts: Vec<AccountId>,
    profiles: OnceCell<Result<BTreeMap<AccountId, ProfileView>>>,
    standings: OnceCell<Result<BTreeMap<AccountId, RankProgress>>>,
}

impl Makers {
    /// Nothing is read yet.
    pub(crate) fn of(reading: &Reading, accounts: impl IntoIterator<Item = AccountId>) -> Arc<Self> {
        let mut accounts: Vec<_> = accounts.into_iter().collect();
        accounts.sort_unstable();
        accounts.dedup();
        Arc::new(Self { reading: reading.clone(), accounts, profiles: OnceCell::new(), standings: OnceCell::new() })
    }

    /// One of them; none when there is no such account, its profile is in quarantine, or it is not public and the viewer is another (C3).
    pub(crate) async fn creator(
        self: &Arc<Self>,
        context: &Context<'_>,
        account: AccountId,
    ) -> Result<Option<Creator>> {
        let viewer = caller::account(context);
        let read = async || {
            let found = self.reading.read(async |snapshot| profile::find(snapshot, &self.accounts).await).await?;
            Ok(found.into_iter().map(|profile| (profile.account, profile)).collect())
        };
        let profiles = self.profiles.get_or_init(read).await.as_ref().map_err(Clone::clone)?;
        let seen = profiles.get(&account).filter(|profile| profile.public || viewer == Some(account));
        let creator = |profile: &ProfileView| Creator {
            id: GlobalId::Creator(account).into(),
            profile: profile.clone(),
            makers: self.clone(),
        };
        Ok(seen.map(creator))
    }

    /// The creator alone that is asked for. One whose profile is in quarantine is an error, where a list leaves it out.
    pub(crate) async fn one(context: &Context<'_>, reading: &Reading, account: AccountId) -> Result<Option<Creator>> {
        let found = Self::of(reading, [account]).creator(context, account).await?;
        if found.is_none() {
            reading.read(async |snapshot| profile::of(snapshot, account).await).await?;
        }
        Ok(found)
    }

    async fn rank(&self, account: AccountId) -> Result<&'static str> {
        let read = async || self.reading.read(async |snapshot| rank::find(snapshot, &self.accounts).await).await;
        let standings = self.standings.get_or_init(read).await.as_ref().map_err(Clone::clone)?;
        let standing = standings.get(&account).map(|standing| standing.current.name());
        standing.ok_or_else(|| self.reading.fault(&ReadError::Quarantined(rank::NAME)))
    }
}

/// A creator's public profile.
#[Object]
impl Creator {
    /// The creator's id.
    pub async fn id(&self) -> &ID {
        &self.id
    }

    /// The handle, as in `/c/username`. Where it is not the one that was asked for, the account has changed it: go on to this one.
    async fn username(&self) -> Option<&str> {
        self.profile.username.as_deref()
    }

    /// The name shown beside their work.
    async fn display_name(&self) -> Option<&str> {
        self.profile.display_name.as_deref()
    }

    /// The biography, if there is one.
    async fn bio(&self) -> Option<&str> {
        self.profile.bio.as_deref()
    }

    /// The avatar, if there is one.
    async fn avatar(&self) -> Option<Avatar> {
        self.profile.avatar.clone().map(|stored| Avatar { account: self.profile.account, stored })
    }

    /// The rank: Beginner, Explorer, Creator, Artist or Master (A19).
    async fn rank(&self) -> Option<Result<&'static str>> {
        Some(self.makers.rank(self.profile.account).await)
    }

    /// What they published to Explore, newest first (A20).
    async fn published(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100; 20 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor to go on from.")] after: Option<String>,
    ) -> Option<Result<GenerationConnection>> {
        let filter = explore::ExploreFilter { creator: Some(self.profile.account), ..Default::default() };
        Some(published(context, &self.makers.reading, filter, first, after.as_deref()).await)
    }
}

/// A page of published work; a constant number of statements, however many items and creators it has.
pub(crate) async fn published(
    context: &Context<'_>,
    reading: &Reading,
    filter: explore::ExploreFilter<'_>,
    first: Option<i32>,
    after: Option<&str>,
) -> Result<GenerationConnection> {
    let first = page_size(first, 20)?;
    let page = reading.read(async |snapshot| explore::page(snapshot, filter, first, after).await).await?;
    let makers = Makers::of(reading, page.items.iter().map(|(_, item)| item.creator));
    let mut items = Vec::with_capacity(page.items.len());
    for (cursor, item) in page.items {
        items.push((cursor, Generation::public_side(context, item, &makers)?));
    }
    Ok(GenerationConnection::new(items, page.has_next, after, reading.position()))
}
