//! Writing the journal: one frame per group, synced before anybody is answered.
//!
//! Room on disk is taken before it is needed: segments are made at their full size, and before a refund is
//! sent there is room for its outcome, in this segment or in a blank one after it. So a full disk is
//! found out when a *hold* is written, and outcomes of attempts under way still fit. (File systems that
//! never write in place, such as btrfs and ZFS, cannot promise this.)

use std::path::PathBuf;
use std::sync::Arc;

use super::disk::{Access, SegmentFile};
use super::frame::{self, FRAME_HEADER, FrameHeader, Kind, SEGMENT_HEADER, SegmentHeader};
use super::os;
use super::segments::{Chain, End, LARGEST_SEGMENT, Segments};
use crate::storage::StorageError;
use crate::storage::group::Room;
use crate::storage::place::Place;

/// Set aside always: for checkpoints, and for refunds that go to review.
const SET_ASIDE: u64 = 4 * 1024;

/// Set aside for the outcome of each refund that is being sent: the answer's text is the only part
/// without a fixed size, and adapters cut it far below this.
const PER_ATTEMPT: u64 = 8 * 1024;

/// The journal's end, where frames are added.
pub(super) struct Journal {
    segments: Arc<Segments>,
    file: Arc<dyn SegmentFile>,
    segment: u32,
    offset: u64,
    size: u64,
    /// The next segment, blank, and its size.
    spare: Option<(Arc<dyn SegmentFile>, u64)>,
    chain: Chain,
    /// The last frame known to be on disk.
    synced: u64,
    segment_bytes: u64,
    /// After an unclean stop the journal goes on in a new segment, where one can be had: the old file's
    /// last sync may have failed.
    leave: bool,
    failed: Option<String>,
}

impl Journal {
    /// Begins a journal where there is none.
    pub(super) fn create(segments: Arc<Segments>, segment_bytes: u64) -> Result<Journal, StorageError> {
        let chain = Chain { ledger: *uuid::Uuid::new_v4().as_bytes(), number: 0, hash: [0; 32] };
        let (file, size) = blank(&segments, 1, segment_bytes)?;
        begin(&segments, &*file, 1, &chain)?;
        let (segment, offset, spare, synced) = (1, SEGMENT_HEADER as u64, None, 0);
        Ok(Journal {
            segments,
            file,
            segment,
            offset,
            size,
            spare,
            chain,
            synced,
            segment_bytes,
            leave: false,
            failed: None,
        })
    }

    /// Goes on where the journal ends. Everything that nothing proves to be synced is written again and
    /// synced, and a torn end is blanked, before this returns.
    pub(super) fn resume(
        segments: Arc<Segments>,
        end: End,
        segment_bytes: u64,
        leave: bool,
    ) -> Result<Journal, StorageError> {
        let segment = end.segment;
        let io = |doing| {
            let segments = Arc::clone(&segments);
            move |e| segments.failed(doing, segment, e)
        };
        let file = segments.disk.open(&Segments::name(segment), Access::Write).map_err(io("open"))?;
        let size = file.length().map_err(io("read"))?;
        let from = usize::try_from(end.unproven).unwrap_or(usize::MAX);
        let to = usize::try_from(end.offset).unwrap_or(usize::MAX);
        let bytes = segments.bytes(segment)?;
        file.write_at(bytes.get(from..to).unwrap_or_default(), end.unproven).map_err(io("write the end again of"))?;
        if let Some(torn) = end.torn {
            let length = usize::try_from(torn - end.offset).unwrap_or(0);
            tracing::warn!(segment, position = end.offset, bytes = length, "cutting off a torn write");
            file.write_at(&vec![0; length], end.offset).map_err(io("cut the torn end of"))?;
        }
        file.sync().map_err(io("sync"))?;
        let (chain, offset) = (end.chain, end.offset);
        let leave = leave && offset > SEGMENT_HEADER as u64;
        let mut journal = Journal {
            segments,
            file,
            segment,
            offset,
            size,
            spare: None,
            chain,
            synced: chain.number,
            segment_bytes,
            leave,
            failed: None,
        };
        journal.adopt_spare()?;
        Ok(journal)
    }

