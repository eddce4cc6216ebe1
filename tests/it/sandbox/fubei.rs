//! 付呗: signatures checked, balances moved, limits kept.

use std::time::Duration;

use serde_json::json;
use tillbook::sandbox::{
    Credentials, FUBEI_SUB_BAD_AMOUNT, FUBEI_SUB_BAD_STATE, FUBEI_SUB_NOT_ENOUGH, FUBEI_SUB_OVERDUE,
    FUBEI_SUB_REFUND_NOT_EXIST, FUBEI_SUB_REPEATED, FUBEI_SUB_TOO_MANY, FUBEI_UNKNOWN_APP, FUBEI_WRONG_SIGN, NewOrder,
    OrderHandle, RepeatedRefundNo, Sandbox, Settings, Upstream,
};

use super::client::{Caller, body, json_body};

/// 2017-06-01 21:53:56 in Beijing, the seed document's own second.
const PAID_AT: i64 = 1_496_325_236;

async fn open(new: NewOrder) -> (Sandbox, Caller, OrderHandle) {
    let sandbox = Sandbox::builder().now(PAID_AT).start().await.expect("a free port");
    let caller = Caller::of(&sandbox);
    let new = NewOrder { created_at: Some(PAID_AT), ..new }.reference("order_sn", "20170601215348178414");
    let order = sandbox.add_order(Upstream::Fubei, new).expect("valid");
    (sandbox, caller, order)
}

fn sub_code(code: &str, message: &str) -> String {
    format!("{{\"result_code\":400,\"result_message\":\"{message}\",\"sub_code\":\"{code}\",\"data\":null}}")
}

#[tokio::test]
async fn credentials_are_judged_and_can_be_rotated() {
    let (sandbox, caller, order) = open(NewOrder::paid(8000)).await;
    let asked = json!({ "order_sn": order.id });
    let code = async |caller: &Caller| {
        json_body(caller.fubei("openapi.payment.order.query", &asked).await)["result_code"].as_i64()
    };
    assert_eq!(code(&caller).await, Some(200));
    let before = sandbox.credentials();
    sandbox.set_credentials(Credentials { fubei_secret: "rotated".to_owned(), ..before.clone() });
    assert_eq!(code(&caller).await, Some(FUBEI_WRONG_SIGN));
    assert_eq!(code(&Caller::of(&sandbox)).await, Some(200));
    sandbox.set_credentials(Credentials { fubei_app_id: "1".to_owned(), ..before.clone() });
    assert_eq!(code(&caller).await, Some(FUBEI_UNKNOWN_APP));
    sandbox.set_credentials(before);
    assert_eq!(code(&caller).await, Some(200));
}

/// Envelope, secret and signature of the vector that belongs to the seed document's query (no `version`).
#[tokio::test]
async fn a_lower_case_signature_without_version_is_accepted() {
    let credentials = Credentials {
        fubei_app_id: "20160922135339595387".to_owned(),
        fubei_secret: "test-secret-0123456789abcdef".to_owned(),
        ..Credentials::default()
    };
    let sandbox = Sandbox::builder().credentials(credentials).start().await.expect("a free port");
    let new = NewOrder::paid(8000).reference("merchant_order_sn", "20160120105532871512");
    sandbox.add_order(Upstream::Fubei, new).expect("valid");
    for sign in ["4B8F14BCE3B39FEC06C9F4851BFA1565", "4b8f14bce3b39fec06c9f4851bfa1565"] {
        let envelope = json!({
            "app_id": "20160922135339595387", "method": "openapi.payment.order.query", "format": "json",
            "sign_method": "md5", "nonce": "87sdf9806sdf73jkds",
            "biz_content": "{\"merchant_order_sn\":\"20160120105532871512\"}", "sign": sign,
        });
        let answer = json_body(Caller::of(&sandbox).post("/gateway", &envelope).await);
        assert_eq!(answer["result_code"], 200);
        assert_eq!(answer["data"]["merchant_order_sn"], "20160120105532871512");
    }
}

