//! Lights of a deep night: aurora, nebulae, and a planet.

use super::chance::Chance;
use super::noise::{crest1, fbm2, lerp, noise1, noise2, smoothstep};
use super::paint::{Frame, Layer};
use super::palette::Colour;

struct Curtain {
    base: Vec<f32>,
    /// Where the folds of the curtain are dense, per column.
    folds: Vec<f32>,
    height: f32,
    strength: f32,
}

/// Curtains of northern light: a sharp lower hem, rays fading upward.
pub(crate) struct Aurora {
    curtains: Vec<Curtain>,
    hem: Colour,
    middle: Colour,
    crown: Colour,
}

impl Aurora {
    /// `colours` from the hem upward.
    pub(crate) fn new(frame: &Frame, chance: &mut Chance, level: f32, colours: [Colour; 3]) -> Self {
        let curtains = (0..3)
            .map(|k| {
                let (path, rays) = (chance.seed(), chance.seed());
                let (offset, wide) = (chance.between(0.0, 50.0), chance.between(0.9, 1.7));
                let level = level - k as f32 * 0.11 + chance.between(-0.03, 0.03);
                let column = |i: usize| frame.at(i);
                let base = |x: f32| level - (crest1(x * wide + offset, 3, 0.42, 0.0, path) - 0.5) * 0.42;
                let folds = |x: f32| {
                    // Where the hem turns towards us the sheet is seen edge on, and brighter.
                    let turn = ((base(x + 0.02) - base(x - 0.02)) * 9.0).abs();
                    let broad = smoothstep(-0.05, 0.6, noise1(x * 1.6 + offset, rays ^ 0x77));
                    let ray = lerp(0.55, 1.0, crest1(x * 26.0 + offset, 3, 0.6, 0.0, rays));
                    broad * ray * (0.7 + turn.min(0.9))
                };
                Curtain {
                    base: (0..frame.width).map(|i| base(column(i))).collect(),
                    folds: (0..frame.width).map(|i| folds(column(i))).collect(),
                    height: chance.between(0.3, 0.46),
                    strength: [1.0, 0.7, 0.5][k],
                }
            })
            .collect();
        Self { curtains, hem: colours[0], middle: colours[1], crown: colours[2] }
    }
}

impl Layer for Aurora {
    fn paint(&self, frame: &Frame, y: f32, row: &mut [Colour]) {
        for curtain in &self.curtains {
            for (i, pixel) in row.iter_mut().enumerate() {
                let up = (curtain.base[i] - y) / curtain.height;
                if !(-0.12..1.6).contains(&up) {
                    continue;
                }
                let hem = smoothstep(-0.12, 0.05, up);
                let rise = (1.0 - up / 1.6).max(0.0);
                let light = hem * rise * rise * rise * curtain.folds[i] * curtain.strength;
                let lower = self.hem.mix(self.middle, smoothstep(0.0, 0.4, up));
                let colour = lower.mix(self.crown, smoothstep(0.3, 1.1, up));
                *pixel = pixel.screen(colour, (light * 1.5).min(0.96));
            }
        }
        // The whole sky answers a little.
        let low = self.curtains[0].base[frame.width / 2];
        let wash = 1.0 / (1.0 + (y - low) * (y - low) * 18.0);
        row.iter_mut().for_each(|pixel| *pixel = pixel.screen(self.middle, wash * 0.14));
    }
}

/// Clouds of lit gas, folded into each other.
pub(crate) struct Nebula {
    pub(crate) deep: Colour,
    pub(crate) gases: [Colour; 3],
    pub(crate) scale: f32,
    pub(crate) tilt: f32,
    pub(crate) seed: u32,
}

