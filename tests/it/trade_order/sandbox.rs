//! trade_order against the sandbox, whose books are the judge.

use std::collections::BTreeMap;
use std::sync::Arc;

use tillbook::clients::credential::StaticSecret;
use tillbook::clients::trade_order::{TradeOrderGateway, TradeOrderSettings};
use tillbook::domain::{Answer, BlockReason, Facts, Outcome};
use tillbook::gateway::{Gateway, OrderFilter, PageAt, RefundCall};
use tillbook::sandbox::{Fault, FaultKind, NewOrder, Operation, OrderHandle, Sandbox, Settlement, Upstream};

use super::{fen, reference, refund_call};
use crate::wire_faults::settings;

pub(super) const UPSTREAM: Upstream = Upstream::TradeOrder;

pub(super) fn gateway(sandbox: &Sandbox) -> TradeOrderGateway {
    let token = Arc::new(StaticSecret::new(sandbox.credentials().trade_order_token));
    TradeOrderGateway::new(TradeOrderSettings::new(settings(&sandbox.base_url()), token)).expect("good settings")
}

/// A refund of that order, which the upstream may have numbered.
pub(super) fn call(order: &OrderHandle, amount_fen: i64, upstream_refund_no: Option<&str>) -> RefundCall {
    let mut call = refund_call(amount_fen, upstream_refund_no);
    call.native = reference("tradeOrderId", &order.id);
    call.references = vec![call.native.clone()];
    call.paid = fen(order.paid_fen);
    call
}

fn told(answer: &Answer) -> (Outcome, Option<BlockReason>, &str) {
    (answer.outcome, answer.blocked, answer.code.as_deref().unwrap_or_default())
}

#[tokio::test]
async fn every_order_of_every_shape_is_listed_as_the_books_have_it() {
    let sandbox = Sandbox::builder().seed(70).start().await.expect("a sandbox");
    let gateway = gateway(&sandbox);
    let (mut next, mut seen) = (Some(0), BTreeMap::<String, Facts>::new());
    while let Some(offset) = next {
        let page = gateway.list_orders(&OrderFilter::default(), PageAt { offset, limit: 20 }).await.expect("a page");
        assert_eq!(page.bad_rows, []);
        for facts in page.orders {
            seen.insert(facts.native.clone().expect("a number").number, facts);
        }
        next = page.next;
    }
    let books = sandbox.books();
    let of_ours: Vec<_> = books.orders.iter().filter(|order| order.upstream == UPSTREAM).collect();
    assert_eq!(seen.len(), of_ours.len());
    for order in of_ours {
        let facts = &seen[&order.id];
        let paid = if ["2", "4", "5"].contains(&order.status.as_str()) { order.paid_fen } else { 0 };
        let shown = (facts.upstream_status.as_str(), facts.paid, facts.refunded);
        assert_eq!(shown, (order.status.as_str(), fen(paid), Some(fen(order.money_out_fen))), "{}", order.id);
    }
}

#[tokio::test]
async fn an_order_is_found_by_each_of_its_numbers() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let order = sandbox.add_order(UPSTREAM, NewOrder::paid(1_900)).expect("an order");
    let gateway = gateway(&sandbox);
    for kind in gateway.capabilities().fetch_by {
        let number = reference(kind, &order.references[*kind]);
        let facts = gateway.fetch_order(&[number]).await.expect("an answer").expect("an order");
        assert_eq!((facts.native.map(|n| n.number), facts.paid), (Some(order.id.clone()), fen(1_900)), "{kind}");
    }
    let nobody: Vec<_> = gateway.capabilities().fetch_by.iter().map(|kind| reference(kind, "nobody")).collect();
    assert_eq!(gateway.fetch_order(&nobody).await.expect("an answer"), None);
    assert_eq!(gateway.check().await.expect("a good token").proven, ["token accepted"]);
}

