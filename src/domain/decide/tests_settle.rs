//! What evidence does to refunds in doubt, and what a person's word does.

use std::time::Duration;

use super::story::{Story, key, rejected, yuan};
use super::{Probed, Refusal, approve, probed, unknown_upstream};
use crate::domain::{Answer, Finding, InFlight, Money, Outcome, Proof, RefundState, Rejection, Rules, Verdict};

const HOUR: i64 = 3_600;

/// 30 of 80 was sent, and its answer was lost.
fn in_doubt() -> Story {
    let mut story = Story::paid();
    story.rules.in_flight = InFlight::One;
    story.send("a", "30").expect("granted");
    story.told("a", Outcome::InDoubt).expect("told");
    story
}

fn alike(story: &mut Story, outcome: Outcome) -> Finding {
    let now = story.context().now;
    Finding { proof: Proof::Likeness, ..Finding::new(Answer::new(outcome, now), now) }
}

#[test]
fn a_total_that_moved_by_exactly_the_refund_settles_it_for_a_sole_refunder_only() {
    let mut story = in_doubt();
    story.upstream_total("30", 1);
    assert_eq!(story.probe("a"), Ok(vec!["facts_seen", "answered"]));
    assert_eq!(story.state("a"), RefundState::Succeeded);
    assert_eq!(story.amounts(), ["30.00", "0.00", "50.00", "0.00"]);

    let mut shared = in_doubt();
    shared.rules.sole_refunder = false;
    shared.upstream_total("30", 1);
    shared.probe("a").expect("asked");
    assert_eq!(shared.state("a"), RefundState::InDoubt);
    assert_eq!(shared.record().unsettled, yuan("30"));

    // A stranger was seen on this order before: it is no longer ours alone.
    let mut seen = Story::paid();
    seen.upstream_total("5", 1);
    seen.see().expect("seen");
    seen.send("a", "30").expect("granted");
    seen.told("a", Outcome::InDoubt).expect("told");
    seen.upstream_total("35", 2);
    seen.probe("a").expect("asked");
    assert_eq!(seen.state("a"), RefundState::InDoubt);
}

#[test]
fn a_total_that_moved_by_something_else_or_was_not_known_before_settles_nothing() {
    for (total, count) in [("29", 1), ("31", 1), ("60", 2), ("0", 0)] {
        let mut story = in_doubt();
        story.upstream_total(total, count);
        story.probe("a").expect("asked");
        assert_eq!(story.state("a"), RefundState::InDoubt, "{total}");
    }
    let mut story = Story::paid();
    story.facts.refunded = None;
    story.send("a", "30").expect("granted");
    story.told("a", Outcome::InDoubt).expect("told");
    story.upstream_total("30", 1);
    story.probe("a").expect("asked");
    assert_eq!(story.state("a"), RefundState::InDoubt, "nobody knows what the total was before");
}

#[test]
fn of_two_refunds_of_one_amount_a_total_of_one_proves_neither_and_a_total_of_both_proves_both() {
    let mut story = Story::paid();
    story.rules.in_flight = InFlight::Many;
    for name in ["a", "b"] {
        story.send(name, "30").expect("granted");
        story.told(name, Outcome::InDoubt).expect("told");
    }
    story.upstream_total("30", 1);
    story.probe("a").expect("asked");
    story.probe("b").expect("asked");
    assert_eq!((story.state("a"), story.state("b")), (RefundState::InDoubt, RefundState::InDoubt));
    story.upstream_total("60", 2);
    story.probe("a").expect("asked");
    story.probe("b").expect("asked");
    assert_eq!((story.state("a"), story.state("b")), (RefundState::Succeeded, RefundState::Succeeded));
}

