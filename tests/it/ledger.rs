//! The ledger over an upstream in memory: what a caller sees, and what the upstream's books say.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use tillbook::domain::{BlockReason, Event, OrderStatus};
use tillbook::gateway::ReadErrorKind;
use tillbook::{
    AccountName, AccountSettings, DeviceName, Error, Ledger, Money, Page, Reference, RefundKey, RefundQuery,
    RefundRequest, RefundState, Refunded, Rejection, Repeat, Requested, Sending, SyncOptions, Wanted,
};

use crate::ledger_races::until;
use crate::support::desk::{Desk, Does};

pub(crate) fn yuan(text: &str) -> Money {
    text.parse().expect("an amount")
}

pub(crate) fn account() -> AccountName {
    AccountName::new("shop-1").expect("a name")
}

pub(crate) fn key(text: &str) -> RefundKey {
    RefundKey::new(text).expect("a key")
}

pub(crate) fn request(order: &Reference, name: &str, amount: &str) -> RefundRequest {
    RefundRequest {
        account: account(),
        order: Wanted::from(order.clone()),
        requested: if amount == "all" { Requested::All } else { Requested::Exactly(yuan(amount)) },
        key: key(name),
        memo: None,
        by: None,
        expect_refundable: None,
        repeat: Repeat::Allowed,
        sending: Sending::Now,
    }
}

/// A ledger in memory over that upstream.
pub(crate) async fn ledger(desk: &Desk) -> Ledger {
    let ledger = Ledger::builder().in_memory().await.expect("opens");
    connect(&ledger, desk);
    ledger
}

pub(crate) fn connect(ledger: &Ledger, desk: &Desk) {
    ledger.connect(account(), Arc::new(desk.clone()), AccountSettings::default()).expect("connects");
}

pub(crate) async fn sync(ledger: &Ledger) -> tillbook::SyncReport {
    ledger.sync(&SyncOptions::default(), &|_| ()).await.expect("syncs")
}

pub(crate) async fn state(ledger: &Ledger, order: &Reference, name: &str) -> RefundState {
    let record = ledger.known_order(&account(), &Wanted::from(order.clone())).await.expect("reads").expect("known");
    record.refund(&key(name)).expect("there").state
}

pub(crate) fn rejection(answer: Result<Refunded, Error>) -> Rejection {
    match answer {
        Err(Error::Rejected(rejection)) => rejection,
        other => panic!("not rejected: {other:?}"),
    }
}

#[tokio::test]
async fn a_refund_is_held_sent_once_and_recorded() {
    let desk = Desk::new();
    let order = desk.order("1", "80.00");
    let ledger = ledger(&desk).await;
    let refunded = ledger.refund(request(&order, "a", "12.50")).await.expect("refunded");
    assert_eq!(refunded.refund.state, RefundState::Succeeded);
    assert_eq!((refunded.order.refunded(), refunded.order.refundable()), (yuan("12.50"), yuan("67.50")));
    assert_eq!((desk.money_out("1"), desk.refund_calls()), (yuan("12.50"), 1));
    let events = ledger.events_of(&refunded.order.id).await.expect("reads");
    let names: Vec<&str> = events.iter().map(|entry| entry.event.name()).collect();
    assert_eq!(names, ["facts_seen", "refund_held", "attempt_started", "answered"]);
}

#[tokio::test]
async fn a_replay_answers_with_the_refund_and_calls_nobody() {
    let desk = Desk::new();
    let order = desk.order("1", "80.00");
    let other = desk.order("2", "80.00");
    let ledger = ledger(&desk).await;
    ledger.refund(request(&order, "a", "80")).await.expect("refunded");
    let calls = desk.calls();
    let again = ledger.refund(request(&order, "a", "80")).await.expect("a replay");
    assert!(again.replayed);
    assert_eq!(again.refund.state, RefundState::Succeeded);
    let differs = rejection(ledger.refund(request(&order, "a", "79")).await);
    assert!(matches!(differs, Rejection::ReplayDiffers { field: "amount", .. }));
    let differs = rejection(ledger.refund(request(&other, "a", "80")).await);
    assert!(matches!(differs, Rejection::ReplayDiffers { field: "order", .. }));
    assert_eq!(desk.calls(), calls);
}

