//! Every mail in every language.

use std::collections::BTreeSet;

use super::*;
use crate::notice_topic::NoticeTopic;

const STOP: &str = "https://studio.example/unsubscribe?token=newsletter.abc";
/// What a name or a link would have to be to break out of the HTML half.
const HOSTILE: &str = "x\"'><script>alert(1)</script><img src=https://evil.example/p.png>&amp;";

/// One of each, and of each kind of content; filled with a link and a word.
fn every(link: &str, word: &str) -> Vec<Letter> {
    let (link, word) = (|| link.to_owned(), || word.to_owned());
    let mut all = vec![
        Letter::Verification { link: link() },
        Letter::AlreadyRegistered { app: link() },
        Letter::FormerAddress { at: word(), app: link() },
        Letter::TwoFactorReset { due: word(), link: link() },
        Letter::Farewell {},
    ];
    let keys = || vec![word(), "another key".to_owned()];
    all.extend([true, false].map(|has_password| Letter::PasswordReset { has_password, keys: keys(), link: link() }));
    all.extend([true, false].map(|succeeded| Letter::Generation { succeeded, generation: word(), app: link() }));
    all.extend([true, false].map(|ready| Letter::DataExport { ready, until: word(), link: link() }));
    let topics = NoticeTopic::ALL.into_iter().filter(|topic| topic.is_security());
    all.extend(topics.map(|topic| {
        let keys = (topic == NoticeTopic::PasswordChanged).then(keys);
        Letter::Security { topic: topic.as_str(), at: word(), keys, app: link() }
    }));
    all
}

fn rendered(link: &str, word: &str, unsubscribe: Option<&str>) -> Vec<(Language, Letter, Texts)> {
    let in_language = |language: Language| {
        every(link, word).into_iter().map(move |letter| {
            let texts = render(language, &letter, None, unsubscribe);
            let texts = texts.unwrap_or_else(|error| panic!("{}, {}: {error:#}", letter.name(), language.as_str()));
            (language, letter, texts)
        })
    };
    Language::ALL.into_iter().flat_map(in_language).collect()
}

/// What HTML shows for a text that was escaped into it.
fn unescaped(html: &str) -> String {
    [("&#x2f;", "/"), ("&#x27;", "'"), ("&quot;", "\""), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")]
        .iter()
        .fold(html.to_owned(), |html, (escaped, plain)| html.replace(escaped, plain))
}

fn links_in_html(html: &str) -> BTreeSet<String> {
    let ends = html.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default());
    ends.map(unescaped).collect()
}

fn links_in_text(text: &str) -> BTreeSet<String> {
    text.split_whitespace().filter(|word| word.contains("://")).map(str::to_owned).collect()
}

#[test]
fn v12_every_mail_is_written_in_every_language_with_the_same_links_in_both_halves() {
    let mut subjects = BTreeSet::new();
    for (language, letter, texts) in rendered("https://studio.example/here?a=1&b=2", "a word", Some(STOP)) {
        let name = format!("{} in {}", letter.name(), language.as_str());
        assert!(!texts.subject.is_empty() && !texts.subject.contains(['\n', '{', '<']), "{name}: {}", texts.subject);
        assert!(texts.html.contains(&format!("<html lang=\"{}\">", language.as_str())), "{name}");
        let links = links_in_text(&texts.text);
        let own = usize::from(!matches!(letter, Letter::Farewell {}));
        assert!(links.len() == own + 1 && links.contains(STOP), "{name}: {links:?}");
        assert_eq!(links_in_html(&texts.html), links, "{name}");
        // A link that stands alone is one that every mail program makes a link of.
        assert!(links.iter().all(|link| texts.text.lines().any(|line| line == link)), "{name}");
        assert!(!texts.text.contains(['{', '<']) && !texts.html.contains("{{"), "{name}");
        assert!(subjects.insert(texts.subject.clone()), "said twice: {}", texts.subject);
    }
    assert_eq!(subjects.len(), 2 * every("", "").len());
}

#[test]
fn v12_nothing_in_a_mail_is_fetched_from_elsewhere_or_run() {
    for (_, letter, texts) in rendered("https://studio.example", "a word", Some(STOP)) {
        for bad in ["<img", "<script", "<link", "<iframe", "<form", "<input", "url(", "@import", "src=", " on"] {
            let found =
                texts.html.to_lowercase().contains(bad) && (bad != " on" || texts.html.contains("=\"javascript"));
            assert!(!found, "{}: {bad}", letter.name());
        }
    }
}

