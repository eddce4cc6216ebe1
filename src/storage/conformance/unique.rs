//! Names that are given once: refund keys in an account, and the numbers that orders bear.

use std::sync::Arc;

use super::Bench;
use super::fact::{Stop, same};
use super::shop::{account, add, facts, hold, key, must, order, record, refused, see};
use crate::domain::decide::Refusal;
use crate::domain::{OrderId, RefundState, Rejection};
use crate::storage::TransactError;

pub(super) async fn one_refund_key_asked_for_by_many_orders_is_given_once(bench: &mut dyn Bench) -> Result<(), Stop> {
    let storage = bench.start().await?;
    for number in 0..32 {
        add(&*storage, number).await?;
    }
    let tasks: Vec<_> = (0..32)
        .map(|number| {
            let storage = Arc::clone(&storage);
            tokio::spawn(async move { storage.transact(hold(&order(number), "the-one", 100)).await })
        })
        .collect();
    let mut winners = Vec::new();
    for (number, task) in (0..).zip(tasks) {
        match task.await? {
            Ok(_) => winners.push(order(number)),
            Err(TransactError::Refused(Refusal::Rejected(Rejection::ReplayDiffers { .. }))) => {}
            Err(other) => return Err(other.into()),
        }
    }
    same("how many of 32 orders were given one key", &winners.len(), &1)?;
    let holder = storage.find_refund(&account(), &key("the-one")).await?;
    same("the order that the key names", &holder.as_ref(), &winners.first())?;
    same("the length of the queue", &storage.refunds_in(RefundState::Queued, None, 100).await?.len(), &1)
}

pub(super) async fn one_refund_key_is_given_once_among_the_commands_of_one_write(
    bench: &mut dyn Bench,
) -> Result<(), Stop> {
    let storage = &*bench.start().await?;
    storage.transact_many((0..8).map(|number| see(facts(number))).collect()).await?;
    let answers = storage.transact_many((0..8).map(|number| hold(&order(number), "the-one", 100)).collect()).await?;
    let given: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    same("which of eight commands were given the key", &given, &(0..8).map(|number| number == 0).collect())?;
    same("the order that it names", &storage.find_refund(&account(), &key("the-one")).await?, &Some(order(0)))
}

pub(super) async fn a_refund_asked_for_again_by_many_is_held_once(bench: &mut dyn Bench) -> Result<(), Stop> {
    let storage = bench.start().await?;
    add(&*storage, 1).await?;
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let storage = Arc::clone(&storage);
            tokio::spawn(async move { storage.transact(hold(&order(1), "r-1", 100)).await })
        })
        .collect();
    let mut written = 0;
    for task in tasks {
        written += task.await??.entries.len();
    }
    same("how many events 32 equal commands wrote", &written, &1)?;
    let refunds = storage.get(&order(1)).await?.map(|record| (record.refunds.len(), record.held().fen()));
    same("refunds and fen held after them", &refunds, &Some((1, 100)))
}

pub(super) async fn an_order_sees_who_else_bears_its_numbers(bench: &mut dyn Bench) -> Result<(), Stop> {
    let storage = &*bench.start().await?;
    add(storage, 1).await?;
    let mut other = facts(2);
    other.references.insert("merchant_order_sn".to_owned(), "m-1".to_owned());
    must(storage, see(other)).await?;
    let found = storage.find(&account(), None, "m-1").await?;
    let kind = "merchant_order_sn".to_owned();
    same("the orders that bear the number", &found, &vec![(order(1), kind.clone()), (order(2), kind)])?;
    let words = refused(storage, hold(&order(1), "r-1", 100)).await?;
    let want = "both claim merchant_order_sn=m-1; neither is refunded until that is cleared up";
    same("the refusal", &words, &format!("order {} and order {} {want}", order(1), order(2)))?;
    // A number that an order bears no longer names it no more.
    let mut moved = facts(2);
    moved.references.insert("merchant_order_sn".to_owned(), "m-2".to_owned());
    must(storage, see(moved)).await?;
    let first = vec![(order(1), "merchant_order_sn".to_owned())];
    same("the orders that bear it after one gave it up", &storage.find(&account(), None, "m-1").await?, &first)?;
    must(storage, hold(&order(1), "r-1", 100)).await?;
    Ok(())
}

pub(super) async fn one_receipt_recorded_by_many_devices_is_one_order(bench: &mut dyn Bench) -> Result<(), Stop> {
    let storage = bench.start().await?;
    let tasks: Vec<_> = (0..32)
        .map(|device| {
            let storage = Arc::clone(&storage);
            tokio::spawn(async move { storage.transact(record(&format!("till-{device}"), "receipt-7")).await })
        })
        .collect();
    let mut recorded: Vec<OrderId> = Vec::new();
    for task in tasks {
        match task.await? {
            Ok(committed) => recorded.push(committed.record.id.clone()),
            Err(TransactError::Refused(Refusal::Rejected(Rejection::AlreadyRecorded { .. }))) => {}
            Err(other) => return Err(other.into()),
        }
    }
    same("how many of 32 recordings of one receipt were taken", &recorded.len(), &1)?;
    let found = storage.find(&account(), None, "receipt-7").await?;
    let found: Vec<OrderId> = found.into_iter().map(|(order, _)| order).collect();
    same("the orders that bear the receipt", &found, &recorded)
}
