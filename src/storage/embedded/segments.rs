//! Reading the journal: which segments there are, and every frame in them, verified.
//!
//! Nothing here writes, so an owner and any number of onlookers read in the same way. What counts as
//! damage and what as a torn end is decided here: a frame that cannot be read is a torn end only in the
//! last segment, and only where no frame after it says that it had been synced.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::backup;
use super::disk::{Access, Disk, SegmentFile};
use super::frame;
use super::frame::{FORMAT, FRAME_HEADER, FrameHash, FrameHeader, HeaderFault, Kind, SEGMENT_HEADER, SegmentHeader};
use super::open_files::OpenFiles;
use super::survey::Survey;
use crate::storage::lock::{Mutex, locked};
use crate::storage::place::{History, Link, Piece, Place, Walked};
use crate::storage::{BackedUp, StorageError};

/// The segments of one journal.
pub(super) struct Segments {
    pub(super) disk: Arc<dyn Disk>,
    directory: PathBuf,
    open: Mutex<OpenFiles>,
}

/// A frame where it lies.
pub(super) struct FrameAt<'a> {
    pub(super) header: FrameHeader,
    pub(super) segment: u32,
    pub(super) offset: u64,
    pub(super) payload: &'a [u8],
    /// Where the chain stands after it.
    pub(super) link: Link,
}

impl FrameAt<'_> {
    /// Where the payload lies.
    pub(super) fn place(&self) -> Place {
        let offset = self.offset + FRAME_HEADER as u64;
        Place { segment: self.segment, offset, length: 0, crc: 0 }.part(0, self.payload)
    }
}

/// What the next frame must follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) ledger: [u8; 16],
    /// The last frame's number; zero before the first.
    pub(super) number: u64,
    pub(super) hash: FrameHash,
}

impl Chain {
    /// What a segment's first frame follows, by the words of its header.
    pub(super) fn before(header: &SegmentHeader) -> Chain {
        Chain { ledger: header.ledger, number: header.first_frame.saturating_sub(1), hash: header.previous }
    }
}

/// Where the journal ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) segment: u32,
    /// After the last frame that can be read.
    pub(super) offset: u64,
    pub(super) chain: Chain,
    /// Where the first frame begins that nothing proves to be synced.
    pub(super) unproven: u64,
    /// Where the bytes of a torn write end, if there is one.
    pub(super) torn: Option<u64>,
}

/// How long a segment may be: it is read whole. A longer one was not written by us.
pub(super) const LARGEST_SEGMENT: u64 = 1 << 30;

impl Segments {
    pub(super) fn new(disk: Arc<dyn Disk>, directory: &Path) -> Segments {
        Segments { disk, directory: directory.to_owned(), open: Mutex::default() }
    }

    pub(super) fn name(segment: u32) -> String {
        format!("{segment:08}.tbj")
    }

