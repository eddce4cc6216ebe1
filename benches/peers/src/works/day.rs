//! All orders that were paid on one day, by a reader alone.

use std::time::Instant;

use crate::child::{Job, Run};
use crate::contender::Mode;
use crate::hold::latencies;
use crate::sample::{Disk, Turn};
use crate::stage::{Cache, Stage, indexed};
use crate::workload::{A_DAY, day_us};
use crate::works::{Task, lookup};

pub const WORK: &str = "one day's orders (2,000) by time of payment";
pub const P50: &str = lookup::P50;

/// Days of one turn.
const DAYS: u64 = 7;

pub fn run(run: &mut Run) {
    let directory = run.loaded();
    let who: Vec<String> = indexed(&run.who).map(str::to_owned).collect();
    run.child(Task::Day, Disk::Fast, &directory, &who);
}

pub async fn act(job: &Job) {
    let (days, disk) = ((job.scale.orders / A_DAY).max(1), job.disk);
    let mut stage = Stage::open(&job.directory, job.who(), Cache::Server, Mode::Grouped).await;
    for round in 0..=job.scale.rounds {
        stage
            .turn(WORK, |name, someone| async move {
                let (mut dice, mut took) = (fastrand::Rng::with_seed(round), latencies());
                // First all of them once: what ran before may have thrown any part out of memory.
                let read: Vec<u64> = match round {
                    0 => (0..days).collect(),
                    _ => (0..DAYS).map(|_| dice.u64(0..days)).collect(),
                };
                for day in read {
                    let since = Instant::now();
                    let orders = someone.day(day_us(day), day_us(day + 1)).await;
                    took.saturating_record(u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX));
                    assert_eq!(orders, A_DAY, "orders of day {day}");
                }
                if round > 0 {
                    lookup::tell(&Turn { work: WORK, disk, who: &name }, &took);
                }
            })
            .await;
    }
    stage.close().await;
}
