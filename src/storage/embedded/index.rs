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
use super::rebuild::{put, rebuild};
use super::segments::Segments;
use super::tree::Tree;
use crate::domain::{Body, OrderId};
use crate::storage::StorageError;
use crate::storage::key::{self, Change, Key};
use crate::storage::lock::{AtomicBool, Mutex, Ordering, RwLock, locked, reading, writing};
use crate::storage::replay::{self, Stretch};
use crate::storage::value::Value;
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
    /// Why the journal cannot be replayed, once that was tried in vain: it takes as long as the journal is large, and an
    /// order that is damaged may be asked for often.
    unreplayable: Mutex<Option<String>>,
}

/// How far an index was brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// The last frame taken in.
    pub(super) through: u64,
    /// The last sequence up to there.
    pub(super) sequence: u64,
}

/// What the index is now.
#[derive(Clone)]
pub(super) enum Current {
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

/// Removes the directories of all generations but one.
pub(super) fn remove_all_but(ledger: &Path, kept: u32) {
    for generation in generations(ledger) {
        if generation != kept {
            let _ = std::fs::remove_dir_all(directory_of(ledger, generation));
        }
    }
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
        Index::of(directory, segments, cache_bytes, Current::Sled(Arc::new(tree)), progress, false)
    }

    /// A new index, rebuilt from the journal's first frame through `through`.
    pub(super) fn rebuilt(
        directory: &Path,
        segments: Arc<Segments>,
        cache_bytes: u64,
        through: u64,
    ) -> Result<Index, StorageError> {
        let (current, sequence) = rebuild(directory, &segments, cache_bytes, through)?;
        Ok(Index::of(directory, segments, cache_bytes, current, Progress { through, sequence }, true))
    }

    /// An empty index that is kept in memory.
    #[cfg(all(test, shuttle))]
    pub(super) fn in_memory(segments: Arc<Segments>) -> Index {
        let nothing = Progress { through: 0, sequence: 0 };
        Index::of(Path::new(""), segments, 0, Current::Memory(Arc::default()), nothing, false)
    }

    fn of(
        directory: &Path,
        segments: Arc<Segments>,
        cache_bytes: u64,
        current: Current,
        progress: Progress,
        renewed: bool,
    ) -> Index {
        Index {
            directory: directory.to_owned(),
            segments,
            cache_bytes,
            current: RwLock::new(current),
            progress: Mutex::new(progress),
            renewed: AtomicBool::new(renewed),
            unreplayable: Mutex::default(),
        }
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

    /// Keeps the body of an answer about an order, where the index is on disk: one in memory keeps none.
    pub(super) fn keep_body(&self, order: &OrderId, body: &Body) -> Result<(), StorageError> {
        // A sync brings the same rows again and again.
        if self.body(order)?.as_ref() == Some(body) {
            return Ok(());
        }
        let _progress = locked(&self.progress);
        self.of_tree(|tree| tree.put_body(&key::body(order), Some(body.expose()))).map(|_| ())
    }

    /// The body that is kept about an order.
    pub(super) fn body(&self, order: &OrderId) -> Result<Option<Body>, StorageError> {
        let body = self.of_tree(|tree| tree.body(&key::body(order)))?;
        Ok(body.flatten().map(Body::new))
    }

    /// Erases the body that is kept about an order, and syncs that; tells its size.
    pub(super) fn forget_body(&self, order: &OrderId) -> Result<Option<usize>, StorageError> {
        let found = self.body(order)?.map(|body| body.size_bytes());
        let _progress = locked(&self.progress);
        // Also where none was found whole: parts of one may be there.
        self.of_tree(|tree| tree.put_body(&key::body(order), None).and_then(|()| tree.sync()))?;
        Ok(found)
    }

    /// Copies all bodies to another generation; tells how many bytes.
    pub(super) fn copy_bodies_to(&self, other: &Tree) -> Result<u64, String> {
        match self.of_tree(|tree| other.take_bodies_of(tree)) {
            Ok(bytes) => Ok(bytes.unwrap_or(0)),
            Err(error) => Err(super::journal::words(&error)),
        }
    }

    /// Asks the tree for what no journal can give back: where it has no answer, nothing is rebuilt for that.
    fn of_tree<T>(&self, ask: impl FnOnce(&Tree) -> Result<T, String>) -> Result<Option<T>, StorageError> {
        match reading(&self.current).clone() {
            Current::Sled(tree) => match ask(&tree) {
                Ok(answer) => Ok(Some(answer)),
                Err(why) => {
                    let (doing, path) = ("use the bodies in", tree.path().to_owned());
                    Err(StorageError::Io { doing, path, source: std::io::Error::other(why) })
                }
            },
            Current::Memory(_) => Ok(None),
            Current::Closed => Err(StorageError::Closed),
        }
    }

    /// Removes the directories of all generations but the one in use.
    pub(super) fn remove_others(&self) {
        let Current::Sled(tree) = reading(&self.current).clone() else { return };
        remove_all_but(&self.directory, tree.generation);
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
        if let Some(why) = &*locked(&self.unreplayable) {
            return Err(StorageError::Poisoned { why: why.clone() });
        }
        tracing::warn!(why, "the index is broken and is rebuilt from the journal");
        let rebuilt = rebuild(&self.directory, &self.segments, self.cache_bytes, progress.through);
        if let Err(error @ StorageError::Damaged { .. }) = &rebuilt {
            *locked(&self.unreplayable) = Some(super::journal::words(error));
        }
        let (next, _) = rebuilt?;
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
