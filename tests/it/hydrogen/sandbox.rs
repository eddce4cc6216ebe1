//! hydrogen against the sandbox, whose books are the judge.

use std::collections::BTreeMap;
use std::sync::Arc;

use tillbook::clients::credential::StaticSecret;
use tillbook::clients::hydrogen::{HydrogenGateway, HydrogenSettings, OrdersFrom};
use tillbook::domain::{BlockReason, Facts, OrderStatus, Outcome};
use tillbook::gateway::{Gateway, OrderFilter, PageAt, RefundCall};
use tillbook::sandbox::{
    Fault, FaultKind, FunctionIndex, NewOrder, Operation, OrderHandle, Sandbox, Settings, Upstream,
};

use super::{fen, reference, refund_call};
use crate::wire_faults::settings;

pub(super) const UPSTREAM: Upstream = Upstream::Hydrogen;

pub(super) fn gateway(sandbox: &Sandbox, orders: OrdersFrom) -> HydrogenGateway {
    let known = sandbox.credentials();
    let secret = |text: String| Arc::new(StaticSecret::new(text));
    let mut settings = HydrogenSettings::new(
        settings(&sandbox.base_url()),
        known.hydrogen_client_id,
        secret(known.hydrogen_token),
        secret(known.function_secret),
    );
    settings.refund_function = known.function_name;
    settings.orders = orders;
    HydrogenGateway::new(settings).expect("good settings")
}

/// A refund of that order, under that key.
pub(super) fn call(order: &OrderHandle, key: &str, amount_fen: i64) -> RefundCall {
    let numbers: Vec<(&str, &str)> = order.references.iter().map(|(k, n)| (k.as_str(), n.as_str())).collect();
    let mut call = refund_call(key, amount_fen, &numbers);
    call.native = reference("transaction_no", &order.id);
    call.paid = fen(order.paid_fen);
    call
}

/// All orders, page by page.
async fn all(gateway: &HydrogenGateway) -> BTreeMap<String, Facts> {
    let (mut next, mut seen) = (Some(0), BTreeMap::new());
    while let Some(offset) = next {
        let page = gateway.list_orders(&OrderFilter::default(), PageAt { offset, limit: 20 }).await.expect("a page");
        assert_eq!(page.bad_rows, []);
        for facts in page.orders {
            seen.insert(facts.native.clone().expect("a number").number, facts);
        }
        next = page.next;
    }
    seen
}

/// What the books say that the facts must say too.
fn assert_as_in_books(sandbox: &Sandbox, seen: &BTreeMap<String, Facts>) {
    for order in sandbox.books().orders.iter().filter(|order| order.upstream == UPSTREAM) {
        let Some(facts) = seen.get(&order.id) else { continue };
        let paid = if order.status == "success" { order.paid_fen } else { 0 };
        assert_eq!((facts.upstream_status.as_str(), facts.paid), (order.status.as_str(), fen(paid)), "{}", order.id);
        if let Some(refunded) = facts.refunded {
            assert_eq!(refunded, fen(order.money_out_fen), "{}", order.id);
        }
        assert!(facts.created_at.is_some() && facts.paid_at.is_some() == (facts.status == OrderStatus::Paid));
    }
}

#[tokio::test]
async fn every_order_of_every_shape_is_listed_as_the_books_have_it() {
    let sandbox = Sandbox::builder().seed(70).start().await.expect("a sandbox");
    let of_app = all(&gateway(&sandbox, OrdersFrom::Function)).await;
    let in_books = sandbox.books().orders.into_iter().filter(|order| order.upstream == UPSTREAM);
    let expected: Vec<String> = {
        let mut ids: Vec<String> = in_books.map(|order| order.id).collect();
        ids.sort();
        ids
    };
    assert_eq!(of_app.keys().cloned().collect::<Vec<_>>(), expected);
    assert_as_in_books(&sandbox, &of_app);
    let of_user = all(&gateway(&sandbox, OrdersFrom::User)).await;
    assert!(!of_user.is_empty() && of_user.len() < of_app.len(), "a token shows its own user's orders only");
    assert_as_in_books(&sandbox, &of_user);
    // The same order reads the same through both, but for what only one of them shows.
    for (id, facts) in of_user {
        let other = &of_app[&id];
        let same =
            |facts: &Facts| (facts.status.clone(), facts.total, facts.paid, facts.references.get("trade_no").cloned());
        assert_eq!(same(&facts), same(other));
    }
}

#[tokio::test]
async fn an_order_is_found_by_each_of_its_numbers() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let order = sandbox.add_order(UPSTREAM, NewOrder::paid(39_800)).expect("an order");
    for orders in [OrdersFrom::Function, OrdersFrom::User] {
        let gateway = gateway(&sandbox, orders);
        for kind in gateway.capabilities().fetch_by {
            let number = reference(kind, &order.references[*kind]);
            let facts = gateway.fetch_order(&[number]).await.expect("an answer").expect("an order");
            assert_eq!((facts.native.map(|n| n.number), facts.paid), (Some(order.id.clone()), fen(39_800)), "{kind}");
        }
        let nobody: Vec<_> = gateway.capabilities().fetch_by.iter().map(|kind| reference(kind, "424242")).collect();
        assert_eq!(gateway.fetch_order(&nobody).await.expect("an answer"), None);
    }
}

