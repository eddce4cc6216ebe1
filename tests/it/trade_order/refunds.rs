//! Refunds on a real socket: what is sent, once, and what each answer means.

use serde_json::{Value, json};
use tillbook::clients::trade_order::api::types;
use tillbook::clients::wire::YuanText;
use tillbook::domain::{Answer, BlockReason, Finding, Outcome, Proof};
use tillbook::gateway::{Gateway, ReadErrorKind, RefundCall};

use super::{configured, gateway, reference, refund_call, some};
use crate::wire_faults::{refund_rows, settings};
use crate::wire_server::{Act, WireServer};

const SUCCESS: &str = include_str!("../../fixtures/trade_order/refund-response_success.json");
const ROWS: &str = include_str!("../../fixtures/trade_order/refund_order_list-by_mch_refund_no.json");
const NUMBER: &str = "MR01201908240930151230001";

fn ok(body: impl ToString) -> Act {
    Act::Answer(200, body.to_string())
}

/// One refund against one answer.
async fn refund(act: Act, call: &RefundCall) -> Answer {
    let server = WireServer::start([act]).await;
    let answer = gateway(settings(&server.base_url)).refund(call).await;
    assert_eq!((server.unplayed(), server.requests().len()), (0, 1), "{answer:?}");
    answer
}

#[tokio::test]
async fn a_transport_fault_under_a_refund_is_not_sent_or_in_doubt() {
    refund_rows(gateway, &refund_call(1, None)).await;
}

