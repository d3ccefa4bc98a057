//! The run: for each case its rounds, stock and ours by turns, each on a database of its own, each checked before it counts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use atelier_domain::credit_ledger::CreditLedger;

use crate::atelier::Node;
use crate::cases::{CASES, Case, Load};
use crate::dice::Dice;
use crate::postgres::{Database, SETTINGS, Schema, Server};
use crate::preload::{Past, Written};
use crate::report::{Compared, Figures};
use crate::stock::{AppliedOnce, EVERY, Snapshotted, Stock};
use crate::workload::{System, Tally, Window};
use crate::{Arguments, Fallible, check, explore, flush, preload, replay, report, sealing, stock, workload};

/// Ledgers of the cases that are not about one.
const LEDGERS: usize = 1000;
/// The past of `long`, in events.
const LONG: usize = 10_000;

/// The case that is no contest: what sealing costs.
const SEALING: &str = "sealing";
/// Another: what the filters of the feed cost.
const EXPLORE: &str = "explore";

/// Everything a round needs.
struct Bench {
    arguments: Arguments,
    window: Window,
    server: Server,
    keys: PathBuf,
    failures: Vec<String>,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contender {
    Stock,
    Atelier,
}

impl Contender {
    const BOTH: [Self; 2] = [Self::Stock, Self::Atelier];

    const fn schema(self) -> Schema {
        match self {
            Self::Stock => Schema::Stock,
            Self::Atelier => Schema::Atelier,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Atelier => "atelier",
        }
    }
}

/// Runs what was asked for, prints it, writes the results. False when something was wrong, or below with `--strict`.
pub async fn all(arguments: Arguments) -> Fallible<bool> {
    let wanted: Vec<Case> = CASES.into_iter().filter(|case| case.wanted(&arguments.cases)).collect();
    let asked = |name: &str| arguments.cases.is_empty() || arguments.cases.iter().any(|case| case == name);
    let (seals, explores) = (asked(SEALING), asked(EXPLORE));
    if wanted.is_empty() && !seals && !explores {
        let mut names: Vec<String> = CASES.iter().map(|case| format!("{}:{}", case.name, case.clients)).collect();
        names.extend([SEALING, EXPLORE].map(str::to_owned));
        return Err(format!("no such case; there are {}", names.join(" ")).into());
    }
    if seals {
        let keys = tempfile::tempdir_in(&arguments.folder)?;
        sealing::measure(&keys.path().join("keys"), if arguments.quick { 5_000 } else { 200_000 }).await?;
    }
    let feed_is_well = !explores || explore::measure(&arguments.folder).await?;
    if wanted.is_empty() {
        return Ok(feed_is_well);
    }
    let mut results = Vec::new();
    let mut failures = Vec::new();
    for slow_disk in [false, true] {
        let cases: Vec<Case> = wanted.iter().copied().filter(|case| case.slow_disk == slow_disk).collect();
        if cases.is_empty() {
            continue;
        }
        let delay = match slow_disk.then(flush::build_delay).transpose() {
            Ok(delay) => delay,
            Err(error) => {
                println!("\nno slow disk here: {error}");
                continue;
            }
        };
        let mut bench = Bench::start(&arguments, delay).await?;
        let ran = bench.run(&cases).await;
        failures.append(&mut bench.failures);
        bench.server.stop().await?;
        results.extend(ran?);
    }
    report::print(&results);
    println!("\nwritten to {}", report::write(&results)?.display());
    for failure in &failures {
        println!("*** WRONG: {failure} ***");
    }
    let below = arguments.strict && results.iter().any(|result| result.below().is_some());
    Ok(failures.is_empty() && !below && feed_is_well)
}

impl Bench {
    async fn start(arguments: &Arguments, delay: Option<PathBuf>) -> Fallible<Self> {
        let server = Server::start(&arguments.folder, delay.as_deref()).await?;
        let window =
            Window { warm_up: Arguments::seconds(arguments.warm_up), measured: Arguments::seconds(arguments.seconds) };
        let settings: Vec<String> = SETTINGS
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        println!("PostgreSQL {} in {}: {}", server.version(), server.home().display(), settings.join(" "));
        let commit = server.commit_ms().await?;
        if delay.is_some() {
            println!("every flush takes a millisecond longer: a small commit takes {commit:.2} ms");
            if commit < 1.0 {
                return Err("the slow disk is not slow".into());
            }
        } else {
            let flushes = flush::per_second(server.home())?;
            let cores = std::thread::available_parallelism()?;
            println!(
                "the disk does {flushes:.0} fdatasync/s of 4 KiB; a small commit takes {commit:.2} ms; {cores} cores"
            );
        }
        // In the server's folder, so that it goes with it however this process ends.
        let keys = server.home().join("keys");
        Ok(Self { arguments: arguments.clone(), window, server, keys, failures: Vec::new() })
    }

