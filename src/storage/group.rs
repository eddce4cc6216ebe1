//! A group of commands that share one write: each is decided against what is durable and what the
//! group has decided before it.
//!
//! What must never be here: files, threads. The writer of each storage calls this.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::kept::Kept;
use super::key::Change;
use super::layer::Layer;
use super::lines::{self, Cursor, Payload};
use super::place::Place;
use super::records::{self, Records};
use super::{Claims, Committed, StorageError, Transaction, exact, index};
use crate::domain::decide::{Found, Refusal};
use crate::domain::{BrokenHistory, ChainHash, DeviceName, Entry, Event, OrderId, OrderRecord, RefundState, Rejection};

/// Which space on disk a write may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Room {
    /// Also what is set aside: only ends of attempts that are under way.
    Reserved,
    /// Only what is not set aside.
    Free,
}

/// Commands decided together.
pub(crate) struct Group<'a> {
    layer: Layer<'a>,
    device: &'a DeviceName,
    /// What the commands may write.
    allowed: Room,
    sequence: u64,
    payload: Payload,
    sending: i64,
    room: Room,
}

/// What a group has decided, ready to be written.
pub(crate) struct Decided {
    pub(crate) payload: Payload,
    /// The last sequence given.
    pub(crate) sequence: u64,
    /// How many refunds entered `Sending`, less those that left it.
    pub(crate) sending: i64,
    /// Which space the write needs.
    pub(crate) room: Room,
    changes: Vec<Change>,
    records: HashMap<OrderId, Kept>,
}

/// Why a command of a group wrote nothing.
pub(crate) enum NotDecided {
    Refused(Refusal),
    /// It would write what only free space may take.
    NoRoom,
    /// What it would be decided on is damaged: nothing of it is in the group, and the others go on.
    Unreadable(StorageError),
    Failed(StorageError),
}

impl From<StorageError> for NotDecided {
    fn from(error: StorageError) -> NotDecided {
        NotDecided::Failed(error)
    }
}

impl From<Refusal> for NotDecided {
    fn from(refusal: Refusal) -> NotDecided {
        NotDecided::Refused(refusal)
    }
}

impl<'a> Group<'a> {
    /// A group after the sequence last given.
    pub(crate) fn new(under: &'a dyn Records, device: &'a DeviceName, sequence: u64, allowed: Room) -> Group<'a> {
        let (payload, room) = (Payload::default(), Room::Reserved);
        Group { layer: Layer::new(under), device, allowed, sequence, payload, sending: 0, room }
    }

    /// What the commands may write.
    pub(crate) fn allowed(&self) -> Room {
        self.allowed
    }

    /// Decides one command; all it writes is in the group then, or nothing is.
    pub(crate) fn decide(&mut self, transaction: &mut Transaction) -> Result<Committed, NotDecided> {
        let (old, found) = self.find(transaction).map_err(|error| match error {
            StorageError::Damaged { .. } | StorageError::Row { .. } => NotDecided::Unreadable(error),
            error => NotDecided::Failed(error),
        })?;
        let decide = &mut transaction.decide;
        let events = catch_unwind(AssertUnwindSafe(|| decide(&found)))
            .map_err(|panic| StorageError::Poisoned { why: format!("a decision panicked: {}", words_of(&*panic)) })??;
        if events.is_empty() {
            let (account, wanted) = (transaction.account.clone(), transaction.order.to_string());
            let unknown = Refusal::Rejected(Rejection::UnknownOrder { account, wanted });
            let record = found.record.ok_or(unknown)?;
            return Ok(Committed { record, entries: Vec::new() });
        }
        let room = if events.iter().all(ends_an_attempt) { Room::Reserved } else { Room::Free };
        if room > self.allowed {
            return Err(NotDecided::NoRoom);
        }
        let before = found.record.as_deref();
        let (record, entries) = self.fold(transaction, before, events)?;
        // Where its new events lie is known once they are written.
        let trail = old.map(|old| old.trail).unwrap_or_default();
        self.layer.put_record(before, Kept { record: Arc::clone(&record), trail })?;
        self.sending += sending(Some(&record)) - sending(before);
        self.room = self.room.max(room);
        self.sequence += entries.len() as u64;
        let mut kept = Vec::with_capacity(entries.len());
        for (entry, line) in entries {
            self.payload.push_entry(&entry, &line);
            kept.push(entry);
        }
        Ok(Committed { record, entries: kept })
    }

    /// Keeps a cursor.
    pub(crate) fn put_cursor(&mut self, cursor: &Cursor) -> Result<(), NotDecided> {
        if self.layer_has(cursor)? {
            return Ok(());
        }
        if self.allowed < Room::Free {
            return Err(NotDecided::NoRoom);
        }
        self.room = Room::Free;
        self.layer.put([index::cursor_change(&cursor.name, &cursor.value)]);
        self.payload.push_cursor(cursor);
        Ok(())
    }

    fn layer_has(&self, cursor: &Cursor) -> Result<bool, StorageError> {
        Ok(records::cursor(&self.layer, &cursor.name)?.as_deref() == Some(cursor.value.as_str()))
    }

    /// What there is to write; its payload is empty where nothing changed.
    pub(crate) fn finish(self) -> Decided {
        let (changes, records) = self.layer.into_parts();
        let Group { payload, sequence, sending, room, .. } = self;
        Decided { payload, sequence, sending, room, changes, records }
    }

    fn find(&self, transaction: &Transaction) -> Result<(Option<Kept>, Found), StorageError> {
        let Transaction { order, account, claims: Claims { references, refund_key }, .. } = transaction;
        let old = self.layer.kept(order)?;
        let record = old.as_ref().map(|old| Arc::clone(&old.record));
        let holders = records::holders(&self.layer, account, record.as_deref(), references)?;
        let key_holder = match refund_key {
            Some(key) => super::reader::order_of_refund(&self.layer, account, key)?,
            None => None,
        };
        Ok((old, Found { record, holders, key_holder }))
    }

    /// Gives the events their places and folds them into the record.
    #[expect(clippy::type_complexity, reason = "a pair that is taken apart where it is made")]
    fn fold(
        &self,
        transaction: &Transaction,
        before: Option<&OrderRecord>,
        events: Vec<Event>,
    ) -> Result<(Arc<OrderRecord>, Vec<(Arc<Entry>, Vec<u8>)>), Refusal> {
        let mut record = before.cloned();
        let mut entries = Vec::with_capacity(events.len());
        for (sequence, event) in (self.sequence + 1..).zip(events) {
            let entry = Entry {
                sequence,
                order: transaction.order.clone(),
                account: before.map_or(&transaction.account, |record| &record.account).clone(),
                version: record.as_ref().map_or(0, |record| record.version) + 1,
                at: transaction.now,
                device: self.device.clone(),
                event,
            };
            let line = serde_json::to_vec(&entry).map_err(|_| broken(&entry, "it cannot be written as JSON"))?;
            // Folded as it will be read again: an index kept and an index rebuilt cannot differ.
            let entry = match exact::comes_back(&entry.event) {
                true => entry,
                false => lines::entry(&line).map_err(|_| broken(&entry, "what is written of it cannot be read"))?,
            };
            debug_assert_eq!(lines::entry(&line).ok().as_ref(), Some(&entry), "it is read as it is folded");
            let head = record.as_ref().map_or(ChainHash::START, |record| record.head).next(&line);
            record = Some(OrderRecord::apply(record, &entry, head)?);
            entries.push((Arc::new(entry), line));
        }
        let record = record.expect("events are not empty, and each leaves a record");
        Ok((Arc::new(record), entries))
    }
}

