//! A refusal by the ledger's rules: an answer with facts, not a failure.

use super::{AccountName, Money, OrderId, OrderStatus, Reference, RefundKey, RefundState, Timestamp, Verdict};

/// Why the ledger refuses a command. Nothing of it was written and nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The command's own words are unusable.
    #[error("{0}")]
    Malformed(String),
    /// The account has a refund of this key, and it was another one.
    #[error("refund key {key} names another refund: its {field} is {recorded}, not {asked}")]
    ReplayDiffers {
        /// The key.
        key: RefundKey,
        /// The first field that differs: `order` or `amount`.
        field: &'static str,
        /// What is recorded.
        recorded: String,
        /// What was asked now.
        asked: String,
    },
    /// No order here has that number, and no upstream knows it.
    #[error("no order {wanted} in account {account}")]
    UnknownOrder {
        /// The account.
        account: AccountName,
        /// The number, with its kind if one was given.
        wanted: String,
    },
    /// The number names several orders.
    #[error("{wanted} names {} orders of account {account}: {}", orders.len(), list(orders))]
    AmbiguousReference {
        /// The account.
        account: AccountName,
        /// The number.
        wanted: String,
        /// Each order with the kind by which it bears the number.
        orders: Vec<(OrderId, String)>,
    },
    /// Two orders claim one number; which one a receipt names cannot be told.
    #[error("order {order} and order {other} both claim {reference}; neither is refunded until that is cleared up")]
    ContestedReference {
        /// This order.
        order: OrderId,
        /// The other.
        other: OrderId,
        /// The number.
        reference: Reference,
    },
    /// The order belongs to another account.
    #[error("order {order} belongs to account {account}")]
    OtherAccount {
        /// The order.
        order: OrderId,
        /// The account it belongs to.
        account: AccountName,
    },
    /// An order recorded offline that is already known.
    #[error("{reference} is already order {order}")]
    AlreadyRecorded {
        /// The number.
        reference: Reference,
        /// The order that bears it.
        order: OrderId,
    },
    /// What is known of the order is older than the adoption of this copy of the ledger.
    #[error(
        "what is known of order {order} is older than the adoption of this ledger ({adopted_at}), and another copy may have refunded it since: fetch the order first"
    )]
    StaleFacts {
        /// The order.
        order: OrderId,
        /// When the ledger was adopted.
        adopted_at: Timestamp,
    },
    /// Only paid orders are refundable.
    #[error("order {order} is {status} ({upstream_status}), not paid")]
    NotRefundable {
        /// The order.
        order: OrderId,
        /// Its status.
        status: OrderStatus,
        /// The upstream's word for it.
        upstream_status: String,
    },
    /// Only orders in CNY are refundable.
    #[error("order {order} is in {currency}, not CNY")]
    ForeignCurrency {
        /// The order.
        order: OrderId,
        /// Its currency.
        currency: String,
    },
    /// The caller saw another refundable amount.
    #[error("{refundable} is refundable, not the {expected} that was expected")]
    RefundableChanged {
        /// What the caller saw.
        expected: Money,
        /// What it is.
        refundable: Money,
    },
    /// More than what is left.
    #[error(
        "{} is more than the {refundable} that may still be refunded (paid {paid}, refunded {refunded}, held {held})",
        asked_text(asked)
    )]
    OverRefundable {
        /// What was asked; `None` is all of nothing.
        asked: Option<Money>,
        /// What may still be refunded.
        refundable: Money,
        /// 实付.
        paid: Money,
        /// 已退.
        refunded: Money,
        /// 预留.
        held: Money,
    },
    /// Too long after the payment.
    #[error("refunds are taken for {window_days} days after the payment; this was paid at {paid_at} ({documented})")]
    WindowClosed {
        /// When it was paid.
        paid_at: Timestamp,
        /// The window.
        window_days: u64,
        /// Where the rule is from.
        documented: &'static str,
    },
    /// The order has had all the refunds the upstream allows.
    #[error("the order has {made} refunds and may have {limit} ({documented})")]
    TooManyRefunds {
        /// How many it has.
        made: u32,
        /// How many it may have.
        limit: u32,
        /// Where the rule is from.
        documented: &'static str,
    },
    /// A refund like this one was asked for a moment ago.
    #[error("refund {key} of the same amount is {state} since {since}; ask again explicitly if a second one is meant")]
    LooksRepeated {
        /// The earlier refund.
        key: RefundKey,
        /// Its state.
        state: RefundState,
        /// Since when.
        since: Timestamp,
    },
    /// No refund of that key.
    #[error("no refund {key} in account {account}")]
    UnknownRefund {
        /// The account.
        account: AccountName,
        /// The key.
        key: RefundKey,
    },
    /// The refund waits for no approval.
    #[error("refund {key} is {state} and waits for no approval")]
    NothingToApprove {
        /// The refund.
        key: RefundKey,
        /// Its state.
        state: RefundState,
    },
    /// The record has changed since the person looked at it.
    #[error("order {order} has changed since (version {seen} was judged, it is {version} now); look at it again")]
    RecordMoved {
        /// The order.
        order: OrderId,
        /// The version that the person saw.
        seen: u64,
        /// The version that it has.
        version: u64,
    },
    /// Nothing about the refund is a person's to decide.
    #[error("refund {key} is {state}; there is nothing that a verdict of {verdict} could settle")]
    NotResolvable {
        /// The refund.
        key: RefundKey,
        /// Its state.
        state: RefundState,
        /// The verdict.
        verdict: Verdict,
    },
    /// The upstream says otherwise, right now.
    #[error("the upstream contradicts that refund {key} is {verdict}: {words}")]
    VerdictContradicted {
        /// The refund.
        key: RefundKey,
        /// The verdict.
        verdict: Verdict,
        /// What the upstream says.
        words: String,
    },
    /// Only what was proven not executed can be withdrawn.
    #[error("refund {key} is {state} and can no longer be canceled")]
    NotCancelable {
        /// The refund.
        key: RefundKey,
        /// Its state.
        state: RefundState,
    },
}

