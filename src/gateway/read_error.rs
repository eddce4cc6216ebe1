//! Why a read brought nothing.

use std::fmt;

/// What a caller may do about a failed read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReadErrorKind {
    /// No answer, or none in time: try again later.
    Unreachable,
    /// Credentials, signature or function refused: a person must mend them.
    Credentials,
    /// Too many calls, or the upstream is busy: try again later, slower.
    Busy,
    /// The upstream refused the question in its own words.
    Refused,
    /// The answer cannot be read: a field is missing or strange. Trying again will not help.
    Unreadable,
    /// The gateway cannot ask such a thing.
    Unsupported,
}

/// A read that brought nothing. Nothing changed upstream, and it may be asked again.
///
/// The text is safe to show: no secret, no body, no address of a payer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// What may be done about it.
    pub kind: ReadErrorKind,
    /// The upstream's code or the HTTP status, as text.
    pub code: Option<String>,
    /// What was attempted and what came of it, in one line.
    pub message: String,
}

impl ReadError {
    /// Makes an error of that kind.
    #[must_use]
    pub fn new(kind: ReadErrorKind, message: impl Into<String>) -> ReadError {
        ReadError { kind, code: None, message: message.into() }
    }

    /// The same with the upstream's code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> ReadError {
        self.code = Some(code.into());
        self
    }

    /// Whether the network is at fault rather than the question: the refund can wait in the queue.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self.kind, ReadErrorKind::Unreachable | ReadErrorKind::Busy)
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{} (code {code})", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for ReadError {}
