//! CMYK JPEGs and a CMYK profile, made by hand: no encoder at hand makes either.

/// A JPEG of 8x8 pixels of one CMYK colour (255 is full ink), stored inverted as Adobe's programs do.
pub fn cmyk_jpeg(inks: [u8; 4], ycck: bool, profile: Option<&[u8]>) -> Vec<u8> {
    let segment = |marker: u8, data: &[u8]| {
        [&[0xFF, marker][..], &u16::try_from(data.len() + 2).unwrap().to_be_bytes(), data].concat()
    };
    let [cyan, magenta, yellow, black] = inks;
    let stored = if ycck {
        let (red, green, blue) = (f32::from(cyan), f32::from(magenta), f32::from(yellow));
        let y = 0.299 * red + 0.587 * green + 0.114 * blue;
        let clamp = |value: f32| value.round() as u8;
        [clamp(y), clamp(128.0 + 0.564 * (blue - y)), clamp(128.0 + 0.713 * (red - y)), 255 - black]
    } else {
        inks.map(|ink| 255 - ink)
    };
    let mut file = vec![0xFF, 0xD8];
    file.extend(segment(0xEE, &[b"Adobe\0\x64\0\0\0\0".as_slice(), &[if ycck { 2 } else { 0 }]].concat()));
    if let Some(profile) = profile {
        file.extend(segment(0xE2, &[b"ICC_PROFILE\0\x01\x01", profile].concat()));
    }
    file.extend(segment(0xDB, &[&[0], [1; 64].as_slice()].concat()));
    let components: Vec<u8> = (1..=4).flat_map(|id| [id, 0x11, 0]).collect();
    file.extend(segment(0xC0, &[&[8, 0, 8, 0, 8, 4], components.as_slice()].concat()));
    // DC: categories 0 to 11 by codes of four bits. AC: the end of the block alone, by a code of one bit.
    file.extend(segment(
        0xC4,
        &[&[0x00, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11].as_slice()]
            .concat(),
    ));
    file.extend(segment(0xC4, &[0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    let scan: Vec<u8> = (1..=4).flat_map(|id| [id, 0x00]).collect();
    file.extend(segment(0xDA, &[&[4], scan.as_slice(), &[0, 63, 0]].concat()));
    let mut bits = String::new();
    for value in stored {
        let mean = (i32::from(value) - 128) * 8;
        let size = 32 - mean.unsigned_abs().leading_zeros();
        let coded = if mean < 0 { mean + (1 << size) - 1 } else { mean };
        bits.push_str(&format!("{size:04b}"));
        if size > 0 {
            bits.push_str(&format!("{coded:0width$b}", width = size as usize));
        }
        bits.push('0');
    }
    while !bits.len().is_multiple_of(8) {
        bits.push('1');
    }
    for byte in bits.as_bytes().chunks(8) {
        let byte = byte.iter().fold(0_u8, |byte, bit| byte << 1 | u8::from(*bit == b'1'));
        file.push(byte);
        if byte == 0xFF {
            file.push(0);
        }
    }
    file.extend([0xFF, 0xD9]);
    file
}

/// A profile (ICC.1, `mft1`) with a grid of two points for each ink: full cyan is orange, full black is black, everything else is white.
pub fn cmyk_profile() -> Vec<u8> {
    // sRGB's (255, 128, 0) in Lab under D50.
    let (orange, white, dark) = ([67.82, 45.49, 74.84], [100.0, 0.0, 0.0], [0.0, 0.0, 0.0]);
    let lab = |[l, a, b]: [f64; 3]| [(l * 2.55).round() as u8, (a + 128.0).round() as u8, (b + 128.0).round() as u8];
    let mut table = b"mft1\0\0\0\0\x04\x03\x02\0".to_vec();
    for n in 0..9_u32 {
        table.extend((if n % 4 == 0 { 0x1_0000_u32 } else { 0 }).to_be_bytes());
    }
    let straight: Vec<u8> = (0..=255).collect();
    table.extend(straight.repeat(4));
    // The last channel varies fastest.
    for mixture in 0..16_u8 {
        table.extend(lab(match mixture {
            0b1000 => orange,
            mixture if mixture & 1 == 1 => dark,
            _ => white,
        }));
    }
    table.extend(straight.repeat(3));
    let mut profile = vec![0_u8; 128];
    profile[8..12].copy_from_slice(&[2, 0x40, 0, 0]);
    profile[12..24].copy_from_slice(b"prtrCMYKLab ");
    profile[36..40].copy_from_slice(b"acsp");
    for (at, value) in [(68, 0xF6D6_u32), (72, 0x1_0000), (76, 0xD32D)] {
        profile[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }
    profile.extend(1_u32.to_be_bytes());
    profile.extend(b"A2B0");
    profile.extend(144_u32.to_be_bytes());
    profile.extend(u32::try_from(table.len()).unwrap().to_be_bytes());
    profile.extend(table);
    let length = u32::try_from(profile.len()).unwrap();
    profile[..4].copy_from_slice(&length.to_be_bytes());
    profile
}
