//! All wrong fields of one input come back in one answer, each with its reason and its bounds (B7).

use serde_json::{Value, json};

use crate::authorization::Caller;
use crate::authorization::cast::Cast;
use crate::harness::TestStudio;
use crate::harness::studio::PASSWORD;

const ERRORS: &str = "{ userErrors { code field message reason min max } }";

/// Field, reason, least and most of each user error of a mutation.
type Told = Vec<(String, String, Option<i64>, Option<i64>)>;

fn told(answer: &Value, mutation: &str) -> Told {
    let errors = answer["data"][mutation]["userErrors"].as_array().unwrap_or_else(|| panic!("no payload: {answer}"));
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    errors
        .iter()
        .map(|error| (text(&error["field"]), text(&error["reason"]), error["min"].as_i64(), error["max"].as_i64()))
        .collect()
}

fn expected(rows: &[(&str, &str, Option<i64>, Option<i64>)]) -> Told {
    rows.iter().map(|(field, reason, min, max)| ((*field).to_owned(), (*reason).to_owned(), *min, *max)).collect()
}

async fn refused(studio: &TestStudio, token: Option<&str>, mutation: &str, of: &str, input: Value) -> Told {
    let query = format!("mutation($input: {of}!) {{ {mutation}(input: $input) {ERRORS} }}");
    told(&studio.graphql_raw(token, &query, json!({ "input": input })).await, mutation)
}

