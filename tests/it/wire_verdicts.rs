//! What a person's verdict does where the upstream can shut a door, over the wire.

use tillbook::sandbox::{Fault, FaultKind, Operation, Upstream};
use tillbook::{Error, Money, RefundState, Rejection, Ruling, Verdict};

use crate::support::shop::{Shop, account, key, yuan};

async fn ruled(shop: &Shop, order: &tillbook::sandbox::OrderHandle, verdict: Verdict) -> Result<RefundState, Error> {
    let version = shop.record(order).await.version;
    let (by, note) = ("wang".to_owned(), "looked at the console".to_owned());
    let ruling = Ruling { account: account(), key: key("a"), verdict, by, note, version };
    Ok(shop.ledger.resolve(ruling).await?.refund.state)
}

#[tokio::test]
async fn a_verdict_on_a_refund_that_never_arrived_is_what_happens_and_nothing_else() {
    for (verdict, state, end, out) in [
        (Verdict::Release, RefundState::Canceled, RefundState::Canceled, Money::ZERO),
        (Verdict::Declined, RefundState::Declined, RefundState::Declined, Money::ZERO),
        (Verdict::Succeeded, RefundState::Succeeded, RefundState::Succeeded, Money::ZERO),
        (Verdict::Resend, RefundState::Queued, RefundState::Succeeded, yuan("30")),
    ] {
        let shop = Shop::open(Upstream::Hydrogen).await;
        let order = shop.order("80.00");
        shop.sandbox.set_fault(Fault::new(Operation::FunctionRefund, FaultKind::DropBefore)).expect("fits");
        shop.refund(&order, "a", "30").await.expect("recorded");
        assert_eq!(shop.state(&order, "a").await, RefundState::InDoubt);
        assert_eq!(ruled(&shop, &order, verdict).await.expect("ruled"), state, "{verdict}");
        shop.sync().await;
        shop.sync().await;
        assert_eq!((shop.state(&order, "a").await, shop.money_out(&order)), (end, out), "{verdict}");
        // The one that was lost finds the door shut, should it still arrive.
        let calls = if verdict == Verdict::Resend { 2 } else { 1 };
        assert_eq!(shop.sandbox.calls().refunds, calls, "{verdict}");
    }
}

#[tokio::test]
async fn a_refund_whose_door_cannot_be_shut_is_not_sent_through_it_again() {
    let shop = Shop::open(Upstream::Hydrogen).await;
    let order = shop.order("80.00");
    // The function died between its row and the end: nobody can say what BaaS.refund did.
    shop.sandbox.set_fault(Fault::new(Operation::FunctionRefund, FaultKind::Stuck)).expect("fits");
    shop.refund(&order, "a", "30").await.expect("recorded");
    let refused = ruled(&shop, &order, Verdict::Resend).await.expect_err("the door stands open");
    assert!(matches!(refused, Error::Rejected(Rejection::VerdictContradicted { .. })), "{refused}");
    assert_eq!(shop.state(&order, "a").await, RefundState::InDoubt);
}
