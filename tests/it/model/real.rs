//! The real rules over a storage in memory, asked the same as the model.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context as Wake, Poll, Waker};
use std::time::Duration;

use tillbook::BoxFuture;
use tillbook::domain::decide::{
    self, Attempt, Context, Found, Judge, Probed, RefundCommand, Refusal, Repeat, Seen, Settle,
};
use tillbook::domain::{
    AccountName, Answer as Told, BlockReason, DeviceName, Event, Facts, Finding, GatewayName, InFlight, Interval,
    Money, OrderId, Outcome, PaidAtSource, Reference, RefundKey, Requested, Rules, Timestamp,
};
use tillbook::storage::memory::Memory;
use tillbook::storage::{Claims, Storage, TransactError, Transaction};

use super::commands::{Asked, Question, Wants};
use super::order::{Answer, Picture, Said, Setting};

/// The beginning of time: when all orders were paid.
const BEGAN: i64 = 1_496_325_236;

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_seconds(BEGAN + second).expect("in range")
}

fn number(order: usize) -> String {
    format!("2017060121534817841{order}")
}

/// What the ledger calls an order.
pub(super) fn name(order: usize) -> String {
    format!("fubei:2099:{}", number(order))
}

/// The upstream's word for a status.
pub(super) fn upstream(status: &str) -> String {
    status.to_uppercase()
}

pub(super) fn window_closed(window: i64) -> String {
    let (days, paid_at) = (window / 86_400, at(0));
    let documented = "refund_window of the account; Fubei documents 90 days, WeChat 365";
    format!("refunds are taken for {days} days after the payment; this was paid at {paid_at} ({documented})")
}

fn fen(fen: i64) -> Money {
    Money::from_fen(fen).expect("small and not negative")
}

fn key(name: &str) -> RefundKey {
    RefundKey::new(name).expect("a plain name")
}

fn seconds(count: i64) -> Duration {
    Duration::from_secs(u64::try_from(count).expect("not negative"))
}

fn account() -> AccountName {
    AccountName::new("shop-1").expect("a plain name")
}

fn device() -> DeviceName {
    DeviceName::new("till-3").expect("a plain name")
}

pub(super) struct Real {
    storage: Memory,
    rules: Rules,
}

/// Memory answers when it is first asked.
fn at_once<T>(mut call: BoxFuture<'_, T>) -> T {
    match call.as_mut().poll(&mut Wake::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("memory does not wait"),
    }
}

impl Real {
    pub(super) fn new(setting: Setting) -> Real {
        let rules = Rules {
            refund_window: setting.window.map(seconds),
            refunds_per_order: setting.per_order,
            refund_interval: Interval::Fixed(seconds(setting.interval)),
            in_flight: if setting.one_in_flight { InFlight::One } else { InFlight::Many },
            sole_refunder: setting.sole_refunder,
            totals_count_pending: setting.totals_count_pending,
            hold_above: setting.hold_above.map(fen),
            resend_after_silence: setting.resend_after.map(seconds),
            ..Rules::default()
        };
        Real { storage: Memory::new(device()), rules }
    }

    /// What is compared with the model's.
    pub(super) fn picture(&self, order: usize) -> Option<Picture> {
        let id = OrderId::new(name(order)).expect("a plain name");
        let record = at_once(self.storage.get(&id)).expect("readable")?;
        let refunds = record.refunds.iter().map(|refund| {
            let due_at = refund.due_at.unix_seconds() - BEGAN;
            (refund.key.to_string(), refund.state, refund.amount.fen(), refund.attempts, due_at)
        });
        Some(Picture {
            version: record.version,
            paid: record.paid().fen(),
            refunded: record.refunded().fen(),
            held: record.held().fen(),
            refundable: record.refundable().fen(),
            excess: record.excess().fen(),
            external: record.external.fen(),
            unsettled: record.unsettled.fen(),
            refunds: refunds.collect(),
        })
    }

