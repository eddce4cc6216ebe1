//! The rules at their very limits: the last amount, instant or count that is taken, and the first that is not.

use std::time::Duration;

use super::facts::facts;
use super::story::{Story, key, rejected, yuan};
use super::{
    Attempt, Context, Holder, RefundCommand, Refusal, Repeat, Seen, Settle, answer, attempt, is_due, is_overdue,
    unknown_upstream,
};
use crate::domain::{
    Answer, BlockReason, Body, BrokenHistory, ChainHash, DeviceName, Entry, Event, Interval, OrderId, OrderRecord,
    OrderStatus, Outcome, PaidAtSource, Reference, RefundState, Rejection, Timestamp,
};

const DAY: u64 = 86_400;

fn take(story: &mut Story, seen: &Seen) -> Vec<&'static str> {
    let context = story.context();
    let events = facts(&context, &story.found(None), seen).expect("taken");
    story.write(&context, events)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_seconds(second).expect("in range")
}

fn answered_when(story: &Story, context: &Context, told: Answer) -> Vec<Event> {
    let attempt = story.record().refund(&key("a")).expect("there").attempts;
    let settle = Settle { key: key("a"), attempt, answer: told, rules: story.rules.clone() };
    answer(context, &story.found(None), &settle).expect("taken")
}

#[test]
fn a_refund_that_finds_the_upstream_busy_is_queued_again_for_a_whole_day_and_no_longer() {
    for (waited, blocked, state) in [
        (60, BlockReason::Busy, RefundState::Queued),
        (DAY, BlockReason::Busy, RefundState::Queued),
        (DAY + 1, BlockReason::Busy, RefundState::Review),
        (2 * DAY, BlockReason::Rate, RefundState::Queued),
    ] {
        let mut story = Story::paid();
        story.send("a", "10").expect("granted");
        let asked = story.record().refund(&key("a")).expect("there").requested_at;
        let now = asked.saturating_add(Duration::from_secs(waited));
        let context = Context { now, ..story.context() };
        let told = Answer { blocked: Some(blocked), ..Answer::new(Outcome::Blocked, now) };
        let events = answered_when(&story, &context, told);
        story.write(&context, events);
        assert_eq!(story.state("a"), state, "{blocked:?} after {waited} s");
    }
}

#[test]
fn the_window_is_open_to_its_last_second_and_its_refusal_tells_its_days() {
    let mut story = Story::paid();
    story.rules.refund_window = Some(Duration::from_secs(90 * DAY));
    let paid_at = story.facts.paid_at.expect("paid");
    story.second = paid_at.unix_seconds() + 90 * DAY as i64 - 1; // the command's own second follows
    assert_eq!(story.hold("a", "10"), Ok(vec!["refund_held"]));
    let documented = "refund_window of the account; Fubei documents 90 days, WeChat 365";
    let closed = Rejection::WindowClosed { paid_at, window_days: 90, documented };
    assert_eq!(rejected(story.hold("b", "10")), closed);
}

#[test]
fn refunds_that_hold_or_succeeded_are_counted_and_so_is_what_the_upstream_counts() {
    let mut story = Story::paid();
    story.rules.refunds_per_order = Some(2);
    for name in ["declined", "declined-too"] {
        story.send(name, "5").expect("granted");
        story.told(name, Outcome::Declined).expect("told");
    }
    story.send("a", "5").expect("granted");
    story.told("a", Outcome::Succeeded).expect("told");
    assert_eq!(story.hold("b", "5"), Ok(vec!["refund_held"]));
    let documented = "refunds_per_order of the account; Fubei documents 10, WeChat 50";
    let too_many = |made, limit| Rejection::TooManyRefunds { made, limit, documented };
    assert_eq!(rejected(story.hold("c", "5")), too_many(2, 2));
    // Three are counted upstream, and of ours one is queued that cannot be among them.
    story.rules.refunds_per_order = Some(4);
    story.upstream_total("15", 3).see().expect("seen");
    assert_eq!(rejected(story.hold("c", "5")), too_many(4, 4));
}

