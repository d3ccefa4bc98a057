//! Every piece of work is delivered twice, under the same id: nothing more happens (DESIGN 4).

use std::collections::BTreeMap;

use atelier_commands::process::{AddressDigest, Work, enqueue};
use atelier_commands::use_cases::DeleteGeneration;
use atelier_domain::Actor;
use atelier_vault::{IndexDigest, IndexKind};
use chrono::TimeDelta;
use sqlx::{Connection, Executor, PgConnection};

use super::crash::everywhere::{Story, play};
use super::crash::world::World;
use super::crash::{newcomers, settle, truth};

/// What is taken off the list comes back once, as if the end of the work had not been recorded.
const TWICE: &str = "create table delivered (id text primary key, kind text not null, times integer not null); \
    create function twice() returns trigger language plpgsql security definer set search_path = public as $$ begin \
        insert into delivered values (old.id, old.payload->>'kind', 1) on conflict (id) do update set times = delivered.times + 1; \
        if (select times from delivered where id = old.id) = 1 then \
            insert into process_work (id, lane, payload, due_at) values (old.id, old.lane, old.payload, now()); \
        end if; \
        return null; end $$; \
    create trigger twice after delete on process_work for each row execute function twice()";

/// Every kind of work there is.
const KINDS: [&str; 14] = [
    "abandon_if_not_requested",
    "capture_hold",
    "delete_media",
    "expire_lot",
    "grant_sign_up_bonus",
    "render_generation",
    "resend_verification",
    "send_already_registered_mail",
    "send_generation_notice",
    "send_password_reset_mail",
    "send_verification_mail",
    "start_password_reset",
    "time_out_generation",
    "void_hold",
];

async fn names(world: &World, name: &str) -> i64 {
    let count = sqlx::query_scalar("select count(*) from events where event_type = $1").bind(name);
    count.fetch_one(&world.database.pool).await.expect("the log answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn l10_u19_a33_every_piece_of_work_delivered_twice_does_nothing_more() {
    let world = World::open().await;
    let mut superuser = PgConnection::connect(&world.database.superuser_url).await.expect("the superuser connects");
    superuser.execute(TWICE).await.expect("the statements run");
    let (mut life, accounts) = newcomers(&world, Story::ALL.len()).await;
    for (story, account) in Story::ALL.into_iter().zip(&accounts) {
        life = play(&world, life, story, *account, "key", None).await;
        life.steps.begin(None);
        settle(&world, &life).await;
        let ended = truth::check(&world, *account).await;
        assert_eq!((ended.len(), ended[0].how.as_str()), (1, story.end()), "once, and as it should");
        if story == Story::Delivered {
            let delete = DeleteGeneration { account: *account, generation: ended[0].job.parse().expect("an id") };
            let context = |studio: &atelier_server::studio::Studio| studio.write.request_context(Actor::Operator);
            let deleted = life.ask(move |studio| async move { delete.run(&studio.write, &context(&studio)).await });
            deleted.await.expect("alive").expect("it is removed");
            assert!(life.rests().await);
            assert!(!world.has_files(*account, &ended[0].job), "A31");
        }
    }
    let mail = Work::SendAlreadyRegisteredMail { account: accounts[0] };
    enqueue(&world.database.pool, "signUp:test:0", &mail).await.expect("work is enqueued");
    // Nobody here has claimed an address, so the look-ups find nobody.
    let address = AddressDigest::of(&IndexDigest { kind: IndexKind::Email, key_version: 1, digest: [7; 32] });
    for (id, work) in [
        ("resendVerification:test", Work::ResendVerification { address: address.clone() }),
        ("resetPassword:test", Work::StartPasswordReset { address }),
        ("resetPassword:test:mail", Work::SendPasswordResetMail { account: accounts[0] }),
    ] {
        enqueue(&world.database.pool, id, &work).await.expect("work is enqueued");
    }
    world.wait(TimeDelta::days(31));
    assert_eq!(world.fire("expire_lot").await, 4);
    assert!(life.rests().await);
    assert_eq!((names(&world, "CreditsGranted").await, names(&world, "LotExpired").await), (4, 4));
    assert_eq!((names(&world, "HoldCaptured").await, names(&world, "HoldVoided").await), (1, 3));

    let delivered: Vec<(String, i32)> = sqlx::query_as("select kind, times from delivered")
        .fetch_all(&mut superuser)
        .await
        .expect("the table is there");
    assert!(delivered.iter().all(|(_, times)| *times == 2), "{delivered:?}");
    let kinds: BTreeMap<String, i32> = delivered.into_iter().collect();
    assert_eq!(kinds.keys().map(String::as_str).collect::<Vec<_>>(), KINDS, "none was left out");
    let mut handed_over = BTreeMap::<String, usize>::new();
    for id in world.sent() {
        *handed_over.entry(id).or_default() += 1;
    }
    assert!(handed_over.values().all(|times| *times == 2), "the same id each time: {handed_over:?}");
    let shown = world.mailbox().list(1_000).await.expect("the mailbox").len();
    assert_eq!(shown, handed_over.len(), "and the receiver sees one of each");
    life.end().await;
}
