//! Water: a lake that mirrors what stands above it, and the open sea.

use super::chance::Chance;
use super::noise::{fbm2, lerp, noise2, smoothstep};
use super::paint::{Frame, Layer, Layers};
use super::palette::{Colour, Palette};
use super::sky::Disc;

/// A lake under a scene: below its line every row is the scene's own, mirrored, rippled and tinted.
pub(crate) struct Lake {
    pub(crate) above: Layers,
    pub(crate) line: f32,
    pub(crate) tint: Colour,
    pub(crate) glint: Colour,
    pub(crate) seed: u32,
}

impl Layer for Lake {
    fn paint(&self, frame: &Frame, y: f32, row: &mut [Colour]) {
        if y < self.line {
            self.above.iter().for_each(|layer| layer.paint(frame, y, row));
            return;
        }
        let depth = y - self.line;
        let far = depth / (frame.bottom - self.line);
        // Whole rows shift up and down a little: long swells seen from the side.
        let swell = (noise2(0.5, far.sqrt() * 60.0, self.seed) - 0.5) * (0.004 + 0.03 * far);
        let mirrored = (self.line - depth * 1.12 - swell).clamp(0.0, self.line);
        let mut image = vec![Colour::BLACK; row.len()];
        self.above.iter().for_each(|layer| layer.paint(frame, mirrored, &mut image));
        let last = row.len() as f32 - 1.0;
        let fine = 150.0 - 105.0 * far.sqrt();
        for (i, pixel) in row.iter_mut().enumerate() {
            let x = frame.at(i);
            let ripple = noise2(x * lerp(14.0, 5.0, far), y * fine, self.seed ^ 0x51ed) - 0.5;
            let from = (i as f32 + ripple * frame.unit * (0.006 + 0.03 * far)).clamp(0.0, last);
            let (a, t) = (from as usize, from - from.floor());
            let seen = image[a].mix(image[(a + 1).min(frame.width - 1)], t);
            let tinted = seen.mix(self.tint, 0.16 + 0.3 * far);
            let glint = smoothstep(0.32, 0.5, ripple) * (0.10 + 0.10 * far);
            *pixel = tinted.screen(self.glint, glint);
        }
        let shore = smoothstep(0.012, 0.0, depth);
        row.iter_mut().for_each(|pixel| *pixel = pixel.mix(self.glint, shore * 0.22));
    }
}

/// The sea to the horizon, with the light's path on it.
pub(crate) struct Sea {
    pub(crate) palette: &'static Palette,
    pub(crate) horizon: f32,
    pub(crate) light: Disc,
    pub(crate) seed: u32,
}

impl Layer for Sea {
    fn paint(&self, frame: &Frame, y: f32, row: &mut [Colour]) {
        if y < self.horizon - 1.0 / frame.unit {
            return;
        }
        let cover = frame.cover(y - self.horizon);
        let near = ((y - self.horizon) / (frame.bottom - self.horizon)).max(0.0);
        // The eye stands above a plane: distance falls with one over the depth below the horizon.
        let distance = 1.0 / (near * 0.9 + 0.022);
        let far_colour = self.palette.sky_at(0.93).mix(self.palette.far, 0.35);
        let deep = self.palette.near.mix(self.palette.sky[0], 0.45);
        let base = far_colour.mix(deep, smoothstep(0.0, 0.85, near.sqrt()));
        let crest_colour = self.palette.sky_at(0.72);
        let spread = 0.035 + near * 0.24;
        for (i, pixel) in row.iter_mut().enumerate() {
            let dx = frame.at(i) - self.light.x;
            let (u, v) = (dx * distance, distance * 3.1);
            let long = fbm2(u * 0.55, v * 1.1, 2, self.seed);
            let short = fbm2(u * 2.1 + long * 1.5, v * 4.7, 3, self.seed ^ 0x2f6b);
            let wave = long * 0.45 + short * 0.55;
            let lit = smoothstep(0.42, 0.74, wave);
            let mut colour = base.scale(0.82 + 0.36 * long).mix(crest_colour, lit * (0.24 + 0.2 * near));
            let path = 1.0 / (1.0 + (dx / spread) * (dx / spread));
            let sparkle = smoothstep(0.66 - path * 0.25, 0.82 - path * 0.2, short);
            let glow = path * path * (0.2 + 0.85 * sparkle) * (1.0 - 0.45 * near);
            colour = colour.screen(self.light.colour, glow.min(0.95) * self.light.glow.max(0.4));
            // Foam on the nearest crests.
            let foam = smoothstep(0.68, 0.8, wave) * smoothstep(0.45, 1.0, near);
            *pixel = pixel.mix(colour.mix(self.palette.paper, foam * 0.35), cover);
        }
    }
}

/// A small boat under sail, against the light.
pub(crate) struct Sail {
    x: f32,
    foot: f32,
    size: f32,
    side: f32,
    sail: Colour,
    hull: Colour,
}

impl Sail {
    pub(crate) fn new(chance: &mut Chance, x: f32, foot: f32, sail: Colour, hull: Colour) -> Self {
        Self { x, foot, size: chance.between(0.055, 0.085), side: chance.sign(), sail, hull }
    }
}

impl Layer for Sail {
    fn paint(&self, frame: &Frame, y: f32, row: &mut [Colour]) {
        let up = (self.foot - y) / self.size;
        if !(-0.4..1.2).contains(&up) {
            return;
        }
        for i in frame.columns(self.x - self.size, self.x + self.size) {
            let x = (frame.at(i) - self.x) / self.size * self.side;
            let edge = |inside: f32| frame.cover(inside * self.size);
            // Main sail behind the mast, jib before it, a hull with a raised bow, and its image below.
            let bulge = 0.42 * (1.0 - up / 1.08) + 0.05 * (up * (1.1 - up));
            let main = edge((up - 0.14).min(x - 0.015).min(bulge - x));
            let jib = edge((up - 0.16).min(-x - 0.015).min(0.32 * (1.0 - up / 0.92) + x));
            let deck = 0.1 + 0.05 * x * x;
            let hull = edge((deck - up).min(up).min(0.42 - x.abs() - (0.12 - up).max(0.0) * 0.9));
            let image = smoothstep(-0.38, 0.0, up) * edge((-up).min(0.4 - x.abs() + up * 0.25));
            row[i] = row[i].mix(self.hull, image * 0.4);
            row[i] = row[i].mix(self.sail, main).mix(self.sail.scale(0.9), jib).mix(self.hull, hull);
        }
    }
}
