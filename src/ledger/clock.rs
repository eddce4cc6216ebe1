//! Where the time comes from.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::domain::Timestamp;

/// A source of time; tests bring their own.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock. People and time servers set it, forward and back: it dates what happens and
    /// proves nothing.
    fn now(&self) -> Timestamp;

    /// How long something has been running that nobody can set: only differences mean anything. Waits
    /// that are there for safety count this.
    fn running(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        jiff::Timestamp::now().into()
    }

    /// Time since boot, sleep included.
    #[cfg(target_os = "linux")]
    fn running(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
        // The kernel gives both in range; zero would only make a wait longer.
        Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
    }
}