#[tokio::test]
async fn a_key_refunds_once_and_stands_for_one_amount() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let order = sandbox.add_order(UPSTREAM, NewOrder::paid(10_000)).expect("an order");
    let gateway = gateway(&sandbox, OrdersFrom::Function);
    let first = gateway.refund(&call(&order, "till-3-1", 2_500)).await;
    assert_eq!((first.outcome, first.message), (Outcome::Succeeded, None));
    let again = gateway.refund(&call(&order, "till-3-1", 2_500)).await;
    assert_eq!((again.outcome, again.upstream_refund_no), (Outcome::Succeeded, first.upstream_refund_no));
    assert_eq!(again.message.as_deref(), Some("the function answers what it did before under this key"));
    let other = gateway.refund(&call(&order, "till-3-1", 2_600)).await;
    assert_eq!((other.outcome, other.code.as_deref()), (Outcome::InDoubt, Some("conflict")));
    assert_eq!(sandbox.books().money_out_fen(UPSTREAM, &order.id), Some(2_500));
    let facts = gateway.fetch_order(&[reference("transaction_no", &order.id)]).await.expect("an answer");
    assert_eq!(facts.expect("an order").refunded, Some(fen(2_500)));
    let over = gateway.refund(&call(&order, "till-3-2", 7_501)).await;
    assert_eq!(over.outcome, Outcome::Declined, "{over:?}");
    let rest = gateway.refund(&call(&order, "till-3-3", 7_500)).await;
    assert_eq!(rest.outcome, Outcome::Succeeded, "{rest:?}");
    assert_eq!(sandbox.books().money_out_fen(UPSTREAM, &order.id), Some(10_000));
}

#[tokio::test]
async fn what_a_lost_refund_did_is_asked_by_its_key() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let order = sandbox.add_order(UPSTREAM, NewOrder::paid(10_000)).expect("an order");
    let gateway = gateway(&sandbox, OrdersFrom::Function);
    // (fault, what the attempt tells, what a probe tells, money out)
    for (key, kind, told, asked, out) in [
        ("k-1", FaultKind::DropBefore, Outcome::InDoubt, Outcome::InDoubt, 0),
        ("k-2", FaultKind::DropAfter, Outcome::InDoubt, Outcome::Succeeded, 1_000),
        ("k-3", FaultKind::HttpAfter(502), Outcome::InDoubt, Outcome::Succeeded, 2_000),
        ("k-4", FaultKind::Garbage, Outcome::InDoubt, Outcome::Succeeded, 3_000),
        ("k-5", FaultKind::Unrecorded, Outcome::InDoubt, Outcome::InDoubt, 4_000),
        ("k-6", FaultKind::Stuck, Outcome::InDoubt, Outcome::InDoubt, 4_000),
        ("k-7", FaultKind::Fails, Outcome::Declined, Outcome::Declined, 4_000),
        ("k-8", FaultKind::HttpBefore(401), Outcome::Blocked, Outcome::InDoubt, 4_000),
    ] {
        sandbox.set_fault(Fault::new(Operation::FunctionRefund, kind)).expect("a fault");
        let refund = call(&order, key, 1_000);
        let answer = gateway.refund(&refund).await;
        assert_eq!(answer.outcome, told, "{kind:?}: {answer:?}");
        let probed = gateway.probe(&refund).await.expect("an answer").answer;
        assert_eq!(probed.outcome, asked, "{kind:?}: {probed:?}");
        assert_eq!(sandbox.books().money_out_fen(UPSTREAM, &order.id), Some(out), "{kind:?}");
    }
    assert_eq!(sandbox.pending_faults(), []);
    assert_eq!(sandbox.calls().refunds, 8, "each was sent once");
}

#[tokio::test]
async fn wrong_credentials_and_a_missing_index_block_and_move_nothing() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let order = sandbox.add_order(UPSTREAM, NewOrder::paid(10_000)).expect("an order");
    let gateway = gateway(&sandbox, OrdersFrom::Function);
    let checked = gateway.check().await.expect("healthy");
    assert_eq!((checked.proven.len(), checked.warnings), (2, vec![]));
    sandbox.set_settings(Settings { function_index: FunctionIndex::Missing, ..Settings::default() });
    let refund = call(&order, "k", 1_000);
    let blocked = |answer: tillbook::domain::Answer| {
        assert_eq!((answer.outcome, answer.blocked), (Outcome::Blocked, Some(BlockReason::Credentials)), "{answer:?}");
    };
    blocked(gateway.refund(&refund).await);
    let checked = gateway.check().await.expect("an answer");
    assert!(checked.warnings[0].starts_with("no refund will be sent"), "{checked:?}");
    sandbox.set_settings(Settings::default());
    let good = sandbox.credentials();
    for change in [
        |known: &mut tillbook::sandbox::Credentials| known.function_secret.push('x'),
        |known: &mut tillbook::sandbox::Credentials| known.hydrogen_token.push('x'),
        |known: &mut tillbook::sandbox::Credentials| known.function_name.push('x'),
    ] {
        let mut other = good.clone();
        change(&mut other);
        sandbox.set_credentials(other);
        blocked(gateway.refund(&refund).await);
        assert!(gateway.check().await.is_err());
    }
    sandbox.set_credentials(good);
    assert_eq!(sandbox.books().total_money_out_fen(), 0);
    assert_eq!(gateway.refund(&refund).await.outcome, Outcome::Succeeded, "the key is still free");
}
