//! What a command costs, counted: syncs and bytes on the way to disk, what is written while nothing happens, and how a
//! hold's work grows with its order. Nothing here is measured in seconds, so that a slow machine says the same.
//!
//! A figure that grows is a regression: whoever has a reason for it changes the figure here, and says why.

mod disk;
mod hour;
mod online;
mod till;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tillbook::domain::decide::{self, Context, Found};
use tillbook::domain::{Entry, Outcome};
use tillbook::storage::conformance::shop;
use tillbook::storage::embedded::{Embedded, EmbeddedOptions};
use tillbook::storage::{Storage, Transaction};
use tillbook::{OrderRecord, Requested};

use disk::{CountingDisk, Done};

/// A frame's bytes before its lines, by the journal's format.
const FRAME_HEADER: u64 = 64;

/// A hold without memo or name, its frame's header included: what is in it has to be in it, and a word more in each
/// event is a word in every journal for ever.
const HOLD_BYTES: u64 = 360;

/// One write and one sync of it.
fn one_write(bytes: u64) -> Done {
    Done { writes: 1, bytes, syncs: 1, others: 0 }
}

/// How many orders there are.
const ORDERS: i64 = 50;

/// A ledger with some orders on a disk that counts, with nothing under way any more.
async fn ledger(directory: &Path) -> (Arc<CountingDisk>, Embedded) {
    let disk = CountingDisk::new(&directory.join("journal"));
    let mut options = EmbeddedOptions::new(shop::device()).with_disk(disk.clone());
    // So large that no test fills half of it: then a checkpoint would be written too.
    options.segment_bytes = 32 << 20;
    // With less the index's own thread looks once a minute for something to write, and not twice a second.
    options.cache_bytes = Some(32 << 20);
    let ledger = Embedded::open(directory, &options).expect("opens");
    let page = (0..ORDERS).map(|number| shop::see(shop::big(number, 600)));
    ledger.transact_many(page.collect()).await.expect("taken in");
    // A new index asks for a checkpoint once it is on disk; the writer has written it before the command after.
    ledger.wait_for_index();
    hold(&ledger, 1, "first").await;
    disk.take();
    (disk, ledger)
}

async fn hold(ledger: &Embedded, number: i64, name: &str) {
    ledger.transact(shop::hold(&shop::order(number), name, 1)).await.expect("there is enough left");
}

/// The bytes of the lines after a sequence, their ends included.
async fn lines_after(ledger: &Embedded, sequence: u64) -> u64 {
    let lines = ledger.lines(sequence, usize::MAX).await.expect("readable");
    lines.iter().map(|line| line.len() as u64 + 1).sum()
}

fn newest(ledger: &Embedded) -> u64 {
    *ledger.newest().borrow()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_of_one_caller_is_one_write_and_one_sync_of_its_line_and_a_header() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (disk, ledger) = ledger(directory.path()).await;
    let mut all = Vec::new();
    for number in 0..100 {
        let before = newest(&ledger);
        hold(&ledger, 0, &format!("till-3-0{number:03}")).await;
        let done = disk.take();
        assert_eq!(done, one_write(FRAME_HEADER + lines_after(&ledger, before).await), "hold {number}");
        all.push(done.bytes);
    }
    // The hundredth hold on an order writes no more than the first, but for longer numbers in it.
    assert!(all[99] - all[0] <= 4, "{all:?}");
    crate::support::say(&format!("a hold is {} bytes in the journal", all[0]));
    assert!(all.iter().all(|bytes| *bytes <= HOLD_BYTES), "{all:?}");
    ledger.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_is_sent_is_two_syncs_one_before_it_and_one_after() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (disk, ledger) = ledger(directory.path()).await;
    for transaction in [shop::refund_now(0, "sent", 100), shop::settle(&shop::order(0), "sent", Outcome::Succeeded)] {
        let before = newest(&ledger);
        ledger.transact(transaction).await.expect("in order");
        assert_eq!(disk.take(), one_write(FRAME_HEADER + lines_after(&ledger, before).await));
    }
    ledger.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_who_come_while_the_disk_syncs_share_the_next_one() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (disk, ledger) = ledger(directory.path()).await;
    // With how many callers; how many syncs: one that all the others meet, and as many as the groups of 256 they make.
    for (callers, syncs) in [(2, 2), (8, 2), (64, 2), (257, 2), (600, 4)] {
        let others = 1..i64::try_from(callers).expect("few");
        let before = newest(&ledger);
        disk.shut();
        let mut asked = vec![asked(&ledger, callers, 0)];
        step(&mut asked).await;
        disk.until_a_sync_waits();
        asked.extend(others.map(|caller| self::asked(&ledger, callers, caller)));
        // Each has handed its command over when it was asked once.
        assert_eq!(step(&mut asked).await, 0);
        disk.open();
        for caller in asked {
            caller.await;
        }
        let frames = syncs * FRAME_HEADER;
        let done = Done { writes: syncs, bytes: frames + lines_after(&ledger, before).await, syncs, others: 0 };
        assert_eq!(disk.take(), done, "{callers} callers");
    }
    ledger.close().await.expect("closed");
}

