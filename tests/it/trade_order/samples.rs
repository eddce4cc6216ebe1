//! Every sample of trade_order, and every contradiction between its document and its example, read through `decode`.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tillbook::clients::decode::{DecodeError, Decoded, SeenRefund, decode as decode_for};
use tillbook::clients::trade_order::decode;
use tillbook::domain::{
    Answer, BlockReason, Facts, GatewayName, OrderStatus, Outcome, PaidAtSource, PaymentMethod, Timestamp,
};
use tillbook::gateway::BadRow;

use super::{at, fen, native, some};

const SEED: &str = include_str!("../../fixtures/trade_order/trade_order_get-processing.json");
const SUCCESS: &str = include_str!("../../fixtures/trade_order/trade_order_get-success.json");

fn now() -> Timestamp {
    at("2019-08-24T00:00:00Z")
}

/// Seed 002, its untrue label corrected: made 16:14:42 in Beijing, paid 11:12:21 in UTC.
fn seed() -> Facts {
    let references = [("payOrderId", "P01201908230414452700006"), ("tradeOrderId", "E01201908230414433510006")];
    let goods = json!([
        {
            "cellPrice": "120.00", "currentPrice": "104.00", "discountAmount": "4.00", "goodsId": "100093",
            "goodsName": "奥尔良鸡腿堡", "goodsNum": "1",
        },
        {"currentPrice": "100.00", "goodsId": "-1", "goodsName": "茉莉花茶", "goodsNum": "1"},
    ]);
    let details = [
        ("amount", json!("0.01")),
        ("body", json!("被扫支付")),
        ("createTime", json!("2019-08-23T16:14:42.000+0000")),
        ("discountAmount", json!("0.00")),
        ("goodsDesc", goods),
        ("mchIncome", json!("0.01")),
        ("operatorId", json!("null")),
        ("operatorName", json!("123")),
        ("productId", json!("8020")),
        ("subject", json!("被扫支付")),
        ("tradeSuccTime", json!("2019-08-23T11:12:21.000+0000")),
        ("tradeType", json!("1")),
        ("updateTime", json!("2019-08-23T19:13:22.000+0000")),
    ];
    Facts {
        gateway: GatewayName::new("trade_order").expect("valid"),
        merchant: "20000000".to_owned(),
        native: Some(native()),
        references: references.map(|(kind, number)| (kind.to_owned(), number.to_owned())).into(),
        status: OrderStatus::Processing,
        upstream_status: "1".to_owned(),
        payment_method: Some(PaymentMethod::Wechat),
        currency: "CNY".to_owned(),
        total: Some(fen(1)),
        paid: fen(0),
        refunded: Some(fen(0)),
        refund_count: None,
        upstream_refund_status: None,
        paid_at: Some(at("2019-08-23T11:12:21Z")),
        paid_at_source: PaidAtSource::Upstream,
        created_at: Some(at("2019-08-23T08:14:42Z")),
        updated_at: Some(at("2019-08-23T11:13:22Z")),
        details: details.map(|(name, value)| (name.to_owned(), value)).into(),
        asked_at: now(),
        upstream_time: None,
        body: None,
    }
}

/// The composed orders of 19.00, paid.
fn paid(word: &str, product_type: &str, refunded: i64) -> Facts {
    let mut facts = Facts {
        status: OrderStatus::Paid,
        upstream_status: word.to_owned(),
        total: Some(fen(2_300)),
        paid: fen(1_900),
        refunded: Some(fen(refunded)),
        ..seed()
    };
    for (name, value) in
        [("amount", "19.00"), ("discountAmount", "4.00"), ("mchIncome", "18.89"), ("productType", product_type)]
    {
        facts.details.insert(name.to_owned(), json!(value));
    }
    facts
}

/// An order without a paid time: nothing disproves the label.
fn unpaid(status: OrderStatus, word: &str) -> Facts {
    let mut facts = Facts {
        status,
        upstream_status: word.to_owned(),
        paid_at: None,
        created_at: Some(at("2019-08-23T16:14:42Z")),
        updated_at: Some(at("2019-08-23T19:13:22Z")),
        ..seed()
    };
    facts.details.remove("tradeSuccTime");
    facts
}

fn deposit(status: OrderStatus, word: &str) -> Facts {
    let mut facts = Facts { total: Some(fen(0)), ..unpaid(status, word) };
    for (name, value) in [("amount", "0.00"), ("mchIncome", "0.00"), ("depositMode", "1"), ("depositAmount", "100.00")]
    {
        facts.details.insert(name.to_owned(), json!(value));
    }
    facts
}

