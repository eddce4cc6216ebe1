//! Opening after a kill in the middle of holds, warm and cold, at growing sizes; after a power cut, when the ledger makes
//! its index anew; and with twenty times the refunds.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::child::{Job, Run};
use crate::contender::Mode;
use crate::hold;
use crate::machine::{self, forget_pages};
use crate::sample::{Disk, Turn, note};
use crate::stage::{Cache, LEDGER, Opened, indexed};
use crate::workload::{self, Spread};
use crate::works::{Task, import};

pub const WARM: &str = "warm, s";
pub const COLD: &str = "cold, s";
pub const REBUILT: &str = "index rebuilt, s";
pub const MANY_REFUNDS: &str = "cold with 20 times the refunds, s";

/// How many times the refunds.
const MORE: u32 = 20;

/// Orders of a page where nobody looks at the clock.
const PAGE: u64 = 1_000;

/// The work's name at so many orders.
pub fn work(orders: u64) -> String {
    format!("open after kill -9, {orders} orders")
}

/// One contender after the other, for all of them at the largest size would fill a disk.
pub fn run(run: &mut Run) {
    let (directory, sizes, rounds) = (run.directory.join("open"), run.scale.sizes.clone(), run.scale.rounds);
    for name in indexed(&run.who.clone()) {
        let who = [name.to_owned()];
        let (mut from, mut seed) = (0, 1);
        let child = |run: &mut Run, task| run.child(task, Disk::Fast, &directory, &who);
        let time = run.scale.before_kill;
        for &to in &sizes {
            if !child(run, Task::Load { from, to }) {
                break;
            }
            from = to;
            let mut die = |run: &mut Run, time| {
                seed += 1;
                child(run, Task::HoldAndDie { time, seed: seed - 1 })
            };
            let first = |run: &mut Run, what: &str| {
                run.child(Task::FirstLookup { what: format!("{what}@{to}") }, Disk::Fast, &directory, &who)
            };
            if !(die(run, time) && first(run, WARM)) {
                break;
            }
            for _ in 0..rounds {
                let _ = die(run, time) && first(run, COLD);
            }
            if name == LEDGER && (to == sizes[0] || to == run.scale.largest()) {
                for _ in 0..if to == sizes[0] { rounds } else { 1 } {
                    let _ = die(run, time) && lose_index(&directory.join(name)) && first(run, REBUILT);
                }
            }
            if name == LEDGER && to == run.scale.largest() {
                let _ = die(run, time * MORE);
                for _ in 0..rounds {
                    let _ = die(run, time) && first(run, MANY_REFUNDS);
                }
            }
        }
        let _ = std::fs::remove_dir_all(directory.join(name));
    }
}

/// What the ledger does after a power cut, it does without its index: it makes a new one from the journal.
fn lose_index(ledger: &Path) -> bool {
    let mut lost = false;
    for entry in std::fs::read_dir(ledger).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("index-") {
            lost |= std::fs::remove_dir_all(entry.path()).is_ok();
        }
    }
    lost
}

pub async fn load(job: &Job, from: u64, to: u64) {
    let opened = Opened::open(&job.directory, job.sole(), Cache::Server, Mode::Grouped).await;
    import::pages(&opened.someone, from, to, PAGE).await;
    opened.someone.settle().await;
    opened.close().await;
}

/// Holds by 64 callers, and is killed while they do.
pub async fn hold_and_die(job: &Job, time: Duration, seed: u64) {
    let opened = Opened::open(&job.directory, job.sole(), Cache::Server, Mode::Grouped).await;
    let someone = Arc::clone(&opened.someone);
    // Loaded in full before it was ever held on: the first size is the least that is there.
    let spread = Spread::Random(job.scale.sizes[0]);
    tokio::spawn(async move { hold::run(&someone, 64, spread, seed, time * 2).await });
    tokio::time::sleep(time).await;
    machine::kill_self();
}

/// From the first step of opening until one order was found; whoever opens cold finds nothing in the system's cache.
pub async fn first_lookup(job: &Job, what: &str) {
    let (what, orders) = what.rsplit_once('@').expect("what, and at how many orders");
    let orders = orders.parse().expect("a number");
    if what != WARM {
        forget_pages(&job.directory.join(job.sole()));
    }
    let number = workload::receipt(orders / 2);
    let since = Instant::now();
    let opened = Opened::open(&job.directory, job.sole(), Cache::Server, Mode::Grouped).await;
    let paid = opened.someone.lookup(&number).await;
    let took = since.elapsed();
    if paid != Some(workload::PAID_FEN) {
        note(format!("{} lost {number} of {orders} orders when it was killed: {paid:?}", job.sole()));
    }
    Turn { work: &work(orders), disk: job.disk, who: job.sole() }.tell(what, took.as_secs_f64());
    machine::kill_self();
}
