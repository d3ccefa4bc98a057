//! Composition: which layers make a picture of each kind, and where they stand.

use super::bloom::{Bloom, Bokeh, Growth};
use super::brief::{Brief, Kind};
use super::chance::Chance;
use super::city::Skyline;
use super::contours::{Contours, Grain};
use super::geometry::{Board, Composition};
use super::glass::Window;
use super::heavens::{Aurora, Nebula, Planet};
use super::land::{Pines, Ridge, Shape};
use super::noise::{cos_turn, lerp, sin_turn};
use super::paint::{Frame, Layers};
use super::palette::{Colour, Palette, palette};
use super::sky::{Birds, Clouds, Disc, Sky, Stars};
use super::water::{Lake, Sail, Sea};

/// The layers of a brief's picture, from back to front.
pub(crate) fn compose(brief: &mut Brief, frame: &Frame) -> Layers {
    match brief.kind {
        Kind::Mountains => mountains(brief, frame),
        Kind::Sea => sea(brief, frame),
        Kind::Night => night(brief, frame),
        Kind::Cosmos => cosmos(brief, frame),
        Kind::City => city(brief, frame),
        Kind::Flower => flower(brief, frame),
        Kind::Paper => paper(brief, frame),
        Kind::Shapes => shapes(brief, frame),
        Kind::Glass => vec![Box::new(Window::new(frame, &mut brief.chance, brief.palette))],
    }
}

/// The sun of a light palette, the moon of a dark one.
fn disc(chance: &mut Chance, palette: &Palette, x: f32, y: f32) -> Disc {
    let moon = palette.is_dark();
    let radius = if moon { chance.between(0.035, 0.06) } else { chance.between(0.045, 0.085) };
    // A pale sky leaves no room for much glow.
    let glow = if moon { 0.5 } else { lerp(0.95, 0.3, palette.sky[3].luma() * palette.sky[2].luma()) };
    Disc { x, y, radius, colour: palette.light, glow, moon, seed: chance.seed() }
}

fn clouds(chance: &mut Chance, palette: &Palette, horizon: f32, amount: f32) -> Clouds {
    Clouds {
        lit: palette.sky[3].mix(palette.light, 0.5),
        shade: palette.sky[1].mix(palette.sky[2], 0.55),
        horizon,
        amount,
        scale: chance.between(1.6, 2.6),
        seed: chance.seed(),
    }
}

/// Ridges from the haze at `from` down to the foot at `to`.
fn ridges(
    chance: &mut Chance,
    frame: &Frame,
    palette: &Palette,
    span: (f32, f32),
    count: usize,
    light_x: f32,
) -> Vec<Ridge> {
    let (from, to) = span;
    let sharp = chance.between(0.4, 0.95);
    (0..count)
        .map(|k| {
            let near = k as f32 / (count - 1).max(1) as f32;
            let shape = Shape {
                level: lerp(from, to, near),
                relief: lerp(0.19, 0.075, near) * chance.between(0.8, 1.2),
                peaks: lerp(2.1, 1.3, near),
                sharp: lerp(sharp, 0.1, near),
                rough: lerp(0.5, 0.4, near),
            };
            let body = palette.far.mix(palette.near, near.sqrt() * near);
            let body = body.mix(palette.sky_at(0.9), 0.38 * (1.0 - near));
            let mist = palette.sky_at(0.95).mix(body, 0.25 + 0.4 * near);
            let side = if light_x > frame.right * 0.5 { -1.0 } else { 1.0 };
            Ridge::new(frame, chance, shape, body, mist)
                .misty(lerp(0.2, 0.34, near), lerp(0.85, 0.55, near))
                .lit(side * lerp(0.13, 0.05, near))
        })
        .collect()
}

