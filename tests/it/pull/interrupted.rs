//! Rounds that end in the middle: refused at a page, dropped anywhere, killed on disk, shifted while read.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use tillbook::SyncOptions;
use tillbook::gateway::{ReadError, ReadErrorKind};
use tillbook::sandbox::{Fault, FaultKind, NewOrder, Operation, Upstream};

use super::*;
use crate::support::shop::Shop;

/// Refuses the k-th page from now on, once.
fn refuse_page(desk: &Desk, k: u64, kind: ReadErrorKind) {
    let asked = AtomicU64::new(0);
    desk.before_page(move |_| match asked.fetch_add(1, Ordering::SeqCst) == k {
        true => Err(ReadError::new(kind, "not now")),
        false => Ok(()),
    });
}

#[tokio::test]
async fn a_list_refused_at_any_page_goes_on_there_and_loses_nothing() {
    for lists in [Lists::ByTime, Lists::Whole, Lists::OldestFirst] {
        for k in 0..4 {
            let desk = Desk::that_lists(lists);
            fill(&desk, "a", 350, DAY);
            let till = Till::of(&desk).await;
            refuse_page(&desk, k, ReadErrorKind::Unreachable);
            let report = till.sync().await;
            let problem = format!("orders could not be listed from row {}: not now", k * 100);
            assert_eq!((report.pages, report.problems), (k, vec![problem]), "{lists:?}");
            // While nobody looks, orders arrive.
            fill(&desk, "b", 5, MINUTE);
            desk.pages();
            let report = till.sync().await;
            assert_eq!(report.problems, Vec::<String>::new(), "{lists:?}");
            assert_eq!(till.numbers().await, all(&[("a", 350), ("b", 5)]), "{lists:?}, page {k}");
            // One page back, for rows may have moved.
            assert_eq!(offsets(&desk)[0], k.saturating_sub(1) * 100, "{lists:?}, page {k}");
        }
    }
}

#[tokio::test]
async fn a_page_that_never_comes_keeps_the_top_from_nobody() {
    let desk = Desk::new();
    fill(&desk, "a", 350, DAY);
    let till = Till::of(&desk).await;
    desk.before_page(|page| match page.offset {
        200 => Err(ReadError::new(ReadErrorKind::Unreadable, "never")),
        _ => Ok(()),
    });
    till.sync().await;
    fill(&desk, "b", 5, MINUTE);
    till.hands.set(till.hands.now().saturating_add(MINUTE * 61));
    till.sync().await;
    till.sync().await;
    let known = till.numbers().await;
    assert!(all(&[("b", 5)]).iter().all(|number| known.contains(number)), "{known:?}");
}

/// Lets a sync go on so many times at most, each time up to where it waits, then drops it. Whether it
/// ended by itself.
async fn dropped_after(ledger: &Ledger, steps: u32) -> bool {
    let (options, watcher) = (SyncOptions::default(), |_: &tillbook::Progress| ());
    let mut sync = pin!(ledger.sync(&options, &watcher));
    let mut left = steps;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        sync.as_mut().poll(context).map(|done| done.is_ok())
    })
    .await
}

#[tokio::test]
async fn a_sync_dropped_anywhere_is_taken_up_by_the_next() {
    for lists in [Lists::ByTime, Lists::Whole] {
        let (mut steps, mut drops) = (0, 0);
        loop {
            let desk = Desk::that_lists(lists);
            fill(&desk, "a", 350, MINUTE);
            let till = Till::of(&desk).await;
            let ended = dropped_after(&till.ledger, steps).await;
            fill(&desk, "b", 5, Duration::ZERO);
            let report = till.sync().await;
            assert_eq!(report.problems, Vec::<String>::new());
            assert_eq!(till.numbers().await, all(&[("a", 350), ("b", 5)]), "{lists:?}, dropped after {steps}");
            if ended {
                break;
            }
            drops += 1;
            steps += 1 + steps / 8; // each of the first steps, then ever fewer
        }
        assert!(drops > 4, "the sync was dropped {drops} times only");
    }
}

#[tokio::test]
async fn orders_that_arrive_while_pages_are_read_push_none_out() {
    for lists in [Lists::Whole, Lists::OldestFirst, Lists::NextIsAlwaysSet] {
        for arriving in [1, 100, 150] {
            let desk = Desk::that_lists(lists);
            fill(&desk, "a", 250, DAY);
            let till = Till::of(&desk).await;
            let (upstream, mut page) = (desk.clone(), 0);
            desk.before_page(move |_| {
                page += 1;
                if page < 4 {
                    fill(&upstream, &format!("b{page}"), arriving, MINUTE);
                }
                Ok(())
            });
            let first = till.sync().await;
            let known = till.numbers().await;
            assert!(all(&[("a", 250)]).iter().all(|number| known.contains(number)), "{lists:?}, {arriving}");
            let second = till.sync().await;
            let mut want: Vec<String> = (1..4).flat_map(|page| all(&[(&format!("b{page}"), arriving)])).collect();
            want.splice(0..0, all(&[("a", 250)]));
            assert_eq!(till.numbers().await, want, "{lists:?}, {arriving}");
            assert_eq!(first.orders_new + second.orders_new, want.len() as u64);
        }
    }
}

#[tokio::test]
async fn a_list_over_the_wire_goes_on_after_its_process_began_again() {
    for (upstream, operation) in
        [(Upstream::TradeOrder, Operation::TradeOrderList), (Upstream::Hydrogen, Operation::FunctionList)]
    {
        for nth in 1..4 {
            let shop = Shop::open(upstream).await;
            for _ in 0..250 {
                shop.sandbox.add_order(upstream, NewOrder::paid(8000)).expect("an order");
            }
            shop.sandbox.set_fault(Fault::new(operation, FaultKind::HttpBefore(500)).nth(nth)).expect("a fault");
            let report = shop.sync().await;
            assert!(!report.is_clean() && shop.sandbox.pending_faults().is_empty(), "{upstream}: {report:?}");
            let shop = shop.reopen().await;
            shop.sandbox.add_order(upstream, NewOrder::paid(8000)).expect("an order");
            let report = shop.sync().await;
            assert!(report.is_clean(), "{upstream}: {report:?}");
            let page = Page { limit: 1_000, after: None };
            let known = shop.ledger.orders(&OrderQuery::default(), &page).await.expect("reads").orders;
            let mut known: Vec<_> = known.iter().filter_map(|record| record.facts.native.clone()).collect();
            known.sort();
            let mut there: Vec<_> = shop.sandbox.books().orders.into_iter().map(|order| order.id).collect();
            there.sort();
            assert_eq!(known.into_iter().map(|native| native.number).collect::<Vec<_>>(), there, "{upstream}");
        }
    }
}
