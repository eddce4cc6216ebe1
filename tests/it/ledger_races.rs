//! Callers side by side, numbers that name two orders, and ends in the middle of something.

use std::sync::Arc;
use std::time::Duration;

use tillbook::domain::{Event, Facts};
use tillbook::gateway::ReadErrorKind;
use tillbook::storage::StorageError;
use tillbook::{
    AccountName, AccountSettings, Error, Ledger, Money, OrderQuery, Page, RecordOrder, Reference, RefundRequest,
    RefundState, Rejection, Sending, Wanted,
};

use crate::ledger::{account, key, ledger, rejection, request, state, sync, yuan};
use crate::support::desk::Desk;

/// Waits for something that happens by itself.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, happened: impl Fn() -> F) {
    let waits = async {
        while !happened().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waits).await.unwrap_or_else(|_| panic!("never: {what}"));
}

pub(crate) async fn attempt_is_on_disk(ledger: &Ledger) -> bool {
    let events = ledger.events(0, 100).await.expect("reads");
    events.iter().any(|entry| matches!(entry.event, Event::AttemptStarted { .. }))
}

fn offline(reference: &Reference, paid: &str) -> RecordOrder {
    let references = vec![reference.clone()];
    RecordOrder { account: account(), references, paid: yuan(paid), paid_at: None, by: None }
}

/// The order's facts as a list row tells them that leaves the receipt's number out.
fn without_receipt(desk: &Desk, number: &str) -> Facts {
    let mut facts = desk.facts(number);
    facts.references.remove("receipt");
    facts
}

#[tokio::test]
async fn the_same_refund_from_eight_tasks_is_one_refund_and_seven_replays() {
    for amount in ["all", "80", "10"] {
        let desk = Desk::new();
        let order = desk.order("1", "80.00");
        let ledger = ledger(&desk).await;
        sync(&ledger).await;
        // All eight are past the first look for a replay before the first of them gets its facts.
        desk.gate.forget_permits(1_000_000);
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (ledger, request) = (ledger.clone(), request(&order, "a", amount));
                tokio::spawn(async move { ledger.refund(request).await })
            })
            .collect();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        desk.gate.add_permits(1_000_000);
        let mut first = 0;
        for task in tasks {
            let refunded = task.await.expect("no panic").expect("the refund, or its replay as it stands");
            first += u32::from(!refunded.replayed);
        }
        assert_eq!(state(&ledger, &order, "a").await, RefundState::Succeeded);
        assert_eq!((first, desk.refund_calls(), desk.executed(&key("a"))), (1, 1, 1));
    }
}

#[tokio::test]
async fn one_key_on_two_orders_at_once_is_one_refund_and_one_refusal() {
    let desk = Desk::new();
    let orders = [desk.order("1", "80.00"), desk.order("2", "80.00")];
    let ledger = ledger(&desk).await;
    sync(&ledger).await;
    let [one, two] = orders.map(|order| {
        let (ledger, request) = (ledger.clone(), request(&order, "a", "30"));
        tokio::spawn(async move { ledger.refund(request).await })
    });
    let answers = [one.await.expect("no panic"), two.await.expect("no panic")];
    let refused = answers.into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(matches!(*refused, [Error::Rejected(Rejection::ReplayDiffers { field: "order", .. })]), "{refused:?}");
    assert_eq!((desk.refund_calls(), desk.executed(&key("a"))), (1, 1));
}

#[tokio::test]
async fn a_replay_by_a_number_that_names_two_orders_by_now_is_still_a_replay() {
    let desk = Desk::new();
    desk.order("1", "80.00");
    let receipt = Reference::new("receipt", "r1").expect("a number");
    let ledger = ledger(&desk).await;
    ledger.import(&account(), vec![desk.facts("1")]).await.expect("imported");
    ledger.refund(request(&receipt, "a", "30")).await.expect("refunded");
    desk.order("2", "80.00");
    desk.change("2", |facts| {
        facts.references.insert("receipt".to_owned(), "r1".to_owned());
    });
    sync(&ledger).await;
    let again = ledger.refund(request(&receipt, "a", "30")).await.expect("a replay");
    assert!(again.replayed);
    assert_eq!(rejection(ledger.refund(request(&receipt, "b", "30")).await).kind(), "ambiguous_reference");
    assert_eq!(desk.refund_calls(), 1);
}

