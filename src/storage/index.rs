//! What the index holds of a record, as a pure function of the record.
//!
//! Live writes and the rebuild from the journal both go through [`changes`], so that an index kept
//! and an index rebuilt cannot differ.

use std::collections::BTreeMap;

use super::key::{self, Change, Key, Value};
use super::place::Place;
use crate::domain::{OrderRecord, RefundState, Timestamp};
use crate::storage::OrderQuery;

/// Raised when keys or values change their meaning: an index of another format is rebuilt.
pub(crate) const INDEX_FORMAT: u32 = 1;

/// Bytes of content per value. sled moves what exceeds a quarter of its segments to files that it
/// never syncs; a leaf holds up to 17 values, so each stays below 7 KiB.
const CHUNK: usize = 6 * 1024;

/// Each chunk begins with the first bytes of the whole content's hash and the number of chunks.
const CHUNK_HEAD: usize = 8 + 2;

/// What changes in the index when a record takes the place of an older one.
pub(crate) fn changes(old: Option<&OrderRecord>, new: &OrderRecord) -> Vec<Change> {
    let mut gone = old.map(entries).unwrap_or_default();
    let mut changes: Vec<Change> = Vec::new();
    for (key, value) in entries(new) {
        if gone.remove(&key).is_none_or(|before| before != value) {
            changes.push((key, Some(value)));
        }
    }
    changes.extend(gone.into_keys().map(|key| (key, None)));
    changes
}

/// All that the index holds of one record; where its events lie is not part of the record.
pub(crate) fn entries(record: &OrderRecord) -> BTreeMap<Key, Value> {
    let mut entries = BTreeMap::new();
    let json = serde_json::to_vec(record).expect("a record's maps have text keys and its writer is memory");
    for (chunk, value) in chunks(&json) {
        entries.insert(key::record(&record.id, chunk), value);
    }
    for reference in record.facts.all_references() {
        entries.insert(key::reference(&record.account, &reference, &record.id), empty());
    }
    let time = OrderQuery::time_of(record).unix_microseconds();
    entries.insert(key::time(time, &record.id), Value::from(record.account.as_str().as_bytes()));
    let order = Value::from(record.id.as_str().as_bytes());
    for refund in &record.refunds {
        entries.insert(key::refund(&record.account, &refund.key), order.clone());
        let since = queue_time(refund.state, refund.due_at, refund.state_at).unix_microseconds();
        entries.insert(key::state(refund.state, since, &record.account, &refund.key), order.clone());
    }
    entries
}

/// By what the refunds of a state are sorted: the queue by when each is due.
fn queue_time(state: RefundState, due_at: Timestamp, state_at: Timestamp) -> Timestamp {
    match state {
        RefundState::Queued => due_at,
        RefundState::Sending
        | RefundState::Accepted
        | RefundState::InDoubt
        | RefundState::Succeeded
        | RefundState::Declined
        | RefundState::Review
        | RefundState::Canceled
        | RefundState::Reversed => state_at,
    }
}

/// Where an entry of an order lies.
pub(crate) fn event_change(order: &crate::domain::OrderId, version: u64, place: Place) -> Change {
    (key::event(order, version), Some(place.encode()))
}

/// Where a frame that ends in this sequence lies.
pub(crate) fn sequence_change(last: u64, place: Place) -> Change {
    (key::sequence(last), Some(place.encode()))
}

/// A cursor's new value; chunks of a longer one before it go.
pub(crate) fn cursor_changes(name: &str, before: Option<&str>, value: &str) -> Vec<Change> {
    let mut changes: Vec<Change> =
        chunks(value.as_bytes()).map(|(chunk, value)| (key::cursor(name, chunk), Some(value))).collect();
    let had = before.map_or(0, |before| chunk_count(before.len()));
    for chunk in chunk_count(value.len())..had {
        changes.push((key::cursor(name, chunk), None));
    }
    changes
}

fn empty() -> Value {
    Value::from([])
}

fn chunk_count(length: usize) -> u16 {
    u16::try_from(length.div_ceil(CHUNK).max(1)).expect("a content below 384 MiB: frames are smaller")
}

/// Cuts a content into numbered values.
pub(crate) fn chunks(content: &[u8]) -> impl Iterator<Item = (u16, Value)> + '_ {
    let count = chunk_count(content.len());
    let hash = blake3::hash(content);
    (0..count).map(move |chunk| {
        let from = usize::from(chunk) * CHUNK;
        let part = &content[from..content.len().min(from + CHUNK)];
        let mut value = Vec::with_capacity(CHUNK_HEAD + part.len());
        value.extend_from_slice(&hash.as_bytes()[..8]);
        value.extend_from_slice(&count.to_be_bytes());
        value.extend_from_slice(part);
        (chunk, Value::from(value))
    })
}

/// How many chunks there are, as the first one says.
pub(crate) fn chunks_in(first: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes([*first.get(8)?, *first.get(9)?]))
}

/// Puts chunks together again; `None` where they are not the whole of one content.
pub(crate) fn join<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let mut head: Option<&[u8]> = None;
    let mut seen: u16 = 0;
    for chunk in chunks {
        let (this, part) = chunk.split_at_checked(CHUNK_HEAD)?;
        if *head.get_or_insert(this) != this {
            return None;
        }
        seen = seen.checked_add(1)?;
        content.extend_from_slice(part);
    }
    let head = head?;
    let whole = chunks_in(head)? == seen && blake3::hash(&content).as_bytes()[..8] == head[..8];
    whole.then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_of_any_length_comes_back_from_its_chunks_and_parts_of_it_do_not() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7] {
            let content: Vec<u8> = (0..length).map(|i| u8::try_from(i % 251).unwrap_or(0)).collect();
            let values: Vec<Value> = chunks(&content).map(|(_, value)| value).collect();
            assert!(values.iter().all(|value| value.len() < 7 * 1024));
            assert_eq!(join(values.iter().map(|value| &**value)), Some(content));
            assert_eq!(join(values[1..].iter().map(|value| &**value)), None);
        }
        let (one, two) = (chunks(b"one").next(), chunks(b"two").next());
        let mixed: Vec<Value> = [one, two].into_iter().flatten().map(|(_, value)| value).collect();
        assert_eq!(join(mixed.iter().map(|value| &**value)), None);
    }

    #[test]
    fn a_shorter_cursor_leaves_nothing_of_the_longer_one() {
        let long = "x".repeat(2 * CHUNK);
        let changes = cursor_changes("orders", Some(&long), "y");
        let gone: Vec<&Key> = changes.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| key).collect();
        assert_eq!(gone, [&key::cursor("orders", 1)]);
    }
}