    async fn run(&mut self, cases: &[Case]) -> Fallible<Vec<Compared>> {
        let mut results = Vec::new();
        for case in cases {
            println!("\n{} with {} clients", case.name, case.clients);
            let (mut stock, mut atelier) = (Vec::new(), Vec::new());
            if case.load == Load::Replay {
                self.replays(case, &mut stock, &mut atelier).await?;
            } else {
                for _ in 0..self.arguments.rounds {
                    for contender in Contender::BOTH {
                        let figures = Box::pin(self.round(case, contender)).await?;
                        if contender == Contender::Stock { stock.push(figures) } else { atelier.push(figures) }
                    }
                }
            }
            if case.load == Load::Long {
                self.snapshots::<CreditLedger>(case, "its snapshots, as the crate has them").await?;
                self.snapshots::<AppliedOnce>(case, "its snapshots, their double fold worked around").await?;
            }
            results.push(Compared {
                case: *case,
                stock: Figures::medians(&stock),
                atelier: Figures::medians(&atelier),
            });
        }
        Ok(results)
    }

    /// One round of one system, on a database of its own. A failed check is kept, and the run goes on.
    async fn round(&mut self, case: &Case, contender: Contender) -> Fallible<Figures> {
        let schema = contender.schema();
        let database = self.server.fresh(schema).await?;
        let past = match case.load {
            Load::Long => Some(preload::write(&database, schema, Past::of(1, LONG)).await?),
            Load::Spend | Load::SpendKeyed | Load::Hot | Load::Views | Load::Replay => None,
        };
        let with_views = case.load == Load::Views;
        let mut lag = None;
        let mut notes = String::new();
        let (before, tally) = match contender {
            Contender::Stock => {
                let pool = stock::pool(&database, case.clients).await?;
                let system = Arc::new(Stock::new(&pool, with_views));
                let driven = self.drive(&system, case, past, false).await?;
                notes = format!("{} conflicts", system.conflicts());
                if with_views {
                    notes += &format!(", {} view updates lost", system.lost.get());
                }
                pool.close().await;
                driven
            }
            Contender::Atelier => {
                let node = Arc::new(Node::start(&database, &self.keys, with_views).await?);
                let driven = self.drive(&node, case, past, case.load == Load::SpendKeyed).await?;
                lag = node.lag().await?;
                node.stop().await;
                driven
            }
        };
        let figures = Figures { lag_ms: lag.map(|lag| lag.as_secs_f64() * 1000.0), ..self.figures(&tally) };
        match self.checked(case, contender, &database, before, &tally).await {
            Ok(note) => notes += &note,
            Err(error) => {
                self.failures.push(format!(
                    "{} with {} clients, {}: {error}",
                    case.name,
                    case.clients,
                    contender.name()
                ));
            }
        }
        println!("  {:<8} {}  ({notes}, {} overdrafts refused)", contender.name(), figures.sentence(), tally.refused);
        self.server.discard(database).await?;
        Ok(figures)
    }

    /// Opens the ledgers if there is no past, and lets the clients loose; says how many events there were before them.
    async fn drive<S: System>(
        &self,
        system: &Arc<S>,
        case: &Case,
        past: Option<Written>,
        keyed: bool,
    ) -> Fallible<(u64, Tally)> {
        let (before, ledgers) = match past {
            Some(past) => (past.events, past.ledgers),
            None => {
                let count = if case.load == Load::Hot { 1 } else { LEDGERS };
                (count, workload::open(system.as_ref(), count, &mut Dice::new(1)).await?)
            }
        };
        self.server.checkpoint().await?;
        let tally = workload::drive(system, &Arc::new(ledgers), case.clients, keyed, self.window).await?;
        Ok((before as u64, tally))
    }