#[tokio::test]
async fn what_is_refused_on_what_is_known_here_makes_no_call() {
    let desk = Desk::new();
    let order = desk.order("1", "80.00");
    let ledger = ledger(&desk).await;
    ledger.fetch(&account(), &order.clone().into()).await.expect("fetched");
    let calls = desk.calls();
    assert_eq!(rejection(ledger.refund(request(&order, "a", "80.01")).await).kind(), "over_refundable");
    assert_eq!(rejection(ledger.refund(request(&order, "a", "0")).await).kind(), "malformed");
    assert_eq!(desk.calls(), calls);
    assert_eq!(ledger.refunds(&RefundQuery::default(), &Page::default()).await.expect("reads").refunds, []);
}

#[tokio::test]
async fn an_order_that_was_pending_here_is_asked_for_before_it_is_refused() {
    let desk = Desk::new();
    let order = desk.order("1", "80.00");
    desk.change("1", |facts| {
        facts.status = OrderStatus::Pending;
        facts.paid = Money::ZERO;
    });
    let ledger = ledger(&desk).await;
    assert_eq!(rejection(ledger.refund(request(&order, "a", "1")).await).kind(), "not_refundable");
    desk.change("1", |facts| {
        facts.status = OrderStatus::Paid;
        facts.paid = yuan("80");
    });
    let refunded = ledger.refund(request(&order, "a", "1")).await.expect("refunded");
    assert_eq!(refunded.refund.state, RefundState::Succeeded);
}

#[tokio::test]
async fn what_the_upstream_told_is_what_the_refund_is() {
    for (does, calls, want) in [
        (Does::Succeed, 1, RefundState::Succeeded),
        (Does::Accept, 1, RefundState::Succeeded), // asked about once, and told
        (Does::LoseAnswer, 1, RefundState::InDoubt),
        (Does::LoseRequest, 1, RefundState::InDoubt),
        (Does::Panic, 1, RefundState::InDoubt),
        (Does::Decline, 1, RefundState::Declined),
        (Does::NotSend, 1, RefundState::Queued),
        (Does::Block(BlockReason::Credentials), 1, RefundState::Queued),
    ] {
        let desk = Desk::new();
        let order = desk.order("1", "80.00");
        let ledger = ledger(&desk).await;
        desk.script([does.clone()]);
        let refunded = ledger.refund(request(&order, "a", "30")).await.expect("recorded");
        assert_eq!(refunded.refund.state, want, "{does:?}");
        assert_eq!(refunded.waiting.is_some(), want == RefundState::Queued, "{does:?}");
        assert_eq!(desk.refund_calls(), calls, "{does:?}");
        assert_eq!(refunded.order.held().is_zero(), want.is_final(), "{does:?}");
    }
}

#[tokio::test]
async fn a_queued_refund_goes_out_once_with_the_next_sync() {
    let desk = Desk::new();
    let order = desk.order("1", "80.00");
    let ledger = ledger(&desk).await;
    ledger.fetch(&account(), &order.clone().into()).await.expect("fetched");
    for kind in [ReadErrorKind::Unreachable, ReadErrorKind::Credentials] {
        desk.down(Some(kind));
        let refunded = ledger.refund(request(&order, "a", "30")).await.expect("queued");
        assert_eq!(refunded.refund.state, RefundState::Queued);
        let report = sync(&ledger).await;
        assert!(!report.is_clean());
        assert_eq!(desk.refund_calls(), 0);
    }
    desk.down(None);
    let report = sync(&ledger).await;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.accounts[&account()].sent, desk.executed(&key("a"))), (1, 1));
    assert_eq!(state(&ledger, &order, "a").await, RefundState::Succeeded);
    assert_eq!(sync(&ledger).await.accounts[&account()].sent, 0);
    assert_eq!(desk.refund_calls(), 1);
}

#[tokio::test]
async fn one_bad_order_delays_no_other() {
    let desk = Desk::new();
    let orders: Vec<_> = (0..20).map(|i| desk.order(&i.to_string(), "80.00")).collect();
    let ledger = ledger(&desk).await;
    sync(&ledger).await;
    for (i, order) in orders.iter().enumerate() {
        let mut request = request(order, &format!("k{i}"), "80");
        request.sending = Sending::QueueOnly;
        ledger.refund(request).await.expect("queued");
    }
    desk.change("0", |facts| facts.status = OrderStatus::Closed);
    desk.refund_elsewhere("1", "1.00");
    let report = sync(&ledger).await;
    assert_eq!(report.accounts[&account()].sent, 18);
    assert_eq!(state(&ledger, &orders[0], "k0").await, RefundState::Review);
    assert_eq!(state(&ledger, &orders[1], "k1").await, RefundState::Review);
    for (i, order) in orders.iter().enumerate().skip(2) {
        assert_eq!(state(&ledger, order, &format!("k{i}")).await, RefundState::Succeeded);
    }
}

