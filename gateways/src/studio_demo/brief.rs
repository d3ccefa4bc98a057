//! From a request to what will be drawn: the kind of picture, its palette and its finish.

use super::chance::{Chance, fnv1a};
use super::paint::Finish;
use super::palette::{Palette, palette};

/// The kinds of picture the demo model draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Mountains,
    Sea,
    Night,
    Cosmos,
    City,
    Flower,
    Paper,
    Shapes,
    Glass,
}

/// Kinds for a prompt that names none, and the palettes each looks best in.
const KINDS: [(Kind, &[&str]); 9] = [
    (Kind::Mountains, &["dawn", "sunset", "noon", "violet", "emerald", "teal", "rose", "gold", "ice", "ink", "autumn"]),
    (Kind::Sea, &["dawn", "sunset", "noon", "violet", "teal", "rose", "gold", "crimson"]),
    (Kind::Night, &["night"]),
    (Kind::Cosmos, &["violet", "night", "sunset", "teal", "crimson"]),
    (Kind::City, &["sunset", "violet", "night", "teal", "rose", "dawn"]),
    (Kind::Flower, &["rose", "sunset", "dawn", "violet", "gold", "crimson", "ice"]),
    (Kind::Paper, &["dawn", "sunset", "teal", "rose", "emerald", "violet", "ice", "autumn", "gold", "night"]),
    (Kind::Shapes, &["sunset", "teal", "noon", "ink", "dawn", "gold", "autumn", "crimson"]),
    (Kind::Glass, &["sunset", "teal", "noon", "violet", "emerald", "crimson", "autumn"]),
];

/// Words that name a kind, and how strongly.
#[rustfmt::skip]
const KIND_WORDS: &[(&str, Kind, u32)] = &[
    ("mountain", Kind::Mountains, 3), ("hill", Kind::Mountains, 3), ("valley", Kind::Mountains, 3), ("alps", Kind::Mountains, 3),
    ("peak", Kind::Mountains, 3), ("forest", Kind::Mountains, 3), ("tree", Kind::Mountains, 2), ("wood", Kind::Mountains, 2),
    ("lake", Kind::Mountains, 3), ("landscape", Kind::Mountains, 2), ("mist", Kind::Mountains, 1), ("river", Kind::Mountains, 2),
    ("desert", Kind::Mountains, 2), ("snow", Kind::Mountains, 1), ("fog", Kind::Mountains, 1), ("dragon", Kind::Mountains, 1),
    ("sea", Kind::Sea, 3), ("ocean", Kind::Sea, 3), ("beach", Kind::Sea, 3), ("wave", Kind::Sea, 3), ("sail", Kind::Sea, 3),
    ("boat", Kind::Sea, 3), ("ship", Kind::Sea, 2), ("coast", Kind::Sea, 3), ("island", Kind::Sea, 3), ("harbour", Kind::Sea, 3),
    ("harbor", Kind::Sea, 3), ("sunset", Kind::Sea, 1), ("sunrise", Kind::Sea, 1), ("fish", Kind::Sea, 1),
    ("night", Kind::Night, 1), ("aurora", Kind::Night, 4), ("northern", Kind::Night, 2), ("star", Kind::Night, 2),
    ("starry", Kind::Night, 3), ("moon", Kind::Night, 1), ("winter", Kind::Night, 1),
    ("space", Kind::Cosmos, 3), ("galaxy", Kind::Cosmos, 4), ("planet", Kind::Cosmos, 4), ("nebula", Kind::Cosmos, 4),
    ("cosmos", Kind::Cosmos, 4), ("cosmic", Kind::Cosmos, 3), ("universe", Kind::Cosmos, 4), ("astronaut", Kind::Cosmos, 3),
    ("city", Kind::City, 3), ("skyline", Kind::City, 3), ("street", Kind::City, 2), ("tower", Kind::City, 2),
    ("cyberpunk", Kind::City, 3), ("neon", Kind::City, 2), ("town", Kind::City, 2), ("building", Kind::City, 2),
    ("flower", Kind::Flower, 3), ("bloom", Kind::Flower, 3), ("rose", Kind::Flower, 3), ("garden", Kind::Flower, 2),
    ("petal", Kind::Flower, 3), ("dahlia", Kind::Flower, 4), ("daisy", Kind::Flower, 4), ("portrait", Kind::Flower, 1),
    ("sunflower", Kind::Flower, 4), ("lotus", Kind::Flower, 4), ("tulip", Kind::Flower, 3), ("blossom", Kind::Flower, 3),
    ("abstract", Kind::Paper, 2), ("silk", Kind::Paper, 3), ("flow", Kind::Paper, 3), ("ribbon", Kind::Paper, 3),
    ("marble", Kind::Paper, 3), ("fluid", Kind::Paper, 3), ("paper", Kind::Paper, 3), ("texture", Kind::Paper, 2),
    ("geometric", Kind::Shapes, 4), ("bauhaus", Kind::Shapes, 4), ("suprematist", Kind::Shapes, 4), ("shape", Kind::Shapes, 3),
    ("pattern", Kind::Shapes, 3), ("minimal", Kind::Shapes, 2), ("logo", Kind::Shapes, 3), ("poster", Kind::Shapes, 2),
    ("mosaic", Kind::Glass, 3), ("glass", Kind::Glass, 3), ("cathedral", Kind::Glass, 4), ("mandala", Kind::Glass, 4),
];