    pub(super) fn answer(&self, asked: &Asked) -> Answer {
        let order = OrderId::new(name(asked.order)).expect("a plain name");
        let refund_key = match &asked.wants {
            Wants::Refund { key: name, .. } => Some(key(name)),
            _ => None,
        };
        let context = Context {
            account: account(),
            order: order.clone(),
            device: device(),
            now: at(asked.now),
            adopted_at: None,
        };
        let (now, asked, rules) = (context.now, asked.clone(), self.rules.clone());
        let decide = Box::new(move |found: &Found| decided(&context, found, &asked, &rules));
        let claims = Claims { references: Vec::new(), refund_key };
        let transaction = Transaction { order, account: account(), claims, now, decide };
        match at_once(self.storage.transact(transaction)) {
            Ok(committed) => Ok(committed.entries.iter().map(|entry| entry.event.name()).collect()),
            Err(TransactError::Refused(refusal)) => Err(refusal.to_string()),
            Err(TransactError::Storage(error)) => panic!("{error}"),
        }
    }
}

fn decided(context: &Context, found: &Found, asked: &Asked, rules: &Rules) -> Result<Vec<Event>, Refusal> {
    let seen = |said: &Said| Seen { facts: Arc::new(facts(asked.order, said)), rules: rules.clone() };
    let probed = |question: &Question| Probed {
        key: key(&question.key),
        attempt: question.attempt,
        from: question.from,
        finding: Finding {
            proof: question.proof,
            ..Finding::new(Told::new(question.outcome, context.now), context.now)
        },
        fenced: question.fenced,
        fresh: question.fresh.as_ref().map(seen),
        silent_for: seconds(question.silent),
        rules: rules.clone(),
    };
    match &asked.wants {
        Wants::See(said) => decide::facts(context, found, &seen(said)),
        Wants::Refund { key: name, amount, guard, slip, fresh } => {
            let command = RefundCommand {
                key: key(name),
                requested: amount.map_or(Requested::All, |amount| Requested::Exactly(fen(amount))),
                memo: None,
                by: None,
                expect_refundable: guard.map(fen),
                repeat: if *slip { Repeat::Refused } else { Repeat::Allowed },
                fresh: fresh.as_ref().map(seen),
                rules: rules.clone(),
            };
            decide::refund(context, found, &command)
        }
        Wants::Begin { key: name, fresh } => {
            decide::attempt(context, found, &Attempt { key: key(name), fresh: seen(fresh) })
        }
        Wants::End { key: name, attempt, outcome, busy } => {
            let reason = if *busy { BlockReason::Busy } else { BlockReason::Credentials };
            let blocked = (*outcome == Outcome::Blocked).then_some(reason);
            let answer = Told { blocked, ..Told::new(*outcome, context.now) };
            let settle = Settle { key: key(name), attempt: *attempt, answer, rules: rules.clone() };
            decide::answer(context, found, &settle)
        }
        Wants::Lost { key: name } => decide::lost(context, found, &key(name), None),
        Wants::Ask(question) => decide::probed(context, found, &probed(question)),
        Wants::Judge { verdict, version, fences, question } => {
            let (by, note, version) = ("wang".to_owned(), "seen in the console".to_owned(), *version);
            let probed = probed(question);
            decide::judge(context, found, &Judge { verdict: *verdict, by, note, version, fences: *fences, probed })
        }
        Wants::Cancel { key: name } => decide::cancel(context, found, &key(name), None),
        Wants::Approve { key: name } => decide::approve(context, found, &key(name), "wang"),
        Wants::NotKnownUpstream => decide::unknown_upstream(context, found, rules),
    }
}

fn facts(order: usize, said: &Said) -> Facts {
    let native = Reference::new("order_sn", &number(order)).expect("a plain number");
    Facts {
        gateway: GatewayName::new("fubei").expect("a plain name"),
        merchant: "2099".to_owned(),
        references: BTreeMap::from([(native.kind.clone(), native.number.clone())]),
        native: Some(native),
        status: said.status.into(),
        upstream_status: upstream(said.status),
        payment_method: None,
        currency: said.currency.to_owned(),
        total: None,
        paid: fen(said.paid),
        refunded: said.refunded.map(fen),
        refund_count: said.count.map(|count| u32::try_from(count).expect("small")),
        upstream_refund_status: None,
        paid_at: Some(at(0)),
        paid_at_source: PaidAtSource::Upstream,
        created_at: None,
        updated_at: None,
        details: BTreeMap::new(),
        asked_at: at(said.asked_at),
        upstream_time: None,
        body: None,
    }
}
