//! Random histories of one order against a slow and obvious model of the upstream's money.
//!
//! The upstream here is a list of executed refunds. It is the judge: whatever the ledger was told,
//! and in whichever order, no attempt may begin that could take more out than was paid.

mod steps;

use std::collections::BTreeMap;

use proptest::prelude::*;
use steps::{End, Step, step};

use super::story::{Story, key};
use super::{
    Attempt, Judge, Probed, RefundCommand, Refusal, Seen, attempt, cancel, facts, judge, lost, probed, refund,
};
use crate::domain::{
    Answer, ChainHash, Entry, Event, Finding, InFlight, Money, OrderRecord, Outcome, RefundKey, RefundState, Rejection,
    Verdict,
};

/// What the upstream did with a refund of ours that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It may still be executed.
    Open,
    Executed,
    /// It never will be.
    Dead,
}

struct World {
    story: Story,
    elsewhere: i64,
    /// As much of it as the ledger was told while nothing was in doubt.
    told_elsewhere: i64,
    ours: BTreeMap<RefundKey, (i64, Fate)>,
    entries: Vec<Entry>,
    under_way: Vec<Seen>,
    made: usize,
    /// Somebody else refunded while one of ours was unsettled: a sole refunder may have been fooled.
    fooled: bool,
    set_back: bool,
    /// The last read left the total out: which successes the one before it had seen is forgotten.
    partial: bool,
}

const PAID: i64 = 24;

impl World {
    fn new(sole: bool, in_flight: InFlight) -> World {
        let mut story = Story::paid();
        (story.rules.sole_refunder, story.rules.in_flight) = (sole, in_flight);
        story.facts.paid = fen(PAID);
        story.record = None;
        let mut world = World {
            story,
            elsewhere: 0,
            told_elsewhere: 0,
            ours: BTreeMap::new(),
            entries: Vec::new(),
            under_way: Vec::new(),
            made: 0,
            fooled: false,
            set_back: false,
            partial: false,
        };
        world.read(true);
        world
    }

    fn executed(&self) -> i64 {
        let ours = self.ours.values().filter(|(_, fate)| *fate == Fate::Executed);
        self.elsewhere + ours.map(|(amount, _)| amount).sum::<i64>()
    }

    /// The most that can be out when all that is under way has arrived.
    fn at_most(&self) -> i64 {
        let open = self.ours.values().filter(|(_, fate)| *fate == Fate::Open);
        self.executed() + open.map(|(amount, _)| amount).sum::<i64>()
    }

    fn asked(&mut self, total: bool) -> Seen {
        self.partial = !total;
        let count = self.ours.values().filter(|(_, fate)| *fate == Fate::Executed).count();
        self.story.facts.refunded = total.then(|| fen(self.executed()));
        // Strangers' refunds are counted as one: their number must not matter.
        let count = u32::try_from(count).expect("few") + u32::from(self.elsewhere > 0);
        self.story.facts.refund_count = total.then_some(count);
        self.story.seen()
    }

    /// Decides twice, writes once, and looks at what was written.
    fn decide(
        &mut self,
        wanted: Option<&RefundKey>,
        decide: impl Fn(&super::Context, &super::Found) -> Result<Vec<Event>, Refusal>,
    ) -> Result<Vec<Event>, Refusal> {
        let (context, found) = (self.story.context(), self.story.found(wanted));
        let events = decide(&context, &found);
        assert_eq!(events, decide(&context, &found), "deciding again on the same says something else");
        let events = events?;
        for event in &events {
            self.entries.push(Entry {
                sequence: self.entries.len() as u64 + 1,
                order: context.order.clone(),
                account: context.account.clone(),
                version: self.entries.len() as u64 + 1,
                at: context.now,
                device: context.device.clone(),
                event: event.clone(),
            });
        }
        self.story.write(&context, events.clone());
        Ok(events)
    }

    fn read(&mut self, total: bool) {
        let seen = self.asked(total);
        self.decide(None, |context, found| facts(context, found, &seen)).expect("facts are taken");
        if total {
            let again = self.asked(true);
            let events = self.decide(None, |context, found| facts(context, found, &again));
            assert_eq!(events, Ok(Vec::new()), "the same total says something else when it is read again");
            self.look_at_what_a_fresh_total_told();
        }
    }