#[test]
fn a_likeness_settles_for_a_sole_refunder_only() {
    for (outcome, state) in [
        (Outcome::Succeeded, RefundState::Succeeded),
        (Outcome::Declined, RefundState::Declined),
        (Outcome::Accepted, RefundState::Accepted),
    ] {
        let mut story = in_doubt();
        let finding = alike(&mut story, outcome);
        story.probe_found("a", finding).expect("asked");
        assert_eq!(story.state("a"), state);
        let mut shared = in_doubt();
        shared.rules.sole_refunder = false;
        let finding = alike(&mut shared, outcome);
        shared.probe_found("a", finding).expect("asked");
        assert_eq!(shared.state("a"), RefundState::InDoubt, "{outcome:?}");
    }
}

#[test]
fn a_door_that_was_shut_queues_the_refund_again_and_nothing_else_may() {
    let mut story = in_doubt();
    let now = story.context().now;
    let finding = Finding::new(Answer::new(Outcome::NotSent, now), now);
    story.probe_found("a", finding.clone()).expect("asked");
    assert_eq!(story.state("a"), RefundState::InDoubt, "a mere question cannot know");
    let (context, found) = (story.context(), story.found(None));
    let shut = Probed { fenced: true, ..story.question("a", finding) };
    let events = probed(&context, &found, &shut).expect("taken");
    story.write(&context, events);
    let refund = story.record().refund(&key("a")).expect("there").clone();
    assert_eq!((refund.state, refund.fences, refund.sent_at), (RefundState::Queued, 1, None));
    assert_eq!(story.push("a"), Ok(vec!["attempt_started"]));
    assert_eq!(story.record().refund(&key("a")).expect("there").attempts, 2);
    // The question was about the first attempt: it touches the second no more.
    assert!(matches!(probed(&story.context(), &story.found(None), &shut), Err(Refusal::Overtaken { .. })));
}

#[test]
fn silence_is_kept_as_evidence_leads_to_a_person_and_never_frees_a_fen() {
    let mut story = in_doubt();
    assert_eq!(story.probe("a"), Ok(vec!["probed"]));
    assert_eq!(story.probe("a"), Ok(vec![]), "the same a moment later is no news");
    story.second += 2 * HOUR;
    assert_eq!(story.probe("a"), Ok(vec!["probed"]));
    story.second += 72 * HOUR;
    assert_eq!(story.probe("a"), Ok(vec!["probed", "refund_to_review"]));
    assert_eq!((story.state("a"), story.record().refundable()), (RefundState::Review, yuan("50")));
    story.second += 365 * 24 * HOUR;
    assert_eq!(story.probe("a"), Ok(vec!["probed"]));
    let refund = story.record().refund(&key("a")).expect("there").clone();
    assert_eq!((refund.state, refund.probes), (RefundState::Review, 4));
    let evidence = refund.last_finding.expect("kept").evidence;
    assert_eq!(evidence, ["the upstream's total of refunds: 0.00 before the attempt, 0.00 now; 0.00 of it is ours"]);
    // The asking goes on, and a proof that comes late is taken.
    story.upstream_total("30", 1);
    story.probe("a").expect("asked");
    assert_eq!(story.state("a"), RefundState::Succeeded);
}

#[test]
fn an_accepted_refund_that_its_own_row_calls_accepted_is_not_settled_by_a_total() {
    let mut story = in_doubt();
    story.told("a", Outcome::Accepted).expect("told");
    story.upstream_total("30", 1);
    let now = story.context().now;
    let finding = Finding::new(Answer::new(Outcome::Accepted, now), now);
    story.probe_found("a", finding).expect("asked");
    assert_eq!(story.state("a"), RefundState::Accepted);
    story.second += 73 * HOUR;
    let now = story.context().now;
    let finding = Finding::new(Answer::new(Outcome::Accepted, now), now);
    story.probe_found("a", finding).expect("asked");
    assert_eq!(story.state("a"), RefundState::Review);
    // And there it stays, although its row still says so: until the row says more, or a person does.
    let now = story.context().now;
    let finding = Finding::new(Answer::new(Outcome::Accepted, now), now);
    story.probe_found("a", finding).expect("asked");
    assert_eq!(story.state("a"), RefundState::Review);
    let now = story.context().now;
    let finding = Finding::new(Answer::new(Outcome::Succeeded, now), now);
    story.probe_found("a", finding).expect("asked");
    assert_eq!(story.state("a"), RefundState::Succeeded);
}

