//! What every storage promises, over each of them: in memory, embedded, and embedded with an index that
//! has stopped following.

use std::collections::BTreeSet;
use std::sync::Arc;

use tillbook::domain::decide::Refusal;
use tillbook::domain::{Event, Money, Outcome, RefundState, RefundStatus};
use tillbook::storage::embedded::Embedded;
use tillbook::storage::memory::Memory;
use tillbook::storage::{OrderQuery, Page, Storage, StorageError, TransactError};

use super::fixture::*;

/// Runs each fact over every storage.
macro_rules! facts_of_every_storage {
    ($($fact:ident)+) => {
        mod memory {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $fact() {
                super::$fact(Arc::new(Memory::new(device()))).await;
            })+
        }
        mod embedded {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $fact() {
                let directory = tempfile::tempdir().expect("a temporary directory");
                super::$fact(Arc::new(open(directory.path()))).await;
            })+
        }
        mod embedded_with_a_stalled_index {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $fact() {
                let directory = tempfile::tempdir().expect("a temporary directory");
                let storage: Embedded = open(directory.path());
                storage.stall_index(true);
                super::$fact(Arc::new(storage)).await;
            })+
        }
    };
}

facts_of_every_storage! {
    what_is_written_is_read_back_by_every_name
    facts_that_change_nothing_write_nothing
    a_refused_command_writes_nothing
    quarters_of_one_order_asked_by_64_are_granted_four_times
    one_refund_key_asked_for_by_many_orders_is_given_once
    an_order_sees_who_else_bears_its_numbers
    events_come_in_order_without_gaps_from_anywhere
    pages_are_newest_first_and_hold_still_while_orders_are_written
    a_page_holds_only_what_was_asked_for_and_is_never_short
    the_queue_is_what_is_due_oldest_first
    a_refund_is_found_in_the_state_it_is_in
    cursors_of_any_length_are_kept
    records_of_any_size_are_kept
    many_commands_are_answered_in_order_each_by_itself
    a_caller_who_goes_away_changes_nothing
    a_decision_that_panics_ends_all_writing_and_no_reading
    a_closed_storage_says_so
    a_page_token_of_nobody_is_refused
}

type AnyStorage = Arc<dyn Storage>;

async fn all_events(storage: &dyn Storage) -> usize {
    storage.events(0, usize::MAX).await.expect("readable").len()
}

async fn what_is_written_is_read_back_by_every_name(storage: AnyStorage) {
    let written = add(&*storage, 7).await;
    assert_eq!(written.record.version, 1);
    assert_eq!(written.entries.len(), 1);
    assert_eq!(written.entries[0].device, device());
    assert_eq!(storage.get(&order(7)).await.expect("readable"), Some(written.record));
    assert_eq!(storage.get(&order(8)).await.expect("readable"), None);
    let (shop, sn) = (account(), order_sn(7));
    let by_number = vec![(order(7), "order_sn".to_owned())];
    assert_eq!(storage.find(&shop, None, &sn).await.expect("readable"), by_number);
    assert_eq!(storage.find(&shop, Some("order_sn"), &sn).await.expect("readable"), by_number);
    assert_eq!(storage.find(&shop, Some("merchant_order_sn"), &sn).await.expect("readable"), []);
    assert_eq!(storage.find(&shop, None, &sn[..sn.len() - 1]).await.expect("readable"), []);
    let elsewhere = tillbook::AccountName::new("shop-10").expect("valid");
    assert_eq!(storage.find(&elsewhere, None, &sn).await.expect("readable"), []);

    let held = must(&*storage, hold(&order(7), "r-1", 500)).await;
    assert_eq!(held.record.held(), fen(500));
    assert_eq!(storage.get(&order(7)).await.expect("readable"), Some(held.record));
    assert_eq!(storage.find_refund(&shop, &key("r-1")).await.expect("readable"), Some(order(7)));
    assert_eq!(storage.find_refund(&shop, &key("r-2")).await.expect("readable"), None);
    assert_eq!(storage.find_refund(&elsewhere, &key("r-1")).await.expect("readable"), None);
}

async fn facts_that_change_nothing_write_nothing(storage: AnyStorage) {
    let first = add(&*storage, 1).await;
    let again = add(&*storage, 1).await;
    assert_eq!((again.record, again.entries.len()), (first.record, 0));
    assert_eq!(all_events(&*storage).await, 1);
}

