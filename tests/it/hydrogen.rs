//! hydrogen: every sample field by field, every row of the classification table on a real socket, and the sandbox.

use std::sync::Arc;

use tillbook::clients::credential::StaticSecret;
use tillbook::clients::http::HttpSettings;
use tillbook::clients::hydrogen::{HydrogenGateway, HydrogenSettings, OrdersFrom};
use tillbook::domain::{DeviceName, Money, Reference, Refund, RefundKey, RefundState, Requested, Timestamp};
use tillbook::gateway::RefundCall;

mod doors;
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

fn configured(http: HttpSettings, orders: OrdersFrom) -> HydrogenSettings {
    let secret = |text: &str| Arc::new(StaticSecret::new(text));
    let settings = HydrogenSettings::new(http, "client-7", secret("user-token"), secret("function-secret"));
    HydrogenSettings { orders, ..settings }
}

/// An adapter that reads orders through the cloud function.
fn gateway(http: HttpSettings) -> HydrogenGateway {
    HydrogenGateway::new(configured(http, OrdersFrom::Function)).expect("good settings")
}

/// An adapter that reads the token's user's orders.
fn user_gateway(http: HttpSettings) -> HydrogenGateway {
    HydrogenGateway::new(configured(http, OrdersFrom::User)).expect("good settings")
}

/// A refund of `amount_fen` of the order of seed 000 under `key`.
fn refund_call(key: &str, amount_fen: i64, references: &[(&str, &str)]) -> RefundCall {
    let now = at("2018-10-13T00:00:00Z");
    let amount = fen(amount_fen);
    let key = RefundKey::new(key).expect("valid");
    let device = DeviceName::new("till-3").expect("valid");
    RefundCall {
        refund: Refund {
            state: RefundState::Sending,
            attempts: 1,
            memo: some("部分退款"),
            sent_at: Some(now),
            ..Refund::queued(key, Requested::Exactly(amount), amount, device, now)
        },
        references: references.iter().map(|(kind, number)| reference(kind, number)).collect(),
        native: reference("transaction_no", "XDiXbfLFyd8DpxSWqBUcb2jW1AvhVORC"),
        paid: fen(39_800),
        baseline: None,
        others: Vec::new(),
        lease: None,
    }
}

/// The sample refund of 100.50, by the order's id.
fn sample_call() -> RefundCall {
    refund_call("till-3-0001", 10_050, &[("id", "47963")])
}
