//! Opening a ledger: what the journal proves, what of the index can be kept, what has to be done first.
//!
//! The order matters. First everything that will be relied on is read and verified, so that damage is
//! refused with nothing changed. Then, after an unclean stop, the index, for what it is made from may be
//! refused too; then the journal's end is written again and synced. The index is kept after a clean close,
//! or after a stop within the same boot (the page cache survived); after anything else it is rebuilt, for
//! sled's own word on what is on disk is not enough.

use std::path::Path;
use std::sync::Arc;

use super::EmbeddedOptions;
use super::checkpoint::Checkpoint;
use super::disk::{Directory, Disk};
use super::frame::Kind;
use super::index::{Index, Progress, directory_of, generations};
use super::journal::Journal;
use super::os;
use super::owner::{Owner, make_directory};
use super::segments::{End, Segments};
use super::tree::Tree;
use crate::domain::RefundState;
use crate::storage::StorageError;
use crate::storage::group::Room;
use crate::storage::index::INDEX_FORMAT;
use crate::storage::key;
use crate::storage::view::{self, Kv};

/// A ledger that is open, before its threads start.
pub(super) struct Opened {
    pub(super) owner: Owner,
    pub(super) segments: Arc<Segments>,
    pub(super) journal: Journal,
    pub(super) index: Arc<Index>,
}

/// What is known of the last checkpoint.
struct LastCheckpoint {
    checkpoint: Checkpoint,
    /// Nothing came after it.
    is_last: bool,
}

pub(super) fn open(directory: &Path, options: &EmbeddedOptions) -> Result<Opened, StorageError> {
    let journal_directory = make_directory(directory)?;
    let owner = Owner::take(directory, options.lock_wait)?;
    let disk = options.disk.clone().unwrap_or_else(|| Arc::new(Directory::new(&journal_directory)) as Arc<dyn Disk>);
    let segments = Arc::new(Segments::new(disk, &journal_directory));
    let Some(last) = segments.last_begun()? else {
        return create(directory, options, owner, segments);
    };
    let checkpoint = last_checkpoint(&segments, last)?;
    let kept = checkpoint.as_ref().and_then(|last| trusted(directory, last));
    let first = match kept {
        Some(checkpoint) => segments.segment_of(checkpoint.through + 1, last)?,
        None => 1,
    };
    let end = segments.frames(first, &mut |_| Ok(()))?;
    let clean = checkpoint.as_ref().is_some_and(|last| last.is_last && last.checkpoint.clean) && end.torn.is_none();
    let open_kept = || kept.map_or(Ok(None), |kept| open_tree(directory, options, kept, &segments, end));
    let resume = |leave| Journal::resume(Arc::clone(&segments), end, options.segment_bytes(), leave);
    let indexed = |tree, through| {
        let cache_bytes = options.cache_bytes();
        let index = match (tree, kept) {
            (Some(tree), Some(Checkpoint { through, sequence, .. })) => {
                let progress = Progress { through: *through, sequence: *sequence };
                let index = Index::kept(directory, Arc::clone(&segments), cache_bytes, tree, progress);
                // What a rebuild or a compaction left that ended early: no checkpoint names it.
                index.remove_others();
                index
            }
            _ => Index::rebuilt(directory, Arc::clone(&segments), cache_bytes, through)?,
        };
        index.catch_up(through)?;
        Ok::<_, StorageError>(index)
    };
    let (mut journal, index) = if clean {
        let mut journal = resume(false)?;
        let may_use = kept.map_or(Ok(false), |kept| begin_session(&mut journal, kept))?;
        let index = indexed(if may_use { open_kept()? } else { None }, journal.number())?;
        (journal, index)
    } else {
        // The index first: where it has seen frames that the journal lost, or where a frame holds what cannot be read,
        // nothing may be cut off.
        let index = indexed(open_kept()?, end.chain.number)?;
        (resume(true)?, index)
    };
    begin_index(&index, &mut journal)?;
    Ok(Opened { owner, segments, journal, index: Arc::new(index) })
}

fn create(
    directory: &Path,
    options: &EmbeddedOptions,
    owner: Owner,
    segments: Arc<Segments>,
) -> Result<Opened, StorageError> {
    if !generations(directory).is_empty() && options.disk.is_none() {
        let why = "there is an index, and the journal it was made from is gone".to_owned();
        return Err(StorageError::Damaged { path: segments.path(1), position: 0, why });
    }
    let mut journal = Journal::create(Arc::clone(&segments), options.segment_bytes())?;
    let index = Index::rebuilt(directory, Arc::clone(&segments), options.cache_bytes(), 0)?;
    begin_index(&index, &mut journal)?;
    Ok(Opened { owner, segments, journal, index: Arc::new(index) })
}

