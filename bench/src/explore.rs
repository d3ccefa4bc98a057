//! `explore`: a page of the feed by each of its filters, over a feed of 400,000 items, anonymously. A filter must not cost more than twice the
//! page without one, however rare what it asks for is. Beside it, what the filters' indexes cost: in bytes, and in time when the feed is
//! filled.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atelier_domain::generation::{GenerationEvent, RequestTerms};
use atelier_domain::policy::catalogue::MediaType;
use atelier_domain::text::Prompt;
use atelier_domain::{AccountId, Credits, Environment, EventId, Personal};
use atelier_projections::models::explore::{self, ExploreFilter};
use atelier_projections::{Feed, ReadModels, Runner, RunnerOptions, models};
use atelier_server::database;
use atelier_server::system::SystemRandom;
use atelier_vault::{BlindIndex, Vault};
use sqlx::{Connection, Executor, PgConnection};
use uuid::Uuid;

use crate::Fallible;
use crate::postgres::{Database, Schema, Server};

/// As many as the issue names.
const ITEMS: i64 = 400_000;
/// How often each page is read; the median counts.
const LOOKS: usize = 61;
/// How much a filter may cost, times the page without one.
const MOST: f64 = 2.0;
/// A page as the API's default asks for it.
const PAGE: usize = 50;

const INDEXES: [&str; 3] = ["explore_v1_by_media", "explore_v1_by_model", "explore_v1_by_both"];

/// A filter with its name.
const fn filters() -> [(&'static str, ExploreFilter<'static>); 7] {
    const ALL: ExploreFilter<'static> = ExploreFilter { creator: None, media_type: None, model: None };
    [
        ("none", ALL),
        ("a common model", ExploreFilter { model: Some("z-image-turbo"), ..ALL }),
        ("a rare model", ExploreFilter { model: Some("a-rare-one"), ..ALL }),
        ("an unknown model", ExploreFilter { model: Some("nothing"), ..ALL }),
        ("a common media type", ExploreFilter { media_type: Some(MediaType::Image), ..ALL }),
        ("an empty media type", ExploreFilter { media_type: Some(MediaType::Audio), ..ALL }),
        (
            "a common model, of no such type",
            ExploreFilter { media_type: Some(MediaType::Video), model: Some("z-image-turbo"), ..ALL },
        ),
    ]
}

/// Measures on a server below `folder` and prints; false when a filter costs too much.
pub async fn measure(folder: &Path) -> Fallible<bool> {
    let server = Server::start(folder, None).await?;
    let done = on(&server, folder).await;
    server.stop().await?;
    done
}

async fn on(server: &Server, folder: &Path) -> Fallible<bool> {
    let keys = tempfile::tempdir_in(folder)?;
    let keys = keys.path().join("keys");
    let vault = Vault::open_folder(&keys, Arc::new(SystemRandom))?;
    let account = AccountId(Uuid::from_u128(1));
    vault.store().create(account).await?;
    let prompt = sealed_prompt(&vault, account).await?;

    let plain = server.fresh(Schema::Atelier).await?;
    let without = filled(&plain, account, &prompt, false).await?;
    server.discard(plain).await?;
    let database = server.fresh(Schema::Atelier).await?;
    let with = filled(&database, account, &prompt, true).await?;
    println!("\nexplore, {ITEMS} items, a page of {PAGE}, medians of {LOOKS}:");
    println!(
        "  filled in {:.1} s with the filters' indexes, {:.1} s without",
        with.as_secs_f64(),
        without.as_secs_f64()
    );
    let mut superuser = PgConnection::connect(&database.superuser_url).await?;
    for index in INDEXES.iter().chain(&["explore_v1_feed", "explore_v1_pkey"]) {
        let size = sqlx::query_scalar("select pg_size_pretty(pg_relation_size(('read_models_a.' || $1)::regclass))");
        let size: String = size.bind(index).fetch_one(&mut superuser).await?;
        println!("  {index:24} {size}");
    }
    superuser.close().await?;

    let pool = database::pool(&database.url, 3).await?;
    let feed = Feed::new(pool.clone());
    let log = feed.log().clone();
    let runner = Runner::new(pool.clone(), feed, models::all(), RunnerOptions::default());
    runner.register().await?;
    let blind_index = BlindIndex::open(&keys, &SystemRandom)?;
    let read = ReadModels::open(pool.clone(), vault, blind_index, runner.progress(), log).await?;
    let mut medians = Vec::new();
    for (name, filter) in filters() {
        let (median, items) = looked(&read, filter).await?;
        medians.push((name, median, items));
    }
    pool.close().await;
    let plain = medians.first().map_or(f64::INFINITY, |(_, median, _)| *median);
    let mut well = true;
    for (name, median, items) in medians {
        let times = median / plain;
        well &= times <= MOST;
        let verdict = if times <= MOST { "" } else { "  TOO MUCH" };
        println!("  {name:32} {median:8.3} ms  {times:5.2} times, {items} items{verdict}");
    }
    server.discard(database).await?;
    Ok(well)
}