async fn a_refused_command_writes_nothing(storage: AnyStorage) {
    let before = add(&*storage, 1).await.record;
    let words = refused(&*storage, hold(&order(1), "r-1", 8001)).await;
    let want = "80.01 is more than the 80.00 that may still be refunded (paid 80.00, refunded 0.00, held 0.00)";
    assert_eq!(words, want);
    assert_eq!(refused(&*storage, hold(&order(2), "r-1", 1)).await, format!("no order {} in account shop-1", order(2)));
    assert_eq!(storage.get(&order(1)).await.expect("readable"), Some(before));
    assert_eq!(storage.find_refund(&account(), &key("r-1")).await.expect("readable"), None);
    assert_eq!(all_events(&*storage).await, 1);
}

async fn quarters_of_one_order_asked_by_64_are_granted_four_times(storage: AnyStorage) {
    for round in 0..5 {
        add(&*storage, round).await;
        let tasks: Vec<_> = (0..64)
            .map(|task| {
                let storage = Arc::clone(&storage);
                tokio::spawn(
                    async move { storage.transact(hold(&order(round), &format!("r-{round}-{task}"), 2000)).await },
                )
            })
            .collect();
        let mut granted = 0;
        for task in tasks {
            match task.await.expect("no panic") {
                Ok(committed) => {
                    granted += 1;
                    assert!(committed.record.committed() <= committed.record.paid());
                }
                Err(TransactError::Refused(Refusal::Rejected(_))) => {}
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(granted, 4);
        let record = storage.get(&order(round)).await.expect("readable").expect("there");
        assert_eq!((record.held(), record.refundable(), record.refunds.len()), (fen(8000), Money::ZERO, 4));
    }
}

async fn one_refund_key_asked_for_by_many_orders_is_given_once(storage: AnyStorage) {
    for number in 0..32 {
        add(&*storage, number).await;
    }
    let tasks: Vec<_> = (0..32)
        .map(|number| {
            let storage = Arc::clone(&storage);
            tokio::spawn(async move { storage.transact(hold(&order(number), "the-one", 100)).await.is_ok() })
        })
        .collect();
    let mut winners = Vec::new();
    for (number, task) in (0..).zip(tasks) {
        if task.await.expect("no panic") {
            winners.push(order(number));
        }
    }
    assert_eq!(winners.len(), 1);
    let holder = storage.find_refund(&account(), &key("the-one")).await.expect("readable");
    assert_eq!(holder.as_ref(), winners.first());
    assert_eq!(storage.refunds_in(RefundState::Queued, None, 100).await.expect("readable").len(), 1);
}

async fn an_order_sees_who_else_bears_its_numbers(storage: AnyStorage) {
    add(&*storage, 1).await;
    let mut other = facts(2);
    other.references.insert("merchant_order_sn".to_owned(), "m-1".to_owned());
    must(&*storage, see(other)).await;
    let found = storage.find(&account(), None, "m-1").await.expect("readable");
    let kind = "merchant_order_sn".to_owned();
    assert_eq!(found, [(order(1), kind.clone()), (order(2), kind)]);
    let words = refused(&*storage, hold(&order(1), "r-1", 100)).await;
    let want = "both claim merchant_order_sn=m-1; neither is refunded until that is cleared up";
    assert_eq!(words, format!("order {} and order {} {want}", order(1), order(2)));
}

async fn events_come_in_order_without_gaps_from_anywhere(storage: AnyStorage) {
    for number in 0..20 {
        add(&*storage, number).await;
        must(&*storage, hold(&order(number), &format!("r-{number}"), 100)).await;
        storage.put_cursor("orders", number.to_string()).await.expect("kept");
    }
    let all = storage.events(0, usize::MAX).await.expect("readable");
    assert_eq!(all.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), (1..=40).collect::<Vec<u64>>());
    for after in 0..41 {
        let some = storage.events(after, 7).await.expect("readable");
        let want: Vec<_> = all.iter().skip(usize::try_from(after).expect("small")).take(7).cloned().collect();
        assert_eq!(some, want, "after {after}");
    }
    assert_eq!(storage.events(u64::MAX, 7).await.expect("readable"), []);
    assert_eq!(storage.events(0, 0).await.expect("readable"), []);
    let of_order = storage.events_of(&order(3)).await.expect("readable");
    let want: Vec<_> = all.iter().filter(|entry| entry.order == order(3)).cloned().collect();
    assert_eq!(of_order, want);
    assert_eq!(of_order.iter().map(|entry| entry.version).collect::<Vec<_>>(), [1, 2]);
    assert!(matches!(of_order[1].event, Event::RefundHeld { .. }));
    assert_eq!(storage.events_of(&order(99)).await.expect("readable"), []);
}

async fn pages_are_newest_first_and_hold_still_while_orders_are_written(storage: AnyStorage) {
    for number in 0..50 {
        add(&*storage, 2 * number).await;
    }
    let mut seen = Vec::new();
    let mut page = Page { limit: 7, after: None };
    loop {
        let answer = storage.scan(&OrderQuery::default(), &page).await.expect("readable");
        assert!(answer.orders.len() == 7 || answer.next.is_none());
        seen.extend(answer.orders.iter().map(|record| record.id.clone()));
        let Some(next) = answer.next else { break };
        page.after = Some(next);
        // Newer orders, and changes to orders that were shown already.
        add(&*storage, 1001 + i64::try_from(seen.len()).expect("small")).await;
        must(&*storage, hold(&seen[0], &format!("r-{}", seen.len()), 1)).await;
    }
    let want: Vec<_> = (0..50).rev().map(|number| order(2 * number)).collect();
    assert_eq!(seen, want);
}

async fn a_page_holds_only_what_was_asked_for_and_is_never_short(storage: AnyStorage) {
    for number in 0..40 {
        add(&*storage, number).await;
    }
    for number in (0..40).step_by(4) {
        must(&*storage, hold(&order(number), &format!("r-{number}"), 100)).await;
        must(&*storage, begin(number, &format!("r-{number}"))).await;
        must(&*storage, settle(&order(number), &format!("r-{number}"), Outcome::Succeeded)).await;
    }
    let partial = OrderQuery { refund_status: Some(RefundStatus::Partial), ..OrderQuery::default() };
    let first = storage.scan(&partial, &Page { limit: 6, after: None }).await.expect("readable");
    let ids = |orders: &[Arc<tillbook::domain::OrderRecord>]| orders.iter().map(|r| r.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&first.orders), [36, 32, 28, 24, 20, 16].map(order));
    let rest = storage.scan(&partial, &Page { limit: 4, after: first.next }).await.expect("readable");
    assert_eq!(ids(&rest.orders), [12, 8, 4, 0].map(order));
    assert_eq!(rest.next, None);
    let between = OrderQuery { from: Some(at(3)), to: Some(at(6)), ..OrderQuery::default() };
    let found = storage.scan(&between, &Page::default()).await.expect("readable");
    assert_eq!(ids(&found.orders), [5, 4, 3].map(order));
    let elsewhere =
        OrderQuery { account: Some(tillbook::AccountName::new("shop-2").expect("valid")), ..OrderQuery::default() };
    let none = storage.scan(&elsewhere, &Page::default()).await.expect("readable");
    assert_eq!((ids(&none.orders), none.next), (vec![], None));
}

