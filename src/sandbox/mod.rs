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
mod control;
mod fault;
mod front;
mod fubei;
mod function;
mod hydrogen;
mod hydrogen_rows;
mod json;
mod line;
mod order;
mod seed;
mod server;
mod settings;
mod trade_order;
mod trade_order_rows;

use std::sync::Arc;
use std::time::Duration;

pub use books::{Books, Calls, OrderBook, RefundBook, RefundState};
pub use fault::{Fault, FaultKind, Occurrence, Operation, Upstream};
pub use fubei::{
    FUBEI_MALFORMED, FUBEI_SUB_BAD_AMOUNT, FUBEI_SUB_BAD_STATE, FUBEI_SUB_NOT_ENOUGH,
    FUBEI_SUB_ORDER_NOT_EXIST, FUBEI_SUB_OVERDUE, FUBEI_SUB_REFUND_NOT_EXIST, FUBEI_SUB_REPEATED,
    FUBEI_SUB_TOO_MANY, FUBEI_UNKNOWN_APP, FUBEI_UNKNOWN_METHOD, FUBEI_WRONG_SIGN,
};
pub use order::{Method, NewOrder, OrderHandle};
pub use settings::{Credentials, FunctionIndex, RepeatedRefundNo, RestRefundAmount, Settings};
pub use trade_order::{
    TRADE_ORDER_ALL_REFUNDED, TRADE_ORDER_BAD_STATUS, TRADE_ORDER_BUSY, TRADE_ORDER_EXCEPTION,
    TRADE_ORDER_FAILED, TRADE_ORDER_NOT_ENOUGH, TRADE_ORDER_UNAUTHORIZED, TRADE_ORDER_UNKNOWN,
};

use front::{Door, House};
use serde::{Deserialize, Serialize};
use server::{Inside, Shared};

