//! Faults by script: which call goes wrong, when, and how.
//!
//! Start reading at [`Fault`]. A fault that never fired can be listed, so that a test fails when its fault missed.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One of the three upstreams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Upstream {
    /// 知晓云, with its cloud function.
    Hydrogen,
    /// The merchant `trade_order` API of the XxPay family.
    TradeOrder,
    /// 付呗 v1.
    Fubei,
}

impl Upstream {
    /// The upstream's name in configuration and in JSON: `hydrogen`, `trade_order`, `fubei`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hydrogen => "hydrogen",
            Self::TradeOrder => "trade_order",
            Self::Fubei => "fubei",
        }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

macro_rules! operations {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $upstream:ident;)*) => {
        /// What a caller asks of an upstream; calls are counted and faults are set by operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Operation {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl Operation {
            /// Every operation.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The operation's name in JSON, for instance `fubei.refund`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Whom the operation is asked of.
            pub fn upstream(self) -> Upstream {
                match self { $(Self::$variant => Upstream::$upstream,)* }
            }
        }
    };
}

operations! {
    /// `openapi.payment.order.query`
    FubeiOrderQuery = "fubei.order.query", Fubei;
    /// `openapi.payment.order.refund`
    FubeiRefund = "fubei.refund", Fubei;
    /// `openapi.payment.order.refund.query`
    FubeiRefundQuery = "fubei.refund.query", Fubei;
    /// `openapi.payment.refund.statistics`
    FubeiRefundStatistics = "fubei.refund.statistics", Fubei;
    /// `openapi.payment.order.bill`
    FubeiOrderBill = "fubei.order.bill", Fubei;
    /// Any other call of Fubei's gateway.
    FubeiOther = "fubei.other", Fubei;
    /// `/api/trade_order/get`
    TradeOrderGet = "trade_order.get", TradeOrder;
    /// `/api/trade_order/list`
    TradeOrderList = "trade_order.list", TradeOrder;
    /// `/api/memberPay/refund`
    TradeOrderRefund = "trade_order.refund", TradeOrder;
    /// `/api/refund_order/list`
    TradeOrderRefundList = "trade_order.refund_list", TradeOrder;
    /// Any other path under `/api`.
    TradeOrderOther = "trade_order.other", TradeOrder;
    /// `GET /hserve/v2.2/idp/pay/order/`
    HydrogenOrderList = "hydrogen.order.list", Hydrogen;
    /// `GET /hserve/v2.0/idp/pay/order/{transaction_no}/`
    HydrogenOrderGet = "hydrogen.order.get", Hydrogen;
    /// The cloud function's `refund`.
    FunctionRefund = "function.refund", Hydrogen;
    /// The cloud function's `lookup`.
    FunctionLookup = "function.lookup", Hydrogen;
    /// The cloud function's `void`.
    FunctionVoid = "function.void", Hydrogen;
    /// The cloud function's `list`.
    FunctionList = "function.list", Hydrogen;
    /// The cloud function's `get`.
    FunctionGet = "function.get", Hydrogen;
    /// The cloud function's `health`.
    FunctionHealth = "function.health", Hydrogen;
    /// Any other path under `/hserve`, an unknown function or an unknown op of ours.
    HydrogenOther = "hydrogen.other", Hydrogen;
}

impl Operation {
    /// Whether the call asks for money to move.
    pub fn is_refund(self) -> bool {
        matches!(self, Self::FubeiRefund | Self::TradeOrderRefund | Self::FunctionRefund)
    }

    /// The operation with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|operation| operation.name() == name)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What goes wrong. "Done" means that what the call asked for has happened in the sandbox's books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The connection is closed; nothing is done.
    DropBefore,
    /// Done; then the connection is closed without an answer.
    DropAfter,
    /// Done at once; the answer comes this much later.
    Delay(Duration),
    /// Done, and answered, this much later; also when the caller has hung up meanwhile.
    DelayBefore(Duration),
    /// The connection is closed at once; it is done this much later.
    LandsLate(Duration),
    /// This HTTP status; nothing is done.
    HttpBefore(u16),
    /// Done; then this HTTP status.
    HttpAfter(u16),
    /// Done; then 200 with a body that is not JSON.
    Garbage,
    /// Done; then 200 with the right length announced and half of the body sent.
    Truncated,
    /// This 3xx status with a `Location` of the same path; nothing is done.
    Redirect(u16),
    /// The upstream's own envelope with this code (hydrogen's REST reads: this HTTP status); nothing is done.
    CodeBefore(i64),
    /// Done; then the upstream's own envelope with this code.
    CodeAfter(i64),
    /// Refunds only: taken but not finished until [`release`](super::Sandbox::release). fubei answers
    /// REFUND_PROCESSING, trade_order status 1; the cloud function fails after writing its row, which stays `started`.
    Stuck,
    /// Refunds only: taken, then refused by the bank. fubei REFUND_FAILER, trade_order status 3, the function
    /// `failed`.
    Fails,
    /// Refunds of trade_order and the cloud function only: the money moved, but the books beside it were not written.
    /// trade_order answers 10003, its total unmoved, its own row left in status 1 and the gateway's row in status 2;
    /// the cloud function fails after `BaaS.refund` ran, its row stays `started`.
    Unrecorded,
}

impl FaultKind {
    fn is_refund_course(self) -> bool {
        matches!(self, Self::Stuck | Self::Fails | Self::Unrecorded)
    }

