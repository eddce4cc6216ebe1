//! A command whose answer was lost is asked for again under the same key, and is granted exactly once.
//!
//! The caller goes away after any number of polls of its call: before it was handed over, while it waits, after it
//! was written. Or the storage ends right then.

use std::future::poll_fn;
use std::task::Poll;

use super::Bench;
use super::fact::{Stop, same};
use super::shop::{add, all_events, hold, must, order, refund_now, refused};
use crate::BoxFuture;
use crate::domain::Event;
use crate::storage::Storage;

/// More polls than a write of any storage should need.
const POLLS: i64 = 24;

/// Polls a call so many times at most, and drops it then: whoever asked has gone away. `None`: without an answer.
async fn left_after<T>(polls: i64, mut call: BoxFuture<'_, T>) -> Option<T> {
    let mut left = polls;
    poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match call.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Asks again, and looks whether the refund was granted once.
async fn granted_once(storage: &dyn Storage, number: i64) -> Result<(), Stop> {
    let (order, name) = (order(number), format!("r-{number}"));
    let again = must(storage, refund_now(number, &name, 500)).await?;
    let refunds: Vec<(String, i64)> =
        again.record.refunds.iter().map(|refund| (refund.key.to_string(), refund.amount.fen())).collect();
    same("the refunds of the order", &refunds, &vec![(name.clone(), 500)])?;
    let held = |event: &Event| matches!(event, Event::RefundHeld { key, .. } if key.as_str() == name);
    let times = all_events(storage).await?.iter().filter(|entry| held(&entry.event)).count();
    same("how often the history holds the amount", &times, &1)?;
    let other = refused(storage, hold(&order, &name, 501)).await?;
    let want = format!("refund key {name} names another refund: its amount is 5.00, not 5.01");
    same("the refusal of the key for another amount", &other, &want)
}

pub(super) async fn a_command_whose_caller_went_away_is_asked_for_again_and_granted_once(
    bench: &mut dyn Bench,
) -> Result<(), Stop> {
    let storage = bench.start().await?;
    for polls in 0..POLLS {
        let gone = |stop: Stop| stop.at(format!("the caller left after {polls} polls"));
        add(&*storage, polls).await?;
        let answer = left_after(polls, storage.transact(refund_now(polls, &format!("r-{polls}"), 500))).await;
        granted_once(&*storage, polls).await.map_err(gone)?;
        let page = vec![hold(&order(polls), &format!("page-{polls}"), 100)];
        let _ = left_after(polls, storage.transact_many(page)).await;
        let again = storage.transact_many(vec![hold(&order(polls), &format!("page-{polls}"), 100)]).await?;
        for committed in again {
            same("the fen held after a page was repeated", &committed?.record.held().fen(), &600).map_err(gone)?;
        }
        let _ = left_after(polls, storage.put_cursor("orders", polls.to_string())).await;
        storage.put_cursor("orders", polls.to_string()).await?;
        same("the cursor", &storage.cursor("orders").await?, &Some(polls.to_string())).map_err(gone)?;
        if answer.is_some() {
            break; // more polls lose no answer
        }
    }
    super::history::chained(&*storage).await
}

pub(super) async fn a_command_whose_answer_a_crash_lost_is_asked_for_again_and_granted_once(
    bench: &mut dyn Bench,
) -> Result<(), Stop> {
    let mut storage = bench.start().await?;
    for polls in 0..POLLS {
        add(&*storage, polls).await?;
        let answer = left_after(polls, storage.transact(refund_now(polls, &format!("r-{polls}"), 500))).await;
        drop(storage);
        storage = bench.restart().await?;
        let crashed = |stop: Stop| stop.at(format!("the storage crashed after {polls} polls"));
        granted_once(&*storage, polls).await.map_err(crashed)?;
        if answer.is_some() {
            break;
        }
    }
    super::history::chained(&*storage).await
}
