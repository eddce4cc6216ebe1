//! The index rewritten: what it saves and erases, and that whatever ends it leaves a whole ledger.

use std::path::Path;
use std::process::{Command, Stdio};

use tillbook::storage::embedded::{CompactStep, Embedded, Erase};
use tillbook::storage::{Storage, StorageError};

use super::bodies::body;
use super::faulty::FaultyDisk;
use super::fixture::*;

/// Where the child finds the ledger; without it the child's test does nothing.
const CHILD: &str = "TILLBOOK_COMPACT_CHILD";
/// At which step it dies.
const STEP: &str = "TILLBOOK_COMPACT_STEP";

const ORDERS: i64 = 30;

/// A closed ledger with orders, refunds and bodies, one of them forgotten.
async fn closed() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    for number in 0..ORDERS {
        add(&ledger, number).await;
        must(&ledger, hold(&order(number), &format!("r-{number}"), 100)).await;
        ledger.keep_body(&order(number), body(&format!("payer-{number}-of"), 8_000));
    }
    must(&ledger, begin(0, "r-0")).await;
    ledger.put_cursor("orders", "page 3".to_owned()).await.expect("kept");
    ledger.forget_body(&order(1)).await.expect("erased");
    ledger.close().await.expect("closed");
    directory
}

/// Whether a text lies in any file of the ledger.
fn holds(directory: &Path, text: &str) -> bool {
    std::fs::read_dir(directory).expect("readable").any(|entry| {
        let path = entry.expect("readable").path();
        match path.is_dir() {
            true => holds(&path, text),
            false => std::fs::read(&path).expect("readable").windows(text.len()).any(|at| at == text.as_bytes()),
        }
    })
}

fn indexes(directory: &Path) -> Vec<String> {
    let names = std::fs::read_dir(directory).expect("readable").map(|entry| entry.expect("readable").file_name());
    names.filter_map(|name| name.into_string().ok()).filter(|name| name.starts_with("index-")).collect()
}

fn journal(directory: &Path) -> Vec<u8> {
    std::fs::read(directory.join("journal/00000001.tbj")).expect("readable")
}

