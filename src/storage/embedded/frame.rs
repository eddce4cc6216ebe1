//! The journal's format: a segment's header, and the frames after it. Read for ever.
//!
//! All numbers are little endian. A segment: `tillbook`, format (4 bytes), segment number (4), ledger id
//! (16), number of its first frame (8), hash of the frame before that (32), CRC32C of all these (4), 4
//! zero bytes. A frame: length of its payload (4; zero means that the data ends here), CRC32C of all that
//! follows (4), segment number (4), kind (1), 3 zero bytes, its number (8), the number of the last frame
//! known to be synced when it was written (8), hash of the frame before it (32), payload. A frame's hash
//! is the BLAKE3 of its bytes, header included.
//!
//! A new kind of frame, line or event makes a new format: whoever adds one raises [`FORMAT`] and begins a new segment
//! before the first of them is written, so that an older version refuses the ledger when it is opened and not in its
//! middle. A new optional field does not. `tests/fixtures/format-1` is a ledger of format 1, opened by tests for ever.

/// The newest format that this version reads, and the one it writes.
pub(super) const FORMAT: u32 = 1;
/// Bytes of a segment's header.
pub(super) const SEGMENT_HEADER: usize = 80;
/// Bytes of a frame before its payload.
pub(super) const FRAME_HEADER: usize = 64;

const MAGIC: &[u8; 8] = b"tillbook";

/// The hash of a frame, or what the first frame follows.
pub(super) type FrameHash = [u8; 32];

/// How a segment begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) segment: u32,
    pub(super) ledger: [u8; 16],
    pub(super) first_frame: u64,
    pub(super) previous: FrameHash,
}

/// Why bytes are not a segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderFault {
    /// Nothing was written there yet.
    Blank,
    /// It is torn or garbled.
    Bad,
    /// A newer version wrote it.
    Newer(u32),
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut bytes = [0; SEGMENT_HEADER];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.segment.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.ledger);
        bytes[32..40].copy_from_slice(&self.first_frame.to_le_bytes());
        bytes[40..72].copy_from_slice(&self.previous);
        let crc = crc32c::crc32c(&bytes[..72]);
        bytes[72..76].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<SegmentHeader, HeaderFault> {
        let Some(bytes) = bytes.first_chunk::<SEGMENT_HEADER>() else {
            return Err(if bytes.iter().all(|byte| *byte == 0) { HeaderFault::Blank } else { HeaderFault::Bad });
        };
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(HeaderFault::Blank);
        }
        let format = u32_at(bytes, 8);
        if bytes[..8] != *MAGIC || format == 0 {
            return Err(HeaderFault::Bad);
        }
        if format > FORMAT {
            return Err(HeaderFault::Newer(format));
        }
        if crc32c::crc32c(&bytes[..72]) != u32_at(bytes, 72) {
            return Err(HeaderFault::Bad);
        }
        Ok(SegmentHeader {
            segment: u32_at(bytes, 12),
            ledger: array_at(bytes, 16),
            first_frame: u64_at(bytes, 32),
            previous: array_at(bytes, 40),
        })
    }
}

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Entries and cursors, as JSON lines.
    Commit,
    /// How far the index is known to be on disk, as JSON.
    Checkpoint,
    /// What a newer version added.
    Unknown(u8),
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Kind::Commit => 1,
            Kind::Checkpoint => 2,
            Kind::Unknown(code) => code,
        }
    }

    fn of(code: u8) -> Kind {
        match code {
            1 => Kind::Commit,
            2 => Kind::Checkpoint,
            code => Kind::Unknown(code),
        }
    }
}

/// A frame's own words about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) segment: u32,
    pub(super) kind: Kind,
    pub(super) number: u64,
    pub(super) synced_through: u64,
    pub(super) previous: FrameHash,
}

