//! A journal of any bytes is read, or refused with file and position: by one who looks on, by one who follows, and by
//! one who owns it. Nobody changes what he refuses, and all who accept read the same.
//!
//! The first byte says what is done to the rest, which is the segments one after another with [`BORDER`] between them:
//! bit 0 sets the checksums right, bit 1 makes each frame follow the one before it (a mutation would hardly ever get
//! past either), bit 2 lets an owner try it too.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tillbook::DeviceName;
use tillbook::storage::embedded::{Embedded, EmbeddedOptions, Tail};
use tillbook::storage::{Storage, StorageError};

use super::Memory;

/// What a journal may cost: sled takes a good part of it.
pub(crate) const MEMORY: Memory = Memory { fixed_bytes: 96 << 20, bytes_each: 400 };

/// Between two segments.
const BORDER: &[u8] = b"\n== segment ==\n";

const CHECKSUMS: u8 = 1;
const CHAIN: u8 = 2;
const OWNER: u8 = 4;

const SEGMENT_HEADER: usize = 80;
const FRAME_HEADER: usize = 64;

pub(crate) fn body(bytes: &[u8]) {
    let Some((&flags, rest)) = bytes.split_first() else { return };
    let directory = laid_out(&segments(flags, rest));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("starts");
    runtime.block_on(read(directory.path(), flags));
}

async fn read(directory: &Path, flags: u8) {
    let before = contents(directory);
    let seen = seen(directory).await;
    let followed = followed(directory);
    assert!(contents(directory) == before, "an onlooker changed something");
    if let (Ok(seen), Ok(followed)) = (&seen, &followed) {
        assert_eq!(seen.events, *followed, "who looks on and who follows read the same");
    }
    if flags & OWNER == 0 {
        return;
    }
    let mut options = EmbeddedOptions::new(DeviceName::new("till-3").expect("a name"));
    (options.segment_bytes, options.cache_bytes) = (16 << 10, Some(1 << 20));
    match Embedded::open(directory, &options) {
        Err(error) => {
            assert!(!error.to_string().is_empty());
            // An owner makes a ledger where none was begun; nothing else parts the two.
            if let Ok(Seen { events, .. }) = &seen {
                panic!("an onlooker reads {} events, and an owner refuses: {error}", events.len());
            }
            let after: BTreeMap<_, _> =
                contents(directory).into_iter().filter(|(name, _)| name.ends_with(".tbj")).collect();
            assert!(after == before, "an owner changed what it refused: {error}");
        }
        Ok(ledger) => {
            let events = lines(ledger.events(0, usize::MAX).await.expect("readable"));
            match &seen {
                Ok(Seen { events: seen, .. }) => assert_eq!(*seen, events, "who looks on and who owns read the same"),
                Err(StorageError::NoLedger { .. }) => assert_eq!(events, Vec::<String>::new()),
                Err(error) => panic!("an owner opens what an onlooker refuses: {error}"),
            }
            let differences = ledger.check().await.expect("checked").differences;
            assert_eq!(seen.map_or(Vec::new(), |seen| seen.differences), differences);
            ledger.close().await.expect("closed");
        }
    }
}

/// What an onlooker reads.
struct Seen {
    events: Vec<String>,
    differences: Vec<tillbook::storage::Difference>,
}

async fn seen(directory: &Path) -> Result<Seen, StorageError> {
    let ledger = Embedded::open_read_only(directory)?;
    let events = lines(ledger.events(0, usize::MAX).await?);
    let differences = ledger.check().await?.differences;
    Ok(Seen { events, differences })
}

fn followed(directory: &Path) -> Result<Vec<String>, StorageError> {
    let mut tail = Tail::open(directory, 0)?;
    let mut events = Vec::new();
    while let Some(entry) = tail.read()? {
        events.push(entry);
    }
    Ok(lines(events))
}

fn lines(events: Vec<std::sync::Arc<tillbook::domain::Entry>>) -> Vec<String> {
    events.iter().map(|entry| serde_json::to_string(entry).expect("JSON")).collect()
}

/// The segments of an input, mended as its flags say.
fn segments(flags: u8, rest: &[u8]) -> Vec<Vec<u8>> {
    let mut segments = vec![Vec::new()];
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with(BORDER) {
            segments.push(Vec::new());
            at += BORDER.len();
        } else {
            segments.last_mut().expect("there is one").push(rest[at]);
            at += 1;
        }
    }
    let (mut number, mut hash) = (0, [0; 32]);
    let ledger = segments[0].get(16..32).map(<[u8]>::to_vec);
    for (segment, id) in segments.iter_mut().zip(1_u32..) {
        mend(flags, segment, id, ledger.as_deref(), (&mut number, &mut hash));
    }
    segments
}

fn mend(flags: u8, segment: &mut [u8], id: u32, ledger: Option<&[u8]>, last: (&mut u64, &mut [u8; 32])) {
    let (number, hash) = last;
    if segment.len() < SEGMENT_HEADER {
        return;
    }
    if flags & CHAIN != 0 {
        segment[12..16].copy_from_slice(&id.to_le_bytes());
        if let Some(ledger) = ledger {
            segment[16..32].copy_from_slice(ledger);
        }
        segment[32..40].copy_from_slice(&(*number + 1).to_le_bytes());
        segment[40..72].copy_from_slice(hash);
    }
    if flags & CHECKSUMS != 0 {
        let crc = crc32c::crc32c(&segment[..72]);
        segment[72..76].copy_from_slice(&crc.to_le_bytes());
    }
    let mut at = SEGMENT_HEADER;
    while let Some(header) = segment.get(at..at + FRAME_HEADER) {
        let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let Some(frame) = segment.get_mut(at..at + FRAME_HEADER + length) else { return };
        if length == 0 {
            return;
        }
        if flags & CHAIN != 0 {
            *number += 1;
            frame[8..12].copy_from_slice(&id.to_le_bytes());
            frame[16..24].copy_from_slice(&number.to_le_bytes());
            frame[32..64].copy_from_slice(hash);
        }
        if flags & CHECKSUMS != 0 {
            let crc = crc32c::crc32c_append(crc32c::crc32c(&frame[..4]), &frame[8..]);
            frame[4..8].copy_from_slice(&crc.to_le_bytes());
        }
        *hash = *blake3::hash(frame).as_bytes();
        at += FRAME_HEADER + length;
    }
}

fn laid_out(segments: &[Vec<u8>]) -> TempDir {
    let memory = Path::new("/dev/shm");
    let directory = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let directory = directory.expect("a temporary directory");
    fs::create_dir(directory.path().join("journal")).expect("made");
    for (segment, id) in segments.iter().zip(1..) {
        fs::write(directory.path().join(format!("journal/{id:08}.tbj")), segment).expect("written");
    }
    directory
}

/// Each file under a directory with its bytes.
fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut todo = vec![directory.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(at).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                todo.push(path);
            } else {
                let bytes = fs::read(&path).expect("readable");
                files.insert(path.display().to_string(), bytes);
            }
        }
    }
    files
}
