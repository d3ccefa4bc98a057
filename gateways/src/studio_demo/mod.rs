//! The built-in model `studio-demo`: draws a real picture from a prompt and a seed, the same bytes on every machine (U48).

mod bloom;
mod brief;
mod chance;
mod city;
mod contours;
mod geometry;
mod glass;
mod heavens;
mod land;
mod noise;
mod paint;
mod palette;
mod scene;
mod sky;
mod water;

#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use atelier_commands::ports::{Generator, RenderError, RenderRequest, Rendered};
use bytes::Bytes;
use tokio::sync::Semaphore;

use brief::Brief;
use paint::Frame;

/// The smallest side of a picture, in pixels.
pub const MIN_SIDE: u32 = 64;
/// The largest side of a picture, in pixels.
pub const MAX_SIDE: u32 = 2048;

/// The IPTC digital source type of a picture made by a model alone; the machine-readable AI mark of U33.
const DIGITAL_SOURCE_TYPE: &str = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia";

/// The demo model. Whatever model a request names, this draws it; the name only tunes the look.
#[derive(Debug, Clone)]
pub struct StudioDemo {
    turns: Arc<Semaphore>,
}

impl StudioDemo {
    /// Draws at most `at_once` pictures at a time; the rest wait their turn without holding a thread.
    #[must_use]
    pub fn new(at_once: NonZeroUsize) -> Self {
        Self { turns: Arc::new(Semaphore::new(at_once.get().min(Semaphore::MAX_PERMITS))) }
    }

    /// As many at a time as the machine has cores.
    #[must_use]
    pub fn per_core() -> Self {
        Self::new(std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }
}

#[async_trait]
impl Generator for StudioDemo {
    async fn render(&self, request: RenderRequest) -> Result<Rendered, RenderError> {
        let sides = MIN_SIDE..=MAX_SIDE;
        if !sides.contains(&request.width) || !sides.contains(&request.height) {
            return Err(RenderError::Refused("unsupported_size"));
        }
        let unavailable = |_| RenderError::Unavailable("the renderer was stopped".to_owned());
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| unavailable(()))?;
        let drawing = tokio::task::spawn_blocking(move || {
            // Held inside: a caller that stops waiting does not free a core that still draws.
            let _turn = turn;
            encode(&request, &draw(&request))
        });
        let bytes = drawing.await.map_err(|_| unavailable(()))??;
        Ok(Rendered { bytes, media_type: "image/png" })
    }
}

/// The picture's pixels, three bytes each.
fn draw(request: &RenderRequest) -> Vec<u8> {
    let frame = Frame::new(request.width, request.height);
    let mut brief = Brief::read(&request.model, &request.prompt, request.seed);
    let layers = scene::compose(&mut brief, &frame);
    paint::develop(&frame, &layers, &brief.finish)
}

/// The PNG file. It says which program drew it and that a machine did, and holds nothing of the prompt.
fn encode(request: &RenderRequest, pixels: &[u8]) -> Result<Bytes, RenderError> {
    let failed = |error: png::EncodingError| RenderError::Unavailable(format!("encoding failed: {error}"));
    let mut file = Vec::with_capacity(pixels.len() / 2);
    let mut encoder = png::Encoder::new(&mut file, request.width, request.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    encoder.add_text_chunk("Software".to_owned(), "atelier studio-demo".to_owned()).map_err(failed)?;
    encoder.add_text_chunk("Source".to_owned(), DIGITAL_SOURCE_TYPE.to_owned()).map_err(failed)?;
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(file.into())
}
