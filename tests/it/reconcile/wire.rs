//! Over the wire, on all three upstreams: each kind of difference planted on three days, the middle one compared.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::Offset;

use tillbook::gateway::{PageAt, RefundSpan};
use tillbook::sandbox::{Fault, FaultKind, Method, NewOrder, Operation, OrderHandle, Sandbox, Upstream};
use tillbook::sync::{Difference, DifferenceKind, Side, Subject, Tally};
use tillbook::{Ledger, Money, OrderStatus, Reconciliation, RecordOrder, Reference, RefundState, Timestamp};

use super::{DAY_S, Standing, at};
use crate::support::shop::{Shop, UPSTREAMS, account, at_once, gateway, key, wanted, yuan};

/// The day that is compared: three days ago, for upstreams count their refund windows from the present.
static DAY: LazyLock<Date> = LazyLock::new(|| {
    let today = Offset::constant(8).to_datetime(jiff::Timestamp::now()).date();
    today.checked_sub(jiff::Span::new().days(3)).expect("within the calendar")
});

/// Noon in Beijing on that day, in unix seconds.
fn noon() -> i64 {
    Offset::constant(8).to_timestamp(DAY.at(12, 0, 0, 0)).expect("within the calendar").as_second()
}

/// A shop whose ledger and upstream begin at noon the day before.
async fn open(upstream: Upstream) -> (Shop, Standing) {
    let clock = Standing::at(noon() - DAY_S);
    let sandbox = Arc::new(Sandbox::builder().now(noon() - DAY_S).start().await.expect("the sandbox listens"));
    let dir = Arc::new(tempfile::tempdir().expect("a directory"));
    let ledger = Ledger::builder().clock(Arc::new(clock.clone())).open(dir.path()).await.expect("opens");
    let shop = Shop { sandbox, upstream, ledger, dir };
    shop.connect(at_once());
    (shop, clock)
}

/// The upstream's own words.
struct Words {
    refund: Operation,
    unpaid: &'static str,
    native: &'static str,
}

fn words(upstream: Upstream) -> Words {
    match upstream {
        Upstream::Fubei => Words { refund: Operation::FubeiRefund, unpaid: "REVOKED", native: "order_sn" },
        Upstream::TradeOrder => Words { refund: Operation::TradeOrderRefund, unpaid: "7", native: "tradeOrderId" },
        Upstream::Hydrogen => Words { refund: Operation::FunctionRefund, unpaid: "failed", native: "transaction_no" },
    }
}

/// What was planted on one day: what must be found, and what must match.
#[derive(Default)]
struct Planted {
    differences: Vec<Difference>,
    orders: Tally,
    refunds: Tally,
}

impl Planted {
    fn matched_order(&mut self, paid: &str) {
        self.orders.count += 1;
        self.orders.sum = self.orders.sum.saturating_add(yuan(paid));
    }

    fn matched_refund(&mut self, amount: &str) {
        self.refunds.count += 1;
        self.refunds.sum = self.refunds.sum.saturating_add(yuan(amount));
    }
}

/// One day being planted.
struct Planter<'a> {
    shop: &'a Shop,
    label: &'a str,
    now_s: i64,
    planted: Planted,
}

fn side(amount: &str, status: &str, at: Option<Timestamp>) -> Option<Side> {
    Some(Side { amount: yuan(amount), status: status.to_owned(), at })
}

