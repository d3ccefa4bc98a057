//! Numbers of the schema: each `Int` has a reason why it fits into 32 bits, and whatever the API returned can be sent back (B5).

use std::collections::{BTreeMap, BTreeSet};

use atelier_commands::CommandError;
use atelier_commands::use_cases::GrantCredits;
use atelier_domain::credit_ledger::GrantReason;
use atelier_domain::{Credits, LedgerId, LotId};
use serde_json::{Value, json};

use super::served::Served;
use super::{fault, refusal};
use crate::harness::TestStudio;
use crate::harness::studio::Person;

/// The greatest balance, price and cap.
const MOST: i64 = 2_000_000_000;
/// The greatest seed.
const SEED: i64 = 4_294_967_295;

/// Every `Int` that the API returns, by why it fits.
const INTS: &[(&str, &str)] = &[
    (
        "a balance ends at 2,000,000,000, and no lot, price or line of it is more",
        "Credits.available Credits.held Credits.expiringSoon CreditLot.remaining CreditLot.granted Transaction.amount Model.price \
         Generation.price Generation.creditsUsed RequestAccountDeletionPayload.forfeitedCredits UserError.required \
         UserError.available",
    ),
    ("a cap ends at 2,000,000,000", "ApiKey.dailyCap ApiKey.totalCap"),
    (
        "a release has it",
        "Transaction.priceVersion Model.priceVersion Model.typicalSeconds Model.minSide Model.maxSide Model.maxImages \
         NotificationSwitch.consentTextVersion PasswordRules.minLength PasswordRules.maxBytes UsernameRules.minLength \
         UsernameRules.maxLength SignUpOptions.minimumAge",
    ),
    ("a side is 64 to 2,048 pixels", "Generation.width Generation.height Image.width Image.height Avatar.sizes"),
    ("at most four", "Generation.numImages"),
    ("jobs that one account could have done, one by one", "Rank.count Rank.nextAt Rank.remaining"),
    ("at most 500 are kept", "Me.unreadNoticeCount"),
    ("there are ten", "TwoFactor.recoveryCodesLeft"),
    ("an HTTP status", "StatusCount.status"),
    ("jobs that run at once", "RequestAccountDeletionPayload.runningJobs"),
    ("a wait of days at most", "UserError.retryAfter"),
];

/// Every `Long` that the API returns: what can be more than an `Int`.
const LONGS: &str = "Generation.seed Image.bytes DataExport.bytes AvatarUpload.maxBytes StatusCount.requests UsageTotal.requests \
    UsageTotal.credits UsageOfDay.requests UsageOfDay.credits UserError.min UserError.max";

#[tokio::test(flavor = "multi_thread")]
async fn b5_every_number_of_the_served_schema_is_known_to_fit_its_type() {
    let studio = TestStudio::start().await;
    let served = Served::of(&studio).await;
    let of = |kind: &str| -> BTreeSet<String> {
        let fields = served.objects.iter().flat_map(|(of, fields)| fields.iter().map(move |field| (of, field)));
        fields.filter(|(_, field)| field.of == kind).map(|(of, field)| format!("{of}.{}", field.name)).collect()
    };
    let mut reasons = BTreeMap::new();
    for (reason, fields) in INTS {
        for field in fields.split_whitespace() {
            assert!(reasons.insert(field.to_owned(), reason).is_none(), "{field} has one row");
        }
    }
    assert_eq!(of("Int"), reasons.into_keys().collect());
    assert_eq!(of("Long"), LONGS.split_whitespace().map(str::to_owned).collect());
    let text = studio.get("/schema.graphql", None).await.text;
    assert!(text.contains("scalar Long @specifiedBy(url: \"https://"), "a Long says where it is specified");
    studio.stop().await;
}

async fn grant(studio: &TestStudio, person: &Person, amount: i64) -> Result<(), String> {
    let write = &studio.node.studio.write;
    let (ledger, lot) = (LedgerId::live(studio.account(person).await), LotId(write.fresh_id()));
    let (reason, amount) = (GrantReason::Gift, Credits::new(amount));
    let granted = GrantCredits { ledger, lot, reason, amount, expires_at: None }.run(write, &studio.operator()).await;
    match granted {
        Ok(_) => Ok(()),
        Err(CommandError::Refused(refusal)) => {
            Err(format!("{}: {}", refusal.field.unwrap_or_default(), refusal.message))
        }
        Err(fault) => panic!("{fault:?}"),
    }
}

