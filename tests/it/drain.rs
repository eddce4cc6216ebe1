//! A queue that grew offline drains after the reconnect: each refund once, none beyond what was paid, and one order that
//! is bad for good delays no other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tillbook::domain::{Facts, Reference};
use tillbook::gateway::{BoxFuture, Gateway, ReadError, ReadErrorKind};
use tillbook::sandbox::{NewOrder, OrderHandle, Upstream};
use tillbook::{AccountSettings, Money, RefundState, Sending};
use tokio::task::JoinSet;

use crate::support::forward_gateway::forward_gateway;
use crate::support::runner::Runner;
use crate::support::say;
use crate::support::shop::{Shop, account, at_once, gateway_within};

/// A gateway at which one order can never be asked for.
struct OneBad {
    gateway: Arc<dyn Gateway>,
    number: String,
}

impl Gateway for OneBad {
    forward_gateway!(self.gateway: name, merchant, capabilities, list_orders, refund, probe, fence, check);

    fn fetch_order<'a>(&'a self, wanted: &'a [Reference]) -> BoxFuture<'a, Result<Option<Facts>, ReadError>> {
        if wanted.iter().any(|reference| reference.number == self.number) {
            let error = ReadError::new(ReadErrorKind::Unreadable, "this order's row is broken");
            return Box::pin(std::future::ready(Err(error)));
        }
        self.gateway.fetch_order(wanted)
    }
}

/// How a queue is drained.
#[derive(Clone, Copy, Debug)]
enum By {
    Run,
    Sync,
}

struct Drain {
    upstream: Upstream,
    by: By,
    orders: usize,
    refunds: usize,
}

/// What an order was paid, and each refund is about: four fit.
const PAID_FEN: i64 = 10_000;
const AMOUNT_FEN: i64 = 2_500;

impl Drain {
    /// A third of 1,500 refunds on 450 orders, the other upstreams having theirs; `TILLBOOK_LONG=1` for 10,000 on 3,000 at
    /// each.
    fn of(upstream: Upstream, by: By) -> Drain {
        let (orders, refunds) = match std::env::var_os("TILLBOOK_LONG") {
            Some(_) => (3_000, 10_000),
            None => (150, 500),
        };
        Drain { upstream, by, orders, refunds }
    }

    fn connect(&self, shop: &Shop, bad: &OrderHandle) {
        let gateway = gateway_within(&shop.sandbox, self.upstream, Duration::from_secs(30));
        let gateway = Arc::new(OneBad { gateway, number: bad.id.clone() });
        let settings = AccountSettings { calls_per_minute: Some(1_000_000), ..at_once() };
        shop.ledger.connect(account(), gateway, settings).expect("connects");
    }

    async fn drains(&self) {
        let name = format!("{} by {:?}", self.upstream, self.by);
        let shop = Shop::open(self.upstream).await;
        let new = |_| shop.sandbox.add_order(self.upstream, NewOrder::paid(PAID_FEN)).expect("the sandbox takes it");
        let orders: Vec<OrderHandle> = (0..self.orders).map(new).collect();
        let began = Instant::now();
        while shop.sync().await.accounts[&account()].orders_new > 0 {}
        let (pulled, began) = (began.elapsed(), Instant::now());
        // From here on the first order is the bad one.
        self.connect(&shop, &orders[0]);
        shop.sandbox.network_down().await;
        self.queue(&shop, &orders).await;
        let queued = began.elapsed();
        // Meanwhile somebody else refunds every tenth order: where four wait, the last no longer fits.
        let (shared, fours) = (orders.iter().enumerate().skip(1).step_by(10), self.refunds % self.orders);
        let mut unfit = 0;
        for (i, order) in shared {
            shop.sandbox.refund_elsewhere(self.upstream, &order.id, AMOUNT_FEN).expect("there is enough");
            unfit += usize::from(i < fours);
        }
        shop.sandbox.network_up().await.expect("listens again");
        let (before, began) = (shop.sandbox.calls(), Instant::now());
        let of_the_bad = 4;
        match self.by {
            By::Sync => {
                let report = shop.sync().await;
                let waiting = report.accounts[&account()].waiting;
                assert_eq!(waiting, of_the_bad as u64, "{name}: one round is enough for all others");
            }
            By::Run => {
                let runner = Runner::start(&shop.ledger);
                let is_end = |state: &&RefundState| matches!(state, RefundState::Succeeded | RefundState::Review);
                let all = self.refunds - of_the_bad;
                runner.until(|said| said.refunds.values().filter(is_end).count() == all).await;
                runner.stop().await;
            }
        }
        let (drained, calls) = (began.elapsed(), shop.sandbox.calls());
        let states = self.judge(&shop, &orders).await;
        let (sent, calls) = (calls.refunds - before.refunds, calls.total - before.total);
        say(&format!(
            "drain, {name}: {} refunds on {} orders, pulled in {pulled:?}, queued in {queued:?}, drained in {drained:?}; \
             {states:?}; {sent} sent, {calls} calls, {} per hundred sent",
            self.refunds,
            self.orders,
            100 * calls / sent,
        ));
        let succeeded = self.refunds - of_the_bad - unfit;
        let want =
            [(RefundState::Queued, of_the_bad), (RefundState::Succeeded, succeeded), (RefundState::Review, unfit)];
        assert_eq!(states, BTreeMap::from(want), "{name}: only the bad one's wait, and none is lost");
        assert_eq!((sent as usize, unfit > 0), (succeeded, true), "{name}: each is sent once");
        assert_eq!(shop.ledger.verify().await.expect("reads").differences, [], "{name}");
    }

    /// Queues them all, many callers at a time.
    async fn queue(&self, shop: &Shop, orders: &[OrderHandle]) {
        let mut callers = JoinSet::new();
        for i in 0..self.refunds {
            let mut request = shop.request(&orders[i % orders.len()], &format!("k{i}"), "25");
            request.sending = Sending::QueueOnly;
            let ledger = shop.ledger.clone();
            callers.spawn(async move { ledger.refund(request).await.expect("held").refund.state });
            if callers.len() >= 64 {
                let state = callers.join_next().await.expect("some").expect("no panic");
                assert_eq!(state, RefundState::Queued);
            }
        }
        assert!(callers.join_all().await.iter().all(|state| *state == RefundState::Queued));
    }

    /// Holds every order against the sandbox's books; counts the refunds by state.
    async fn judge(&self, shop: &Shop, orders: &[OrderHandle]) -> BTreeMap<RefundState, usize> {
        let books = shop.sandbox.books();
        let out: BTreeMap<&str, i64> = books.orders.iter().map(|book| (book.id.as_str(), book.money_out_fen)).collect();
        assert!(books.overpaid().is_empty(), "an order paid out more than was paid");
        let mut states = BTreeMap::new();
        for order in orders {
            let record = shop.record(order).await;
            record.refunds.iter().for_each(|refund| *states.entry(refund.state).or_default() += 1);
            let out = Money::from_fen(out[order.id.as_str()]).expect("never negative");
            assert_eq!(record.refunded(), out, "{}: {record:?}", order.id);
        }
        states
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_of_fubei_drains_by_run() {
    Drain::of(Upstream::Fubei, By::Run).drains().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_of_trade_order_drains_by_one_sync() {
    Drain::of(Upstream::TradeOrder, By::Sync).drains().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_of_hydrogen_drains_by_run() {
    Drain::of(Upstream::Hydrogen, By::Run).drains().await;
}