#[test]
fn a_resend_after_silence_wants_the_setting_the_silence_and_a_total_that_did_not_move() {
    let after = |story: &mut Story, silent_for: u64| {
        let now = story.context().now;
        let finding = Finding::new(Answer::new(Outcome::InDoubt, now), now);
        let fresh = Some(story.seen());
        let silent_for = Duration::from_secs(silent_for);
        let question = Probed { fresh, silent_for, ..story.question("a", finding) };
        let (context, found) = (story.context(), story.found(None));
        let events = probed(&context, &found, &question).expect("taken");
        story.write(&context, events);
        story.state("a")
    };
    let silence = Some(Duration::from_secs(100));
    let mut never = in_doubt();
    assert_eq!(after(&mut never, 1_000_000), RefundState::InDoubt);
    let mut story = in_doubt();
    story.rules.resend_after_silence = silence;
    assert_eq!(after(&mut story, 99), RefundState::InDoubt);
    assert_eq!(after(&mut story, 100), RefundState::Queued);
    let mut moved = in_doubt();
    moved.rules = Rules { resend_after_silence: silence, sole_refunder: false, ..moved.rules.clone() };
    moved.upstream_total("30", 1);
    assert_eq!(after(&mut moved, 100), RefundState::InDoubt);
    let mut untold = in_doubt();
    untold.rules.resend_after_silence = silence;
    untold.facts.refunded = None;
    assert_eq!(after(&mut untold, 100), RefundState::InDoubt);
}

#[test]
fn silence_sends_nothing_again_that_the_original_of_a_copy_may_have_sent() {
    let mut story = in_doubt();
    story.rules.resend_after_silence = Some(Duration::from_secs(100));
    let now = story.context().now;
    let finding = Finding::new(Answer::new(Outcome::InDoubt, now), now);
    let (fresh, silent_for) = (Some(story.seen()), Duration::from_secs(1_000));
    let question = Probed { fresh, silent_for, ..story.question("a", finding) };
    let copied = super::Context { adopted_at: Some(now), ..story.context() };
    let events = probed(&copied, &story.found(None), &question).expect("taken");
    assert_eq!(story.write(&copied, events), ["facts_seen", "probed"]);
    assert_eq!(story.state("a"), RefundState::InDoubt);
}

#[test]
fn a_persons_verdict_moves_the_money_that_it_names() {
    for (verdict, state, amounts) in [
        (Verdict::Succeeded, RefundState::Succeeded, ["30.00", "0.00", "50.00", "0.00"]),
        (Verdict::Declined, RefundState::Declined, ["0.00", "0.00", "80.00", "0.00"]),
        (Verdict::Resend, RefundState::Queued, ["0.00", "30.00", "50.00", "0.00"]),
        (Verdict::Release, RefundState::Canceled, ["0.00", "0.00", "80.00", "0.00"]),
    ] {
        let mut story = in_doubt();
        assert_eq!(story.judge("a", verdict), Ok(vec!["refund_to_review", "judged"]), "{verdict}");
        assert_eq!((story.state("a"), story.amounts()), (state, amounts.map(str::to_owned)), "{verdict}");
        assert_eq!(story.judge("a", verdict), Ok(vec![]), "said twice");
    }
    let mut story = in_doubt();
    story.told("a", Outcome::Succeeded).expect("told");
    assert_eq!(story.judge("a", Verdict::Reversed), Ok(vec!["judged"]));
    assert_eq!(story.state("a"), RefundState::Reversed);
}