/// Words that name a palette, and how strongly.
#[rustfmt::skip]
const PALETTE_WORDS: &[(&str, &str, u32)] = &[
    ("dawn", "dawn", 3), ("sunrise", "dawn", 3), ("morning", "dawn", 3), ("soft", "dawn", 1), ("pastel", "dawn", 2),
    ("sunset", "sunset", 3), ("evening", "sunset", 2), ("fire", "sunset", 2), ("orange", "sunset", 2), ("warm", "sunset", 1),
    ("noon", "noon", 3), ("day", "noon", 2), ("blue", "noon", 2), ("summer", "noon", 2), ("bright", "noon", 1), ("sunny", "noon", 2),
    ("violet", "violet", 3), ("purple", "violet", 3), ("dusk", "violet", 3), ("twilight", "violet", 3), ("magic", "violet", 1),
    ("lavender", "violet", 3), ("neon", "violet", 2), ("cyberpunk", "violet", 2),
    ("night", "night", 2), ("dark", "night", 1), ("midnight", "night", 3), ("moon", "night", 1), ("moonlit", "night", 3),
    ("green", "emerald", 3), ("emerald", "emerald", 3), ("jungle", "emerald", 2), ("spring", "emerald", 2), ("forest", "emerald", 1),
    ("teal", "teal", 3), ("turquoise", "teal", 3), ("tropical", "teal", 2), ("cinematic", "teal", 1),
    ("pink", "rose", 3), ("cherry", "rose", 3), ("blossom", "rose", 3), ("rose", "rose", 2), ("love", "rose", 1),
    ("gold", "gold", 3), ("golden", "gold", 3), ("yellow", "gold", 2), ("desert", "gold", 2), ("sand", "gold", 2), ("sunflower", "gold", 2),
    ("ice", "ice", 3), ("snow", "ice", 2), ("winter", "ice", 2), ("white", "ice", 1), ("fog", "ice", 1),
    ("ink", "ink", 3), ("monochrome", "ink", 3), ("autumn", "autumn", 3), ("red", "crimson", 3), ("crimson", "crimson", 3),
];

/// What will be drawn.
#[derive(Debug)]
pub(crate) struct Brief {
    pub(crate) kind: Kind,
    pub(crate) palette: &'static Palette,
    pub(crate) finish: Finish,
    pub(crate) chance: Chance,
    words: Vec<String>,
}

impl Brief {
    /// Reads a request. The words decide what they can; the hash of prompt, seed and model decides the rest.
    pub(crate) fn read(model: &str, prompt: &str, seed: u64) -> Self {
        let words: Vec<String> = prompt
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(|word| word.to_lowercase())
            .collect();
        let style = fnv1a(model.as_bytes());
        let mut chance = Chance::new(fnv1a(prompt.as_bytes()) ^ Chance::new(seed).next() ^ Chance::new(style).next());
        let kind = heaviest(&words, KIND_WORDS).unwrap_or_else(|| KINDS[chance.below(KINDS.len())].0);
        let suited = KINDS.iter().find(|(other, _)| *other == kind).map_or(KINDS[0].1, |(_, names)| *names);
        let fallback = suited[chance.below(suited.len())];
        let palette = palette(heaviest(&words, PALETTE_WORDS).unwrap_or(fallback));
        Self { kind, palette, finish: finish_of(style), chance, words }
    }

    /// Whether the prompt names any of these.
    pub(crate) fn names(&self, any: &[&str]) -> bool {
        self.words.iter().any(|word| any.iter().any(|name| is_form_of(word, name)))
    }
}

/// Every model develops its pictures a little differently.
fn finish_of(style: u64) -> Finish {
    let mut chance = Chance::new(style);
    Finish {
        saturation: chance.between(0.92, 1.14),
        contrast: chance.between(0.08, 0.32),
        warmth: chance.between(-0.018, 0.022),
        vignette: chance.between(0.1, 0.22),
    }
}

/// The singular or a simple plural.
fn is_form_of(word: &str, name: &str) -> bool {
    word.strip_prefix(name).is_some_and(|end| matches!(end, "" | "s" | "es"))
}

/// What the words weigh heaviest for; of equals, what was named first.
fn heaviest<T: Copy + PartialEq>(words: &[String], table: &[(&str, T, u32)]) -> Option<T> {
    let mut votes: Vec<(T, u32)> = Vec::new();
    for word in words {
        for (_, what, weight) in table.iter().filter(|(name, _, _)| is_form_of(word, name)) {
            match votes.iter_mut().find(|(voted, _)| voted == what) {
                Some((_, sum)) => *sum += weight,
                None => votes.push((*what, *weight)),
            }
        }
    }
    let most = votes.iter().map(|(_, sum)| *sum).max()?;
    votes.iter().find(|(_, sum)| *sum == most).map(|(what, _)| *what)
}

/// Every palette's name that a word or a kind may ask for.
#[cfg(test)]
pub(crate) fn palette_names() -> impl Iterator<Item = &'static str> {
    KINDS.iter().flat_map(|(_, names)| names.iter().copied()).chain(PALETTE_WORDS.iter().map(|(_, name, _)| *name))
}
