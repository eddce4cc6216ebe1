//! Every kind of read, over what is durable now. Shared by all storages of this module.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use tokio::sync::watch;

use super::cache::RecordCache;
use super::kept::Kept;
use super::key::{self, Change, Key, Parts};
use super::lines::{self, Cursor, Line, lines};
use super::lock::{AtomicBool, AtomicU64, Ordering, RwLock, reading, writing};
use super::place::{History, Place};
use super::records::{self, Records};
use super::serve::off_runtime;
use super::state::{State, StateHash};
use super::token::{position, refund_key, refund_position, state_key, time_key, token};
use super::value::Value;
use super::view::{self, Chunk, Go, Kv, View};
use super::{DueRefund, OrderQuery, Page, ScanPage, StorageError};
use crate::domain::{AccountName, Entry, OrderId, RefundKey, RefundState, Timestamp};

/// The read side of a storage.
pub(crate) struct Reader {
    pub(crate) view: View,
    pub(crate) history: Arc<dyn History>,
    cache: RecordCache,
    /// The numbers that several orders bear, as the view has them.
    contested: RwLock<HashSet<Key>>,
    /// The last frame that is shown.
    published: AtomicU64,
    /// The last sequence that is shown.
    newest: watch::Sender<u64>,
    closed: AtomicBool,
    /// Reads are answered in the caller's task, whatever they take.
    on_the_spot: bool,
}

/// Reads the line of the entry with that sequence; `None`: it is another one.
type ReadLine<'a, T> = dyn Fn(u64, Place, &[u8]) -> Result<Option<T>, StorageError> + 'a;

/// A page without a limit.
const PAGE: usize = 100;

impl Reader {
    /// `records` is how many decoded records are kept at hand, `published` the last frame in the view, and
    /// `sequence` the last event's.
    ///
    /// # Errors
    /// The view cannot be read.
    pub(crate) fn new(
        view: View,
        history: Arc<dyn History>,
        records: usize,
        published: u64,
        sequence: u64,
    ) -> Result<Reader, StorageError> {
        let contested = view::all(&view, &[key::CONTESTED])?.into_iter().map(|(key, _)| key).collect();
        Ok(Reader {
            view,
            history,
            cache: RecordCache::new(records),
            contested: RwLock::new(contested),
            published: AtomicU64::new(published),
            newest: watch::Sender::new(sequence),
            closed: AtomicBool::new(false),
            on_the_spot: false,
        })
    }

    /// The same, where no disk is waited for: no read leaves the task that asks, so a paused clock stays where it is.
    pub(crate) fn on_the_spot(self) -> Reader {
        Reader { on_the_spot: true, ..self }
    }

    /// The last frame that is shown.
    pub(crate) fn published(&self) -> u64 {
        self.published.load(Ordering::Acquire)
    }

    /// Shows a frame that is on disk, which ends with event `sequence`: its records and all changes of the
    /// index at once.
    pub(crate) fn publish(&self, frame: u64, sequence: u64, changes: &[Change], records: Vec<Kept>) {
        for (key, value) in changes.iter().filter(|(key, _)| key.first() == Some(&key::CONTESTED)) {
            let mut contested = writing(&self.contested);
            match value {
                Some(_) => contested.insert(Key::clone(key)),
                None => contested.remove(key),
            };
        }
        self.cache.publish(records, || self.view.publish(frame, changes.iter().cloned()));
        self.published.store(frame, Ordering::Release);
        // Told last: who hears of an event can read it.
        self.newest.send_if_modified(|newest| std::mem::replace(newest, sequence) != sequence);
    }