impl Planter<'_> {
    /// An order of the upstream's, paid now.
    fn add(&self, paid: &str) -> OrderHandle {
        self.add_at(paid, self.now_s)
    }

    fn add_at(&self, paid: &str, paid_at: i64) -> OrderHandle {
        let times = NewOrder { created_at: Some(paid_at), paid_at: Some(paid_at), ..NewOrder::paid(yuan(paid).fen()) };
        self.shop.sandbox.add_order(self.shop.upstream, times).expect("the sandbox takes it")
    }

    /// One that the ledger knows.
    async fn known(&mut self, paid: &str) -> OrderHandle {
        let order = self.add(paid);
        self.shop.fetch(&order).await;
        order
    }

    fn native(&self, order: &OrderHandle) -> Reference {
        Reference::new(words(self.shop.upstream).native, &order.id).expect("a number")
    }

    /// When the order was paid, as the upstream tells it.
    async fn paid_at(&self, order: &OrderHandle) -> Option<Timestamp> {
        let gateway = gateway(&self.shop.sandbox, self.shop.upstream);
        let facts = gateway.fetch_order(&[self.native(order)]).await.expect("an answer").expect("an order");
        assert_eq!(facts.paid_at.map(Timestamp::unix_seconds), Some(self.now_s));
        facts.paid_at
    }

    async fn differs(&mut self, subject: Subject, kind: DifferenceKind, order: &OrderHandle) -> &mut Difference {
        let known = self.shop.ledger.known_order(&account(), &wanted(order)).await.expect("reads");
        self.planted.differences.push(Difference {
            subject,
            kind,
            order: Some(self.native(order)),
            id: known.map(|record| record.id.clone()),
            refund_key: None,
            upstream_refund_no: None,
            here: None,
            there: None,
        });
        self.planted.differences.last_mut().expect("just put there")
    }

    /// A refund by the ledger, which ends as the fault has it.
    async fn refund(&mut self, name: &str, fault: Option<FaultKind>, want: RefundState) -> (OrderHandle, String) {
        let order = self.known("80.00").await;
        let name = format!("{name}-{}", self.label);
        if let Some(kind) = fault {
            let fault = Fault::new(words(self.shop.upstream).refund, kind);
            self.shop.sandbox.set_fault(fault).expect("fits");
        }
        let refunded = self.shop.refund(&order, &name, "30").await.expect("kept");
        assert_eq!((refunded.refund.state, self.shop.sandbox.pending_faults()), (want, vec![]), "{name}");
        (order, name)
    }

    async fn refund_differs(
        &mut self,
        kind: DifferenceKind,
        (order, name): &(OrderHandle, String),
        here: &str,
        there: Option<Side>,
    ) {
        let refund = self.shop.record(order).await.refund(&key(name)).expect("there").clone();
        let found = self.differs(Subject::Refund, kind, order).await;
        found.refund_key = Some(key(name));
        found.upstream_refund_no = refund.upstream_refund_no.clone();
        found.here = side("30.00", here, refund.sent_at);
        found.there = there;
        self.planted.matched_order("80.00");
    }

    /// When the upstream's list of refunds says that it was made, where there is such a list.
    async fn listed_at(&self, number: &str) -> Option<Timestamp> {
        let gateway = gateway(&self.shop.sandbox, self.shop.upstream);
        if !gateway.capabilities().lists_refunds {
            return None;
        }
        let span = RefundSpan { from: at(self.now_s - DAY_S), to: at(self.now_s + DAY_S) };
        let page = gateway.list_refunds(span, PageAt { offset: 0, limit: 100 }).await.expect("a page");
        let rows = page.refunds.into_iter().find(|row| row.upstream_refund_no.as_deref() == Some(number));
        Some(rows.expect("listed").at.expect("made at some time"))
    }

    /// Orders: alike, at both edges of the day too; missing on either side; of two amounts; in two states.
    async fn orders(&mut self) {
        let midnight = self.now_s - DAY_S / 2;
        for paid_at in [midnight, self.now_s, midnight + DAY_S - 1] {
            let order = self.add_at("80.00", paid_at);
            self.shop.fetch(&order).await;
            self.planted.matched_order("80.00");
        }
        let order = self.add("11.00");
        let paid_at = self.paid_at(&order).await;
        self.differs(Subject::Order, DifferenceKind::MissingHere, &order).await.there = side("11.00", "paid", paid_at);

        let number = Reference::new(words(self.shop.upstream).native, &format!("offline-{}", self.label));
        let recorded = RecordOrder {
            account: account(),
            references: vec![number.expect("a number")],
            paid: yuan("12"),
            paid_at: None,
            by: None,
        };
        let record = self.shop.ledger.record_order(recorded).await.expect("recorded");
        self.planted.differences.push(Difference {
            subject: Subject::Order,
            kind: DifferenceKind::MissingThere,
            order: record.facts.all_references().next(),
            id: Some(record.id.clone()),
            refund_key: None,
            upstream_refund_no: None,
            here: side("12.00", "paid", Some(at(self.now_s))),
            there: None,
        });

        let order = self.known("13.00").await;
        let paid_at = self.paid_at(&order).await;
        let mut facts = self.shop.fetch(&order).await.facts.as_ref().clone();
        (facts.paid, facts.asked_at) = (yuan("14"), jiff::Timestamp::now().into());
        let imported = self.shop.ledger.import(&account(), vec![facts]).await.expect("imported");
        assert_eq!(imported.changed, 1);
        let found = self.differs(Subject::Order, DifferenceKind::AmountDiffers, &order).await;
        (found.here, found.there) = (side("14.00", "paid", paid_at), side("13.00", "paid", paid_at));

        let order = self.known("15.00").await;
        let paid_at = self.paid_at(&order).await;
        let (upstream, unpaid) = (self.shop.upstream, words(self.shop.upstream).unpaid);
        self.shop.sandbox.set_order_status(upstream, &order.id, unpaid).expect("a word of its");
        let gateway = gateway(&self.shop.sandbox, upstream);
        let facts = gateway.fetch_order(&[self.native(&order)]).await.expect("an answer").expect("an order");
        assert_ne!(facts.status, OrderStatus::Paid);
        let found = self.differs(Subject::Order, DifferenceKind::StatusDiffers, &order).await;
        found.here = side("15.00", "paid", paid_at);
        found.there = side("0.00", facts.status.as_str(), facts.paid_at.or(facts.created_at));
    }

    /// Refunds: alike; made elsewhere; in doubt and executed; in doubt and not there; under way; taken back.
    async fn refunds(&mut self) {
        let upstream = self.shop.upstream;
        self.refund("alike", None, RefundState::Succeeded).await;
        self.planted.matched_order("80.00");
        self.planted.matched_refund("30.00");

        let order = self.known("80.00").await;
        let number = self.shop.sandbox.refund_elsewhere(upstream, &order.id, 2000).expect("there is enough");
        self.planted.matched_order("80.00");
        if let Some(at) = self.listed_at(&number).await {
            let found = self.differs(Subject::Refund, DifferenceKind::MissingHere, &order).await;
            (found.upstream_refund_no, found.there) = (Some(number), side("20.00", "succeeded", Some(at)));
        } else {
            // Without a list of refunds the order's total tells.
            let found = self.differs(Subject::RefundTotal, DifferenceKind::AmountDiffers, &order).await;
            (found.here, found.there) = (side("0.00", "refunded", None), side("20.00", "refunded", None));
        }

        let executed = self.refund("executed", Some(FaultKind::DropAfter), RefundState::InDoubt).await;
        let books = self.shop.sandbox.books();
        let number = books.order(upstream, &executed.0.id).expect("its own").refunds[0].server_no.clone();
        let there = side("30.00", "succeeded", self.listed_at(&number).await);
        self.refund_differs(DifferenceKind::StatusDiffers, &executed, "in_doubt", there).await;
        self.planted.differences.last_mut().expect("just put there").upstream_refund_no = Some(number);

        let absent = self.refund("absent", Some(FaultKind::DropBefore), RefundState::InDoubt).await;
        self.refund_differs(DifferenceKind::MissingThere, &absent, "in_doubt", None).await;

        if upstream != Upstream::Hydrogen {
            self.refund("stuck", Some(FaultKind::Stuck), RefundState::Accepted).await;
            self.planted.matched_order("80.00");
            self.planted.matched_refund("30.00");

            let reversed = self.refund("reversed", None, RefundState::Succeeded).await;
            let refund = self.shop.record(&reversed.0).await.refund(&key(&reversed.1)).expect("there").clone();
            let number = refund.upstream_refund_no.expect("the upstream gave one");
            self.shop.sandbox.reverse_refund(upstream, &number).expect("had succeeded");
            let there = side("30.00", "declined", self.listed_at(&number).await);
            self.refund_differs(DifferenceKind::ReversedLate, &reversed, "succeeded", there).await;
        }
    }
}

