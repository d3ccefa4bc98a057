//! The painting surface: a frame in units, layers painted row by row, and the finish that turns them into 8-bit pixels.

use super::noise::lerp;
use super::palette::Colour;

/// The picture's size. One unit is its shorter side, so that a composition does not depend on the number of pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Pixels in one unit.
    pub(crate) unit: f32,
    /// The right edge, in units.
    pub(crate) right: f32,
    /// The bottom edge, in units.
    pub(crate) bottom: f32,
}

impl Frame {
    pub(crate) fn new(width: u32, height: u32) -> Self {
        let unit = width.min(height) as f32;
        Self {
            width: width as usize,
            height: height as usize,
            unit,
            right: width as f32 / unit,
            bottom: height as f32 / unit,
        }
    }

    /// The centre of a column or row of pixels, in units.
    #[inline]
    pub(crate) fn at(&self, pixel: usize) -> f32 {
        (pixel as f32 + 0.5) / self.unit
    }

    /// The columns whose pixels a span in units may touch.
    #[inline]
    pub(crate) fn columns(&self, from: f32, to: f32) -> std::ops::Range<usize> {
        let start = (from * self.unit - 1.0).max(0.0) as usize;
        let end = (to * self.unit + 2.0).max(0.0) as usize;
        start.min(self.width)..end.min(self.width)
    }

    /// How much of a pixel lies inside an edge, from the distance to it in units (positive inside).
    #[inline]
    pub(crate) fn cover(&self, inside: f32) -> f32 {
        (inside * self.unit + 0.5).clamp(0.0, 1.0)
    }
}

/// One thing in a picture, painted over what is there, a row at a time.
pub(crate) trait Layer: Send {
    /// Paints the row whose centre is at `y` units.
    fn paint(&self, frame: &Frame, y: f32, row: &mut [Colour]);
}

/// The layers of a picture, from back to front.
pub(crate) type Layers = Vec<Box<dyn Layer>>;

/// How the whole is developed; each model has its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finish {
    pub(crate) saturation: f32,
    pub(crate) contrast: f32,
    /// Positive is warmer.
    pub(crate) warmth: f32,
    /// How much darker the corners are.
    pub(crate) vignette: f32,
}

/// Paints all layers and develops them into RGB bytes.
pub(crate) fn develop(frame: &Frame, layers: &Layers, finish: &Finish) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(frame.width * frame.height * 3);
    let mut row = vec![Colour::BLACK; frame.width];
    for line in 0..frame.height {
        row.fill(Colour::BLACK);
        let y = frame.at(line);
        for layer in layers {
            layer.paint(frame, y, &mut row);
        }
        let dy = y / frame.bottom * 2.0 - 1.0;
        for (column, colour) in row.iter().enumerate() {
            let dx = frame.at(column) / frame.right * 2.0 - 1.0;
            let corner = (dx * dx + dy * dy) * 0.5;
            let colour = graded(*colour, finish, 1.0 - finish.vignette * corner * corner);
            let threshold = bayer(column as u32, line as u32);
            for channel in [colour.r, colour.g, colour.b] {
                // The cast saturates, so out-of-range light ends at 0 or 255.
                pixels.push((channel * 255.0 + threshold) as u8);
            }
        }
    }
    pixels
}

#[inline]
fn graded(colour: Colour, finish: &Finish, shade: f32) -> Colour {
    let c = colour.saturate(finish.saturation);
    let one = |v: f32, tint: f32| {
        let v = v.clamp(0.0, 1.0);
        // An S curve leaves black and white where they are.
        let curved = v * v * (3.0 - 2.0 * v);
        (lerp(v, curved, finish.contrast) * (1.0 + tint)) * shade
    };
    Colour { r: one(c.r, finish.warmth), g: one(c.g, 0.0), b: one(c.b, -finish.warmth) }
}

/// An 8 by 8 ordered threshold in 0..1: dithers gradients so that they do not band, and compresses better than noise.
#[inline]
fn bayer(x: u32, y: u32) -> f32 {
    let (a, b) = (x ^ y, y);
    let bits = ((a & 1) << 5) | ((b & 1) << 4) | ((a & 2) << 2) | ((b & 2) << 1) | ((a & 4) >> 1) | ((b & 4) >> 2);
    (bits as f32 + 0.5) / 64.0
}
