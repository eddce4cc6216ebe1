//! Very many refund attempts by many callers on few orders; the upstream's own books are the judge.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tillbook::domain::{Answer, Facts, Finding, GatewayName, Outcome};
use tillbook::gateway::{
    BoxFuture, Capabilities, Checked, Gateway, OrderFilter, OrderPage, PageAt, ReadError, ReadErrorKind, RefundCall,
};
use tillbook::{AccountSettings, Error, Ledger, Money, Reference, RefundState, Rejection};

use crate::ledger::{account, key, rejection, request, yuan};
use crate::support::desk::Desk;
use crate::support::say;

/// Orders that are asked for refunds at one time.
const ORDERS: u64 = 8;

/// Callers at one time.
const CALLERS: u64 = 256;

/// Attempts on the same orders, before others take their place.
const ROUND: u64 = 2_048;

/// Each order is paid 10.00 and each refund is of 1.00: ten of 128 can be granted.
const GRANTED: u64 = 10;

/// An upstream that refunds whatever it is asked to, and writes it down: the ledger alone keeps within what was paid.
struct Counter {
    facts: Desk,
    books: Mutex<HashMap<String, Book>>,
}

#[derive(Clone, Default)]
struct Book {
    refunds: Vec<(String, Money)>,
}

impl Counter {
    fn books(&self) -> MutexGuard<'_, HashMap<String, Book>> {
        self.books.lock().expect("no test panics with the books open")
    }

    fn told(&self, number: &str) -> Facts {
        let book = self.books().get(number).cloned().unwrap_or_default();
        let mut facts = self.facts.facts(number);
        facts.refunded = Some(Money::total(book.refunds.iter().map(|(_, amount)| *amount)));
        facts.refund_count = u32::try_from(book.refunds.len()).ok();
        facts
    }
}

fn unsupported<T>() -> Result<T, ReadError> {
    Err(ReadError::new(ReadErrorKind::Unsupported, "nobody asks the counter that"))
}

impl Gateway for Counter {
    fn name(&self) -> GatewayName {
        self.facts.name()
    }

    fn merchant(&self) -> Option<String> {
        self.facts.merchant()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { lists_orders: false, ..self.facts.capabilities() }
    }

    fn fetch_order<'a>(&'a self, wanted: &'a [Reference]) -> BoxFuture<'a, Result<Option<Facts>, ReadError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let number = wanted.iter().find(|reference| reference.kind == "order_sn");
            Ok(number.map(|number| self.told(&number.number)))
        })
    }

    fn list_orders<'a>(&'a self, _: &'a OrderFilter, _: PageAt) -> BoxFuture<'a, Result<OrderPage, ReadError>> {
        Box::pin(async { unsupported() })
    }

    fn refund<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let refund = (call.refund.key.to_string(), call.refund.amount);
            self.books().entry(call.native.number.clone()).or_default().refunds.push(refund);
            Answer::new(Outcome::Succeeded, now())
        })
    }

    fn probe<'a>(&'a self, _: &'a RefundCall) -> BoxFuture<'a, Result<Finding, ReadError>> {
        Box::pin(async { unsupported() })
    }

    fn check(&self) -> BoxFuture<'_, Result<Checked, ReadError>> {
        Box::pin(async { unsupported() })
    }
}

fn now() -> tillbook::Timestamp {
    jiff::Timestamp::now().into()
}

/// What all callers together were answered.
#[derive(Default)]
struct Told {
    attempts: AtomicU64,
    refunded: AtomicU64,
    replayed: AtomicU64,
    refused: AtomicU64,
}

/// How many attempts: 100,000; ten million with `TILLBOOK_LONG=1`; or as many as `TILLBOOK_ATTEMPTS` says.
fn attempts() -> u64 {
    match std::env::var("TILLBOOK_ATTEMPTS") {
        Ok(number) => number.parse().expect("TILLBOOK_ATTEMPTS is a number"),
        Err(_) if std::env::var_os("TILLBOOK_LONG").is_some() => 10_000_000,
        Err(_) => 100_000,
    }
}

