//! What the model answers to outcomes, questions, verdicts, and to those who withdraw or approve.

use tillbook::domain::{Outcome, Proof, RefundState, Verdict};

use super::commands::Question;
use super::order::Found;
use super::real;
use super::rules::Work;
use super::totals::{Read, proves, told};

const DAY: i64 = 86_400;

/// The state that an outcome is.
fn state_of(outcome: Outcome) -> RefundState {
    match outcome {
        Outcome::NotSent | Outcome::Blocked => RefundState::Queued,
        Outcome::Declined => RefundState::Declined,
        Outcome::Accepted => RefundState::Accepted,
        Outcome::Succeeded => RefundState::Succeeded,
        Outcome::InDoubt => RefundState::InDoubt,
    }
}

fn state_by(verdict: Verdict) -> RefundState {
    match verdict {
        Verdict::Succeeded => RefundState::Succeeded,
        Verdict::Declined => RefundState::Declined,
        Verdict::Resend => RefundState::Queued,
        Verdict::Release => RefundState::Canceled,
        Verdict::Reversed => RefundState::Reversed,
    }
}

/// What a question's evidence did.
#[derive(Debug, PartialEq, Eq)]
enum Weighed {
    Settled,
    /// The total has the refund in it, which may be of no more than a refund that was accepted.
    InTheTotal,
    Nothing,
}

