//! The index: a sled database that may fail in any way at any time, made good again from the journal.
//!
//! Whatever sled answers that is not an answer (an error, a panic, a value that is not whole) ends this
//! generation: the next is rebuilt from the journal through the frame that had been taken in, while the
//! caller waits, and the call is made again. Where even that fails (the disk is full), the index is kept
//! in memory until the ledger is opened again. So the index costs time, never an answer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint::Checkpoint;
use super::segments::Segments;
use super::tree::Tree;
use crate::storage::StorageError;
use crate::storage::key::{Change, Key, Value};
use crate::storage::lock::{AtomicBool, Mutex, Ordering, RwLock, locked, reading, writing};
use crate::storage::replay::{self, Stretch};
use crate::storage::view::{Base, Chunk, Kv, Over};

/// The index behind the overlay.
pub(super) struct Index {
    /// The ledger's directory.
    directory: PathBuf,
    segments: Arc<Segments>,
    cache_bytes: u64,
    current: RwLock<Current>,
    /// How far it was brought; whoever changes the index holds this.
    progress: Mutex<Progress>,
    /// It was rebuilt while in use, and no checkpoint says so yet.
    renewed: AtomicBool,
}

/// How far an index was brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// The last frame taken in.
    pub(super) through: u64,
    /// The last sequence up to there.
    pub(super) sequence: u64,
}

#[derive(Clone)]
enum Current {
    Sled(Arc<Tree>),
    Memory(Arc<RwLock<BTreeMap<Key, Option<Value>>>>),
    Closed,
}

/// Where the index of a generation lives.
pub(super) fn directory_of(ledger: &Path, generation: u32) -> PathBuf {
    ledger.join(format!("index-{generation}"))
}

/// The generations whose directories are there.
pub(super) fn generations(ledger: &Path) -> Vec<u32> {
    let entries = std::fs::read_dir(ledger).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.strip_prefix("index-")?.parse().ok()).collect()
}

impl Index {
    /// An index that is on disk already and was brought so far.
    pub(super) fn kept(
        directory: &Path,
        segments: Arc<Segments>,
        cache_bytes: u64,
        tree: Tree,
        progress: Progress,
    ) -> Index {
        let current = RwLock::new(Current::Sled(Arc::new(tree)));
        let (directory, progress) = (directory.to_owned(), Mutex::new(progress));
        Index { directory, segments, cache_bytes, current, progress, renewed: AtomicBool::new(false) }
    }

    /// A new index, rebuilt from the journal's first frame through `through`.
    pub(super) fn rebuilt(
        directory: &Path,
        segments: Arc<Segments>,
        cache_bytes: u64,
        through: u64,
    ) -> Result<Index, StorageError> {
        let (current, sequence) = rebuild(directory, &segments, cache_bytes, through)?;
        let (current, progress) = (RwLock::new(current), Mutex::new(Progress { through, sequence }));
        let (directory, renewed) = (directory.to_owned(), AtomicBool::new(true));
        Ok(Index { directory, segments, cache_bytes, current, progress, renewed })
    }

    /// An empty index that is kept in memory.
    #[cfg(all(test, shuttle))]
    pub(super) fn in_memory(segments: Arc<Segments>) -> Index {
        let current = RwLock::new(Current::Memory(Arc::default()));
        let progress = Mutex::new(Progress { through: 0, sequence: 0 });
        let (directory, renewed) = (PathBuf::new(), AtomicBool::new(false));
        Index { directory, segments, cache_bytes: 0, current, progress, renewed }
    }

    /// Brings the index from where it is to `through`.
    pub(super) fn catch_up(&self, through: u64) -> Result<(), StorageError> {
        let Progress { through: after, sequence } = self.progress();
        let stretch = Stretch { after, sequence, through };
        let last = replay::stretch(&*self.segments, self, stretch, &mut |changes, frame| self.apply(&changes, frame))?;
        locked(&self.progress).sequence = last.sequence;
        Ok(())
    }

