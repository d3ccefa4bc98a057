//! Who plays: an owner with one of everything, and everybody else who might ask.

use atelier_commands::Origin;
use atelier_commands::command_path::Target;
use atelier_commands::use_cases::{AssignPlan, OpenSession, Proof};
use atelier_domain::account::{Account, AccountCommand, IdentityProvider, NewIdentity, Role, StaffCommand, StaffOrder};
use atelier_domain::policy::plan::Plan;
use atelier_domain::text::{IdentityLabel, StaffReason};
use atelier_domain::{AccountId, IdentityId, LedgerId};
use atelier_graphql::global_id::GlobalId;
use atelier_server::config::AccessConfig;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::Caller;
use crate::accounts::avatars;
use crate::harness::TestStudio;
use crate::harness::studio::{PASSWORD, Person};

/// Stands in every text that only the owner may see.
pub const PRIVATE: &str = "pr1vat3";

/// A token or key with its last letter changed.
pub fn forged(text: &str) -> String {
    let (start, last) = text.split_at(text.len() - 1);
    format!("{start}{}", if last == "x" { "y" } else { "x" })
}

/// The studio and its people.
pub struct Cast {
    pub studio: TestStudio,
    pub owner: Person,
    pub account: AccountId,
    pub username: &'static str,
    people: Vec<(Caller, Person)>,
    /// The owner's things.
    pub account_id: String,
    pub published: String,
    pub private: String,
    pub waiting: String,
    pub key_id: String,
    pub key: String,
    pub session_id: String,
    pub notice_id: String,
    pub identity_id: String,
    pub export_id: String,
    /// An API key of somebody else.
    pub others_key: String,
}

async fn asked(studio: &TestStudio, person: &Person, prompt: &str, publish: bool) -> String {
    let query = "mutation($input: RequestGenerationInput!) { requestGeneration(input: $input) { generation { id } userErrors { code } } }";
    let input = json!({ "prompt": prompt, "model": "z-image-turbo", "width": 64, "height": 64, "publish": publish });
    let made = studio.mutate(Some(&person.token), query, json!({ "input": input })).await;
    made["generation"]["id"].as_str().expect("a job").to_owned()
}

async fn made_key(studio: &TestStudio, person: &Person, input: Value) -> (String, String) {
    let query =
        "mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { id secret userErrors { code } } }";
    let made = studio.mutate(Some(&person.token), query, json!({ "input": input })).await;
    let text = |name: &str| made[name].as_str().expect("shown once").to_owned();
    (text("id"), text("secret"))
}

async fn command(studio: &TestStudio, account: AccountId, command: AccountCommand) {
    let target = Target { id: account.to_string(), subject: account };
    let path = &studio.node.studio.write.path;
    path.execute::<Account>(&target, &studio.operator(), None, |_| command.clone()).await.expect("it is done");
}

/// Gives somebody a role, as the console does, which counts.
async fn appointed(studio: &TestStudio, name: &str, role: Role) -> Person {
    let person = studio.newcomer(name).await;
    let account = studio.account(&person).await;
    let order = StaffOrder { staff: None, reason: StaffReason::parse("appointed").expect("a reason") };
    command(studio, account, AccountCommand::ByStaff { order, command: StaffCommand::GrantRole { role } }).await;
    // A role counts only with it.
    command(studio, account, AccountCommand::EnableTwoFactor).await;
    studio.drain().await;
    Person { token: studio.session_of(account).await, ..person }
}

/// A linked identity, without a provider: the event and what the settings list.
async fn linked(studio: &TestStudio, account: AccountId) -> IdentityId {
    use atelier_domain::KeyClass;
    use atelier_vault::credential_rows::identities::{self, NewIdentityRow};
    let write = &studio.node.studio.write;
    let identity_id = IdentityId(write.fresh_id());
    let label = IdentityLabel::parse(&format!("{PRIVATE}@elsewhere.example")).expect("a label");
    let sealed = write.vault.seal_row(account, KeyClass::Profile, identity_id.0, "identity", "label", label.as_ref());
    let row = NewIdentityRow {
        identity: identity_id,
        account,
        provider: IdentityProvider::Google,
        digest: write.blind_index.identity("https://elsewhere.example", "subject"),
        label: sealed.await.expect("sealed"),
        created_at: write.now(),
    };
    assert!(identities::insert_pending(&write.pool, &row).await.expect("the rows answer"));
    let identity = NewIdentity { identity_id, provider: IdentityProvider::Google, label, vouches_for_address: false };
    command(studio, account, AccountCommand::LinkIdentity { identity }).await;
    assert!(identities::activate(&write.pool, identity_id).await.expect("the rows answer"));
    identity_id
}

