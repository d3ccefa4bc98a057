//! Parts of a profile that are not free text: the avatar and the language.

use serde::{Deserialize, Serialize};

use crate::{AvatarId, Sealed};

/// An avatar as it is stored: squares made by us from what was uploaded (A04, C1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Avatar {
    /// A fresh id for each upload; the objects' names are made of it.
    pub avatar_id: AvatarId,
    /// The squares' media type.
    pub media_type: String,
    /// The squares' edges in pixels, ascending.
    pub sizes: Vec<u32>,
}

/// Stored texts of a profile that say the same as new ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SameTexts {
    /// The stored name, when the new one is the same.
    pub display_name: Option<Sealed>,
    /// The stored biography, when the new one is the same.
    pub bio: Option<Sealed>,
}

/// The language of mails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// German.
    De,
}

impl Language {
    /// Every language there are texts in.
    pub const ALL: [Self; 2] = [Self::En, Self::De];

    /// The ISO 639-1 code.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }
}