    fn figures(&self, tally: &Tally) -> Figures {
        Figures {
            rate: tally.latencies.total() as f64 / self.window.measured.as_secs_f64(),
            p50_ms: tally.latencies.percentile_ms(0.50),
            p99_ms: tally.latencies.percentile_ms(0.99),
            lag_ms: None,
        }
    }

    async fn checked(
        &self,
        case: &Case,
        contender: Contender,
        database: &Database,
        before: u64,
        tally: &Tally,
    ) -> Fallible<String> {
        if let Some(failed) = &tally.failed {
            return Err(failed.as_str().into());
        }
        let log = check::log(database, contender.schema(), before, tally.acknowledged).await?;
        let mut note = String::new();
        match (contender, case.load) {
            (Contender::Stock, Load::Views) => {
                note = format!(", {} balance views wrong", check::wrong_stock_views(database, &log).await?);
            }
            (Contender::Atelier, Load::Views) => check::read_models(database, &log).await?,
            (Contender::Atelier, Load::SpendKeyed) => check::keys(database, tally.acknowledged).await?,
            _ => {}
        }
        if let Some(batch) = log.batch(tally.acknowledged) {
            note += &format!("{batch:.1} events a commit");
        }
        if tally.late > 0 {
            note += &format!(", {} ids minted anew", tally.late);
        }
        Ok(note)
    }

    /// The whole log folded, by turns; both folds must agree, each time.
    async fn replays(&mut self, case: &Case, stock: &mut Vec<Figures>, atelier: &mut Vec<Figures>) -> Fallible<()> {
        let past = Past::of(LEDGERS, self.arguments.replay_events.div_ceil(LEDGERS));
        let theirs = self.server.fresh(Schema::Stock).await?;
        preload::write(&theirs, Schema::Stock, past).await?;
        let ours = self.server.fresh(Schema::Atelier).await?;
        preload::write(&ours, Schema::Atelier, past).await?;
        self.server.checkpoint().await?;
        for _ in 0..self.arguments.rounds {
            let mut folds = Vec::new();
            for contender in Contender::BOTH {
                let started = Instant::now();
                // On a worker of the runtime, as any reader would be: from the main thread each event would wake a thread.
                let replayed = match contender {
                    Contender::Stock => tokio::spawn(replay::stock(theirs.clone())),
                    Contender::Atelier => tokio::spawn(replay::atelier(ours.clone())),
                }
                .await??;
                let rate = past.events() as f64 / started.elapsed().as_secs_f64();
                let figures = Figures { rate, ..Figures::default() };
                println!("  {:<8} {}  ({} events)", contender.name(), figures.sentence(), replayed.events);
                if contender == Contender::Stock {
                    stock.push(figures)
                } else {
                    atelier.push(figures)
                }
                folds.push(replayed);
            }
            if folds[0] != folds[1] || folds[0].events != past.events() {
                self.failures.push(format!("{}: the folds differ, or not all events were folded", case.name));
            }
        }
        self.server.discard(theirs).await?;
        self.server.discard(ours).await
    }

    /// What the stock snapshot store would do for `long`: printed beside, not compared, because of what it says about itself.
    async fn snapshots<A>(&self, case: &Case, what: &str) -> Fallible<()>
    where
        A: Snapshotted,
        Stock<A>: System,
    {
        let database = self.server.fresh(Schema::Stock).await?;
        // A little short of a snapshot: the first one is taken during the warm-up.
        let past =
            preload::write(&database, Schema::Stock, Past::of(1, (LONG / EVERY * EVERY).saturating_sub(1))).await?;
        let id = past.ledgers[0].id.clone();
        let pool = stock::pool(&database, case.clients).await?;
        let (before, tally) = self.drive(&Arc::new(A::stock(&pool)), case, Some(past), false).await?;
        let right = A::agrees(&pool, &id).await?
            && check::log(&database, Schema::Stock, before, tally.acknowledged).await.is_ok();
        pool.close().await;
        let verdict = if right { "its state is right" } else { "ITS STATE IS WRONG" };
        let failed = tally.failed.as_ref().map_or_else(String::new, |failed| format!(", {failed}"));
        println!(
            "  aside: stock with {what}, each {EVERY} events: {} ({verdict}{failed})",
            self.figures(&tally).sentence()
        );
        self.server.discard(database).await
    }
}
