//! What a newer version wrote: refused by name with nothing changed, or (an index) made anew.

use std::path::{Path, PathBuf};

use tillbook::storage::Storage;
use tillbook::storage::embedded::Embedded;

use crate::storage::fixture::{add, open, options};

const SEGMENT_HEADER: usize = 80;
const FRAME_HEADER: usize = 64;
const COMMIT: u8 = 1;
const CHECKPOINT: u8 = 2;

/// Where the whole frames of a segment begin, by the documented format.
pub(super) fn frames_of(bytes: &[u8]) -> Vec<usize> {
    let (mut starts, mut offset) = (Vec::new(), SEGMENT_HEADER);
    while let Some(head) = bytes.get(offset..offset + 4) {
        let length = u32::from_le_bytes(head.try_into().expect("four bytes")) as usize;
        if length == 0 || offset + FRAME_HEADER + length > bytes.len() {
            break;
        }
        starts.push(offset);
        offset += FRAME_HEADER + length;
    }
    starts
}

/// Where the last whole frame of a segment ends, and the segment's bytes.
pub(super) fn end_of(segment: &Path) -> (usize, Vec<u8>) {
    let bytes = std::fs::read(segment).expect("readable");
    let end = frames_of(&bytes).last().map_or(SEGMENT_HEADER.min(bytes.len()), |start| {
        let length = u32::from_le_bytes(bytes[*start..start + 4].try_into().expect("four bytes")) as usize;
        start + FRAME_HEADER + length
    });
    (end, bytes)
}

/// Puts a frame into a segment by the documented format, after its last or in its place.
fn put_frame(segment: &Path, kind: u8, payload: &[u8], replace_last: bool) -> u64 {
    let (end, mut bytes) = end_of(segment);
    let starts = frames_of(&bytes);
    let last = *starts.last().expect("a frame");
    let number = |start: usize| u64::from_le_bytes(bytes[start + 16..start + 24].try_into().expect("eight bytes"));
    let (at, number, previous) = match replace_last {
        true => (last, number(last), bytes[last + 32..last + 64].to_vec()),
        false => (end, number(last) + 1, blake3::hash(&bytes[last..end]).as_bytes().to_vec()),
    };
    let mut frame = u32::try_from(payload.len()).expect("short").to_le_bytes().to_vec();
    frame.extend([0; 4]);
    frame.extend(&bytes[last + 8..last + 12]);
    frame.extend([kind, 0, 0, 0]);
    frame.extend(number.to_le_bytes());
    frame.extend((number - 1).to_le_bytes());
    frame.extend(previous);
    frame.extend(payload);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&frame[..4]), &frame[8..]);
    frame[4..8].copy_from_slice(&crc.to_le_bytes());
    bytes.truncate(at);
    bytes.extend(frame);
    std::fs::write(segment, bytes).expect("written");
    at as u64
}

fn segment(directory: &Path) -> PathBuf {
    directory.join("journal/00000001.tbj")
}

/// A closed ledger with two orders in one segment.
async fn closed() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    add(&ledger, 1).await;
    add(&ledger, 2).await;
    ledger.close().await.expect("closed");
    directory
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_newer_version_wrote_is_refused_in_words_that_say_what_to_do_and_nothing_is_changed() {
    let newer_segment = |path: &Path| {
        let mut bytes = std::fs::read(path).expect("readable");
        bytes[8] = 2;
        std::fs::write(path, bytes).expect("written");
        0
    };
    let unknown_kind = |path: &Path| put_frame(path, 9, b"{}", false);
    let unknown_event = |path: &Path| {
        let line = r#"{"sequence":3,"order":"fubei:2099:1","account":"shop-1","version":1,"at":"2017-06-01T13:53:56Z","device":"till-3","event":{"type":"order_split"}}"#;
        put_frame(path, COMMIT, line.as_bytes(), false) + FRAME_HEADER as u64
    };
    let unknown_line = |path: &Path| put_frame(path, COMMIT, b"{\"note\":\"\"}\n", false) + FRAME_HEADER as u64;
    type Change<'a> = &'a dyn Fn(&Path) -> u64;
    let table: [(Change<'_>, &str); 4] = [
        (
            &newer_segment,
            "has format 2, and this version reads up to 1: a newer tillbook wrote it; nothing was changed, open it with that one",
        ),
        (&unknown_kind, "holds at byte {at} what this version cannot read (a frame of kind 9); {advice}"),
        (
            &unknown_event,
            "holds at byte {at} what this version cannot read (unknown variant `order_split`, expected one of `order_recorded`, `facts_seen`, `refund_held`, `attempt_started`, `answered`, `probed`, `judged`, `refund_approved`, `attempt_lost`, `refund_to_review`, `refund_canceled` at line 1 column 143); {advice}",
        ),
        (
            &unknown_line,
            "holds at byte {at} what this version cannot read (missing field `sequence` at line 1 column 11); {advice}",
        ),
    ];
    let advice = "nothing was changed; open it with the newer tillbook that wrote it, or, where none did, restore the \
                  file from a backup";
    for (change, want) in table {
        let directory = closed().await;
        let path = segment(directory.path());
        let at = change(&path);
        let want = format!("{} {want}", path.display()).replace("{at}", &at.to_string()).replace("{advice}", advice);
        let before = std::fs::read(&path).expect("readable");
        assert_eq!(Embedded::open(directory.path(), &options()).err().expect("refused").to_string(), want);
        assert_eq!(Embedded::open_read_only(directory.path()).err().expect("refused").to_string(), want);
        let after = std::fs::read(&path).expect("readable");
        assert!(after == before, "something was changed: {want}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_of_another_format_is_made_anew_from_the_journal() {
    for format in [2, 4] {
        let directory = closed().await;
        let path = segment(directory.path());
        let (end, bytes) = end_of(&path);
        let last = *frames_of(&bytes).last().expect("a frame");
        assert_eq!(bytes[last + 12], CHECKPOINT, "a closed ledger ends with a checkpoint");
        let mut checkpoint: serde_json::Value =
            serde_json::from_slice(&bytes[last + FRAME_HEADER..end]).expect("a checkpoint is JSON");
        let (generation, was) = (checkpoint["generation"].clone(), checkpoint["format"].take());
        assert_eq!((generation, was), (1.into(), 3.into()));
        checkpoint["format"] = format.into();
        put_frame(&path, CHECKPOINT, checkpoint.to_string().as_bytes(), true);

        let ledger = open(directory.path());
        assert_eq!(ledger.events(0, 10).await.expect("readable").len(), 2);
        let report = ledger.check().await.expect("checked");
        assert_eq!((report.orders, report.differences), (2, vec![]));
        assert!(directory.path().join("index-2").is_dir() && !directory.path().join("index-1").exists());
        ledger.close().await.expect("closed");
    }
}
