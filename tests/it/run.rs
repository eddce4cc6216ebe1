//! `Ledger::run`: what is queued goes out while the network comes and goes, an account that refuses is tried by one
//! cheap call, and stopping loses nothing.

use std::time::Duration;

use tillbook::sandbox::{Fault, FaultKind, Operation, OrderHandle, Upstream};
use tillbook::{AccountSettings, RefundState, Sending};
use tokio::time::timeout;

use crate::support::life::Life;
use crate::support::runner::{Runner, Said};
use crate::support::say;
use crate::support::shop::{Shop, UPSTREAMS, at_once, refund_of, yuan};

const PATIENCE: Duration = Duration::from_secs(5);
/// Longer than any pause.
const LONG: Duration = Duration::from_secs(1_000);

/// A shop that knows so many orders of 80.00, each with a refund of 30.00 that waits, and that asks all the time about
/// what is in doubt.
async fn waiting(upstream: Upstream, orders: usize) -> (Life, Vec<OrderHandle>) {
    let settings = AccountSettings { probe_schedule: Some(vec![Duration::from_millis(50)]), ..at_once() };
    let life = Life::begin(upstream, settings, PATIENCE).await;
    let orders: Vec<OrderHandle> = (0..orders).map(|_| life.shop.order("80.00")).collect();
    for (i, order) in orders.iter().enumerate() {
        life.shop.fetch(order).await;
        queue(&life.shop, order, &format!("k{i}"), "30").await;
    }
    (life, orders)
}

async fn queue(shop: &Shop, order: &OrderHandle, name: &str, amount: &str) {
    let mut request = shop.request(order, name, amount);
    request.sending = Sending::QueueOnly;
    let refunded = shop.ledger.refund(request).await.expect("held");
    assert_eq!(refunded.refund.state, RefundState::Queued);
}

/// Wakes a run whose pause is over by now: somebody asks for one more refund.
async fn wake(life: &Life, order: &OrderHandle, name: &str) {
    life.clock.pass(LONG);
    queue(&life.shop, order, name, "1").await;
}

