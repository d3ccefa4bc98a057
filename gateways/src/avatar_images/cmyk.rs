//! CMYK pixels of JPEGs: needed to apply a CMYK profile, because `image` gives such files as RGB, converted without their profile.

use image::ImageError;
use image::error::{DecodingError, ImageFormatHint};
use image::{ImageFormat, ImageResult};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// The pixels as interleaved C, M, Y, K (255 is full ink); `None` when the JPEG is not CMYK or YCCK. The caller has checked its size.
///
/// # Errors
/// When the file cannot be decoded.
pub fn decode(jpeg: &[u8]) -> ImageResult<Option<Vec<u8>>> {
    let failed = |error| ImageError::Decoding(DecodingError::new(ImageFormatHint::Exact(ImageFormat::Jpeg), error));
    let open = |options| JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
    let options = DecoderOptions::default().set_strict_mode(false).set_max_width(usize::MAX).set_max_height(usize::MAX);
    let mut header = open(options);
    header.decode_headers().map_err(failed)?;
    let to_cmyk: fn([u8; 4]) -> [u8; 4] = match header.input_colorspace() {
        // Stored inverted, as Adobe's programs do and every decoder assumes.
        Some(ColorSpace::CMYK) => |stored| stored.map(|value| 255 - value),
        Some(ColorSpace::YCCK) => from_ycck,
        _ => return Ok(None),
    };
    let stored = header.input_colorspace().unwrap_or(ColorSpace::CMYK);
    let mut pixels = open(options.jpeg_set_out_colorspace(stored)).decode().map_err(failed)?;
    pixels.as_chunks_mut().0.iter_mut().for_each(|pixel| *pixel = to_cmyk(*pixel));
    Ok(Some(pixels))
}

/// YCbCr gives the complement of the stored (inverted) CMY, which is CMY itself (Adobe TN 5116); K is stored inverted.
fn from_ycck([y, cb, cr, k]: [u8; 4]) -> [u8; 4] {
    let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    // A cast from float to u8 saturates.
    [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb, f32::from(255 - k)]
        .map(|ink| ink.round() as u8)
}
