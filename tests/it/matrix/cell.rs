//! One cell of the matrix: one refund at one upstream with one trouble, in a process that dies at chosen commits.

use std::sync::Arc;
use std::time::Duration;

use tillbook::sandbox::{Fault, OrderBook, OrderHandle, RefundBook, Upstream};
use tillbook::{AccountSettings, Money, RefundState, Sending};
use tokio::time::{Instant, sleep_until, timeout};

use super::trouble::{LATE, OURS_FEN, Trouble};
use crate::support::crash::Crash;
use crate::support::life::{Ground, Life};
use crate::support::shop::{at_once, key, refund_of, yuan};

/// How the refund is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It goes out at once: hold and attempt are one commit.
    Online,
    /// It waits for the next sync: they are two.
    Queued,
}

/// When the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Never,
    Once(Crash),
    /// After each of the first dozen commits, those that a new process makes at its beginning included.
    Always,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    pub(super) upstream: Upstream,
    pub(super) trouble: Trouble,
    pub(super) way: Way,
    pub(super) moment: Moment,
}

/// How a cell ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) commits: u64,
    pub(super) deaths: u64,
    pub(super) state: RefundState,
    pub(super) executed: usize,
    pub(super) refund_calls: u64,
    /// The sandbox's fault struck.
    pub(super) fired: bool,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The till asks for the refund, or asks again with the same key because nobody answered.
    Ask,
    Sync,
    /// Somebody else refunds the order.
    Elsewhere,
    /// What lands late has landed.
    Land,
    /// What was stuck ends.
    Release,
    /// Three days and more go by.
    Pass,
}

const NAME: &str = "k";

impl Cell {
    fn steps(self) -> Vec<Step> {
        let mut steps = vec![Step::Ask];
        if self.way == Way::Queued {
            steps.push(Step::Sync);
        }
        if self.trouble.elsewhere_fen().is_some() {
            steps.push(Step::Elsewhere);
        }
        steps.extend([Step::Sync, Step::Sync]);
        if self.trouble.lands_late() {
            steps.extend([Step::Land, Step::Sync]);
        }
        if self.trouble.settlement().is_some() {
            steps.extend([Step::Release, Step::Sync]);
        }
        steps.extend([Step::Pass, Step::Sync, Step::Sync]);
        steps
    }

    /// Lives through it, with its ledger there.
    ///
    /// # Panics
    /// Where the ledger and the sandbox's books do not agree in the end, with the cell's name.
    pub(super) async fn live(self, ground: Arc<dyn Ground>) -> End {
        // Somebody else refunds these orders, and the account says so.
        let alone = self.trouble.elsewhere_fen().is_none();
        // A round looks at each day of the history.
        let history = Some(Duration::from_secs(7 * 86_400));
        let settings = AccountSettings { sole_refunder: Some(alone), history, ..at_once() };
        let mut life = Life::begin_on(ground, self.upstream, settings, self.trouble.timeout()).await;
        let order = life.shop.order("80.00");
        life.shop.fetch(&order).await;
        if let Some(kind) = self.trouble.fault(self.upstream) {
            life.shop.sandbox.set_fault(Fault::new(refund_of(self.upstream), kind)).expect("fits");
        }
        life.doom(match self.moment {
            Moment::Never => Vec::new(),
            Moment::Once(crash) => vec![crash],
            Moment::Always => vec![Crash::After(1); 12],
        });
        let mut struck_at = None;
        for step in self.steps() {
            loop {
                let died = tokio::select! {
                    biased;
                    () = life.died() => true,
                    () = self.step(&life, &order, step, struck_at) => false,
                };
                if struck_at.is_none() && life.shop.sandbox.pending_faults().is_empty() {
                    struck_at = Some(Instant::now());
                }
                if !died {
                    break;
                }
                life.rise().await;
            }
        }
        self.judge(&life, &order).await
    }

    async fn step(&self, life: &Life, order: &OrderHandle, step: Step, struck_at: Option<Instant>) {
        let sandbox = &life.shop.sandbox;
        match step {
            Step::Ask => {
                let sending = if self.way == Way::Queued { Sending::QueueOnly } else { Sending::Now };
                let mut request = life.shop.request(order, NAME, "30.00");
                request.sending = sending;
                life.shop.ledger.refund(request).await.expect("recorded");
            }
            Step::Sync => drop(life.shop.sync().await),
            Step::Elsewhere => {
                let fen = self.trouble.elsewhere_fen().expect("such a trouble");
                sandbox.refund_elsewhere(self.upstream, &order.id, fen).expect("there is enough");
            }
            Step::Land => {
                let landed = struck_at.map(|at| at + LATE + Duration::from_millis(100));
                // The sandbox keeps it back for so long; only where money moves can its landing be waited for.
                sleep_until(landed.unwrap_or_else(Instant::now)).await;
                // What lands on hydrogen's shut door leaves no trace to wait for.
                if struck_at.is_some() && self.upstream != Upstream::Hydrogen {
                    let paid = sandbox.until(|books| books.money_out_fen(self.upstream, &order.id) > Some(0));
                    timeout(Duration::from_secs(10), paid).await.expect("what lands late lands");
                }
            }
            Step::Release => {
                let settlement = self.trouble.settlement().expect("such a trouble");
                let number = match self.upstream {
                    Upstream::Fubei | Upstream::Hydrogen => Some(NAME.to_owned()),
                    Upstream::TradeOrder => ours(&self.book(life, order)).next().map(|refund| refund.server_no.clone()),
                };
                let released = number.map(|number| sandbox.release(self.upstream, &number, settlement));
                let taken = sandbox.calls().refunds > 0;
                assert_eq!(released.is_some_and(|released| released.is_ok()), taken, "{self:?}: nothing was stuck");
            }
            Step::Pass => life.clock.pass(Duration::from_secs(73 * 3_600)),
        }
    }

