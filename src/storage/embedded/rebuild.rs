//! Making an index anew from the journal.
//!
//! Whether it was the index or the history that failed is told apart here: the one means another index, the other
//! that there can be none.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::index::{Current, directory_of, generations};
use super::segments::Segments;
use super::tree::Tree;
use crate::storage::StorageError;
use crate::storage::key::{Change, Key};
use crate::storage::lock::{Mutex, RwLock, locked, reading, writing};
use crate::storage::replay;
use crate::storage::value::Value;
use crate::storage::view::{Chunk, Kv, Over};

/// Makes a new index of all frames through `through`: on disk, or in memory where the disk takes none.
pub(super) fn rebuild(
    directory: &Path,
    segments: &Arc<Segments>,
    cache_bytes: u64,
    through: u64,
) -> Result<(Current, u64), StorageError> {
    match rebuild_on_disk(directory, segments, cache_bytes, through) {
        Ok((tree, sequence)) => return Ok((Current::Sled(Arc::new(tree)), sequence)),
        Err(Filled::History(error)) => return Err(error),
        Err(Filled::Index(why)) => tracing::warn!(why, "no index can be made on disk; it is kept in memory"),
    }
    let map = RwLock::default();
    let sequence = Filling::Memory(&map).fill(segments, through).map_err(|filled| match filled {
        Filled::History(error) => error,
        Filled::Index(why) => StorageError::Poisoned { why },
    })?;
    Ok((Current::Memory(Arc::new(map)), sequence))
}

/// Makes a new index of all frames through `through` in a directory of its own, the next generation's. Where it cannot
/// be made, nothing of it is left.
pub(super) fn rebuild_on_disk(
    directory: &Path,
    segments: &Segments,
    cache_bytes: u64,
    through: u64,
) -> Result<(Tree, u64), Filled> {
    let generation = generations(directory).into_iter().max().unwrap_or(0).saturating_add(1);
    let path = directory_of(directory, generation);
    let made = Tree::open(path.clone(), generation, cache_bytes).map_err(Filled::Index).and_then(|tree| {
        let sequence = Filling::Tree(&tree).fill(segments, through)?;
        Ok((tree, sequence))
    });
    if made.is_err() {
        let _ = std::fs::remove_dir_all(path);
    }
    made
}

/// An index that is being rebuilt.
enum Filling<'a> {
    Tree(&'a Tree),
    Memory(&'a RwLock<BTreeMap<Key, Option<Value>>>),
}

/// Why a rebuild ended early.
pub(super) enum Filled {
    /// The journal cannot be replayed: no index can be made.
    History(StorageError),
    /// The index cannot be written: another kind may do.
    Index(String),
}

impl Filling<'_> {
    fn fill(&self, segments: &Segments, through: u64) -> Result<u64, Filled> {
        let broken = Mutex::new(None);
        let filling = Guarded { filling: self, broken: &broken };
        let filled =
            replay::all(segments, &filling, through, &mut |changes, frame| filling.note(self.apply(&changes, frame)));
        match (filled, locked(&broken).take()) {
            (_, Some(why)) => Err(Filled::Index(why)),
            (Ok(end), None) => Ok(end.sequence),
            (Err(error), None) => Err(Filled::History(error)),
        }
    }

    fn apply(&self, changes: &[Change], through: u64) -> Result<(), String> {
        match self {
            Filling::Tree(tree) => tree.apply(changes, through),
            Filling::Memory(map) => {
                put(map, changes);
                Ok(())
            }
        }
    }
}

/// Puts changes into an index in memory.
pub(super) fn put(map: &RwLock<BTreeMap<Key, Option<Value>>>, changes: &[Change]) {
    let mut map = writing(map);
    for (key, value) in changes {
        match value {
            Some(_) => map.insert(key.clone(), value.clone()),
            None => map.remove(key),
        };
    }
}

/// Remembers that it was the index that failed, not the history.
struct Guarded<'a> {
    filling: &'a Filling<'a>,
    broken: &'a Mutex<Option<String>>,
}

impl Guarded<'_> {
    fn note<T>(&self, answer: Result<T, String>) -> Result<T, StorageError> {
        answer.map_err(|why| {
            *locked(self.broken) = Some(why.clone());
            StorageError::Poisoned { why }
        })
    }
}

impl Kv for Guarded<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StorageError> {
        match self.filling {
            Filling::Tree(tree) => self.note(tree.get(key)),
            Filling::Memory(map) => Ok(reading(map).get(key).cloned().flatten()),
        }
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Chunk, StorageError> {
        match self.filling {
            Filling::Tree(tree) => self.note(tree.range(from, to, limit)),
            Filling::Memory(map) => Ok(Over::of(&reading(map), Clone::clone, from, to, limit).merge(Chunk::default())),
        }
    }
}
