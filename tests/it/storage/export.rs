//! Exports and the ledgers made from them.

use std::fs;
use std::path::Path;

use tillbook::storage::embedded::{self, Embedded};
use tillbook::storage::{ExportHead, Storage, StorageError};
use tillbook::{Ledger, Quarantine};

use super::fixture::*;

async fn exported(directory: &Path) -> Vec<u8> {
    let ledger = Ledger::builder().open_read_only(directory).await.expect("readable");
    let mut bytes = Vec::new();
    ledger.export(&mut bytes).await.expect("exported");
    ledger.close().await.expect("closed");
    bytes
}

/// Three orders, a refund of each, one settled; two cursors.
async fn some_history(directory: &Path) {
    let ledger = open(directory);
    for number in [2, 1, 3] {
        add(&ledger, number).await;
        must(&ledger, hold(&order(number), &format!("r-{number}"), 100)).await;
    }
    must(&ledger, begin(1, "r-1")).await;
    must(&ledger, settle(&order(1), "r-1", tillbook::domain::Outcome::Succeeded)).await;
    ledger.put_cursor("orders", "a\nb".to_owned()).await.expect("kept");
    ledger.put_cursor("bill", "x".repeat(20_000)).await.expect("kept");
    ledger.close().await.expect("closed");
}

fn lines(export: &[u8]) -> Vec<String> {
    String::from_utf8(export.to_vec()).expect("UTF-8").lines().map(str::to_owned).collect()
}

