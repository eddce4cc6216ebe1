//! Fubei against the sandbox, whose books are the judge: what a probe finds after each way of losing an answer.

use std::time::Duration;

use tillbook::sandbox::{Fault, FaultKind, NewOrder, Operation, OrderHandle, Sandbox, Upstream};

use super::*;

const UPSTREAM: Upstream = Upstream::Fubei;

fn gateway(sandbox: &Sandbox) -> FubeiGateway {
    let known = sandbox.credentials();
    let secret = Arc::new(StaticSecret::new(known.fubei_secret));
    FubeiGateway::new(FubeiSettings::new(settings(&sandbox.base_url()), known.fubei_app_id, secret))
        .expect("good settings")
}

fn call(order: &OrderHandle, key: &str) -> RefundCall {
    let mut call = refund_call(Some((0, 0)));
    call.refund.key = RefundKey::new(key).expect("valid");
    call.native = reference("order_sn", &order.id);
    call.references = vec![call.native.clone()];
    call
}

#[tokio::test]
async fn a_probe_proves_every_execution_by_our_own_number_and_nothing_by_absence() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let gateway = gateway(&sandbox);
    for (at, (kind, outcome, lines)) in [
        (FaultKind::DropBefore, Outcome::InDoubt, 3),
        (FaultKind::HttpBefore(500), Outcome::InDoubt, 3),
        (FaultKind::DropAfter, Outcome::Succeeded, 1),
        (FaultKind::HttpAfter(502), Outcome::Succeeded, 1),
        (FaultKind::Garbage, Outcome::Succeeded, 1),
        (FaultKind::Truncated, Outcome::Succeeded, 1),
        (FaultKind::Stuck, Outcome::Accepted, 1),
        (FaultKind::Fails, Outcome::Declined, 1),
    ]
    .into_iter()
    .enumerate()
    {
        let order = sandbox.add_order(UPSTREAM, NewOrder::paid(8_000)).expect("an order");
        sandbox.set_fault(Fault::new(Operation::FubeiRefund, kind)).expect("a fault");
        let refund = call(&order, &format!("k-{at}"));
        let answer = gateway.refund(&refund).await;
        assert!(matches!(answer.outcome, Outcome::InDoubt | Outcome::Accepted), "{kind:?}: {answer:?}");
        let found = gateway.probe(&refund).await.expect("an answer");
        assert_eq!((found.answer.outcome, found.proof), (outcome, Proof::OwnNumber), "{kind:?}: {found:?}");
        assert_eq!(found.evidence.len(), lines, "{kind:?}: {found:?}");
    }
    assert_eq!((sandbox.pending_faults(), sandbox.calls().refunds), (vec![], 8));
}

#[tokio::test]
async fn what_lands_late_is_found_when_it_has_and_a_refund_made_elsewhere_is_only_shown() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let gateway = gateway(&sandbox);
    let order = sandbox.add_order(UPSTREAM, NewOrder::paid(8_000)).expect("an order");
    let late = FaultKind::LandsLate(Duration::from_millis(700));
    sandbox.set_fault(Fault::new(Operation::FubeiRefund, late)).expect("a fault");
    let refund = call(&order, "k-1");
    assert_eq!(gateway.refund(&refund).await.outcome, Outcome::InDoubt);
    sandbox.refund_elsewhere(UPSTREAM, &order.id, 1_050).expect("there is enough");
    let found = gateway.probe(&refund).await.expect("an answer");
    // On a machine that stood still it may have landed already.
    if sandbox.books().money_out_fen(UPSTREAM, &order.id) == Some(1_050) {
        assert_eq!(found.answer.outcome, Outcome::InDoubt, "{found:?}");
        assert_eq!(found.evidence[1], "refund.statistics: 10.50 yuan refunded, 1 refunds");
    }
    sandbox.until(|books| books.money_out_fen(UPSTREAM, &order.id) == Some(2_100)).await;
    assert_eq!(gateway.probe(&refund).await.expect("an answer").answer.outcome, Outcome::Succeeded);
}