    fn book(&self, life: &Life, order: &OrderHandle) -> OrderBook {
        life.shop.sandbox.books().order(self.upstream, &order.id).expect("the sandbox's own order").clone()
    }

    /// Holds the ledger against the sandbox's books.
    async fn judge(&self, life: &Life, order: &OrderHandle) -> End {
        let ours_amount = Money::from_fen(OURS_FEN).expect("valid");
        let commits = life.storage.commits();
        life.storage.arm(None); // the life of the refund is over: nobody dies while looking at it
        let record = life.shop.fetch(order).await;
        let refund = record.refund(&key(NAME)).expect("the refund is never lost");
        let book = self.book(life, order);
        let executed = ours(&book).filter(|refund| refund.money_moved).count();
        let end = End {
            commits,
            deaths: life.deaths,
            state: refund.state,
            executed,
            refund_calls: life.shop.sandbox.calls().refunds,
            fired: life.shop.sandbox.pending_faults().is_empty(),
        };
        let said = format!("{self:?} {end:?} {:?} {:?}", refund.message, refund.last_finding);
        assert!(executed <= 1, "paid twice: {said}");
        let (succeeded, review) = (refund.state == RefundState::Succeeded, refund.state == RefundState::Review);
        assert!(succeeded || review || refund.state == RefundState::Declined, "no end: {said}");
        assert!(!succeeded || executed == 1, "called succeeded, and was not executed: {said}");
        assert!(refund.state != RefundState::Declined || executed == 0, "called declined, and was executed: {said}");
        self.judge_certainty(end, &said);
        // The amounts.
        let elsewhere: i64 =
            book.refunds.iter().filter(|refund| refund.elsewhere).map(|refund| refund.amount_fen).sum();
        let out = Money::from_fen(book.money_out_fen).expect("never negative");
        let held = if review { ours_amount } else { Money::ZERO };
        let here = if succeeded { ours_amount } else { Money::ZERO };
        assert_eq!((record.refunded_here(), record.held()), (here, held), "{said}");
        let granted = record.refundable().saturating_add(out);
        assert!(granted <= record.paid(), "more than is left would be granted, {granted}: {said}");
        if review {
            assert!(record.refundable() <= yuan("50"), "what is in review is granted again: {said}");
        } else {
            let seen = (record.refunded(), record.external.fen(), record.unsettled, granted);
            assert_eq!(seen, (out, elsewhere, Money::ZERO, record.paid()), "{said}");
        }
        assert_eq!(record.excess(), Money::ZERO, "{said}");
        assert_eq!(life.shop.ledger.verify().await.expect("reads").differences, [], "{said}");
        end
    }

    /// What must be known in the end, for it can be.
    fn judge_certainty(&self, end: End, said: &str) {
        let alive = self.moment == Moment::Never;
        // What is begun and lost may be sent again only through hydrogen's next door.
        let most = match (self.upstream, self.moment) {
            (Upstream::Fubei | Upstream::TradeOrder, _) => 1,
            (Upstream::Hydrogen, Moment::Never | Moment::Once(_)) => 2,
            (Upstream::Hydrogen, Moment::Always) => 6,
        };
        assert!(end.refund_calls <= most, "sent too often: {said}");
        let succeeded = end.state == RefundState::Succeeded;
        if end.executed == 1 && self.trouble.execution_is_provable(self.upstream) {
            assert!(succeeded, "executed, provable, and not known: {said}");
        }
        if self.upstream == Upstream::Hydrogen && self.trouble.hydrogen_always_pays() {
            assert!(succeeded, "hydrogen can prove this one: {said}");
        }
        // A process that died between its claim and the sending has sent nothing, and the fault waits for ever.
        let never_sent = end.refund_calls == 0 && !alive && self.upstream != Upstream::Hydrogen;
        assert!(end.fired || never_sent, "the fault never fired: {said}");
        if never_sent {
            assert_eq!(end.state, RefundState::Review, "silence proves nothing: {said}");
        } else if self.trouble.moves_money() {
            assert_eq!(end.executed, 1, "it was sent: {said}");
        }
        let declined = match self.trouble {
            Trouble::Refused => self.upstream != Upstream::Hydrogen,
            Trouble::Fails | Trouble::StuckThenFails => true,
            _ => false,
        };
        if alive && declined {
            assert_eq!(end.state, RefundState::Declined, "{said}");
        }
        // An accepted answer is a commit of its own in a life that hears late what the upstream tells next, and shares
        // one in a life that hears it soon: the last commit of the life that was counted may not be in this one.
        let came_to_its_death = match self.moment {
            Moment::Once(Crash::Before(at) | Crash::After(at)) => end.commits + 1 != at,
            Moment::Never | Moment::Always => true,
        };
        // What lands late may land before a question that found nothing in the life that was counted.
        if !alive && !self.trouble.lands_late() && (came_to_its_death || self.upstream != Upstream::Fubei) {
            assert!(end.deaths > 0, "the process never died: {said}");
        }
    }
}

fn ours(book: &OrderBook) -> impl Iterator<Item = &RefundBook> {
    book.refunds.iter().filter(|refund| !refund.elsewhere)
}
