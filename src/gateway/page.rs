//! Pages of orders and of refunds, and what is asked for with them.

use crate::domain::{Facts, Money, OrderStatus, Outcome, PaymentMethod, Reference, RefundStatus, Timestamp};

/// Which orders to list. An upstream applies what it can; the caller checks the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Only in this status.
    pub status: Option<OrderStatus>,
    /// Only with this refund status.
    pub refund_status: Option<RefundStatus>,
    /// Only paid this way.
    pub payment_method: Option<PaymentMethod>,
    /// Made or paid (whichever the upstream filters by) at or after.
    pub from: Option<Timestamp>,
    /// Made or paid before.
    pub to: Option<Timestamp>,
}

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageAt {
    /// How many rows to skip.
    pub offset: u64,
    /// How many rows to give, at most.
    pub limit: u32,
}

/// One page of orders.
#[derive(Clone, Debug, Default)]
pub struct OrderPage {
    /// The orders that could be read.
    pub orders: Vec<Facts>,
    /// Orders that are named without their facts (Fubei's bill has neither state nor refunds): those
    /// not known yet are to be fetched one by one.
    pub mentioned: Vec<Mentioned>,
    /// The rows that could not.
    pub bad_rows: Vec<BadRow>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<u64>,
    /// How many rows there are in all, if the upstream says.
    pub total: Option<u64>,
}

/// An order that a list only names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mentioned {
    /// The order's own number.
    pub number: Reference,
    /// What was paid, where the list says so.
    pub paid: Option<Money>,
    /// When, where the list says so.
    pub paid_at: Option<Timestamp>,
}

/// A row that could not be read: it does not lose its page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// Where in the answer, and which field: `objects[3].total_cost`.
    pub path: String,
    /// What is wrong with it.
    pub why: String,
}

/// Which refunds to list: made upstream in this span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefundSpan {
    /// At or after.
    pub from: Timestamp,
    /// Before.
    pub to: Timestamp,
}

/// One page of refunds.
#[derive(Clone, Debug, Default)]
pub struct RefundPage {
    /// The refunds that could be read. An upstream that does not know the bounds sends others too.
    pub refunds: Vec<SeenRefund>,
    /// The rows that could not.
    pub bad_rows: Vec<BadRow>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<u64>,
    /// How many rows there are in all, if the upstream says.
    pub total: Option<u64>,
}

/// One refund as an upstream shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenRefund {
    /// The number we gave it, where the upstream takes and shows one.
    pub key: Option<String>,
    /// The upstream's own number of it.
    pub upstream_refund_no: Option<String>,
    /// The numbers of its order, by kind.
    pub order: Vec<(String, String)>,
    /// Its amount, if shown.
    pub amount: Option<Money>,
    /// What its status tells about the money.
    pub outcome: Outcome,
    /// The upstream's own word for that.
    pub upstream_status: Option<String>,
    /// When it was done.
    pub at: Option<Timestamp>,
}