fn mountains(brief: &mut Brief, frame: &Frame) -> Layers {
    let (wet, wooded) =
        (brief.names(&["lake", "river", "reflection"]), brief.names(&["forest", "tree", "wood", "pine"]));
    let barren = brief.names(&["desert", "dune", "sand"]);
    let Brief { chance, palette, .. } = brief;
    let lake = wet || (!barren && chance.one_in(3));
    let foot = if lake { frame.bottom * chance.between(0.66, 0.74) } else { frame.bottom };
    let (sun_x, sun_y) = (frame.right * chance.between(0.2, 0.8), foot * chance.between(0.16, 0.4));
    let light = disc(chance, palette, sun_x, sun_y);
    let mut above: Layers = vec![Box::new(Sky { palette, horizon: foot * 0.8, light })];
    if palette.is_dark() {
        above.push(Box::new(Stars::new(frame, chance, foot * 0.7, 0.0)));
    }
    let amount = chance.between(0.1, 0.65);
    above.push(Box::new(clouds(chance, palette, foot * 0.72, amount)));
    if !palette.is_dark() {
        let colour = palette.near.mix(palette.sky[1], 0.25);
        let side = if sun_x > frame.right * 0.5 { 0.3 } else { 0.7 };
        above.push(Box::new(Birds::new(chance, frame.right * side, foot * 0.25, colour)));
    }
    let count = 5 + chance.below(2);
    let pines = !barren && (wooded || !chance.one_in(3));
    let span = (foot * 0.52, if lake { foot - 0.05 } else { foot * 0.9 });
    let all = ridges(chance, frame, palette, span, count, sun_x);
    for (k, ridge) in all.into_iter().enumerate() {
        let stand = (pines && k + 2 >= count).then(|| {
            let (height, gap) = if k + 1 == count { (0.13, 0.019) } else { (0.05, 0.008) };
            let height = if wooded { height * 1.3 } else { height };
            Pines::along(frame, chance, &ridge, (height, gap), foot)
        });
        above.push(Box::new(ridge));
        if let Some(stand) = stand {
            above.push(Box::new(stand));
        }
    }
    if !lake {
        return above;
    }
    let tint = palette.near.mix(palette.sky[0], 0.5);
    vec![Box::new(Lake { above, line: foot, tint, glint: palette.sky_at(0.95), seed: chance.seed() })]
}

fn sea(brief: &mut Brief, frame: &Frame) -> Layers {
    let (sails, isles) =
        (brief.names(&["sail", "boat", "ship"]), brief.names(&["island", "coast", "cliff", "mountain"]));
    let Brief { chance, palette, .. } = brief;
    let horizon = frame.bottom * chance.between(0.5, 0.62);
    let x = frame.right * chance.between(0.28, 0.72);
    let mut light = disc(chance, palette, x, 0.0);
    light.radius *= 1.15;
    light.y = horizon - light.radius * chance.between(-0.2, 2.6);
    let mut layers: Layers = vec![Box::new(Sky { palette, horizon: horizon * 1.02, light })];
    if palette.is_dark() {
        layers.push(Box::new(Stars::new(frame, chance, horizon * 0.85, 0.3)));
    }
    let amount = chance.between(0.3, 0.8);
    layers.push(Box::new(clouds(chance, palette, horizon, amount)));
    if !palette.is_dark() {
        let colour = palette.near.mix(palette.sky[1], 0.3);
        let side = if x > frame.right * 0.5 { 0.28 } else { 0.72 };
        layers.push(Box::new(Birds::new(chance, frame.right * side, horizon * 0.5, colour)));
    }
    if isles || chance.one_in(2) {
        for near in [0.0, 1.0_f32] {
            let shape = Shape {
                level: horizon + 0.012 + 0.02 * near,
                relief: 0.075 - 0.015 * near,
                peaks: 1.5 + near,
                sharp: 0.4,
                rough: 0.45,
            };
            let body = palette.far.mix(palette.near, 0.12 + 0.3 * near).mix(palette.sky_at(0.9), 0.3);
            layers.push(Box::new(
                Ridge::new(frame, chance, shape, body, palette.sky_at(0.96)).misty(0.09, 0.5).lit(0.08),
            ));
        }
    }
    layers.push(Box::new(Sea { palette, horizon, light, seed: chance.seed() }));
    if sails || chance.one_in(2) {
        let x = if x > frame.right * 0.5 { frame.right * 0.3 } else { frame.right * 0.68 };
        let (sail, hull) = (palette.paper.mix(palette.sky[2], 0.25), palette.near);
        layers.push(Box::new(Sail::new(chance, x, horizon + frame.bottom * 0.055, sail, hull)));
    }
    layers
}