    /// Takes over a blank segment that was set aside before. Whoever did so may have ended before its room and its
    /// name were on disk, and a power cut would take the name with all that is written there from now on.
    fn adopt_spare(&mut self) -> Result<(), StorageError> {
        let next = self.segment + 1;
        let names = self.segments.disk.list().map_err(|e| self.segments.failed("find", next, e))?;
        if names.contains(&Segments::name(next)) {
            let file = self.segments.disk.open(&Segments::name(next), Access::Write);
            let file = file.map_err(|e| self.segments.failed("open", next, e))?;
            file.sync().map_err(|e| self.segments.failed("sync", next, e))?;
            let listed = self.segments.disk.sync_list();
            listed.map_err(|e| self.segments.failed("sync the directory of", next, e))?;
            let size = file.length().map_err(|e| self.segments.failed("read", next, e))?;
            self.spare = Some((file, size));
        }
        Ok(())
    }

    /// The file that is written now.
    pub(super) fn path(&self) -> PathBuf {
        self.segments.path(self.segment)
    }

    /// The number of the last frame.
    pub(super) fn number(&self) -> u64 {
        self.chain.number
    }

    /// Appends a frame and syncs it. `sending` is how many refunds are being sent once it is written.
    ///
    /// # Errors
    /// [`StorageError::DiskFull`]: nothing was written and the journal goes on. Any other: the
    /// journal takes no more frames.
    pub(super) fn append(
        &mut self,
        kind: Kind,
        payload: &[u8],
        room: Room,
        sending: u64,
    ) -> Result<(u64, Place), StorageError> {
        if let Some(why) = &self.failed {
            return Err(StorageError::Poisoned { why: why.clone() });
        }
        let length = (FRAME_HEADER + payload.len()) as u64;
        if length > LARGEST_SEGMENT - SEGMENT_HEADER as u64 {
            let error = std::io::Error::new(std::io::ErrorKind::InvalidInput, format!("a frame of {length} bytes"));
            return Err(self.segments.failed("append to", self.segment, error));
        }
        let reserve = match room {
            Room::Free => SET_ASIDE + PER_ATTEMPT * sending,
            Room::Reserved => 0,
        };
        if let Err(error) = self.make_room(length, reserve) {
            return Err(self.fail(error));
        }
        let number = self.chain.number + 1;
        let (segment, synced_through, previous) = (self.segment, self.synced, self.chain.hash);
        let bytes = FrameHeader { segment, kind, number, synced_through, previous }.encode(payload);
        let written = self.file.write_at(&bytes, self.offset);
        let written = written.map_err(|e| self.segments.failed("append to", segment, e));
        let synced = written.and_then(|()| self.file.sync().map_err(|e| self.segments.failed("sync", segment, e)));
        if let Err(error) = synced {
            return Err(self.fail(error));
        }
        let place = Place { segment, offset: self.offset + FRAME_HEADER as u64, length: 0, crc: 0 }.part(0, payload);
        self.chain.number = number;
        self.chain.hash = frame::hash(&bytes);
        self.synced = number;
        self.offset += length;
        Ok((number, place))
    }

    /// After anything but a full disk, nobody knows what is on disk: no more frames.
    fn fail(&mut self, error: StorageError) -> StorageError {
        if !matches!(error, StorageError::DiskFull { .. }) {
            self.failed = Some(words(&error));
        }
        error
    }

