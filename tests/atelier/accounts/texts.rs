//! Names, prompts, passwords and addresses in every form that keyboards and clipboards give them (V04, U27, S2, sec.S3), and those that
//! releases before this one stored.

use atelier_vault::IndexKind;
use serde_json::{Value, json};

use super::{code, sign_in};
use crate::harness::TestStudio;
use crate::harness::peers::ask;
use crate::harness::studio::{PASSWORD, Person};

const UPDATE: &str = "mutation($input: UpdateProfileInput!) { updateProfile(input: $input) \
    { me { profile { displayName bio } } userErrors { code field reason min max } position } }";
const SIGN_UP: &str =
    "mutation($input: SignUpInput!) { signUp(input: $input) { userErrors { code field reason min max } } }";
const CHANGE: &str =
    "mutation($input: ChangePasswordInput!) { changePassword(input: $input) { userErrors { code field } } }";

/// Four people, each with a tone of skin: one character.
const FAMILY: &str = "\u{1F468}\u{1F3FB}\u{200D}\u{1F469}\u{1F3FD}\u{200D}\u{1F467}\u{1F3FE}\u{200D}\u{1F466}\u{1F3FF}";
const NFC: &str = "caf\u{e9}-noir-17";
const NFD: &str = "cafe\u{301}-noir-17";

async fn update(studio: &TestStudio, person: &Person, input: Value) -> Value {
    studio.graphql(Some(&person.token), UPDATE, json!({ "input": input })).await["updateProfile"].take()
}

/// The reason for the one field that is refused.
fn reason(payload: &Value) -> (&str, &str) {
    let error = &payload["userErrors"][0];
    (error["field"].as_str().unwrap_or_default(), error["reason"].as_str().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a17_v04_a_name_shows_something_and_a_biography_holds_160_families() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    for nothing in ["\u{200b}", "\u{3164}", "\u{2800}", "\u{fe0f}", "\u{301}\u{301}", "\u{e0020}"] {
        let refused = update(&studio, &ada, json!({ "displayName": nothing })).await;
        assert_eq!(reason(&refused), ("displayName", "TOO_SHORT"), "{nothing:?}");
    }
    let families = FAMILY.repeat(160);
    let kept = update(&studio, &ada, json!({ "displayName": FAMILY, "bio": families })).await;
    let profile = &kept["me"]["profile"];
    assert_eq!((&profile["displayName"], &profile["bio"]), (&json!(FAMILY), &json!(families)), "{kept}");
    let refused = update(&studio, &ada, json!({ "bio": FAMILY.repeat(161) })).await;
    assert_eq!((reason(&refused), &refused["userErrors"][0]["max"]), (("bio", "TOO_LONG"), &json!(160)));
    let refused = update(&studio, &ada, json!({ "bio": format!("a{}", "\u{302}".repeat(1_279)) })).await;
    assert_eq!(reason(&refused), ("bio", "CHARACTERS"));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_isolates_and_vertical_tabs_in_prompts_follow_one_rule() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&ada).await;
    let draw = async |prompt: &str| {
        let body = json!({ "prompt": prompt, "model": "z-image-turbo", "width": 64, "height": 64 });
        studio.post("/v1/generate", &key, &body).await
    };
    let isolated = "a sign that says \u{2067}\u{5e9}\u{5dc}\u{5d5}\u{5dd}\u{2069} in neon";
    assert_eq!(draw(isolated).await.status.as_u16(), 200);
    assert_eq!(draw("first line\u{b}second\u{c}third").await.status.as_u16(), 200);
    for refused in
        ["left open \u{2067}\u{5d0}", "closed twice \u{2067}\u{5d0}\u{2069}\u{2069}", "over\u{202e}ridden", "\u{200b}"]
    {
        let answer = draw(refused).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["field"]), (400, &json!("prompt")), "{refused:?}");
    }
    studio.drain().await;
    let creations = studio.me(&ada.token, "creations { edges { node { prompt } } }").await;
    let prompts: Vec<_> = creations["creations"]["edges"].as_array().expect("edges").iter().collect();
    assert_eq!(prompts[1]["node"]["prompt"], json!(isolated), "kept as it was written");
    assert_eq!(prompts[0]["node"]["prompt"], json!("first line\nsecond\nthird"), "line feeds");
    studio.stop().await;
}

/// Whether the account's hash is of the NFC form of its password.
async fn of_nfc(studio: &TestStudio, person: &Person) -> bool {
    let account = studio.account(person).await;
    let row = atelier_vault::credential_rows::passwords::get(&studio.database.pool, account).await;
    row.expect("the rows answer").expect("a password").of_nfc
}