#[tokio::test(flavor = "multi_thread")]
async fn b7_every_wrong_field_of_a_sign_up_is_told_at_once_and_no_address_is() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let sign_up = async |input| refused(&studio, None, "signUp", "SignUpInput", input).await;
    let all = json!({ "email": "nobody", "password": "short", "username": "a", "minimumAge": 7 });
    let fields = expected(&[
        ("email", "FORMAT", None, None),
        ("username", "TOO_SHORT", Some(3), Some(30)),
        ("minimumAge", "OUT_OF_RANGE", Some(13), Some(150)),
        ("password", "TOO_SHORT", Some(8), None),
    ]);
    assert_eq!(sign_up(all).await, fields);
    // A known address is no field's fault, whatever else is wrong (sec.S4).
    for email in [ada.email.as_str(), "new@example.com"] {
        let taken = json!({ "email": email, "password": "Password1!", "username": "ada", "minimumAge": 2_147_483_647 });
        let fields = expected(&[
            ("username", "TAKEN", None, None),
            ("minimumAge", "OUT_OF_RANGE", Some(13), Some(150)),
            ("password", "TOO_COMMON", None, None),
        ]);
        assert_eq!(sign_up(taken).await, fields, "{email}");
    }
    for (username, reason) in
        [("admin", "RESERVED"), ("a__b", "FORMAT"), ("ad\u{e9}", "CHARACTERS"), ("9ada", "FORMAT")]
    {
        let input =
            json!({ "email": "new@example.com", "password": "longenough", "username": username, "minimumAge": 18 });
        let fields = expected(&[("username", reason, None, None), ("password", "COMPOSITION", None, None)]);
        assert_eq!(sign_up(input).await, fields, "{username}");
    }
    let long = json!({ "email": "x".repeat(300), "password": "x1-".repeat(400), "username": "a".repeat(31), "minimumAge": 18 });
    let fields = expected(&[
        ("email", "TOO_LONG", None, Some(254)),
        ("username", "TOO_LONG", Some(3), Some(30)),
        ("password", "TOO_LONG", None, Some(1_024)),
    ]);
    assert_eq!(sign_up(long).await, fields);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b7_every_wrong_field_of_a_key_a_job_and_a_profile_is_told_at_once() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let token = Some(ada.token.as_str());
    let key = json!({ "label": "", "scopes": ["generate", "nope", "also"], "expiresAt": "+10000-01-01T00:00:00Z",
        "dailyCap": 0, "totalCap": -1, "idempotencyKey": "no blanks" });
    let most = atelier_domain::Credits::MAX.get();
    let fields = expected(&[
        ("label", "TOO_SHORT", Some(1), Some(64)),
        ("scopes.1", "UNKNOWN", None, None),
        ("scopes.2", "UNKNOWN", None, None),
        ("expiresAt", "TOO_FAR_AHEAD", None, None),
        ("dailyCap", "OUT_OF_RANGE", Some(1), Some(most)),
        ("totalCap", "OUT_OF_RANGE", Some(1), Some(most)),
        ("idempotencyKey", "CHARACTERS", None, None),
    ]);
    assert_eq!(refused(&studio, token, "createApiKey", "CreateApiKeyInput", key).await, fields);
    for (scopes, reason) in [(json!([]), "TOO_FEW"), (json!(vec!["generate"; 6]), "TOO_MANY")] {
        let input = json!({ "label": "l", "scopes": scopes, "expiresAt": "-9999-01-01T00:00:00Z" });
        let fields = expected(&[("scopes", reason, Some(1), Some(5)), ("expiresAt", "IN_THE_PAST", None, None)]);
        assert_eq!(refused(&studio, token, "createApiKey", "CreateApiKeyInput", input).await, fields);
    }
    let rotation =
        json!({ "id": "nope", "overlapHours": 169, "expiresAt": "+10000-01-01T00:00:00Z", "idempotencyKey": "" });
    let fields = expected(&[
        ("id", "UNKNOWN", None, None),
        ("overlapHours", "OUT_OF_RANGE", Some(0), Some(168)),
        ("expiresAt", "TOO_FAR_AHEAD", None, None),
        ("idempotencyKey", "TOO_SHORT", Some(1), Some(200)),
    ]);
    assert_eq!(refused(&studio, token, "rotateApiKey", "RotateApiKeyInput", rotation).await, fields);
    let job = json!({ "prompt": "", "model": "nope", "width": 63, "height": 2_049, "numImages": 5, "maxCredits": -1,
        "idempotencyKey": "x".repeat(201) });
    let fields = expected(&[
        ("prompt", "TOO_SHORT", Some(1), Some(4_000)),
        ("model", "UNKNOWN", None, None),
        ("width", "OUT_OF_RANGE", Some(64), Some(2_048)),
        ("height", "OUT_OF_RANGE", Some(64), Some(2_048)),
        ("numImages", "OUT_OF_RANGE", Some(1), Some(4)),
        ("maxCredits", "OUT_OF_RANGE", Some(0), Some(most)),
        ("idempotencyKey", "TOO_LONG", Some(1), Some(200)),
    ]);
    assert_eq!(refused(&studio, token, "requestGeneration", "RequestGenerationInput", job).await, fields);
    let profile = json!({ "displayName": "a\u{202E}b", "bio": "x".repeat(161) });
    let fields = expected(&[("displayName", "CHARACTERS", None, None), ("bio", "TOO_LONG", Some(0), Some(160))]);
    assert_eq!(refused(&studio, token, "updateProfile", "UpdateProfileInput", profile).await, fields);
    let cancel = json!({ "id": "nope", "idempotencyKey": "\u{e9}" });
    let fields = expected(&[("id", "UNKNOWN", None, None), ("idempotencyKey", "CHARACTERS", None, None)]);
    assert_eq!(refused(&studio, token, "cancelGeneration", "CancelGenerationInput", cancel).await, fields);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b7_items_of_lists_are_named_by_their_number() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let token = Some(ada.token.as_str());
    let switch = |kind: &str| json!({ "kind": kind, "channel": "MAIL", "on": false });
    let set = async |choices: Vec<Value>| {
        let input = json!({ "choices": choices });
        refused(&studio, token, "setNotifications", "SetNotificationsInput", input).await
    };
    let choices = vec![switch("NEWSLETTER"), switch("NEWSLETTER"), switch("SECURITY"), switch("MARKETING")];
    let fields = expected(&[("choices.1", "DUPLICATE", None, None), ("choices.2.kind", "NOT_ALLOWED", None, None)]);
    assert_eq!(set(choices).await, fields);
    assert_eq!(set(vec![switch("NEWSLETTER"); 500]).await, expected(&[("choices", "TOO_MANY", None, Some(10))]));
    assert_eq!(set(Vec::new()).await, Told::new(), "nothing to set is nothing wrong");
    let one = refused(&studio, token, "setNotification", "SetNotificationInput", switch("SECURITY")).await;
    assert_eq!(one, expected(&[("kind", "NOT_ALLOWED", None, None)]));
    let ids =
        json!({ "ids": ["not_00000000000040008000000000000000", "nope", "", "gen_00000000000040008000000000000000"] });
    let fields = expected(&[
        ("ids.1", "UNKNOWN", None, None),
        ("ids.2", "UNKNOWN", None, None),
        ("ids.3", "UNKNOWN", None, None),
    ]);
    assert_eq!(refused(&studio, token, "markNoticesRead", "MarkNoticesReadInput", ids).await, fields);
    let many = json!({ "ids": vec!["nope"; 500] });
    let fields = expected(&[("ids", "TOO_MANY", None, Some(100))]);
    assert_eq!(refused(&studio, token, "markNoticesRead", "MarkNoticesReadInput", many).await, fields);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b7_wrong_secrets_and_new_ones_are_told_together() {
    let cast = Cast::assemble().await;
    let (studio, token) = (&cast.studio, Some(cast.owner.token.as_str()));
    let change = json!({ "currentPassword": "wrong-horse-1", "newPassword": "Password1!" });
    let fields = expected(&[("currentPassword", "WRONG", None, None), ("newPassword", "TOO_COMMON", None, None)]);
    assert_eq!(refused(studio, token, "changePassword", "ChangePasswordInput", change).await, fields);
    let change = json!({ "currentPassword": PASSWORD, "newPassword": "ada" });
    let fields = expected(&[("newPassword", "TOO_SHORT", Some(8), None)]);
    assert_eq!(refused(studio, token, "changePassword", "ChangePasswordInput", change).await, fields);
    let reset = json!({ "token": "nope", "newPassword": "longenough" });
    let fields = expected(&[("token", "WRONG", None, None), ("newPassword", "COMPOSITION", None, None)]);
    assert_eq!(refused(studio, None, "completePasswordReset", "CompletePasswordResetInput", reset).await, fields);
    let delete = json!({ "token": "nope", "username": "somebody" });
    let fields = expected(&[("token", "WRONG", None, None), ("username", "WRONG", None, None)]);
    let fresh = cast.fresh_token(Caller::Owner).await;
    let told = refused(studio, fresh.as_deref(), "confirmAccountDeletion", "ConfirmAccountDeletionInput", delete).await;
    assert_eq!(told, fields);
    let admin = cast.token(Caller::Admin);
    let staff = json!({ "accountId": "nope", "email": "nope", "reason": "" });
    let fields = expected(&[
        ("accountId", "UNKNOWN", None, None),
        ("email", "FORMAT", None, None),
        ("reason", "TOO_SHORT", Some(1), Some(500)),
    ]);
    assert_eq!(refused(studio, admin, "staffChangeEmail", "StaffChangeEmailInput", staff).await, fields);
    let staff = json!({ "accountId": "nope", "email": "nope", "reason": "x".repeat(501) });
    let fields = expected(&[("accountId", "EXACTLY_ONE", None, None), ("reason", "TOO_LONG", Some(1), Some(500))]);
    assert_eq!(refused(studio, admin, "staffViewAccount", "StaffViewAccountInput", staff).await, fields);
    let staff = json!({ "accountId": "nope", "apiKeyId": "nope", "reason": "a\0b" });
    let fields = expected(&[
        ("accountId", "UNKNOWN", None, None),
        ("apiKeyId", "UNKNOWN", None, None),
        ("reason", "CHARACTERS", None, None),
    ]);
    assert_eq!(refused(studio, admin, "staffRevokeApiKey", "StaffRevokeApiKeyInput", staff).await, fields);
    cast.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b7_rest_names_every_wrong_field_and_keeps_the_first_where_it_was() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&ada).await;
    let body = json!({ "colour": "red", "model": "nope", "width": "64", "height": 9, "num_images": 1.5, "seed": -1,
        "max_credits": "x", "publish": 1, "shape": "round" });
    let answer = studio.post_with("/v1/generations", &key, &body, &[]).await;
    let said = answer.json();
    assert_eq!((answer.status.as_u16(), &said["success"]), (400, &json!(false)));
    assert_eq!((&said["error"], &said["field"]), (&json!("invalid_field"), &json!("colour")));
    assert_eq!(said["message"], json!("colour is not a known field."), "as it always was");
    let told: Vec<(&str, &str, &str)> = said["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|error| {
            let text = |name: &str| error[name].as_str().expect("a text");
            (text("error"), text("field"), text("reason"))
        })
        .collect();
    let expected = [
        ("invalid_field", "colour", "unknown"),
        ("invalid_field", "shape", "unknown"),
        ("invalid_field", "max_credits", "type"),
        ("missing_field", "prompt", "required"),
        ("invalid_field", "width", "type"),
        ("invalid_field", "num_images", "type"),
        ("invalid_field", "seed", "type"),
        ("invalid_field", "publish", "type"),
        ("missing_field", "Idempotency-Key", "required"),
        ("model_unavailable", "model", "unknown"),
        ("invalid_field", "height", "out_of_range"),
    ];
    assert_eq!(told, expected);
    let height = &said["errors"][10];
    assert_eq!((&height["min"], &height["max"]), (&json!(64), &json!(2_048)), "{height}");
    assert_eq!(height["message"], json!("height must be 64 to 2048 pixels."));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b7_a_key_that_was_used_for_another_request_is_a_user_error() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let make = "mutation($label: String!) { createApiKey(input: {label: $label, idempotencyKey: \"k\"}) \
        { id userErrors { code field message reason min max } } }";
    let token = Some(ada.token.as_str());
    studio.mutate(token, make, json!({ "label": "one" })).await;
    let answer = studio.graphql_raw(token, make, json!({ "label": "two" })).await;
    assert!(answer.get("errors").is_none(), "{answer}");
    let error = &answer["data"]["createApiKey"]["userErrors"][0];
    let expected = json!({ "code": "IDEMPOTENCY_CONFLICT", "field": "idempotencyKey", "reason": null, "min": null, "max": null,
        "message": "The idempotency key was used for another request." });
    assert_eq!(error, &expected);
    studio.stop().await;
}
