//! Uploads of every kind, and what strangers send in their place.

mod cmyk;
mod colours;
mod pages;

use image::codecs::gif::GifEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::{GenericImageView, Rgb, RgbImage, Rgba, imageops};

use super::*;

/// A picture whose four quarters differ: red, green / blue, white.
fn picture(width: u32, height: u32) -> DynamicImage {
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |x, y| match (x < width / 2, y < height / 2) {
        (true, true) => Rgb([250, 0, 0]),
        (false, true) => Rgb([0, 250, 0]),
        (true, false) => Rgb([0, 0, 250]),
        (false, false) => Rgb([250, 250, 250]),
    }))
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn jpeg(image: &DynamicImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 90)).unwrap();
    bytes
}

/// A TIFF header with an orientation, and a text where a place on earth would stand.
fn exif(orientation: u8, place: &str) -> Vec<u8> {
    let mut tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    tiff.extend([orientation, 0, 0, 0, 0, 0, 0]);
    tiff.extend(place.as_bytes());
    tiff
}

/// A JPEG with an APP1 segment after its start.
fn with_exif(jpeg: &[u8], exif: &[u8]) -> Vec<u8> {
    let segment = [b"Exif\0\0", exif].concat();
    let length = u16::try_from(segment.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xFF, 0xE1], &length, &segment, &jpeg[2..]].concat()
}

/// The colour of a place of a square, in quarters: left or right, top or bottom.
fn quarters(square: &AvatarSquare) -> [Rgba<u8>; 4] {
    let image = image::load_from_memory_with_format(&square.bytes, ImageFormat::Png).unwrap();
    assert_eq!(image.dimensions(), (square.edge, square.edge));
    let (near, far) = (square.edge / 4, square.edge * 3 / 4);
    [(near, near), (far, near), (near, far), (far, far)].map(|(x, y)| image.get_pixel(x, y))
}

fn close(a: Rgba<u8>, b: [u8; 3]) -> bool {
    a.0.iter().zip(b).all(|(a, b)| a.abs_diff(b) < 24)
}

const RED: [u8; 3] = [250, 0, 0];
const GREEN: [u8; 3] = [0, 250, 0];
const BLUE: [u8; 3] = [0, 0, 250];
const WHITE: [u8; 3] = [250, 250, 250];

fn shows(squares: &[AvatarSquare], expected: [[u8; 3]; 4]) {
    assert_eq!(squares.iter().map(|square| square.edge).collect::<Vec<_>>(), AVATAR_EDGES);
    for square in squares {
        let seen = quarters(square);
        assert!(seen.iter().zip(expected).all(|(seen, expected)| close(*seen, expected)), "{}: {seen:?}", square.edge);
    }
}

