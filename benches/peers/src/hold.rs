//! Durable holds by so many callers at once, for so long, with every debt paid inside the measured time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::contender::{BoxFuture, Someone};
use crate::workload::{self, Holds, Spread};

/// What one run of holds took.
#[derive(Clone, Debug)]
pub struct Held {
    pub holds: u64,
    /// How many of them were granted.
    pub granted: u64,
    /// From the first call until the last debt was paid.
    pub took: Duration,
    /// Each call, from its start to its answer, in nanoseconds.
    pub latency: Histogram<u64>,
}

impl Held {
    pub fn per_second(&self) -> f64 {
        self.holds as f64 / self.took.as_secs_f64()
    }

    pub fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_nanos(self.latency.value_at_quantile(quantile))
    }
}

/// An empty histogram of nanoseconds, to one percent: 64 callers have one each, and a kiosk's memory is measured with them.
pub fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000_000, 2).expect("up to ten minutes, two digits")
}

/// Holds one refund; tells whether it was granted.
pub type HoldOne = Arc<dyn Fn(workload::Hold) -> BoxFuture<'static, bool> + Send + Sync>;

/// Holds by `callers` tasks until `time` is over, and what is owed after it.
pub async fn run(contender: &Someone, callers: u64, spread: Spread, seed: u64, time: Duration) -> Held {
    let since = Instant::now();
    let who = Arc::clone(contender);
    let hold: HoldOne = Arc::new(move |hold| {
        let who = Arc::clone(&who);
        Box::pin(async move { who.hold(hold).await })
    });
    let held = by(&hold, callers, spread, seed, time).await;
    contender.settle().await;
    Held { took: since.elapsed(), ..held }
}

/// Holds by `callers` tasks until `time` is over.
pub async fn by(hold: &HoldOne, callers: u64, spread: Spread, seed: u64, time: Duration) -> Held {
    let holds = Arc::new(Mutex::new(Holds::new(spread, seed)));
    let over = Arc::new(AtomicBool::new(false));
    let since = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (make, holds, over) = (Arc::clone(hold), Arc::clone(&holds), Arc::clone(&over));
            tokio::spawn(async move {
                let (mut granted, mut latency) = (0, latencies());
                while !over.load(Ordering::Relaxed) {
                    let hold = holds.lock().expect("no caller panicked").next_hold();
                    let begun = Instant::now();
                    granted += u64::from(make(hold).await);
                    latency.saturating_record(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
                    if since.elapsed() >= time {
                        over.store(true, Ordering::Relaxed);
                    }
                }
                (granted, latency)
            })
        })
        .collect();
    let (mut granted, mut latency) = (0, latencies());
    for task in tasks {
        let (some, its) = task.await.expect("no caller panics");
        granted += some;
        latency.add(its).expect("the same kind of histogram");
    }
    Held { holds: latency.len(), granted, took: since.elapsed(), latency }
}
