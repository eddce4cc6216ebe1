//! Every kind of fault, seen by a caller and by the books.

use std::time::{Duration, Instant};

use serde_json::json;
use tillbook::sandbox::{
    Fault, FaultKind, NewOrder, Operation, OrderHandle, RefundState, Sandbox, SandboxError, Settlement, Upstream,
};

use super::client::{Caller, body, json_body};

async fn open() -> (Sandbox, Caller, OrderHandle) {
    let sandbox = Sandbox::start().await.expect("a free port");
    let caller = Caller::of(&sandbox);
    let order = sandbox.add_order(Upstream::Fubei, NewOrder::paid(8000)).expect("valid");
    (sandbox, caller, order)
}

/// Sets one fault for the next refund, refunds one yuan, and says what came back and what moved.
async fn struck(kind: FaultKind) -> (Sandbox, super::client::Reply) {
    let (sandbox, caller, order) = open().await;
    sandbox.set_fault(Fault::new(Operation::FubeiRefund, kind)).expect("it fits");
    let reply = caller.fubei_refund(&order.id, "K1", "1").await;
    assert_eq!(sandbox.pending_faults(), []);
    assert_eq!(sandbox.calls().of(Operation::FubeiRefund), 1);
    (sandbox, reply)
}

#[tokio::test]
async fn a_connection_dropped_before_moves_nothing_and_one_dropped_after_moves_money() {
    for (kind, money_out_fen) in [(FaultKind::DropBefore, 0), (FaultKind::DropAfter, 100)] {
        let (sandbox, reply) = struck(kind).await;
        let error = reply.expect_err("no answer");
        assert!(error.is_request() && !error.is_connect() && !error.is_timeout(), "{error:?}");
        assert_eq!(sandbox.books().total_money_out_fen(), money_out_fen, "{kind:?}");
    }
}

#[tokio::test]
async fn http_statuses_come_before_or_after_the_money() {
    for (kind, status, money_out_fen) in [
        (FaultKind::HttpBefore(500), 500, 0),
        (FaultKind::HttpAfter(500), 500, 100),
        (FaultKind::HttpBefore(429), 429, 0),
        (FaultKind::HttpAfter(408), 408, 100),
    ] {
        let (sandbox, reply) = struck(kind).await;
        assert_eq!(reply.expect("an answer").0, status);
        assert_eq!(sandbox.books().total_money_out_fen(), money_out_fen, "{kind:?}");
    }
}

#[tokio::test]
async fn garbage_and_truncated_answers_follow_money_that_moved() {
    let (sandbox, reply) = struck(FaultKind::Garbage).await;
    let garbage = body(reply);
    assert!(serde_json::from_str::<serde_json::Value>(&garbage).is_err(), "{garbage}");
    assert_eq!(sandbox.books().total_money_out_fen(), 100);
    let (sandbox, reply) = struck(FaultKind::Truncated).await;
    // The head came, with a length that the body does not reach.
    let error = reply.expect_err("half a body");
    assert!(error.is_body() || error.is_decode(), "{error:?}");
    assert_eq!(sandbox.books().total_money_out_fen(), 100);
}

#[tokio::test]
async fn a_redirect_points_at_the_same_path_and_does_nothing() {
    let (sandbox, reply) = struck(FaultKind::Redirect(302)).await;
    assert_eq!(reply.expect("an answer"), (302, String::new()));
    assert_eq!(sandbox.books().total_money_out_fen(), 0);
}

#[tokio::test]
async fn codes_come_in_the_upstreams_own_envelope() {
    for (kind, money_out_fen) in [(FaultKind::CodeBefore(4006), 0), (FaultKind::CodeAfter(4006), 100)] {
        let (sandbox, reply) = struck(kind).await;
        let envelope = "{\"result_code\":4006,\"result_message\":\"失败\",\"sub_code\":\"ERROR_CODE\",\"data\":null}";
        assert_eq!(body(reply), envelope);
        assert_eq!(sandbox.books().total_money_out_fen(), money_out_fen);
    }
}

#[tokio::test]
async fn a_delayed_answer_comes_after_the_money_and_outlasts_an_impatient_caller() {
    let (sandbox, caller, order) = open().await;
    let delay = FaultKind::Delay(Duration::from_secs(600));
    sandbox.set_fault(Fault::new(Operation::FubeiRefund, delay)).expect("it fits");
    let caller = caller.patient_for(Duration::from_millis(300));
    let error = caller.fubei_refund(&order.id, "K1", "1").await.expect_err("too late");
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(sandbox.books().total_money_out_fen(), 100);
}

