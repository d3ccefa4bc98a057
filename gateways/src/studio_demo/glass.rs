//! Stained glass: cells between leads, each the colour of the picture behind its centre.

use super::chance::Chance;
use super::noise::{angle_turns, lattice, noise2, smoothstep};
use super::paint::{Frame, Layer};
use super::palette::{Colour, Palette};

/// What the window shows.
#[derive(Debug, Clone, Copy)]
enum Motif {
    /// A sun with rays over hills and water.
    Sunrise { x: f32, y: f32, rays: f32 },
    /// Rings and petals around the middle.
    Rose { petals: f32, twist: f32 },
}

struct Pane {
    x: f32,
    y: f32,
    colour: Colour,
}

/// A leaded window.
pub(crate) struct Window {
    panes: Vec<Pane>,
    columns: i32,
    rows: i32,
    side: f32,
    lead: f32,
    seed: u32,
}

impl Window {
    pub(crate) fn new(frame: &Frame, chance: &mut Chance, palette: &Palette) -> Self {
        let side = 1.0 / chance.between(13.0, 19.0);
        let motif = if chance.one_in(2) {
            let (x, y) = (frame.right * chance.between(0.3, 0.7), frame.bottom * chance.between(0.34, 0.5));
            Motif::Sunrise { x, y, rays: (7 + chance.below(6)) as f32 }
        } else {
            Motif::Rose { petals: (6 + chance.below(4) * 2) as f32, twist: chance.between(-0.5, 0.5) }
        };
        let seed = chance.seed();
        // One cell of margin on every side, so that the search never leaves the table.
        let (columns, rows) = ((frame.right / side) as i32 + 4, (frame.bottom / side) as i32 + 4);
        let mut panes = Vec::with_capacity((columns * rows) as usize);
        for j in 0..rows {
            for i in 0..columns {
                let x = (i as f32 - 1.5 + 0.12 + 0.76 * lattice(i, j, seed)) * side;
                let y = (j as f32 - 1.5 + 0.12 + 0.76 * lattice(i, j, seed ^ 0xa5a5)) * side;
                let colour = motif.colour_at(frame, palette, x, y);
                let toned = 0.8 + 0.4 * lattice(i, j, seed ^ 0x3c3c);
                let hue = palette.accents[(lattice(i, j, seed ^ 0x99) * 5.0) as usize % 5];
                panes.push(Pane { x, y, colour: colour.mix(hue, 0.13).saturate(1.15).scale(toned) });
            }
        }
        Self { panes, columns, rows, side, lead: side * 0.045, seed }
    }

    /// The nearest pane and the distance to its lead.
    #[inline]
    fn pane_at(&self, x: f32, y: f32) -> (&Pane, f32) {
        let (ci, cj) = ((x / self.side + 1.5) as i32, (y / self.side + 1.5) as i32);
        let (mut best, mut best_d, mut next, mut next_d) = (0_usize, f32::MAX, 0_usize, f32::MAX);
        for j in (cj - 1).max(0)..=(cj + 1).min(self.rows - 1) {
            for i in (ci - 1).max(0)..=(ci + 1).min(self.columns - 1) {
                let index = (j * self.columns + i) as usize;
                let pane = &self.panes[index];
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
        let (a, b) = (&self.panes[best], &self.panes[next]);
        let (gx, gy) = (a.x - b.x, a.y - b.y);
        // The exact distance to the line halfway between the two centres.
        (a, (next_d - best_d) * 0.5 / (gx * gx + gy * gy).sqrt().max(1e-6))
    }
}

impl Motif {
    fn colour_at(self, frame: &Frame, palette: &Palette, x: f32, y: f32) -> Colour {
        match self {
            Self::Sunrise { x: sx, y: sy, rays } => {
                let (dx, dy) = (x - sx, y - sy);
                let d = (dx * dx + dy * dy).sqrt();
                let hill = frame.bottom * 0.66 - 0.1 * noise2(x * 2.3, 0.0, 11) - 0.02;
                let shore = frame.bottom * 0.8 + 0.03 * noise2(x * 3.0, 4.0, 5);
                if y > shore {
                    let path = smoothstep(0.2, 0.0, dx.abs());
                    return palette.accents[0].mix(palette.sky[0], 0.55).mix(palette.light, path * 0.6);
                }
                if y > hill {
                    let near = smoothstep(hill, shore, y);
                    return palette.accents[3].mix(palette.near, 0.2 + 0.35 * near);
                }
                if d < 0.13 {
                    return palette.light.mix(palette.accents[2], 0.25);
                }
                let sky = palette.sky_at(1.0 - d * 1.05);
                let ray = angle_turns(dy, dx) * rays * 2.0;
                let bright = (ray.floor() as i32).rem_euclid(2) == 0;
                if bright { sky.mix(palette.light, 0.42 * smoothstep(0.9, 0.1, d)) } else { sky.mix(palette.sky[1], 0.3) }
            }
            Self::Rose { petals, twist } => {
                let (dx, dy) = (x - frame.right * 0.5, y - frame.bottom * 0.5);
                let d = (dx * dx + dy * dy).sqrt();
                let turn = (angle_turns(dy, dx) + d * twist) * petals;
                let petal = (turn - turn.floor() - 0.5).abs() * 2.0;
                let ring = (d * 5.4 - petal * 0.55).max(0.0);
                let band = ring as usize;
                if d < 0.055 {
                    return palette.light;
                }
                let colour = palette.accents[(band + (turn.floor() as i32).rem_euclid(2) as usize) % 5];
                let lit = colour.mix(palette.light, 0.5 * smoothstep(0.4, 0.0, d));
                lit.mix(palette.sky[0], smoothstep(0.42, 0.72, d) * 0.6)
            }
        }
    }
}

impl Layer for Window {
    fn paint(&self, frame: &Frame, y: f32, row: &mut [Colour]) {
        let lead_dark = Colour::BLACK.mix(Colour::WHITE, 0.055);
        let dy = (y / frame.bottom - 0.45) * 1.5;
        for (i, pixel) in row.iter_mut().enumerate() {
            let x = frame.at(i);
            let (pane, edge) = self.pane_at(x, y);
            let inside = edge - self.lead;
            // Streaks in the glass, bright in the middle of a pane, the daylight behind strongest in the middle.
            let streak = noise2(x * 26.0 + pane.x * 90.0, y * 8.0 + pane.y * 40.0, self.seed) - 0.5;
            let belly = smoothstep(0.0, self.side * 0.42, inside);
            let dx = (x / frame.right - 0.5) * 1.5;
            let day = 1.12 - 0.34 * (dx * dx + dy * dy);
            let mut glass = pane.colour.scale((0.8 + 0.26 * belly + 0.22 * streak) * day);
            let glint = smoothstep(self.side * 0.05, 0.0, (edge - self.lead * 2.1).abs()) * 0.1;
            glass = glass.screen(Colour::WHITE, glint.max(0.0) + belly * 0.04);
            let round = smoothstep(self.lead, 0.0, edge) * 0.16;
            let lead = lead_dark.mix(Colour::WHITE, round * (0.6 + streak));
            *pixel = lead.mix(glass, frame.cover(inside));
        }
    }
}
