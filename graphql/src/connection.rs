//! Relay connections, forwards only: `first` and `after` (DESIGN 6).

use async_graphql::SimpleObject;

use crate::api_key::ApiKey;
use crate::credits::Transaction;
use crate::generation::Generation;
use crate::history::{HistoryEntry, StaffHistoryEntry};
use crate::notification::Notice;

/// Where a page ends.
#[derive(Debug, Clone, SimpleObject)]
pub struct PageInfo {
    /// Whether there are more items after this page.
    pub has_next_page: bool,
    /// The cursor of the last item, for `after`.
    pub end_cursor: Option<String>,
}

macro_rules! connection {
    ($connection:ident, $edge:ident, $node:ty) => {
        /// An item with its cursor.
        #[derive(SimpleObject)]
        pub struct $edge {
            /// The cursor, for `after`.
            cursor: String,
            /// The item.
            node: $node,
        }

        /// A page of a list, newest first.
        #[derive(SimpleObject)]
        pub struct $connection {
            /// The items with their cursors.
            edges: Vec<$edge>,
            /// Where the page ends.
            page_info: PageInfo,
            /// The position of the read models it comes from.
            position: String,
        }

        impl $connection {
            pub(crate) fn new(items: Vec<(String, $node)>, has_next_page: bool, position: &str) -> Self {
                let end_cursor = items.last().map(|(cursor, _)| cursor.clone());
                let edges = items.into_iter().map(|(cursor, node)| $edge { cursor, node }).collect();
                Self { edges, page_info: PageInfo { has_next_page, end_cursor }, position: position.to_owned() }
            }
        }
    };
}

connection!(GenerationConnection, GenerationEdge, Generation);
connection!(TransactionConnection, TransactionEdge, Transaction);
connection!(ApiKeyConnection, ApiKeyEdge, ApiKey);
connection!(NoticeConnection, NoticeEdge, Notice);
connection!(HistoryConnection, HistoryEdge, HistoryEntry);
connection!(StaffHistoryConnection, StaffHistoryEdge, StaffHistoryEntry);