    /// The directory they lie in.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn path(&self, segment: u32) -> PathBuf {
        self.directory.join(Segments::name(segment))
    }

    pub(super) fn failed(&self, doing: &'static str, segment: u32, source: io::Error) -> StorageError {
        StorageError::Io { doing, path: self.path(segment), source }
    }

    pub(super) fn damaged(&self, segment: u32, position: u64, why: impl Into<String>) -> StorageError {
        StorageError::Damaged { path: self.path(segment), position, why: why.into() }
    }

    /// The numbers of the segments that are there, sorted.
    pub(super) fn ids(&self) -> Result<Vec<u32>, StorageError> {
        let doing = "list the files of";
        let names =
            self.disk.list().map_err(|source| StorageError::Io { doing, path: self.directory.clone(), source })?;
        let number = |name: &String| name.strip_suffix(".tbj")?.parse().ok().filter(|id| Segments::name(*id) == *name);
        let mut ids: Vec<u32> = names.iter().filter_map(number).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// A place in words.
    pub(super) fn at(&self, segment: u32, offset: u64) -> String {
        format!("{} byte {offset}", self.path(segment).display())
    }

    /// The number of the last segment that was begun; `None` where no journal was.
    pub(super) fn last_begun(&self) -> Result<Option<u32>, StorageError> {
        let ids = self.ids()?;
        if let Some((missing, _)) = (1..).zip(&ids).find(|(want, have)| want != *have) {
            return Err(self.damaged(missing, 0, "the file is missing"));
        }
        for id in ids.into_iter().rev() {
            if self.is_begun(id)? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Whether a segment has a header. One that has none must be blank: set aside, or torn when it was begun.
    pub(super) fn is_begun(&self, segment: u32) -> Result<bool, StorageError> {
        match self.header(segment)? {
            Ok(_) => Ok(true),
            Err(HeaderFault::Newer(found)) => {
                Err(StorageError::NewerFormat { path: self.path(segment), found, known: FORMAT })
            }
            Err(HeaderFault::Blank | HeaderFault::Bad) => {
                let bytes = self.bytes(segment)?;
                match bytes.iter().skip(SEGMENT_HEADER).any(|byte| *byte != 0) {
                    true => Err(self.damaged(segment, 0, "its header cannot be read")),
                    false => Ok(false),
                }
            }
        }
    }

    pub(super) fn header(&self, segment: u32) -> Result<Result<SegmentHeader, HeaderFault>, StorageError> {
        let mut bytes = [0; SEGMENT_HEADER];
        let file = match self.file(segment) {
            Ok(file) => file,
            Err(StorageError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(Err(HeaderFault::Blank));
            }
            Err(e) => return Err(e),
        };
        let read = file.read_at(&mut bytes, 0).map_err(|e| self.failed("read", segment, e))?;
        Ok(SegmentHeader::decode(&bytes[..read]))
    }

    pub(super) fn file(&self, segment: u32) -> Result<Arc<dyn SegmentFile>, StorageError> {
        if let Some(file) = locked(&self.open).get(segment) {
            return Ok(file);
        }
        let file = self.disk.open(&Segments::name(segment), Access::Read);
        let file = file.map_err(|e| self.failed("open", segment, e))?;
        locked(&self.open).insert(segment, Arc::clone(&file));
        Ok(file)
    }

    /// Lets go of all files.
    pub(super) fn close(&self) {
        *locked(&self.open) = OpenFiles::default();
    }

    pub(super) fn bytes(&self, segment: u32) -> Result<Vec<u8>, StorageError> {
        let file = self.file(segment)?;
        let length = file.length().map_err(|e| self.failed("read", segment, e))?;
        if length > LARGEST_SEGMENT {
            let why = format!("it has {length} bytes, and no segment has more than {LARGEST_SEGMENT}");
            return Err(self.damaged(segment, LARGEST_SEGMENT, why));
        }
        let length = usize::try_from(length).map_err(|e| self.failed("read", segment, io::Error::other(e)))?;
        let mut bytes = vec![0; length];
        let read = file.read_at(&mut bytes, 0).map_err(|e| self.failed("read", segment, e))?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// The last segment, at most `below`, whose first frame is not after `frame`.
    pub(super) fn segment_of(&self, frame: u64, below: u32) -> Result<u32, StorageError> {
        // The first frame is the first segment's, whatever another one says of itself.
        for segment in (2..=below).rev().filter(|_| frame > 1) {
            match self.header(segment)? {
                Ok(header) if header.first_frame <= frame => return Ok(segment),
                Ok(_) => {}
                Err(_) => return Err(self.damaged(segment, 0, "its header cannot be read")),
            }
        }
        Ok(1)
    }

    /// Reads every frame from the start of a segment to the journal's end.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] for whatever is not a torn end.
    pub(super) fn frames(
        &self,
        first: u32,
        visit: &mut dyn FnMut(FrameAt<'_>) -> Result<(), StorageError>,
    ) -> Result<End, StorageError> {
        let mut chain: Option<Chain> = None;
        let mut segment = first;
        let last = self.last_begun()?;
        loop {
            // Asked before the segment is read: an owner begins the next one only when this one is whole.
            let is_last = last.is_none_or(|last| last <= segment) && self.header(segment + 1)?.is_err();
            let bytes = self.bytes(segment)?;
            let end = self.frames_of(segment, &bytes, chain, is_last, visit)?;
            if is_last {
                return Ok(end);
            }
            chain = Some(end.chain);
            segment += 1;
        }
    }

    /// Reads every frame of one segment, whatever it follows.
    pub(super) fn frames_in(
        &self,
        segment: u32,
        is_last: bool,
        visit: &mut dyn FnMut(FrameAt<'_>) -> Result<(), StorageError>,
    ) -> Result<End, StorageError> {
        let bytes = self.bytes(segment)?;
        self.frames_of(segment, &bytes, None, is_last, visit)
    }

    /// Reads every frame of one segment.
    fn frames_of(
        &self,
        segment: u32,
        bytes: &[u8],
        after: Option<Chain>,
        is_last: bool,
        visit: &mut dyn FnMut(FrameAt<'_>) -> Result<(), StorageError>,
    ) -> Result<End, StorageError> {
        let mut chain = self.chain_at(segment, bytes, after)?;
        let mut offset = SEGMENT_HEADER;
        let mut proven = chain.number;
        let mut starts: Vec<(u64, u64)> = Vec::new();
        while let Some((header, payload)) = FrameHeader::decode(&bytes[offset..]) {
            if header.segment != segment || header.number != chain.number + 1 || header.previous != chain.hash {
                let why = format!("frame {} does not follow frame {}", header.number, chain.number);
                return Err(self.damaged(segment, offset as u64, why));
            }
            if let Kind::Unknown(kind) = header.kind {
                let (path, position) = (self.path(segment), offset as u64);
                return Err(StorageError::Unreadable { path, position, why: format!("a frame of kind {kind}") });
            }
            let whole = FRAME_HEADER + payload.len();
            chain.number = header.number;
            chain.hash = frame::hash(&bytes[offset..offset + whole]);
            let link = Link { ledger: chain.ledger, hash: chain.hash };
            visit(FrameAt { header, segment, offset: offset as u64, payload, link })?;
            starts.push((header.number, offset as u64));
            proven = proven.max(header.synced_through);
            offset += whole;
        }
        let torn = self.torn(segment, bytes, offset, chain, is_last)?;
        let end = offset as u64;
        let unproven = starts.iter().find(|(number, _)| *number > proven).map_or(end, |(_, start)| *start);
        // A segment without a proven frame is written again with its header.
        let unproven = if starts.first().is_none_or(|(_, start)| *start == unproven) { 0 } else { unproven };
        Ok(End { segment, offset: end, chain, unproven, torn })
    }

    /// Whether the segment after this one says that the journal went on from there. What lies behind that place was never
    /// part of it: a torn write that was blanked once, of which a later power cut brought some back.
    pub(super) fn is_followed(&self, segment: u32, chain: Chain) -> Result<bool, StorageError> {
        Ok(self.header(segment + 1)?.is_ok_and(|next| Chain::before(&next) == chain))
    }

    fn chain_at(&self, segment: u32, bytes: &[u8], after: Option<Chain>) -> Result<Chain, StorageError> {
        let header = match SegmentHeader::decode(bytes) {
            Ok(header) => header,
            Err(HeaderFault::Newer(found)) => {
                return Err(StorageError::NewerFormat { path: self.path(segment), found, known: FORMAT });
            }
            Err(_) => return Err(self.damaged(segment, 0, "its header cannot be read")),
        };
        let chain = Chain::before(&header);
        if header.segment != segment {
            return Err(self.damaged(segment, 12, format!("it says that it is segment {}", header.segment)));
        }
        match after {
            Some(before) if before.ledger != chain.ledger => {
                Err(self.damaged(segment, 16, "it belongs to another ledger"))
            }
            Some(before) if (before.number, before.hash) != (chain.number, chain.hash) => {
                let number = chain.number;
                let why = format!("it begins after frame {number}, but the segment before ends with {}", before.number);
                Err(self.damaged(segment, 32, why))
            }
            _ => Ok(chain),
        }
    }

    /// What lies after the last frame that can be read: nothing, a torn end, or damage.
    fn torn(
        &self,
        segment: u32,
        bytes: &[u8],
        offset: usize,
        chain: Chain,
        is_last: bool,
    ) -> Result<Option<u64>, StorageError> {
        let rest = &bytes[offset..];
        let Some(last) = rest.iter().rposition(|byte| *byte != 0) else { return Ok(None) };
        let (position, number) = (offset as u64, chain.number + 1);
        if !is_last {
            // No segment is begun before the one before it has a frame.
            if offset > SEGMENT_HEADER && self.is_followed(segment, chain)? {
                return Ok(None);
            }
            let why = format!("frame {number} cannot be read, and the segment after it was begun later");
            return Err(self.damaged(segment, position, why));
        }
        for start in 1..rest.len().saturating_sub(FRAME_HEADER) {
            if FrameHeader::plausible(&rest[start..], segment)
                && let Some((later, _)) = FrameHeader::decode(&rest[start..])
                && later.synced_through >= number
            {
                let why = format!("frame {number} cannot be read, and frame {} proves it was written", later.number);
                return Err(self.damaged(segment, position, why));
            }
        }
        Ok(Some(position + last as u64 + 1))
    }
}

impl History for Segments {
    fn read(&self, place: Place) -> Result<Vec<u8>, StorageError> {
        let mut bytes = vec![0; place.length as usize];
        let file = self.file(place.segment)?;
        let read = file.read_at(&mut bytes, place.offset).map_err(|e| self.failed("read", place.segment, e))?;
        if read < bytes.len() || crc32c::crc32c(&bytes) != place.crc {
            return Err(self.damaged(place.segment, place.offset, "it no longer holds what was written there"));
        }
        Ok(bytes)
    }

    fn announce(&self, places: &[Place]) {
        for place in places {
            if let Ok(file) = self.file(place.segment) {
                file.announce(place.offset, place.length.into());
            }
        }
    }

    fn walk(
        &self,
        after: u64,
        through: u64,
        visit: &mut dyn FnMut(Walked<'_>) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let Some(last) = self.last_begun()? else { return Ok(()) };
        let first = self.segment_of(after.saturating_add(1), last)?;
        let end = self.frames(first, &mut |frame| {
            let number = frame.header.number;
            if frame.header.kind != Kind::Commit || number <= after || number > through {
                return Ok(());
            }
            visit(Walked { number, place: frame.place(), payload: frame.payload, link: Some(frame.link) })
        })?;
        if end.chain.number < through && through != u64::MAX {
            let why = format!("it ends with frame {}, and frame {through} was written", end.chain.number);
            return Err(self.damaged(end.segment, end.offset, why));
        }
        Ok(())
    }

    fn survey(
        &self,
        after: u64,
        through: u64,
        visit: &mut dyn FnMut(Piece<'_>) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        Survey::new(self, after, through, visit).run()
    }

    fn back_up(&self, to: &Path) -> Result<BackedUp, StorageError> {
        backup::copy(self, to)
    }

    fn describe(&self, place: Place) -> String {
        self.at(place.segment, place.offset)
    }

    fn unreadable(&self, place: Place, why: String) -> StorageError {
        StorageError::Unreadable { path: self.path(place.segment), position: place.offset, why }
    }
}
