//! 知晓云 (hydrogen): a REST list of orders, and the cloud function through which refunds go.
//!
//! `api` is generated from `specs/hydrogen.yaml` and outside semantic versioning.

/// The generated client of `specs/hydrogen.yaml`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod api {
    include!(concat!(env!("OUT_DIR"), "/hydrogen.rs"));
}

crate::clients::call::hooks!(api::Client);