    /// Makes sure that a frame fits, and that `reserve` bytes are left for outcomes after it.
    fn make_room(&mut self, length: u64, reserve: u64) -> Result<(), StorageError> {
        if self.leave {
            match self.next_segment(length) {
                Ok(()) => {}
                // Rewritten and synced at open, the old segment serves as well.
                Err(StorageError::DiskFull { .. }) if self.offset + length <= self.size => {}
                Err(error) => return Err(error),
            }
            self.leave = false;
        }
        if self.offset + length > self.size {
            self.next_segment(length)?;
        }
        let left_here = self.size - self.offset - length;
        let left_next = self.spare.as_ref().map_or(0, |(_, size)| size.saturating_sub(SEGMENT_HEADER as u64));
        if left_here.max(left_next) < reserve {
            self.set_aside(reserve)?;
        }
        Ok(())
    }

    /// Has a blank segment ready in which `content` bytes fit.
    fn set_aside(&mut self, content: u64) -> Result<u64, StorageError> {
        let wanted = self.segment_bytes.max(SEGMENT_HEADER as u64 + content);
        if let Some((_, size)) = self.spare.as_ref().filter(|(_, size)| *size >= SEGMENT_HEADER as u64 + content) {
            return Ok(*size);
        }
        let (file, size) = blank(&self.segments, self.segment + 1, wanted)?;
        self.spare = Some((file, size));
        Ok(size)
    }

    /// Begins the next segment, in which `length` bytes fit, and gives back what was left of this one.
    fn next_segment(&mut self, length: u64) -> Result<(), StorageError> {
        self.set_aside(length)?;
        let Some((file, size)) = self.spare.take() else { return Ok(()) };
        let next = self.segment + 1;
        begin(&self.segments, &*file, next, &self.chain)?;
        let left = std::mem::replace(&mut self.file, file);
        if let Err(error) = left.truncate(self.offset) {
            tracing::warn!(segment = self.segment, %error, "could not give back the room left in a finished segment");
        }
        (self.segment, self.offset, self.size) = (next, SEGMENT_HEADER as u64, size);
        Ok(())
    }
}

/// A blank segment of that size, on disk.
fn blank(segments: &Segments, segment: u32, size: u64) -> Result<(Arc<dyn SegmentFile>, u64), StorageError> {
    let full = |e: std::io::Error, doing| match os::is_full(&e) {
        true => StorageError::DiskFull { path: segments.path(segment) },
        false => segments.failed(doing, segment, e),
    };
    let file = segments.disk.open(&Segments::name(segment), Access::Create).map_err(|e| full(e, "create"))?;
    file.allocate(size).map_err(|e| full(e, "set space aside in"))?;
    file.sync().map_err(|e| full(e, "sync"))?;
    segments.disk.sync_list().map_err(|e| full(e, "sync the directory of"))?;
    let size = file.length().map_err(|e| segments.failed("read", segment, e))?;
    Ok((file, size))
}

/// Writes the header that makes a blank segment the current one.
fn begin(segments: &Segments, file: &dyn SegmentFile, segment: u32, after: &Chain) -> Result<(), StorageError> {
    let (ledger, first_frame, previous) = (after.ledger, after.number + 1, after.hash);
    let header = SegmentHeader { segment, ledger, first_frame, previous }.encode();
    file.write_at(&header, 0).map_err(|e| segments.failed("begin", segment, e))?;
    file.sync().map_err(|e| segments.failed("sync", segment, e))
}

/// An error with its causes, in one line.
pub(super) fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        words = format!("{words}: {source}");
        cause = source.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::embedded::disk::Directory;

    #[test]
    fn a_frame_that_no_segment_could_hold_is_refused_and_the_journal_goes_on() {
        let directory = tempfile::tempdir().expect("a directory");
        let segments = Arc::new(Segments::new(Arc::new(Directory::new(directory.path())), directory.path()));
        let mut journal = Journal::create(segments, 16 << 10).expect("created");
        let huge = vec![0; 1 << 30];
        let refused = journal.append(Kind::Commit, &huge, Room::Free, 0).expect_err("refused");
        assert_eq!(words(&refused), format!("append to {}: a frame of 1073741888 bytes", journal.path().display()));
        let (number, _) = journal.append(Kind::Commit, b"{}", Room::Free, 0).expect("appended");
        assert_eq!(number, 1);
    }
}
