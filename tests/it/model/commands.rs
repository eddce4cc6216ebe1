//! Random commands, and how they are pointed at what is there: most of them must meet something.

use proptest::prelude::*;
use tillbook::domain::{Outcome, Proof, RefundState, Verdict};

use super::order::{Model, Order, Refund, Said};

/// How many orders the account has.
pub(super) const ORDERS: usize = 3;

/// A command as it is drawn: what it is about is said by number, modulo what there is.
#[derive(Clone, Debug)]
pub(super) struct Command {
    later: i64,
    order: usize,
    nth: usize,
    facts: Facts,
    does: Does,
}

/// Facts as they are drawn.
#[derive(Clone, Debug)]
struct Facts {
    status: &'static str,
    currency: &'static str,
    paid: i64,
    total: Total,
    count: Option<i64>,
    age: i64,
}

#[derive(Clone, Debug)]
enum Total {
    Untold,
    /// Any figure.
    Of(i64),
    /// What the ledger knows of, with some of those in doubt, and more.
    Known {
        some_of_u: u8,
        more: i64,
    },
}

#[derive(Clone, Debug)]
enum Does {
    See,
    Refund {
        amount: Option<i64>,
        guard: Option<i64>,
        online: bool,
        slip: bool,
    },
    /// The same key again, for the same amount on the same order, or for others.
    Again {
        other_amount: bool,
        other_order: bool,
    },
    Begin,
    End(Outcome, bool),
    Crash,
    Ask {
        outcome: Outcome,
        likeness: bool,
        fenced: bool,
        facts: bool,
        silent: i64,
        from: Option<RefundState>,
    },
    Judge {
        verdict: Verdict,
        outcome: Outcome,
        likeness: bool,
        fences: bool,
        facts: bool,
        behind: bool,
    },
    Cancel,
    Approve,
    NotKnownUpstream,
}

/// A command in full, for both implementations.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) now: i64,
    pub(super) order: usize,
    pub(super) wants: Wants,
}

#[derive(Clone, Debug)]
pub(super) enum Wants {
    See(Said),
    Refund { key: String, amount: Option<i64>, guard: Option<i64>, slip: bool, fresh: Option<Said> },
    Begin { key: String, fresh: Said },
    End { key: String, attempt: u32, outcome: Outcome, busy: bool },
    Lost { key: String },
    Ask(Question),
    Judge { verdict: Verdict, version: u64, fences: bool, question: Question },
    Cancel { key: String },
    Approve { key: String },
    NotKnownUpstream,
}

/// What a question about a refund found.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) key: String,
    pub(super) attempt: u32,
    pub(super) from: RefundState,
    pub(super) outcome: Outcome,
    pub(super) proof: Proof,
    pub(super) fenced: bool,
    pub(super) fresh: Option<Said>,
    pub(super) silent: i64,
}

fn facts() -> impl Strategy<Value = Facts> {
    let status = prop_oneof![30 => Just("paid"), 1 => Just("closed"), 1 => Just("refund_pending")];
    let currency = prop_oneof![60 => Just("CNY"), 1 => Just("USD")];
    let paid = prop_oneof![12 => Just(24_i64), 1 => 0..40_i64];
    let total = prop_oneof![
        1 => Just(Total::Untold),
        1 => (0..40_i64).prop_map(Total::Of),
        10 => (any::<u8>(), prop_oneof![6 => Just(0_i64), 1 => -3..8_i64])
            .prop_map(|(some_of_u, more)| Total::Known { some_of_u, more }),
    ];
    let age = prop_oneof![6 => Just(0_i64), 2 => 1..20_i64, 1 => Just(-30_i64)];
    (status, currency, paid, total, prop::option::weighted(0.4, 0..5_i64), age)
        .prop_map(|(status, currency, paid, total, count, age)| Facts { status, currency, paid, total, count, age })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop::sample::select(vec![
        Outcome::NotSent,
        Outcome::Blocked,
        Outcome::Declined,
        Outcome::Accepted,
        Outcome::Accepted,
        Outcome::Succeeded,
        Outcome::Succeeded,
        Outcome::InDoubt,
        Outcome::InDoubt,
        Outcome::InDoubt,
    ])
}

fn found() -> impl Strategy<Value = Outcome> {
    prop_oneof![3 => Just(Outcome::InDoubt), 2 => outcome()]
}

