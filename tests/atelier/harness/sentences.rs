//! That every user error which any test provokes says a whole sentence (B7): asked for beside whatever the test itself asks.

use serde_json::Value;

/// The name under which the sentence is asked for.
const SPOKEN: &str = "spokenToAPerson";

/// The document, asking for the sentence of each user error too.
pub fn asking(document: &str) -> String {
    document.replace("userErrors {", &format!("userErrors {{ {SPOKEN}: message"))
}

/// Takes the sentences out of an answer, after a look at each.
pub fn heard(answer: &mut Value) {
    match answer {
        Value::Object(members) => {
            if let Some(said) = members.remove(SPOKEN) {
                let said = said.as_str().expect("a message").to_owned();
                assert!(is_sentence(&said), "a user error's message is a whole sentence for a person: {said:?}");
            }
            members.values_mut().for_each(heard);
        }
        Value::Array(items) => items.iter_mut().for_each(heard),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Begins with a capital or a number, ends with a full stop, and names nothing as a program does: no `snake_case`, no `camelCase`.
pub fn is_sentence(message: &str) -> bool {
    let begins = message.starts_with(|first: char| first.is_uppercase() || first.is_ascii_digit());
    let words = message.split(|c: char| c.is_whitespace() || ",;:.'".contains(c));
    let programs = |word: &str| {
        word.len() > 1
            && (word.contains('_') || word.starts_with(char::is_lowercase) && word.contains(char::is_uppercase))
    };
    begins && message.ends_with('.') && !words.into_iter().any(programs)
}
