//! Rewriting the index: what sled left behind in its files goes, and what was erased is gone from them.
//!
//! The journal's segments are never rewritten. A new generation of the index is made from them in full, with the
//! bodies of the old one unless those are to go; only when it is on disk does a checkpoint in the journal name it, and
//! only then does the old one go. So whatever ends this, at any step, leaves an index that is in use and whole.

use std::path::Path;

use super::checkpoint::Checkpoint;
use super::frame::Kind;
use super::index::{Index, Progress, directory_of, generations, remove_all_but};
use super::journal::Journal;
use super::open::{self, Opened, count_sending};
use super::rebuild::{Filled, rebuild_on_disk};
use super::segments::Segments;
use super::{Embedded, EmbeddedOptions};
use crate::storage::StorageError;
use crate::storage::group::Room;

/// What a compaction is to erase beside what is erased already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Erase {
    /// Nothing: what was forgotten one by one goes for good, the other bodies stay.
    #[default]
    Nothing,
    /// Every body that is kept.
    Bodies,
}

/// What a compaction did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// Bytes of all indexes that were there.
    pub before_bytes: u64,
    /// Bytes of the one that is there now.
    pub after_bytes: u64,
    /// Bytes of bodies that it holds.
    pub bodies_bytes: u64,
}

/// What has been done when a compaction is at this point: for tests that end it there.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompactStep {
    /// The ledger is open, the new index is not begun.
    Opened,
    /// The new index holds the journal, not yet the bodies.
    Filled,
    /// It holds all, and is closed and synced.
    Synced,
    /// The checkpoint that names it is on disk.
    Named,
    /// The old one is gone.
    Removed,
}

impl CompactStep {
    /// All, in order.
    pub const ALL: [CompactStep; 5] = {
        use CompactStep::{Filled, Named, Opened, Removed, Synced};
        [Opened, Filled, Synced, Named, Removed]
    };
}

/// Told at each step; an error there is one of the index.
type At<'a> = &'a mut dyn FnMut(CompactStep) -> Result<(), String>;

impl Embedded {
    /// Rewrites the index of a ledger that nobody has open: a new one is made from the journal and takes the old
    /// one's place. Blocks, for about as long as a rebuild takes, and needs room for both on the disk meanwhile.
    ///
    /// # Durability
    /// When it returns `Ok`, the new index is the one in use and the old one's files are removed. What a file system
    /// or a backup keeps of removed files is not this ledger's to erase.
    ///
    /// # Errors
    /// [`StorageError::NoLedger`], those of [`Embedded::open`], and [`StorageError::Io`] or [`StorageError::DiskFull`]
    /// where no new index can be made: the old one stays in use, and nothing is lost.
    pub fn compact(
        directory: impl AsRef<Path>,
        options: &EmbeddedOptions,
        erase: Erase,
    ) -> Result<Compacted, StorageError> {
        Embedded::compact_by_steps(directory, options, erase, &mut |_| Ok(()))
    }

    /// For tests: the same, telling each step.
    ///
    /// # Errors
    /// As [`Embedded::compact`].
    #[doc(hidden)]
    pub fn compact_by_steps(
        directory: impl AsRef<Path>,
        options: &EmbeddedOptions,
        erase: Erase,
        at: &mut dyn FnMut(CompactStep) -> Result<(), String>,
    ) -> Result<Compacted, StorageError> {
        let directory = directory.as_ref();
        if !directory.join("journal").is_dir() {
            return Err(StorageError::NoLedger { path: directory.to_owned() });
        }
        let before_bytes = generations(directory).into_iter().map(|generation| size_of(directory, generation)).sum();
        let Opened { owner, segments, mut journal, index } = open::open(directory, options)?;
        let sending = count_sending(&*index)?;
        let made = make(directory, options, &segments, &index, journal.number(), erase, at);
        let (next, bodies_bytes) = match made {
            Ok(made) => made,
            Err(error) => {
                keep_old(&index, &mut journal, sending);
                return Err(error);
            }
        };
        let next = Checkpoint { sending, ..next };
        let named = journal.append(Kind::Checkpoint, &next.encode(), Room::Free, sending);
        if let Err(error) = named {
            if matches!(error, StorageError::DiskFull { .. }) {
                let _ = std::fs::remove_dir_all(directory_of(directory, next.generation));
                keep_old(&index, &mut journal, sending);
            }
            return Err(error);
        }
        let failed = |why| failed(directory, next.generation, why);
        at(CompactStep::Named).map_err(failed)?;
        let _ = index.close();
        remove_all_but(directory, next.generation);
        at(CompactStep::Removed).map_err(failed)?;
        segments.close();
        drop(owner);
        Ok(Compacted { before_bytes, after_bytes: size_of(directory, next.generation), bodies_bytes })
    }
}

/// Makes the next generation, closed and synced; tells what the journal may say of it, and what bodies it has.
fn make(
    directory: &Path,
    options: &EmbeddedOptions,
    segments: &Segments,
    old: &Index,
    through: u64,
    erase: Erase,
    at: At<'_>,
) -> Result<(Checkpoint, u64), StorageError> {
    let next = generations(directory).into_iter().max().unwrap_or(0).saturating_add(1);
    let failed = |why| failed(directory, next, why);
    at(CompactStep::Opened).map_err(failed)?;
    let rebuilt = rebuild_on_disk(directory, segments, options.cache_bytes(), through);
    let (tree, sequence) = rebuilt.map_err(|filled| match filled {
        Filled::History(error) => error,
        Filled::Index(why) => failed(why),
    })?;
    let generation = tree.generation;
    let filled = at(CompactStep::Filled).and_then(|()| match erase {
        Erase::Nothing => old.copy_bodies_to(&tree),
        Erase::Bodies => Ok(0),
    });
    let whole = Checkpoint::of(&tree, Progress { through, sequence }, true);
    let closed = tree.close();
    let synced = filled.and_then(|bodies_bytes| {
        closed?;
        at(CompactStep::Synced)?;
        Ok((whole, bodies_bytes))
    });
    synced.map_err(|why| {
        let _ = std::fs::remove_dir_all(directory_of(directory, generation));
        failed(why)
    })
}

/// Goes on with the old index, as a clean close leaves it.
fn keep_old(index: &Index, journal: &mut Journal, sending: u64) {
    if let Some(whole) = index.close() {
        // Where there is no room to say so, the next open makes sure itself.
        let _ = journal.append(Kind::Checkpoint, &Checkpoint { sending, ..whole }.encode(), Room::Free, sending);
    }
}

fn failed(directory: &Path, generation: u32, why: String) -> StorageError {
    let (doing, path) = ("make a new index (the old one stays in use) in", directory_of(directory, generation));
    StorageError::Io { doing, path, source: std::io::Error::other(why) }
}

/// Bytes of the files of a generation.
fn size_of(ledger: &Path, generation: u32) -> u64 {
    fn below(directory: &Path) -> u64 {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        entries.map(|entry| if entry.path().is_dir() { below(&entry.path()) } else { length(&entry) }).sum()
    }
    fn length(entry: &std::fs::DirEntry) -> u64 {
        entry.metadata().map_or(0, |metadata| metadata.len())
    }
    below(&directory_of(ledger, generation))
}
