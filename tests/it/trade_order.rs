//! trade_order: every sample field by field, every row of the classification table on a real socket, and the sandbox.

use std::sync::Arc;

use tillbook::clients::credential::StaticSecret;
use tillbook::clients::http::HttpSettings;
use tillbook::clients::trade_order::{TradeOrderGateway, TradeOrderSettings};
use tillbook::domain::{DeviceName, Money, Reference, Refund, RefundKey, RefundState, Requested, Timestamp};
use tillbook::gateway::RefundCall;

mod evidence;
mod refunds;
mod samples;
mod sandbox;
mod wire;

fn at(text: &str) -> Timestamp {
    Timestamp::from(text.parse::<jiff::Timestamp>().expect("a moment"))
}

fn fen(fen: i64) -> Money {
    Money::from_fen(fen).expect("in range")
}

fn reference(kind: &str, number: &str) -> Reference {
    Reference::new(kind, number).expect("valid")
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// The order of seed 002.
fn native() -> Reference {
    reference("tradeOrderId", "E01201908230414433510006")
}

fn configured(http: HttpSettings) -> TradeOrderSettings {
    TradeOrderSettings::new(http, Arc::new(StaticSecret::new("header.payload.signature")))
}

fn gateway(http: HttpSettings) -> TradeOrderGateway {
    TradeOrderGateway::new(configured(http)).expect("good settings")
}

/// A refund of `amount_fen` of that order, which the upstream may have numbered.
fn refund_call(amount_fen: i64, upstream_refund_no: Option<&str>) -> RefundCall {
    let now = at("2019-08-24T00:00:00Z");
    let amount = fen(amount_fen);
    let key = RefundKey::new("till-3-0001").expect("valid");
    let device = DeviceName::new("till-3").expect("valid");
    RefundCall {
        refund: Refund {
            state: RefundState::Sending,
            attempts: 1,
            memo: some("用户退款"),
            sent_at: Some(now),
            upstream_refund_no: upstream_refund_no.map(str::to_owned),
            ..Refund::queued(key, Requested::Exactly(amount), amount, device, now)
        },
        references: vec![native()],
        native: native(),
        paid: fen(1_900),
        baseline: None,
        others: Vec::new(),
        lease: None,
    }
}