/// Whether so many refunds were dealt with, and all of them went out.
fn all_out(said: &Said, refunds: usize) -> bool {
    said.count(RefundState::Succeeded) + said.count(RefundState::InDoubt) == refunds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_queued_goes_out_once_while_the_network_comes_and_goes() {
    const ORDERS: usize = 60;
    for upstream in UPSTREAMS {
        let (life, orders) = waiting(upstream, ORDERS).await;
        let sandbox = &life.shop.sandbox;
        sandbox.network_down().await;
        let runner = Runner::start(&life.shop.ledger);
        runner.until(|said| said.paused == 1).await;
        let mut cut_at = Vec::new();
        for round in 1..=3 {
            sandbox.network_up().await.expect("listens again");
            wake(&life, &orders[round], &format!("up{round}")).await;
            runner.until(|said| said.resumed == round as u64).await;
            runner.until(|said| said.count(RefundState::Succeeded) >= 12 * round).await;
            let paused = runner.said().paused;
            sandbox.network_down().await; // whatever is on its way is cut
            cut_at.push(runner.said().refunds.len());
            queue(&life.shop, &orders[round + 10], &format!("down{round}"), "1").await;
            runner.until(|said| said.paused > paused).await;
        }
        sandbox.network_up().await.expect("listens again");
        wake(&life, &orders[0], "last").await;
        let refunds = ORDERS + 3 + 3 + 1;
        runner.until(|said| all_out(said, refunds)).await;
        if upstream == Upstream::Hydrogen {
            runner.until(|said| said.count(RefundState::Succeeded) == refunds).await;
        }
        let said = runner.said();
        runner.stop().await;
        life.shop.sync().await;
        let (mut in_doubt, mut executed) = (0, 0);
        for order in &orders {
            let record = life.shop.record(order).await;
            // What was executed is known, what is in doubt was cut on its way there.
            assert_eq!(record.refunded_here(), life.shop.money_out(order), "{upstream}: {record:?}");
            executed += record.refunds.iter().filter(|refund| refund.state == RefundState::Succeeded).count();
            in_doubt += record.refunds.iter().filter(|refund| refund.state == RefundState::InDoubt).count();
        }
        let (pauses, calls) = (said.paused, sandbox.calls());
        say(&format!(
            "run, {upstream}: {executed} refunds, {in_doubt} in doubt, {pauses} pauses, cut after {cut_at:?}, {calls:?}"
        ));
        assert!(cut_at[0] < ORDERS, "{upstream}: the network went away too late to cut anything");
        assert_eq!(executed + in_doubt, refunds, "{upstream}");
        let books = sandbox.books();
        assert_eq!(books.orders.iter().map(|order| order.refunds.len()).sum::<usize>(), executed, "{upstream}");
        assert_eq!(life.shop.ledger.verify().await.expect("reads").differences, [], "{upstream}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_refuses_is_tried_again_by_one_call_and_not_by_its_queue() {
    for upstream in UPSTREAMS {
        let (life, orders) = waiting(upstream, 40).await;
        let sandbox = &life.shop.sandbox;
        let good = sandbox.credentials();
        let mut other = good.clone();
        other.fubei_secret = "another-secret".to_owned();
        other.trade_order_token = "another.token".to_owned();
        (other.hydrogen_token, other.function_secret) = ("another-token".to_owned(), "another-secret".to_owned());
        sandbox.set_credentials(other);
        let before = sandbox.calls().total;
        let runner = Runner::start(&life.shop.ledger);
        runner.until(|said| said.paused == 1).await;
        // Those that were side by side when the first was refused.
        let first = sandbox.calls().total - before;
        assert!((1..=16).contains(&first), "{upstream}: {first} calls until the first refusal was heard");
        let check = match upstream {
            Upstream::Fubei => Operation::FubeiOrderBill,
            Upstream::TradeOrder => Operation::TradeOrderList,
            Upstream::Hydrogen => Operation::FunctionHealth,
        };
        for (pause, order) in (2..=5).zip(&orders) {
            let before = sandbox.calls();
            wake(&life, order, &format!("wake{pause}")).await;
            runner.until(|said| said.paused == pause).await;
            let calls = sandbox.calls();
            let (all, checks) = (calls.total - before.total, calls.of(check) - before.of(check));
            // hydrogen's token is refused before it is known which job is asked for; Fubei's signature likewise.
            assert_eq!(all, 1, "{upstream}: try {pause}, {checks} of them checks");
            assert_eq!(checks, 1, "{upstream}: try {pause}");
        }
        sandbox.set_credentials(good);
        wake(&life, &orders[10], "mended").await;
        runner.until(|said| said.resumed == 1).await;
        runner.until(|said| said.count(RefundState::Succeeded) == 45).await;
        runner.stop().await;
        let books = sandbox.books();
        let refunds: usize = books.orders.iter().map(|order| order.refunds.len()).sum();
        assert_eq!((refunds, books.total_money_out_fen()), (45, 40 * 3_000 + 5 * 100), "{upstream}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_its_way_when_it_is_told_to_stop_is_recorded_before_the_close() {
    for upstream in UPSTREAMS {
        let shop = Shop::open(upstream).await;
        let order = shop.order("80.00");
        shop.fetch(&order).await;
        queue(&shop, &order, "k", "30").await;
        let slow = FaultKind::Delay(Duration::from_millis(700));
        shop.sandbox.set_fault(Fault::new(refund_of(upstream), slow)).expect("fits");
        let runner = Runner::start(&shop.ledger);
        let sent = shop.sandbox.until(|books| books.calls.refunds == 1);
        timeout(PATIENCE, sent).await.expect("it is sent");
        runner.stop().await;
        assert_eq!(shop.state(&order, "k").await, RefundState::Sending, "{upstream}: it stops at once");
        let shop = shop.reopen().await;
        let state = shop.state(&order, "k").await;
        assert_eq!((state, shop.money_out(&order)), (RefundState::Succeeded, yuan("30")), "{upstream}");
        assert_eq!((shop.sandbox.pending_faults().len(), shop.sandbox.calls().refunds), (0, 1), "{upstream}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runs_over_one_ledger_send_no_refund_twice() {
    for upstream in UPSTREAMS {
        let (life, orders) = waiting(upstream, 30).await;
        for (i, order) in orders.iter().enumerate() {
            queue(&life.shop, order, &format!("second{i}"), "20").await;
        }
        let runners = [Runner::start(&life.shop.ledger), Runner::start(&life.shop.ledger.clone())];
        let paid = life.shop.sandbox.until(|books| books.total_money_out_fen() >= 30 * 5_000);
        timeout(12 * PATIENCE, paid).await.expect("all go out");
        for runner in runners {
            runner.stop().await;
        }
        life.shop.sync().await;
        for order in &orders {
            let record = life.shop.record(order).await;
            assert_eq!((record.refunded_here(), life.shop.money_out(order)), (yuan("50"), yuan("50")), "{upstream}");
        }
        assert_eq!(life.shop.sandbox.calls().refunds, 60, "{upstream}");
    }
}
