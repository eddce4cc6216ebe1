//! How much of everything: what one run of the bench asks of each contender.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The sizes and times of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Scale {
    /// Orders that are loaded before holds, lookups and days.
    pub orders: u64,
    /// How often each contender has its turn.
    pub rounds: u64,
    /// One turn of 64 callers on random orders.
    pub sustained: Duration,
    /// One turn of it on the slow disk.
    pub sustained_slow: Duration,
    /// One turn on the hot set.
    pub hot: Duration,
    /// One turn of any other number of callers, and of readers beside writers.
    pub short: Duration,
    /// Lookups of one turn.
    pub lookups: u64,
    /// How long a contender is left alone to see what it writes then.
    pub idle: Duration,
    /// Sizes at which contenders are opened after a kill; each is reached from the one before.
    pub sizes: Vec<u64>,
    /// Callers hold for so long before the kill: some thousands of refunds, whoever is asked.
    pub before_kill: Duration,
    /// Orders of the simulated year.
    pub year: u64,
    /// Orders of the kiosk's two loads.
    pub loads: [u64; 2],
    /// Refunds over loopback in one turn.
    pub refunds: u64,
}

impl Scale {
    /// What the figures in the README are measured with, for so many orders and so long a sustained turn.
    pub fn whole(orders: u64, sustained: Duration, rounds: u64) -> Scale {
        Scale {
            orders,
            rounds,
            sustained,
            sustained_slow: sustained / 6,
            hot: sustained / 12,
            short: sustained / 20,
            lookups: 30_000,
            idle: Duration::from_secs(60),
            sizes: vec![20_000, 200_000, 1_000_000],
            before_kill: Duration::from_millis(250),
            year: 200_000,
            loads: [20_000, 200_000],
            refunds: 300,
        }
    }

    /// A smoke run: every work has its turn, no figure means anything.
    pub fn quick() -> Scale {
        let turn = Duration::from_millis(300);
        Scale {
            orders: 4_000,
            rounds: 2,
            sustained: 2 * turn,
            sustained_slow: turn,
            hot: turn,
            short: turn,
            lookups: 1_000,
            idle: Duration::from_secs(1),
            sizes: vec![1_000, 3_000],
            before_kill: turn,
            year: 4_000,
            loads: [1_000, 3_000],
            refunds: 20,
        }
    }

    /// The largest size at which contenders are opened.
    pub fn largest(&self) -> u64 {
        self.sizes.last().copied().unwrap_or(self.orders)
    }
}