#[tokio::test]
async fn what_is_delayed_is_done_even_when_the_caller_has_hung_up() {
    let (sandbox, caller, order) = open().await;
    let delay = FaultKind::DelayBefore(Duration::from_millis(500));
    sandbox.set_fault(Fault::new(Operation::FubeiRefund, delay)).expect("it fits");
    let caller = caller.patient_for(Duration::from_millis(100));
    let error = caller.fubei_refund(&order.id, "K1", "1").await.expect_err("too late");
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(sandbox.books().total_money_out_fen(), 0);
    let done = sandbox.until(|books| books.total_money_out_fen() == 100);
    tokio::time::timeout(Duration::from_secs(10), done).await.expect("done late");
}

#[tokio::test]
async fn a_refund_that_lands_late_is_cut_at_once_and_done_later() {
    let (sandbox, caller, order) = open().await;
    let late = FaultKind::LandsLate(Duration::from_secs(2));
    sandbox.set_fault(Fault::new(Operation::FubeiRefund, late)).expect("it fits");
    let began = Instant::now();
    let error = caller.fubei_refund(&order.id, "K1", "1").await.expect_err("cut");
    assert!(error.is_request() && !error.is_timeout(), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(2));
    let unknown = json!({ "order_sn": order.id, "merchant_refund_sn": "K1" });
    let asked = json_body(caller.fubei("openapi.payment.order.refund.query", &unknown).await);
    assert_eq!(asked["result_code"], 400);
    let done = sandbox.until(|books| books.by_client_no("K1").len() == 1);
    tokio::time::timeout(Duration::from_secs(10), done).await.expect("done late");
    assert_eq!(sandbox.books().total_money_out_fen(), 100);
    let asked = json_body(caller.fubei("openapi.payment.order.refund.query", &unknown).await);
    assert_eq!(asked["data"]["refund_status"], "REFUND_SUCCESS");
}

#[tokio::test]
async fn a_stuck_fubei_refund_holds_its_amount_until_it_is_released() {
    for (settlement, word, money_out_fen, can_refund) in
        [(Settlement::Succeeded, "REFUND_SUCCESS", 100, "79.0"), (Settlement::Failed, "REFUND_FAILER", 0, "80.0")]
    {
        let (sandbox, reply) = struck(FaultKind::Stuck).await;
        assert!(body(reply).contains("\"result_code\":200"));
        let (caller, id) = (Caller::of(&sandbox), sandbox.books().orders[0].id.clone());
        let asked = json!({ "order_sn": id, "merchant_refund_sn": "K1" });
        let status = async || {
            let answer = json_body(caller.fubei("openapi.payment.order.refund.query", &asked).await);
            answer["data"]["refund_status"].as_str().map(str::to_owned)
        };
        assert_eq!(status().await.as_deref(), Some("REFUND_PROCESSING"));
        let over = json_body(caller.fubei_refund(&id, "K2", "79.01").await);
        assert_eq!(over["sub_code"], "NOT_ENOUGH");
        sandbox.release(Upstream::Fubei, "K1", settlement).expect("it hangs");
        assert_eq!(status().await.as_deref(), Some(word));
        let left = body(caller.fubei("openapi.payment.refund.statistics", &json!({ "order_sn": id })).await);
        assert!(left.contains(&format!("\"can_refund\":{can_refund}")), "{left}");
        assert_eq!(sandbox.books().total_money_out_fen(), money_out_fen);
        let again = sandbox.release(Upstream::Fubei, "K1", settlement);
        assert!(matches!(again, Err(SandboxError::UnknownRefund { .. })));
    }
}

#[tokio::test]
async fn trade_order_refunds_can_hang_fail_or_move_money_that_no_total_shows() {
    for (kind, answer, state, money_out_fen, gateway_status) in [
        (FaultKind::Stuck, "\"status\":1}", RefundState::Processing, 0, "1"),
        (FaultKind::Fails, "\"status\":3}", RefundState::Failed, 0, "3"),
        (FaultKind::Unrecorded, "\"code\":10003,", RefundState::Processing, 100, "2"),
    ] {
        let (sandbox, caller, _) = open().await;
        let order = sandbox.add_order(Upstream::TradeOrder, NewOrder::paid(1900)).expect("valid");
        sandbox.set_fault(Fault::new(Operation::TradeOrderRefund, kind)).expect("it fits");
        let text = body(caller.trade_order_refund(&order.id, "1").await);
        assert!(text.contains(answer), "{text}");
        let book = sandbox.books().order(Upstream::TradeOrder, &order.id).cloned().expect("its order");
        assert_eq!((book.refunds[0].state, book.money_out_fen), (state, money_out_fen));
        let row = json_body(caller.trade_order("/api/trade_order/get", &format!("tradeOrderId={}", order.id)).await);
        assert_eq!((&row["data"]["refundTotalAmount"], &row["data"]["status"]), (&json!(0), &json!(2)));
        let listed = caller.trade_order("/api/refund_order/list", &format!("status={gateway_status}")).await;
        assert_eq!(json_body(listed)["count"], 1);
        let next = json_body(caller.trade_order_refund(&order.id, "1").await)["code"].as_i64();
        assert_eq!(next, Some(if state == RefundState::Processing { 12077 } else { 0 }));
    }
}

