//! 对账: of all that differs on a day everything is found, and nothing else.

mod cli;
mod lists;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::civil::Date;
use tillbook::{Clock, Timestamp};

/// Noon in Beijing on the day that these tests compare, in unix seconds.
const NOON: i64 = 1_714_536_000;
const DAY_S: i64 = 86_400;

fn day() -> Date {
    "2024-05-01".parse().expect("a date")
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds).expect("in range")
}

/// A clock that stands until a test moves it.
#[derive(Clone)]
struct Standing(Arc<AtomicI64>);

impl Standing {
    fn at(seconds: i64) -> Standing {
        Standing(Arc::new(AtomicI64::new(seconds)))
    }

    fn seconds(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        at(self.seconds())
    }
}
