//! What mails say: templates of `commands/templates/<language>/<name>.{subject,txt,html}`, part of the program, filled in and put
//! between the language's layout. What is filled in is escaped in the HTML half; a variable that is missing is an error.

use std::sync::LazyLock;

use atelier_domain::account::Language;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, Error, UndefinedBehavior, context};
use serde::Serialize;

/// A mail's content, with everything it says. No field holds, or asks for, a password (V07).
#[derive(Clone, Serialize)]
#[serde(untagged)]
pub(super) enum Letter {
    /// The link that verifies an address.
    Verification { link: String },
    /// Somebody tried to sign up with the address.
    AlreadyRegistered { app: String },
    /// The link for a new password; or the first one, for somebody who signs in with Google (A14, A16).
    PasswordReset { has_password: bool, keys: Vec<String>, link: String },
    /// A generation has ended.
    Generation { succeeded: bool, generation: String, app: String },
    /// Something about the account's security has changed; of a new password, with the API keys that there are.
    Security { topic: &'static str, at: String, keys: Option<Vec<String>>, app: String },
    /// The account has another address now.
    FormerAddress { at: String, app: String },
    /// Staff were asked to turn the second factor off (U36).
    TwoFactorReset { due: String, link: String },
    /// The copy of everything can be fetched until then, or could not be made (U25).
    DataExport { ready: bool, until: String, link: String },
    /// The account is deleted.
    Farewell {},
}

impl Letter {
    /// The templates' name.
    const fn name(&self) -> &'static str {
        match self {
            Self::Verification { .. } => "verification",
            Self::AlreadyRegistered { .. } => "already_registered",
            Self::PasswordReset { .. } => "password_reset",
            Self::Generation { .. } => "generation",
            Self::Security { .. } => "security",
            Self::FormerAddress { .. } => "former_address",
            Self::TwoFactorReset { .. } => "two_factor_reset",
            Self::DataExport { .. } => "data_export",
            Self::Farewell {} => "farewell",
        }
    }
}

/// What a mail says.
pub(super) struct Texts {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

macro_rules! sources {
    ($($language:literal: $($file:literal)+;)+) => {
        &[$($((
            concat!($language, "/", $file),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/", $language, "/", $file)),
        ),)+)+]
    };
}

/// Every template, by language and file.
const SOURCES: &[(&str, &str)] = sources! {
    "en": "layout.txt" "layout.html" "verification.subject" "verification.txt" "verification.html"
        "already_registered.subject" "already_registered.txt" "already_registered.html"
        "password_reset.subject" "password_reset.txt" "password_reset.html"
        "generation.subject" "generation.txt" "generation.html" "security.subject" "security.txt" "security.html"
        "former_address.subject" "former_address.txt" "former_address.html"
        "two_factor_reset.subject" "two_factor_reset.txt" "two_factor_reset.html"
        "data_export.subject" "data_export.txt" "data_export.html"
        "farewell.subject" "farewell.txt" "farewell.html";
    "de": "layout.txt" "layout.html" "verification.subject" "verification.txt" "verification.html"
        "already_registered.subject" "already_registered.txt" "already_registered.html"
        "password_reset.subject" "password_reset.txt" "password_reset.html"
        "generation.subject" "generation.txt" "generation.html" "security.subject" "security.txt" "security.html"
        "former_address.subject" "former_address.txt" "former_address.html"
        "two_factor_reset.subject" "two_factor_reset.txt" "two_factor_reset.html"
        "data_export.subject" "data_export.txt" "data_export.html"
        "farewell.subject" "farewell.txt" "farewell.html";
};

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    for (name, source) in SOURCES {
        templates.add_template(name, source).expect("templates are part of the program, and a test reads them all");
    }
    templates
});

/// Writes a letter in a language, with the way to support, if there is one, and the link that ends its kind, if it has one.
pub(super) fn render(
    language: Language,
    letter: &Letter,
    support: Option<&str>,
    unsubscribe: Option<&str>,
) -> Result<Texts, Error> {
    let (language, name) = (language.as_str(), letter.name());
    let fill = |file: &str, variables: Value| {
        TEMPLATES.get_template(&format!("{language}/{file}"))?.render(variables).map(|text| text.trim().to_owned())
    };
    let subject = fill(&format!("{name}.subject"), Value::from(Serde(letter)))?;
    let half = |end: &str| {
        let variables = context! { subject => subject.as_str(), ..Value::from(Serde(letter)) };
        let content = fill(&format!("{name}.{end}"), variables)?;
        fill(&format!("layout.{end}"), context! { subject => subject.as_str(), content, support, unsubscribe })
    };
    let (text, html) = (half("txt")? + "\n", half("html")? + "\n");
    Ok(Texts { subject, text, html })
}

#[cfg(test)]
mod tests;
