//! What the check finds.

use std::sync::Arc;

use tillbook::storage::embedded::Embedded;
use tillbook::storage::memory::Memory;
use tillbook::storage::{CheckReport, Storage};

use super::fixture::*;

async fn some_orders(storage: &dyn Storage) {
    for number in 0..30 {
        add(storage, number).await;
        must(storage, hold(&order(number), &format!("r-{number}"), 100)).await;
        storage.put_cursor("orders", "x".repeat(300 * usize::try_from(number).expect("small"))).await.expect("kept");
    }
}

/// What a check of those orders finds: nothing; its hashes are those of the storage.
async fn must_be_right(report: CheckReport, storage: &dyn Storage) {
    let CheckReport { orders, refunds, events, good_through, journal: _, state, heads, doubtful, notes, differences } =
        report;
    assert_eq!((orders, refunds, events, good_through, heads.len()), (30, 30, 60, 60, 30));
    assert_eq!((doubtful, notes, differences), (Vec::new(), Vec::new(), Vec::new()));
    assert_eq!(state, Some(storage.state_hash().await.expect("readable")));
    for (order, head) in heads {
        let record = storage.get(&order).await.expect("readable").expect("known");
        assert_eq!((record.version, record.head), (head.version, head.hash));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_in_order_has_no_differences_wherever_it_is_kept() {
    let memory = Memory::new(device());
    some_orders(&memory).await;
    must_be_right(memory.check().await.expect("checked"), &memory).await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    ledger.stall_index(true);
    some_orders(&ledger).await;
    must_be_right(ledger.check().await.expect("checked"), &ledger).await;
    ledger.stall_index(false);
    ledger.wait_for_index();
    must_be_right(ledger.check().await.expect("checked"), &ledger).await;
    let beside = Embedded::open_read_only(directory.path()).expect("readable beside its owner");
    must_be_right(beside.check().await.expect("checked"), &beside).await;
    ledger.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_check_while_orders_are_written_finds_nothing_either() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = Arc::new(open(directory.path()));
    some_orders(&*ledger).await;
    let writing = {
        let ledger = Arc::clone(&ledger);
        tokio::spawn(async move {
            for round in 0..60 {
                for number in 0..10 {
                    must(&*ledger, hold(&order(number), &format!("w-{round}-{number}"), 1)).await;
                }
            }
        })
    };
    let mut checks = 0;
    while !writing.is_finished() || checks == 0 {
        assert_eq!(ledger.check().await.expect("checked").differences, []);
        checks += 1;
    }
    writing.await.expect("all written");
    ledger.close().await.expect("closed");
}

/// Changes the index behind the ledger's back, and tells what the check says then.
async fn differences_after(change: impl FnOnce(&sled::Db)) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    some_orders(&ledger).await;
    ledger.close().await.expect("closed");
    let index = index_of(&directory.path().join("index-1"));
    change(&index);
    index.flush().expect("flushed");
    drop(index);
    let ledger = open(directory.path());
    let report = ledger.check().await.expect("checked");
    ledger.close().await.expect("closed");
    assert_eq!((report.orders, report.refunds, report.events), (30, 30, 60));
    report
        .differences
        .into_iter()
        .map(|difference| {
            let order = difference.order.map_or("-".to_owned(), |order| order.to_string());
            let money = difference.money.as_deref().unwrap_or("not affected");
            format!("{order}: {}; money: {money}; {}", difference.what, difference.advice)
        })
        .collect()
}

/// A content as one value: its checksum, and that it is one of one.
fn value_of(content: &[u8]) -> Vec<u8> {
    [&crc32c::crc32c(content).to_be_bytes(), &[0, 0, 0, 0, 0, 1][..], content].concat()
}

fn keys(index: &sled::Db, kind: u8) -> Vec<sled::IVec> {
    index.scan_prefix([kind]).keys().map(|key| key.expect("readable")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_entry_of_the_index_that_is_missing_wrong_or_too_much_is_named() {
    let mend = "close the ledger and delete its index to rebuild it";
    let missing = differences_after(|index| {
        index.remove(&keys(index, b'k')[0]).expect("removed");
    });
    let want = format!(
        "{}: an entry for a refund key is missing; money: a repeated refund key may be taken for a new one; {mend}",
        "-"
    );
    // A page of them.
    let missing = missing.await;
    assert_eq!((missing.len() > 5, missing.iter().all(|difference| *difference == want)), (true, true), "{missing:?}");
    let wrong = differences_after(|index| {
        // In the first page of frames: the last byte of the last one's place.
        let mut page = index.get(b"q").expect("readable").expect("there")[10..].to_vec();
        *page.last_mut().expect("it has entries") ^= 1;
        index.insert(b"q", value_of(&page)).expect("inserted");
    });
    let want = format!("-: the place of a frame is not what the events say; money: not affected; {mend}");
    assert_eq!(wrong.await, [want]);
    let superfluous = differences_after(|index| {
        // One more entry by time in the last page, for order 0 again: what its key shares, the rest of it, its value.
        let (last, page) = index.scan_prefix(b"t").last().expect("a page").expect("readable");
        let mut page = page[10..].to_vec();
        let named = format!("{}\0", order(0));
        page.extend([1, u8::try_from(8 + named.len()).expect("a short name"), 0xff, 0, 0, 0, 0, 0, 0, 0]);
        page.extend(named.bytes().chain([6]).chain(*b"shop-1"));
        index.insert(last, value_of(&page)).expect("inserted");
    });
    let want =
        format!("{}: the entry by time is there, and no event accounts for it; money: not affected; {mend}", order(0));
    assert_eq!(superfluous.await, [want]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_with_other_amounts_is_reported_with_both() {
    let differences = differences_after(|index| {
        let records = keys(index, b'o');
        let bytes = index.get(&records[0]).expect("readable").expect("there");
        // How many events there are, which brought the facts, where they lie: without the second, the hold.
        assert_eq!((bytes[10..18].to_vec(), bytes.len()), (vec![0, 0, 0, 2, 0, 0, 0, 1], 18 + 2 * 20));
        let content = [&[0, 0, 0, 1, 0, 0, 0, 1], &bytes[18..38]].concat();
        index.insert(&records[0], value_of(&content)).expect("inserted");
    });
    let want = "it has paid 80.00, refunded 0.00, held 0.00, and the events say paid 80.00, refunded 0.00, held 1.00";
    let mend = "close the ledger and delete its index to rebuild it";
    let want = format!("{}: the record is not what the events say; money: {want}; {mend}", order(0));
    assert_eq!(differences.await, [want]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_to_history_that_no_open_has_to_read_is_found_with_its_place() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    of_many_segments(directory.path()).await;
    let segment = directory.path().join("journal/00000001.tbj");
    let mut bytes = std::fs::read(&segment).expect("readable");
    bytes[5000] ^= 1;
    std::fs::write(&segment, bytes).expect("writable");
    let ledger = open(directory.path());
    let report = ledger.check().await.expect("checked");
    let [found] = &report.differences[..] else { panic!("{report:?}") };
    let position = found.position.as_deref().expect("a place");
    assert!(position.starts_with(&format!("{} byte ", segment.display())), "{position}");
    let money = "a refund or an order among the lost events is not known here, and could be made again";
    assert_eq!(found.money.as_deref(), Some(money));
    let lost = report.good_through + 1;
    assert!(found.what.ends_with(&format!("after it can; event {lost} is lost")), "{}", found.what);
    assert_eq!((report.events, report.orders, report.state), (299, 299, None));
    ledger.close().await.expect("closed");
}
