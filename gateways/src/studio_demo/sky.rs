//! What is in a sky: the gradient, sun or moon, clouds, stars, birds.

use super::chance::Chance;
use super::noise::{fbm2, smoothstep};
use super::paint::{Frame, Layer};
use super::palette::{Colour, Palette};

/// The gradient from the zenith to the horizon, with the glow of a light in it.
pub(crate) struct Sky {
    pub(crate) palette: &'static Palette,
    /// Where the gradient ends.
    pub(crate) horizon: f32,
    pub(crate) light: Disc,
}

/// The sun or the moon.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disc {
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) radius: f32,
    pub(crate) colour: Colour,
    /// The strength of the glow around it.
    pub(crate) glow: f32,
    /// A moon: seas on its face, a firmer edge.
    pub(crate) moon: bool,
    pub(crate) seed: u32,
}

impl Disc {
    /// The light that reaches a point of the sky.
    #[inline]
    fn glow_at(&self, dx: f32, dy: f32) -> f32 {
        let near = (dx * dx + dy * dy) / (self.radius * self.radius);
        // Wide and flat along the horizon, as haze makes it.
        let wide = (dx * dx * 0.35 + dy * dy * 1.6) / (self.radius * self.radius);
        self.glow * (0.55 / (1.0 + near * 0.22) + 0.4 / (1.0 + wide * 0.035))
    }
}

impl Layer for Sky {
    fn paint(&self, frame: &Frame, y: f32, row: &mut [Colour]) {
        let base = self.palette.sky_at(y / self.horizon);
        let light = &self.light;
        let dy = y - light.y;
        for (i, pixel) in row.iter_mut().enumerate() {
            let dx = frame.at(i) - light.x;
            let glow = light.glow_at(dx, dy);
            let mut colour = base.screen(light.colour, glow * 0.62);
            if dx.abs() < light.radius * 1.1 && dy.abs() < light.radius * 1.1 {
                let inside = light.radius - (dx * dx + dy * dy).sqrt();
                let face = if light.moon {
                    let seas = fbm2(dx / light.radius * 2.2, dy / light.radius * 2.2, 3, light.seed);
                    light.colour.mix(self.palette.sky[2], smoothstep(0.5, 0.75, seas) * 0.28)
                } else {
                    light.colour.mix(Colour::WHITE, 0.25 * smoothstep(0.0, light.radius, inside))
                };
                colour = colour.mix(face, frame.cover(inside) * 0.96);
            }
            *pixel = colour;
        }
    }
}

/// Drifts of cloud, longer than high, lit from the light's side.
pub(crate) struct Clouds {
    pub(crate) lit: Colour,
    pub(crate) shade: Colour,
    pub(crate) horizon: f32,
    /// 0 none, 1 overcast.
    pub(crate) amount: f32,
    pub(crate) scale: f32,
    pub(crate) seed: u32,
}

impl Layer for Clouds {
    fn paint(&self, frame: &Frame, y: f32, row: &mut [Colour]) {
        if y > self.horizon {
            return;
        }
        let height = y / self.horizon;
        // Flatter and finer towards the horizon, where one looks along them.
        let depth = 1.25 - height * 0.85;
        let sy = y * self.scale * 2.6 / depth;
        let sx = self.scale / depth * 0.62;
        let threshold = 0.72 - self.amount * 0.34;
        let fading = smoothstep(1.0, 0.82, height) * smoothstep(-0.1, 0.25, height);
        for (i, pixel) in row.iter_mut().enumerate() {
            let x = frame.at(i) * sx;
            let body = fbm2(x, sy, 5, self.seed);
            let thick = smoothstep(threshold - 0.06, threshold + 0.24, body);
            if thick > 0.0 {
                let above = fbm2(x, sy - 0.18, 3, self.seed);
                let lit = (0.5 + (body - above) * 3.2).clamp(0.0, 1.0);
                let colour = self.shade.mix(self.lit, lit);
                *pixel = pixel.mix(colour, thick * fading * 0.78);
            }
        }
    }
}

struct Star {
    x: f32,
    y: f32,
    radius: f32,
    brightness: f32,
    tint: Colour,
}

