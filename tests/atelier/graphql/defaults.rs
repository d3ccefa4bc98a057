//! Arguments that may be left out: without the argument, by a variable without a value, by null and by the default as a literal, a field
//! answers the same (CoerceArgumentValues). The table is the served schema: a new argument is in it.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::served::{Field, Input, Served};
use super::waits::stage::Stage;
use crate::authorization::Caller;

/// What an argument is given that cannot be left out.
const REQUIRED: &[(&str, &str, &str)] = &[
    ("creator", "username", "\"ada\""),
    ("usernameAvailability", "username", "\"ada\""),
    ("generation", "id", "\"{published}\""),
    ("node", "id", "\"{published}\""),
    ("ledger", "accountId", "\"{account}\""),
    ("history", "accountId", "\"{account}\""),
    ("generationUpdated", "id", "\"{published}\""),
];

/// A field as it is asked for, with the arguments it needs and perhaps one more.
fn call(field: &Field, more: Option<&str>) -> String {
    let needed = field.arguments.iter().filter(|argument| field.requires(&argument.name)).map(|argument| {
        let known = REQUIRED.iter().find(|(of, name, _)| *of == field.name && *name == argument.name);
        let (.., value) = known.unwrap_or_else(|| panic!("{}({}) has a value here", field.name, argument.name));
        format!("{}: {value}", argument.name)
    });
    let arguments: Vec<String> = needed.chain(more.map(str::to_owned)).collect();
    if arguments.is_empty() { field.name.clone() } else { format!("{}({})", field.name, arguments.join(", ")) }
}

/// How every type is reached from a root, shortest way first.
fn ways(served: &Served, root: &str) -> BTreeMap<String, Vec<String>> {
    let mut ways = BTreeMap::from([(root.to_owned(), Vec::new())]);
    let mut open = VecDeque::from([root.to_owned()]);
    while let Some(of) = open.pop_front() {
        for field in served.fields(&of).iter().filter(|field| !served.fields(&field.of).is_empty()) {
            if !ways.contains_key(&field.of) {
                let way = ways[&of].iter().cloned().chain([call(field, None)]).collect();
                ways.insert(field.of.clone(), way);
                open.push_back(field.of.clone());
            }
        }
    }
    ways
}

/// What may change from one answer to the next: links are signed anew, and asking is a use of a session.
const CHANGES: &[&str] = &["images", "lastActiveAt"];

/// Everything to compare below a type, so many levels deep.
fn below(served: &Served, of: &str, levels: usize) -> String {
    let part = |field: &Field| {
        let leaf = served.fields(&field.of).is_empty();
        let left_out = CHANGES.contains(&field.name.as_str())
            || field.arguments.iter().any(|argument| field.requires(&argument.name));
        match (leaf, levels) {
            _ if left_out => None,
            (true, _) => Some(field.name.clone()),
            (false, 0) => None,
            (false, _) => Some(format!("{} {}", field.name, below(served, &field.of, levels - 1))),
        }
    };
    let parts: Vec<String> = served.fields(of).iter().filter_map(part).collect();
    match (parts.is_empty(), served.fields(of).is_empty()) {
        (_, true) => String::new(),
        (true, false) => "{ __typename }".to_owned(),
        (false, false) => format!("{{ {} }}", parts.join(" ")),
    }
}

/// The forms in which an argument can be left out: the variable's declaration, the argument, the variables.
fn forms(argument: &Input) -> Vec<(String, String, Value)> {
    let Input { name, kind, default, .. } = argument;
    let declared = format!("($v: {})", kind.trim_end_matches('!'));
    let mut forms = vec![(declared.clone(), format!("{name}: $v"), json!({}))];
    if let Some(default) = default {
        forms.push((String::new(), format!("{name}: {default}"), json!({})));
    }
    if argument.nullable {
        forms.push((declared, format!("{name}: $v"), json!({ "v": null })));
        forms.push((String::new(), format!("{name}: null"), json!({})));
    }
    forms
}

#[tokio::test(flavor = "multi_thread")]
async fn b2_an_argument_that_is_left_out_in_whatever_way_has_its_default() {
    let stage = Stage::set().await;
    let served = Served::of(&stage.cast.studio).await;
    let (mut defaults, mut compared) = (0, 0);
    for (of, way) in ways(&served, "Query") {
        for field in served.fields(&of) {
            for argument in field.arguments.iter().filter(|argument| !field.requires(&argument.name)) {
                let whole = |more: Option<&str>, declared: &str| {
                    let inner = format!("{} {}", call(field, more), below(&served, &field.of, 3));
                    let around = way.iter().rev().fold(inner, |inner, outer| format!("{outer} {{ {inner} }}"));
                    format!("query{declared} {{ {around} }}")
                };
                let token = if way.first().or(Some(&field.name)).is_some_and(|root| root.starts_with("audit")) {
                    stage.cast.token(Caller::Auditor)
                } else {
                    stage.cast.token(Caller::Owner)
                };
                let ask = async |document: &str, variables: Value| {
                    let document = stage.fill(document);
                    stage.cast.studio.graphql_raw(token, &document, variables).await
                };
                let plain = whole(None, "");
                let expected = ask(&plain, json!({})).await;
                assert!(expected.get("errors").is_none(), "{plain}: {expected}");
                for (declared, more, variables) in forms(argument) {
                    let document = whole(Some(&more), &declared);
                    let answer = ask(&document, variables.clone()).await;
                    assert_eq!(answer, expected, "{document} with {variables}");
                    compared += 1;
                }
                defaults += usize::from(argument.default.is_some());
            }
        }
    }
    assert!(defaults >= 6 && compared > 60, "{defaults} defaults, {compared} comparisons");
    stage.cast.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b2_an_argument_of_a_subscription_that_is_left_out_has_its_default() {
    let stage = Stage::set().await;
    let served = Served::of(&stage.cast.studio).await;
    for field in served.fields("Subscription") {
        for argument in field.arguments.iter().filter(|argument| !field.requires(&argument.name)) {
            let whole = |more: Option<&str>, declared: &str| {
                format!("subscription{declared} {{ {} {} }}", call(field, more), below(&served, &field.of, 2))
            };
            let expected = stage.first_event_with(&whole(None, ""), json!({})).await;
            assert!(expected.get("errors").is_none(), "{}: {expected}", field.name);
            for (declared, more, variables) in forms(argument) {
                let document = whole(Some(&more), &declared);
                let event = stage.first_event_with(&document, variables.clone()).await;
                assert_eq!(event, expected, "{document} with {variables}");
            }
        }
    }
    stage.cast.studio.stop().await;
}
