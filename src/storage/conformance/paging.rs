//! Pages and chunks: each of what was asked for once, in order, while others write.

use std::sync::Arc;

use super::Bench;
use super::fact::{Stop, hold_true, same};
use super::shop::{add, at, begin, hold, must, order, settle};
use crate::domain::{AccountName, OrderId, OrderRecord, Outcome, RefundState, RefundStatus};
use crate::storage::{OrderQuery, Page, Storage, StorageError};

fn ids(orders: &[Arc<OrderRecord>]) -> Vec<OrderId> {
    orders.iter().map(|record| record.id.clone()).collect()
}

pub(super) async fn pages_are_newest_first_and_hold_still_while_orders_are_written(
    bench: &mut dyn Bench,
) -> Result<(), Stop> {
    for limit in [1, 7, 49, 50, 51] {
        let storage = &*bench.start().await?;
        for number in 0..50 {
            add(storage, 2 * number).await?;
        }
        let mut seen: Vec<OrderId> = Vec::new();
        let mut page = Page { limit, after: None };
        for newer in 1001.. {
            let answer = storage.scan(&OrderQuery::default(), &page).await?;
            let full = answer.orders.len() == limit || answer.next.is_none();
            hold_true(full, || format!("a page of {limit} has {} orders and is not the last", answer.orders.len()))?;
            seen.extend(ids(&answer.orders));
            let Some(next) = answer.next else { break };
            hold_true(seen.len() <= 50, || format!("pages of {limit} do not end: {} orders of 50 so far", seen.len()))?;
            page.after = Some(next);
            // Newer orders, and changes to orders that were shown already.
            add(storage, newer).await?;
            must(storage, hold(&seen[0], &format!("r-{newer}"), 1)).await?;
        }
        let want: Vec<OrderId> = (0..50).rev().map(|number| order(2 * number)).collect();
        same(format!("the orders of pages of {limit}"), &seen, &want)?;
    }
    Ok(())
}

pub(super) async fn a_page_holds_only_what_was_asked_for_and_is_never_short(bench: &mut dyn Bench) -> Result<(), Stop> {
    let storage = &*bench.start().await?;
    for number in 0..40 {
        add(storage, number).await?;
    }
    for number in (0..40).step_by(4) {
        let name = format!("r-{number}");
        must(storage, hold(&order(number), &name, 100)).await?;
        must(storage, begin(number, &name)).await?;
        must(storage, settle(&order(number), &name, Outcome::Succeeded)).await?;
    }
    let partial = OrderQuery { refund_status: Some(RefundStatus::Partial), ..OrderQuery::default() };
    let first = storage.scan(&partial, &Page { limit: 6, after: None }).await?;
    same("the first six orders refunded in part", &ids(&first.orders), &[36, 32, 28, 24, 20, 16].map(order).to_vec())?;
    let rest = storage.scan(&partial, &Page { limit: 4, after: first.next }).await?;
    same("the rest of them", &ids(&rest.orders), &[12, 8, 4, 0].map(order).to_vec())?;
    same("where the page after the last begins", &rest.next, &None)?;
    let (first, last) = (jiff::Timestamp::MIN.into(), jiff::Timestamp::MAX.into());
    let ever = OrderQuery { from: Some(first), to: Some(last), ..OrderQuery::default() };
    let all = storage.scan(&ever, &Page { limit: 100, after: None }).await?;
    same("how many orders there are between the ends of time", &all.orders.len(), &40)?;
    let between = OrderQuery { from: Some(at(3)), to: Some(at(6)), ..OrderQuery::default() };
    let found = storage.scan(&between, &Page::default()).await?;
    same("the orders paid from 3 and before 6", &ids(&found.orders), &[5, 4, 3].map(order).to_vec())?;
    let other = AccountName::new("shop-2").expect("a plain name");
    let elsewhere = OrderQuery { account: Some(other), ..OrderQuery::default() };
    let none = storage.scan(&elsewhere, &Page::default()).await?;
    same("the orders of another account", &(ids(&none.orders), none.next), &(Vec::new(), None))
}