/// Stars, and a pale band of them that cannot be told apart.
pub(crate) struct Stars {
    stars: Vec<Star>,
    floor: f32,
    tilt: f32,
    band: f32,
    seed: u32,
}

impl Stars {
    /// `band` is the strength of the milky way, `floor` where stars have faded out.
    pub(crate) fn new(frame: &Frame, chance: &mut Chance, floor: f32, band: f32) -> Self {
        let count = (420.0 * frame.right * frame.bottom) as usize;
        let finest = 0.75 / frame.unit;
        let tints = [Colour::WHITE, Colour { r: 0.74, g: 0.84, b: 1.0 }, Colour { r: 1.0, g: 0.9, b: 0.75 }];
        let stars = (0..count)
            .map(|_| {
                let rank = chance.unit();
                let size = rank * rank * rank * rank * rank * rank;
                Star {
                    x: chance.between(0.0, frame.right),
                    y: chance.between(0.0, floor),
                    radius: (0.0009 + 0.0021 * size).max(finest),
                    brightness: 0.22 + 0.35 * rank * rank + 0.6 * size,
                    tint: tints[chance.below(3)],
                }
            })
            .collect();
        Self { stars, floor, tilt: chance.sign() * chance.between(0.35, 0.9), band, seed: chance.seed() }
    }
}

impl Layer for Stars {
    fn paint(&self, frame: &Frame, y: f32, row: &mut [Colour]) {
        if y > self.floor {
            return;
        }
        let fading = smoothstep(self.floor, self.floor * 0.6, y);
        if self.band > 0.0 {
            let milk = Colour { r: 0.62, g: 0.72, b: 0.95 };
            for (i, pixel) in row.iter_mut().enumerate() {
                let x = frame.at(i);
                let across = (x - frame.right * 0.5) * self.tilt + (y - self.floor * 0.42);
                let near = 1.0 / (1.0 + across * across * 34.0);
                if near > 0.12 {
                    let cloud = fbm2(x * 3.1, y * 3.1, 4, self.seed);
                    let light = near * near * smoothstep(0.3, 0.8, cloud) * self.band * fading;
                    *pixel = pixel.screen(milk, light * 0.42);
                }
            }
        }
        for star in &self.stars {
            let dy = y - star.y;
            let reach = star.radius * 4.0;
            if dy.abs() > reach {
                continue;
            }
            for i in frame.columns(star.x - reach, star.x + reach) {
                let dx = frame.at(i) - star.x;
                let d2 = (dx * dx + dy * dy) / (star.radius * star.radius);
                let soft = (1.0 - d2 / 16.0).max(0.0);
                let light = soft * soft / (1.0 + d2 * d2);
                row[i] = row[i].screen(star.tint, light * star.brightness * fading * 1.5);
            }
        }
    }
}

/// A few birds far off, each two arcs of a wing.
pub(crate) struct Birds {
    birds: Vec<(f32, f32, f32, f32)>,
    colour: Colour,
}

impl Birds {
    pub(crate) fn new(chance: &mut Chance, x: f32, y: f32, colour: Colour) -> Self {
        let count = 3 + chance.below(5);
        let birds = (0..count)
            .map(|_| {
                let size = chance.between(0.008, 0.017);
                (x + chance.between(-0.13, 0.13), y + chance.between(-0.055, 0.055), size, chance.between(-0.3, 0.3))
            })
            .collect();
        Self { birds, colour }
    }
}

impl Layer for Birds {
    fn paint(&self, frame: &Frame, y: f32, row: &mut [Colour]) {
        for &(bx, by, size, bank) in &self.birds {
            if (y - by).abs() > size {
                continue;
            }
            for i in frame.columns(bx - size, bx + size) {
                let dx = (frame.at(i) - bx) / size;
                let t = dx.abs();
                if t < 1.0 {
                    let wing = by - size * (0.62 * t * (1.35 - t)) + dx * bank * size * 0.4;
                    let thick = size * 0.1 * (1.0 - t * t) + 0.35 / frame.unit;
                    row[i] = row[i].mix(self.colour, frame.cover(thick - (y - wing).abs()) * 0.85);
                }
            }
        }
    }
}
