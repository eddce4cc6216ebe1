//! Lists of refunds, bills, lists that break off: an upstream in memory that shows what a test says.

use std::sync::Arc;

use tillbook::domain::Outcome;
use tillbook::gateway::{BadRow, Gateway, SeenRefund};
use tillbook::sync::Tally;
use tillbook::{
    AccountSettings, Ledger, OrderStatus, Reconciliation, Reference, RefundRequest, RefundState, Rejection, Sending,
};

use super::{DAY_S, NOON, Standing, at, day};
use crate::ledger::{account, key, request, yuan};
use crate::support::desk::{Desk, Does};
use crate::support::lister::Lister;

/// A ledger in memory at noon of the day.
async fn ledger(gateway: impl Gateway) -> Ledger {
    let ledger = Ledger::builder().clock(Arc::new(Standing::at(NOON))).in_memory().await.expect("opens");
    ledger.connect(account(), Arc::new(gateway), AccountSettings::default()).expect("connects");
    ledger
}

/// An order of the desk, paid at that second.
fn order_at(desk: &Desk, number: &str, paid_at: i64) -> Reference {
    let native = desk.order(number, "80.00");
    desk.change(number, |facts| facts.paid_at = Some(at(paid_at)));
    native
}

async fn fetch(ledger: &Ledger, order: &Reference) {
    ledger.fetch(&account(), &order.clone().into()).await.expect("fetched");
}

fn row(order: &Reference, number: &str, amount: &str, at_s: i64) -> SeenRefund {
    SeenRefund {
        key: None,
        upstream_refund_no: Some(number.to_owned()),
        order: vec![("receipt".to_owned(), format!("r{}", order.number))],
        amount: Some(yuan(amount)),
        outcome: Outcome::Succeeded,
        upstream_status: Some("2".to_owned()),
        at: Some(at(at_s)),
    }
}

async fn reconcile(ledger: &Ledger) -> Reconciliation {
    ledger.reconcile(&account(), day()).await.expect("compared")
}

/// The differences in words.
fn words(found: &Reconciliation) -> Vec<String> {
    let differences = found.differences.iter().map(|found| {
        let order = found.order.as_ref().map_or("?", |order| order.number.as_str());
        let refund = found.refund_key.as_ref().map(|key| key.as_str()).or(found.upstream_refund_no.as_deref());
        format!("{} {} {order} {}", found.subject.as_str(), found.kind.as_str(), refund.unwrap_or("-"))
    });
    differences.collect()
}

#[tokio::test]
async fn listed_refunds_are_told_apart_by_number_by_likeness_and_by_the_total() {
    let desk = Desk::without_client_number();
    let lister = Lister::new(desk.clone());
    let old = order_at(&desk, "old", NOON - 9 * DAY_S);
    let new = order_at(&desk, "new", NOON);
    let doubtful = order_at(&desk, "doubtful", NOON - 2 * DAY_S);
    let unknown = order_at(&desk, "unknown", NOON - 9 * DAY_S);
    let ledger = ledger(lister.clone()).await;
    for order in [&old, &new, &doubtful] {
        fetch(&ledger, order).await;
    }
    // Ours, on an older order; ours in doubt, which the upstream executed.
    ledger.refund(request(&old, "ours", "10")).await.expect("refunded");
    desk.script([Does::LoseAnswer]);
    let lost = ledger.refund(request(&doubtful, "lost", "20")).await.expect("kept");
    assert_eq!(lost.refund.state, RefundState::InDoubt);
    // Made elsewhere: on the day, the day before, and known before as a sum.
    for (number, amount) in [("old", "5"), ("new", "6"), ("new", "7"), ("unknown", "8")] {
        desk.refund_elsewhere(number, amount);
    }
    lister.change(|lists| {
        lists.refunds = vec![
            SeenRefund { key: Some("ours".to_owned()), ..row(&old, "u1", "10", NOON) },
            row(&old, "u2", "5", NOON),
            row(&new, "u3", "6", NOON + 60),
            row(&new, "u4", "7", NOON - DAY_S), // before the order was paid, by a clock that is off
            row(&doubtful, "u5", "20", NOON + 1),
            row(&unknown, "u6", "8", NOON),
            row(&unknown, "u7", "1", NOON - DAY_S),
        ];
    });
    let found = reconcile(&ledger).await;
    assert_eq!(
        words(&found),
        [
            "refund missing_here new u3",
            "refund missing_here old u2",
            "refund missing_here runknown u6",
            "refund status_differs doubtful lost",
        ]
    );
    assert_eq!(found.problems, Vec::<String>::new());
    assert_eq!(found.matched_orders, Tally { count: 1, sum: yuan("80") });
    assert_eq!(found.matched_refunds, Tally { count: 1, sum: yuan("10") });
    let asked = lister.lists.lock().expect("not poisoned").asked.clone();
    let span = "2024-04-30 00:00:00 to 2024-05-03 00:00:00";
    assert_eq!(asked[0], format!("orders {span}"));
    assert_eq!(asked[1..5], vec![format!("refunds {span}"); 4]);
    // What was kept: their sums are known from here on.
    let again = reconcile(&ledger).await;
    assert_eq!(words(&again), ["refund missing_here runknown u6"]);
    assert_eq!(again.matched_refunds, Tally { count: 4, sum: yuan("41") });
}

