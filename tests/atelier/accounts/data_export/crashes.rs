//! A process that dies at any step, work that is delivered twice, and an erasure that comes in between.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use atelier_commands::WriteSide;
use atelier_commands::data_export::build;
use atelier_commands::ports::{
    AvatarKey, ExportKey, GatewayError, MediaKey, MediaObject, MediaStore, Pieces, Stored, Things,
};
use atelier_domain::account::{Account, Status};
use atelier_domain::{AccountId, Actor, AvatarId, GenerationId};
use bytes::Bytes;
use serde_json::json;
use tokio::sync::Notify;

use super::{READY, asked, export_id, exports, fetched, folder, mails, states, stored, unpacked};
use crate::harness::TestStudio;
use crate::harness::studio::Person;

/// Where a store stands still.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// Before it takes anything of a copy.
    Before,
    /// After it has the whole of it.
    After,
}

/// The studio's store, which stands still at one place until it is told to go on.
struct Pausing {
    store: Arc<dyn MediaStore>,
    pause: Pause,
    reached: Arc<Notify>,
    go_on: Arc<Notify>,
}

impl Pausing {
    async fn pass(&self, here: Pause) {
        if here == self.pause {
            self.reached.notify_one();
            self.go_on.notified().await;
        }
    }
}

#[async_trait]
impl MediaStore for Pausing {
    async fn put(&self, key: &MediaKey, bytes: Bytes) -> Result<(), GatewayError> {
        self.store.put(key, bytes).await
    }

    async fn find(&self, object: &MediaObject) -> Result<Option<Stored>, GatewayError> {
        self.store.find(object).await
    }

    async fn read(&self, object: &MediaObject, range: Range<u64>) -> Result<Option<Pieces>, GatewayError> {
        self.store.read(object, range).await
    }

    async fn delete_generation(&self, account: AccountId, generation: GenerationId) -> Result<(), GatewayError> {
        self.store.delete_generation(account, generation).await
    }

    async fn put_avatar(&self, key: AvatarKey, bytes: Bytes) -> Result<(), GatewayError> {
        self.store.put_avatar(key, bytes).await
    }

    async fn delete_avatar(&self, account: AccountId, avatar: AvatarId) -> Result<(), GatewayError> {
        self.store.delete_avatar(account, avatar).await
    }

    async fn put_export(&self, key: ExportKey, pieces: Pieces) -> Result<u64, GatewayError> {
        self.pass(Pause::Before).await;
        let bytes = self.store.put_export(key, pieces).await?;
        self.pass(Pause::After).await;
        Ok(bytes)
    }

    async fn delete_export(&self, key: ExportKey) -> Result<(), GatewayError> {
        self.store.delete_export(key).await
    }

    fn things(&self) -> Things {
        self.store.things()
    }

    async fn delete_account(&self, account: AccountId) -> Result<(), GatewayError> {
        self.store.delete_account(account).await
    }
}

