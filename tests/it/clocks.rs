//! Clocks that are set forward or back: nothing is sent again early, nothing is lost, and silence is counted on the
//! clock that nobody sets.

use std::time::Duration;

use tillbook::sandbox::{Fault, FaultKind, Operation, Settlement, Upstream};
use tillbook::{AccountSettings, Money, RefundState};
use tokio::time::timeout;

use crate::support::life::Life;
use crate::support::runner::Runner;
use crate::support::say;
use crate::support::shop::{UPSTREAMS, at_once, key, refund_of, yuan};

const DAY_S: i64 = 86_400;
const MINUTE: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(5);

/// Ways to set a clock between two moments of a refund, with and without a restart.
fn settings_of_the_clock() -> impl Iterator<Item = (i64, bool)> {
    [DAY_S, -DAY_S].into_iter().flat_map(|set_s| [(set_s, false), (set_s, true)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_set_by_a_day_between_attempt_and_question_sends_nothing_early_and_loses_nothing() {
    let mut cells = 0;
    for upstream in UPSTREAMS {
        for kind in [FaultKind::DropAfter, FaultKind::DropBefore] {
            for (set_s, restarted) in settings_of_the_clock() {
                let mut life = Life::begin(upstream, at_once(), PATIENCE).await;
                let order = life.shop.order("80.00");
                life.shop.sandbox.set_fault(Fault::new(refund_of(upstream), kind)).expect("fits");
                let name = format!("{upstream} {kind:?} {set_s} {restarted}");
                let refunded = life.shop.refund(&order, "k", "30").await.expect("recorded");
                assert_eq!(refunded.refund.state, RefundState::InDoubt, "{name}");
                // Set, and set right again.
                for set_s in [set_s, -set_s] {
                    life.clock.set_by(set_s);
                    if restarted {
                        life.kill().await;
                    }
                    life.shop.sync().await;
                    life.shop.sync().await;
                    let record = life.shop.record(&order).await;
                    let seen = (
                        record.refund(&key("k")).expect("there").state,
                        record.held(),
                        life.shop.sandbox.calls().refunds,
                        life.shop.money_out(&order),
                    );
                    let want = match (kind, upstream) {
                        (FaultKind::DropAfter, _) => (RefundState::Succeeded, Money::ZERO, 1, yuan("30")),
                        // Its door was shut: proof, whatever the clock shows.
                        (_, Upstream::Hydrogen) => (RefundState::Succeeded, Money::ZERO, 2, yuan("30")),
                        _ => (RefundState::InDoubt, yuan("30"), 1, Money::ZERO),
                    };
                    assert_eq!(seen, want, "{name}");
                }
                assert_eq!(life.shop.sandbox.pending_faults(), [], "{name} never fired");
                assert_eq!(life.shop.ledger.verify().await.expect("reads").differences, [], "{name}");
                cells += 1;
            }
        }
    }
    say(&format!("clocks: {cells} refunds in doubt across a clock set by a day and back"));
    assert_eq!(cells, 24);
}

#[tokio::test]
async fn a_refund_that_waits_its_turn_is_sent_once_although_the_clock_was_set() {
    for (set_s, restarted) in settings_of_the_clock() {
        let settings = AccountSettings { refund_interval: Some(MINUTE), ..at_once() };
        let mut life = Life::begin(Upstream::Fubei, settings, PATIENCE).await;
        let order = life.shop.order("80.00");
        let first = life.shop.refund(&order, "a", "10").await.expect("recorded");
        let second = life.shop.refund(&order, "b", "20").await.expect("recorded");
        let states = (first.refund.state, second.refund.state);
        assert_eq!(states, (RefundState::Succeeded, RefundState::Queued), "{set_s} {restarted}");
        life.clock.set_by(set_s);
        if restarted {
            life.kill().await;
        }
        life.clock.pass(MINUTE);
        for _ in 0..3 {
            life.shop.sync().await;
        }
        assert_eq!(life.shop.state(&order, "b").await, RefundState::Succeeded, "{set_s} {restarted}");
        let seen = (life.shop.sandbox.calls().refunds, life.shop.money_out(&order));
        assert_eq!(seen, (2, yuan("30")), "{set_s} {restarted}");
    }
}

#[tokio::test]
async fn a_clock_far_ahead_calls_a_person_early_and_frees_nothing() {
    for restarted in [false, true] {
        let mut life = Life::begin(Upstream::Fubei, at_once(), PATIENCE).await;
        let order = life.shop.order("80.00");
        life.shop.sandbox.set_fault(Fault::new(Operation::FubeiRefund, FaultKind::Stuck)).expect("fits");
        let refunded = life.shop.refund(&order, "k", "30").await.expect("recorded");
        assert_eq!(refunded.refund.state, RefundState::Accepted);
        life.clock.set_by(4 * DAY_S);
        if restarted {
            life.kill().await;
        }
        life.shop.sync().await;
        let record = life.shop.record(&order).await;
        let state = record.refund(&key("k")).map(|refund| refund.state);
        assert_eq!((state, record.held(), record.refundable()), (Some(RefundState::Review), yuan("30"), yuan("50")));
        // The clock is set right, and the proof comes after all.
        life.clock.set_by(-4 * DAY_S);
        life.shop.sandbox.release(Upstream::Fubei, "k", Settlement::Succeeded).expect("it was stuck");
        life.shop.sync().await;
        assert_eq!(life.shop.state(&order, "k").await, RefundState::Succeeded);
        assert_eq!((life.shop.sandbox.calls().refunds, life.shop.money_out(&order)), (1, yuan("30")));
    }
}

/// An account that sends again after an hour of silence, and asks all the time.
fn impatient() -> AccountSettings {
    AccountSettings {
        resend_after_silence: Some(60 * MINUTE),
        probe_schedule: Some(vec![Duration::from_millis(20)]),
        ..at_once()
    }
}

/// The read that every question about a refund ends with, where its words prove nothing.
fn read_of(upstream: Upstream) -> Operation {
    match upstream {
        Upstream::Fubei => Operation::FubeiOrderQuery,
        Upstream::TradeOrder => Operation::TradeOrderGet,
        Upstream::Hydrogen => Operation::FunctionGet,
    }
}

/// Waits until the upstream was asked three times more.
async fn asked_again(life: &Life) {
    let operation = read_of(life.shop.upstream);
    let before = life.shop.sandbox.calls().of(operation);
    let asked = life.shop.sandbox.until(|books| books.calls.of(operation) >= before + 3);
    timeout(MINUTE, asked).await.expect("the asking goes on");
}

async fn sent(life: &Life, times: u64) {
    let sent = life.shop.sandbox.until(|books| books.calls.refunds >= times);
    timeout(MINUTE, sent).await.expect("it is sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_counted_while_running_and_never_by_the_wall_clock_and_ends_in_one_sending() {
    for upstream in [Upstream::Fubei, Upstream::TradeOrder] {
        let mut life = Life::begin(upstream, impatient(), PATIENCE).await;
        let order = life.shop.order("80.00");
        life.shop.sandbox.set_fault(Fault::new(refund_of(upstream), FaultKind::DropBefore).every()).expect("fits");
        life.shop.refund(&order, "k", "30").await.expect("recorded");
        let runner = Runner::start(&life.shop.ledger);
        asked_again(&life).await;
        for set_s in [DAY_S, -2 * DAY_S, DAY_S] {
            life.clock.set_by(set_s);
            asked_again(&life).await;
            assert_eq!(life.shop.sandbox.calls().refunds, 1, "{upstream}: the wall clock was set by {set_s}");
        }
        life.clock.pass(58 * MINUTE);
        asked_again(&life).await;
        runner.stop().await;
        // A new process has heard nothing of the silence before it; neither has a round without one.
        life.kill().await;
        let runner = Runner::start(&life.shop.ledger);
        asked_again(&life).await;
        life.clock.pass(58 * MINUTE);
        asked_again(&life).await;
        life.shop.sync().await;
        assert_eq!(life.shop.sandbox.calls().refunds, 1, "{upstream}: not an hour yet");
        life.clock.pass(3 * MINUTE);
        sent(&life, 2).await;
        // The second sending is lost too: its silence begins with it.
        asked_again(&life).await;
        life.clock.pass(58 * MINUTE);
        asked_again(&life).await;
        assert_eq!(life.shop.sandbox.calls().refunds, 2, "{upstream}: sent again early");
        life.shop.sandbox.clear_faults();
        life.clock.pass(3 * MINUTE);
        sent(&life, 3).await;
        runner.until(|said| said.count(RefundState::Succeeded) == 1).await;
        runner.stop().await;
        assert_eq!(life.shop.state(&order, "k").await, RefundState::Succeeded, "{upstream}");
        assert_eq!((life.shop.sandbox.calls().refunds, life.shop.money_out(&order)), (3, yuan("30")), "{upstream}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_ends_in_no_sending_where_the_total_moved() {
    for upstream in [Upstream::Fubei, Upstream::TradeOrder] {
        let life = Life::begin(upstream, impatient(), PATIENCE).await;
        let order = life.shop.order("80.00");
        life.shop.sandbox.set_fault(Fault::new(refund_of(upstream), FaultKind::DropBefore)).expect("fits");
        life.shop.refund(&order, "k", "30").await.expect("recorded");
        life.shop.sandbox.refund_elsewhere(upstream, &order.id, 1_000).expect("there is enough");
        let runner = Runner::start(&life.shop.ledger);
        asked_again(&life).await;
        life.clock.pass(600 * MINUTE);
        asked_again(&life).await;
        runner.stop().await;
        assert_eq!(life.shop.state(&order, "k").await, RefundState::InDoubt, "{upstream}");
        assert_eq!((life.shop.sandbox.calls().refunds, life.shop.money_out(&order)), (1, yuan("10")), "{upstream}");
    }
}