fn orders(orders: Vec<Facts>) -> Result<Decoded, DecodeError> {
    Ok(Decoded::Orders { orders, bad_rows: vec![] })
}

fn get(body: &str) -> Result<Decoded, DecodeError> {
    decode("order.get", body.as_bytes(), now())
}

#[test]
fn every_order_sample_decodes_field_by_field() {
    assert_eq!(get(SEED), orders(vec![seed()]));
    assert_eq!(decode_for("trade_order", "order.get", SEED.as_bytes(), now()), orders(vec![seed()]));
    assert_eq!(get(SUCCESS), orders(vec![paid("2", "3", 0)]));
    let partial = include_str!("../../fixtures/trade_order/trade_order_get-partial_refund.json");
    assert_eq!(get(partial), orders(vec![paid("4", "3", 500)]));
    let full = include_str!("../../fixtures/trade_order/trade_order_get-full_refund.json");
    let expected = Facts { payment_method: Some(PaymentMethod::Alipay), ..paid("5", "4", 1_900) };
    assert_eq!(get(full), orders(vec![expected]));
    let failed = include_str!("../../fixtures/trade_order/trade_order_get-failed.json");
    assert_eq!(get(failed), orders(vec![unpaid(OrderStatus::Failed, "-1")]));
    let unsettled = include_str!("../../fixtures/trade_order/trade_order_get-deposit_unsettled.json");
    assert_eq!(get(unsettled), orders(vec![deposit(OrderStatus::Processing, "6")]));
    let returned = include_str!("../../fixtures/trade_order/trade_order_get-deposit_returned.json");
    assert_eq!(get(returned), orders(vec![deposit(OrderStatus::Closed, "7")]));
}

#[test]
fn an_unknown_order_and_an_empty_page_are_no_orders() {
    assert_eq!(get(include_str!("../../fixtures/trade_order/trade_order_get-not_found.json")), orders(vec![]));
    let empty = include_str!("../../fixtures/trade_order/trade_order_list-empty.json");
    assert_eq!(decode("order.list", empty.as_bytes(), now()), orders(vec![]));
}

#[test]
fn what_was_printed_is_no_json() {
    let printed = include_str!("../../fixtures/trade_order/trade_order_get-as_published.invalid.txt");
    let error = get(printed).expect_err("not JSON").to_string();
    assert_eq!(error, "the body is not JSON: expected `,` or `}` at line 28 column 1");
}

#[test]
fn a_list_row_is_an_order_with_its_product_named() {
    let mut row: Value = serde_json::from_str(SUCCESS).expect("JSON");
    row = row["data"].take();
    row["productName"] = json!("微信被扫");
    let mut other = row.clone();
    other["amount"] = json!(19.5);
    let mut nameless = row.clone();
    nameless["tradeOrderId"] = json!("");
    let body = json!({"code": 0, "msg": "success", "data": [other, row, nameless], "count": 3, "extData": null});
    let mut expected = paid("2", "3", 0);
    expected.details.insert("productName".to_owned(), json!("微信被扫"));
    let bad = |path: &str, why: &str| BadRow { path: path.to_owned(), why: why.to_owned() };
    assert_eq!(
        decode("order.list", body.to_string().as_bytes(), now()),
        Ok(Decoded::Orders {
            orders: vec![expected],
            bad_rows: vec![
                bad("data[0].amount", "`19.5` is not a whole number of fen"),
                bad("data[2].tradeOrderId", "is missing"),
            ],
        })
    );
}

/// Documented "string", shown as numbers; `TradeType`; texts for ids; a JSON text of goods; fields of newer servers.
#[test]
fn documented_types_and_shown_types_are_both_read() {
    let mut body: Value = serde_json::from_str(SEED).expect("JSON");
    let goods = body["data"]["goodsDesc"].to_string();
    for (name, value) in [
        ("tradeType", json!("1")),
        ("TradeType", json!("1")),
        ("mchId", json!("20000000")),
        ("orderAmount", json!("1")),
        ("discountAmount", json!("0")),
        ("amount", json!("1")),
        ("mchIncome", json!("1")),
        ("userId", json!(134713461986047502_i64)),
        ("status", json!("1")),
        ("productId", json!(8020)),
        ("goodsDesc", json!(goods)),
        ("memberTel", json!("13800000000")),
        ("memberId", json!(77)),
        ("receiveName", json!("王小明")),
        ("receiveTel", json!("13800000000")),
        ("address", json!("一号")),
        ("openid", json!("om4vu")),
        ("refundTotalAmount", json!("0")),
        ("somethingNew", json!({"a": 0.1})),
    ] {
        body["data"][name] = value;
    }
    body["code"] = json!("0");
    assert_eq!(get(&body.to_string()), orders(vec![seed()]));
    for (name, value) in [("channelOrderNo", json!("4200000000201908230000000000")), ("storeId", json!(1))] {
        body["data"][name] = value;
    }
    let mut expected = seed();
    expected.references.insert("channelOrderNo".to_owned(), "4200000000201908230000000000".to_owned());
    expected.details.insert("storeId".to_owned(), json!("1"));
    assert_eq!(get(&body.to_string()), orders(vec![expected]));
}

