//! Backups: taken while orders are written, restored, never half.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tillbook::storage::embedded::{self, Embedded, Tail};
use tillbook::storage::memory::Memory;
use tillbook::storage::{Noted, Storage, StorageError};

use super::damage::{contents, segment};
use super::fixture::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_beside_writers_holds_all_that_was_acknowledged_before_and_opens_in_quarantine() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (from, to) = (directory.path().join("ledger"), directory.path().join("far/away/backup"));
    let ledger = Arc::new(open(&from));
    for number in 0..20 {
        add(&*ledger, number).await;
    }
    let acknowledged = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> = (0..4_i64)
        .map(|writer| {
            let (ledger, acknowledged) = (Arc::clone(&ledger), Arc::clone(&acknowledged));
            tokio::spawn(async move {
                for round in 0..150 {
                    must(&*ledger, hold(&order(writer), &format!("r-{writer}-{round}"), 1)).await;
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    // Taken in the middle of the load, not before it.
    while acknowledged.load(Ordering::SeqCst) < 50 {
        tokio::task::yield_now().await;
    }
    let before = 20 + acknowledged.load(Ordering::SeqCst);
    let made = ledger.backup(to.clone()).await.expect("backed up");
    for writer in writers {
        writer.await.expect("all written");
    }
    assert!((before..=620).contains(&made.events), "{made:?} and {before} acknowledged before");
    assert_eq!(made.orders, 20);

    let files = contents(&to);
    let report = embedded::verify(&to, None).expect("checked");
    assert_eq!(
        (report.differences.clone(), report.events, report.journal.clone()),
        (vec![], made.events, made.journal)
    );
    assert_eq!(
        made.bytes,
        files
            .iter()
            .filter(|(path, _)| path.starts_with(to.join("journal")))
            .map(|(_, bytes)| bytes.len() as u64)
            .sum::<u64>()
    );
    // The original went on from there.
    assert_eq!(embedded::verify(&from, Some(&Noted::from(&report))).expect("checked").differences, []);
    let onlooker = Embedded::open_read_only(&to).expect("readable");
    let why = onlooker.quarantine().expect("in quarantine").why;
    assert!(
        why.starts_with("it was made by backup at 2")
            && why.ends_with(", and no file INSTANCE says that it was adopted here"),
        "{why}"
    );
    assert_eq!(
        onlooker.lines(0, usize::MAX).await.expect("readable"),
        ledger.lines(0, usize::try_from(made.events).expect("small")).await.expect("readable")
    );
    assert!(contents(&to) == files, "looking at a backup changed it");

    let restored = open(&to);
    let refused = restored.transact(hold(&order(1), "r-new", 1)).await;
    assert!(matches!(refused, Err(tillbook::storage::TransactError::Storage(StorageError::Quarantined(_)))));
    restored.close().await.expect("closed");
    let restored = open_copy(&to).await;
    must(&restored, hold(&order(1), "r-new", 1)).await;
    assert_eq!(restored.check().await.expect("checked").differences, []);
    restored.close().await.expect("closed");
    let restored = open(&to);
    assert_eq!(restored.quarantine(), None, "an adopted backup is a ledger like any other");
    restored.close().await.expect("closed");
    ledger.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_ledger_without_an_instance_is_quarantined_all_the_same() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (from, to) = (directory.path().join("ledger"), directory.path().join("backup"));
    // As a version that knew no such file made it.
    let disk = Arc::new(embedded::disk::Directory::new(&from.join("journal")));
    let ledger = Embedded::open(&from, &options().with_disk(disk)).expect("opens");
    add(&ledger, 1).await;
    ledger.close().await.expect("closed");
    let made = embedded::backup(&from, &to).expect("backed up");
    assert_eq!((made.events, made.orders), (1, 1));
    let restored = open(&to);
    assert!(restored.quarantine().is_some());
    restored.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_segments_are_copied_without_what_was_set_aside_and_a_ledger_without_events_too() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (from, to) = (directory.path().join("ledger"), directory.path().join("backup"));
    of_many_segments(&from).await;
    assert_eq!(embedded::backup(&from, &to).expect("backed up").events, 300);
    assert!(segment(&to, 4).exists());
    let restored = open_copy(&to).await;
    assert_eq!(restored.get(&order(299)).await.expect("readable").map(|record| record.version), Some(1));
    restored.close().await.expect("closed");
    // A backup of a backup that went on is one too.
    assert_eq!(embedded::backup(&to, directory.path().join("again")).expect("backed up").events, 300);

    let (from, to) = (directory.path().join("empty"), directory.path().join("empty-backup"));
    open(&from).close().await.expect("closed");
    let made = embedded::backup(&from, &to).expect("backed up");
    assert_eq!((made.events, made.orders), (0, 0));
    assert!(open(&to).quarantine().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_goes_into_an_empty_directory_only_and_leaves_nothing_where_it_fails() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (from, to) = (directory.path().join("ledger"), directory.path().join("deep/backup"));
    let none = embedded::backup(&from, &to);
    assert!(matches!(none, Err(StorageError::NoLedger { .. })) && !to.exists(), "{none:?}");
    let ledger = open(&from);
    for number in 0..4 {
        add(&ledger, number).await;
    }
    ledger.close().await.expect("closed");
    fs::create_dir_all(&to).expect("made");
    let made = embedded::backup(&from, &to).expect("an empty directory is taken");
    assert_eq!(made.events, 4);
    let files = contents(&to);
    for taken in [&to, &from] {
        let refused = embedded::backup(&from, taken).expect_err("not empty").to_string();
        assert_eq!(refused, format!("{} is not empty: name a new directory", taken.display()));
    }
    assert!(contents(&to) == files);
    let file = segment(&from, 1);
    let mut bytes = fs::read(&file).expect("readable");
    bytes[200] ^= 1;
    fs::write(&file, bytes).expect("written");
    let other = directory.path().join("new/other");
    assert!(matches!(embedded::backup(&from, &other), Err(StorageError::Damaged { .. })));
    assert!(!directory.path().join("new").exists(), "what was made for it is gone again");
    let memory = Memory::new(device()).backup(other).await.expect_err("nothing to copy");
    assert_eq!(memory.to_string(), "this storage does not back itself up");
}

/// Every way into a directory, and what it says.
fn refusals(directory: &Path) -> Vec<String> {
    let said = |error: Option<StorageError>| error.map_or("opened".to_owned(), |error| error.to_string());
    vec![
        said(Embedded::open(directory, &options()).err()),
        said(Embedded::open_read_only(directory).err()),
        said(Tail::open(directory, 0).err()),
        said(embedded::verify(directory, None).err()),
        said(embedded::backup(directory, directory.join("x")).err()),
        said(embedded::backup(directory.with_file_name("ledger"), directory).err()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_was_cut_off_anywhere_is_refused_by_every_open() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (from, whole) = (directory.path().join("ledger"), directory.path().join("whole"));
    let ledger = open(&from);
    add(&ledger, 1).await;
    ledger.close().await.expect("closed");
    embedded::backup(&from, &whole).expect("backed up");
    let segment = fs::read(segment(&whole, 1)).expect("readable");
    let origin = fs::read(whole.join("ORIGIN")).expect("readable");
    // Each state that the steps of a backup leave behind, before the rename.
    for (at, (length, has_origin)) in
        [(None, false), (Some(0), false), (Some(100), false), (Some(segment.len()), false), (Some(segment.len()), true)]
            .into_iter()
            .enumerate()
    {
        let cut = directory.path().join(format!("cut-{at}"));
        fs::create_dir_all(cut.join("journal.unfinished")).expect("made");
        if let Some(length) = length {
            fs::write(cut.join("journal.unfinished/00000001.tbj"), &segment[..length]).expect("written");
        }
        if has_origin {
            fs::write(cut.join("ORIGIN"), &origin).expect("written");
        }
        let files = contents(&cut);
        let said = format!("{} holds an unfinished backup or import: delete it and begin again", cut.display());
        assert_eq!(refusals(&cut), vec![said; 6], "step {at}");
        assert!(contents(&cut) == files, "step {at}");
    }
}
