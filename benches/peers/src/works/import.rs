//! Import in pages of 100, durable per page: the load that other works stand on, and measured as it happens.

use std::time::Instant;

use crate::child::{Job, Run};
use crate::contender::{Mode, Someone};
use crate::machine::allocated_bytes;
use crate::sample::{Disk, Turn};
use crate::stage::{Cache, Stage};
use crate::works::{Task, hold};

pub const WORK: &str = "import in durable pages of 100";
pub const RATE: &str = "orders/s";
pub const PER_ORDER: &str = "bytes on disk per order";

/// Orders of a page.
const PAGE: u64 = 100;

pub fn run(run: &mut Run) {
    run.loaded();
    let (directory, who) = (run.directory.join("slow-import"), run.who.clone());
    run.child(Task::Import, Disk::Slow, &directory, &who);
    let _ = std::fs::remove_dir_all(directory);
}

/// Loads in as many parts as there are rounds, each with its debt paid. On the slow disk a tenth of the orders.
pub async fn act(job: &Job) {
    let mut stage = Stage::open(&job.directory, job.who(), Cache::Server, Mode::Grouped).await;
    let (rounds, disk) = (job.scale.rounds, job.disk);
    let orders = if disk == Disk::Slow { job.scale.orders / 10 } else { job.scale.orders };
    for round in 0..rounds {
        let part = orders * round / rounds..orders * (round + 1) / rounds;
        stage
            .turn(WORK, |name, someone| {
                let part = part.clone();
                async move {
                    let (length, since) = (part.end - part.start, Instant::now());
                    pages(&someone, part.start, part.end, PAGE).await;
                    someone.settle().await;
                    let turn = Turn { work: WORK, disk, who: &name };
                    turn.tell(RATE, length as f64 / since.elapsed().as_secs_f64());
                }
            })
            .await;
    }
    if disk == Disk::Fast {
        let directory = job.directory.clone();
        let extra = orders + hold::hot_orders(&job.scale);
        stage
            .turn(WORK, |name, someone| {
                let bytes = allocated_bytes(&directory.join(&name));
                Turn { work: WORK, disk, who: &name }.tell(PER_ORDER, bytes as f64 / orders as f64);
                async move {
                    pages(&someone, orders, extra, PAGE).await;
                    someone.settle().await;
                }
            })
            .await;
    }
    stage.close().await;
}

/// Imports the orders `[from, to)`, page by page.
pub async fn pages(someone: &Someone, from: u64, to: u64, page: u64) {
    let mut first = from;
    while first < to {
        let next = (first + page).min(to);
        someone.import((first..next).collect()).await;
        first = next;
    }
}
