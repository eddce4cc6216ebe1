//! The sandbox's books as others read them: what moved, and what was asked. The judge of every test of refunds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fault::{Operation, Upstream};

/// Everything that happened to money, and how often each operation was called, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    /// Every order, in the order in which they were put in.
    pub orders: Vec<OrderBook>,
    /// What callers asked.
    pub calls: Calls,
}

/// One order's money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderBook {
    /// Whose order it is.
    pub upstream: Upstream,
    /// The native number, as in [`OrderHandle::id`](super::OrderHandle::id).
    pub id: String,
    /// The status in the upstream's word.
    pub status: String,
    /// What was paid, in fen.
    pub paid_fen: i64,
    /// What really went back to the customer, in fen, whoever asked for it.
    pub money_out_fen: i64,
    /// The refunds, in the order in which they were taken.
    pub refunds: Vec<RefundBook>,
}

/// One refund that an upstream took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundBook {
    /// The number the caller chose: fubei's `merchant_refund_sn`, the cloud function's `refund_key`.
    pub client_no: Option<String>,
    /// The number the upstream made: `refund_sn`, `MR01...`, `refund_no`.
    pub server_no: String,
    /// How much, in fen.
    pub amount_fen: i64,
    /// What became of it.
    pub state: RefundState,
    /// Whether the customer has the money; a refund may still be `processing` in the upstream's own eyes.
    pub money_moved: bool,
    /// Made by somebody in the merchant's back office, not by a call.
    pub elsewhere: bool,
    /// The caller's remark, if any.
    pub memo: String,
    /// When it was taken, in unix seconds.
    pub at: i64,
}

/// What an upstream holds a refund to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// Taken, not finished.
    Processing,
    /// Done.
    Succeeded,
    /// Refused in the end; no money moved.
    Failed,
}

/// How often the upstreams were called, refused and failed calls included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// By operation; one that was never called is absent.
    pub by_operation: BTreeMap<Operation, u64>,
    /// Calls that ask for money to move.
    pub refunds: u64,
    /// All others.
    pub reads: u64,
    /// Both.
    pub total: u64,
}

impl Calls {
    /// How often one operation was called.
    pub fn of(&self, operation: Operation) -> u64 {
        self.by_operation.get(&operation).copied().unwrap_or(0)
    }

    pub(crate) fn count(&mut self, operation: Operation) {
        *self.by_operation.entry(operation).or_default() += 1;
        self.total += 1;
        match operation.is_refund() {
            true => self.refunds += 1,
            false => self.reads += 1,
        }
    }
}

impl Books {
    /// One order's money, by its native number.
    pub fn order(&self, upstream: Upstream, id: &str) -> Option<&OrderBook> {
        self.orders.iter().find(|order| order.upstream == upstream && order.id == id)
    }

    /// What went back to the customer of one order, in fen; none for an unknown order.
    pub fn money_out_fen(&self, upstream: Upstream, id: &str) -> Option<i64> {
        self.order(upstream, id).map(|order| order.money_out_fen)
    }

    /// What went back to all customers, in fen.
    pub fn total_money_out_fen(&self) -> i64 {
        self.orders.iter().map(|order| order.money_out_fen).sum()
    }

    /// The orders that paid out more than was paid: none, ever, if all is well.
    pub fn overpaid(&self) -> Vec<&OrderBook> {
        self.orders.iter().filter(|order| order.money_out_fen > order.paid_fen).collect()
    }

    /// Every refund that bears this client number.
    pub fn by_client_no(&self, client_no: &str) -> Vec<&RefundBook> {
        let all = self.orders.iter().flat_map(|order| &order.refunds);
        all.filter(|refund| refund.client_no.as_deref() == Some(client_no)).collect()
    }
}
