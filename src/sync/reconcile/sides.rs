//! From records, facts, rows and findings to the two sides that are compared.

use crate::domain::{Facts, Finding, Money, OrderRecord, OrderStatus, Outcome, Proof, RefundKey, Timestamp};
use crate::gateway::SeenRefund;

use super::compare::{OrderHere, OrderThere, RefundThere, There};

/// What the upstream says about an order.
#[derive(Clone)]
pub(super) enum Told {
    Facts(Box<Facts>),
    /// A bill's row: it was paid, so much, then.
    Row(Money, Option<Timestamp>),
}

impl Told {
    /// The facts, if it is more than a row.
    pub(super) fn facts(&self) -> Option<&Facts> {
        match self {
            Told::Facts(facts) => Some(facts),
            Told::Row(..) => None,
        }
    }
}

/// Whether it is an order that a day's books count: paid, in CNY.
pub(super) fn counts(facts: &Facts) -> bool {
    facts.status == OrderStatus::Paid && facts.currency == "CNY"
}

/// Whether nobody can tell which day it belongs to.
pub(super) fn has_no_time(facts: &Facts) -> bool {
    facts.paid_at.is_none() && facts.created_at.is_none()
}

fn status(facts: &Facts) -> String {
    if facts.currency == "CNY" { facts.status.to_string() } else { format!("{} {}", facts.status, facts.currency) }
}

/// The order as the ledger has it.
pub(super) fn order_here(record: &OrderRecord) -> OrderHere {
    let facts = &record.facts;
    let counts = counts(facts);
    OrderHere {
        id: record.id.clone(),
        paid: if counts { facts.paid } else { Money::ZERO },
        status: status(facts),
        counts,
        at: facts.paid_at.or(facts.created_at),
        refunded: record.refunded(),
        external: record.external,
    }
}

/// The order as the upstream has it. A total that was asked for before the ledger's last outcome cannot be held against it.
pub(super) fn order_there(told: &Told, record: Option<&OrderRecord>) -> OrderThere {
    match told {
        Told::Facts(facts) => {
            let outcome = record.and_then(|record| record.outcome_at);
            let comparable = outcome.is_none_or(|outcome| outcome < facts.asked_at);
            let counts = counts(facts);
            OrderThere {
                paid: if counts { facts.paid } else { Money::ZERO },
                status: status(facts),
                counts,
                at: facts.paid_at.or(facts.created_at),
                updated_at: facts.updated_at,
                refunded: facts.refunded.filter(|_| comparable),
            }
        }
        Told::Row(paid, at) => OrderThere {
            paid: *paid,
            status: OrderStatus::Paid.to_string(),
            counts: true,
            at: *at,
            updated_at: None,
            refunded: None,
        },
    }
}

/// A listed refund as it is compared; `None` where the list does not say how much it is.
pub(super) fn refund_there(row: &SeenRefund) -> Option<RefundThere> {
    Some(RefundThere {
        number: row.upstream_refund_no.clone(),
        amount: row.amount?,
        outcome: row.outcome,
        status: match (row.outcome, &row.upstream_status) {
            (Outcome::InDoubt, Some(word)) => word.clone(),
            (outcome, _) => outcome.as_str().to_owned(),
        },
        at: row.at,
        own_number: true,
    })
}

/// Which refund of ours the row is, by its numbers.
pub(super) fn own(record: &OrderRecord, row: &SeenRefund) -> Option<RefundKey> {
    let bears = |own: Option<&str>, shown: &Option<String>| own.is_some() && own == shown.as_deref();
    let mut refunds = record.refunds.iter();
    let found = refunds.find(|refund| {
        bears(Some(refund.key.as_str()), &row.key)
            || bears(refund.upstream_refund_no.as_deref(), &row.upstream_refund_no)
    });
    found.map(|refund| refund.key.clone())
}

/// What a probe tells; gateways answer with words only where order and amount are the refund's.
pub(super) fn probed(finding: Finding, amount: Money) -> There<RefundThere> {
    let Finding { answer, proof, .. } = finding;
    match answer.outcome {
        Outcome::Succeeded | Outcome::Accepted | Outcome::Declined => There::Shown(RefundThere {
            number: answer.upstream_refund_no,
            amount,
            outcome: answer.outcome,
            status: answer.outcome.as_str().to_owned(),
            at: None,
            own_number: proof == Proof::OwnNumber,
        }),
        Outcome::InDoubt => There::Absent,
        Outcome::NotSent | Outcome::Blocked => There::Unasked,
    }
}
