//! The demo model's promises: the same bytes for the same request, the size asked for, the AI mark, nothing of the prompt.

use super::brief::Kind;
use super::chance::{Chance, fnv1a};
use super::*;

fn request(prompt: &str, seed: u64, width: u32, height: u32) -> RenderRequest {
    RenderRequest { model: "studio-demo".to_owned(), prompt: prompt.to_owned(), width, height, seed }
}

async fn file(request: RenderRequest) -> Bytes {
    StudioDemo::per_core().render(request).await.unwrap().bytes
}

/// Width, height and pixels, by the decoder.
fn decode(file: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
    pixels.truncate(info.buffer_size());
    (info.width, info.height, pixels)
}

/// Pinned pixels, so that a change of the pictures is always a decision. Each kind twice, for its variants.
const GOLDEN: [(&str, Kind, u64, u64); 18] = [
    ("misty mountains at dawn", Kind::Mountains, 1, 0xcf82_119a_b59d_2c15),
    ("a forest lake, emerald", Kind::Mountains, 2, 0x2711_473b_8dfb_d04b),
    ("a calm sea at sunset", Kind::Sea, 1, 0xce12_93ab_b01d_e043),
    ("boats on a midnight ocean", Kind::Sea, 2, 0x499f_b395_e531_b93a),
    ("aurora over the north", Kind::Night, 1, 0xf0af_815e_9c58_c05e),
    ("starry night", Kind::Night, 2, 0xca39_c483_51e0_f55e),
    ("a violet galaxy", Kind::Cosmos, 1, 0x765e_5067_9dc4_1c4f),
    ("ringed planet", Kind::Cosmos, 2, 0x4d75_b7ae_d0ed_9b5b),
    ("city skyline at dusk", Kind::City, 1, 0x396f_6886_c7ec_6493),
    ("neon city", Kind::City, 2, 0x04da_e513_c7ed_7170),
    ("pink dahlia", Kind::Flower, 1, 0x40fa_5410_1084_e0d4),
    ("a daisy", Kind::Flower, 2, 0xeded_4d8e_ffe4_7ae9),
    ("abstract silk", Kind::Paper, 1, 0x555a_c5f3_728a_6160),
    ("abstract paper, teal", Kind::Paper, 3, 0xd35f_e145_713d_2ec0),
    ("bauhaus pattern", Kind::Shapes, 1, 0xde0c_2322_eacc_c5da),
    ("suprematist study in red", Kind::Shapes, 2, 0x932d_07b9_cbaf_6116),
    ("stained glass", Kind::Glass, 1, 0x2f35_edf3_bf24_8339),
    ("stained glass", Kind::Glass, 2, 0xe640_281a_6a69_5225),
];

#[test]
fn u48_the_pixels_of_a_request_never_change() {
    let mut changed = Vec::new();
    for (prompt, kind, seed, pinned) in GOLDEN {
        let request = request(prompt, seed, 160, 120);
        assert_eq!(Brief::read(&request.model, prompt, seed).kind, kind, "{prompt}");
        let hash = fnv1a(&decode(&encode(&request, &draw(&request)).unwrap()).2);
        if hash != pinned {
            changed.push(format!("{prompt}: {hash:#018x}"));
        }
    }
    assert!(changed.is_empty(), "{changed:#?}");
}

#[tokio::test]
async fn u48_the_same_request_gives_the_same_bytes() {
    let asked = request("a quiet lake", 42, 96, 64);
    assert_eq!(file(asked.clone()).await, file(asked).await);
}

#[tokio::test]
async fn u48_another_seed_prompt_or_model_gives_another_picture() {
    let asked = request("a quiet lake", 42, 96, 64);
    let first = file(asked.clone()).await;
    assert_ne!(first, file(RenderRequest { seed: 43, ..asked.clone() }).await);
    assert_ne!(first, file(RenderRequest { prompt: "a quiet lake.".to_owned(), ..asked.clone() }).await);
    assert_ne!(first, file(RenderRequest { model: "other".to_owned(), ..asked }).await);
}

#[tokio::test]
async fn a_picture_has_the_size_asked_for_and_is_not_blank() {
    for (prompt, ..) in GOLDEN {
        for (width, height) in [(64, 64), (200, 64), (64, 333)] {
            let (w, h, pixels) = decode(&file(request(prompt, 7, width, height)).await);
            assert_eq!((w, h, pixels.len()), (width, height, (width * height * 3) as usize), "{prompt}");
            let distinct: std::collections::BTreeSet<_> = pixels.chunks(3).collect();
            assert!(distinct.len() > 60, "{prompt} at {width}x{height}: {} colours", distinct.len());
        }
    }
}

