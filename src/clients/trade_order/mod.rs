//! The merchant trade_order API (the XxPay family): one JSON answer with code, msg and data.
//!
//! `api` is generated from `specs/trade_order.yaml` and outside semantic versioning.

/// The generated client of `specs/trade_order.yaml`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod api {
    include!(concat!(env!("OUT_DIR"), "/trade_order.rs"));
}

crate::clients::call::hooks!(api::Client);