#[tokio::test]
async fn a_list_that_breaks_off_claims_nothing_is_missing() {
    let desk = Desk::without_client_number();
    let lister = Lister::new(desk.clone());
    let order = order_at(&desk, "1", NOON);
    let ledger = ledger(lister.clone()).await;
    fetch(&ledger, &order).await;
    ledger.refund(request(&order, "ours", "10")).await.expect("refunded");
    lister.change(|lists| lists.refunds_break_at = Some(0));
    let found = reconcile(&ledger).await;
    assert_eq!(words(&found), Vec::<String>::new());
    assert_eq!(found.problems, ["refunds could not be listed from row 0: the list broke off"]);
    assert!(!found.is_complete() && !found.is_matched());
    // Orders: those that were read are compared, and each of the others is asked for.
    lister.change(|lists| {
        lists.refunds_break_at = None;
        lists.orders_break = true;
        lists.bad_orders = vec![BadRow { path: "data[3].amount".to_owned(), why: "is missing".to_owned() }];
    });
    let found = reconcile(&ledger).await;
    assert_eq!(
        found.problems,
        ["data[3].amount: is missing", "orders could not be listed from row 1: the list broke off"]
    );
    assert_eq!(found.matched_orders.count, 1);
}

#[tokio::test]
async fn a_row_without_amount_or_time_is_a_problem_and_no_guess() {
    let desk = Desk::without_client_number();
    let lister = Lister::new(desk.clone());
    let order = order_at(&desk, "1", NOON);
    let ledger = ledger(lister.clone()).await;
    fetch(&ledger, &order).await;
    lister.change(|lists| {
        let (nothing, never) = (row(&order, "u1", "1", NOON), row(&order, "u2", "1", NOON));
        lists.refunds = vec![SeenRefund { amount: None, ..nothing }, SeenRefund { at: None, ..never }];
    });
    let found = reconcile(&ledger).await;
    assert_eq!(
        found.problems,
        [
            "refund u1 is listed, and the list does not say how much",
            "refund u2 is listed, and the list does not say when",
        ]
    );
    assert_eq!(words(&found), Vec::<String>::new());
}

#[tokio::test]
async fn a_refund_of_a_number_that_names_two_orders_is_a_problem() {
    let desk = Desk::without_client_number();
    let lister = Lister::new(desk.clone());
    let (one, two) = (order_at(&desk, "1", NOON), order_at(&desk, "2", NOON));
    desk.change("2", |facts| drop(facts.references.insert("receipt".to_owned(), "r1".to_owned())));
    let ledger = ledger(lister.clone()).await;
    fetch(&ledger, &one).await;
    fetch(&ledger, &two).await;
    lister.change(|lists| lists.refunds = vec![row(&one, "u1", "1", NOON)]);
    let found = reconcile(&ledger).await;
    assert_eq!((words(&found), found.matched_orders.count), (vec![], 2));
    let [problem] = found.problems.as_slice() else { panic!("{found:?}") };
    assert!(problem.starts_with("order receipt=r1 was not compared: "), "{problem}");
}

