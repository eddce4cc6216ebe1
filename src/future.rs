//! The one future type that the crate's object-safe traits give back, and how a task begins.

use std::future::Future;
use std::pin::Pin;

// Under `--cfg shuttle` (see `storage/lock.rs`) a test decides whose turn it is, a task's too.
#[cfg(shuttle)]
pub(crate) use shuttle::future::spawn;
#[cfg(not(shuttle))]
pub(crate) use tokio::spawn;

/// A boxed future, so that gateways and storages can be trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