#[tokio::test]
async fn a_refund_moves_money_and_every_read_says_so() {
    let (sandbox, caller, order) = open(NewOrder::paid(8000)).await;
    let taken = body(caller.fubei_refund(&order.id, "R20170602000001", "10.50").await);
    let refund_sn = sandbox.books().orders[0].refunds[0].server_no.clone();
    let (trade_no, merchant_order_sn) = (&order.references["trade_no"], &order.references["merchant_order_sn"]);
    assert_eq!(
        taken,
        format!(
            "{{\"result_message\":\"成功\",\"data\":{{\"refund_sn\":\"{refund_sn}\",\
             \"merchant_refund_sn\":\"R20170602000001\",\"trade_no\":\"{trade_no}\",\
             \"order_sn\":\"20170601215348178414\",\"merchant_order_sn\":\"{merchant_order_sn}\"}},\
             \"result_code\":200}}"
        )
    );
    let statistics = body(caller.fubei("openapi.payment.refund.statistics", &json!({ "order_sn": order.id })).await);
    assert_eq!(
        statistics,
        "{\"result_message\":\"成功\",\"data\":{\"order_sn\":\"20170601215348178414\",\"total_fee\":80.0,\
         \"refund_num\":1,\"can_refund\":69.5},\"result_code\":200}"
    );
    let asked = json!({ "trade_no": trade_no, "merchant_refund_sn": "R20170602000001" });
    let queried = body(caller.fubei("openapi.payment.order.refund.query", &asked).await);
    assert!(queried.contains("\"refund_status\":\"REFUND_SUCCESS\""), "{queried}");
    assert!(queried.contains("\"refund_money\":10.5}"), "{queried}");
    // A refund does not change the order's own state.
    let order_row = body(caller.fubei("openapi.payment.order.query", &json!({ "order_sn": order.id })).await);
    assert!(order_row.contains("\"trade_state\":\"SUCCESS\""), "{order_row}");
    assert_eq!(sandbox.books().money_out_fen(Upstream::Fubei, &order.id), Some(1050));
    assert_eq!((sandbox.calls().refunds, sandbox.calls().reads, sandbox.calls().total), (1, 3, 4));
}

#[tokio::test]
async fn an_empty_amount_refunds_all_that_is_left() {
    let (sandbox, caller, order) = open(NewOrder::paid(8000)).await;
    sandbox.refund_elsewhere(Upstream::Fubei, &order.id, 3001).expect("less than was paid");
    let biz = json!({ "order_sn": order.id, "merchant_refund_sn": "K1" });
    body(caller.fubei("openapi.payment.order.refund", &biz).await);
    let amounts: Vec<(bool, i64)> =
        sandbox.books().orders[0].refunds.iter().map(|refund| (refund.elsewhere, refund.amount_fen)).collect();
    assert_eq!(amounts, [(true, 3001), (false, 4999)]);
    let again = body(caller.fubei_refund(&order.id, "K2", "0.01").await);
    assert_eq!(again, sub_code(FUBEI_SUB_NOT_ENOUGH, "可退金额不足"));
}

#[tokio::test]
async fn what_the_limits_forbid_is_refused_and_moves_nothing() {
    let (sandbox, caller, order) = open(NewOrder::paid(8000)).await;
    for amount in ["0", "-1", "1.005", "1e1", "x"] {
        let refused = body(caller.fubei_refund(&order.id, "K1", amount).await);
        assert_eq!(refused, sub_code(FUBEI_SUB_BAD_AMOUNT, "退款金额有误"), "{amount}");
    }
    let over = body(caller.fubei_refund(&order.id, "K1", "80.01").await);
    assert_eq!(over, sub_code(FUBEI_SUB_NOT_ENOUGH, "可退金额不足"));
    sandbox.set_order_status(Upstream::Fubei, &order.id, "REVOKED").expect("a known order");
    let revoked = body(caller.fubei_refund(&order.id, "K1", "1").await);
    assert_eq!(revoked, sub_code(FUBEI_SUB_BAD_STATE, "订单状态不支持退款"));
    sandbox.set_order_status(Upstream::Fubei, &order.id, "SUCCESS").expect("a known order");
    let unknown = json!({ "order_sn": order.id, "merchant_refund_sn": "K1" });
    let unknown = body(caller.fubei("openapi.payment.order.refund.query", &unknown).await);
    assert_eq!(unknown, sub_code(FUBEI_SUB_REFUND_NOT_EXIST, "退款单不存在"));
    assert_eq!(sandbox.books().total_money_out_fen(), 0);
}

#[tokio::test]
async fn the_eleventh_refund_and_the_ninety_first_day_are_refused() {
    let (sandbox, caller, order) = open(NewOrder::paid(8000)).await;
    for nth in 0..10 {
        let taken = json_body(caller.fubei_refund(&order.id, &format!("K{nth}"), "1").await);
        assert_eq!(taken["result_code"], 200);
    }
    let eleventh = body(caller.fubei_refund(&order.id, "K10", "1").await);
    assert_eq!(eleventh, sub_code(FUBEI_SUB_TOO_MANY, "退款次数超限"));
    let new = NewOrder { created_at: Some(PAID_AT), ..NewOrder::paid(100) };
    let other = sandbox.add_order(Upstream::Fubei, new).expect("valid");
    // A minute less than the window, so that the test's own time does not matter; then a minute more.
    sandbox.advance_clock(Duration::from_secs(90 * 24 * 3600 - 60));
    let in_time = json_body(caller.fubei_refund(&other.id, "L1", "0.5").await);
    assert_eq!(in_time["result_code"], 200);
    sandbox.advance_clock(Duration::from_secs(120));
    let late = body(caller.fubei_refund(&other.id, "L2", "0.5").await);
    assert_eq!(late, sub_code(FUBEI_SUB_OVERDUE, "订单已超过退款期限"));
    assert_eq!(sandbox.books().total_money_out_fen(), 1050);
}

