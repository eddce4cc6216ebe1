//! What the model answers to facts, refunds and attempts.

use tillbook::domain::RefundState;

use super::commands::{Asked, Wants};
use super::order::{Answer, Model, Order, Refund, Said, Setting, yuan};
use super::real;
use super::totals::{Read, told};

/// What two readings of one clock may lie apart, in seconds.
const A_MINUTE: i64 = 60;

/// A command at work on one order: what it changes is kept only if it is not refused.
pub(super) struct Work<'a> {
    pub(super) setting: &'a Setting,
    pub(super) now: i64,
    pub(super) number: usize,
    pub(super) order: Option<Order>,
    pub(super) written: Vec<&'static str>,
}

impl Model {
    /// What the real one must answer; the model is then as the real one must be.
    pub(super) fn answer(&mut self, asked: &Asked) -> Answer {
        let (number, now) = (asked.order, asked.now);
        if let Wants::Refund { key, amount, .. } = &asked.wants
            && *amount != Some(0)
            && let Some(replayed) = self.replay(number, key, *amount)
        {
            return replayed;
        }
        let (order, written) = (self.orders[number].clone(), Vec::new());
        let mut work = Work { setting: &self.setting, now, number, order, written };
        match &asked.wants {
            Wants::See(said) => work.see(said),
            Wants::Refund { key, amount, guard, slip, fresh } => {
                work.refund(key, *amount, *guard, *slip, fresh.as_ref())?;
            }
            Wants::Begin { key, fresh } => work.begin(key, fresh)?,
            Wants::End { key, attempt, outcome, busy } => work.end(key, *attempt, *outcome, *busy)?,
            Wants::Lost { key } => work.lost(key)?,
            Wants::Ask(question) => work.ask(question)?,
            Wants::Judge { verdict, version, fences, question } => work.judge(*verdict, *version, *fences, question)?,
            Wants::Cancel { key } => work.cancel(key)?,
            Wants::Approve { key } => work.approve(key)?,
            Wants::NotKnownUpstream => work.not_known_upstream()?,
        }
        let Work { order, written, .. } = work;
        self.orders[number] = order;
        if let Some(order) = &mut self.orders[number] {
            order.version += written.len() as u64;
        }
        Ok(written)
    }

    /// A key that was given names that refund for ever.
    fn replay(&self, number: usize, key: &str, amount: Option<i64>) -> Option<Answer> {
        let of = |order: &Order| order.refunds.iter().find(|refund| refund.key == key).cloned();
        let (holder, refund) =
            self.orders.iter().enumerate().find_map(|(holder, order)| Some((holder, of(order.as_ref()?)?)))?;
        let words = |field: &str, recorded: String, asked: String| {
            format!("refund key {key} names another refund: its {field} is {recorded}, not {asked}")
        };
        let text = |amount: Option<i64>| amount.map_or("all".to_owned(), yuan);
        Some(if holder != number {
            Err(words("order", real::name(holder), real::name(number)))
        } else if refund.asked != amount {
            Err(words("amount", text(refund.asked), text(amount)))
        } else {
            Ok(Vec::new())
        })
    }
}

