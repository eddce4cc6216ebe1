//! Every sample of hydrogen, and every contradiction between its documents, read through `decode`.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tillbook::clients::decode::{DecodeError, Decoded, SeenRefund, decode as decode_for};
use tillbook::clients::hydrogen::decode;
use tillbook::domain::{Answer, Facts, GatewayName, OrderStatus, Outcome, PaidAtSource, PaymentMethod, Timestamp};
use tillbook::gateway::BadRow;

use super::{at, fen, reference, some};

const WIRE: &str = include_str!("../../fixtures/hydrogen/order_list-wire_pending.json");

fn now() -> Timestamp {
    at("2018-10-13T00:00:00Z")
}

fn texts(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

/// The order of seed 000.
fn pending() -> Facts {
    Facts {
        gateway: GatewayName::new("hydrogen").expect("valid"),
        merchant: String::new(),
        native: Some(reference("transaction_no", "XDiXbfLFyd8DpxSWqBUcb2jW1AvhVORC")),
        references: texts(&[
            ("id", "47963"),
            ("trade_no", "1gAtaEFcmu6DyHm5b0ycBSmNO302NGzA"),
            ("transaction_no", "XDiXbfLFyd8DpxSWqBUcb2jW1AvhVORC"),
        ]),
        status: OrderStatus::Pending,
        upstream_status: "pending".to_owned(),
        payment_method: None,
        currency: "CNY".to_owned(),
        total: Some(fen(39_800)),
        paid: fen(0),
        refunded: None,
        refund_count: None,
        upstream_refund_status: None,
        paid_at: None,
        paid_at_source: PaidAtSource::Upstream,
        created_at: Some(at("2018-10-12T17:18:10.992125+08:00")),
        updated_at: Some(at("2018-10-12T17:18:11.317089+08:00")),
        // Nothing of the Python-like gateway_extra_info and of the empty snapshot, and not the payer's address.
        details: BTreeMap::from([("merchandise_description".to_owned(), json!("一条支付描述"))]),
        asked_at: now(),
        upstream_time: None,
        body: None,
    }
}

/// The order of seed 000 as the composed samples show it once paid.
fn paid(id: &str) -> Facts {
    let mut facts = Facts {
        status: OrderStatus::Paid,
        upstream_status: "success".to_owned(),
        payment_method: Some(PaymentMethod::Wechat),
        paid: fen(39_800),
        paid_at: Some(at("2018-10-12T17:19:00.000001+08:00")),
        ..pending()
    };
    facts.references.insert("id".to_owned(), id.to_owned());
    facts.details.insert("gateway_type".to_owned(), json!("weixin_tenpay"));
    facts
}

fn orders(orders: Vec<Facts>) -> Result<Decoded, DecodeError> {
    Ok(Decoded::Orders { orders, bad_rows: vec![] })
}

fn list(body: &str) -> Result<Decoded, DecodeError> {
    decode("order.list", body.as_bytes(), now())
}

#[test]
fn an_order_reads_the_same_from_every_wrapping() {
    assert_eq!(list(WIRE), orders(vec![pending()]));
    assert_eq!(
        list(include_str!("../../fixtures/hydrogen/order_list-sdk_envelope_pending.json")),
        orders(vec![pending()])
    );
    assert_eq!(list(&format!(r#"{{"code":0,"data":{WIRE},"error":{{}}}}"#)), orders(vec![pending()]));
    let page: Value = serde_json::from_str(WIRE).expect("JSON");
    let row = page["objects"][0].to_string();
    assert_eq!(decode("order.get", row.as_bytes(), now()), orders(vec![pending()]));
    assert_eq!(decode("order.get", WIRE.as_bytes(), now()), orders(vec![pending()]), "the function's get");
    assert_eq!(decode_for("hydrogen", "order.list", WIRE.as_bytes(), now()), orders(vec![pending()]));
}

#[test]
fn every_list_sample_decodes_field_by_field() {
    assert_eq!(list(include_str!("../../fixtures/hydrogen/order_list-empty.json")), orders(vec![]));
    let partial = Facts { refunded: Some(fen(10_050)), upstream_refund_status: some("partial"), ..paid("47964") };
    assert_eq!(list(include_str!("../../fixtures/hydrogen/order_list-refund_partial.json")), orders(vec![partial]));
    let complete = Facts { refunded: Some(fen(39_800)), upstream_refund_status: some("complete"), ..paid("47965") };
    assert_eq!(list(include_str!("../../fixtures/hydrogen/order_list-refund_complete.json")), orders(vec![complete]));
    // No paid time on a paid order: the created one stands in. An empty refund status is no amount.
    let mut empty = Facts {
        payment_method: None,
        paid_at: pending().created_at,
        paid_at_source: PaidAtSource::Created,
        upstream_refund_status: some(""),
        ..paid("47966")
    };
    empty.details.remove("gateway_type");
    let body = include_str!("../../fixtures/hydrogen/order_list-refund_status_empty_string.json");
    assert_eq!(list(body), orders(vec![empty]));
}

#[test]
fn seed_001_decodes_field_by_field() {
    let row = |id: &str, trade_no: &str, transaction_no: &str, second: i64| Facts {
        native: Some(reference("transaction_no", transaction_no)),
        references: texts(&[("id", id), ("trade_no", trade_no), ("transaction_no", transaction_no)]),
        status: OrderStatus::Paid,
        upstream_status: "success".to_owned(),
        total: Some(fen(10_000)),
        paid: fen(10_000),
        paid_at: Timestamp::from_unix_seconds(second),
        paid_at_source: PaidAtSource::Created,
        created_at: Timestamp::from_unix_seconds(second),
        updated_at: Timestamp::from_unix_seconds(second),
        details: BTreeMap::new(),
        ..pending()
    };
    let body = include_str!("../../fixtures/hydrogen/order_list-web_api_success_null_paid_at.json");
    assert_eq!(
        list(body),
        orders(vec![
            row("5", "1dLSQzzjRcJshqosJCeNruA******", "DEqbLRjWWtCqjxOUapRxaLb******", 1_497_524_129),
            row("6", "1dLSR0EopQfRVkbLFrRNFKT*********", "znVAJaEKrwriaTlwjDlVdLZ*********", 1_497_524_130),
        ])
    );
    let printed = include_str!("../../fixtures/hydrogen/order_list-as_published.invalid.txt");
    let error = list(printed).expect_err("not JSON").to_string();
    assert_eq!(error, "the body is not JSON: trailing comma at line 27 column 1");
}

#[test]
fn the_payment_notice_gives_the_channels_number_and_no_payer() {
    let sample = include_str!("../../fixtures/hydrogen/gateway_extra_info-wechat_response.json");
    let sample: Value = serde_json::from_str(sample).expect("JSON");
    let mut page: Value = serde_json::from_str(WIRE).expect("JSON");
    page["objects"][0]["gateway_extra_info"] = sample["gateway_extra_info"].clone();
    let mut expected = pending();
    expected.references.insert("transaction_id".to_owned(), "4200000519202003205153312216".to_owned());
    let told = json!({"wechat_response": {
        "appid": "wx3b040d33346exxxx",
        "bank_type": "OTHERS",
        "cash_fee": "0.01",
        "fee_type": "CNY",
        "mch_id": "1501889000",
        "nonce_str": "1jFEJyNvEkr2IePMYXOeUEOHP11eXXXX",
        "out_trade_no": "1jFEJyxlAuqzAtGcd4uuNxJwMS1TXXXX",
        "result_code": "SUCCESS",
        "return_code": "SUCCESS",
        "sign": "AB329F580E6E342246350DFE96AEXXXX",
        "time_end": "20200320175220",
        "total_fee": "0.01",
        "trade_type": "JSAPI",
        "transaction_id": "4200000519202003205153312216",
    }});
    expected.details.insert("gateway_extra_info".to_owned(), told);
    assert_eq!(list(&page.to_string()), orders(vec![expected.clone()]));
    // As a text that holds it, which iOS is answered.
    let text = page["objects"][0]["gateway_extra_info"].to_string();
    page["objects"][0]["gateway_extra_info"] = Value::String(text);
    assert_eq!(list(&page.to_string()), orders(vec![expected]));
}

#[test]
fn documented_types_and_shown_types_are_both_read() {
    let mut page: Value = serde_json::from_str(WIRE).expect("JSON");
    for (name, value) in [
        ("id", json!("47963")),
        ("total_cost", json!(398.0)),
        ("ip_address", json!(2130706433)),
        ("created_at", json!("2018-10-12T17:18:10.992125")),
        ("updated_at", json!("2018-10-12 17:18:11.317089")),
        ("gateway_extra_info", json!({})),
        ("merchandise_snapshot", json!({})),
        ("merchandise_schema_id", json!(null)),
        ("created_by_id", json!("1091431")),
        ("created_by", json!(1091431)),
        ("created_by_name", json!("王小明")),
        ("something_new", json!([1, 2])),
    ] {
        page["objects"][0][name] = value;
    }
    page["objects"][0].as_object_mut().expect("an object").remove("refund_status");
    page["meta"]["total_count"] = json!("1");
    assert_eq!(list(&page.to_string()), orders(vec![pending()]));
    page["objects"][0]["created_at"] = json!(1_539_335_890);
    page["objects"][0]["total_cost"] = json!(398);
    let expected = Facts { created_at: Timestamp::from_unix_seconds(1_539_335_890), ..pending() };
    assert_eq!(list(&page.to_string()), orders(vec![expected]));
}

#[test]
fn an_unknown_word_is_kept_and_never_paid() {
    for word in ["complete", "paid", "SUCCESS", "1"] {
        let body = WIRE.replace("\"pending\"", &format!("{word:?}"));
        let expected =
            Facts { status: OrderStatus::Other("other".to_owned()), upstream_status: word.to_owned(), ..pending() };
        assert_eq!(list(&body), orders(vec![expected]));
    }
}

#[test]
fn a_bad_row_is_named_and_does_not_lose_its_page() {
    let page: Value = serde_json::from_str(WIRE).expect("JSON");
    let good = &page["objects"][0];
    let changed = |field: &str, value: Value| {
        let mut row = good.clone();
        row[field] = value;
        row
    };
    let rows = json!([
        changed("total_cost", json!("398.005")),
        good,
        changed("transaction_no", json!(null)),
        changed("created_at", json!("yesterday")),
        changed("status", json!("")),
    ]);
    let body = json!({"meta": page["meta"], "objects": rows}).to_string();
    let bad = |path: &str, why: &str| BadRow { path: path.to_owned(), why: why.to_owned() };
    let time = "`yesterday` is not a time: expected unix seconds, or `yyyy-MM-dd HH:mm:ss` with or without an offset";
    assert_eq!(
        list(&body),
        Ok(Decoded::Orders {
            orders: vec![pending()],
            bad_rows: vec![
                bad("objects[0].total_cost", "`398.005` has more than two decimals"),
                bad("objects[2].transaction_no", "is missing"),
                bad("objects[3].created_at", time),
                bad("objects[4].status", "is missing"),
            ],
        })
    );
}

#[test]
fn what_is_no_list_is_refused_with_the_upstreams_words() {
    let refused = |body: &str| list(body).expect_err(body).to_string();
    let sample = include_str!("../../fixtures/hydrogen/error-message_key.json");
    assert_eq!(refused(sample), "the upstream refused: Invalid token");
    assert_eq!(
        refused("{\"status\":\"error\",\"error_msg\":\"参数错误\"}"),
        "the upstream refused: 参数错误 (code error)"
    );
    assert_eq!(
        refused(r#"{"code":0,"data":{"error":"malformed: unknown filter colour"},"error":{}}"#),
        "the upstream refused: malformed: unknown filter colour (code malformed)"
    );
    assert_eq!(
        refused(r#"{"code":1,"data":null,"error":{"message":"TypeError"}}"#),
        "the upstream refused: TypeError (code 1)"
    );
    assert_eq!(refused(include_str!("../../fixtures/hydrogen/openapi_token-response.json")), "objects is missing");
    assert_eq!(refused("<html>"), "the body is not JSON: expected value at line 1 column 1");
    assert_eq!(
        decode("order.pay", b"{}", now()).expect_err("unknown").to_string(),
        "`order.pay` cannot be decoded; one of order.list, order.get, refund"
    );
    assert!(matches!(decode_for("stripe", "refund", b"{}", now()), Err(DecodeError::Gateway { .. })));
}

fn seen(number: &str, outcome: Outcome, word: &str) -> SeenRefund {
    SeenRefund {
        key: None,
        upstream_refund_no: some(number),
        order: vec![("id".to_owned(), "47963".to_owned())],
        amount: Some(fen(39_800)),
        outcome,
        upstream_status: some(word),
        at: None,
    }
}

#[test]
fn every_refund_sample_decodes_field_by_field() {
    let refund = |body: &str| decode("refund", body.as_bytes(), now());
    let told = |outcome, number: &str, word: &str, message: Option<&str>| {
        let answer = Answer {
            upstream_refund_no: some(number),
            code: some(word),
            message: message.map(str::to_owned),
            ..Answer::new(outcome, now())
        };
        Ok(Decoded::Refunds { answer, refunds: vec![seen(number, outcome, word)], bad_rows: vec![] })
    };
    let succeed = include_str!("../../fixtures/hydrogen/refund-response_succeed.json");
    let number = "1gB0000000000000000000000000RFN1";
    assert_eq!(refund(succeed), told(Outcome::Succeeded, number, "succeed", None));
    let failed = include_str!("../../fixtures/hydrogen/refund-response_failed.json");
    let other = "1gB0000000000000000000000000RFN2";
    assert_eq!(refund(failed), told(Outcome::Declined, other, "failed", Some("订单已全额退款")));
    // As the function answers it: inside its own state, inside the job.
    let sdk: Value = serde_json::from_str(succeed).expect("JSON");
    let said = json!({"state": "done", "refund": sdk["data"], "replayed": false});
    assert_eq!(refund(&said.to_string()), told(Outcome::Succeeded, number, "succeed", None));
    let job = json!({"code": 0, "data": said, "error": {}});
    assert_eq!(refund(&job.to_string()), told(Outcome::Succeeded, number, "succeed", None));
    // `success` is not the word.
    let body = succeed.replace("\"succeed\"", "\"success\"");
    assert_eq!(
        refund(&body),
        told(Outcome::InDoubt, number, "success", Some("BaaS.refund gives the status \"success\""))
    );
}

#[test]
fn a_function_that_broke_or_refused_says_so() {
    let outcome = |body: &str| match decode("refund", body.as_bytes(), now()) {
        Ok(Decoded::Refunds { answer, .. }) => (answer.outcome, answer.code, answer.message),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        outcome(r#"{"code":1,"data":null,"error":{"message":"timeout"}}"#),
        (Outcome::InDoubt, some("1"), some("timeout"))
    );
    assert_eq!(
        outcome(r#"{"code":0,"data":{"error":"unauthorized"},"error":{}}"#),
        (Outcome::Blocked, some("unauthorized"), some("unauthorized"))
    );
    assert_eq!(
        outcome(r#"{"error":"malformed: memo is not a text"}"#),
        (Outcome::Declined, some("malformed"), some("malformed: memo is not a text"))
    );
    let nothing = decode("refund", b"{\"status\":\"ok\"}", now()).expect_err("nothing").to_string();
    assert_eq!(nothing, "neither state nor error nor refund_no is there");
    let strange = br#"{"refund_no":"R","refund_amount":"1.005","status":"succeed"}"#;
    let error = decode("refund", strange, now()).expect_err("strange").to_string();
    assert_eq!(error, "refund_amount: `1.005` has more than two decimals");
}
