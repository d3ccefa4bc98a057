//! Stained glass: panes in rings around a heart, leads between them, daylight behind.

use super::chance::Chance;
use super::noise::{cos_turn, noise2, sin_turn, smoothstep};
use super::paint::{Frame, Layer};
use super::palette::{Colour, Palette};

/// What the window shows.
#[derive(Debug, Clone, Copy)]
enum Motif {
    /// A sun with rays over hills and water.
    Sunrise,
    /// Rings of petals around the middle.
    Rose,
}

struct Pane {
    x: f32,
    y: f32,
    colour: Colour,
}

/// A leaded window.
pub(crate) struct Window {
    panes: Vec<Pane>,
    /// Panes by square, so that the nearest are found among nine squares.
    squares: Vec<Vec<u32>>,
    columns: usize,
    rows: usize,
    side: f32,
    lead: f32,
    seed: u32,
}

/// The window's plan: where its heart is and how it is divided.
struct Plan<'a> {
    frame: &'a Frame,
    palette: &'a Palette,
    motif: Motif,
    x: f32,
    y: f32,
    /// Sectors around the heart; the same number in every ring, or its double.
    sectors: usize,
    /// The distance between two rings, in units.
    step: f32,
    shift: usize,
}

impl Window {
    pub(crate) fn new(frame: &Frame, chance: &mut Chance, palette: &Palette) -> Self {
        let sunrise = chance.one_in(2);
        let plan = Plan {
            frame,
            palette,
            motif: if sunrise { Motif::Sunrise } else { Motif::Rose },
            x: frame.right * if sunrise { chance.between(0.34, 0.66) } else { 0.5 },
            y: frame.bottom * if sunrise { chance.between(0.42, 0.54) } else { 0.5 },
            sectors: 10 + 2 * chance.below(4),
            step: chance.between(0.062, 0.082),
            shift: chance.below(5),
        };
        // A point is never farther than this from its two nearest panes' centres.
        let side = plan.step * 1.9;
        let (columns, rows) = ((frame.right / side) as usize + 3, (frame.bottom / side) as usize + 3);
        let mut window = Self {
            panes: Vec::new(),
            squares: vec![Vec::new(); columns * rows],
            columns,
            rows,
            side,
            lead: plan.step * 0.05,
            seed: chance.seed(),
        };
        plan.panes(chance).into_iter().for_each(|pane| window.put(pane));
        window
    }

    /// The square of a point; there is one square of margin on every side.
    fn square(&self, x: f32, y: f32) -> Option<(usize, usize)> {
        let (i, j) = ((x / self.side + 1.0).floor(), (y / self.side + 1.0).floor());
        (i >= 0.0 && j >= 0.0 && i < self.columns as f32 && j < self.rows as f32).then_some((i as usize, j as usize))
    }

    fn put(&mut self, pane: Pane) {
        if let Some((i, j)) = self.square(pane.x, pane.y) {
            self.squares[j * self.columns + i].push(self.panes.len() as u32);
            self.panes.push(pane);
        }
    }

    /// The nearest pane and the distance to its lead.
    #[inline]
    fn pane_at(&self, x: f32, y: f32) -> (&Pane, f32) {
        let (ci, cj) = self.square(x, y).unwrap_or((1, 1));
        let (mut best, mut best_d, mut next, mut next_d) = (0_u32, f32::MAX, 0_u32, f32::MAX);
        for j in cj.saturating_sub(1)..=(cj + 1).min(self.rows - 1) {
            for i in ci.saturating_sub(1)..=(ci + 1).min(self.columns - 1) {
                for &index in &self.squares[j * self.columns + i] {
                    let pane = &self.panes[index as usize];
                    let (dx, dy) = (pane.x - x, pane.y - y);
                    let d = dx * dx + dy * dy;
                    if d < best_d {
                        (next, next_d) = (best, best_d);
                        (best, best_d) = (index, d);
                    } else if d < next_d {
                        (next, next_d) = (index, d);
                    }
                }
            }
        }
        let (a, b) = (&self.panes[best as usize], &self.panes[next as usize]);
        let (gx, gy) = (a.x - b.x, a.y - b.y);
        // The exact distance to the line halfway between the two centres.
        (a, (next_d - best_d) * 0.5 / (gx * gx + gy * gy).sqrt().max(1e-6))
    }
}

