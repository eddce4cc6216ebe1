//! Fubei 付呗, gateway v1: one signed POST for every method.
//!
//! `api` is generated from `specs/fubei.yaml` and outside semantic versioning; the rest is written by hand: `sign`
//! makes the signature, `envelope` reads `result_code`, `orders` and `refunds` say what answers mean, `gateway` is the
//! adapter, `bill` the one list there is. Start reading at [`FubeiGateway`].

mod bill;
mod decode;
mod envelope;
mod gateway;
mod orders;
mod refunds;
mod sign;

pub use bill::Bill;
pub use decode::{OPERATIONS as DECODABLE, decode};
pub use gateway::{FubeiGateway, FubeiSettings, client};

/// The generated client of `specs/fubei.yaml`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod api {
    include!(concat!(env!("OUT_DIR"), "/fubei.rs"));
}

crate::clients::call::hooks!(api::Client);
