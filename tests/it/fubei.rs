//! Fubei: every sample field by field, every row of the classification table on a real socket.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tillbook::clients::credential::{FileSecret, StaticSecret};
use tillbook::clients::decode::{DecodeError, Decoded, SeenRefund};
use tillbook::clients::fubei::{FubeiGateway, FubeiSettings, decode};
use tillbook::clients::http::HttpSettings;
use tillbook::domain::{
    Answer, Baseline, BlockReason, DeviceName, Facts, GatewayName, Money, OrderStatus, Outcome, PaidAtSource,
    PaymentMethod, Reference, Refund, RefundKey, RefundState, Requested, Timestamp,
};
use tillbook::gateway::{BadRow, Gateway, ReadErrorKind, RefundCall};

use crate::wire_faults::{read_rows, refund_rows, settings};
use crate::wire_server::{Act, WireServer};

const SUCCESS: &str = include_str!("../fixtures/fubei/order_query-success.json");
const STATISTICS: &str = include_str!("../fixtures/fubei/refund_statistics-response.json");
const ACCEPTED: &str = include_str!("../fixtures/fubei/refund-response_accepted.json");
const REFUSED: &str = include_str!("../fixtures/fubei/refund-response_platform_error.json");
const REFUND_DONE: &str = include_str!("../fixtures/fubei/refund_query-success.json");
const ABSENT: &str = r#"{"result_code":400,"result_message":"退款不存在","sub_code":"REFUND_NOT_EXIST","data":null}"#;
const WRONG_SIGN: &str = r#"{"result_code":4902,"result_message":"签名错误"}"#;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds).expect("in range")
}

fn fen(fen: i64) -> Money {
    Money::from_fen(fen).expect("in range")
}

fn reference(kind: &str, number: &str) -> Reference {
    Reference::new(kind, number).expect("valid")
}

fn order_sn() -> Reference {
    reference("order_sn", "20170601215348178414")
}

fn configured(http: HttpSettings) -> FubeiSettings {
    let secret = Arc::new(StaticSecret::new("test-secret-0123456789abcdef"));
    FubeiSettings::new(http, "20160922135339595387", secret)
}

fn gateway(http: HttpSettings) -> FubeiGateway {
    FubeiGateway::new(configured(http)).expect("good settings")
}

/// A refund of 10.50 of the sample order, from which nothing was refunded before (`baseline`).
fn refund_call(baseline: Option<(i64, u32)>) -> RefundCall {
    let baseline = baseline.map(|(refunded, count)| Baseline {
        refunded: Some(fen(refunded)),
        count: Some(count),
        asked_at: at(1_496_369_000),
    });
    RefundCall {
        refund: Refund {
            key: RefundKey::new("R20170602000001").expect("valid"),
            requested: Requested::Exactly(fen(1_050)),
            amount: fen(1_050),
            state: RefundState::Sending,
            attempts: 1,
            memo: None,
            by: None,
            device: DeviceName::new("till-3").expect("valid"),
            requested_at: at(1_496_369_000),
            state_at: at(1_496_369_000),
            due_at: at(1_496_369_000),
            sent_at: None,
            baseline,
            upstream_refund_no: None,
            code: None,
            message: None,
        },
        references: vec![order_sn()],
        native: order_sn(),
        paid: fen(8_000),
        baseline,
    }
}

fn statistics(refund_num: u32, can_refund: &str) -> Act {
    let body = format!(
        r#"{{"result_code":200,"data":{{"order_sn":"20170601215348178414","total_fee":80,"refund_num":{refund_num},"can_refund":{can_refund}}}}}"#
    );
    Act::Answer(200, body)
}

fn ok(body: &str) -> Act {
    Act::Answer(200, body.to_owned())
}

