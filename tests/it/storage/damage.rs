//! Journals that are torn, damaged or gone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tillbook::storage::embedded::{self, Embedded};
use tillbook::storage::{Storage, StorageError, TransactError};

use super::fixture::*;

/// Where the frames of a segment lie, read by the documented format: offset and length.
pub(super) fn frames(segment: &Path) -> Vec<(usize, usize)> {
    let bytes = std::fs::read(segment).expect("readable");
    let mut offset = 80;
    let mut frames = Vec::new();
    while let Some(length) = bytes.get(offset..offset + 4) {
        let length = u32::from_le_bytes(length.try_into().expect("four bytes")) as usize;
        if length == 0 {
            break;
        }
        frames.push((offset, 64 + length));
        offset += 64 + length;
    }
    frames
}

pub(super) fn segment(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("journal/{number:08}.tbj"))
}

/// Every file under a directory with its bytes, but for the lock, which names who asked last.
pub(super) fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                open.push(path);
            } else if !path.ends_with("LOCK") {
                let bytes = std::fs::read(&path).expect("readable");
                files.insert(path, bytes);
            }
        }
    }
    files
}

pub(super) fn copy(from: &Path, to: &Path) {
    for (path, bytes) in contents(from) {
        let path = to.join(path.strip_prefix(from).expect("below"));
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, bytes).expect("written");
    }
}

