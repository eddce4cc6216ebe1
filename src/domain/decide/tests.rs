//! The rules, as small stories on one order of 80.00.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::{
    AccountName, Answer, BlockReason, ChainHash, DeviceName, Entry, Event, Facts, GatewayName, InFlight, Interval,
    Money, OrderId, OrderRecord, OrderStatus, Outcome, PaidAtSource, PaymentMethod, Reference, RefundKey, RefundState,
    Rejection, Requested, Rules, Timestamp,
};

use super::{
    Attempt, Context, Found, Holder, RefundCommand, Refusal, Repeat, Seen, Settle, answer, attempt, cancel, facts,
    lost, refund,
};

fn yuan(text: &str) -> Money {
    text.parse().expect("an amount")
}

fn key(text: &str) -> RefundKey {
    RefundKey::new(text).expect("a key")
}

/// One order with a clock, folded from the events that the rules decide.
struct Story {
    record: Option<Arc<OrderRecord>>,
    facts: Facts,
    rules: Rules,
    second: i64,
    holders: Vec<(Reference, Holder)>,
}

impl Story {
    /// An order of 80.00, paid a minute ago, known to the ledger.
    fn paid() -> Story {
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
        };
        let rules =
            Rules { refund_interval: Interval::Fixed(Duration::ZERO), in_flight: InFlight::Many, ..Rules::default() };
        let mut story = Story { record: None, facts, rules, second: second + 60, holders: Vec::new() };
        story.see().expect("seen");
        story
    }

    fn context(&mut self) -> Context {
        self.second += 1;
        Context {
            account: AccountName::new("shop-1").expect("valid"),
            order: OrderId::new("fubei:m:20170601215348178414").expect("valid"),
            device: DeviceName::new("till-3").expect("valid"),
            now: Timestamp::from_unix_seconds(self.second).expect("valid"),
        }
    }

    fn found(&self, wanted: Option<&RefundKey>) -> Found {
        let has = |record: &Arc<OrderRecord>| wanted.is_some_and(|key| record.refund(key).is_some());
        let key_holder = self.record.as_ref().filter(|record| has(record)).map(|record| record.id.clone());
        Found { record: self.record.clone(), holders: self.holders.clone(), key_holder }
    }

    fn write(&mut self, context: &Context, events: Vec<Event>) -> Vec<&'static str> {
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
    fn seen(&mut self) -> Seen {
        self.second += 1;
        self.facts.asked_at = Timestamp::from_unix_seconds(self.second).expect("valid");
        Seen { facts: Arc::new(self.facts.clone()), rules: self.rules.clone() }
    }

    fn see(&mut self) -> Result<Vec<&'static str>, Refusal> {
        let seen = self.seen();
        let context = self.context();
        let events = facts(&context, &self.found(None), &seen)?;
        Ok(self.write(&context, events))
    }

    fn upstream_total(&mut self, refunded: &str, count: u32) -> &mut Story {
        self.facts.refunded = Some(yuan(refunded));
        self.facts.refund_count = Some(count);
        self
    }

    fn command(&self, name: &str, amount: &str) -> RefundCommand {
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

    fn run(&mut self, command: RefundCommand) -> Result<Vec<&'static str>, Refusal> {
        let context = self.context();
        let events = refund(&context, &self.found(Some(&command.key)), &command)?;
        Ok(self.write(&context, events))
    }

    fn hold(&mut self, name: &str, amount: &str) -> Result<Vec<&'static str>, Refusal> {
        self.run(self.command(name, amount))
    }

    fn send(&mut self, name: &str, amount: &str) -> Result<Vec<&'static str>, Refusal> {
        let fresh = Some(self.seen());
        self.run(RefundCommand { fresh, ..self.command(name, amount) })
    }

    fn push(&mut self, name: &str) -> Result<Vec<&'static str>, Refusal> {
        let command = Attempt { key: key(name), fresh: self.seen() };
        let context = self.context();
        let events = attempt(&context, &self.found(None), &command)?;
        Ok(self.write(&context, events))
    }

    fn told(&mut self, name: &str, outcome: Outcome) -> Result<Vec<&'static str>, Refusal> {
        let context = self.context();
        let refund = self.record().refund(&key(name)).expect("there");
        let settle = Settle {
            key: key(name),
            attempt: refund.attempts,
            from: refund.state,
            answer: Answer::new(outcome, context.now),
            rules: self.rules.clone(),
        };
        let events = answer(&context, &self.found(None), &settle)?;
        Ok(self.write(&context, events))
    }

    fn record(&self) -> &OrderRecord {
        self.record.as_ref().expect("known")
    }

    fn state(&self, name: &str) -> RefundState {
        self.record().refund(&key(name)).expect("there").state
    }

    /// refunded, held, refundable, excess.
    fn amounts(&self) -> [String; 4] {
        let record = self.record();
        [record.refunded(), record.held(), record.refundable(), record.excess()].map(|money| money.to_string())
    }
}

