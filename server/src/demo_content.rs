//! Who lives in the demo studio, and what they painted.

/// Everybody's password in the demo studio.
pub const PASSWORD: &str = "atelier-demo-1";

/// The sizes of their pictures, pixels.
pub const SIZES: [(u32, u32); 5] = [(768, 512), (512, 512), (512, 768), (640, 640), (960, 540)];

/// A creator.
pub struct Creator {
    /// The handle; the address is `<handle>@demo.example`.
    pub username: &'static str,
    /// The name shown.
    pub display_name: &'static str,
    /// The biography.
    pub bio: &'static str,
    /// What they painted: model and prompt.
    pub prompts: &'static [(&'static str, &'static str)],
}

impl Creator {
    /// The creator's address.
    #[must_use]
    pub fn email(&self) -> String {
        format!("{}@demo.example", self.username)
    }
}

/// The account to play with.
pub const DEMO: Creator = Creator {
    username: "demo",
    display_name: "Demo",
    bio: "The account to play with.",
    prompts: &[
        ("z-image-turbo", "A serene mountain landscape at sunset"),
        ("z-image-turbo", "A calm ocean at dawn"),
        ("flux-2-pro", "Northern lights over a frozen lake"),
        ("artsyn-light", "A flower made of folded paper"),
    ],
};

/// The creators whose work fills Explore.
pub const CREATORS: [Creator; 5] = [
    Creator {
        username: "marisol",
        display_name: "Marisol Vega",
        bio: "Water, weather, long horizons.",
        prompts: &[
            ("z-image-turbo", "Storm clouds parting over a teal ocean"),
            ("seedream-v4", "Quiet harbour in the blue hour"),
            ("z-image-turbo", "Moonlit sea with a silver path"),
            ("artsyn-light", "Sunrise over tidal flats, soft pastel"),
            ("flux-2-pro", "A lone sail on a golden evening sea"),
            ("z-image-turbo", "Rain over the lagoon"),
            ("seedream-v4.5", "Waves at dawn, rose and amber"),
        ],
    },
    Creator {
        username: "tomasz-k",
        display_name: "Tomasz K.",
        bio: "Mountains, mostly before breakfast.",
        prompts: &[
            ("z-image-turbo", "Misty mountain ridges at first light"),
            ("flux-2-pro", "Alpine lake mirroring a violet dawn"),
            ("z-image-turbo", "Snowy peaks under a winter moon"),
            ("seedream-v4", "Forest valley in morning fog"),
            ("artsyn-light", "Autumn hills, burnt orange and red"),
            ("nano-banana-pro", "A ridge line against a burning sunset"),
            ("z-image-turbo", "Pine forest at night under stars"),
        ],
    },
    Creator {
        username: "ines",
        display_name: "In\u{e9}s Moreau",
        bio: "Geometry with feelings.",
        prompts: &[
            ("z-image-turbo", "Abstract composition of circles and bars, red and black"),
            ("artsyn-light", "Bauhaus study in blue and ochre"),
            ("flux-2-pro", "Geometric still life, muted colours"),
            ("z-image-turbo", "Stained glass window in emerald and gold"),
            ("seedream-v4", "Silk ribbons in slow motion, abstract"),
            ("z-image-turbo", "Cut paper waves, minimal"),
            ("seedream-v4.5", "Glass mosaic of a setting sun"),
        ],
    },
    Creator {
        username: "yuki",
        display_name: "Yuki",
        bio: "Night walks.",
        prompts: &[
            ("z-image-turbo", "City skyline at night in the rain, neon"),
            ("flux-2-pro", "Aurora above a silent village"),
            ("z-image-turbo", "A galaxy in violet and teal"),
            ("nano-banana-pro", "Deep space nebula with a ringed planet"),
            ("artsyn-light", "City lights at dusk"),
            ("z-image-turbo", "Starry night over a lake"),
            ("seedream-v4", "Full moon between towers"),
        ],
    },
    Creator {
        username: "orla",
        display_name: "Orla Byrne",
        bio: "Gardens, real and otherwise.",
        prompts: &[
            ("z-image-turbo", "A dahlia in deep crimson"),
            ("artsyn-light", "Spring flowers, watercolour mood"),
            ("flux-2-pro", "A lotus opening at dawn"),
            ("z-image-turbo", "Meadow flower in golden light"),
            ("seedream-v4", "Forest clearing with morning mist"),
            ("z-image-turbo", "A white flower on a black ground"),
            ("seedream-v4.5", "Rose window of a garden chapel, stained glass"),
            ("z-image-turbo", "Emerald hills after rain"),
        ],
    },
];
