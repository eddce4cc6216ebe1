//! A fixture: one order of 80.00 with a clock, told by commands and facts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::{
    AccountName, Answer, ChainHash, DeviceName, Entry, Event, Facts, Finding, GatewayName, InFlight, Interval, Money,
    OrderId, OrderRecord, OrderStatus, Outcome, PaidAtSource, PaymentMethod, Reference, RefundKey, RefundState,
    Rejection, Requested, Rules, Timestamp, Verdict,
};

use super::{
    Attempt, Context, Found, Holder, Judge, Probed, RefundCommand, Refusal, Repeat, Seen, Settle, answer, attempt,
    facts, judge, probed, refund,
};

pub(super) fn yuan(text: &str) -> Money {
    text.parse().expect("an amount")
}

pub(super) fn key(text: &str) -> RefundKey {
    RefundKey::new(text).expect("a key")
}

/// One order with a clock, folded from the events that the rules decide.
pub(super) struct Story {
    pub(super) record: Option<Arc<OrderRecord>>,
    pub(super) facts: Facts,
    pub(super) rules: Rules,
    pub(super) second: i64,
    pub(super) holders: Vec<(Reference, Holder)>,
}

impl Story {
    /// An order of 80.00, paid a minute ago, known to the ledger.
    pub(super) fn paid() -> Story {
        let second = 1_496_325_236;
        let order_sn = Reference::new("order_sn", "20170601215348178414").expect("valid");
        let facts = Facts {
            gateway: GatewayName::new("fubei").expect("valid"),
            merchant: "m".to_owned(),
            references: BTreeMap::from([(order_sn.kind.clone(), order_sn.number.clone())]),
            native: Some(order_sn),
            status: OrderStatus::Paid,
            upstream_status: "SUCCESS".to_owned(),
            payment_method: Some(PaymentMethod::Wechat),
            currency: "CNY".to_owned(),
            total: None,
            paid: yuan("80.00"),
            refunded: Some(Money::ZERO),
            refund_count: Some(0),
            upstream_refund_status: None,
            paid_at: Timestamp::from_unix_seconds(second),
            paid_at_source: PaidAtSource::Upstream,
            created_at: None,
            updated_at: None,
            details: BTreeMap::new(),
            asked_at: Timestamp::EPOCH,
            upstream_time: None,
            body: None,
        };
        let rules =
            Rules { refund_interval: Interval::Fixed(Duration::ZERO), in_flight: InFlight::Many, ..Rules::default() };
        let mut story = Story { record: None, facts, rules, second: second + 60, holders: Vec::new() };
        story.see().expect("seen");
        story
    }

    pub(super) fn context(&mut self) -> Context {
        self.second += 1;
        Context {
            account: AccountName::new("shop-1").expect("valid"),
            order: OrderId::new("fubei:m:20170601215348178414").expect("valid"),
            device: DeviceName::new("till-3").expect("valid"),
            now: Timestamp::from_unix_seconds(self.second).expect("valid"),
            adopted_at: None,
        }
    }

    pub(super) fn found(&self, wanted: Option<&RefundKey>) -> Found {
        let has = |record: &Arc<OrderRecord>| wanted.is_some_and(|key| record.refund(key).is_some());
        let key_holder = self.record.as_ref().filter(|record| has(record)).map(|record| record.id.clone());
        Found { record: self.record.clone(), holders: self.holders.clone(), key_holder }
    }

