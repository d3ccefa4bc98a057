//! BMP and TIFF: pages, compressions, and what headers claim.

use super::*;

const COMPRESSION: u16 = 259;
const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const ROWS_PER_STRIP: u16 = 278;

/// A TIFF, little-endian as its encoder writes it.
fn tiff() -> Vec<u8> {
    let file = encoded(&picture(64, 64), ImageFormat::Tiff);
    assert_eq!(&file[..4], b"II*\0");
    file
}

fn long(file: &[u8], at: usize) -> usize {
    u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize
}

/// Where the page's list of entries begins, and how many there are.
fn page(file: &[u8]) -> (usize, usize) {
    let at = long(file, 4);
    (at, usize::from(u16::from_le_bytes(file[at..at + 2].try_into().unwrap())))
}

/// The same with another number in one of the first page's entries.
fn with_entry(file: &[u8], tag: u16, value: u32) -> Vec<u8> {
    let (at, entries) = page(file);
    let mut changed = file.to_vec();
    let entry = (0..entries).map(|n| at + 2 + 12 * n).find(|entry| file[*entry..entry + 2] == tag.to_le_bytes());
    let entry = entry.expect("the entry is there");
    // A short stands in the first half of the place of a long.
    changed[entry + 8..entry + 12].copy_from_slice(&value.to_le_bytes());
    changed
}

/// The same with so many more pages behind the first, each of them the first once more; or for ever.
fn with_pages(file: &[u8], more: Option<usize>) -> Vec<u8> {
    let (at, entries) = page(file);
    let length = 2 + 12 * entries;
    let mut changed = file.to_vec();
    let mut link = at + length;
    for _ in 0..more.unwrap_or(0) {
        let next = changed.len() + changed.len() % 2;
        changed.resize(next, 0);
        changed.extend_from_slice(&file[at..at + length + 4]);
        changed[link..link + 4].copy_from_slice(&u32::try_from(next).unwrap().to_le_bytes());
        link = next + length;
    }
    let last = if more.is_none() { u32::try_from(at).unwrap() } else { 0 };
    changed[link..link + 4].copy_from_slice(&last.to_le_bytes());
    changed
}

#[test]
fn c1_a_tiff_is_its_first_page_and_many_pages_are_refused() {
    for more in [0, 1, 15] {
        shows(&squares(&with_pages(&tiff(), Some(more))).unwrap(), [RED, GREEN, BLUE, WHITE]);
    }
    for more in [Some(16), Some(1_000), None] {
        assert!(why(&with_pages(&tiff(), more)).contains("too many frames"), "{more:?}");
    }
}

#[test]
fn c1_a_tiff_of_an_unsupported_compression_is_refused() {
    for compression in [0, 2, 3, 4, 6, 7, 9, 34_712, 34_925, 50_000, 50_001, 65_535] {
        assert!(why(&with_entry(&tiff(), COMPRESSION, compression)).contains("compression"), "{compression}");
    }
}

#[test]
fn c1_a_tiff_of_big_endian_is_read_as_well() {
    // Two pixels of one byte: white and black, as a scanner writes them.
    let entries: [(u16, u16, u32); 8] =
        [(256, 3, 2), (257, 3, 1), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (278, 3, 1), (279, 4, 2)];
    let mut file = b"MM\0*".to_vec();
    file.extend(10_u32.to_be_bytes());
    file.extend([255, 0]);
    file.extend(8_u16.to_be_bytes());
    for (tag, kind, value) in entries {
        file.extend(tag.to_be_bytes());
        file.extend(kind.to_be_bytes());
        file.extend(1_u32.to_be_bytes());
        file.extend(if kind == 3 {
            [(value as u16).to_be_bytes(), [0; 2]].concat()
        } else {
            value.to_be_bytes().to_vec()
        });
    }
    file.extend(0_u32.to_be_bytes());
    assert_eq!(squares(&file).unwrap().len(), 3);
}

#[test]
fn c1_a_tiff_is_turned_as_it_says() {
    let file = tiff();
    let (at, entries) = page(&file);
    // One more entry, and the list moved to the end.
    let mut turned = file.clone();
    let list = turned.len();
    turned[4..8].copy_from_slice(&u32::try_from(list).unwrap().to_le_bytes());
    let before: Vec<[u8; 12]> = (0..entries).map(|n| file[at + 2 + 12 * n..][..12].try_into().unwrap()).collect();
    let orientation: [u8; 12] = [0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0];
    let mut all = [before, vec![orientation]].concat();
    all.sort_by_key(|entry| u16::from_le_bytes([entry[0], entry[1]]));
    turned.extend(u16::try_from(all.len()).unwrap().to_le_bytes());
    turned.extend(all.concat());
    turned.extend([0; 4]);
    shows(&squares(&turned).unwrap(), [BLUE, RED, WHITE, GREEN]);
}

#[test]
fn u3_what_a_header_claims_is_checked_before_anything_is_decoded() {
    for (width, height) in [(50_000, 50_000), (16_385, 1), (1, 16_385), (u32::MAX, u32::MAX), (6_400, 6_251)] {
        // In one strip, so that the header does not contradict itself.
        let sized = with_entry(&with_entry(&tiff(), WIDTH, width), HEIGHT, height);
        let claimed = why(&with_entry(&sized, ROWS_PER_STRIP, height));
        assert!(claimed.contains("megapixels") || width == u32::MAX, "TIFF {width}x{height}: {claimed}");
        let mut claimed = encoded(&picture(64, 64), ImageFormat::Bmp);
        claimed[18..22].copy_from_slice(&width.to_le_bytes());
        claimed[22..26].copy_from_slice(&height.to_le_bytes());
        let why = why(&claimed);
        // What its decoder does not take for an image has no size.
        assert!(why.contains("megapixels") || why.contains("JPEG"), "BMP {width}x{height}: {why}");
    }
}