/// The answer's parts that say something: outcome, reason, upstream number, code, message.
fn parts(answer: Answer) -> (Outcome, Option<BlockReason>, Option<String>, Option<String>, Option<String>) {
    (answer.outcome, answer.blocked, answer.upstream_refund_no, answer.code, answer.message)
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Runs one refund against a script; all of it must be played.
async fn refund(script: Vec<Act>, baseline: Option<(i64, u32)>) -> Answer {
    let server = WireServer::start(script).await;
    let answer = gateway(settings(&server.base_url)).refund(&refund_call(baseline)).await;
    assert_eq!(server.unplayed(), 0, "{answer:?}");
    answer
}

fn sample_facts() -> Facts {
    let details = [
        ("buyer_pay_amount", "80.00"),
        ("cashier_id", "0"),
        ("discount_money", "20.00"),
        ("fee", "1.00"),
        ("net_money", "79.00"),
        ("no_cash_coupon_fee", "0.01"),
        ("store_id", "25249"),
        ("total_fee", "80.00"),
    ];
    let references = [
        ("merchant_order_sn", "201706011496325244549"),
        ("order_sn", "20170601215348178414"),
        ("platform_order_no", "12345678998765433223"),
        ("trade_no", "2017060121534801983049958160"),
    ];
    let own = |(name, text): (&str, &str)| (name.to_owned(), text.to_owned());
    Facts {
        gateway: GatewayName::new("fubei").expect("valid"),
        merchant: String::new(),
        native: Some(order_sn()),
        references: references.into_iter().map(own).collect(),
        status: OrderStatus::Paid,
        upstream_status: "SUCCESS".to_owned(),
        payment_method: Some(PaymentMethod::Wechat),
        currency: "CNY".to_owned(),
        total: None,
        paid: fen(8_000),
        refunded: None,
        refund_count: None,
        upstream_refund_status: None,
        paid_at: Some(at(1_496_325_236)),
        paid_at_source: PaidAtSource::Upstream,
        created_at: None,
        updated_at: None,
        details: details.into_iter().map(|(name, text)| (name.to_owned(), Value::from(text))).collect(),
        asked_at: at(1),
    }
}

fn one_order(facts: Facts) -> Result<Decoded, DecodeError> {
    Ok(Decoded::Orders { orders: vec![facts], bad_rows: vec![] })
}

#[test]
fn every_order_sample_decodes_field_by_field() {
    let read = |body: &str| decode("order.query", body.as_bytes(), at(1));
    assert_eq!(read(SUCCESS), one_order(sample_facts()));
    let unpaid =
        |status, word: &str| Facts { status, upstream_status: word.to_owned(), paid: Money::ZERO, ..sample_facts() };
    let closed = include_str!("../fixtures/fubei/order_query-closed.json");
    let expected = Facts { paid_at: None, ..unpaid(OrderStatus::Closed, "CLOSED") };
    assert_eq!(read(closed), one_order(expected));
    let revoked = include_str!("../fixtures/fubei/order_query-revoked.json");
    assert_eq!(read(revoked), one_order(unpaid(OrderStatus::Closed, "REVOKED")));
    let revoking = include_str!("../fixtures/fubei/order_query-revoking.json");
    assert_eq!(read(revoking), one_order(unpaid(OrderStatus::Processing, "REVOKING")));
    let paying = include_str!("../fixtures/fubei/order_query-userpaying.json");
    let mut expected = Facts { paid_at: None, ..unpaid(OrderStatus::Pending, "USERPAYING") };
    for (name, text) in [("fee", "0.00"), ("net_money", "0.00"), ("buyer_pay_amount", "0.00")] {
        expected.details.insert(name.to_owned(), Value::from(text));
    }
    assert_eq!(read(paying), one_order(expected));
    let failed = include_str!("../fixtures/fubei/order_query-fail_400.json");
    let refused = DecodeError::Refused { code: "400".to_owned(), message: "失败 (ERROR_CODE)".to_owned() };
    assert_eq!(read(failed), Err(refused));
}

#[test]
fn an_unknown_word_is_kept_and_never_paid() {
    for word in ["PAID", "paid", "REVOKED_ERROR", "7"] {
        let body = SUCCESS.replace("\"SUCCESS\"", &format!("{word:?}"));
        let Ok(Decoded::Orders { orders, .. }) = decode("order.query", body.as_bytes(), at(1)) else {
            panic!("{word}")
        };
        let seen = (orders[0].status.clone(), orders[0].upstream_status.as_str(), orders[0].paid);
        assert_eq!(seen, (OrderStatus::Other("other".to_owned()), word, Money::ZERO));
    }
}

#[test]
fn documented_types_and_shown_types_are_both_read() {
    let shown: Value = serde_json::from_str(SUCCESS).expect("JSON");
    let mut documented = shown.clone();
    let data = documented["data"].as_object_mut().expect("an object");
    for (name, value) in [
        ("store_id", json!(25249)),
        ("cashier_id", json!(0)),
        ("total_fee", json!("80.00")),
        ("fee", json!(1.0)),
        ("net_money", json!("79")),
        ("discount_money", json!(20.0)),
        ("pay_time", json!("1496325236")),
        ("type", json!("1")),
        ("order_sn", json!("20170601215348178414")),
        ("attach", json!(null)),
        ("user_id", json!(77)),
    ] {
        data.insert(name.to_owned(), value);
    }
    documented["result_code"] = json!("200");
    assert_eq!(decode("order.query", documented.to_string().as_bytes(), at(1)), one_order(sample_facts()));
}

#[test]
fn what_cannot_be_read_is_named() {
    let changed = |field: &str, value: Value| {
        let mut body: Value = serde_json::from_str(SUCCESS).expect("JSON");
        body["data"][field] = value;
        decode("order.query", body.to_string().as_bytes(), at(1)).expect_err("strange").to_string()
    };
    assert!(changed("total_fee", json!("80.005")).starts_with("data.total_fee: `80.005` has more than two decimals"));
    assert_eq!(changed("total_fee", json!(-1)), "data.total_fee: -1.00 is negative");
    assert_eq!(changed("total_fee", json!(null)), "data.total_fee is missing");
    assert_eq!(changed("trade_state", json!(null)), "data.trade_state is missing");
    assert_eq!(changed("order_sn", json!("")), "data.order_sn is missing");
    assert!(changed("pay_time", json!("soon")).starts_with("data.pay_time: `soon` is not a time"));
    let other = decode("order.pay", b"{}", at(1)).expect_err("no such operation").to_string();
    let known = "order.query, order.refund, refund.query, refund.statistics, order.bill";
    assert_eq!(other, format!("`order.pay` cannot be decoded; one of {known}"));
}

#[test]
fn every_refund_sample_decodes_field_by_field() {
    let order = |order_sn: &str, merchant: &str, trade_no: &str| {
        [("order_sn", order_sn), ("merchant_order_sn", merchant), ("trade_no", trade_no)]
            .map(|(kind, number)| (kind.to_owned(), number.to_owned()))
            .to_vec()
    };
    let accepted = SeenRefund {
        key: some("R20170602000001"),
        upstream_refund_no: some("20170602100603639901"),
        order: order("20170601215348178414", "201706011496325244549", "2017060121534801983049958160"),
        amount: None,
        outcome: Outcome::Accepted,
        upstream_status: None,
        at: None,
    };
    let answer = |outcome, number: Option<&str>, code: &str, message: &str| Answer {
        upstream_refund_no: number.map(str::to_owned),
        code: some(code),
        message: some(message),
        ..Answer::new(outcome, at(1))
    };
    let number = Some("20170602100603639901");
    let read = |operation, body: &str| decode(operation, body.as_bytes(), at(1));
    let refunds = |answer, refunds| Ok(Decoded::Refunds { answer, refunds, bad_rows: vec![] });
    assert_eq!(
        read("order.refund", ACCEPTED),
        refunds(answer(Outcome::Accepted, number, "200", "成功"), vec![accepted.clone()])
    );
    assert_eq!(
        read("order.refund", REFUSED),
        refunds(answer(Outcome::InDoubt, None, "400", "可退金额不足 (NOT_ENOUGH)"), vec![])
    );
    let done = SeenRefund {
        amount: Some(fen(1_050)),
        outcome: Outcome::Succeeded,
        upstream_status: some("REFUND_SUCCESS"),
        at: Some(at(1_496_369_163)),
        ..accepted
    };
    assert_eq!(
        read("refund.query", REFUND_DONE),
        refunds(answer(Outcome::Succeeded, number, "200", "退款查询成功"), vec![done])
    );
    let row = |outcome, word| SeenRefund {
        key: some("201705031493777175502openapi"),
        upstream_refund_no: some("20170503100603639901"),
        order: order("20170503100339519319", "201705031493777030425openapi", "2017050310033901346103748870"),
        amount: Some(fen(1_000)),
        outcome,
        upstream_status: some(word),
        at: Some(at(1_493_777_163)),
    };
    for (body, outcome, word) in [
        (include_str!("../fixtures/fubei/refund_query-failer.json"), Outcome::Declined, "REFUND_FAILER"),
        (include_str!("../fixtures/fubei/refund_query-processing.json"), Outcome::Accepted, "REFUND_PROCESSING"),
    ] {
        let expected = answer(outcome, Some("20170503100603639901"), "200", "退款查询成功");
        assert_eq!(read("refund.query", body), refunds(expected, vec![row(outcome, word)]));
    }
}

#[test]
fn statistics_tell_what_was_refunded() {
    let Ok(Decoded::Orders { orders, .. }) = decode("refund.statistics", STATISTICS.as_bytes(), at(1)) else {
        panic!("an order")
    };
    let [facts] = orders.as_slice() else { panic!("one order") };
    assert_eq!((facts.refunded, facts.refund_count), (Some(fen(1_050)), Some(1)));
    assert_eq!(
        facts.details,
        BTreeMap::from([("can_refund".to_owned(), json!("69.50")), ("total_fee".to_owned(), json!("80.00")),])
    );
    let more = STATISTICS.replace("69.5", "80.01");
    let error = decode("refund.statistics", more.as_bytes(), at(1)).expect_err("strange").to_string();
    assert_eq!(error, "data.can_refund: 80.01 is more than total_fee 80.00");
}

#[test]
fn a_bad_row_does_not_lose_the_bill() {
    let body = include_str!("../fixtures/fubei/order_bill-response.json");
    let Ok(Decoded::Orders { orders, bad_rows }) = decode("order.bill", body.as_bytes(), at(1)) else {
        panic!("orders")
    };
    let [row] = orders.as_slice() else { panic!("one good row") };
    assert_eq!(
        (row.total, row.paid, &row.status),
        (Some(fen(10_000)), Money::ZERO, &OrderStatus::Other("other".into()))
    );
    assert_eq!((row.created_at, row.paid_at), (Some(at(1_496_325_228)), Some(at(1_496_325_236))));
    let why = "total_fee: `80.505` has more than two decimals".to_owned();
    assert_eq!(bad_rows, [BadRow { path: "data.list[1]".to_owned(), why }]);
}

#[tokio::test]
async fn a_transport_fault_under_a_refund_is_not_sent_or_in_doubt() {
    refund_rows(gateway, &refund_call(Some((0, 0)))).await;
}

#[tokio::test]
async fn a_transport_fault_under_a_read_is_a_read_error() {
    read_rows(gateway, &[order_sn()]).await;
}

#[tokio::test]
async fn a_refund_is_one_signed_post_with_its_own_number() {
    let server = WireServer::start([ok(ACCEPTED)]).await;
    let answer = gateway(settings(&server.base_url)).refund(&refund_call(Some((0, 0)))).await;
    let expected = (Outcome::Accepted, None, some("20170602100603639901"), some("200"), some("成功"));
    assert_eq!(parts(answer), expected);
    let [request] = server.requests().try_into().expect("one request");
    assert_eq!(request.line, "POST /gateway");
    assert_eq!(request.header("api-version"), None);
    assert_eq!(request.header("content-type"), Some("application/json"));
    let mut sent: BTreeMap<String, String> = serde_json::from_str(&request.body).expect("texts");
    let sample = include_str!("../fixtures/fubei/refund-request_partial.json");
    let mut sample: BTreeMap<String, String> = serde_json::from_str(sample).expect("texts");
    let biz = |fields: &mut BTreeMap<String, String>| -> Value {
        serde_json::from_str(&fields.remove("biz_content").expect("sent")).expect("JSON")
    };
    assert_eq!(biz(&mut sent), biz(&mut sample));
    let nonce = sent.remove("nonce").expect("sent");
    assert_eq!((nonce.len(), nonce.chars().all(|c| c.is_ascii_alphanumeric())), (32, true));
    assert!(sent.remove("sign").is_some_and(|sign| sign.len() == 32 && sign == sign.to_uppercase()));
    sample.remove("nonce");
    sample.remove("sign");
    assert_eq!(sent, sample);
}

#[tokio::test]
async fn accepted_for_another_number_is_in_doubt() {
    let answer = refund(vec![ok(&ACCEPTED.replace("R20170602000001", "R2"))], Some((0, 0))).await;
    let message = some("the answer is about refund R2, not about R20170602000001");
    assert_eq!(parts(answer), (Outcome::InDoubt, None, None, some("200"), message));
}

#[tokio::test]
async fn a_refusal_with_agreeing_books_is_declined() {
    let script = vec![ok(REFUSED), ok(ABSENT), statistics(1, "69.5")];
    let answer = refund(script, Some((1_050, 1))).await;
    assert_eq!(parts(answer), (Outcome::Declined, None, None, some("400"), some("可退金额不足 (NOT_ENOUGH)")));
}

#[tokio::test]
async fn a_refusal_whose_books_moved_is_in_doubt() {
    let script = vec![ok(REFUSED), ok(ABSENT), statistics(1, "69.5")];
    let answer = refund(script, Some((0, 0))).await;
    let message = "可退金额不足 (NOT_ENOUGH); refund.query knows no such number: 退款不存在 (REFUND_NOT_EXIST); \
                   refund.statistics moved from 0.00 to 10.50 refunded";
    assert_eq!(parts(answer), (Outcome::InDoubt, None, None, some("400"), some(message)));
}

#[tokio::test]
async fn a_refusal_without_baseline_or_with_an_unanswered_question_is_in_doubt() {
    let no_baseline = refund(vec![ok(REFUSED), ok(ABSENT), statistics(0, "80")], None).await;
    assert_eq!(no_baseline.outcome, Outcome::InDoubt);
    let busy = r#"{"result_code":400,"result_message":"系统繁忙"}"#;
    for query in [Act::CloseAfterRequest, ok(busy), ok(r#"{"result_code":60303,"result_message":"失败"}"#)] {
        let answer = refund(vec![ok(REFUSED), query, statistics(0, "80")], Some((0, 0))).await;
        assert_eq!(answer.outcome, Outcome::InDoubt, "{answer:?}");
    }
    for books in [Act::CloseAfterRequest, ok(busy), ok(r#"{"result_code":200,"data":null}"#)] {
        let answer = refund(vec![ok(REFUSED), ok(ABSENT), books], Some((0, 0))).await;
        assert_eq!(answer.outcome, Outcome::InDoubt, "{answer:?}");
    }
}

#[tokio::test]
async fn a_refusal_of_a_refund_that_is_known_takes_its_row() {
    let repeated = r#"{"result_code":400,"result_message":"退款单号重复","sub_code":"REFUND_SN_REPEATED"}"#;
    for (word, outcome) in [
        ("REFUND_SUCCESS", Outcome::Succeeded),
        ("REFUND_PROCESSING", Outcome::Accepted),
        ("REFUND_FAILER", Outcome::Declined),
        ("REFUND_FAIL", Outcome::Declined),
        ("REFUND_LATER", Outcome::InDoubt),
    ] {
        let row = REFUND_DONE.replace("REFUND_SUCCESS", word);
        let answer = refund(vec![ok(repeated), ok(&row), statistics(1, "69.5")], Some((0, 0))).await;
        assert_eq!(answer.outcome, outcome, "{word}: {answer:?}");
    }
    let row = REFUND_DONE.replace("\"refund_money\": 10.5", "\"refund_money\": 10.51");
    let answer = refund(vec![ok(repeated), ok(&row), statistics(1, "69.5")], Some((0, 0))).await;
    assert_eq!(answer.outcome, Outcome::InDoubt, "another amount");
}

#[tokio::test]
async fn wrong_signature_or_app_id_is_blocked_and_asks_nothing() {
    for refusal in [WRONG_SIGN, r#"{"result_code":"4901","result_message":"应用不存在","data":[]}"#] {
        let answer = refund(vec![ok(refusal)], Some((0, 0))).await;
        assert_eq!((answer.outcome, answer.blocked), (Outcome::Blocked, Some(BlockReason::Credentials)), "{answer:?}");
    }
}

#[tokio::test]
async fn a_platforms_words_about_a_signature_block_only_if_reads_fare_the_same() {
    let platform = r#"{"result_code":400,"result_message":"签名校验失败","sub_code":"SIGNERROR"}"#;
    let same = refund(vec![ok(platform), ok(platform), ok(platform)], Some((0, 0))).await;
    assert_eq!((same.outcome, same.blocked), (Outcome::Blocked, Some(BlockReason::Credentials)));
    let moved = refund(vec![ok(platform), ok(ABSENT), statistics(1, "69.5")], Some((0, 0))).await;
    assert_eq!(moved.outcome, Outcome::InDoubt);
}

#[tokio::test]
async fn listed_codes_are_declined_or_blocked_directly() {
    let server = WireServer::start([ok(REFUSED), ok(r#"{"result_code":4077,"result_message":"失败"}"#)]).await;
    let mut listed = configured(settings(&server.base_url));
    listed.declined_codes = vec!["NOT_ENOUGH".to_owned()];
    listed.credential_codes = vec!["4077".to_owned()];
    let gateway = FubeiGateway::new(listed).expect("good settings");
    let call = refund_call(None);
    assert_eq!(gateway.refund(&call).await.outcome, Outcome::Declined);
    assert_eq!(gateway.refund(&call).await.outcome, Outcome::Blocked);
    assert_eq!(server.unplayed(), 0);
}

#[tokio::test]
async fn an_answer_without_a_code_is_in_doubt() {
    let answer = refund(vec![ok(r#"{"result_message":"成功"}"#)], Some((0, 0))).await;
    let message = some("the answer could not be read: result_code is missing");
    assert_eq!(parts(answer), (Outcome::InDoubt, None, None, some("200"), message));
}

#[tokio::test]
async fn a_secret_that_cannot_be_had_blocks_before_anything_is_sent() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("secret");
    let server = WireServer::start([]).await;
    let mut settings = configured(settings(&server.base_url));
    settings.secret = Arc::new(FileSecret::new(&path));
    let gateway = FubeiGateway::new(settings).expect("good settings");
    let answer = gateway.refund(&refund_call(None)).await;
    let message = format!("the secret's file {} cannot be read", path.display());
    let expected = (Outcome::Blocked, Some(BlockReason::Credentials), None, None, Some(message));
    assert_eq!(parts(answer), expected);
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_probe_reads_the_row_or_brings_evidence() {
    let server = WireServer::start([ok(REFUND_DONE), ok(ABSENT), statistics(0, "80")]).await;
    let gateway = gateway(settings(&server.base_url));
    let call = refund_call(Some((0, 0)));
    let found = gateway.probe(&call).await.expect("an answer");
    let words = some("退款查询成功: REFUND_SUCCESS");
    assert_eq!(parts(found), (Outcome::Succeeded, None, some("20170602100603639901"), some("200"), words));
    let absent = gateway.probe(&call).await.expect("an answer");
    let evidence = "refund.query knows no such number: 退款不存在 (REFUND_NOT_EXIST); \
                    refund.statistics is as before the attempt";
    assert_eq!(parts(absent), (Outcome::InDoubt, None, None, None, some(evidence)));
    let asked: Value = serde_json::from_str(&server.requests()[0].body).expect("JSON");
    assert_eq!(asked["method"], "openapi.payment.order.refund.query");
    let biz = r#"{"merchant_refund_sn":"R20170602000001","order_sn":"20170601215348178414"}"#;
    assert_eq!(asked["biz_content"], biz);
}

#[tokio::test]
async fn a_fetch_is_the_query_and_the_statistics() {
    let server = WireServer::start([ok(SUCCESS), ok(STATISTICS)]).await;
    let gateway = gateway(settings(&server.base_url));
    let mut facts = gateway.fetch_order(&[order_sn()]).await.expect("read").expect("known");
    facts.asked_at = at(1);
    let mut expected = Facts {
        merchant: "20160922135339595387".to_owned(),
        refunded: Some(fen(1_050)),
        refund_count: Some(1),
        ..sample_facts()
    };
    expected.details.insert("can_refund".to_owned(), json!("69.50"));
    assert_eq!(facts, expected);
    assert_eq!(server.unplayed(), 0);
}

#[tokio::test]
async fn a_number_of_unknown_kind_is_tried_as_each_kind() {
    let absent = || ok(r#"{"result_code":400,"result_message":"订单不存在"}"#);
    let number = "201706011496325244549";
    let wanted = ["order_sn", "trade_no", "merchant_order_sn"].map(|kind| reference(kind, number));
    let server = WireServer::start([absent(), absent(), ok(SUCCESS), ok(STATISTICS)]).await;
    let found = gateway(settings(&server.base_url)).fetch_order(&wanted).await.expect("read");
    assert_eq!(found.and_then(|facts| facts.native), Some(order_sn()));
    assert_eq!(server.unplayed(), 0);
    let server = WireServer::start([absent(), absent(), absent()]).await;
    assert_eq!(gateway(settings(&server.base_url)).fetch_order(&wanted).await, Ok(None));
}

#[tokio::test]
async fn a_fetch_refuses_what_is_not_about_the_order_asked_for() {
    let server = WireServer::start([ok(SUCCESS)]).await;
    let wanted = [reference("order_sn", "20170601215348178415")];
    let error = gateway(settings(&server.base_url)).fetch_order(&wanted).await.expect_err("another order");
    assert_eq!(error.kind, ReadErrorKind::Unreadable);
    let server = WireServer::start([ok(include_str!("../fixtures/fubei/order_query-fail_400.json"))]).await;
    let error = gateway(settings(&server.base_url)).fetch_order(&[order_sn()]).await.expect_err("refused");
    assert_eq!(
        (error.kind, error.to_string().as_str()),
        (ReadErrorKind::Refused, "order.query: 失败 (ERROR_CODE) (code 400)",)
    );
}

#[tokio::test]
async fn a_file_secret_is_read_again_after_a_refusal() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("secret");
    std::fs::write(&path, "first\n").expect("written");
    let server = WireServer::start([ok(WRONG_SIGN), ok(SUCCESS), ok(STATISTICS), ok(WRONG_SIGN)]).await;
    let mut settings = configured(settings(&server.base_url));
    let source = Arc::new(FileSecret::new(&path));
    tillbook::clients::credential::CredentialSource::secret(&*source).expect("read once");
    std::fs::write(&path, "second\n").expect("written");
    settings.secret = source;
    let gateway = FubeiGateway::new(settings).expect("good settings");
    assert!(gateway.fetch_order(&[order_sn()]).await.expect("read with the second").is_some());
    // The same secret again would fare the same: the refusal stands.
    let error = gateway.fetch_order(&[order_sn()]).await.expect_err("refused");
    assert_eq!((error.kind, server.unplayed()), (ReadErrorKind::Credentials, 0));
}

#[tokio::test]
async fn a_generated_client_cannot_move_money() {
    use tillbook::clients::fubei::{api, client};
    use tillbook::clients::wire::{JsonText, Yuan};

    let server = WireServer::start([]).await;
    let client = client(&configured(settings(&server.base_url))).expect("good settings");
    let biz: api::types::OrderRefundBiz = api::types::OrderRefundBiz::builder()
        .order_sn(some("20170601215348178414"))
        .merchant_refund_sn("R1")
        .refund_money(Yuan::from_fen(1))
        .try_into()
        .expect("complete");
    let blank = |body: api::types::builder::OrderRefundCall| {
        body.app_id("").method("").format("").sign_method("").nonce("").sign("").biz_content(JsonText(biz))
    };
    let error = client.order_refund().body_map(blank).send().await.expect_err("refused");
    assert_eq!(error.to_string(), "Error: operation `order_refund` moves money: only the ledger may call it");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn no_debug_or_error_text_holds_the_secret() {
    let server = WireServer::start([ok(WRONG_SIGN)]).await;
    let gateway = gateway(settings(&server.base_url));
    let error = gateway.fetch_order(&[order_sn()]).await.expect_err("refused");
    let texts = format!("{gateway:?} {error:?} {error}");
    assert!(!texts.contains("test-secret"), "{texts}");
}

#[tokio::test]
async fn a_check_proves_the_signature_and_compares_the_clocks() {
    let bill = include_str!("../fixtures/fubei/order_bill-response.json");
    let server = WireServer::start([ok(bill), ok(WRONG_SIGN)]).await;
    let gateway = gateway(settings(&server.base_url));
    let checked = gateway.check().await.expect("accepted");
    assert_eq!(checked.proven, ["signature and app_id accepted"]);
    assert_eq!(checked.upstream_time, Some(at(1_496_325_236)));
    assert!(checked.warnings[0].starts_with("this clock is "), "{:?}", checked.warnings);
    let error = gateway.check().await.expect_err("refused");
    assert_eq!(error.kind, ReadErrorKind::Credentials);
}