#[tokio::test]
async fn money_that_moved_unrecorded_can_only_be_released_as_succeeded() {
    let (sandbox, caller, _) = open().await;
    let order = sandbox.add_order(Upstream::TradeOrder, NewOrder::paid(1900)).expect("valid");
    sandbox.set_fault(Fault::new(Operation::TradeOrderRefund, FaultKind::Unrecorded)).expect("it fits");
    body(caller.trade_order_refund(&order.id, "1").await);
    let number =
        sandbox.books().order(Upstream::TradeOrder, &order.id).expect("its order").refunds[0].server_no.clone();
    assert!(sandbox.release(Upstream::TradeOrder, &number, Settlement::Failed).is_err());
    sandbox.release(Upstream::TradeOrder, &number, Settlement::Succeeded).expect("it hangs");
    let row = json_body(caller.trade_order("/api/trade_order/get", &format!("tradeOrderId={}", order.id)).await);
    assert_eq!((&row["data"]["refundTotalAmount"], &row["data"]["status"]), (&json!(100), &json!(4)));
    assert_eq!(sandbox.books().total_money_out_fen(), 100);
}

#[tokio::test]
async fn a_function_that_dies_leaves_its_row_started_with_or_without_money_moved() {
    for (kind, money_out_fen) in [(FaultKind::Stuck, 0), (FaultKind::Unrecorded, 100)] {
        let (sandbox, caller, _) = open().await;
        let order = sandbox.add_order(Upstream::Hydrogen, NewOrder::paid(1900)).expect("valid");
        sandbox.set_fault(Fault::new(Operation::FunctionRefund, kind)).expect("it fits");
        let died = json_body(caller.function_refund(&order.id, "K1", "1").await);
        assert_eq!((&died["code"], &died["data"]), (&json!(1), &json!(null)));
        assert_eq!(sandbox.books().total_money_out_fen(), money_out_fen);
        for op in ["lookup", "void"] {
            let row = json_body(caller.function(op, &json!({ "refund_key": "K1" })).await);
            assert_eq!(row["data"]["state"], "started");
        }
        let again = json_body(caller.function_refund(&order.id, "K1", "1").await);
        assert_eq!((&again["data"]["state"], &again["data"]["replayed"]), (&json!("started"), &json!(true)));
        sandbox.release(Upstream::Hydrogen, "K1", Settlement::Succeeded).expect("it hangs");
        let row = json_body(caller.function("lookup", &json!({ "refund_key": "K1" })).await);
        assert_eq!((&row["data"]["state"], &row["data"]["refund"]["status"]), (&json!("done"), &json!("succeed")));
        assert_eq!(sandbox.books().total_money_out_fen(), 100);
    }
}

#[tokio::test]
async fn faults_strike_the_call_they_are_meant_for_and_those_that_miss_are_listed() {
    let (sandbox, caller, order) = open().await;
    let third = Fault::new(Operation::FubeiRefund, FaultKind::HttpBefore(503)).nth(3);
    let never = Fault::new(Operation::FubeiOrderBill, FaultKind::Garbage);
    let always = Fault::new(Operation::FubeiOrderQuery, FaultKind::HttpBefore(500)).every();
    for fault in [third, never, always] {
        sandbox.set_fault(fault).expect("it fits");
    }
    let mut statuses = Vec::new();
    for nth in 0..4 {
        let reply = caller.fubei_refund(&order.id, &format!("K{nth}"), "1").await;
        statuses.push(reply.expect("an answer").0);
    }
    assert_eq!(statuses, [200, 200, 503, 200]);
    for _ in 0..2 {
        let reply = caller.fubei("openapi.payment.order.query", &json!({ "order_sn": order.id })).await;
        assert_eq!(reply.expect("an answer").0, 500);
    }
    assert_eq!(sandbox.pending_faults(), [never]);
    sandbox.clear_faults();
    let reply = caller.fubei("openapi.payment.order.query", &json!({ "order_sn": order.id })).await;
    assert_eq!(reply.expect("an answer").0, 200);
    for impossible in [
        Fault::new(Operation::FubeiOrderQuery, FaultKind::Stuck),
        Fault::new(Operation::FubeiRefund, FaultKind::Unrecorded),
        Fault::new(Operation::FubeiRefund, FaultKind::HttpBefore(99)),
        Fault::new(Operation::FubeiRefund, FaultKind::Redirect(200)),
        Fault::new(Operation::FubeiRefund, FaultKind::Garbage).nth(0),
    ] {
        assert!(matches!(sandbox.set_fault(impossible), Err(SandboxError::Invalid(_))), "{impossible:?}");
    }
}
