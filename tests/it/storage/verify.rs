//! Checks from outside: past damage, against heads that were noted, and of an index that nobody has open.

use std::fs;
use std::path::Path;

use tillbook::domain::OrderId;
use tillbook::storage::embedded::{self, Embedded};
use tillbook::storage::{CheckReport, Noted, Storage, StorageError};

use super::damage::{contents, copy, frames, segment};
use super::fixture::*;

/// A closed ledger: orders 0 to 9 in events 1 to 10, then a hold of each in events 11 to 20, a frame each.
async fn closed(directory: &Path) {
    let ledger = open(directory);
    for number in 0..10 {
        add(&ledger, number).await;
    }
    for number in 0..10 {
        must(&ledger, hold(&order(number), &format!("r-{number}"), 100)).await;
    }
    ledger.close().await.expect("closed");
}

fn verify(directory: &Path) -> CheckReport {
    embedded::verify(directory, None).expect("checked")
}

fn against(directory: &Path, noted: &Noted) -> CheckReport {
    embedded::verify(directory, Some(noted)).expect("checked")
}

/// Each difference as `order event: what`.
fn found(report: &CheckReport) -> Vec<String> {
    let text = |order: &Option<OrderId>| order.as_ref().map_or("-".to_owned(), ToString::to_string);
    let differences = report.differences.iter();
    differences.map(|d| format!("{} {}: {}", text(&d.order), d.sequence.unwrap_or(0), d.what)).collect()
}

/// The frames of the first segment that hold the events, by their place among all frames.
fn frames_of_events(directory: &Path) -> Vec<(usize, usize)> {
    let file = segment(directory, 1);
    let bytes = fs::read(&file).expect("readable");
    let holds = |(start, length): &(usize, usize)| bytes[start + 64..start + length].starts_with(b"{\"sequence\":");
    frames(&file).into_iter().filter(holds).collect()
}

