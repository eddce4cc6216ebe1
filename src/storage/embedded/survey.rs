//! Reading a journal past its damage: what a check can still tell where an open refuses.
//!
//! Frames are found by their own words. After one that cannot be read, the next that can be is looked for byte
//! by byte; its checksum, which covers its segment's number too, is what makes it one. From there on the
//! chain of hashes is followed again. What counts as a torn end and not as damage is the same as in `segments`.

use super::frame::{
    self, FORMAT, FRAME_HEADER, FrameHash, FrameHeader, HeaderFault, Kind, SEGMENT_HEADER, SegmentHeader,
};
use super::segments::{Chain, FrameAt, Segments};
use crate::storage::StorageError;
use crate::storage::place::{Damage, Link, Piece, Walked};

type Visit<'a> = &'a mut dyn FnMut(Piece<'_>) -> Result<(), StorageError>;

/// A survey under way.
pub(super) struct Survey<'a> {
    segments: &'a Segments,
    after: u64,
    through: u64,
    visit: Visit<'a>,
    ledger: Option<[u8; 16]>,
    /// The last frame that was read.
    number: u64,
    /// Its hash; `None` where something that cannot be read came after it.
    hash: Option<FrameHash>,
}

impl<'a> Survey<'a> {
    /// Of the frames above `after` and at most `through`.
    pub(super) fn new(segments: &'a Segments, after: u64, through: u64, visit: Visit<'a>) -> Survey<'a> {
        Survey { segments, after, through, visit, ledger: None, number: 0, hash: None }
    }

    pub(super) fn run(mut self) -> Result<(), StorageError> {
        let Some(last) = self.last_begun()? else { return Ok(()) };
        let first = self.first(last);
        for segment in first..=last {
            self.segment(segment, segment == last)?;
            if self.number >= self.through {
                return Ok(());
            }
        }
        if self.through != u64::MAX {
            let why = format!("it ends with frame {}, and frame {} was written", self.number, self.through);
            self.damage(last, 0, why)?;
        }
        Ok(())
    }

    /// The last segment with anything in it.
    fn last_begun(&self) -> Result<Option<u32>, StorageError> {
        for id in self.segments.ids()?.into_iter().rev() {
            match self.segments.is_begun(id) {
                Ok(false) => {}
                // It is there, and what is wrong with it is told in its turn.
                Ok(true) | Err(StorageError::Damaged { .. } | StorageError::Io { .. }) => return Ok(Some(id)),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn first(&self, last: u32) -> u32 {
        match self.after {
            0 => 1,
            after => self.segments.segment_of(after.saturating_add(1), last).unwrap_or(1),
        }
    }

    fn damage(&mut self, segment: u32, offset: u64, why: impl Into<String>) -> Result<(), StorageError> {
        self.hash = None;
        (self.visit)(Piece::Damage(Damage { position: self.segments.at(segment, offset), why: why.into() }))
    }

    fn segment(&mut self, segment: u32, is_last: bool) -> Result<(), StorageError> {
        let bytes = match self.segments.bytes(segment) {
            Ok(bytes) => bytes,
            Err(StorageError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return self.damage(segment, 0, "the file is missing");
            }
            Err(StorageError::Io { source, .. }) => {
                return self.damage(segment, 0, format!("the file cannot be read ({source})"));
            }
            Err(error) => return Err(error),
        };
        match SegmentHeader::decode(&bytes) {
            Ok(header) => {
                if !self.begin(segment, &header)? {
                    return Ok(());
                }
            }
            Err(HeaderFault::Newer(found)) => {
                return Err(StorageError::NewerFormat { path: self.segments.path(segment), found, known: FORMAT });
            }
            Err(_) => self.damage(segment, 0, "its header cannot be read")?,
        }
        self.frames(segment, &bytes, is_last)
    }

    /// Goes on with a segment's header. `false`: its frames are none of this journal's.
    fn begin(&mut self, segment: u32, header: &SegmentHeader) -> Result<bool, StorageError> {
        if header.segment != segment {
            self.damage(segment, 12, format!("it says that it is segment {}", header.segment))?;
            return Ok(false);
        }
        if self.ledger.is_some_and(|ledger| ledger != header.ledger) {
            self.damage(segment, 16, "it belongs to another ledger")?;
            return Ok(false);
        }
        let before = header.first_frame.saturating_sub(1);
        if self.ledger.is_some() && self.hash.is_some_and(|hash| (self.number, hash) != (before, header.previous)) {
            let why = format!("it begins after frame {before}, but the segment before ends with {}", self.number);
            self.damage(segment, 32, why)?;
        }
        self.ledger = Some(header.ledger);
        (self.number, self.hash) = (before, Some(header.previous));
        Ok(true)
    }

    fn frames(&mut self, segment: u32, bytes: &[u8], is_last: bool) -> Result<(), StorageError> {
        let (mut offset, before) = (SEGMENT_HEADER.min(bytes.len()), self.number);
        while self.number < self.through {
            let rest = &bytes[offset..];
            if let Some((header, payload)) = FrameHeader::decode(rest).filter(|(header, _)| header.segment == segment) {
                let whole = FRAME_HEADER + payload.len();
                self.frame(segment, offset as u64, header, &rest[..whole])?;
                offset += whole;
                continue;
            }
            if rest.iter().all(|byte| *byte == 0) || (self.number > before && self.is_followed(segment)?) {
                return Ok(());
            }
            let lost = self.number.saturating_add(1);
            let why = match later(segment, rest, |_| true) {
                Some(_) if is_last && later(segment, rest, |later| later.synced_through >= lost).is_none() => None,
                None if is_last => None,
                Some((_, header)) => {
                    Some(format!("frame {lost} cannot be read, and frame {} after it can", header.number))
                }
                None => Some(format!("frame {lost} cannot be read, and the segment after it was begun later")),
            };
            let Some(why) = why else {
                return (self.visit)(Piece::Torn(self.segments.at(segment, offset as u64)));
            };
            self.damage(segment, offset as u64, why)?;
            let Some((next, _)) = later(segment, rest, |_| true) else { return Ok(()) };
            offset += next;
        }
        Ok(())
    }

    /// Whether the next segment goes on from here: then what lies behind this place was never part of the journal.
    fn is_followed(&self, segment: u32) -> Result<bool, StorageError> {
        let (Some(ledger), Some(hash)) = (self.ledger, self.hash) else { return Ok(false) };
        self.segments.is_followed(segment, Chain { ledger, number: self.number, hash })
    }

    fn frame(&mut self, segment: u32, offset: u64, header: FrameHeader, bytes: &[u8]) -> Result<(), StorageError> {
        let (number, before) = (header.number, self.number);
        let follows = self.hash.is_none_or(|hash| hash == header.previous && number == before.saturating_add(1));
        if !follows {
            self.damage(segment, offset, format!("frame {number} does not follow frame {before}"))?;
        }
        if number <= before {
            return Ok(()); // an older one that lies where it never belonged
        }
        if let Kind::Unknown(kind) = header.kind {
            self.damage(segment, offset, format!("a frame of kind {kind}, which this version does not know"))?;
        }
        let hash = frame::hash(bytes);
        (self.number, self.hash) = (number, Some(hash));
        if header.kind == Kind::Commit && number > self.after && number <= self.through {
            let link = Link { ledger: self.ledger.unwrap_or_default(), hash };
            let frame = FrameAt { header, segment, offset, payload: &bytes[FRAME_HEADER..], link };
            let (place, payload) = (frame.place(), frame.payload);
            (self.visit)(Piece::Frame(Walked { number, place, payload, link: Some(link) }))?;
        }
        Ok(())
    }
}

/// The next frame of a segment that can be read, and where it begins in `rest`.
fn later(segment: u32, rest: &[u8], wanted: impl Fn(&FrameHeader) -> bool) -> Option<(usize, FrameHeader)> {
    let starts = 1..rest.len().saturating_sub(FRAME_HEADER);
    starts.filter(|start| FrameHeader::plausible(&rest[*start..], segment)).find_map(|start| {
        let (header, _) = FrameHeader::decode(&rest[start..])?;
        wanted(&header).then_some((start, header))
    })
}