    pub(super) fn progress(&self) -> Progress {
        *locked(&self.progress)
    }

    /// Notes the last sequence of what was applied.
    pub(super) fn reached(&self, sequence: u64) {
        locked(&self.progress).sequence = sequence;
    }

    /// Whether it was made anew since this was last asked.
    pub(super) fn take_renewed(&self) -> bool {
        self.renewed.swap(false, Ordering::AcqRel)
    }

    /// Makes the index durable; tells what the journal may say of it, unless it is kept in memory.
    pub(super) fn sync(&self) -> Option<Checkpoint> {
        let progress = locked(&self.progress);
        let Current::Sled(tree) = reading(&self.current).clone() else { return None };
        match tree.sync() {
            Ok(()) => Some(Checkpoint::of(&tree, *progress, false)),
            Err(why) => {
                drop(progress);
                tracing::warn!(why, "the index cannot be synced");
                let _ = self.renew(Some(tree.generation), &why);
                None
            }
        }
    }

    /// Lets go of the index; tells what the journal may say of it, if all of it is on disk.
    pub(super) fn close(&self) -> Option<Checkpoint> {
        let progress = locked(&self.progress);
        let Current::Sled(tree) = std::mem::replace(&mut *writing(&self.current), Current::Closed) else {
            return None;
        };
        let whole = Checkpoint::of(&tree, *progress, true);
        // A read that is under way holds the tree a moment longer; sled would close behind our sync.
        let mut shared = tree;
        for _ in 0..200 {
            match Arc::try_unwrap(shared) {
                Ok(tree) => {
                    return match tree.close() {
                        Ok(()) => Some(whole),
                        Err(why) => {
                            tracing::warn!(why, "the index was not closed cleanly and will be rebuilt");
                            None
                        }
                    };
                }
                Err(still_shared) => shared = still_shared,
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        None
    }

    /// Removes the directories of all generations but the one in use.
    pub(super) fn remove_others(&self) {
        let Current::Sled(tree) = reading(&self.current).clone() else { return };
        for generation in generations(&self.directory) {
            if generation != tree.generation {
                let _ = std::fs::remove_dir_all(directory_of(&self.directory, generation));
            }
        }
    }

    /// Asks the index, and once more after a rebuild where it gave no answer.
    fn ask<T>(
        &self,
        of_tree: impl Fn(&Tree) -> Result<T, String>,
        of_memory: impl Fn(&BTreeMap<Key, Option<Value>>) -> T,
    ) -> Result<T, StorageError> {
        for _ in 0..3 {
            // Not in the `match` itself: its lock would be held while the index is renewed.
            let current = reading(&self.current).clone();
            match current {
                Current::Sled(tree) => match of_tree(&tree) {
                    Ok(answer) => return Ok(answer),
                    Err(why) => self.renew(Some(tree.generation), &why)?,
                },
                Current::Memory(map) => return Ok(of_memory(&reading(&map))),
                Current::Closed => return Err(StorageError::Closed),
            }
        }
        Err(StorageError::Poisoned { why: "the index fails again after each rebuild".to_owned() })
    }

    /// Ends a generation (whichever is current, if none is given) and rebuilds the next.
    fn renew(&self, broken: Option<u32>, why: &str) -> Result<(), StorageError> {
        let progress = locked(&self.progress);
        let old = reading(&self.current).clone();
        match &old {
            Current::Closed => return Err(StorageError::Closed),
            // Somebody else was faster.
            Current::Sled(tree) if broken.is_some_and(|broken| broken != tree.generation) => return Ok(()),
            Current::Memory(_) if broken.is_some() => return Ok(()),
            Current::Sled(_) | Current::Memory(_) => {}
        }
        tracing::warn!(why, "the index is broken and is rebuilt from the journal");
        let (next, _) = rebuild(&self.directory, &self.segments, self.cache_bytes, progress.through)?;
        *writing(&self.current) = next;
        drop(progress);
        self.renewed.store(true, Ordering::Release);
        // What sled does when a broken database is dropped is nothing to wait for.
        std::thread::spawn(move || {
            if let Current::Sled(tree) = old {
                let path = tree.path().to_owned();
                let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(tree)));
                let _ = (dropped, std::fs::remove_dir_all(path));
            }
        });
        Ok(())
    }
}