async fn the_queue_is_what_is_due_oldest_first(storage: AnyStorage) {
    for number in 0..5 {
        add(&*storage, number).await;
        let mut late = hold(&order(number), &format!("r-{number}"), 100);
        late.now = at(10 - number);
        must(&*storage, late).await;
    }
    let queue = storage.refunds_in(RefundState::Queued, None, 100).await.expect("readable");
    assert!(queue.iter().all(|due| due.account == account()));
    let keys = |queue: &[tillbook::storage::DueRefund]| queue.iter().map(|due| due.key.to_string()).collect::<Vec<_>>();
    assert_eq!(queue.len(), 5);
    let limited = storage.refunds_in(RefundState::Queued, None, 2).await.expect("readable");
    assert_eq!(keys(&limited), keys(&queue)[..2]);
    let due = storage.refunds_in(RefundState::Queued, Some(at(0)), 100).await.expect("readable");
    let records = futures_of(&*storage, &due).await;
    assert!(records.iter().all(|due_at| *due_at <= at(0)));
    assert_eq!(storage.refunds_in(RefundState::Queued, Some(at(-1)), 100).await.expect("readable"), []);
}

/// When each refund of a queue is due, by its record.
async fn futures_of(storage: &dyn Storage, queue: &[tillbook::storage::DueRefund]) -> Vec<tillbook::Timestamp> {
    let mut times = Vec::new();
    for due in queue {
        let record = storage.get(&due.order).await.expect("readable").expect("there");
        times.push(record.refund(&due.key).expect("there").due_at);
    }
    times
}

async fn a_refund_is_found_in_the_state_it_is_in(storage: AnyStorage) {
    add(&*storage, 1).await;
    let steps = [
        (hold(&order(1), "r-1", 100), RefundState::Queued),
        (begin(1, "r-1"), RefundState::Sending),
        (settle(&order(1), "r-1", Outcome::Succeeded), RefundState::Succeeded),
    ];
    for (step, state) in steps {
        must(&*storage, step).await;
        for other in RefundState::ALL {
            let found = storage.refunds_in(other, None, 10).await.expect("readable");
            let want: Vec<_> = if other == state { vec![key("r-1")] } else { vec![] };
            assert_eq!(found.into_iter().map(|due| due.key).collect::<Vec<_>>(), want, "{other} while {state}");
        }
    }
}