type Asked<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

fn asked(ledger: &Embedded, callers: u64, caller: i64) -> Asked<'_> {
    Box::pin(async move { hold(ledger, caller % ORDERS, &format!("r-{callers}-{caller}")).await })
}

/// Asks each once, and tells how many were done. The runtime would else put off those beyond a hundred or so.
async fn step(asked: &mut [Asked<'_>]) -> usize {
    let once = std::future::poll_fn(|context| {
        let polled = asked.iter_mut().map(|asked| asked.as_mut().poll(context));
        Poll::Ready(polled.filter(Poll::is_ready).count())
    });
    tokio::task::unconstrained(once).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_a_hundred_orders_is_one_write_and_one_sync() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (disk, ledger) = ledger(directory.path()).await;
    let page: Vec<Transaction> = (100..200).map(|number| shop::see(shop::big(number, 600))).collect();
    let before = newest(&ledger);
    assert_eq!(ledger.transact_many(page).await.expect("taken in").len(), 100);
    let lines = lines_after(&ledger, before).await;
    assert_eq!(disk.take(), one_write(FRAME_HEADER + lines));
    assert!(lines <= 100 * 1_500, "{lines} bytes for a hundred orders");
    ledger.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_replayed_or_read_writes_nothing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (disk, ledger) = ledger(directory.path()).await;
    hold(&ledger, 0, "once").await;
    disk.take();
    hold(&ledger, 0, "once").await;
    ledger.transact(shop::hold(&shop::order(0), "too-much", 8_001)).await.expect_err("more than was paid");
    ledger.transact(shop::see(shop::big(0, 600))).await.expect("nothing new in it");
    ledger.get(&shop::order(0)).await.expect("readable");
    ledger.events_of(&shop::order(0)).await.expect("readable");
    ledger.check().await.expect("checked");
    assert_eq!(disk.take(), Done::default());
    ledger.close().await.expect("closed");
}

/// The one place here that waits for time to pass: that nothing happens meanwhile is what is tested. The index's own
/// thread looks twice a second whether there is something to write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_at_all_is_written_while_nothing_happens() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (disk, ledger) = ledger(directory.path()).await;
    for number in 0..20 {
        hold(&ledger, 0, &format!("r-{number}")).await;
    }
    ledger.wait_for_index();
    // What the index holds in memory only is written by the first of its looks.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    disk.take();
    let before = files(directory.path());
    assert!(before.len() > 3, "{:?}", before.keys());
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let after = files(directory.path());
    let changed: Vec<&PathBuf> = after.keys().filter(|path| before.get(*path) != after.get(*path)).collect();
    assert_eq!((changed, disk.take()), (Vec::new(), Done::default()));
    assert_eq!(before.len(), after.len());
    ledger.close().await.expect("closed");
}