fn does() -> impl Strategy<Value = Does> {
    use Verdict::{Declined, Release, Resend, Reversed, Succeeded};
    let verdict = prop::sample::select(vec![Succeeded, Declined, Resend, Release, Reversed]);
    let states = prop::sample::select(vec![RefundState::InDoubt, RefundState::Review, RefundState::Accepted]);
    let silent = prop::sample::select(vec![0_i64, 599, 600, 100_000]);
    let amount = prop_oneof![1 => Just(None), 20 => (1..9_i64).prop_map(Some), 2 => (9..30_i64).prop_map(Some), 1 => Just(Some(0))];
    let refund = (amount, prop::option::weighted(0.1, 0..25_i64), any::<bool>(), prop::bool::weighted(0.2));
    prop_oneof![
        5 => Just(Does::See),
        8 => refund.prop_map(|(amount, guard, online, slip)| Does::Refund { amount, guard, online, slip }),
        1 => (any::<bool>(), any::<bool>())
            .prop_map(|(other_amount, other_order)| Does::Again { other_amount, other_order }),
        4 => Just(Does::Begin),
        7 => (outcome(), any::<bool>()).prop_map(|(outcome, busy)| Does::End(outcome, busy)),
        1 => Just(Does::Crash),
        5 => (found(), any::<bool>(), any::<bool>(), any::<bool>(), silent, prop::option::weighted(0.1, states))
            .prop_map(|(outcome, likeness, fenced, facts, silent, from)| {
                Does::Ask { outcome, likeness, fenced, facts, silent, from }
            }),
        4 => (verdict, found(), any::<bool>(), prop::bool::weighted(0.2), any::<bool>(), prop::bool::weighted(0.1))
            .prop_map(|(verdict, outcome, likeness, fences, facts, behind)| {
                Does::Judge { verdict, outcome, likeness, fences, facts, behind }
            }),
        2 => Just(Does::Cancel),
        3 => Just(Does::Approve),
        1 => Just(Does::NotKnownUpstream),
    ]
}

pub(super) fn command() -> impl Strategy<Value = Command> {
    let later = prop_oneof![
        8 => 1..5_i64,
        2 => Just(0_i64),
        2 => Just(61_i64),
        1 => Just(3_600_i64),
        1 => Just(90_000_i64),
        1 => Just(260_000_i64),
        1 => Just(-40_i64),
    ];
    let order = prop_oneof![6 => Just(0_usize), 1 => 1..ORDERS];
    (later, order, 0..8_usize, facts(), does()).prop_map(|(later, order, nth, facts, does)| Command {
        later,
        order,
        nth,
        facts,
        does,
    })
}