fn night(brief: &mut Brief, frame: &Frame) -> Layers {
    let aurora = brief.names(&["aurora", "northern", "winter"]) || !brief.chance.one_in(3);
    let Brief { chance, palette: asked, .. } = brief;
    // A night stays dark whatever colour was asked for; the colour goes into its lights.
    let sky = palette("night");
    let line = frame.bottom * chance.between(0.7, 0.78);
    let x = frame.right * chance.between(0.2, 0.8);
    let mut light = disc(chance, sky, x, line * 0.2);
    if aurora {
        // The moon below the horizon lends its place to the glow.
        (light.y, light.glow) = (line + 0.1, 0.28);
    }
    let mut above: Layers = vec![Box::new(Sky { palette: sky, horizon: line, light })];
    above.push(Box::new(Stars::new(frame, chance, line, if aurora { 0.35 } else { 1.0 })));
    if aurora {
        let green = palette("emerald").accents[1];
        let hem = if asked.is_dark() { green } else { asked.accents[0].mix(asked.accents[1], 0.5).saturate(1.3) };
        let crown = palette("violet").accents[1].mix(asked.accents[0], 0.25);
        let middle = if asked.is_dark() { hem.mix(palette("teal").accents[0], 0.55) } else { hem.mix(crown, 0.4) };
        above.push(Box::new(Aurora::new(frame, chance, line * 0.62, [hem, middle, crown])));
    }
    let all = ridges(chance, frame, sky, (line * 0.83, line - 0.03), 3, x);
    for (k, ridge) in all.into_iter().enumerate() {
        let size = (0.045 + 0.05 * k as f32, 0.012 + 0.003 * k as f32);
        let pines = (k > 0).then(|| Pines::along(frame, chance, &ridge, size, line));
        above.push(Box::new(ridge));
        if let Some(pines) = pines {
            above.push(Box::new(pines));
        }
    }
    vec![Box::new(Lake { above, line, tint: sky.near, glint: sky.sky[3], seed: chance.seed() })]
}

fn cosmos(brief: &mut Brief, frame: &Frame) -> Layers {
    let planets = brief.names(&["planet", "astronaut", "ring"]);
    let Brief { chance, palette: asked, .. } = brief;
    let deep = palette("night").sky[0].mix(asked.sky[0], 0.25).scale(0.8);
    let gases = [asked.sky[1].saturate(1.2), asked.sky[2].saturate(1.15), asked.light];
    let nebula = Nebula {
        deep,
        gases,
        scale: chance.between(1.5, 2.2),
        tilt: chance.sign() * chance.between(0.2, 0.7),
        seed: chance.seed(),
    };
    let mut layers: Layers = vec![Box::new(nebula)];
    layers.push(Box::new(Stars::new(frame, chance, frame.bottom * 1.6, 0.0)));
    if planets || chance.one_in(2) {
        let radius = chance.between(0.14, 0.24);
        let side = if chance.one_in(2) { 0.3 } else { 0.7 };
        layers.push(Box::new(Planet {
            x: frame.right * side,
            y: frame.bottom * chance.between(0.36, 0.66),
            radius,
            colours: [asked.accents[0], asked.sky[2], asked.paper],
            air: asked.light.mix(asked.sky[2], 0.3),
            ring: chance.one_in(2),
            seed: chance.seed(),
        }));
    }
    layers
}

fn city(brief: &mut Brief, frame: &Frame) -> Layers {
    let Brief { chance, palette, .. } = brief;
    let line = frame.bottom * chance.between(0.72, 0.8);
    let (x, y) = (frame.right * chance.between(0.25, 0.75), line * chance.between(0.3, 0.62));
    let mut light = disc(chance, palette, x, y);
    light.radius *= 1.7;
    let mut above: Layers = vec![Box::new(Sky { palette, horizon: line * 0.95, light })];
    if palette.sky[0].luma() < 0.2 {
        above.push(Box::new(Stars::new(frame, chance, line * 0.5, 0.0)));
    }
    let amount = chance.between(0.2, 0.6);
    above.push(Box::new(clouds(chance, palette, line * 0.8, amount)));
    let haze = palette.sky_at(0.88);
    let lamp = Colour { r: 1.0, g: 0.86, b: 0.58 }.mix(palette.light, 0.35);
    for (depth, shade) in [(1.0, 0.25), (0.55, 0.6), (0.0, 0.92)] {
        let body = haze.mix(palette.near, shade);
        above.push(Box::new(Skyline::new(frame, chance, line, depth, [body, body.mix(haze, 0.6), lamp])));
    }
    vec![Box::new(Lake { above, line, tint: palette.near, glint: palette.sky_at(0.9), seed: chance.seed() })]
}