#[tokio::test]
async fn an_accepted_refund_is_asked_about_until_it_ends() {
    let desk = Desk::new();
    let order = desk.order("1", "80.00");
    let ledger = ledger(&desk).await;
    ledger.fetch(&account(), &order.clone().into()).await.expect("fetched");
    desk.script([Does::Accept]);
    desk.silence_probes(true);
    desk.change("1", |facts| facts.refunded = None); // nor does a total tell
    let refunded = ledger.refund(request(&order, "a", "30")).await.expect("recorded");
    assert_eq!(refunded.refund.state, RefundState::Accepted);
    sync(&ledger).await;
    assert_eq!(state(&ledger, &order, "a").await, RefundState::Accepted);
    desk.silence_probes(false);
    sync(&ledger).await;
    assert_eq!(state(&ledger, &order, "a").await, RefundState::Succeeded);
    assert_eq!(desk.refund_calls(), 1);
}

#[tokio::test]
async fn where_no_client_number_is_taken_an_order_has_one_refund_in_flight() {
    let desk = Desk::without_client_number();
    let order = desk.order("1", "80.00");
    let ledger = ledger(&desk).await;
    desk.script([Does::LoseRequest]);
    let first = ledger.refund(request(&order, "a", "10")).await.expect("recorded");
    assert_eq!(first.refund.state, RefundState::InDoubt);
    let second = ledger.refund(request(&order, "b", "10")).await.expect("queued");
    assert_eq!(second.refund.state, RefundState::Queued);
    sync(&ledger).await;
    assert_eq!(desk.refund_calls(), 1);
}