async fn cursors_of_any_length_are_kept(storage: AnyStorage) {
    assert_eq!(storage.cursor("orders").await.expect("readable"), None);
    for value in [String::new(), "x".repeat(40_000), "2017-06-01".to_owned(), "y".repeat(7_000)] {
        storage.put_cursor("orders", value.clone()).await.expect("kept");
        assert_eq!(storage.cursor("orders").await.expect("readable"), Some(value));
    }
    storage.put_cursor("order", "another".to_owned()).await.expect("kept");
    assert_eq!(storage.cursor("orders").await.expect("readable"), Some("y".repeat(7_000)));
}

async fn records_of_any_size_are_kept(storage: AnyStorage) {
    for length in [10, 50_000, 20] {
        let mut big = facts(1);
        big.details.insert("note".to_owned(), "n".repeat(length).into());
        big.asked_at = at(i64::try_from(length).expect("small"));
        let written = must(&*storage, see(big)).await;
        // Many others come between, so that the record is not only at hand.
        for number in 0..20 {
            add(&*storage, 100 + number).await;
        }
        assert_eq!(storage.get(&order(1)).await.expect("readable"), Some(written.record));
    }
}

async fn many_commands_are_answered_in_order_each_by_itself(storage: AnyStorage) {
    let page = vec![
        see(facts(1)),
        see(facts(2)),
        hold(&order(1), "r-1", 9000),
        hold(&order(1), "r-1", 8000),
        hold(&order(1), "r-2", 1),
        see(facts(2)),
    ];
    let answers = storage.transact_many(page).await.expect("written");
    let words: Vec<String> = answers
        .iter()
        .map(|answer| match answer {
            Ok(committed) => format!("{} events", committed.entries.len()),
            Err(Refusal::Rejected(_)) => "rejected".to_owned(),
            Err(other) => other.to_string(),
        })
        .collect();
    assert_eq!(words, ["1 events", "1 events", "rejected", "1 events", "rejected", "0 events"]);
    assert_eq!(all_events(&*storage).await, 3);
    assert_eq!(storage.transact_many(Vec::new()).await.expect("nothing to do").len(), 0);
}

async fn a_caller_who_goes_away_changes_nothing(storage: AnyStorage) {
    add(&*storage, 1).await;
    let mut write = storage.transact(hold(&order(1), "r-1", 100));
    // Polled once, and dropped: what was handed over is done.
    let polled = std::future::poll_fn(|context| std::task::Poll::Ready(write.as_mut().poll(context))).await;
    drop(polled);
    drop(write);
    must(&*storage, hold(&order(1), "r-2", 100)).await;
    assert_eq!(storage.find_refund(&account(), &key("r-1")).await.expect("readable"), Some(order(1)));
}

async fn a_decision_that_panics_ends_all_writing_and_no_reading(storage: AnyStorage) {
    add(&*storage, 1).await;
    let mut broken = hold(&order(1), "r-1", 100);
    broken.decide = Box::new(|_| panic!("a defect in a rule"));
    let failed = |answer: Result<_, TransactError>| match answer {
        Err(TransactError::Storage(error @ StorageError::Poisoned { .. })) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(failed(storage.transact(broken).await).contains("a defect in a rule"));
    assert!(failed(storage.transact(hold(&order(1), "r-2", 100)).await).contains("a defect in a rule"));
    assert!(storage.put_cursor("orders", "1".to_owned()).await.is_err());
    assert_eq!(storage.get(&order(1)).await.expect("readable").expect("there").refunds, []);
    assert_eq!(all_events(&*storage).await, 1);
}

async fn a_closed_storage_says_so(storage: AnyStorage) {
    add(&*storage, 1).await;
    storage.close().await.expect("closed");
    storage.close().await.expect("closing twice is fine");
    assert!(matches!(storage.get(&order(1)).await, Err(StorageError::Closed)));
    assert!(matches!(storage.events(0, 1).await, Err(StorageError::Closed)));
    assert!(matches!(storage.check().await, Err(StorageError::Closed)));
    let written = storage.transact(see(facts(2))).await;
    assert!(matches!(written, Err(TransactError::Storage(StorageError::Closed))));
}

async fn a_page_token_of_nobody_is_refused(storage: AnyStorage) {
    let names: BTreeSet<&str> = BTreeSet::from(["", "x", "1", "1/", "x/fubei:1:2"]);
    for after in names {
        let page = Page { limit: 1, after: Some(after.to_owned()) };
        let error = storage.scan(&OrderQuery::default(), &page).await.expect_err("refused");
        assert_eq!(error.to_string(), format!("{after:?} is not where a page ended"));
        assert!(!error.is_final());
    }
}