    fn look_at_what_a_fresh_total_told(&mut self) {
        let record = self.story.record();
        let external = record.external.fen();
        if record.unsettled_refunds().next().is_some() {
            if !self.story.rules.sole_refunder {
                // All that is out and not known as ours may be a stranger's.
                let out = self.executed().max(record.refunded().fen());
                assert_eq!(record.committed().fen(), out + record.held().fen(), "while in doubt");
            }
        } else {
            assert_eq!(record.unsettled, Money::ZERO);
            assert!(external >= self.elsewhere, "{external} of {} made elsewhere", self.elsewhere);
            assert!(external == self.elsewhere || self.set_back, "{external} is not {}", self.elsewhere);
            self.told_elsewhere = self.elsewhere;
        }
    }

    fn refund(&mut self, amount: i64, online: bool) {
        self.made += 1;
        let name = format!("k{}", self.made);
        let fresh = online.then(|| self.asked(true));
        let command = RefundCommand { fresh: fresh.clone(), ..self.story.command(&name, &fen(amount).to_string()) };
        // What the same facts make of the order without the refund: the hold is decided on that.
        let (context, found) = (self.story.context(), self.story.found(None));
        let seen = fresh.map_or(Ok(Vec::new()), |seen| facts(&context, &found, &seen)).expect("facts are taken");
        let before = super::after(&context, &found, seen).expect("the order is known");
        self.story.second -= 1;
        let left = PAID - before.refunded().fen() - before.unsettled.fen() - before.held().fen();
        match self.decide(Some(&key(&name)), |context, found| refund(context, found, &command)) {
            Ok(events) => {
                assert!(amount <= left, "{amount} of {left} was granted");
                assert!(events.iter().any(|event| matches!(event, Event::RefundHeld { .. })));
                let again = self.decide(Some(&key(&name)), |context, found| refund(context, found, &command));
                assert_eq!(again, Ok(Vec::new()), "a replay writes");
                self.started(&events);
            }
            Err(Refusal::Rejected(Rejection::OverRefundable { .. })) => {
                assert!(amount > left, "{amount} of {left} was refused");
            }
            other => panic!("{other:?}"),
        }
    }

    /// An attempt began on a total that was read a moment ago: it must leave room for everything.
    fn started(&mut self, events: &[Event]) {
        for event in events {
            let Event::AttemptStarted { key, .. } = event else { continue };
            let amount = self.story.record().refund(key).expect("there").amount.fen();
            let earlier = self.ours.insert(key.clone(), (amount, Fate::Open));
            assert!(
                earlier.is_none_or(|(_, fate)| fate == Fate::Dead),
                "{key} is sent again although it may be executed: {earlier:?}"
            );
            let at_most = self.at_most();
            assert!(at_most <= PAID || (self.fooled && self.story.rules.sole_refunder), "{at_most} may go out");
        }
    }

    fn pick(&self, nth: usize, wanted: &[RefundState]) -> Option<(RefundKey, RefundState)> {
        let refunds = &self.story.record.as_ref()?.refunds;
        let of: Vec<_> = refunds.iter().filter(|refund| wanted.contains(&refund.state)).collect();
        of.get(nth % of.len().max(1)).map(|refund| (refund.key.clone(), refund.state))
    }

    fn tell(&mut self, key: &RefundKey, outcome: Outcome) {
        let context = self.story.context();
        let told = self.story.telling(&context, key, outcome).expect("follows");
        self.decide(None, |_, _| Ok(told.clone())).expect("follows");
    }

    /// Asks what became of a refund, with a total that is read after that.
    fn question(&mut self, key: &RefundKey, told: Answer, fenced: bool) {
        if !self.story.record().refund(key).is_some_and(|refund| refund.is_unsettled()) {
            return;
        }
        let finding = Finding::new(told, self.story.context().now);
        let fresh = Some(self.asked(true));
        let question = Probed { fresh, fenced, ..self.story.question(key.as_str(), finding) };
        self.decide(None, |context, found| probed(context, found, &question)).expect("follows");
        self.believe(key);
    }