#[test]
fn v12_what_is_filled_in_cannot_leave_its_place() {
    for (_, letter, texts) in rendered(HOSTILE, HOSTILE, Some(HOSTILE)) {
        assert!(!texts.html.contains("<script") && !texts.html.contains("<img"), "{}", letter.name());
        let shown = links_in_html(&texts.html);
        assert_eq!(
            shown.into_iter().collect::<Vec<_>>(),
            [HOSTILE],
            "{}: shown as it is, inside its attribute",
            letter.name()
        );
        assert!(texts.text.contains(HOSTILE), "{}: plain text is plain", letter.name());
    }
}

#[test]
fn a12_every_mail_says_where_support_is_if_it_is_anywhere() {
    let support = "https://studio.example/help?a=1&b=2";
    for language in Language::ALL {
        for letter in every("https://studio.example/here", "a word") {
            let texts = render(language, &letter, Some(support), None).unwrap();
            assert!(texts.text.lines().any(|line| line == support), "{}: {}", letter.name(), texts.text);
            assert!(links_in_html(&texts.html).contains(support), "{}", letter.name());
            let hostile = render(language, &letter, Some(HOSTILE), None).unwrap();
            assert!(!hostile.html.contains("<script") && !hostile.html.contains("<img"), "{}", letter.name());
        }
    }
    for (_, letter, texts) in rendered("https://studio.example/here", "a word", Some(STOP)) {
        assert!(
            !texts.text.contains("Questions?") && !texts.text.contains("Fragen?"),
            "{}: none is said",
            letter.name()
        );
    }
}

#[test]
fn v16_only_mails_that_can_be_ended_say_how() {
    for (_, letter, texts) in rendered("https://studio.example", "a word", None) {
        assert!(!texts.text.contains("unsubscribe") && links_in_html(&texts.html).len() <= 1, "{}", letter.name());
    }
}

#[test]
fn s7_a_mail_about_a_new_password_names_the_keys_or_says_that_there_are_none() {
    let says = |language, letter: &Letter| render(language, letter, None, None).unwrap().text;
    for (language, none) in [(Language::En, "No API key works."), (Language::De, "Kein API-Schlüssel gilt.")] {
        let changed = |keys: &[&str]| Letter::Security {
            topic: NoticeTopic::PasswordChanged.as_str(),
            at: "today".into(),
            keys: Some(keys.iter().map(|key| (*key).to_owned()).collect()),
            app: "https://studio.example".into(),
        };
        assert!(says(language, &changed(&[])).contains(none));
        let told = says(language, &changed(&["one", "<b>two"]));
        assert!(told.contains("- one\n- <b>two\n") && !told.contains(none), "{told}");
        let reset =
            |keys: Vec<String>| Letter::PasswordReset { has_password: true, keys, link: "https://x.example".into() };
        assert!(!says(language, &reset(Vec::new())).contains("API"));
        assert!(says(language, &reset(vec!["one".into()])).contains("- one\n"));
    }
}

/// A sentence about passwords is read by a person before it is allowed here.
#[test]
fn v07_no_mail_contains_or_asks_for_a_password() {
    const ALLOWED: [&str; 10] = [
        "We never ask for your password by mail.",
        "Wir fragen nie per Mail nach deinem Passwort.",
        "Your password was changed",
        "Choose a new password",
        "Wähle ein neues Passwort",
        "Dein Passwort wurde geändert",
        "end every session that you do not know, and change your password:",
        "end every session that you do not know, and change your password.",
        "beende jede Sitzung, die du nicht kennst, und ändere dein Passwort:",
        "beende jede Sitzung, die du nicht kennst, und ändere dein Passwort.",
    ];
    for (name, source) in SOURCES {
        let rest = ALLOWED.iter().fold((*source).to_owned(), |rest, allowed| rest.replace(allowed, ""));
        let rest = rest.to_lowercase().replace("\"password_changed\"", "").replace("has_password", "");
        for word in ["password", "passwort", "kennwort", "passphrase", "credential"] {
            assert!(!rest.contains(word), "{name}: a new sentence about a {word}");
        }
    }
    for (language, letter, texts) in rendered("https://studio.example", "a word", None) {
        let never = match language {
            Language::En => "We never ask for your password by mail.",
            Language::De => "Wir fragen nie per Mail nach deinem Passwort.",
        };
        assert!(texts.text.contains(never) && texts.html.contains(never), "{}", letter.name());
    }
}

#[test]
fn a_missing_variable_is_an_error_and_every_file_is_part_of_the_program() {
    let without = TEMPLATES.get_template("en/verification.txt").unwrap().render(context! {});
    assert!(without.is_err(), "strict");
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut files = BTreeSet::new();
    for language in Language::ALL.map(Language::as_str) {
        for file in std::fs::read_dir(folder.join(language)).unwrap() {
            files.insert(format!("{language}/{}", file.unwrap().file_name().into_string().unwrap()));
        }
    }
    assert_eq!(files, SOURCES.iter().map(|(name, _)| (*name).to_owned()).collect());
}
