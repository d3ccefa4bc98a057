//! A flower seen from above: whorls of petals, each a little nearer and smaller than the last.

use super::chance::Chance;
use super::noise::{cos_turn, lerp, noise2, sin_turn, smoothstep};
use super::paint::{Frame, Layer};
use super::palette::{Colour, Palette};

/// The golden angle, in turns: leaves and petals grow apart by it.
const GOLDEN: f32 = 0.381_966;

struct Petal {
    x: f32,
    y: f32,
    cos: f32,
    sin: f32,
    length: f32,
    half: f32,
    tip: Colour,
    heart: Colour,
    /// How pointed: 0 round, 1 sharp.
    point: f32,
    /// 0 the outermost, 1 the innermost.
    rank: f32,
    reach: f32,
}

/// One flower.
pub(crate) struct Bloom {
    petals: Vec<Petal>,
    x: f32,
    y: f32,
    radius: f32,
    eye: f32,
    eye_colours: [Colour; 2],
    seed: u32,
}

/// Where a flower stands and how it grows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Growth {
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) radius: f32,
    pub(crate) petals: usize,
    /// From the outermost petals' tips to the innermost's.
    pub(crate) colours: [Colour; 3],
    /// The eye's share of the radius; small or none for a dahlia, large for a daisy.
    pub(crate) eye: f32,
    pub(crate) point: f32,
}

impl Bloom {
    pub(crate) fn new(chance: &mut Chance, growth: Growth, palette: &Palette) -> Self {
        let start = chance.unit();
        let count = growth.petals.max(1);
        let petals = (0..count)
            .map(|k| {
                let rank = k as f32 / count as f32;
                let turn = start + k as f32 * GOLDEN + chance.between(-0.006, 0.006);
                let (cos, sin) = (cos_turn(turn), sin_turn(turn));
                let size = lerp(1.0, growth.eye.max(0.1) + 0.06, rank.sqrt().sqrt() * rank.sqrt());
                let length = growth.radius * size * chance.between(0.93, 1.05);
                let tone = growth.colours[0].mix(growth.colours[1], smoothstep(0.0, 0.55, rank));
                let tip = tone.mix(growth.colours[2], smoothstep(0.5, 1.0, rank)).scale(chance.between(0.93, 1.06));
                Petal {
                    x: growth.x,
                    y: growth.y,
                    cos,
                    sin,
                    length,
                    half: length * lerp(0.2, 0.27, rank),
                    tip,
                    heart: tip.mix(palette.near, 0.5),
                    point: growth.point,
                    rank,
                    reach: length * 1.05,
                }
            })
            .collect();
        Self {
            petals,
            x: growth.x,
            y: growth.y,
            radius: growth.radius,
            eye: growth.radius * growth.eye,
            eye_colours: [palette.light.mix(palette.accents[1], 0.5), palette.near.mix(palette.accents[0], 0.35)],
            seed: chance.seed(),
        }
    }

    fn paint_eye(&self, frame: &Frame, y: f32, row: &mut [Colour]) {
        let dy = y - self.y;
        if self.eye <= 0.0 || dy.abs() > self.eye * 1.3 {
            return;
        }
        for i in frame.columns(self.x - self.eye * 1.3, self.x + self.eye * 1.3) {
            let dx = frame.at(i) - self.x;
            let d = (dx * dx + dy * dy).sqrt();
            let r = d / self.eye;
            let seeds = noise2(dx / self.eye * 16.0, dy / self.eye * 16.0, self.seed);
            let dome = smoothstep(1.0, 0.15, r) - 0.22 * (dx + dy) / self.eye;
            let colour = self.eye_colours[1].mix(self.eye_colours[0], (dome * 0.75 + seeds * 0.4).clamp(0.0, 1.0));
            let shade = smoothstep(1.3, 0.95, r) * 0.4;
            row[i] = row[i].scale(1.0 - shade).mix(colour, frame.cover(self.eye - d + (seeds - 0.5) * self.eye * 0.12));
        }
    }
}

impl Petal {
    /// Half the petal's width at a share of its length.
    #[inline]
    fn width_at(&self, t: f32) -> f32 {
        // Widest at three fifths; the exponents of a beta curve by square roots only.
        let body = (t * (1.0 - t * t * t)).max(0.0);
        let round = body.sqrt() * 1.42;
        let sharp = body * 2.1;
        self.half * lerp(round, sharp, self.point)
    }

