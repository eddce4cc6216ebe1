//! What is durable now: an ordered overlay in memory over an index that follows behind.
//!
//! A commit enters the overlay once it is on disk, and leaves it only after the index holds it, so a
//! look-up that asks the overlay first and the index second cannot miss anything. Nobody waits for an update of
//! the index: whatever half of one a range may meet there, the overlay that it looked at first holds the whole. Only
//! the *next* update must not begin meanwhile, for it may bring what the overlay did not have yet; so ranges hold the
//! gate that each update passes when it begins, and each chunk of a range is one consistent picture.
//! The storage in memory is the same view with an overlay that never drains.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::StorageError;
use super::key::{self, Change, Key};
use super::lock::{RwLock, reading, writing};
use super::value::Value;

/// Part of a range, in key order.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) entries: Vec<(Key, Value)>,
    /// Where to go on; `None`: the range ends here. The entries may be few or none and more follow.
    pub(crate) next: Option<Key>,
}

/// Something that keys can be looked up in.
pub(crate) trait Kv {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StorageError>;

    /// About `limit` entries from `from` up to `to`, which is not included.
    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Chunk, StorageError>;

    /// What was read cannot be right: mend it, so that it can be read again.
    fn distrust(&self, why: &str) -> Result<(), StorageError> {
        Err(StorageError::Poisoned { why: why.to_owned() })
    }
}

/// An index that follows behind.
pub(crate) trait Base: Kv + Send + Sync {
    /// Takes the changes of all frames up to `through` in. Those who read meanwhile may meet a part of them.
    fn apply(&self, changes: &[Change], through: u64) -> Result<(), StorageError>;
}

/// The overlay over the index.
pub(crate) struct View {
    overlay: RwLock<BTreeMap<Key, (u64, Option<Value>)>>,
    base: Option<Arc<dyn Base>>,
    gate: RwLock<()>,
}

impl View {
    pub(crate) fn new(base: Option<Arc<dyn Base>>) -> View {
        View { overlay: RwLock::default(), base, gate: RwLock::default() }
    }

    /// Shows the changes of a frame that is on disk.
    pub(crate) fn publish(&self, frame: u64, changes: impl IntoIterator<Item = Change>) {
        // Where nothing drains it, it is kept for long.
        let keep = |value: Value| if self.base.is_none() { value.packed() } else { value };
        let mut overlay = writing(&self.overlay);
        for (key, value) in changes {
            overlay.insert(key, (frame, value.map(keep)));
        }
    }

    /// Brings the index up to `through` and lets go of what it holds now, unless newer.
    pub(crate) fn drain(&self, changes: &[Change], through: u64) -> Result<(), StorageError> {
        let Some(base) = &self.base else { return Ok(()) };
        drop(writing(&self.gate));
        base.apply(changes, through)?;
        for changes in changes.chunks(CHUNK_ENTRIES) {
            let mut overlay = writing(&self.overlay);
            for (key, _) in changes {
                if overlay.get(key).is_some_and(|(frame, _)| *frame <= through) {
                    overlay.remove(key);
                }
            }
        }
        Ok(())
    }
}

impl Kv for View {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StorageError> {
        if let Some((_, value)) = reading(&self.overlay).get(key) {
            return Ok(value.clone());
        }
        self.base.as_ref().map_or(Ok(None), |base| base.get(key))
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Chunk, StorageError> {
        if from >= to {
            return Ok(Chunk::default());
        }
        let _gate = reading(&self.gate);
        let over = Over::of(&reading(&self.overlay), |(_, value)| value.clone(), from, to, limit);
        let under = self.base.as_ref().map_or(Ok(Chunk::default()), |base| base.range(from, to, limit))?;
        Ok(over.merge(under))
    }