impl Work<'_> {
    pub(super) fn known(&mut self) -> Result<&mut Order, String> {
        let unknown = format!("no order {} in account shop-1", real::name(self.number));
        self.order.as_mut().ok_or(unknown)
    }

    pub(super) fn known_refund(&mut self, key: &str) -> Result<Refund, String> {
        let unknown = format!("no refund {key} in account shop-1");
        self.known()?.refund(key).cloned().ok_or(unknown)
    }

    /// Moves a refund to a state, now.
    pub(super) fn step(&mut self, key: &str, state: RefundState, word: &'static str) {
        let now = self.now;
        let refund = self.order.as_mut().and_then(|order| order.refund(key)).expect("looked for before");
        (refund.state, refund.state_at) = (state, now);
        self.written.push(word);
    }

    /// The upstream says something: news is kept, and what no longer fits goes to a person.
    pub(super) fn see(&mut self, said: &Said) {
        let Some(order) = self.order.take() else {
            let mut order = Order {
                said: said.clone(),
                refunds: Vec::new(),
                external: 0,
                external_seen: false,
                unsettled: 0,
                calm_external: 0,
                calm_count: said.count,
                outcome_at: None,
                version: 0,
            };
            let first = told(&order, self.setting.sole_refunder, Read::JustNow);
            order.explain(first);
            self.written.push("facts_seen");
            self.order = Some(order);
            return;
        };
        // Older than what is kept: nothing new. What is kept from the future was asked for before a clock went back.
        if order.said.asked_at > said.asked_at && order.said.asked_at <= self.now {
            self.order = Some(order);
            return;
        }
        let mut after = order.clone();
        after.said = said.clone();
        if said.refunded.is_none() {
            (after.said.refunded, after.said.count) = (order.said.refunded, order.said.count);
        }
        let just_now =
            order.outcome_at.is_none_or(|outcome| said.asked_at > outcome) && said.asked_at >= order.said.asked_at;
        if said.refunded.is_some() {
            let read = if just_now { Read::JustNow } else { Read::Before };
            (after.external, after.unsettled) = told(&after, self.setting.sole_refunder, read);
        }
        // Hours that are still to come are those of a clock that went back: what is said next ends them.
        let to_come = |at: i64| at > self.now + A_MINUTE;
        let went_back = to_come(order.said.asked_at) || order.outcome_at.is_some_and(to_come);
        if order.outcome_at.is_some_and(to_come) {
            after.outcome_at = Some(self.now);
        }
        let same = Said { asked_at: order.said.asked_at, ..after.said.clone() } == order.said;
        if !went_back && same && after.external == order.external && after.unsettled == order.unsettled {
            self.order = Some(order);
            return;
        }
        let figures = (after.external, after.unsettled);
        after.explain(figures);
        if after.calm() {
            after.calm_count = after.calm_count.max(after.said.count);
        }
        self.written.push("facts_seen");
        let (mut left, is_paid) = (after.left(), after.is_paid());
        let queued: Vec<(String, i64)> = after
            .refunds
            .iter()
            .filter(|refund| refund.state == RefundState::Queued)
            .map(|refund| (refund.key.clone(), refund.amount))
            .collect();
        self.order = Some(after);
        for (key, amount) in queued {
            if is_paid && amount <= left {
                left -= amount;
            } else {
                self.step(&key, RefundState::Review, "refund_to_review");
            }
        }
    }

    fn refund(
        &mut self,
        key: &str,
        amount: Option<i64>,
        guard: Option<i64>,
        slip: bool,
        fresh: Option<&Said>,
    ) -> Result<(), String> {
        if amount == Some(0) {
            return Err("a refund of 0.00 refunds nothing".to_owned());
        }
        self.known()?;
        if let Some(said) = fresh {
            self.see(said);
        }
        let granted = self.grant(amount, guard, slip)?;
        let (now, interval, hold_above) = (self.now, self.setting.interval, self.setting.hold_above);
        let order = self.known()?;
        let last_sent = order.refunds.iter().filter_map(|refund| refund.sent_at).max();
        let due_at = match last_sent {
            Some(sent) if interval > 0 => (sent + interval).min(now + interval).max(now),
            _ => now,
        };
        order.refunds.push(Refund {
            key: key.to_owned(),
            asked: amount,
            amount: granted,
            state: RefundState::Queued,
            attempts: 0,
            requested_at: now,
            state_at: now,
            due_at,
            sent_at: None,
            total_before: None,
            awaits_approval: hold_above.is_some_and(|most| granted > most),
            approved: false,
            last_found: None,
        });
        self.written.push("refund_held");
        match fresh {
            Some(said) if due_at <= now => self.start(key, said),
            _ => Ok(()),
        }
    }

    /// The amount to set aside, or the first rule that refuses it.
    fn grant(&mut self, amount: Option<i64>, guard: Option<i64>, slip: bool) -> Result<i64, String> {
        let (now, number, setting) = (self.now, self.number, self.setting);
        let order = self.known()?;
        let name = real::name(number);
        if order.said.currency != "CNY" {
            return Err(format!("order {name} is in {}, not CNY", order.said.currency));
        }
        if order.said.status != "paid" {
            return Err(format!(
                "order {name} is {} ({}), not paid",
                order.said.status,
                real::upstream(order.said.status)
            ));
        }
        let refundable = order.refundable();
        if let Some(expected) = guard.filter(|expected| *expected != refundable) {
            return Err(format!("{} is refundable, not the {} that was expected", yuan(refundable), yuan(expected)));
        }
        let granted = amount.unwrap_or(refundable);
        if granted == 0 || granted > refundable {
            let asked = amount.map_or("all".to_owned(), yuan);
            return Err(format!(
                "{asked} is more than the {} that may still be refunded (paid {}, refunded {}, held {})",
                yuan(refundable),
                yuan(order.said.paid),
                yuan(order.refunded()),
                yuan(order.held())
            ));
        }
        if setting.window.is_some_and(|window| now > window) {
            return Err(real::window_closed(setting.window.unwrap_or(0)));
        }
        if let Some(limit) = setting.per_order {
            let of =
                |wanted: &dyn Fn(&Refund) -> bool| order.refunds.iter().filter(|refund| wanted(refund)).count() as i64;
            let ours = of(&|refund| refund.holds() || refund.state == RefundState::Succeeded);
            let theirs = order.said.count.unwrap_or(0) + of(&|refund| refund.state == RefundState::Queued);
            let made = ours.max(theirs);
            if made >= i64::from(limit) {
                let documented = "refunds_per_order of the account; Fubei documents 10, WeChat 50";
                return Err(format!("the order has {made} refunds and may have {limit} ({documented})"));
            }
        }
        let alike = |refund: &&Refund| {
            let young = refund.state == RefundState::Succeeded && now - refund.state_at < 600;
            refund.amount == granted && (refund.holds() || young)
        };
        match order.refunds.iter().rev().find(alike).filter(|_| slip) {
            Some(earlier) => Err(format!(
                "refund {} of the same amount is {} since {}; ask again explicitly if a second one is meant",
                earlier.key,
                earlier.state,
                real::at(earlier.state_at)
            )),
            None => Ok(granted),
        }
    }

    fn begin(&mut self, key: &str, fresh: &Said) -> Result<(), String> {
        self.expect(key, RefundState::Queued, None)?;
        self.see(fresh);
        if self.known_refund(key)?.state == RefundState::Queued { self.start(key, fresh) } else { Ok(()) }
    }

    /// Refuses what was meant for another state, or another attempt.
    pub(super) fn expect(&mut self, key: &str, state: RefundState, attempt: Option<u32>) -> Result<Refund, String> {
        let refund = self.known_refund(key)?;
        if refund.state != state || attempt.is_some_and(|attempt| attempt != refund.attempts) {
            return Err(format!("refund {key} is {} by now", refund.state));
        }
        Ok(refund)
    }

    /// Sends a queued refund, unless it has to wait, or cannot go out as it is.
    fn start(&mut self, key: &str, fresh: &Said) -> Result<(), String> {
        let (now, setting) = (self.now, self.setting);
        let refund = self.known_refund(key)?;
        let order = self.known()?;
        let ahead = |until: i64| until > now && until <= now + setting.interval;
        let last_sent = order.refunds.iter().filter_map(|refund| refund.sent_at).filter(|sent| *sent <= now).max();
        let waits = refund.awaits_approval
            || ahead(refund.due_at)
            || last_sent.is_some_and(|sent| ahead(sent + setting.interval));
        if waits || (setting.one_in_flight && !order.calm()) {
            return Ok(());
        }
        let too_late = setting.window.is_some_and(|window| now > window);
        if !order.is_paid() || refund.amount > order.left() || too_late {
            self.step(key, RefundState::Review, "refund_to_review");
            return Ok(());
        }
        // The newest total that was really told: what a read left out is unknown.
        let newest = if order.said.asked_at > fresh.asked_at { &order.said } else { fresh };
        let total_before = newest.refunded;
        self.step(key, RefundState::Sending, "attempt_started");
        let refund = self.known()?.refund(key).expect("just moved");
        refund.attempts += 1;
        (refund.sent_at, refund.total_before, refund.last_found) = (Some(now), total_before, None);
        Ok(())
    }
}