fn damage(directory: &Path, start: usize) {
    let file = segment(directory, 1);
    let mut bytes = fs::read(&file).expect("readable");
    bytes[start + 70] ^= 1;
    fs::write(file, bytes).expect("written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_is_whole_is_checked_from_outside_with_its_index_and_left_as_it_is() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    closed(directory.path()).await;
    let before = contents(directory.path());
    let report = verify(directory.path());
    assert_eq!((report.orders, report.refunds, report.events, report.good_through), (10, 10, 20, 20));
    assert_eq!((found(&report), report.notes.clone(), report.doubtful.len()), (Vec::new(), Vec::new(), 0));
    assert!(contents(directory.path()) == before, "something was changed");
    let onlooker = Embedded::open_read_only(directory.path()).expect("readable");
    assert_eq!(report.state, Some(onlooker.state_hash().await.expect("readable")));
    // What is noted does not move by opening and closing.
    let ledger = open(directory.path());
    let beside = verify(directory.path());
    let in_use = "the index was not compared: the ledger is in use, or its last owner was killed; the next open proves it \
                  or makes it anew";
    assert_eq!(beside, CheckReport { notes: vec![in_use.to_owned()], ..report.clone() });
    let own = ledger.check().await.expect("checked");
    ledger.close().await.expect("closed");
    assert_eq!((own.clone(), verify(directory.path())), (report, own));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_index_is_compared_from_outside_too() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    closed(directory.path()).await;
    let index = index_of(&directory.path().join("index-1"));
    // The one page in which all refund keys lie.
    index.remove(b"k").expect("removed").expect("it was there");
    index.flush().expect("flushed");
    drop(index);
    let report = verify(directory.path());
    assert_eq!(
        (found(&report), report.notes),
        (vec!["- 0: an entry for a refund key is missing".to_owned(); 10], Vec::new())
    );
    fs::remove_dir_all(directory.path().join("index-1")).expect("removed");
    let report = verify(directory.path());
    let note = "the index was not compared: there is none; the next open makes it anew";
    assert_eq!((found(&report), report.notes), (Vec::new(), vec![note.to_owned()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_events_name_their_orders_and_prove_all_others_whole() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    closed(directory.path()).await;
    let whole = verify(directory.path());
    let all = frames_of_events(directory.path());
    // Event 4: order 3 begins. Its hold, event 14, tells what is missing.
    damage(directory.path(), all[3].0);
    assert!(matches!(Embedded::open_read_only(directory.path()), Err(StorageError::Damaged { .. })));
    let report = verify(directory.path());
    let file = segment(directory.path(), 1);
    assert_eq!(report.differences[0].position, Some(format!("{} byte {}", file.display(), all[3].0)));
    let [lost, gap] = &found(&report)[..] else { panic!("{report:?}") };
    assert!(lost.starts_with("- 0: frame ") && lost.ends_with(" after it can; event 4 is lost"), "{lost}");
    assert_eq!(*gap, format!("{} 14: version 1 of the order is lost", order(3)));
    assert_eq!((report.good_through, report.events, report.state, report.doubtful), (3, 19, None, Vec::new()));
    let mut others = whole.heads;
    others.remove(&order(3));
    assert_eq!(report.heads, others, "every other order is proven as it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_tells_whose_the_lost_events_are_the_orders_before_them_are_doubtful() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    closed(directory.path()).await;
    let all = frames_of_events(directory.path());
    // Event 14: the hold of order 3, after which nothing happens to it. Orders 4 to 9 have a later event.
    damage(directory.path(), all[13].0);
    let report = verify(directory.path());
    assert_eq!((report.good_through, report.differences.len(), report.events), (13, 1, 19));
    assert_eq!(report.doubtful, [0, 1, 2, 3].map(order));
    assert_eq!(report.heads[&order(3)].version, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_damaged_places_and_a_missing_segment_are_each_found() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    of_many_segments(directory.path()).await;
    let all = frames_of_events(directory.path());
    damage(directory.path(), all[1].0);
    damage(directory.path(), all[3].0);
    fs::remove_file(segment(directory.path(), 2)).expect("removed");
    let report = verify(directory.path());
    let found = found(&report);
    assert_eq!((report.good_through, found.len()), (1, 3), "{found:?}");
    assert!(found[0].ends_with("event 2 is lost") && found[1].ends_with("event 4 is lost"), "{found:?}");
    assert!(found[2].starts_with("- 0: the file is missing; events "), "{found:?}");
    let third = segment(directory.path(), 3);
    assert!(fs::metadata(&third).expect("there").len() > 0 && report.events > 100, "the third segment was read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_end_is_a_note_and_no_difference() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    add(&ledger, 1).await;
    add(&ledger, 2).await;
    ledger.abandon().await.expect("abandoned");
    let (start, length) = *frames_of_events(directory.path()).last().expect("frames");
    let file = segment(directory.path(), 1);
    let mut bytes = fs::read(&file).expect("readable");
    bytes[start + length - 3..].fill(0);
    fs::write(&file, bytes).expect("written");
    let report = verify(directory.path());
    assert_eq!((found(&report), report.events, report.good_through), (Vec::new(), 1, 1));
    let note = format!("{} byte {start}: the journal ends in the middle of a write.", file.display());
    assert!(report.notes[0].starts_with(&note), "{:?}", report.notes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_changed_byte_goes_unnoticed_and_all_before_it_is_called_good() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    for number in 0..5 {
        add(&ledger, number).await;
        must(&ledger, hold(&order(number), &format!("r-{number}"), 100)).await;
    }
    ledger.abandon().await.expect("abandoned");
    let (file, events) = (segment(directory.path(), 1), frames_of_events(directory.path()));
    let all = frames(&file);
    let (last, length) = *all.last().expect("frames");
    let starts = all.iter().flat_map(|(start, _)| *start..*start + 64);
    let (mut bytes, mut torn) = (fs::read(&file).expect("readable"), 0);
    for at in (0..76).chain(starts.step_by(3)).chain((80..last + length).step_by(29)) {
        bytes[at] ^= 0x10;
        fs::write(&file, &bytes).expect("written");
        let report = match embedded::verify(directory.path(), None) {
            Ok(report) => report,
            Err(StorageError::NewerFormat { .. }) if (8..12).contains(&at) => {
                bytes[at] ^= 0x10;
                continue;
            }
            Err(other) => panic!("byte {at}: {other}"),
        };
        bytes[at] ^= 0x10;
        let before = events.iter().filter(|(start, length)| start + length <= at).count() as u64;
        assert_eq!(report.good_through, before, "byte {at}: {report:?}");
        match at < last {
            true => assert!(!report.differences.is_empty() && report.state.is_none(), "byte {at}: {report:?}"),
            false => {
                assert!(report.notes.iter().any(|note| note.contains("in the middle of a write")), "byte {at}");
                torn += 1;
            }
        }
    }
    assert!(torn > 0, "the last frame was never changed");
}

/// Rewrites the first segment as somebody would who knows the format: every checksum and every hash of a frame is made
/// anew, so that the journal follows from itself.
fn forge(directory: &Path, change: impl Fn(String) -> Option<String>) {
    let file = segment(directory, 1);
    let (bytes, frames) = (fs::read(&file).expect("readable"), frames(&file));
    let mut forged = bytes[..80].to_vec();
    let (mut previous, mut number) = (bytes[40..72].to_vec(), 0_u64);
    for (start, length) in frames {
        let is_text = bytes[start + 12] == 1;
        let payload = bytes[start + 64..start + length].to_vec();
        let payload = match is_text {
            true => match change(String::from_utf8(payload).expect("JSON")) {
                Some(changed) => changed.into_bytes(),
                None => continue,
            },
            false => payload,
        };
        number += 1;
        let mut frame = u32::try_from(payload.len()).expect("small").to_le_bytes().to_vec();
        frame.extend([0; 4]);
        frame.extend(&bytes[start + 8..start + 16]);
        frame.extend(number.to_le_bytes());
        frame.extend((number - 1).to_le_bytes());
        frame.extend(&previous);
        frame.extend(&payload);
        let crc = crc32c::crc32c_append(crc32c::crc32c(&frame[..4]), &frame[8..]);
        frame[4..8].copy_from_slice(&crc.to_le_bytes());
        previous = blake3::hash(&frame).as_bytes().to_vec();
        forged.extend(frame);
    }
    forged.resize(bytes.len(), 0);
    fs::write(file, forged).expect("written");
    for entry in fs::read_dir(directory).expect("readable") {
        let path = entry.expect("readable").path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("index-")) {
            fs::remove_dir_all(path).expect("removed");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_rewrites_the_whole_journal_is_caught_by_noted_heads_and_by_nothing_else() {
    let original = tempfile::tempdir().expect("a temporary directory");
    closed(original.path()).await;
    let noted = Noted::from(&verify(original.path()));
    let noted: Noted = serde_json::from_str(&serde_json::to_string(&noted).expect("written")).expect("read again");
    assert_eq!(found(&against(original.path(), &noted)), Vec::<String>::new());
    // More history is no difference.
    let grown = open(original.path());
    must(&grown, hold(&order(1), "more", 100)).await;
    grown.close().await.expect("closed");
    assert_eq!(found(&against(original.path(), &noted)), Vec::<String>::new());

    let forged = tempfile::tempdir().expect("a temporary directory");
    copy(original.path(), forged.path());
    let order_4 = format!("\"order\":\"{}\"", order(4));
    forge(forged.path(), |payload| match payload.contains(&order_4) {
        true => Some(payload.replace("8000", "9000")),
        false => Some(payload),
    });
    // The ledger opens, shows what was forged, and finds nothing wrong with itself.
    assert_eq!(found(&verify(forged.path())), Vec::<String>::new());
    let onlooker = Embedded::open_read_only(forged.path()).expect("opens");
    assert_eq!(onlooker.get(&order(4)).await.expect("readable").expect("known").paid(), fen(9000));
    assert_eq!(onlooker.check().await.expect("checked").differences, []);
    let ledger = open_copy(forged.path()).await;
    assert_eq!(ledger.check().await.expect("checked").differences, []);
    ledger.close().await.expect("closed");
    let report = against(forged.path(), &noted);
    let frame = noted.journal.as_ref().expect("a journal").frame;
    let mut want = vec![
        format!("{} 15: the order's history up to version 2 is not the one that was noted", order(4)),
        format!("- 0: the journal up to frame {frame} is not the one that was noted"),
    ];
    let mut said = found(&report);
    want.sort();
    said.sort();
    assert_eq!(said, want);
    let money = report.differences.iter().find(|found| found.order.is_some()).and_then(|found| found.money.clone());
    let want = "its amounts rest on events that were changed afterwards; now: paid 90.00, refunded 0.00, held 1.00";
    assert_eq!(money.as_deref(), Some(want));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_that_was_cut_consistently_is_caught_by_noted_heads() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    closed(directory.path()).await;
    let noted = Noted::from(&verify(directory.path()));
    // The last hold, and all of order 9, are gone: event 20 and event 10, with the sequences mended.
    forge(directory.path(), |payload| {
        let gone = payload.contains(&format!("\"order\":\"{}\"", order(9)));
        let sequence = (11..20).find(|sequence| payload.starts_with(&format!("{{\"sequence\":{sequence},")));
        (!gone).then(|| match sequence {
            Some(sequence) => payload.replacen(&sequence.to_string(), &(sequence - 1).to_string(), 1),
            None => payload,
        })
    });
    assert_eq!(found(&verify(directory.path())), Vec::<String>::new());
    let said = found(&against(directory.path(), &noted));
    assert!(said.contains(&format!("{} 0: the order was noted, and no event of it is there", order(9))), "{said:?}");
    assert!(said.iter().any(|said| said.starts_with("- 0: the journal ends with frame ")), "{said:?}");
}