#[tokio::test]
async fn the_largest_picture_and_the_most_extreme_sides_are_drawn() {
    for (width, height) in [(MAX_SIDE, MAX_SIDE), (MAX_SIDE, MIN_SIDE), (MIN_SIDE, MAX_SIDE)] {
        let (w, h, _) = decode(&file(request("city by a lake", 7, width, height)).await);
        assert_eq!((w, h), (width, height));
    }
    for prompt in ["mountain lake", "sea", "aurora", "planet", "daisy", "silk", "suprematist", "bauhaus", "glass"] {
        let (w, h, _) = decode(&file(request(prompt, 7, MAX_SIDE, MIN_SIDE)).await);
        assert_eq!((w, h), (MAX_SIDE, MIN_SIDE));
    }
}

#[tokio::test]
async fn a_size_out_of_bounds_is_refused() {
    for (width, height) in [(63, 64), (64, 63), (2049, 64), (64, 2049), (0, 0), (u32::MAX, u32::MAX)] {
        let refused = StudioDemo::per_core().render(request("sea", 1, width, height)).await;
        assert!(matches!(refused, Err(RenderError::Refused("unsupported_size"))), "{width}x{height}");
    }
}

#[tokio::test]
async fn u33_a_picture_says_that_a_machine_made_it_and_nothing_of_the_prompt() {
    let bytes = file(request("Ada Lovelace by the sea", 1, 64, 64)).await;
    let reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
    let texts = &reader.info().uncompressed_latin1_text;
    let text = |keyword: &str| texts.iter().find(|chunk| chunk.keyword == keyword).map(|chunk| chunk.text.as_str());
    assert_eq!(text("Software"), Some("atelier studio-demo"));
    assert!(text("Source").is_some_and(|source| source.ends_with("/trainedAlgorithmicMedia")));
    assert_eq!(texts.len(), 2);
    assert!(!bytes.windows(8).any(|window| window == b"Lovelace"));
}

#[tokio::test]
async fn any_prompt_and_seed_is_drawn() {
    let long = "word ".repeat(2_000);
    for prompt in ["", " ", "🎨", "日本の山", "\0\n", long.as_str()] {
        for seed in [0, 1, u64::MAX] {
            let (w, h, _) = decode(&file(request(prompt, seed, 64, 64)).await);
            assert_eq!((w, h), (64, 64), "{seed}");
        }
    }
}

#[tokio::test]
async fn a_single_turn_serves_many_requests() {
    let demo = StudioDemo::new(NonZeroUsize::MIN);
    let renders = (0..8).map(|seed| demo.render(request("sea", seed, 64, 64)));
    let files = futures::future::join_all(renders).await;
    assert_eq!(files.iter().filter(|file| file.as_ref().is_ok_and(|file| file.media_type == "image/png")).count(), 8);
}

#[test]
fn words_choose_kind_and_palette() {
    let cases = [
        ("Snowy MOUNTAINS, purple light", Kind::Mountains, "violet"),
        ("waves of a golden ocean", Kind::Sea, "gold"),
        ("the city at night", Kind::City, "night"),
        ("red roses", Kind::Flower, "crimson"),
        ("a galaxy far away in teal", Kind::Cosmos, "teal"),
        ("geometric monochrome", Kind::Shapes, "ink"),
        ("autumn in stained glass", Kind::Glass, "autumn"),
    ];
    for (prompt, kind, palette) in cases {
        for seed in 0..4 {
            let brief = Brief::read("studio-demo", prompt, seed);
            assert_eq!((brief.kind, brief.palette.name), (kind, palette), "{prompt}");
        }
    }
}

#[test]
fn a_prompt_that_names_nothing_reaches_every_kind() {
    let mut seen = Vec::new();
    for seed in 0..200 {
        let kind = Brief::read("studio-demo", "xyzzy", seed).kind;
        if !seen.contains(&kind) {
            seen.push(kind);
        }
    }
    assert_eq!(seen.len(), 9, "{seen:?}");
}

#[test]
fn every_palette_a_word_or_kind_names_exists() {
    for name in brief::palette_names() {
        assert_eq!(palette::palette(name).name, name);
    }
}

#[test]
fn chance_and_hash_are_the_published_functions() {
    // Reference values: splitmix64 from state 0, FNV-1a of "a".
    let mut chance = Chance::new(0);
    assert_eq!([chance.next(), chance.next()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
}

#[test]
fn the_polynomial_sine_is_close_to_the_real_one() {
    for i in -400..400 {
        let turns = i as f32 * 0.0173;
        assert!((noise::sin_turn(turns) - (turns * std::f32::consts::TAU).sin()).abs() < 5e-4, "{turns}");
    }
}
