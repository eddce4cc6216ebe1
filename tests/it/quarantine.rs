//! Ledgers that were copied, moved or restored: which of them may send.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tillbook::domain::Verdict;
use tillbook::sandbox::Upstream;
use tillbook::storage::Storage;
use tillbook::storage::embedded::Embedded;
use tillbook::storage::embedded::disk::Directory;
use tillbook::{Error, Ledger, RecordOrder, Reference, RefundQuery, RefundRequest, RefundState, Ruling, Sending};

use crate::ledger::{account, connect, key, request, state, sync, yuan};
use crate::storage::fixture;
use crate::support::desk::{Desk, Does};
use crate::support::program::Program;

/// As `cp -r` does it: into new files, or over those that are there.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).expect("copied")),
        }
    }
}

pub(crate) async fn open(directory: &Path, desk: &Desk) -> Ledger {
    let ledger = Ledger::builder().lock_wait(Duration::from_secs(10)).open(directory).await.expect("opens");
    connect(&ledger, desk);
    ledger
}

pub(crate) fn queued(order: &Reference, name: &str, amount: &str) -> RefundRequest {
    RefundRequest { sending: Sending::QueueOnly, ..request(order, name, amount) }
}

/// What a quarantined ledger refuses with.
pub(crate) fn quarantined<T: std::fmt::Debug>(answer: Result<T, Error>) -> String {
    match answer {
        Err(error @ Error::Quarantined(_)) => {
            assert_eq!(error.kind(), "quarantined");
            error.to_string()
        }
        other => panic!("not refused by the quarantine: {other:?}"),
    }
}

fn why(ledger: &Ledger) -> String {
    ledger.quarantined().expect("in quarantine").why
}

pub(crate) async fn refunds(ledger: &Ledger) -> Vec<(String, RefundState)> {
    let found = ledger.refunds(&RefundQuery::default(), &tillbook::Page::default()).await.expect("readable").refunds;
    let mut found: Vec<_> = found.iter().map(|(_, refund)| (refund.key.to_string(), refund.state)).collect();
    found.sort();
    found
}