    /// A person who knows how it ended says so.
    fn judge(&mut self, key: &RefundKey, resend: bool) {
        let executed = self.ours.get(key).is_some_and(|(_, fate)| *fate == Fate::Executed);
        let verdict = match (executed, resend) {
            (true, _) => Verdict::Succeeded,
            (false, true) => Verdict::Resend,
            (false, false) => Verdict::Release,
        };
        if let Some((_, fate)) = self.ours.get_mut(key).filter(|(_, fate)| *fate == Fate::Open) {
            *fate = Fate::Dead;
        }
        let silence = Answer::new(Outcome::InDoubt, self.story.context().now);
        let finding = Finding::new(silence, self.story.context().now);
        let fresh = Some(self.asked(true));
        let probed = Probed { fresh, ..self.story.question(key.as_str(), finding) };
        let (by, note, version) = ("wang".to_owned(), "seen".to_owned(), self.story.record().version);
        let command = Judge { verdict, by, note, version, fences: false, probed };
        self.decide(None, |context, found| judge(context, found, &command)).expect("follows");
        self.believe(key);
    }

    /// A stranger's refund of exactly the amount in doubt is taken for ours where there should be no stranger:
    /// the one case that totals cannot tell apart. From here on the world is as the ledger believes it.
    fn believe(&mut self, key: &RefundKey) {
        let succeeded = self.story.record().refund(key).is_some_and(|refund| refund.state == RefundState::Succeeded);
        let Some((amount, fate)) = self.ours.get(key).copied() else { return }; // never sent
        if succeeded && fate != Fate::Executed {
            assert!(self.fooled && self.story.rules.sole_refunder, "{key} of {amount} is taken for executed");
            self.ours.get_mut(key).expect("was sent").1 = Fate::Executed;
            self.elsewhere = (self.elsewhere - amount).max(0);
            self.told_elsewhere = self.told_elsewhere.min(self.elsewhere);
        }
    }

    /// The upstream executes a refund of ours if it fits, as all three do. Answers whether it did.
    fn execute(&mut self, key: &RefundKey) -> bool {
        let fits = self.executed() + self.ours[key].0 <= PAID;
        if fits {
            self.ours.get_mut(key).expect("was sent").1 = Fate::Executed;
        }
        fits
    }

    fn end(&mut self, key: &RefundKey, end: End) {
        let dead = |world: &mut World| world.ours.get_mut(key).expect("was sent").1 = Fate::Dead;
        let outcome = match end {
            End::Succeeds if self.execute(key) => Outcome::Succeeded,
            End::Succeeds | End::Declined => {
                dead(self);
                Outcome::Declined
            }
            End::NotSent => {
                dead(self);
                Outcome::NotSent
            }
            End::Open(accepted, executed) => {
                let _ = executed && self.execute(key);
                if accepted { Outcome::Accepted } else { Outcome::InDoubt }
            }
            End::Crash(executed) => {
                let _ = executed && self.execute(key);
                self.decide(None, |context, found| lost(context, found, key, None)).expect("was being sent");
                return;
            }
        };
        self.tell(key, outcome);
    }

