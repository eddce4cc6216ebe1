//! A refund through each adapter, without a socket: spelled as the upstream wants it, signed with its kind of
//! signature, and its answer understood.

use std::sync::Arc;

use bytes::Bytes;
use divan::{Bencher, black_box};
use tillbook::clients::credential::{CredentialSource, StaticSecret};
use tillbook::clients::failure::Failure;
use tillbook::clients::fubei::{FubeiGateway, FubeiSettings};
use tillbook::clients::http::HttpSettings;
use tillbook::clients::hydrogen::{HydrogenGateway, HydrogenSettings};
use tillbook::clients::route::Route;
use tillbook::clients::trade_order::{TradeOrderGateway, TradeOrderSettings};
use tillbook::domain::Outcome;
use tillbook::gateway::{BoxFuture, Gateway, RefundCall};
use tillbook::storage::conformance::shop;
use tillbook::{Reference, Refund, RefundKey, RefundState, Requested, Timestamp};

const FUBEI: &str = include_str!("../../tests/fixtures/fubei/refund-response_accepted.json");
const TRADE_ORDER: &str = include_str!("../../tests/fixtures/trade_order/refund-response_success.json");
const HYDROGEN: &str = r#"{"code":0,"data":{"state":"done","refund":{"id":1024,"refund_no":"RFN1",
    "refund_amount":"10.50","order_id":47963,"memo":null,"status":"succeed","error_msg":null},"replayed":false},"error":{}}"#;

/// An upstream that answers everything alike, at once.
struct Alike(&'static str);

impl Route for Alike {
    fn carry(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, Failure>> {
        black_box(request);
        let answer = http::Response::new(Bytes::from_static(self.0.as_bytes()));
        Box::pin(std::future::ready(Ok(answer)))
    }

    fn now(&self) -> Timestamp {
        shop::at(0)
    }
}

fn answered_with(body: &'static str) -> HttpSettings {
    let mut settings = HttpSettings::new("http://upstream");
    settings.route = Some(Arc::new(Alike(body)));
    settings
}

fn secret() -> Arc<dyn CredentialSource> {
    Arc::new(StaticSecret::new("b9a2ab5e4bcd4cb1a4bb44d4a4a4a4a4"))
}

/// A refund of 10.50 of the order with that number, which also has the number by which hydrogen's function takes it.
fn call(kind: &str, number: &str) -> RefundCall {
    let reference = |kind: &str, number: &str| Reference::new(kind, number).expect("plain words are references");
    let key = RefundKey::new("R20170602000001").expect("a plain word is a key");
    let amount = shop::fen(1_050);
    let queued = Refund::queued(key, Requested::Exactly(amount), amount, shop::device(), shop::at(0));
    let refund = Refund { state: RefundState::Sending, attempts: 1, sent_at: Some(shop::at(0)), ..queued };
    let references = vec![reference(kind, number), reference("id", "47963")];
    let native = reference(kind, number);
    RefundCall { refund, references, native, paid: shop::fen(8_000), baseline: None, others: Vec::new(), lease: None }
}

/// Measures a refund whose answer must be understood as this.
fn refund(bencher: Bencher<'_, '_>, gateway: &dyn Gateway, call: &RefundCall, outcome: Outcome) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let answer = runtime.block_on(gateway.refund(call));
    assert_eq!(answer.outcome, outcome, "{answer:?}");
    bencher.bench_local(|| runtime.block_on(gateway.refund(black_box(call))));
}

#[divan::bench]
fn fubei_md5(bencher: Bencher<'_, '_>) {
    let settings = FubeiSettings::new(answered_with(FUBEI), "20990101", secret());
    let gateway = FubeiGateway::new(settings).expect("the settings are in order");
    refund(bencher, &gateway, &call("order_sn", "20170601215348178414"), Outcome::Accepted);
}

#[divan::bench]
fn trade_order_token(bencher: Bencher<'_, '_>) {
    let settings = TradeOrderSettings::new(answered_with(TRADE_ORDER), secret());
    let gateway = TradeOrderGateway::new(settings).expect("the settings are in order");
    refund(bencher, &gateway, &call("tradeOrderId", "E01201908240927240001"), Outcome::Succeeded);
}

#[divan::bench]
fn hydrogen_hmac(bencher: Bencher<'_, '_>) {
    let settings = HydrogenSettings::new(answered_with(HYDROGEN), "client-7", secret(), secret());
    let gateway = HydrogenGateway::new(settings).expect("the settings are in order");
    refund(bencher, &gateway, &call("transaction_no", "XDiXbfLFyd8DpxSWqBUcb2jW1AvhVORC"), Outcome::Succeeded);
}
