//! The colours: a colour, what is done with it, and the palettes pictures are painted in.

use super::noise::lerp;

/// A colour in display (gamma) space, each channel 0..1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Colour {
    pub(crate) r: f32,
    pub(crate) g: f32,
    pub(crate) b: f32,
}

impl Colour {
    pub(crate) const BLACK: Self = hex(0x00_0000);
    pub(crate) const WHITE: Self = hex(0xff_ffff);

    #[inline]
    pub(crate) fn mix(self, other: Self, t: f32) -> Self {
        Self { r: lerp(self.r, other.r, t), g: lerp(self.g, other.g, t), b: lerp(self.b, other.b, t) }
    }

    #[inline]
    pub(crate) fn scale(self, k: f32) -> Self {
        Self { r: self.r * k, g: self.g * k, b: self.b * k }
    }

    /// Adds light; never past white.
    #[inline]
    pub(crate) fn screen(self, light: Self, k: f32) -> Self {
        let one = |under: f32, over: f32| 1.0 - (1.0 - under) * (1.0 - (over * k).min(1.0));
        Self { r: one(self.r, light.r), g: one(self.g, light.g), b: one(self.b, light.b) }
    }

    #[inline]
    pub(crate) fn luma(self) -> f32 {
        0.3 * self.r + 0.59 * self.g + 0.11 * self.b
    }

    /// Away from (above 1) or towards (below 1) its own grey.
    #[inline]
    pub(crate) fn saturate(self, k: f32) -> Self {
        let grey = self.luma();
        Self { r: lerp(grey, self.r, k), g: lerp(grey, self.g, k), b: lerp(grey, self.b, k) }
    }
}

const fn hex(rgb: u32) -> Colour {
    Colour {
        r: ((rgb >> 16) & 255) as f32 / 255.0,
        g: ((rgb >> 8) & 255) as f32 / 255.0,
        b: (rgb & 255) as f32 / 255.0,
    }
}

/// One set of colours that go together.
#[derive(Debug)]
pub(crate) struct Palette {
    pub(crate) name: &'static str,
    /// From the zenith to the horizon.
    pub(crate) sky: [Colour; 4],
    /// Sun, moon, lamps.
    pub(crate) light: Colour,
    /// The most distant ridge.
    pub(crate) far: Colour,
    /// The nearest, darkest ground.
    pub(crate) near: Colour,
    /// For shapes, petals and glass.
    pub(crate) accents: [Colour; 5],
    /// A light ground for shapes.
    pub(crate) paper: Colour,
}

impl Palette {
    const fn new(name: &'static str, sky: [u32; 4], tones: [u32; 3], accents: [u32; 5], paper: u32) -> Self {
        Self {
            name,
            sky: [hex(sky[0]), hex(sky[1]), hex(sky[2]), hex(sky[3])],
            light: hex(tones[0]),
            far: hex(tones[1]),
            near: hex(tones[2]),
            accents: [hex(accents[0]), hex(accents[1]), hex(accents[2]), hex(accents[3]), hex(accents[4])],
            paper: hex(paper),
        }
    }

    /// The sky at a height: 0 the zenith, 1 the horizon. A Bezier of the four stops, so that no stop shows as a band.
    #[inline]
    pub(crate) fn sky_at(&self, t: f32) -> Colour {
        let t = t.clamp(0.0, 1.0);
        let s = 1.0 - t;
        let w = [s * s * s, 3.0 * s * s * t, 3.0 * s * t * t, t * t * t];
        let sum = |f: fn(&Colour) -> f32| (0..4).map(|i| w[i] * f(&self.sky[i])).sum::<f32>();
        Colour { r: sum(|c| c.r), g: sum(|c| c.g), b: sum(|c| c.b) }
    }

    /// Whether the horizon is dark: stars may show.
    pub(crate) fn is_dark(&self) -> bool {
        self.sky[1].luma() < 0.2
    }
}

