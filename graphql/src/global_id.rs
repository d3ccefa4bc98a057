//! Ids as clients see them: opaque, tagged with their type, the same in GraphQL and REST (DESIGN 6).

use std::borrow::Cow;

use async_graphql::ID;
use atelier_commands::{Named, Refusal};
use atelier_domain::{AccountId, ApiKeyId, ExportId, GenerationId, IdentityId, SessionId};
use uuid::Uuid;

/// A thing that has an id of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GlobalId {
    /// An account, as its owner, auditors and support know it: `acc_...`.
    Account(AccountId),
    /// Its public side: `cre_...`. Another thing than the account, with another id, so that clients that keep things by id keep both.
    Creator(AccountId),
    /// A job: `gen_...`.
    Generation(GenerationId),
    /// An API key: `key_...`.
    ApiKey(ApiKeyId),
    /// A session: `ses_...`.
    Session(SessionId),
    /// A notice inside the application: `not_...`.
    Notice(Uuid),
    /// An identity elsewhere: `idn_...`.
    Identity(IdentityId),
    /// A copy of everything: `exp_...`.
    Export(ExportId),
}

impl GlobalId {
    /// The text form.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Account(AccountId(id)) => format!("acc_{}", id.simple()),
            Self::Creator(AccountId(id)) => format!("cre_{}", id.simple()),
            Self::Generation(GenerationId(id)) => format!("gen_{}", id.simple()),
            Self::ApiKey(ApiKeyId(id)) => format!("key_{}", id.simple()),
            Self::Session(SessionId(id)) => format!("ses_{}", id.simple()),
            Self::Notice(id) => format!("not_{}", id.simple()),
            Self::Identity(IdentityId(id)) => format!("idn_{}", id.simple()),
            Self::Export(ExportId(id)) => format!("exp_{}", id.simple()),
        }
    }

    /// Reads the text form back; `None` when it is not an id of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (tag, id) = text.split_once('_')?;
        let plain = id.len() == 32 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let id = Uuid::try_parse(id).ok().filter(|_| plain)?;
        Some(match tag {
            "acc" => Self::Account(AccountId(id)),
            "cre" => Self::Creator(AccountId(id)),
            "gen" => Self::Generation(GenerationId(id)),
            "key" => Self::ApiKey(ApiKeyId(id)),
            "ses" => Self::Session(SessionId(id)),
            "not" => Self::Notice(id),
            "idn" => Self::Identity(IdentityId(id)),
            "exp" => Self::Export(ExportId(id)),
            _ => return None,
        })
    }

    /// The generation this names, if it names one.
    #[must_use]
    pub fn generation(text: &str) -> Option<GenerationId> {
        match Self::parse(text) {
            Some(Self::Generation(id)) => Some(id),
            Some(
                Self::Account(_)
                | Self::Creator(_)
                | Self::ApiKey(_)
                | Self::Session(_)
                | Self::Notice(_)
                | Self::Identity(_)
                | Self::Export(_),
            )
            | None => None,
        }
    }
}

macro_rules! named {
    ($($(#[$doc:meta])+ $name:ident: $($kind:ident)|+ => $id:ty),+ $(,)?) => {$(
        $(#[$doc])+
        pub(crate) fn $name(field: impl Into<Cow<'static, str>>, id: &str) -> Named<$id> {
            match GlobalId::parse(id) {
                Some($(GlobalId::$kind(id))|+) => Ok(id),
                Some(_) | None => Err(Refusal::unknown_id(field)),
            }
        }
    )+};
}

named! {
    /// The account that a field of an input names.
    account: Account | Creator => AccountId,
    /// The generation that a field of an input names.
    generation: Generation => GenerationId,
    /// The API key that a field of an input names.
    api_key: ApiKey => ApiKeyId,
    /// The session that a field of an input names.
    session: Session => SessionId,
    /// The notice that a field of an input names.
    notice: Notice => Uuid,
    /// The identity that a field of an input names.
    identity: Identity => IdentityId,
}

impl From<GlobalId> for ID {
    fn from(id: GlobalId) -> Self {
        Self(id.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_comes_back_and_a_broken_one_does_not() {
        let id = GlobalId::Generation(GenerationId(Uuid::from_u128(7)));
        assert_eq!(GlobalId::parse(&id.text()), Some(id));
        for broken in
            ["", "gen_", "gen_7", "xyz_00000000000000000000000000000007", "gen_0000000000000000000000000000000G"]
        {
            assert_eq!(GlobalId::parse(broken), None, "{broken}");
        }
        assert_eq!(GlobalId::parse(&id.text().to_uppercase()), None);
    }
}
