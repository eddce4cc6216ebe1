//! The works: what is measured, one file each.
//!
//! A work has two halves. Its `run` is called in the process that the user started and says which children are to be
//! started; its tasks run in those children, so that memory, caches, a slow disk and a crash are each one's own.
//! Contenders whose figures are compared take turns in one child.

pub mod build;
pub mod day;
pub mod disk;
pub mod hold;
pub mod idle;
pub mod import;
pub mod lookup;
pub mod loopback;
pub mod memory;
pub mod open;
pub mod readers;

use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::child::{Job, Run};

/// What the user may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Work {
    /// Import in durable pages of 100; whatever needs loaded orders does this first.
    Import,
    /// Lookups by any number, warm and cold.
    Lookup,
    /// One day's orders.
    Day,
    /// Holds by 1 to 256 callers and on a hot set, readers beside them; fast and slow disk.
    Hold,
    /// Opening after a kill and after a power cut.
    Open,
    /// Memory while loading and holding, bytes on disk of a year, bytes written.
    Disk,
    /// A refund over loopback HTTP.
    Loopback,
    /// Build times, crates, sizes: only when asked for.
    Build,
}

impl Work {
    /// What is run unless the user chooses.
    pub const DEFAULT: [Work; 7] =
        [Work::Import, Work::Lookup, Work::Day, Work::Hold, Work::Open, Work::Disk, Work::Loopback];

    pub fn run(self, run: &mut Run) {
        match self {
            Work::Import => import::run(run),
            Work::Lookup => lookup::run(run),
            Work::Day => day::run(run),
            Work::Hold => hold::run(run),
            Work::Open => open::run(run),
            Work::Disk => disk::run(run),
            Work::Loopback => loopback::run(run),
            Work::Build => build::run(run),
        }
    }
}

/// What a child does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// Loads the orders, timed.
    Import,
    /// Looks up what was read before.
    Lookup,
    /// Looks up what has to come from the disk.
    LookupCold,
    /// Reads some days.
    Day,
    /// Holds by one caller, each call where it is.
    HoldAlone,
    /// Holds by several callers, with and without readers.
    HoldTogether,
    /// Loads orders without a clock.
    Load { from: u64, to: u64 },
    /// Holds until it kills itself.
    HoldAndDie { time: Duration, seed: u64 },
    /// Opens, looks one order up, and kills itself.
    FirstLookup { what: String },
    /// Lives through days of orders and refunds, with a kiosk's memory.
    Year { orders: u64 },
    /// A rush after them.
    Rush { orders: u64 },
    /// Refunds, with all bytes counted.
    Refunds { orders: u64 },
    /// Nothing, with all bytes counted.
    Idle,
    /// Gives back what the files do not need.
    Compact,
    /// Refunds over HTTP.
    Loopback,
}

impl Task {
    /// Whether it ends by a kill.
    pub fn dies(&self) -> bool {
        matches!(self, Task::HoldAndDie { .. } | Task::FirstLookup { .. })
    }

    /// In the child.
    pub async fn act(self, job: &Job) {
        match self {
            Task::Import => import::act(job).await,
            Task::Lookup => lookup::warm(job).await,
            Task::LookupCold => lookup::cold(job).await,
            Task::Day => day::act(job).await,
            Task::HoldAlone => hold::alone(job).await,
            Task::HoldTogether => hold::together(job).await,
            Task::Load { from, to } => open::load(job, from, to).await,
            Task::HoldAndDie { time, seed } => open::hold_and_die(job, time, seed).await,
            Task::FirstLookup { what } => open::first_lookup(job, &what).await,
            Task::Year { orders } => memory::year(job, orders).await,
            Task::Rush { orders } => memory::rush(job, orders).await,
            Task::Refunds { orders } => disk::refunds(job, orders).await,
            Task::Idle => idle::act(job).await,
            Task::Compact => disk::compact(job).await,
            Task::Loopback => loopback::act(job).await,
        }
    }
}
