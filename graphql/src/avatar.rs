//! An avatar: links to squares of several sizes, public and the same for ever (A10).

use async_graphql::{Context, Object, Result};
use atelier_commands::avatar_link;
use atelier_domain::AccountId;
use atelier_domain::account::Avatar as Stored;

use crate::Sides;
use crate::error::bad_input;
use crate::number::int;

/// The edge that is shown when none is asked for, pixels.
const SIZE: i32 = 256;

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
        #[graphql(default_with = "Some(SIZE)", desc = "Pixels of an edge.")] size: Option<i32>,
    ) -> Result<Option<String>> {
        let size = u32::try_from(size.unwrap_or(SIZE)).map_err(|_| bad_input("size must not be negative"))?;
        Ok(avatar_link::url(&context.data::<Sides>()?.write, self.account, &self.stored, size))
    }

    /// The edges of the squares there are, pixels, ascending.
    async fn sizes(&self) -> Vec<i32> {
        self.stored.sizes.iter().copied().map(int).collect()
    }
}