async fn plant(shop: &Shop, clock: &Standing, label: &str) -> Planted {
    let mut planter = Planter { shop, label, now_s: clock.seconds(), planted: Planted::default() };
    planter.orders().await;
    planter.refunds().await;
    clock.advance(DAY_S);
    shop.sandbox.advance_clock(Duration::from_secs(DAY_S.unsigned_abs()));
    let mut planted = planter.planted;
    let place = |found: &Difference| {
        let key = found.refund_key.as_ref().map(ToString::to_string);
        (found.subject, found.kind, found.order.clone(), key, found.upstream_refund_no.clone())
    };
    planted.differences.sort_by_key(place);
    planted
}

async fn reconcile(shop: &Shop) -> Reconciliation {
    shop.ledger.reconcile(&account(), *DAY).await.expect("compared")
}

#[tokio::test]
async fn every_planted_difference_of_the_day_is_found_and_nothing_else() {
    for upstream in UPSTREAMS {
        let (shop, clock) = open(upstream).await;
        plant(&shop, &clock, "before").await;
        let planted = plant(&shop, &clock, "day").await;
        plant(&shop, &clock, "after").await;
        let (sent, paid_out) = (shop.sandbox.calls().refunds, shop.sandbox.books().total_money_out_fen());

        let found = reconcile(&shop).await;
        let kept = found.kept.expect("the ledger is ours");
        assert_eq!((kept.orders_new, kept.refunds_settled), (1, 1), "{upstream}");
        let want = Reconciliation {
            account: account(),
            day: *DAY,
            matched_orders: planted.orders,
            matched_refunds: planted.refunds,
            differences: planted.differences.clone(),
            problems: Vec::new(),
            more_problems: 0,
            kept: Some(kept),
        };
        assert_eq!(found, want, "{upstream}");

        // Evidence settled what it proves; nothing was sent, and what is missing or differs changed no refund.
        let state = async |name: &str| {
            let found = planted.differences.iter().find(|found| found.refund_key == Some(key(name))).expect("planted");
            let number = found.order.clone().expect("a number");
            let record = shop.ledger.known_order(&account(), &number.into()).await.expect("reads").expect("known");
            record.refund(&key(name)).expect("there").state
        };
        assert_eq!(state("executed-day").await, RefundState::Succeeded, "{upstream}");
        assert_eq!(state("absent-day").await, RefundState::InDoubt, "{upstream}");
        if upstream != Upstream::Hydrogen {
            assert_eq!(state("reversed-day").await, RefundState::Succeeded, "{upstream}");
        }
        assert_eq!(shop.sandbox.calls().refunds, sent, "{upstream}");
        assert_eq!(shop.sandbox.books().total_money_out_fen(), paid_out, "{upstream}");
        assert_eq!(shop.ledger.verify().await.expect("reads").differences, [], "{upstream}");

        // What was kept differs no more; the rest still does.
        let again: Vec<Difference> = reconcile(&shop).await.differences;
        let stays = |found: &Difference| match (found.subject, found.kind) {
            (Subject::Order, kind) => kind == DifferenceKind::MissingThere,
            (Subject::Refund, kind) => {
                matches!(kind, DifferenceKind::MissingThere | DifferenceKind::ReversedLate)
            }
            (Subject::RefundTotal, _) => false,
        };
        let want: Vec<Difference> = planted.differences.into_iter().filter(stays).collect();
        assert_eq!(again, want, "{upstream}");
    }
}