    fn paint(&self, frame: &Frame, y: f32, row: &mut [Colour], seed: u32) {
        let dy = y - self.y;
        // The span of the petal's bounding parallelogram on this row.
        let (ex, ey) = (self.cos * self.length, self.sin * self.length);
        let pad = self.half * 1.3 + 0.012;
        let (top, bottom) = (ey.min(0.0) - pad, ey.max(0.0) + pad);
        if dy < top || dy > bottom {
            return;
        }
        let (left, right) = (ex.min(0.0) - pad, ex.max(0.0) + pad);
        for i in frame.columns(self.x + left, self.x + right) {
            let dx = frame.at(i) - self.x;
            let u = dx * self.cos + dy * self.sin;
            let v = dy * self.cos - dx * self.sin;
            let t = u / self.length;
            if !(-0.02..1.04).contains(&t) || v.abs() > self.half * 1.3 + 0.02 {
                continue;
            }
            let width = self.width_at(t.clamp(0.0, 1.0));
            // Near the tip the outline runs across, where the end is the nearer edge.
            let inside = (width - v.abs()).min((1.0 - t) * self.length);
            let shadow = smoothstep(-0.02, 0.0, inside) * smoothstep(0.1, 0.4, t);
            if shadow <= 0.0 {
                continue;
            }
            row[i] = row[i].scale(1.0 - 0.3 * shadow * (1.0 - self.rank * 0.3));
            let cover = frame.cover(inside);
            if cover <= 0.0 {
                continue;
            }
            let across = (v / width.max(1e-5)).clamp(-1.0, 1.0);
            let vein = noise2(across * 6.0 + self.cos * 40.0, t * 2.0 + self.sin * 40.0, seed) - 0.5;
            let crease = smoothstep(0.16, 0.0, across.abs()) * (1.0 - t);
            let cup = 1.0 - 0.2 * across * across;
            // Light falls from the upper left.
            let turned = 0.1 * across * (self.cos * 0.7 - self.sin * 0.7);
            let shade = cup + turned + vein * 0.13 - crease * 0.16;
            let lit = self.heart.mix(self.tip, smoothstep(0.12, 0.82, t)).scale(shade);
            let rim = smoothstep(self.half * 0.16, 0.0, inside) * smoothstep(0.3, 0.9, t);
            let colour = lit.screen(Colour::WHITE, rim * 0.13);
            row[i] = row[i].mix(colour, cover);
        }
    }
}

impl Layer for Bloom {
    fn paint(&self, frame: &Frame, y: f32, row: &mut [Colour]) {
        if (y - self.y).abs() > self.radius * 1.2 {
            return;
        }
        for petal in &self.petals {
            if (y - petal.y).abs() <= petal.reach + petal.half {
                petal.paint(frame, y, row, self.seed);
            }
        }
        self.paint_eye(frame, y, row);
    }
}

/// A soft ground with circles of light out of focus.
pub(crate) struct Bokeh {
    from: Colour,
    to: Colour,
    spots: Vec<(f32, f32, f32, Colour, f32)>,
}

impl Bokeh {
    pub(crate) fn new(frame: &Frame, chance: &mut Chance, from: Colour, to: Colour, lights: [Colour; 3]) -> Self {
        let spots = (0..26)
            .map(|_| {
                let (x, y) = (chance.between(-0.1, frame.right + 0.1), chance.between(-0.1, frame.bottom + 0.1));
                let size = chance.unit();
                (x, y, lerp(0.03, 0.13, size * size), lights[chance.below(3)], chance.between(0.05, 0.2))
            })
            .collect();
        Self { from, to, spots }
    }
}

impl Layer for Bokeh {
    fn paint(&self, frame: &Frame, y: f32, row: &mut [Colour]) {
        let down = y / frame.bottom;
        for (i, pixel) in row.iter_mut().enumerate() {
            let across = frame.at(i) / frame.right;
            *pixel = self.from.mix(self.to, smoothstep(0.0, 1.0, down * 0.75 + across * 0.25));
        }
        for &(sx, sy, radius, colour, strength) in &self.spots {
            let dy = y - sy;
            if dy.abs() > radius {
                continue;
            }
            for i in frame.columns(sx - radius, sx + radius) {
                let dx = frame.at(i) - sx;
                let r = (dx * dx + dy * dy).sqrt() / radius;
                // A lens draws a light out of focus as a disc with a brighter rim.
                let disc = smoothstep(1.0, 0.86, r) * (0.72 + 0.28 * r * r);
                row[i] = row[i].screen(colour, disc * strength);
            }
        }
    }
}
