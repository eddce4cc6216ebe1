//! A command is written whole or not at all, and nobody writes after the end.

use std::sync::Arc;

use super::Bench;
use super::fact::{Stop, hold_true, same};
use super::shop::{
    account, add, all_events, at, facts, fen, hold, key, must, order, refund_now, refused, see, transaction,
};
use crate::domain::decide::Refusal;
use crate::domain::{Event, Money, RefundState};
use crate::storage::{Claims, StorageError, TransactError};

pub(super) async fn a_refused_command_writes_nothing(bench: &mut dyn Bench) -> Result<(), Stop> {
    let storage = &*bench.start().await?;
    let before = add(storage, 1).await?.record;
    let want = "80.01 is more than the 80.00 that may still be refunded (paid 80.00, refunded 0.00, held 0.00)";
    same("the refusal", &refused(storage, hold(&order(1), "r-1", 8001)).await?, &want.to_owned())?;
    let want = format!("no order {} in account shop-1", order(2));
    same("the refusal of an order never written", &refused(storage, hold(&order(2), "r-1", 1)).await?, &want)?;
    same("the record after refusals", &storage.get(&order(1)).await?, &Some(before))?;
    same("the order of a refused key", &storage.find_refund(&account(), &key("r-1")).await?, &None)?;
    same("the number of all events", &all_events(storage).await?.len(), &1)
}

pub(super) async fn a_command_of_many_events_is_written_whole_or_not_at_all(bench: &mut dyn Bench) -> Result<(), Stop> {
    let storage = &*bench.start().await?;
    add(storage, 1).await?;
    let done = must(storage, refund_now(1, "r-1", 100)).await?;
    let names: Vec<&str> = done.entries.iter().map(|entry| entry.event.name()).collect();
    same("the events of one command", &names, &vec!["facts_seen", "refund_held", "attempt_started"])?;
    same("the record after them", &storage.get(&order(1)).await?, &Some(Arc::clone(&done.record)))?;
    // The first event follows, the second does not: neither is written.
    let broken = transaction(&order(1), at(0), Claims::default(), |_, _| {
        let (first, second) = (key("r-2"), key("r-1"));
        let held = |key| Event::RefundHeld {
            key,
            requested: crate::domain::Requested::Exactly(fen(1)),
            amount: fen(1),
            memo: None,
            by: None,
            due_at: at(0),
            needs_approval: false,
        };
        Ok(vec![held(first), held(second)])
    });
    match storage.transact(broken).await {
        Err(TransactError::Refused(Refusal::Broken(_))) => {}
        other => return Err(Stop::wrong(format!("events that do not follow were answered with {other:?}"))),
    }
    same("the record after events that do not follow", &storage.get(&order(1)).await?, &Some(done.record))?;
    same("the order of a key in them", &storage.find_refund(&account(), &key("r-2")).await?, &None)?;
    same("the number of all events", &all_events(storage).await?.len(), &4)
}

pub(super) async fn many_commands_are_answered_in_order_each_by_itself(bench: &mut dyn Bench) -> Result<(), Stop> {
    let storage = &*bench.start().await?;
    let page = vec![
        see(facts(1)),
        see(facts(2)),
        hold(&order(1), "r-1", 9000),
        hold(&order(1), "r-1", 8000),
        hold(&order(1), "r-2", 1),
        hold(&order(2), "r-1", 1),
        see(facts(2)),
    ];
    let answers = storage.transact_many(page).await?;
    let words: Vec<String> = answers
        .iter()
        .map(|answer| match answer {
            Ok(committed) => format!("{} events", committed.entries.len()),
            Err(Refusal::Rejected(rejection)) => rejection.kind().to_owned(),
            Err(other) => other.to_string(),
        })
        .collect();
    let want = ["1 events", "1 events", "over_refundable", "1 events", "over_refundable", "replay_differs", "0 events"];
    same("the answers", &words, &want.map(str::to_owned).to_vec())?;
    same("the number of all events", &all_events(storage).await?.len(), &3)?;
    same("the answers to no command", &storage.transact_many(Vec::new()).await?.len(), &0)
}

