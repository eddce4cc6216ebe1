//! A copy of the journal, taken beside whoever writes it: without lock, index or replay.
//!
//! A journal only grows, so what was verified once stays as it was while it is copied. The copy is read back before
//! it gets its name. The index is not copied: whoever opens the backup makes a new one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::disk::Directory;
use super::frame::{FRAME_HEADER, Kind, SEGMENT_HEADER};
use super::making::{self, MadeBy, Making, failed};
use super::segments::Segments;
use crate::storage::lines::{Line, lines};
use crate::storage::place::{History, Link};
use crate::storage::{BackedUp, JournalHead, StorageError};

/// Copies the ledger in a directory into a new one, beside a process that may own it. The copy opens in quarantine;
/// reading it leaves it as it is. Blocks.
///
/// # Durability
/// `Ok` means: all that was acknowledged before the call is in the copy, the copy was read back, and it survives a power
/// cut. A crash before that leaves what every open refuses as unfinished.
///
/// # Errors
/// [`StorageError::NotEmpty`]; [`StorageError::Damaged`] where there is nothing whole to copy; no room, IO. Nothing is
/// left of the copy then.
pub fn backup(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<BackedUp, StorageError> {
    let journal = making::journal_of(from.as_ref())?;
    copy(&Segments::new(Arc::new(Directory::new(&journal)), &journal), to.as_ref())
}

/// The same for a journal that is open.
pub(super) fn copy(segments: &Segments, to: &Path) -> Result<BackedUp, StorageError> {
    let none = || StorageError::NoLedger { path: segments.directory().to_owned() };
    segments.last_begun()?.ok_or_else(none)?;
    let mut ends: BTreeMap<u32, u64> = BTreeMap::new();
    let end = segments.frames(1, &mut |frame| {
        ends.insert(frame.segment, frame.offset + (FRAME_HEADER + frame.payload.len()) as u64);
        Ok(())
    })?;
    let making = Making::begin(to)?;
    let journal = making.journal();
    for segment in 1..=end.segment {
        let through = ends.get(&segment).copied().unwrap_or(SEGMENT_HEADER as u64);
        copy_segment(segments, segment, through, &journal)?;
    }
    let copied = Segments::new(Arc::new(Directory::new(&journal)), &journal);
    let mut made = BackedUp::default();
    let mut last: Option<(u64, Link)> = None;
    let read = copied.frames(1, &mut |frame| {
        made.bytes += (FRAME_HEADER + frame.payload.len()) as u64;
        if frame.header.kind == Kind::Commit {
            last = Some((frame.header.number, frame.link));
            for (from, line) in lines(frame.payload).filter(|(_, line)| !Line::is_cursor(line)) {
                let unreadable =
                    |e: serde_json::Error| copied.unreadable(frame.place().part(from, line), e.to_string());
                let entry: Numbered = serde_json::from_slice(line).map_err(unreadable)?;
                made.events += 1;
                made.orders += u64::from(entry.version == 1);
            }
        }
        Ok(())
    })?;
    if (read.chain.number, read.chain.hash) != (end.chain.number, end.chain.hash) {
        let why = format!("it was copied up to frame {}, and read back up to {}", end.chain.number, read.chain.number);
        return Err(copied.damaged(read.segment, read.offset, why));
    }
    copied.close();
    made.bytes += u64::from(end.segment) * SEGMENT_HEADER as u64;
    made.journal = last.map(|(frame, link)| JournalHead::of(frame, link));
    making.finish(MadeBy::Backup, made.events)?;
    Ok(made)
}

/// The part of an entry that is needed to count: what a newer version adds to events need not be understood here.
#[derive(Deserialize)]
struct Numbered {
    version: u64,
}

/// Bytes that are copied at once.
const AT_ONCE: u64 = 1 << 20;

fn copy_segment(segments: &Segments, segment: u32, through: u64, to: &Path) -> Result<(), StorageError> {
    let from = segments.file(segment)?;
    let path = to.join(Segments::name(segment));
    let mut file = File::create_new(&path).map_err(failed("create", &path))?;
    let mut offset = 0;
    while offset < through {
        let mut bytes = vec![0; usize::try_from((through - offset).min(AT_ONCE)).unwrap_or(usize::MAX)];
        let read = from.read_at(&mut bytes, offset).map_err(|e| segments.failed("read", segment, e))?;
        if read < bytes.len() {
            return Err(segments.damaged(segment, offset, "it became shorter while it was copied"));
        }
        file.write_all(&bytes).map_err(failed("write", &path))?;
        offset += bytes.len() as u64;
    }
    file.sync_all().map_err(failed("sync", &path))
}
