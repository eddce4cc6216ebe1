//! Fubei: every sample field by field, every row of the classification table on a real socket.

mod read;
mod refund;
mod samples;
mod sandbox;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tillbook::clients::credential::{FileSecret, StaticSecret};
use tillbook::clients::decode::{DecodeError, Decoded, SeenRefund};
use tillbook::clients::fubei::{FubeiGateway, FubeiSettings, decode};
use tillbook::clients::http::HttpSettings;
use tillbook::domain::{
    Answer, Baseline, BlockReason, DeviceName, Facts, GatewayName, Money, OrderStatus, Outcome, PaidAtSource,
    PaymentMethod, Proof, Reference, Refund, RefundKey, RefundState, Requested, Timestamp,
};
use tillbook::gateway::{BadRow, Gateway, ReadErrorKind, RefundCall};

use crate::wire_faults::{read_rows, refund_rows, settings};
use crate::wire_server::{Act, WireServer};

const SUCCESS: &str = include_str!("../../fixtures/fubei/order_query-success.json");
const STATISTICS: &str = include_str!("../../fixtures/fubei/refund_statistics-response.json");
const ACCEPTED: &str = include_str!("../../fixtures/fubei/refund-response_accepted.json");
const REFUSED: &str = include_str!("../../fixtures/fubei/refund-response_platform_error.json");
const REFUND_DONE: &str = include_str!("../../fixtures/fubei/refund_query-success.json");
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
    let key = RefundKey::new("R20170602000001").expect("valid");
    let device = DeviceName::new("till-3").expect("valid");
    let (requested, now) = (Requested::Exactly(fen(1_050)), at(1_496_369_000));
    RefundCall {
        refund: Refund {
            state: RefundState::Sending,
            attempts: 1,
            baseline,
            ..Refund::queued(key, requested, fen(1_050), device, now)
        },
        references: vec![order_sn()],
        native: order_sn(),
        paid: fen(8_000),
        baseline,
        others: Vec::new(),
        lease: None,
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
        upstream_time: None,
        body: None,
    }
}

fn one_order(facts: Facts) -> Result<Decoded, DecodeError> {
    Ok(Decoded::Orders { orders: vec![facts], bad_rows: vec![] })
}
