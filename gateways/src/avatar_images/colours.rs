//! The colour profile of an upload (ICC in JPEG, PNG, WebP, GIF and TIFF; cICP, gAMA and cHRM in PNG), and the transform from it to sRGB.
//! Without a profile, or with one that cannot be read, colours are taken to be sRGB, as browsers do.

use std::io::Cursor;
use std::sync::Arc;

use image::ImageDecoder;
use moxcms::{
    Chromaticity, CicpColorPrimaries, CicpProfile, ColorPrimaries, ColorProfile, DataColorSpace, Layout,
    MatrixCoefficients, ParsingOptions, ToneReprCurve, TransferCharacteristics, Transform16BitExecutor,
    TransformOptions,
};
use png::{ScaledFloat, SourceChromaticities};

use super::container::Kind;

/// The largest profile that is read, bytes; printer profiles have about a megabyte.
const MAX_PROFILE: usize = 4 * 1024 * 1024;

/// Transforms four 16-bit channels to sRGB and alpha.
pub type ToSrgb = Arc<Transform16BitExecutor>;

/// The profile that the upload states, of whatever colour space.
pub fn profile(kind: Kind, bytes: &[u8], decoder: &mut impl ImageDecoder) -> Option<ColorProfile> {
    match kind {
        Kind::Png => png_profile(bytes),
        Kind::Jpeg | Kind::WebP | Kind::Gif | Kind::Tiff => read(&decoder.icc_profile().ok()??),
        Kind::Bmp => None,
    }
}

/// The transform of RGB pixels; `None` when the profile is for other pixels. Grey images are decoded as equal R, G and B.
pub fn from_rgb(profile: ColorProfile) -> Option<ToSrgb> {
    let profile = match profile.color_space {
        DataColorSpace::Rgb => profile,
        // On equal R, G and B one curve for all three does what the grey curve does.
        DataColorSpace::Gray => curved(ColorProfile::new_srgb(), &profile.gray_trc?),
        _ => return None,
    };
    transform(&profile)
}

/// The transform of CMYK pixels; `None` when the profile is for other pixels.
pub fn from_cmyk(profile: &ColorProfile) -> Option<ToSrgb> {
    (profile.color_space == DataColorSpace::Cmyk).then(|| transform(profile))?
}

fn transform(profile: &ColorProfile) -> Option<ToSrgb> {
    let options = TransformOptions { prefer_fixed_point: false, ..TransformOptions::default() };
    profile.create_transform_16bit(Layout::Rgba, &ColorProfile::new_srgb(), Layout::Rgba, options).ok()
}

fn read(icc: &[u8]) -> Option<ColorProfile> {
    let options = ParsingOptions { max_profile_size: MAX_PROFILE, ..ParsingOptions::default() };
    ColorProfile::new_from_slice_with_options(icc, options).ok()
}

fn curved(mut profile: ColorProfile, curve: &ToneReprCurve) -> ColorProfile {
    let curve = Some(curve.clone());
    (profile.red_trc, profile.green_trc, profile.blue_trc) = (curve.clone(), curve.clone(), curve);
    // It would take precedence over the curves.
    profile.cicp = None;
    profile
}

/// In the order of precedence of the PNG specification (third edition, 4.3).
fn png_profile(bytes: &[u8]) -> Option<ColorProfile> {
    let limits = png::Limits { bytes: 2 * MAX_PROFILE };
    let reader = png::Decoder::new_with_limits(Cursor::new(bytes), limits).read_info().ok()?;
    let info = reader.info();
    if let Some(points) = info.coding_independent_code_points {
        let mut profile = ColorProfile::new_srgb();
        let cicp = CicpProfile {
            color_primaries: CicpColorPrimaries::try_from(points.color_primaries).ok()?,
            transfer_characteristics: TransferCharacteristics::try_from(points.transfer_function).ok()?,
            matrix_coefficients: MatrixCoefficients::Identity,
            full_range: true,
        };
        profile.update_rgb_colorimetry_from_cicp(cicp);
        return Some(profile);
    }
    if let Some(profile) = info.icc_profile.as_deref().and_then(read) {
        return Some(profile);
    }
    if info.srgb.is_some() || (info.gama_chunk.is_none() && info.chrm_chunk.is_none()) {
        return None;
    }
    let mut profile = ColorProfile::new_srgb();
    if let Some(primaries) = info.chrm_chunk {
        set_primaries(&mut profile, &primaries)?;
    }
    Some(match info.gama_chunk.map(ScaledFloat::into_value) {
        // Encoding exponents outside of this range are garbage.
        Some(gamma) if (0.1..=10.0).contains(&gamma) => curved(profile, &ToneReprCurve::Parametric(vec![1.0 / gamma])),
        _ => profile,
    })
}

/// Sets white point and primaries; `None` when they span no colours.
fn set_primaries(profile: &mut ColorProfile, chunk: &SourceChromaticities) -> Option<()> {
    let point = |(x, y): (ScaledFloat, ScaledFloat)| Chromaticity::new(x.into_value(), y.into_value());
    let (white, red, green, blue) = (point(chunk.white), point(chunk.red), point(chunk.green), point(chunk.blue));
    let area = (green.x - red.x) * (blue.y - red.y) - (blue.x - red.x) * (green.y - red.y);
    if area.abs() < 0.01 || [white, red, green, blue].iter().any(|point| point.y < 0.001) {
        return None;
    }
    profile.update_rgb_colorimetry(white.to_xyyb(), ColorPrimaries { red, green, blue });
    Some(())
}
