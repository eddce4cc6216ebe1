//! What the ledger asks of an upstream, and what it may be told.
//!
//! A [`Gateway`] is an adapter to one upstream with one merchant's credentials. Ours are in
//! [`clients`](crate::clients); a user may write another. No generated type and no HTTP type is
//! seen here. Start reading at [`Gateway`].

mod read_error;

use std::time::Duration;

pub use crate::future::BoxFuture;
pub use read_error::{ReadError, ReadErrorKind};

use crate::domain::{
    Answer, Baseline, Facts, GatewayName, InFlight, Interval, Money, OrderStatus, PaymentMethod, Reference, Refund,
    RefundStatus, Rules, Timestamp,
};

/// An adapter to one upstream with one merchant's credentials.
///
/// # Safety of calls
/// Only [`Gateway::refund`] moves money. Nothing under them may
/// repeat a request by itself: no retry, no redirect, no reused idle connection. The others are
/// reads and may be repeated by the caller.
pub trait Gateway: Send + Sync + 'static {
    /// The kind of upstream.
    fn name(&self) -> GatewayName;

    /// The merchant's id at the upstream, where the credentials tell it (Fubei `app_id`, hydrogen
    /// client id); `None` where only facts do (trade_order).
    fn merchant(&self) -> Option<String>;

    /// What this upstream can and cannot do.
    fn capabilities(&self) -> Capabilities;

    /// Asks for one order. `wanted` are its numbers; of a number whose kind is unknown, one reference
    /// for each kind in [`Capabilities::fetch_by`]: then each is tried in turn until one is known.
    /// `Ok(None)`: the upstream says it has no such order under any of them.
    ///
    /// # Errors
    /// Any failure to get or to understand the answer; nothing changed upstream.
    fn fetch_order<'a>(&'a self, wanted: &'a [Reference]) -> BoxFuture<'a, Result<Option<Facts>, ReadError>>;

    /// Asks for one page of orders.
    ///
    /// # Errors
    /// As [`Gateway::fetch_order`]; a row that cannot be read is in the page's `bad_rows` instead.
    fn list_orders<'a>(&'a self, wanted: &'a OrderFilter, page: PageAt) -> BoxFuture<'a, Result<OrderPage, ReadError>>;

    /// Sends one refund, once. Never fails: whatever happens on the way is an outcome.
    fn refund<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Answer>;

    /// Asks what became of a refund. The answer's outcome is `InDoubt` where the upstream's words
    /// prove nothing.
    ///
    /// # Errors
    /// As [`Gateway::fetch_order`].
    fn probe<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Result<Answer, ReadError>>;

    /// One cheap safe call that proves credentials and reachability, with what it found in words.
    ///
    /// # Errors
    /// As [`Gateway::fetch_order`].
    fn check(&self) -> BoxFuture<'_, Result<Checked, ReadError>>;
}

/// One refund to send or to ask about, with all that any upstream needs.
#[derive(Clone, Debug)]
pub struct RefundCall {
    /// The refund; its key is the client refund number where the upstream takes one.
    pub refund: Refund,
    /// All numbers of the order.
    pub references: Vec<Reference>,
    /// The order's own permanent number upstream.
    pub native: Reference,
    /// 实付 of the order.
    pub paid: Money,
    /// The upstream's totals before the attempt.
    pub baseline: Option<Baseline>,
}

/// What an upstream can and cannot do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether refunds can be asked for at all.
    pub refunds: bool,
    /// Whether orders can be listed, at least by number (Fubei's: its bill names paid orders).
    pub lists_orders: bool,
    /// Whether a list bounded by time has every order of that time. hydrogen's has none without a paid
    /// time, which seed 001 shows even on paid orders: its list is read whole.
    pub lists_by_time: bool,
    /// Whether a client refund number is taken, by which a refund can be asked for later.
    pub client_refund_number: bool,
    /// Whether a door can be shut on a refund that has not arrived (hydrogen's function: `void`).
    pub fence: bool,
    /// The kinds of number by which [`Gateway::fetch_order`] can ask, best first.
    pub fetch_by: &'static [&'static str],
    /// How long after the payment refunds are taken, where documented.
    pub refund_window: Option<Duration>,
    /// How many refunds an order may have, where documented.
    pub refunds_per_order: Option<u32>,
}

impl Capabilities {
    /// The rules that follow where the account's settings say nothing else.
    #[must_use]
    pub fn rules(&self) -> Rules {
        Rules {
            refund_window: self.refund_window,
            refunds_per_order: self.refunds_per_order,
            refund_interval: Interval::OfChannel,
            in_flight: if self.client_refund_number { InFlight::Many } else { InFlight::One },
            sole_refunder: true,
        }
    }
}

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
    pub mentioned: Vec<Reference>,
    /// The rows that could not.
    pub bad_rows: Vec<BadRow>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<u64>,
    /// How many rows there are in all, if the upstream says.
    pub total: Option<u64>,
}

/// A row that could not be read: it does not lose its page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// Where in the answer, and which field: `objects[3].total_cost`.
    pub path: String,
    /// What is wrong with it.
    pub why: String,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What was proven, in words: "signature accepted".
    pub proven: Vec<String>,
    /// What did not fail and still wants a person's eye: "the clock is 40 s behind the upstream's".
    pub warnings: Vec<String>,
    /// The upstream's clock, where its answer bore a `Date`.
    pub upstream_time: Option<Timestamp>,
}