fn text(lines: &[String]) -> Vec<u8> {
    lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_holds_the_head_each_entry_as_written_the_heads_and_the_cursors() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    some_history(directory.path()).await;
    let export = exported(directory.path()).await;
    let ledger = Embedded::open_read_only(directory.path()).expect("readable");
    let events = ledger.lines(0, 100).await.expect("readable");
    let state = ledger.state_hash().await.expect("readable");
    let mut from_outside = Vec::new();
    embedded::export(directory.path(), &mut from_outside).expect("exported");
    assert!(from_outside == export, "from outside it differs");
    let lines = lines(&export);
    let head = format!(
        r#"{{"tillbook_export":1,"device":"till-3","orders":3,"events":{},"cursors":2,"state":"{state}"}}"#,
        events.len()
    );
    assert_eq!(lines[0], head);
    assert_eq!(lines[1..=events.len()], events);
    let mut want = Vec::new();
    for number in [1, 2, 3] {
        let record = ledger.get(&order(number)).await.expect("readable").expect("known");
        let (version, hash) = (record.version, record.head);
        want.push(format!(r#"{{"head":{{"order":"{}","version":{version},"hash":"{hash}"}}}}"#, order(number)));
    }
    want.push(format!(r#"{{"cursor":"bill","value":"{}"}}"#, "x".repeat(20_000)));
    want.push(r#"{"cursor":"orders","value":"a\nb"}"#.to_owned());
    assert_eq!(lines[events.len() + 1..], want);
    assert!(export.ends_with(b"\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_is_the_same_ledger_in_quarantine_and_its_export_the_same_bytes() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (from, into) = (directory.path().join("ledger"), directory.path().join("new/ledger"));
    some_history(&from).await;
    let export = exported(&from).await;
    let head = Ledger::from_export(std::io::Cursor::new(export.clone()), &into).await.expect("imported");
    let (original, imported) =
        [&from, &into].map(|directory| Embedded::open_read_only(directory).expect("readable")).into();
    let state = original.state_hash().await.expect("readable");
    assert_eq!(imported.state_hash().await.expect("readable"), state);
    let want = ExportHead {
        format: 1,
        device: Some(device()),
        orders: 3,
        events: original.lines(0, 100).await.expect("readable").len() as u64,
        cursors: 2,
        state: state.to_string(),
    };
    assert_eq!(head, want);
    assert_eq!(imported.lines(0, 100).await.expect("readable"), original.lines(0, 100).await.expect("readable"));
    assert_eq!(imported.cursors().await.expect("readable"), original.cursors().await.expect("readable"));
    let Quarantine { why, .. } = imported.quarantine().expect("in quarantine");
    assert!(why.starts_with("it was made by import at 2"), "{why}");
    assert!(exported(&into).await == export, "the export of an import differs");
    let (one, other) = [&from, &into].map(|directory| embedded::verify(directory, None).expect("checked")).into();
    assert_eq!((other.differences.clone(), &other.heads, other.state), (vec![], &one.heads, one.state));

    // The journal itself knows that it is nobody's own.
    fs::remove_file(into.join("ORIGIN")).expect("removed");
    assert!(open(&into).quarantine().is_some());
    let ledger = open_copy(&into).await;
    must(&ledger, hold(&order(2), "r-new", 100)).await;
    assert_eq!(ledger.check().await.expect("checked").differences, []);
    ledger.close().await.expect("closed");
    assert_eq!(open(&into).quarantine(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_without_events_is_exported_and_imported_too() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (from, into) = (directory.path().join("ledger"), directory.path().join("new"));
    open(&from).close().await.expect("closed");
    let export = exported(&from).await;
    assert_eq!(lines(&export).len(), 1);
    embedded::import(&export[..], &into).expect("imported");
    assert!(exported(&into).await == export);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_that_a_newer_version_added_to_an_entry_survive_byte_for_byte() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (from, into) = (directory.path().join("ledger"), directory.path().join("new"));
    let ledger = open(&from);
    add(&ledger, 1).await;
    ledger.close().await.expect("closed");
    let mut written = lines(&exported(&from).await);
    // As a newer version would have written the entry, with what follows from it.
    let entry = written[1].replacen("{\"sequence\":1,", "{\"sequence\":1,\"weather\": [\"雨\", 1.50],", 1);
    let hash = tillbook::domain::ChainHash::START.next(entry.as_bytes());
    let old = tillbook::domain::ChainHash::START.next(written[1].as_bytes());
    written[1].clone_from(&entry);
    written[2] = written[2].replace(&old.to_string(), &hash.to_string());
    let refused = embedded::import(&text(&written)[..], &into).expect_err("the state differs").to_string();
    let state = refused.rsplit_once("and state ").and_then(|(_, rest)| rest.get(..64)).expect("a state").to_owned();
    let announced = written[0].rsplit_once("\"state\":\"").expect("a state").1[..64].to_owned();
    written[0] = written[0].replace(&announced, &state);
    embedded::import(&text(&written)[..], &into).expect("imported");
    let imported = Embedded::open_read_only(&into).expect("readable");
    assert_eq!(imported.lines(0, 10).await.expect("readable"), [entry]);
    assert!(exported(&into).await == text(&written));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_altered_or_cut_is_refused_with_its_line_and_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (from, into) = (directory.path().join("ledger"), directory.path().join("made/new"));
    some_history(&from).await;
    let whole = lines(&exported(&from).await);
    let events = whole.len() - 1 - 3 - 2;
    let refused = |bytes: &[u8]| {
        let error = embedded::import(bytes, &into).expect_err("refused");
        assert!(!directory.path().join("made").exists(), "something is left after: {error}");
        match error {
            StorageError::BadExport { line, why } => (line, why),
            other => panic!("{other}"),
        }
    };
    let with = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = whole.clone();
        change(&mut lines);
        refused(&text(&lines))
    };
    let at = |line: usize| line as u64 + 1;
    // An amount that reads well and follows: only the chain tells, in the order's own head.
    let (line, why) = with(&|lines| lines[1] = lines[1].replace("8000", "9000"));
    assert_eq!(line, at(events + 2), "{why}");
    assert!(
        why.starts_with(&format!("the lines of order {} make version 2", order(2))) && why.ends_with("one was altered")
    );
    let cases: Vec<(&str, u64, String)> = vec![
        ("a line is missing", at(2), "event 3 stands where event 2 is wanted".to_owned()),
        ("lines are exchanged", at(1), "event 2 stands where event 1 is wanted".to_owned()),
        ("a line twice", at(2), "event 1 stands where event 2 is wanted".to_owned()),
        ("not JSON", at(2), "event 2 cannot be read: ".to_owned()),
        ("another order's version", at(2), format!("version 2 of order {} follows version 0", order(1))),
        ("cannot follow", at(3), "event 3 (refund_held) of order".to_owned()),
        ("a cursor is missing", at(events + 5), "the export ends here, where cursor 2 of 2 is wanted".to_owned()),
        ("an entry for a cursor", at(events + 4), "event 1 stands where a cursor is wanted".to_owned()),
        ("an own cursor", at(events + 4), "cursor instance does not belong here".to_owned()),
        ("a head is missing", at(events + 3), format!("the head of order {} cannot be read: ", order(3))),
        ("more lines", at(events + 6), "it goes on after the last line that its first line announces".to_owned()),
        ("another cursor", 1, "it announces 3 orders and state ".to_owned()),
        ("no export", 1, "it is not the first line of an export".to_owned()),
        ("a newer one", 1, "it has format 2, and this version reads up to 1".to_owned()),
    ];
    for (case, line, why) in cases {
        let said = with(&|lines| match case {
            "a line is missing" => drop(lines.remove(2)),
            "lines are exchanged" => lines.swap(1, 2),
            "a line twice" => lines[2] = lines[1].clone(),
            "not JSON" => lines[2].truncate(30),
            "another order's version" => lines[2] = lines[2].replace(order(2).as_str(), order(1).as_str()),
            "cannot follow" => {
                lines[3] =
                    lines[2].replace("\"sequence\":2", "\"sequence\":3").replace(order(2).as_str(), order(1).as_str());
                lines[3] = lines[3].replace("\"version\":2", "\"version\":1");
            }
            "a cursor is missing" => drop(lines.pop()),
            "an entry for a cursor" => lines[events + 4] = lines[1].clone(),
            "an own cursor" => lines[events + 4] = r#"{"cursor":"instance","value":"x"}"#.to_owned(),
            "a head is missing" => drop(lines.remove(events + 3)),
            "more lines" => lines.push("{}".to_owned()),
            "another cursor" => lines[events + 5] = r#"{"cursor":"orders","value":"ab"}"#.to_owned(),
            "no export" => drop(lines.remove(0)),
            "a newer one" => lines[0] = lines[0].replace("\"tillbook_export\":1", "\"tillbook_export\":2"),
            other => panic!("{other}"),
        });
        assert!(said.0 == line && said.1.starts_with(&why), "{case}: wanted line {line} {why:?}, found {said:?}");
    }
    // Cut at any byte, it is refused, in the line where it was cut.
    let bytes = text(&whole);
    for cut in (0..bytes.len()).step_by(509).chain([bytes.len() - 1]) {
        let line = bytes[..cut].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        let (said, why) = refused(&bytes[..cut]);
        assert_eq!(said, line, "cut at {cut}: {why}");
    }
    fs::create_dir_all(into.join("x")).expect("made");
    let error = embedded::import(&bytes[..], &into).expect_err("not empty");
    assert!(matches!(error, StorageError::NotEmpty { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_export_beside_writers_is_one_moment_of_the_ledger() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (from, into) = (directory.path().join("ledger"), directory.path().join("new"));
    let ledger = std::sync::Arc::new(open(&from));
    add(&*ledger, 1).await;
    let storage: std::sync::Arc<dyn Storage> = ledger.clone();
    let handle = Ledger::builder().storage(storage).await.expect("opens");
    let writing = {
        let ledger = std::sync::Arc::clone(&ledger);
        tokio::spawn(async move {
            for round in 0..100 {
                must(&*ledger, hold(&order(1), &format!("r-{round}"), 1)).await;
                ledger.put_cursor("orders", round.to_string()).await.expect("kept");
            }
        })
    };
    let mut exports = Vec::new();
    while !writing.is_finished() || exports.is_empty() {
        let mut bytes = Vec::new();
        handle.export(&mut bytes).await.expect("exported");
        exports.push(bytes);
    }
    writing.await.expect("all written");
    let last = exports.pop().expect("one");
    for (number, export) in [last].into_iter().chain(exports.into_iter().take(3)).enumerate() {
        embedded::import(&export[..], into.join(number.to_string())).expect("imported");
    }
    ledger.close().await.expect("closed");
}

/// The first format, as it was written on the day it was made: read for ever, to the same state and the same bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_of_the_first_format_is_imported_for_ever() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/export/format-1.jsonl");
    let export = fs::read(fixture).expect("readable");
    let into = directory.path().join("new");
    let head = embedded::import(&export[..], &into).expect("imported");
    assert_eq!((head.format, head.orders, head.events, head.cursors), (1, 3, 10, 1));
    assert!(exported(&into).await == export);
    let ledger = open_copy(&into).await;
    let mut found = Vec::new();
    for order in [1, 2, 3].map(order) {
        let record = ledger.get(&order).await.expect("readable").expect("known");
        found.push((record.refunds[0].state.as_str(), record.refunded().fen(), record.held().fen(), record.version));
    }
    assert_eq!(found, [("succeeded", 100, 0, 4), ("queued", 0, 100, 2), ("in_doubt", 0, 100, 4)]);
    assert_eq!(ledger.check().await.expect("checked").differences, []);
    ledger.close().await.expect("closed");
}