/// One round: every caller asks for refunds of each order, one after the other; each refund is asked for by two callers.
async fn round(ledger: &Ledger, orders: &[Reference], most: u64, told: &Arc<Told>) {
    let orders: Arc<[Reference]> = orders.into();
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (ledger, orders, told) = (ledger.clone(), Arc::clone(&orders), Arc::clone(told));
            tokio::spawn(async move {
                for turn in 0..ORDERS {
                    if told.attempts.fetch_add(1, Ordering::Relaxed) >= most {
                        told.attempts.fetch_sub(1, Ordering::Relaxed);
                        return;
                    }
                    let order = &orders[usize::try_from((caller / 2 + turn) % ORDERS).expect("small")];
                    let name = format!("{}-{}", order.number, caller / 2);
                    match ledger.refund(request(order, &name, "1")).await {
                        Ok(refunded) => {
                            let state = refunded.refund.state;
                            // Asked for again while it is being sent, a refund is answered as it stands.
                            let under_way = refunded.replayed && state == RefundState::Sending;
                            assert!(under_way || state == RefundState::Succeeded, "{name}: {state:?}");
                            let counted = if refunded.replayed { &told.replayed } else { &told.refunded };
                            counted.fetch_add(1, Ordering::Relaxed);
                        }
                        refused @ Err(Error::Rejected(_)) => {
                            let rejection = rejection(refused);
                            assert!(matches!(rejection, Rejection::OverRefundable { .. }), "{name}: {rejection:?}");
                            told.refused.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) => panic!("{name}: {error:?}"),
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("no caller panics");
    }
}

/// The books of one order against the ledger's.
async fn compare(ledger: &Ledger, counter: &Counter, order: &Reference) -> u64 {
    let book = counter.books().get(&order.number).cloned().unwrap_or_default();
    let out = Money::total(book.refunds.iter().map(|(_, amount)| *amount));
    assert!(out <= yuan("10"), "order {} was paid 10.00 and refunded {out}", order.number);
    let mut names: Vec<&String> = book.refunds.iter().map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), book.refunds.len(), "a refund of order {} was executed twice", order.number);
    let known = ledger.known_order(&account(), &order.clone().into()).await.expect("reads").expect("known");
    let mut recorded: Vec<String> = known.refunds.iter().map(|refund| refund.key.to_string()).collect();
    recorded.sort();
    assert_eq!(names.into_iter().cloned().collect::<Vec<_>>(), recorded);
    assert!(recorded.iter().all(|name| known.refund(&key(name)).expect("there").state == RefundState::Succeeded));
    recorded.len() as u64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn very_many_refunds_asked_by_256_callers_on_8_orders_never_exceed_what_was_paid() {
    let most = attempts();
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = Ledger::builder().open(dir.path()).await.expect("opens");
    let counter = Arc::new(Counter { facts: Desk::new(), books: Mutex::default() });
    ledger.connect(account(), counter.clone(), AccountSettings::default()).expect("connects");
    let (told, began, mut executed, mut full) = (Arc::new(Told::default()), Instant::now(), 0, 0);
    for number in 0..most.div_ceil(ROUND) {
        let orders: Vec<Reference> =
            (0..ORDERS).map(|order| counter.facts.order(&format!("{number}-{order}"), "10.00")).collect();
        round(&ledger, &orders, most, &told).await;
        for order in &orders {
            let refunds = compare(&ledger, &counter, order).await;
            (executed, full) = (executed + refunds, full + u64::from(refunds == GRANTED));
            counter.facts.forget(&order.number);
            counter.books().remove(&order.number);
        }
    }
    let millis = u64::try_from(began.elapsed().as_millis()).expect("not for ever").max(1);
    let count = |counted: &AtomicU64| counted.load(Ordering::Relaxed);
    let (refunded, replayed, refused) = (count(&told.refunded), count(&told.replayed), count(&told.refused));
    say(&format!(
        "{most} refund attempts in {} s ({} a second): {refunded} refunded, {replayed} answered again, \
         {refused} refused; 0 over-refunds, 0 executed twice",
        millis / 1_000,
        most * 1_000 / millis
    ));
    assert_eq!((count(&told.attempts), refunded + replayed + refused), (most, most));
    assert_eq!(executed, refunded, "every refund that was acknowledged, and no other, was executed once");
    assert!(replayed > 0 && refused > 0 && full > 0, "nobody raced");
    let report = ledger.verify().await.expect("reads");
    assert_eq!((report.refunds, report.differences), (refunded, Vec::new()));
    ledger.close().await.expect("closes");
}
