//! Where orders and their history are kept: the [`Storage`] trait and those who implement it.
//!
//! `embedded` is the default: an append-only journal that is the truth, and a sled index beside it
//! that can be rebuilt at will. `memory` keeps everything until the process ends. What must never
//! be here: rules about refunds (they are handed in as a pure function), HTTP.
//!
//! Start reading at [`Storage`].

mod bearers;
mod cache;
mod check;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod embedded;
mod error;
mod exact;
pub(crate) mod export;
mod group;
mod index;
mod kept;
mod key;
mod layer;
mod lines;
pub(crate) mod lock;
pub mod memory;
mod place;
#[cfg(feature = "postgres")]
pub mod postgres;
mod quarantine;
mod query;
mod reader;
mod records;
mod replay;
mod serve;
mod state;
#[cfg(all(test, feature = "conformance"))]
mod tests_group;
#[cfg(test)]
mod tests_view;
mod token;
mod value;
mod view;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

pub use check::{CheckReport, Difference, JournalHead, Noted};
pub use error::{StorageError, TransactError};
pub use export::ExportHead;
pub use quarantine::{Adoption, Quarantine};
pub use query::{DueRefund, LostAttempt, OrderQuery, Page, ScanPage};
pub use state::{Head, StateHash};

use crate::BoxFuture;
use crate::domain::decide::{Found, Refusal};
use crate::domain::{
    AccountName, Body, Entry, Event, OrderId, OrderRecord, Reference, RefundKey, RefundState, Timestamp,
};

/// What a command does to an order: pure, and called again whenever the record has moved on.
pub type Decide = Box<dyn FnMut(&Found) -> Result<Vec<Event>, Refusal> + Send>;

/// One command on one order.
pub struct Transaction {
    /// The order.
    pub order: OrderId,
    /// The account it belongs to (or will, where the order is new).
    pub account: AccountName,
    /// What the command claims: looked up and handed to `decide` in the same atomic step.
    pub claims: Claims,
    /// When, for the entries.
    pub now: Timestamp,
    /// What to do.
    pub decide: Decide,
}

/// Names that must be unique in an account.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// Numbers that the order is about to bear. Those it bears already need not be listed.
    pub references: Vec<Reference>,
    /// A refund key it is about to bear.
    pub refund_key: Option<RefundKey>,
}

/// What a transaction left behind.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The record as it is now, and as it is on disk.
    pub record: Arc<OrderRecord>,
    /// The entries that were written; none where nothing changed.
    pub entries: Vec<Arc<Entry>>,
}

