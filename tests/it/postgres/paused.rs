//! A worker that stands still past its lease, and goes on when another has taken its attempt over: a process of its own,
//! stopped and continued by signals.

#![expect(clippy::print_stdout, reason = "the worker tells its parent what it was answered")]

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tillbook::domain::{Answer, DeviceName, RefundState};
use tillbook::gateway::{Gateway, RefundCall};
use tillbook::sandbox::{NewOrder, OrderHandle, Sandbox, Upstream};
use tillbook::storage::Storage;
use tillbook::storage::postgres::{Postgres, PostgresOptions};
use tillbook::{BoxFuture, Ledger, Money, RefundRequest, Requested, SyncOptions};

use super::server::server;
use crate::support::forward_gateway::forward_gateway;
use crate::support::say;
use crate::support::shop::{account, at_once, fubei_at, key, wanted};

/// Where the worker finds the ledger, the upstream and the order, and when it stands still; without it the worker's test
/// does nothing.
const LEDGER: &str = "TILLBOOK_WORKER_LEDGER";
const UPSTREAM: &str = "TILLBOOK_WORKER_UPSTREAM";
const ORDER: &str = "TILLBOOK_WORKER_ORDER";
const STOPS: &str = "TILLBOOK_WORKER_STOPS";

const WORKER: &str = "postgres::paused::worker_that_stands_still";

/// Long enough to send in its first half on a slow machine.
const LEASE: Duration = Duration::from_secs(6);

async fn open(url: &str, device: &str, gateway: Arc<dyn Gateway>) -> Ledger {
    let device = DeviceName::new(device).expect("a name");
    let options = PostgresOptions { lease: LEASE, ..PostgresOptions::new(device.clone()) };
    let storage = Arc::new(Postgres::open(url, &options).await.expect("opens"));
    let ledger = Ledger::builder().device(device).storage(storage).await.expect("opens");
    ledger.connect(account(), gateway, at_once()).expect("connects");
    ledger
}

/// Fubei's adapter in a process that is stopped while it refunds: before the adapter is asked, or after it answered.
struct Stopped {
    adapter: Arc<dyn Gateway>,
    before: bool,
}

/// Until the parent says so, for a signal that is sent is not yet one that stops every thread.
fn stand_still() {
    let me = std::process::id().to_string();
    assert!(Command::new("kill").args(["-STOP", &me]).status().expect("kill is on every Unix").success());
    std::io::stdin().read_line(&mut String::new()).expect("the parent's word");
}

impl Gateway for Stopped {
    forward_gateway!(self.adapter: name, merchant, capabilities, fetch_order, list_orders, probe, check);

    fn refund<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            if self.before {
                stand_still();
            }
            let answer = self.adapter.refund(call).await;
            if !self.before {
                stand_still();
            }
            println!("answered {}", answer.outcome.as_str());
            answer
        })
    }
}

/// Not a test of its own: what the worker of the test below does.
#[test]
fn worker_that_stands_still() {
    let Ok(url) = std::env::var(LEDGER) else { return };
    let said = |name| std::env::var(name).expect("the parent says it");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("starts");
    runtime.block_on(async {
        let gateway = Stopped { adapter: fubei_at(&said(UPSTREAM)), before: said(STOPS) == "before" };
        let ledger = open(&url, "worker-1", Arc::new(gateway)).await;
        let amount = Requested::Exactly(Money::from_fen(3_000).expect("valid"));
        let order = said(ORDER);
        let request = RefundRequest::new(account(), order.parse().expect("a number"), amount, key(&said(STOPS)));
        let told = ledger.refund(request).await.expect("recorded, by whomever");
        println!("told {}", told.refund.state.as_str());
        ledger.close().await.expect("closes");
    });
}

struct Worker(Child);