/// DESIGN's rows for trade_order.
#[tokio::test]
async fn every_answer_has_its_row() {
    let code = |code: i64, msg: &str| ok(json!({"code": code, "msg": msg, "data": null}));
    let status = |status: Value| {
        ok(json!({"code": 0, "msg": "success", "data": {"mchRefundOrderId": "MR01", "status": status}}))
    };
    let (doubt, declined) = (Outcome::InDoubt, Outcome::Declined);
    let credentials = Some(BlockReason::Credentials);
    let mut rows = vec![
        ("1001", ok(r#"{"code":1001,"msg":"Unauthorized"}"#), Outcome::Blocked, credentials, "1001"),
        ("12077", code(12077, "当前订单存在一笔退款中订单"), Outcome::Blocked, Some(BlockReason::Busy), "12077"),
        ("missing parameter", code(99999, "系统异常[参数refundAmount必填]"), declined, None, "99999"),
        ("other 99999", code(99999, "系统异常[Read timed out]"), doubt, None, "99999"),
        ("10003", code(10003, "操作失败"), doubt, None, "10003"),
        ("10999", code(10999, "未知错误"), doubt, None, "10999"),
        ("unknown code", code(13015, "失败"), doubt, None, "13015"),
        ("data null", code(0, "success"), doubt, None, "0"),
        ("no data", ok(r#"{"code":0}"#), doubt, None, "0"),
        ("status 2", status(json!(2)), Outcome::Succeeded, None, "0"),
        ("status 1", status(json!(1)), Outcome::Accepted, None, "0"),
        ("status 3", status(json!(3)), declined, None, "0"),
        ("status 0", status(json!(0)), doubt, None, "0"),
        ("status 4", status(json!(4)), doubt, None, "0"),
        ("no status", status(json!(null)), doubt, None, "0"),
        ("no code", ok(r#"{"data":{"status":2}}"#), doubt, None, "200"),
        ("data of another shape", ok(r#"{"code":0,"data":[2]}"#), doubt, None, "200"),
        ("401 of a proxy", Act::Answer(401, r#"{"code":1001}"#.to_owned()), doubt, None, "401"),
        ("404", Act::Answer(404, String::new()), doubt, None, "404"),
    ];
    let codes = ["10001", "10002", "12001", "12025", "12062", "12063", "12066", "12075", "12099", "12100"];
    for word in codes {
        rows.push((word, code(word.parse().expect("a number"), "拒绝"), declined, None, word));
        // With data of any shape: the code alone is the server's refusal.
        rows.push((word, ok(format!(r#"{{"code":"{word}","data":[]}}"#)), declined, None, word));
    }
    for (name, act, outcome, blocked, code) in rows {
        let answer = refund(act, &refund_call(1, None)).await;
        let seen = (answer.outcome, answer.blocked, answer.code.as_deref());
        assert_eq!(seen, (outcome, blocked, Some(code)), "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn a_refund_is_one_form_in_yuan_with_the_bare_token() {
    let server = WireServer::start([ok(SUCCESS)]).await;
    let answer = gateway(settings(&server.base_url)).refund(&refund_call(1, None)).await;
    assert_eq!((answer.outcome, answer.upstream_refund_no), (Outcome::Succeeded, some(NUMBER)));
    let [request] = server.requests().try_into().expect("one request");
    let sample: Value =
        serde_json::from_str(include_str!("../../fixtures/trade_order/refund-request.json")).expect("JSON");
    let line = format!("{} {}", sample["method"].as_str().expect("a text"), sample["path"].as_str().expect("a text"));
    assert_eq!(request.line, line);
    assert_eq!(request.header("content-type"), sample["content_type"].as_str());
    assert_eq!(request.header("authorization"), Some("header.payload.signature"), "no Bearer");
    assert_eq!(request.header("api-version"), None);
    let body = format!("http://host/?{}", request.body);
    let form = reqwest::Url::parse(&body).expect("a form");
    let form: serde_json::Map<String, Value> =
        form.query_pairs().map(|(name, value)| (name.into_owned(), Value::String(value.into_owned()))).collect();
    assert_eq!(Value::Object(form), sample["form"]);
}

#[tokio::test]
async fn amounts_go_out_as_yuan_with_two_decimals() {
    for (fen, yuan) in [(1, "0.01"), (50, "0.50"), (1_250, "12.50"), (100_000_000, "1000000.00")] {
        let server = WireServer::start([ok(SUCCESS)]).await;
        gateway(settings(&server.base_url)).refund(&refund_call(fen, None)).await;
        let [request] = server.requests().try_into().expect("one request");
        assert!(request.body.contains(&format!("refundAmount={yuan}&")), "{}", request.body);
    }
}

#[tokio::test]
async fn an_order_without_its_own_number_is_not_sent() {
    let server = WireServer::start([]).await;
    let mut call = refund_call(1, None);
    call.native = reference("order_sn", "2017");
    let answer = gateway(settings(&server.base_url)).refund(&call).await;
    assert_eq!((answer.outcome, server.requests().len()), (Outcome::NotSent, 0));
}

#[tokio::test]
async fn the_public_client_cannot_refund() {
    let server = WireServer::start([]).await;
    let client = tillbook::clients::trade_order::client(&configured(settings(&server.base_url))).expect("a client");
    let form = types::RefundForm::builder().trade_order_id("E01").refund_amount(YuanText::from_fen(1));
    let form: types::RefundForm = form.try_into().expect("a form");
    let error = client.member_pay_refund().body(form).send().await.expect_err("refused").to_string();
    assert!(error.contains("operation `member_pay_refund` moves money: only the ledger may call it"), "{error}");
    assert!(server.requests().is_empty());
}

/// The sample row, its fields changed.
fn rows(change: impl Fn(&mut Value)) -> Act {
    let mut page: Value = serde_json::from_str(ROWS).expect("JSON");
    change(&mut page["data"]);
    ok(page)
}

async fn find(act: Act) -> Finding {
    let server = WireServer::start([act]).await;
    let found = gateway(settings(&server.base_url)).probe(&refund_call(500, Some(NUMBER))).await.expect("an answer");
    let [request] = server.requests().try_into().expect("one request");
    assert_eq!(request.line, format!("GET /api/refund_order/list?limit=20&mchRefundNo={NUMBER}&page=1"));
    assert_eq!(found.proof, Proof::OwnNumber);
    found
}

async fn probe(act: Act) -> Answer {
    find(act).await.answer
}

#[tokio::test]
async fn a_probe_by_number_shows_the_row_it_found_or_says_that_there_is_none() {
    let line = format!("{NUMBER}: 5.00 yuan, status 2, made \"2019-08-24T09:30:15.000+0000\"");
    assert_eq!(find(rows(|_| {})).await.evidence, [line]);
    let none = [
        format!("refund_order.list shows no refund {NUMBER}"),
        "refunds of cash and member cards never appear in refund_order.list".to_owned(),
    ];
    assert_eq!(find(rows(|data| *data = json!(null))).await.evidence, none);
}

#[tokio::test]
async fn a_probe_believes_the_row_that_bears_the_number_and_the_amount() {
    for (status, outcome) in [
        (json!(2), Outcome::Succeeded),
        (json!("3"), Outcome::Declined),
        (json!(1), Outcome::Accepted),
        (json!(0), Outcome::Accepted),
        (json!(4), Outcome::InDoubt),
        (json!(null), Outcome::InDoubt),
    ] {
        let answer = probe(rows(|data| data[0]["status"] = status.clone())).await;
        assert_eq!((answer.outcome, answer.upstream_refund_no), (outcome, some(NUMBER)), "{status}");
    }
    let message = |answer: Answer| (answer.outcome, answer.message.unwrap_or_default());
    let answer = message(probe(rows(|data| data[0]["refundAmount"] = json!(501))).await);
    let why = format!("refund_order.list names 501 fen for {NUMBER}, not 500");
    assert_eq!(answer, (Outcome::InDoubt, why));
    // Filters may be ignored: other refunds' rows say nothing.
    let answer = message(probe(rows(|data| data[0]["mchRefundNo"] = json!("MR02"))).await);
    let why = format!("refund_order.list shows no refund {NUMBER}, which proves nothing");
    assert_eq!(answer, (Outcome::InDoubt, why.clone()));
    let answer = message(probe(rows(|data| *data = json!(null))).await);
    assert_eq!(answer, (Outcome::InDoubt, why));
    let twice = rows(|data| {
        let row = data[0].clone();
        data.as_array_mut().expect("rows").push(row);
    });
    assert_eq!(probe(twice).await.outcome, Outcome::InDoubt);
}

#[tokio::test]
async fn a_probe_without_a_number_of_refund_or_payment_asks_nothing() {
    let server = WireServer::start([]).await;
    let found = gateway(settings(&server.base_url)).probe(&refund_call(500, None)).await.expect("an answer");
    assert_eq!((found.answer.outcome, found.proof), (Outcome::InDoubt, Proof::Likeness));
    let why = "the order has no payOrderId, by which its refunds could be told from others";
    let silent = "refunds of cash and member cards never appear in refund_order.list";
    assert_eq!((found.evidence, server.requests().len()), (vec![why.to_owned(), silent.to_owned()], 0));
}

#[tokio::test]
async fn a_probe_that_is_refused_is_an_error() {
    let server = WireServer::start([ok(r#"{"code":1001,"msg":"Unauthorized"}"#)]).await;
    let error = gateway(settings(&server.base_url)).probe(&refund_call(500, Some(NUMBER))).await.expect_err("refused");
    assert_eq!(
        (error.kind, error.to_string()),
        (ReadErrorKind::Credentials, "refund_order.list: Unauthorized (code 1001)".to_owned())
    );
}