/// A store of orders with their history.
///
/// # Atomicity
/// Each transaction sees the newest record, its claims' holders included, and its events are written
/// all or not at all. Transactions of one order are serial.
///
/// # Durability
/// `Ok` means: survives process kill, kernel crash and power cut on a disk that honours fdatasync.
/// Readers see nothing that is not durable. After an error that is not a refusal, the write may or
/// may not have happened; [`StorageError::is_final`] says whether the storage can go on.
///
/// # Order of events
/// Sequences have no gaps and grow by commit; per order, versions grow by one.
pub trait Storage: Send + Sync + 'static {
    /// Decides and writes one command; durable before `Ok`.
    ///
    /// A transaction that decides on no events writes nothing and answers with the record.
    fn transact(&self, transaction: Transaction) -> BoxFuture<'_, Result<Committed, TransactError>>;

    /// Decides and writes many commands in one durable write, each atomic by itself and refused by
    /// itself: the pages of a sync. Answers in the order of the commands.
    fn transact_many(
        &self,
        transactions: Vec<Transaction>,
    ) -> BoxFuture<'_, Result<Vec<Result<Committed, Refusal>>, StorageError>>;

    /// The newest durable record of an order.
    fn get<'a>(&'a self, order: &'a OrderId) -> BoxFuture<'a, Result<Option<Arc<OrderRecord>>, StorageError>>;

    /// The orders of an account that bear a number, with the kind by which each does; of one kind
    /// only, if one is given.
    fn find<'a>(
        &'a self,
        account: &'a AccountName,
        kind: Option<&'a str>,
        number: &'a str,
    ) -> BoxFuture<'a, Result<Vec<(OrderId, String)>, StorageError>>;

    /// The order that has a refund of that key.
    fn find_refund<'a>(
        &'a self,
        account: &'a AccountName,
        key: &'a RefundKey,
    ) -> BoxFuture<'a, Result<Option<OrderId>, StorageError>>;

    /// Orders by paid time (or created time where unpaid), newest first, page by page. A page is
    /// never short because of what was filtered out, only at the end.
    fn scan<'a>(&'a self, query: &'a OrderQuery, page: &'a Page) -> BoxFuture<'a, Result<ScanPage, StorageError>>;

    /// Refunds in a state, oldest state first: the queue (`Queued`), those to ask about, those for a
    /// person. `not_after` leaves out what is due later (only `Queued` refunds have a due time).
    fn refunds_in<'a>(
        &'a self,
        state: RefundState,
        not_after: Option<Timestamp>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DueRefund>, StorageError>>;

    /// Refunds page by page, each with the place to go on `after`: of one state as [`Storage::refunds_in`] sorts them,
    /// or all of them by account and key. The latter is the order to count in: a refund keeps its place there, so
    /// that it is met exactly once whatever happens to it meanwhile.
    fn refunds_after<'a>(
        &'a self,
        state: Option<RefundState>,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(String, DueRefund)>, StorageError>>;

    /// Attempts whose senders are gone: nobody will say what became of them. Asked when a ledger is opened, and where
    /// there is a [`Storage::lease`] now and then. Unless a storage says more: every refund that is being sent, for one
    /// process owns the storage, and its attempts end with it.
    fn lost_attempts(&self, limit: usize) -> BoxFuture<'_, Result<Vec<LostAttempt>, StorageError>> {
        Box::pin(async move {
            let sending = self.refunds_in(RefundState::Sending, None, limit).await?;
            Ok(sending.into_iter().map(|refund| LostAttempt { refund, attempt: None }).collect())
        })
    }

    /// How long an attempt belongs to who started it, where several processes share the storage: only then do others
    /// find it among the [lost ones](Storage::lost_attempts).
    fn lease(&self) -> Option<Duration> {
        None
    }

    /// Entries with a sequence greater than `after`, in order.
    fn events(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Arc<Entry>>, StorageError>>;

    /// The same entries, each as the very text that was written: what the hash chains run over.
    fn lines(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<String>, StorageError>>;

    /// All entries of one order, in order.
    fn events_of<'a>(&'a self, order: &'a OrderId) -> BoxFuture<'a, Result<Vec<Arc<Entry>>, StorageError>>;

    /// The newest durable sequence, told anew whenever it grows: readers may ask for it at once. The
    /// channel tells of the close too; an onlooker's never changes.
    fn newest(&self) -> watch::Receiver<u64>;

    /// A named position of a sync.
    fn cursor<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<String>, StorageError>>;

    /// All named positions, by name; without those that a storage keeps for itself.
    fn cursors(&self) -> BoxFuture<'_, Result<Vec<(String, String)>, StorageError>>;

    /// Keeps a named position; durable before `Ok`.
    fn put_cursor<'a>(&'a self, name: &'a str, value: String) -> BoxFuture<'a, Result<(), StorageError>>;

    /// A hash over all that was recorded, read anew from the events alone.
    fn state_hash(&self) -> BoxFuture<'_, Result<StateHash, StorageError>>;

    /// Re-reads everything and compares what is kept with what the events alone say.
    fn check(&self) -> BoxFuture<'_, Result<CheckReport, StorageError>>;

    /// The same, and whether the history still is the one that was noted elsewhere.
    fn check_against(&self, noted: Noted) -> BoxFuture<'_, Result<CheckReport, StorageError>> {
        drop(noted);
        Box::pin(async { Err(StorageError::Unsupported { what: "compare itself with noted heads" }) })
    }

    /// Copies everything into a new directory, which opens in quarantine; durable before `Ok`, and holds at least what
    /// was acknowledged before this was called. Commands and reads go on meanwhile.
    fn backup(&self, to: PathBuf) -> BoxFuture<'_, Result<BackedUp, StorageError>> {
        drop(to);
        Box::pin(async { Err(StorageError::Unsupported { what: "back itself up" }) })
    }

    /// Why this storage takes no commands: it was copied or restored, and nobody has adopted it where it
    /// lies. Every command and cursor fails with [`StorageError::Quarantined`] until [`Storage::adopt`].
    fn quarantine(&self) -> Option<Quarantine> {
        None
    }

    /// Ends a quarantine: commands and cursor in one durable write, and only then the place is claimed, so
    /// that a crash in between leaves the quarantine. Where a command is refused, the quarantine stays.
    /// Without one nothing is done.
    fn adopt(&self, adoption: Adoption) -> BoxFuture<'_, Result<Vec<Result<Committed, Refusal>>, StorageError>> {
        drop(adoption);
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Takes nothing any more, durably and for ever, for the history goes on at `to`: every command and cursor fails with
    /// [`StorageError::Sealed`]. The same may be said again.
    fn seal(&self, to: String) -> BoxFuture<'_, Result<(), StorageError>> {
        drop(to);
        Box::pin(async { Err(StorageError::Unsupported { what: "end for another to go on" }) })
    }

    /// Keeps the newest answer about an order, in the place of the one before: a cache beside the history and never
    /// part of it, for it carries the payer's data. Nobody waits for it and nobody hears of its failure but the log:
    /// this is called after the order's own write, and must return at once. Keeps nothing unless a storage says more.
    fn keep_body(&self, order: &OrderId, body: Body) {
        let _ = (order, body);
    }

    /// The answer about an order that was kept last; `None` also where the cache lost it, as it may.
    fn body<'a>(&'a self, order: &'a OrderId) -> BoxFuture<'a, Result<Option<Body>, StorageError>> {
        let _ = order;
        Box::pin(async { Ok(None) })
    }

    /// Erases the answer that is kept about an order, durably before `Ok`; tells how many bytes it had.
    fn forget_body<'a>(&'a self, order: &'a OrderId) -> BoxFuture<'a, Result<Option<usize>, StorageError>> {
        let _ = order;
        Box::pin(async { Ok(None) })
    }

    /// Writes what is pending and lets go of the files. Later calls fail with
    /// [`StorageError::Closed`]; closing twice is fine.
    fn close(&self) -> BoxFuture<'_, Result<(), StorageError>>;
}

/// What a backup holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackedUp {
    /// The head of the journal in it, as a check of it will find it; `None` where nothing was recorded yet.
    pub journal: Option<JournalHead>,
    /// How many events.
    pub events: u64,
    /// Of how many orders.
    pub orders: u64,
    /// How large it is, in bytes.
    pub bytes: u64,
}
