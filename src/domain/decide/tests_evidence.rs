//! What exactly evidence and verdicts leave in the record, and which evidence is too weak to do so.

use std::time::Duration;

use super::story::{Story, key, rejected, yuan};
use super::{Context, Judge, Probed, Refusal, Settle, answer, answer_then_probed, judge, probed};
use crate::domain::{Answer, Event, Finding, Outcome, Proof, Refund, RefundState, Timestamp, Verdict};

fn in_doubt() -> Story {
    let mut story = Story::paid();
    story.send("a", "30").expect("granted");
    story.told("a", Outcome::InDoubt).expect("told");
    story
}

fn found(outcome: Outcome, proof: Proof, at: Timestamp) -> Finding {
    Finding { proof, ..Finding::new(Answer::new(outcome, at), at) }
}

fn refund<'a>(story: &'a Story, name: &str) -> &'a Refund {
    story.record().refund(&key(name)).expect("there")
}

fn verdict(story: &mut Story, verdict: Verdict, finding: Finding) -> Result<Vec<&'static str>, Refusal> {
    let context = story.context();
    let (by, note, version) = ("wang".to_owned(), "seen".to_owned(), story.record().version);
    let probed = story.question("a", finding);
    let command = Judge { verdict, by, note, version, fences: false, probed };
    let events = judge(&context, &story.found(None), &command)?;
    Ok(story.write(&context, events))
}

/// What the upstream says is under way is not let go, also where only a likeness says so.
#[test]
fn a_refund_that_is_under_way_is_not_let_go_by_a_verdict() {
    for proof in [Proof::OwnNumber, Proof::Likeness] {
        for (word, refused) in [
            (Verdict::Declined, true),
            (Verdict::Release, true),
            (Verdict::Resend, true),
            (Verdict::Succeeded, false), // the upstream is behind what the person saw
        ] {
            let mut story = in_doubt();
            story.rules.sole_refunder = false;
            story.told("a", Outcome::Accepted).expect("told");
            let now = story.context().now;
            let judged = verdict(&mut story, word, found(Outcome::Accepted, proof, now));
            if refused {
                assert_eq!(rejected(judged).kind(), "verdict_contradicted", "{word} against {proof:?}");
                assert_eq!((story.state("a"), story.record().held()), (RefundState::Accepted, yuan("30")));
            } else {
                assert_eq!(judged, Ok(vec!["refund_to_review", "judged"]));
                assert_eq!(story.amounts(), ["30.00", "0.00", "50.00", "0.00"]);
            }
        }
    }
}

#[test]
fn a_success_that_the_upstream_still_shows_is_no_reversal_and_one_that_only_looks_like_it_may_be() {
    for (outcome, proof, reversed) in [
        (Outcome::Succeeded, Proof::OwnNumber, false),
        (Outcome::Succeeded, Proof::Likeness, true),
        (Outcome::InDoubt, Proof::OwnNumber, true),
        (Outcome::Accepted, Proof::OwnNumber, true),
    ] {
        let mut story = in_doubt();
        story.told("a", Outcome::Succeeded).expect("told");
        let now = story.context().now;
        let judged = verdict(&mut story, Verdict::Reversed, found(outcome, proof, now));
        let state = if reversed { RefundState::Reversed } else { RefundState::Succeeded };
        assert_eq!((judged.is_ok(), story.state("a")), (reversed, state), "{outcome:?} by {proof:?}");
    }
}

#[test]
fn a_verdict_that_nothing_was_executed_forgets_the_attempt_and_one_of_success_keeps_it() {
    for (word, keeps) in
        [(Verdict::Succeeded, true), (Verdict::Declined, false), (Verdict::Resend, false), (Verdict::Release, false)]
    {
        let mut story = in_doubt();
        let (sent_at, baseline, due_at) =
            (refund(&story, "a").sent_at, refund(&story, "a").baseline, refund(&story, "a").due_at);
        assert!(sent_at.is_some() && baseline.is_some());
        story.judge("a", word).expect("judged");
        let after = refund(&story, "a");
        let attempt = if keeps { (sent_at, baseline) } else { (None, None) };
        assert_eq!((after.sent_at, after.baseline), attempt, "{word}");
        // What goes again goes at once; of all else the due time says what it said.
        let due = if word == Verdict::Resend { after.state_at } else { due_at };
        assert_eq!(after.due_at, due, "{word}");
        assert_eq!(after.message.as_deref(), Some("seen in the console"), "{word}");
    }
}

