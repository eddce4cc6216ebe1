//! An attempt belongs to its sender for a time, where several processes share a ledger: what is sent too late is not
//! sent, what is answered too late is not recorded, and whoever takes an attempt over only ever asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tillbook::clients::http::HttpSettings;
use tillbook::domain::{Answer, DeviceName, Event, RefundState};
use tillbook::gateway::{Gateway, RefundCall};
use tillbook::sandbox::{NewOrder, Sandbox};
use tillbook::storage::memory::Memory;
use tillbook::storage::{Committed, LostAttempt, Storage, StorageError, TransactError, Transaction};
use tillbook::{AccountSettings, BoxFuture, Clock, Ledger};
use tokio::sync::Semaphore;

use crate::ledger::{account, connect, key, request, state, sync, yuan};
use crate::ledger_races::until;
use crate::support::clock::TestClock;
use crate::support::desk::Desk;
use crate::support::forward_gateway::forward_gateway;
use crate::support::forward_storage::forward_storage;
use crate::support::shop::{UPSTREAMS, at_once, gateway, wanted};

/// How long an attempt is its sender's.
pub(crate) const LEASE: Duration = Duration::from_secs(120);

/// A ledger in memory that several may open, on one clock.
pub(crate) struct Shared {
    kept: Memory,
    pub(crate) clock: Arc<TestClock>,
    /// When the newest attempt began, and how much time passes between its commit and its sending.
    began: Mutex<Option<Duration>>,
    passes: Mutex<Duration>,
    /// How many commits were asked for.
    commits: AtomicU64,
    /// The one of them that finds the disk full.
    full_at: AtomicU64,
}

impl Shared {
    pub(crate) fn new() -> Arc<Shared> {
        let kept = Memory::new(DeviceName::new("till-3").expect("a name"));
        let (clock, began, passes) = (TestClock::new(), Mutex::default(), Mutex::default());
        Arc::new(Shared { kept, clock, began, passes, commits: AtomicU64::new(0), full_at: AtomicU64::new(u64::MAX) })
    }

    pub(crate) async fn open(self: &Arc<Shared>) -> Ledger {
        Ledger::builder().clock(self.clock.clone()).storage(self.clone()).await.expect("opens")
    }

    /// How many commits were asked for since the last time.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.swap(0, Ordering::Relaxed)
    }

    /// The commit of that number from here on finds the disk full.
    pub(crate) fn is_full_at(&self, commit: u64) {
        self.commits();
        self.full_at.store(commit, Ordering::Relaxed);
    }

    /// What every sender meets after its commit: its machine sleeps so long.
    fn sleep_after_claims(&self, time: Duration) {
        *self.passes.lock().expect("nothing panics with it in hand") = time;
    }
}

impl Storage for Shared {
    fn transact(&self, transaction: Transaction) -> BoxFuture<'_, Result<Committed, TransactError>> {
        Box::pin(async move {
            if self.commits.fetch_add(1, Ordering::Relaxed) + 1 == self.full_at.load(Ordering::Relaxed) {
                return Err(TransactError::Storage(StorageError::DiskFull { path: "000001.journal".into() }));
            }
            let committed = self.kept.transact(transaction).await?;
            if committed.entries.iter().any(|entry| matches!(entry.event, Event::AttemptStarted { .. })) {
                *self.began.lock().expect("nothing panics with it in hand") = Some(self.clock.running());
                self.clock.pass(*self.passes.lock().expect("nothing panics with it in hand"));
            }
            Ok(committed)
        })
    }

    fn lost_attempts(&self, limit: usize) -> BoxFuture<'_, Result<Vec<LostAttempt>, StorageError>> {
        Box::pin(async move {
            let began = *self.began.lock().expect("nothing panics with it in hand");
            let is_over = began.is_some_and(|began| self.clock.running() > began + LEASE);
            let lost = if is_over { self.kept.lost_attempts(limit).await? } else { Vec::new() };
            Ok(lost.into_iter().map(|lost| LostAttempt { attempt: Some(1), ..lost }).collect())
        })
    }

    fn lease(&self) -> Option<Duration> {
        Some(LEASE)
    }

    forward_storage!(
        self.kept: transact_many, get, find, find_refund, scan, refunds_in, refunds_after, events, lines, events_of,
        newest, cursor, cursors, put_cursor, state_hash, check, close
    );
}

