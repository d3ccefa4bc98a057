//! G13: what somebody changed on one node is read on any node at the answer's position, never older.

use std::time::Instant;

use atelier_domain::AccountId;
use futures::future::join_all;
use serde_json::{Value, json};

use super::dice::Dice;
use super::members::grant;
use super::{another_node, size, tell};
use crate::harness::TestStudio;
use crate::harness::process::until;
use crate::harness::studio::Person;
use crate::harness::visitor::Visitor;

/// How many people write and read at once.
const PEOPLE: usize = 4;
/// The credits from which on nobody is given more.
const MOST: i64 = 1_000;
const UPDATE: &str = "mutation($bio: String!) { updateProfile(input: { bio: $bio }) { userErrors { code } position } }";
const ME: &str =
    "query($position: String) { me(minPosition: $position) { position profile { bio } credits { available } } }";

/// Somebody with what they must see: what they wrote last, and the credits they have.
struct Writer<'a> {
    studio: &'a TestStudio,
    nodes: &'a [Visitor; 2],
    person: Person,
    account: AccountId,
    bio: Value,
    credits: i64,
    /// Reads that were told to come again: the honest answer of a node that is behind.
    behind: usize,
}

impl Writer<'_> {
    /// Changes something on one node; the position to read it from.
    async fn write(&mut self, number: usize, dice: &mut Dice) -> Value {
        // Few enough that the lots do not become what is measured.
        if self.credits < MOST && dice.chance(10) {
            let amount = 1 + dice.below(9);
            self.credits += i64::try_from(amount).expect("small");
            let position = grant(&self.studio.node, self.account, &[i64::try_from(amount).expect("small")]).await;
            return json!(self.studio.token(position));
        }
        self.bio = json!(format!("Change {number}"));
        let node = &self.nodes[dice.below(2)];
        let changed = node.graphql(Some(&self.person.token), UPDATE, json!({ "bio": self.bio })).await;
        changed["position"].clone()
    }

    /// Reads on one node at a position: everything written up to there.
    async fn read(&mut self, position: &Value, dice: &mut Dice) {
        let query = json!({ "query": ME, "variables": { "position": position } });
        let node = &self.nodes[dice.below(2)];
        let me = until("a node that has come as far", async || {
            let answer = node.request("POST", "/graphql").bearer_auth(&self.person.token).json(&query).send().await;
            let answer: Value = answer.expect("the node answers").json().await.expect("JSON");
            if answer["errors"][0]["extensions"]["code"] == json!("STALE_READ") {
                self.behind += 1;
                return None;
            }
            assert!(answer.get("errors").is_none(), "{answer}");
            Some(answer["data"]["me"].clone())
        })
        .await;
        let seen = (&me["profile"]["bio"], &me["credits"]["available"]);
        assert_eq!(seen, (&self.bio, &json!(self.credits)), "G13: stale at {position}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g13_what_was_written_on_one_node_is_read_on_any_at_its_position() {
    let (pairs, started) = (size("ATELIER_SOAK_PAIRS", 400), Instant::now());
    let mut dice = Dice::of("crash::read_your_writes");
    let studio = TestStudio::start().await;
    let another = another_node(&studio, &studio.database.url).await;
    let nodes = [Visitor::of(studio.url.clone()), Visitor::of(format!("http://{}", another.address))];
    let mut writing = Vec::new();
    for number in 0..PEOPLE {
        let person = studio.newcomer(&format!("writer{number}")).await;
        let account = studio.account(&person).await;
        let (studio, nodes, mut dice) = (&studio, &nodes, dice.fork());
        let mut writer = Writer { studio, nodes, person, account, bio: Value::Null, credits: 500, behind: 0 };
        writing.push(async move {
            for number in (number..pairs).step_by(PEOPLE) {
                let position = writer.write(number, &mut dice).await;
                writer.read(&position, &mut dice).await;
            }
            writer.behind
        });
    }
    let behind: usize = join_all(writing).await.into_iter().sum();
    tell(&format!("G13 read your writes: {pairs} pairs on two nodes, stale 0, told to come again {behind}"));
    tell(&format!("G13 read your writes: {} s", started.elapsed().as_secs()));
    assert!(another.stop().await, "everything that was begun ends in time");
    studio.stop().await;
}
