//! Abstract: sheets of cut paper over a warped field, or silk folds of it.

use super::noise::{fbm2, lerp, noise2, smoothstep};
use super::paint::{Frame, Layer};
use super::palette::Colour;

/// A field of folded noise, read as a height and cut into coloured sheets.
pub(crate) struct Contours {
    /// From the lowest sheet to the highest.
    pub(crate) colours: Vec<Colour>,
    pub(crate) scale: f32,
    /// How strongly the field folds into itself.
    pub(crate) warp: f32,
    /// The direction the folds run in (a unit vector) and how stretched they are along it.
    pub(crate) along: (f32, f32),
    pub(crate) stretch: f32,
    /// Fine lines of silk between the sheets' edges.
    pub(crate) silk: bool,
    pub(crate) seed: u32,
}

impl Contours {
    #[inline]
    fn height(&self, x: f32, y: f32) -> f32 {
        let (ax, ay) = self.along;
        let u = (x * ax + y * ay) * self.scale / self.stretch;
        let v = (y * ax - x * ay) * self.scale;
        let wx = noise2(u * 1.1, v * 1.1, self.seed) - 0.5;
        let wy = noise2(u * 1.1 + 19.7, v * 1.1 - 7.3, self.seed) - 0.5;
        let folded = fbm2(u + wx * self.warp, v + wy * self.warp, 3, self.seed ^ 0x7e57);
        // Spread out the middle, where noise piles up.
        ((folded - 0.5) * 1.75 + 0.5).clamp(0.0, 0.9999)
    }

    fn colour_at(&self, height: f32, light: f32, per_pixel: f32) -> Colour {
        let sheets = self.colours.len() as f32;
        let level = height * sheets;
        let sheet = level.floor();
        let inside = level - sheet;
        let here = self.colours[(sheet as usize).min(self.colours.len() - 1)];
        let below = self.colours[(sheet as usize).saturating_sub(1)];
        let mut colour = here.mix(here.scale(1.0 + light), 0.9);
        if self.silk {
            let thread = (inside * 9.0 - (inside * 9.0).floor() - 0.5).abs() * 2.0;
            colour = colour.mix(below, 0.35 * (1.0 - inside)).screen(Colour::WHITE, 0.05 * thread * thread);
        }
        // A bright cut edge, then the shadow the next sheet above throws on this one.
        let edge = (inside / (per_pixel * sheets).max(1e-6)).min(1.0);
        let rim = smoothstep(0.06, 0.0, inside);
        let shadow = smoothstep(0.62, 1.0, inside);
        colour = colour.screen(Colour::WHITE, rim * 0.16).scale(1.0 - 0.42 * shadow * shadow);
        let under = below.scale(0.58);
        if sheet > 0.0 { under.mix(colour, edge) } else { colour }
    }
}

impl Layer for Contours {
    fn paint(&self, frame: &Frame, y: f32, row: &mut [Colour]) {
        let step = 1.0 / frame.unit;
        let mut left = self.height(frame.at(0) - step, y);
        for (i, pixel) in row.iter_mut().enumerate() {
            let x = frame.at(i);
            let here = self.height(x, y);
            let below = self.height(x, y + step);
            let (dx, dy) = ((here - left) / step, (below - here) / step);
            let per_pixel = (dx * dx + dy * dy).sqrt() * step;
            let light = (-(dx * 0.6 + dy * 0.8) * 0.09).clamp(-0.22, 0.22);
            *pixel = self.colour_at(here, light, per_pixel);
            left = here;
        }
    }
}

/// The grain of heavy paper.
pub(crate) struct Grain {
    pub(crate) strength: f32,
    pub(crate) seed: u32,
}

impl Layer for Grain {
    fn paint(&self, frame: &Frame, y: f32, row: &mut [Colour]) {
        for (i, pixel) in row.iter_mut().enumerate() {
            let x = frame.at(i);
            let fibre = noise2(x * 90.0, y * 260.0, self.seed) + noise2(x * 210.0, y * 70.0, self.seed ^ 1);
            let blotch = noise2(x * 5.0, y * 5.0, self.seed ^ 2);
            *pixel = pixel.scale(1.0 + lerp(-1.0, 1.0, fibre * 0.36 + blotch * 0.28) * self.strength);
        }
    }
}
