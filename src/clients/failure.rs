//! What a call means that gave no usable answer.
//!
//! One question decides everything about money: may the upstream have acted? [`Failure::may_have_arrived`] answers it,
//! by the rows of the classification table that hold for every upstream. "Not retryable" is not "did not happen", so
//! no other flag of any error is asked.

use thiserror::Error;

use super::call::RawAnswer;

/// Why a call gave no usable answer. Holds no secret, no URL and no body in its texts.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Failure {
    /// The operation moves money and the ledger did not make the call. Nothing was sent.
    #[error("operation `{operation}` moves money: only the ledger may call it")]
    NotPermitted {
        /// The operation asked for.
        operation: &'static str,
    },
    /// The request could not be built or signed. Nothing was sent.
    #[error("the request could not be built: {why}")]
    NotBuilt {
        /// What was wrong with it.
        why: String,
    },
    /// The account's secret cannot be had. Nothing was sent.
    #[error("{why}")]
    NoCredentials {
        /// Why not; without the secret.
        why: String,
    },
    /// The attempt's lease left no time for an answer. Nothing was sent.
    #[error("the attempt began too long ago: somebody else may have taken it over")]
    TooLate,
    /// No connection: refused, unknown host, TLS failure, or not within the connect timeout. Nothing was sent.
    #[error("no connection to the upstream: {why}")]
    NotConnected {
        /// What the transport says.
        why: String,
    },
    /// No answer within the total timeout. The upstream may have acted.
    #[error("no answer within the timeout")]
    TimedOut,
    /// The connection ended without an answer. The upstream may have acted.
    #[error("the connection was lost before an answer: {why}")]
    Lost {
        /// What the transport says.
        why: String,
    },
    /// An answer began and broke off. The upstream may have acted.
    #[error("the answer (status {status}) broke off: {why}")]
    BrokenOff {
        /// The HTTP status that had come.
        status: u16,
        /// What the transport says.
        why: String,
    },
    /// A status that the spec does not declare, with its raw answer: the adapter's own table judges some of them.
    #[error("unforeseen status {}", answer.status)]
    Status {
        /// The answer as it came.
        answer: RawAnswer,
    },
    /// A success status with a body that is not what the spec says. The upstream may have acted.
    #[error("the answer could not be read: {why}")]
    Unread {
        /// The answer as it came; `None` when it was lost.
        answer: Option<RawAnswer>,
        /// The field and what is wrong with it.
        why: String,
    },
}

impl Failure {
    /// Whether the upstream may have acted on the request. `false` is proof that nothing left this machine.
    ///
    /// Holds because redirects are off and the connect timeout is below the total: only then does a connect error
    /// say that no host has seen the request.
    pub fn may_have_arrived(&self) -> bool {
        match self {
            Failure::NotPermitted { .. }
            | Failure::NotBuilt { .. }
            | Failure::NoCredentials { .. }
            | Failure::TooLate
            | Failure::NotConnected { .. } => false,
            Failure::TimedOut
            | Failure::Lost { .. }
            | Failure::BrokenOff { .. }
            | Failure::Status { .. }
            | Failure::Unread { .. } => true,
        }
    }

    /// The raw answer, where one came.
    pub fn answer(&self) -> Option<&RawAnswer> {
        match self {
            Failure::Status { answer } => Some(answer),
            Failure::Unread { answer, .. } => answer.as_ref(),
            Failure::NotPermitted { .. }
            | Failure::NotBuilt { .. }
            | Failure::NoCredentials { .. }
            | Failure::TooLate
            | Failure::NotConnected { .. }
            | Failure::TimedOut
            | Failure::Lost { .. }
            | Failure::BrokenOff { .. } => None,
        }
    }

    /// A transport error before any answer.
    pub(crate) fn of_transport(error: reqwest::Error) -> Self {
        // Order matters: a connect timeout is a timeout too, but nothing was sent.
        if error.is_builder() {
            Failure::NotBuilt { why: transport_text(error) }
        } else if error.is_connect() {
            Failure::NotConnected { why: transport_text(error) }
        } else if error.is_timeout() {
            Failure::TimedOut
        } else {
            Failure::Lost { why: transport_text(error) }
        }
    }

    pub(crate) fn unread(answer: Option<RawAnswer>, why: String) -> Self {
        Failure::Unread { answer, why }
    }
}

/// The innermost reason of a transport error; the outer texts repeat it, and hold the URL.
pub(crate) fn transport_text(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut reason: &dyn std::error::Error = &error;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    reason.to_string()
}
