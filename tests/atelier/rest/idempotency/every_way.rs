//! Every way to move credits from outside, with an idempotency key: applied, repeated, refused, in conflict and busy are five
//! different answers, and only the first writes (L04-L07).

use futures::future::join_all;
use serde_json::{Value, json};

use super::super::picture;
use crate::harness::TestStudio;
use crate::harness::studio::Person;

/// How many copies of one request there are at once.
const COPIES: usize = 64;

/// A way to hold credits, or to give them back. Nothing else that a client may ask for moves any: grants have no route, and the
/// bonus, a capture and an expiry are work whose ids come from the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Generate,
    Submit,
    RequestGeneration,
    Cancel,
    CancelGeneration,
}

const WAYS: [Way; 5] = [Way::Generate, Way::Submit, Way::RequestGeneration, Way::Cancel, Way::CancelGeneration];

/// What was answered, in the same words for REST and GraphQL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Applied,
    Repeated,
    KeyReused,
    Busy,
    Refused(String),
}

/// What is asked for.
#[derive(Debug, Clone)]
struct Ask {
    /// The prompt of a request, the id of a withdrawal.
    about: String,
}

/// Somebody with credits, a session and a key, whose jobs wait.
struct Client {
    studio: TestStudio,
    person: Person,
    key: String,
}

impl Client {
    async fn come() -> Self {
        let studio = TestStudio::start().await;
        let person = studio.newcomer("ada").await;
        let (_, key) = studio.api_key(&person).await;
        studio.hold_renders().await;
        Self { studio, person, key }
    }

    /// Something that this way can do, once for each number.
    async fn possible(&self, way: Way, number: usize) -> Ask {
        let about = match way {
            Way::Generate | Way::Submit | Way::RequestGeneration => format!("Picture {number}"),
            Way::Cancel | Way::CancelGeneration => {
                let accepted =
                    self.studio.post_with("/v1/generate", &self.key, &picture(), &[("prefer", "wait=0")]).await;
                self.studio.drain().await;
                accepted.json()["request_id"].as_str().expect("accepted").to_owned()
            }
        };
        Ask { about }
    }

    /// Something that a rule refuses.
    fn refused(way: Way) -> Ask {
        let about = match way {
            Way::Generate | Way::Submit | Way::RequestGeneration => String::new(),
            Way::Cancel | Way::CancelGeneration => "gen_00000000000070008000000000000000".to_owned(),
        };
        Ask { about }
    }

    /// Asks with an idempotency key: what was said, and of which job.
    async fn ask(&self, way: Way, key: &str, ask: &Ask) -> (Said, Option<String>) {
        match way {
            Way::Generate | Way::Submit | Way::Cancel => self.by_rest(way, &self.key, key, ask).await,
            Way::RequestGeneration => {
                let query = "mutation($input: RequestGenerationInput!) { answer: requestGeneration(input: $input) \
                             { generation { id } repeated userErrors { code } } }";
                let input = json!({ "prompt": ask.about, "model": "z-image-turbo", "width": 64, "height": 64, "idempotencyKey": key });
                self.by_graphql(query, input).await
            }
            Way::CancelGeneration => {
                let query = "mutation($input: CancelGenerationInput!) { answer: cancelGeneration(input: $input) \
                             { generation { id } repeated userErrors { code } } }";
                self.by_graphql(query, json!({ "id": ask.about, "idempotencyKey": key })).await
            }
        }
    }

    async fn by_rest(&self, way: Way, api_key: &str, key: &str, ask: &Ask) -> (Said, Option<String>) {
        let mut body = picture();
        body["prompt"] = json!(ask.about);
        let path = match way {
            Way::Generate => "/v1/generate".to_owned(),
            Way::Submit => "/v1/generations".to_owned(),
            Way::Cancel | Way::RequestGeneration | Way::CancelGeneration => {
                format!("/v1/generations/{}/cancel", ask.about)
            }
        };
        let headers = [("idempotency-key", key), ("prefer", "wait=0")];
        let answer = self.studio.post_with(&path, api_key, &body, &headers).await;
        let said = answer.json();
        let job = said["request_id"].as_str().map(str::to_owned);
        let hit = answer.headers.get("idempotency-hit").is_some_and(|hit| hit == "true");
        let said = match (answer.status.as_u16(), said["error"].as_str()) {
            (200 | 202, _) if hit => Said::Repeated,
            (200 | 202, _) => Said::Applied,
            (409, Some("idempotency_conflict")) => Said::KeyReused,
            (503, Some("conflict")) => Said::Busy,
            (status, error) => Said::Refused(format!("{status} {}", error.unwrap_or_default())),
        };
        (said, job)
    }

