//! The model catalogue: names, prices and limits as the image page states them (S2). A price belongs to a version (U47, L23).

use crate::Credits;

/// The version of the price list below; raised whenever a price changes, and fixed at acceptance.
pub const PRICE_VERSION: u32 = 1;
/// Width and height when none is given, pixels (B20, S2).
pub const DEFAULT_SIDE: u32 = 1_024;
/// The least width or height, pixels.
pub const MIN_SIDE: u32 = 64;
/// The greatest width or height, pixels.
pub const MAX_SIDE: u32 = 2_048;
/// The most images of one job (S2).
pub const MAX_IMAGES: u32 = 4;

/// What a model makes (C19).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaType {
    /// Pictures.
    Image,
    /// Moving pictures.
    Video,
    /// Sound.
    Audio,
}

impl MediaType {
    /// The stored word: `image`, `video` or `audio`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
        }
    }
}

/// One model of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Model {
    /// The name requests use.
    pub id: &'static str,
    /// What it makes.
    pub media_type: MediaType,
    /// The price of one output; every image costs the full price (S2).
    pub price: Credits,
    /// How long one output usually takes, seconds.
    pub typical_seconds: u32,
}

const fn image(id: &'static str, price: i64, typical_seconds: u32) -> Model {
    Model { id, media_type: MediaType::Image, price: Credits::new(price), typical_seconds }
}

/// Every model on offer, cheapest first.
pub const MODELS: &[Model] = &[
    image("z-image-turbo", 100, 2),
    image("seedream-v4", 200, 4),
    image("artsyn-light", 240, 4),
    image("flux-2-pro", 250, 6),
    image("seedream-v4.5", 800, 8),
    image("nano-banana-pro", 800, 8),
];

/// Finds a model by its name.
#[must_use]
pub fn model(id: &str) -> Option<&'static Model> {
    MODELS.iter().find(|model| model.id == id)
}

impl Model {
    /// The price of a job of `count` outputs.
    #[must_use]
    pub fn price_of(&self, count: u32) -> Credits {
        self.price.checked_mul(count).unwrap_or(Credits::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s2_prices() {
        let price = |id| model(id).map(|m| m.price.get());
        let expected = [("z-image-turbo", 100), ("artsyn-light", 240), ("seedream-v4", 200), ("flux-2-pro", 250)];
        for (id, credits) in expected.into_iter().chain([("seedream-v4.5", 800), ("nano-banana-pro", 800)]) {
            assert_eq!(price(id), Some(credits), "{id}");
        }
        assert_eq!(price("no-such-model"), None);
        assert_eq!(MODELS[0].price_of(4), Credits::new(400));
    }
}
