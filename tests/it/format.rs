//! The format promise: what format 1 wrote is read for ever, and what is newer is refused in clear words.
//!
//! `tests/fixtures/format-1` is a ledger that version 0.1 wrote: three segments and more, two devices, checkpoints, an
//! end that was torn. `state.json` beside it is what it holds. Neither is ever written again: a change that breaks these
//! tests breaks users' ledgers. The fixture was made with
//! `TILLBOOK_FORMAT_FIXTURE=write cargo test --all-features --test it format::`, and a later format gets one of its own.

mod newer;
mod story;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tillbook::domain::{DeviceName, Event};
use tillbook::storage::embedded::{Embedded, EmbeddedOptions};
use tillbook::storage::{CheckReport, Storage, Transaction};

use crate::storage::fixture::{add, facts, must, open_copy, options, order};

const CURSORS: [&str; 2] = ["pull shop-1", "游标"];

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1")
}

/// A copy of the fixture's journal, for nothing may be written in the fixture itself.
fn copied() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    copy_journal(&fixture(), directory.path());
    directory
}

fn copy_journal(from: &Path, to: &Path) {
    std::fs::create_dir(to.join("journal")).expect("made");
    for file in std::fs::read_dir(from.join("journal")).expect("the fixture is there") {
        let file = file.expect("readable");
        std::fs::copy(file.path(), to.join("journal").join(file.file_name())).expect("copied");
    }
}

/// Everything that a ledger holds.
async fn state(storage: &dyn Storage) -> Value {
    let events = storage.events(0, usize::MAX).await.expect("readable");
    let orders: BTreeSet<_> = events.iter().map(|entry| &entry.order).collect();
    let mut records = Vec::new();
    for order in orders {
        let record = storage.get(order).await.expect("readable").expect("an order with events");
        records.push(json!(*record));
    }
    let mut cursors = Map::new();
    for name in CURSORS {
        cursors.insert(name.to_owned(), json!(storage.cursor(name).await.expect("readable")));
    }
    let events: Vec<Value> = events.iter().map(|entry| json!(**entry)).collect();
    json!({"records": records, "events": events, "cursors": cursors})
}

/// Where `have` is not what `want` says. What a later version says beside it is no difference.
fn differences(want: &Value, have: &Value, at: &str, found: &mut Vec<String>) {
    match (want, have) {
        (Value::Object(want), Value::Object(have)) => {
            for (name, want) in want {
                differences(want, have.get(name).unwrap_or(&Value::Null), &format!("{at}.{name}"), found);
            }
        }
        (Value::Array(want), Value::Array(have)) if want.len() == have.len() => {
            for (index, (want, have)) in want.iter().zip(have).enumerate() {
                differences(want, have, &format!("{at}[{index}]"), found);
            }
        }
        _ if want == have => {}
        _ => found.push(format!("{at}: {want} became {have}")),
    }
}