/// Fills the feed as the owner; how long that took.
async fn filled(database: &Database, account: AccountId, prompt: &str, indexed: bool) -> Fallible<Duration> {
    let mut superuser = PgConnection::connect(&database.superuser_url).await?;
    if !indexed {
        for index in INDEXES {
            superuser.execute(format!("drop index read_models_a.{index}").as_str()).await?;
        }
    }
    let begun = Instant::now();
    // The rare ones are the oldest, so that whoever reads from the start reads everything.
    let fill = "insert into read_models_a.explore_v1 \
                (generation_id, account_id, model, media_type, prompt, width, height, outputs, published_at) \
                select gen_random_uuid(), $1, case when n <= 5 then 'a-rare-one' when n % 10 = 0 then 'flux-2-pro' else 'z-image-turbo' end, \
                'image', $2, 64, 64, '[]', timestamptz '2026-01-01' + n * interval '1 minute' from generate_series(1, $3) n";
    sqlx::query(fill).bind(account.0).bind(prompt).bind(ITEMS).execute(&mut superuser).await?;
    let took = begun.elapsed();
    superuser.execute("vacuum analyze read_models_a.explore_v1").await?;
    superuser.close().await?;
    Ok(took)
}

/// The median of some looks at a first page, in milliseconds, and the items on it.
async fn looked(read: &ReadModels, filter: ExploreFilter<'_>) -> Fallible<(f64, usize)> {
    let (mut times, mut items) = (Vec::with_capacity(LOOKS), 0);
    for _ in 0..LOOKS {
        let begun = Instant::now();
        let mut snapshot = read.snapshot(&[explore::NAME], None).await?;
        items = explore::page(&mut snapshot, filter, PAGE, None).await?.items.len();
        times.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok((times.get(LOOKS / 2).copied().unwrap_or_default(), items))
}

async fn sealed_prompt(vault: &Vault, account_id: AccountId) -> Fallible<String> {
    let terms = RequestTerms {
        account_id,
        environment: Environment::Live,
        api_key_id: None,
        model: "z-image-turbo".into(),
        media_type: MediaType::Image,
        width: 64,
        height: 64,
        num_images: 1,
        seed: 1,
        unit_price: Credits::new(100),
        price: Credits::new(100),
        price_version: 1,
        publish: true,
    };
    let prompt = Personal::Open(Prompt::parse("A calm ocean at dawn")?);
    let mut event = GenerationEvent::GenerationRequested { terms, prompt };
    vault.seal_fields(account_id, EventId(Uuid::from_u128(2)), "GenerationRequested", &mut event).await?;
    match event {
        GenerationEvent::GenerationRequested { prompt: Personal::Sealed(sealed), .. } => {
            Ok(sealed.as_text().to_owned())
        }
        _ => Err("it is not sealed".into()),
    }
}