/// An upstream's adapter on a machine that sleeps between the ledger's word to send and the first byte.
pub(crate) struct Sleepy {
    adapter: Arc<dyn Gateway>,
    clock: Arc<TestClock>,
    pub(crate) sleeps: Mutex<Duration>,
    /// Each answer uses one up.
    answers: Semaphore,
}

impl Sleepy {
    pub(crate) fn over(adapter: Arc<dyn Gateway>, clock: &Arc<TestClock>) -> Sleepy {
        Sleepy { adapter, clock: clock.clone(), sleeps: Mutex::default(), answers: Semaphore::new(1_000) }
    }
}

impl Gateway for Sleepy {
    forward_gateway!(self.adapter: name, merchant, capabilities, fetch_order, list_orders, probe, fence, check);

    fn refund<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            self.clock.pass(std::mem::take(&mut *self.sleeps.lock().expect("nothing panics with it in hand")));
            let answer = self.adapter.refund(call).await;
            self.answers.acquire().await.expect("never closed").forget();
            answer
        })
    }
}

/// Half of a lease: what is left is for the answer.
const TOO_LATE: Duration = Duration::from_secs(61);

#[tokio::test]
async fn what_was_not_sent_in_the_first_half_of_its_lease_is_not_sent_and_goes_out_later() {
    for upstream in UPSTREAMS {
        let sandbox = Sandbox::start().await.expect("the sandbox listens");
        let order = sandbox.add_order(upstream, NewOrder::paid(8_000)).expect("added");
        let shared = Shared::new();
        let ledger = shared.open().await;
        let adapter = gateway(&sandbox, upstream);
        let sleepy = Sleepy { sleeps: Mutex::new(TOO_LATE), ..Sleepy::over(adapter, &shared.clock) };
        ledger.connect(account(), Arc::new(sleepy), at_once()).expect("connects");
        let native = ledger.fetch(&account(), &wanted(&order)).await.expect("fetched").facts.native.clone();
        let refunded = ledger.refund(request(&native.expect("known"), "a", "30")).await.expect("recorded");
        let why = refunded.refund.message.clone().unwrap_or_default();
        assert!(why.contains("too long ago"), "{upstream}: {why}");
        let seen = (refunded.refund.state, refunded.order.held(), sandbox.calls().refunds);
        assert_eq!(seen, (RefundState::Queued, yuan("30"), 0), "{upstream}");
        sync(&ledger).await;
        let record = ledger.known_order(&account(), &wanted(&order)).await.expect("reads").expect("known");
        let refund = record.refund(&key("a")).expect("there");
        let seen = (refund.state, refund.attempts, sandbox.calls().refunds, sandbox.books().total_money_out_fen());
        assert_eq!(seen, (RefundState::Succeeded, 2, 1, 3_000), "{upstream}");
        assert!(sandbox.books().overpaid().is_empty());
    }
}

#[tokio::test]
async fn a_sender_whose_lease_was_over_before_its_turn_asks_no_gateway() {
    let (desk, shared) = (Desk::new(), Shared::new());
    let order = desk.order("1", "80.00");
    let ledger = shared.open().await;
    connect(&ledger, &desk);
    shared.sleep_after_claims(LEASE + Duration::from_secs(1));
    let refunded = ledger.refund(request(&order, "a", "30")).await.expect("recorded");
    let seen = (refunded.refund.state, refunded.order.held(), desk.refund_calls());
    assert_eq!(seen, (RefundState::Queued, yuan("30"), 0));
    shared.sleep_after_claims(Duration::ZERO);
    sync(&ledger).await;
    assert_eq!((state(&ledger, &order, "a").await, desk.executed(&key("a"))), (RefundState::Succeeded, 1));
}