fn why(bytes: &[u8]) -> String {
    match squares(bytes) {
        Err(AvatarImageError::Refused(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn c1_every_accepted_kind_becomes_three_squares() {
    for size in [(300, 300), (40, 40), (1024, 1024)] {
        let image = picture(size.0, size.1);
        let gif = encoded(&DynamicImage::ImageRgba8(image.to_rgba8()), ImageFormat::Gif);
        let by = |format| encoded(&image, format);
        let files = [
            jpeg(&image),
            by(ImageFormat::Png),
            by(ImageFormat::WebP),
            gif,
            by(ImageFormat::Bmp),
            by(ImageFormat::Tiff),
        ];
        for (kind, file) in ["JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF"].iter().zip(files) {
            shows(&squares(&file).unwrap_or_else(|error| panic!("{kind}: {error}")), [RED, GREEN, BLUE, WHITE]);
        }
    }
}

#[test]
fn c1_the_middle_square_is_cut_out() {
    // Only the middle third has colours; the sides are black.
    let mut wide = RgbImage::new(900, 300);
    imageops::replace(&mut wide, &picture(300, 300).to_rgb8(), 300, 0);
    shows(&squares(&encoded(&DynamicImage::ImageRgb8(wide), ImageFormat::Png)).unwrap(), [RED, GREEN, BLUE, WHITE]);
    let mut tall = RgbImage::new(300, 900);
    imageops::replace(&mut tall, &picture(300, 300).to_rgb8(), 0, 300);
    shows(&squares(&encoded(&DynamicImage::ImageRgb8(tall), ImageFormat::Png)).unwrap(), [RED, GREEN, BLUE, WHITE]);
}

#[test]
fn u3_orientation_is_applied_and_metadata_is_dropped() {
    let place = "GPS 48.8584 N 2.2945 E zk-exif-canary";
    let plain = jpeg(&picture(600, 300));
    // The middle square of 600x300 holds all four colours; 6 turns it a quarter to the right, 3 upside down, 2 mirrors it.
    for (orientation, expected) in [
        (1, [RED, GREEN, BLUE, WHITE]),
        (2, [GREEN, RED, WHITE, BLUE]),
        (3, [WHITE, BLUE, GREEN, RED]),
        (6, [BLUE, RED, WHITE, GREEN]),
        (8, [GREEN, WHITE, RED, BLUE]),
    ] {
        let file = with_exif(&plain, &exif(orientation, place));
        assert!(file.windows(place.len()).any(|window| window == place.as_bytes()), "it is there to be found");
        let squares = squares(&file).unwrap();
        shows(&squares, expected);
        for square in &squares {
            for trace in ["Exif", "eXIf", "GPS", "canary", "tEXt", "iCCP"] {
                assert!(!square.bytes.windows(trace.len()).any(|window| window == trace.as_bytes()), "{trace}");
            }
        }
    }
}

#[test]
fn u3_what_is_no_image_is_refused_with_the_list_of_what_is_accepted() {
    let svg = br#"<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>"#;
    let html_first = [b"<html>".to_vec(), encoded(&picture(8, 8), ImageFormat::Png)].concat();
    for file in [&b""[..], b"x", svg, b"\xEF\xBB\xBF<?xml version=\"1.0\"?><svg/>", b"%PDF-1.7", b"BM....", &html_first]
    {
        assert!(why(file).contains("JPEG, PNG, WebP, GIF, BMP or TIFF"));
    }
}

#[test]
fn u3_polyglots_are_refused_or_lose_what_they_carry() {
    let payloads: [&[u8]; 2] = [b"<html><script>alert(1)</script></html>", b"PK\x03\x04 a zip as well PK\x05\x06"];
    let image = picture(64, 64);
    for payload in payloads {
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Bmp] {
            let image = DynamicImage::ImageRgba8(image.to_rgba8());
            assert!(why(&[&encoded(&image, format), payload].concat()).contains("follows"), "{format:?}");
        }
        // Cameras append to JPEGs; inside a comment anything may stand. Neither comes out again.
        let comment = [b"\xFF\xFE", &u16::try_from(payload.len() + 2).unwrap().to_be_bytes()[..], payload].concat();
        let plain = jpeg(&image);
        for file in [[&plain, payload].concat(), [&plain[..2], &comment, &plain[2..]].concat()] {
            for square in squares(&file).unwrap() {
                assert!(!square.bytes.windows(6).any(|window| payload.starts_with(window) || window == b"script"));
            }
        }
    }
}

/// A chunk of a PNG, its checksum right.
fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut table = [name.as_slice(), data].concat();
    let crc = table.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    });
    table.extend((!crc).to_be_bytes());
    [&u32::try_from(data.len()).unwrap().to_be_bytes(), table.as_slice()].concat()
}

/// A PNG of one bit a pixel that says it is this large, and has hardly any data.
fn claims_to_be(width: u32, height: u32) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[1, 0, 0, 0, 0]].concat();
    let nothing = [0x78, 0x01, 0x01, 0, 0, 0xFF, 0xFF, 0, 0, 0, 1];
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &header), chunk(b"IDAT", &nothing), chunk(b"IEND", &[])].concat()
}

#[test]
fn u3_the_size_is_known_from_the_header_before_anything_is_decoded() {
    for (width, height) in [(50_000, 50_000), (16_385, 1), (1, 16_385), (6_400, 6_251), (u32::MAX, u32::MAX)] {
        let why = why(&claims_to_be(width, height));
        assert!(why.contains("megapixels"), "{width}x{height}: {why}");
    }
    // No PNG has an edge of nothing.
    for (width, height) in [(0, 9), (9, 0)] {
        assert_eq!(why(&claims_to_be(width, height)), ACCEPTED, "{width}x{height}");
    }
    assert!(why(&claims_to_be(50_000, 50_000)).contains("40 megapixels"));
    assert!(why(&claims_to_be(6_400, 6_251)).contains("40 megapixels"), "40,006,400 pixels");
    assert!(!why(&claims_to_be(6_400, 6_250)).contains("megapixels"), "40,000,000 pixels are read; these have no data");
    // A progressive JPEG keeps its coefficients: what would take too much is refused by its header as well.
    let mut large = jpeg(&picture(16, 16));
    let frame = large.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
    large[frame + 1] = 0xC2;
    large[frame + 5..frame + 9].copy_from_slice(&[0x18, 0x6A, 0x18, 0x6A]);
    assert!(why(&large).contains("megapixels"), "6250x6250 in several passes");
}