fn rejected(answer: Result<Vec<&'static str>, Refusal>) -> Rejection {
    match answer {
        Err(Refusal::Rejected(rejection)) => rejection,
        other => panic!("not rejected: {other:?}"),
    }
}

#[test]
fn a_refund_goes_from_hold_to_success_and_the_order_to_partial_then_complete() {
    let mut story = Story::paid();
    assert_eq!(story.send("a", "12.50"), Ok(vec!["refund_held", "attempt_started"]));
    assert_eq!(story.amounts(), ["0.00", "12.50", "67.50", "0.00"]);
    assert_eq!(story.told("a", Outcome::Succeeded), Ok(vec!["answered"]));
    assert_eq!(story.amounts(), ["12.50", "0.00", "67.50", "0.00"]);
    assert_eq!(story.record().refund_status().as_str(), "partial");
    story.upstream_total("12.50", 1);
    assert_eq!(story.send("b", "all"), Ok(vec!["facts_seen", "refund_held", "attempt_started"]));
    story.told("b", Outcome::Succeeded).expect("told");
    assert_eq!(story.amounts(), ["80.00", "0.00", "0.00", "0.00"]);
    assert_eq!(story.record().refund_status().as_str(), "complete");
    assert_eq!(story.record().refund(&key("b")).map(|refund| refund.amount), Some(yuan("67.50")));
}

#[test]
fn each_refusal_comes_in_the_documented_order() {
    let mut story = Story::paid();
    story.rules.refund_window = Some(Duration::from_secs(90 * 86_400));
    story.rules.refunds_per_order = Some(2);
    story.hold("a", "50").expect("granted");
    // Each command breaks the rule named and every rule after it.
    let mut command = story.command("b", "0");
    command.expect_refundable = Some(yuan("80"));
    assert_eq!(rejected(story.run(command)).kind(), "malformed");
    let mut command = story.command("a", "40");
    command.expect_refundable = Some(yuan("80"));
    assert_eq!(rejected(story.run(command)).kind(), "replay_differs");
    story.facts.status = OrderStatus::Closed;
    let known = story.record.take();
    assert_eq!(rejected(story.hold("b", "40")).kind(), "unknown_order");
    story.record = known;
    let other = Holder { order: OrderId::new("fubei:m:other").expect("valid"), provisional: false };
    story.holders = vec![(Reference::new("trade_no", "7").expect("valid"), other)];
    assert_eq!(rejected(story.hold("b", "40")).kind(), "contested_reference");
    story.holders.clear();
    let fresh = Some(story.seen());
    let mut command = RefundCommand { fresh, ..story.command("b", "40") };
    command.expect_refundable = Some(yuan("80"));
    assert_eq!(rejected(story.run(command)).kind(), "not_refundable");
    story.facts.status = OrderStatus::Paid;
    let mut command = story.command("b", "40");
    command.expect_refundable = Some(yuan("80"));
    assert_eq!(
        rejected(story.run(command)),
        Rejection::RefundableChanged { expected: yuan("80"), refundable: yuan("30") }
    );
    assert_eq!(
        rejected(story.hold("b", "30.01")).to_string(),
        "30.01 is more than the 30.00 that may still be refunded (paid 80.00, refunded 0.00, held 50.00)"
    );
    story.second += 91 * 86_400;
    assert_eq!(rejected(story.hold("b", "10")).kind(), "window_closed");
    story.second -= 91 * 86_400;
    story.hold("b", "10").expect("granted");
    let slip = RefundCommand { repeat: Repeat::Refused, ..story.command("c", "10") };
    assert_eq!(rejected(story.run(slip.clone())).kind(), "too_many_refunds");
    story.rules.refunds_per_order = None;
    let slip = RefundCommand { rules: story.rules.clone(), ..slip };
    assert_eq!(rejected(story.run(slip)).kind(), "looks_repeated");
    assert_eq!(story.hold("c", "10"), Ok(vec!["refund_held"]));
}