/// A ledger at rest with a refund in each unfinished state that outlives a close.
pub(crate) async fn unfinished(directory: &Path, desk: &Desk) -> [Reference; 3] {
    let orders = ["1", "2", "3"].map(|number| desk.order(number, "80.00"));
    let ledger = open(directory, desk).await;
    for order in &orders {
        ledger.fetch(&account(), &order.clone().into()).await.expect("fetched");
    }
    ledger.refund(queued(&orders[0], "r-queued", "10.00")).await.expect("held");
    desk.silence_probes(true);
    // Without totals nothing proves what became of it.
    desk.change("3", |facts| (facts.refunded, facts.refund_count) = (None, None));
    desk.script([Does::LoseAnswer, Does::Accept]);
    ledger.refund(request(&orders[1], "r-doubt", "20.00")).await.expect("held");
    ledger.refund(request(&orders[2], "r-accepted", "30.00")).await.expect("held");
    assert_eq!(
        refunds(&ledger).await,
        [
            ("r-accepted".to_owned(), RefundState::Accepted),
            ("r-doubt".to_owned(), RefundState::InDoubt),
            ("r-queued".to_owned(), RefundState::Queued)
        ]
    );
    ledger.close().await.expect("closes");
    orders
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_reads_everything_and_neither_holds_nor_sends_while_the_original_goes_on() {
    let (dir, desk) = (tempfile::tempdir().expect("a directory"), Desk::new());
    let (original, copied) = (dir.path().join("original"), dir.path().join("copied"));
    let [order, ..] = unfinished(&original, &desk).await;
    copy(&original, &copied);
    let (ledger, calls) = (open(&copied, &desk).await, desk.refund_calls());
    let quarantine = ledger.quarantined().expect("in quarantine");
    assert_eq!(quarantine.path, copied);
    assert!(quarantine.why.ends_with("this is another file than the one it was"), "{}", quarantine.why);

    let before = ledger.events(0, 1000).await.expect("readable");
    assert_eq!(refunds(&ledger).await.len(), 3);
    assert_eq!(ledger.verify().await.expect("readable").differences, []);
    let known = ledger.known_order(&account(), &order.clone().into()).await.expect("readable").expect("known");
    assert_eq!(known.held(), yuan("10.00"));

    let said = quarantined(ledger.refund(request(&order, "r-new", "1.00")).await);
    for part in [copied.display().to_string().as_str(), "nothing was sent, held", "reading is safe", "tillbook adopt"] {
        assert!(said.contains(part), "{part:?} is not in {said:?}");
    }
    quarantined(ledger.refund(queued(&order, "r-new", "1.00")).await);
    quarantined(ledger.cancel(&account(), &key("r-queued"), None).await);
    quarantined(ledger.approve(&account(), &key("r-queued"), "li".to_owned()).await);
    let ruling = Ruling {
        account: account(),
        key: key("r-doubt"),
        verdict: Verdict::Succeeded,
        by: "li".to_owned(),
        note: "seen in the books".to_owned(),
        version: 3,
    };
    quarantined(ledger.resolve(ruling).await);
    quarantined(ledger.fetch(&account(), &order.clone().into()).await);
    quarantined(ledger.sync(&tillbook::SyncOptions::default(), &|_| ()).await);
    let offline = RecordOrder {
        account: account(),
        references: vec![Reference::new("receipt", "new").expect("a number")],
        paid: yuan("5.00"),
        paid_at: None,
        by: None,
    };
    quarantined(ledger.record_order(offline).await);
    assert_eq!(desk.refund_calls(), calls, "a copy sent");
    assert_eq!(ledger.events(0, 1000).await.expect("readable"), before);
    ledger.close().await.expect("closes");
    // Neither does time or another open end it.
    let again = open(&copied, &desk).await;
    assert!(again.quarantined().is_some());
    again.close().await.expect("closes");

    let ledger = open(&original, &desk).await;
    assert_eq!(ledger.quarantined(), None);
    sync(&ledger).await;
    assert_eq!(state(&ledger, &order, "r-queued").await, RefundState::Succeeded);
    ledger.close().await.expect("closes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moved_ledger_is_no_copy() {
    let (dir, desk) = (tempfile::tempdir().expect("a directory"), Desk::new());
    let (here, there) = (dir.path().join("here"), dir.path().join("deep/there"));
    let [order, ..] = unfinished(&here, &desk).await;
    fs::create_dir(dir.path().join("deep")).expect("made");
    fs::rename(&here, &there).expect("moved");
    for _ in 0..2 {
        let ledger = open(&there, &desk).await;
        assert_eq!(ledger.quarantined(), None);
        sync(&ledger).await;
        assert_eq!(state(&ledger, &order, "r-queued").await, RefundState::Succeeded);
        ledger.close().await.expect("closes");
    }
    assert_eq!(desk.executed(&key("r-queued")), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_state_that_was_restored_sends_nothing_again() {
    for in_place in [true, false] {
        let (dir, desk) = (tempfile::tempdir().expect("a directory"), Desk::new());
        let (here, backup) = (dir.path().join("here"), dir.path().join("backup"));
        let [order, ..] = unfinished(&here, &desk).await;
        copy(&here, &backup);
        let ledger = open(&here, &desk).await;
        sync(&ledger).await;
        assert_eq!(state(&ledger, &order, "r-queued").await, RefundState::Succeeded);
        ledger.close().await.expect("closes");
        if !in_place {
            fs::remove_dir_all(&here).expect("removed");
        }
        copy(&backup, &here);
        let ledger = open(&here, &desk).await;
        assert!(ledger.quarantined().is_some(), "in place: {in_place}");
        assert_eq!(state(&ledger, &order, "r-queued").await, RefundState::Queued);
        ledger.adopt("li").await.expect("adopted");
        sync(&ledger).await;
        assert_eq!(state(&ledger, &order, "r-queued").await, RefundState::Review);
        assert_eq!(desk.executed(&key("r-queued")), 1);
        ledger.close().await.expect("closes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_taken_from_a_running_till_and_written_back_over_it_is_found_out() {
    let (dir, desk) = (tempfile::tempdir().expect("a directory"), Desk::new());
    let (here, backup) = (dir.path().join("here"), dir.path().join("backup"));
    unfinished(&here, &desk).await;
    let ledger = open(&here, &desk).await;
    copy(&here, &backup);
    sync(&ledger).await;
    ledger.close().await.expect("closes");
    copy(&backup, &here);
    let ledger = open(&here, &desk).await;
    assert!(ledger.quarantined().is_some());
    ledger.close().await.expect("closes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_garbled_or_gone_or_another_ledgers_is_a_quarantine_and_never_fine() {
    let (dir, desk) = (tempfile::tempdir().expect("a directory"), Desk::new());
    let (here, other) = (dir.path().join("here"), dir.path().join("other"));
    unfinished(&here, &desk).await;
    open(&other, &Desk::new()).await.close().await.expect("closes");
    let file = here.join("INSTANCE");
    type Harm<'a> = (&'a str, Box<dyn Fn() + 'a>);
    let harms: [Harm<'_>; 4] = [
        ("cannot be read", Box::new(|| fs::write(&file, b"\0\0\0").expect("written"))),
        ("is missing", Box::new(|| fs::remove_file(&file).expect("removed"))),
        (
            "cannot be read",
            Box::new(|| {
                fs::remove_file(&file).expect("removed");
                fs::create_dir(&file).expect("made");
            }),
        ),
        ("belongs to another copy", Box::new(|| fs::rename(other.join("INSTANCE"), &file).expect("moved"))),
    ];
    for (said, harm) in harms {
        harm();
        let ledger = open(&here, &desk).await;
        assert!(why(&ledger).contains(said), "{:?} does not say {said:?}", why(&ledger));
        ledger.close().await.expect("closes");
        if file.is_dir() {
            fs::remove_dir(&file).expect("removed");
        }
        let ledger = open(&here, &desk).await;
        ledger.adopt("li").await.expect("adopted");
        assert_eq!(ledger.quarantined(), None);
        ledger.close().await.expect("closes");
        let ledger = open(&here, &desk).await;
        assert_eq!(ledger.quarantined(), None);
        ledger.close().await.expect("closes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_of_an_earlier_version_gets_the_file_quietly_and_its_copies_are_told_from_then_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let (here, copied) = (dir.path().join("here"), dir.path().join("copied"));
    // A disk of the test's own: no file is written, as before there was one.
    let disk = Arc::new(Directory::new(&here.join("journal")));
    let ledger = Embedded::open(&here, &fixture::options().with_disk(disk)).expect("opens");
    fixture::add(&ledger, 1).await;
    ledger.close().await.expect("closed");
    assert!(!here.join("INSTANCE").exists());
    let ledger = fixture::open(&here);
    assert_eq!(ledger.quarantine(), None);
    fixture::add(&ledger, 2).await;
    ledger.close().await.expect("closed");
    copy(&here, &copied);
    let ledger = fixture::open(&copied);
    assert!(ledger.quarantine().is_some());
    ledger.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_reads_a_copy_refuses_to_send_from_it_and_adopts_it() {
    let program = Program::new().await;
    let (order, name) = program.order(Upstream::Fubei, "80.00");
    program.json(&["show", &name]).await.done();
    program.json(&["refund", &name, "--amount", "10.00", "--key", "r-1", "--queue-only"]).await.done();
    assert_eq!(
        program.json(&["adopt", "--by", "li"]).await.done(),
        json!({"adopted": false, "reviewed": []}),
        "an original needs no adoption"
    );
    copy(&program.path("ledger"), &program.path("copied"));
    let calls = program.sandbox.calls();
    let here = ["--data", "copied"];
    let on_copy = async |words: &[&str]| program.json(&[&here, words].concat()).await;
    for words in [
        &["sync"][..],
        &["refund", &name, "--amount", "1.00"],
        &["fetch", &name],
        &["cancel", "shop-1:r-1"],
        &["record", "shop-1", "--ref", "order_sn=1", "--paid", "5.00"],
    ] {
        let refused = on_copy(words).await;
        assert_eq!(refused.failure(), (1, "quarantined".to_owned()), "{words:?}");
        assert!(refused.stderr.contains("hint: tillbook adopt --by NAME"), "{}", refused.stderr);
    }
    assert_eq!(program.sandbox.calls(), calls, "a copy asked an upstream");
    assert_eq!(on_copy(&["show", &name]).await.done()["held"], "10.00");
    assert_eq!(on_copy(&["refunds", "--state", "queued"]).await.done()["refunds"][0]["key"], "r-1");
    assert_eq!(on_copy(&["verify"]).await.done()["differences"], json!([]));
    assert_eq!(on_copy(&["adopt"]).await.failure(), (2, "usage".to_owned()));

    let adopted = on_copy(&["adopt", "--by", "li"]).await.done();
    assert_eq!(adopted["adopted"], true);
    assert_eq!(adopted["reviewed"].as_array().map(Vec::len), Some(1));
    assert_eq!((&adopted["reviewed"][0]["key"], &adopted["reviewed"][0]["state"]), (&json!("r-1"), &json!("review")));
    let stale = on_copy(&["refund", &name, "--amount", "1.00", "--queue-only"]).await;
    assert_eq!(stale.failure(), (3, "stale_facts".to_owned()));
    on_copy(&["sync"]).await.done();
    assert_eq!(program.sandbox.books().money_out_fen(Upstream::Fubei, &order.id), Some(0));
    on_copy(&["fetch", &name]).await.done();
    on_copy(&["refund", &name, "--amount", "1.00", "--queue-only"]).await.done();
    let text = program.run(&["--data", "copied", "adopt", "--by", "li"]).await;
    assert_eq!((text.code, text.stdout.as_str()), (0, "the ledger is not in quarantine: nothing was done\n"));
}