/// What is shown of a group that is written.
pub(crate) struct Written {
    /// All changes of the index.
    pub(crate) changes: Vec<Change>,
    /// The records among them.
    pub(crate) records: Vec<Kept>,
}

impl Decided {
    /// For storages that keep rows and no index: the lines, and the records that they lead to.
    #[cfg(feature = "postgres")]
    pub(crate) fn into_rows(self) -> (Payload, Vec<Arc<OrderRecord>>) {
        let records = self.records.into_values().map(|kept| kept.record).collect();
        (self.payload, records)
    }

    /// What is to be shown, now that it is known where the payload lies.
    pub(crate) fn written_at(self, place: Place) -> Written {
        let Decided { payload, sequence, mut changes, mut records, .. } = self;
        for line in &payload.entries {
            let bytes = &payload.bytes[line.from..line.from + line.length];
            let kept = records.get_mut(&line.order).expect("each entry is part of a record of its group");
            kept.trail.push(place.part(line.from, bytes), line.brings_facts);
        }
        if !payload.entries.is_empty() {
            changes.push(index::sequence_change(sequence, place));
        }
        let records: Vec<Kept> = records.into_values().collect();
        changes.extend(records.iter().map(index::record_change));
        Written { changes, records }
    }
}

/// Whether an event may use the space that was set aside: it ends or gives up an attempt.
fn ends_an_attempt(event: &Event) -> bool {
    match event {
        Event::Answered { .. } | Event::AttemptLost { .. } | Event::RefundToReview { .. } => true,
        Event::OrderRecorded { .. }
        | Event::FactsSeen { .. }
        | Event::RefundHeld { .. }
        | Event::AttemptStarted { .. }
        | Event::Probed { .. }
        | Event::Judged { .. }
        | Event::RefundApproved { .. }
        | Event::RefundCanceled { .. } => false,
    }
}

/// How many refunds of a record are being sent.
fn sending(record: Option<&OrderRecord>) -> i64 {
    let refunds = record.iter().flat_map(|record| &record.refunds);
    refunds.map(|refund| i64::from(refund.state == RefundState::Sending)).sum()
}

fn broken(entry: &Entry, why: &'static str) -> Refusal {
    let (sequence, event, order) = (entry.sequence, entry.event.name(), entry.order.clone());
    Refusal::Broken(BrokenHistory { sequence, event, order, why })
}

/// Refuses one order of several for what is damaged of it: the others need not wait until it is mended.
pub(crate) fn unreadable(order: &OrderId, error: &StorageError) -> Refusal {
    tracing::error!(%order, %error, "an order cannot be read");
    let why = "what was recorded of it is damaged; verify says where";
    Refusal::Broken(BrokenHistory { sequence: 0, event: "unreadable", order: order.clone(), why })
}

/// What a panic said.
pub(crate) fn words_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without words")
}
