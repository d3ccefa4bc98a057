//! The root of all subscriptions: what a screen shows, told again when it changes (DESIGN 6). Only ever from committed read models:
//! what is told at a position is what a query with that `minPosition` shows.

mod balance;
mod generation;
mod notices;

use async_graphql::{Context, ID, Result, Subscription};
use atelier_domain::LedgerId;
use atelier_projections::Topic;
use futures::Stream;

use crate::Sides;
use crate::caller::signed_in;
use crate::credits::{Credits, Environment};
use crate::error::not_found;
use crate::following::follow;
use crate::global_id::GlobalId;

pub use generation::GenerationUpdate;
pub use notices::NewNotices;

/// The root of all subscriptions.
pub struct Subscription;

#[Subscription]
impl Subscription {
    /// One of one's own generations (REQUIREMENTS 3.8): as it is now, at once, then after each change. Changes that come together are
    /// told as one. Any other id is `NOT_FOUND`, whether there is such a thing or not (sec.A1); with the `position` of
    /// `requestGeneration` as `after`, a new one is found for certain.
    async fn generation_updated<'c>(
        &self,
        context: &'c Context<'_>,
        id: ID,
        #[graphql(desc = "The position of the last event, or of a mutation: what is told is not older.")] after: Option<
            String,
        >,
    ) -> Result<impl Stream<Item = Result<GenerationUpdate>> + 'c> {
        let (account, _) = signed_in(context)?;
        let id = GlobalId::generation(&id).ok_or_else(not_found)?;
        let interest = context.data::<Sides>()?.changes.of(Topic::Generation(id));
        Ok(follow(interest, generation::OwnGeneration::new(context, account, id, after)))
    }

    /// What can be spent: as it is now, at once, then after each change. Changes that come together are told as one: for every line ask
    /// for `me { transactions }`.
    async fn balance_changed<'c>(
        &self,
        context: &'c Context<'_>,
        #[graphql(default_with = "Some(Environment::Live)")] environment: Option<Environment>,
        #[graphql(desc = "The position of the last event, or of a mutation: what is told is not older.")] after: Option<
            String,
        >,
    ) -> Result<impl Stream<Item = Result<Credits>> + 'c> {
        let (account, _) = signed_in(context)?;
        let ledger = LedgerId { account, environment: Environment::or_live(environment) };
        let interest = context.data::<Sides>()?.changes.of(Topic::Balance(ledger));
        Ok(follow(interest, balance::Balance::new(context, ledger, after)))
    }

    /// New notices. The first event comes at once, with those since `after` and perhaps none; a subscription that goes on with the
    /// position of its last event misses none. One that was seen may then come again: its `id` tells.
    async fn notifications<'c>(
        &self,
        context: &'c Context<'_>,
        #[graphql(desc = "The position of the last event, or of `me { notices }`; from now on when not given.")]
        after: Option<String>,
    ) -> Result<impl Stream<Item = Result<NewNotices>> + 'c> {
        let (account, _) = signed_in(context)?;
        let interest = context.data::<Sides>()?.changes.of(Topic::Notices(account));
        Ok(follow(interest, notices::Notices::new(context, account, after)))
    }
}