    async fn by_graphql(&self, query: &str, input: Value) -> (Said, Option<String>) {
        let answer = self.studio.graphql_raw(Some(&self.person.token), query, json!({ "input": input })).await;
        let payload = &answer["data"]["answer"];
        let job = payload["generation"]["id"].as_str().map(str::to_owned);
        let said = match answer["errors"][0]["extensions"]["code"].as_str() {
            Some("CONFLICT") => Said::Busy,
            Some(other) => Said::Refused(other.to_owned()),
            None => match (payload["userErrors"][0]["code"].as_str(), payload["repeated"].as_bool()) {
                (Some("IDEMPOTENCY_CONFLICT"), _) => Said::KeyReused,
                (Some(code), _) => Said::Refused(code.to_owned()),
                (None, Some(true)) => Said::Repeated,
                (None, Some(false)) => Said::Applied,
                (None, None) => panic!("{answer}"),
            },
        };
        (said, job)
    }

    /// The head of the log, once nothing is left to do.
    async fn head(&self) -> i64 {
        self.studio.drain().await;
        self.studio.head().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l04_l06_l07_every_way_to_move_credits_knows_applied_repeated_refused_reused_and_busy() {
    for way in WAYS {
        let client = Client::come().await;
        let (one, other) = (client.possible(way, 1).await, client.possible(way, 2).await);
        let head = client.head().await;
        // L07: what was refused has not used its key up, whoever refused it.
        let (refused, _) = client.ask(way, "key-1", &Client::refused(way)).await;
        assert!(matches!(refused, Said::Refused(_)), "{way:?}: {refused:?}");
        if matches!(way, Way::Generate | Way::Submit | Way::Cancel) {
            let (stranger, _) = client.by_rest(way, "atl_live_nobody", "key-1", &one).await;
            assert_eq!(stranger, Said::Refused("401 invalid_api_key".to_owned()));
        }
        // L06: a log in which somebody else is always faster is busy; nobody is said to be poor.
        client.studio.as_superuser(BUSY).await;
        let (busy, _) = client.ask(way, "key-1", &one).await;
        assert_eq!(busy, Said::Busy, "{way:?}");
        client.studio.as_superuser("drop trigger busy on events; drop function busy()").await;
        assert_eq!(client.head().await, head, "{way:?}: nothing was written");

        let (applied, job) = client.ask(way, "key-1", &one).await;
        assert_eq!(applied, Said::Applied, "{way:?}: the key is free");
        assert!(job.is_some());
        let head = client.head().await;
        for _ in 0..2 {
            assert_eq!(client.ask(way, "key-1", &one).await, (Said::Repeated, job.clone()), "{way:?}: L04");
        }
        let (reused, _) = client.ask(way, "key-1", &other).await;
        assert_eq!(reused, Said::KeyReused, "{way:?}: L07");
        assert_eq!(client.head().await, head, "{way:?}: nothing was written");
        client.studio.stop().await;
    }
}

/// From now on somebody else is always faster.
const BUSY: &str = "create function busy() returns trigger language plpgsql as \
    $$ begin raise unique_violation using message = 'planted by a test'; end $$; \
    create trigger busy before insert on events for each row execute function busy()";

#[tokio::test(flavor = "multi_thread")]
async fn l05_sixty_four_copies_at_once_apply_once() {
    let client = Client::come().await;
    for way in WAYS {
        // Each round is another throw of the dice.
        for round in 0..2 {
            let (ask, key) = (client.possible(way, round).await, format!("{way:?}-{round}"));
            let before = client.studio.events_named("GenerationRequested").await;
            let answers = join_all((0..COPIES).map(|_| client.ask(way, &key, &ask))).await;
            let applied = answers.iter().filter(|(said, _)| *said == Said::Applied).count();
            let repeated = answers.iter().filter(|(said, _)| *said == Said::Repeated).count();
            assert_eq!((applied, repeated), (1, COPIES - 1), "{way:?}: {answers:?}");
            assert!(answers.windows(2).all(|pair| pair[0].1 == pair[1].1), "{way:?}: one job");
            client.studio.drain().await;
            let requests = client.studio.events_named("GenerationRequested").await - before;
            if matches!(way, Way::Cancel | Way::CancelGeneration) {
                assert_eq!(requests, 0, "{way:?}");
                continue;
            }
            assert_eq!(requests, 1, "{way:?}");
            // What is asked for is withdrawn again, so that the credits last.
            let undo = Ask { about: answers[0].1.clone().expect("a job") };
            assert_eq!(client.ask(Way::Cancel, &format!("undo-{key}"), &undo).await.0, Said::Applied);
        }
    }
    client.studio.drain().await;
    let balance = super::super::balance(&client.studio, &client.key).await;
    assert_eq!(balance, (500, 0), "every hold came back once");
    let (placed, voided) =
        (client.studio.events_named("HoldPlaced").await, client.studio.events_named("HoldVoided").await);
    assert_eq!((placed, voided), (10, 10));
    client.studio.stop().await;
}
