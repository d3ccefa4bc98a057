//! The matrix of who may do what (sec.A1, sec.A2): every query, mutation, `node(id)`, subscription and route against everybody who might
//! ask. The fields come from the schema itself, the routes from the router and the OpenAPI document: one without a row here fails.

pub mod cast;
mod mutations;
mod queries;
mod rest;
pub mod routes;
mod schema;
mod subscriptions;
mod table;

/// Everybody who might ask. "Owner" is whose things are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caller {
    /// Nobody signed in.
    Anonymous,
    /// An API key of the owner's, where a session is asked for: nobody (B01).
    Key,
    /// Another account's session.
    Other,
    /// A session of the owner.
    Owner,
    /// Another account's, which is an auditor.
    Auditor,
    /// Another account's, which is support.
    Support,
    /// Another account's, which is an admin.
    Admin,
}

impl Caller {
    const ALL: [Self; 7] =
        [Self::Anonymous, Self::Key, Self::Other, Self::Owner, Self::Auditor, Self::Support, Self::Admin];

    /// Whether somebody is signed in.
    const fn signed_in(self) -> bool {
        !matches!(self, Self::Anonymous | Self::Key)
    }
}
