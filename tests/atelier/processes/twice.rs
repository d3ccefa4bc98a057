//! Every piece of work is delivered twice, under the same id: nothing more happens (DESIGN 4).

use std::collections::BTreeMap;

use atelier_commands::process::{AddressDigest, Work, enqueue};
use atelier_commands::use_cases::DeleteGeneration;
use atelier_domain::{Actor, ExportId};
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
const KINDS: [&str; 25] = [
    "abandon_if_not_requested",
    "build_data_export",
    "capture_hold",
    "delete_media",
    "expire_lot",
    "fail_if_not_started",
    "give_up_data_export",
    "grant_sign_up_bonus",
    "post_notice",
    "remove_data_export",
    "render_generation",
    "resend_verification",
    "send_already_registered_mail",
    "send_data_export_mail",
    "send_former_address_notice",
    "send_generation_notice",
    "send_password_reset_mail",
    "send_security_notice",
    "send_two_factor_reset_mail",
    "send_verification_mail",
    "settle_account",
    "start_password_reset",
    "time_out_generation",
    "turn_two_factor_off",
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
            let delete = DeleteGeneration {
                account: *account,
                generation: Ok(ended[0].job.parse().expect("an id")),
                idempotency_key: None,
            };
            let context = |studio: &atelier_server::studio::Studio| studio.write.request_context(Actor::Operator);
            let deleted = life.ask(move |studio| async move { delete.run(&studio.write, &context(&studio)).await });
            deleted.await.expect("alive").expect("it is removed");
            assert!(life.rests().await);
            assert!(!world.has_files(*account, &ended[0].job), "A31");
        }
    }
    let (account, at) = (accounts[0], chrono::DateTime::UNIX_EPOCH);
    let (topic, export) = (atelier_commands::NoticeTopic::EmailChanged, ExportId(uuid::Uuid::from_u128(5)));
    // Nobody here has claimed an address, so the look-ups find nobody.
    let address = AddressDigest::of(&IndexDigest { kind: IndexKind::Email, key_version: 1, digest: [7; 32] });
    for (id, work) in [
        ("resendVerification:test", Work::ResendVerification { address: address.clone(), sign_up: None }),
        ("resetPassword:test", Work::StartPasswordReset { address }),
        ("resetPassword:test:mail", Work::SendPasswordResetMail { account }),
        ("signUp:test:0", Work::SendAlreadyRegisteredMail { account }),
        ("SecurityNotifier:test:0", Work::SendSecurityNotice { account, topic, at }),
        ("SecurityNotifier:test:2", Work::SendTwoFactorResetMail { account, due_at: at }),
        ("StaffFollower:test:0", Work::SettleAccount { account, new_address: None }),
        ("StaffFollower:test:1", Work::TurnTwoFactorOff { account, at }),
        // No copy is under way: the journey of a real one, twice, is `accounts::data_export`'s.
        ("DataExport:test:0", Work::BuildDataExport { account, export }),
        ("DataExport:test:1", Work::GiveUpDataExport { account, export, at }),
        ("DataExport:test:2", Work::RemoveDataExport { account, export, at }),
        ("DataExport:test:3", Work::SendDataExportMail { account, export, expires_at: None }),
        ("SecurityNotifier:test:1", Work::SendFormerAddressNotice { account, before: 9, at }),
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
    let shown = sqlx::query_scalar::<_, i64>("select count(*) from notices");
    let shown = shown.fetch_one(&mut superuser).await.expect("the table is there");
    assert_eq!(shown, 2, "C8: one notice inside the application for each job that ended by itself");
    let mut handed_over = BTreeMap::<String, usize>::new();
    for id in world.sent() {
        *handed_over.entry(id).or_default() += 1;
    }
    assert!(handed_over.values().all(|times| *times == 2), "the same id each time: {handed_over:?}");
    let shown = world.mailbox().list(1_000).await.expect("the mailbox").len();
    assert_eq!(shown, handed_over.len(), "and the receiver sees one of each");
    life.end().await;
}