/// Makes a new index of all frames through `through`: on disk, or in memory where the disk takes none.
fn rebuild(
    directory: &Path,
    segments: &Arc<Segments>,
    cache_bytes: u64,
    through: u64,
) -> Result<(Current, u64), StorageError> {
    let generation = generations(directory).into_iter().max().unwrap_or(0).saturating_add(1);
    let path = directory_of(directory, generation);
    let on_disk = Tree::open(path.clone(), generation, cache_bytes).and_then(|tree| {
        let filling = Filling::Tree(&tree);
        match filling.fill(segments, through) {
            Ok(sequence) => Ok(Ok((tree, sequence))),
            Err(Filled::History(error)) => Ok(Err(error)),
            Err(Filled::Index(why)) => Err(why),
        }
    });
    match on_disk {
        Ok(Ok((tree, sequence))) => return Ok((Current::Sled(Arc::new(tree)), sequence)),
        Ok(Err(error)) => {
            let _ = std::fs::remove_dir_all(path);
            return Err(error);
        }
        Err(why) => tracing::warn!(why, "no index can be made on disk; it is kept in memory"),
    }
    let _ = std::fs::remove_dir_all(path);
    let map = RwLock::default();
    let sequence = Filling::Memory(&map).fill(segments, through).map_err(|filled| match filled {
        Filled::History(error) => error,
        Filled::Index(why) => StorageError::Poisoned { why },
    })?;
    Ok((Current::Memory(Arc::new(map)), sequence))
}

/// An index that is being rebuilt.
enum Filling<'a> {
    Tree(&'a Tree),
    Memory(&'a RwLock<BTreeMap<Key, Option<Value>>>),
}

/// Why a rebuild ended early.
enum Filled {
    /// The journal cannot be replayed: no index can be made.
    History(StorageError),
    /// The index cannot be written: another kind may do.
    Index(String),
}

impl Filling<'_> {
    fn fill(&self, segments: &Segments, through: u64) -> Result<u64, Filled> {
        let broken = Mutex::new(None);
        let filling = Guarded { filling: self, broken: &broken };
        let stretch = Stretch { after: 0, sequence: 0, through };
        let filled = replay::stretch(segments, &filling, stretch, &mut |changes, frame| {
            filling.note(self.apply(&changes, frame))
        });
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

fn put(map: &RwLock<BTreeMap<Key, Option<Value>>>, changes: &[Change]) {
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

impl Kv for Index {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StorageError> {
        self.ask(|tree| tree.get(key), |map| map.get(key).cloned().flatten())
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Chunk, StorageError> {
        self.ask(
            |tree| tree.range(from, to, limit),
            |map| Over::of(map, Clone::clone, from, to, limit).merge(Chunk::default()),
        )
    }

    fn distrust(&self, why: &str) -> Result<(), StorageError> {
        self.renew(None, why)
    }
}

impl Base for Index {
    fn apply(&self, changes: &[Change], through: u64) -> Result<(), StorageError> {
        for _ in 0..3 {
            let mut progress = locked(&self.progress);
            let current = reading(&self.current).clone();
            let applied = match &current {
                Current::Sled(tree) => tree.apply(changes, through).map_err(|why| (tree.generation, why)),
                Current::Memory(map) => {
                    put(map, changes);
                    Ok(())
                }
                Current::Closed => return Err(StorageError::Closed),
            };
            match applied {
                Ok(()) => {
                    progress.through = through;
                    return Ok(());
                }
                Err((generation, why)) => {
                    drop(progress);
                    self.renew(Some(generation), &why)?;
                }
            }
        }
        Err(StorageError::Poisoned { why: "the index fails again after each rebuild".to_owned() })
    }
}