#[test]
fn times_of_newer_servers_are_beijing_time() {
    let mut body: Value = serde_json::from_str(SEED).expect("JSON");
    let times = [
        ("createTime", "2019-08-23 16:14:42"),
        ("tradeSuccTime", "2019-08-23 19:12:21"),
        ("updateTime", "2019-08-23 19:13:22"),
    ];
    let mut expected = seed();
    for (name, time) in times {
        body["data"][name] = json!(time);
        expected.details.insert(name.to_owned(), json!(time));
    }
    assert_eq!(get(&body.to_string()), orders(vec![expected]));
}

#[test]
fn an_unknown_word_is_kept_and_never_paid() {
    for word in ["3", "8", "99", "paid", "支付成功"] {
        let body = SEED.replace("\"status\": 1", &format!("\"status\": {word:?}"));
        let status = OrderStatus::Other("other".to_owned());
        assert_eq!(get(&body), orders(vec![Facts { status, upstream_status: word.to_owned(), ..seed() }]));
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let changed = |field: &str, value: Value| {
        let mut body: Value = serde_json::from_str(SUCCESS).expect("JSON");
        body["data"][field] = value;
        get(&body.to_string()).expect_err(field).to_string()
    };
    assert!(changed("amount", json!("19.00.1")).starts_with("data.amount: `19.00.1` is not a whole number of fen"));
    assert_eq!(changed("amount", json!(-1)), "data.amount: -0.01 is negative");
    assert_eq!(changed("amount", json!(null)), "data.amount is missing");
    assert_eq!(changed("refundTotalAmount", json!(-1)), "data.refundTotalAmount: -0.01 is negative");
    assert_eq!(changed("status", json!(null)), "data.status is missing");
    assert_eq!(changed("mchId", json!(null)), "data.mchId is missing");
    assert!(
        changed("tradeSuccTime", json!("2019-08-23")).starts_with("data.tradeSuccTime: `2019-08-23` is not a time")
    );
    // Bodies of other operations.
    let auth = include_str!("../../fixtures/trade_order/auth-response.json");
    assert_eq!(get(auth).expect_err("no order").to_string(), "data.tradeOrderId is missing");
    let status = include_str!("../../fixtures/trade_order/query_status-response.json");
    assert_eq!(get(status).expect_err("no order").to_string(), "data.status is missing");
    let unknown = decode("order.count", b"{}", now()).expect_err("unknown").to_string();
    assert_eq!(unknown, "`order.count` cannot be decoded; one of order.get, order.list, refund, refund.list");
}

#[test]
fn a_refusal_of_a_question_is_named() {
    let refused = |body: &str| get(body).expect_err(body).to_string();
    assert_eq!(
        refused(include_str!("../../fixtures/trade_order/error-unauthorized.json")),
        "the upstream refused: Unauthorized (code 1001)"
    );
    assert_eq!(
        refused(include_str!("../../fixtures/trade_order/error-missing_param.json")),
        "the upstream refused: 系统异常[参数tradeOrderId必填] (code 99999)"
    );
    assert_eq!(refused("{}"), "code is missing");
}

fn refund(body: &str) -> Result<Decoded, DecodeError> {
    decode("refund", body.as_bytes(), now())
}

fn told(answer: Answer, refunds: Vec<SeenRefund>) -> Result<Decoded, DecodeError> {
    Ok(Decoded::Refunds { answer, refunds, bad_rows: vec![] })
}

#[test]
fn every_refund_sample_decodes_field_by_field() {
    let number = "MR01201908240930151230001";
    let seen = |outcome, word| SeenRefund {
        key: None,
        upstream_refund_no: some(number),
        order: vec![],
        amount: None,
        outcome,
        upstream_status: some(word),
        at: None,
    };
    let answer = |outcome| Answer { upstream_refund_no: some(number), code: some("0"), ..Answer::new(outcome, now()) };
    let success = include_str!("../../fixtures/trade_order/refund-response_success.json");
    assert_eq!(refund(success), told(answer(Outcome::Succeeded), vec![seen(Outcome::Succeeded, "2")]));
    let failed = include_str!("../../fixtures/trade_order/refund-response_failed.json");
    assert_eq!(refund(failed), told(answer(Outcome::Declined), vec![seen(Outcome::Declined, "3")]));
}

#[test]
fn every_refund_error_sample_has_its_row() {
    let errors = [
        (include_str!("../../fixtures/trade_order/refund-error_10001.json"), "10001", "参数错误"),
        (include_str!("../../fixtures/trade_order/refund-error_12025.json"), "12025", "交易订单不存在"),
        (include_str!("../../fixtures/trade_order/refund-error_12062.json"), "12062", "该订单已全额退款"),
        (include_str!("../../fixtures/trade_order/refund-error_12063.json"), "12063", "申请退款金额超过订单可退款金额"),
        (include_str!("../../fixtures/trade_order/refund-error_12066.json"), "12066", "门店不存在"),
        (
            include_str!("../../fixtures/trade_order/refund-error_12075.json"),
            "12075",
            "退款订单仅支持支付成功和部分退款状态，其他状态不允许发起退款",
        ),
        (include_str!("../../fixtures/trade_order/refund-error_12099.json"), "12099", "退款密码为空"),
        (include_str!("../../fixtures/trade_order/refund-error_12100.json"), "12100", "退款密码错误"),
        (
            include_str!("../../fixtures/trade_order/error-missing_param.json"),
            "99999",
            "系统异常[参数tradeOrderId必填]",
        ),
    ];
    let answer =
        |outcome, code, message| Answer { code: some(code), message: some(message), ..Answer::new(outcome, now()) };
    for (body, code, message) in errors {
        assert_eq!(refund(body), told(answer(Outcome::Declined, code, message), vec![]));
    }
    let moved = include_str!("../../fixtures/trade_order/refund-error_10003.json");
    assert_eq!(refund(moved), told(answer(Outcome::InDoubt, "10003", "操作失败"), vec![]));
    let unauthorized = include_str!("../../fixtures/trade_order/error-unauthorized.json");
    let blocked =
        Answer { blocked: Some(BlockReason::Credentials), ..answer(Outcome::Blocked, "1001", "Unauthorized") };
    assert_eq!(refund(unauthorized), told(blocked, vec![]));
}

#[test]
fn the_gateways_list_of_refunds_decodes_field_by_field() {
    let list = |body: &str| decode("refund.list", body.as_bytes(), now());
    let sample = include_str!("../../fixtures/trade_order/refund_order_list-by_mch_refund_no.json");
    let row = SeenRefund {
        key: None,
        upstream_refund_no: some("MR01201908240930151230001"),
        order: vec![("payOrderId".to_owned(), "P01201908230414452700006".to_owned())],
        amount: Some(fen(500)),
        outcome: Outcome::Succeeded,
        upstream_status: some("2"),
        at: Some(at("2019-08-24T01:30:18Z")),
    };
    let answer = |outcome, message: Option<&str>| Answer {
        code: some("0"),
        message: message.map(str::to_owned),
        ..Answer::new(outcome, now())
    };
    let succeeded = Answer { upstream_refund_no: row.upstream_refund_no.clone(), ..answer(Outcome::Succeeded, None) };
    assert_eq!(list(sample), told(succeeded, vec![row.clone()]));
    let nothing = told(answer(Outcome::InDoubt, Some("no refund in the list, which proves nothing")), vec![]);
    let none = include_str!("../../fixtures/trade_order/refund_order_get-not_found.json");
    assert_eq!(list(none), nothing);
    // Two rows tell about no refund in particular, and a bad one is named.
    let mut body: Value = serde_json::from_str(sample).expect("JSON");
    let mut bad = body["data"][0].clone();
    bad["refundAmount"] = json!("5.00.0");
    body["data"].as_array_mut().expect("rows").push(bad);
    let Ok(Decoded::Refunds { answer: seen, refunds, bad_rows }) = list(&body.to_string()) else { panic!("refunds") };
    assert_eq!(seen, answer(Outcome::InDoubt, Some("more than one refund in the list")));
    assert_eq!((refunds, bad_rows.len(), bad_rows[0].path.as_str()), (vec![row], 1, "data[1]"));
}

#[test]
fn details_hold_no_payer() {
    let Ok(Decoded::Orders { orders, .. }) = get(SEED) else { panic!("an order") };
    let shown: BTreeMap<&str, &Value> = orders[0].details.iter().map(|(name, value)| (name.as_str(), value)).collect();
    for payer in ["userId", "channelUserId", "clientIp", "memberId", "memberTel"] {
        assert!(!shown.contains_key(payer), "{payer}");
    }
    let text = format!("{:?}", orders[0]);
    assert!(!text.contains("134713461986047502") && !text.contains("0:0:0:0:0:0:0:1"), "{text}");
}
