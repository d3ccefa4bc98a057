//! Pages: each item once, in one order, whatever arrives in between; a cursor of elsewhere is refused (U04, DESIGN 6).

use atelier_commands::use_cases::GrantCredits;
use atelier_domain::credit_ledger::GrantReason;
use atelier_domain::{Credits, LedgerId, LotId};
use atelier_projections::cursor::Cursor;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{fault, ids, request};
use crate::harness::TestStudio;
use crate::harness::studio::Person;

/// Each list: its name in the schema, its place in an answer, and the query of one page.
const LISTS: [(&str, &[&str], &str); 4] = [
    (
        "creations",
        &["me", "creations"],
        "query($first: Int, $after: String) { me { creations(first: $first, after: $after) \
            { edges { cursor node { id } } pageInfo { hasNextPage endCursor } } } }",
    ),
    (
        "transactions",
        &["me", "transactions"],
        "query($first: Int, $after: String) { me { transactions(first: $first, after: $after) \
            { edges { cursor node { id } } pageInfo { hasNextPage endCursor } } } }",
    ),
    (
        "explore",
        &["explore"],
        "query($first: Int, $after: String) { explore(first: $first, after: $after) \
            { edges { cursor node { id } } pageInfo { hasNextPage endCursor } } }",
    ),
    (
        "published",
        &["creator", "published"],
        "query($first: Int, $after: String) { creator(username: \"ada\") { published(first: $first, after: $after) \
            { edges { cursor node { id } } pageInfo { hasNextPage endCursor } } } }",
    ),
];

async fn page(studio: &TestStudio, person: &Person, list: (&str, &[&str], &str), variables: Value) -> Value {
    let mut data = studio.graphql(Some(&person.token), list.2, variables).await;
    for name in list.1 {
        data = data[name].take();
    }
    data
}

/// Credits for many pictures.
async fn grant(studio: &TestStudio, person: &Person, amount: i64) {
    let ledger = LedgerId::live(studio.account(person).await);
    let (lot, reason) = (LotId(studio.node.studio.write.fresh_id()), GrantReason::Gift);
    let grant = GrantCredits { ledger, lot, reason, amount: Credits::new(amount), expires_at: None };
    grant.run(&studio.node.studio.write, &studio.operator()).await.expect("credits are granted");
}

#[tokio::test(flavor = "multi_thread")]
async fn u04_every_item_once_and_in_order_though_new_ones_arrive() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    grant(&studio, &ada, 1_500).await;
    for number in 1..=7 {
        request(&studio, &ada, &format!("picture {number}")).await;
    }
    studio.drain().await;
    for list in LISTS {
        let whole = page(&studio, &ada, list, json!({ "first": 100 })).await;
        assert_eq!(whole["pageInfo"]["hasNextPage"], json!(false));
        let expected = ids(&whole);
        assert!(expected.len() >= 7, "{}: {whole}", list.0);
        let (mut seen, mut after, mut pages) = (Vec::new(), Value::Null, 0);
        loop {
            let shown = page(&studio, &ada, list, json!({ "first": 3, "after": after })).await;
            let edges = shown["edges"].as_array().expect("edges");
            assert_eq!(shown["pageInfo"]["endCursor"], edges.last().expect("an item")["cursor"]);
            seen.extend(ids(&shown));
            pages += 1;
            if pages == 1 {
                // Something new arrives above: what lies below does not move.
                request(&studio, &ada, "in between").await;
                studio.drain().await;
            }
            assert_eq!(shown["pageInfo"]["hasNextPage"], json!(seen.len() < expected.len()), "{}", list.0);
            if seen.len() >= expected.len() {
                break;
            }
            after = shown["pageInfo"]["endCursor"].clone();
        }
        assert_eq!(seen, expected, "{}", list.0);
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a28_a_first_page_of_creations_is_fifty_and_the_rest_follows() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    grant(&studio, &ada, 5_000).await;
    studio.hold_renders().await;
    for _ in 0..51 {
        request(&studio, &ada, "one of many").await;
    }
    studio.drain().await;
    let sizes = "{ me { creations { edges { node { id } } pageInfo { hasNextPage } } transactions { edges { node { id } } } } }";
    let shown = studio.graphql(Some(&ada.token), sizes, json!({})).await["me"].take();
    assert_eq!((ids(&shown["creations"]).len(), ids(&shown["transactions"]).len()), (50, 20), "A28, DESIGN 6");
    assert_eq!(shown["creations"]["pageInfo"]["hasNextPage"], json!(true));
    let videos = "{ me { creations(mediaType: VIDEO) { edges { node { id } } } } }";
    let shown = studio.graphql(Some(&ada.token), videos, json!({})).await;
    assert_eq!(ids(&shown["me"]["creations"]).len(), 0, "A29: the filter comes before the fifty");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_elsewhere_is_bad_and_a_page_has_1_to_100_items() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    request(&studio, &ada, "one").await;
    studio.drain().await;
    let another_log = Cursor { at: studio.node.studio.write.now(), id: Uuid::nil() }.encode(Uuid::from_u128(1));
    let position = studio.token(1);
    for list in LISTS {
        let good = page(&studio, &ada, list, json!({ "first": 1 })).await["pageInfo"]["endCursor"].clone();
        let good = good.as_str().expect("a cursor");
        let cut = &good[..good.len() - 2];
        let more = format!("{good}AAAA");
        for bad in ["", "garbage", "!", "AAAA", cut, &more, &another_log, &position, "' or true --"] {
            let answer = studio.graphql_raw(Some(&ada.token), list.2, json!({ "after": bad })).await;
            assert_eq!(fault(&answer), "BAD_CURSOR", "{} after {bad}", list.0);
            let message = answer["errors"][0]["message"].as_str().expect("a message");
            assert_eq!(message, "The cursor is not one of this list.", "no internals in it");
        }
        for first in [0, 101, -1, i64::from(i32::MAX)] {
            let answer = studio.graphql_raw(Some(&ada.token), list.2, json!({ "first": first })).await;
            assert_eq!(fault(&answer), "BAD_INPUT", "{}: first {first}", list.0);
        }
        for first in [1, 100] {
            page(&studio, &ada, list, json!({ "first": first })).await;
        }
    }
    studio.stop().await;
}
