//! After a crash everything acknowledged is there, and nothing is there by half.

use std::sync::Arc;

use super::Bench;
use super::fact::{Stop, hold_true, same};
use super::history::{chained, stocked};
use super::shop::{add, all_events, begin, big, facts, hold, must, order, refund_now, see};
use super::sight::Sight;
use crate::domain::decide::Refusal;
use crate::storage::{Committed, Storage, TransactError};

pub(super) async fn everything_acknowledged_is_there_after_a_crash(bench: &mut dyn Bench) -> Result<(), Stop> {
    let mut storage = bench.start().await?;
    stocked(&*storage).await?;
    for round in 1..5_i64 {
        let at_round = |stop: Stop| stop.at(format!("after crash {round}"));
        let before = Sight::of(&*storage).await?;
        drop(storage);
        storage = bench.restart().await?;
        before.compare(&Sight::of(&*storage).await.map_err(at_round)?).map_err(at_round)?;
        // One more of each kind of write, each the last before a crash once.
        let number = 100 * round;
        let sequence = *storage.newest().borrow();
        let committed = add(&*storage, number).await?;
        let next = committed.entries.first().map(|entry| entry.sequence);
        same("the sequence of the first event after a crash", &next, &Some(sequence + 1)).map_err(at_round)?;
        must(&*storage, hold(&order(number), &format!("c-{round}"), 100)).await?;
        must(&*storage, begin(number, &format!("c-{round}"))).await?;
        match round {
            1 => storage.put_cursor("orders", "after the crash".to_owned()).await?,
            2 => drop(must(&*storage, see(big(number, 100_000))).await?),
            3 => drop(storage.transact_many(vec![see(facts(number + 1)), see(facts(number + 2))]).await?),
            _ => drop(must(&*storage, refund_now(5, "now-5", 300)).await?),
        }
    }
    chained(&*storage).await
}

pub(super) async fn what_was_under_way_at_a_crash_is_there_whole_or_not_at_all(
    bench: &mut dyn Bench,
) -> Result<(), Stop> {
    const CALLERS: i64 = 48;
    for acknowledged in [0, 1, 5, 20] {
        let storage = bench.start().await?;
        storage.transact_many((0..CALLERS).map(|number| see(facts(number))).collect()).await?;
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let tasks: Vec<_> = (0..CALLERS)
            .map(|number| {
                let (storage, tell) = (Arc::clone(&storage), tell.clone());
                tokio::spawn(async move {
                    let answer = storage.transact(refund_now(number, &format!("r-{number}"), 100)).await;
                    let _ = tell.send(());
                    answer
                })
            })
            .collect();
        drop((storage, tell));
        for _ in 0..acknowledged {
            let _ = told.recv().await;
        }
        let storage = bench.restart().await?;
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await?);
        }
        for (number, answer) in (0..CALLERS).zip(answers) {
            whole(&*storage, number, answer).await.map_err(|stop| {
                stop.at(format!("order {number}, whose refund was under way when the storage crashed"))
            })?;
        }
        chained(&*storage).await?;
    }
    Ok(())
}

/// The refund is there with its attempt, or nothing of it is; if it was acknowledged it is there.
async fn whole(storage: &dyn Storage, number: i64, answer: Result<Committed, TransactError>) -> Result<(), Stop> {
    let record = storage.get(&order(number)).await?.ok_or_else(|| Stop::wrong("the order is gone"))?;
    match answer {
        Ok(committed) => same("the record that was acknowledged", &record, &committed.record),
        Err(TransactError::Refused(refusal)) => Err(refusal.into()),
        Err(TransactError::Storage(_)) => {
            hold_true([1, 4].contains(&record.version), || format!("{} of 3 events were kept", record.version - 1))
        }
    }
}

pub(super) async fn many_commands_of_one_write_are_there_together_after_a_crash(
    bench: &mut dyn Bench,
) -> Result<(), Stop> {
    let storage = bench.start().await?;
    let page = (0..200).map(|number| see(facts(number))).chain([hold(&order(0), "over", 8001)]);
    let answers = storage.transact_many(page.collect()).await?;
    let refused = answers.iter().filter(|answer| matches!(answer, Err(Refusal::Rejected(_)))).count();
    same("how many of the commands were refused", &refused, &1)?;
    drop(storage);
    let storage = bench.restart().await?;
    same("how many of 200 orders are there", &all_events(&*storage).await?.len(), &200)?;
    chained(&*storage).await
}