#[tokio::test]
async fn the_orders_of_a_bill_are_asked_for_one_by_one() {
    let desk = Desk::new();
    for (number, paid_at) in [("same", NOON), ("new", NOON), ("tomorrow", NOON + DAY_S), ("more", NOON)] {
        order_at(&desk, number, paid_at);
    }
    desk.only_name_orders();
    let ledger = ledger(desk.clone()).await;
    for number in ["same", "more"] {
        fetch(&ledger, &Reference::new("order_sn", number).expect("a number")).await;
    }
    desk.refund_elsewhere("more", "3");
    let reads = desk.calls();
    let found = reconcile(&ledger).await;
    assert_eq!(words(&found), ["order missing_here new -", "refund_total amount_differs more -"]);
    assert_eq!((found.problems.len(), found.matched_orders.count), (0, 2));
    assert_eq!(desk.calls() - reads, 4, "one list, three orders of the day");
}

#[tokio::test]
async fn orders_in_foreign_money_or_unpaid_on_both_sides_do_not_count() {
    let desk = Desk::new();
    for number in ["dollars", "pending", "became-dollars"] {
        order_at(&desk, number, NOON);
    }
    desk.change("dollars", |facts| facts.currency = "USD".to_owned());
    desk.change("pending", |facts| {
        (facts.status, facts.paid) = (OrderStatus::Pending, yuan("0"));
    });
    let ledger = ledger(desk.clone()).await;
    for number in ["dollars", "became-dollars"] {
        fetch(&ledger, &Reference::new("order_sn", number).expect("a number")).await;
    }
    desk.change("became-dollars", |facts| facts.currency = "USD".to_owned());
    let found = reconcile(&ledger).await;
    assert_eq!(words(&found), ["order status_differs became-dollars -"]);
    let there = found.differences[0].there.as_ref().map(|side| side.status.as_str());
    assert_eq!(there, Some("paid USD"));
}

#[tokio::test]
async fn an_order_recorded_offline_is_compared_with_the_one_that_it_is() {
    let desk = Desk::new();
    let order = order_at(&desk, "1", NOON + 3);
    let ledger = ledger(desk.clone()).await;
    let recorded = |receipt: &str, paid: &str| tillbook::RecordOrder {
        account: account(),
        references: vec![Reference::new("receipt", receipt).expect("a number")],
        paid: yuan(paid),
        paid_at: None,
        by: None,
    };
    ledger.record_order(recorded("r1", "81.00")).await.expect("recorded");
    let found = reconcile(&ledger).await;
    assert_eq!(words(&found), ["order amount_differs 1 -"]);
    let confirmed = ledger.known_order(&account(), &order.into()).await.expect("reads").expect("confirmed");
    assert!(!confirmed.provisional);
    assert!(reconcile(&ledger).await.is_matched());
}

#[tokio::test]
async fn a_queued_refund_is_no_business_of_the_upstreams() {
    let desk = Desk::new();
    let order = order_at(&desk, "1", NOON);
    let ledger = ledger(desk.clone()).await;
    fetch(&ledger, &order).await;
    let queued = RefundRequest { sending: Sending::QueueOnly, ..request(&order, "later", "5") };
    ledger.refund(queued).await.expect("queued");
    assert!(reconcile(&ledger).await.is_matched());
    assert_eq!(desk.executed(&key("later")), 0);
}

#[tokio::test]
async fn an_account_or_a_day_that_is_none_is_refused() {
    let ledger = ledger(Desk::new()).await;
    let nobody = "nobody".parse().expect("a name");
    let error = ledger.reconcile(&nobody, day()).await.expect_err("refused");
    assert_eq!(error.kind(), "unknown_account");
    let error = ledger.reconcile(&account(), jiff::civil::Date::MAX).await.expect_err("refused");
    assert!(matches!(error, tillbook::Error::Rejected(Rejection::Malformed(_))), "{error}");
}
