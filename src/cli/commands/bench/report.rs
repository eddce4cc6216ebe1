//! What was measured, for people and for scripts, and what it means for the device.

use std::path::Path;
use std::time::Duration;

use comfy_table::{Cell, CellAlignment};
use serde_json::{Value, json};

use super::figures::{Figures, Hundredths, shown};
use crate::cli::exit::Failure;
use crate::cli::output::Output;
use crate::cli::table;

/// Below this no flash and no platter can have the bytes where they stay.
const TOO_QUICK: Duration = Duration::from_micros(20);

/// From here on a person notices.
const SLOW: Duration = Duration::from_millis(20);

/// Everything that was measured.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) orders: u64,
    /// What one hold writes to the journal, and the disk alone at a time.
    pub(super) frame_bytes: usize,
    /// The disk alone, into room set aside: what all others are compared with.
    pub(super) floor: Figures,
    /// The disk alone, to the end of a file that grows.
    pub(super) append: Figures,
    /// By callers, the fewest first.
    pub(super) holds: Vec<(usize, Figures)>,
}

/// What a disk's wait for a sync says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sync {
    TooQuick,
    Ordinary,
    Slow,
}

impl Sync {
    fn of(wait: Duration) -> Sync {
        match wait {
            wait if wait < TOO_QUICK => Sync::TooQuick,
            wait if wait < SLOW => Sync::Ordinary,
            _ => Sync::Slow,
        }
    }

    /// The word for scripts.
    fn word(self) -> &'static str {
        match self {
            Sync::TooQuick => "too_quick",
            Sync::Ordinary => "ordinary",
            Sync::Slow => "slow",
        }
    }
}

/// Prints it.
pub(super) fn report(output: Output, directory: &Path, measured: &Measured) -> Result<(), Failure> {
    output.result(&document(directory, measured), || text(measured))
}

/// How far a row of the ledger is from the disk alone: by the wait, and by how many a second.
fn ratios(figures: &Figures, floor: &Figures) -> (Hundredths, Hundredths) {
    let per_second = Hundredths::of(figures.per_second.into(), floor.per_second.into());
    (Hundredths::of_waits(figures.p50, floor.p50), per_second)
}

fn document(directory: &Path, measured: &Measured) -> Value {
    let nanoseconds = |wait: Duration| u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
    let row = |callers: usize, figures: &Figures| {
        let (wait, per_second) = ratios(figures, &measured.floor);
        json!({
            "callers": callers,
            "count": figures.count,
            "p50_ns": nanoseconds(figures.p50),
            "p99_ns": nanoseconds(figures.p99),
            "per_second": figures.per_second,
            "p50_over_floor_hundredths": wait.0,
            "per_second_over_floor_hundredths": per_second.0,
        })
    };
    json!({
        "directory": directory.display().to_string(),
        "orders": measured.orders,
        "frame_bytes": measured.frame_bytes,
        "floor": row(1, &measured.floor),
        "append": row(1, &measured.append),
        "holds": measured.holds.iter().map(|(callers, figures)| row(*callers, figures)).collect::<Vec<Value>>(),
        "sync": Sync::of(measured.floor.p50).word(),
    })
}

fn text(measured: &Measured) -> String {
    let header = ["WHAT 项目", "CALLERS 并发", "P50", "P99", "A SECOND 每秒", "P50 / DISK", "A SECOND / DISK"];
    let mut rows = table::plain(header);
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    let mut row = |what: &str, callers: usize, figures: &Figures| {
        let (wait, per_second) = ratios(figures, &measured.floor);
        rows.add_row([
            Cell::new(what),
            right(callers.to_string()),
            right(shown(figures.p50)),
            right(shown(figures.p99)),
            right(figures.per_second.to_string()),
            right(wait.to_string()),
            right(per_second.to_string()),
        ]);
    };
    row("disk 磁盘", 1, &measured.floor);
    row("append 追加", 1, &measured.append);
    for (callers, figures) in &measured.holds {
        row("hold 预留", *callers, figures);
    }
    format!("{}\n\n{}", table::text(&rows), meaning(measured).join("\n"))
}

