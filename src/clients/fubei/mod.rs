//! Fubei 付呗, gateway v1: one signed POST for every method.
//!
//! `api` is generated from `specs/fubei.yaml` and outside semantic versioning.

/// The generated client of `specs/fubei.yaml`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod api {
    include!(concat!(env!("OUT_DIR"), "/fubei.rs"));
}

crate::clients::call::hooks!(api::Client);
