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
    let old = layer.record(&entry.order)?;
    if old.as_ref().is_none_or(|record| record.version < entry.version) {
        let head = old.as_ref().map_or(ChainHash::START, |record| record.head).next(line);
        let new = OrderRecord::apply(old.as_deref().cloned(), entry, head)?;
        layer.put_record(old.as_deref(), Arc::new(new))?;
    }
    layer.put([index::event_change(&entry.order, entry.version, place)]);
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
    let whole = Stretch { after: 0, sequence: 0, through };
    let end = stretch(history, &view, whole, &mut |changes, frame| {
        view.publish(frame, changes);
        Ok(())
    })?;
    Ok((view, end))
}

/// Replays a stretch over what `under` holds; `apply` gets the changes batch by batch, each with the
/// frame that it goes through. Answers with where the stretch ended.
pub(crate) fn stretch(
    history: &dyn History,
    under: &dyn Kv,
    stretch: Stretch,
    apply: &mut dyn FnMut(Vec<Change>, u64) -> Result<(), StorageError>,
) -> Result<Stretch, StorageError> {
    let recent = Recent { under, kept: RefCell::default() };
    let mut layer = Layer::new(&recent);
    let Stretch { mut after, mut sequence, through } = stretch;
    history.walk(stretch.after, through, &mut |walked| {
        after = walked.number;
        sequence = frame(&mut layer, history, &walked, sequence)?;
        if layer.len() >= BATCH {
            let (changes, written) = std::mem::replace(&mut layer, Layer::new(&recent)).into_parts();
            apply(changes, walked.number)?;
            recent.keep(written);
        }
        Ok(())
    })?;
    let (changes, _) = layer.into_parts();
    apply(changes, through)?;
    Ok(Stretch { after, sequence, through })
}

/// Records that were replayed not long ago: most orders' events lie close together, and the one who
/// replays is the only one who writes.
struct Recent<'a> {
    under: &'a dyn Kv,
    kept: RefCell<HashMap<OrderId, Arc<OrderRecord>>>,
}

/// How many records are kept between batches.
const RECENT: usize = 8_192;

impl Recent<'_> {
    fn keep(&self, written: Vec<Arc<OrderRecord>>) {
        let mut kept = self.kept.borrow_mut();
        if kept.len() > RECENT {
            kept.clear();
        }
        kept.extend(written.into_iter().map(|record| (record.id.clone(), record)));
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
    fn record(&self, order: &OrderId) -> Result<Option<Arc<OrderRecord>>, StorageError> {
        if let Some(record) = self.kept.borrow().get(order) {
            return Ok(Some(Arc::clone(record)));
        }
        records::stored(self.under, order)
    }
}
