//! What the model knows of an order: plain numbers. Amounts are fen, times are seconds.

use tillbook::domain::{Outcome, Proof, RefundState};

/// The account's settings.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) one_in_flight: bool,
    pub(super) sole_refunder: bool,
    pub(super) totals_count_pending: bool,
    pub(super) interval: i64,
    pub(super) per_order: Option<u32>,
    pub(super) window: Option<i64>,
    pub(super) hold_above: Option<i64>,
    pub(super) resend_after: Option<i64>,
}

/// What a command is answered with: the names of what was written, or the words of the refusal.
pub(super) type Answer = Result<Vec<&'static str>, String>;

/// What the upstream says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) status: &'static str,
    pub(super) currency: &'static str,
    pub(super) paid: i64,
    pub(super) refunded: Option<i64>,
    pub(super) count: Option<i64>,
    pub(super) asked_at: i64,
}

#[derive(Clone, Debug)]
pub(super) struct Refund {
    pub(super) key: String,
    /// `None`: all.
    pub(super) asked: Option<i64>,
    pub(super) amount: i64,
    pub(super) state: RefundState,
    pub(super) attempts: u32,
    pub(super) requested_at: i64,
    pub(super) state_at: i64,
    pub(super) due_at: i64,
    pub(super) sent_at: Option<i64>,
    /// The upstream's total before the last attempt, if it told one.
    pub(super) total_before: Option<i64>,
    pub(super) awaits_approval: bool,
    pub(super) approved: bool,
    pub(super) last_found: Option<Found>,
}

/// What the last question about a refund found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) outcome: Outcome,
    pub(super) proof: Proof,
    pub(super) at: i64,
    /// The totals that were told with it: before the attempt, now, and ours of it.
    pub(super) totals: Option<(Option<i64>, Option<i64>, i64)>,
}

impl Refund {
    /// Whether its amount is set aside.
    pub(super) fn holds(&self) -> bool {
        use RefundState::{Accepted, InDoubt, Queued, Review, Sending};
        [Queued, Sending, Accepted, InDoubt, Review].contains(&self.state)
    }

    /// U: whether the upstream may or may not have executed it.
    pub(super) fn in_u(&self) -> bool {
        use RefundState::{Accepted, InDoubt, Review, Sending};
        [Sending, Accepted, InDoubt].contains(&self.state) || (self.state == Review && self.sent_at.is_some())
    }
}

#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) said: Said,
    pub(super) refunds: Vec<Refund>,
    pub(super) external: i64,
    pub(super) external_seen: bool,
    pub(super) unsettled: i64,
    /// `external`, and the upstream's count of refunds, when nothing was in doubt.
    pub(super) calm_external: i64,
    pub(super) calm_count: Option<i64>,
    pub(super) outcome_at: Option<i64>,
    pub(super) version: u64,
}

impl Order {
    pub(super) fn sum(&self, of: impl Fn(&Refund) -> bool) -> i64 {
        self.refunds.iter().filter(|refund| of(refund)).map(|refund| refund.amount).sum()
    }

    pub(super) fn ours(&self) -> i64 {
        self.sum(|refund| refund.state == RefundState::Succeeded)
    }

    pub(super) fn refunded(&self) -> i64 {
        self.ours() + self.external
    }

    pub(super) fn held(&self) -> i64 {
        self.sum(Refund::holds)
    }

    pub(super) fn is_paid(&self) -> bool {
        self.said.status == "paid" && self.said.currency == "CNY"
    }

    pub(super) fn refundable(&self) -> i64 {
        if !self.is_paid() {
            return 0;
        }
        (self.said.paid - self.refunded() - self.held() - self.unsettled).max(0)
    }

    /// What is left for a refund that waits: what is out, or may be, is gone.
    pub(super) fn left(&self) -> i64 {
        (self.said.paid - self.refunded() - self.sum(Refund::in_u) - self.unsettled).max(0)
    }

    pub(super) fn calm(&self) -> bool {
        !self.refunds.iter().any(Refund::in_u)
    }

    pub(super) fn refund(&mut self, key: &str) -> Option<&mut Refund> {
        self.refunds.iter_mut().find(|refund| refund.key == key)
    }

    /// Takes a new figure of what was refunded elsewhere.
    pub(super) fn explain(&mut self, (external, unsettled): (i64, i64)) {
        self.external_seen |= external > 0;
        (self.external, self.unsettled) = (external, unsettled);
        if self.calm() {
            self.calm_external = external;
        }
    }
}

/// What of an order is compared with the real one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) version: u64,
    pub(super) paid: i64,
    pub(super) refunded: i64,
    pub(super) held: i64,
    pub(super) refundable: i64,
    pub(super) excess: i64,
    pub(super) external: i64,
    pub(super) unsettled: i64,
    /// Key, state, amount, attempts, due at.
    pub(super) refunds: Vec<(String, RefundState, i64, u32, i64)>,
}

/// One account.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) setting: Setting,
    pub(super) now: i64,
    pub(super) orders: Vec<Option<Order>>,
}

impl Model {
    pub(super) fn new(setting: Setting) -> Model {
        Model { setting, now: 0, orders: vec![None; super::commands::ORDERS] }
    }

    pub(super) fn picture(&self, order: usize) -> Option<Picture> {
        let order = self.orders[order].as_ref()?;
        let refunds = order.refunds.iter();
        Some(Picture {
            version: order.version,
            paid: order.said.paid,
            refunded: order.refunded(),
            held: order.held(),
            refundable: order.refundable(),
            excess: (order.refunded() + order.held() - order.said.paid).max(0),
            external: order.external,
            unsettled: order.unsettled,
            refunds: refunds.map(|r| (r.key.clone(), r.state, r.amount, r.attempts, r.due_at)).collect(),
        })
    }
}

/// Fen as yuan.
pub(super) fn yuan(fen: i64) -> String {
    format!("{}.{:02}", fen / 100, fen % 100)
}
