//! A clock that a test moves, and a gateway that reads it.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tillbook::Clock;
use tillbook::domain::{Answer, Facts, Finding, Reference, Timestamp};
use tillbook::gateway::{BoxFuture, Gateway, OrderFilter, OrderPage, PageAt, ReadError, RefundCall};

use super::forward_gateway::forward_gateway;

/// The machine's clocks, with what a test added to them.
pub(crate) struct TestClock {
    began: Instant,
    moved: Mutex<Moved>,
}

#[derive(Clone, Copy, Default)]
struct Moved {
    /// Time that went by: the wall clock and the one that nobody sets both show it.
    passed: Duration,
    /// By how much the wall clock was set, in seconds: forward or back, and nothing else shows it.
    set_s: i64,
}

impl TestClock {
    pub(crate) fn new() -> Arc<TestClock> {
        Arc::new(TestClock { began: Instant::now(), moved: Mutex::default() })
    }

    fn moved(&self) -> MutexGuard<'_, Moved> {
        self.moved.lock().expect("nothing panics with the clock in hand")
    }

    /// Lets time go by.
    pub(crate) fn pass(&self, time: Duration) {
        self.moved().passed += time;
    }

    /// Sets the wall clock forward, or back.
    pub(crate) fn set_by(&self, seconds: i64) {
        self.moved().set_s += seconds;
    }

    /// A moment of the machine's clock on this one.
    fn shown(&self, at: Timestamp) -> Timestamp {
        let Moved { passed, set_s } = *self.moved();
        moved_by(at.saturating_add(passed), set_s)
    }

    /// A moment that was read from this clock, without what the clock was set by since it is known.
    fn unset(&self, at: Timestamp) -> Timestamp {
        moved_by(at, -self.moved().set_s)
    }
}

fn moved_by(at: Timestamp, seconds: i64) -> Timestamp {
    let by = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { at.saturating_sub(by) } else { at.saturating_add(by) }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.shown(jiff::Timestamp::now().into())
    }

    fn running(&self) -> Duration {
        self.began.elapsed() + self.moved().passed
    }
}

/// A gateway on a machine with that clock: the adapters read the machine's own, and what they say of it is
/// told as this clock would have shown it.
pub(crate) struct OnClock {
    pub(crate) gateway: Arc<dyn Gateway>,
    /// The same upstream for refunds, where a test gives up on those sooner.
    pub(crate) sender: Arc<dyn Gateway>,
    pub(crate) clock: Arc<TestClock>,
}

impl OnClock {
    fn facts(&self, facts: Facts) -> Facts {
        Facts { asked_at: self.clock.shown(facts.asked_at), ..facts }
    }

    fn answer(&self, answer: Answer) -> Answer {
        Answer { ended_at: self.clock.shown(answer.ended_at), ..answer }
    }

    fn finding(&self, finding: Finding) -> Finding {
        let asked_at = self.clock.shown(finding.asked_at);
        Finding { answer: self.answer(finding.answer), asked_at, ..finding }
    }

    fn call(&self, call: &RefundCall) -> RefundCall {
        let mut call = call.clone();
        call.refund.sent_at = call.refund.sent_at.map(|at| self.clock.unset(at));
        call
    }
}

impl Gateway for OnClock {
    forward_gateway!(self.gateway: name, merchant, capabilities, check);

    fn fetch_order<'a>(&'a self, wanted: &'a [Reference]) -> BoxFuture<'a, Result<Option<Facts>, ReadError>> {
        Box::pin(async move { Ok(self.gateway.fetch_order(wanted).await?.map(|facts| self.facts(facts))) })
    }

    fn list_orders<'a>(&'a self, wanted: &'a OrderFilter, page: PageAt) -> BoxFuture<'a, Result<OrderPage, ReadError>> {
        Box::pin(async move {
            let mut page = self.gateway.list_orders(wanted, page).await?;
            page.orders = page.orders.into_iter().map(|facts| self.facts(facts)).collect();
            Ok(page)
        })
    }

    fn refund<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Answer> {
        Box::pin(async move { self.answer(self.sender.refund(&self.call(call)).await) })
    }

    fn probe<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Result<Finding, ReadError>> {
        Box::pin(async move { Ok(self.finding(self.gateway.probe(&self.call(call)).await?)) })
    }

    fn fence<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Result<Finding, ReadError>> {
        Box::pin(async move { Ok(self.finding(self.gateway.fence(&self.call(call)).await?)) })
    }
}