#[test]
fn u3_a_gif_is_its_first_frame_and_ten_thousand_frames_are_refused() {
    let frame = |colour| image::Frame::new(RgbaImage::from_pixel(4, 4, colour));
    let animated = |count: usize| {
        let mut bytes = Vec::new();
        let mut encoder = GifEncoder::new_with_speed(&mut bytes, 30);
        encoder.encode_frame(frame(Rgba([250, 0, 0, 255]))).unwrap();
        encoder.encode_frames((1..count).map(|_| frame(Rgba([0, 0, 250, 255])))).unwrap();
        drop(encoder);
        bytes
    };
    shows(&squares(&animated(3)).unwrap(), [RED; 4]);
    shows(&squares(&animated(1_000)).unwrap(), [RED; 4]);
    assert!(why(&animated(1_001)).contains("too many frames"));
    assert!(why(&animated(10_000)).contains("too many frames"));
}

#[test]
fn u3_a_file_cut_off_anywhere_is_refused() {
    let image = picture(64, 64);
    let files = [
        jpeg(&image),
        encoded(&image, ImageFormat::Png),
        encoded(&image, ImageFormat::WebP),
        encoded(&DynamicImage::ImageRgba8(image.to_rgba8()), ImageFormat::Gif),
        encoded(&image, ImageFormat::Bmp),
        encoded(&image, ImageFormat::Tiff),
    ];
    for file in files {
        assert!(squares(&file).is_ok());
        for length in 0..file.len() {
            assert!(
                matches!(squares(&file[..length]), Err(AvatarImageError::Refused(_))),
                "{length} of {}",
                file.len()
            );
        }
    }
}

#[test]
fn u3_a_damaged_file_ends_in_a_refusal_or_a_picture_and_never_in_a_panic() {
    let image = picture(48, 48);
    // BMP and TIFF keep every pixel as it is: a smaller picture has the same headers.
    let small = picture(16, 16);
    let files = [
        jpeg(&image),
        encoded(&image, ImageFormat::Png),
        encoded(&image, ImageFormat::WebP),
        encoded(&small, ImageFormat::Bmp),
        encoded(&small, ImageFormat::Tiff),
    ];
    for file in files {
        // Each that is still a picture is encoded three times over: every seventh byte is enough.
        for at in (0..file.len()).step_by(7) {
            let mut damaged = file.clone();
            damaged[at] ^= 0x55;
            match squares(&damaged) {
                Ok(squares) => assert_eq!(squares.len(), 3),
                Err(AvatarImageError::Refused(_)) => {}
                Err(other) => panic!("byte {at}: {other:?}"),
            }
        }
    }
}

#[test]
fn transparency_is_kept() {
    let glass = DynamicImage::ImageRgba8(RgbaImage::from_pixel(100, 100, Rgba([10, 20, 30, 128])));
    for square in squares(&encoded(&glass, ImageFormat::Png)).unwrap() {
        assert!(quarters(&square).iter().all(|pixel| pixel.0[3] == 128));
    }
}

#[tokio::test]
async fn u3_only_so_many_uploads_wait_for_their_turn() {
    let images = ImageSquares::default();
    let _turn = images.turns.clone().acquire_owned().await.unwrap();
    let upload = Bytes::from(encoded(&picture(8, 8), ImageFormat::Png));
    let mut waiting: Vec<_> = (0..AT_ONCE + WAITING).map(|_| images.squares(upload.clone())).collect();
    for wait in &mut waiting {
        assert!(futures::poll!(wait).is_pending());
    }
    assert!(matches!(images.squares(upload.clone()).await, Err(AvatarImageError::Busy)));
    drop((_turn, waiting));
    assert_eq!(images.squares(upload).await.unwrap().len(), 3);
}