#[test]
fn a_slip_is_a_refund_of_one_amount_while_the_first_holds_or_for_ten_minutes_after_its_success() {
    let slip = |story: &mut Story, name: &str, amount: &str| {
        let command = RefundCommand { repeat: Repeat::Refused, ..story.command(name, amount) };
        story.run(command)
    };
    let mut story = Story::paid();
    story.send("a", "10").expect("granted");
    assert_eq!(slip(&mut story, "b", "9.99"), Ok(vec!["refund_held"]), "another amount is another refund");
    assert_eq!(rejected(slip(&mut story, "c", "10")).kind(), "looks_repeated");
    story.told("a", Outcome::Succeeded).expect("told");
    let succeeded = story.second;
    story.second = succeeded + 598;
    assert_eq!(rejected(slip(&mut story, "c", "10")).kind(), "looks_repeated");
    assert_eq!(slip(&mut story, "c", "10"), Ok(vec!["refund_held"]), "600 s later it is another");

    let mut story = Story::paid();
    story.send("a", "10").expect("granted");
    story.told("a", Outcome::Declined).expect("told");
    assert_eq!(slip(&mut story, "b", "10"), Ok(vec!["refund_held"]), "what was declined may be asked for again");
}

#[test]
fn a_refund_is_due_when_it_is_queued_and_nothing_makes_it_wait() {
    let mut story = Story::paid();
    story.rules.refund_interval = Interval::Fixed(Duration::from_secs(60));
    let due = |story: &Story, name: &str, second: i64| is_due(story.record(), &key(name), &story.rules, at(second));
    story.hold("a", "10").expect("granted");
    assert!(due(&story, "a", story.second));
    assert!(!due(&story, "nobody", story.second));
    story.push("a").expect("sent");
    let sent = story.second;
    assert!(!due(&story, "a", sent + 3_600), "it is under way");
    story.told("a", Outcome::Succeeded).expect("told");
    story.hold("b", "10").expect("granted");
    assert_eq!((due(&story, "b", sent + 59), due(&story, "b", sent + 60)), (false, true));
}

#[test]
fn an_attempt_starts_from_the_newest_figures_that_are_known() {
    // What it was given is older than what the record has seen since.
    let mut story = Story::paid();
    story.hold("a", "10").expect("granted");
    let old = story.seen();
    story.upstream_total("20", 1).see().expect("seen");
    let newest = story.facts.asked_at;
    let context = story.context();
    let command = Attempt { key: key("a"), fresh: old };
    let events = attempt(&context, &story.found(None), &command).expect("decided");
    assert_eq!(story.write(&context, events), ["attempt_started"]);
    let baseline = story.record().refund(&key("a")).and_then(|refund| refund.baseline).expect("was sent");
    assert_eq!((baseline.refunded, baseline.count, baseline.asked_at), (Some(yuan("20")), Some(1), newest));

    // The facts of this very moment were written, and left the total out: it is unknown, not what it was.
    let mut story = Story::paid();
    story.upstream_total("20", 1).see().expect("seen");
    (story.facts.refunded, story.facts.refund_count) = (None, None);
    story.facts.upstream_refund_status = Some("partial".to_owned());
    assert_eq!(story.send("a", "10"), Ok(vec!["facts_seen", "refund_held", "attempt_started"]));
    let baseline = story.record().refund(&key("a")).and_then(|refund| refund.baseline).expect("was sent");
    assert_eq!((baseline.refunded, baseline.count, baseline.asked_at), (None, None, story.facts.asked_at));
}

#[test]
fn facts_that_were_asked_for_in_the_same_instant_are_not_older() {
    let mut story = Story::paid();
    let kept = story.record().facts.asked_at;
    story.facts.refunded = Some(yuan("20"));
    story.facts.asked_at = kept;
    let seen = Seen { facts: story.facts.clone().into(), rules: story.rules.clone() };
    assert_eq!(take(&mut story, &seen), ["facts_seen"]);
    assert_eq!(story.record().refundable(), yuan("60"));
}

