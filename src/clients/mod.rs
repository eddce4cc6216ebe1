//! The wire: generated clients, the types they speak, signing, error classification, one adapter per upstream.
//!
//! Here lives everything that knows HTTP or the spelling of an upstream. Decisions about orders and refunds never do:
//! an adapter tells what it saw, as an outcome or as facts, and the ledger decides.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`wire`] | amounts, times, texts and lists as upstreams spell them |
//! | [`call`] | one call: what was sent, what came back, who may call what |
//! | [`http`] | the one HTTP client under all of them |
//! | [`failure`] | what a call that gave no answer means: nothing left us, or nobody knows |
//! | [`credential`] | where secrets come from |
//! | `fubei`, `trade_order`, `hydrogen` | per upstream: `api` is generated, the rest is written by hand |
//!
//! The generated clients are public, so that a program can read what the ledger does not keep. They follow the specs
//! and stand outside semantic versioning. An operation whose spec says `x-call-safety: unsafe` is refused before
//! anything is sent unless the ledger makes the call. Start reading at [`call`].

// Without a gateway nothing calls the parts that all gateways share.
#![cfg_attr(not(any(feature = "fubei", feature = "hydrogen", feature = "trade_order")), allow(dead_code))]

pub mod call;
pub(crate) mod classify;
pub mod credential;
pub mod decode;
pub mod failure;
pub(crate) mod fields;
pub mod http;
#[cfg(any(feature = "hydrogen", feature = "trade_order"))]
pub(crate) mod reread;
#[doc(hidden)]
pub mod route;
#[cfg(any(feature = "hydrogen", feature = "trade_order"))]
pub(crate) mod rows;
pub mod wire;

#[cfg(feature = "fubei")]
pub mod fubei;
#[cfg(feature = "hydrogen")]
pub mod hydrogen;
#[cfg(feature = "trade_order")]
pub mod trade_order;
