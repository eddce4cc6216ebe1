//! Durable holds: by one caller and by many, on random orders and on a hot set, on a fast disk and a slow one.

use std::time::Duration;

use crate::child::{Job, Run};
use crate::contender::{Mode, Someone};
use crate::hold;
use crate::sample::{Disk, Turn, note};
use crate::scale::Scale;
use crate::stage::{Cache, FLOOR, Stage};
use crate::workload::Spread;
use crate::works::{Task, lookup, readers};

pub const HOT: &str = "hold, hot set, 64 callers";
pub const RATE: &str = "holds/s";
pub const P50: &str = lookup::P50;
pub const P99: &str = lookup::P99;

/// As many callers as are told apart in the chart.
pub const CALLERS: [u64; 4] = [1, 8, 64, 256];

/// SQLite where each of 64 callers has a transaction of its own.
pub const SQLITE_DIRECT: &str = "sqlite, no group commit";

/// The work's name for so many callers on random orders.
pub fn work(callers: u64) -> String {
    format!("hold, {callers} caller{}", if callers == 1 { "" } else { "s" })
}

/// The slow disk first: fewer holds are made on it, so the orders that the fast one meets have grown less.
pub fn run(run: &mut Run) {
    let (directory, who) = (run.loaded(), run.who.clone());
    for disk in [Disk::Slow, Disk::Fast] {
        run.child(Task::HoldAlone, disk, &directory, &who);
        run.child(Task::HoldTogether, disk, &directory, &who);
    }
}

/// Orders beside the random ones that all turns on the hot set need, fifty refunds each.
pub fn hot_orders(scale: &Scale) -> u64 {
    2 * scale.rounds * hot_orders_of_turn(scale)
}

/// At 50,000 holds a second. The set is 64 orders large.
fn hot_orders_of_turn(scale: &Scale) -> u64 {
    (u64::try_from(scale.hot.as_millis()).expect("seconds") + 1_000).div_ceil(64) * 64
}

/// No two turns share a refund key.
fn seed(disk: Disk, round: u64, turn: u64) -> u64 {
    (u64::from(disk == Disk::Slow) * 100 + round) * 10_000 + turn
}

/// One caller: whoever can do it without a second thread does.
pub async fn alone(job: &Job) {
    let (scale, disk) = (&job.scale, job.disk);
    let mut stage = Stage::open(&job.directory, job.who(), Cache::Server, Mode::Direct).await;
    for round in 0..scale.rounds {
        let (time, spread, seed) = (scale.short, Spread::Random(scale.orders), seed(disk, round, 1));
        stage.turn(&work(1), |name, someone| held(disk, name, someone, work(1), 1, spread, seed, time)).await;
    }
    let (time, spread, seed) = (scale.short, Spread::Random(scale.orders), seed(disk, scale.rounds, 2));
    stage
        .turn(&work(64), |name, someone| async move {
            if name == "sqlite" {
                held(disk, SQLITE_DIRECT.to_owned(), someone, work(64), 64, spread, seed, time).await;
            }
        })
        .await;
    stage.close().await;
}

/// Several callers: all gather what waits.
pub async fn together(job: &Job) {
    let (scale, disk) = (&job.scale, job.disk);
    let mut stage = Stage::open(&job.directory, job.who(), Cache::Server, Mode::Grouped).await;
    for round in 0..scale.rounds {
        let random = Spread::Random(scale.orders);
        let turn = round + if disk == Disk::Slow { scale.rounds } else { 0 };
        let hot = Spread::Hot { first: scale.orders + turn * hot_orders_of_turn(scale), among: 1 };
        let hot_time = if disk == Disk::Slow { scale.short } else { scale.hot };
        stage.turn(HOT, |n, s| held(disk, n, s, HOT.to_owned(), 64, hot, seed(disk, round, 3), hot_time)).await;
        let (short, orders) = (scale.short, scale.orders);
        for callers in [8, 256] {
            let seed = seed(disk, round, callers);
            stage.turn(&work(callers), |n, s| held(disk, n, s, work(callers), callers, random, seed, short)).await;
        }
        stage.turn(readers::WORK, |n, s| readers::beside(disk, n, s, orders, seed(disk, round, 4), short)).await;
        let (slow, sustained) =
            (scale.sustained_slow, if disk == Disk::Slow { scale.sustained_slow } else { scale.sustained });
        stage
            .turn(&work(64), |name, someone| {
                // The floor has no debt that a longer turn could show.
                let time = if name == FLOOR { slow } else { sustained };
                held(disk, name, someone, work(64), 64, random, seed(disk, round, 64), time)
            })
            .await;
    }
    stage.close().await;
}

#[expect(clippy::too_many_arguments, reason = "one turn, told in full where it is ordered")]
async fn held(
    disk: Disk,
    name: String,
    someone: Someone,
    work: String,
    callers: u64,
    spread: Spread,
    seed: u64,
    time: Duration,
) {
    let held = hold::run(&someone, callers, spread, seed, time).await;
    tell(&Turn { work: &work, disk, who: &name }, &held);
}

/// Tells what a turn of holds came to. A refused hold writes nothing, so many of them would flatter.
pub fn tell(turn: &Turn<'_>, held: &hold::Held) {
    let (work, disk, name) = (turn.work, turn.disk.name(), turn.who);
    eprintln!("        {work}, {disk} disk: {name} {:.0}/s", held.per_second());
    if held.granted * 100 < held.holds * 95 {
        let (granted, holds) = (held.granted, held.holds);
        note(format!("{name}, {work}, {disk} disk: only {granted} of {holds} holds were granted in a turn"));
    }
    turn.tell(RATE, held.per_second());
    turn.tell(P50, lookup::us(held.quantile(0.5)));
    turn.tell(P99, lookup::us(held.quantile(0.99)));
}