    /// Whether such a fault can happen to such a call.
    pub(crate) fn fits(self, operation: Operation) -> bool {
        if self == Self::Unrecorded && operation == Operation::FubeiRefund {
            return false;
        }
        operation.is_refund() || !self.is_refund_course()
    }
}

/// Which of the matching calls a fault strikes, counted from the moment it was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occurrence {
    /// The n-th call, 1 being the next one; the fault is spent after it.
    Nth(u64),
    /// Every call, until the faults are cleared.
    Every,
}

/// One scripted fault: the next call of `operation`, unless said otherwise.
///
/// # Examples
///
/// ```
/// use tillbook::sandbox::{Fault, FaultKind, Operation};
///
/// let second = Fault::new(Operation::FubeiRefund, FaultKind::DropAfter).nth(2);
/// let always = Fault::new(Operation::TradeOrderGet, FaultKind::HttpBefore(500)).every();
/// assert_ne!(second, always);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The call it strikes.
    pub operation: Operation,
    /// Which of the calls.
    pub occurrence: Occurrence,
    /// What goes wrong.
    pub kind: FaultKind,
}

impl Fault {
    /// A fault for the next call of this operation.
    pub fn new(operation: Operation, kind: FaultKind) -> Self {
        Self { operation, occurrence: Occurrence::Nth(1), kind }
    }

    /// Strikes the n-th call from now instead (1 = the next).
    pub fn nth(self, nth: u64) -> Self {
        Self { occurrence: Occurrence::Nth(nth), ..self }
    }

    /// Strikes every call instead.
    pub fn every(self) -> Self {
        Self { occurrence: Occurrence::Every, ..self }
    }
}

/// The faults that are set, with what each has seen.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Armed>);

#[derive(Debug)]
struct Armed {
    fault: Fault,
    seen: u64,
    fired: u64,
}

/// More faults than this at once are a runaway script.
const MOST_FAULTS: usize = 10_000;

impl Faults {
    /// Arms a fault; false when there are too many.
    pub(crate) fn arm(&mut self, fault: Fault) -> bool {
        // Spent faults are dropped here, so that a long script of them stays small.
        self.0.retain(|armed| armed.fault.occurrence == Occurrence::Every || armed.fired == 0);
        if self.0.len() >= MOST_FAULTS {
            return false;
        }
        self.0.push(Armed { fault, seen: 0, fired: 0 });
        true
    }

    /// Counts one call and says what strikes it; of two faults that are due, the one set first.
    pub(crate) fn strike(&mut self, operation: Operation) -> Option<FaultKind> {
        let mut struck = None;
        for armed in self.0.iter_mut().filter(|armed| armed.fault.operation == operation) {
            armed.seen += 1;
            let due = match armed.fault.occurrence {
                Occurrence::Every => true,
                // A fault that another one kept from its turn takes the next call.
                Occurrence::Nth(nth) => armed.fired == 0 && armed.seen >= nth,
            };
            if due && struck.is_none() {
                armed.fired += 1;
                struck = Some(armed.fault.kind);
            }
        }
        struck
    }

    pub(crate) fn never_fired(&self) -> Vec<Fault> {
        self.0.iter().filter(|armed| armed.fired == 0).map(|armed| armed.fault).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_call_is_struck_once_and_every_call_always() {
        let mut faults = Faults::default();
        assert!(faults.arm(Fault::new(Operation::FubeiRefund, FaultKind::DropAfter).nth(2)));
        assert!(faults.arm(Fault::new(Operation::TradeOrderGet, FaultKind::Garbage).every()));
        let refunds: Vec<_> = (0..3).map(|_| faults.strike(Operation::FubeiRefund)).collect();
        let gets: Vec<_> = (0..2).map(|_| faults.strike(Operation::TradeOrderGet)).collect();
        assert_eq!(refunds, [None, Some(FaultKind::DropAfter), None]);
        assert_eq!(gets, [Some(FaultKind::Garbage); 2]);
        assert_eq!(faults.never_fired(), []);
    }

    #[test]
    fn two_faults_due_at_once_strike_one_after_the_other() {
        let mut faults = Faults::default();
        let drop = Fault::new(Operation::FubeiRefund, FaultKind::DropAfter);
        let garbage = Fault::new(Operation::FubeiRefund, FaultKind::Garbage);
        assert!(faults.arm(drop) && faults.arm(garbage));
        assert_eq!(faults.strike(Operation::FubeiRefund), Some(FaultKind::DropAfter));
        assert_eq!(faults.never_fired(), [garbage]);
        assert_eq!(faults.strike(Operation::FubeiRefund), Some(FaultKind::Garbage));
    }

    #[test]
    fn operations_are_found_by_their_names() {
        for operation in Operation::ALL {
            assert_eq!(Operation::from_name(operation.name()), Some(*operation));
        }
        assert_eq!(Operation::from_name("fubei.reverse"), None);
    }

    #[test]
    fn refund_courses_fit_refunds_alone() {
        assert!(FaultKind::Stuck.fits(Operation::FubeiRefund));
        assert!(!FaultKind::Stuck.fits(Operation::FubeiOrderQuery));
        assert!(!FaultKind::Unrecorded.fits(Operation::FubeiRefund));
        assert!(FaultKind::Unrecorded.fits(Operation::TradeOrderRefund));
        assert!(FaultKind::Garbage.fits(Operation::FubeiOrderQuery));
    }
}