#[test]
fn a_total_lowers_what_was_refunded_elsewhere_only_where_it_was_asked_for_after_the_last_outcome() {
    // 20 elsewhere, and 10 of ours; upstream somebody's 10 was taken back meanwhile, or the figure is behind.
    for (after_the_outcome, external) in [(-1, "20"), (0, "20"), (1, "10")] {
        let mut story = Story::paid();
        story.upstream_total("20", 1).see().expect("seen");
        story.send("a", "10").expect("granted");
        story.second += 10;
        story.told("a", Outcome::Succeeded).expect("told");
        story.facts.refunded = Some(yuan("20"));
        story.facts.upstream_refund_status = Some("partial".to_owned());
        story.facts.asked_at = at(story.second + after_the_outcome);
        let seen = Seen { facts: story.facts.clone().into(), rules: story.rules.clone() };
        assert_eq!(take(&mut story, &seen), ["facts_seen"]);
        assert_eq!(story.record().external, yuan(external), "asked {after_the_outcome} s after the outcome");
    }
}

#[test]
fn facts_without_a_total_teach_nothing_about_what_was_refunded_elsewhere() {
    let mut story = Story::paid();
    story.upstream_total("20", 1).see().expect("seen");
    story.send("a", "10").expect("granted");
    story.told("a", Outcome::Succeeded).expect("told");
    // The figure that is kept from before would be read as one that came down to 10.
    (story.facts.refunded, story.facts.refund_count) = (None, None);
    story.facts.upstream_refund_status = Some("partial".to_owned());
    assert_eq!(story.see(), Ok(vec!["facts_seen"]));
    assert_eq!(story.amounts(), ["30.00", "0.00", "50.00", "0.00"]);
}

#[test]
fn what_was_asked_for_in_the_instant_of_an_adoption_is_fresh() {
    let mut story = Story::paid();
    let asked = story.record().facts.asked_at;
    let held = |story: &mut Story, adopted_at| {
        let context = Context { adopted_at: Some(adopted_at), ..story.context() };
        let command = story.command("a", "10");
        super::refund(&context, &story.found(None), &command).map(|events| events.len())
    };
    assert_eq!(held(&mut story, asked), Ok(1));
    let later = asked.saturating_add(Duration::from_secs(1));
    let stale = Rejection::StaleFacts { order: story.record().id.clone(), adopted_at: later };
    assert_eq!(held(&mut story, later), Err(Refusal::Rejected(stale)));
}

#[test]
fn facts_confirm_an_offline_order_only_where_one_order_alone_bears_their_numbers() {
    let mut story = Story::paid();
    story.record = None;
    let holder = |order: &str, kind: &str| {
        let order = OrderId::new(order).expect("valid");
        (Reference::new(kind, "7").expect("valid"), Holder { order, provisional: true })
    };
    story.holders = vec![holder("offline-1", "receipt"), holder("offline-1", "trade_no")];
    let one = OrderId::new("offline-1").expect("valid");
    assert_eq!(story.see(), Err(Refusal::Elsewhere(one)));
    story.holders = vec![holder("offline-1", "receipt"), holder("offline-2", "trade_no")];
    assert_eq!(story.see(), Ok(vec!["facts_seen"]), "it is an order of its own");
}

#[test]
fn a_paid_time_that_the_upstream_told_is_not_replaced_by_a_guess_and_a_guess_is() {
    let (told, created, device) = (PaidAtSource::Upstream, PaidAtSource::Created, PaidAtSource::Device);
    for (before, now, kept) in [
        ((Some(10), told), (Some(20), told), (Some(20), told)),
        ((Some(10), told), (Some(20), created), (Some(10), told)),
        ((Some(10), told), (None, told), (Some(10), told)),
        ((Some(10), created), (None, told), (Some(10), created)),
        ((Some(10), created), (Some(20), told), (Some(20), told)),
        ((Some(10), device), (Some(20), created), (Some(20), created)),
        ((None, told), (Some(20), created), (Some(20), created)),
    ] {
        let mut story = Story::paid();
        story.record = None;
        for (second, source) in [before, now] {
            (story.facts.paid_at, story.facts.paid_at_source) = (second.map(at), source);
            story.see().expect("seen");
        }
        let facts = &story.record().facts;
        assert_eq!((facts.paid_at, facts.paid_at_source), (kept.0.map(at), kept.1), "{before:?}, then {now:?}");
    }
}

