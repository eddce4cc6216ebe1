//! Orders found by any of their three numbers, one reader alone: from memory, and from the disk.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::child::{Job, Run};
use crate::contender::{Mode, Someone};
use crate::hold::latencies;
use crate::machine::forget_pages;
use crate::sample::{Disk, Turn};
use crate::stage::{Cache, Opened, Stage, indexed};
use crate::workload;
use crate::works::Task;

pub const WARM: &str = "lookup by any number, warm";
pub const COLD: &str = "lookup by any number, cold";
pub const P50: &str = "p50 us";
pub const P99: &str = "p99 us";

/// Lookups after which nothing is cold any more.
const COLD_LOOKUPS: u64 = 1_000;

pub fn run(run: &mut Run) {
    let directory = run.loaded();
    let who: Vec<String> = indexed(&run.who).map(str::to_owned).collect();
    run.child(Task::Lookup, Disk::Fast, &directory, &who);
    for _ in 0..run.scale.rounds {
        for one in &who {
            run.child(Task::LookupCold, Disk::Fast, &directory, std::slice::from_ref(one));
        }
    }
}

pub async fn warm(job: &Job) {
    let (orders, lookups, disk) = (job.scale.orders, job.scale.lookups, job.disk);
    let mut stage = Stage::open(&job.directory, job.who(), Cache::Server, Mode::Grouped).await;
    for round in 0..=job.scale.rounds {
        stage
            .turn(WARM, |name, someone| async move {
                let took = look_up(&someone, orders, lookups, round).await;
                // The first round warms.
                if round > 0 {
                    tell(&Turn { work: WARM, disk, who: &name }, &took);
                }
            })
            .await;
    }
    stage.close().await;
}

/// The first lookups of one contender whose files are in no cache of the system's.
pub async fn cold(job: &Job) {
    let opened = Opened::open(&job.directory, job.sole(), Cache::Server, Mode::Grouped).await;
    forget_pages(&opened.directory);
    let took = look_up(&opened.someone, job.scale.orders, COLD_LOOKUPS, 99).await;
    tell(&Turn { work: COLD, disk: job.disk, who: job.sole() }, &took);
    opened.close().await;
}

async fn look_up(someone: &Someone, orders: u64, lookups: u64, seed: u64) -> Histogram<u64> {
    let (mut dice, mut took) = (fastrand::Rng::with_seed(seed), latencies());
    for _ in 0..lookups {
        let n = dice.u64(0..orders);
        let number = any_number(&mut dice, n);
        let since = Instant::now();
        let paid = someone.lookup(&number).await;
        took.saturating_record(u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX));
        assert_eq!(paid, Some(workload::PAID_FEN), "order {n} by {number}");
    }
    took
}

/// One of an order's three numbers.
fn any_number(dice: &mut fastrand::Rng, n: u64) -> String {
    let mut references = workload::facts(n).references.into_values();
    references.nth(dice.usize(0..3)).expect("three numbers")
}

/// Tells both quantiles.
pub fn tell(turn: &Turn<'_>, took: &Histogram<u64>) {
    for (what, quantile) in [(P50, 0.5), (P99, 0.99)] {
        turn.tell(what, us(Duration::from_nanos(took.value_at_quantile(quantile))));
    }
}

/// Microseconds.
pub fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
