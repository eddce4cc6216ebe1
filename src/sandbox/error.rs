//! Why the sandbox refuses something of a test or a script.

use super::fault::Upstream;

/// Why the sandbox could not do what a test or a script asked of it; nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The port is taken, or the machine refuses to listen.
    #[error("could not listen on 127.0.0.1:{port}")]
    Listen {
        /// The port.
        port: u16,
        /// What the machine said.
        #[source]
        source: std::io::Error,
    },
    /// The sandbox was stopped.
    #[error("the sandbox was stopped")]
    Stopped,
    /// No order bears this number.
    #[error("{upstream} has no order {number}")]
    UnknownOrder {
        /// Who was asked.
        upstream: Upstream,
        /// The number.
        number: String,
    },
    /// No unfinished refund bears this number.
    #[error("{upstream} has no unfinished refund {number}")]
    UnknownRefund {
        /// Who was asked.
        upstream: Upstream,
        /// The number.
        number: String,
    },
    /// Another order bears the number.
    #[error("another order has the {name} {number}")]
    NumberTaken {
        /// The number's name in the upstream's rows.
        name: String,
        /// The number.
        number: String,
    },
    /// Not positive, or more than the order has left.
    #[error("cannot refund {asked_fen} fen: {left_fen} are left")]
    NotEnough {
        /// What was asked for, in fen.
        asked_fen: i64,
        /// What the order has left, in fen.
        left_fen: i64,
    },
    /// What was asked for makes no sense.
    #[error("not possible: {0}")]
    Invalid(String),
    /// More orders, refunds or faults than a test can mean.
    #[error("the sandbox is full")]
    Full,
}
