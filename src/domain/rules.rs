//! The limits under which an order may be refunded, and where each is documented.

use std::time::Duration;

use super::{Money, PaymentMethod};

/// The least time between two refunds of one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// What the channel underneath documents: WeChat 60 s, Alipay 3 s, others none.
    OfChannel,
    /// The same for all, as the account's settings say.
    Fixed(Duration),
}

impl Interval {
    /// The interval for an order paid that way.
    #[must_use]
    pub fn for_method(self, method: Option<&PaymentMethod>) -> Duration {
        match (self, method) {
            (Interval::Fixed(interval), _) => interval,
            (Interval::OfChannel, Some(PaymentMethod::Wechat)) => Duration::from_secs(60),
            (Interval::OfChannel, Some(PaymentMethod::Alipay)) => Duration::from_secs(3),
            (Interval::OfChannel, _) => Duration::ZERO,
        }
    }
}

/// How many refunds of one order may be unsettled at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InFlight {
    /// The upstream takes no client number: one at a time, so that totals can speak.
    One,
    /// The upstream takes a client number, by which each can be asked for.
    Many,
}

/// What an account's gateway and settings allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long after the payment a refund may be asked for. Fubei: 90 days (its SDK's own
    /// wording); WeChat underneath: 365.
    pub refund_window: Option<Duration>,
    /// How many refunds an order may have. Fubei: 10; WeChat underneath: 50.
    pub refunds_per_order: Option<u32>,
    /// The least time between two refunds of one order.
    pub refund_interval: Interval,
    /// How many refunds of one order may be unsettled at a time.
    pub in_flight: InFlight,
    /// Whether nobody but this ledger refunds this account's orders. A moved total that matches an
    /// unsettled refund exactly is then read as that refund.
    pub sole_refunder: bool,
    /// Whether the upstream's total may count refunds that are taken and not finished. A moved total then proves
    /// that a refund was accepted, and not that it succeeded.
    pub totals_count_pending: bool,
    /// Refunds above this wait, held, until a person approves them.
    pub hold_above: Option<Money>,
    /// How long an upstream may not know an order before its queued refunds go to a person.
    pub provisional_for: Duration,
    /// How long a refund may be in doubt or accepted before it is put before a person.
    pub review_after: Duration,
    /// After how long a silence a refund that nothing proves is sent again. `None` is never; anything
    /// else risks that it is paid twice, for a request can land after any time.
    pub resend_after_silence: Option<Duration>,
}

/// A payment platform knows its own orders at once; a day covers its outages.
const PROVISIONAL_FOR: Duration = Duration::from_secs(24 * 3_600);

/// Banks settle refunds within three days as a rule; what is silent longer wants a person.
const REVIEW_AFTER: Duration = Duration::from_secs(72 * 3_600);

impl Default for Rules {
    /// No limits but the channel's interval; one at a time.
    fn default() -> Rules {
        Rules {
            refund_window: None,
            refunds_per_order: None,
            refund_interval: Interval::OfChannel,
            in_flight: InFlight::One,
            sole_refunder: true,
            totals_count_pending: false,
            hold_above: None,
            provisional_for: PROVISIONAL_FOR,
            review_after: REVIEW_AFTER,
            resend_after_silence: None,
        }
    }
}