impl Work<'_> {
    pub(super) fn end(&mut self, key: &str, attempt: u32, outcome: Outcome, busy: bool) -> Result<(), String> {
        let refund = self.expect(key, RefundState::Sending, Some(attempt))?;
        let busy_too_long = busy && outcome == Outcome::Blocked && self.now - refund.requested_at > DAY;
        let state = if busy_too_long { RefundState::Review } else { state_of(outcome) };
        self.told(key, state, outcome)
    }

    pub(super) fn lost(&mut self, key: &str) -> Result<(), String> {
        self.expect(key, RefundState::Sending, None)?;
        self.step(key, RefundState::InDoubt, "attempt_lost");
        self.outcome()
    }

    /// An answer moves the refund, and what was refunded elsewhere is counted anew.
    fn told(&mut self, key: &str, state: RefundState, outcome: Outcome) -> Result<(), String> {
        let now = self.now;
        self.step(key, state, "answered");
        let refund = self.known()?.refund(key).expect("just moved");
        refund.due_at = now;
        if state == RefundState::Queued || [Outcome::NotSent, Outcome::Blocked].contains(&outcome) {
            (refund.sent_at, refund.total_before) = (None, None);
        }
        self.recount(state, Read::Before)
    }

    fn outcome(&mut self) -> Result<(), String> {
        let now = self.now;
        let order = self.known()?;
        order.outcome_at = order.outcome_at.max(Some(now));
        Ok(())
    }

    fn recount(&mut self, state: RefundState, read: Read) -> Result<(), String> {
        self.outcome()?;
        let sole = self.setting.sole_refunder;
        let order = self.known()?;
        if state == RefundState::Succeeded {
            order.calm_count = order.calm_count.map(|count| count + 1);
        }
        let figures = told(order, sole, read);
        order.explain(figures);
        Ok(())
    }

    pub(super) fn ask(&mut self, question: &Question) -> Result<(), String> {
        let key = &question.key;
        self.expect(key, question.from, Some(question.attempt))?;
        if self.weigh(question, question.from == RefundState::InDoubt)? == Weighed::Settled {
            return Ok(());
        }
        self.keep(question)?;
        let (now, resend_after) = (self.now, self.setting.resend_after);
        let refund = self.known_refund(key)?;
        let unsettled = self.known()?.unsettled;
        let told_now = question.fresh.as_ref().and_then(|said| said.refunded);
        let unmoved = refund.total_before.is_some() && refund.total_before == told_now && unsettled == 0;
        let silent = question.outcome == Outcome::InDoubt && refund.state != RefundState::Accepted;
        if silent && unmoved && resend_after.is_some_and(|after| question.silent >= after) {
            return self.told(key, RefundState::Queued, question.outcome);
        }
        let waits_for_an_end = [RefundState::InDoubt, RefundState::Accepted].contains(&refund.state);
        if waits_for_an_end && now - refund.state_at >= 3 * DAY {
            self.step(key, RefundState::Review, "refund_to_review");
        }
        Ok(())
    }

    /// Whether what was found settles the refund: its own number, then a likeness, then the total.
    fn weigh(&mut self, question: &Question, may_send_again: bool) -> Result<Weighed, String> {
        let (key, outcome, sole) = (&question.key, question.outcome, self.setting.sole_refunder);
        if let Some(said) = &question.fresh {
            self.see(said);
        }
        let counts = question.proof == Proof::OwnNumber || (sole && !self.known()?.external_seen);
        let tells = [Outcome::Succeeded, Outcome::Declined, Outcome::Accepted].contains(&outcome) && counts;
        let shut_out = outcome == Outcome::NotSent && question.fenced && may_send_again;
        let state = if tells || shut_out { state_of(outcome) } else { question.from };
        let found_before = self.known_refund(key)?.last_found.map(|found| found.outcome);
        if question.from == RefundState::Review
            && state == RefundState::Accepted
            && found_before == Some(Outcome::Accepted)
        {
            return Ok(Weighed::Nothing); // it is before a person because it has been accepted for too long
        }
        if state != question.from {
            self.told(key, state, outcome)?;
            return Ok(Weighed::Settled);
        }
        if state == RefundState::Accepted && outcome == Outcome::Accepted {
            return Ok(Weighed::Nothing); // on its way, and a total knows no better
        }
        let in_the_total = question.fresh.is_some() && proves(self.known()?, sole, key);
        match (in_the_total, self.setting.totals_count_pending, question.from) {
            (false, ..) => return Ok(Weighed::Nothing),
            (true, false, _) => self.told(key, RefundState::Succeeded, Outcome::Succeeded)?,
            (true, true, RefundState::InDoubt) => self.told(key, RefundState::Accepted, Outcome::Accepted)?,
            (true, true, _) => return Ok(Weighed::InTheTotal),
        }
        Ok(Weighed::Settled)
    }

    /// Keeps what was found, unless the same was found within the hour.
    fn keep(&mut self, question: &Question) -> Result<(), String> {
        let (now, refund) = (self.now, self.known_refund(&question.key)?);
        let ours = self.known()?.ours();
        let totals = question.fresh.as_ref().map(|said| (refund.total_before, said.refunded, ours));
        let found = Found { outcome: question.outcome, proof: question.proof, at: now, totals };
        let again = refund
            .last_found
            .is_some_and(|last| last.at <= now && now - last.at < 3_600 && Found { at: now, ..last } == found);
        if !again {
            self.written.push("probed");
            self.known()?.refund(&question.key).expect("looked for").last_found = Some(found);
        }
        Ok(())
    }

    pub(super) fn judge(
        &mut self,
        verdict: Verdict,
        version: u64,
        fences: bool,
        question: &Question,
    ) -> Result<(), String> {
        let key = &question.key;
        let (refund, number, target) = (self.known_refund(key)?, self.number, state_by(verdict));
        if refund.state == target {
            return Ok(());
        }
        let now_at = self.known()?.version;
        if now_at != version {
            let moved = "has changed since";
            let name = real::name(number);
            return Err(format!(
                "order {name} {moved} (version {version} was judged, it is {now_at} now); look at it again"
            ));
        }
        let open = match (verdict, refund.state) {
            (Verdict::Reversed, state) => state == RefundState::Succeeded,
            (_, state) => [RefundState::Accepted, RefundState::InDoubt, RefundState::Review].contains(&state),
        };
        if !open {
            let state = refund.state;
            return Err(format!("refund {key} is {state}; there is nothing that a verdict of {verdict} could settle"));
        }
        let contradicts =
            |words: &str| Err(format!("the upstream contradicts that refund {key} is {verdict}: {words}"));
        if verdict == Verdict::Reversed {
            if question.outcome == Outcome::Succeeded && question.proof == Proof::OwnNumber {
                return contradicts("succeeded");
            }
        } else {
            let weighed = self.weigh(question, verdict == Verdict::Resend)?;
            if weighed == Weighed::Settled {
                return Ok(());
            }
            if weighed == Weighed::InTheTotal && verdict != Verdict::Succeeded {
                return contradicts("the upstream's total of refunds counts it");
            }
            if question.outcome == Outcome::Accepted && verdict != Verdict::Succeeded {
                return contradicts("accepted");
            }
            if verdict == Verdict::Resend && fences {
                return contradicts(
                    "its door cannot be shut (nothing is known of it); release it, and refund under another key",
                );
            }
            if self.known_refund(key)?.state != RefundState::Review {
                self.step(key, RefundState::Review, "refund_to_review");
            }
        }
        let now = self.now;
        self.step(key, target, "judged");
        let refund = self.known()?.refund(key).expect("just moved");
        if ![RefundState::Succeeded, RefundState::Reversed].contains(&target) {
            (refund.sent_at, refund.total_before) = (None, None);
        }
        if target == RefundState::Queued {
            refund.due_at = now;
        }
        // Only a total that was told with the verdict, and taken in, can be newer than all that is known.
        let told = question.fresh.as_ref().is_some_and(|said| said.refunded.is_some());
        self.recount(target, if told && verdict != Verdict::Reversed { Read::JustNow } else { Read::Before })
    }

    pub(super) fn cancel(&mut self, key: &str) -> Result<(), String> {
        let refund = self.known_refund(key)?;
        let unsent = refund.state == RefundState::Review && refund.sent_at.is_none();
        if refund.state == RefundState::Queued || unsent {
            self.step(key, RefundState::Canceled, "refund_canceled");
        } else if refund.state != RefundState::Canceled {
            return Err(format!("refund {key} is {} and can no longer be canceled", refund.state));
        }
        Ok(())
    }

    pub(super) fn approve(&mut self, key: &str) -> Result<(), String> {
        let (now, refund) = (self.now, self.known_refund(key)?);
        if refund.approved {
            return Ok(());
        }
        if !refund.awaits_approval || refund.state != RefundState::Queued {
            return Err(format!("refund {key} is {} and waits for no approval", refund.state));
        }
        let refund = self.known()?.refund(key).expect("looked for");
        (refund.awaits_approval, refund.approved, refund.due_at) = (false, true, now);
        self.written.push("refund_approved");
        Ok(())
    }

    /// The upstream does not know the order: after a day, what waits in its queue goes to a person.
    pub(super) fn not_known_upstream(&mut self) -> Result<(), String> {
        let now = self.now;
        let waited = self.known()?.refunds.iter().filter(|refund| refund.state == RefundState::Queued);
        let lost: Vec<String> =
            waited.filter(|refund| now - refund.requested_at >= DAY).map(|refund| refund.key.clone()).collect();
        lost.iter().for_each(|key| self.step(key, RefundState::Review, "refund_to_review"));
        Ok(())
    }
}