impl Worker {
    fn start(url: &str, upstream: &str, order: &OrderHandle, stops: &str) -> Worker {
        let worker = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", WORKER, "--nocapture", "--test-threads=1"])
            .envs([(LEDGER, url), (UPSTREAM, upstream), (ORDER, &order.id), (STOPS, stops)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        Worker(worker.expect("it runs"))
    }

    async fn stands_still(&self) {
        let (since, id) = (Instant::now(), self.0.id().to_string());
        loop {
            let told = Command::new("ps").args(["-o", "state=", "-p", &id]).output().expect("ps is on every Unix");
            if told.stdout.first() == Some(&b'T') {
                return;
            }
            assert!(since.elapsed() < Duration::from_secs(60), "it never stood still");
            // Nobody is told that a process, which is not this one, has stopped: it is looked at again.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Goes on, to its end; gives what it said.
    fn goes_on(&mut self) -> String {
        self.0.stdin.take().expect("piped").write_all(b"go on\n").expect("heard");
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-CONT", &id]).status().expect("kill is on every Unix").success());
        let mut said = String::new();
        self.0.stdout.take().expect("piped").read_to_string(&mut said).expect("text");
        assert!(self.0.wait().expect("it ended").success(), "{said}");
        said
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A test that failed leaves no process behind.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_worker_that_stood_still_past_its_lease_records_nothing_and_its_refund_is_never_sent_again() {
    let name = "a_worker_that_stood_still_past_its_lease_records_nothing_and_its_refund_is_never_sent_again";
    let Some(server) = server(name) else { return };
    let url = server.database("ledger").await;
    let sandbox = Sandbox::start().await.expect("the sandbox listens");
    let other = open(&url, "worker-2", fubei_at(&sandbox.base_url())).await;
    let mut stopped = Vec::new();
    for stops in ["before", "after"] {
        let order = sandbox.add_order(Upstream::Fubei, NewOrder::paid(8_000)).expect("added");
        other.fetch(&account(), &wanted(&order)).await.expect("fetched");
        stopped.push((stops, Worker::start(&url, &sandbox.base_url(), &order, stops), order));
    }
    for (_, worker, _) in &stopped {
        worker.stands_still().await;
    }
    assert_eq!((sandbox.calls().refunds, sandbox.books().total_money_out_fen()), (1, 3_000));
    // While their leases last nobody touches them.
    let look =
        Postgres::open(&url, &PostgresOptions::new(DeviceName::new("look").expect("a name"))).await.expect("opens");
    while look.lost_attempts(10).await.expect("read").len() < 2 {
        // The server tells nobody that a lease is over by its clock: it is asked again.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let third = open(&url, "worker-3", fubei_at(&sandbox.base_url())).await;
    for (stops, _, order) in &stopped {
        let record = third.known_order(&account(), &wanted(order)).await.expect("read").expect("known");
        assert_eq!(record.refund(&key(stops)).expect("there").state, RefundState::InDoubt, "{stops}");
    }
    other.sync(&SyncOptions::default(), &|_| ()).await.expect("syncs");
    let mut told = Vec::new();
    for (stops, worker, order) in &mut stopped {
        let said = worker.goes_on();
        let record = other.known_order(&account(), &wanted(order)).await.expect("read").expect("known");
        let refund = record.refund(&key(stops)).expect("there");
        for entry in other.events_of(&record.id).await.expect("read") {
            let by_the_late = entry.event.name() == "answered" && entry.device.as_str() == "worker-1";
            assert!(!by_the_late, "its late answer was recorded: {entry:?}");
        }
        let answered =
            said.lines().find_map(|line| line.split("answered ").nth(1)).expect("it was answered").to_owned();
        told.push((*stops, answered, refund.state, refund.attempts));
    }
    assert_eq!(
        told,
        [
            // Its lease was over when it went on: nothing was sent, and that is not taken for an answer either.
            ("before", "not_sent".to_owned(), RefundState::InDoubt, 1),
            // Sent in time, answered too late: the upstream was asked instead.
            ("after", told[1].1.clone(), RefundState::Succeeded, 1),
        ]
    );
    // Whatever is done again from here on: one was executed, once, and the other is asked about for ever.
    other.sync(&SyncOptions::default(), &|_| ()).await.expect("syncs");
    let seen = (sandbox.calls().refunds, sandbox.books().total_money_out_fen(), sandbox.books().overpaid().len());
    assert_eq!(seen, (1, 3_000, 0));
    assert_eq!(other.verify().await.expect("read").differences, []);
    say(
        "2 workers stopped past their leases: 1 refund executed once, 1 never sent, 0 late answers recorded, 0 doubles",
    );
}