/// Another worker, whose store stands still at one place: its write side, the word that it is there, the word to go on.
fn worker(studio: &TestStudio, pause: Pause) -> (WriteSide, Arc<Notify>, Arc<Notify>) {
    let mut write = studio.node.studio.write.clone();
    let (reached, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let store = write.ports.media.clone();
    write.ports.media = Arc::new(Pausing { store, pause, reached: reached.clone(), go_on: go_on.clone() });
    (write, reached, go_on)
}

/// Somebody with a picture, who asked for a copy that nobody makes yet.
async fn waiting(studio: &TestStudio) -> (Person, AccountId, String) {
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    let request = "mutation { requestGeneration(input: {prompt: \"a harbour\", model: \"z-image-turbo\", width: 64, height: 64}) \
        { userErrors { code } position } }";
    studio.mutate(Some(&ada.token), request, json!({})).await;
    studio.drain().await;
    studio.hold_exports().await;
    let id = asked(studio, &ada).await;
    studio.drain().await;
    (ada, account, id)
}

async fn delete(studio: &TestStudio, person: &Person) {
    let offer = "mutation { requestAccountDeletion { token userErrors { code } } }";
    let offer = studio.mutate(Some(&person.token), offer, json!({})).await;
    let confirm = "mutation($input: ConfirmAccountDeletionInput!) { confirmAccountDeletion(input: $input) { userErrors { code } } }";
    let input = json!({ "input": { "token": offer["token"], "username": "ada" } });
    studio.mutate(Some(&person.token), confirm, input).await;
    studio.drain().await;
}

async fn status(studio: &TestStudio, account: AccountId) -> Status {
    studio.node.studio.write.path.load::<Account>(&account.to_string()).await.expect("it loads").state.status()
}

#[tokio::test(flavor = "multi_thread")]
async fn u25_who_dies_between_object_and_event_is_followed_by_one_that_finds_the_object() {
    let studio = TestStudio::start().await;
    let (ada, account, id) = waiting(&studio).await;
    let write = &studio.node.studio.write;
    let context = write.request_context(Actor::Process("DataExport".into()));
    studio.refuse_events_of("Account").await;
    assert!(build(write, &context, account, export_id(&id)).await.is_err(), "the event is refused");
    studio.accept_events().await;
    let before = stored(&studio, account);
    assert_eq!((before.len(), states(&studio, &ada).await), (1, vec!["PREPARING".to_owned()]));
    studio.release_exports().await;
    studio.drain().await;
    assert_eq!(states(&studio, &ada).await, ["READY"]);
    assert_eq!(stored(&studio, account), before, "the same object, in the same place");
    // And once more, after the event.
    build(write, &context, account, export_id(&id)).await.expect("nothing is left to do");
    studio.drain().await;
    assert_eq!(stored(&studio, account), before);
    assert_eq!((studio.events_named("DataExportReady").await, mails(&studio, READY).await), (1, 1));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u25_who_dies_while_writing_leaves_nothing_in_the_next_ones_way() {
    let studio = TestStudio::start().await;
    let (ada, account, id) = waiting(&studio).await;
    let place = folder(&studio, account).join("exports").join(export_id(&id).to_string());
    std::fs::create_dir_all(&place).expect("a folder");
    std::fs::write(place.join("data.zip#1"), b"half of a copy").expect("what a killed writer leaves");
    // One that is cut off, as a process is that stops: its future is dropped in the middle.
    let (write, reached, _) = worker(&studio, Pause::Before);
    let context = write.request_context(Actor::Process("DataExport".into()));
    let export = export_id(&id);
    let cut = tokio::spawn(async move { build(&write, &context, account, export).await });
    reached.notified().await;
    cut.abort();
    assert!(cut.await.is_err_and(|error| error.is_cancelled()));
    studio.release_exports().await;
    studio.drain().await;
    let (found, export) = (stored(&studio, account), exports(&studio, &ada).await.swap_remove(0));
    assert!(found.len() == 1 && found[0].0.ends_with("/data.zip"), "{found:?}");
    let (status, _, zip) = fetched(&studio, export["url"].as_str().expect("a link"), Some(&ada.token), "*/*").await;
    assert!(status == 200 && unpacked(&zip).iter().any(|(name, _)| name.starts_with("media/")));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u25_every_piece_of_its_work_delivered_twice_is_one_copy_one_mail_one_notice() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    studio
        .as_superuser(
            "create table delivered (id text primary key, times integer not null); \
             create function twice() returns trigger language plpgsql security definer set search_path = public as $$ begin \
                 insert into delivered values (old.id, 1) on conflict (id) do update set times = delivered.times + 1; \
                 if (select times from delivered where id = old.id) = 1 then \
                     insert into process_work (id, lane, payload, due_at) values (old.id, old.lane, old.payload, now()); \
                 end if; \
                 return null; end $$; \
             create trigger twice after delete on process_work for each row execute function twice()",
        )
        .await;
    asked(&studio, &ada).await;
    studio.drain().await;
    let times: Vec<i32> = sqlx::query_scalar("select times from delivered where id like 'DataExport:%'")
        .fetch_all(
            &mut <sqlx::PgConnection as sqlx::Connection>::connect(&studio.database.superuser_url).await.expect("in"),
        )
        .await
        .expect("the table is there");
    assert_eq!(times, [2, 2, 2], "made, shown, mailed");
    assert_eq!((stored(&studio, account).len(), studio.events_named("DataExportReady").await), (1, 1));
    assert_eq!(mails(&studio, READY).await, 1);
    let me = studio.graphql(Some(&ada.token), "{ me { notices { edges { node { topic } } } } }", json!({})).await;
    assert_eq!(me["me"]["notices"]["edges"].as_array().map(Vec::len), Some(2), "asked for, and ready: {me}");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u25_e3_a_copy_that_comes_after_the_erasure_leaves_nothing() {
    for (pause, killed) in [(Pause::Before, false), (Pause::After, false), (Pause::After, true)] {
        let studio = TestStudio::start().await;
        let (ada, account, id) = waiting(&studio).await;
        let (write, reached, go_on) = worker(&studio, pause);
        let context = write.request_context(Actor::Process("DataExport".into()));
        let export = export_id(&id);
        let late = tokio::spawn(async move { build(&write, &context, account, export).await });
        reached.notified().await;
        delete(&studio, &ada).await;
        assert_eq!(status(&studio, account).await, Status::Erased);
        if killed {
            // Its object came after the removal, and nobody heard of it: what the list still has is carried out by another.
            late.abort();
            let key = ExportKey { account, export };
            let object = studio.data.path().join("media").join(key.path());
            std::fs::create_dir_all(object.parent().expect("a folder")).expect("made");
            std::fs::write(object, b"everything about ada").expect("written");
        } else {
            go_on.notify_one();
            late.await.expect("it does not panic").expect("nothing is left to do");
        }
        studio.release_exports().await;
        studio.drain().await;
        assert!(!folder(&studio, account).exists(), "nothing of an erased account");
        assert_eq!((studio.events_named("DataExportReady").await, mails(&studio, READY).await), (0, 0));
        studio.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn u25_a37_copies_go_with_their_account_and_nobody_who_is_leaving_gets_another() {
    let studio = TestStudio::start().await;
    let (ada, account, _) = waiting(&studio).await;
    studio.release_exports().await;
    studio.drain().await;
    let link = exports(&studio, &ada).await[0]["url"].as_str().expect("a link").to_owned();
    assert_eq!(fetched(&studio, &link, Some(&ada.token), "*/*").await.0, 200);
    delete(&studio, &ada).await;
    assert_eq!(fetched(&studio, &link, Some(&ada.token), "*/*").await.0, 404);
    assert!(!folder(&studio, account).exists());
    let left: i64 = sqlx::query_scalar(
        "select (select count(*) from read_models_a.data_exports_v1) + (select count(*) from process_states where manager = 'DataExport')",
    )
    .fetch_one(&studio.database.pool)
    .await
    .expect("the rows answer");
    assert_eq!(left, 0, "nor a row of them");
    let asked = atelier_commands::use_cases::RequestDataExport { account };
    let write = &studio.node.studio.write;
    let refused = asked.run(write, &write.request_context(Actor::Account(account))).await.expect_err("it is gone");
    assert_eq!(refused.to_string(), "There is no such account.", "{refused}");
    studio.stop().await;
}