impl Rejection {
    /// The word for scripts, as in `{"error":{"kind":...}}`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Rejection::Malformed(_) => "malformed",
            Rejection::ReplayDiffers { .. } => "replay_differs",
            Rejection::UnknownOrder { .. } => "unknown_order",
            Rejection::AmbiguousReference { .. } => "ambiguous_reference",
            Rejection::ContestedReference { .. } => "contested_reference",
            Rejection::OtherAccount { .. } => "other_account",
            Rejection::AlreadyRecorded { .. } => "already_recorded",
            Rejection::StaleFacts { .. } => "stale_facts",
            Rejection::NotRefundable { .. } => "not_refundable",
            Rejection::ForeignCurrency { .. } => "foreign_currency",
            Rejection::RefundableChanged { .. } => "refundable_changed",
            Rejection::OverRefundable { .. } => "over_refundable",
            Rejection::WindowClosed { .. } => "window_closed",
            Rejection::TooManyRefunds { .. } => "too_many_refunds",
            Rejection::LooksRepeated { .. } => "looks_repeated",
            Rejection::UnknownRefund { .. } => "unknown_refund",
            Rejection::NothingToApprove { .. } => "nothing_to_approve",
            Rejection::RecordMoved { .. } => "record_moved",
            Rejection::NotResolvable { .. } => "not_resolvable",
            Rejection::VerdictContradicted { .. } => "verdict_contradicted",
            Rejection::NotCancelable { .. } => "not_cancelable",
        }
    }
}

fn list(orders: &[(OrderId, String)]) -> String {
    let named: Vec<String> = orders.iter().map(|(order, kind)| format!("{order} (as {kind})")).collect();
    named.join(", ")
}

fn asked_text(asked: &Option<Money>) -> String {
    asked.map_or_else(|| "all".to_owned(), |amount| amount.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_names_several_orders_is_asked_back_with_each_of_them() {
        let order = |id: &str, kind: &str| (OrderId::new(id).expect("valid"), kind.to_owned());
        let account = AccountName::new("shop-1").expect("valid");
        let orders = vec![order("fubei:m:1", "order_sn"), order("fubei:m:2", "trade_no")];
        let asked = Rejection::AmbiguousReference { account, wanted: "7".to_owned(), orders };
        let want = "7 names 2 orders of account shop-1: fubei:m:1 (as order_sn), fubei:m:2 (as trade_no)";
        assert_eq!(asked.to_string(), want);
    }
}