#[tokio::test]
async fn an_answer_after_the_takeover_is_not_recorded_and_nothing_is_sent_again() {
    let (desk, shared) = (Desk::new(), Shared::new());
    let order = desk.order("1", "80.00");
    let (sender, other) = (shared.open().await, shared.open().await);
    let slow = Sleepy { answers: Semaphore::new(0), ..Sleepy::over(Arc::new(desk.clone()), &shared.clock) };
    let slow = Arc::new(slow);
    // A total that moved is no proof where others refund too.
    let settings = AccountSettings { sole_refunder: Some(false), ..at_once() };
    sender.connect(account(), slow.clone(), settings.clone()).expect("connects");
    other.connect(account(), Arc::new(desk.clone()), settings).expect("connects");
    let sending = tokio::spawn({
        let (sender, order) = (sender.clone(), order.clone());
        async move { sender.refund(request(&order, "a", "30")).await }
    });
    until("the refund is executed", async || desk.executed(&key("a")) == 1).await;
    // Within the lease nobody takes it over.
    shared.clock.pass(LEASE - Duration::from_secs(10));
    sync(&other).await;
    assert_eq!(state(&other, &order, "a").await, RefundState::Sending);
    shared.clock.pass(Duration::from_secs(11));
    desk.silence_probes(true);
    sync(&other).await;
    assert_eq!(state(&other, &order, "a").await, RefundState::InDoubt);
    slow.answers.add_permits(1);
    let told = sending.await.expect("no panic").expect("recorded");
    assert_eq!((told.refund.state, told.order.held()), (RefundState::InDoubt, yuan("30")));
    let events = other.events_of(&told.order.id).await.expect("reads");
    let names: Vec<&str> = events.iter().map(|entry| entry.event.name()).collect();
    let told: Vec<&str> = names.iter().copied().filter(|name| *name != "facts_seen").collect();
    assert_eq!(told[..3], ["refund_held", "attempt_started", "attempt_lost"]);
    assert!(!names.contains(&"answered"), "{names:?}");
    // What became of it is asked, and never tried again.
    desk.silence_probes(false);
    sync(&other).await;
    let seen = (state(&other, &order, "a").await, desk.refund_calls(), desk.money_out("1"));
    assert_eq!(seen, (RefundState::Succeeded, 1, yuan("30")));
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_waited_for_until_the_lease_is_over_and_no_longer() {
    let (desk, shared) = (Desk::new(), Shared::new());
    let order = desk.order("1", "80.00");
    let ledger = shared.open().await;
    let silent = Sleepy { answers: Semaphore::new(0), ..Sleepy::over(Arc::new(desk.clone()), &shared.clock) };
    ledger.connect(account(), Arc::new(silent), at_once()).expect("connects");
    let began = tokio::time::Instant::now();
    let refunded = ledger.refund(request(&order, "a", "30")).await.expect("recorded");
    assert_eq!((refunded.refund.state, desk.executed(&key("a"))), (RefundState::InDoubt, 1));
    let waited = began.elapsed();
    assert!(waited <= LEASE && waited > LEASE / 2, "{waited:?}");
}

#[test]
fn an_adapters_time_for_an_answer_ends_before_the_lease_does() {
    let (answer, lease) = (HttpSettings::new("http://127.0.0.1:1").timeout, LEASE);
    assert!(answer < lease / 2, "what is sent at the last moment is answered after {answer:?} at most");
    #[cfg(feature = "postgres")]
    assert_eq!(tillbook::storage::postgres::PostgresOptions::new(crate::support::life::device()).lease, lease);
}
