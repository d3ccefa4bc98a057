//! Geometric compositions: suprematist shapes on a slant, or a board of Bauhaus tiles.

use super::chance::Chance;
use super::noise::{cos_turn, sin_turn, smoothstep};
use super::paint::{Frame, Layer};
use super::palette::{Colour, Palette};

#[derive(Debug, Clone, Copy)]
enum Form {
    /// Half width and half height.
    Bar(f32, f32),
    Disc(f32),
    /// Radius and half thickness.
    Ring(f32, f32),
    /// The half of a disc on one side of its axis.
    Half(f32),
    /// Height; isosceles.
    Wedge(f32),
}

impl Form {
    /// The distance inside the edge, negative outside.
    #[inline]
    fn inside(self, u: f32, v: f32) -> f32 {
        match self {
            Self::Bar(w, h) => (w - u.abs()).min(h - v.abs()),
            Self::Disc(r) => r - (u * u + v * v).sqrt(),
            Self::Ring(r, thick) => thick - ((u * u + v * v).sqrt() - r).abs(),
            Self::Half(r) => (r - (u * u + v * v).sqrt()).min(v),
            // Sides slope by 1/3; dividing by the slope's length makes it a distance.
            Self::Wedge(h) => (v + h * 0.5).min(((h * 0.5 - v) * 0.333 - u.abs()) / 1.054),
        }
    }

    fn reach(self) -> f32 {
        match self {
            Self::Bar(w, h) => (w * w + h * h).sqrt(),
            Self::Disc(r) | Self::Half(r) => r,
            Self::Ring(r, thick) => r + thick,
            Self::Wedge(h) => h * 0.62,
        }
    }
}

struct Piece {
    form: Form,
    x: f32,
    y: f32,
    cos: f32,
    sin: f32,
    colour: Colour,
    /// How opaque; below 1 what lies beneath shows through.
    body: f32,
}

/// Pieces on a slanted axis around one great form.
pub(crate) struct Composition {
    ground: Colour,
    pieces: Vec<Piece>,
}

impl Composition {
    pub(crate) fn new(frame: &Frame, chance: &mut Chance, palette: &Palette) -> Self {
        let slant = chance.sign() * chance.between(0.06, 0.14);
        let (cx, cy) = (frame.right * chance.between(0.42, 0.58), frame.bottom * chance.between(0.42, 0.56));
        let dark = palette.accents.iter().copied().fold(palette.near, |a, b| if b.luma() < a.luma() { b } else { a });
        let mut inks: Vec<Colour> = palette.accents.to_vec();
        inks.retain(|ink| (ink.luma() - palette.paper.luma()).abs() > 0.12);
        let mut pieces = Vec::new();
        let mut put = |form, x, y, turn: f32, colour, body| {
            pieces.push(Piece { form, x, y, cos: cos_turn(turn), sin: sin_turn(turn), colour, body });
        };
        let (axis_x, axis_y) = (cos_turn(slant), sin_turn(slant));
        let ink = |chance: &mut Chance| if inks.is_empty() { dark } else { inks[chance.below(inks.len())] };
        // A pale wash behind, then the great form the rest answers to.
        let wash = ink(chance);
        let (wx, wy) = (cx - axis_x * 0.2, cy - axis_y * 0.2 + 0.06);
        put(Form::Disc(chance.between(0.3, 0.38)), wx, wy, 0.0, wash.mix(palette.paper, 0.72), 1.0);
        let great = ink(chance);
        match chance.below(3) {
            0 => put(Form::Disc(chance.between(0.17, 0.23)), cx, cy, 0.0, great, 1.0),
            1 => put(Form::Bar(chance.between(0.17, 0.22), 0.15), cx, cy, slant, great, 1.0),
            _ => put(Form::Half(chance.between(0.22, 0.28)), cx, cy, slant + 0.5, great, 1.0),
        }
        put(Form::Ring(chance.between(0.27, 0.33), 0.006), cx + 0.05, cy - 0.04, 0.0, dark, 0.9);
        for k in 0..7 {
            let along = chance.between(-0.46, 0.46);
            let across = chance.between(-0.3, 0.3);
            let (x, y) = (cx + axis_x * along - axis_y * across, cy + axis_y * along + axis_x * across);
            let long = chance.between(0.08, 0.3) * (1.0 - k as f32 * 0.07);
            let thick = if k < 3 { chance.between(0.02, 0.05) } else { chance.between(0.005, 0.018) };
            let turn = if chance.one_in(3) { slant + 0.25 } else { slant };
            let colour = if chance.one_in(3) { dark } else { ink(chance) };
            put(Form::Bar(long, thick), x, y, turn, colour, if k < 3 { 0.88 } else { 1.0 });
        }
        for _ in 0..5 {
            let (x, y) = (cx + chance.between(-0.42, 0.42), cy + chance.between(-0.38, 0.38));
            let form = match chance.below(4) {
                0 => Form::Wedge(chance.between(0.08, 0.2)),
                1 => Form::Half(chance.between(0.03, 0.08)),
                2 => Form::Ring(chance.between(0.03, 0.06), 0.008),
                _ => Form::Disc(chance.between(0.012, 0.05)),
            };
            let colour = if chance.one_in(3) { dark } else { ink(chance) };
            put(form, x, y, slant + chance.below(4) as f32 * 0.25, colour, 0.95);
        }
        // Two thin lines through everything.
        put(Form::Bar(0.62, 0.0022), cx, cy + 0.02, slant, dark, 1.0);
        put(Form::Bar(0.45, 0.0022), cx + 0.1, cy, slant + 0.25, dark, 1.0);
        Self { ground: palette.paper, pieces }
    }
}

