//! What a person decides about a refund that nothing proves.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::RefundState;

/// A person's word on what became of a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The customer has the money: seen in the upstream's console or on the customer's statement.
    Succeeded,
    /// The upstream refused it for good; no money moved.
    Declined,
    /// It was not executed and is to be sent again under the same key, after fresh facts.
    Resend,
    /// It was not executed and is not to be sent again: its amount is let go (paid back in cash, say).
    Release,
    /// It had succeeded and the upstream took it back.
    Reversed,
}

impl Verdict {
    /// The word that is stored, printed and parsed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Succeeded => "succeeded",
            Verdict::Declined => "declined",
            Verdict::Resend => "resend",
            Verdict::Release => "release",
            Verdict::Reversed => "reversed",
        }
    }

    /// The state that the refund takes from it.
    #[must_use]
    pub fn state(self) -> RefundState {
        match self {
            Verdict::Succeeded => RefundState::Succeeded,
            Verdict::Declined => RefundState::Declined,
            Verdict::Resend => RefundState::Queued,
            Verdict::Release => RefundState::Canceled,
            Verdict::Reversed => RefundState::Reversed,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Declined, Release, Resend, Reversed, Succeeded};

    #[test]
    fn a_verdict_is_printed_as_the_word_it_is_stored_under() {
        for verdict in [Succeeded, Declined, Resend, Release, Reversed] {
            assert_eq!(serde_json::to_value(verdict).expect("written"), verdict.as_str());
            assert_eq!(verdict.to_string(), verdict.as_str());
        }
    }
}