impl Command {
    /// The command in full, against what the model knows. `None` where there is nothing that it could be about.
    pub(super) fn resolve(&self, model: &mut Model) -> Option<Asked> {
        use RefundState::{Accepted, InDoubt, Queued, Review, Sending, Succeeded};
        model.now += self.later;
        let now = model.now;
        let any = self.refund(model, |_| true);
        // One in the state that the command is for; now and then one that is not.
        let of = |states: &[RefundState]| {
            let other = if self.nth == 7 { any.clone() } else { None };
            self.refund(model, |refund| states.contains(&refund.state)).or(other)
        };
        let unheard_of = model.orders[self.order].is_none() && self.nth != 0;
        let (order, wants) = match &self.does {
            _ if unheard_of => (self.order, Wants::See(self.said(model, self.order))),
            Does::See => (self.order, Wants::See(self.said(model, self.order))),
            Does::Refund { amount, guard, online, slip } => {
                let key =
                    format!("r-{}", model.orders.iter().flatten().map(|order| order.refunds.len()).sum::<usize>());
                let fresh = online.then(|| self.said(model, self.order));
                (self.order, Wants::Refund { key, amount: *amount, guard: *guard, slip: *slip, fresh })
            }
            Does::Again { other_amount, other_order } => {
                let (order, refund) = any?;
                let order = if *other_order { (order + 1) % ORDERS } else { order };
                let amount = if *other_amount { Some(refund.amount + 1) } else { refund.asked };
                let fresh = self.nth.is_multiple_of(2).then(|| self.said(model, order));
                (order, Wants::Refund { key: refund.key, amount, guard: None, slip: false, fresh })
            }
            Does::Begin => {
                let (order, refund) = of(&[Queued])?;
                (order, Wants::Begin { key: refund.key, fresh: self.said(model, order) })
            }
            Does::End(outcome, busy) => {
                let (order, refund) = of(&[Sending])?;
                let attempt = refund.attempts.max(1) + u32::from(self.nth == 7);
                (order, Wants::End { key: refund.key, attempt, outcome: *outcome, busy: *busy })
            }
            Does::Crash => {
                let (order, refund) = of(&[Sending])?;
                (order, Wants::Lost { key: refund.key })
            }
            Does::Ask { outcome, likeness, fenced, facts, silent, from } => {
                let (order, refund) = self.refund(model, |refund| {
                    [Accepted, InDoubt].contains(&refund.state) || (refund.state == Review && refund.in_u())
                })?;
                let from = from.unwrap_or(refund.state);
                let fenced = *fenced && from == InDoubt;
                let fresh = facts.then(|| self.said_now(model, order));
                let (outcome, proof) = (*outcome, proof(*likeness));
                let (key, attempt, silent) = (refund.key, refund.attempts, *silent);
                (order, Wants::Ask(Question { key, attempt, from, outcome, proof, fenced, fresh, silent }))
            }
            Does::Judge { verdict, outcome, likeness, fences, facts, behind } => {
                let wanted: &[RefundState] =
                    if *verdict == Verdict::Reversed { &[Succeeded] } else { &[Accepted, InDoubt, Review] };
                let (order, refund) = of(wanted)?;
                let version = model.orders[order].as_ref()?.version - u64::from(*behind);
                let fenced = *fences && refund.state != Accepted;
                let fresh = facts.then(|| self.said_now(model, order));
                let (outcome, proof, from) = (*outcome, proof(*likeness), refund.state);
                let (key, attempt, silent) = (refund.key, refund.attempts, 0);
                let question = Question { key, attempt, from, outcome, proof, fenced, fresh, silent };
                (order, Wants::Judge { verdict: *verdict, version, fences: *fences, question })
            }
            Does::Cancel => {
                let (order, refund) = of(&[Queued, Review])?;
                (order, Wants::Cancel { key: refund.key })
            }
            Does::Approve => {
                let waits = self.refund(model, |refund| refund.awaits_approval);
                let (order, refund) = waits.or(any)?;
                (order, Wants::Approve { key: refund.key })
            }
            Does::NotKnownUpstream => (self.order, Wants::NotKnownUpstream),
        };
        // Now and then a refund is looked for on an order that has it not.
        let order = if self.nth == 6 && self.order == 0 { self.order } else { order };
        Some(Asked { now, order, wants })
    }

    /// The refund of that number among those that are wanted, with its order.
    fn refund(&self, model: &Model, wanted: impl Fn(&Refund) -> bool) -> Option<(usize, Refund)> {
        let all = model.orders.iter().enumerate().flat_map(|(number, order)| {
            order.iter().flat_map(|order| &order.refunds).map(move |refund| (number, refund))
        });
        let found: Vec<_> = all.filter(|(_, refund)| wanted(refund)).collect();
        let (order, refund) = found.get(self.nth % found.len().max(1))?;
        Some((*order, (*refund).clone()))
    }

    fn said(&self, model: &Model, order: usize) -> Said {
        let facts = &self.facts;
        let refunded = match facts.total {
            Total::Untold => None,
            Total::Of(total) => Some(total),
            Total::Known { some_of_u, more } => {
                let known = model.orders[order].as_ref().map_or(0, |order| known(order, some_of_u));
                Some((known + more).max(0))
            }
        };
        let Facts { status, currency, paid, count, age, .. } = facts.clone();
        let paid = if status == "paid" { paid } else { 0 };
        Said { status, currency, paid, refunded, count, asked_at: model.now - age }
    }

    /// Facts that were asked for after the question: at this moment.
    fn said_now(&self, model: &Model, order: usize) -> Said {
        Said { asked_at: model.now, ..self.said(model, order) }
    }
}

/// What the ledger knows to be out, with some of those in doubt.
fn known(order: &Order, some_of_u: u8) -> i64 {
    let u = order.refunds.iter().filter(|refund| refund.in_u()).enumerate();
    let some = u.filter(|(nth, _)| nth < &8 && some_of_u & (1 << nth) != 0);
    order.refunded() + some.map(|(_, refund)| refund.amount).sum::<i64>()
}

fn proof(likeness: bool) -> Proof {
    if likeness { Proof::Likeness } else { Proof::OwnNumber }
}