#[tokio::test]
async fn a_refund_made_elsewhere_while_one_is_in_doubt_is_counted_once() {
    let desk = Desk::new();
    let order = desk.order("1", "80.00");
    let ledger = ledger(&desk).await;
    desk.script([Does::LoseAnswer]);
    ledger.refund(request(&order, "a", "30")).await.expect("recorded");
    desk.refund_elsewhere("1", "20");
    let record = ledger.fetch(&account(), &order.clone().into()).await.expect("fetched");
    let amounts = [record.refunded(), record.held(), record.refundable(), record.excess()];
    assert_eq!(amounts, [yuan("20"), yuan("30"), yuan("30"), Money::ZERO]);
    assert_eq!(rejection(ledger.refund(request(&order, "b", "30.01")).await).kind(), "over_refundable");
    let last = ledger.refund(request(&order, "b", "30")).await.expect("refunded");
    assert_eq!(last.refund.state, RefundState::Succeeded);
    assert_eq!(desk.money_out("1"), yuan("80"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_quarters_at_once_exactly_four_go_out() {
    let desk = Desk::new();
    let ledger = ledger(&desk).await;
    for round in 0..50 {
        let order = desk.order(&round.to_string(), "80.00");
        let tasks: Vec<_> = (0..64)
            .map(|i| {
                let (ledger, request) = (ledger.clone(), request(&order, &format!("k{round}-{i}"), "20"));
                tokio::spawn(async move { ledger.refund(request).await })
            })
            .collect();
        let mut granted = 0;
        for task in tasks {
            match task.await.expect("no panic") {
                Ok(refunded) => {
                    assert_eq!(refunded.refund.state, RefundState::Succeeded);
                    granted += 1;
                }
                Err(Error::Rejected(Rejection::OverRefundable { .. })) => {}
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!((granted, desk.money_out(&round.to_string())), (4, yuan("80")));
    }
    assert_eq!(desk.refund_calls(), 200);
}

/// Lets the upstream answer only so many calls, drops the caller's future while it waits for the next (at the first
/// fetch, the fresh facts, the refund itself) or after so many polls, and looks where the refund got to by itself.
#[tokio::test]
async fn dropping_the_callers_future_at_any_await_ends_as_if_it_had_been_awaited() {
    let mut dropped_while_it_waited = 0;
    for (calls, polls) in (0..4).map(|calls| (calls, 500)).chain((1..60).map(|polls| (3, polls))) {
        let desk = Desk::new();
        let order = desk.order("1", "80.00");
        let ledger = ledger(&desk).await;
        desk.gate.forget_permits(1_000_000);
        desk.gate.add_permits(calls);
        {
            let mut refund = pin!(ledger.refund(request(&order, "a", "30")));
            let mut waits = true;
            for _ in 0..polls {
                waits = refund.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
                if !waits {
                    break;
                }
                tokio::task::yield_now().await;
            }
            dropped_while_it_waited += u32::from(waits);
            assert!(waits || calls >= 3, "it ended although call {calls} was never answered");
        }
        desk.gate.add_permits(1_000_000 - calls);
        // Nobody asks again: it gets there by itself.
        until("the refund ends", async || {
            let found = ledger.refunds(&RefundQuery::default(), &Page::default()).await.expect("reads");
            found.refunds.iter().any(|(_, refund)| refund.state == RefundState::Succeeded)
        })
        .await;
        assert_eq!((desk.executed(&key("a")), desk.refund_calls()), (1, 1), "{calls} calls, {polls} polls");
    }
    assert!(dropped_while_it_waited > 3, "no future was dropped while it waited");
}

#[tokio::test]
async fn a_refund_that_was_being_sent_when_the_process_ended_is_in_doubt_and_held() {
    let dir = tempfile::tempdir().expect("a directory");
    let desk = Desk::new();
    let order = desk.order("1", "80.00");
    // The gateway waits for ever; the runtime ends, as a process does.
    desk.gate.forget_permits(1_000_000);
    let path = dir.path().to_owned();
    let (desk_there, order_there) = (desk.clone(), order.clone());
    tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
        runtime.block_on(async {
            let ledger = Ledger::builder().open(&path).await.expect("opens");
            connect(&ledger, &desk_there);
            desk_there.gate.add_permits(2); // the order's first fetch and the fresh facts
            let refund = tokio::spawn({
                let (ledger, request) = (ledger.clone(), request(&order_there, "a", "30"));
                async move { ledger.refund(request).await }
            });
            while ledger
                .events(0, 100)
                .await
                .expect("reads")
                .iter()
                .all(|entry| !matches!(entry.event, Event::AttemptStarted { .. }))
            {
                tokio::task::yield_now().await;
            }
            refund.abort();
        });
    })
    .await
    .expect("the first owner ended");
    // The first owner's threads let go of the files a moment after it.
    let builder = Ledger::builder().device(DeviceName::new("till-4").expect("a name"));
    let ledger = builder.lock_wait(Duration::from_secs(10)).open(dir.path()).await;
    let ledger = ledger.expect("opens again");
    connect(&ledger, &desk);
    let record = ledger.known_order(&account(), &order.clone().into()).await.expect("reads").expect("known");
    assert_eq!(record.refund(&key("a")).map(|refund| refund.state), Some(RefundState::InDoubt));
    assert_eq!(record.held(), yuan("30"));
    assert_eq!(ledger.verify().await.expect("reads").differences, []);
}

#[tokio::test]
async fn a_canceled_refund_gives_its_hold_back_and_is_never_sent() {
    let desk = Desk::new();
    let order = desk.order("1", "80.00");
    let ledger = ledger(&desk).await;
    ledger.fetch(&account(), &order.clone().into()).await.expect("fetched");
    let queued = RefundRequest { sending: Sending::QueueOnly, ..request(&order, "a", "30") };
    ledger.refund(queued).await.expect("queued");
    for _ in 0..2 {
        let canceled = ledger.cancel(&account(), &key("a"), None).await.expect("canceled");
        assert_eq!(canceled.refund.state, RefundState::Canceled);
        assert_eq!(canceled.order.refundable(), yuan("80"));
    }
    sync(&ledger).await;
    assert_eq!(desk.refund_calls(), 0);
    let unknown = ledger.cancel(&account(), &key("b"), None).await;
    assert!(matches!(unknown, Err(Error::Rejected(Rejection::UnknownRefund { .. }))));
}

#[tokio::test]
async fn a_dry_run_answers_as_the_refund_would_and_writes_nothing() {
    let desk = Desk::new();
    let order = desk.order("1", "80.00");
    let ledger = ledger(&desk).await;
    ledger.fetch(&account(), &order.clone().into()).await.expect("fetched");
    let calls = desk.calls();
    let would = ledger.dry_run(request(&order, "a", "all")).await.expect("would be granted");
    assert_eq!((would.refund.amount, would.order.refundable()), (yuan("80"), Money::ZERO));
    assert_eq!(rejection(ledger.dry_run(request(&order, "a", "81")).await).kind(), "over_refundable");
    assert_eq!(desk.calls(), calls);
    assert_eq!(ledger.events(0, 10).await.expect("reads").len(), 1);
}
