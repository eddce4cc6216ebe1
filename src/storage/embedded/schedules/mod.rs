//! The group commit, the overlay, the cache and the index's thread under schedules that a test decides (shuttle).
//!
//! Built and run by `RUSTFLAGS="--cfg shuttle" cargo test --no-default-features --features conformance --target-dir
//! target/shuttle --lib schedules::`; `TILLBOOK_SCHEDULES` says how many schedules of each kind. A failure prints the file that holds its
//! schedule; the same command with `TILLBOOK_SCHEDULE=that file` and the test's name repeats it, step by step.
//!
//! What must never be here: time, files, a runtime; no schedule decides about those. Start reading at [`under`].

#[path = "../../../../tests/it/storage/fixture.rs"]
#[allow(dead_code, reason = "the integration tests need more of it")]
pub(crate) mod fixture;
mod small;
pub(crate) mod stage;

use std::sync::Arc;

use shuttle::future::{JoinHandle, block_on, spawn};
use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler};
use shuttle::{Config, FailurePersistence, Runner};

use self::fixture::{account, add, fen, hold, key, order};
use self::stage::{Shelf, open};
use crate::domain::{Event, Money, RefundState};
use crate::storage::embedded::{Embedded, EmbeddedOptions};
use crate::storage::{OrderQuery, Page, Storage, StorageError, TransactError};

/// Schedules of each kind unless `TILLBOOK_SCHEDULES` says otherwise.
const SCHEDULES: usize = 1_000;

/// Changes of place between tasks that a schedule of the second kind forces where they hurt.
const DEPTH: usize = 3;

/// Runs a test under schedules thrown at random, and under such as find what needs few, but certain, interruptions.
pub(crate) fn under(test: fn()) {
    let config = || {
        let mut config = Config::new();
        config.stack_size = 1 << 20; // an unoptimized serde is deep
        config.failure_persistence = FailurePersistence::File(Some(std::env::temp_dir()));
        config.silence_warnings = true;
        config
    };
    if let Some(file) = std::env::var_os("TILLBOOK_SCHEDULE") {
        let schedule = ReplayScheduler::new_from_file(file).expect("TILLBOOK_SCHEDULE is a file that a failure named");
        Runner::new(schedule, config()).run(test);
        return;
    }
    let number = std::env::var("TILLBOOK_SCHEDULES");
    let number = number.map_or(SCHEDULES, |number| number.parse().expect("TILLBOOK_SCHEDULES is a number"));
    let random = Runner::new(RandomScheduler::new(number), config()).run(test);
    let forced = Runner::new(PctScheduler::new(DEPTH, number), config()).run(test);
    assert_eq!((random, forced), (number, number));
}

/// Whether a command was written; any other answer than yes and a refusal by the rules is a failure.
async fn granted(ledger: &Embedded, number: i64, name: &str, amount: i64) -> bool {
    match ledger.transact(hold(&order(number), name, amount)).await {
        Ok(committed) => {
            assert!(committed.record.refund(&key(name)).is_some());
            true
        }
        Err(TransactError::Refused(_)) => false,
        Err(TransactError::Storage(error)) => panic!("{name}: {error}"),
    }
}

/// Every kind of read shows a refund that was acknowledged.
async fn is_everywhere(ledger: &Embedded, number: i64, name: &str) {
    let (order, key) = (order(number), key(name));
    let record = ledger.get(&order).await.expect("reads").expect("an order");
    assert!(record.refund(&key).is_some(), "{name} is not in the record");
    assert_eq!(ledger.find_refund(&account(), &key).await.expect("reads"), Some(order.clone()), "{name} has no order");
    let queued = ledger.refunds_in(RefundState::Queued, None, 100).await.expect("reads");
    assert!(queued.iter().any(|due| due.key == key), "{name} is not in the queue");
    let all = ledger.scan(&OrderQuery::default(), &Page::default()).await.expect("reads").orders;
    let scanned = all.iter().find(|record| record.id == order).expect("the order is in the list");
    assert!(scanned.refund(&key).is_some(), "{name} is not in the list");
    let events = ledger.events_of(&order).await.expect("reads");
    let held = |event: &Event| matches!(event, Event::RefundHeld { key: held, .. } if *held == key);
    assert!(events.iter().any(|entry| held(&entry.event)), "{name} is not in the history");
    let bears = ledger.find(&account(), None, &fixture::order_sn(number)).await.expect("reads");
    assert!(bears.iter().any(|(found, _)| *found == order), "the order's number leads nowhere");
}

