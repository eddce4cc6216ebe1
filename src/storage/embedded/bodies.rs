//! Answers as upstreams gave them, kept beside the index for those who ask for it (`keep_bodies`).
//!
//! They are a cache: not in the journal, for they carry the payer's data and the journal is for ever; gone with the
//! index's generation when it is rebuilt; written by a thread of their own, so that no command waits for one. Its
//! failures are warnings. Start reading at [`Bodies`].

use std::collections::BTreeMap;
use std::sync::Arc;

use super::index::Index;
use crate::domain::{Body, OrderId};
use crate::storage::StorageError;
use crate::storage::lock::{Builder, Condvar, JoinHandle, Mutex, awaited, locked};

/// The bodies of a ledger that is open.
pub(super) struct Bodies {
    shared: Arc<Shared>,
    /// Started with the first body that is kept: most ledgers keep none.
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    index: Arc<Index>,
    waiting: Mutex<Waiting>,
    changed: Condvar,
    /// Held while one is written or erased, so that what was erased is not written after it.
    writing: Mutex<()>,
}

/// What is kept, but not in the index yet.
#[derive(Default)]
struct Waiting {
    bodies: BTreeMap<OrderId, Body>,
    bytes: usize,
    ended: bool,
}

/// More than this does not wait: what comes then is not kept.
const WAITING_BYTES: usize = 4 << 20;

impl Bodies {
    pub(super) fn new(index: Arc<Index>) -> Bodies {
        let (waiting, changed, writing) = (Mutex::default(), Condvar::new(), Mutex::default());
        Bodies { shared: Arc::new(Shared { index, waiting, changed, writing }), thread: Mutex::default() }
    }

    /// Keeps one, soon. Never waits for a disk.
    pub(super) fn keep(&self, order: &OrderId, body: Body) {
        let size = body.size_bytes();
        {
            let mut waiting = locked(&self.shared.waiting);
            if waiting.ended {
                return;
            }
            if waiting.bytes + size > WAITING_BYTES {
                tracing::warn!(%order, "too many bodies wait to be kept: this one is not");
                return;
            }
            waiting.bytes += size;
            if let Some(before) = waiting.bodies.insert(order.clone(), body) {
                waiting.bytes -= before.size_bytes();
            }
        }
        self.shared.changed.notify_all();
        let mut thread = locked(&self.thread);
        if thread.is_none() {
            let shared = Arc::clone(&self.shared);
            let started = Builder::new().name("tillbook-bodies".to_owned());
            match started.spawn(move || while shared.write_next() {}) {
                Ok(started) => *thread = Some(started),
                Err(error) => tracing::warn!(%error, "bodies are not kept: no thread can be started"),
            }
        }
    }

    /// The one of an order. Blocks.
    pub(super) fn get(&self, order: &OrderId) -> Result<Option<Body>, StorageError> {
        if let Some(body) = locked(&self.shared.waiting).bodies.get(order) {
            return Ok(Some(body.clone()));
        }
        self.shared.index.body(order)
    }

    /// Erases the one of an order, also where it still waits; tells its size. Blocks.
    pub(super) fn forget(&self, order: &OrderId) -> Result<Option<usize>, StorageError> {
        let _alone = locked(&self.shared.writing);
        let waited = locked(&self.shared.waiting).take(order).map(|body| body.size_bytes());
        // What waited is newer than what the index has.
        let kept = self.shared.index.forget_body(order)?;
        Ok(waited.or(kept))
    }

    /// Writes what waits, and takes no more. Blocks.
    pub(super) fn end(&self) {
        locked(&self.shared.waiting).ended = true;
        self.shared.changed.notify_all();
        if let Some(thread) = locked(&self.thread).take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Bodies {
    /// The thread ends by itself; nobody waits for it.
    fn drop(&mut self) {
        locked(&self.shared.waiting).ended = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    /// Writes one body, waiting for it; `false` once there will be no more.
    fn write_next(&self) -> bool {
        let mut waiting = locked(&self.waiting);
        while waiting.bodies.is_empty() && !waiting.ended {
            waiting = awaited(&self.changed, waiting);
        }
        if waiting.bodies.is_empty() {
            return false;
        }
        drop(waiting);
        let _alone = locked(&self.writing);
        // It may have been erased meanwhile. It stays among those that wait until it can be read from the index.
        let next = locked(&self.waiting).bodies.first_key_value().map(|(order, body)| (order.clone(), body.clone()));
        let Some((order, body)) = next else { return true };
        if let Err(error) = self.index.keep_body(&order, &body) {
            tracing::warn!(%order, %error, "an answer's body could not be kept");
        }
        let mut waiting = locked(&self.waiting);
        if waiting.bodies.get(&order) == Some(&body) {
            waiting.take(&order);
        }
        true
    }
}

impl Waiting {
    fn take(&mut self, order: &OrderId) -> Option<Body> {
        let body = self.bodies.remove(order)?;
        self.bytes -= body.size_bytes();
        Some(body)
    }
}