#[tokio::test]
async fn closing_waits_for_the_refund_under_way_and_takes_no_other() {
    let desk = Desk::new();
    let (one, two) = (desk.order("1", "80.00"), desk.order("2", "80.00"));
    let ledger = ledger(&desk).await;
    sync(&ledger).await;
    desk.gate.forget_permits(1_000_000);
    desk.gate.add_permits(1); // fresh facts
    let under_way = tokio::spawn({
        let (ledger, request) = (ledger.clone(), request(&one, "a", "30"));
        async move { ledger.refund(request).await }
    });
    until("the attempt is on disk", || attempt_is_on_disk(&ledger)).await;
    let closing = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.close().await }
    });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!closing.is_finished());
    let late = tokio::time::timeout(Duration::from_secs(20), ledger.refund(request(&two, "b", "30"))).await;
    assert!(matches!(late.expect("is answered"), Err(Error::Storage(StorageError::Closed))));
    desk.gate.add_permits(1);
    let refunded = under_way.await.expect("no panic").expect("refunded");
    assert_eq!(refunded.refund.state, RefundState::Succeeded);
    closing.await.expect("no panic").expect("closed");
    assert_eq!(desk.refund_calls(), 1);
}

/// The upstream's order is known by a row without the receipt's number; the till recorded it by its receipt.
#[tokio::test]
async fn one_upstream_order_under_two_names_is_refunded_under_one() {
    let desk = Desk::new();
    let order = desk.order("1", "80.00");
    let receipt = Reference::new("receipt", "r1").expect("a number");
    let ledger = ledger(&desk).await;
    ledger.import(&account(), vec![without_receipt(&desk, "1")]).await.expect("imported");
    ledger.record_order(offline(&receipt, "80")).await.expect("recorded");
    let queued = RefundRequest { sending: Sending::QueueOnly, ..request(&receipt, "a", "80") };
    ledger.refund(queued).await.expect("queued");
    let report = sync(&ledger).await;
    assert_eq!(desk.refund_calls(), 0, "{report:?}");
    assert!(!report.is_clean());
    // What the upstream confirmed is refundable all the same.
    let refunded = ledger.refund(request(&order, "b", "80")).await.expect("refunded");
    assert_eq!(refunded.refund.state, RefundState::Succeeded);
    sync(&ledger).await;
    assert_eq!((desk.refund_calls(), desk.money_out("1")), (1, yuan("80")));
}

#[tokio::test]
async fn an_offline_recording_answers_with_the_same_order_also_at_once_and_after_it_was_confirmed() {
    let desk = Desk::new();
    desk.order("1", "80.00");
    let receipt = Reference::new("receipt", "r1").expect("a number");
    let ledger = ledger(&desk).await;
    let [one, two] = [0, 1].map(|_| {
        let (ledger, order) = (ledger.clone(), offline(&receipt, "80"));
        tokio::spawn(async move { ledger.record_order(order).await })
    });
    let one = one.await.expect("no panic").expect("recorded");
    assert_eq!(two.await.expect("no panic").expect("a replay").id, one.id);
    sync(&ledger).await;
    let confirmed = ledger.record_order(offline(&receipt, "80")).await.expect("a replay");
    assert_eq!((confirmed.id.clone(), confirmed.provisional), (one.id.clone(), false));
    let other = ledger.record_order(offline(&receipt, "70")).await;
    assert!(matches!(other, Err(Error::Rejected(Rejection::AlreadyRecorded { .. }))));
    let unnamed = Reference { kind: "receipt".to_owned(), number: " ".to_owned() };
    assert!(matches!(ledger.record_order(offline(&unnamed, "80")).await, Err(Error::Name(_))));
}

#[tokio::test]
async fn facts_that_refused_a_refund_are_not_forgotten_when_the_network_goes() {
    let desk = Desk::new();
    let order = desk.order("1", "80.00");
    let ledger = ledger(&desk).await;
    sync(&ledger).await;
    desk.refund_elsewhere("1", "60");
    assert_eq!(rejection(ledger.refund(request(&order, "a", "80")).await).kind(), "over_refundable");
    desk.down(Some(ReadErrorKind::Unreachable));
    assert_eq!(rejection(ledger.refund(request(&order, "a", "80")).await).kind(), "over_refundable");
    let queued = ledger.refund(request(&order, "a", "20")).await.expect("queued");
    assert_eq!((queued.refund.state, queued.order.refundable()), (RefundState::Queued, Money::ZERO));
}

#[tokio::test]
async fn a_dry_run_and_a_refund_of_a_contested_order_are_refused_without_a_call() {
    let desk = Desk::new();
    let orders = [desk.order("1", "80.00"), desk.order("2", "80.00")];
    desk.change("2", |facts| {
        facts.references.insert("receipt".to_owned(), "r1".to_owned());
    });
    let ledger = ledger(&desk).await;
    sync(&ledger).await;
    let calls = desk.calls();
    for order in orders {
        assert_eq!(rejection(ledger.dry_run(request(&order, "a", "1")).await).kind(), "contested_reference");
        assert_eq!(rejection(ledger.refund(request(&order, "a", "1")).await).kind(), "contested_reference");
    }
    assert_eq!(desk.calls(), calls);
}