    /// No read is answered any more; whoever waits for the next event hears of it.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.newest.send_modify(|_| ());
    }

    /// Tells the last sequence that is shown, now and whenever it grows.
    pub(crate) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// # Errors
    /// [`StorageError::Closed`].
    pub(crate) fn open(&self) -> Result<&Reader, StorageError> {
        if self.closed.load(Ordering::Acquire) { Err(StorageError::Closed) } else { Ok(self) }
    }

    pub(crate) fn scan(&self, query: &OrderQuery, page: &Page) -> Result<ScanPage, StorageError> {
        let limit = if page.limit == 0 { PAGE } else { page.limit };
        // Keys hold whole microseconds, so both ends are wide by one and `wants` decides.
        let newest = query.to.map_or(i64::MAX, Timestamp::unix_microseconds);
        let oldest = query.from.map_or(i64::MIN, Timestamp::unix_microseconds);
        let start = match &page.after {
            Some(token) => key::after(&position(token)?),
            None => key::Builder::new(key::TIME).time_down(newest).key(),
        };
        let end = key::end_of(&key::Builder::new(key::TIME).time_down(oldest).key());
        let mut seen = HashSet::new();
        let mut answer = ScanPage::default();
        let mut last: Option<String> = None;
        view::for_each(&self.view, &start, &end, &mut |key, account| {
            if query.account.as_ref().is_some_and(|wanted| wanted.as_str().as_bytes() != &*account.bytes()) {
                return Ok(Go::On);
            }
            let (micros, order) = time_key(key).ok_or_else(|| records::malformed(key))?;
            let Some(record) = self.record(&order)?.filter(|record| query.wants(record)) else { return Ok(Go::On) };
            if answer.orders.len() == limit {
                answer.next.clone_from(&last); // there is one more
                return Ok(Go::Stop);
            }
            // An order whose time is corrected while the page is read could be met twice.
            if seen.insert(order.clone()) {
                last = Some(token(micros, &order));
                answer.orders.push(record);
            }
            Ok(Go::On)
        })?;
        Ok(answer)
    }

    pub(crate) fn refunds_in(
        &self,
        state: RefundState,
        not_after: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<DueRefund>, StorageError> {
        let start = key::states(state).key();
        let end = match not_after {
            Some(latest) if state == RefundState::Queued => {
                key::end_of(&key::states(state).time(latest.unix_microseconds()).key())
            }
            _ => key::end_of(&start),
        };
        let mut found = Vec::new();
        view::for_each(&self.view, &start, &end, &mut |key, order| {
            if found.len() == limit {
                return Ok(Go::Stop);
            }
            let (_, account, refund) = state_key(key).ok_or_else(|| records::malformed(key))?;
            found.push(DueRefund { account, order: records::order_in(key, order)?, key: refund });
            Ok(Go::On)
        })?;
        Ok(found)
    }

    pub(crate) fn refunds_after(
        &self,
        state: Option<RefundState>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, DueRefund)>, StorageError> {
        let all = state.map_or_else(|| Key::from([key::REFUND]), |state| key::states(state).key());
        let start = match after {
            Some(token) => key::after(&refund_position(state, token)?),
            None => Key::clone(&all),
        };
        let mut found = Vec::new();
        view::for_each(&self.view, &start, &key::end_of(&all), &mut |key, order| {
            if found.len() == limit {
                return Ok(Go::Stop);
            }
            let (token, account, refund) = match state {
                Some(_) => state_key(key)
                    .map(|(time, account, refund)| (format!("{time}/{account}/{refund}"), account, refund)),
                None => refund_key(key).map(|(account, refund)| (format!("{account}/{refund}"), account, refund)),
            }
            .ok_or_else(|| records::malformed(key))?;
            found.push((token, DueRefund { account, order: records::order_in(key, order)?, key: refund }));
            Ok(Go::On)
        })?;
        Ok(found)
    }

    pub(crate) fn events(&self, after: u64, limit: usize) -> Result<Vec<Arc<Entry>>, StorageError> {
        self.by_sequence(after, limit, &|sequence, place, line| {
            let entry = self.entry(place, line)?;
            Ok((entry.sequence == sequence).then_some(entry))
        })
    }

    pub(crate) fn lines(&self, after: u64, limit: usize) -> Result<Vec<String>, StorageError> {
        self.by_sequence(after, limit, &|_, place, line| match std::str::from_utf8(line) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(error) => Err(self.history.unreadable(place, error.to_string())),
        })
    }

    /// Reads the lines of entries after a sequence. `None`: the line is not the one that it should be.
    fn by_sequence<T>(&self, after: u64, limit: usize, read: &ReadLine<'_, T>) -> Result<Vec<T>, StorageError> {
        self.by_place(|| {
            let (mut found, mut right) = (Vec::new(), true);
            let start = key::sequence(after.saturating_add(1));
            view::for_each(&self.view, &start, &key::end_of(&[key::SEQUENCE]), &mut |key, place| {
                let (Some(last), Some(place)) = (Parts::of(key).number(), Place::decode(&place.bytes())) else {
                    right = false;
                    return Ok(Go::Stop);
                };
                let payload = self.history.read(place)?;
                let lines: Vec<(usize, &[u8])> = lines(&payload).filter(|(_, line)| !Line::is_cursor(line)).collect();
                // Sequences have no gaps, so those up to `after` need not be decoded.
                let first = (last + 1).saturating_sub(lines.len() as u64);
                let wanted = (first..).zip(lines).skip_while(|(sequence, _)| *sequence <= after);
                for (sequence, (from, line)) in wanted {
                    if found.len() == limit {
                        return Ok(Go::Stop);
                    }
                    match read(sequence, place.part(from, line), line)? {
                        Some(wanted) => found.push(wanted),
                        None => {
                            right = false;
                            return Ok(Go::Stop);
                        }
                    }
                }
                Ok(Go::On)
            })?;
            Ok(right.then_some(found))
        })
    }

    pub(crate) fn events_of(&self, order: &OrderId) -> Result<Vec<Arc<Entry>>, StorageError> {
        self.by_place(|| {
            let Some(kept) = records::indexed(&self.view, &*self.history, order)? else { return Ok(None) };
            let mut found = Vec::new();
            for (version, place) in (1..).zip(kept.iter().flat_map(|kept| kept.trail.places())) {
                let entry = self.entry(*place, &self.history.read(*place)?)?;
                if entry.order != *order || entry.version != version {
                    return Ok(None);
                }
                found.push(entry);
            }
            Ok(Some(found))
        })
    }

    /// Reads by places that the index gave. Where they lead to something else (`None`, or bytes that are not
    /// what was written there) it is the index that is asked to mend itself first.
    fn by_place<T>(&self, read: impl Fn() -> Result<Option<T>, StorageError>) -> Result<T, StorageError> {
        let why = "the index points at what is not there";
        let first = match read() {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => StorageError::Poisoned { why: why.to_owned() },
            Err(error @ StorageError::Damaged { .. }) => error,
            Err(error) => return Err(error),
        };
        self.view.distrust(why).map_err(|_| first)?;
        read()?.ok_or_else(|| StorageError::Poisoned { why: why.to_owned() })
    }

    fn entry(&self, place: Place, line: &[u8]) -> Result<Arc<Entry>, StorageError> {
        lines::entry(line).map(Arc::new).map_err(|e| self.history.unreadable(place, e.to_string()))
    }

    /// All cursors but the storage's own.
    pub(crate) fn cursors(&self) -> Result<Vec<(String, String)>, StorageError> {
        let mut names = BTreeSet::new();
        for (key, _) in view::all(&self.view, &[key::CURSOR])? {
            names.insert(Parts::of(&key).text().ok_or_else(|| records::malformed(&key))?);
        }
        let mut cursors = Vec::with_capacity(names.len());
        for name in names.into_iter().filter(|name| !Cursor::is_own(name)) {
            if let Some(value) = records::cursor(self, &name)? {
                cursors.push((name, value));
            }
        }
        Ok(cursors)
    }

    /// The state as the events alone tell it, up to what is shown now.
    pub(crate) fn state_hash(&self) -> Result<StateHash, StorageError> {
        let mut state = State::default();
        self.history.walk(0, self.published(), &mut |walked| {
            for (from, line) in lines(walked.payload) {
                let read = state.take_in(line);
                read.map_err(|why| self.history.unreadable(walked.place.part(from, line), why))?;
            }
            Ok(())
        })?;
        Ok(state.hash())
    }

    /// Answers what may read much from disk beside the async runtime, where there is one.
    pub(crate) async fn beside<T: Send + 'static>(
        self: &Arc<Reader>,
        read: impl FnOnce(&Reader) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        if self.on_the_spot {
            return read(self.open()?);
        }
        let reader = Arc::clone(self);
        off_runtime(move || read(reader.open()?)).await
    }

    pub(crate) fn find(
        &self,
        account: &AccountName,
        kind: Option<&str>,
        number: &str,
    ) -> Result<Vec<(OrderId, String)>, StorageError> {
        records::bearers(&self.view, account, kind, number)
    }
}

