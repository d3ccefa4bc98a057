//! Which statements of a process are steps, and what each is called: those that change what outlives the process.

use std::collections::HashMap;

/// The managers whose rows are told apart; the first that is mentioned counts.
const MANAGERS: [&str; 5] = ["GenerationCharge", "SecurityNotifier", "Notifier", "Welcome", "ExpirySweep"];
/// The events whose appends are told apart.
const EVENTS: [&str; 12] = [
    "HoldPlaced",
    "HoldCaptured",
    "HoldVoided",
    "CreditsGranted",
    "GenerationRequested",
    "GenerationAbandoned",
    "GenerationStarted",
    "GenerationSucceeded",
    "GenerationFailed",
    "GenerationCancelled",
    "AccountOpened",
    "EmailVerified",
];

/// What one connection has prepared, and what its transaction is about.
#[derive(Default)]
pub struct Statements {
    prepared: HashMap<Vec<u8>, String>,
    /// Whose rows the open transaction has touched.
    manager: Option<&'static str>,
}

/// A statement that is a step, and whether it is one even when it finds no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub name: String,
    pub only_with_rows: bool,
}

fn until_nul(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    (&bytes[..end], &bytes[(end + 1).min(bytes.len())..])
}

fn mentioned<'a>(all: &[&'a str], bytes: &[u8]) -> Vec<&'a str> {
    let found = |word: &&&str| bytes.windows(word.len()).any(|window| window == word.as_bytes());
    all.iter().filter(found).copied().collect()
}

impl Statements {
    /// Reads one message of the client; the step it asks for, if it runs a statement that is one.
    pub fn read(&mut self, tag: u8, body: &[u8]) -> Option<Named> {
        match tag {
            b'P' => {
                let (name, rest) = until_nul(body);
                let sql = String::from_utf8_lossy(until_nul(rest).0).into_owned();
                self.prepared.insert(name.to_vec(), sql);
                None
            }
            b'B' => {
                let (name, values) = until_nul(until_nul(body).1);
                let sql = self.prepared.get(name).cloned().unwrap_or_default();
                self.step(&sql, values)
            }
            b'Q' => self.step(&String::from_utf8_lossy(until_nul(body).0), &[]),
            _ => None,
        }
    }

    fn step(&mut self, sql: &str, values: &[u8]) -> Option<Named> {
        let always = |name: String| Some(Named { name, only_with_rows: false });
        let whose = || mentioned(&MANAGERS, values).first().copied().unwrap_or("?");
        let word = sql.trim_start().to_ascii_lowercase();
        if word.starts_with("begin") || word.starts_with("rollback") {
            self.manager = None;
            return None;
        }
        if word.starts_with("commit") {
            return self.manager.take().and_then(|manager| always(format!("commit {manager}")));
        }
        if sql.contains("append_events") {
            return always(format!("append {}", mentioned(&EVENTS, values).join("+")));
        }
        if sql.contains("process_states") {
            self.manager = MANAGERS.into_iter().find(|manager| *manager == whose());
        }
        if sql.contains("into process_work")
            || sql.contains("into process_states")
            || sql.contains("from process_states")
        {
            let table = if sql.contains("process_work") { "work" } else { "states" };
            let verb = word.split(' ').next().unwrap_or_default();
            return if verb == "select" { None } else { always(format!("{verb} {table} {}", whose())) };
        }
        if sql.contains("update process_work") && sql.contains("returning") {
            return Some(Named { name: "lease".to_owned(), only_with_rows: true });
        }
        if sql.contains("delete from process_work") {
            return always(format!("done {}", whose()));
        }
        if sql.contains("update process_work") {
            return always("put off".to_owned());
        }
        if sql.contains("into credentials.mail_tokens") {
            return always("token".to_owned());
        }
        None
    }
}
