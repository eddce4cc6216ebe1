//! What an upstream's total says, as small stories on one order of 80.00.

use super::facts;
use super::story::{Story, key, rejected, yuan};
use crate::domain::{Answer, Finding, Outcome, RefundState, Rejection, Verdict};

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

/// Each refund asks for fresh facts, so the same total is read again and again while one is in doubt.
#[test]
fn reading_the_same_total_twice_grants_no_more_than_reading_it_once() {
    let mut story = Story::paid();
    story.send("a", "30").expect("granted");
    story.told("a", Outcome::InDoubt).expect("told");
    // One refund of 35 by a stranger: 5 are certain, 30 may be ours; but the upstream counts one refund.
    story.upstream_total("35", 1).see().expect("seen");
    assert_eq!(story.amounts(), ["5.00", "30.00", "15.00", "0.00"]);
    assert_eq!(story.see(), Ok(vec![]));
    assert_eq!(story.amounts(), ["5.00", "30.00", "15.00", "0.00"]);
    assert_eq!(rejected(story.send("b", "15.01")).kind(), "over_refundable");
}

#[test]
fn a_row_without_a_total_after_an_own_success_does_not_lower_what_was_made_elsewhere() {
    let mut story = Story::paid();
    story.upstream_total("20", 1).see().expect("seen");
    story.send("a", "30").expect("granted");
    story.told("a", Outcome::Succeeded).expect("told");
    story.facts.refunded = None;
    story.facts.refund_count = None;
    story.facts.upstream_refund_status = Some("partial".to_owned());
    assert_eq!(story.see(), Ok(vec!["facts_seen"]));
    assert_eq!(story.amounts(), ["50.00", "0.00", "30.00", "0.00"]);
}

#[test]
fn a_total_that_lags_behind_our_own_refunds_lowers_nothing() {
    let mut story = Story::paid();
    story.upstream_total("20", 1).see().expect("seen");
    story.send("a", "30").expect("granted");
    story.told("a", Outcome::Succeeded).expect("told");
    story.facts.upstream_refund_status = Some("partial".to_owned());
    assert_eq!(story.see(), Ok(vec!["facts_seen"])); // still 20, although 50 are out
    assert_eq!(story.amounts(), ["50.00", "0.00", "30.00", "0.00"]);
}

#[test]
fn a_clock_that_was_set_back_makes_old_facts_lower_nothing() {
    let mut story = Story::paid();
    story.upstream_total("20", 1).see().expect("seen");
    story.send("a", "30").expect("granted");
    story.second -= 3_600;
    story.told("a", Outcome::Succeeded).expect("told");
    assert_eq!(story.amounts(), ["50.00", "0.00", "30.00", "0.00"]);
}

/// Found by the simulation: a total that still counted a refund which was declined in the end.
#[test]
fn after_a_clock_was_set_back_the_second_facts_are_believed_again() {
    for outcome_ahead in [false, true] {
        let mut story = Story::paid();
        story.second += 3_600; // the clock is ahead
        for (name, amount) in [("a", "10"), ("b", "20")] {
            story.send(name, amount).expect("granted");
            story.told(name, Outcome::Accepted).expect("told");
        }
        story.upstream_total("30", 2).see().expect("seen"); // both counted while they are under way
        let back = |story: &mut Story| story.second -= 3_600;
        if !outcome_ahead {
            back(&mut story);
        }
        story.told("b", Outcome::Succeeded).expect("told");
        if outcome_ahead {
            back(&mut story);
        }
        story.told("a", Outcome::Declined).expect("told");
        assert_eq!(story.see(), Ok(vec!["facts_seen"]), "nothing new but what the time is");
        assert_eq!(story.record().external, yuan("10"));
        assert_eq!(story.upstream_total("20", 1).see(), Ok(vec!["facts_seen"]));
        assert_eq!((story.record().external, story.record().refunded()), (yuan("0"), yuan("20")));
        assert_eq!(story.see(), Ok(vec![]), "nothing is left to say");

        // A first total that shows less may be older than what is known: it lowers nothing.
        story.second += 3_600;
        story.upstream_total("50", 2).see().expect("seen");
        back(&mut story);
        for believed in ["30", "0"] {
            story.upstream_total("20", 1).see().expect("seen");
            assert_eq!(story.record().external, yuan(believed));
        }
    }
}

#[test]
fn facts_still_come_in_after_a_clock_was_set_back() {
    let mut story = Story::paid();
    story.hold("a", "30").expect("granted");
    story.second -= 3_600;
    assert_eq!(story.upstream_total("60", 1).push("a"), Ok(vec!["facts_seen", "refund_to_review"]));
    assert_eq!(story.state("a"), RefundState::Review);
}

#[test]
fn the_baseline_of_an_attempt_is_what_its_own_read_told() {
    let mut story = Story::paid();
    story.upstream_total("20", 1).see().expect("seen");
    story.facts.refunded = None;
    story.facts.refund_count = None;
    story.send("a", "30").expect("granted");
    let baseline = story.record().refund(&key("a")).and_then(|refund| refund.baseline).expect("was sent");
    assert_eq!((baseline.refunded, baseline.count, baseline.asked_at), (None, None, story.facts.asked_at));
}