#[test]
fn neither_a_body_nor_the_upstreams_clock_is_part_of_an_event() {
    let mut story = Story::paid();
    story.facts.body = Some(Body::new("{\"openid\":\"oX\"}".to_owned()));
    story.facts.upstream_time = Some(at(7));
    story.facts.upstream_status = "PAID".to_owned();
    let seen = story.seen();
    let events = facts(&story.context(), &story.found(None), &seen).expect("taken");
    let [Event::FactsSeen { facts, .. }] = events.as_slice() else { panic!("not one event: {events:?}") };
    assert_eq!((&facts.body, facts.upstream_time, facts.upstream_status.as_str()), (&None, None, "PAID"));
}

#[test]
fn who_looks_at_a_refund_in_review_reads_why_it_is_there() {
    let message = |story: &Story| story.record().refund(&key("a")).and_then(|refund| refund.message.clone());
    let mut closed = Story::paid();
    closed.hold("a", "10").expect("granted");
    (closed.facts.status, closed.facts.upstream_status) = (OrderStatus::Closed, "REVOKED".to_owned());
    closed.see().expect("seen");
    assert_eq!(message(&closed).as_deref(), Some("the order is closed (REVOKED) upstream, no longer paid"));

    let mut unknown = Story::paid();
    unknown.hold("a", "10").expect("granted");
    unknown.second += 30 * 3_600;
    let context = unknown.context();
    let events = unknown_upstream(&context, &unknown.found(None), &unknown.rules).expect("decided");
    unknown.write(&context, events);
    let want = "the upstream does not know the order, 30 h after it was recorded here";
    assert_eq!(message(&unknown).as_deref(), Some(want));
}

#[test]
fn who_asked_for_a_refund_and_why_is_kept_with_it() {
    let mut story = Story::paid();
    let (memo, by) = (Some("a torn seam".to_owned()), Some("wang".to_owned()));
    let command = RefundCommand { memo: memo.clone(), by: by.clone(), ..story.command("a", "10") };
    story.run(command).expect("granted");
    let refund = story.record().refund(&key("a")).expect("there");
    assert_eq!((&refund.memo, &refund.by), (&memo, &by));
}

#[test]
fn an_entry_of_another_order_or_out_of_turn_is_no_history() {
    let story = Story::paid();
    let entry = |order: &str, version| Entry {
        sequence: 7,
        order: OrderId::new(order).expect("valid"),
        account: story.record().account.clone(),
        version,
        at: at(story.second),
        device: DeviceName::new("till-3").expect("valid"),
        event: Event::AttemptLost { key: key("a") },
    };
    let ours = story.record().id.as_str();
    let (out_of_turn, no_refund) = ("it does not follow the order's last event", "the order has no refund of that key");
    for (entry, why) in [
        (entry(ours, 1), out_of_turn),
        (entry(ours, 3), out_of_turn),
        (entry("fubei:m:other", 2), out_of_turn),
        (entry(ours, 2), no_refund), // in its turn, and looked at
    ] {
        let broken = OrderRecord::apply(Some(story.record().clone()), &entry, ChainHash::START).expect_err("refused");
        let want = BrokenHistory { sequence: 7, event: "attempt_lost", order: entry.order, why };
        assert_eq!(broken, want);
    }
}

#[test]
fn an_upstream_has_a_whole_day_to_learn_of_an_order_and_three_to_say_what_became_of_a_refund() {
    let mut story = Story::paid();
    story.hold("a", "10").expect("granted");
    let asked = story.record().refund(&key("a")).expect("there").requested_at;
    let unknown = |waited_s| {
        let context = Context { now: asked.saturating_add(Duration::from_secs(waited_s)), ..Story::paid().context() };
        unknown_upstream(&context, &story.found(None), &story.rules).expect("decided").len()
    };
    assert_eq!((unknown(DAY - 1), unknown(DAY)), (0, 1));

    let mut story = Story::paid();
    story.send("a", "10").expect("granted");
    story.told("a", Outcome::InDoubt).expect("told");
    let refund = story.record().refund(&key("a")).expect("there");
    let overdue =
        |waited_s| is_overdue(refund, &story.rules, refund.state_at.saturating_add(Duration::from_secs(waited_s)));
    assert_eq!((overdue(3 * DAY - 1), overdue(3 * DAY)), (false, true));
}
