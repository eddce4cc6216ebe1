//! A refund whose number nobody knows, and the list of all refunds: on a real socket, and in the sandbox's books.

use std::time::Duration;

use serde_json::{Value, json};
use tillbook::domain::{Outcome, Proof, Timestamp};
use tillbook::gateway::{BadRow, Gateway, PageAt, ReadErrorKind, RefundCall, RefundSpan, SeenRefund};
use tillbook::sandbox::{Fault, FaultKind, Method, NewOrder, Operation, OrderHandle, Sandbox};

use super::sandbox::{UPSTREAM, call};
use super::wire::{asked, pairs};
use super::{at, fen, gateway, reference, refund_call, some};
use crate::wire_faults::settings;
use crate::wire_server::{Act, WireServer};

fn now() -> Timestamp {
    Timestamp::from(jiff::Timestamp::now())
}

/// A refund of 5.00 of the seed's order whose answer was lost.
fn lost() -> RefundCall {
    let mut call = refund_call(500, None);
    call.references.push(reference("payOrderId", "P01201908230414452700006"));
    call
}

fn row(number: usize) -> Value {
    json!({
        "mchRefundNo": format!("MR{number}"), "payOrderId": "P01201908230414452700006", "refundAmount": 500, "status": 2,
        "createTime": "2019-08-24 08:00:05", "refundSuccTime": "2019-08-24 08:00:07",
    })
}

fn page(rows: &[Value], count: usize) -> Act {
    Act::Answer(200, json!({"code": 0, "msg": "success", "data": rows, "count": count}).to_string())
}

fn ok(body: &str) -> Act {
    Act::Answer(200, body.to_owned())
}

/// How many rows a search saw, against this script, all of which is played.
async fn seen(script: Vec<Act>) -> usize {
    let server = WireServer::start(script).await;
    let found = gateway(settings(&server.base_url)).probe(&lost()).await.expect("an answer");
    assert_eq!((server.unplayed(), found.proof), (0, Proof::Likeness));
    // The scripted server's clock stands in 2017: nothing is tied to an attempt by that.
    assert_eq!(found.answer.outcome, Outcome::InDoubt);
    let count = found.evidence[0].split(" in Beijing: ").nth(1).and_then(|text| text.split(' ').next());
    count.and_then(|count| count.parse().ok()).expect("a count")
}

#[tokio::test]
async fn a_lost_refund_is_looked_for_by_the_time_of_its_attempt() {
    let server = WireServer::start([page(&[row(1)], 1)]).await;
    let before = now();
    let found = gateway(settings(&server.base_url)).probe(&lost()).await.expect("an answer");
    assert!(before <= found.asked_at && found.asked_at <= found.answer.ended_at);
    let [request] = server.requests().try_into().expect("one request");
    let (path, query) = asked(&request);
    let until = found.asked_at.saturating_add(Duration::from_secs(600)).beijing();
    let wanted = [
        ("createTimeEnd", until.as_str()),
        ("createTimeStart", "2019-08-24 07:50:00"),
        ("limit", "100"),
        ("page", "1"),
    ];
    assert_eq!((path.as_str(), query), ("/api/refund_order/list", pairs(&wanted)));
    assert_eq!(
        found.evidence[2],
        "MR1: 5.00 yuan, status 2, made \"2019-08-24 08:00:05\"; perhaps made before the attempt"
    );
}

