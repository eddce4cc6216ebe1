//! Four readers who look orders up while 64 callers hold: what a cashier who searches feels of a rush.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::contender::Someone;
use crate::hold::{self, latencies};
use crate::sample::{Disk, Turn};
use crate::stage::FLOOR;
use crate::workload::{self, Spread};
use crate::works::lookup;

pub const WORK: &str = "readers beside 64 callers";
pub const P99: &str = lookup::P99;

/// What the callers reach meanwhile.
const RATE: &str = "holds/s";

const READERS: u64 = 4;

/// Between two lookups of one reader; without it four readers would take both cores of a small machine from everyone.
const PAUSE: Duration = Duration::from_millis(1);

pub async fn beside(disk: Disk, name: String, someone: Someone, orders: u64, seed: u64, time: Duration) {
    if name == FLOOR {
        return; // A plain file has nothing to look into.
    }
    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..READERS)
        .map(|reader| {
            let (someone, over) = (Arc::clone(&someone), Arc::clone(&over));
            tokio::spawn(async move {
                let (mut dice, mut took) = (fastrand::Rng::with_seed(seed * READERS + reader), latencies());
                while !over.load(Ordering::Relaxed) {
                    let number = workload::receipt(dice.u64(0..orders));
                    let since = Instant::now();
                    let paid = someone.lookup(&number).await;
                    took.saturating_record(u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX));
                    assert_eq!(paid, Some(workload::PAID_FEN), "{number}");
                    tokio::time::sleep(PAUSE).await;
                }
                took
            })
        })
        .collect();
    let held = hold::run(&someone, 64, Spread::Random(orders), seed, time).await;
    over.store(true, Ordering::Relaxed);
    let mut took = latencies();
    for reader in readers {
        took.add(reader.await.expect("no reader panics")).expect("the same kind of histogram");
    }
    let turn = Turn { work: WORK, disk, who: &name };
    lookup::tell(&turn, &took);
    turn.tell(RATE, held.per_second());
}
