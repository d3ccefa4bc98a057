//! The public side of an account: what everybody may see, and nothing else personal (A17-A20).

use std::collections::BTreeMap;

use async_graphql::{ComplexObject, Context, ID, Result, SimpleObject};
use atelier_domain::AccountId;
use atelier_projections::models::profile::ProfileView;
use atelier_projections::models::{explore, profile, rank};

use crate::avatar::Avatar;
use crate::caller::account;
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
    /// The handle, as in `/c/username`. Where it is not the one that was asked for, the account has changed it: go on to this one.
    username: Option<String>,
    /// The name shown beside their work.
    display_name: Option<String>,
    /// The biography, if there is one.
    bio: Option<String>,
    /// The avatar, if there is one.
    avatar: Option<Avatar>,
    /// The rank: Beginner, Explorer, Creator, Artist or Master (A19).
    rank: String,
    #[graphql(skip)]
    account: AccountId,
    #[graphql(skip)]
    reading: Reading,
}

impl Creator {
    fn new(profile: ProfileView, rank: &str, reading: &Reading) -> Self {
        Self {
            id: GlobalId::Account(profile.account).into(),
            username: profile.username,
            display_name: profile.display_name,
            bio: profile.bio,
            avatar: profile.avatar.map(|stored| Avatar { account: profile.account, stored }),
            rank: rank.to_owned(),
            account: profile.account,
            reading: reading.clone(),
        }
    }
}

/// These creators, in two statements however many they are; those that do not exist are left out, and those whose profile is not
/// public, but for their own eyes (C3).
pub(crate) async fn creators(
    context: &Context<'_>,
    reading: &Reading,
    accounts: &[AccountId],
) -> Result<BTreeMap<AccountId, Creator>> {
    let viewer = account(context);
    let profiles = reading.read(async |snapshot| profile::find(snapshot, accounts).await).await?;
    let standings = reading.read(async |snapshot| rank::find(snapshot, accounts).await).await?;
    let creator = |profile: ProfileView| {
        let rank = standings.get(&profile.account).map_or("", |standing| standing.current.name());
        (profile.account, Creator::new(profile, rank, reading))
    };
    let seen = |profile: &ProfileView| profile.public || viewer == Some(profile.account);
    Ok(profiles.into_iter().filter(seen).map(creator).collect())
}

#[ComplexObject]
impl Creator {
    /// What they published to Explore, newest first (A20).
    async fn published(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100; 20 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor to go on from.")] after: Option<String>,
    ) -> Option<Result<GenerationConnection>> {
        let answer = async {
            let filter = explore::ExploreFilter { creator: Some(self.account), ..Default::default() };
            published(context, &self.reading, filter, first, after.as_deref()).await
        };
        Some(answer.await)
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
    let mut makers: Vec<AccountId> = page.items.iter().map(|(_, item)| item.creator).collect();
    makers.sort_unstable();
    makers.dedup();
    let makers = creators(context, reading, &makers).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for (cursor, item) in page.items {
        let creator = makers.get(&item.creator).cloned();
        items.push((cursor, Generation::public_side(context, item, creator)?));
    }
    Ok(GenerationConnection::new(items, page.has_next, reading.position()))
}