#[tokio::test]
async fn one_answer_with_all_rows_is_enough_and_several_are_read_until_nothing_is_new() {
    let rows: Vec<Value> = (0..4).map(row).collect();
    assert_eq!(seen(vec![page(&[], 0)]).await, 0);
    assert_eq!(seen(vec![ok(r#"{"code":0,"data":null}"#)]).await, 0);
    assert_eq!(seen(vec![page(&rows, 4)]).await, 4);
    // A server that gives fewer rows than it is asked for: pages, to the empty one, twice.
    let twice = [page(&rows[..2], 4), page(&rows[2..], 4), page(&[], 4)];
    assert_eq!(seen([twice.clone(), twice].concat()).await, 4);
    // One that does not count.
    let uncounted = |rows: &[Value]| ok(&json!({"code": 0, "data": rows}).to_string());
    assert_eq!(seen(vec![uncounted(&rows), uncounted(&[]), uncounted(&rows), uncounted(&[])]).await, 4);
}

#[tokio::test]
async fn rows_that_move_between_two_pages_are_neither_lost_nor_counted_twice() {
    let rows: Vec<Value> = (0..5).map(row).collect();
    let pages = |pages: &[&[usize]]| -> Vec<Act> {
        let all = pages.iter().map(|numbers| numbers.iter().map(|number| rows[*number].clone()).collect::<Vec<_>>());
        all.map(|rows| page(&rows, 4)).collect()
    };
    // A new refund moves row 2 to the second page: it comes twice.
    let shifted = pages(&[&[1, 2], &[2, 3], &[4], &[]]);
    let calm = pages(&[&[0, 1], &[2, 3], &[4], &[]]);
    assert_eq!(seen([shifted, calm.clone(), calm.clone()].concat()).await, 5);
    // Two rows of one second change places: row 3 comes in no page of the first reading.
    let swapped = pages(&[&[0, 1], &[2, 2], &[4], &[]]);
    assert_eq!(seen([swapped, calm.clone(), calm].concat()).await, 5);
}

#[tokio::test]
async fn a_search_that_cannot_be_finished_is_an_error_of_its_kind() {
    let many = |readings: usize| -> Vec<Act> {
        (0..readings).flat_map(|reading| [page(&[row(2 * reading), row(2 * reading + 1)], 9), page(&[], 9)]).collect()
    };
    for (script, kind) in [
        (vec![ok(r#"{"code":1001,"msg":"Unauthorized"}"#)], ReadErrorKind::Credentials),
        (vec![page(&[row(1)], 2), ok(r#"{"code":10999,"msg":"未知错误"}"#)], ReadErrorKind::Refused),
        (vec![page(&[row(1)], 2), Act::CloseAfterRequest], ReadErrorKind::Unreachable),
        (vec![page(&[row(1)], 2), Act::Answer(429, String::new())], ReadErrorKind::Busy),
        (vec![ok("<html>")], ReadErrorKind::Unreadable),
        (many(5), ReadErrorKind::Busy),
    ] {
        let server = WireServer::start(script).await;
        let error = gateway(settings(&server.base_url)).probe(&lost()).await.expect_err("no end");
        assert_eq!((error.kind, server.unplayed()), (kind, 0), "{error}");
    }
}

#[tokio::test]
async fn the_refunds_of_a_span_are_listed_whoever_made_them() {
    let bad = json!({"mchRefundNo": "MR3", "refundAmount": "5.001"});
    let other_day = json!({"mchRefundNo": "MR4", "createTime": "2019-08-25 00:00:00"});
    let rows = [row(1), bad, other_day, json!({"mchRefundNo": "MR5", "status": 1, "createTime": null})];
    let server = WireServer::start([page(&rows, 44), page(&[], 44)]).await;
    let gateway = gateway(settings(&server.base_url));
    assert!(gateway.capabilities().lists_refunds);
    let span = RefundSpan { from: at("2019-08-23T16:00:00Z"), to: at("2019-08-24T16:00:00Z") };
    let listed = gateway.list_refunds(span, PageAt { offset: 20, limit: 20 }).await.expect("a page");
    let first = SeenRefund {
        key: None,
        upstream_refund_no: some("MR1"),
        order: vec![("payOrderId".to_owned(), "P01201908230414452700006".to_owned())],
        amount: Some(fen(500)),
        outcome: Outcome::Succeeded,
        upstream_status: some("2"),
        at: Some(at("2019-08-24T00:00:07Z")),
    };
    let unfinished = SeenRefund {
        upstream_refund_no: some("MR5"),
        order: Vec::new(),
        amount: None,
        outcome: Outcome::Accepted,
        upstream_status: some("1"),
        at: None,
        ..first.clone()
    };
    assert_eq!(listed.refunds, [first, unfinished]);
    let [BadRow { path, why }] = listed.bad_rows.as_slice() else { panic!("one bad row: {listed:?}") };
    assert!(path == "data[1].refundAmount" && why.contains("5.001"), "{listed:?}");
    assert_eq!((listed.next, listed.total), (Some(40), Some(44)));
    let last = gateway.list_refunds(span, PageAt { offset: 40, limit: 20 }).await.expect("a page");
    assert_eq!((last.refunds.len(), last.next), (0, None));
    let query = |page: &str| {
        let span = [("createTimeEnd", "2019-08-25 00:00:00"), ("createTimeStart", "2019-08-24 00:00:00")];
        pairs(&[&span[..], &[("limit", "20"), ("page", page)]].concat())
    };
    let asked: Vec<_> = server.requests().iter().map(|request| asked(request).1).collect();
    assert_eq!(asked, [query("2"), query("3")]);
}

/// A refund of that order without a number, sent now.
fn sent(order: &OrderHandle, amount_fen: i64) -> RefundCall {
    let mut call = call(order, amount_fen, None);
    call.references.extend(order.references.get("payOrderId").map(|number| reference("payOrderId", number)));
    call.refund.sent_at = Some(now());
    call
}

#[tokio::test]
async fn a_lost_answer_is_found_by_order_amount_and_time_in_every_shape_of_the_rows() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let gateway = super::sandbox::gateway(&sandbox);
    let lost = [
        (FaultKind::DropAfter, Outcome::Succeeded),
        (FaultKind::HttpAfter(500), Outcome::Succeeded),
        (FaultKind::Garbage, Outcome::Succeeded),
        (FaultKind::Truncated, Outcome::Succeeded),
        (FaultKind::CodeAfter(10003), Outcome::Succeeded),
        (FaultKind::Unrecorded, Outcome::Succeeded),
        (FaultKind::DropBefore, Outcome::InDoubt),
        (FaultKind::HttpBefore(502), Outcome::InDoubt),
    ];
    for variation in 0..12 {
        for (kind, outcome) in lost {
            let order = sandbox.add_order(UPSTREAM, NewOrder { variation, ..NewOrder::paid(1_900) }).expect("an order");
            sandbox.set_fault(Fault::new(Operation::TradeOrderRefund, kind)).expect("a fault");
            let refund = sent(&order, 500);
            assert_eq!(gateway.refund(&refund).await.outcome, Outcome::InDoubt, "{kind:?}");
            let found = gateway.probe(&refund).await.expect("an answer");
            assert_eq!((found.answer.outcome, found.proof), (outcome, Proof::Likeness), "{kind:?}: {found:?}");
            let number = sandbox
                .books()
                .order(UPSTREAM, &order.id)
                .and_then(|book| Some(book.refunds.first()?.server_no.clone()));
            assert_eq!(found.answer.upstream_refund_no, number, "{kind:?}");
        }
    }
    assert_eq!((sandbox.pending_faults(), sandbox.books().overpaid().len()), (vec![], 0));
}

#[tokio::test]
async fn a_refund_that_hangs_or_failed_is_told_by_its_row() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let gateway = super::sandbox::gateway(&sandbox);
    for (kind, outcome) in [(FaultKind::Stuck, Outcome::Accepted), (FaultKind::Fails, Outcome::Declined)] {
        let order = sandbox.add_order(UPSTREAM, NewOrder::paid(1_900)).expect("an order");
        sandbox.set_fault(Fault::new(Operation::TradeOrderRefund, kind)).expect("a fault");
        let refund = sent(&order, 500);
        assert_eq!(gateway.refund(&refund).await.outcome, outcome);
        // As if the answer had been lost.
        assert_eq!(gateway.probe(&refund).await.expect("an answer").answer.outcome, outcome);
    }
}

#[tokio::test]
async fn what_is_another_refunds_or_cash_is_not_taken_for_the_lost_one() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let gateway = super::sandbox::gateway(&sandbox);
    let order = sandbox.add_order(UPSTREAM, NewOrder::paid(1_900)).expect("an order");
    let mut refund = sent(&order, 500);
    let other = gateway.refund(&refund).await.upstream_refund_no.expect("a number");
    // Our own other refund of the same amount is known by its number; another amount is none of this one's.
    sandbox.refund_elsewhere(UPSTREAM, &order.id, 300).expect("there is enough");
    refund.others = vec![other];
    let none = gateway.probe(&refund).await.expect("an answer");
    assert_eq!((none.answer.outcome, none.answer.upstream_refund_no), (Outcome::InDoubt, None));
    // Two that nobody claims cannot be told apart.
    refund.others.clear();
    sandbox.refund_elsewhere(UPSTREAM, &order.id, 500).expect("there is enough");
    let several = gateway.probe(&refund).await.expect("an answer");
    assert_eq!((several.answer.outcome, several.evidence.len()), (Outcome::InDoubt, 4), "{several:?}");
    let cash = NewOrder { method: Method::Cash, ..NewOrder::paid(1_900) };
    let cash = sandbox.add_order(UPSTREAM, cash).expect("an order");
    let refund = sent(&cash, 500);
    assert_eq!(gateway.refund(&refund).await.outcome, Outcome::Succeeded);
    assert_eq!(gateway.probe(&refund).await.expect("an answer").answer.outcome, Outcome::InDoubt);
}

#[tokio::test]
async fn a_request_that_lands_late_is_seen_when_it_has() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let gateway = super::sandbox::gateway(&sandbox);
    let order = sandbox.add_order(UPSTREAM, NewOrder::paid(1_900)).expect("an order");
    let late = FaultKind::LandsLate(Duration::from_millis(400));
    sandbox.set_fault(Fault::new(Operation::TradeOrderRefund, late)).expect("a fault");
    let refund = sent(&order, 500);
    assert_eq!(gateway.refund(&refund).await.outcome, Outcome::InDoubt);
    sandbox.until(|books| books.money_out_fen(UPSTREAM, &order.id) == Some(500)).await;
    assert_eq!(gateway.probe(&refund).await.expect("an answer").answer.outcome, Outcome::Succeeded);
}

#[tokio::test]
async fn the_sandboxs_refunds_are_listed_page_by_page_with_their_orders() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let gateway = super::sandbox::gateway(&sandbox);
    let mut made = Vec::new();
    for variation in 0..7 {
        let order = sandbox.add_order(UPSTREAM, NewOrder { variation, ..NewOrder::paid(1_900) }).expect("an order");
        let number = sandbox.refund_elsewhere(UPSTREAM, &order.id, 100 + i64::try_from(variation).expect("small"));
        made.push((number.expect("there is enough"), order.references["payOrderId"].clone(), 100 + variation));
    }
    let day = Duration::from_secs(86_400);
    let span = RefundSpan { from: now().saturating_sub(day), to: now().saturating_add(day) };
    let (mut next, mut listed) = (Some(0), Vec::new());
    while let Some(offset) = next {
        let page = gateway.list_refunds(span, PageAt { offset, limit: 3 }).await.expect("a page");
        assert_eq!(page.bad_rows, []);
        listed.extend(page.refunds);
        next = page.next;
    }
    let mut listed: Vec<_> = listed
        .into_iter()
        .map(|refund| {
            assert_eq!((refund.outcome, refund.key, refund.at.is_some()), (Outcome::Succeeded, None, true));
            let amount = u64::try_from(refund.amount.expect("an amount").fen()).expect("positive");
            (refund.upstream_refund_no.expect("a number"), refund.order[0].1.clone(), amount)
        })
        .collect();
    listed.sort();
    made.sort();
    assert_eq!(listed, made);
    let yesterday = RefundSpan { from: span.from, to: now().saturating_sub(day / 2) };
    let page = gateway.list_refunds(yesterday, PageAt { offset: 0, limit: 20 }).await.expect("a page");
    assert_eq!((page.refunds, page.next), (vec![], None));
}
