//! The thread that brings the index up to date, off the path of those who write.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::checkpoint::Checkpoint;
use super::index::{Index, Progress};
use crate::storage::StorageError;
use crate::storage::key::{Change, Key};
use crate::storage::lock::{Builder, Condvar, JoinHandle, Mutex, awaited, awaited_for, locked};
use crate::storage::reader::Reader;
use crate::storage::value::Value;

/// Frames that are on disk and not yet in the index.
pub(super) struct Backlog {
    state: Mutex<State>,
    changed: Condvar,
    /// More than this waits for the index.
    limit_bytes: usize,
}

#[derive(Default)]
struct State {
    frames: VecDeque<Frame>,
    bytes: usize,
    /// Since when the oldest frame waits, if one does.
    since: Option<Instant>,
    /// How many wait until the index holds everything.
    hurried: usize,
    paused: bool,
    busy: bool,
    stop: Option<Stop>,
    failed: Option<String>,
}

struct Frame {
    progress: Progress,
    changes: Vec<Change>,
    bytes: usize,
}

/// How the thread is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// With everything in the index.
    Drained,
    /// At once.
    AsIs,
}

/// How many changes are put into the index at once, about.
const BATCH: usize = 4_000;

/// How long a frame waits for others: a refund that goes through its states meanwhile is put into the index once.
const GATHER: Duration = Duration::from_millis(50);

impl Backlog {
    pub(super) fn new(limit_bytes: usize) -> Backlog {
        Backlog { state: Mutex::default(), changed: Condvar::new(), limit_bytes }
    }

    /// Hands a frame over, waiting while far too much is waiting already.
    pub(super) fn push(&self, progress: Progress, changes: Vec<Change>) {
        let bytes = changes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Value::weight) + 64).sum();
        let mut state = locked(&self.state);
        while state.bytes > self.limit_bytes && state.failed.is_none() && state.stop.is_none() {
            state = awaited(&self.changed, state);
        }
        state.bytes += bytes;
        state.frames.push_back(Frame { progress, changes, bytes });
        // Woken for each frame, the index's thread would do nothing else.
        if state.since.is_none() || self.is_much(&state) {
            state.since.get_or_insert_with(Instant::now);
            self.changed.notify_all();
        }
    }

    /// Whether so much waits that there is nothing to wait for.
    fn is_much(&self, state: &State) -> bool {
        state.bytes > self.limit_bytes / 8
    }

    /// Why the index can take nothing in any more, if so.
    pub(super) fn failed(&self) -> Option<String> {
        locked(&self.state).failed.clone()
    }

    pub(super) fn pause(&self, paused: bool) {
        locked(&self.state).paused = paused;
        self.changed.notify_all();
    }

    /// Waits until the index holds everything that was handed over.
    pub(super) fn wait_until_drained(&self) {
        let mut state = locked(&self.state);
        state.hurried += 1;
        self.changed.notify_all();
        while (!state.frames.is_empty() || state.busy) && state.failed.is_none() && state.stop.is_none() {
            state = awaited(&self.changed, state);
        }
        state.hurried -= 1;
    }

    pub(super) fn stop(&self, stop: Stop) {
        locked(&self.state).stop = Some(stop);
        self.changed.notify_all();
    }

    /// The next frames, coalesced: what is written five times is stored once.
    fn next(&self) -> Option<(Vec<Change>, Progress, usize)> {
        let mut state = locked(&self.state);
        state.busy = false;
        self.changed.notify_all();
        let mut gathered = false;
        loop {
            match state.stop {
                Some(Stop::AsIs) => return None,
                Some(Stop::Drained) if state.frames.is_empty() => return None,
                Some(Stop::Drained) => break,
                None if state.paused || state.frames.is_empty() => {
                    state = awaited(&self.changed, state);
                }
                None if state.hurried > 0 || self.is_much(&state) || gathered => break,
                None => {
                    let waited = state.since.map_or(GATHER, |since| since.elapsed());
                    gathered = waited >= GATHER || cfg!(shuttle);
                    state = awaited_for(&self.changed, state, GATHER.saturating_sub(waited));
                }
            }
        }
        let mut changes: BTreeMap<Key, Option<Value>> = BTreeMap::new();
        let mut bytes = 0;
        let mut through = None;
        while changes.len() < BATCH
            && let Some(frame) = state.frames.pop_front()
        {
            changes.extend(frame.changes);
            bytes += frame.bytes;
            through = Some(frame.progress);
        }
        state.bytes -= bytes;
        state.since = (!state.frames.is_empty()).then(Instant::now);
        state.busy = true;
        through.map(|progress| (changes.into_iter().collect(), progress, bytes))
    }
}

/// Starts the thread. It calls `tell` now and then, with an index that is on disk.
pub(super) fn start(
    backlog: Arc<Backlog>,
    reader: Arc<Reader>,
    index: Arc<Index>,
    every_bytes: usize,
    tell: impl Fn(Checkpoint) + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    Builder::new().name("tillbook-index".to_owned()).spawn(move || {
        let mut since = 0;
        while let Some((changes, progress, bytes)) = backlog.next() {
            if let Err(error) = take_in(&reader, &index, &changes, progress) {
                tracing::error!(%error, "the index can neither be written nor rebuilt");
                locked(&backlog.state).failed = Some(super::journal::words(&error));
                backlog.changed.notify_all();
                return;
            }
            since += bytes;
            if since >= every_bytes || index.take_renewed() {
                since = 0;
                if let Some(checkpoint) = index.sync() {
                    tell(checkpoint);
                }
            }
        }
        locked(&backlog.state).busy = false;
        backlog.changed.notify_all();
    })
}

fn take_in(reader: &Reader, index: &Index, changes: &[Change], progress: Progress) -> Result<(), StorageError> {
    reader.view.drain(changes, progress.through)?;
    index.reached(progress.sequence);
    Ok(())
}

#[cfg(test)]
mod tests;