#[tokio::test]
async fn a_day_that_matches_is_matched_and_without_a_network_nothing_is_claimed() {
    for upstream in UPSTREAMS {
        let (shop, clock) = open(upstream).await;
        clock.advance(DAY_S);
        shop.sandbox.advance_clock(Duration::from_secs(DAY_S.unsigned_abs()));
        let mut planter = Planter { shop: &shop, label: "day", now_s: clock.seconds(), planted: Planted::default() };
        for _ in 0..3 {
            planter.refund("alike", None, RefundState::Succeeded).await;
            planter.label = if planter.label == "day" { "day-2" } else { "day-3" };
        }
        let found = reconcile(&shop).await;
        assert!(found.is_matched(), "{upstream}: {found:?}");
        let tally = |count, sum: &str| Tally { count, sum: yuan(sum) };
        assert_eq!((found.matched_orders, found.matched_refunds), (tally(3, "240"), tally(3, "90")), "{upstream}");

        shop.sandbox.network_down().await;
        let found = reconcile(&shop).await;
        assert_eq!((found.differences.as_slice(), found.is_complete(), found.is_matched()), (&[][..], false, false));
        assert_eq!(found.matched_orders, Tally { count: 0, sum: Money::ZERO }, "{upstream}");
    }
}

#[tokio::test]
async fn refunds_in_cash_are_on_no_list_and_match_by_the_total() {
    let (shop, clock) = open(Upstream::TradeOrder).await;
    clock.advance(DAY_S);
    shop.sandbox.advance_clock(Duration::from_secs(DAY_S.unsigned_abs()));
    let now_s = clock.seconds();
    let cash = || {
        let order = NewOrder { method: Method::Cash, created_at: Some(now_s), ..NewOrder::paid(8000) };
        shop.sandbox.add_order(shop.upstream, order).expect("the sandbox takes it")
    };
    let (ours, elsewhere) = (cash(), cash());
    shop.refund(&ours, "ours", "30").await.expect("refunded");
    shop.fetch(&elsewhere).await;
    shop.sandbox.refund_elsewhere(shop.upstream, &elsewhere.id, 2000).expect("there is enough");
    let found = reconcile(&shop).await;
    assert_eq!(found.matched_refunds, Tally { count: 1, sum: yuan("30") });
    let kinds: Vec<_> =
        found.differences.iter().map(|found| (found.subject, found.kind, found.there.clone())).collect();
    let total = side("20.00", "refunded", None);
    assert_eq!(kinds, [(Subject::RefundTotal, DifferenceKind::AmountDiffers, total)]);
}
