//! What the child does until it ends: a ledger on disk, refunds over a gateway that says what it is sent.

use std::path::Path;
use std::sync::Arc;

use tillbook::domain::Answer;
use tillbook::gateway::{BoxFuture, Gateway, RefundCall};
use tillbook::storage::embedded::{Embedded, EmbeddedOptions};
use tillbook::{Ledger, Money, RefundRequest, Requested, Sending, Wanted};

use crate::storage::fixture;
use crate::support::desk::Desk;
use crate::support::forward_gateway::forward_gateway;
use crate::support::shop::{account, at_once};

/// What the child prints before a refund key: it is about to be asked for; it is sent; it was acknowledged (and the
/// state after it).
pub(super) const ASKED: &str = "asked ";
pub(super) const SENT: &str = "sent ";
pub(super) const ACKNOWLEDGED: &str = "acknowledged ";

/// Small segments and caches, so that a short life has many.
pub(super) fn options() -> EmbeddedOptions {
    let mut options = fixture::options();
    (options.segment_bytes, options.cache_bytes) = (48 << 10, Some(1 << 20));
    options
}

/// One session of the till: opened, refunded at, closed. `session` names its orders.
pub(super) async fn session(directory: &Path, session: &str) {
    // The test harness has begun a line.
    println!();
    let storage = Arc::new(Embedded::open(directory, &options()).expect("opens"));
    let ledger = Ledger::builder().storage(storage).await.expect("opens");
    assert_eq!(ledger.quarantined(), None, "it is where it was");
    let desk = Desk::new();
    ledger.connect(account(), Arc::new(Speaking(desk.clone())), at_once()).expect("connects");
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let number = format!("{session}{task}");
            desk.order(&number, "100.00");
            tokio::spawn(refund_at(ledger.clone(), number))
        })
        .collect();
    for task in tasks {
        task.await.expect("refunds until it is killed");
    }
    ledger.close().await.expect("closes");
}

async fn refund_at(ledger: Ledger, number: String) {
    let order: Wanted = format!("order_sn={number}").parse().expect("a number");
    for round in 0..8 {
        let key = ledger.make_key();
        let amount = Requested::Exactly(Money::from_fen(1).expect("valid"));
        let mut request = RefundRequest::new(account(), order.clone(), amount, key.clone());
        if round == 6 {
            request.sending = Sending::QueueOnly;
        }
        println!("{ASKED}{key}");
        let refunded = ledger.refund(request).await.expect("refunded or queued");
        println!("{ACKNOWLEDGED}{key} {}", refunded.refund.state.as_str());
    }
}

/// An upstream that says which refund it was sent, before anything comes of it.
struct Speaking(Desk);

impl Gateway for Speaking {
    forward_gateway!(self.0: name, merchant, capabilities, fetch_order, list_orders, probe, check);

    fn refund<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Answer> {
        println!("{SENT}{}", call.refund.key);
        self.0.refund(call)
    }
}
