//! Links to avatars: public, and for ever the same picture, because each upload has an id of its own (A10). They do not show whose it is
//! (C3): account and upload are one opaque id.

use atelier_domain::account::Avatar;
use atelier_domain::{AccountId, AvatarId};
use uuid::Uuid;

use crate::ports::AvatarKey;
use crate::write_side::WriteSide;

/// The link to the smallest square whose edge is at least `edge` pixels, or to the largest there is; `None` when there is none.
#[must_use]
pub fn url(write: &WriteSide, account: AccountId, avatar: &Avatar, edge: u32) -> Option<String> {
    let edge = avatar.sizes.iter().find(|size| **size >= edge).or(avatar.sizes.last())?;
    let id = write.secrets.avatar_link_id(account, avatar.avatar_id);
    Some(format!("{}/avatars/{id}/{edge}", write.public_url))
}

/// The square that the parts of a link name; `None` when they are not of the form that [`url`] gives out.
#[must_use]
pub fn parse(write: &WriteSide, id: &str, edge: &str) -> Option<AvatarKey> {
    let (account, avatar) = write.secrets.read_avatar_link_id(id)?;
    Some(AvatarKey { account, avatar, edge: number(edge)? })
}

/// The same for a link of the releases before, which named the account: pages may hold one, which was good for ever when it was given out.
#[must_use]
pub fn parse_former(account: &str, avatar: &str, edge: &str) -> Option<AvatarKey> {
    let id = |text: &str| {
        let plain = text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        Uuid::try_parse(text).ok().filter(|_| plain)
    };
    Some(AvatarKey { account: AccountId(id(account)?), avatar: AvatarId(id(avatar)?), edge: number(edge)? })
}

fn number(edge: &str) -> Option<u32> {
    edge.parse().ok().filter(|number: &u32| number.to_string() == edge)
}