/// Every file below a directory with its bytes, and when it was last written.
fn files(directory: &Path) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            files.append(&mut self::files(&path));
        } else {
            let written = std::fs::metadata(&path).and_then(|metadata| metadata.modified()).expect("a time");
            files.insert(path.clone(), (std::fs::read(&path).expect("readable"), written));
        }
    }
    files
}

/// A hold on an order with fifty refunds may take so many times the work of one on an order with a single refund: it
/// reads all of them, and writes one line.
const FIFTY_OVER_ONE: u32 = 4;

/// The two take turns in short batches, and the middle one of many ratios counts: what else the machine does meets
/// single batches, and seldom the same half of all.
#[test]
fn a_hold_on_an_order_with_fifty_refunds_is_decided_and_encoded_almost_as_quickly_as_with_one() {
    let [one, fifty] = [1, 50].map(Decided::new);
    let mut ratios: Vec<u128> = (0..201)
        .map(|_| {
            let of_one = one.batch();
            fifty.batch() * 100 / of_one.max(1)
        })
        .collect();
    ratios.sort_unstable();
    let middle = ratios[ratios.len() / 2];
    crate::support::say(&format!("a hold with fifty refunds over one with one: {middle} hundredths"));
    assert!(middle <= u128::from(FIFTY_OVER_ONE) * 100, "{middle} hundredths; all: {ratios:?}");
}

/// A hold that is decided and encoded again and again.
struct Decided {
    context: Context,
    found: Found,
}

impl Decided {
    /// On an order with so many refunds.
    fn new(refunds: usize) -> Decided {
        let (account, order, device, now) = (shop::account(), shop::order(1), shop::device(), shop::at(0));
        let context = Context { account, order, device, now, adopted_at: None };
        let mut decided = Decided { context, found: Found { record: None, holders: Vec::new(), key_holder: None } };
        let seen = shop::seen(shop::big(1, 600));
        let events = decide::facts(&decided.context, &decided.found, &seen).expect("a new order");
        decided.keep(events);
        for number in 0..refunds {
            let events = decided.hold(&format!("r-{number}"));
            decided.keep(events);
        }
        decided
    }

    fn keep(&mut self, events: Vec<tillbook::domain::Event>) {
        let record = decide::after(&self.context, &self.found, events).expect("it follows");
        self.found.record = Some(Arc::new(record));
    }

    fn hold(&self, name: &str) -> Vec<tillbook::domain::Event> {
        let command = shop::refund_command(name, Requested::Exactly(shop::fen(1)));
        decide::refund(&self.context, &self.found, &command).expect("there is enough left")
    }

    /// Some holds on the same record; in nanoseconds.
    fn batch(&self) -> u128 {
        let since = Instant::now();
        for _ in 0..10 {
            let Context { account, order, device, now, .. } = self.context.clone();
            for event in self.hold("the-next") {
                let (account, order, device) = (account.clone(), order.clone(), device.clone());
                let entry = Entry { sequence: 60, order, account, version: 60, at: now, device, event };
                std::hint::black_box(serde_json::to_vec(&entry).expect("an entry is JSON"));
            }
        }
        since.elapsed().as_nanos()
    }
}

#[test]
fn an_order_keeps_a_bounded_number_of_bytes_for_each_refund() {
    let bytes = |refunds| {
        let found = Decided::new(refunds).found;
        let record: OrderRecord = found.record.map(Arc::unwrap_or_clone).expect("there");
        serde_json::to_vec(&record).expect("a record is JSON").len()
    };
    let (none, fifty) = (bytes(0), bytes(50));
    let each = (fifty - none) / 50;
    crate::support::say(&format!("a queued refund is {each} bytes of its order's record"));
    assert!(each <= 330, "{each} bytes for each refund that is queued");
}
