//! Bytes: what a year of orders and refunds takes on the disk, before and after it is compacted, and what one refund makes
//! the disk write, which is what wears a kiosk's eMMC out.

use std::path::Path;
use std::sync::Arc;

use tillbook::Ledger;
use tillbook::storage::embedded::Erase;

use crate::child::{Job, Run};
use crate::compaction;
use crate::contender::{Mode, Someone};
use crate::machine::{allocated_bytes, written_bytes};
use crate::sample::{Disk, Of, Said, Sample, Turn, note};
use crate::stage::{Cache, LEDGER, Opened, indexed};
use crate::workload::{HOLD_FEN, Hold, day_us, number};
use crate::works::Task;

/// Bytes of a year, for each of its orders; three of a hundred orders are refunded in it.
pub const PER_ORDER: &str = "bytes per order";
pub const PER_ORDER_COMPACTED: &str = "bytes per order, compacted";
/// What the counted refunds after it added, for each.
pub const PER_REFUND: &str = "bytes per refund";
pub const PER_REFUND_COMPACTED: &str = "bytes per refund, compacted";
const WRITTEN_ALONE: &str = "bytes written per refund, one at a time";
const WRITTEN_TOGETHER: &str = "bytes written per refund, 64 callers";

/// Refunds whose bytes are counted: by one caller, and by 64.
fn counted(orders: u64) -> [(u64, u64); 2] {
    let together = orders.min(65_536) / 64 * 64;
    [(1, together / 16), (64, together)]
}

/// The work's name after so many orders.
pub fn work(orders: u64) -> String {
    format!("disk, a year of {orders} orders")
}

/// For each size the days and a rush; at the largest all bytes are counted between the two.
pub fn run(run: &mut Run) {
    let mut sizes = run.scale.loads.to_vec();
    sizes.push(run.scale.year);
    sizes.sort_unstable();
    sizes.dedup();
    let who: Vec<String> = indexed(&run.who).map(str::to_owned).collect();
    let largest = sizes.last().copied().expect("two loads");
    for orders in sizes {
        let directory = run.directory.join(format!("year-{orders}"));
        let mut lived: Vec<Vec<String>> = Vec::new();
        for name in &who {
            let one = vec![name.clone()];
            if run.child(Task::Year { orders }, Disk::Fast, &directory, &one) {
                if orders == largest {
                    count(run, &directory, &one, orders);
                }
                lived.push(one);
            }
        }
        if orders == largest {
            // Side by side: who does nothing disturbs nobody, and an idle hour is long.
            run.children(Task::Idle, Disk::Fast, &directory, &lived);
        }
        for one in &lived {
            run.child(Task::Rush { orders }, Disk::Fast, &directory, one);
        }
        let _ = std::fs::remove_dir_all(directory);
    }
}

/// Takes the size of what a contender left, before and after it is compacted, without and with more refunds.
fn count(run: &mut Run, directory: &Path, one: &[String], orders: u64) {
    let (name, files) = (one[0].clone(), directory.join(&one[0]));
    let tell = |run: &mut Run, what: &str, value: f64| {
        let of = Of { work: work(orders), disk: Disk::Fast, what: what.to_owned(), who: name.clone() };
        run.samples.take(Said::Sample(Sample { of, value }));
    };
    let refunds: u64 = counted(orders).iter().map(|(_, refunds)| refunds).sum();
    let each = |before: u64, after: u64| after.saturating_sub(before) as f64 / refunds as f64;
    let lived = allocated_bytes(&files);
    tell(run, PER_ORDER, lived as f64 / orders as f64);
    run.child(Task::Compact, Disk::Fast, directory, one);
    let compacted = allocated_bytes(&files);
    tell(run, PER_ORDER_COMPACTED, compacted as f64 / orders as f64);
    if run.child(Task::Refunds { orders }, Disk::Fast, directory, one) {
        tell(run, PER_REFUND, each(compacted, allocated_bytes(&files)));
        run.child(Task::Compact, Disk::Fast, directory, one);
        tell(run, PER_REFUND_COMPACTED, each(compacted, allocated_bytes(&files)));
    }
}

pub async fn refunds(job: &Job, orders: u64) {
    let opened = Opened::open(&job.directory, job.sole(), Cache::Kiosk, Mode::Grouped).await;
    opened.someone.settle().await;
    let work = work(orders);
    let turn = Turn { work: &work, disk: job.disk, who: job.sole() };
    for ((callers, refunds), what) in counted(orders).into_iter().zip([WRITTEN_ALONE, WRITTEN_TOGETHER]) {
        let written = written_bytes();
        hold_counted(&opened.someone, orders, callers, refunds).await;
        opened.someone.settle().await;
        turn.tell(what, (written_bytes() - written) as f64 / refunds as f64);
    }
    opened.close().await;
}

/// Exactly so many refunds, each caller its share.
async fn hold_counted(someone: &Someone, orders: u64, callers: u64, refunds: u64) {
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let someone = Arc::clone(someone);
            tokio::spawn(async move {
                let mut dice = fastrand::Rng::with_seed(1_000 + caller);
                for refund in 0..refunds / callers {
                    let (number, at_us) = (number(dice.u64(0..orders)), day_us(365));
                    let key = format!("till3-count-{callers:03}-{caller:03}-{refund:06}");
                    someone.hold(Hold { number, key, amount_fen: HOLD_FEN, at_us }).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no caller panics");
    }
}

/// As each can; who cannot stays as it is.
pub async fn compact(job: &Job) {
    let (name, directory) = (job.sole(), job.directory.join(job.sole()));
    if name == LEDGER {
        compact_ledger(&directory).await;
    } else if !tokio::task::block_in_place(|| compaction::compact(name, &directory)) {
        note(format!(
            "{name} has nothing that compacts a closed one's files: its figures \"compacted\" are as it left them"
        ));
    }
}

async fn compact_ledger(directory: &Path) {
    let builder = Ledger::builder().device("till-3".parse().expect("a name"));
    builder.compact(directory, Erase::Nothing).await.expect("compacted");
}