    fn step(&mut self, step: &Step) {
        const OPEN: [RefundState; 2] = [RefundState::InDoubt, RefundState::Accepted];
        const UNSETTLED: [RefundState; 3] = [RefundState::InDoubt, RefundState::Accepted, RefundState::Review];
        match step {
            Step::Elsewhere(amount) => {
                if self.executed() + amount <= PAID {
                    self.elsewhere += amount;
                    self.fooled |= self.ours.values().any(|(_, fate)| *fate == Fate::Open)
                        || self.story.record().unsettled_refunds().next().is_some();
                }
            }
            Step::Read { total } => self.read(*total),
            Step::ReadLater => {
                let seen = self.asked(true);
                self.under_way.push(seen);
            }
            Step::Arrives => {
                if let Some(seen) = self.under_way.pop() {
                    self.decide(None, |context, found| facts(context, found, &seen)).expect("facts are taken");
                }
            }
            Step::Refund { fen, online } => self.refund(*fen, *online),
            Step::Push(nth) => {
                let Some((key, _)) = self.pick(*nth, &[RefundState::Queued]) else { return };
                let command = Attempt { key, fresh: self.asked(true) };
                let events = self.decide(None, |context, found| attempt(context, found, &command)).expect("queued");
                self.started(&events);
            }
            Step::Ends(nth, end) => {
                let Some((key, _)) = self.pick(*nth, &[RefundState::Sending]) else { return };
                self.end(&key, *end);
            }
            Step::Lands(nth) => {
                let Some((key, _)) = self.pick(*nth, &OPEN) else { return };
                if self.ours[&key].1 == Fate::Open {
                    self.execute(&key);
                }
            }
            Step::Proven(nth) => {
                let Some((key, _)) = self.pick(*nth, &OPEN) else { return };
                let executed = self.ours[&key].1 == Fate::Executed;
                if !executed {
                    self.ours.get_mut(&key).expect("was sent").1 = Fate::Dead;
                }
                self.tell(&key, if executed { Outcome::Succeeded } else { Outcome::Declined });
            }
            Step::Asked(nth, later) => {
                let Some((key, _)) = self.pick(*nth, &UNSETTLED) else { return };
                self.story.second += later;
                let silence = Answer::new(Outcome::InDoubt, self.story.context().now);
                self.question(&key, silence, false);
            }
            Step::Fenced(nth) => {
                let Some((key, state)) = self.pick(*nth, &UNSETTLED) else { return };
                if state == RefundState::Accepted || !self.ours.contains_key(&key) {
                    return; // no door is shut on what was taken, or never sent
                }
                let executed = self.ours[&key].1 == Fate::Executed;
                if !executed {
                    self.ours.get_mut(&key).expect("was sent").1 = Fate::Dead;
                }
                let outcome = if executed { Outcome::Succeeded } else { Outcome::NotSent };
                let told = Answer::new(outcome, self.story.context().now);
                self.question(&key, told, true);
            }
            Step::Judged(nth, resend) => {
                let Some((key, _)) = self.pick(*nth, &UNSETTLED) else { return };
                self.judge(&key, *resend);
            }
            Step::Cancel(nth) => {
                let Some((key, _)) = self.pick(*nth, &[RefundState::Queued, RefundState::Review]) else { return };
                if self.story.record().refund(&key).is_some_and(|refund| refund.is_unsettled()) {
                    return; // in review after an attempt: a verdict's business
                }
                self.decide(None, |context, found| cancel(context, found, &key, None)).expect("was not executed");
            }
            Step::ClockBack => {
                self.story.second -= 3_600;
                self.under_way.clear();
                self.set_back = true;
            }
        }
    }

    fn look(&self) {
        let record = self.story.record();
        let folded = self.entries.iter().fold(None, |record: Option<OrderRecord>, entry| {
            Some(OrderRecord::apply(record, entry, ChainHash::START).expect("follows"))
        });
        assert_eq!(folded.as_ref(), Some(record), "folding the events anew says something else");
        for refund in &record.refunds {
            let fate = self.ours.get(&refund.key).map(|(_, fate)| *fate);
            match refund.state {
                RefundState::Succeeded => assert_eq!(fate, Some(Fate::Executed)),
                RefundState::Review if refund.is_unsettled() => {}
                RefundState::Queued | RefundState::Review | RefundState::Declined | RefundState::Canceled => {
                    assert!(matches!(fate, None | Some(Fate::Dead)), "{fate:?} gives up {refund:?}");
                }
                RefundState::Sending | RefundState::Accepted | RefundState::InDoubt | RefundState::Reversed => {}
            }
        }
        if self.elsewhere == 0 {
            // Nothing is ever taken for a stranger's, nor counted twice, where there is none.
            assert_eq!((record.external, record.excess()), (Money::ZERO, Money::ZERO));
            let unclear = self.set_back || self.partial || !self.story.rules.sole_refunder;
            assert!(record.unsettled.is_zero() || unclear, "{} unexplained", record.unsettled);
            assert!(record.refunded().fen() + record.held().fen() <= PAID);
        }
        assert!(record.external.fen() >= self.told_elsewhere, "{} made elsewhere is forgotten", self.told_elsewhere);
    }
}

fn fen(count: i64) -> Money {
    Money::from_fen(count).expect("small")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_history_takes_more_out_than_was_paid_or_forgets_what_it_was_told(
        sole in any::<bool>(),
        one in any::<bool>(),
        steps in prop::collection::vec(step(), 1..32),
    ) {
        let mut world = World::new(sole, if one { InFlight::One } else { InFlight::Many });
        for step in &steps {
            world.step(step);
            world.look();
        }
    }
}
