//! What a person reads, and `target/bench/results.json`.

use std::path::PathBuf;

use serde::Serialize;

use crate::Fallible;
use crate::cases::Case;

/// How long the read models may be behind when the load ends.
pub const LAG_MS: f64 = 1000.0;

/// One system in one case: a round, or the medians of all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    /// Acknowledged commands, or folded events, a second.
    pub rate: f64,
    /// Half of the commands took no longer; `None` in a replay.
    pub p50_ms: Option<f64>,
    /// All but one in a hundred took no longer.
    pub p99_ms: Option<f64>,
    /// How far behind the read models were when the load ended.
    pub lag_ms: Option<f64>,
}

/// A case's result.
#[derive(Debug, Clone)]
pub struct Compared {
    /// The case.
    pub case: Case,
    /// The stock crate's medians.
    pub stock: Figures,
    /// Ours.
    pub atelier: Figures,
}

/// A row of the results file.
#[derive(Debug, Serialize)]
struct Row {
    case: &'static str,
    system: &'static str,
    clients: usize,
    rate: f64,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
}

impl Figures {
    /// Each figure's median over rounds.
    pub fn medians(rounds: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> Option<f64>| median(rounds.iter().filter_map(figure).collect());
        Self {
            rate: of(|round| Some(round.rate)).unwrap_or_default(),
            p50_ms: of(|round| round.p50_ms),
            p99_ms: of(|round| round.p99_ms),
            lag_ms: of(|round| round.lag_ms),
        }
    }

    fn cells(&self) -> String {
        let ms = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
        format!("{:>10}/s {:>8} {:>8}", whole(self.rate), ms(self.p50_ms), ms(self.p99_ms))
    }

    /// On one line.
    pub fn sentence(&self) -> String {
        let ms =
            |name: &str, value: Option<f64>| value.map_or_else(String::new, |value| format!(", {name} {value:.2} ms"));
        let tail = [ms("p50", self.p50_ms), ms("p99", self.p99_ms), ms("lag", self.lag_ms)].concat();
        format!("{:>10}/s{tail}", whole(self.rate))
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

impl Compared {
    fn ratio(&self) -> f64 {
        self.atelier.rate / self.stock.rate
    }

    /// Why it is below what must be, if it is.
    pub fn below(&self) -> Option<String> {
        let ratio = self.ratio();
        if let Some((must, _)) = self.case.bar.filter(|(must, _)| ratio < *must) {
            return Some(format!("{ratio:.2}x stock, must be {must}x"));
        }
        if let Some(lag) = self.atelier.lag_ms.filter(|lag| *lag >= LAG_MS) {
            return Some(format!("read models {lag:.0} ms behind, must be under {LAG_MS:.0} ms"));
        }
        let (tail, bound) = (self.atelier.p99_ms?, self.stock.p50_ms?);
        (self.case.tail_below_stock && tail >= bound)
            .then(|| format!("p99 {tail:.2} ms, must be below stock's p50 {bound:.2} ms"))
    }

    fn verdict(&self) -> &'static str {
        match self.case.bar {
            _ if self.below().is_some() => "BELOW",
            None => "-",
            Some((_, goal)) if self.ratio() >= goal => "goal",
            Some(_) => "must",
        }
    }
}

/// Prints the table, and loudly what is below.
pub fn print(results: &[Compared]) {
    println!(
        "\n{:<16} {:>7} | {:>12} {:>8} {:>8} | {:>12} {:>8} {:>8} | {:>8} {:>6} {:>6}  verdict",
        "case", "clients", "stock", "p50 ms", "p99 ms", "atelier", "p50 ms", "p99 ms", "ratio", "must", "goal"
    );
    for result in results {
        let Compared { case, stock, atelier } = result;
        let bar =
            |pick: fn((f64, f64)) -> f64| case.bar.map_or_else(|| "-".to_owned(), |bar| format!("{}x", pick(bar)));
        println!(
            "{:<16} {:>7} | {} | {} | {:>7.2}x {:>6} {:>6}  {}",
            case.name,
            case.clients,
            stock.cells(),
            atelier.cells(),
            result.ratio(),
            bar(|(must, _)| must),
            bar(|(_, goal)| goal),
            result.verdict(),
        );
    }
    for result in results {
        if let Some(why) = result.below() {
            println!("*** BELOW: {} with {} clients: {why} ***", result.case.name, result.case.clients);
        }
    }
}

/// Where the results go: `target/bench` of the workspace, made if it is not there.
pub fn folder() -> Fallible<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench"));
    std::fs::create_dir_all(&folder)?;
    Ok(folder.canonicalize()?)
}

/// Writes the results file; only what was run is in it.
pub fn write(results: &[Compared]) -> Fallible<PathBuf> {
    let row = |case: &Case, system, figures: &Figures| Row {
        case: case.name,
        system,
        clients: case.clients,
        rate: figures.rate,
        p50_ms: figures.p50_ms,
        p99_ms: figures.p99_ms,
    };
    let rows: Vec<Row> = results
        .iter()
        .flat_map(|result| [row(&result.case, "stock", &result.stock), row(&result.case, "atelier", &result.atelier)])
        .collect();
    let path = folder()?.join("results.json");
    std::fs::write(&path, serde_json::to_vec_pretty(&rows)?)?;
    Ok(path)
}

/// A number without fractions, its thousands apart.
fn whole(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::CASES;

    fn figures(rate: f64, p50: f64, p99: f64) -> Figures {
        Figures { rate, p50_ms: Some(p50), p99_ms: Some(p99), lag_ms: None }
    }

    #[test]
    fn the_median_of_rounds_counts_for_each_figure() {
        let rounds = [figures(3.0, 1.0, 9.0), figures(1.0, 3.0, 8.0), figures(2.0, 2.0, 7.0)];
        let median = Figures::medians(&rounds);
        assert_eq!((median.rate, median.p50_ms, median.p99_ms, median.lag_ms), (2.0, Some(2.0), Some(8.0), None));
        assert_eq!(Figures::medians(&rounds[..2]).rate, 2.0);
    }

    #[test]
    fn a_case_is_below_by_its_rate_its_tail_or_its_lag() {
        let spend = CASES[2];
        let compared = |atelier| Compared { case: spend, stock: figures(4000.0, 13.0, 40.0), atelier };
        assert_eq!(compared(figures(80_000.0, 1.0, 12.0)).verdict(), "goal");
        assert_eq!(compared(figures(40_000.0, 1.0, 12.0)).verdict(), "must");
        assert_eq!(compared(figures(39_000.0, 1.0, 12.0)).verdict(), "BELOW");
        assert_eq!(compared(figures(80_000.0, 1.0, 13.5)).verdict(), "BELOW");
        let late = Figures { lag_ms: Some(1001.0), ..figures(80_000.0, 1.0, 12.0) };
        assert_eq!(compared(late).verdict(), "BELOW");
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!((whole(12.4), whole(999.6), whole(1_234_567.0)), ("12".into(), "1,000".into(), "1,234,567".into()));
    }
}