/// The keys of all chunks of that size, in order.
async fn keys(storage: &dyn Storage, state: Option<RefundState>, size: usize) -> Result<Vec<String>, Stop> {
    let (mut keys, mut after) = (Vec::new(), None::<String>);
    loop {
        let chunk = storage.refunds_after(state, after.as_deref(), size).await?;
        hold_true(chunk.len() <= size, || format!("a chunk of {size} has {} refunds", chunk.len()))?;
        hold_true(keys.len() <= 10, || format!("chunks of {size} do not end: {keys:?}"))?;
        keys.extend(chunk.iter().map(|(_, due)| due.key.to_string()));
        match chunk.last() {
            Some((place, _)) => after = Some(place.clone()),
            None => return Ok(keys),
        }
    }
}

/// Ten refunds, due in the reverse order of their names; every third has succeeded.
async fn stocked(storage: &dyn Storage) -> Result<(), Stop> {
    for number in 0..10 {
        add(storage, number).await?;
        let mut held = hold(&order(number), &format!("r-{number}"), 100);
        held.now = at(100 - number);
        must(storage, held).await?;
    }
    for number in (0..10).step_by(3) {
        let name = format!("r-{number}");
        must(storage, begin(number, &name)).await?;
        must(storage, settle(&order(number), &name, Outcome::Succeeded)).await?;
    }
    Ok(())
}

pub(super) async fn chunks_of_any_size_give_each_refund_once(bench: &mut dyn Bench) -> Result<(), Stop> {
    let storage = &*bench.start().await?;
    stocked(storage).await?;
    let queue = storage.refunds_in(RefundState::Queued, None, 100).await?;
    let queue: Vec<String> = queue.iter().map(|due| due.key.to_string()).collect();
    same("the length of the queue", &queue.len(), &6)?;
    let all: Vec<String> = (0..10).map(|number| format!("r-{number}")).collect();
    for size in 1..12 {
        let place = |of: &str| format!("{of} in chunks of {size}");
        same(place("the queue"), &keys(storage, Some(RefundState::Queued), size).await?, &queue)?;
        same(place("what is declined"), &keys(storage, Some(RefundState::Declined), size).await?, &Vec::new())?;
        same(place("all refunds"), &keys(storage, None, size).await?, &all)?;
    }
    Ok(())
}

pub(super) async fn a_refund_whose_state_changes_between_two_chunks_is_met_once_among_all(
    bench: &mut dyn Bench,
) -> Result<(), Stop> {
    let storage = &*bench.start().await?;
    stocked(storage).await?;
    let (mut met, mut after) = (Vec::new(), None::<String>);
    for number in [1, 2, 4, 5, 7, 8] {
        let chunk = storage.refunds_after(None, after.as_deref(), 2).await?;
        met.extend(chunk.iter().map(|(_, due)| due.key.to_string()));
        after = chunk.into_iter().last().map(|(place, _)| place).or(after);
        must(storage, begin(number, &format!("r-{number}"))).await?;
    }
    same("the refunds met", &met, &(0..10).map(|number| format!("r-{number}")).collect())
}

pub(super) async fn a_page_token_of_nobody_is_refused(bench: &mut dyn Bench) -> Result<(), Stop> {
    let storage = &*bench.start().await?;
    stocked(storage).await?;
    // What a place looks like is the storage's own business; these look like none.
    for token in ["", "x", "a b/k", "\u{7}", "\u{221e}/\u{221e}"] {
        let page = Page { limit: 1, after: Some(token.to_owned()) };
        unknown(token, storage.scan(&OrderQuery::default(), &page).await)?;
        for state in [None, Some(RefundState::Queued)] {
            unknown(token, storage.refunds_after(state, Some(token), 10).await)?;
        }
    }
    Ok(())
}

fn unknown<T>(token: &str, answer: Result<T, StorageError>) -> Result<(), Stop> {
    match answer {
        Err(error @ StorageError::UnknownPage { .. }) => {
            same("the refusal of a token", &error.to_string(), &format!("{token:?} is not where a page ended"))?;
            hold_true(!error.is_final(), || "a token of nobody ends the storage".to_owned())
        }
        Err(other) => Err(Stop::wrong(format!("the token {token:?} was answered with `{other}`"))),
        Ok(_) => Err(Stop::wrong(format!("the token {token:?} was taken for a place"))),
    }
}
