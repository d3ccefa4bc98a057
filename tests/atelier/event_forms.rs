//! The stored form of every version of every event: the files of `event_forms/` must decode for ever (DESIGN 3, Schema evolution).

mod older_release;
mod samples;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use atelier_domain::LogEvent;
use cqrs_es::DomainEvent;
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("event_forms")
}

/// What a file of `event_forms/` is called after.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Form {
    aggregate: String,
    event: String,
    version: u32,
}

impl Form {
    fn of(event: &LogEvent) -> Self {
        let (aggregate, version) = match event {
            LogEvent::Account(_, event) => ("Account", event.event_version()),
            LogEvent::CreditLedger(_, event) => ("CreditLedger", event.event_version()),
            LogEvent::Generation(_, event) => ("Generation", event.event_version()),
        };
        let version = version.parse().expect("a version is a number");
        Self { aggregate: aggregate.to_owned(), event: event.name().to_owned(), version }
    }

    fn parse(file: &str) -> Option<Self> {
        let mut parts = file.strip_suffix(".json")?.split('.');
        let (aggregate, event, version) = (parts.next()?, parts.next()?, parts.next()?.strip_prefix('v')?);
        let form = Self { aggregate: aggregate.to_owned(), event: event.to_owned(), version: version.parse().ok()? };
        (form.file() == file).then_some(form)
    }

    fn file(&self) -> String {
        format!("{}.{}.v{}.json", self.aggregate, self.event, self.version)
    }

    fn decode(&self, payload: &str) -> Result<LogEvent, String> {
        let stream = samples::stream(&self.aggregate);
        LogEvent::decode(&self.aggregate, &stream, &self.event, &self.version.to_string(), payload)
            .map_err(|error| format!("{}: {error}", self.file()))
    }
}

/// The stored text of an event, as the command path writes it but laid out for people.
fn stored(event: &LogEvent) -> String {
    let text = match event {
        LogEvent::Account(_, event) => serde_json::to_string_pretty(event),
        LogEvent::CreditLedger(_, event) => serde_json::to_string_pretty(event),
        LogEvent::Generation(_, event) => serde_json::to_string_pretty(event),
    };
    text.expect("a sample is sealed") + "\n"
}

/// The sample of every event, by its file.
fn expected() -> BTreeMap<String, String> {
    let samples = samples::all();
    let expected: BTreeMap<_, _> = samples.iter().map(|event| (Form::of(event).file(), stored(event))).collect();
    assert_eq!(expected.len(), samples.len(), "one sample for each event");
    expected
}

/// The committed files by name. With `ATELIER_BLESS=1` the missing ones are written first, and no other is touched.
fn committed() -> &'static BTreeMap<String, String> {
    static COMMITTED: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    COMMITTED.get_or_init(|| {
        if std::env::var_os("ATELIER_BLESS").is_some_and(|value| value == "1") {
            write_missing(&folder(), &expected());
        }
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(folder()).expect("event_forms/ is committed") {
            let entry = entry.expect("an entry can be read");
            let text = std::fs::read_to_string(entry.path()).expect("a form is text");
            files.insert(entry.file_name().to_string_lossy().into_owned(), text);
        }
        files
    })
}

fn write_missing(folder: &Path, forms: &BTreeMap<String, String>) {
    std::fs::create_dir_all(folder).expect("event_forms/ can be made");
    for (file, text) in forms {
        let path = folder.join(file);
        if !path.exists() {
            std::fs::write(path, text).expect("a form can be written");
        }
    }
}

/// What is wrong between the forms of today's events and the committed ones.
fn differences(expected: &BTreeMap<String, String>, committed: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    for (file, text) in expected {
        match committed.get(file) {
            None => found.push(format!("{file} is missing; `make schema` writes it")),
            Some(known) if known != text => found.push(format!(
                "{file}: a stored form never changes. Give the event a new version and an upcaster from this one (DESIGN 3).\n\
                 committed:\n{known}now:\n{text}"
            )),
            Some(_) => {}
        }
    }
    found
}

