//! An order and refund ledger for tills, kiosks and store back ends.
//!
//! # Layout
//! In reading order: [`domain`] holds money, orders, refunds and the rules between them;
//! [`storage`] keeps them; [`ledger`] is the handle that programs hold; [`gateway`] says what is
//! asked of an upstream, and [`clients`] asks it; [`sync`] brings facts in and refunds out;
//! [`sandbox`] is the three upstreams on one loopback server, for tests.

// Generated code names generic wire types by an absolute path (`x-rust-type` in the specs).
extern crate self as tillbook;

pub mod domain;

mod future;

pub mod storage;

pub mod ledger;

pub mod gateway;

pub mod clients;

pub mod sync;

pub mod blocking;

#[cfg(feature = "sandbox")]
pub mod sandbox;

pub use domain::decide::Repeat;
pub use domain::{
    AccountName, DeviceName, Facts, Money, MoneyError, OrderId, OrderRecord, OrderStatus, Reference, Refund, RefundKey,
    RefundState, RefundStatus, Rejection, Requested, Timestamp,
};
pub use future::BoxFuture;
pub use ledger::{
    AccountSettings, Clock, Error, Ledger, LedgerBuilder, Profile, RecordOrder, RefundQuery, RefundRequest, Refunded,
    Sending, SystemClock, Wanted,
};
pub use storage::{OrderQuery, Page};
pub use sync::{Progress, SyncOptions, SyncReport};