async fn ended(ledger: Arc<Embedded>, writing: JoinHandle<()>) {
    ledger.close().await.expect("closes");
    writing.await.expect("the writer ends");
}

/// What a ledger opened anew on that disk holds of an order.
async fn reopened(disk: &Shelf, number: i64) -> (Vec<String>, Money) {
    let options = EmbeddedOptions::new(fixture::device());
    let (ledger, writing) =
        Embedded::simulated(Arc::new(disk.clone()), &options, std::time::Duration::ZERO).expect("opens");
    let writing = spawn(writing);
    let record = ledger.get(&order(number)).await.expect("reads").expect("an order");
    let mut names: Vec<String> = record.refunds.iter().map(|refund| refund.key.to_string()).collect();
    names.sort();
    ledger.close().await.expect("closes");
    writing.await.expect("the writer ends");
    (names, record.held())
}

/// Four callers want 30.00 each of an order of 80.00, two 50.00 each of another.
fn callers_share_writes() {
    block_on(async {
        let disk = Shelf::default();
        let (ledger, writing) = open(&disk, 1);
        let ledger = Arc::new(ledger);
        add(&*ledger, 1).await;
        add(&*ledger, 2).await;
        let callers: Vec<_> = (0..6)
            .map(|caller| {
                let ledger = Arc::clone(&ledger);
                spawn(async move {
                    let (number, amount) = if caller < 4 { (1, 3000) } else { (2, 5000) };
                    let name = format!("r-{caller}");
                    let granted = granted(&ledger, number, &name, amount).await;
                    if granted {
                        is_everywhere(&ledger, number, &name).await;
                    }
                    (number, name, granted)
                })
            })
            .collect();
        let mut acknowledged: [Vec<String>; 2] = Default::default();
        for caller in callers {
            let (number, name, granted) = caller.await.expect("is answered");
            if granted {
                acknowledged[usize::from(number == 2)].push(name);
            }
        }
        assert_eq!(acknowledged.each_ref().map(Vec::len), [2, 1]);
        ended(ledger, writing).await;
        let [first, second] = acknowledged;
        assert_eq!(reopened(&disk, 1).await, (first, fen(6000)));
        assert_eq!(reopened(&disk, 2).await, (second, fen(5000)));
    });
}

#[test]
fn callers_that_share_writes_exceed_nothing_and_read_what_they_wrote() {
    under(callers_share_writes);
}