impl Layer for Nebula {
    fn paint(&self, frame: &Frame, y: f32, row: &mut [Colour]) {
        let cy = (y - frame.bottom * 0.5) * self.scale;
        for (i, pixel) in row.iter_mut().enumerate() {
            let cx = (frame.at(i) - frame.right * 0.5) * self.scale;
            let (x, y) = (cx - cy * self.tilt, cy + cx * self.tilt);
            let wx = noise2(x * 1.3, y * 1.3, self.seed) + 0.5 * noise2(x * 2.9, y * 2.9, self.seed ^ 5);
            let wy = noise2(x * 1.3 + 31.7, y * 1.3, self.seed) + 0.5 * noise2(x * 2.9, y * 2.9 + 9.1, self.seed ^ 5);
            let (px, py) = (x + wx * 1.25, y * 1.35 + wy * 1.25);
            let body = fbm2(px, py, 4, self.seed ^ 0x1234);
            // Denser along the middle, as a galaxy's plane is.
            let plane = 1.0 / (1.0 + y * y * 1.1);
            let gas = smoothstep(0.3, 0.7, body) * (0.45 + 0.55 * plane);
            if gas <= 0.0 {
                *pixel = self.deep;
                continue;
            }
            let veil = fbm2(px * 1.7 + 9.0, py * 1.7 - 4.0, 2, self.seed ^ 0x9876);
            let lane = smoothstep(0.46, 0.7, veil) * 0.62;
            let hue = smoothstep(0.35, 1.25, wx).clamp(0.0, 1.0);
            let colour = self.gases[0].mix(self.gases[1], hue).mix(self.gases[2], smoothstep(0.6, 0.85, body));
            let lit = self.deep.screen(colour, gas * 1.3).screen(self.gases[2], gas * gas * gas * 0.45);
            *pixel = lit.mix(self.deep.scale(0.7), lane * gas);
        }
    }
}

/// A banded planet, lit from one side, perhaps with a ring.
pub(crate) struct Planet {
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) radius: f32,
    pub(crate) colours: [Colour; 3],
    pub(crate) air: Colour,
    pub(crate) ring: bool,
    pub(crate) seed: u32,
}

impl Planet {
    /// The ring's brightness at a point, and whether that part passes behind the planet.
    fn ring_at(&self, dx: f32, dy: f32) -> (f32, bool) {
        // Turned by a fixed angle and seen at a low one.
        let (u, v) = (dx * 0.951 + dy * 0.309, (dy * 0.951 - dx * 0.309) * 3.9);
        let r = (u * u + v * v).sqrt() / self.radius;
        let body = smoothstep(1.28, 1.34, r) * smoothstep(2.2, 2.1, r);
        let gaps = 0.45 + 0.55 * noise1(r * 17.0, self.seed ^ 0x77aa);
        let cassini = 1.0 - 0.85 * smoothstep(0.035, 0.015, (r - 1.78).abs());
        (body * gaps * cassini, v < 0.0)
    }
}

impl Layer for Planet {
    fn paint(&self, frame: &Frame, y: f32, row: &mut [Colour]) {
        let reach = self.radius * 2.3;
        let dy = y - self.y;
        if dy.abs() > reach {
            return;
        }
        for i in frame.columns(self.x - reach, self.x + reach) {
            let dx = frame.at(i) - self.x;
            let d = (dx * dx + dy * dy).sqrt();
            let (ring, behind) = if self.ring { self.ring_at(dx, dy) } else { (0.0, true) };
            let mut colour = row[i];
            let halo = ((d - self.radius) / self.radius).max(0.0);
            let lit_side = ((-dx - dy) / (d + 0.001) * 0.5 + 0.5).clamp(0.0, 1.0);
            colour = colour.screen(self.air, lit_side * 0.3 / (1.0 + halo * halo * 260.0 + halo * 14.0));
            if behind {
                colour = colour.mix(self.colours[1].mix(self.air, 0.4), ring * 0.85);
            }
            let cover = frame.cover(self.radius - d);
            if cover > 0.0 {
                let (nx, ny) = (dx / self.radius, dy / self.radius);
                let nz = (1.0 - nx * nx - ny * ny).max(0.0).sqrt();
                let across = ny * 0.951 - nx * 0.309;
                let swirl = fbm2(nx * 2.0 / (nz + 0.55), across * 5.0, 3, self.seed) - 0.5;
                let band = fbm2(0.5, across * 5.5 + swirl * 0.9, 3, self.seed ^ 3);
                let surface = self.colours[0]
                    .mix(self.colours[1], smoothstep(0.3, 0.58, band))
                    .mix(self.colours[2], smoothstep(0.6, 0.8, band));
                let sun = smoothstep(-0.22, 0.95, -nx * 0.62 - ny * 0.48 + nz * 0.62);
                let rim = (1.0 - nz) * (1.0 - nz) * sun;
                let face = surface.scale(0.05 + 1.0 * sun).screen(self.air, rim * 0.7);
                colour = colour.mix(face, cover);
            }
            if !behind {
                colour = colour.mix(self.colours[1].mix(self.air, 0.5), ring * 0.92);
            }
            row[i] = colour;
        }
    }
}