impl Layer for Composition {
    fn paint(&self, frame: &Frame, y: f32, row: &mut [Colour]) {
        row.fill(self.ground);
        for piece in &self.pieces {
            let reach = piece.form.reach();
            let dy = y - piece.y;
            if dy.abs() > reach + 0.02 {
                continue;
            }
            for i in frame.columns(piece.x - reach - 0.02, piece.x + reach + 0.02) {
                let dx = frame.at(i) - piece.x;
                let at = |dx: f32, dy: f32| {
                    piece.form.inside(dx * piece.cos + dy * piece.sin, dy * piece.cos - dx * piece.sin)
                };
                // A faint shadow lifts each piece from the paper.
                let shadow = smoothstep(-0.016, 0.008, at(dx - 0.005, dy - 0.007));
                let under = row[i].scale(1.0 - 0.13 * shadow);
                row[i] = under.mix(piece.colour, frame.cover(at(dx, dy)) * piece.body);
            }
        }
    }
}

/// One tile of a board.
#[derive(Debug, Clone, Copy)]
struct Tile {
    motif: u8,
    /// Quarter turns.
    turn: u8,
    ground: Colour,
    first: Colour,
    second: Colour,
}

/// A board of tiles: quarter discs, arcs, halves, leaves.
pub(crate) struct Board {
    tiles: Vec<Tile>,
    columns: usize,
    side: f32,
}

impl Board {
    pub(crate) fn new(frame: &Frame, chance: &mut Chance, palette: &Palette) -> Self {
        let across = 4 + chance.below(4);
        let side = 1.0 / across as f32;
        let columns = (frame.right / side) as usize + 1;
        let rows = (frame.bottom / side) as usize + 1;
        let mut inks = palette.accents.to_vec();
        inks.extend([palette.paper, palette.near]);
        let tiles = (0..columns * rows)
            .map(|_| {
                let ground = chance.below(inks.len());
                let first = (ground + 1 + chance.below(inks.len() - 1)) % inks.len();
                let second = (first + 1 + chance.below(inks.len() - 1)) % inks.len();
                Tile {
                    motif: chance.below(9) as u8,
                    turn: chance.below(4) as u8,
                    ground: inks[ground],
                    first: inks[first],
                    second: inks[second],
                }
            })
            .collect();
        Self { tiles, columns, side }
    }
}

impl Tile {
    /// The tile's colour at `u, v` in 0..1; `cover` turns a distance in tiles into coverage.
    #[inline]
    fn at(&self, u: f32, v: f32, cover: impl Fn(f32) -> f32) -> Colour {
        let (u, v) = match self.turn {
            0 => (u, v),
            1 => (v, 1.0 - u),
            2 => (1.0 - u, 1.0 - v),
            _ => (1.0 - v, u),
        };
        let corner = (u * u + v * v).sqrt();
        let opposite = ((1.0 - u) * (1.0 - u) + (1.0 - v) * (1.0 - v)).sqrt();
        let centre = ((u - 0.5) * (u - 0.5) + (v - 0.5) * (v - 0.5)).sqrt();
        let on = |inside: f32, colour: Colour, under: Colour| under.mix(colour, cover(inside));
        match self.motif {
            0 => on(1.0 - corner, self.first, self.ground),
            1 => on(0.5 - corner, self.second, on(1.0 - corner, self.first, self.ground)),
            2 => on(0.5 - centre, self.first, self.ground),
            3 => on(0.22 - centre, self.second, on(0.5 - centre, self.first, self.ground)),
            4 => on((1.0 - corner).min(1.0 - opposite), self.first, self.ground),
            5 => on(u - v, self.first, self.ground),
            6 => {
                let half = ((u - 0.5) * (u - 0.5) + v * v).sqrt();
                let other = ((u - 0.5) * (u - 0.5) + (v - 1.0) * (v - 1.0)).sqrt();
                on(0.5 - other, self.second, on(0.5 - half, self.first, self.ground))
            }
            7 => {
                let stripe = (v * 5.0 - (v * 5.0).floor() - 0.5).abs();
                on((0.25 - stripe) / 5.0, self.first, self.ground)
            }
            _ => {
                let quarter = (corner * 4.0).floor();
                let ring = (corner * 4.0 - quarter - 0.5).abs();
                on(((0.25 - ring) / 4.0).min(1.0 - corner), self.first, self.ground)
            }
        }
    }
}

impl Layer for Board {
    fn paint(&self, frame: &Frame, y: f32, row: &mut [Colour]) {
        let line = (y / self.side) as usize;
        let v = y / self.side - line as f32;
        for (i, pixel) in row.iter_mut().enumerate() {
            let x = frame.at(i) / self.side;
            let column = (x as usize).min(self.columns - 1);
            let tile = &self.tiles[(line * self.columns + column).min(self.tiles.len() - 1)];
            *pixel = tile.at(x - column as f32, v, |inside| frame.cover(inside * self.side));
        }
    }
}
