//! The library's errors as failures of a command: kind, chain, facts for scripts, and what to do about it.

use serde_json::{Map, Value};
use tillbook::gateway::{ReadError, ReadErrorKind};
use tillbook::storage::StorageError;
use tillbook::{Error, Money, Rejection};

use super::exit::Failure;

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        // A storage's error says by itself what was attempted on which file.
        let failure = match &error {
            Error::Storage(storage) => Failure::of(error.kind(), storage),
            _ => Failure::of(error.kind(), &error),
        };
        match &error {
            Error::Rejected(rejection) => of_rejection(failure, rejection),
            Error::UnknownAccount(account) => failure.fact("account", account.as_str()),
            Error::SameMerchant { new, existing } => {
                failure.fact("account", new.as_str()).fact("existing", existing.as_str())
            }
            Error::Upstream { account, error } => of_read(failure.fact("account", account.as_str()), error),
            Error::OutcomeNotWritten { key, .. } => failure
                .fact("key", key.as_str())
                .hint("free space or mend the disk, then ask for the refund again with the same --key"),
            Error::Quarantined(quarantine) => failure
                .fact("path", quarantine.path.display().to_string())
                .fact("why", quarantine.why.as_str())
                .hint("tillbook adopt --by NAME, once nobody uses the original any more"),
            Error::Storage(error) => of_storage(failure, error),
            Error::Moved(order) => failure.fact("order", order.as_str()),
            _ => failure,
        }
    }
}

/// The same for an error of a storage alone.
impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Failure {
        Error::from(error).into()
    }
}

fn of_read(failure: Failure, error: &ReadError) -> Failure {
    let (reason, hint) = match error.kind {
        ReadErrorKind::Unreachable => ("unreachable", "check the network and `base_url`"),
        ReadErrorKind::Credentials => ("credentials", "mend the account's credentials, then run: tillbook check"),
        ReadErrorKind::Busy => ("busy", "ask again later"),
        ReadErrorKind::Refused => ("refused", ""),
        ReadErrorKind::Unreadable => ("unreadable", "asking again will not help; see `tillbook decode`"),
        ReadErrorKind::Unsupported => ("unsupported", ""),
        _ => ("other", ""),
    };
    let failure = failure.fact("reason", reason).fact("code", error.code.clone());
    if hint.is_empty() { failure } else { failure.hint(hint) }
}

fn of_storage(failure: Failure, error: &StorageError) -> Failure {
    match error {
        StorageError::Locked { path, holder } => failure
            .fact("path", path.display().to_string())
            .fact("holder", holder.as_str())
            .hint("end that process, or wait longer with --lock-wait 60s; reading works beside it"),
        StorageError::Damaged { path, position, .. } => {
            failure.fact("path", path.display().to_string()).fact("position", *position)
        }
        StorageError::DiskFull { path } => failure.fact("path", path.display().to_string()),
        StorageError::NoLedger { path } => failure
            .fact("path", path.display().to_string())
            .hint("tillbook sync makes one; or name another directory with --data"),
        _ => failure,
    }
}

