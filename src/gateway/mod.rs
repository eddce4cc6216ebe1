//! What the ledger asks of an upstream, and what it may be told.
//!
//! A [`Gateway`] is an adapter to one upstream with one merchant's credentials. Ours are in
//! [`clients`](crate::clients); a user may write another. No generated type and no HTTP type is
//! seen here. Start reading at [`Gateway`].

mod lease;
mod limited;
mod page;
mod read_error;

use std::time::Duration;

pub use crate::future::BoxFuture;
pub use lease::Lease;
pub(crate) use limited::Limited;
pub use page::{BadRow, Mentioned, OrderFilter, OrderPage, PageAt, RefundPage, RefundSpan, SeenRefund};
pub use read_error::{ReadError, ReadErrorKind};

use crate::domain::{
    Answer, Baseline, Facts, Finding, GatewayName, InFlight, Interval, Money, Reference, Refund, Rules, Timestamp,
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

    /// Asks what became of a refund: by its own number where the upstream takes or gave one, else by
    /// what is like it. The outcome is `InDoubt` where the upstream's words prove nothing, never
    /// `NotSent` or `Blocked`. Totals are not this question's business: the ledger reads them from
    /// [`Gateway::fetch_order`].
    ///
    /// # Errors
    /// As [`Gateway::fetch_order`].
    fn probe<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Result<Finding, ReadError>>;

    /// Shuts the door on a refund that may still arrive, where the upstream can
    /// ([`Capabilities::fence`]). `NotSent` in the finding is the proof: nothing was executed and
    /// nothing will be under this number; any other outcome is what a probe would have found. The
    /// same question may be asked again.
    ///
    /// # Errors
    /// As [`Gateway::fetch_order`]; `Unsupported` unless the upstream can. After an error nobody
    /// knows whether the door is shut.
    fn fence<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Result<Finding, ReadError>> {
        let _ = call;
        let error = ReadError::new(ReadErrorKind::Unsupported, format!("{} has no fence", self.name()));
        Box::pin(std::future::ready(Err(error)))
    }

    /// Asks for one page of the refunds of a span of time, whoever made them, where the upstream lists
    /// them ([`Capabilities::lists_refunds`]).
    ///
    /// # Errors
    /// As [`Gateway::list_orders`].
    fn list_refunds<'a>(&'a self, span: RefundSpan, page: PageAt) -> BoxFuture<'a, Result<RefundPage, ReadError>> {
        let _ = (span, page);
        let error = ReadError::new(ReadErrorKind::Unsupported, format!("{} lists no refunds", self.name()));
        Box::pin(std::future::ready(Err(error)))
    }

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
    /// The upstream's numbers of the order's other refunds: their rows are not this refund's.
    pub others: Vec<String>,
    /// How long the attempt may be sent; `None` where one process owns the ledger. A gateway asks
    /// [`Lease::may_send`] right before the first byte leaves, and else sends nothing.
    pub lease: Option<Lease>,
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
    /// Whether a list has every order of the merchant with its facts. Fubei's bill only names paid
    /// ones, and a hydrogen user's list has only that user's: there a sync asks for unfinished orders
    /// one by one.
    pub lists_every_order: bool,
    /// Whether a client refund number is taken, by which a refund can be asked for later.
    pub client_refund_number: bool,
    /// Whether the order's total of refunds counts, or may count, refunds that are taken and not finished: it moves
    /// then for what is declined in the end. Fubei does not say; trade_order's is documented as that of successful ones.
    pub totals_count_pending: bool,
    /// Whether a door can be shut on a refund that has not arrived (hydrogen's function: `void`).
    pub fence: bool,
    /// Whether refunds can be listed by time, whoever made them.
    pub lists_refunds: bool,
    /// The kinds of number by which [`Gateway::fetch_order`] can ask, best first.
    pub fetch_by: &'static [&'static str],
    /// How long after the payment refunds are taken, where documented.
    pub refund_window: Option<Duration>,
    /// How many refunds an order may have, where documented.
    pub refunds_per_order: Option<u32>,
    /// How many questions a minute are asked unless the account's settings say otherwise; `None`: as
    /// many as it takes.
    pub calls_per_minute: Option<u32>,
}

impl Capabilities {
    /// The rules that follow where the account's settings say nothing else.
    #[must_use]
    pub fn rules(&self) -> Rules {
        Rules {
            refund_window: self.refund_window,
            refunds_per_order: self.refunds_per_order,
            refund_interval: Interval::OfChannel,
            totals_count_pending: self.totals_count_pending,
            in_flight: if self.client_refund_number { InFlight::Many } else { InFlight::One },
            ..Rules::default()
        }
    }
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