fn flower(brief: &mut Brief, frame: &Frame) -> Layers {
    let (daisy, dahlia) =
        (brief.names(&["daisy", "daisies", "sunflower", "field"]), brief.names(&["dahlia", "rose", "lotus"]));
    let Brief { chance, palette, .. } = brief;
    let leaf = palette.near.mix(super::palette::palette("emerald").accents[0], 0.35);
    let (from, to) = (leaf.mix(palette.sky[1], 0.3), leaf.scale(0.5));
    let lights = [palette.sky[2], palette.accents[1], palette.light];
    let mut layers: Layers = vec![Box::new(Bokeh::new(frame, chance, from, to, lights))];
    let inks = palette.accents;
    let start = chance.below(3);
    let simple = daisy || (!dahlia && chance.one_in(3));
    let (petals, eye, point) =
        if simple { (34, 0.26, 0.25) } else { (150 + chance.below(60), 0.0, chance.between(0.2, 0.8)) };
    let tones = |k: usize| {
        let first = inks[(start + k) % 3];
        [first, first.mix(inks[(start + k + 1) % 3], 0.6), first.mix(palette.light, 0.6)]
    };
    let side = chance.sign();
    let (cx, cy) = (frame.right * 0.5 + side * 0.04, frame.bottom * 0.5);
    let small = [
        (cx - side * chance.between(0.36, 0.46), cy - chance.between(0.22, 0.36), chance.between(0.13, 0.17)),
        (cx + side * chance.between(0.3, 0.4), cy + chance.between(0.3, 0.4), chance.between(0.15, 0.2)),
    ];
    for (k, (x, y, radius)) in small.into_iter().enumerate() {
        let colours = tones(k + 1).map(|colour| colour.mix(to, 0.22));
        let growth = Growth { x, y, radius, petals: petals * 2 / 3, colours, eye, point };
        layers.push(Box::new(Bloom::new(chance, growth, palette)));
    }
    let radius = chance.between(0.34, 0.4);
    let growth = Growth { x: cx, y: cy, radius, petals, colours: tones(0), eye, point };
    layers.push(Box::new(Bloom::new(chance, growth, palette)));
    layers
}

fn paper(brief: &mut Brief, _frame: &Frame) -> Layers {
    let silk = brief.names(&["silk", "flow", "wave", "ribbon", "smooth"]) || brief.chance.one_in(2);
    let Brief { chance, palette, .. } = brief;
    let [a, b, c, d, _] = palette.accents;
    let colours = if silk {
        vec![palette.near, palette.sky[0], palette.sky[1], palette.sky[2], palette.sky[3], a, d, b, c]
    } else {
        vec![palette.near, palette.sky[0], d, a, palette.sky[1], palette.sky[2], b, palette.sky[3], palette.paper]
    };
    let turn = chance.between(-0.12, 0.12);
    let contours = Contours {
        colours,
        scale: chance.between(1.5, 2.4),
        warp: chance.between(0.6, 1.9),
        along: (cos_turn(turn), sin_turn(turn)),
        stretch: if silk { chance.between(1.8, 2.8) } else { chance.between(1.0, 1.5) },
        silk,
        seed: chance.seed(),
    };
    vec![Box::new(contours), Box::new(Grain { strength: 0.035, seed: chance.seed() })]
}

fn shapes(brief: &mut Brief, frame: &Frame) -> Layers {
    let tiles = brief.names(&["bauhaus", "tile", "pattern", "grid"]) || brief.chance.one_in(2);
    let Brief { chance, palette, .. } = brief;
    let board: Layers = if tiles {
        vec![Box::new(Board::new(frame, chance, palette))]
    } else {
        vec![Box::new(Composition::new(frame, chance, palette))]
    };
    board.into_iter().chain([Box::new(Grain { strength: 0.045, seed: chance.seed() }) as _]).collect()
}
