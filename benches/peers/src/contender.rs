//! What a contender does: the ledger, and whatever a user might have built instead.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use crate::workload::{Hold, Order};

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Somebody who keeps orders and holds refunds on them.
///
/// What every one of them promises: `import` and `hold` are durable (fdatasync) when they return; a hold is granted
/// only if it fits under what was paid, decided in the same atomic step; a refund key is granted once; orders are found
/// by each of their numbers and by the time of payment, refunds by key and by state; a history is kept in which every
/// change of an order is chained to the one before by a hash.
///
/// A contender that fails panics: a figure of a run with a failure in it is worth nothing.
pub trait Contender: Send + Sync {
    /// Takes a page of orders in.
    fn import(&self, page: Vec<u64>) -> BoxFuture<'_, ()>;

    /// Holds a refund; tells whether it was granted.
    fn hold(&self, hold: Hold) -> BoxFuture<'_, bool>;

    /// Finds an order by any of its numbers; tells what it paid, in fen, read from what is kept.
    fn lookup<'a>(&'a self, number: &'a str) -> BoxFuture<'a, Option<i64>>;

    /// Reads all orders that were paid in `[from, to)`, microseconds; tells how many.
    fn day(&self, from_us: i64, to_us: i64) -> BoxFuture<'_, u64>;

    /// Does all work that was put off: a backlog, a checkpoint, a flush. Part of the measured time of sustained work.
    fn settle(&self) -> BoxFuture<'_, ()>;
}

/// How the calls of several callers come together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Each call is a transaction and a sync of its own.
    Direct,
    /// One thread takes what waits, as one transaction with one sync.
    Grouped,
}

/// A storage engine that a careful user wrote the same work for. All calls block; the writer is alone.
pub trait Engine: Send + 'static {
    type Reads: Reads;

    /// Opens the directory, or begins anew there. The engine's cache is `cache_bytes`, where it has one.
    fn open(directory: &Path, cache_bytes: u64) -> Self;

    /// Takes orders in: one transaction, one sync.
    fn import(&mut self, page: &[Order]);

    /// Decides holds in their turn, those before it in the group included: one transaction, one sync. Tells which
    /// were granted.
    fn hold(&mut self, group: &[Hold]) -> Vec<bool>;

    /// Does what was put off.
    fn settle(&mut self);

    /// A handle for readers beside the writer.
    fn reads(&self) -> Self::Reads;
}

/// What readers see: each read is one consistent picture of what is durable or about to be.
pub trait Reads: Send + Sync + 'static {
    /// As [`Contender::lookup`].
    fn lookup(&self, number: &str) -> Option<i64>;

    /// As [`Contender::day`]; the facts of each order are read.
    fn day(&self, from_us: i64, to_us: i64) -> u64;
}

/// Any contender.
pub type Someone = Arc<dyn Contender>;
