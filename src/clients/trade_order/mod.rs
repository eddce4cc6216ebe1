//! The merchant trade_order API (the XxPay family): one JSON answer with code, msg and data.
//!
//! `api` is generated from `specs/trade_order.yaml` and outside semantic versioning; the rest is written by hand:
//! `envelope` reads `code`, `orders` and `refunds` say what answers mean, `list` asks for pages, `refund_list` reads the
//! gateway's refunds, `likeness` finds one among them that nobody numbered, `gateway` is the adapter.
//! Start reading at [`TradeOrderGateway`].

mod decode;
mod envelope;
mod gateway;
mod likeness;
mod list;
mod orders;
mod refund_list;
mod refunds;

pub use decode::{OPERATIONS as DECODABLE, decode};
pub use gateway::{TradeOrderGateway, TradeOrderSettings, client};

/// The generated client of `specs/trade_order.yaml`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod api {
    include!(concat!(env!("OUT_DIR"), "/trade_order.rs"));
}

crate::clients::call::hooks!(api::Client);