#[tokio::test]
async fn refunds_move_money_until_nothing_is_left() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let order = sandbox.add_order(UPSTREAM, NewOrder::paid(1_900)).expect("an order");
    let gateway = gateway(&sandbox);
    let part = gateway.refund(&call(&order, 501, None)).await;
    assert_eq!(told(&part), (Outcome::Succeeded, None, "0"));
    let number = part.upstream_refund_no.expect("a number");
    let probed = gateway.probe(&call(&order, 501, Some(&number))).await.expect("an answer").answer;
    assert_eq!((probed.outcome, probed.upstream_refund_no), (Outcome::Succeeded, Some(number.clone())));
    let other = gateway.probe(&call(&order, 500, Some(&number))).await.expect("an answer").answer;
    assert_eq!(other.outcome, Outcome::InDoubt, "another amount");
    let facts = gateway.fetch_order(&[reference("tradeOrderId", &order.id)]).await.expect("an answer");
    assert_eq!(facts.expect("an order").refunded, Some(fen(501)));
    assert_eq!(told(&gateway.refund(&call(&order, 1_400, None)).await), (Outcome::Declined, None, "12063"));
    assert_eq!(told(&gateway.refund(&call(&order, 1_399, None)).await), (Outcome::Succeeded, None, "0"));
    assert_eq!(told(&gateway.refund(&call(&order, 1, None)).await).0, Outcome::Declined);
    assert_eq!(sandbox.books().money_out_fen(UPSTREAM, &order.id), Some(1_900));
    let unpaid = NewOrder { status: Some("0".to_owned()), ..NewOrder::paid(1_900) };
    let unpaid = sandbox.add_order(UPSTREAM, unpaid).expect("an order");
    assert_eq!(told(&gateway.refund(&call(&unpaid, 1, None)).await), (Outcome::Declined, None, "12075"));
}

#[tokio::test]
async fn a_refund_under_way_makes_the_order_busy_until_it_ends() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let order = sandbox.add_order(UPSTREAM, NewOrder::paid(1_900)).expect("an order");
    let gateway = gateway(&sandbox);
    sandbox.set_fault(Fault::new(Operation::TradeOrderRefund, FaultKind::Stuck)).expect("a fault");
    let first = gateway.refund(&call(&order, 500, None)).await;
    assert_eq!(told(&first), (Outcome::Accepted, None, "0"));
    let number = first.upstream_refund_no.expect("a number");
    let busy = gateway.refund(&call(&order, 300, None)).await;
    assert_eq!(told(&busy), (Outcome::Blocked, Some(BlockReason::Busy), "12077"));
    let asked = call(&order, 500, Some(&number));
    assert_eq!(gateway.probe(&asked).await.expect("an answer").answer.outcome, Outcome::Accepted);
    sandbox.release(UPSTREAM, &number, Settlement::Succeeded).expect("released");
    assert_eq!(gateway.probe(&asked).await.expect("an answer").answer.outcome, Outcome::Succeeded);
    assert_eq!(told(&gateway.refund(&call(&order, 300, None)).await).0, Outcome::Succeeded);
    assert_eq!(sandbox.books().money_out_fen(UPSTREAM, &order.id), Some(800));
}

#[tokio::test]
async fn what_may_have_moved_money_is_in_doubt() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let gateway = gateway(&sandbox);
    for (kind, outcome, out) in [
        (FaultKind::DropBefore, Outcome::InDoubt, 0),
        (FaultKind::DropAfter, Outcome::InDoubt, 500),
        (FaultKind::HttpAfter(500), Outcome::InDoubt, 500),
        (FaultKind::Truncated, Outcome::InDoubt, 500),
        (FaultKind::Redirect(302), Outcome::InDoubt, 0),
        (FaultKind::Unrecorded, Outcome::InDoubt, 500),
        (FaultKind::CodeAfter(99999), Outcome::InDoubt, 500),
        (FaultKind::CodeBefore(1001), Outcome::Blocked, 0),
        (FaultKind::Fails, Outcome::Declined, 0),
    ] {
        let order = sandbox.add_order(UPSTREAM, NewOrder::paid(1_900)).expect("an order");
        sandbox.set_fault(Fault::new(Operation::TradeOrderRefund, kind)).expect("a fault");
        let answer = gateway.refund(&call(&order, 500, None)).await;
        assert_eq!(answer.outcome, outcome, "{kind:?}: {answer:?}");
        assert_eq!(sandbox.books().money_out_fen(UPSTREAM, &order.id), Some(out), "{kind:?}");
    }
    assert_eq!(sandbox.pending_faults(), []);
    assert_eq!(sandbox.calls().refunds, 9, "each was sent once");
}

#[tokio::test]
async fn a_wrong_token_blocks_and_an_absent_upstream_sends_nothing() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let order = sandbox.add_order(UPSTREAM, NewOrder::paid(1_900)).expect("an order");
    let gateway = gateway(&sandbox);
    let good = sandbox.credentials();
    let mut other = good.clone();
    other.trade_order_token.push('x');
    sandbox.set_credentials(other);
    let refund = call(&order, 500, None);
    assert_eq!(told(&gateway.refund(&refund).await), (Outcome::Blocked, Some(BlockReason::Credentials), "1001"));
    sandbox.set_credentials(good);
    sandbox.network_down().await;
    assert_eq!(told(&gateway.refund(&refund).await), (Outcome::NotSent, None, ""));
    sandbox.network_up().await.expect("the same port");
    assert_eq!(sandbox.books().total_money_out_fen(), 0);
    assert_eq!(gateway.refund(&refund).await.outcome, Outcome::Succeeded);
}
