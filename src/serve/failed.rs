//! An error as it is told to another process: its kind, its words, and its facts for scripts.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::{Money, Rejection};
use crate::gateway::{ReadError, ReadErrorKind};
use crate::ledger::Error;
use crate::storage::StorageError;

/// What went wrong, in words and as facts: what the command line prints under `error`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The stable word for it: [`Error::kind`], or one of [`Client`](super::Client)'s own.
    pub kind: String,
    /// The error with its causes, in one line.
    pub message: String,
    /// Ids, numbers and amounts, by name; every amount in yuan with its `_fen` twin.
    pub facts: Map<String, Value>,
}

impl Failed {
    /// An error of that kind, with its causes and without facts.
    #[must_use]
    pub fn of(kind: &str, error: &dyn std::error::Error) -> Failed {
        Failed::new(kind, chain(error))
    }

    pub(super) fn new(kind: &str, message: impl Into<String>) -> Failed {
        Failed { kind: kind.to_owned(), message: message.into(), facts: Map::new() }
    }

    pub(super) fn fact(mut self, name: &str, value: impl Into<Value>) -> Failed {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    fn money(self, name: &str, amount: Money) -> Failed {
        self.fact(name, amount.to_string()).fact(&format!("{name}_fen"), amount.fen())
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failed {}

impl From<&Error> for Failed {
    fn from(error: &Error) -> Failed {
        // A storage's error says by itself what was attempted on which file.
        let failed = match error {
            Error::Storage(storage) => Failed::of(error.kind(), storage),
            _ => Failed::of(error.kind(), error),
        };
        match error {
            Error::Rejected(rejection) => of_rejection(failed, rejection),
            Error::UnknownAccount(account) => failed.fact("account", account.as_str()),
            Error::SameMerchant { new, existing } => {
                failed.fact("account", new.as_str()).fact("existing", existing.as_str())
            }
            Error::Upstream { account, error } => of_read(failed.fact("account", account.as_str()), error),
            Error::OutcomeNotWritten { key, .. } => failed.fact("key", key.as_str()),
            Error::Storage(error) => of_storage(failed, error),
            Error::Moved(order) => failed.fact("order", order.as_str()),
            _ => failed,
        }
    }
}

/// An error and its sources, joined; a source that the text before it already ends with is left out.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let link = source.to_string();
        if !text.ends_with(&link) {
            text.push_str(": ");
            text.push_str(&link);
        }
        next = source.source();
    }
    text
}

fn of_read(failed: Failed, error: &ReadError) -> Failed {
    let reason = match error.kind {
        ReadErrorKind::Unreachable => "unreachable",
        ReadErrorKind::Credentials => "credentials",
        ReadErrorKind::Busy => "busy",
        ReadErrorKind::Refused => "refused",
        ReadErrorKind::Unreadable => "unreadable",
        ReadErrorKind::Unsupported => "unsupported",
    };
    failed.fact("reason", reason).fact("code", error.code.clone())
}

fn of_storage(failed: Failed, error: &StorageError) -> Failed {
    let path = |path: &std::path::Path| path.display().to_string();
    match error {
        StorageError::Locked { path: at, holder } => failed.fact("path", path(at)).fact("holder", holder.as_str()),
        StorageError::Damaged { path: at, position, .. } => failed.fact("path", path(at)).fact("position", *position),
        StorageError::DiskFull { path: at } | StorageError::NoLedger { path: at } => failed.fact("path", path(at)),
        _ => failed,
    }
}

fn of_rejection(failed: Failed, rejection: &Rejection) -> Failed {
    match rejection {
        Rejection::Malformed(_) => failed,
        Rejection::ReplayDiffers { key, field, recorded, asked } => failed
            .fact("key", key.as_str())
            .fact("field", *field)
            .fact("recorded", recorded.as_str())
            .fact("asked", asked.as_str()),
        Rejection::UnknownOrder { account, wanted } => {
            failed.fact("account", account.as_str()).fact("wanted", wanted.as_str())
        }
        Rejection::AmbiguousReference { account, wanted, orders } => {
            let listed: Vec<Value> =
                orders.iter().map(|(order, kind)| serde_json::json!({"order": order.as_str(), "kind": kind})).collect();
            failed.fact("account", account.as_str()).fact("wanted", wanted.as_str()).fact("orders", listed)
        }
        Rejection::ContestedReference { order, other, reference } => {
            failed.fact("order", order.as_str()).fact("other", other.as_str()).fact("reference", reference.to_string())
        }
        Rejection::OtherAccount { order, account } => {
            failed.fact("order", order.as_str()).fact("account", account.as_str())
        }
        Rejection::AlreadyRecorded { reference, order } => {
            failed.fact("reference", reference.to_string()).fact("order", order.as_str())
        }
        Rejection::NotRefundable { order, status, upstream_status } => failed
            .fact("order", order.as_str())
            .fact("status", status.as_str())
            .fact("upstream_status", upstream_status.as_str()),
        Rejection::ForeignCurrency { order, currency } => {
            failed.fact("order", order.as_str()).fact("currency", currency.as_str())
        }
        Rejection::RefundableChanged { expected, refundable } => {
            failed.money("expected", *expected).money("refundable", *refundable)
        }
        Rejection::OverRefundable { asked, refundable, paid, refunded, held } => {
            let failed = match asked {
                Some(asked) => failed.money("asked", *asked),
                None => failed.fact("asked", "all"),
            };
            [("refundable", refundable), ("paid", paid), ("refunded", refunded), ("held", held)]
                .into_iter()
                .fold(failed, |failed, (name, amount)| failed.money(name, *amount))
        }
        Rejection::WindowClosed { paid_at, window_days, documented } => failed
            .fact("paid_at", paid_at.to_string())
            .fact("window_days", *window_days)
            .fact("documented", *documented),
        Rejection::TooManyRefunds { made, limit, documented } => {
            failed.fact("made", *made).fact("limit", *limit).fact("documented", *documented)
        }
        Rejection::LooksRepeated { key, state, since } => {
            failed.fact("key", key.as_str()).fact("state", state.as_str()).fact("since", since.to_string())
        }
        Rejection::UnknownRefund { account, key } => failed.fact("account", account.as_str()).fact("key", key.as_str()),
        Rejection::NothingToApprove { key, state } => failed.fact("key", key.as_str()).fact("state", state.as_str()),
        Rejection::RecordMoved { order, seen, version } => {
            failed.fact("order", order.as_str()).fact("seen", *seen).fact("version", *version)
        }
        Rejection::NotResolvable { key, state, verdict } => {
            failed.fact("key", key.as_str()).fact("state", state.as_str()).fact("verdict", verdict.as_str())
        }
        Rejection::VerdictContradicted { key, verdict, words } => {
            failed.fact("key", key.as_str()).fact("verdict", verdict.as_str()).fact("words", words.as_str())
        }
        Rejection::NotCancelable { key, state } => failed.fact("key", key.as_str()).fact("state", state.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_carries_its_facts_with_fen_twins() {
        let fen = |fen| Money::from_fen(fen).expect("in range");
        let error = Error::from(Rejection::OverRefundable {
            asked: Some(fen(1)),
            refundable: fen(0),
            paid: fen(8000),
            refunded: fen(7000),
            held: fen(1000),
        });
        let facts = serde_json::json!({
            "asked": "0.01", "asked_fen": 1, "refundable": "0.00", "refundable_fen": 0, "paid": "80.00",
            "paid_fen": 8000, "refunded": "70.00", "refunded_fen": 7000, "held": "10.00", "held_fen": 1000,
        });
        assert_eq!(
            serde_json::to_value(Failed::from(&error)).expect("serializable"),
            serde_json::json!({
                "kind": "over_refundable",
                "message": "0.01 is more than the 0.00 that may still be refunded (paid 80.00, refunded 70.00, held 10.00)",
                "facts": facts,
            })
        );
    }
}