/// A number in every form in which an input takes it: as a literal, as a variable, and within a variable.
fn forms(mutation: &str, kind: &str, others: &Value, field: &str, number: &str) -> Vec<(String, Value)> {
    let literal = |value: &Value| match value {
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    };
    let others = others.as_object().expect("an input");
    let rest: Vec<String> = others.iter().map(|(name, value)| format!("{name}: {}", literal(value))).collect();
    let mut whole = others.clone();
    whole.insert(field.to_owned(), serde_json::from_str(number).expect("a number"));
    let of = if field == "seed" { "Long" } else { "Int" };
    let answer = "{ userErrors { code field } }";
    let (input, number) = (rest.join(", "), number.to_owned());
    vec![
        (format!("mutation {{ {mutation}(input: {{ {input}, {field}: {number} }}) {answer} }}"), json!({})),
        (
            format!("mutation($n: {of}) {{ {mutation}(input: {{ {input}, {field}: $n }}) {answer} }}"),
            json!({ "n": serde_json::from_str::<Value>(&number).expect("a number") }),
        ),
        (format!("mutation($input: {kind}!) {{ {mutation}(input: $input) {answer} }}"), json!({ "input": whole })),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn b5_whatever_was_returned_can_be_sent_back() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let token = Some(ada.token.as_str());
    grant(&studio, &ada, MOST - 500).await.expect("up to the end");
    assert_eq!(
        grant(&studio, &ada, 1).await.expect_err("and not beyond"),
        "amount: The amount must be at most 0: a balance ends at 2000000000 credits."
    );
    studio.drain().await;
    let shown = studio.graphql(token, "{ me { credits { available lots { granted } } } }", json!({})).await;
    let available = shown["me"]["credits"]["available"].clone();
    assert_eq!((&available, &shown["me"]["credits"]["lots"][1]["granted"]), (&json!(MOST), &json!(MOST - 500)));
    let picture = json!({ "prompt": "x", "model": "z-image-turbo", "width": 64, "height": 64 });
    let key = json!({ "label": "capped" });
    for (mutation, kind, others, field, number) in [
        ("requestGeneration", "RequestGenerationInput", &picture, "seed", SEED),
        ("requestGeneration", "RequestGenerationInput", &picture, "maxCredits", MOST),
        ("createApiKey", "CreateApiKeyInput", &key, "dailyCap", MOST),
        ("createApiKey", "CreateApiKeyInput", &key, "totalCap", MOST),
    ] {
        for (document, variables) in forms(mutation, kind, others, field, &number.to_string()) {
            studio.mutate(token, &document, variables).await;
        }
        for beyond in [number + 1, -1] {
            for (document, variables) in forms(mutation, kind, others, field, &beyond.to_string()) {
                let refused = refusal(&studio, token, &document, variables).await;
                assert_eq!(refused, ("INVALID_FIELD".to_owned(), field.to_owned()), "{document}");
            }
        }
        for no_number in ["9007199254740992", "1.5", "\"7\"", "true", "[]"] {
            for (document, variables) in forms(mutation, kind, others, field, no_number) {
                let answer = studio.graphql_raw(token, &document, variables.clone()).await;
                assert!(
                    ["BAD_INPUT", "GRAPHQL_VALIDATION_FAILED"].contains(&fault(&answer)),
                    "{document} {variables}: {answer}"
                );
                assert!(answer.get("data").is_none_or(Value::is_null), "nothing ran: {answer}");
            }
        }
    }
    studio.drain().await;
    let shown = "{ me { creations { edges { node { seed } } } apiKeys { edges { node { dailyCap totalCap } } } } }";
    let shown = studio.graphql(token, shown, json!({})).await["me"].take();
    let nodes = |list: &Value| -> Vec<Value> {
        list["edges"].as_array().expect("a page").iter().map(|edge| edge["node"].clone()).collect()
    };
    let seeds: Vec<i64> = nodes(&shown["creations"]).iter().filter_map(|job| job["seed"].as_i64()).collect();
    assert_eq!(seeds.iter().filter(|seed| **seed == SEED).count(), 3);
    assert!(nodes(&shown["apiKeys"]).contains(&json!({ "dailyCap": MOST, "totalCap": null })));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b5_a_seed_that_is_drawn_has_31_bits_and_rest_takes_any_of_32() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    grant(&studio, &ada, 10_000).await.expect("granted");
    let (_, key) = studio.api_key(&ada).await;
    let mut body = json!({ "prompt": "x", "model": "z-image-turbo", "width": 64, "height": 64 });
    for _ in 0..16 {
        let made = studio.post("/v1/generate", &key, &body).await;
        assert!(made.json()["seed"].as_i64().is_some_and(|seed| (0..1 << 31).contains(&seed)), "{}", made.text);
    }
    body["seed"] = json!(SEED);
    assert_eq!(studio.post("/v1/generate", &key, &body).await.json()["seed"], json!(SEED));
    body["max_credits"] = json!(MOST);
    assert_eq!(studio.post("/v1/generate", &key, &body).await.status.as_u16(), 200);
    for (field, beyond) in [("seed", SEED + 1), ("seed", -1), ("max_credits", MOST + 1), ("max_credits", -1)] {
        let mut body = body.clone();
        body[field] = json!(beyond);
        let answer = studio.post("/v1/generate", &key, &body).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["field"]),
            (400, &json!(field)),
            "{beyond}: {}",
            answer.text
        );
    }
    studio.drain().await;
    studio.stop().await;
}
