//! The grammar of the lists: orders, refunds, events.

use std::time::Duration;

use clap::Args;
use tillbook::{AccountName, Money, OrderStatus, Timestamp};

use crate::cli::duration;
use crate::cli::parse::{self, OrderName};

/// `orders`.
#[derive(Debug, Args)]
pub(crate) struct OrdersArgs {
    /// Only of this account
    #[arg(long)]
    pub(crate) account: Option<AccountName>,
    /// Only in this status: pending, processing, paid, failed, closed
    #[arg(long, value_parser = parse::status)]
    pub(crate) status: Option<OrderStatus>,
    /// Only with this refund status
    #[arg(long, value_enum)]
    pub(crate) refund_status: Option<RefundStatusWord>,
    /// Only paid this way: wechat, alipay, unionpay, qq, cash, member, cash_on_delivery
    #[arg(long, value_name = "METHOD")]
    pub(crate) payment_method: Option<String>,
    /// Paid at or after: 2017-06-01, "2017-06-01 21:53:56" (Beijing) or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = parse::time_from)]
    pub(crate) paid_from: Option<Timestamp>,
    /// Paid before; a bare date includes that day
    #[arg(long, value_name = "TIME", value_parser = parse::time_to)]
    pub(crate) paid_to: Option<Timestamp>,
    /// Paid about then, where the receipt is lost: "2017-06-01 21:50" (Beijing) or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with_all = ["paid_from", "paid_to"])]
    pub(crate) around: Option<Timestamp>,
    /// How far from `--around`, to both sides
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = duration::parse, requires = "around")]
    pub(crate) within: Duration,
    /// Paid exactly this many yuan
    #[arg(long, value_name = "YUAN", allow_hyphen_values = true)]
    pub(crate) amount: Option<Money>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
    /// The page that begins where the page before ended (its `next`)
    #[arg(long, value_name = "NEXT")]
    pub(crate) page: Option<String>,
}

/// The refund statuses by their words.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum RefundStatusWord {
    /// Nothing refunded
    None,
    /// Less than what was paid
    Partial,
    /// All that was paid
    Complete,
}

/// `refunds`.
#[derive(Debug, Args)]
pub(crate) struct RefundsArgs {
    /// Only of this account
    #[arg(long)]
    pub(crate) account: Option<AccountName>,
    /// Only in this state: queued, sending, accepted, in_doubt, succeeded, declined, review, canceled, reversed
    #[arg(long, value_parser = state)]
    pub(crate) state: Option<tillbook::RefundState>,
    /// Asked for at or after: 2017-06-01, "2017-06-01 21:53:56" (Beijing) or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = parse::time_from)]
    pub(crate) from: Option<Timestamp>,
    /// Asked for before; a bare date includes that day
    #[arg(long, value_name = "TIME", value_parser = parse::time_to)]
    pub(crate) to: Option<Timestamp>,
    /// Only those that this person asked for
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
    /// List at most so many; the totals are over all that match
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
    /// The page that begins where the page before ended (its `next`)
    #[arg(long, value_name = "NEXT")]
    pub(crate) page: Option<String>,
}

/// `events`.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Only those after this sequence: the last one that was dealt with
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0)]
    pub(crate) after: u64,
    /// Wait for those to come, until interrupted; works beside whoever owns the ledger
    #[arg(long)]
    pub(crate) follow: bool,
    /// Only of this order: ACCOUNT:NUMBER, or ACCOUNT:kind=number
    #[arg(long, value_name = "ORDER")]
    pub(crate) order: Option<OrderName>,
}

fn state(text: &str) -> Result<tillbook::RefundState, String> {
    let known = tillbook::RefundState::ALL;
    known.into_iter().find(|state| state.as_str() == text).ok_or_else(|| {
        let words: Vec<&str> = known.iter().map(|state| state.as_str()).collect();
        format!("known are {}", words.join(", "))
    })
}

/// A time of a day: a bare date would mean its midnight.
fn moment(text: &str) -> Result<Timestamp, String> {
    let at = parse::time_from(text)?;
    let bare = text.len() == "2017-06-01".len();
    if bare { Err(format!("{text:?} names no hour: write for instance \"{text} 18:30\"")) } else { Ok(at) }
}
