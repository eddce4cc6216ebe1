//! Following a journal from outside its owner's process: entry by entry, without lock, index or replay.
//!
//! The reader remembers where the last frame ended and looks there for the next one. Frames are verified as
//! everywhere: checksum, number, and the hash of the frame before. Looking in vain costs two small reads,
//! so that it can be done a few times a second.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use super::disk::Directory;
use super::frame::{self, FRAME_HEADER, FrameHeader, Kind, SEGMENT_HEADER, SegmentHeader};
use super::making;
use super::segments::{Chain, Segments};
use crate::domain::Entry;
use crate::storage::StorageError;
use crate::storage::lines::{Line, lines};
use crate::storage::place::{History, Place};

/// The entries of a ledger after some sequence, and those that its owner adds.
///
/// The newest may be one whose owner still waits for its sync: a power cut (which ends the reader too) can
/// take it back, nothing else can.
pub struct Tail {
    segments: Segments,
    at: At,
    /// The last sequence handed out, or to be left out.
    after: u64,
    /// The last sequence read.
    last: Option<u64>,
    ahead: VecDeque<Arc<Entry>>,
}

/// After which frame, and where the next one begins.
#[derive(Clone, Copy)]
struct At {
    segment: u32,
    offset: u64,
    chain: Chain,
}

/// What a look at the next place found.
enum Found {
    /// A frame, with its entries.
    Frame(At, Vec<Entry>),
    /// The segment ends here, and the next one goes on.
    Segment(At),
    /// Nothing yet.
    Nothing,
}

impl Tail {
    /// Looks for the entry after that sequence; 0 begins with the first. Blocks.
    ///
    /// # Errors
    /// [`StorageError::NoLedger`], damage, IO.
    pub fn open(directory: impl AsRef<Path>, after: u64) -> Result<Tail, StorageError> {
        let directory = directory.as_ref();
        let none = || StorageError::NoLedger { path: directory.to_owned() };
        let journal = making::journal_of(directory)?;
        let segments = Segments::new(Arc::new(Directory::new(&journal)), &journal);
        let last = segments.last_begun()?.ok_or_else(none)?;
        let mut at = begin_of(&segments, 1)?;
        for segment in (2..=last).rev() {
            let begin = begin_of(&segments, segment)?;
            if first_sequence(&segments, begin)?.is_some_and(|first| first <= after.saturating_add(1)) {
                at = begin;
                break;
            }
        }
        Ok(Tail { segments, at, after, last: None, ahead: VecDeque::new() })
    }

    /// The next entry, if it is there already. Blocks for the disk, and waits for nobody.
    ///
    /// # Errors
    /// [`StorageError::Damaged`], [`StorageError::Unreadable`] with file and position; IO.
    pub fn read(&mut self) -> Result<Option<Arc<Entry>>, StorageError> {
        loop {
            if let Some(entry) = self.ahead.pop_front() {
                return Ok(Some(entry));
            }
            match look(&self.segments, self.at)? {
                Found::Nothing => return Ok(None),
                Found::Segment(at) => self.at = at,
                Found::Frame(at, entries) => {
                    for entry in entries {
                        let follows = self.last.is_none_or(|last| last + 1 == entry.sequence);
                        if !follows {
                            let why = format!("event {} does not follow the one before it", entry.sequence);
                            return Err(self.segments.damaged(self.at.segment, self.at.offset, why));
                        }
                        self.last = Some(entry.sequence);
                        if entry.sequence > self.after {
                            self.after = entry.sequence;
                            self.ahead.push_back(Arc::new(entry));
                        }
                    }
                    self.at = at;
                }
            }
        }
    }
}

/// The sequence of a segment's first entry, if it has one yet.
fn first_sequence(segments: &Segments, mut at: At) -> Result<Option<u64>, StorageError> {
    loop {
        match look(segments, at)? {
            Found::Frame(next, entries) => match entries.first() {
                Some(entry) => return Ok(Some(entry.sequence)),
                None => at = next,
            },
            Found::Segment(_) | Found::Nothing => return Ok(None),
        }
    }
}

fn begin_of(segments: &Segments, segment: u32) -> Result<At, StorageError> {
    match segments.header(segment)? {
        Ok(header) => Ok(after_header(&header)),
        Err(_) => Err(segments.damaged(segment, 0, "its header cannot be read")),
    }
}

fn after_header(header: &SegmentHeader) -> At {
    let chain = Chain::before(header);
    At { segment: header.segment, offset: SEGMENT_HEADER as u64, chain }
}

/// Looks for the next frame. The next segment is asked for first: an owner begins it only when all of this
/// one is written.
fn look(segments: &Segments, at: At) -> Result<Found, StorageError> {
    let next = segments.header(at.segment + 1)?.ok();
    if let Some((header, bytes)) = read_frame(segments, at)? {
        let Chain { number, hash, ledger } = at.chain;
        if header.segment != at.segment || header.number != number + 1 || header.previous != hash {
            let why = format!("frame {} does not follow frame {number}", header.number);
            return Err(segments.damaged(at.segment, at.offset, why));
        }
        let chain = Chain { ledger, number: header.number, hash: frame::hash(&bytes) };
        let next = At { segment: at.segment, offset: at.offset + bytes.len() as u64, chain };
        return Ok(Found::Frame(next, entries(segments, at, header.kind, &bytes[FRAME_HEADER..])?));
    }
    let Some(header) = next else { return Ok(Found::Nothing) };
    let next = after_header(&header);
    if at.chain != next.chain {
        let why = format!("frame {} cannot be read, and the segment after it was begun later", at.chain.number + 1);
        return Err(segments.damaged(at.segment, at.offset, why));
    }
    Ok(Found::Segment(next))
}

/// The whole frame at a place; `None` where there is none, or not all of it yet.
fn read_frame(segments: &Segments, at: At) -> Result<Option<(FrameHeader, Vec<u8>)>, StorageError> {
    let file = segments.file(at.segment)?;
    let failed = |e| segments.failed("read", at.segment, e);
    let mut bytes = vec![0; FRAME_HEADER];
    if file.read_at(&mut bytes, at.offset).map_err(failed)? < FRAME_HEADER {
        return Ok(None);
    }
    let length = FRAME_HEADER + FrameHeader::payload_length(&bytes);
    let left = file.length().map_err(failed)?.saturating_sub(at.offset);
    // A frame that is being written may name any length so far.
    if length == FRAME_HEADER || length as u64 > left {
        return Ok(None);
    }
    bytes.resize(length, 0);
    let read = file.read_at(&mut bytes, at.offset).map_err(failed)?;
    bytes.truncate(read);
    Ok(FrameHeader::decode(&bytes).map(|(header, _)| header).map(|header| (header, bytes)))
}

fn entries(segments: &Segments, at: At, kind: Kind, payload: &[u8]) -> Result<Vec<Entry>, StorageError> {
    let place = Place { segment: at.segment, offset: at.offset + FRAME_HEADER as u64, length: 0, crc: 0 };
    let mut entries = Vec::new();
    match kind {
        Kind::Checkpoint => return Ok(entries),
        Kind::Unknown(kind) => return Err(segments.unreadable(place, format!("a frame of kind {kind}"))),
        Kind::Commit => {}
    }
    for (from, line) in lines(payload) {
        match Line::read(line).map_err(|e| segments.unreadable(place.part(from, line), e.to_string()))? {
            Line::Entry(entry) => entries.push(*entry),
            Line::Cursor(_) => {}
        }
    }
    Ok(entries)
}