    fn distrust(&self, why: &str) -> Result<(), StorageError> {
        match &self.base {
            Some(base) => base.distrust(why),
            None => Err(StorageError::Poisoned { why: why.to_owned() }),
        }
    }
}

/// Part of a range of changes that lie over something.
pub(crate) struct Over {
    changes: Vec<Change>,
    next: Option<Key>,
}

impl Over {
    pub(crate) fn of<T>(
        map: &BTreeMap<Key, T>,
        value: impl Fn(&T) -> Option<Value>,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Over {
        let bounds = (Bound::Included(from), Bound::Excluded(to));
        let changes: Vec<Change> =
            map.range::<[u8], _>(bounds).take(limit).map(|(key, kept)| (key.clone(), value(kept))).collect();
        let next = changes.last().filter(|_| changes.len() == limit).map(|(last, _)| key::after(last));
        Over { changes, next }
    }

    /// Both together, as far as both are known.
    pub(crate) fn merge(self, under: Chunk) -> Chunk {
        let next = match (self.next, under.next) {
            (Some(over), Some(under)) => Some(over.min(under)),
            (over, under) => over.or(under),
        };
        let mut merged: BTreeMap<Key, Option<Value>> =
            under.entries.into_iter().map(|(key, value)| (key, Some(value))).collect();
        merged.extend(self.changes);
        let known = |key: &Key| next.as_ref().is_none_or(|next| key < next);
        let entries = merged
            .into_iter()
            .filter(|(key, _)| known(key))
            .filter_map(|(key, value)| value.map(|value| (key, value)))
            .collect();
        Chunk { entries, next }
    }
}

/// How many entries are asked for at once: one consistent picture, short enough not to hold up writes.
pub(crate) const CHUNK_ENTRIES: usize = 256;

/// Calls `visit` with every entry of a range, until it says it has enough.
pub(crate) fn for_each(
    kv: &(impl Kv + ?Sized),
    from: &[u8],
    to: &[u8],
    visit: &mut dyn FnMut(&Key, &Value) -> Result<Go, StorageError>,
) -> Result<(), StorageError> {
    let mut from = Key::from(from);
    loop {
        let chunk = kv.range(&from, to, CHUNK_ENTRIES)?;
        for (key, value) in &chunk.entries {
            if visit(key, value)? == Go::Stop {
                return Ok(());
            }
        }
        match chunk.next {
            Some(next) => from = next,
            None => return Ok(()),
        }
    }
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Go {
    On,
    Stop,
}

/// All entries whose key begins with `prefix`.
pub(crate) fn all(kv: &(impl Kv + ?Sized), prefix: &[u8]) -> Result<Vec<(Key, Value)>, StorageError> {
    let mut found = Vec::new();
    for_each(kv, prefix, &key::end_of(prefix), &mut |key, value| {
        found.push((key.clone(), value.clone()));
        Ok(Go::On)
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(BTreeMap<Key, Option<Value>>);

    impl Kv for Fixed {
        fn get(&self, key: &[u8]) -> Result<Option<Value>, StorageError> {
            Ok(self.0.get(key).cloned().flatten())
        }

        fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Chunk, StorageError> {
            Ok(Over::of(&self.0, Clone::clone, from, to, limit).merge(Chunk::default()))
        }
    }

    impl Base for Fixed {
        fn apply(&self, _: &[Change], _: u64) -> Result<(), StorageError> {
            Ok(())
        }
    }

    fn bytes(text: &str) -> Key {
        Key::from(text.as_bytes())
    }

    fn value(text: &str) -> Value {
        Value::from(text.as_bytes())
    }

    #[test]
    fn a_range_in_chunks_of_any_size_is_what_one_map_would_hold() {
        let under = ["a", "b", "d", "f", "g"].map(|key| (bytes(key), Some(value("under"))));
        let view = View::new(Some(Arc::new(Fixed(under.into_iter().collect()))));
        let over = [("b", None), ("c", Some("over")), ("f", Some("over")), ("g", None), ("h", Some("over"))];
        view.publish(1, over.map(|(key, over)| (bytes(key), over.map(value))));
        for limit in 1..8 {
            let mut from = bytes("a");
            let mut seen = Vec::new();
            loop {
                let chunk = view.range(&from, b"z", limit).expect("in memory");
                seen.extend(chunk.entries.iter().map(|(key, value)| {
                    (String::from_utf8_lossy(key).into_owned(), String::from_utf8_lossy(&value.bytes()).into_owned())
                }));
                let Some(next) = chunk.next else { break };
                assert!(next > from);
                from = next;
            }
            let want = [("a", "under"), ("c", "over"), ("d", "under"), ("f", "over"), ("h", "over")];
            assert_eq!(seen, want.map(|(key, value)| (key.to_owned(), value.to_owned())), "limit {limit}");
        }
        assert_eq!(view.get(b"b").expect("in memory"), None);
        assert_eq!(view.get(b"d").expect("in memory"), Some(value("under")));
    }

    #[test]
    fn draining_keeps_what_is_newer_than_the_index() {
        let view = View::new(Some(Arc::new(Fixed(BTreeMap::new()))));
        view.publish(1, [(bytes("a"), Some(value("1"))), (bytes("b"), Some(value("1")))]);
        view.publish(2, [(bytes("a"), Some(value("2")))]);
        view.drain(&[(bytes("a"), Some(value("1"))), (bytes("b"), Some(value("1")))], 1).expect("in memory");
        assert_eq!(view.get(b"a").expect("in memory"), Some(value("2")));
        assert_eq!(view.get(b"b").expect("in memory"), None);
    }
}
