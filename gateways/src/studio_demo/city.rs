//! A skyline at dusk: rows of buildings in haze, lit windows.

use super::chance::Chance;
use super::noise::{lattice, smoothstep};
use super::paint::{Frame, Layer};
use super::palette::Colour;

#[derive(Debug, Clone, Copy)]
enum Roof {
    Flat,
    Stepped,
    Slanted(f32),
    Spire,
}

struct Building {
    left: f32,
    right: f32,
    top: f32,
    roof: Roof,
    mast: f32,
    /// The share of lit windows.
    lit: f32,
    shade: f32,
    seed: u32,
}

/// One row of buildings.
pub(crate) struct Skyline {
    buildings: Vec<Building>,
    body: Colour,
    haze: Colour,
    lamp: Colour,
    ground: f32,
    tallest: f32,
    /// The side of a window's cell, in units.
    cell: f32,
}

impl Skyline {
    /// `depth` is 0 for the nearest row and 1 for the most distant.
    pub(crate) fn new(frame: &Frame, chance: &mut Chance, ground: f32, depth: f32, colours: [Colour; 3]) -> Self {
        let [body, haze, lamp] = colours;
        let tall = 0.30 + 0.12 * depth;
        let centre = frame.right * chance.between(0.3, 0.7);
        let mut buildings = Vec::new();
        let mut x = -0.05;
        while x < frame.right + 0.05 {
            let width = chance.between(0.045, 0.105) * (1.15 - depth * 0.5);
            let off = (x - centre) / (frame.right * 0.5);
            let hill = 0.35 + 0.65 / (1.0 + off * off * 3.0);
            let spread = chance.unit();
            let height = tall * hill * (0.35 + 0.75 * spread * spread);
            let roof = match chance.below(7) {
                0 => Roof::Stepped,
                1 => Roof::Slanted(chance.sign() * chance.between(0.25, 0.8)),
                2 if spread > 0.6 => Roof::Spire,
                _ => Roof::Flat,
            };
            let mast = if chance.one_in(4) { chance.between(0.02, 0.07) } else { 0.0 };
            let gap = if chance.one_in(6) { chance.between(0.004, 0.02) } else { -0.002 };
            let lit = chance.between(0.12, 0.55) * (1.0 - depth * 0.55);
            let (shade, seed) = (chance.between(0.0, 0.16), chance.seed());
            buildings.push(Building { left: x, right: x + width, top: ground - height, roof, mast, lit, shade, seed });
            x += width + gap;
        }
        Self { buildings, body, haze, lamp, ground, tallest: tall * 1.25 + 0.1, cell: 0.0135 - 0.004 * depth }
    }

    fn paint_building(&self, frame: &Frame, building: &Building, y: f32, row: &mut [Colour]) {
        let width = building.right - building.left;
        let middle = (building.left + building.right) * 0.5;
        let sunk = smoothstep(0.0, 1.0, (y - self.ground + self.tallest) / self.tallest);
        let wall = self.body.mix(self.haze, 0.62 * sunk * sunk + building.shade * 0.5);
        if building.mast > 0.0 && y < building.top + 0.01 && y > building.top - building.mast {
            for i in frame.columns(middle - 0.002, middle + 0.002) {
                let inside = 0.0011 + 0.2 / frame.unit - (frame.at(i) - middle).abs();
                row[i] = row[i].mix(wall, frame.cover(inside));
            }
        }
        for i in frame.columns(building.left, building.right) {
            let x = frame.at(i);
            let side = (x - building.left).min(building.right - x);
            let roof = match building.roof {
                Roof::Flat => building.top,
                Roof::Stepped if side < width * 0.14 => building.top + width * 0.42,
                Roof::Stepped if side < width * 0.28 => building.top + width * 0.18,
                Roof::Stepped => building.top,
                Roof::Slanted(rise) => building.top + (x - middle) * rise,
                Roof::Spire => building.top + (x - middle).abs() * 2.2 - width * 0.5,
            };
            let cover = frame.cover((y - roof).min(side));
            if cover <= 0.0 {
                continue;
            }
            // A wall turned to the light on one side gives each building its own edge.
            let turned = if x > middle { 0.0 } else { 0.05 };
            let mut colour = wall.mix(self.haze, turned);
            let glow = self.window_at(frame, building, x, y - building.top - 0.012, side);
            colour = colour.mix(self.lamp, glow);
            row[i] = row[i].mix(colour, cover);
        }
    }

    /// How brightly a window shines at a point of a wall.
    fn window_at(&self, frame: &Frame, building: &Building, x: f32, down: f32, side: f32) -> f32 {
        if down < 0.0 || side < self.cell * 0.5 {
            return 0.0;
        }
        let (u, v) = ((x - building.left) / self.cell, down / (self.cell * 1.25));
        let (column, floor) = (u.floor(), v.floor());
        let chance = lattice(column as i32, floor as i32, building.seed);
        // Whole floors are sometimes lit, as offices are.
        let bias = if lattice(7, floor as i32, building.seed ^ 0xabc) > 0.86 { 0.45 } else { 0.0 };
        if chance > building.lit + bias {
            return 0.0;
        }
        let across = (0.3 - (u - column - 0.5).abs()) * self.cell;
        let along = (0.27 - (v - floor - 0.5).abs()) * self.cell * 1.25;
        let strength = 0.5 + 0.5 * lattice(column as i32, floor as i32, building.seed ^ 0x55);
        frame.cover(across.min(along)) * strength
    }
}

impl Layer for Skyline {
    fn paint(&self, frame: &Frame, y: f32, row: &mut [Colour]) {
        for building in &self.buildings {
            if y > building.top - building.mast.max(0.06) {
                self.paint_building(frame, building, y, row);
            }
        }
    }
}