#[test]
fn a_row_that_says_less_takes_nothing_back() {
    let mut story = Story::paid();
    story.facts.details.insert("body".to_owned(), "a shirt".into());
    story.facts.created_at = story.facts.paid_at;
    story.see().expect("seen");
    let known = story.record().facts.clone();
    story.facts.details.clear();
    (story.facts.paid_at, story.facts.created_at, story.facts.payment_method) = (None, None, None);
    assert_eq!(story.see(), Ok(vec![]));
    assert_eq!(story.record().facts, known);
}

#[test]
fn a_refund_that_waits_for_a_person_keeps_no_older_one_from_going_out() {
    let mut story = Story::paid();
    for name in ["a", "b", "c", "d"] {
        story.hold(name, "20").expect("granted");
    }
    story.facts.refunded = Some(yuan("20"));
    assert_eq!(story.push("a"), Ok(vec!["facts_seen", "refund_to_review", "attempt_started"]));
    story.told("a", Outcome::Succeeded).expect("told");
    for (name, total) in [("b", "40"), ("c", "60")] {
        story.facts.refunded = Some(yuan(total));
        story.push(name).expect("pushed");
        assert_eq!(story.told(name, Outcome::Succeeded), Ok(vec!["answered"]), "{name}");
    }
    assert_eq!((story.state("d"), story.record().refunded()), (RefundState::Review, yuan("80")));
    // Nor does it go out itself when a person queues it again.
    story.facts.refunded = Some(yuan("80"));
    story.judge("d", Verdict::Resend).expect("judged");
    story.push("d").expect("looked at");
    assert_eq!(story.state("d"), RefundState::Review);
}

/// 20.00 was refunded elsewhere; of our two refunds one succeeded after that was read, and one is told so.
fn read_before_two_of_ours(last: Outcome) -> Story {
    let mut story = Story::paid();
    story.upstream_total("20", 1).see().expect("seen");
    for (name, amount) in [("a", "10"), ("b", "15")] {
        story.send(name, amount).expect("granted");
    }
    story.told("b", Outcome::Succeeded).expect("told");
    story.told("a", last).expect("told");
    story
}

/// Found by the model in `tests/it/model`, as the next: an old total was read as if it had just been asked for.
#[test]
fn a_reversal_forgets_nothing_that_was_refunded_elsewhere() {
    let mut story = read_before_two_of_ours(Outcome::Succeeded);
    assert_eq!(story.amounts(), ["45.00", "0.00", "35.00", "0.00"]);
    story.judge("a", Verdict::Reversed).expect("judged");
    assert_eq!((story.record().external, story.record().refundable()), (yuan("20"), yuan("45")));
}

#[test]
fn a_verdict_whose_facts_leave_the_total_out_forgets_nothing_that_was_refunded_elsewhere() {
    let mut story = read_before_two_of_ours(Outcome::InDoubt);
    (story.facts.refunded, story.facts.refund_count) = (None, None);
    story.judge("a", Verdict::Declined).expect("judged");
    assert_eq!((story.record().external, story.record().refundable()), (yuan("20"), yuan("45")));
}

/// Fubei's may count what it has taken and may still decline.
#[test]
fn a_total_that_may_count_what_is_pending_shows_that_a_refund_was_taken_and_never_that_it_succeeded() {
    let counted = || {
        let mut story = Story::paid();
        story.rules.totals_count_pending = true;
        story.send("a", "30").expect("granted");
        story.told("a", Outcome::InDoubt).expect("told");
        story.upstream_total("30", 1);
        story
    };
    let mut story = counted();
    assert_eq!(story.probe("a"), Ok(vec!["facts_seen", "answered"]));
    assert_eq!(story.state("a"), RefundState::Accepted);
    assert_eq!(story.amounts(), ["0.00", "30.00", "50.00", "0.00"], "it is held on");
    assert_eq!(story.probe("a"), Ok(vec!["probed"]), "the same total says no more of what was accepted");
    assert_eq!(story.state("a"), RefundState::Accepted);
    for verdict in [Verdict::Declined, Verdict::Resend, Verdict::Release] {
        let Rejection::VerdictContradicted { words, .. } = rejected(story.judge("a", verdict)) else { panic!("taken") };
        assert_eq!(words, "the upstream's total of refunds counts it", "{verdict}");
    }
    let mut believed = counted();
    believed.probe("a").expect("asked");
    believed.judge("a", Verdict::Succeeded).expect("a person saw it");
    assert_eq!(believed.state("a"), RefundState::Succeeded);

    // Declined in the end: the total goes back, and so does the money that was held.
    let now = story.context().now;
    story.probe_found("a", Finding::new(Answer::new(Outcome::Declined, now), now)).expect("taken");
    story.upstream_total("0", 0);
    story.see().expect("seen");
    assert_eq!(story.amounts(), ["0.00", "0.00", "80.00", "0.00"]);
}