#[test]
fn an_order_in_another_currency_is_kept_and_never_refunded() {
    let mut story = Story::paid();
    story.facts.currency = "USD".to_owned();
    assert_eq!(story.see(), Ok(vec!["facts_seen"]));
    assert_eq!(rejected(story.hold("a", "1")).kind(), "foreign_currency");
    assert_eq!(story.amounts(), ["0.00", "0.00", "0.00", "0.00"]);
}

#[test]
fn a_replay_writes_nothing_whatever_became_of_the_refund() {
    let mut story = Story::paid();
    story.send("a", "all").expect("granted");
    story.told("a", Outcome::Succeeded).expect("told");
    assert_eq!(story.send("a", "all"), Ok(vec![]));
    // "All" is a value of its own, also where the number is the same.
    assert_eq!(rejected(story.send("a", "80")).kind(), "replay_differs");
}

#[test]
fn the_same_facts_again_and_older_facts_write_nothing() {
    let mut story = Story::paid();
    assert_eq!(story.see(), Ok(vec![]));
    let late = story.upstream_total("10", 1).seen();
    story.upstream_total("30", 2);
    assert_eq!(story.see(), Ok(vec!["facts_seen"]));
    let context = story.context();
    assert_eq!(facts(&context, &story.found(None), &late), Ok(vec![]));
    assert_eq!(story.amounts(), ["30.00", "0.00", "50.00", "0.00"]);
}

#[test]
fn a_refund_made_elsewhere_while_one_is_held_shrinks_what_is_left() {
    let mut story = Story::paid();
    story.hold("a", "30").expect("granted");
    assert_eq!(story.upstream_total("20", 1).see(), Ok(vec!["facts_seen"]));
    assert_eq!(story.amounts(), ["20.00", "30.00", "30.00", "0.00"]);
    assert_eq!(rejected(story.hold("b", "30.01")).kind(), "over_refundable");
    assert_eq!(story.push("a"), Ok(vec!["attempt_started"]));
    story.told("a", Outcome::Succeeded).expect("told");
    assert_eq!(story.upstream_total("50", 2).see(), Ok(vec!["facts_seen"]));
    assert_eq!(story.amounts(), ["50.00", "0.00", "30.00", "0.00"]);
}

#[test]
fn a_held_refund_that_no_longer_fits_goes_to_review_and_is_never_sent() {
    let mut story = Story::paid();
    story.hold("old", "30").expect("granted");
    story.hold("new", "50").expect("granted");
    assert_eq!(story.upstream_total("20", 1).see(), Ok(vec!["facts_seen", "refund_to_review"]));
    assert_eq!((story.state("old"), story.state("new")), (RefundState::Queued, RefundState::Review));
    assert_eq!(story.amounts(), ["20.00", "80.00", "0.00", "20.00"]);
    assert_eq!(
        story.record().refund(&key("new")).and_then(|refund| refund.message.clone()).as_deref(),
        Some("50.00 no longer fits: 30.00 is left of 80.00 paid, 20.00 of it refunded elsewhere")
    );
    assert!(matches!(story.push("new"), Err(Refusal::Overtaken { .. })));
    // Never sent, so a person may withdraw it; then there is room again.
    let context = story.context();
    let events = cancel(&context, &story.found(None), &key("new"), None).expect("cancelable");
    story.write(&context, events);
    assert_eq!(story.amounts(), ["20.00", "30.00", "30.00", "0.00"]);
    assert_eq!(story.push("old"), Ok(vec!["attempt_started"]));
}