/// What it means, a sentence a line.
fn meaning(measured: &Measured) -> Vec<String> {
    let Measured { floor, holds, frame_bytes, orders, .. } = measured;
    let mut lines = vec![format!(
        "disk: {frame_bytes} bytes written to room set aside before, then fdatasync; append: the same to a file that \
         grows; hold: the ledger's, with the same bytes in its journal, on {orders} orders"
    )];
    if let Some((_, alone)) = holds.first() {
        let (wait, _) = ratios(alone, floor);
        lines.push(format!(
            "a cashier waits {} for the disk alone and {} for the ledger's hold on it, {wait} times as long; a refund \
             that is sent at once waits so twice, for its hold and for its outcome",
            shown(floor.p50),
            shown(alone.p50),
        ));
        if wait < Hundredths(90) {
            let why = "no hold can be quicker than its disk: something else kept the machine busy, so measure again when \
                       it is quiet, or for longer";
            lines.push(why.to_owned());
        }
    }
    if let Some((callers, many)) = holds.last().filter(|_| holds.len() > 1) {
        let (_, per_second) = ratios(many, floor);
        let why = if per_second < Hundredths(100) {
            "here the processor sets the pace, not the disk".to_owned()
        } else {
            format!(
                "{per_second} times what the disk alone takes one after the other, for who comes while it is busy shares \
                 the next sync"
            )
        };
        lines.push(format!("{callers} callers at once get {} holds a second: {why}", many.per_second));
    }
    match Sync::of(floor.p50) {
        Sync::TooQuick => lines.push(format!(
            "{} is too quick for flash or a platter: this disk likely does not honour fdatasync, or has a cache that \
             survives a power cut. \"Durable\" rests on the device's word here",
            shown(floor.p50),
        )),
        Sync::Ordinary => {}
        Sync::Slow => lines.push(
            "slow flash: each durable write is a wait that a person notices; holds of several callers share one sync, so \
             more tills at once cost each of them little"
                .to_owned(),
        ),
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(floor_us: u64) -> Measured {
        let figures = |us, per_second| {
            let p50 = Duration::from_micros(us);
            Figures { count: 9, p50, p99: p50 * 3, per_second }
        };
        let floor = figures(floor_us, 1_000_000 / floor_us);
        let many = figures(floor_us * 2, 20_000_000 / floor_us);
        let holds = vec![(1, figures(floor_us * 5 / 4, 800_000 / floor_us)), (64, many)];
        let append = figures(floor_us * 3 / 2, 600_000 / floor_us);
        Measured { orders: 2_000, frame_bytes: 444, floor, append, holds }
    }

    #[test]
    fn the_table_and_the_words_are_these() {
        assert_eq!(
            text(&measured(800)),
            "WHAT 项目    CALLERS 并发  P50       P99      A SECOND 每秒  P50 / DISK  A SECOND / DISK\n\
             disk 磁盘               1  800.0 µs  2.40 ms           1250        1.00             1.00\n\
             append 追加             1   1.20 ms  3.60 ms            750        1.50             0.60\n\
             hold 预留               1   1.00 ms  3.00 ms           1000        1.25             0.80\n\
             hold 预留              64   1.60 ms  4.80 ms          25000        2.00            20.00\n\
             \n\
             disk: 444 bytes written to room set aside before, then fdatasync; append: the same to a file that grows; hold: \
             the ledger's, with the same bytes in its journal, on 2000 orders\n\
             a cashier waits 800.0 µs for the disk alone and 1.00 ms for the ledger's hold on it, 1.25 times as long; a \
             refund that is sent at once waits so twice, for its hold and for its outcome\n\
             64 callers at once get 25000 holds a second: 20.00 times what the disk alone takes one after the other, for \
             who comes while it is busy shares the next sync"
        );
    }

    #[test]
    fn what_cannot_be_is_told_as_what_it_is() {
        let mut noisy = measured(800);
        assert!(!text(&noisy).contains("measure again"));
        noisy.holds[0].1.p50 = Duration::from_micros(700);
        noisy.holds[1].1.per_second = 1_000;
        let lines = meaning(&noisy);
        assert_eq!(
            lines[3],
            "64 callers at once get 1000 holds a second: here the processor sets the pace, not the disk"
        );
        assert!(lines[2].starts_with("no hold can be quicker than its disk: "), "{lines:?}");
    }

    #[test]
    fn a_disk_that_is_too_quick_or_slow_is_told_in_words() {
        let last = |floor_us| meaning(&measured(floor_us)).pop().unwrap_or_default();
        assert_eq!(
            last(8),
            "8.0 µs is too quick for flash or a platter: this disk likely does not honour fdatasync, or has a cache that \
             survives a power cut. \"Durable\" rests on the device's word here"
        );
        assert!(last(20_000).starts_with("slow flash: "), "{}", last(20_000));
        assert!(last(20).starts_with("64 callers") && last(19_999).starts_with("64 callers"));
    }
}