/// A ledger that was not closed; its last frame holds three events of one command, after four others.
async fn left_open(directory: &Path) {
    let ledger = open(directory);
    for number in 0..4 {
        add(&ledger, number).await;
    }
    assert_eq!(must(&ledger, refund_now(3, "last", 100)).await.entries.len(), 3);
    ledger.abandon().await.expect("abandoned");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_last_frame_torn_at_any_byte_is_cut_and_the_rest_is_there() {
    let original = tempfile::tempdir().expect("a temporary directory");
    left_open(original.path()).await;
    let (start, length) = *frames(&segment(original.path(), 1)).last().expect("frames");
    let whole = std::fs::read(segment(original.path(), 1)).expect("readable");
    for cut in 0..=length {
        // As a file that was set aside leaves it (zeros follow), as one that grew leaves it, and with garbage.
        for shape in 0..3 {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let torn = segment(directory.path(), 1);
            std::fs::create_dir(torn.parent().expect("a parent")).expect("made");
            let mut bytes = whole[..start + cut].to_vec();
            match shape {
                0 => bytes.resize(whole.len(), 0),
                1 => {}
                _ => bytes.extend(whole[start + cut..start + length].iter().map(|byte| byte ^ 0x5a)),
            }
            std::fs::write(&torn, &bytes).expect("written");
            let want = if cut == length { 7 } else { 4 };
            let onlooker = Embedded::open_read_only(directory.path()).expect("a torn end is no damage");
            assert_eq!(onlooker.events(0, 10).await.expect("readable").len(), want, "cut at {cut}, shape {shape}");
            assert_eq!(std::fs::read(&torn).expect("readable"), bytes, "an onlooker writes nothing");
            // Opening makes an index each time, which takes longer: each byte of the header once, then some.
            if cut % 3 != shape || (cut > 70 && cut % 37 != 0 && cut < length - 2) {
                continue;
            }
            let ledger = open_copy(directory.path()).await;
            assert_eq!(ledger.events(0, 10).await.expect("readable").len(), want, "cut at {cut}, shape {shape}");
            must(&ledger, hold(&order(3), "next", 100)).await;
            ledger.close().await.expect("closed");
            let onlooker = Embedded::open_read_only(directory.path()).expect("mended");
            assert_eq!(onlooker.events(0, 10).await.expect("readable").len(), want + 1, "cut at {cut}, shape {shape}");
            assert_eq!(onlooker.check().await.expect("checked").differences, []);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_middle_is_refused_with_file_and_position_and_nothing_is_changed() {
    let original = tempfile::tempdir().expect("a temporary directory");
    left_open(original.path()).await;
    let all = frames(&segment(original.path(), 1));
    for (start, length) in &all[..all.len() - 1] {
        for at in [0, 1, 4, 8, 12, 16, 24, 32, 63, 64, length / 2, length - 1] {
            let directory = tempfile::tempdir().expect("a temporary directory");
            copy(original.path(), directory.path());
            let damaged = segment(directory.path(), 1);
            let mut bytes = std::fs::read(&damaged).expect("readable");
            bytes[start + at] ^= 0x10;
            std::fs::write(&damaged, bytes).expect("written");
            let before = contents(directory.path());
            match Embedded::open(directory.path(), &options()).err() {
                Some(StorageError::Damaged { path, position, .. }) => {
                    assert_eq!((path, position), (damaged, *start as u64), "byte {at} of the frame at {start}");
                }
                Some(other) => panic!("{other}"),
                None => panic!("opened in spite of byte {at} of the frame at {start}"),
            }
            assert!(Embedded::open_read_only(directory.path()).is_err());
            assert!(contents(directory.path()) == before, "something was changed");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zeros_over_a_frame_in_the_middle_are_damage_and_not_the_end() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    left_open(directory.path()).await;
    let file = segment(directory.path(), 1);
    let (start, length) = frames(&file)[2];
    let mut bytes = std::fs::read(&file).expect("readable");
    bytes[start..start + length].fill(0);
    std::fs::write(&file, bytes).expect("written");
    let error = Embedded::open(directory.path(), &options()).err().expect("refused");
    assert!(matches!(&error, StorageError::Damaged { position, .. } if *position == start as u64), "{error}");
}

/// A torn write is blanked when a ledger is opened. Where the sync of the blanks failed, and the next process saw them all
/// the same, a power cut after the next segment was begun brings the torn bytes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lies_behind_the_place_from_which_the_next_segment_goes_on_is_no_damage() {
    let original = tempfile::tempdir().expect("a temporary directory");
    of_many_segments(original.path()).await;
    let file = segment(original.path(), 1);
    let (start, length) = *frames(&file).last().expect("frames");
    let bytes = std::fs::read(&file).expect("readable");
    let (good, frame) = (&bytes[..start + length], &bytes[start..start + length]);
    for left in [&frame[..length / 2], &[&[0; 100], &frame[length / 2..]].concat(), &[&[7], frame].concat()] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        copy(original.path(), directory.path());
        std::fs::write(segment(directory.path(), 1), [good, left].concat()).expect("written");
        let outside = embedded::verify(directory.path(), None).expect("checked");
        std::fs::remove_dir_all(directory.path().join("index-1")).expect("removed");
        let ledger = open_copy(directory.path()).await;
        let report = ledger.check().await.expect("checked");
        ledger.close().await.expect("closed");
        assert_eq!(
            (outside.orders, report.orders, outside.differences, report.differences),
            (300, 300, vec![], vec![])
        );
        // With the last frame before it gone, it is damage as before.
        std::fs::write(segment(directory.path(), 1), [&good[..start], left].concat()).expect("written");
        assert!(refusal(directory.path()).contains("the segment after it was begun later"));
    }
}

/// What opening says, with the index deleted so that all of the journal has to be read.
fn refusal(directory: &Path) -> String {
    let _ = std::fs::remove_dir_all(directory.join("index-1"));
    Embedded::open(directory, &options()).err().expect("refused").to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_that_are_missing_exchanged_or_cut_are_refused_by_name() {
    let original = tempfile::tempdir().expect("a temporary directory");
    of_many_segments(original.path()).await;
    let advice = "restore the file from a backup, nothing was changed";
    let fresh = || {
        let directory = tempfile::tempdir().expect("a temporary directory");
        copy(original.path(), directory.path());
        directory
    };
    let missing = fresh();
    std::fs::remove_file(segment(missing.path(), 2)).expect("removed");
    let file = segment(missing.path(), 2);
    assert_eq!(
        refusal(missing.path()),
        format!("{} is damaged at byte 0: the file is missing; {advice}", file.display())
    );
    let exchanged = fresh();
    std::fs::copy(segment(original.path(), 3), segment(exchanged.path(), 2)).expect("copied");
    let file = segment(exchanged.path(), 2);
    assert_eq!(
        refusal(exchanged.path()),
        format!("{} is damaged at byte 12: it says that it is segment 3; {advice}", file.display())
    );
    let cut = fresh();
    let (start, _) = *frames(&segment(cut.path(), 2)).last().expect("frames");
    let bytes = std::fs::read(segment(cut.path(), 2)).expect("readable");
    std::fs::write(segment(cut.path(), 2), &bytes[..start]).expect("written");
    let said = refusal(cut.path());
    assert!(
        said.starts_with(&format!("{} is damaged at byte 32: it begins after frame", segment(cut.path(), 3).display())),
        "{said}"
    );
    let garbled = fresh();
    let mut bytes = std::fs::read(segment(garbled.path(), 2)).expect("readable");
    bytes[0] = b'T';
    std::fs::write(segment(garbled.path(), 2), &bytes).expect("written");
    let file = segment(garbled.path(), 2);
    assert_eq!(
        refusal(garbled.path()),
        format!("{} is damaged at byte 0: its header cannot be read; {advice}", file.display())
    );
    let gone = fresh();
    std::fs::remove_dir_all(gone.path().join("journal")).expect("removed");
    let said = Embedded::open(gone.path(), &options()).err().expect("refused").to_string();
    assert!(said.contains("there is an index, and the journal it was made from is gone"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_lost_its_end_is_refused_where_the_index_has_seen_more() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    for number in 0..10 {
        add(&ledger, number).await;
    }
    ledger.wait_for_index();
    ledger.abandon().await.expect("abandoned");
    let file = segment(directory.path(), 1);
    let (start, _) = frames(&file)[8];
    let mut bytes = std::fs::read(&file).expect("readable");
    bytes[start..].fill(0);
    std::fs::write(&file, &bytes).expect("written");
    let error = Embedded::open(directory.path(), &options()).err().expect("refused");
    assert!(matches!(&error, StorageError::Damaged { position, .. } if *position == start as u64), "{error}");
    assert!(error.to_string().contains("and the index has seen frame 12"), "{error}");
    assert_eq!(std::fs::read(&file).expect("readable"), bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_cannot_be_read_above_a_torn_end_is_refused_with_nothing_changed() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    left_open(directory.path()).await;
    let file = segment(directory.path(), 1);
    let mut bytes = std::fs::read(&file).expect("readable");
    let (start, length) = *frames(&file).last().expect("frames");
    // A newer version's event: well written, and not known here.
    bytes[start + 64] = b'?';
    let frame = &mut bytes[start..start + length];
    let crc = crc32c::crc32c_append(crc32c::crc32c(&frame[..4]), &frame[8..]);
    frame[4..8].copy_from_slice(&crc.to_le_bytes());
    bytes[start + length..start + length + 50].fill(0x55);
    std::fs::write(&file, &bytes).expect("written");
    let before = contents(&directory.path().join("journal"));
    let error = Embedded::open(directory.path(), &options()).err().expect("refused");
    assert!(matches!(&error, StorageError::Unreadable { position, .. } if *position == start as u64 + 64), "{error}");
    assert!(contents(&directory.path().join("journal")) == before, "something was changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_segment_that_claims_the_first_frame_hides_no_damage_from_an_onlooker() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    left_open(directory.path()).await;
    let file = segment(directory.path(), 1);
    let mut bytes = std::fs::read(&file).expect("readable");
    let mut second = bytes[..80].to_vec();
    second[12] = 2;
    let crc = crc32c::crc32c(&second[..72]);
    second[72..76].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(segment(directory.path(), 2), second).expect("written");
    bytes[100] ^= 1;
    std::fs::write(&file, bytes).expect("written");
    for refusal in
        [Embedded::open_read_only(directory.path()).err(), Embedded::open(directory.path(), &options()).err()]
    {
        let refusal = refusal.expect("refused");
        assert!(matches!(&refusal, StorageError::Damaged { position: 80, .. }), "{refusal}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_that_was_being_begun_when_the_power_went_is_begun_again() {
    for header in [0, 10, 75] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        left_open(directory.path()).await;
        let mut blank = std::fs::read(segment(directory.path(), 1)).expect("readable")[..header].to_vec();
        blank.resize(64 << 10, 0);
        std::fs::write(segment(directory.path(), 2), blank).expect("written");
        let ledger = open(directory.path());
        assert_eq!(ledger.events(0, 10).await.expect("readable").len(), 7);
        for number in 10..200 {
            add(&ledger, number).await;
        }
        assert_eq!(ledger.check().await.expect("checked").differences, []);
        ledger.close().await.expect("closed");
    }
}

/// What a record is made of lies in the journal: one line of it that rots takes one order with it, not the shop.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_event_is_damaged_is_refused_with_the_place_and_all_others_go_on() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    of_many_segments(directory.path()).await;
    let first = segment(directory.path(), 1);
    let mut bytes = std::fs::read(&first).expect("readable");
    bytes[5000] ^= 1;
    std::fs::write(&first, bytes).expect("writable");
    let ledger = open(directory.path());
    let mut damaged = Vec::new();
    for number in 0..300 {
        match ledger.get(&order(number)).await {
            Ok(record) => assert_eq!(record.map(|record| record.version), Some(1)),
            Err(StorageError::Damaged { path, position, .. }) => damaged.push((number, path, position)),
            Err(error) => panic!("{error}"),
        }
    }
    let [(number, path, position)] = damaged.as_slice() else { panic!("{damaged:?}") };
    assert!(*path == first && (4000..=5000).contains(position), "{} byte {position}", path.display());
    let refused = ledger.transact(hold(&order(*number), "a", 100)).await.expect_err("nothing to decide on");
    assert!(matches!(refused, TransactError::Storage(StorageError::Damaged { .. })), "{refused}");
    let page = vec![hold(&order(*number), "b", 100), hold(&order(number + 1), "b", 100)];
    let answers = ledger.transact_many(page).await.expect("written");
    let words: Vec<Result<u64, String>> =
        answers.into_iter().map(|answer| answer.map(|held| held.record.version).map_err(|e| e.to_string())).collect();
    let why = "event 0 (unreadable) of order fubei:2099:";
    assert!(matches!(&words[..], [Err(words), Ok(2)] if words.starts_with(why)), "{words:?}");
    must(&ledger, hold(&order(number + 2), "c", 100)).await;
    ledger.close().await.expect("closed");
}
