//! A root field waits for the read models that its selection reads and for no others; each field fails alone, and what a mutation did is
//! told whatever can be read of it (L29, U44).

mod payloads;
pub mod stage;
pub mod table;

use std::collections::{BTreeMap, BTreeSet};

use atelier_projections::models;
use serde_json::{Value, json};

use self::stage::{Stage, codes};
use self::table::{By, FIELDS, SELECTIONS, SUBSCRIPTIONS, WAYS};
use crate::graphql::served::Served;

/// A document, who asks it, and the read models it needs.
struct Row {
    by: By,
    document: String,
    needs: BTreeSet<&'static str>,
}

/// The whole table; every field of the types in it has a row, or this fails.
fn rows(served: &Served) -> Vec<Row> {
    let mut rows = Vec::new();
    for way in WAYS {
        let mut known = BTreeSet::new();
        for (of, needs, fields) in FIELDS.iter().filter(|(of, ..)| *of == way.of) {
            for name in fields.split_whitespace() {
                assert!(known.insert(name), "{of}.{name} has one row");
                let needs = way.needs.iter().chain(*needs).copied().collect();
                let field = served.field(of, name);
                let arguments = if field.requires("accountId") { "(accountId: \"{account}\")" } else { "" };
                let below = if served.fields(&field.of).is_empty() { "" } else { "{ __typename }" };
                let document = way.document.replace('@', &format!("{name}{arguments} {below}"));
                rows.push(Row { by: way.by, document, needs });
            }
        }
        let served: BTreeSet<&str> = served.fields(way.of).iter().map(|field| field.name.as_str()).collect();
        assert_eq!(known, served, "every field of {} has a row", way.of);
    }
    let whole = |(document, needs): &(&str, &[&'static str])| Row {
        by: By::Owner,
        document: (*document).to_owned(),
        needs: needs.iter().copied().collect(),
    };
    rows.extend(SELECTIONS.iter().map(whole));
    for field in served.fields("Query").iter().filter(|field| field.takes("minPosition")) {
        assert!(
            WAYS.iter().any(|way| way.document.contains(&format!("{{ {}(", field.name))),
            "{} has a way",
            field.name
        );
    }
    let followed: BTreeSet<&str> = served.fields("Subscription").iter().map(|field| field.name.as_str()).collect();
    assert_eq!(followed, SUBSCRIPTIONS.iter().map(|(name, ..)| *name).collect(), "every subscription has a row");
    rows
}

fn all() -> BTreeSet<&'static str> {
    models::all().iter().map(|model| model.name()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn l29_a_field_answers_while_every_read_model_that_it_does_not_need_is_behind() {
    let stage = Stage::set().await;
    let mut by_needs: BTreeMap<BTreeSet<&str>, Vec<Row>> = BTreeMap::new();
    for row in rows(&Served::of(&stage.cast.studio).await) {
        by_needs.entry(row.needs.clone()).or_default().push(row);
    }
    for (_, document, needs) in SUBSCRIPTIONS {
        let row = Row { by: By::Owner, document: (*document).to_owned(), needs: needs.iter().copied().collect() };
        by_needs.entry(row.needs.clone()).or_default().push(row);
    }
    for (needs, rows) in by_needs {
        let others: Vec<&str> = all().difference(&needs).copied().collect();
        let position = stage.hold(&others).await;
        for row in rows {
            let answer = if row.document.starts_with("subscription") {
                stage.first_event(&row.document, &position).await
            } else {
                stage.ask(row.by, &row.document, &position).await
            };
            assert_eq!(codes(&answer), [""; 0], "{} needs {needs:?}: {answer}", row.document);
        }
        stage.release().await;
    }
    stage.cast.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l29_a_field_whose_read_model_is_behind_says_stale_read_and_the_others_answer() {
    let stage = Stage::set().await;
    let served = Served::of(&stage.cast.studio).await;
    let rows = rows(&served);
    let screen = served.fields("Me").iter().map(|field| {
        let below = if served.fields(&field.of).is_empty() { "" } else { "{ __typename }" };
        format!("{} {below}", field.name)
    });
    let screen = WAYS[0].document.replace('@', &screen.collect::<Vec<_>>().join(" "));
    let nulls = |answer: &Value| -> BTreeSet<String> {
        let me = answer["data"]["me"].as_object().expect("the rest of the screen");
        me.iter().filter(|(_, value)| value.is_null()).map(|(name, _)| name.clone()).collect()
    };
    let position = stage.hold(&[]).await;
    let never_there = nulls(&stage.ask(By::Owner, &screen, &position).await);
    for model in all() {
        let position = stage.hold(&[model]).await;
        for row in rows.iter().filter(|row| row.needs.contains(model)) {
            let answer = stage.ask(row.by, &row.document, &position).await;
            assert!(!codes(&answer).is_empty(), "{} needs {model}: {answer}", row.document);
            assert!(codes(&answer).iter().all(|code| *code == "STALE_READ"), "{}: {answer}", row.document);
        }
        for (_, document, _) in SUBSCRIPTIONS.iter().filter(|(.., needs)| needs.contains(&model)) {
            let event = stage.first_event(document, &position).await;
            assert_eq!(codes(&event), ["STALE_READ"], "{document} needs {model}: {event}");
        }
        let answer = stage.ask(By::Owner, &screen, &position).await;
        let missing: BTreeSet<String> = nulls(&answer).difference(&never_there).cloned().collect();
        let needing = FIELDS.iter().filter(|(of, needs, _)| *of == "Me" && needs.contains(&model));
        let needing: BTreeSet<String> =
            needing.flat_map(|(.., fields)| fields.split_whitespace()).map(str::to_owned).collect();
        assert_eq!(missing, needing, "what needs {model} is null, and nothing else: {answer}");
        assert_eq!(answer["data"]["me"]["position"], json!(position), "the position of what is there");
        stage.release().await;
    }
    stage.cast.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l29_a_position_alone_is_the_head_of_the_log_and_an_unknown_one_is_refused() {
    let stage = Stage::set().await;
    let everything: Vec<&str> = all().into_iter().collect();
    let position = stage.hold(&everything).await;
    let alone = WAYS[0].document.replace('@', "position");
    assert_eq!(stage.ask(By::Owner, &alone, &position).await["data"]["me"]["position"], json!(position));
    let stale = stage.ask(By::Owner, &WAYS[0].document.replace('@', "id rank { current }"), &position).await;
    assert_eq!((codes(&stale), &stale["data"]["me"]), (vec!["STALE_READ"], &json!(null)), "nothing was read");
    let unknown = stage.ask(By::Owner, &alone, "garbage").await;
    assert_eq!(codes(&unknown), ["POSITION_UNKNOWN"]);
    stage.cast.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d6_a_fault_of_the_database_is_unavailable_whatever_is_read() {
    let stage = Stage::set().await;
    let position = stage.hold(&[]).await;
    let rows = rows(&Served::of(&stage.cast.studio).await);
    let gone = "alter schema read_models_a rename to gone_a; alter schema read_models_b rename to gone_b; \
                alter schema credentials rename to gone_credentials; alter table notices rename to gone_notices";
    stage.cast.studio.as_superuser(gone).await;
    let mut failed = 0;
    for row in rows {
        let answer = stage.ask(row.by, &row.document, &position).await;
        failed += codes(&answer).len();
        assert!(codes(&answer).iter().all(|code| *code == "UNAVAILABLE"), "{}: {answer}", row.document);
    }
    assert!(failed > 20, "most of them read something: {failed}");
    let back = "alter schema gone_a rename to read_models_a; alter schema gone_b rename to read_models_b; \
                alter schema gone_credentials rename to credentials; alter table gone_notices rename to notices";
    stage.cast.studio.as_superuser(back).await;
    stage.cast.studio.stop().await;
}
