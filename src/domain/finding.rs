//! What a question about a refund found: evidence, for the rules and for the person who may have to decide.

use serde::{Deserialize, Serialize};

use super::{Answer, Timestamp};

/// How an upstream's words are tied to one refund of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// They bear the refund's own number, ours or the one the upstream answered with.
    OwnNumber,
    /// They bear its order, amount and time, and nothing else here does: proof only where nobody but
    /// this ledger refunds the order.
    Likeness,
}

/// What one question about a refund found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it tells about the money. `InDoubt` proves nothing; `NotSent`, which only a fence may
    /// find, says that it was not executed and cannot be any more.
    pub answer: Answer,
    /// How the words are tied to this refund.
    pub proof: Proof,
    /// When the question was asked (our clock). Only what was asked after the attempt ended is
    /// evidence about it.
    pub asked_at: Timestamp,
    /// What was read, a line each, for a person: figures, states and numbers, never a payer's data.
    pub evidence: Vec<String>,
}

impl Finding {
    /// A finding by the refund's own number, without further evidence than the answer's words.
    #[must_use]
    pub fn new(answer: Answer, asked_at: Timestamp) -> Finding {
        Finding { answer, proof: Proof::OwnNumber, asked_at, evidence: Vec::new() }
    }
}
