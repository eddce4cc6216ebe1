//! The sandbox without a network: calls are carried to it by hand, on the async runtime's clock. For simulations, where
//! one seed decides which calls arrive, when, and how often.

use std::sync::Arc;

use axum::body::{Body, Bytes};

use super::front::House;
use super::inside::Clock;
use super::line::{Begun, Line};
use super::server::{Shared, call_on};
use super::{Builder, Sandbox, SandboxError};

/// What became of a call that was carried in.
#[doc(hidden)]
#[derive(Debug)]
pub enum Carried {
    /// It was answered.
    Answered(http::Response<Bytes>),
    /// The line was cut before any answer.
    Cut,
    /// The line was cut in the middle of an answer with this status.
    CutInBody(u16),
}

impl Builder {
    /// A sandbox that listens nowhere. Its clock is the runtime's, from the chosen start on, or from 1970.
    ///
    /// # Errors
    /// [`SandboxError::Full`] where there are too many orders to make.
    #[doc(hidden)]
    pub fn unplugged(self) -> Result<Sandbox, SandboxError> {
        let inside = self.inside(Clock::Runtime(tokio::time::Instant::now()))?;
        Ok(Sandbox { house: House::closed(Shared::new(inside)) })
    }
}

impl Sandbox {
    /// Does what a call asks for as if it had come by the network, faults included.
    #[doc(hidden)]
    pub async fn carry(&self, request: http::Request<Bytes>) -> Carried {
        let line = Line::loose();
        let response = call_on(Arc::clone(&self.house), line.clone(), request.map(Body::from)).await;
        match line.is_cut() {
            Some(Begun(true)) => return Carried::CutInBody(response.status().as_u16()),
            Some(Begun(false)) => return Carried::Cut,
            None => {}
        }
        let (parts, body) = response.into_parts();
        match axum::body::to_bytes(body, usize::MAX).await {
            Ok(body) => Carried::Answered(http::Response::from_parts(parts, body)),
            Err(_) => Carried::CutInBody(parts.status.as_u16()),
        }
    }
}
