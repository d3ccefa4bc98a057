//! What kind of image a file is, by its first bytes, and whether it is one whole image and nothing else (sec.U3). Reads structure
//! only: no pixel is decoded here, and nothing is allocated.

/// The kinds of images that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// JPEG; decoded in several passes when it is progressive, which takes more memory.
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    WebP,
    /// GIF, of which the first frame is taken.
    Gif,
    /// BMP.
    Bmp,
    /// TIFF, of which the first page is taken.
    Tiff,
}

/// What is wrong with a file of a known kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It ends too soon, or a part of it does not fit.
    Damaged,
    /// Something follows the image: it may be another kind of file as well.
    Trailing,
    /// More frames or pages than any avatar has.
    Frames,
    /// A compression that is not supported.
    Compression,
}

/// The most frames of a GIF: each of them is looked at, if only at its length.
const MAX_FRAMES: usize = 1_000;

/// The most pages of a TIFF, of which the first is read: cameras and scanners add previews.
const MAX_PAGES: usize = 16;

/// The supported compressions of TIFF: none, LZW, deflate (two codes), PackBits.
const TIFF_COMPRESSIONS: [u16; 5] = [1, 5, 8, 32_946, 32_773];

/// The kind of a file, by its first bytes; a name or a `Content-Type` says nothing.
pub fn kind(bytes: &[u8]) -> Option<Kind> {
    match bytes {
        [0xFF, 0xD8, 0xFF, ..] => Some(Kind::Jpeg),
        [0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => Some(Kind::Png),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Kind::WebP),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Kind::Gif),
        [b'B', b'M', ..] => Some(Kind::Bmp),
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Some(Kind::Tiff),
        _ => None,
    }
}

/// How many bytes of memory a pixel takes beside its decoded form: several for a progressive JPEG, none otherwise.
///
/// # Errors
/// When the file is not one whole image. Only a JPEG may be followed by something: cameras append previews, and none of it is read. A TIFF
/// has no end of its own: its parts may be anywhere.
pub fn check(kind: Kind, bytes: &[u8]) -> Result<u64, Flaw> {
    match kind {
        Kind::Jpeg => jpeg(bytes),
        Kind::Png => png(bytes).map(|()| 0),
        Kind::WebP => webp(bytes).map(|()| 0),
        Kind::Gif => gif(bytes).map(|()| 0),
        Kind::Bmp => bmp(bytes).map(|()| 0),
        Kind::Tiff => tiff(bytes).map(|()| 0),
    }
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Flaw> {
    bytes.get(at..at + N).and_then(|slice| slice.try_into().ok()).ok_or(Flaw::Damaged)
}

fn ends_at(bytes: &[u8], end: usize) -> Result<(), Flaw> {
    match bytes.len().cmp(&end) {
        std::cmp::Ordering::Less => Err(Flaw::Damaged),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(Flaw::Trailing),
    }
}

fn png(bytes: &[u8]) -> Result<(), Flaw> {
    let mut at = 8;
    loop {
        let length = u32::from_be_bytes(number(bytes, at)?) as usize;
        let name: [u8; 4] = number(bytes, at + 4)?;
        // Length, name, data, checksum.
        at += 12 + length;
        if &name == b"IEND" {
            return ends_at(bytes, at);
        }
    }
}

fn webp(bytes: &[u8]) -> Result<(), Flaw> {
    let size = u32::from_le_bytes(number(bytes, 4)?) as usize;
    // Chunks are padded to an even length.
    ends_at(bytes, 8 + size + size % 2)
}

fn gif(bytes: &[u8]) -> Result<(), Flaw> {
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let blocks = |mut at: usize| loop {
        let [length] = number(bytes, at)?;
        at += 1 + usize::from(length);
        if length == 0 {
            return Ok(at);
        }
    };
    let [flags] = number(bytes, 10)?;
    let (mut at, mut frames) = (13 + table(flags), 0);
    loop {
        match number(bytes, at)? {
            [0x2C] => {
                frames += 1;
                if frames > MAX_FRAMES {
                    return Err(Flaw::Frames);
                }
                let [flags] = number(bytes, at + 9)?;
                // Descriptor, colours, the least code size, data.
                at = blocks(at + 10 + table(flags) + 1)?;
            }
            [0x21] => at = blocks(at + 2)?,
            [0x3B] => return ends_at(bytes, at + 1),
            [_] => return Err(Flaw::Damaged),
        }
    }
}

fn bmp(bytes: &[u8]) -> Result<(), Flaw> {
    ends_at(bytes, u32::from_le_bytes(number(bytes, 2)?) as usize)
}

/// Counts the pages, and checks the compression of the first.
fn tiff(bytes: &[u8]) -> Result<(), Flaw> {
    let little = bytes.starts_with(b"II");
    let short = |at| number(bytes, at).map(|b| if little { u16::from_le_bytes(b) } else { u16::from_be_bytes(b) });
    let long = |at| number(bytes, at).map(|b| if little { u32::from_le_bytes(b) } else { u32::from_be_bytes(b) });
    let (mut at, mut pages) = (long(4)? as usize, 0);
    // The list of pages may be a loop.
    while at != 0 {
        pages += 1;
        if pages > MAX_PAGES {
            return Err(Flaw::Frames);
        }
        let entries = usize::from(short(at)?);
        for entry in (0..entries).map(|n| at + 2 + 12 * n).filter(|_| pages == 1) {
            const COMPRESSION: u16 = 259;
            if short(entry)? == COMPRESSION && !TIFF_COMPRESSIONS.contains(&short(entry + 8)?) {
                return Err(Flaw::Compression);
            }
        }
        at = long(at + 2 + 12 * entries)? as usize;
    }
    if pages == 0 { Err(Flaw::Damaged) } else { Ok(()) }
}

fn jpeg(bytes: &[u8]) -> Result<u64, Flaw> {
    let (mut at, mut extra) = (2, 0);
    loop {
        let [start, marker] = number(bytes, at)?;
        if start != 0xFF {
            return Err(Flaw::Damaged);
        }
        match marker {
            // Filling, and markers without a length.
            0xFF => at += 1,
            0x01 | 0xD0..=0xD8 => at += 2,
            0xD9 => return Ok(extra),
            _ => {
                let length = usize::from(u16::from_be_bytes(number(bytes, at + 2)?));
                if length < 2 {
                    return Err(Flaw::Damaged);
                }
                if matches!(marker, 0xC2 | 0xC6 | 0xCA | 0xCE) {
                    let [components] = number(bytes, at + 9)?;
                    // A 16-bit coefficient for each sample waits for the last pass.
                    extra = 2 * u64::from(components);
                }
                at += 2 + length;
                if marker == 0xDA {
                    at = after_scan(bytes, at)?;
                }
            }
        }
    }
}

/// Where the next marker stands after the data of a scan, in which a zero or a restart number follows each 0xFF.
fn after_scan(bytes: &[u8], mut at: usize) -> Result<usize, Flaw> {
    loop {
        let rest = bytes.get(at..).ok_or(Flaw::Damaged)?;
        at += rest.iter().position(|byte| *byte == 0xFF).ok_or(Flaw::Damaged)?;
        match number(bytes, at)? {
            [_, 0x00 | 0xD0..=0xD7] => at += 2,
            [_, _] => return Ok(at),
        }
    }
}
