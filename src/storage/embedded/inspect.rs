//! A check from outside: of the journal, beside whoever owns it, past its damage; and of the index where it was closed
//! properly.
//!
//! The index is compared by a copy of it, for sled writes to what it opens. Whether an owner came in between is told by
//! the journal: it says that an index is in use before sled touches its files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint::Checkpoint;
use super::disk::Directory;
use super::frame::Kind;
use super::index::{Index, Progress, directory_of};
use super::segments::Segments;
use super::tree::Tree;
use super::{making, os};
use crate::storage::check::{self, CheckReport, Noted};
use crate::storage::index::INDEX_FORMAT;
use crate::storage::place::History;
use crate::storage::reader::Reader;
use crate::storage::view::{Base, View};
use crate::storage::{Difference, StorageError};

/// Checks the ledger in a directory as [`Storage::check`](crate::storage::Storage::check) does, without owning or
/// changing it, and tells what can be told of a damaged one, which no open takes. With `noted`: also whether the history
/// still is the one that was noted elsewhere. Blocks.
///
/// An index is compared where its owner closed it; a note in the report says where it was not. A copy of it goes to the
/// system's directory for temporary files meanwhile, for this user's eyes only; a process that is killed leaves it there.
///
/// # Errors
/// [`StorageError::NoLedger`], [`StorageError::Unfinished`], [`StorageError::NewerFormat`], IO. What is wrong with the
/// ledger is no error: it is in the report.
pub fn verify(directory: impl AsRef<Path>, noted: Option<&Noted>) -> Result<CheckReport, StorageError> {
    let directory = directory.as_ref();
    let journal = making::journal_of(directory)?;
    let segments = Arc::new(Segments::new(Arc::new(Directory::new(&journal)), &journal));
    if segments.ids()?.is_empty() {
        return Err(StorageError::NoLedger { path: directory.to_owned() });
    }
    match IndexCopy::take(directory, &segments) {
        Ok(copy) => copy.check(noted),
        Err(why) => check::check_history(&*segments, noted, &format!("the index was not compared: {why}")),
    }
}

/// An index as it was when it was closed, in a directory of its own.
struct IndexCopy {
    segments: Arc<Segments>,
    index: Arc<Index>,
    through: u64,
    // Dropped last: sled lets go of its files first.
    _directory: Scratch,
}

/// Memory for the pages of the copy.
const CACHE_BYTES: u64 = 32 << 20;

impl IndexCopy {
    /// Why there is none: in words.
    fn take(directory: &Path, segments: &Arc<Segments>) -> Result<IndexCopy, String> {
        let (through, checkpoint) = closed(segments)?;
        let path = directory_of(directory, checkpoint.generation);
        if checkpoint.format != INDEX_FORMAT || !path.is_dir() {
            return Err("there is none; the next open makes it anew".to_owned());
        }
        let scratch = Scratch::new().map_err(|e| format!("it could not be copied ({e})"))?;
        let copy = directory_of(&scratch.path, checkpoint.generation);
        copy_all(&path, &copy).map_err(|e| format!("it could not be copied ({e})"))?;
        if closed(segments)?.0 != through {
            return Err("the ledger was opened meanwhile".to_owned());
        }
        let tree = Tree::open(copy, checkpoint.generation, CACHE_BYTES);
        let tree = tree.map_err(|why| format!("it cannot be opened ({why}); the next open makes it anew"))?;
        let progress = Progress { through: checkpoint.through, sequence: checkpoint.sequence };
        let index = Arc::new(Index::kept(&scratch.path, Arc::clone(segments), CACHE_BYTES, tree, progress));
        Ok(IndexCopy { segments: Arc::clone(segments), index, through, _directory: scratch })
    }

    fn check(self, noted: Option<&Noted>) -> Result<CheckReport, StorageError> {
        let base: Arc<dyn Base> = self.index.clone();
        let history: Arc<dyn History> = self.segments.clone();
        let reader = Reader::new(View::new(Some(base)), history, 1, self.through, self.index.progress().sequence)?;
        let mut report = check::check(&reader, noted, || Ok((self.through, ())))?;
        drop(reader);
        if self.index.take_renewed() {
            report.differences.push(Difference {
                order: None,
                sequence: None,
                position: None,
                what: "the index cannot be read".to_owned(),
                money: None,
                advice: check::REBUILD,
            });
        }
        drop(self.index.close());
        Ok(report)
    }
}

/// The last frame's number and what it says, where that is how the index was closed.
fn closed(segments: &Segments) -> Result<(u64, Checkpoint), String> {
    let in_use = || "the ledger is in use, or its last owner was killed; the next open proves it or makes it anew";
    let damaged = |_| "the journal that it is made from cannot be read".to_owned();
    let last = segments.last_begun().map_err(damaged)?.ok_or_else(in_use)?;
    let mut found = None;
    let read = segments.frames_in(last, true, &mut |frame| {
        found = match frame.header.kind {
            Kind::Checkpoint => Checkpoint::decode(frame.payload).map(|checkpoint| (frame.header.number, checkpoint)),
            Kind::Commit | Kind::Unknown(_) => None,
        };
        Ok(())
    });
    let end = read.map_err(damaged)?;
    found.filter(|(_, checkpoint)| checkpoint.clean && end.torn.is_none()).ok_or_else(|| in_use().to_owned())
}

/// A directory for this user's eyes only, gone when it is dropped.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new() -> std::io::Result<Scratch> {
        let path = std::env::temp_dir().join(format!("tillbook-verify-{}", uuid::Uuid::new_v4()));
        os::private_directory(&path)?;
        Ok(Scratch { path })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "could not remove the copy of the index");
        }
    }
}

fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let (from, to) = entry.map(|entry| (entry.path(), to.join(entry.file_name())))?;
        if from.is_dir() { copy_all(&from, &to)? } else { std::fs::copy(&from, &to).map(drop)? }
    }
    Ok(())
}
