//! The library's errors as failures of a command: kind, words and facts as the library tells them, here or through a
//! running till; and what the user can do about it.

use serde_json::{Map, Value};
use tillbook::Error;
use tillbook::serve::Failed;
use tillbook::storage::StorageError;

use super::exit::Failure;

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failed::from(&error).into()
    }
}

/// The same for an error of a storage alone.
impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Failure {
        Error::from(error).into()
    }
}

impl From<Failed> for Failure {
    fn from(failed: Failed) -> Failure {
        let hint = hint(&failed.kind, &failed.facts);
        let failure = Failure::new(&failed.kind, failed.message);
        let failure = failed.facts.into_iter().fold(failure, |failure, (name, value)| failure.fact(&name, value));
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

fn hint(kind: &str, facts: &Map<String, Value>) -> Option<String> {
    let fact = |name: &str| facts.get(name).and_then(Value::as_str).unwrap_or_default();
    let hint = match kind {
        "upstream" => match fact("reason") {
            "unreachable" => "check the network and `base_url`",
            "credentials" => "mend the account's credentials, then run: tillbook check",
            "busy" => "ask again later",
            "unreadable" => "asking again will not help; see `tillbook decode`",
            _ => return None,
        },
        "outcome_not_written" => "free space or mend the disk, then ask for the refund again with the same --key",
        "quarantined" => "tillbook adopt --by NAME, once nobody uses the original any more",
        "stale_facts" => "tillbook fetch ORDER, as soon as its upstream can be reached",
        "server" => "ask again once it can be reached: what was done is answered again and not done twice",
        "sealed" => "name the place where it went on with --data, or in the configuration",
        "locked" => "end that process, or wait longer with --lock-wait 60s; reading works beside it",
        "no_ledger" => "tillbook sync makes one; or name another directory with --data",
        "replay_differs" => "a key names one refund for ever: take another key for another refund",
        "looks_repeated" => "--again if a second refund is meant",
        "ambiguous_reference" => {
            let first = facts.get("orders").and_then(|orders| orders[0]["kind"].as_str()).unwrap_or("order_sn");
            let (account, wanted) = (fact("account"), fact("wanted"));
            return Some(format!("name the kind too, for instance {account}:{first}={wanted}"));
        }
        "busy" => "ask again in a moment",
        "other_version" => "use the tillbook that the till was made with, or end the till first",
        "unanswered" => "ask again: what was done is answered again (a refund by its --key) and not done twice",
        _ => return None,
    };
    Some(hint.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tillbook::{Money, OrderId, Rejection};

    use super::*;

    #[test]
    fn a_failure_has_the_librarys_kind_words_and_facts_and_a_hint_of_ours() {
        let orders =
            ["a", "b"].map(|name| (OrderId::new(name).expect("a name"), "order_sn".to_owned())).into_iter().collect();
        let account = "shop-1".parse().expect("a name");
        let ambiguous = Rejection::AmbiguousReference { account, wanted: "20".to_owned(), orders };
        assert_eq!(
            Failure::from(Error::from(ambiguous)).error_json(),
            json!({
                "kind": "ambiguous_reference",
                "message": "20 names 2 orders of account shop-1: a (as order_sn), b (as order_sn)",
                "hint": "name the kind too, for instance shop-1:order_sn=20",
                "account": "shop-1", "wanted": "20",
                "orders": [{"order": "a", "kind": "order_sn"}, {"order": "b", "kind": "order_sn"}],
            })
        );
        let fen = |fen| Money::from_fen(fen).expect("in range");
        let changed = Failure::from(Error::from(Rejection::RefundableChanged { expected: fen(1), refundable: fen(0) }));
        assert_eq!((changed.exit().code(), &changed.error_json()["expected_fen"]), (3, &json!(1)));
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
        for kind in said.into_iter().chain(["busy", "other_version", "unanswered", "interrupted", "internal"]) {
            assert_eq!(Failure::new(kind, "").kind(), kind);
        }
    }
}
