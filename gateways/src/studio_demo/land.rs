//! Ridges in mist, and pines.

use super::chance::Chance;
use super::noise::{crest1, lerp, smoothstep};
use super::paint::{Frame, Layer};
use super::palette::Colour;

/// How a ridge is shaped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// The height the crest swings about, in units from the top.
    pub(crate) level: f32,
    /// How far it swings.
    pub(crate) relief: f32,
    /// Peaks in one unit.
    pub(crate) peaks: f32,
    /// 0 rolling, 1 alpine.
    pub(crate) sharp: f32,
    /// How much each finer octave keeps, 0..1.
    pub(crate) rough: f32,
}

/// One ridge: a crest line, a body that sinks into mist.
pub(crate) struct Ridge {
    crest: Vec<f32>,
    /// The crest's rise per unit, smoothed; what makes its spurs.
    slope: Vec<f32>,
    body: Colour,
    mist: Colour,
    /// How far below the crest the mist has taken over.
    fall: f32,
    /// How much mist there is at most.
    haze: f32,
    /// How strong light and shade are; the sign is the side the light comes from.
    relief: f32,
    top: f32,
}

impl Ridge {
    pub(crate) fn new(frame: &Frame, chance: &mut Chance, shape: Shape, body: Colour, mist: Colour) -> Self {
        let seed = chance.seed();
        let offset = chance.between(0.0, 64.0);
        let crest: Vec<f32> = (0..frame.width)
            .map(|i| {
                let n = crest1(frame.at(i) * shape.peaks + offset, 8, shape.rough, shape.sharp, seed);
                shape.level - (n - 0.5) * 2.0 * shape.relief
            })
            .collect();
        let reach = (frame.unit * 0.009) as usize + 1;
        let slope = (0..crest.len())
            .map(|i| {
                let (a, b) = (i.saturating_sub(reach), (i + reach).min(crest.len() - 1));
                (crest[b] - crest[a]) / ((b - a).max(1) as f32 / frame.unit)
            })
            .collect();
        let top = crest.iter().copied().fold(f32::MAX, f32::min);
        Self { crest, slope, body, mist, fall: 0.3, haze: 0.8, relief: 0.0, top }
    }

    pub(crate) fn misty(mut self, fall: f32, haze: f32) -> Self {
        (self.fall, self.haze) = (fall, haze);
        self
    }

    pub(crate) fn lit(mut self, relief: f32) -> Self {
        self.relief = relief;
        self
    }

    /// The crest's height at an `x`, in units.
    pub(crate) fn crest_at(&self, frame: &Frame, x: f32) -> f32 {
        let i = (x * frame.unit).max(0.0) as usize;
        self.crest[i.min(self.crest.len() - 1)]
    }
}

impl Layer for Ridge {
    fn paint(&self, frame: &Frame, y: f32, row: &mut [Colour]) {
        if y < self.top - 1.0 / frame.unit {
            return;
        }
        let last = self.crest.len() as i32 - 1;
        for (i, pixel) in row.iter_mut().enumerate() {
            let depth = y - self.crest[i];
            let steep = self.slope[i];
            let cover = frame.cover(depth / (1.0 + steep * steep).sqrt());
            if cover <= 0.0 {
                continue;
            }
            let sunk = smoothstep(0.0, self.fall, depth);
            let mut colour = self.body;
            if self.relief != 0.0 {
                // Each spur runs down and aside from a feature of the crest, fading as it goes.
                let run = (depth * frame.unit * 0.7) as i32;
                let side = if self.relief > 0.0 { run } else { -run };
                let spur = self.slope[(i as i32 + side).clamp(0, last) as usize];
                let light = (spur * self.relief).clamp(-0.16, 0.2) * (1.0 - sunk * 0.7);
                colour = if light > 0.0 { colour.mix(self.mist, light * 1.6) } else { colour.scale(1.0 + light) };
            }
            *pixel = pixel.mix(colour.mix(self.mist, sunk * self.haze), cover);
        }
    }
}

struct Pine {
    x: f32,
    tip: f32,
    height: f32,
    lean: f32,
    tiers: f32,
}

/// A stand of pines along a ridge.
pub(crate) struct Pines {
    pines: Vec<Pine>,
    colour: Colour,
    mist: Colour,
}

impl Pines {
    /// `size` is a tall tree's height and the mean distance between trunks; nothing grows below `floor`.
    pub(crate) fn along(frame: &Frame, chance: &mut Chance, ridge: &Ridge, size: (f32, f32), floor: f32) -> Self {
        let (height, gap) = size;
        let mut pines = Vec::new();
        let mut x = -height * 0.2;
        let (clearing, seed) = (chance.between(1.5, 3.0), chance.seed());
        while x < frame.right + height * 0.2 {
            x += gap * chance.between(0.35, 1.65);
            let thick = crest1(x * clearing, 3, 0.5, 0.0, seed);
            let grown = height * lerp(0.35, 1.0, chance.unit()) * smoothstep(0.22, 0.62, thick).max(0.3);
            let ground = ridge.crest_at(frame, x);
            if ground > floor {
                continue;
            }
            pines.push(Pine {
                x,
                tip: ground - grown * 0.93,
                height: grown,
                lean: chance.between(-0.02, 0.02),
                tiers: 5.0 + chance.between(0.0, 4.0),
            });
        }
        Self { pines, colour: ridge.body, mist: ridge.mist.mix(ridge.body, 1.0 - ridge.haze * 0.25) }
    }
}

impl Layer for Pines {
    fn paint(&self, frame: &Frame, y: f32, row: &mut [Colour]) {
        for pine in &self.pines {
            let down = (y - pine.tip) / pine.height;
            if !(0.0..1.05).contains(&down) {
                continue;
            }
            let tier = down * pine.tiers;
            let bough = tier - tier.floor();
            let crown = 0.165 * pine.height * down * (0.55 + 0.45 * bough) + 0.0035 * pine.height;
            let half = if down > 0.94 { pine.height * 0.014 } else { crown };
            let centre = pine.x + pine.lean * pine.height * down;
            let colour = self.colour.mix(self.mist, down * 0.5);
            for i in frame.columns(centre - half, centre + half) {
                row[i] = row[i].mix(colour, frame.cover(half - (frame.at(i) - centre).abs()));
            }
        }
    }
}
