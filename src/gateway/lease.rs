//! How long an attempt belongs to whoever started it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The time in which an attempt may be sent, where several processes share a ledger: nobody else calls it lost before.
///
/// It ends here before it ends for the others: it is counted from before the claim was written. What is sent in its
/// first half has the other half for its answer. Nothing here keeps an upstream from acting later on what was sent in
/// time: whoever takes an attempt over may only ask what became of it.
///
/// # Units
/// Counted by a clock that nobody sets and that goes on while the machine sleeps.
#[derive(Clone)]
pub struct Lease {
    running: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// By that clock.
    ends: Duration,
    length: Duration,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("length", &self.length).field("left", &self.left()).finish_non_exhaustive()
    }
}

impl Lease {
    /// A lease of that length, from now on.
    #[must_use]
    pub fn begin(length: Duration, running: Arc<dyn Fn() -> Duration + Send + Sync>) -> Lease {
        let ends = running().saturating_add(length);
        Lease { running, ends, length }
    }

    /// Whether there is time left to send: asked right before the first byte leaves.
    #[must_use]
    pub fn may_send(&self) -> bool {
        self.left() > self.length / 2
    }

    /// How long an answer may still be recorded.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.ends.saturating_sub((self.running)())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn it_may_be_sent_in_the_first_half_and_answered_until_the_end() {
        let clock = Arc::new(AtomicU64::new(7));
        let seen = clock.clone();
        let running = Arc::new(move || Duration::from_secs(seen.load(Ordering::Relaxed)));
        let lease = Lease::begin(Duration::from_secs(120), running);
        let told = [7, 66, 67, 126, 127, 10_000].map(|now| {
            clock.store(now, Ordering::Relaxed);
            (lease.may_send(), lease.left().as_secs())
        });
        assert_eq!(told, [(true, 120), (true, 61), (false, 60), (false, 1), (false, 0), (false, 0)]);
    }
}
