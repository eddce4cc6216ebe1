//! What may happen to an order, and how often each of it is tried.

use proptest::prelude::*;

/// One step of a history. Refunds are picked by number, modulo how many there are.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Somebody else refunds.
    Elsewhere(i64),
    /// The upstream is asked, and may leave its total out.
    Read { total: bool },
    /// The upstream is asked, and its answer is under way.
    ReadLater,
    /// An answer that was under way arrives.
    Arrives,
    /// A refund is asked for with fresh facts, or offline.
    Refund { fen: i64, online: bool },
    /// A queued refund is to be sent.
    Push(usize),
    /// The refund being sent comes to an end.
    Ends(usize, End),
    /// A refund in doubt, or accepted, is executed only now.
    Lands(usize),
    /// A refund in doubt, or accepted, is proven to be what it is: then it lands no more.
    Proven(usize),
    /// The upstream is asked about an unsettled refund so many seconds later and knows nothing of it.
    Asked(usize, i64),
    /// A door is shut on an unsettled refund.
    Fenced(usize),
    /// A person who knows how an unsettled refund ended says so; one not executed is sent again, or let go.
    Judged(usize, bool),
    /// A refund is withdrawn.
    Cancel(usize),
    /// The clock is set back by an hour; answers under way are lost.
    ClockBack,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Succeeds,
    Declined,
    NotSent,
    /// Told accepted, or nothing; executed, or not (yet).
    Open(bool, bool),
    /// The process dies; it was executed or not (yet).
    Crash(bool),
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        2 => Just(End::Succeeds),
        1 => Just(End::Declined),
        1 => Just(End::NotSent),
        3 => (any::<bool>(), any::<bool>()).prop_map(|(accepted, executed)| End::Open(accepted, executed)),
        1 => any::<bool>().prop_map(End::Crash),
    ]
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let nth = 0..8_usize;
    prop_oneof![
        2 => (1..9_i64).prop_map(Step::Elsewhere),
        3 => prop::bool::weighted(0.8).prop_map(|total| Step::Read { total }),
        1 => Just(Step::ReadLater),
        1 => Just(Step::Arrives),
        6 => (1..13_i64, any::<bool>()).prop_map(|(fen, online)| Step::Refund { fen, online }),
        3 => nth.clone().prop_map(Step::Push),
        6 => (nth.clone(), end()).prop_map(|(nth, end)| Step::Ends(nth, end)),
        2 => nth.clone().prop_map(Step::Lands),
        2 => nth.clone().prop_map(Step::Proven),
        2 => (nth.clone(), 0..200_000_i64).prop_map(|(nth, later)| Step::Asked(nth, later)),
        1 => nth.clone().prop_map(Step::Fenced),
        2 => (nth.clone(), any::<bool>()).prop_map(|(nth, resend)| Step::Judged(nth, resend)),
        1 => nth.prop_map(Step::Cancel),
        1 => Just(Step::ClockBack),
    ]
}
