//! Another way to an upstream than a socket: for simulations, where one seed decides what becomes of each request.

use bytes::Bytes;

use super::failure::Failure;
use crate::BoxFuture;
use crate::domain::Timestamp;

/// Carries requests to an upstream, and tells the time there is on the way.
#[doc(hidden)]
pub trait Route: Send + Sync + 'static {
    /// Carries one request, once.
    ///
    /// # Errors
    /// What became of it: [`Failure::NotConnected`], [`Failure::Lost`], [`Failure::BrokenOff`].
    fn carry(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, Failure>>;

    /// The time by this side's clock.
    fn now(&self) -> Timestamp;
}
