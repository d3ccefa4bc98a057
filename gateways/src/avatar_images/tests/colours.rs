//! Colours stay what they were: beside a formula of its own for each kind of profile, and beside what is transparent.

use image::codecs::webp::WebPEncoder;
use image::{ImageBuffer, ImageEncoder, Luma};
use moxcms::ColorProfile;

use super::cmyk::{cmyk_jpeg, cmyk_profile};
use super::*;

/// A picture of one colour.
fn plain(colour: [u8; 3]) -> DynamicImage {
    DynamicImage::ImageRgb8(RgbImage::from_pixel(64, 64, Rgb(colour)))
}

/// A PNG with one more chunk before its data.
fn with_chunk(png: &[u8], name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    [&png[..33], &chunk(name, data), &png[33..]].concat()
}

fn png(image: &DynamicImage) -> Vec<u8> {
    encoded(image, ImageFormat::Png)
}

/// The file of each format that carries a profile; how much a lossy one may change.
fn profiled(image: &DynamicImage, icc: &[u8]) -> [(&'static str, Vec<u8>, u8); 3] {
    let (mut png, mut jpeg, mut webp) = (Vec::new(), Vec::new(), Vec::new());
    let mut encoder = PngEncoder::new(&mut png);
    encoder.set_icc_profile(icc.to_vec()).unwrap();
    image.write_with_encoder(encoder).unwrap();
    let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, 100);
    encoder.set_icc_profile(icc.to_vec()).unwrap();
    image.write_with_encoder(encoder).unwrap();
    let mut encoder = WebPEncoder::new_lossless(&mut webp);
    encoder.set_icc_profile(icc.to_vec()).unwrap();
    image.write_with_encoder(encoder).unwrap();
    [("PNG", png, 1), ("JPEG", jpeg, 3), ("WebP", webp, 1)]
}

/// The colour in the middle of the largest square.
fn shown(file: &[u8]) -> [u8; 3] {
    let squares = squares(file).unwrap();
    let image = image::load_from_memory(&squares[2].bytes).unwrap().to_rgb8();
    image.get_pixel(256, 256).0
}

#[track_caller]
fn near(seen: [u8; 3], expected: [u8; 3], tolerance: u8, what: &str) {
    let far = seen.iter().zip(expected).any(|(seen, expected)| seen.abs_diff(expected) > tolerance);
    assert!(!far, "{what}: {seen:?}, not {expected:?}");
}