/// What is wrong with the committed forms themselves: whether each is of a known event, and each version still decodes.
fn unreadable(current: &BTreeSet<Form>, committed: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    for (file, text) in committed {
        let newest = Form::parse(file).and_then(|form| {
            let newest = current.iter().find(|of| (&of.aggregate, &of.event) == (&form.aggregate, &form.event))?;
            (form.version <= newest.version).then_some((form, newest))
        });
        let Some((form, newest)) = newest else {
            found.push(format!("{file} is of no known event"));
            continue;
        };
        match form.decode(text) {
            Err(error) => found.push(error),
            Ok(event) if Form::of(&event) != *newest => found.push(format!("{file} decodes as {}", event.name())),
            // An older version comes back as today's, by its upcaster; today's must come back as it was.
            Ok(event) if form.version == newest.version => {
                let (was, is): (Value, Value) = (parse(text), parse(&stored(&event)));
                if was != is {
                    found.push(format!("{file} decodes to another value:\n{is}"));
                }
            }
            Ok(_) => {}
        }
    }
    for newest in current {
        for version in 1..newest.version {
            let older = Form { version, ..newest.clone() }.file();
            if !committed.contains_key(&older) {
                found.push(format!("{older} is gone; logs still hold it"));
            }
        }
    }
    found
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("a form is JSON")
}

fn current() -> BTreeSet<Form> {
    samples::all().iter().map(Form::of).collect()
}

#[test]
fn d3_committed_files_are_the_stored_form_of_every_event() {
    let found = differences(&expected(), committed());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn d3_committed_files_decode_for_ever() {
    assert!(committed().len() >= current().len(), "{} forms were read", committed().len());
    let found = unreadable(&current(), committed());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn d3_committed_files_of_retired_versions_are_as_they_were_and_mean_what_they_meant() {
    let newest = expected();
    let retired: BTreeMap<_, _> = committed().iter().filter(|(file, _)| !newest.contains_key(*file)).collect();
    let known = samples::retired();
    assert_eq!(retired.len(), known.len(), "a version that is followed by another has its text in `samples::retired`");
    for (file, text, meaning) in known {
        assert_eq!(committed().get(file).map(String::as_str), Some(text), "{file}: a stored form never changes");
        let form = Form::parse(file).expect("the name of a form");
        assert_eq!(form.decode(text), Ok(meaning), "{file}");
    }
}

#[test]
fn d3_committed_files_that_changed_or_lost_their_event_are_found() {
    let file = |name: &str| name.to_owned();
    let mut forms = committed().clone();
    forms.insert(file("Account.PlanAssigned.v1.json"), "{\"PlanAssigned\":{\"plan\":\"free\",\"extra\":1}}".to_owned());
    forms.insert(file("Account.EmailVerified.v1.json"), "{\"AccountAbandoned\":{}}".to_owned());
    forms.insert(file("Account.BioChanged.v1.json"), "{\"BioChanged\":{}}".to_owned());
    forms.insert(file("Account.EmailVerified.v2.json"), "{\"EmailVerified\":{}}".to_owned());
    forms.insert(file("Account.Forgotten.v1.json"), "{\"Forgotten\":{}}".to_owned());
    forms.insert(file("notes.txt"), String::new());
    let found = unreadable(&current(), &forms);
    let expected_order =
        ["BioChanged.v1", "EmailVerified.v1", "EmailVerified.v2", "Forgotten", "PlanAssigned", "notes"];
    assert_eq!(found.len(), expected_order.len(), "{found:#?}");
    for (line, about) in found.iter().zip(expected_order) {
        assert!(line.contains(about), "{line} is not about {about}");
    }
    let changed = differences(&expected(), &forms);
    assert_eq!(changed.iter().filter(|line| line.contains("a stored form never changes")).count(), 3, "{changed:#?}");

    let mut second_version = current();
    let form = second_version.pop_first().expect("there are events");
    second_version.insert(Form { version: 2, ..form.clone() });
    let without: BTreeMap<_, _> = committed().clone().into_iter().filter(|(name, _)| *name != form.file()).collect();
    assert_eq!(unreadable(&second_version, &without), [format!("{} is gone; logs still hold it", form.file())]);
}

#[test]
fn d3_committed_files_are_never_overwritten() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let forms =
        |text: &str| BTreeMap::from([("kept".to_owned(), text.to_owned()), ("new".to_owned(), text.to_owned())]);
    std::fs::write(folder.path().join("kept"), "old").expect("a file can be written");
    write_missing(folder.path(), &forms("today"));
    let read = |name| std::fs::read_to_string(folder.path().join(name)).expect("a file can be read");
    assert_eq!((read("kept").as_str(), read("new").as_str()), ("old", "today"));
}
