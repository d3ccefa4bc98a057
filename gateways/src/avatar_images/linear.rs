//! Resizing in linear light with premultiplied alpha: averages of gamma-encoded values are too dark, and without premultiplying, the colour
//! of transparent pixels bleeds into edges.
//!
//! The upload is read row by row, so that no second image of its size is held in memory.

use std::sync::LazyLock;

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageBuffer, Rgba, RgbaImage};

use super::colours::ToSrgb;

/// An image in linear sRGB, premultiplied by alpha, channels from 0 to 1.
pub type LinearImage = ImageBuffer<Rgba<f32>, Vec<f32>>;

/// Linear value of each 16-bit sRGB value.
static LINEAR: LazyLock<Vec<f32>> = LazyLock::new(|| {
    let light = |value: u16| {
        let value = f32::from(value) / 65_535.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    (0..=u16::MAX).map(light).collect()
});

fn encoded(light: f32) -> u8 {
    let light = light.clamp(0.0, 1.0);
    let value = if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
    (value * 255.0).round() as u8
}

/// The pixels of an upload.
pub enum Pixels {
    /// As `image` decodes them.
    Rgb(DynamicImage),
    /// Interleaved, 255 is full ink.
    Cmyk(Vec<u8>),
}

/// A decoded upload, and the transform of its colours to sRGB unless they are sRGB already.
pub struct Picture {
    pub pixels: Pixels,
    pub to_srgb: Option<ToSrgb>,
    pub width: u32,
    pub height: u32,
}

impl Picture {
    /// A part of a row, linear and premultiplied.
    fn row(&self, left: u32, y: u32, length: u32) -> Vec<[f32; 4]> {
        let mut row = match &self.pixels {
            Pixels::Rgb(image) => image.crop_imm(left, y, length, 1).to_rgba16().into_raw(),
            Pixels::Cmyk(cmyk) => {
                let start = (y as usize * self.width as usize + left as usize) * 4;
                cmyk[start..start + length as usize * 4].iter().map(|value| u16::from(*value) * 257).collect()
            }
        };
        if let Some(to_srgb) = &self.to_srgb {
            let mut converted = vec![0; row.len()];
            // It fails only for slices of different lengths.
            if to_srgb.transform(&row, &mut converted).is_ok() {
                row = converted;
            }
        }
        let light = |&[red, green, blue, alpha]: &[u16; 4]| {
            let alpha = f32::from(alpha) / 65_535.0;
            let part = |value: u16| LINEAR[usize::from(value)] * alpha;
            [part(red), part(green), part(blue), alpha]
        };
        row.as_chunks().0.iter().map(light).collect()
    }

    /// The middle square at this edge.
    pub fn square(&self, edge: u32) -> LinearImage {
        let side = self.width.min(self.height);
        let (left, top) = ((self.width - side) / 2, (self.height - side) / 2);
        let row = |y| self.row(left, top + y, side);
        if side >= edge {
            return average(side, edge, row);
        }
        let whole = (0..side).flat_map(row).flatten().collect();
        let whole = LinearImage::from_raw(side, side, whole).expect("side rows of side pixels each");
        imageops::resize(&whole, edge, edge, FilterType::CatmullRom)
    }
}

/// The same square at a smaller edge, or at its own.
pub fn smaller(image: &LinearImage, edge: u32) -> LinearImage {
    if image.width() == edge {
        return image.clone();
    }
    average(image.width(), edge, |y| (0..image.width()).map(|x| image.get_pixel(x, y).0).collect())
}

/// Area average of a square of `side` pixels to one of `edge`, which is not larger.
fn average(side: u32, edge: u32, row_at: impl Fn(u32) -> Vec<[f32; 4]>) -> LinearImage {
    let overlaps: Vec<_> = (0..side).map(|at| overlap(at, side, edge)).collect();
    let mut sums = vec![[0.0_f32; 4]; edge as usize * edge as usize];
    for (y, [upper, lower]) in (0..).zip(&overlaps) {
        let mut row = vec![[0.0_f32; 4]; edge as usize];
        for (pixel, parts) in row_at(y).iter().zip(&overlaps) {
            for (x, weight) in parts {
                add(&mut row, *x, pixel, *weight);
            }
        }
        for (target, weight) in [upper, lower] {
            let Some(target) = sums.get_mut(target * edge as usize..(target + 1) * edge as usize) else { continue };
            for (x, pixel) in row.iter().enumerate() {
                add(target, x, pixel, *weight);
            }
        }
    }
    LinearImage::from_raw(edge, edge, sums.into_iter().flatten().collect()).expect("edge rows of edge pixels each")
}

/// The two target pixels that a source pixel may overlap, each with the part of the target that it covers.
fn overlap(at: u32, side: u32, edge: u32) -> [(usize, f32); 2] {
    // In units of which a source pixel has `edge` and a target pixel `side`, so that all borders are integers.
    let (start, end) = (at * edge, (at + 1) * edge);
    let first = start / side;
    let border = ((first + 1) * side).min(end);
    let part = |length: u32| length as f32 / side as f32;
    [(first as usize, part(border - start)), (first as usize + 1, part(end - border))]
}

/// Adds a weighted pixel; the target after the last one has weight 0 and does not exist.
fn add(row: &mut [[f32; 4]], x: usize, pixel: &[f32; 4], weight: f32) {
    if let Some(sum) = row.get_mut(x) {
        for (sum, value) in sum.iter_mut().zip(pixel) {
            *sum += value * weight;
        }
    }
}

/// The image in 8-bit sRGB with straight alpha.
pub fn to_srgb(image: &LinearImage) -> RgbaImage {
    RgbaImage::from_fn(image.width(), image.height(), |x, y| {
        let [red, green, blue, alpha] = image.get_pixel(x, y).0;
        if alpha <= 0.0 {
            return Rgba([0; 4]);
        }
        let alpha = alpha.min(1.0);
        Rgba([encoded(red / alpha), encoded(green / alpha), encoded(blue / alpha), (alpha * 255.0).round() as u8])
    })
}
