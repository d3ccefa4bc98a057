//! Media types of outputs: the one form in which they are kept and served, and the extension of the file.

/// What bytes are when nothing better is known (RFC 2046).
pub const UNKNOWN: &str = "application/octet-stream";

/// The extension of a type that is not in the table.
const UNKNOWN_EXTENSION: &str = "bin";

/// The extensions of the types that models make. A type that is missing here is kept and served as well, as `.bin`.
const EXTENSIONS: &[(&str, &str)] = &[
    ("application/gzip", "gz"),
    ("application/json", "json"),
    ("application/pdf", "pdf"),
    ("application/zip", "zip"),
    ("audio/aac", "aac"),
    ("audio/flac", "flac"),
    ("audio/midi", "mid"),
    ("audio/mp4", "m4a"),
    ("audio/mpeg", "mp3"),
    ("audio/ogg", "ogg"),
    ("audio/opus", "opus"),
    ("audio/vnd.wave", "wav"),
    ("audio/wav", "wav"),
    ("audio/wave", "wav"),
    ("audio/webm", "weba"),
    ("audio/x-flac", "flac"),
    ("audio/x-m4a", "m4a"),
    ("audio/x-wav", "wav"),
    ("image/avif", "avif"),
    ("image/bmp", "bmp"),
    ("image/gif", "gif"),
    ("image/heic", "heic"),
    ("image/jpeg", "jpg"),
    ("image/jxl", "jxl"),
    ("image/png", "png"),
    ("image/svg+xml", "svg"),
    ("image/tiff", "tiff"),
    ("image/vnd.adobe.photoshop", "psd"),
    ("image/webp", "webp"),
    ("image/x-exr", "exr"),
    ("model/gltf+json", "gltf"),
    ("model/gltf-binary", "glb"),
    ("model/obj", "obj"),
    ("model/stl", "stl"),
    ("model/vnd.usdz+zip", "usdz"),
    ("text/plain", "txt"),
    ("text/vtt", "vtt"),
    ("video/mp4", "mp4"),
    ("video/mpeg", "mpg"),
    ("video/quicktime", "mov"),
    ("video/webm", "webm"),
    ("video/x-matroska", "mkv"),
];

/// A type or a subtype by RFC 6838: at most 127 of these characters, the first a letter or a digit.
fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b);
    (1..=127).contains(&text.len()) && text.as_bytes()[0].is_ascii_alphanumeric() && text.bytes().all(plain)
}

/// A media type in lower case and without parameters; [`UNKNOWN`] when the text is none. Always fit for a header.
#[must_use]
pub fn canonical(text: &str) -> String {
    let essence = text.split(';').next().unwrap_or_default().trim();
    match essence.split_once('/') {
        Some((kind, subtype)) if is_name(kind) && is_name(subtype) => essence.to_ascii_lowercase(),
        _ => UNKNOWN.to_owned(),
    }
}

/// The extension of files of a media type, without the dot: one to eight lower-case letters and digits.
#[must_use]
pub fn extension(media_type: &str) -> &'static str {
    let canonical = canonical(media_type);
    EXTENSIONS.iter().find(|(known, _)| *known == canonical).map_or(UNKNOWN_EXTENSION, |(_, extension)| extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_that_is_kept_is_a_plain_media_type_whatever_a_model_says() {
        let long = format!("image/{}", "x".repeat(128));
        for (said, kept, named) in [
            ("image/png", "image/png", "png"),
            ("IMAGE/PNG", "image/png", "png"),
            ("image/jpeg;q=1", "image/jpeg", "jpg"),
            (" video/mp4 ; codecs=\"avc1.42E01E, mp4a.40.2\"", "video/mp4", "mp4"),
            ("audio/mpeg", "audio/mpeg", "mp3"),
            ("audio/L16;rate=24000", "audio/l16", "bin"),
            ("model/gltf-binary", "model/gltf-binary", "glb"),
            ("application/x-unheard-of", "application/x-unheard-of", "bin"),
            ("", UNKNOWN, "bin"),
            ("png", UNKNOWN, "bin"),
            ("image/", UNKNOWN, "bin"),
            ("/png", UNKNOWN, "bin"),
            ("*/*", UNKNOWN, "bin"),
            ("image/p ng", UNKNOWN, "bin"),
            ("image/png/../../x", UNKNOWN, "bin"),
            ("image/png\r\nset-cookie: a=b", UNKNOWN, "bin"),
            ("image/\u{fc}", UNKNOWN, "bin"),
            (&long, UNKNOWN, "bin"),
        ] {
            assert_eq!((canonical(said).as_str(), extension(said)), (kept, named), "{said:?}");
        }
    }

    #[test]
    fn the_table_is_in_order_and_holds_canonical_types_and_plain_extensions() {
        assert!(EXTENSIONS.is_sorted_by(|a, b| a.0 < b.0));
        for (kind, extension) in EXTENSIONS {
            assert_eq!(canonical(kind), *kind);
            assert!((1..=8).contains(&extension.len()));
            assert!(extension.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase()), "{extension}");
        }
    }
}