#[test]
fn an_order_that_leaves_paid_sends_what_is_queued_to_review() {
    let mut story = Story::paid();
    story.hold("a", "30").expect("granted");
    story.facts.status = OrderStatus::Closed;
    story.facts.paid = Money::ZERO;
    assert_eq!(story.push("a"), Ok(vec!["facts_seen", "refund_to_review"]));
    assert_eq!(story.state("a"), RefundState::Review);
}

/// What the upstream's total shows while 30.00 of 80.00 is in doubt, and what may then be granted.
#[test]
fn a_total_that_moves_while_a_refund_is_in_doubt_counts_nothing_twice_and_grants_nothing_beyond() {
    for (story_of, total, count, settled_as, during, after) in [
        // total upstream, count, outcome; amounts while in doubt, amounts once settled
        ("not executed, nobody else", "0", 0, Outcome::Declined, ["0.00", "50.00"], ["0.00", "80.00"]),
        ("executed, nobody else", "30", 1, Outcome::Succeeded, ["0.00", "50.00"], ["30.00", "50.00"]),
        ("executed, 20 elsewhere", "50", 2, Outcome::Succeeded, ["20.00", "30.00"], ["50.00", "30.00"]),
        ("not executed, 20 elsewhere", "20", 1, Outcome::Declined, ["0.00", "30.00"], ["20.00", "60.00"]),
        ("not executed, 50 elsewhere at once", "50", 1, Outcome::Declined, ["20.00", "0.00"], ["50.00", "30.00"]),
        ("not executed, 30 elsewhere", "30", 1, Outcome::Declined, ["0.00", "50.00"], ["30.00", "50.00"]),
    ] {
        let mut story = Story::paid();
        story.send("a", "30").expect("granted");
        story.told("a", Outcome::InDoubt).expect("told");
        story.upstream_total(total, count).see().expect("seen");
        let [refunded, held, refundable, excess] = story.amounts();
        assert_eq!([refunded, refundable], during.map(str::to_owned), "{story_of}, while in doubt");
        assert_eq!((held.as_str(), excess.as_str()), ("30.00", "0.00"), "{story_of}");
        story.told("a", settled_as).expect("told");
        let [refunded, held, refundable, excess] = story.amounts();
        assert_eq!([refunded, refundable], after.map(str::to_owned), "{story_of}, once settled");
        assert_eq!((held.as_str(), excess.as_str()), ("0.00", "0.00"), "{story_of}");
    }
}

#[test]
fn where_others_refund_too_a_matching_total_explains_nothing() {
    let mut story = Story::paid();
    story.rules.sole_refunder = false;
    story.send("a", "30").expect("granted");
    story.told("a", Outcome::InDoubt).expect("told");
    story.upstream_total("30", 1).see().expect("seen");
    assert_eq!(story.amounts(), ["0.00", "30.00", "20.00", "0.00"]);
    story.told("a", Outcome::Succeeded).expect("told");
    assert_eq!(story.amounts(), ["30.00", "0.00", "50.00", "0.00"]);
}

#[test]
fn facts_asked_for_before_an_outcome_lower_nothing() {
    let mut story = Story::paid();
    story.upstream_total("20", 1).see().expect("seen");
    story.send("a", "30").expect("granted");
    let before_the_outcome = story.seen(); // still says 20
    story.told("a", Outcome::Succeeded).expect("told");
    let context = story.context();
    let events = facts(&context, &story.found(None), &before_the_outcome).expect("taken");
    story.write(&context, events);
    assert_eq!(story.amounts(), ["50.00", "0.00", "30.00", "0.00"]);
    // Fresh ones that show less elsewhere do: somebody's refund failed after all.
    story.upstream_total("30", 1).see().expect("seen");
    assert_eq!(story.amounts(), ["30.00", "0.00", "50.00", "0.00"]);
}

#[test]
fn an_unknown_total_is_not_zero() {
    let mut story = Story::paid();
    story.upstream_total("20", 1).see().expect("seen");
    story.facts.refunded = None;
    story.facts.refund_count = None;
    assert_eq!(story.see(), Ok(vec![]));
    assert_eq!(story.amounts(), ["20.00", "0.00", "60.00", "0.00"]);
}