impl Plan<'_> {
    fn panes(&self, chance: &mut Chance) -> Vec<Pane> {
        let reach = self.frame.right + self.frame.bottom;
        let rings = (reach / self.step) as usize;
        let mut panes = vec![Pane { x: self.x, y: self.y, colour: self.palette.light }];
        let mut count = self.sectors;
        for ring in 1..rings {
            let r = ring as f32 * self.step;
            // Twice as many panes once they have grown too broad.
            while r * std::f32::consts::TAU / count as f32 > self.step * 1.55 {
                count *= 2;
            }
            let half = if ring.is_multiple_of(2) { 0.0 } else { 0.5 };
            for k in 0..count {
                let turn = (k as f32 + half + chance.between(-0.06, 0.06)) / count as f32;
                let r = r + self.step * chance.between(-0.07, 0.07);
                let (x, y) = (self.x + cos_turn(turn) * r, self.y + sin_turn(turn) * r);
                let sector = (k * self.sectors * 2 + self.sectors) / count;
                let colour = match self.motif {
                    Motif::Sunrise => self.sunrise(x, y, ring, sector),
                    Motif::Rose => self.rose(ring, k),
                };
                panes.push(Pane { x, y, colour: colour.saturate(1.2).scale(chance.between(0.86, 1.12)) });
            }
        }
        panes
    }

    fn sunrise(&self, x: f32, y: f32, ring: usize, sector: usize) -> Colour {
        let palette = self.palette;
        let bottom = self.frame.bottom;
        let hill = bottom * 0.66 - 0.16 * (noise2(x * 2.1, 0.5, self.sectors as u32) - 0.3);
        let shore = bottom * 0.83;
        if y > shore {
            let path = smoothstep(0.2, 0.02, (x - self.x).abs());
            let water = palette.sky[0].mix(palette.accents[0], 0.3 + 0.15 * (ring % 2) as f32);
            return water.mix(palette.light, path * 0.75);
        }
        if y > hill {
            let near = smoothstep(hill, shore, y);
            return palette.accents[3].mix(palette.near, 0.1 + 0.5 * near);
        }
        match ring {
            0..=1 => palette.light,
            2 => palette.light.mix(palette.accents[2], 0.55),
            _ => {
                let far = ring as f32 * self.step;
                let sky = palette.sky_at(1.0 - far * 1.15);
                if sector.is_multiple_of(2) {
                    sky.mix(palette.light, 0.55 * smoothstep(0.95, 0.1, far))
                } else {
                    sky.mix(palette.sky[0], 0.3)
                }
            }
        }
    }

    fn rose(&self, ring: usize, k: usize) -> Colour {
        let palette = self.palette;
        let band = ring / 2;
        let ink = palette.accents[(band * 2 + self.shift) % 5];
        let other = palette.accents[(band * 2 + self.shift + 1) % 5];
        let petal = !ring.is_multiple_of(2) || k.is_multiple_of(2);
        let colour = if petal { ink } else { other };
        let far = ring as f32 * self.step;
        let lit = colour.mix(palette.light, 0.6 * smoothstep(0.24, 0.0, far));
        lit.mix(palette.sky[0], smoothstep(0.46, 0.62, far) * 0.75)
    }
}

impl Layer for Window {
    fn paint(&self, frame: &Frame, y: f32, row: &mut [Colour]) {
        let lead_dark = Colour::BLACK.mix(Colour::WHITE, 0.055);
        let dy = (y / frame.bottom - 0.47) * 1.5;
        for (i, pixel) in row.iter_mut().enumerate() {
            let x = frame.at(i);
            let (pane, edge) = self.pane_at(x, y);
            let inside = edge - self.lead;
            // Streaks in the glass, bright in the middle of a pane, the daylight behind strongest in the middle.
            let streak = noise2(x * 26.0 + pane.x * 90.0, y * 8.0 + pane.y * 40.0, self.seed) - 0.5;
            let belly = smoothstep(0.0, self.side * 0.2, inside);
            let dx = (x / frame.right - 0.5) * 1.5;
            let day = 1.16 - 0.36 * (dx * dx + dy * dy);
            let glass = pane.colour.scale((0.78 + 0.26 * belly + 0.2 * streak) * day);
            let glass = glass.screen(Colour::WHITE, belly * 0.05);
            let round = smoothstep(self.lead, 0.0, edge) * 0.16;
            let lead = lead_dark.mix(Colour::WHITE, round * (0.6 + streak));
            *pixel = lead.mix(glass, frame.cover(inside));
        }
    }
}