fn compare(have: &Value) -> Vec<String> {
    let text = std::fs::read_to_string(fixture().join("state.json")).expect("the fixture is there");
    let mut found = Vec::new();
    differences(&serde_json::from_str(&text).expect("JSON"), have, "", &mut found);
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_of_format_1_is_read_as_it_was_written() {
    let directory = copied();
    let onlooker = Embedded::open_read_only(directory.path()).expect("read beside its owner");
    assert_eq!(compare(&state(&onlooker).await), [""; 0]);

    let ledger = open_copy(directory.path()).await;
    assert_eq!(compare(&state(&ledger).await), [""; 0]);
    let CheckReport { orders, refunds, events, differences, .. } = ledger.check().await.expect("checked");
    assert_eq!((orders, refunds, events, differences), (35, 16, 90, vec![]));
    add(&ledger, 1_000).await;
    ledger.close().await.expect("closed");

    let ledger = Embedded::open(directory.path(), &options()).expect("opens again");
    assert_eq!(ledger.check().await.expect("checked").differences, []);
    assert_eq!(ledger.events(90, 10).await.expect("readable").len(), 1);
    ledger.close().await.expect("closed");
}

/// The words of format 1. An event that is not among them makes a new format, with a fixture of its own: an older
/// version that opened the journal would else stop in its middle.
fn word_of_format_1(event: &Event) -> &'static str {
    match event {
        Event::OrderRecorded { .. } => "order_recorded",
        Event::FactsSeen { .. } => "facts_seen",
        Event::RefundHeld { .. } => "refund_held",
        Event::AttemptStarted { .. } => "attempt_started",
        Event::Answered { .. } => "answered",
        Event::Probed { .. } => "probed",
        Event::Judged { .. } => "judged",
        Event::RefundApproved { .. } => "refund_approved",
        Event::AttemptLost { .. } => "attempt_lost",
        Event::RefundToReview { .. } => "refund_to_review",
        Event::RefundCanceled { .. } => "refund_canceled",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fixture_holds_every_event_and_state_in_several_segments_with_a_torn_end() {
    let journal = fixture().join("journal");
    let mut segments: Vec<PathBuf> =
        std::fs::read_dir(&journal).expect("there").map(|file| file.expect("readable").path()).collect();
    segments.sort();
    assert!(segments.len() >= 3, "{segments:?}");
    let (offset, bytes) = newer::end_of(segments.last().expect("segments"));
    assert!(bytes[offset..].iter().any(|byte| *byte != 0), "the last segment has no torn end");

    let onlooker = Embedded::open_read_only(fixture()).expect("an onlooker writes nothing");
    let entries = onlooker.events(0, usize::MAX).await.expect("readable");
    let words: BTreeSet<&str> = entries.iter().map(|entry| word_of_format_1(&entry.event)).collect();
    assert_eq!(words.len(), 11, "{words:?}");
    assert!(entries.iter().all(|entry| entry.event.name() == word_of_format_1(&entry.event)));
    let devices: BTreeSet<&str> = entries.iter().map(|entry| entry.device.as_str()).collect();
    assert_eq!(devices, BTreeSet::from(["till-3", "till-4"]));
    for state in tillbook::domain::RefundState::ALL {
        assert!(!onlooker.refunds_in(state, None, 1).await.expect("readable").is_empty(), "{state}");
    }
}

fn of_device(name: &str) -> EmbeddedOptions {
    let mut options = EmbeddedOptions::new(DeviceName::new(name).expect("valid"));
    (options.segment_bytes, options.lock_wait) = (16 << 10, std::time::Duration::from_secs(10));
    options
}

async fn write_all(ledger: &Embedded, commits: Vec<Transaction>) {
    for commit in commits {
        must(ledger, commit).await;
    }
}

/// Makes the fixture, where it is asked for; it never is where one is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fixture_is_made_once() {
    if std::env::var_os("TILLBOOK_FORMAT_FIXTURE").is_none_or(|value| value != "write") {
        assert!(fixture().join("state.json").exists(), "the fixture of format 1 is gone: take it back from history");
        return;
    }
    assert!(!fixture().join("state.json").exists(), "a fixture is never written again");
    let directory = tempfile::tempdir().expect("a temporary directory");

    let ledger = Embedded::open(directory.path(), &of_device("till-3")).expect("opens");
    write_all(&ledger, story::the_long_way()).await;
    ledger.put_cursor(CURSORS[0], r#"{"page":3,"until":"2017-06-01T13:53:56Z"}"#.to_owned()).await.expect("kept");
    write_all(&ledger, story::every_state()).await;
    ledger.close().await.expect("closed");

    let ledger = Embedded::open(directory.path(), &of_device("till-4")).expect("opens");
    write_all(&ledger, story::every_word()).await;
    let page = (50..70).map(|number| story::commit(&order(number), 60, vec![story::seen(facts(number))])).collect();
    let answers = ledger.transact_many(page).await.expect("one write");
    assert!(answers.iter().all(Result::is_ok));
    ledger.put_cursor(CURSORS[1], "第一页\n".to_owned()).await.expect("kept");
    ledger.put_cursor(CURSORS[1], "第二页".to_owned()).await.expect("kept");
    ledger.abandon().await.expect("abandoned");

    let ledger = Embedded::open(directory.path(), &of_device("till-3")).expect("opens");
    must(&ledger, story::commit(&order(70), 70, vec![story::seen(facts(70))])).await;
    let whole = state(&ledger).await;
    must(&ledger, story::commit(&order(71), 71, vec![story::seen(facts(71))])).await;
    ledger.abandon().await.expect("abandoned");

    std::fs::create_dir_all(fixture()).expect("made");
    copy_journal(directory.path(), &fixture());
    cut_blank_and_tear(&fixture().join("journal"));
    std::fs::write(fixture().join("state.json"), in_lines(&whole)).expect("written");
}

/// A state with each record and each event in a line of its own.
fn in_lines(state: &Value) -> String {
    let lines = |name: &str| {
        let values = state[name].as_array().expect("an array");
        values.iter().map(Value::to_string).collect::<Vec<_>>().join(",\n")
    };
    let (records, events, cursors) = (lines("records"), lines("events"), &state["cursors"]);
    format!("{{\"records\": [\n{records}\n],\n\"events\": [\n{events}\n],\n\"cursors\": {cursors}}}\n")
}

/// Cuts what is blank off the segments, and the last frame in its middle.
fn cut_blank_and_tear(journal: &Path) {
    let mut segments: Vec<PathBuf> =
        std::fs::read_dir(journal).expect("there").map(|file| file.expect("readable").path()).collect();
    segments.sort();
    let mut last = None;
    for segment in segments {
        let (end, bytes) = newer::end_of(&segment);
        if bytes.iter().all(|byte| *byte == 0) {
            std::fs::remove_file(&segment).expect("a spare segment goes");
        } else {
            std::fs::write(&segment, &bytes[..end]).expect("written");
            last = Some((segment, bytes[..end].to_vec()));
        }
    }
    let (segment, bytes) = last.expect("a segment");
    let start = *newer::frames_of(&bytes).last().expect("a frame");
    std::fs::write(&segment, &bytes[..usize::midpoint(start, bytes.len())]).expect("torn");
}