#[test]
fn where_strangers_refund_too_a_verdict_of_success_explains_the_total() {
    let mut story = in_doubt();
    story.rules.sole_refunder = false;
    story.upstream_total("30", 1);
    story.see().expect("seen");
    assert_eq!(story.record().refundable(), yuan("20"), "30 held, 30 unexplained");
    story.judge("a", Verdict::Succeeded).expect("judged");
    assert_eq!(story.amounts(), ["30.00", "0.00", "50.00", "0.00"]);
    let mut other = in_doubt();
    other.rules.sole_refunder = false;
    other.upstream_total("30", 1);
    other.judge("a", Verdict::Release).expect("judged");
    assert_eq!((other.record().external, other.record().refundable()), (yuan("30"), yuan("50")));
}

#[test]
fn evidence_wins_over_a_verdict() {
    let mut story = in_doubt();
    story.upstream_total("30", 1);
    assert_eq!(story.judge("a", Verdict::Release), Ok(vec!["facts_seen", "answered"]));
    assert_eq!(story.state("a"), RefundState::Succeeded);
}

#[test]
fn a_verdict_on_another_version_or_on_nothing_is_refused() {
    let mut story = in_doubt();
    let judging = |story: &mut Story, version: u64, note: &str| {
        let now = story.context().now;
        let finding = Finding::new(Answer::new(Outcome::InDoubt, now), now);
        let (verdict, by, note) = (Verdict::Release, "wang".to_owned(), note.to_owned());
        let command = super::Judge { verdict, by, note, version, fences: false, probed: story.question("a", finding) };
        rejected(super::judge(&story.context(), &story.found(None), &command).map(|_| Vec::new()))
    };
    let version = story.record().version;
    assert_eq!(judging(&mut story, version - 1, "x").kind(), "record_moved");
    assert_eq!(judging(&mut story, version, " ").kind(), "malformed");
    story.told("a", Outcome::Declined).expect("told");
    let version = story.record().version;
    assert_eq!(judging(&mut story, version, "x").kind(), "not_resolvable");
}

#[test]
fn a_refund_above_the_limit_waits_for_a_person_and_holds_meanwhile() {
    let mut story = Story::paid();
    story.rules.hold_above = Some(yuan("50"));
    assert_eq!(story.send("small", "50"), Ok(vec!["refund_held", "attempt_started"]));
    let mut story = Story::paid();
    story.rules.hold_above = Some(yuan("50"));
    assert_eq!(story.send("large", "50.01"), Ok(vec!["refund_held"]));
    assert_eq!((story.push("large"), story.record().held()), (Ok(vec![]), yuan("50.01")));
    let (context, found) = (story.context(), story.found(None));
    let unnamed = rejected(approve(&context, &found, &key("large"), "").map(|_| Vec::new()));
    assert_eq!(unnamed.kind(), "malformed");
    let events = approve(&context, &found, &key("large"), "li").expect("approved");
    story.write(&context, events);
    assert_eq!(approve(&story.context(), &story.found(None), &key("large"), "wang"), Ok(vec![]), "approved before");
    assert_eq!(story.push("large"), Ok(vec!["attempt_started"]));
    let refund = story.record().refund(&key("large")).expect("there").clone();
    assert_eq!((refund.awaits_approval, refund.approved_by.as_deref()), (false, Some("li")));
    story.hold("little", "1").expect("granted");
    let context = story.context();
    let refused = approve(&context, &story.found(None), &key("little"), "li").map(|_| Vec::new());
    assert!(matches!(rejected(refused), Rejection::NothingToApprove { .. }));
}

#[test]
fn an_order_that_the_upstream_does_not_know_for_a_day_goes_to_a_person() {
    let mut story = Story::paid();
    story.hold("a", "30").expect("granted");
    let unknown = |story: &mut Story| {
        let (context, found) = (story.context(), story.found(None));
        let events = unknown_upstream(&context, &found, &story.rules).expect("decided");
        story.write(&context, events)
    };
    assert_eq!(unknown(&mut story), Vec::<&str>::new());
    story.second += 25 * HOUR;
    assert_eq!(unknown(&mut story), ["refund_to_review"]);
    assert_eq!((story.state("a"), story.record().held()), (RefundState::Review, yuan("30")));
    assert_ne!(story.record().held(), Money::ZERO);
}

