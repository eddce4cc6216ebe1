//! Everything that changes while the sandbox runs, behind one lock: what the methods of [`Sandbox`](super::Sandbox) and
//! the paths under `/sandbox` have in common.

use std::time::{SystemTime, UNIX_EPOCH};

use super::bookkeeping::Bookkeeping;
use super::books::RefundState;
use super::fault::{Fault, FaultKind, Faults, Occurrence, Upstream};
use super::order::{NewOrder, OrderHandle};
use super::server::Course;
use super::settings::{Credentials, Settings};
use super::{SandboxError, Settlement, function, seed};

/// What an upstream needs to answer one call, under the lock.
pub(crate) struct Desk<'a> {
    pub(crate) books: &'a mut Bookkeeping,
    pub(crate) credentials: &'a Credentials,
    pub(crate) settings: &'a Settings,
    pub(crate) now_s: i64,
}

/// Where the sandbox's time comes from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Clock {
    /// The machine's.
    #[default]
    Machine,
    /// The async runtime's, which a test may have stopped, from zero.
    Runtime(tokio::time::Instant),
}

impl Clock {
    pub(crate) fn now_s(self) -> i64 {
        let since = match self {
            Clock::Machine => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Clock::Runtime(began) => began.elapsed(),
        };
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }
}

/// Everything that changes while the sandbox runs.
#[derive(Debug, Default)]
pub(crate) struct Inside {
    pub(crate) books: Bookkeeping,
    pub(crate) faults: Faults,
    pub(crate) credentials: Credentials,
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    /// How far the sandbox's time is ahead of it.
    pub(crate) clock_ahead_s: i64,
}

impl Inside {
    pub(crate) fn now_s(&self) -> i64 {
        self.clock.now_s().saturating_add(self.clock_ahead_s)
    }

    pub(crate) fn desk(&mut self) -> Desk<'_> {
        let now_s = self.now_s();
        Desk { books: &mut self.books, credentials: &self.credentials, settings: &self.settings, now_s }
    }

    pub(crate) fn add_order(&mut self, upstream: Upstream, order: NewOrder) -> Result<OrderHandle, SandboxError> {
        let now_s = self.now_s();
        let place = self.books.add_order(upstream, order, now_s)?;
        Ok(self.books.orders[place].handle())
    }

    pub(crate) fn seed_orders(&mut self, count: u32) -> Result<Vec<OrderHandle>, SandboxError> {
        seed::seed_orders(self, count)
    }

    pub(crate) fn refund_elsewhere(
        &mut self,
        upstream: Upstream,
        order: &str,
        amount_fen: i64,
    ) -> Result<String, SandboxError> {
        let now_s = self.now_s();
        let order = self.books.find_order(upstream, order)?;
        let refund = self.books.refund_elsewhere(order, amount_fen, now_s)?;
        Ok(self.books.refunds[refund].server_no.clone())
    }

    pub(crate) fn set_order_status(
        &mut self,
        upstream: Upstream,
        order: &str,
        status: &str,
    ) -> Result<(), SandboxError> {
        let now_s = self.now_s();
        let order = self.books.find_order(upstream, order)?;
        self.books.set_status(order, status, now_s)
    }

    pub(crate) fn release(
        &mut self,
        upstream: Upstream,
        number: &str,
        settlement: Settlement,
    ) -> Result<(), SandboxError> {
        let now_s = self.now_s();
        let unknown = || SandboxError::UnknownRefund { upstream, number: number.to_owned() };
        let refund = self.books.refund_by(upstream, number);
        let moved = refund.is_some_and(|refund| self.books.refunds[refund].money_moved);
        if moved && settlement == Settlement::Failed {
            return Err(SandboxError::Invalid("the money of this refund has moved".to_owned()));
        }
        if upstream == Upstream::Hydrogen {
            let course = match settlement {
                Settlement::Succeeded => Course::Plain,
                Settlement::Failed => Course::Fails,
            };
            return if function::release(&mut self.books, now_s, number, course) { Ok(()) } else { Err(unknown()) };
        }
        let refund =
            refund.filter(|refund| self.books.refunds[*refund].state == RefundState::Processing).ok_or_else(unknown)?;
        match settlement {
            Settlement::Succeeded => self.books.succeed(refund, now_s),
            Settlement::Failed => self.books.fail(refund, now_s),
        }
        Ok(())
    }

    pub(crate) fn reverse_refund(&mut self, upstream: Upstream, number: &str) -> Result<(), SandboxError> {
        if upstream == Upstream::Hydrogen {
            let why = "hydrogen documents no refund that comes back, and its function would not hear of it";
            return Err(SandboxError::Invalid(why.to_owned()));
        }
        let now_s = self.now_s();
        let succeeded = |refund: &usize| self.books.refunds[*refund].state == RefundState::Succeeded;
        let refund = self.books.refund_by(upstream, number).filter(succeeded);
        let unknown = || SandboxError::Invalid(format!("{upstream} has no refund {number} that succeeded"));
        self.books.reverse(refund.ok_or_else(unknown)?, now_s);
        Ok(())
    }

    pub(crate) fn set_fault(&mut self, fault: Fault) -> Result<(), SandboxError> {
        let Fault { operation, occurrence, kind } = fault;
        if !kind.fits(operation) {
            return Err(SandboxError::Invalid(format!("{kind:?} cannot happen to {operation}")));
        }
        let statuses = match kind {
            FaultKind::HttpBefore(status) | FaultKind::HttpAfter(status) => (200..=599).contains(&status),
            FaultKind::Redirect(status) => (300..=399).contains(&status),
            _ => true,
        };
        if !statuses || occurrence == Occurrence::Nth(0) {
            return Err(SandboxError::Invalid(format!("{fault:?} can never strike")));
        }
        if self.faults.arm(fault) { Ok(()) } else { Err(SandboxError::Full) }
    }
}