impl Cast {
    pub async fn assemble() -> Self {
        // A page that Google's return may be asked for; Google itself is not set up.
        let origins = vec!["https://app.example.com".to_owned()];
        let support_url = Some("https://help.example.com/".to_owned());
        let studio = TestStudio::start_with(AccessConfig { origins, support_url, ..AccessConfig::default() }).await;
        let username = "ada";
        let owner = studio.newcomer(username).await;
        let account = studio.account(&owner).await;
        let mut people = Vec::new();
        people.push((Caller::Other, studio.newcomer("ben").await));
        people.push((Caller::Auditor, appointed(&studio, "cora", Role::Auditor).await));
        people.push((Caller::Support, appointed(&studio, "dora", Role::Support).await));
        people.push((Caller::Admin, appointed(&studio, "emil", Role::Admin).await));
        let (key_id, key) = Self::furnish(&studio, &owner, account).await;
        let published = asked(&studio, &owner, "for everybody", true).await;
        let private = asked(&studio, &owner, &format!("{PRIVATE} prompt"), false).await;
        studio.drain().await;
        studio.hold_renders().await;
        let waiting = asked(&studio, &owner, &format!("{PRIVATE} as well"), true).await;
        let identity_id = GlobalId::Identity(linked(&studio, account).await).text();
        let (_, others_key) = made_key(&studio, &people[0].1, json!({ "label": "his" })).await;
        let write = &studio.node.studio.write;
        write.usage.flush(&write.pool).await.expect("it is written");
        studio.drain().await;
        let query = "{ me { id sessions { id current } notices { edges { node { id } } } dataExports { id } } }";
        let me = studio.graphql(Some(&owner.token), query, json!({})).await["me"].take();
        let text = |value: &Value| value.as_str().expect("an id").to_owned();
        let read = "mutation($id: ID!) { markNoticesRead(input: {ids: [$id]}) { userErrors { code } } }";
        let second = me["notices"]["edges"][1]["node"]["id"].clone();
        studio.mutate(Some(&owner.token), read, json!({ "id": second })).await;
        let session = me["sessions"].as_array().expect("sessions").iter().find(|one| one["current"] == json!(false));
        Self {
            account_id: text(&me["id"]),
            session_id: text(&session.expect("another session")["id"]),
            notice_id: text(&me["notices"]["edges"][0]["node"]["id"]),
            export_id: text(&me["dataExports"][0]["id"]),
            studio,
            owner,
            account,
            username,
            people,
            published,
            private,
            waiting,
            key_id,
            key,
            identity_id,
            others_key,
        }
    }

    /// A profile, a face, a copy of everything, three keys (one rotated, one revoked), a second session, switches; a key that counts and
    /// itself.
    async fn furnish(studio: &TestStudio, owner: &Person, account: AccountId) -> (String, String) {
        let plan = AssignPlan { account, plan: Plan::Pro };
        plan.run(&studio.node.studio.write, &studio.operator()).await.expect("a plan is assigned");
        studio.drain().await;
        let token = Some(owner.token.as_str());
        for mutation in [
            "updateProfile(input: {displayName: \"Ada\", bio: \"of the engine\"})",
            "setNotification(input: {kind: NEWSLETTER, channel: MAIL, on: true})",
            "requestDataExport",
        ] {
            studio.mutate(token, &format!("mutation {{ {mutation} {{ userErrors {{ code }} }} }}"), json!({})).await;
        }
        let place = avatars::place(studio, owner).await;
        assert_eq!(avatars::put(studio, &place, avatars::picture(7)).await.status.as_u16(), 200);
        let label = format!("{PRIVATE} label");
        let end = studio.node.studio.write.now() + TimeDelta::days(1_000);
        let capped = json!({ "label": label, "dailyCap": 1000, "totalCap": 2000, "expiresAt": end });
        let (first, first_secret) = made_key(studio, owner, capped).await;
        let rotate = "mutation($id: ID!) { rotateApiKey(input: {id: $id}) { id userErrors { code } } }";
        studio.mutate(token, rotate, json!({ "id": first })).await;
        let (gone, _) = made_key(studio, owner, json!({ "label": label })).await;
        let revoke = "mutation($id: ID!) { revokeApiKey(input: {id: $id}) { userErrors { code } } }";
        studio.mutate(token, revoke, json!({ "id": gone })).await;
        assert_eq!(studio.get("/v1/models", Some(&first_secret)).await.status.as_u16(), 200);
        let user_agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        let sign_in = "mutation($input: SignInInput!) { signIn(input: $input) { token userErrors { code } } }";
        let input = json!({ "input": { "email": owner.email, "password": PASSWORD } });
        studio.graphql_with(&[("user-agent", user_agent)], sign_in, input).await;
        (first, first_secret)
    }