#[tokio::test]
async fn one_row_that_cannot_be_kept_does_not_lose_its_page() {
    let desk = Desk::new();
    let order = desk.order("1", "80.00");
    let ledger = ledger(&desk).await;
    let nameless = Facts { native: None, ..desk.facts("1") };
    let mut endless = desk.facts("1");
    endless.native = Some(Reference { kind: "order_sn".to_owned(), number: "7".repeat(300) });
    let imported = ledger.import(&account(), vec![nameless, endless, desk.facts("1")]).await.expect("imported");
    assert_eq!((imported.new, imported.refused.len()), (1, 2), "{imported:?}");
    let all = ledger.orders(&OrderQuery::default(), &Page::default()).await.expect("reads");
    assert_eq!(all.orders.len(), 1);
    assert!(ledger.known_order(&account(), &order.into()).await.expect("reads").is_some());
}

#[tokio::test]
async fn a_sync_that_is_dropped_records_what_it_was_sending() {
    let desk = Desk::new();
    let order = desk.order("1", "80.00");
    let ledger = ledger(&desk).await;
    sync(&ledger).await;
    let queued = RefundRequest { sending: Sending::QueueOnly, ..request(&order, "a", "30") };
    ledger.refund(queued).await.expect("queued");
    desk.gate.forget_permits(1_000_000);
    desk.gate.add_permits(1); // fresh facts
    let syncing = tokio::spawn({
        let ledger = ledger.clone();
        async move { sync(&ledger).await }
    });
    until("the attempt is on disk", || attempt_is_on_disk(&ledger)).await;
    syncing.abort();
    assert!(syncing.await.is_err_and(|error| error.is_cancelled()));
    desk.gate.add_permits(1);
    until("the outcome is on disk", async || state(&ledger, &order, "a").await == RefundState::Succeeded).await;
    assert_eq!((desk.refund_calls(), desk.money_out("1")), (1, yuan("30")));
}

#[tokio::test]
async fn an_order_recorded_offline_is_confirmed_and_then_refunded() {
    let desk = Desk::new();
    let order = desk.order("1", "80.00");
    let receipt = Reference::new("receipt", "r1").expect("a number");
    let ledger = ledger(&desk).await;
    desk.down(Some(ReadErrorKind::Unreachable));
    let record = || RecordOrder {
        account: account(),
        references: vec![receipt.clone()],
        paid: yuan("80"),
        paid_at: None,
        by: None,
    };
    let offline = ledger.record_order(record()).await.expect("recorded");
    assert!(offline.provisional);
    assert_eq!(ledger.record_order(record()).await.expect("a replay").id, offline.id);
    let other = RecordOrder { paid: yuan("70"), ..record() };
    assert!(matches!(ledger.record_order(other).await, Err(Error::Rejected(Rejection::AlreadyRecorded { .. }))));
    let queued = ledger.refund(request(&receipt, "a", "30")).await.expect("queued");
    assert_eq!(queued.refund.state, RefundState::Queued);
    desk.down(None);
    sync(&ledger).await;
    let confirmed = ledger.known_order(&account(), &order.clone().into()).await.expect("reads").expect("known");
    assert_eq!((confirmed.id.clone(), confirmed.provisional), (offline.id.clone(), false));
    assert_eq!(state(&ledger, &order, "a").await, RefundState::Succeeded);
    let all = ledger.orders(&OrderQuery::default(), &Page::default()).await.expect("reads");
    assert_eq!(all.orders.len(), 1);
}

#[tokio::test]
async fn two_orders_with_one_number_are_asked_back_and_not_refunded() {
    let desk = Desk::new();
    let (one, two) = (desk.order("1", "80.00"), desk.order("2", "80.00"));
    desk.change("2", |facts| {
        facts.references.insert("receipt".to_owned(), "r1".to_owned());
    });
    let ledger = ledger(&desk).await;
    sync(&ledger).await;
    let asked: Wanted = "r1".parse().expect("a number");
    let Err(Error::Rejected(Rejection::AmbiguousReference { orders, .. })) = ledger.order(&account(), &asked).await
    else {
        panic!("not asked back");
    };
    assert_eq!(orders.len(), 2);
    for order in [one, two] {
        assert_eq!(rejection(ledger.refund(request(&order, "a", "1")).await).kind(), "contested_reference");
    }
    assert_eq!(desk.refund_calls(), 0);
}

#[tokio::test]
async fn two_accounts_of_one_merchant_are_refused() {
    let desk = Desk::new();
    let ledger = ledger(&desk).await;
    let second = AccountName::new("shop-2").expect("a name");
    let refused = ledger.connect(second, Arc::new(desk), AccountSettings::default());
    assert!(matches!(refused, Err(Error::SameMerchant { .. })));
}
