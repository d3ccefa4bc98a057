//! Renames: one name for one account at every moment, the old one finding it for a while, whatever dies in between (U27-U29).

use atelier_commands::CommandError;
use atelier_commands::command_path::Target;
use atelier_commands::profile_upkeep::ProfilesTidied;
use atelier_commands::reconciler::reconcile;
use atelier_commands::use_cases::ChangeUsername;
use atelier_domain::AccountId;
use atelier_domain::account::{Account, AccountCommand};
use atelier_domain::text::Username;
use atelier_vault::credential_rows::claims::{self, Claim, ClaimState};
use atelier_vault::{IndexDigest, IndexKind};
use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::TestStudio;
use crate::harness::studio::{PASSWORD, Person};

const RENAME: &str = "mutation($username: String!) { changeUsername(input: {username: $username}) \
    { me { profile { username displayName } } userErrors { code field } position } }";
const SIGN_UP: &str = "mutation($input: SignUpInput!) { signUp(input: $input) { userErrors { code field } } }";

async fn rename(studio: &TestStudio, person: &Person, username: &str) -> Value {
    studio.graphql(Some(&person.token), RENAME, json!({ "username": username })).await["changeUsername"].take()
}

/// Who is found under a name: the name they have now.
async fn found(studio: &TestStudio, username: &str) -> Option<String> {
    let query = "query($username: String!) { creator(username: $username) { username } }";
    let found = studio.graphql(None, query, json!({ "username": username })).await;
    found["creator"]["username"].as_str().map(str::to_owned)
}

async fn sign_up_code(studio: &TestStudio, username: &str) -> Value {
    let email = format!("{username}-again@example.com");
    let input = json!({ "input": { "email": email, "password": PASSWORD, "username": username, "minimumAge": 18 } });
    studio.graphql(None, SIGN_UP, input).await["signUp"]["userErrors"].take()
}

fn taken() -> Value {
    json!([{ "code": "USERNAME_TAKEN", "field": "username" }])
}

fn index(studio: &TestStudio, username: &str) -> IndexDigest {
    studio.node.studio.write.blind_index.digest(IndexKind::Username, username)
}

async fn claim_of(studio: &TestStudio, username: &str) -> Option<Claim> {
    claims::find(&studio.database.pool, &index(studio, username)).await.expect("the rows answer")
}

async fn state_of(studio: &TestStudio, username: &str) -> Option<(ClaimState, AccountId)> {
    claim_of(studio, username).await.map(|claim| (claim.state, claim.account))
}

/// What a rename leaves that died after its claim, some time ago.
async fn dead_claim(studio: &TestStudio, account: AccountId, username: &str, age: TimeDelta) {
    let write = &studio.node.studio.write;
    let claim = claims::claim_pending(&write.pool, account, &index(studio, username), write.now() - age).await;
    assert_eq!(claim.expect("the rows answer").account, account);
}

/// The event of a rename, with no rows beside it.
async fn event_alone(studio: &TestStudio, account: AccountId, username: &str) {
    let (write, username) = (&studio.node.studio.write, Username::parse(username).expect("a name"));
    let command = |now| AccountCommand::ChangeUsername { username: username.clone(), unchanged: false, now };
    let target = Target { id: account.to_string(), subject: account };
    write.path.execute::<Account>(&target, &studio.operator(), None, command).await.expect("an event");
}