/// A password as a release before this one stored it: of its bytes.
async fn stored_before(studio: &TestStudio, person: &Person, password: &str) {
    let phc = ask("argon2_cross.py", &["hash", "19456", "2", "1"], password).await;
    let row = "update credentials.passwords set phc = $2, nfc_version = null where account_id = $1";
    let account = studio.account(person).await;
    sqlx::query(row).bind(account.0).bind(phc).execute(&studio.database.pool).await.expect("set");
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_a_password_is_the_same_however_its_letters_are_composed() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    for (current, new) in [(PASSWORD, NFC), (NFD, "another-horse-2"), ("another-horse-2", NFD)] {
        let input = json!({ "input": { "currentPassword": current, "newPassword": new } });
        studio.mutate(Some(&ada.token), CHANGE, input).await;
        assert!(of_nfc(&studio, &ada).await);
    }
    for typed in [NFC, NFD] {
        studio.sign_in(&ada.email, typed).await;
    }
    assert_eq!(code(&sign_in(&studio, &[], &ada.email, "cafe-noir-17").await), "INVALID_CREDENTIALS");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_a_password_that_was_set_before_works_on_and_is_hashed_anew() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    for (set, typed) in [(NFC, NFC), (NFC, NFD), (NFD, NFD)] {
        stored_before(&studio, &ada, set).await;
        assert!(!of_nfc(&studio, &ada).await);
        studio.sign_in(&ada.email, typed).await;
        assert!(of_nfc(&studio, &ada).await, "from the first sign-in on");
        for typed in [NFC, NFD] {
            studio.sign_in(&ada.email, typed).await;
        }
    }
    // What a node of that release sets meanwhile is not taken for the NFC form: it raises the version and knows no other column.
    let row = "update credentials.passwords set phc = $2, version = version + 1 where account_id = $1";
    let phc = ask("argon2_cross.py", &["hash", "19456", "2", "1"], NFD).await;
    let account = studio.account(&ada).await;
    sqlx::query(row).bind(account.0).bind(phc).execute(&studio.database.pool).await.expect("set");
    studio.sign_in(&ada.email, NFD).await;
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_can_never_be_mailed_are_refused_and_internationalised_ones_are_one() {
    let studio = TestStudio::start().await;
    let sign_up = async |email: &str, username: &str| {
        let input = json!({ "email": email, "password": PASSWORD, "username": username, "minimumAge": 18 });
        studio.graphql(None, SIGN_UP, json!({ "input": input })).await["signUp"].take()
    };
    for bad in
        ["a..b@example.com", ".a@example.com", &format!("a@{}.com", "x".repeat(64)), "a@127.0.0.1", "a@xn--a.example"]
    {
        assert_eq!(reason(&sign_up(bad, "ada").await), ("email", "FORMAT"), "{bad}");
    }
    let typed = "Cafe\u{301}@B\u{fc}cher.example";
    assert_eq!(code(&sign_up(typed, "ada").await), "");
    let mailed = "Caf\u{e9}@xn--bcher-kva.example";
    let token = studio.mailed_token(mailed).await;
    let verify = "mutation($token: String!, $password: String!) { verifyEmail(input: {token: $token, password: $password}) { userErrors { code } } }";
    studio.mutate(None, verify, json!({ "token": token, "password": PASSWORD })).await;
    for form in [typed, mailed, "CAF\u{c9}@b\u{fc}cher.example", "caf\u{e9}@XN--BCHER-KVA.EXAMPLE"] {
        studio.sign_in(form, PASSWORD).await;
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_were_claimed_before_still_sign_in_and_stay_their_owners() {
    let studio = TestStudio::start().await;
    let write = &studio.node.studio.write;
    // Claims by the letters as they were typed, in lower case; the last one is refused by now.
    for (name, claimed, typed) in [
        (
            "ada",
            "cafe\u{301}@example.com",
            vec!["cafe\u{301}@example.com", "CAF\u{c9}@example.com", "caf\u{e9}@Example.com"],
        ),
        ("ben", "gr\u{fc}n@example.com", vec!["Gru\u{308}n@example.com", "gr\u{fc}n@example.com"]),
        ("cyd", "a..b@example.com", vec!["A..b@Example.com"]),
    ] {
        let person = studio.newcomer(name).await;
        let account = studio.account(&person).await;
        let digest = write.blind_index.digest(IndexKind::Email, claimed).digest;
        let row = "update credentials.claims set digest = $2 where account_id = $1 and kind = 'email'";
        sqlx::query(row).bind(account.0).bind(&digest[..]).execute(&studio.database.pool).await.expect("set");
        for typed in typed {
            studio.sign_in(typed, PASSWORD).await;
        }
    }
    studio.stop().await;
}
