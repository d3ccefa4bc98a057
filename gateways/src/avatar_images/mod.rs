//! Avatars out of uploads: the kind by the bytes, the size by the header, then one image at a time, and pixels only (sec.U3, C1).

mod cmyk;
mod colours;
mod container;
mod linear;
#[cfg(test)]
mod tests;

use std::io::Cursor;
use std::sync::Arc;

use async_trait::async_trait;
use atelier_commands::ports::{AvatarImageError, AvatarImages, AvatarSquare};
use atelier_domain::policy::account::AVATAR_EDGES;
use bytes::Bytes;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbaImage};
use tokio::sync::Semaphore;

use container::{Flaw, Kind};
use linear::{Picture, Pixels};

/// The most pixels of an upload: what good cameras make.
const MAX_PIXELS: u64 = 40_000_000;
/// The longest edge of an upload, pixels.
const MAX_EDGE: u32 = 16_384;
/// The most memory that one upload may take while it is decoded, bytes.
const MAX_MEMORY: u64 = 256 * 1024 * 1024;
/// Uploads decoded at once; memory and processors are everybody's.
const AT_ONCE: usize = 1;
/// Uploads that wait for their turn; more are told to come again.
const WAITING: usize = 16;

/// What is accepted, for whoever sent something else (C1).
const ACCEPTED: &str = "The file must be a whole JPEG, PNG, WebP, GIF, BMP or TIFF image.";

/// Reads uploads with the `image` crate, a bounded number at once.
#[derive(Clone)]
pub struct ImageSquares {
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

impl Default for ImageSquares {
    fn default() -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self { places: semaphore(AT_ONCE + WAITING), turns: semaphore(AT_ONCE) }
    }
}

#[async_trait]
impl AvatarImages for ImageSquares {
    async fn squares(&self, upload: Bytes) -> Result<Vec<AvatarSquare>, AvatarImageError> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| AvatarImageError::Busy)?;
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| AvatarImageError::Busy)?;
        let work = move || {
            // Held until the work ends, even when nobody waits for it any more.
            let _held = (place, turn);
            squares(&upload)
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|stopped| {
            // A decoder that panics has met what its authors did not think of: the file's fault, and one line for us.
            tracing::error!(%stopped, "a decoder gave up on an upload");
            Err(refused(ACCEPTED))
        })
    }
}

fn refused(why: impl Into<String>) -> AvatarImageError {
    AvatarImageError::Refused(why.into())
}

fn too_large() -> AvatarImageError {
    let megapixels = MAX_PIXELS / 1_000_000;
    refused(format!("The image may have {megapixels} megapixels, and edges of {MAX_EDGE} pixels."))
}

fn squares(bytes: &[u8]) -> Result<Vec<AvatarSquare>, AvatarImageError> {
    let (picture, orientation) = decode(bytes)?;
    let largest = picture.square(AVATAR_EDGES[AVATAR_EDGES.len() - 1]);
    drop(picture);
    // The middle square of a turned picture is the turned middle square, and a small one is turned sooner.
    let mut largest = DynamicImage::ImageRgba32F(largest);
    largest.apply_orientation(orientation);
    let largest = largest.into_rgba32f();
    AVATAR_EDGES.iter().map(|edge| encode(&linear::to_srgb(&linear::smaller(&largest, *edge)), *edge)).collect()
}

/// Decodes an upload, after its header has said that this is safe.
fn decode(bytes: &[u8]) -> Result<(Picture, Orientation), AvatarImageError> {
    let kind = container::kind(bytes).ok_or_else(|| refused(ACCEPTED))?;
    let extra = container::check(kind, bytes).map_err(|flaw| match flaw {
        Flaw::Damaged => refused(ACCEPTED),
        Flaw::Trailing => refused(format!("{ACCEPTED} Something follows the image.")),
        Flaw::Frames => refused(format!("{ACCEPTED} This one has too many frames.")),
        Flaw::Compression => refused(format!("{ACCEPTED} The compression of this one is not supported.")),
    })?;
    let format = match kind {
        Kind::Jpeg => ImageFormat::Jpeg,
        Kind::Png => ImageFormat::Png,
        Kind::WebP => ImageFormat::WebP,
        Kind::Gif => ImageFormat::Gif,
        Kind::Bmp => ImageFormat::Bmp,
        Kind::Tiff => ImageFormat::Tiff,
    };
    let mut limits = Limits::no_limits();
    (limits.max_image_width, limits.max_image_height) = (Some(MAX_EDGE), Some(MAX_EDGE));
    limits.max_alloc = Some(MAX_MEMORY);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(unreadable)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(refused(ACCEPTED));
    }
    if pixels > MAX_PIXELS || width.max(height) > MAX_EDGE || decoder.total_bytes() + pixels * extra > MAX_MEMORY {
        return Err(too_large());
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let profile = colours::profile(kind, bytes, &mut decoder);
    let picture = |pixels, to_srgb| (Picture { pixels, to_srgb, width, height }, orientation);
    if let Some(to_srgb) = profile.as_ref().filter(|_| kind == Kind::Jpeg).and_then(colours::from_cmyk)
        && let Some(cmyk) = cmyk::decode(bytes).map_err(unreadable)?
        && cmyk.len() as u64 == 4 * pixels
    {
        return Ok(picture(Pixels::Cmyk(cmyk), Some(to_srgb)));
    }
    let image = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    Ok(picture(Pixels::Rgb(image), profile.and_then(colours::from_rgb)))
}

/// What a decoder says is for nobody: it may quote the file.
fn unreadable(error: image::ImageError) -> AvatarImageError {
    match error {
        image::ImageError::Limits(_) => too_large(),
        _ => refused(ACCEPTED),
    }
}

fn encode(square: &RgbaImage, edge: u32) -> Result<AvatarSquare, AvatarImageError> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive);
    let opaque = square.pixels().all(|pixel| pixel.0[3] == u8::MAX);
    let written = if opaque {
        DynamicImage::ImageRgba8(square.clone()).to_rgb8().write_with_encoder(encoder)
    } else {
        square.write_with_encoder(encoder)
    };
    written.map_err(|error| AvatarImageError::Failed(error.to_string()))?;
    Ok(AvatarSquare { edge, bytes: bytes.into() })
}
