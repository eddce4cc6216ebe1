//! An order and refund ledger for tills, kiosks and store back ends.

// Generated code names generic wire types by an absolute path (`x-rust-type` in the specs).
extern crate self as tillbook;

pub mod clients;
pub mod domain;
pub mod gateway;
pub mod ledger;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod storage;
pub mod sync;

pub use domain::{
    AccountName, DeviceName, Money, MoneyError, OrderId, OrderStatus, Reference, RefundKey, RefundState, Rejection,
    Timestamp,
};