    /// The bearer token of a caller.
    pub fn token(&self, caller: Caller) -> Option<&str> {
        match caller {
            Caller::Anonymous => None,
            Caller::Key => Some(&self.key),
            Caller::Owner => Some(&self.owner.token),
            _ => self.people.iter().find(|(who, _)| *who == caller).map(|(_, person)| person.token.as_str()),
        }
    }

    /// A caller as the schema knows one: signed in just now.
    pub async fn session(&self, caller: Caller) -> atelier_graphql::Caller {
        let person = match caller {
            Caller::Owner => &self.owner,
            _ => &self.people.iter().find(|(who, _)| *who == caller).expect("it plays").1,
        };
        let (account, write) = (self.studio.account(person).await, &self.studio.node.studio.write);
        let open = OpenSession { account, proof: Proof::Identity, origin: Origin::default() };
        let opened = open.run(write, &self.studio.operator()).await.expect("a session");
        atelier_graphql::Caller::Session { account, session: opened.session, proved_at: write.now() }
    }

    /// A session of a caller's that was opened for this alone; the API key for `Key`.
    pub async fn fresh_token(&self, caller: Caller) -> Option<String> {
        let email = match caller {
            Caller::Anonymous | Caller::Key => return self.token(caller).map(str::to_owned),
            Caller::Owner => &self.owner.email,
            _ => &self.people.iter().find(|(who, _)| *who == caller).expect("it plays").1.email,
        };
        Some(self.studio.opened(email).await)
    }

    /// An API key of a caller's.
    pub async fn key_of(&self, caller: Caller, input: Value) -> String {
        let token = self.fresh_token(caller).await.expect("a session");
        made_key(&self.studio, &Person { email: String::new(), token }, input).await.1
    }

    /// An id of a kind that was never given out.
    #[expect(clippy::unused_self, reason = "rows take everything from the cast")]
    pub fn unknown(&self, tag: &str) -> String {
        format!("{tag}_00000000000040008000000000000000")
    }

    /// Forgives every try that was counted, so that a test of something else is not slowed down.
    pub async fn forget_tries(&self) {
        let forget = sqlx::query("delete from credentials.tries");
        forget.execute(&self.studio.database.pool).await.expect("the rows answer");
    }

    /// Everything that is the owner's, once nothing is left to do.
    pub async fn owners_state_at_rest(&self) -> Vec<(String, String)> {
        let write = &self.studio.node.studio.write;
        write.usage.flush(&write.pool).await.expect("it is written");
        self.studio.drain().await;
        self.owners_state().await
    }

    /// Everything that is the owner's, to be found unchanged: its events, and its rows in every table that has any.
    pub async fn owners_state(&self) -> Vec<(String, String)> {
        let pool = &self.studio.database.pool;
        let tables: Vec<String> = sqlx::query_scalar(
            "select table_schema || '.' || table_name from information_schema.columns \
             where column_name = 'account_id' and table_schema not in ('pg_catalog', 'information_schema') \
             and (table_schema, table_name) in (select schemaname, tablename from pg_tables) order by 1",
        )
        .fetch_all(pool)
        .await
        .expect("the catalogue answers");
        assert!(tables.len() > 15, "{tables:?}");
        let mut state = Vec::new();
        for table in tables {
            let rows = format!(
                "select coalesce(md5(string_agg(r::text, ';' order by r::text)), '') from {table} as r where account_id::text = $1"
            );
            let digest: String =
                sqlx::query_scalar(&rows).bind(self.account.to_string()).fetch_one(pool).await.expect("rows");
            state.push((table, digest));
        }
        let generations = [&self.published, &self.private, &self.waiting].map(|id| match GlobalId::parse(id) {
            Some(GlobalId::Generation(id)) => id.to_string(),
            other => panic!("not a generation's id: {other:?}"),
        });
        let mut streams = vec![self.account.to_string(), LedgerId::live(self.account).to_string()];
        streams.extend(generations);
        for stream in streams {
            let events: i64 = sqlx::query_scalar("select count(*) from events where aggregate_id = $1")
                .bind(&stream)
                .fetch_one(pool)
                .await
                .expect("the log answers");
            assert!(events > 0, "{stream}");
            state.push((stream, events.to_string()));
        }
        state
    }
}