/// IEC 61966-2-1.
fn to_light(value: f64) -> f64 {
    if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

fn to_value(light: f64) -> u8 {
    let light = light.clamp(0.0, 1.0);
    let value = if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
    (value * 255.0).round() as u8
}

/// Display P3's primaries in sRGB's, both under D65 (CSS Color 4, 10.2 and 10.4 multiplied).
const P3: [[f64; 3]; 3] = [
    [1.224_940_18, -0.224_940_18, 0.0],
    [-0.042_056_95, 1.042_056_95, 0.0],
    [-0.019_637_55, -0.078_636_05, 1.098_273_60],
];

fn of_p3(light: [f64; 3]) -> [u8; 3] {
    P3.map(|row| to_value(row.iter().zip(light).map(|(a, b)| a * b).sum()))
}

const COLOURS: [[u8; 3]; 7] =
    [[200, 120, 100], [60, 160, 90], [40, 60, 180], [128, 128, 128], [255, 255, 255], [0, 0, 0], [255, 0, 0]];

#[test]
fn c3_a_profile_is_applied_before_it_is_dropped() {
    let wide = ColorProfile::new_display_p3().encode().unwrap();
    // A profile whose red and green are swapped.
    let mut swapped = ColorProfile::new_srgb();
    (swapped.red_colorant, swapped.green_colorant) = (swapped.green_colorant, swapped.red_colorant);
    let swapped = swapped.encode().unwrap();
    for colour in COLOURS {
        for (format, file, tolerance) in profiled(&plain(colour), &wide) {
            let expected = of_p3(colour.map(|value| to_light(f64::from(value) / 255.0)));
            near(shown(&file), expected, tolerance, &format!("Display P3 {colour:?} as {format}"));
        }
        for (format, file, tolerance) in profiled(&plain(colour), &swapped) {
            let [red, green, blue] = colour;
            near(shown(&file), [green, red, blue], tolerance, &format!("swapped {colour:?} as {format}"));
        }
    }
}

#[test]
fn c3_a_grey_picture_follows_its_own_curve() {
    let grey = DynamicImage::ImageLuma8(ImageBuffer::from_pixel(64, 64, Luma([100])));
    let light = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
    let expected = [to_value(100.0 / 255.0); 3];
    let mut png = Vec::new();
    let mut encoder = PngEncoder::new(&mut png);
    encoder.set_icc_profile(light.clone()).unwrap();
    grey.write_with_encoder(encoder).unwrap();
    near(shown(&png), expected, 1, "a grey PNG");
    // An RGB profile applies to grey pixels too.
    let mut encoder = PngEncoder::new({
        png.clear();
        &mut png
    });
    encoder.set_icc_profile(ColorProfile::new_display_p3().encode().unwrap()).unwrap();
    grey.write_with_encoder(encoder).unwrap();
    near(shown(&png), [100; 3], 1, "grey in P3, which has the curve of sRGB");
}

#[test]
fn c3_a_png_says_its_colours_in_four_ways_and_the_first_of_them_counts() {
    let colour = [180, 90, 60];
    let plain = png(&plain(colour));
    let gamma = |gamma: u32| with_chunk(&plain, b"gAMA", &gamma.to_be_bytes());
    let as_light = colour.map(|value| to_value(f64::from(value) / 255.0));
    near(shown(&gamma(100_000)), as_light, 1, "linear");
    let power = colour.map(|value| to_value((f64::from(value) / 255.0).powf(1.8)));
    near(shown(&gamma(55_556)), power, 1, "a power of 1.8");
    let primaries = [31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000];
    let chroma = |png: &[u8]| with_chunk(png, b"cHRM", &primaries.map(u32::to_be_bytes).concat());
    near(shown(&chroma(&gamma(100_000))), of_p3(colour.map(|v| f64::from(v) / 255.0)), 1, "linear P3");
    let p3 = of_p3(colour.map(|value| to_light(f64::from(value) / 255.0)));
    near(shown(&chroma(&plain)), p3, 1, "P3 with the usual curve");
    // Primaries of Display P3, the curve of sRGB; it goes before all others.
    let points = with_chunk(&gamma(100_000), b"cICP", &[12, 13, 0, 1]);
    near(shown(&points), p3, 1, "code points");
    near(shown(&with_chunk(&gamma(100_000), b"sRGB", &[0])), colour, 1, "it says that it is sRGB");
}

#[test]
fn c3_what_is_no_profile_changes_nothing() {
    let colour = [180, 90, 60];
    let lab = ColorProfile::new_lab().encode().unwrap();
    let grey = ColorProfile::new_gray_with_gamma(2.2).encode().unwrap();
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    for icc in [b"not a profile".to_vec(), vec![0; 128], vec![0xFF; 4096], lab, p3[..p3.len() / 2].to_vec()] {
        for (format, file, tolerance) in profiled(&plain(colour), &icc) {
            near(shown(&file), colour, tolerance, format);
        }
    }
    // A grey profile on an RGB image gives some picture.
    assert!(profiled(&plain(colour), &grey).iter().all(|(_, file, _)| squares(file).is_ok()));
    let plain = png(&plain(colour));
    for (name, data) in [
        (b"gAMA", vec![0xFF; 4]),
        (b"gAMA", vec![0, 0, 0, 1]),
        (b"cHRM", vec![0; 32]),
        (b"cHRM", vec![0xFF; 32]),
        (b"cHRM", [31_270_u32, 32_900, 30_000, 30_000, 30_000, 30_000, 30_000, 30_000].map(u32::to_be_bytes).concat()),
        (b"cICP", vec![0xFF, 0xFF, 0, 1]),
        (b"cICP", vec![2, 2, 0, 1]),
    ] {
        near(shown(&with_chunk(&plain, name, &data)), colour, 1, &format!("{name:?} {data:?}"));
    }
}

#[test]
fn c3_a_profile_is_no_bomb() {
    // A name, the way it is packed, and 64 MiB of zeros in some bytes.
    let mut packed = Vec::new();
    let zeros = RgbImage::new(4096, 5461);
    DynamicImage::ImageRgb8(zeros).write_with_encoder(PngEncoder::new(&mut packed)).unwrap();
    let start = packed.windows(4).position(|name| name == b"IDAT").unwrap();
    let length = u32::from_be_bytes(packed[start - 4..start].try_into().unwrap()) as usize;
    let bomb = [b"p\0\0", &packed[start + 4..start + 4 + length]].concat();
    near(shown(&with_chunk(&png(&plain([9, 99, 199])), b"iCCP", &bomb)), [9, 99, 199], 1, "as if there were none");
}

#[test]
fn c3_sixteen_bits_are_read_as_such() {
    for values in [[0_u16, 32_768, 65_535], [257 * 200, 257 * 100 + 64, 257 * 7], [1, 2, 60_000]] {
        let image: ImageBuffer<Rgb<u16>, Vec<u16>> = ImageBuffer::from_pixel(64, 64, Rgb(values));
        let mut file = Vec::new();
        DynamicImage::ImageRgb16(image).write_with_encoder(PngEncoder::new(&mut file)).unwrap();
        near(shown(&file), values.map(|value| (f64::from(value) / 257.0).round() as u8), 1, "16 bits");
        let linear = with_chunk(&file, b"gAMA", &100_000_u32.to_be_bytes());
        near(shown(&linear), values.map(|value| to_value(f64::from(value) / 65_535.0)), 1, "16 bits, linear");
    }
}

#[test]
fn c3_averages_are_taken_in_linear_light() {
    for side in [1024, 1023, 700] {
        let board = RgbImage::from_fn(side, side, |x, y| Rgb([if (x + y) % 2 == 0 { 255 } else { 0 }; 3]));
        let squares = squares(&png(&DynamicImage::ImageRgb8(board))).unwrap();
        // Half of the light is stored as 188; the average of what is stored would be 128.
        let small = image::load_from_memory(&squares[0].bytes).unwrap().to_rgb8();
        let tolerance = if side == 1024 { 0 } else { 4 };
        assert!(
            small.pixels().all(|pixel| pixel.0[0].abs_diff(188) <= tolerance),
            "{side}: {:?}",
            small.get_pixel(9, 9)
        );
    }
}

#[test]
fn c3_what_is_transparent_has_no_colour() {
    for side in [100, 512, 777, 1024, 2000] {
        // Red stripes, and between them nothing, whose hidden colour is green.
        let striped = RgbaImage::from_fn(side, side, |x, y| {
            if (x / 3 + y / 5) % 2 == 0 { Rgba([255, 0, 0, 255]) } else { Rgba([0, 255, 0, 0]) }
        });
        for format in [ImageFormat::Png, ImageFormat::WebP] {
            let file = encoded(&DynamicImage::ImageRgba8(striped.clone()), format);
            for square in squares(&file).unwrap() {
                let image = image::load_from_memory(&square.bytes).unwrap().to_rgba8();
                let mut between = 0;
                for pixel in image.pixels() {
                    let [red, green, blue, alpha] = pixel.0;
                    between += usize::from((1..255).contains(&alpha));
                    assert!(
                        alpha == 0 || (red >= 254 && green <= 1 && blue <= 1),
                        "{side} to {}: {pixel:?}",
                        square.edge
                    );
                }
                assert!(between > 0 || side == square.edge, "{side} to {}: edges are soft", square.edge);
            }
        }
    }
}

#[test]
fn c3_a_cmyk_jpeg_follows_its_profile() {
    // In this profile full cyan is sRGB's orange.
    let profile = cmyk_profile();
    for ycck in [false, true] {
        let cyan = cmyk_jpeg([255, 0, 0, 0], ycck, Some(&profile));
        near(shown(&cyan), [255, 128, 0], 6, "cyan by the profile");
        let paper = cmyk_jpeg([0; 4], ycck, Some(&profile));
        near(shown(&paper), [255; 3], 3, "paper");
        // Without a profile inks are taken for the complements of RGB.
        near(shown(&cmyk_jpeg([255, 0, 0, 0], ycck, None)), [0, 255, 255], 6, "cyan");
        near(shown(&cmyk_jpeg([0, 0, 0, 255], ycck, None)), [0; 3], 6, "black");
    }
    // A CMYK profile on an RGB image does not apply.
    for (format, file, tolerance) in profiled(&plain([10, 200, 30]), &profile) {
        near(shown(&file), [10, 200, 30], tolerance, format);
    }
}
