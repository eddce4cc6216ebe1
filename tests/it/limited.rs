//! One pace for all that an account asks: what comes first, and what it costs, on a clock that stands still.

use std::sync::Arc;
use std::time::Duration;

use tillbook::sandbox::{Sandbox, Upstream};
use tillbook::{AccountSettings, Ledger, RefundState, SyncOptions};
use tokio::time::Instant;

use crate::ledger::{account, request};
use crate::support::desk::{Desk, Does};
use crate::support::shop;

/// A ledger in memory that may ask the desk that often.
async fn ledger(desk: &Desk, calls_per_minute: u32) -> Ledger {
    let ledger = Ledger::builder().in_memory().await.expect("opens");
    let settings = AccountSettings {
        calls_per_minute: Some(calls_per_minute),
        refund_interval: Some(Duration::ZERO),
        ..AccountSettings::default()
    };
    ledger.connect(account(), Arc::new(desk.clone()), settings).expect("connects");
    ledger
}

#[tokio::test(start_paused = true)]
async fn questions_take_the_time_that_their_number_takes() {
    let desk = Desk::new();
    let order = desk.order("1", "80.00");
    let ledger = ledger(&desk, 20).await;
    let begun = Instant::now();
    for _ in 0..14 {
        ledger.fetch(&account(), &order.clone().into()).await.expect("fetched");
    }
    // Four at once, then one every three seconds.
    assert_eq!((begun.elapsed().as_secs(), desk.calls()), (30, 14));
}

#[tokio::test(start_paused = true)]
async fn a_refund_at_an_idle_till_goes_at_once() {
    let desk = Desk::new();
    let order = desk.order("1", "80.00");
    desk.script([Does::Accept]); // facts for an unknown order, fresh facts, the refund, a probe
    let ledger = ledger(&desk, 20).await;
    let begun = Instant::now();
    let refunded = ledger.refund(request(&order, "a", "10")).await.expect("refunded");
    assert_eq!((refunded.refund.state, begun.elapsed()), (RefundState::Succeeded, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_refund_is_sent_as_soon_as_its_attempt_is_on_disk() {
    let desk = Desk::new();
    let orders: Vec<_> = (0..5).map(|nth| desk.order(&nth.to_string(), "80.00")).collect();
    let ledger = ledger(&desk, 20).await;
    for order in &orders {
        ledger.fetch(&account(), &order.clone().into()).await.expect("fetched");
    }
    // No turn is left. The fresh facts wait for theirs; the refund behind them waits no more.
    for (nth, order) in orders.iter().enumerate() {
        let begun = Instant::now();
        let facts = desk.fetched().len();
        ledger.refund(request(order, &format!("k{nth}"), "10")).await.expect("refunded");
        // Its turn is paid for by the question after it: the second refund waits for two.
        assert_eq!((begun.elapsed().as_secs(), facts > 0), (if nth == 0 { 3 } else { 6 }, nth == 0));
        desk.fetched();
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_list_takes_half_of_the_turns_and_delays_no_refund() {
    let desk = Desk::new();
    let orders: Vec<_> = (0..3_000).map(|nth| desk.order(&format!("{nth:04}"), "80.00")).collect();
    let ledger = ledger(&desk, 20).await;
    let begun = Instant::now();
    let listing = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.sync(&SyncOptions::default(), &|_| ()).await }
    });
    for (nth, order) in orders.iter().take(5).enumerate() {
        // The clock stands still until all wait for it: in between the list takes its turns.
        tokio::time::sleep(Duration::from_secs(25)).await;
        let asked = Instant::now();
        ledger.refund(request(order, &format!("k{nth}"), "10")).await.expect("refunded");
        assert_eq!(asked.elapsed(), Duration::ZERO, "refund {nth}");
    }
    let report = listing.await.expect("no panic").expect("syncs");
    // Thirty pages, one every six seconds.
    assert_eq!((report.accounts[&account()].pages, begun.elapsed().as_secs()), (30, 29 * 6));
}

#[tokio::test(start_paused = true)]
async fn orders_that_a_list_only_names_are_fetched_in_its_half_of_the_turns() {
    let desk = Desk::new();
    desk.only_name_orders();
    let orders: Vec<_> = (0..20).map(|nth| desk.order(&format!("{nth:02}"), "80.00")).collect();
    let ledger = ledger(&desk, 20).await;
    let begun = Instant::now();
    let listing = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.sync(&SyncOptions::default(), &|_| ()).await }
    });
    // In the midst of the list, by the clock that stands still until all wait for it.
    tokio::time::sleep(Duration::from_secs(40)).await;
    let asked = Instant::now();
    ledger.refund(request(&orders[0], "k", "10")).await.expect("refunded");
    assert_eq!(asked.elapsed(), Duration::ZERO);
    let report = listing.await.expect("no panic").expect("syncs");
    // A page and twenty orders.
    assert_eq!((report.accounts[&account()].orders_new, begun.elapsed().as_secs()), (20, 20 * 6));
}

#[tokio::test(start_paused = true)]
async fn two_accounts_do_not_wait_for_each_other() {
    let (one, two) = (Desk::new(), Desk::of("m2"));
    let (order, other) = (one.order("1", "80.00"), two.order("1", "80.00"));
    let ledger = ledger(&one, 1).await;
    let second = tillbook::AccountName::new("shop-2").expect("a name");
    let settings = AccountSettings { calls_per_minute: Some(1), ..AccountSettings::default() };
    ledger.connect(second.clone(), Arc::new(two.clone()), settings).expect("connects");
    let begun = Instant::now();
    for _ in 0..4 {
        ledger.fetch(&account(), &order.clone().into()).await.expect("fetched");
        ledger.fetch(&second, &other.clone().into()).await.expect("fetched");
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn hydrogen_is_asked_twenty_times_a_minute_unless_told_otherwise() {
    let sandbox = Sandbox::start().await.expect("the sandbox listens");
    let calls = |upstream| shop::gateway(&sandbox, upstream).capabilities().calls_per_minute;
    assert_eq!([Upstream::Hydrogen, Upstream::Fubei, Upstream::TradeOrder].map(calls), [Some(20), None, None]);
}