/// A rejection's facts: every amount in yuan with its `_fen` twin, every name as text.
fn of_rejection(failure: Failure, rejection: &Rejection) -> Failure {
    match rejection {
        Rejection::ReplayDiffers { key, field, recorded, asked } => failure
            .fact("key", key.as_str())
            .fact("field", *field)
            .fact("recorded", recorded.as_str())
            .fact("asked", asked.as_str())
            .hint("a key names one refund for ever: take another key for another refund"),
        Rejection::UnknownOrder { account, wanted } => {
            failure.fact("account", account.as_str()).fact("wanted", wanted.as_str())
        }
        Rejection::AmbiguousReference { account, wanted, orders } => {
            let listed: Vec<Value> =
                orders.iter().map(|(order, kind)| serde_json::json!({"order": order.as_str(), "kind": kind})).collect();
            let kind = orders.first().map_or("order_sn", |(_, kind)| kind.as_str());
            failure
                .fact("account", account.as_str())
                .fact("wanted", wanted.as_str())
                .fact("orders", listed)
                .hint(format!("name the kind too, for instance {account}:{kind}={wanted}"))
        }
        Rejection::ContestedReference { order, other, reference } => failure
            .fact("order", order.as_str())
            .fact("other", other.as_str())
            .fact("reference", format!("{}={}", reference.kind, reference.number)),
        Rejection::OtherAccount { order, account } => {
            failure.fact("order", order.as_str()).fact("account", account.as_str())
        }
        Rejection::AlreadyRecorded { reference, order } => {
            failure.fact("reference", format!("{}={}", reference.kind, reference.number)).fact("order", order.as_str())
        }
        Rejection::StaleFacts { order, adopted_at } => failure
            .fact("order", order.as_str())
            .fact("adopted_at", adopted_at.to_string())
            .hint("tillbook fetch ORDER, as soon as its upstream can be reached"),
        Rejection::NotRefundable { order, status, upstream_status } => failure
            .fact("order", order.as_str())
            .fact("status", status.as_str())
            .fact("upstream_status", upstream_status.as_str()),
        Rejection::ForeignCurrency { order, currency } => {
            failure.fact("order", order.as_str()).fact("currency", currency.as_str())
        }
        Rejection::RefundableChanged { expected, refundable } => {
            money(money(failure, "expected", *expected), "refundable", *refundable)
        }
        Rejection::OverRefundable { asked, refundable, paid, refunded, held } => {
            let failure = match asked {
                Some(asked) => money(failure, "asked", *asked),
                None => failure.fact("asked", "all"),
            };
            [("refundable", refundable), ("paid", paid), ("refunded", refunded), ("held", held)]
                .into_iter()
                .fold(failure, |failure, (name, amount)| money(failure, name, *amount))
        }
        Rejection::WindowClosed { paid_at, window_days, documented } => failure
            .fact("paid_at", paid_at.to_string())
            .fact("window_days", *window_days)
            .fact("documented", *documented),
        Rejection::TooManyRefunds { made, limit, documented } => {
            failure.fact("made", *made).fact("limit", *limit).fact("documented", *documented)
        }
        Rejection::LooksRepeated { key, state, since } => failure
            .fact("key", key.as_str())
            .fact("state", state.as_str())
            .fact("since", since.to_string())
            .hint("--again if a second refund is meant"),
        Rejection::UnknownRefund { account, key } => {
            failure.fact("account", account.as_str()).fact("key", key.as_str())
        }
        Rejection::NotCancelable { key, state } => failure.fact("key", key.as_str()).fact("state", state.as_str()),
        _ => failure,
    }
}

fn money(failure: Failure, name: &str, amount: Money) -> Failure {
    let mut pair = Map::new();
    super::json::put_money(&mut pair, name, Some(amount));
    pair.into_iter().fold(failure, |failure, (name, value)| failure.fact(&name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(rejection: Rejection) -> Failure {
        Error::from(rejection).into()
    }

    #[test]
    fn a_rejection_carries_its_facts_with_fen_twins() {
        let fen = |fen| Money::from_fen(fen).expect("in range");
        let refused = failure(Rejection::OverRefundable {
            asked: Some(fen(1)),
            refundable: fen(0),
            paid: fen(8000),
            refunded: fen(7000),
            held: fen(1000),
        });
        assert_eq!(refused.exit().code(), 3);
        assert_eq!(
            refused.error_json(),
            serde_json::json!({
                "kind": "over_refundable",
                "message": "0.01 is more than the 0.00 that may still be refunded (paid 80.00, refunded 70.00, held 10.00)",
                "asked": "0.01", "asked_fen": 1, "refundable": "0.00", "refundable_fen": 0, "paid": "80.00",
                "paid_fen": 8000, "refunded": "70.00", "refunded_fen": 7000, "held": "10.00", "held_fen": 1000,
            })
        );
    }

    /// The library's own lists, read from its source: a kind that is missing here would be printed as `internal`.
    #[test]
    fn every_kind_of_the_library_is_in_the_table() {
        let sources = [include_str!("../ledger/error.rs"), include_str!("../domain/rejection.rs")];
        let said: Vec<&str> = sources
            .iter()
            .flat_map(|source| source.lines())
            .filter_map(|line| line.trim().strip_suffix("\",")?.split_once(" => \"").map(|(_, kind)| kind))
            .collect();
        assert!(said.len() > 25, "the lists were not found: {said:?}");
        for kind in said {
            assert_eq!(Failure::new(kind, "").kind(), kind);
        }
    }
}
