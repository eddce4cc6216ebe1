//! The three upstreams as one local HTTP server whose money really moves, with faults on request.
//!
//! For the demo, for this crate's tests, and for yours: start one, point your accounts at it, let things go wrong,
//! and read in its [`Books`] what really happened. It speaks the wire alone and knows nothing of the clients or the
//! ledger, so that its books can judge them.
//!
//! What is imitated, and from which sources, stands in each upstream's file; what the upstreams leave undocumented is
//! a [`Settings`] field or a constant marked as invented. Nothing here has ever talked to the real services.
//!
//! Start reading at [`Sandbox`]; a call's way through the house is in `server.rs`.
//!
//! # Examples
//!
//! ```
//! use tillbook::sandbox::{Fault, FaultKind, NewOrder, Operation, Sandbox, Upstream};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sandbox = Sandbox::start().await?;
//! let order = sandbox.add_order(Upstream::Fubei, NewOrder::paid(8000))?;
//! sandbox.set_fault(Fault::new(Operation::FubeiRefund, FaultKind::DropAfter))?;
//! // .. refund through a ledger whose account points at sandbox.base_url() ..
//! assert_eq!(sandbox.books().money_out_fen(Upstream::Fubei, &order.id), Some(0));
//! assert_eq!(sandbox.pending_faults().len(), 1); // no refund was asked for, so the fault never fired
//! # Ok(())
//! # }
//! ```

mod bookkeeping;
mod books;
mod codes;
mod config;
mod control;
mod error;
mod fault;
mod front;
mod fubei;
mod fubei_rows;
mod function;
mod hydrogen;
mod hydrogen_rows;
mod inside;
mod json;
mod line;
mod numbers;
mod order;
mod seed;
mod server;
mod settings;
mod trade_order;
mod trade_order_refund_rows;
mod trade_order_rows;
mod unplugged;

use std::sync::Arc;
use std::time::Duration;

pub use books::{Books, Calls, OrderBook, RefundBook, RefundState};
pub use codes::*;
pub use error::SandboxError;
pub use fault::{Fault, FaultKind, Occurrence, Operation, Upstream};
pub use order::{Method, NewOrder, OrderHandle};
pub use settings::{Credentials, FunctionIndex, RepeatedRefundNo, RestRefundAmount, Settings};
pub use unplugged::Carried;

use front::{Door, House};
use inside::{Clock, Inside};
use serde::{Deserialize, Serialize};
use server::Shared;

/// How a refund that hung in the air ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settlement {
    /// The money moves, if it has not already.
    Succeeded,
    /// No money moves.
    Failed,
}

/// The running sandbox; dropping it stops it and cuts every connection.
///
/// All methods may be called while clients are at work. It needs a tokio runtime with IO and time, and lives no
/// longer than that.
#[derive(Debug)]
pub struct Sandbox {
    house: Arc<House>,
}

/// What a [`Sandbox`] starts with.
#[derive(Debug, Default)]
pub struct Builder {
    port: u16,
    control_port: u16,
    seed: u32,
    now_s: Option<i64>,
    credentials: Credentials,
    settings: Settings,
}

impl Builder {
    /// The upstreams' port on 127.0.0.1; 0, the default, is a free one.
    pub fn port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// The control port on 127.0.0.1, which stays up while the network is down; 0, the default, is a free one.
    pub fn control_port(self, control_port: u16) -> Self {
        Self { control_port, ..self }
    }

    /// How many orders to make for each upstream; none by default.
    pub fn seed(self, orders_per_upstream: u32) -> Self {
        Self { seed: orders_per_upstream, ..self }
    }

    /// Where the sandbox's clock starts, in unix seconds; the machine's own time by default.
    pub fn now(self, unix_s: i64) -> Self {
        Self { now_s: Some(unix_s), ..self }
    }

    /// Other credentials than the default fakes.
    pub fn credentials(self, credentials: Credentials) -> Self {
        Self { credentials, ..self }
    }

    /// Another behaviour where the upstreams leave it open.
    pub fn settings(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// Starts listening; when this returns, connects succeed.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Listen`] when a port cannot be had.
    pub async fn start(self) -> Result<Sandbox, SandboxError> {
        let upstreams = Door::take(self.port)?;
        let control = Door::take(self.control_port)?;
        Ok(Sandbox { house: House::open(Shared::new(self.inside(Clock::Machine)?), upstreams, control) })
    }

    fn inside(self, clock: Clock) -> Result<Inside, SandboxError> {
        let mut inside = Inside { credentials: self.credentials, settings: self.settings, clock, ..Inside::default() };
        inside.clock_ahead_s = self.now_s.map_or(0, |now_s| now_s.saturating_sub(inside.clock.now_s()));
        inside.seed_orders(self.seed)?;
        Ok(inside)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.house.close();
    }
}

impl Sandbox {
    /// Starts an empty sandbox on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Listen`] when the machine has no port.
    pub async fn start() -> Result<Self, SandboxError> {
        Self::builder().start().await
    }

    /// A sandbox with chosen ports, orders, clock, credentials or behaviour.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where the upstreams are, for instance `http://127.0.0.1:8100`: Fubei at `/gateway`, trade_order under `/api/`,
    /// hydrogen under `/hserve/`.
    pub fn base_url(&self) -> String {
        self.house.upstreams_url()
    }

