//! An order and refund ledger for tills, kiosks and store back ends.
//!
//! It keeps a local copy of the orders that payment platforms hold, and it never lets its refunds exceed what was
//! paid: the amount is held, durably, before anything is sent; what is in doubt stays held; nothing is sent twice on
//! hope. Start at [`Ledger`].
//!
//! # Examples
//! An order recorded while offline, refunded in part as soon as the network is back, and one fen too much:
//! ```
//! use std::sync::Arc;
//! # use tillbook::{Ledger, AccountSettings, RecordOrder, Reference, RefundRequest, Requested, Wanted};
//! # #[cfg(all(feature = "fubei", feature = "sandbox"))]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use tillbook::clients::{credential::StaticSecret, fubei::{FubeiGateway, FubeiSettings}, http::HttpSettings};
//! # let dead = HttpSettings::new("http://127.0.0.1:9");
//! # let secret = Arc::new(StaticSecret::new("secret"));
//! # let gateway = FubeiGateway::new(FubeiSettings::new(dead, "2099", secret))?;
//! let ledger = Ledger::builder().device("till-3".parse()?).in_memory().await?;
//! ledger.connect("shop-1".parse()?, Arc::new(gateway), AccountSettings::default())?;
//! let receipt = Reference::new("order_sn", "20170601215348178414")?;
//! ledger
//!     .record_order(RecordOrder {
//!         account: "shop-1".parse()?,
//!         references: vec![receipt.clone()],
//!         paid: "80.00".parse()?,
//!         paid_at: None,
//!         by: None,
//!     })
//!     .await?;
//! let ask = |yuan: &str| -> Result<RefundRequest, Box<dyn std::error::Error>> {
//!     let amount = Requested::Exactly(yuan.parse()?);
//!     Ok(RefundRequest::new("shop-1".parse()?, Wanted::from(receipt.clone()), amount, ledger.make_key()))
//! };
//! let held = ledger.refund(ask("12.50")?).await?;
//! assert_eq!(held.refund.state.as_str(), "queued");
//! let refused = ledger.refund(ask("67.51")?).await.unwrap_err();
//! assert_eq!(
//!     refused.to_string(),
//!     "67.51 is more than the 67.50 that may still be refunded (paid 80.00, refunded 0.00, held 12.50)"
//! );
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "fubei", feature = "sandbox")))]
//! # fn main() {}
//! ```
//!
//! # Layout
//! In reading order: [`domain`] holds money, orders, refunds and the rules between them;
//! [`storage`] keeps them; [`ledger`] is the handle that programs hold; [`gateway`] says what is
//! asked of an upstream, and [`clients`] asks it; [`sync`] brings facts in and refunds out;
//! [`serve`] answers other processes beside a running till;
//! [`sandbox`] is the three upstreams on one loopback server, for tests.

// Generated code names generic wire types by an absolute path (`x-rust-type` in the specs).
extern crate self as tillbook;

pub mod domain;

mod future;
#[cfg(feature = "rustls")]
mod tls;

pub mod storage;

pub mod ledger;

pub mod gateway;

pub mod clients;

pub mod sync;

pub mod serve;

pub mod blocking;

#[cfg(feature = "sandbox")]
pub mod sandbox;

pub use domain::decide::Repeat;
pub use domain::{
    AccountName, Body, DeviceName, Facts, Money, MoneyError, OrderId, OrderRecord, OrderStatus, Reference, Refund,
    RefundKey, RefundState, RefundStatus, Rejection, Requested, Timestamp, Verdict,
};
pub use future::BoxFuture;
pub use ledger::{
    AccountSettings, Adopted, Clock, Error, Forgotten, Ledger, LedgerBuilder, Profile, RecordOrder, RefundList,
    RefundQuery, RefundRequest, RefundTotal, Refunded, Ruling, Sending, Subscription, SystemClock, Wanted,
};
pub use storage::{OrderQuery, Page, Quarantine};
pub use sync::{Progress, Reconciliation, RunOptions, SyncOptions, SyncReport};

#[cfg(all(doctest, feature = "fubei", feature = "sandbox"))]
#[doc = include_str!("../README.md")]
struct Readme;
