//! A round of synchronisation where something is wrong: with one order, with one refund, with all.

use tillbook::domain::BlockReason;
use tillbook::gateway::ReadErrorKind;
use tillbook::{Ledger, RecordOrder, Reference, RefundRequest, RefundState, Sending};

use crate::ledger::{account, ledger, request, state, sync, yuan};
use crate::support::desk::{Desk, Does};

/// Twenty orders with a refund queued on each.
async fn twenty(desk: &Desk) -> (Ledger, Vec<Reference>) {
    let orders: Vec<_> = (0..20).map(|i| desk.order(&format!("{i:02}"), "80.00")).collect();
    let ledger = ledger(desk).await;
    sync(&ledger).await;
    for order in &orders {
        let name = format!("k{}", order.number);
        ledger
            .refund(RefundRequest { sending: Sending::QueueOnly, ..request(order, &name, "80") })
            .await
            .expect("queued");
    }
    (ledger, orders)
}

#[tokio::test]
async fn an_order_that_cannot_be_asked_for_stops_no_other() {
    for kind in [ReadErrorKind::Refused, ReadErrorKind::Unsupported, ReadErrorKind::Unreadable] {
        let desk = Desk::new();
        let (ledger, orders) = twenty(&desk).await;
        for number in ["00", "01", "02", "03", "04", "05", "06", "07", "08"] {
            desk.refuse_reads_of(number, kind);
        }
        let report = sync(&ledger).await;
        let round = &report.accounts[&account()];
        assert_eq!((round.sent, round.waiting, round.problems.len()), (11, 9, 9), "{kind:?}: {round:?}");
        assert_eq!(state(&ledger, &orders[0], "k00").await, RefundState::Queued);
        assert_eq!(state(&ledger, &orders[19], "k19").await, RefundState::Succeeded);
    }
}

#[tokio::test]
async fn an_order_that_is_busy_upstream_or_cannot_be_sent_stops_no_other() {
    for does in [Does::Block(BlockReason::Busy), Does::NotSend] {
        let desk = Desk::new();
        let (ledger, _) = twenty(&desk).await;
        desk.script([does]);
        let report = sync(&ledger).await;
        let round = &report.accounts[&account()];
        assert_eq!((round.sent, round.waiting, round.problems.len()), (20, 1, 1), "{round:?}");
        assert_eq!(round.states[&RefundState::Succeeded], 19);
    }
}

#[tokio::test]
async fn refused_credentials_and_a_lost_network_pause_the_account() {
    for does in [Does::Block(BlockReason::Credentials), Does::NotSend] {
        let desk = Desk::new();
        let (ledger, _) = twenty(&desk).await;
        desk.script(vec![does; 20]);
        let report = sync(&ledger).await;
        let round = &report.accounts[&account()];
        assert_eq!((round.waiting, desk.refund_calls() < 12), (20, true), "{round:?}");
        desk.script([]);
    }
    let desk = Desk::new();
    let (ledger, _) = twenty(&desk).await;
    desk.down(Some(ReadErrorKind::Credentials));
    let report = sync(&ledger).await;
    // Left alone for the rest of the round: nothing is listed either.
    let round = &report.accounts[&account()];
    assert_eq!((round.waiting, round.pages, round.problems.len()), (20, 0, 1), "{round:?}");
}

#[tokio::test]
async fn behind_a_refund_that_could_not_go_the_orders_other_refunds_wait() {
    let desk = Desk::new();
    let order = desk.order("1", "80.00");
    let ledger = ledger(&desk).await;
    sync(&ledger).await;
    for name in ["a", "b", "c"] {
        ledger
            .refund(RefundRequest { sending: Sending::QueueOnly, ..request(&order, name, "10") })
            .await
            .expect("queued");
    }
    desk.script([Does::Block(BlockReason::Busy)]);
    let report = sync(&ledger).await;
    assert_eq!((report.accounts[&account()].waiting, desk.refund_calls()), (3, 1));
    let report = sync(&ledger).await;
    assert_eq!((report.accounts[&account()].sent, report.accounts[&account()].waiting), (3, 0));
}

#[tokio::test]
async fn an_order_that_a_list_only_names_is_fetched_where_less_is_known_of_it() {
    let desk = Desk::new();
    let number = desk.order("1", "80.00");
    desk.only_name_orders();
    let ledger = ledger(&desk).await;
    let recorded =
        RecordOrder { account: account(), references: vec![number.clone()], paid: yuan("80"), paid_at: None, by: None };
    assert!(ledger.record_order(recorded).await.expect("recorded").provisional);
    let report = sync(&ledger).await;
    assert_eq!(report.accounts[&account()].orders_changed, 1);
    let confirmed = ledger.known_order(&account(), &number.into()).await.expect("reads").expect("known");
    assert!(!confirmed.provisional);
    assert_eq!(sync(&ledger).await.accounts[&account()].orders_unchanged, 1);
}