/// All is there: events, the queue, the cursor, and (unless they were to go) the bodies; of indexes there is one.
async fn whole(directory: &Path, bodies: Erase) {
    let ledger = open(directory);
    let report = ledger.check().await.expect("checked");
    let refunds = u64::try_from(ORDERS).expect("few");
    assert_eq!((report.orders, report.refunds, report.differences), (refunds, refunds, vec![]));
    assert_eq!(ledger.cursor("orders").await.expect("readable").as_deref(), Some("page 3"));
    for number in 0..ORDERS {
        let kept = ledger.body(&order(number)).await.expect("readable");
        let want = (bodies == Erase::Nothing && number != 1).then(|| body(&format!("payer-{number}-of"), 8_000));
        assert_eq!(kept, want, "order {number}");
    }
    assert_eq!(indexes(directory).len(), 1, "{:?}", indexes(directory));
    must(&ledger, hold(&order(2), "after", 100)).await;
    ledger.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compacted_index_holds_the_same_in_less_and_nothing_that_was_erased() {
    let directory = closed().await;
    assert!(holds(directory.path(), "payer-1-of payer-1-of"), "sled cleaned up by itself: the test proves nothing");
    let hash = {
        let ledger = open(directory.path());
        let hash = ledger.index_hash().await.expect("readable");
        // Written over and over: sled keeps what was, for a while.
        for round in 0..3 {
            for number in 2..ORDERS {
                ledger.keep_body(&order(number), body(&format!("old-{round}-{number}"), 8_000));
                ledger.keep_body(&order(number), body(&format!("payer-{number}-of"), 8_000));
            }
        }
        ledger.close().await.expect("closed");
        hash
    };
    let compacted = Embedded::compact(directory.path(), &options(), Erase::Nothing).expect("compacted");
    assert!(compacted.after_bytes > 0 && compacted.after_bytes < compacted.before_bytes, "{compacted:?}");
    assert!(compacted.bodies_bytes > 29 * 8_000, "{compacted:?}");
    assert!(!holds(directory.path(), "payer-1-of"));
    assert!(holds(directory.path(), "payer-2-of"));
    let ledger = open(directory.path());
    assert_eq!(ledger.index_hash().await.expect("readable"), hash);
    ledger.close().await.expect("closed");
    whole(directory.path(), Erase::Nothing).await;

    let compacted = Embedded::compact(directory.path(), &options(), Erase::Bodies).expect("compacted");
    assert_eq!(compacted.bodies_bytes, 0);
    assert!(!holds(directory.path(), "payer-"), "a body is left, or one was in the journal");
    let ledger = open(directory.path());
    assert_eq!(ledger.body(&order(2)).await.expect("readable"), None);
    // A ledger that somebody has open is left alone.
    let mut options = options();
    options.lock_wait = std::time::Duration::ZERO;
    let refused = Embedded::compact(directory.path(), &options, Erase::Nothing).expect_err("refused");
    assert!(matches!(refused, StorageError::Locked { .. }), "{refused}");
    ledger.close().await.expect("closed");
    let empty = tempfile::tempdir().expect("a temporary directory");
    let refused = Embedded::compact(empty.path(), &options, Erase::Nothing).expect_err("refused");
    assert!(matches!(refused, StorageError::NoLedger { .. }), "{refused}");
    assert_eq!(std::fs::read_dir(empty.path()).expect("readable").count(), 0, "no ledger was made");
}

/// Not a test of its own: what the child of the test below does.
#[test]
fn child_that_dies_while_it_compacts() {
    let (Ok(directory), Ok(step)) = (std::env::var(CHILD), std::env::var(STEP)) else { return };
    let compacted = Embedded::compact_by_steps(&directory, &options(), erase_at(&step), &mut |at| {
        if format!("{at:?}") == step {
            std::process::abort();
        }
        Ok(())
    });
    panic!("the step {step} never came: {compacted:?}");
}

/// Some of the steps with the bodies to go.
fn erase_at(step: &str) -> Erase {
    if matches!(step, "Synced" | "Named") { Erase::Bodies } else { Erase::Nothing }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_step_it_leaves_a_whole_ledger() {
    let mut erased = 0;
    for step in CompactStep::ALL {
        let directory = closed().await;
        let name = format!("{step:?}");
        let status = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "storage::compact::child_that_dies_while_it_compacts", "--test-threads=1"])
            .env(CHILD, directory.path())
            .env(STEP, &name)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("it runs");
        assert_eq!(status.code(), None, "{name}: it was to die of a signal: {status}");
        let named = matches!(step, CompactStep::Named | CompactStep::Removed);
        let bodies = if named { erase_at(&name) } else { Erase::Nothing };
        erased += usize::from(bodies == Erase::Bodies);
        whole(directory.path(), bodies).await;
    }
    assert_eq!(erased, 1, "one step erases, and has done so");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_at_any_step_it_leaves_the_old_index_in_use_until_the_new_one_is_named() {
    for step in CompactStep::ALL {
        let directory = closed().await;
        let before = journal(directory.path());
        let mut reached = Vec::new();
        let failed = Embedded::compact_by_steps(directory.path(), &options(), Erase::Bodies, &mut |at| {
            reached.push(at);
            if at == step { Err("no space left on device".to_owned()) } else { Ok(()) }
        });
        let said = failed.expect_err("failed");
        assert_eq!(reached.last(), Some(&step));
        let path = directory.path().join("index-2");
        let want = format!("make a new index (the old one stays in use) in {}", path.display());
        assert_eq!(said.to_string(), want);
        let named = matches!(step, CompactStep::Named | CompactStep::Removed);
        assert_eq!(indexes(directory.path()).contains(&"index-2".to_owned()), named, "{step:?}");
        let unchanged = journal(directory.path()).iter().zip(&before).take_while(|(now, was)| now == was).count();
        let written = before.iter().rposition(|byte| *byte != 0).expect("frames") + 1;
        assert!(unchanged >= written, "{step:?}: what was in the journal was changed");
        whole(directory.path(), if named { Erase::Bodies } else { Erase::Nothing }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_it_and_nothing_is_lost() {
    let directory = closed().await;
    let disk = FaultyDisk::new(&directory.path().join("journal"));
    let full = options().with_disk(disk.clone());
    let ledger = Embedded::open(directory.path(), &full).expect("opens");
    disk.set_room(Some(0));
    let mut written = 0;
    while ledger.put_cursor("orders", format!("{written}{}", " ".repeat(900))).await.is_ok() {
        written += 1;
        assert!(written < 1_000, "the disk was never full");
    }
    ledger.close().await.expect("closed");
    // A checkpoint is shorter than a cursor: one, and another, may still go where no cursor did.
    let compacted = (0..100).find_map(|_| Embedded::compact(directory.path(), &full, Erase::Bodies).err());
    let refused = compacted.expect("each takes of the room that is left");
    assert!(matches!(refused, StorageError::DiskFull { .. }), "{refused}");
    disk.set_room(None);
    let ledger = Embedded::open(directory.path(), &full).expect("opens");
    ledger.put_cursor("orders", "page 3".to_owned()).await.expect("kept");
    let report = ledger.check().await.expect("checked");
    assert_eq!((report.orders, report.differences), (u64::try_from(ORDERS).expect("few"), vec![]));
    ledger.close().await.expect("closed");
    assert_eq!(indexes(directory.path()).len(), 1);
}