#[test]
fn what_settled_a_refund_without_an_answer_is_told_in_words() {
    let mut silent = in_doubt();
    silent.rules.resend_after_silence = Some(Duration::from_secs(100));
    let now = silent.context().now;
    let fresh = Some(silent.seen());
    let asked = silent.question("a", found(Outcome::InDoubt, Proof::OwnNumber, now));
    let asked = Probed { fresh, silent_for: Duration::from_secs(100), ..asked };
    let context = silent.context();
    let events = probed(&context, &silent.found(None), &asked).expect("taken");
    silent.write(&context, events);
    let want = "sent again after 100 s of silence, as the account's resend_after_silence says";
    assert_eq!(refund(&silent, "a").message.as_deref(), Some(want));

    let mut proven = in_doubt();
    proven.upstream_total("30", 1);
    let now = proven.context().now;
    let fresh = Some(proven.seen());
    let asked = proven.question("a", found(Outcome::InDoubt, Proof::OwnNumber, now));
    let asked = Probed { fresh, ..asked };
    let events = probed(&proven.context(), &proven.found(None), &asked).expect("taken");
    let Some(Event::Answered { answer, state, .. }) = events.last() else { panic!("not settled: {events:?}") };
    let want = "the upstream's total of refunds moved by exactly this refund, and nobody else refunds this order";
    assert_eq!(
        (*state, answer.outcome, answer.message.as_deref()),
        (RefundState::Succeeded, Outcome::Succeeded, Some(want))
    );
}

#[test]
fn neither_a_likeness_nor_a_total_settles_what_the_original_of_a_copy_may_have_sent() {
    for outcome in [Outcome::Succeeded, Outcome::InDoubt] {
        let mut story = in_doubt();
        story.upstream_total("30", 1);
        let now = story.context().now;
        let fresh = Some(story.seen());
        let asked = Probed { fresh, ..story.question("a", found(outcome, Proof::Likeness, now)) };
        let copied = Context { adopted_at: Some(now), ..story.context() };
        let events = probed(&copied, &story.found(None), &asked).expect("taken");
        story.write(&copied, events);
        assert_eq!(story.state("a"), RefundState::InDoubt, "{outcome:?}");
    }
}

#[test]
fn a_total_settles_an_accepted_refund_whose_own_row_says_nothing() {
    let mut story = in_doubt();
    story.told("a", Outcome::Accepted).expect("told");
    story.upstream_total("30", 1);
    story.probe("a").expect("asked");
    assert_eq!(story.state("a"), RefundState::Succeeded);
}

#[test]
fn an_accepted_refund_is_not_sent_again_after_any_silence() {
    let mut story = in_doubt();
    story.told("a", Outcome::Accepted).expect("told");
    story.rules.resend_after_silence = Some(Duration::from_secs(100));
    let now = story.context().now;
    let fresh = Some(story.seen());
    let asked = story.question("a", found(Outcome::InDoubt, Proof::OwnNumber, now));
    let asked = Probed { fresh, silent_for: Duration::from_secs(1_000), ..asked };
    let context = story.context();
    let events = probed(&context, &story.found(None), &asked).expect("taken");
    story.write(&context, events);
    assert_eq!(story.state("a"), RefundState::Accepted);
}

#[test]
fn the_same_finding_is_kept_again_an_hour_later_and_not_before() {
    let mut story = in_doubt();
    let first = story.context().now;
    for (later_s, kept) in [(0, vec!["probed"]), (3_599, vec![]), (3_600, vec!["probed"])] {
        let asked_at = first.saturating_add(Duration::from_secs(later_s));
        let asked = story.question("a", found(Outcome::InDoubt, Proof::OwnNumber, asked_at));
        let context = Context { now: asked_at, ..story.context() };
        let events = probed(&context, &story.found(None), &asked).expect("taken");
        assert_eq!(story.write(&context, events), kept, "{later_s} s later");
    }
}

