//! 知晓云 (hydrogen): a REST list of one user's orders, and the merchant's cloud function through which the whole app's
//! orders are read and refunds go.
//!
//! `api` is generated from `specs/hydrogen.yaml` and outside semantic versioning; the rest is written by hand:
//! `authorize` adds the headers and the function's mac, `function` runs jobs and reads their two envelopes, `orders`
//! and `refunds` say what answers mean, `doors` sends refunds and shuts them out, `gateway` is the adapter. Start
//! reading at [`HydrogenGateway`].

mod authorize;
mod decode;
mod doors;
mod function;
mod gateway;
mod list;
mod orders;
mod refunds;

pub use decode::{OPERATIONS as DECODABLE, decode};
pub use gateway::{HydrogenGateway, HydrogenSettings, OrdersFrom, client};

/// The generated client of `specs/hydrogen.yaml`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod api {
    include!(concat!(env!("OUT_DIR"), "/hydrogen.rs"));
}

crate::clients::call::hooks!(api::Client);