impl FrameHeader {
    /// The frame's bytes.
    ///
    /// # Panics
    /// Never: a frame that no segment could hold is refused where it is appended.
    pub(super) fn encode(&self, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("a frame is smaller than the largest segment");
        let mut bytes = Vec::with_capacity(FRAME_HEADER + payload.len());
        bytes.extend(length.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(self.segment.to_le_bytes());
        bytes.extend([self.kind.code(), 0, 0, 0]);
        bytes.extend(self.number.to_le_bytes());
        bytes.extend(self.synced_through.to_le_bytes());
        bytes.extend(self.previous);
        bytes.extend(payload);
        let crc = checksum(&bytes);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The frame at the start of `bytes` with its payload; `None` where there is no whole one.
    pub(super) fn decode(bytes: &[u8]) -> Option<(FrameHeader, &[u8])> {
        let header = bytes.first_chunk::<FRAME_HEADER>()?;
        let length = u32_at(header, 0) as usize;
        let whole = bytes.get(..FRAME_HEADER.checked_add(length)?)?;
        if length == 0 || checksum(whole) != u32_at(header, 4) {
            return None;
        }
        let frame = FrameHeader {
            segment: u32_at(header, 8),
            kind: Kind::of(header[12]),
            number: u64_at(header, 16),
            synced_through: u64_at(header, 24),
            previous: array_at(header, 32),
        };
        Some((frame, &whole[FRAME_HEADER..]))
    }

    /// How many bytes of payload a frame says it has; zero where there is none.
    pub(super) fn payload_length(header: &[u8]) -> usize {
        u32_at(header, 0) as usize
    }

    /// Whether a frame of this segment could begin here, at the price of reading some numbers.
    pub(super) fn plausible(bytes: &[u8], segment: u32) -> bool {
        let Some(header) = bytes.first_chunk::<FRAME_HEADER>() else { return false };
        let length = u32_at(header, 0) as usize;
        u32_at(header, 8) == segment && length > 0 && length <= bytes.len() - FRAME_HEADER && header[13..16] == [0; 3]
    }
}

/// The checksum covers the length too: a garbled length would else point anywhere.
fn checksum(frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&frame[..4]), &frame[8..])
}

pub(super) fn hash(frame: &[u8]) -> FrameHash {
    *blake3::hash(frame).as_bytes()
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: FrameHeader =
        FrameHeader { segment: 3, kind: Kind::Commit, number: 7, synced_through: 6, previous: [9; 32] };

    #[test]
    fn a_frame_is_read_back_whole_or_not_at_all() {
        let mut bytes = FRAME.encode(b"payload");
        assert_eq!(FrameHeader::decode(&bytes), Some((FRAME, b"payload".as_slice())));
        for cut in 0..bytes.len() {
            assert_eq!(FrameHeader::decode(&bytes[..cut]), None, "cut at {cut}");
        }
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            assert_eq!(FrameHeader::decode(&bytes), None, "changed at {at}");
            bytes[at] ^= 1;
        }
        assert_eq!(FrameHeader::decode(&[0; 200]), None);
    }

    #[test]
    fn a_frame_may_begin_where_its_segment_its_length_and_its_blanks_fit() {
        let bytes = FRAME.encode(b"payload");
        assert_eq!(FrameHeader::payload_length(&bytes), 7);
        assert!(FrameHeader::plausible(&bytes, 3) && FrameHeader::plausible(&[bytes.clone(), vec![9]].concat(), 3));
        assert!(!FrameHeader::plausible(&bytes, 2), "another segment's");
        assert!(!FrameHeader::plausible(&bytes[..bytes.len() - 1], 3), "longer than what there is");
        assert!(!FrameHeader::plausible(&bytes[..FRAME_HEADER - 1], 3));
        for (at, byte) in [(0, 0), (0, 8), (13, 1), (14, 1), (15, 1)] {
            let mut other = bytes.clone();
            other[at] = byte;
            assert!(!FrameHeader::plausible(&other, 3), "{byte} at {at}");
        }
    }

    #[test]
    fn a_header_is_blank_bad_newer_or_right() {
        let header = SegmentHeader { segment: 2, ledger: [1; 16], first_frame: 5, previous: [4; 32] };
        let mut bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
        assert_eq!(SegmentHeader::decode(&[0; 100]), Err(HeaderFault::Blank));
        assert_eq!(SegmentHeader::decode(&[0; 50]), Err(HeaderFault::Blank));
        assert_eq!(SegmentHeader::decode(&bytes[..50]), Err(HeaderFault::Bad));
        bytes[8] = 2;
        assert_eq!(SegmentHeader::decode(&bytes), Err(HeaderFault::Newer(2)));
        bytes[0] ^= 1;
        assert_eq!(
            SegmentHeader::decode(&bytes),
            Err(HeaderFault::Bad),
            "another program's file has no version of ours"
        );
        bytes[0] ^= 1;
        bytes[8] = 1;
        bytes[40] ^= 1;
        assert_eq!(SegmentHeader::decode(&bytes), Err(HeaderFault::Bad));
    }

    /// The bytes that this version writes, for ever readable.
    #[test]
    fn the_format_is_the_documented_one() {
        let header = SegmentHeader { segment: 1, ledger: [0xaa; 16], first_frame: 1, previous: [0; 32] }.encode();
        assert_eq!(&header[..16], b"tillbook\x01\0\0\0\x01\0\0\0");
        let frame = FRAME.encode(b"p");
        assert_eq!(&frame[..4], [1, 0, 0, 0]);
        assert_eq!(&frame[8..32], [3, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!((&frame[32..64], &frame[64..]), ([9; 32].as_slice(), b"p".as_slice()));
        assert_eq!(frame[4..8], crc32c::crc32c(&[&frame[..4], &frame[8..]].concat()).to_le_bytes());
    }
}