/// The last checkpoint in the journal, looked for from its end.
fn last_checkpoint(segments: &Segments, last: u32) -> Result<Option<LastCheckpoint>, StorageError> {
    for segment in (1..=last).rev() {
        let mut found: Option<LastCheckpoint> = None;
        segments.frames_in(segment, segment == last, &mut |frame| {
            if frame.header.kind == Kind::Checkpoint {
                found =
                    Checkpoint::decode(frame.payload).map(|checkpoint| LastCheckpoint { checkpoint, is_last: true });
            } else if let Some(last) = &mut found {
                last.is_last = false;
            }
            Ok(())
        })?;
        if let Some(mut checkpoint) = found {
            checkpoint.is_last &= segment == last;
            return Ok(Some(checkpoint));
        }
    }
    Ok(None)
}

/// Whether the index that a checkpoint speaks of can still be what it says.
fn trusted<'a>(directory: &Path, last: &'a LastCheckpoint) -> Option<&'a Checkpoint> {
    let checkpoint = &last.checkpoint;
    let path = directory_of(directory, checkpoint.generation);
    let (format, known) = (checkpoint.format, INDEX_FORMAT);
    if format != known {
        tracing::warn!(
            format,
            known,
            "another version made the index: it is made anew from the journal, nothing is lost"
        );
    }
    let is_there = format == known && path.is_dir();
    let same_boot = checkpoint.boot.is_some() && checkpoint.boot == os::boot();
    let same_file = checkpoint.identity.is_some() && checkpoint.identity == os::identity(&path.join("db"));
    let untouched = checkpoint.clean && last.is_last;
    (is_there && (untouched || (same_boot && same_file))).then_some(checkpoint)
}

/// Says in the journal that the index is in use from now on, before sled touches its files: after a power
/// cut it would else pass for the whole one that was closed. Where the disk is too full to say so, the index
/// is left alone.
fn begin_session(journal: &mut Journal, checkpoint: &Checkpoint) -> Result<bool, StorageError> {
    let in_use = Checkpoint { boot: os::boot(), clean: false, ..checkpoint.clone() };
    match journal.append(Kind::Checkpoint, &in_use.encode(), Room::Free, checkpoint.sending) {
        Ok(_) => Ok(true),
        Err(StorageError::DiskFull { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Says in the journal that an index was made anew, so that it need not be again; then the old ones can go.
fn begin_index(index: &Index, journal: &mut Journal) -> Result<(), StorageError> {
    if index.take_renewed()
        && let Some(checkpoint) = index.sync()
    {
        let sending = count_sending(index)?;
        match journal.append(Kind::Checkpoint, &checkpoint.encode(), Room::Free, sending) {
            Ok(_) => index.remove_others(),
            Err(StorageError::DiskFull { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// How many refunds are being sent.
pub(super) fn count_sending(kv: &dyn Kv) -> Result<u64, StorageError> {
    let entries = view::all(kv, &key::states(RefundState::Sending).key())?;
    Ok(entries.len() as u64)
}

/// Opens the index that a checkpoint speaks of. `None`: it has to be rebuilt.
///
/// # Errors
/// [`StorageError::Damaged`] where the index has seen frames that the journal no longer has.
fn open_tree(
    directory: &Path,
    options: &EmbeddedOptions,
    checkpoint: &Checkpoint,
    segments: &Segments,
    end: End,
) -> Result<Option<Tree>, StorageError> {
    let path = directory_of(directory, checkpoint.generation);
    let opened = Tree::open(path, checkpoint.generation, options.cache_bytes())
        .and_then(|tree| tree.applied().map(|applied| (tree, applied)));
    match opened {
        Ok((_, Some(applied))) if applied > end.chain.number => {
            let (path, position) = (segments.path(end.segment), end.offset);
            let why = format!("it ends with frame {}, and the index has seen frame {applied}", end.chain.number);
            Err(StorageError::Damaged { path, position, why })
        }
        Ok((tree, Some(applied))) if applied >= checkpoint.through => Ok(Some(tree)),
        Ok((_, applied)) => {
            tracing::warn!(?applied, through = checkpoint.through, "the index is behind its checkpoint: rebuilding it");
            Ok(None)
        }
        Err(why) => {
            tracing::warn!(why, "the index cannot be opened: rebuilding it");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_is_in_use_again_is_one_of_this_boot() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let segments = Arc::new(Segments::new(Arc::new(Directory::new(directory.path())), directory.path()));
        let mut journal = Journal::create(Arc::clone(&segments), 1 << 20).expect("created");
        let closed = Checkpoint {
            generation: 1,
            format: INDEX_FORMAT,
            through: 0,
            sequence: 0,
            boot: Some("the one before".to_owned()),
            identity: None,
            sending: 0,
            clean: true,
        };
        assert!(begin_session(&mut journal, &closed).expect("written"));
        let last = last_checkpoint(&segments, 1).expect("readable").expect("there is one");
        assert_eq!(last.checkpoint, Checkpoint { boot: os::boot(), clean: false, ..closed });
    }
}
