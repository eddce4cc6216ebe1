//! The rules, as small stories on one order of 80.00.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::{
    Answer, BlockReason, Facts, InFlight, Interval, Money, OrderId, OrderStatus, Outcome, Reference, RefundState,
    Rejection,
};

use super::story::{Story, key, rejected, yuan};
use super::{
    Holder, RecordOffline, RefundCommand, Refusal, Repeat, Settle, answer, cancel, facts, lost, record_offline,
};

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
    let settle = Settle { key: key("a"), attempt: 3, answer: busy, rules: story.rules.clone() };
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
        answer: Answer::new(Outcome::Declined, context.now),
        rules: story.rules.clone(),
    };
    assert!(matches!(answer(&context, &story.found(None), &stale), Err(Refusal::Overtaken { .. })));
    // Nor does whoever found the earlier one lost.
    let late = lost(&context, &story.found(None), &key("a"), Some(1));
    assert!(matches!(late, Err(Refusal::Overtaken { .. })));
}

#[test]
fn a_crash_while_sending_is_in_doubt_and_stays_held() {
    let mut story = Story::paid();
    story.send("a", "10").expect("granted");
    let context = story.context();
    let events = lost(&context, &story.found(None), &key("a"), None).expect("was sending");
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

/// The order that the upstream knows under our number, and that another of our names bears already.
fn rival(number: &Reference, provisional: bool) -> (Reference, Holder) {
    (number.clone(), Holder { order: OrderId::new("fubei:m:other").expect("valid"), provisional })
}

#[test]
fn an_offline_order_is_never_confirmed_as_one_that_is_known_already() {
    let mut story = Story::paid();
    let native = story.facts.native.clone().expect("an upstream's facts");
    let receipt = Reference::new("receipt", "r1").expect("valid");
    story.facts.references.insert(receipt.kind.clone(), receipt.number.clone());
    let offline = Facts {
        native: None,
        references: BTreeMap::from([(receipt.kind.clone(), receipt.number.clone())]),
        ..story.facts.clone()
    };
    story.record = None;
    let context = story.context();
    let command = RecordOffline { facts: offline, by: None };
    let events = record_offline(&context, &story.found(None), &command).expect("recorded");
    story.write(&context, events);
    story.hold("a", "80").expect("granted");
    story.holders = vec![rival(&native, false)];
    assert_eq!(rejected(story.push("a")).kind(), "contested_reference");
    assert_eq!(rejected(story.see()).kind(), "contested_reference");
    assert!(story.record().provisional);
    assert_eq!(story.state("a"), RefundState::Queued);
}

#[test]
fn a_queued_refund_of_an_order_that_another_contests_by_now_is_not_sent() {
    let mut story = Story::paid();
    story.hold("a", "30").expect("granted");
    let receipt = Reference::new("receipt", "r1").expect("valid");
    story.holders = vec![rival(&receipt, false)];
    assert_eq!(rejected(story.push("a")).kind(), "contested_reference");
    assert_eq!(rejected(story.send("b", "30")).kind(), "contested_reference");
    // What only a device claims does not stand in the way of what the upstream confirmed.
    story.holders = vec![rival(&receipt, true)];
    assert_eq!(story.push("a"), Ok(vec!["attempt_started"]));
}

#[test]
fn a_refund_that_found_the_upstream_busy_for_a_day_may_be_withdrawn() {
    let mut story = Story::paid();
    story.rules.in_flight = InFlight::One;
    story.send("a", "30").expect("granted");
    story.second += 86_500;
    let context = story.context();
    let busy = Answer { blocked: Some(BlockReason::Busy), ..Answer::new(Outcome::Blocked, context.now) };
    let settle = Settle { key: key("a"), attempt: 1, answer: busy, rules: story.rules.clone() };
    let events = answer(&context, &story.found(None), &settle).expect("taken");
    story.write(&context, events);
    assert_eq!(story.state("a"), RefundState::Review);
    // It was refused unexecuted, so it is not in doubt: others may go, and it may be withdrawn.
    assert_eq!(story.send("b", "50"), Ok(vec!["refund_held", "attempt_started"]));
    let context = story.context();
    let events = cancel(&context, &story.found(None), &key("a"), None).expect("cancelable");
    assert_eq!(story.write(&context, events), ["refund_canceled"]);
}

#[test]
fn a_clock_that_was_set_back_makes_no_refund_wait_for_it_to_catch_up() {
    let mut story = Story::paid();
    story.rules.refund_interval = Interval::Fixed(Duration::from_secs(60));
    story.send("a", "10").expect("granted");
    story.told("a", Outcome::Succeeded).expect("told");
    story.upstream_total("10", 1);
    story.hold("held-before", "10").expect("granted");
    story.second -= 8 * 3_600;
    story.hold("held-after", "10").expect("granted");
    assert_eq!(story.push("held-after"), Ok(vec!["facts_seen"])); // the interval is kept from here on
    story.second += 60;
    assert_eq!(story.push("held-after"), Ok(vec!["attempt_started"]));
    assert_eq!(story.push("held-before"), Ok(vec![]));
    story.second += 60;
    assert_eq!(story.push("held-before"), Ok(vec!["attempt_started"]));
}

#[test]
fn a_question_that_did_not_get_through_proves_nothing_about_a_refund_in_doubt() {
    let mut story = Story::paid();
    story.send("a", "30").expect("granted");
    story.told("a", Outcome::InDoubt).expect("told");
    for outcome in [Outcome::NotSent, Outcome::Blocked] {
        assert_eq!(story.told("a", outcome), Ok(vec!["probed"]));
        assert_eq!(story.state("a"), RefundState::InDoubt);
    }
}

#[test]
fn facts_without_the_orders_own_number_are_refused() {
    let mut story = Story::paid();
    story.facts.native = None;
    assert_eq!(rejected(story.see()).kind(), "malformed");
}

#[test]
fn words_that_no_upstream_takes_are_refused_before_anything_else() {
    let mut story = Story::paid();
    for (memo, by, want) in [
        (Some("退".repeat(81)), None, "the memo is longer than 80 characters"),
        (Some("a\nb".to_owned()), None, "the memo has a control character"),
        (None, Some("n".repeat(65)), "the name of who asks is longer than 64 characters"),
    ] {
        let command = RefundCommand { memo, by, ..story.command("a", "1") };
        assert_eq!(rejected(story.run(command)), Rejection::Malformed(want.to_owned()));
    }
    let command = RefundCommand { memo: Some("退".repeat(80)), ..story.command("a", "1") };
    assert_eq!(story.run(command), Ok(vec!["refund_held"]));
}