/// Two orders are written in pairs while two readers look; the index takes the pairs in behind them.
fn readers_beside_the_drain() {
    block_on(async {
        let disk = Shelf::default();
        let (ledger, writing) = open(&disk, 1 << 20);
        let ledger = Arc::new(ledger);
        add(&*ledger, 1).await;
        add(&*ledger, 2).await;
        let readers: Vec<_> = (1..=2)
            .map(|number| {
                let ledger = Arc::clone(&ledger);
                spawn(async move {
                    let (mut version, mut events, mut pairs) = (0, 0, 0);
                    for _ in 0..4 {
                        let history = ledger.events_of(&order(number)).await.expect("reads").len() as u64;
                        let record = ledger.get(&order(number)).await.expect("reads").expect("known throughout");
                        assert!(record.version >= version.max(history), "the record went back");
                        version = record.version;
                        let all = ledger.events(0, 100).await.expect("reads");
                        let sequences: Vec<u64> = all.iter().map(|entry| entry.sequence).collect();
                        assert_eq!(sequences, (1..=all.len() as u64).collect::<Vec<_>>(), "the history has a gap");
                        assert!(all.len() >= events, "the history went back");
                        events = all.len();
                        let queued = ledger.refunds_in(RefundState::Queued, None, 100).await.expect("reads");
                        let of = |number| queued.iter().filter(|due| due.order == order(number)).count();
                        assert_eq!(of(1), of(2), "half of a group is shown");
                        assert!(of(1) >= pairs, "the queue went back");
                        pairs = of(1);
                    }
                })
            })
            .collect();
        for pair in 0..3 {
            let both = [1, 2].map(|number| hold(&order(number), &format!("{number}-{pair}"), 100));
            let answers = ledger.transact_many(both.into()).await.expect("is written");
            assert!(answers.iter().all(Result::is_ok));
        }
        for reader in readers {
            reader.await.expect("reads to its end");
        }
        is_everywhere(&ledger, 1, "1-2").await;
        ledger.wait_for_index();
        is_everywhere(&ledger, 2, "2-2").await;
        ended(ledger, writing).await;
    });
}

#[test]
fn readers_beside_the_drain_see_no_gap_nothing_going_back_and_no_half_of_a_group() {
    under(readers_beside_the_drain);
}

/// How a ledger ends beside its callers.
#[derive(Clone, Copy)]
enum End {
    Closed,
    Abandoned,
    Poisoned,
}

fn ends(end: End) {
    block_on(async move {
        let disk = Shelf::default();
        let (ledger, writing) = open(&disk, 1);
        let ledger = Arc::new(ledger);
        add(&*ledger, 1).await;
        if let End::Poisoned = end {
            disk.fail_after(Some(1));
        }
        let callers: Vec<_> = (0..4)
            .map(|caller| {
                let ledger = Arc::clone(&ledger);
                spawn(async move {
                    let name = format!("r-{caller}");
                    match ledger.transact(hold(&order(1), &name, 100)).await {
                        Ok(_) => Some(name),
                        Err(TransactError::Storage(StorageError::Closed | StorageError::Poisoned { .. })) => None,
                        Err(error) => panic!("{name}: {error}"),
                    }
                })
            })
            .collect();
        let staller = {
            let ledger = Arc::clone(&ledger);
            spawn(async move {
                ledger.stall_index(true);
                shuttle::future::yield_now().await;
                ledger.stall_index(false);
                ledger.wait_for_index();
            })
        };
        match end {
            End::Closed | End::Poisoned => ledger.close().await.expect("closes"),
            End::Abandoned => ledger.ask(super::command::Command::Abandon).await.expect("ends"),
        }
        let mut acknowledged = Vec::new();
        for caller in callers {
            acknowledged.extend(caller.await.expect("is answered"));
        }
        staller.await.expect("ends");
        writing.await.expect("the writer ends");
        assert!(matches!(ledger.get(&order(1)).await, Err(StorageError::Closed)));
        disk.fail_after(None);
        let (names, _) = reopened(&disk, 1).await;
        assert!(acknowledged.iter().all(|name| names.contains(name)), "{acknowledged:?} of {names:?}");
        if !matches!(end, End::Poisoned) {
            assert_eq!(acknowledged, names, "what was not acknowledged was not written");
        }
    });
}

#[test]
fn a_ledger_that_is_closed_beside_its_callers_answers_each_and_ends() {
    under(|| ends(End::Closed));
}

#[test]
fn a_ledger_that_is_abandoned_beside_its_callers_answers_each_and_ends() {
    under(|| ends(End::Abandoned));
}

#[test]
fn a_ledger_whose_disk_fails_beside_its_callers_answers_each_and_ends() {
    under(|| ends(End::Poisoned));
}