    pub(super) fn write(&mut self, context: &Context, events: Vec<Event>) -> Vec<&'static str> {
        let mut names = Vec::new();
        for event in events {
            names.push(event.name());
            let entry = Entry {
                sequence: 1,
                order: context.order.clone(),
                account: context.account.clone(),
                version: self.record.as_ref().map_or(1, |record| record.version + 1),
                at: context.now,
                device: context.device.clone(),
                event,
            };
            let before = self.record.as_deref().cloned();
            self.record = Some(Arc::new(OrderRecord::apply(before, &entry, ChainHash::START).expect("follows")));
        }
        names
    }

    /// The upstream is asked now and says what `self.facts` hold.
    pub(super) fn seen(&mut self) -> Seen {
        self.second += 1;
        self.facts.asked_at = Timestamp::from_unix_seconds(self.second).expect("valid");
        Seen { facts: Arc::new(self.facts.clone()), rules: self.rules.clone() }
    }

    pub(super) fn see(&mut self) -> Result<Vec<&'static str>, Refusal> {
        let seen = self.seen();
        let context = self.context();
        let events = facts(&context, &self.found(None), &seen)?;
        Ok(self.write(&context, events))
    }

    pub(super) fn upstream_total(&mut self, refunded: &str, count: u32) -> &mut Story {
        self.facts.refunded = Some(yuan(refunded));
        self.facts.refund_count = Some(count);
        self
    }

    pub(super) fn command(&self, name: &str, amount: &str) -> RefundCommand {
        RefundCommand {
            key: key(name),
            requested: if amount == "all" { Requested::All } else { Requested::Exactly(yuan(amount)) },
            memo: None,
            by: None,
            expect_refundable: None,
            repeat: Repeat::Allowed,
            fresh: None,
            rules: self.rules.clone(),
        }
    }

    pub(super) fn run(&mut self, command: RefundCommand) -> Result<Vec<&'static str>, Refusal> {
        let context = self.context();
        let events = refund(&context, &self.found(Some(&command.key)), &command)?;
        Ok(self.write(&context, events))
    }

    pub(super) fn hold(&mut self, name: &str, amount: &str) -> Result<Vec<&'static str>, Refusal> {
        self.run(self.command(name, amount))
    }

    pub(super) fn send(&mut self, name: &str, amount: &str) -> Result<Vec<&'static str>, Refusal> {
        let fresh = Some(self.seen());
        self.run(RefundCommand { fresh, ..self.command(name, amount) })
    }

    pub(super) fn push(&mut self, name: &str) -> Result<Vec<&'static str>, Refusal> {
        let command = Attempt { key: key(name), fresh: self.seen() };
        let context = self.context();
        let events = attempt(&context, &self.found(None), &command)?;
        Ok(self.write(&context, events))
    }

    /// The attempt's answer while it is being sent, else what a question by the refund's number found.
    pub(super) fn told(&mut self, name: &str, outcome: Outcome) -> Result<Vec<&'static str>, Refusal> {
        let context = self.context();
        let events = self.telling(&context, &key(name), outcome)?;
        Ok(self.write(&context, events))
    }

    pub(super) fn telling(&self, context: &Context, key: &RefundKey, outcome: Outcome) -> Result<Vec<Event>, Refusal> {
        let refund = self.record().refund(key).expect("there");
        let (key, attempt, rules) = (key.clone(), refund.attempts, self.rules.clone());
        let told = Answer::new(outcome, context.now);
        if refund.state == RefundState::Sending {
            return answer(context, &self.found(None), &Settle { key, attempt, answer: told, rules });
        }
        let question = self.question(key.as_str(), Finding::new(told, context.now));
        probed(context, &self.found(None), &question)
    }

    /// A question about the refund as it stands now that found that, with facts of this moment.
    pub(super) fn question(&self, name: &str, finding: Finding) -> Probed {
        let refund = self.record().refund(&key(name)).expect("there");
        let (attempt, from, rules) = (refund.attempts, refund.state, self.rules.clone());
        let (fresh, fenced, silent_for) = (None, false, Duration::ZERO);
        Probed { key: key(name), attempt, from, finding, fenced, fresh, silent_for, rules }
    }

    /// Asks what became of it: the upstream's words prove nothing, its total is seen.
    pub(super) fn probe(&mut self, name: &str) -> Result<Vec<&'static str>, Refusal> {
        let now = self.context().now;
        self.probe_found(name, Finding::new(Answer::new(Outcome::InDoubt, now), now))
    }

    pub(super) fn probe_found(&mut self, name: &str, finding: Finding) -> Result<Vec<&'static str>, Refusal> {
        let question = Probed { fresh: Some(self.seen()), ..self.question(name, finding) };
        let context = self.context();
        let events = probed(&context, &self.found(None), &question)?;
        Ok(self.write(&context, events))
    }

    /// A person's verdict on what they see now.
    pub(super) fn judge(&mut self, name: &str, verdict: Verdict) -> Result<Vec<&'static str>, Refusal> {
        let now = self.context().now;
        let finding = Finding::new(Answer::new(Outcome::InDoubt, now), now);
        let probed = Probed { fresh: Some(self.seen()), ..self.question(name, finding) };
        let context = self.context();
        let (by, note, version) = ("wang".to_owned(), "seen in the console".to_owned(), self.record().version);
        let events = judge(&context, &self.found(None), &Judge { verdict, by, note, version, fences: false, probed })?;
        Ok(self.write(&context, events))
    }

    pub(super) fn record(&self) -> &OrderRecord {
        self.record.as_ref().expect("known")
    }

    pub(super) fn state(&self, name: &str) -> RefundState {
        self.record().refund(&key(name)).expect("there").state
    }

    /// refunded, held, refundable, excess.
    pub(super) fn amounts(&self) -> [String; 4] {
        let record = self.record();
        [record.refunded(), record.held(), record.refundable(), record.excess()].map(|money| money.to_string())
    }
}

pub(super) fn rejected(answer: Result<Vec<&'static str>, Refusal>) -> Rejection {
    match answer {
        Err(Refusal::Rejected(rejection)) => rejection,
        other => panic!("not rejected: {other:?}"),
    }
}