impl Reader {
    /// A hash over all keys and values, in order.
    pub(crate) fn index_hash(&self) -> Result<[u8; 32], StorageError> {
        let mut hasher = blake3::Hasher::new();
        for kind in key::KINDS {
            view::for_each(&self.view, &[kind], &key::end_of(&[kind]), &mut |key, value| {
                for part in [&**key, &*value.bytes()] {
                    hasher.update(&(part.len() as u64).to_be_bytes());
                    hasher.update(part);
                }
                Ok(Go::On)
            })?;
        }
        Ok(*hasher.finalize().as_bytes())
    }
}

/// The order that has a refund of that key.
pub(crate) fn order_of_refund(
    kv: &(impl Kv + ?Sized),
    account: &AccountName,
    key: &RefundKey,
) -> Result<Option<OrderId>, StorageError> {
    let key = key::refund(account, key);
    kv.get(&key)?.map(|order| records::order_in(&key, &order)).transpose()
}

impl Kv for Reader {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StorageError> {
        self.view.get(key)
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Chunk, StorageError> {
        self.view.range(from, to, limit)
    }

    fn distrust(&self, why: &str) -> Result<(), StorageError> {
        self.view.distrust(why)
    }
}

impl Records for Reader {
    fn kept(&self, order: &OrderId) -> Result<Option<Kept>, StorageError> {
        let (kept, turn) = self.cache.get(order);
        if kept.is_some() {
            return Ok(kept);
        }
        let kept = self.by_place(|| records::indexed(&self.view, &*self.history, order))?;
        if let Some(kept) = &kept {
            self.cache.offer(kept.clone(), turn);
        }
        Ok(kept)
    }

    fn is_contested(&self, account: &AccountName, kind: &str, number: &str) -> Result<bool, StorageError> {
        let contested = reading(&self.contested);
        Ok(!contested.is_empty() && contested.contains(&key::contested(account, kind, number)))
    }
}
