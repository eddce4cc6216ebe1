//! Replaying history: frames back into records and the index.
//!
//! The same entry may be replayed over an index that already holds it (after a kill the index can be
//! ahead of its checkpoint): what a record contains already is skipped by version, and all else is
//! put again with the value it has.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::StorageError;
use super::index;
use super::kept::Kept;
use super::key::Change;
use super::layer::Layer;
use super::lines::{Line, lines};
use super::place::{History, Place, Walked};
use super::records::{self, Records};
use super::value::Value;
use super::view::{Chunk, Kv, View};
use crate::domain::{ChainHash, Entry, OrderId, OrderRecord};

/// Replays one frame of commits, which follows `sequence`, into a layer; answers with the sequence after it.
fn frame(
    layer: &mut Layer<'_>,
    history: &dyn History,
    walked: &Walked<'_>,
    mut sequence: u64,
) -> Result<u64, StorageError> {
    let before = sequence;
    for (from, line) in lines(walked.payload) {
        let place = walked.place.part(from, line);
        match Line::read(line).map_err(|e| history.unreadable(place, e.to_string()))? {
            Line::Cursor(cursor) => layer.put([index::cursor_change(&cursor.name, &cursor.value)]),
            Line::Entry(entry) => {
                if entry.sequence != sequence + 1 {
                    let why = format!("event {} follows event {sequence}", entry.sequence);
                    return Err(history.unreadable(place, why));
                }
                sequence = entry.sequence;
                entry_into(layer, &entry, line, place)?;
            }
        }
    }
    if sequence > before {
        layer.put([index::sequence_change(sequence, walked.place)]);
    }
    Ok(sequence)
}

fn entry_into(layer: &mut Layer<'_>, entry: &Entry, line: &[u8], place: Place) -> Result<(), StorageError> {
    let old = layer.kept(&entry.order)?;
    let before = old.as_ref().map(|old| &*old.record);
    if before.is_none_or(|record| record.version < entry.version) {
        let head = before.map_or(ChainHash::START, |record| record.head).next(line);
        let record = Arc::new(OrderRecord::apply(before.cloned(), entry, head)?);
        layer.put_record(before, Kept::after(old.as_ref(), record, &entry.event, place))?;
    }
    Ok(())
}

/// How many changes are put into the index at once.
const BATCH: usize = 8_000;

/// A stretch of history: the frames above `after`, which ended in `sequence`, up to `through`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    pub(crate) after: u64,
    pub(crate) sequence: u64,
    pub(crate) through: u64,
}

/// All that a history holds through a frame, shown from memory; and where it ends.
pub(crate) fn in_memory(history: &dyn History, through: u64) -> Result<(View, Stretch), StorageError> {
    let view = View::new(None);
    let end = all(history, &view, through, &mut |changes, frame| {
        view.publish(frame, changes);
        Ok(())
    })?;
    Ok((view, end))
}

/// Gets the changes of a stretch batch by batch, each with the frame that it goes through.
type Apply<'a> = &'a mut dyn FnMut(Vec<Change>, u64) -> Result<(), StorageError>;

/// Replays a whole history through a frame over what holds nothing but what `apply` puts there. Answers with where it
/// ended.
pub(crate) fn all(
    history: &dyn History,
    under: &dyn Kv,
    through: u64,
    apply: Apply<'_>,
) -> Result<Stretch, StorageError> {
    let whole = Stretch { after: 0, sequence: 0, through };
    Recent { under, history, kept: RefCell::default() }.replay(whole, apply)
}

/// Replays a stretch over what `under` holds. Answers with where it ended.
pub(crate) fn stretch(
    history: &dyn History,
    under: &dyn Kv,
    stretch: Stretch,
    apply: Apply<'_>,
) -> Result<Stretch, StorageError> {
    Recent { under, history, kept: RefCell::default() }.replay(stretch, apply)
}

/// Records that were replayed not long ago: most orders' events lie close together, and the one who
/// replays is the only one who writes.
struct Recent<'a> {
    under: &'a dyn Kv,
    history: &'a dyn History,
    kept: RefCell<HashMap<OrderId, Kept>>,
}

/// How many records are kept between batches.
const RECENT: usize = 8_192;

impl Recent<'_> {
    fn replay(&self, stretch: Stretch, apply: Apply<'_>) -> Result<Stretch, StorageError> {
        let mut layer = Layer::new(self);
        let Stretch { mut after, mut sequence, through } = stretch;
        self.history.walk(stretch.after, through, &mut |walked| {
            after = walked.number;
            sequence = frame(&mut layer, self.history, &walked, sequence)?;
            if layer.len() >= BATCH {
                let full = std::mem::replace(&mut layer, Layer::new(self));
                apply(self.taken_in(full), walked.number)?;
            }
            Ok(())
        })?;
        apply(self.taken_in(layer), through)?;
        Ok(Stretch { after, sequence, through })
    }

    /// All changes of a layer, whose records are kept.
    fn taken_in(&self, layer: Layer<'_>) -> Vec<Change> {
        let (mut changes, written) = layer.into_parts();
        changes.extend(written.values().map(index::record_change));
        let mut kept = self.kept.borrow_mut();
        if kept.len() > RECENT {
            kept.clear();
        }
        kept.extend(written);
        changes
    }
}

impl Kv for Recent<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StorageError> {
        self.under.get(key)
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Chunk, StorageError> {
        self.under.range(from, to, limit)
    }

    fn distrust(&self, why: &str) -> Result<(), StorageError> {
        self.under.distrust(why)
    }
}

impl Records for Recent<'_> {
    fn kept(&self, order: &OrderId) -> Result<Option<Kept>, StorageError> {
        if let Some(kept) = self.kept.borrow().get(order) {
            return Ok(Some(kept.clone()));
        }
        records::stored(self.under, self.history, order)
    }
}
