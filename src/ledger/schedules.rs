//! The claim of an attempt under schedules that a test decides (shuttle): of any number of senders at once one sends.
//!
//! Built and run as the storage's schedules are. Each sender has a ledger of its own over one storage, so that no lane
//! stands between them and the claim on disk alone decides.

use std::sync::Arc;
use std::time::Duration;

use shuttle::future::{block_on, spawn};

use super::{AccountSettings, Clock, Ledger, Sent};
use crate::BoxFuture;
use crate::domain::{Answer, Event, Facts, Finding, GatewayName, Money, Outcome, Reference, RefundState, Timestamp};
use crate::gateway::{
    Capabilities, Checked, Gateway, OrderFilter, OrderPage, PageAt, ReadError, ReadErrorKind, RefundCall,
};
use crate::storage::Storage;
use crate::storage::embedded::schedules::fixture::{account, add, at, facts, fen, hold, key, order};
use crate::storage::embedded::schedules::stage::{Shelf, open};
use crate::storage::embedded::schedules::under;
use crate::storage::lock::{Mutex, locked};
use crate::{RefundRequest, Requested, Wanted};

/// An upstream that refunds whatever it is asked to, and counts.
#[derive(Default)]
struct Till(Mutex<Vec<Money>>);

impl Till {
    fn out(&self) -> Vec<Money> {
        locked(&self.0).clone()
    }
}

fn unsupported<T>() -> Result<T, ReadError> {
    Err(ReadError::new(ReadErrorKind::Unsupported, "nobody asks the till that"))
}

impl Gateway for Till {
    fn name(&self) -> GatewayName {
        facts(1).gateway
    }

    fn merchant(&self) -> Option<String> {
        Some(facts(1).merchant)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            refunds: true,
            lists_orders: false,
            lists_by_time: false,
            lists_every_order: false,
            client_refund_number: true,
            totals_count_pending: false,
            lists_refunds: false,
            fence: false,
            fetch_by: &["order_sn"],
            refund_window: None,
            refunds_per_order: None,
            calls_per_minute: None,
        }
    }

    fn fetch_order<'a>(&'a self, _: &'a [Reference]) -> BoxFuture<'a, Result<Option<Facts>, ReadError>> {
        Box::pin(async {
            let out = self.out();
            let refund_count = u32::try_from(out.len()).ok();
            Ok(Some(Facts {
                refunded: Some(Money::total(out)),
                refund_count,
                asked_at: at(1),
                payment_method: None,
                ..facts(1)
            }))
        })
    }

    fn list_orders<'a>(&'a self, _: &'a OrderFilter, _: PageAt) -> BoxFuture<'a, Result<OrderPage, ReadError>> {
        Box::pin(async { unsupported() })
    }

    fn refund<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Answer> {
        Box::pin(async {
            locked(&self.0).push(call.refund.amount);
            Answer::new(Outcome::Succeeded, at(2))
        })
    }

    fn probe<'a>(&'a self, _: &'a RefundCall) -> BoxFuture<'a, Result<Finding, ReadError>> {
        Box::pin(async { unsupported() })
    }

    fn check(&self) -> BoxFuture<'_, Result<Checked, ReadError>> {
        Box::pin(async { unsupported() })
    }
}

/// No time goes by.
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        at(3)
    }

    fn running(&self) -> Duration {
        Duration::ZERO
    }
}

/// Ledgers over one storage with one upstream: none knows of the others.
async fn ledgers(storage: &Arc<dyn Storage>, till: &Arc<Till>) -> [Ledger; 3] {
    let one = async || {
        let ledger = Ledger::builder().clock(Arc::new(Stopped)).storage(Arc::clone(storage)).await.expect("opens");
        // Else all but the first wait for their minute.
        let settings = AccountSettings { refund_interval: Some(Duration::ZERO), ..AccountSettings::default() };
        ledger.connect(account(), till.clone(), settings).expect("connects");
        ledger
    };
    [one().await, one().await, one().await]
}

async fn attempts_started(storage: &dyn Storage) -> usize {
    let events = storage.events_of(&order(1)).await.expect("reads");
    events.iter().filter(|entry| matches!(entry.event, Event::AttemptStarted { .. })).count()
}

/// One queued refund is pushed by two callers of each of three ledgers.
fn pushes() {
    block_on(async {
        let (storage, writing) = open(&Shelf::default(), 1 << 20);
        let (storage, till): (Arc<dyn Storage>, _) = (Arc::new(storage), Arc::new(Till::default()));
        add(&*storage, 1).await;
        storage.transact(hold(&order(1), "a", 3000)).await.expect("is held");
        let pushing: Vec<_> = (ledgers(&storage, &till).await.iter())
            .flat_map(|ledger| [Arc::clone(&ledger.inner), Arc::clone(&ledger.inner)])
            .map(|inner| {
                let connected = inner.account(&account()).expect("connected");
                spawn(inner.push(connected, order(1), key("a")))
            })
            .collect();
        let mut sent = 0;
        for push in pushing {
            sent += u32::from(matches!(push.await.expect("ends").expect("no failure"), Sent::Yes(..)));
        }
        assert_eq!((sent, till.out()), (1, vec![fen(3000)]));
        assert_eq!(attempts_started(&*storage).await, 1);
        let record = storage.get(&order(1)).await.expect("reads").expect("known");
        assert_eq!(record.refund(&key("a")).map(|refund| refund.state), Some(RefundState::Succeeded));
        storage.close().await.expect("closes");
        writing.await.expect("the writer ends");
    });
}

#[test]
fn a_refund_that_six_push_at_once_is_sent_once() {
    under(pushes);
}

/// Each of three ledgers is asked for the same refund, and for one of its own: two of 30.00 fit into 80.00.
fn refunds() {
    block_on(async {
        let (storage, writing) = open(&Shelf::default(), 1 << 20);
        let (storage, till): (Arc<dyn Storage>, _) = (Arc::new(storage), Arc::new(Till::default()));
        add(&*storage, 1).await;
        let order_sn: Wanted = facts(1).native.expect("an order of an upstream").into();
        let refunding: Vec<_> = (ledgers(&storage, &till).await.iter().enumerate())
            .flat_map(|(own, ledger)| {
                [("all-want-it".to_owned(), ledger.clone()), (format!("r-{own}"), ledger.clone())]
            })
            .map(|(name, ledger)| {
                let amount = Requested::Exactly(fen(3000));
                let request = RefundRequest::new(account(), order_sn.clone(), amount, key(&name));
                spawn(ledger.inner.refund(request))
            })
            .collect();
        for refund in refunding {
            // Refused for want of money, refused as overtaken, granted, answered again: the books tell what is right.
            drop(refund.await.expect("ends"));
        }
        let out = till.out();
        assert!(Money::total(out.iter().copied()) <= fen(8000), "{out:?} of 80.00");
        let record = storage.get(&order(1)).await.expect("reads").expect("known");
        let succeeded = record.refunds.iter().filter(|refund| refund.state == RefundState::Succeeded).count();
        assert_eq!((succeeded, attempts_started(&*storage).await), (out.len(), out.len()), "{record:?}");
        assert!(!out.is_empty());
        storage.close().await.expect("closes");
        writing.await.expect("the writer ends");
    });
}

#[test]
fn refunds_that_three_ledgers_grant_at_once_stay_within_what_was_paid_and_each_is_sent_once() {
    under(refunds);
}
