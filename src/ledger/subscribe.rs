//! Following what happens: every durable event, in order, as it is written.
//!
//! Nothing is polled: the storage tells its newest sequence. Entries are read from the storage in runs, so a
//! subscriber that falls behind costs no memory here. Start reading at [`Ledger::subscribe`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;

use crate::domain::Entry;
use crate::storage::{Storage, StorageError};

use super::{Error, Ledger};

/// How many entries are read at once.
const RUN: usize = 256;

/// How many entries are kept for a subscriber when the ledger is closed: one that is further behind goes on from its
/// sequence at the next open.
const AT_CLOSE: usize = 10_000;

/// A place in the ledger's history that moves on; made by [`Ledger::subscribe`].
#[derive(Debug)]
pub struct Subscription {
    /// Not the storage itself: whoever only listens does not keep a ledger open.
    storage: Weak<dyn Storage>,
    newest: watch::Receiver<u64>,
    ahead: Arc<Mutex<Ahead>>,
}

/// What was read and not handed out yet.
#[derive(Debug)]
struct Ahead {
    entries: VecDeque<Arc<Entry>>,
    /// The last sequence that was read.
    through: u64,
    /// Nothing comes after these.
    closed: bool,
}

impl Ahead {
    /// Adds what follows; what somebody else has added meanwhile is left out.
    fn add(&mut self, entries: Vec<Arc<Entry>>) {
        for entry in entries {
            if entry.sequence > self.through {
                self.through = entry.sequence;
                self.entries.push_back(entry);
            }
        }
    }
}

fn locked(ahead: &Mutex<Ahead>) -> MutexGuard<'_, Ahead> {
    // Entries and position change together without a panic in between.
    ahead.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All subscriptions of a ledger, for its close.
#[derive(Default)]
pub(super) struct Subscribers {
    all: Mutex<Vec<Weak<Mutex<Ahead>>>>,
}

impl Subscribers {
    fn add(&self, ahead: &Arc<Mutex<Ahead>>) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| other.strong_count() > 0);
        all.push(Arc::downgrade(ahead));
    }

    /// Reads what is left for each, before the storage can be read no more.
    pub(super) async fn close(&self, storage: &dyn Storage) {
        let all = std::mem::take(&mut *self.all.lock().unwrap_or_else(PoisonError::into_inner));
        for ahead in all.iter().filter_map(Weak::upgrade) {
            loop {
                let (through, kept) = {
                    let ahead = locked(&ahead);
                    (ahead.through, ahead.entries.len())
                };
                if kept >= AT_CLOSE {
                    break;
                }
                match storage.events(through, RUN).await {
                    Ok(entries) if entries.is_empty() => break,
                    Ok(entries) => locked(&ahead).add(entries),
                    Err(error) => {
                        // It may be closed already; the subscriber goes on from its sequence at the next open.
                        tracing::debug!(%error, "a subscriber ends before the newest event");
                        break;
                    }
                }
            }
            locked(&ahead).closed = true;
        }
    }
}

impl Ledger {
    /// Follows what happens: all events with a sequence greater than `after`, those to come included, by
    /// whichever clone they are made. 0 begins with the first.
    ///
    /// At least once: keep the sequence of the last entry you have dealt with, and subscribe after it next
    /// time. An onlooker's ledger ([`LedgerBuilder::open_read_only`](super::LedgerBuilder::open_read_only))
    /// shows what there was when it was opened, and then waits.
    #[must_use]
    pub fn subscribe(&self, after: u64) -> Subscription {
        let ahead = Ahead { entries: VecDeque::new(), through: after, closed: false };
        let ahead = Arc::new(Mutex::new(ahead));
        self.inner.subscribers.add(&ahead);
        let storage = &self.inner.storage;
        Subscription { newest: storage.newest(), storage: Arc::downgrade(storage), ahead }
    }
}

impl Subscription {
    /// The next entry, waited for where there is none yet; sequences have no gaps. `None`: the ledger was
    /// closed, and this was all until then, or the next ten thousand of it.
    ///
    /// Dropping the future loses nothing: the next call goes on where this one was.
    ///
    /// # Durability
    /// An entry is handed out only after it is on disk.
    ///
    /// # Errors
    /// Storage errors; the next call tries again.
    pub async fn next(&mut self) -> Result<Option<Arc<Entry>>, Error> {
        loop {
            let (through, closed) = {
                let mut ahead = locked(&self.ahead);
                if let Some(entry) = ahead.entries.pop_front() {
                    return Ok(Some(entry));
                }
                (ahead.through, ahead.closed)
            };
            let Some(storage) = self.storage.upgrade().filter(|_| !closed) else { return Ok(None) };
            // Before reading: what comes after is told anew.
            self.newest.mark_unchanged();
            match storage.events(through, RUN).await {
                Ok(entries) if entries.is_empty() => {
                    drop(storage);
                    if self.newest.changed().await.is_err() {
                        self.end();
                    }
                }
                Ok(entries) => locked(&self.ahead).add(entries),
                Err(StorageError::Closed) => self.end(),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn end(&self) {
        locked(&self.ahead).closed = true;
    }
}
