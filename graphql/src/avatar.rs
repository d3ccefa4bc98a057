//! An avatar: links to squares of several sizes, public and the same for ever (A10).

use async_graphql::{Context, Object, Result};
use atelier_commands::avatar_link;
use atelier_domain::AccountId;
use atelier_domain::account::Avatar as Stored;

use crate::Sides;

/// A square picture of an account.
#[derive(Debug, Clone)]
pub struct Avatar {
    pub(crate) account: AccountId,
    pub(crate) stored: Stored,
}

/// A square picture of an account. Another upload has other links, so that a link may be kept for ever.
#[Object]
impl Avatar {
    /// The link to the smallest square that is at least so many pixels wide, or to the largest.
    async fn url(
        &self,
        context: &Context<'_>,
        #[graphql(default = 256, desc = "Pixels of an edge.")] size: u32,
    ) -> Result<Option<String>> {
        Ok(avatar_link::url(&context.data::<Sides>()?.write, self.account, &self.stored, size))
    }

    /// The edges of the squares there are, pixels, ascending.
    async fn sizes(&self) -> &[u32] {
        &self.stored.sizes
    }
}
