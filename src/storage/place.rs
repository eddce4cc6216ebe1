//! Where in the history something lies, and how it is read back.

use std::path::Path;

use super::value::Value;
use super::{BackedUp, StorageError};

/// A run of bytes in the history, with its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The segment's number.
    pub(crate) segment: u32,
    /// The first byte.
    pub(crate) offset: u64,
    /// How many.
    pub(crate) length: u32,
    /// CRC32C of the bytes: an index that points elsewhere is found out.
    pub(crate) crc: u32,
}

impl Place {
    /// The place of `part`, which begins at `from` in a payload that begins at this place.
    pub(crate) fn part(self, from: usize, part: &[u8]) -> Place {
        let length = u32::try_from(part.len()).expect("a part is not longer than its frame, whose length is a u32");
        Place { offset: self.offset + from as u64, length, crc: crc32c::crc32c(part), ..self }
    }

    /// How many bytes its encoding has.
    pub(crate) const BYTES: usize = 20;

    pub(crate) fn to_bytes(self) -> [u8; Place::BYTES] {
        let mut bytes = [0; Place::BYTES];
        bytes[..4].copy_from_slice(&self.segment.to_be_bytes());
        bytes[4..12].copy_from_slice(&self.offset.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.length.to_be_bytes());
        bytes[16..].copy_from_slice(&self.crc.to_be_bytes());
        bytes
    }

    pub(crate) fn encode(self) -> Value {
        Value::from(self.to_bytes())
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Place> {
        let (segment, rest) = bytes.split_first_chunk()?;
        let (offset, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let crc = rest.try_into().ok()?;
        Some(Place {
            segment: u32::from_be_bytes(*segment),
            offset: u64::from_be_bytes(*offset),
            length: u32::from_be_bytes(*length),
            crc: u32::from_be_bytes(crc),
        })
    }
}

/// A frame of history as it is walked over.
pub(crate) struct Walked<'a> {
    /// Its number, from 1.
    pub(crate) number: u64,
    /// Where its payload lies.
    pub(crate) place: Place,
    /// Its lines.
    pub(crate) payload: &'a [u8],
    /// Where the journal's own chain stands after it; `None` in a history that has none.
    pub(crate) link: Option<Link>,
}

/// A link of a journal's chain of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// The id of the ledger whose journal it is.
    pub(crate) ledger: [u8; 16],
    /// The frame's hash, which covers all frames before it.
    pub(crate) hash: [u8; 32],
}

/// What a survey meets, in order.
pub(crate) enum Piece<'a> {
    /// A frame of commits.
    Frame(Walked<'a>),
    /// What was written here can no longer be read. The next frame, if any, may be some numbers on.
    Damage(Damage),
    /// The history ends here in the middle of a write that nobody was told of.
    Torn(String),
}

/// A stretch of history that is not what was written.
pub(crate) struct Damage {
    /// File and byte.
    pub(crate) position: String,
    pub(crate) why: String,
}

/// The append-only bytes that the index points into.
pub(crate) trait History: Send + Sync {
    /// The bytes at a place.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] where they are not the ones that were written.
    fn read(&self, place: Place) -> Result<Vec<u8>, StorageError>;

    /// Says which places are read next, so that a disk may fetch them side by side. Nothing depends on it.
    fn announce(&self, places: &[Place]) {
        let _ = places;
    }

    /// Every frame of commits whose number is above `after` and at most `through`, in order, each verified.
    fn walk(
        &self,
        after: u64,
        through: u64,
        visit: &mut dyn FnMut(Walked<'_>) -> Result<(), StorageError>,
    ) -> Result<(), StorageError>;

    /// The same beyond damage: what can still be read, and what cannot.
    ///
    /// # Errors
    /// What `visit` answers, a newer format, and IO beside damage.
    fn survey(
        &self,
        after: u64,
        through: u64,
        visit: &mut dyn FnMut(Piece<'_>) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        self.walk(after, through, &mut |walked| visit(Piece::Frame(walked)))
    }

    /// Copies itself, with what belongs to it, into a new directory.
    fn back_up(&self, to: &Path) -> Result<BackedUp, StorageError> {
        let _ = to;
        Err(StorageError::Unsupported { what: "back itself up" })
    }

    /// A place in words: file and byte.
    fn describe(&self, place: Place) -> String;

    /// The error for bytes at a place that were written well and cannot be read.
    fn unreadable(&self, place: Place, why: String) -> StorageError;
}
