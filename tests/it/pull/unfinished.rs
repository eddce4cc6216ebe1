//! Orders that no list brings are asked for one by one, oldest first, each in its turn.

use tillbook::gateway::ReadErrorKind;
use tillbook::{Money, OrderStatus, RecordOrder};

use super::*;
use crate::ledger::yuan;

/// A desk whose list only names its paid orders, with that many pending ones, which are known here.
async fn with_pending(count: u32) -> (Desk, Till) {
    let desk = Desk::new();
    desk.only_name_orders();
    fill(&desk, "o", count, MINUTE);
    let numbers = all(&[("o", count)]);
    let till = Till::of(&desk).await;
    for number in &numbers {
        desk.change(number, |facts| (facts.status, facts.paid) = (OrderStatus::Pending, Money::ZERO));
        let order = desk.facts(number).native.expect("a number").into();
        till.ledger.fetch(&account(), &order).await.expect("fetched");
    }
    desk.hide_from_lists(numbers);
    desk.fetched();
    (desk, till)
}

#[tokio::test]
async fn pending_orders_are_asked_for_oldest_first_and_all_get_their_turn() {
    let (desk, till) = with_pending(120).await;
    let oldest_first: Vec<String> = all(&[("o", 120)]).into_iter().rev().collect();
    for turn in [0..50, 50..100, 100..120, 0..50] {
        till.sync().await;
        assert_eq!(desk.fetched(), oldest_first[turn.clone()], "{turn:?}");
    }
}

#[tokio::test]
async fn an_order_paid_since_is_paid_here_and_asked_for_no_more() {
    let (desk, till) = with_pending(2).await;
    desk.change("o0001", |facts| (facts.status, facts.paid) = (OrderStatus::Paid, yuan("80")));
    assert_eq!(till.sync().await.orders_changed, 1);
    desk.fetched();
    till.sync().await;
    assert_eq!(desk.fetched(), ["o0000"]);
}

#[tokio::test]
async fn orders_of_the_same_moment_and_of_none_get_their_turn_too() {
    let desk = Desk::new();
    desk.only_name_orders();
    let at = ago(DAY);
    let numbers: Vec<String> = (0..80).map(|nth| format!("o{nth:04}")).collect();
    let till = Till::of(&desk).await;
    for (nth, number) in numbers.iter().enumerate() {
        let order = desk.order_made(number, "80.00", at);
        desk.change(number, |facts| {
            (facts.status, facts.paid, facts.paid_at) = (OrderStatus::Pending, Money::ZERO, None);
            facts.created_at = (nth >= 40).then_some(at);
        });
        till.ledger.fetch(&account(), &order.into()).await.expect("fetched");
    }
    desk.hide_from_lists(numbers.clone());
    desk.fetched();
    till.sync().await;
    assert_eq!(desk.fetched(), numbers[..50]);
    till.sync().await;
    assert_eq!(desk.fetched(), numbers[50..]);
}

#[tokio::test]
async fn an_order_that_cannot_be_asked_for_stops_no_other_and_a_lost_network_stops_all() {
    let (desk, till) = with_pending(3).await;
    desk.refuse_reads_of("o0002", ReadErrorKind::Refused);
    let report = till.sync().await;
    assert_eq!(report.problems, ["order desk:m1:o0002: not this order"]);
    assert_eq!(desk.fetched(), ["o0002", "o0001", "o0000"]);
    desk.refuse_reads_of("o0001", ReadErrorKind::Unreachable);
    let report = till.sync().await;
    let stopped = "unfinished orders could not be asked for from desk:m1:o0001 on: not this order";
    assert_eq!(report.problems, ["order desk:m1:o0002: not this order", stopped]);
    desk.fetched();
    till.sync().await;
    // It goes on where the network was lost.
    assert_eq!(desk.fetched(), ["o0001"]);
}

#[tokio::test]
async fn an_order_recorded_offline_is_confirmed_as_soon_as_the_upstream_knows_it() {
    let desk = Desk::new();
    let till = Till::of(&desk).await;
    let number = desk.order_made("1", "80.00", ago(MINUTE));
    desk.hide_from_lists(vec!["1".to_owned()]);
    let recorded =
        RecordOrder { account: account(), references: vec![number.clone()], paid: yuan("80"), paid_at: None, by: None };
    till.ledger.record_order(recorded.clone()).await.expect("recorded");
    let unknown = tillbook::Reference::new("order_sn", "2").expect("a number");
    let unknown = RecordOrder { references: vec![unknown], ..recorded };
    till.ledger.record_order(unknown).await.expect("recorded");
    let report = till.sync().await;
    assert_eq!((report.orders_changed, report.problems), (1, vec![]));
    let record = till.ledger.known_order(&account(), &number.into()).await.expect("reads").expect("known");
    assert!(!record.provisional);
}
