//! Curves and value noise made of `+ - * /`, `sqrt` and `floor` only: IEEE 754 fixes every bit of those, and no bit of a libm's `sin`.

/// The Hermite step from 0 at `a` to 1 at `b`.
#[inline]
pub(crate) fn smoothstep(a: f32, b: f32, x: f32) -> f32 {
    let t = ((x - a) / (b - a)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

#[inline]
pub(crate) fn lerp(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// Sine of a turn (1.0 is the full circle), to about 1e-4.
#[inline]
pub(crate) fn sin_turn(turns: f32) -> f32 {
    // Folded to a quarter turn either side of zero, where an odd polynomial is accurate.
    let t = turns - (turns + 0.5).floor();
    let t = if t > 0.25 {
        0.5 - t
    } else if t < -0.25 {
        -0.5 - t
    } else {
        t
    };
    let x = t * std::f32::consts::TAU;
    let x2 = x * x;
    x * (1.0 - x2 * (1.0 / 6.0 - x2 * (1.0 / 120.0 - x2 / 5040.0)))
}

#[inline]
pub(crate) fn cos_turn(turns: f32) -> f32 {
    sin_turn(turns + 0.25)
}

/// An integer lattice point's value, in 0..1.
#[inline]
pub(crate) fn lattice(x: i32, y: i32, seed: u32) -> f32 {
    let mut h = (x as u32).wrapping_mul(0x85eb_ca6b) ^ (y as u32).wrapping_mul(0xc2b2_ae35) ^ seed;
    h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ (h >> 12)).wrapping_mul(0x297a_2d39);
    h ^= h >> 15;
    (h >> 8) as f32 / 16_777_216.0
}

#[inline]
fn fade(t: f32) -> f32 {
    t * t * t * (t * (t * 6.0 - 15.0) + 10.0)
}

/// Value noise in one dimension, 0..1.
#[inline]
pub(crate) fn noise1(x: f32, seed: u32) -> f32 {
    let cell = x.floor();
    let i = cell as i32;
    lerp(lattice(i, 0, seed), lattice(i.wrapping_add(1), 0, seed), fade(x - cell))
}

/// Value noise in two dimensions, 0..1.
#[inline]
pub(crate) fn noise2(x: f32, y: f32, seed: u32) -> f32 {
    let (cx, cy) = (x.floor(), y.floor());
    let (i, j) = (cx as i32, cy as i32);
    let (i1, j1) = (i.wrapping_add(1), j.wrapping_add(1));
    let u = fade(x - cx);
    let top = lerp(lattice(i, j, seed), lattice(i1, j, seed), u);
    let bottom = lerp(lattice(i, j1, seed), lattice(i1, j1, seed), u);
    lerp(top, bottom, fade(y - cy))
}

/// Octaves of [`noise2`], each half as strong and twice as fine, normalised to 0..1.
#[inline]
pub(crate) fn fbm2(x: f32, y: f32, octaves: u32, seed: u32) -> f32 {
    let (mut sum, mut total, mut strength, mut scale) = (0.0, 0.0, 1.0, 1.0);
    for octave in 0..octaves {
        // The shift keeps the octaves' lattices from lining up at the origin.
        let shift = octave as f32 * 17.31;
        sum += strength * noise2(x * scale + shift, y * scale - shift, seed.wrapping_add(octave));
        total += strength;
        strength *= 0.5;
        scale *= 2.03;
    }
    sum / total
}

/// Octaves of [`noise1`] with a given falloff, normalised to 0..1; `sharp` (0..1) folds the octaves into crests.
pub(crate) fn crest1(x: f32, octaves: u32, falloff: f32, sharp: f32, seed: u32) -> f32 {
    let (mut sum, mut total, mut strength, mut scale) = (0.0, 0.0, 1.0, 1.0);
    for octave in 0..octaves {
        let n = noise1(x * scale + octave as f32 * 7.7, seed.wrapping_add(octave));
        let folded = 1.0 - (2.0 * n - 1.0).abs();
        sum += strength * lerp(n, folded, sharp);
        total += strength;
        strength *= falloff;
        scale *= 2.07;
    }
    sum / total
}
