//! The ledger over a real wire: what it says, held against the sandbox's own books.

use std::sync::Arc;
use std::time::Duration;

use tillbook::sandbox::{Fault, FaultKind, Upstream};
use tillbook::{AccountSettings, Error, Money, RefundState, Rejection};

use crate::support::shop::{Shop, UPSTREAMS, key, refund_of, yuan};

/// Rounds of the load tests; `TILLBOOK_LONG=1` for ten times as many.
fn rounds(short: u32) -> u32 {
    if std::env::var_os("TILLBOOK_LONG").is_some() { short * 10 } else { short }
}

#[tokio::test]
async fn part_of_an_order_then_the_rest_moves_exactly_that_money() {
    for upstream in UPSTREAMS {
        let shop = Shop::open(upstream).await;
        let order = shop.order("80.00");
        let part = shop.refund(&order, "part", "12.50").await.expect("refunded");
        assert_eq!(part.refund.state, RefundState::Succeeded, "{upstream}: {part:?}");
        let rest = shop.refund(&order, "rest", "all").await.expect("refunded");
        assert_eq!((rest.refund.state, rest.refund.amount), (RefundState::Succeeded, yuan("67.50")), "{upstream}");
        assert_eq!(rest.order.refund_status().as_str(), "complete", "{upstream}");
        assert_eq!(shop.money_out(&order), yuan("80"), "{upstream}");
        // One fen more is refused here, without any call.
        let calls = shop.sandbox.calls();
        let refused = shop.refund(&order, "more", "0.01").await;
        assert!(matches!(refused, Err(Error::Rejected(Rejection::OverRefundable { .. }))), "{upstream}");
        assert_eq!(shop.sandbox.calls(), calls, "{upstream}");
        // What the upstream says afterwards is what the ledger says.
        let record = shop.fetch(&order).await;
        assert_eq!((record.refunded(), record.external, record.excess()), (yuan("80"), Money::ZERO, Money::ZERO));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_quarters_at_once_exactly_four_go_out_and_the_refused_make_no_call() {
    for upstream in UPSTREAMS {
        let shop = Arc::new(Shop::open(upstream).await);
        for round in 0..rounds(if upstream == Upstream::Fubei { 100 } else { 20 }) {
            let order = shop.order("80.00");
            let before = shop.sandbox.calls().refunds;
            let tasks: Vec<_> = (0..64)
                .map(|i| {
                    let (shop, order) = (shop.clone(), order.clone());
                    tokio::spawn(async move { shop.refund(&order, &format!("k{round}-{i}"), "20").await })
                })
                .collect();
            let mut succeeded = 0;
            for task in tasks {
                match task.await.expect("no panic") {
                    Ok(refunded) => {
                        assert_eq!(refunded.refund.state, RefundState::Succeeded, "{upstream}: {refunded:?}");
                        succeeded += 1;
                    }
                    Err(Error::Rejected(Rejection::OverRefundable { .. })) => {}
                    Err(other) => panic!("{upstream}: {other}"),
                }
            }
            assert_eq!((succeeded, shop.money_out(&order)), (4, yuan("80")), "{upstream}, round {round}");
            assert_eq!(shop.sandbox.calls().refunds - before, 4, "{upstream}, round {round}");
        }
        assert_eq!(shop.sandbox.books().overpaid(), Vec::<&tillbook::sandbox::OrderBook>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_on_many_orders_at_once_refunds_one_of_them() {
    let shop = Arc::new(Shop::open(Upstream::Fubei).await);
    for round in 0..rounds(20) {
        let name = format!("same-{round}");
        let mut tasks = Vec::new();
        for order in (0..16).map(|_| shop.order("80.00")) {
            let (shop, name) = (shop.clone(), name.clone());
            tasks.push(tokio::spawn(async move { shop.refund(&order, &name, "1").await }));
        }
        let mut won = 0;
        for task in tasks {
            match task.await.expect("no panic") {
                Ok(_) => won += 1,
                Err(Error::Rejected(Rejection::ReplayDiffers { field: "order", .. })) => {}
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!((won, shop.sandbox.books().by_client_no(&name).len()), (1, 1), "round {round}");
    }
}

/// Each fault of the wire, with the state it must leave and whether money may have moved.
#[tokio::test]
async fn each_fault_of_the_wire_leaves_the_state_that_is_true() {
    let soon = Duration::from_millis(50);
    for upstream in UPSTREAMS {
        for (kind, want, moved) in [
            (FaultKind::DropBefore, RefundState::InDoubt, false),
            (FaultKind::DropAfter, RefundState::InDoubt, true),
            (FaultKind::HttpBefore(500), RefundState::InDoubt, false),
            (FaultKind::HttpAfter(500), RefundState::InDoubt, true),
            (FaultKind::Redirect(302), RefundState::InDoubt, false),
            (FaultKind::Garbage, RefundState::InDoubt, true),
            (FaultKind::Truncated, RefundState::InDoubt, true),
            (FaultKind::Delay(Duration::from_secs(20)), RefundState::InDoubt, true),
            (FaultKind::Delay(soon), RefundState::Succeeded, true),
        ] {
            let shop = Shop::open(upstream).await;
            let order = shop.order("80.00");
            let fault = Fault::new(refund_of(upstream), kind);
            shop.sandbox.set_fault(fault).expect("fits");
            let refunded = shop.refund(&order, "a", "30").await.expect("recorded");
            assert_eq!(shop.sandbox.pending_faults(), [], "{upstream} {kind:?} never fired");
            assert_eq!(refunded.refund.state, want, "{upstream} {kind:?}: {:?}", refunded.refund);
            let out = if moved { yuan("30") } else { Money::ZERO };
            assert_eq!(shop.money_out(&order), out, "{upstream} {kind:?}");
            // A sync finds the proof where there is one; else it stays held, and no sync sends it again.
            shop.sync().await;
            let shut = upstream == Upstream::Hydrogen && !moved;
            assert_eq!(shop.sandbox.calls().refunds, 1, "{upstream} {kind:?}");
            let proven = if moved { RefundState::Succeeded } else { RefundState::InDoubt };
            let proven = if shut { RefundState::Queued } else { proven };
            assert_eq!(shop.state(&order, "a").await, proven, "{upstream} {kind:?}");
        }
    }
}

#[tokio::test]
async fn a_refund_while_the_network_is_away_goes_out_once_when_it_is_back_even_after_a_restart() {
    for upstream in UPSTREAMS {
        let shop = Shop::open(upstream).await;
        let order = shop.order("80.00");
        shop.fetch(&order).await;
        shop.sandbox.network_down().await;
        let refunded = shop.refund(&order, "a", "30").await.expect("queued");
        assert_eq!(refunded.refund.state, RefundState::Queued, "{upstream}");
        assert!(refunded.waiting.is_some(), "{upstream}");
        assert!(!shop.sync().await.is_clean(), "{upstream}");
        let shop = shop.reopen().await;
        shop.sandbox.network_up().await.expect("listens again");
        shop.sync().await;
        shop.sync().await;
        assert_eq!(shop.state(&order, "a").await, RefundState::Succeeded, "{upstream}");
        assert_eq!((shop.money_out(&order), shop.sandbox.calls().refunds), (yuan("30"), 1), "{upstream}");
    }
}

#[tokio::test]
async fn refused_credentials_leave_a_refund_queued_and_one_sync_after_mending_sends_it_once() {
    for upstream in UPSTREAMS {
        let shop = Shop::open(upstream).await;
        let order = shop.order("80.00");
        shop.fetch(&order).await;
        let good = shop.sandbox.credentials();
        let mut other = good.clone();
        other.fubei_secret = "another-secret".to_owned();
        other.trade_order_token = "another.token".to_owned();
        other.function_secret = "another-function-secret".to_owned();
        other.hydrogen_token = "another-token".to_owned();
        shop.sandbox.set_credentials(other);
        let refunded = shop.refund(&order, "a", "30").await.expect("queued");
        assert_eq!(refunded.refund.state, RefundState::Queued, "{upstream}");
        let report = shop.sync().await;
        assert!(!report.is_clean(), "{upstream}");
        shop.sandbox.set_credentials(good);
        shop.sync().await;
        assert_eq!(shop.state(&order, "a").await, RefundState::Succeeded, "{upstream}");
        assert_eq!(shop.money_out(&order), yuan("30"), "{upstream}");
        assert_eq!(shop.sandbox.books().order(upstream, &order.id).map(|book| book.refunds.len()), Some(1));
    }
}

#[tokio::test]
async fn a_refund_made_elsewhere_while_one_is_held_or_in_doubt_is_counted_once() {
    for upstream in UPSTREAMS {
        // Held.
        let shop = Shop::open(upstream).await;
        let order = shop.order("80.00");
        shop.fetch(&order).await;
        shop.sandbox.network_down().await;
        shop.refund(&order, "a", "30").await.expect("queued");
        shop.sandbox.network_up().await.expect("listens again");
        shop.sandbox.refund_elsewhere(upstream, &order.id, 2000).expect("there is enough");
        let record = shop.fetch(&order).await;
        let amounts = [record.refunded(), record.held(), record.refundable(), record.excess()];
        assert_eq!(amounts, [yuan("20"), yuan("30"), yuan("30"), Money::ZERO], "{upstream}, held");
        shop.sync().await;
        let record = shop.fetch(&order).await;
        let amounts = [record.refunded(), record.held(), record.refundable(), record.excess()];
        assert_eq!(amounts, [yuan("50"), Money::ZERO, yuan("30"), Money::ZERO], "{upstream}, sent");
        assert_eq!(shop.money_out(&order), yuan("50"), "{upstream}");
        // In doubt, and done.
        let order = shop.order("80.00");
        let lost = Fault::new(refund_of(upstream), FaultKind::DropAfter);
        shop.sandbox.set_fault(lost).expect("fits");
        assert_eq!(shop.refund(&order, "b", "30").await.expect("kept").refund.state, RefundState::InDoubt);
        shop.sandbox.refund_elsewhere(upstream, &order.id, 2000).expect("there is enough");
        let record = shop.fetch(&order).await;
        assert_eq!([record.held(), record.excess()], [yuan("30"), Money::ZERO], "{upstream}, in doubt");
        assert!(record.refundable() <= yuan("30"), "{upstream}: {} granted beyond what is left", record.refundable());
        let more = shop.refund(&order, "c", "30.01").await;
        assert!(matches!(more, Err(Error::Rejected(Rejection::OverRefundable { .. }))), "{upstream}: {more:?}");
        assert!(shop.sandbox.books().overpaid().is_empty(), "{upstream}");
    }
}

#[tokio::test]
async fn the_channels_interval_queues_a_second_refund_of_an_order() {
    let shop = Shop::open(Upstream::Fubei).await;
    shop.connect(AccountSettings::default()); // WeChat's 60 seconds
    let order = shop.order("80.00");
    assert_eq!(shop.refund(&order, "a", "1").await.expect("refunded").refund.state, RefundState::Succeeded);
    let second = shop.refund(&order, "b", "1").await.expect("queued");
    assert_eq!(second.refund.state, RefundState::Queued);
    shop.sync().await;
    assert_eq!(shop.sandbox.calls().refunds, 1);
    shop.connect(AccountSettings { refund_interval: Some(Duration::ZERO), ..AccountSettings::default() });
    assert_eq!(second.order.refund(&key("b")).map(|refund| refund.attempts), Some(0));
}

#[tokio::test]
async fn all_orders_of_all_upstreams_come_in_and_a_second_sync_writes_nothing() {
    for upstream in UPSTREAMS {
        let shop = Shop::open(upstream).await;
        shop.sandbox.seed_orders(130).expect("made");
        let report = shop.sync().await;
        let account = report.accounts.values().next().expect("one account");
        assert!(report.is_clean(), "{upstream}: {:?}", account.problems);
        let books = shop.sandbox.books();
        let paid = books.orders.iter().filter(|order| order.upstream == upstream && order.paid_fen > 0);
        assert!(account.orders_new as usize >= paid.count() / 2, "{upstream}: {account:?}");
        for book in books.orders.iter().filter(|order| order.upstream == upstream) {
            let wanted = book.id.parse().expect("a number");
            let known = shop.ledger.known_order(&crate::support::shop::account(), &wanted).await.expect("reads");
            let Some(record) = known else { continue };
            if record.facts.status == tillbook::OrderStatus::Paid && record.facts.refunded.is_some() {
                assert_eq!(record.paid().fen(), book.paid_fen, "{upstream} {}", book.id);
                assert_eq!(record.refunded().fen(), book.money_out_fen, "{upstream} {}", book.id);
            }
        }
        let events = shop.ledger.events(0, usize::MAX).await.expect("reads").len();
        shop.sync().await;
        assert_eq!(shop.ledger.events(0, usize::MAX).await.expect("reads").len(), events, "{upstream}");
        assert_eq!(shop.ledger.verify().await.expect("reads").differences, [], "{upstream}");
    }
}
