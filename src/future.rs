//! The one future type that the crate's object-safe traits give back.

use std::future::Future;
use std::pin::Pin;

/// A boxed future, so that gateways and storages can be trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
