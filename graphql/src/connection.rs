//! Relay connections, forwards only: `first` and `after` (DESIGN 6).

use async_graphql::SimpleObject;

use crate::api_key::ApiKey;
use crate::credits::Transaction;
use crate::generation::Generation;
use crate::history::{HistoryEntry, StaffHistoryEntry};
use crate::notification::Notice;

/// Where a page begins and ends.
#[derive(Debug, Clone, SimpleObject)]
pub struct PageInfo {
    /// Whether there are more items after this page.
    pub has_next_page: bool,
    /// Whether there are items before this page: it was asked for with `after`. Pages go forwards only.
    pub has_previous_page: bool,
    /// The cursor of the first item.
    pub start_cursor: Option<String>,
    /// The cursor of the last item, for `after`.
    pub end_cursor: Option<String>,
}

macro_rules! connection {
    ($connection:ident, $edge:ident, $node:ty) => {
        /// An item with its cursor.
        #[derive(Clone, SimpleObject)]
        pub struct $edge {
            /// The cursor, for `after`.
            cursor: String,
            /// The item.
            pub(crate) node: $node,
        }

        impl $edge {
            /// An item by itself, with its cursor in the list.
            #[allow(dead_code, reason = "not every item is also shown by itself")]
            pub(crate) const fn new(cursor: String, node: $node) -> Self {
                Self { cursor, node }
            }
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
            pub(crate) fn new(
                items: Vec<(String, $node)>,
                has_next_page: bool,
                after: Option<&str>,
                position: &str,
            ) -> Self {
                let page_info = PageInfo {
                    has_next_page,
                    has_previous_page: after.is_some(),
                    start_cursor: items.first().map(|(cursor, _)| cursor.clone()),
                    end_cursor: items.last().map(|(cursor, _)| cursor.clone()),
                };
                let edges = items.into_iter().map(|(cursor, node)| $edge { cursor, node }).collect();
                Self { edges, page_info, position: position.to_owned() }
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
