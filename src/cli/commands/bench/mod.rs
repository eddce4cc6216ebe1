//! `bench`: how long the disk of a directory takes for a durable write, and the ledger for a durable hold on it.
//!
//! Everything happens in a directory of its own below the one that is named, which is removed at the end, however that
//! comes. Disk and ledger take turns within one run, so that what else the machine does meets both.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `place` | the directory that is made and removed |
//! | `floor` | plain writes, each synced |
//! | `holds` | a ledger with orders, and callers who hold refunds on them |
//! | `figures` | what was measured, as counts, waits and ratios |
//! | `report` | the same for people and for scripts |
//!
//! Start reading at [`run`].

mod figures;
mod floor;
mod holds;
mod place;
mod report;

use std::path::Path;
use std::time::{Duration, Instant};

use crate::cli::args::BenchArgs;
use crate::cli::end::End;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use figures::Samples;
use floor::{Floor, Room};
use holds::Subject;
use place::Place;
use report::{Measured, report};

/// How many callers hold at once, in their turns.
const CALLERS: [usize; 3] = [1, 8, 64];

/// How often disk and ledger take turns.
const ROUNDS: u32 = 5;

/// How many holds a second of the whole run may bring: a quick disk is measured well before its time is
/// over, and is not worn for nothing.
const MOST_A_SECOND: u64 = 2_000;

/// The orders, each held on at most ten times: as many refunds as Fubei takes of one.
const FEWEST_ORDERS: u64 = 2_000;
const MOST_REFUNDS: u64 = 10;

/// One turn of the disk or of the ledger: it ends when its time is over or its count is full, and does something even
/// where a single write takes longer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    until: Instant,
    most: u64,
}

impl Turn {
    fn of(plan: Plan) -> Turn {
        Turn { until: Instant::now() + plan.turn, most: plan.most }
    }

    /// Whether the one with this number (from 0, whoever does it) may begin, by a caller who has done so many.
    fn may_begin(self, number: u64, done: usize) -> bool {
        number < self.most && (done == 0 || Instant::now() < self.until)
    }
}

/// How the time is divided.
#[derive(Clone, Copy, Debug)]
struct Plan {
    turn: Duration,
    most: u64,
    orders: u64,
}

impl Plan {
    fn of(seconds: u32) -> Plan {
        let turns = ROUNDS * (2 + CALLERS.len() as u32);
        let holding = u64::from(ROUNDS) * CALLERS.len() as u64;
        let most = (u64::from(seconds) * MOST_A_SECOND / holding).max(CALLERS[CALLERS.len() - 1] as u64);
        let turn = Duration::from_secs(u64::from(seconds)) / turns;
        Plan { turn, most, orders: (most * holding + 1).div_ceil(MOST_REFUNDS).max(FEWEST_ORDERS) }
    }
}

/// Measures, and says what it means for the device.
///
/// # Errors
/// A directory that is not there, cannot be written or is full; an interruption. What was made is removed first.
pub(crate) async fn run(output: Output, args: &BenchArgs) -> Result<Exit, Failure> {
    let mut end = End::listen()?;
    let place = Place::make(&args.directory)?;
    if !output.is_json() {
        let name = place.path().display();
        output.note(format!("measuring for {} s at most in {name}, which is removed afterwards", args.seconds));
    }
    let measured = measure(place.path(), Plan::of(args.seconds), &mut end).await;
    let removed = place.remove();
    let measured = measured?;
    removed?;
    report(output, &args.directory, &measured)?;
    Ok(Exit::Done)
}

/// Opens the ledger, and closes it again whatever comes between.
async fn measure(place: &Path, plan: Plan, end: &mut End) -> Result<Measured, Failure> {
    let subject = Subject::open(&place.join("ledger")).await?;
    let measured = tokio::select! {
        measured = rounds(&subject, place, plan) => measured,
        () = end.asked() => Err(Failure::new("interrupted", "interrupted; what was made for measuring is removed")),
    };
    let closed = subject.close().await;
    let measured = measured?;
    closed?;
    Ok(measured)
}

/// Lets disk and ledger take turns.
async fn rounds(subject: &Subject, place: &Path, plan: Plan) -> Result<Measured, Failure> {
    let frame_bytes = subject.fill(plan.orders).await?;
    let most = plan.most * u64::from(ROUNDS);
    let mut floor = Floor::make(place, Room::SetAside, frame_bytes, most)?;
    let mut append = Floor::make(place, Room::Growing, frame_bytes, most)?;
    let (mut written, mut appended) = (Samples::default(), Samples::default());
    let mut held = CALLERS.map(|callers| (callers, Samples::default()));
    for _ in 0..ROUNDS {
        written.add(floor.write(Turn::of(plan)).await?);
        appended.add(append.write(Turn::of(plan)).await?);
        for (callers, samples) in &mut held {
            samples.add(subject.hold(*callers, Turn::of(plan)).await?);
        }
    }
    Ok(Measured {
        orders: plan.orders,
        frame_bytes,
        floor: written.figures(),
        append: appended.figures(),
        holds: held.map(|(callers, samples)| (callers, samples.figures())).to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_order_is_held_on_more_often_than_ten_times_however_long_it_is_measured() {
        for seconds in [1, 2, 10, 60] {
            let plan = Plan::of(seconds);
            // One more finds out how many bytes a hold has.
            let holds = 1 + plan.most * u64::from(ROUNDS) * CALLERS.len() as u64;
            assert!(holds <= plan.orders * MOST_REFUNDS, "{seconds} s: {plan:?}");
            assert!(plan.most >= 64, "{seconds} s: each of 64 callers holds once");
            assert!(plan.turn * ROUNDS * 5 <= Duration::from_secs(u64::from(seconds)));
        }
        assert_eq!(Plan::of(10).orders, 2_000);
    }

    #[test]
    fn a_turn_ends_by_its_count_or_by_its_time() {
        let now = Instant::now();
        let by_count = Turn { until: now + Duration::from_secs(3_600), most: 3 };
        assert_eq!([0, 2, 3].map(|number| by_count.may_begin(number, 1)), [true, true, false]);
        let by_time = Turn { until: now, most: 3 };
        assert_eq!([0, 1].map(|done| by_time.may_begin(1, done)), [true, false]);
    }
}