/// A total that was asked for before another refund succeeded may hold that one or not.
#[test]
fn a_total_that_a_success_has_overtaken_proves_nothing_that_the_success_explains() {
    let mut story = Story::paid();
    for (name, amount) in [("a", "10"), ("b", "15"), ("c", "25")] {
        story.send(name, amount).expect("granted");
    }
    for name in ["a", "c"] {
        story.told(name, Outcome::InDoubt).expect("told");
    }
    story.facts.refunded = Some(yuan("25")); // a and b, or c
    story.facts.refund_count = None;
    let fresh = Some(story.seen());
    story.told("b", Outcome::Succeeded).expect("told");
    let now = story.context().now;
    for name in ["a", "c"] {
        let asked = story.question(name, found(Outcome::InDoubt, Proof::OwnNumber, now));
        let asked = Probed { fresh: fresh.clone(), ..asked };
        let context = story.context();
        let events = probed(&context, &story.found(None), &asked).expect("taken");
        story.write(&context, events);
        assert_eq!(story.state(name), RefundState::InDoubt, "{name}");
    }
}

/// 20.00 of ours succeeded long before; a total of 30.00 is that and the 10.00, and not the 30.00.
#[test]
fn a_success_that_the_total_has_long_held_is_no_part_of_what_moved() {
    let mut story = Story::paid();
    story.send("long-ago", "20").expect("granted");
    story.told("long-ago", Outcome::Succeeded).expect("told");
    story.upstream_total("20", 1).see().expect("seen");
    for (name, amount) in [("a", "10"), ("c", "30")] {
        story.send(name, amount).expect("granted");
        story.told(name, Outcome::InDoubt).expect("told");
    }
    story.upstream_total("30", 2);
    story.probe("a").expect("asked");
    assert_eq!((story.state("a"), story.state("c")), (RefundState::Succeeded, RefundState::InDoubt));
}

/// 30.00 of ours succeeded and is one of the two refunds that the upstream counts: the other 30.00 is one refund, and
/// not our 10.00 and 20.00 together.
#[test]
fn an_own_success_takes_its_place_in_the_upstreams_count() {
    let mut story = Story::paid();
    for (name, amount) in [("a", "10"), ("b", "30"), ("c", "20")] {
        story.send(name, amount).expect("granted");
    }
    for (name, outcome) in [("a", Outcome::InDoubt), ("c", Outcome::InDoubt), ("b", Outcome::Succeeded)] {
        story.told(name, outcome).expect("told");
    }
    story.upstream_total("60", 2).see().expect("seen");
    assert_eq!((story.record().unsettled, story.record().refundable()), (yuan("30"), yuan("0")));
}

#[test]
fn an_answer_and_what_was_told_right_after_it_come_to_the_same_in_one_write_as_in_two() {
    for (outcome, events, state) in [
        (Outcome::Succeeded, vec!["answered", "answered"], RefundState::Succeeded),
        (Outcome::Declined, vec!["answered", "answered"], RefundState::Declined),
        (Outcome::Accepted, vec!["answered", "probed"], RefundState::Accepted),
        (Outcome::InDoubt, vec!["answered", "facts_seen", "answered"], RefundState::Succeeded),
    ] {
        let mut story = Story::paid();
        story.send("a", "30").expect("granted");
        story.upstream_total("30", 1);
        let fresh = (outcome == Outcome::InDoubt).then(|| story.seen());
        let context = story.context();
        let (attempt, rules) = (1, story.rules.clone());
        let told = Answer { upstream_refund_no: Some("r-1".to_owned()), ..Answer::new(Outcome::Accepted, context.now) };
        let settle = Settle { key: key("a"), attempt, answer: told, rules };
        let finding = Finding::new(Answer::new(outcome, context.now), context.now);
        let probe = Probed { from: RefundState::Accepted, fresh, ..story.question("a", finding) };
        let together = answer_then_probed(&context, &story.found(None), &settle, &probe).expect("decided");
        // The question alone was overtaken by its own answer, as it seems: it is about a refund that is still sent.
        let early = probed(&context, &story.found(None), &probe);
        assert!(matches!(early, Err(Refusal::Overtaken { state: RefundState::Sending, .. })), "{early:?}");
        let mut one_by_one = answer(&context, &story.found(None), &settle).expect("decided");
        story.write(&context, one_by_one.clone());
        one_by_one.extend(probed(&context, &story.found(None), &probe).expect("decided"));
        assert_eq!(together, one_by_one);
        assert_eq!(together.iter().map(Event::name).collect::<Vec<_>>(), events, "{outcome:?}");
        story.write(&context, together.into_iter().skip(1).collect());
        assert_eq!(story.state("a"), state, "{outcome:?}");
        // Told a second time, both are about a refund that has moved on.
        let again = answer_then_probed(&context, &story.found(None), &settle, &probe);
        assert!(matches!(again, Err(Refusal::Overtaken { .. })), "{again:?}");
    }
}