pub(super) async fn quarters_of_one_order_asked_by_64_are_granted_four_times(
    bench: &mut dyn Bench,
) -> Result<(), Stop> {
    let storage = bench.start().await?;
    for round in 0..5 {
        add(&*storage, round).await?;
        let tasks: Vec<_> = (0..64)
            .map(|task| {
                let storage = Arc::clone(&storage);
                let command = hold(&order(round), &format!("r-{round}-{task}"), 2000);
                tokio::spawn(async move { storage.transact(command).await })
            })
            .collect();
        let mut granted = 0;
        for task in tasks {
            match task.await? {
                Ok(committed) => {
                    granted += 1;
                    let (committed, paid) = (committed.record.committed(), committed.record.paid());
                    hold_true(committed <= paid, || format!("{committed} is committed of {paid} paid"))?;
                }
                Err(TransactError::Refused(Refusal::Rejected(_))) => {}
                Err(other) => return Err(other.into()),
            }
        }
        same("how many of 64 quarters were granted", &granted, &4)?;
        let record = storage.get(&order(round)).await?.ok_or_else(|| Stop::wrong("the order is gone"))?;
        let amounts = (record.held(), record.refundable(), record.refunds.len());
        same("held, refundable and refunds after them", &amounts, &(fen(8000), Money::ZERO, 4))?;
    }
    let queued = storage.refunds_in(RefundState::Queued, None, usize::MAX).await?;
    same("the length of the queue", &queued.len(), &20)
}

pub(super) async fn a_decision_that_panics_ends_no_reading_and_writes_nothing(
    bench: &mut dyn Bench,
) -> Result<(), Stop> {
    let storage = &*bench.start().await?;
    add(storage, 1).await?;
    let mut broken = hold(&order(1), "r-1", 100);
    broken.decide = Box::new(|_| panic!("a defect in a rule"));
    match storage.transact(broken).await {
        Err(TransactError::Storage(error @ StorageError::Poisoned { .. })) => {
            hold_true(error.to_string().contains("a defect in a rule"), || {
                format!("the panic's words are not in {error}")
            })?;
        }
        other => return Err(Stop::wrong(format!("a decision that panicked was answered with {other:?}"))),
    }
    // What a defect left behind is not trusted: all writing ends.
    match storage.transact(hold(&order(1), "r-2", 100)).await {
        Err(TransactError::Storage(StorageError::Poisoned { .. })) => {}
        other => return Err(Stop::wrong(format!("a command after a panic was answered with {other:?}"))),
    }
    let cursor = storage.put_cursor("orders", "1".to_owned()).await;
    hold_true(cursor.is_err(), || "a cursor was put after a panic".to_owned())?;
    let refunds = storage.get(&order(1)).await?.map(|record| record.refunds.len());
    same("the refunds of the order", &refunds, &Some(0))?;
    same("the number of all events", &all_events(storage).await?.len(), &1)
}

pub(super) async fn a_closed_storage_says_so(bench: &mut dyn Bench) -> Result<(), Stop> {
    let storage = &*bench.start().await?;
    add(storage, 1).await?;
    storage.close().await?;
    storage.close().await.map_err(|error| Stop::from(error).at("closing twice"))?;
    closed("a record", storage.get(&order(1)).await)?;
    closed("events", storage.events(0, 1).await)?;
    closed("the queue", storage.refunds_in(RefundState::Queued, None, 1).await)?;
    closed("a check", storage.check().await)?;
    closed("putting a cursor", storage.put_cursor("orders", String::new()).await)?;
    closed("many commands", storage.transact_many(vec![see(facts(2))]).await)?;
    match storage.transact(see(facts(2))).await {
        Err(TransactError::Storage(StorageError::Closed)) => Ok(()),
        other => Err(Stop::wrong(format!("a command was answered with {other:?} after the close"))),
    }
}

fn closed<T>(what: &str, answer: Result<T, StorageError>) -> Result<(), Stop> {
    match answer {
        Err(StorageError::Closed) => Ok(()),
        Err(other) => Err(Stop::wrong(format!("{what} was answered with `{other}` after the close"))),
        Ok(_) => Err(Stop::wrong(format!("{what} was answered after the close"))),
    }
}
