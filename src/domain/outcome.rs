//! What an attempt tells.

use serde::{Deserialize, Serialize};

use super::{RefundState, Timestamp};

/// What one attempt at a refund tells about the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing left this machine. May be sent again.
    NotSent,
    /// Refused unexecuted for a reason that is not this refund's: the refund stays queued and the
    /// account pauses.
    Blocked,
    /// Refused, and proven not executed. Final.
    Declined,
    /// Taken by the upstream; the money is expected to move.
    Accepted,
    /// The money moved.
    Succeeded,
    /// Nobody knows. Held until there is evidence; never sent again on hope.
    InDoubt,
}

impl Outcome {
    /// The word that is printed and parsed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::NotSent => "not_sent",
            Outcome::Blocked => "blocked",
            Outcome::Declined => "declined",
            Outcome::Accepted => "accepted",
            Outcome::Succeeded => "succeeded",
            Outcome::InDoubt => "in_doubt",
        }
    }

    /// The state that a refund takes from this outcome.
    #[must_use]
    pub fn state(self) -> RefundState {
        match self {
            Outcome::NotSent | Outcome::Blocked => RefundState::Queued,
            Outcome::Declined => RefundState::Declined,
            Outcome::Accepted => RefundState::Accepted,
            Outcome::Succeeded => RefundState::Succeeded,
            Outcome::InDoubt => RefundState::InDoubt,
        }
    }
}

/// Why an account is blocked: decides what the account waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockReason {
    /// Credentials, signature or function missing: a person must mend them.
    Credentials,
    /// The upstream is busy with another refund of this order (trade_order 12077).
    Busy,
    /// Too many calls.
    Rate,
}

/// An outcome with all that came with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What it tells about the money.
    pub outcome: Outcome,
    /// Set with [`Outcome::Blocked`].
    pub blocked: Option<BlockReason>,
    /// The upstream's number of the refund, where it gave one.
    pub upstream_refund_no: Option<String>,
    /// The upstream's code, or the HTTP status, as text.
    pub code: Option<String>,
    /// The upstream's words, or what happened on the way; safe to show, without secrets.
    pub message: Option<String>,
    /// When the attempt ended (our clock). Only reads that began later are evidence about it.
    pub ended_at: Timestamp,
}

impl Answer {
    /// An answer with nothing but its outcome.
    #[must_use]
    pub fn new(outcome: Outcome, ended_at: Timestamp) -> Answer {
        Answer { outcome, blocked: None, upstream_refund_no: None, code: None, message: None, ended_at }
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome::{Accepted, Blocked, Declined, InDoubt, NotSent, Succeeded};

    #[test]
    fn an_outcome_is_printed_as_the_word_it_is_stored_under() {
        for outcome in [NotSent, Blocked, Declined, Accepted, Succeeded, InDoubt] {
            assert_eq!(serde_json::to_value(outcome).expect("written"), outcome.as_str());
        }
    }
}