/// Every palette, by name.
#[rustfmt::skip]
static PALETTES: [Palette; 13] = [
    Palette::new("dawn", [0x3b5b92, 0x7f8ac4, 0xf0a99a, 0xffe0bd], [0xfff3dc, 0xbf9fb8, 0x2b3050], [0xe07a5f, 0xf2cc8f, 0x81b29a, 0x3d405b, 0xf4e3d0], 0xf6efe4),
    Palette::new("sunset", [0x2b1b54, 0x7d2a6e, 0xea5a3c, 0xffc862], [0xffeeb5, 0xb84f58, 0x1a102e], [0xf94144, 0xf3722c, 0xf9c74f, 0x577590, 0x43203f], 0xfbeedd),
    Palette::new("noon", [0x2672b8, 0x5faae3, 0xa9d6f0, 0xf3f8f2], [0xfffbe6, 0x8fb9d2, 0x18403f], [0x1d6fa3, 0xf2b134, 0xed553b, 0x3caea3, 0x173f5f], 0xf7f3e8),
    Palette::new("violet", [0x1b1f4b, 0x4b3b86, 0xa96aae, 0xf6b8a6], [0xffe4d6, 0x8a70aa, 0x171334], [0x5e548e, 0x9f86c0, 0xe0b1cb, 0xf7c59f, 0x231942], 0xf3ecf4),
    Palette::new("night", [0x040818, 0x0a1836, 0x16325a, 0x3f6f8f], [0xf4f4ff, 0x24435f, 0x03060f], [0x1b4965, 0x62b6cb, 0xbee9e8, 0xffd166, 0x0b132b], 0xe8eef4),
    Palette::new("emerald", [0x0f3b3a, 0x2f7f6d, 0x9cc9a0, 0xf3f0c8], [0xfffbd8, 0x86b89c, 0x0b2622], [0x2d6a4f, 0x52b788, 0xb7e4c7, 0xe9c46a, 0x1b4332], 0xf3f1e3),
    Palette::new("teal", [0x0b3c49, 0x1f7a8c, 0xe6ab74, 0xffe2b5], [0xfff2d2, 0x5a939c, 0x07222b], [0x0a9396, 0xee9b00, 0xca6702, 0x94d2bd, 0x05303a], 0xf5efdf),
    Palette::new("rose", [0x64376a, 0xc06c90, 0xf5a6a0, 0xfde4d6], [0xfff4ec, 0xcb8aa0, 0x351a38], [0xe5446d, 0xff97b0, 0xffcad4, 0xb56576, 0x355070], 0xfdf0ee),
    Palette::new("gold", [0x5b3a1e, 0xb3752f, 0xeebc5f, 0xfdeebf], [0xfff8de, 0xc4965f, 0x2b180e], [0xc9822b, 0xf0c05a, 0x8c4a1f, 0x3e5c57, 0xf7e3b4], 0xfaf2df),
    Palette::new("ice", [0x31537a, 0x78a4ca, 0xc0dbea, 0xf6fbfd], [0xffffff, 0xa2c1d8, 0x223a57], [0x4a7fa7, 0xa9d6e5, 0x2a6f97, 0xe3eef4, 0xf4a259], 0xf2f6f8),
    Palette::new("ink", [0xb9b6ad, 0xcfcbc1, 0xe3ded3, 0xf4efe4], [0xcf4529, 0xbdb9b0, 0x1b1b1e], [0x1f1f21, 0x5a5a5c, 0xc8412f, 0x9c9a94, 0xd8d2c4], 0xf4efe4),
    Palette::new("autumn", [0x40506b, 0x9a9fa4, 0xf0c797, 0xfdecd0], [0xfff3d8, 0xb98d73, 0x361c18], [0xbc4b27, 0xe08e45, 0xf2c14e, 0x6a994e, 0x4a2c2a], 0xf8efe0),
    Palette::new("crimson", [0x22070f, 0x6d1023, 0xc63a2f, 0xf6a55c], [0xffe0a6, 0x8f2c33, 0x17060b], [0xd00000, 0xe85d04, 0xfaa307, 0x6a040f, 0x2b2d42], 0xf9ece0),
];

/// The palette of a name, else the first.
pub(crate) fn palette(name: &str) -> &'static Palette {
    PALETTES.iter().find(|palette| palette.name == name).unwrap_or(&PALETTES[0])
}
