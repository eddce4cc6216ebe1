//! Money, orders, refunds and the rules between them, as values and pure functions.
//!
//! What must never be here: IO, async, a clock, randomness, floats, wire formats. Start reading at
//! [`OrderRecord`], then [`decide`].

mod body;
pub mod decide;
mod event;
mod finding;
mod id;
mod money;
mod order;
mod outcome;
mod record;
mod refund;
mod rejection;
mod rules;
mod time;
mod totals;
mod verdict;

pub use body::Body;
pub use event::{ChainHash, Entry, Event};
pub use finding::{Finding, Proof};
pub use id::{AccountName, DeviceName, GatewayName, NameError, OrderId, Reference, RefundKey, check_number};
pub use money::{Money, MoneyError};
pub use order::{Facts, OrderStatus, PaidAtSource, PaymentMethod, RefundStatus};
pub use outcome::{Answer, BlockReason, Outcome};
pub use record::{BrokenHistory, OrderRecord};
pub use refund::{Baseline, Refund, RefundState, Requested};
pub use rejection::Rejection;
pub use rules::{InFlight, Interval, Rules};
pub use time::Timestamp;
pub use verdict::Verdict;
