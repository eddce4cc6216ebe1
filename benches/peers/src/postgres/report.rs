//! What the turns came to: rates and their ratios, waits, and what each hold cost the two sides.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::arena::Spent;
use super::process::Took;
use super::{Arguments, Kind};
use crate::report::{machine, spread};
use crate::sample::Summary;

/// All figures, of each round in turn.
#[derive(Default)]
pub struct Measured {
    turns: BTreeMap<(String, String), Vec<Figures>>,
    pub notes: Vec<String>,
}

/// One turn of both processes.
struct Figures {
    rate: f64,
    p50_ms: f64,
    p99_ms: f64,
    granted: f64,
    client_us: f64,
    server_us: f64,
    log_bytes: f64,
}

impl Measured {
    pub fn take(&mut self, kind: &str, who: &str, took: &[Took], before: &Spent, after: &Spent) {
        let holds: u64 = took.iter().map(|took| took.holds).sum();
        let each = |value: f64| value / holds.max(1) as f64;
        let mut waits = crate::hold::latencies();
        for (wait, count) in took.iter().flat_map(|took| &took.waits) {
            waits.saturating_record_n(*wait, *count);
        }
        let figures = Figures {
            rate: took.iter().map(Took::per_second).sum(),
            p50_ms: waits.value_at_quantile(0.5) as f64 / 1e6,
            p99_ms: waits.value_at_quantile(0.99) as f64 / 1e6,
            granted: each(took.iter().map(|took| took.granted).sum::<u64>() as f64),
            client_us: each(took.iter().map(|took| took.cpu.as_secs_f64() * 1e6).sum()),
            server_us: each(after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6),
            log_bytes: each((after.log - before.log) as f64),
        };
        self.turns.entry((kind.to_owned(), who.to_owned())).or_default().push(figures);
    }

    fn turns(&self, kind: &str, who: &str) -> &[Figures] {
        self.turns.get(&(kind.to_owned(), who.to_owned())).map_or(&[], Vec::as_slice)
    }

    fn of(&self, kind: &str, who: &str, what: impl Fn(&Figures) -> f64) -> Option<Summary> {
        Summary::of(&self.turns(kind, who).iter().map(what).collect::<Vec<_>>())
    }

    /// The ratio of two medians, with the spread of the rounds' own ratios.
    fn ratio(&self, kind: &str, who: &str, over: &str) -> Option<Summary> {
        let (one, other) = (self.of(kind, who, |f| f.rate)?, self.of(kind, over, |f| f.rate)?);
        let pairs = self.turns(kind, who).iter().zip(self.turns(kind, over));
        let spread = Summary::of(&pairs.map(|(one, other)| one.rate / other.rate).collect::<Vec<_>>())?;
        Some(Summary { median: one.median / other.median, ..spread })
    }
}

/// Writes `postgres.md` and shows it.
pub fn write(
    measured: &Measured,
    arguments: &Arguments,
    version: &str,
    kinds: &[Kind],
    who: &[String],
) -> std::io::Result<()> {
    let mut text = String::from("# Holds on a PostgreSQL server, from two processes\n\n");
    if arguments.quick {
        text.push_str("**A smoke run: no figure here means anything.**\n\n");
    }
    let _ = writeln!(
        text,
        "PostgreSQL {version}, on the machine of its two clients: {}. {} rounds of turns of {:?}; each process with {} \
         connections and one. Medians with the smallest and the largest; a ratio is one of medians, with the spread of \
         the rounds' own ratios.\n",
        machine(),
        if arguments.quick { 2 } else { arguments.rounds },
        arguments.time(),
        arguments.connections,
    );
    text.push_str(
        "| | | holds/s | over `statement` | over `grouped` | p50 ms | p99 ms | CPU us a hold, clients | server | \
         log bytes a hold | granted |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    let cell = |figure: Option<Summary>| figure.map_or_else(|| "-".to_owned(), |figure| spread(&figure));
    for Kind { name: kind, .. } in kinds {
        for who in who {
            let of = |what: fn(&Figures) -> f64| measured.of(kind, who, what);
            let median = |what: fn(&Figures) -> f64| {
                cell(of(what).map(|Summary { median, .. }| Summary { median, min: median, max: median }))
            };
            let over = |other: &str| if who == other { "1".to_owned() } else { cell(measured.ratio(kind, who, other)) };
            let _ = writeln!(
                text,
                "| {kind} | {who} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                cell(of(|f| f.rate)),
                over("statement"),
                over("grouped"),
                median(|f| f.p50_ms),
                median(|f| f.p99_ms),
                median(|f| f.client_us),
                median(|f| f.server_us),
                median(|f| f.log_bytes),
                median(|f| f.granted),
            );
        }
    }
    text.push('\n');
    for note in &measured.notes {
        let _ = writeln!(text, "* {note}");
    }
    println!("{text}");
    std::fs::create_dir_all(&arguments.out)?;
    std::fs::write(arguments.out.join("postgres.md"), text)
}