#[test]
fn a_window_is_counted_on_the_upstreams_clock_where_it_shows_it() {
    let mut story = Story::paid();
    story.rules.refund_window = Some(Duration::from_secs(90 * 86_400));
    // Here it is a year later, upstream it is still the day of the payment.
    let upstream = story.context().now;
    story.second += 365 * 24 * HOUR;
    assert_eq!(rejected(story.hold("a", "10")).kind(), "window_closed");
    story.facts.upstream_time = Some(upstream);
    assert_eq!(story.send("a", "10"), Ok(vec!["refund_held", "attempt_started"]));
    assert_eq!(story.record().facts.upstream_time, None, "it is not kept");
    assert_eq!(story.see(), Ok(vec![]), "another time of answering is no news");
}

/// A question whose door was shut: proven not executed.
fn shut(story: &mut Story) -> Probed {
    let now = story.context().now;
    let finding = Finding::new(Answer::new(Outcome::NotSent, now), now);
    Probed { fenced: true, ..story.question("a", finding) }
}

#[test]
fn a_shut_door_bears_a_persons_verdict_out_and_sends_nothing_again_by_itself() {
    for (verdict, state, events) in [
        (Verdict::Resend, RefundState::Queued, vec!["answered"]),
        (Verdict::Release, RefundState::Canceled, vec!["refund_to_review", "judged"]),
        (Verdict::Declined, RefundState::Declined, vec!["refund_to_review", "judged"]),
    ] {
        let mut story = in_doubt();
        let probed = shut(&mut story);
        let (by, note, version) = ("wang".to_owned(), "x".to_owned(), story.record().version);
        let command = super::Judge { verdict, by, note, version, fences: true, probed };
        let context = story.context();
        let decided = super::judge(&context, &story.found(None), &command).expect("judged");
        assert_eq!((story.write(&context, decided), story.state("a")), (events, state), "{verdict}");
    }
    // Before a person, and in a copy, no door that shuts by itself sends anything again.
    let mut story = in_doubt();
    story.second += 73 * HOUR;
    story.probe("a").expect("asked");
    assert_eq!(story.state("a"), RefundState::Review);
    let question = shut(&mut story);
    let context = story.context();
    let events = probed(&context, &story.found(None), &question).expect("taken");
    story.write(&context, events);
    assert_eq!(story.state("a"), RefundState::Review);
    let mut story = in_doubt();
    let question = shut(&mut story);
    let context = super::Context { adopted_at: Some(story.context().now), ..story.context() };
    let events = probed(&context, &story.found(None), &question).expect("taken");
    story.write(&context, events);
    assert_eq!(story.state("a"), RefundState::InDoubt);
    // What was sent only after the adoption is no other ledger's business.
    let mut story = in_doubt();
    let question = shut(&mut story);
    let context = super::Context { adopted_at: Some(crate::domain::Timestamp::EPOCH), ..story.context() };
    let events = probed(&context, &story.found(None), &question).expect("taken");
    story.write(&context, events);
    assert_eq!(story.state("a"), RefundState::Queued);
}

#[test]
fn what_the_original_of_a_copy_may_have_sent_is_not_canceled_without_asking() {
    let mut story = Story::paid();
    story.hold("a", "30").expect("granted");
    story.facts.status = crate::domain::OrderStatus::Closed;
    story.see().expect("seen");
    assert_eq!(story.state("a"), RefundState::Review);
    let copied = super::Context { adopted_at: Some(story.context().now), ..story.context() };
    let refused = super::cancel(&copied, &story.found(None), &key("a"), None).map(|_| Vec::new());
    assert!(matches!(rejected(refused), Rejection::NotCancelable { .. }));
    assert!(super::cancel(&story.context(), &story.found(None), &key("a"), None).is_ok());
}