#[test]
fn only_one_refund_is_in_flight_where_the_upstream_takes_no_client_number() {
    let mut story = Story::paid();
    story.rules.in_flight = InFlight::One;
    story.send("a", "10").expect("granted");
    assert_eq!(story.send("b", "10"), Ok(vec!["refund_held"]));
    assert_eq!(story.push("b"), Ok(vec![]));
    story.told("a", Outcome::InDoubt).expect("told");
    assert_eq!(story.push("b"), Ok(vec![]));
    story.told("a", Outcome::Declined).expect("told");
    assert_eq!(story.push("b"), Ok(vec!["attempt_started"]));
}

#[test]
fn a_second_refund_waits_for_the_channels_interval() {
    let mut story = Story::paid();
    story.rules.refund_interval = Interval::OfChannel;
    story.send("a", "10").expect("granted");
    story.told("a", Outcome::Succeeded).expect("told");
    story.upstream_total("10", 1);
    assert_eq!(story.send("b", "10"), Ok(vec!["facts_seen", "refund_held"]));
    assert_eq!(story.push("b"), Ok(vec![]));
    story.second += 60;
    assert_eq!(story.push("b"), Ok(vec!["attempt_started"]));
}

#[test]
fn a_blocked_or_unsent_refund_is_queued_again_and_a_busy_one_goes_to_review_after_a_day() {
    let mut story = Story::paid();
    for outcome in [Outcome::NotSent, Outcome::Blocked] {
        story.send("a", "10").expect("granted or replayed");
        if story.state("a") == RefundState::Queued {
            assert_eq!(story.push("a"), Ok(vec!["attempt_started"]));
        }
        assert_eq!(story.told("a", outcome), Ok(vec!["answered"]));
        assert_eq!(story.state("a"), RefundState::Queued);
    }
    story.second += 86_500;
    story.push("a").expect("started");
    let context = story.context();
    let busy = Answer { blocked: Some(BlockReason::Busy), ..Answer::new(Outcome::Blocked, context.now) };
    let settle =
        Settle { key: key("a"), attempt: 3, from: RefundState::Sending, answer: busy, rules: story.rules.clone() };
    let events = answer(&context, &story.found(None), &settle).expect("taken");
    story.write(&context, events);
    assert_eq!(story.state("a"), RefundState::Review);
}

#[test]
fn of_two_who_want_to_send_one_refund_only_one_gets_the_claim() {
    let mut story = Story::paid();
    story.hold("a", "10").expect("granted");
    assert_eq!(story.push("a"), Ok(vec!["attempt_started"]));
    assert!(matches!(story.push("a"), Err(Refusal::Overtaken { state: RefundState::Sending, .. })));
    // Nor does an answer to an earlier attempt touch a later one.
    story.told("a", Outcome::NotSent).expect("told");
    story.push("a").expect("started");
    let context = story.context();
    let stale = Settle {
        key: key("a"),
        attempt: 1,
        from: RefundState::Sending,
        answer: Answer::new(Outcome::Declined, context.now),
        rules: story.rules.clone(),
    };
    assert!(matches!(answer(&context, &story.found(None), &stale), Err(Refusal::Overtaken { .. })));
}

#[test]
fn a_crash_while_sending_is_in_doubt_and_stays_held() {
    let mut story = Story::paid();
    story.send("a", "10").expect("granted");
    let context = story.context();
    let events = lost(&context, &story.found(None), &key("a")).expect("was sending");
    assert_eq!(story.write(&context, events), ["attempt_lost"]);
    assert_eq!(story.state("a"), RefundState::InDoubt);
    assert_eq!(story.amounts(), ["0.00", "10.00", "70.00", "0.00"]);
    let context = story.context();
    let refused = cancel(&context, &story.found(None), &key("a"), None);
    assert_eq!(refused, Err(Rejection::NotCancelable { key: key("a"), state: RefundState::InDoubt }.into()));
}

#[test]
fn facts_of_another_upstream_order_never_overwrite_this_one() {
    let mut story = Story::paid();
    story.facts.native = Some(Reference::new("order_sn", "other").expect("valid"));
    assert!(matches!(story.see(), Err(Refusal::Rejected(Rejection::ContestedReference { .. }))));
}
