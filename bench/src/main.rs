//! `make bench`: the real command path against stock `cqrs-es` with `postgres-es`, on one durable private PostgreSQL, interleaved.
#![expect(clippy::print_stdout, reason = "its table is what it is for")]

mod atelier;
mod balance;
mod cases;
mod check;
mod dice;
mod explore;
mod flush;
mod histogram;
mod postgres;
mod preload;
mod replay;
mod report;
mod rounds;
mod sealing;
mod stock;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

/// Any failure; the run ends with its words.
type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What to measure, and how long. `bench/README.md` says how to read the result.
#[derive(Debug, Clone, Parser)]
struct Arguments {
    /// How many rounds of each case and system; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,

    /// How long a round is measured, in seconds.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,

    /// How long a round runs before it is measured, in seconds.
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,

    /// Only these cases, as `spend` or, with its clients, `spend:64`; may be given more than once.
    #[arg(long = "case")]
    cases: Vec<String>,

    /// The events of the replay.
    #[arg(long, default_value_t = 1_000_000)]
    replay_events: usize,

    /// One short round of everything, to see that it works; its figures mean little.
    #[arg(long)]
    quick: bool,

    /// A ratio below what must be is a failure too.
    #[arg(long)]
    strict: bool,

    /// Where the private PostgreSQL lives meanwhile; it should be on the disk to be measured.
    #[arg(long, default_value = "/var/tmp")]
    folder: PathBuf,
}

impl Arguments {
    fn quickened(mut self) -> Self {
        if self.quick {
            (self.rounds, self.seconds, self.warm_up) = (1, 1.0, 0.3);
            self.replay_events = self.replay_events.min(100_000);
        }
        self
    }

    const fn seconds(seconds: f64) -> Duration {
        // Clap takes any number; what is not a length of time is none.
        if seconds > 0.0 && seconds < 3600.0 {
            Duration::from_millis((seconds * 1000.0) as u64)
        } else {
            Duration::ZERO
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse().quickened();
    // The runtime of `atelier serve`.
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            println!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(rounds::all(arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}