#[tokio::test(flavor = "multi_thread")]
async fn u29_a_rename_shows_everywhere_and_the_old_name_leads_on() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let renamed = rename(&studio, &ada, "Ada-Lovelace").await;
    assert_eq!(renamed["userErrors"], json!([]));
    assert_eq!(renamed["me"]["profile"], json!({ "username": "ada-lovelace", "displayName": "ada" }), "folded; U27");
    studio.drain().await;
    for asked in ["ada-lovelace", "ADA-Lovelace", "ada", "ADA"] {
        assert_eq!(found(&studio, asked).await.as_deref(), Some("ada-lovelace"), "{asked}");
    }
    // The same name again changes nothing; another one waits for 30 days.
    let head = studio.head().await;
    assert_eq!(rename(&studio, &ada, "ada-lovelace").await["userErrors"], json!([]));
    let too_soon = json!([{ "code": "NOT_POSSIBLE_NOW", "field": "username" }]);
    assert_eq!(rename(&studio, &ada, "countess").await["userErrors"], too_soon);
    assert_eq!(rename(&studio, &ada, "ada").await["userErrors"], too_soon, "back is a rename as well");
    // The old name is nobody's: neither a newcomer's nor somebody else's by a rename.
    assert_eq!(sign_up_code(&studio, "ada").await, taken());
    assert_eq!(rename(&studio, &ben, "ada").await["userErrors"], taken());
    assert_eq!(rename(&studio, &ben, "ada-lovelace").await["userErrors"], taken());
    for wrong in ["admin", "ad", "9ben", "ben__b", "verify-email"] {
        let refused = rename(&studio, &ben, wrong).await;
        assert_eq!(refused["userErrors"], json!([{ "code": "INVALID_FIELD", "field": "username" }]), "{wrong}");
    }
    studio.drain().await;
    assert_eq!(studio.head().await, head, "nothing of this was written");
    // What was refused holds no name: it is free for whoever comes.
    assert_eq!(rename(&studio, &ben, "countess").await["userErrors"], json!([]));
    // A name that was taken back in vain leads on as before.
    assert_eq!(found(&studio, "ada").await.as_deref(), Some("ada-lovelace"));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u29_after_ninety_days_the_old_name_is_anybodys() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let (of_ada, of_ben) = (studio.account(&ada).await, studio.account(&ben).await);
    rename(&studio, &ada, "countess").await;
    let rename_at = async |days: i64, username: &str| {
        let change = ChangeUsername { account: of_ben, username: username.to_owned() };
        change.run(&studio.at(TimeDelta::days(days)), &studio.operator()).await
    };
    assert!(matches!(rename_at(89, "ada").await, Err(CommandError::Refused(_))), "still hers");
    assert_eq!(state_of(&studio, "ada").await, Some((ClaimState::Released, of_ada)));
    // The sweep takes it when its time is over, and not before.
    for (days, left) in [(89, true), (91, false)] {
        reconcile(&studio.at(TimeDelta::days(days))).await.expect("a round");
        assert_eq!(claim_of(&studio, "ada").await.is_some(), left, "{days} days");
    }
    assert_eq!(found(&studio, "ada").await, None);
    // The same without the sweep: whoever wants it takes it over.
    let released =
        "update credentials.claims set redirects_until = now() - interval '1 second' where state = 'released'";
    rename_at(91, "ada").await.expect("it is free");
    studio.drain().await;
    assert_eq!(found(&studio, "ada").await.as_deref(), Some("ada"), "another's now");
    sqlx::query(released).execute(&studio.database.pool).await.expect("the rows answer");
    assert_eq!(found(&studio, "ben").await, None, "its ninety days are over");
    assert_eq!(sign_up_code(&studio, "ben").await, json!([]), "taken over by a sign-up");
    studio.drain().await;
    assert_eq!(found(&studio, "ben").await.as_deref(), Some("ben"));
    assert_eq!(state_of(&studio, "ada").await, Some((ClaimState::Held, of_ben)));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u27_of_many_who_take_a_name_at_once_one_gets_it() {
    let studio = TestStudio::start().await;
    let mut people = Vec::new();
    for name in ["ada", "ben", "cleo", "dan"] {
        people.push(studio.unverified(name).await);
    }
    // Renames and sign-ups, all for one name; each of the accounts asks twice.
    let renames = join_all(people.iter().chain(&people).map(|person| rename(&studio, person, "phoenix")));
    let sign_ups = join_all((0..2).map(|_| sign_up_code(&studio, "phoenix")));
    let (renames, sign_ups) = tokio::join!(renames, sign_ups);
    studio.drain().await;
    let renamed = studio.events_named("UsernameChanged").await;
    let opened = studio.events_named("AccountOpened").await - 4;
    assert_eq!(renamed + opened, 1, "{renames:?} {sign_ups:?}");
    assert_eq!(found(&studio, "phoenix").await.as_deref(), Some("phoenix"));
    let (state, owner) = state_of(&studio, "phoenix").await.expect("a claim");
    assert_eq!(state, ClaimState::Held);
    // Who did not get it has the name they had, and may take another.
    for (person, name) in people.iter().zip(["ada", "ben", "cleo", "dan"]) {
        if studio.account(person).await != owner {
            assert_eq!(found(&studio, name).await.as_deref(), Some(name));
            let another = format!("{name}-phoenix");
            assert_eq!(rename(&studio, person, &another).await["userErrors"], json!([]));
        }
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u29_nobody_slips_into_a_name_while_it_is_given_up() {
    let studio = TestStudio::start().await;
    let mut people = Vec::new();
    for name in ["ada", "ben", "cleo"] {
        people.push(studio.unverified(name).await);
    }
    let leaving = rename(&studio, &people[0], "countess");
    let taking = join_all(people[1..].iter().cycle().take(8).map(|person| rename(&studio, person, "ada")));
    let (left, took) = tokio::join!(leaving, taking);
    assert_eq!(left["userErrors"], json!([]));
    assert!(took.iter().all(|answer| answer["userErrors"] == taken()), "{took:?}");
    studio.drain().await;
    assert_eq!(found(&studio, "ada").await.as_deref(), Some("countess"));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u29_a_claim_without_its_event_is_freed_once_the_event_cannot_come() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let account = studio.account(&ada).await;
    // Young: it may be at work.
    dead_claim(&studio, account, "countess", TimeDelta::minutes(1)).await;
    reconcile(&studio.node.studio.write).await.expect("a round");
    assert_eq!(state_of(&studio, "countess").await, Some((ClaimState::Pending, account)));
    assert_eq!(found(&studio, "countess").await, None, "it is not her name");
    assert_eq!(rename(&studio, &ben, "countess").await["userErrors"], taken());
    // Old, but her stream has not moved since: what is on its way could still be written.
    let aged =
        "update credentials.claims set claimed_at = (select max(decided_at) from events) where state = 'pending'";
    sqlx::query(aged).execute(&studio.database.pool).await.expect("the rows answer");
    let later = studio.at(TimeDelta::minutes(30));
    assert_eq!(reconcile(&later).await.expect("a round").profiles, ProfilesTidied::default());
    assert_eq!(state_of(&studio, "countess").await, Some((ClaimState::Pending, account)));
    // It has moved: whatever is on its way conflicts. Who wants the name need not wait for the reconciler.
    let aged = "update credentials.claims set claimed_at = now() - interval '11 minutes' where state = 'pending'";
    sqlx::query(aged).execute(&studio.database.pool).await.expect("the rows answer");
    studio
        .mutate(Some(&ada.token), "mutation { updateProfile(input: {bio: \"x\"}) { userErrors { code } } }", json!({}))
        .await;
    assert_eq!(rename(&studio, &ben, "countess").await["userErrors"], json!([]));
    dead_claim(&studio, account, "lovelace", TimeDelta::minutes(11)).await;
    let done = reconcile(&studio.node.studio.write).await.expect("a round").profiles;
    assert_eq!(done, ProfilesTidied { given_up: 1, ..Default::default() });
    assert_eq!(claim_of(&studio, "lovelace").await, None);
    // Its own account tries again at once, and gets it.
    dead_claim(&studio, account, "byron", TimeDelta::zero()).await;
    assert_eq!(rename(&studio, &ada, "byron").await["userErrors"], json!([]));
    assert_eq!(state_of(&studio, "byron").await, Some((ClaimState::Held, account)));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u29_a_rename_that_died_after_its_event_is_settled_and_never_undone() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    dead_claim(&studio, account, "countess", TimeDelta::minutes(11)).await;
    event_alone(&studio, account, "countess").await;
    studio.drain().await;
    for name in ["ada", "countess"] {
        assert_eq!(found(&studio, name).await.as_deref(), Some("countess"), "both names find her meanwhile: {name}");
    }
    let now = studio.at(TimeDelta::zero());
    let done = reconcile(&now).await.expect("a round").profiles;
    assert_eq!(done, ProfilesTidied { settled: 1, ..Default::default() });
    let until = claim_of(&studio, "ada").await.and_then(|claim| claim.redirects_until);
    assert_eq!(until, Some(now.now() + TimeDelta::days(90)), "as long as after any other rename");
    assert_eq!(state_of(&studio, "ada").await, Some((ClaimState::Released, account)));
    assert_eq!(state_of(&studio, "countess").await, Some((ClaimState::Held, account)));
    // The dead process was only slow: what it still does changes nothing, not even after the next rename.
    let later = studio.node.studio.write.now() + TimeDelta::days(90);
    for name in ["countess", "ada"] {
        assert!(
            !claims::complete_rename(&studio.database.pool, account, &index(&studio, name), later).await.expect("rows")
        );
    }
    assert_eq!(state_of(&studio, "countess").await, Some((ClaimState::Held, account)));
    assert_eq!(found(&studio, "ada").await.as_deref(), Some("countess"));
    studio.stop().await;
}

#[test]
fn u28_the_first_part_of_every_route_is_no_username() {
    let mut routes = Vec::new();
    for file in crate::architecture::files_of("server/src/http/") {
        for (at, start) in file.match_indices(".route(\"/") {
            let path = &file[at + start.len()..];
            routes.push(path.split(['/', '"']).next().expect("a part").to_owned());
        }
    }
    assert!(routes.len() > 15 && routes.iter().any(|route| route == "graphql"), "the routes were not read: {routes:?}");
    for route in routes {
        assert!(Username::parse(&route).is_err(), "/{route} must be reserved (U28)");
    }
}
