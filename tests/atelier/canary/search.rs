//! Looking for texts in bytes, in every form that a program gives them by accident: plain, base64, hex, percent-encoded.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// How much is shown around a find.
const AROUND: usize = 60;

/// Texts that must not be found, each in all its forms.
pub struct Search {
    /// By their first two bytes, so that most places are passed by in one look.
    forms: BTreeMap<[u8; 2], Vec<Form>>,
    starts: Vec<bool>,
}

struct Form {
    name: String,
    bytes: Vec<u8>,
}

/// The letters of a base64 text that depend on this text alone, when `before` unknown bytes (0 to 2) stand before it.
fn base64_core(text: &str, before: usize, engine: &impl Engine) -> String {
    let padded = [&vec![0; before], text.as_bytes()].concat();
    let (from, to) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
    engine.encode(padded)[from..to].to_owned()
}

fn each_byte(text: &str, format: impl Fn(&mut String, u8)) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        format(&mut out, byte);
        out
    })
}

fn forms_of(text: &str) -> Vec<(&'static str, String)> {
    let hex = each_byte(text, |out, byte| write!(out, "{byte:02x}").expect("a string takes text"));
    let percent = each_byte(text, |out, byte| write!(out, "%{byte:02x}").expect("a string takes text"));
    let mut forms = vec![("plain", text.to_owned()), ("hex", hex.to_uppercase()), ("hex", hex)];
    forms.extend([("percent", percent.to_uppercase()), ("percent", percent)]);
    for before in 0..3 {
        forms.push(("base64", base64_core(text, before, &STANDARD)));
        forms.push(("base64url", base64_core(text, before, &URL_SAFE)));
    }
    forms
}

impl Search {
    /// A search for these texts, each with a name for the report.
    pub fn of<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut search = Self { forms: BTreeMap::new(), starts: vec![false; 1 << 16] };
        for (name, text) in texts {
            assert!(text.len() >= 8, "{name} is too short to be told from chance");
            for (kind, form) in forms_of(text) {
                let bytes = form.into_bytes();
                search.starts[usize::from(u16::from_be_bytes([bytes[0], bytes[1]]))] = true;
                let form = Form { name: format!("{name} ({kind})"), bytes };
                search.forms.entry([form.bytes[0], form.bytes[1]]).or_default().push(form);
            }
        }
        search
    }

    /// Every find, as a line for a person.
    pub fn finds(&self, place: &str, bytes: &[u8]) -> Vec<String> {
        let mut finds = Vec::new();
        for (at, pair) in bytes.windows(2).enumerate() {
            if !self.starts[usize::from(u16::from_be_bytes([pair[0], pair[1]]))] {
                continue;
            }
            let rest = &bytes[at..];
            for form in self.forms.get(pair).into_iter().flatten().filter(|form| rest.starts_with(&form.bytes)) {
                let around = &bytes[at.saturating_sub(AROUND)..bytes.len().min(at + form.bytes.len() + AROUND)];
                let around = String::from_utf8_lossy(around).escape_default().to_string();
                finds.push(format!("{} at byte {at} of {place}: {around}", form.name));
            }
        }
        finds
    }

    /// Every find in the files under a folder, and in their names; how many files there were.
    pub fn finds_under(&self, folder: &Path) -> (usize, Vec<String>) {
        let (mut files, mut finds) = (0, Vec::new());
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
                let path = entry.expect("an entry can be read").path();
                let place = path.display().to_string();
                finds.extend(self.finds("the name of a file", place.as_bytes()));
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files += 1;
                    finds.extend(self.finds(&place, &std::fs::read(&path).unwrap_or_else(|e| panic!("{place}: {e}"))));
                }
            }
        }
        (files, finds)
    }
}

#[test]
fn what_is_searched_for_is_found_in_every_form_and_nothing_else_is() {
    let text = "q7vz-planted-9";
    let search = Search::of([("planted", text)]);
    let encoded = |before: &str| STANDARD.encode(format!("{before}{text} and more"));
    let hex = |text: &str| each_byte(text, |out, byte| write!(out, "{byte:02X}").expect("a string takes text"));
    for hidden in [
        format!("x{text}y"),
        encoded(""),
        encoded("a"),
        encoded("ab"),
        encoded("abc"),
        URL_SAFE.encode(format!("\u{ff}{text}")),
        hex(text),
        hex(text).to_lowercase(),
        each_byte(text, |out, byte| write!(out, "%{byte:02X}").expect("a string takes text")),
    ] {
        assert!(!search.finds("a test", hidden.as_bytes()).is_empty(), "{hidden}");
    }
    assert!(search.finds("a test", b"q7vz-plante-9 q7vz planted q7v").is_empty());
}