/// Why the sandbox could not do what a test or a script asked of it; nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The port is taken, or the machine refuses to listen.
    #[error("could not listen on 127.0.0.1:{port}")]
    Listen {
        /// The port.
        port: u16,
        /// What the machine said.
        #[source]
        source: std::io::Error,
    },
    /// The sandbox was stopped.
    #[error("the sandbox was stopped")]
    Stopped,
    /// No order bears this number.
    #[error("{upstream} has no order {number}")]
    UnknownOrder {
        /// Who was asked.
        upstream: Upstream,
        /// The number.
        number: String,
    },
    /// No unfinished refund bears this number.
    #[error("{upstream} has no unfinished refund {number}")]
    UnknownRefund {
        /// Who was asked.
        upstream: Upstream,
        /// The number.
        number: String,
    },
    /// Another order bears the number.
    #[error("another order has the {name} {number}")]
    NumberTaken {
        /// The number's name in the upstream's rows.
        name: String,
        /// The number.
        number: String,
    },
    /// Not positive, or more than the order has left.
    #[error("cannot refund {asked_fen} fen: {left_fen} are left")]
    NotEnough {
        /// What was asked for, in fen.
        asked_fen: i64,
        /// What the order has left, in fen.
        left_fen: i64,
    },
    /// What was asked for makes no sense.
    #[error("not possible: {0}")]
    Invalid(String),
    /// More orders, refunds or faults than a test can mean.
    #[error("the sandbox is full")]
    Full,
}

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
        Self {
            control_port,
            ..self
        }
    }

    /// How many orders to make for each upstream; none by default.
    pub fn seed(self, orders_per_upstream: u32) -> Self {
        Self {
            seed: orders_per_upstream,
            ..self
        }
    }

    /// Where the sandbox's clock starts, in unix seconds; the machine's own time by default.
    pub fn now(self, unix_s: i64) -> Self {
        Self {
            now_s: Some(unix_s),
            ..self
        }
    }

    /// Other credentials than the default fakes.
    pub fn credentials(self, credentials: Credentials) -> Self {
        Self {
            credentials,
            ..self
        }
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
        let mut inside = Inside {
            credentials: self.credentials,
            settings: self.settings,
            ..Inside::default()
        };
        inside.clock_ahead_s = self
            .now_s
            .map_or(0, |now_s| now_s.saturating_sub(server::machine_now_s()));
        inside.seed_orders(self.seed)?;
        let upstreams = Door::take(self.port).await?;
        let control = Door::take(self.control_port).await?;
        Ok(Sandbox {
            house: House::open(Shared::new(inside), upstreams, control),
        })
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
        self.house.upstreams.url()
    }

    /// Where `/sandbox/...` answers even while the network is down.
    pub fn control_url(&self) -> String {
        self.house.control.url()
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
    pub fn add_order(
        &self,
        upstream: Upstream,
        order: NewOrder,
    ) -> Result<OrderHandle, SandboxError> {
        self.house.shared.lock().add_order(upstream, order)
    }

    /// Puts `orders_per_upstream` varied orders into each upstream's books: the same ones for the same clock.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Full`].
    pub fn seed_orders(&self, orders_per_upstream: u32) -> Result<Vec<OrderHandle>, SandboxError> {
        self.house.shared.lock().seed_orders(orders_per_upstream)
    }

    /// Somebody refunds in the merchant's back office; the order by any of its numbers. Answers the upstream's number
    /// of the refund.
    ///
    /// # Errors
    ///
    /// [`SandboxError::NotEnough`] with what is left, [`SandboxError::UnknownOrder`].
    pub fn refund_elsewhere(
        &self,
        upstream: Upstream,
        order: &str,
        amount_fen: i64,
    ) -> Result<String, SandboxError> {
        self.house
            .shared
            .lock()
            .refund_elsewhere(upstream, order, amount_fen)
    }

    /// Sets an order's status in the upstream's own word; the order by any of its numbers.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Invalid`] for a word that the upstream cannot write, [`SandboxError::UnknownOrder`].
    pub fn set_order_status(
        &self,
        upstream: Upstream,
        order: &str,
        status: &str,
    ) -> Result<(), SandboxError> {
        self.house
            .shared
            .lock()
            .set_order_status(upstream, order, status)
    }

    /// Ends a refund that [`FaultKind::Stuck`] or [`FaultKind::Unrecorded`] left in the air, by its client or server
    /// number.
    ///
    /// # Errors
    ///
    /// [`SandboxError::UnknownRefund`]; [`SandboxError::Invalid`] when money that moved is said to have failed.
    pub fn release(
        &self,
        upstream: Upstream,
        refund: &str,
        settlement: Settlement,
    ) -> Result<(), SandboxError> {
        self.house
            .shared
            .lock()
            .release(upstream, refund, settlement)
    }

    /// What really happened so far.
    pub fn books(&self) -> Books {
        self.house.shared.lock().books.books()
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
        self.house.shared.lock().set_fault(fault)
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
        self.house.upstreams.shut(None).await;
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

    /// A `tillbook.toml` with three accounts on this sandbox (`shop-1` fubei, `shop-2` trade_order, `shop-3`
    /// hydrogen), its fake secrets in plain text. `data` is the ledger's directory.
    pub fn config_toml(&self, data: &str) -> String {
        let base_url = toml_text(&self.base_url());
        let known = self.credentials();
        format!(
            "# Accounts on a tillbook sandbox; none of these secrets opens anything else.\n\
             # Its books: {control}/sandbox/books\n\
             data = {data}\n\
             device = \"till-1\"\n\
             \n\
             [accounts.shop-1]\n\
             gateway = \"fubei\"\n\
             base_url = {base_url}\n\
             app_id = {app_id}\n\
             secret = {secret}\n\
             \n\
             [accounts.shop-2]\n\
             gateway = \"trade_order\"\n\
             base_url = {base_url}\n\
             token = {trade_order_token}\n\
             \n\
             [accounts.shop-3]\n\
             gateway = \"hydrogen\"\n\
             base_url = {base_url}\n\
             client_id = {client_id}\n\
             token = {hydrogen_token}\n\
             refund_function = {function_name}\n\
             function_secret = {function_secret}\n\
             orders = \"function\"\n",
            control = self.control_url(),
            data = toml_text(data),
            app_id = toml_text(&known.fubei_app_id),
            secret = toml_text(&known.fubei_secret),
            trade_order_token = toml_text(&known.trade_order_token),
            client_id = toml_text(&known.hydrogen_client_id),
            hydrogen_token = toml_text(&known.hydrogen_token),
            function_name = toml_text(&known.function_name),
            function_secret = toml_text(&known.function_secret),
        )
    }
}

/// A TOML basic string: the escapes of a JSON string are a subset of TOML's.
fn toml_text(text: &str) -> String {
    json::Json::from(text).text()
}

/// What the methods above and the paths under `/sandbox` have in common.
impl Inside {
    pub(crate) fn add_order(
        &mut self,
        upstream: Upstream,
        order: NewOrder,
    ) -> Result<OrderHandle, SandboxError> {
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
        let unknown = || SandboxError::UnknownRefund {
            upstream,
            number: number.to_owned(),
        };
        let refund = self.books.refund_by(upstream, number);
        let moved = refund.is_some_and(|refund| self.books.refunds[refund].money_moved);
        if moved && settlement == Settlement::Failed {
            return Err(SandboxError::Invalid(
                "the money of this refund has moved".to_owned(),
            ));
        }
        if upstream == Upstream::Hydrogen {
            let course = match settlement {
                Settlement::Succeeded => server::Course::Plain,
                Settlement::Failed => server::Course::Fails,
            };
            return if function::release(&mut self.books, now_s, number, course) {
                Ok(())
            } else {
                Err(unknown())
            };
        }
        let refund = refund
            .filter(|refund| self.books.refunds[*refund].state == RefundState::Processing)
            .ok_or_else(unknown)?;
        match settlement {
            Settlement::Succeeded => self.books.succeed(refund, now_s),
            Settlement::Failed => self.books.fail(refund, now_s),
        }
        Ok(())
    }

    pub(crate) fn set_fault(&mut self, fault: Fault) -> Result<(), SandboxError> {
        let Fault {
            operation,
            occurrence,
            kind,
        } = fault;
        if !kind.fits(operation) {
            return Err(SandboxError::Invalid(format!(
                "{kind:?} cannot happen to {operation}"
            )));
        }
        let statuses = match kind {
            FaultKind::HttpBefore(status) | FaultKind::HttpAfter(status) => {
                (200..=599).contains(&status)
            }
            FaultKind::Redirect(status) => (300..=399).contains(&status),
            _ => true,
        };
        if !statuses || occurrence == Occurrence::Nth(0) {
            return Err(SandboxError::Invalid(format!("{fault:?} can never strike")));
        }
        if self.faults.arm(fault) {
            Ok(())
        } else {
            Err(SandboxError::Full)
        }
    }
}