    /// Where `/sandbox/...` answers even while the network is down.
    pub fn control_url(&self) -> String {
        self.house.control_url()
    }

    /// What callers must present at the moment.
    pub fn credentials(&self) -> Credentials {
        self.house.shared.lock().credentials.clone()
    }

    /// Rotates or breaks credentials; the next call is judged by these.
    pub fn set_credentials(&self, credentials: Credentials) {
        self.house.shared.lock().credentials = credentials;
    }

    /// How the sandbox behaves at the moment.
    pub fn settings(&self) -> Settings {
        self.house.shared.lock().settings.clone()
    }

    /// Changes how the sandbox behaves.
    pub fn set_settings(&self, settings: Settings) {
        self.house.shared.lock().settings = settings;
    }

    /// Puts one order into an upstream's books.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Invalid`] for what the upstream could not hold, [`SandboxError::NumberTaken`].
    pub fn add_order(&self, upstream: Upstream, order: NewOrder) -> Result<OrderHandle, SandboxError> {
        self.house.shared.change(|inside| inside.add_order(upstream, order))
    }

    /// Puts `orders_per_upstream` varied orders into each upstream's books: the same ones for the same clock.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Full`].
    pub fn seed_orders(&self, orders_per_upstream: u32) -> Result<Vec<OrderHandle>, SandboxError> {
        self.house.shared.change(|inside| inside.seed_orders(orders_per_upstream))
    }

    /// Somebody refunds in the merchant's back office; the order by any of its numbers. Answers the upstream's number
    /// of the refund.
    ///
    /// # Errors
    ///
    /// [`SandboxError::NotEnough`] with what is left, [`SandboxError::UnknownOrder`].
    pub fn refund_elsewhere(&self, upstream: Upstream, order: &str, amount_fen: i64) -> Result<String, SandboxError> {
        self.house.shared.change(|inside| inside.refund_elsewhere(upstream, order, amount_fen))
    }

    /// Sets an order's status in the upstream's own word; the order by any of its numbers.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Invalid`] for a word that the upstream cannot write, [`SandboxError::UnknownOrder`].
    pub fn set_order_status(&self, upstream: Upstream, order: &str, status: &str) -> Result<(), SandboxError> {
        self.house.shared.change(|inside| inside.set_order_status(upstream, order, status))
    }

    /// Ends a refund that [`FaultKind::Stuck`] or [`FaultKind::Unrecorded`] left in the air, by its client or server
    /// number.
    ///
    /// # Errors
    ///
    /// [`SandboxError::UnknownRefund`]; [`SandboxError::Invalid`] when money that moved is said to have failed.
    pub fn release(&self, upstream: Upstream, refund: &str, settlement: Settlement) -> Result<(), SandboxError> {
        self.house.shared.change(|inside| inside.release(upstream, refund, settlement))
    }

    /// Takes back a refund that had succeeded, by its client or server number: the customer's bank would not take the
    /// money, say, and the upstream calls it failed from now on.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Invalid`] where no refund of that number has succeeded, and for hydrogen, which documents none.
    pub fn reverse_refund(&self, upstream: Upstream, refund: &str) -> Result<(), SandboxError> {
        self.house.shared.change(|inside| inside.reverse_refund(upstream, refund))
    }

    /// What really happened so far.
    pub fn books(&self) -> Books {
        self.house.shared.lock().books.books()
    }

    /// Waits until the books look as they should: for what happens late, or beside the caller.
    ///
    /// It waits for ever if they never do; put a timeout around it.
    pub async fn until(&self, mut holds: impl FnMut(&Books) -> bool) {
        self.house.shared.until(|inside| holds(&inside.books.books())).await;
    }

    /// The calls received so far, without the cost of copying the books.
    pub fn calls(&self) -> Calls {
        self.house.shared.lock().books.calls.clone()
    }

    /// Scripts a fault.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Invalid`] for a kind that cannot happen to this operation, or a status that is none.
    pub fn set_fault(&self, fault: Fault) -> Result<(), SandboxError> {
        self.house.shared.change(|inside| inside.set_fault(fault))
    }

    /// The faults that have never fired: a test whose fault missed tested nothing.
    pub fn pending_faults(&self) -> Vec<Fault> {
        self.house.shared.lock().faults.never_fired()
    }

    /// Takes all faults back.
    pub fn clear_faults(&self) {
        self.house.shared.lock().faults.clear();
    }

    /// Refuses connections on the upstreams' port from now on, and cuts those that are open.
    pub async fn network_down(&self) {
        self.house.network_down(None).await;
    }

    /// Listens on the same port again.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Listen`] when another program took the port meanwhile.
    pub async fn network_up(&self) -> Result<(), SandboxError> {
        self.house.network_up().await
    }

    /// Moves the sandbox's clock ahead, for windows that close and times that differ.
    pub fn advance_clock(&self, by: Duration) {
        let mut inside = self.house.shared.lock();
        let by_s = i64::try_from(by.as_secs()).unwrap_or(i64::MAX);
        inside.clock_ahead_s = inside.clock_ahead_s.saturating_add(by_s);
    }
}