#[tokio::test]
async fn a_repeated_refund_number_does_what_the_settings_say() {
    for (repeated, code, money_out_fen) in [
        (RepeatedRefundNo::Refuse, 400, 100),
        (RepeatedRefundNo::Replay, 200, 100),
        (RepeatedRefundNo::PayAgain, 200, 200),
    ] {
        let (sandbox, caller, order) = open(NewOrder::paid(8000)).await;
        sandbox.set_settings(Settings { repeated_refund_no: repeated, ..Settings::default() });
        let first = body(caller.fubei_refund(&order.id, "K1", "1").await);
        let second = caller.fubei_refund(&order.id, "K1", "1").await;
        let second_text = body(second);
        let answer: serde_json::Value = serde_json::from_str(&second_text).expect("JSON");
        assert_eq!(answer["result_code"], code);
        match repeated {
            RepeatedRefundNo::Refuse => {
                assert_eq!(second_text, sub_code(FUBEI_SUB_REPEATED, "退款单号重复"))
            }
            RepeatedRefundNo::Replay => assert_eq!(second_text, first),
            RepeatedRefundNo::PayAgain => assert_ne!(second_text, first),
        }
        assert_eq!(sandbox.books().money_out_fen(Upstream::Fubei, &order.id), Some(money_out_fen));
        assert_eq!(sandbox.books().by_client_no("K1").len(), sandbox.books().orders[0].refunds.len());
    }
}

#[tokio::test]
async fn fifty_refunds_at_once_pay_out_what_was_paid_and_no_more() {
    let (sandbox, caller, order) = open(NewOrder::paid(1000)).await;
    let calls = (0..50).map(|nth| {
        let (caller, id) = (&caller, &order.id);
        async move { json_body(caller.fubei_refund(id, &format!("K{nth}"), "3").await)["result_code"].as_i64() }
    });
    let codes = super::client::all(calls).await;
    assert_eq!(codes.iter().filter(|code| **code == Some(200)).count(), 3);
    assert_eq!(codes.iter().filter(|code| **code == Some(400)).count(), 47);
    let books = sandbox.books();
    assert_eq!((books.total_money_out_fen(), books.calls.refunds), (900, 50));
    assert!(books.overpaid().is_empty());
}

#[tokio::test]
async fn the_bill_lists_paid_orders_page_by_page() {
    let (sandbox, caller, order) = open(NewOrder { discount_fen: 2000, ..NewOrder::paid(8000) }).await;
    let later = NewOrder { created_at: Some(PAID_AT + 60), ..NewOrder::paid(150) };
    let second = sandbox.add_order(Upstream::Fubei, later).expect("valid");
    let unpaid = NewOrder { created_at: Some(PAID_AT), status: Some("CLOSED".to_owned()), ..NewOrder::paid(7) };
    sandbox.add_order(Upstream::Fubei, unpaid).expect("valid");
    sandbox.refund_elsewhere(Upstream::Fubei, &order.id, 100).expect("less than was paid");
    let bill = async |page: u32| {
        let biz = json!({
            "start_time": "2017-06-01 00:00:00", "end_time": "2017-06-01 23:59:59", "page": page, "limit": 1,
        });
        body(caller.fubei("openapi.payment.order.bill", &biz).await)
    };
    assert_eq!(
        bill(2).await,
        format!(
            "{{\"result_message\":\"成功\",\"data\":{{\"summary_num\":2,\"summary_total_fee\":81.5,\"refund_num\":1,\
             \"refund_money\":1.0,\"list\":[{{\"order_sn\":\"{}\",\"merchant_order_sn\":\"{}\",\
             \"create_time\":1496325296,\"order_price\":1.5,\"total_fee\":1.5,\"fee\":0.01,\"income\":1.49,\
             \"store_id\":\"25251\",\"cashier_id\":\"2\",\"pay_time\":1496325296,\"pay_type\":1,\
             \"discount_money\":\"0.00\"}}]}},\"result_code\":200}}",
            second.id, second.references["merchant_order_sn"]
        )
    );
    assert!(bill(1).await.contains("\"order_price\":100,\"total_fee\":80,"));
    assert!(bill(3).await.contains("\"list\":[]"));
}
