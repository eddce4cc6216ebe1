//! The history: in order, without gaps, chained, and the same whoever reads it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Bench;
use super::fact::{Stop, same};
use super::shop::{add, all_events, facts, hold, must, order, refund_now, see};
use crate::domain::{ChainHash, Entry, Event, OrderId, OrderRecord};
use crate::storage::Storage;

/// Twenty orders, a refund and a cursor each, among them commands of many events and many commands in one write.
pub(super) async fn stocked(storage: &dyn Storage) -> Result<(), Stop> {
    for number in 0..20 {
        add(storage, number).await?;
        must(storage, hold(&order(number), &format!("r-{number}"), 100)).await?;
        storage.put_cursor("orders", number.to_string()).await?;
    }
    must(storage, refund_now(3, "now-3", 200)).await?;
    let page = (15..25).map(|number| see(facts(number))).chain([hold(&order(24), "last", 1)]).collect();
    for answer in storage.transact_many(page).await? {
        answer?;
    }
    Ok(())
}

pub(super) async fn events_come_in_order_without_gaps_from_anywhere(bench: &mut dyn Bench) -> Result<(), Stop> {
    let storage = &*bench.start().await?;
    stocked(storage).await?;
    let all = all_events(storage).await?;
    let sequences: Vec<u64> = all.iter().map(|entry| entry.sequence).collect();
    same("the sequences", &sequences, &(1..=49).collect())?;
    same("the newest sequence", &*storage.newest().borrow(), &49)?;
    for after in 0..50 {
        for limit in [1, 7, 100] {
            let some = storage.events(after, limit).await?;
            let begin = usize::try_from(after).unwrap_or(usize::MAX);
            let want: Vec<Arc<Entry>> = all.iter().skip(begin).take(limit).cloned().collect();
            same(format!("{limit} events after {after}"), &some, &want)?;
        }
    }
    same("events after the last there can be", &storage.events(u64::MAX, 7).await?, &Vec::new())?;
    same("no events asked for", &storage.events(0, 0).await?, &Vec::new())
}

pub(super) async fn versions_of_an_order_grow_by_one_and_its_events_are_its_own(
    bench: &mut dyn Bench,
) -> Result<(), Stop> {
    let storage = &*bench.start().await?;
    stocked(storage).await?;
    let mut of_orders: BTreeMap<OrderId, Vec<Arc<Entry>>> = BTreeMap::new();
    for entry in all_events(storage).await? {
        of_orders.entry(entry.order.clone()).or_default().push(entry);
    }
    same("the number of orders in the history", &of_orders.len(), &25)?;
    for (order, want) in of_orders {
        let events = storage.events_of(&order).await?;
        same(format!("the events of {order}"), &events, &want)?;
        let versions: Vec<u64> = events.iter().map(|entry| entry.version).collect();
        same(format!("the versions of {order}"), &versions, &(1..=want.len() as u64).collect())?;
        let version = storage.get(&order).await?.map(|record| record.version);
        same(format!("the version of the record of {order}"), &version, &versions.last().copied())?;
    }
    let third = storage.events_of(&order(3)).await?;
    let names: Vec<&str> = third.iter().map(|entry| entry.event.name()).collect();
    let want = vec!["facts_seen", "refund_held", "facts_seen", "refund_held", "attempt_started"];
    same("the events of the third order", &names, &want)?;
    same("the events of an order never written", &storage.events_of(&order(99)).await?, &Vec::new())
}

pub(super) async fn records_are_what_their_lines_say_and_end_their_chains(bench: &mut dyn Bench) -> Result<(), Stop> {
    let storage = &*bench.start().await?;
    stocked(storage).await?;
    chained(storage).await
}

/// Folds the history's lines into records and compares all that the storage keeps with them.
pub(super) async fn chained(storage: &dyn Storage) -> Result<(), Stop> {
    let (events, lines) = (all_events(storage).await?, storage.lines(0, usize::MAX).await?);
    same("how many lines there are", &lines.len(), &events.len())?;
    let mut folded: BTreeMap<OrderId, OrderRecord> = BTreeMap::new();
    for (entry, line) in events.iter().zip(&lines) {
        let sequence = entry.sequence;
        let read = serde_json::from_str::<Entry>(line)
            .map_err(|error| Stop::wrong(format!("line {sequence} is no entry ({error}): {line}")))?;
        same(format!("the entry in line {sequence}"), &read, entry)?;
        let before = folded.remove(&entry.order);
        let head = before.as_ref().map_or(ChainHash::START, |record| record.head).next(line.as_bytes());
        let after = OrderRecord::apply(before, entry, head)
            .map_err(|broken| Stop::wrong(format!("the history does not follow from itself: {broken}")))?;
        folded.insert(entry.order.clone(), after);
    }
    for (order, record) in folded {
        let kept = storage.get(&order).await?;
        same(format!("the record of {order}, folded from its lines,"), &Some(Arc::new(record)), &kept)?;
    }
    let last = events.last().map_or(0, |entry| entry.sequence);
    let tail = storage.lines(last.saturating_sub(2), 1).await?;
    let want: Vec<String> = lines.iter().rev().skip(1).take(usize::from(last > 1)).cloned().collect();
    if last > 1 {
        same("the one line before the last", &tail, &want)?;
    }
    let report = storage.check().await?;
    same("the differences that the storage's own check finds", &report.differences, &Vec::new())?;
    same("the events that it counts", &report.events, &(events.len() as u64))
}

pub(super) async fn the_same_history_has_the_same_state_hash_and_another_has_not(
    bench: &mut dyn Bench,
) -> Result<(), Stop> {
    let mut hashes = Vec::new();
    for cursor in ["1", "1", "2"] {
        let storage = &*bench.start().await?;
        stocked(storage).await?;
        storage.put_cursor("bills", cursor.to_owned()).await?;
        hashes.push(storage.state_hash().await?);
        let before = storage.state_hash().await?;
        same("the hash of what was only read", &before, &hashes[hashes.len() - 1])?;
        must(storage, hold(&order(1), "one-more", 1)).await?;
        if storage.state_hash().await? == before {
            return Err(Stop::wrong("the state's hash is the same after one more event"));
        }
        let cursors = storage.cursors().await?;
        let want = [("bills", cursor), ("orders", "19")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        same("the cursors", &cursors, &want.to_vec())?;
    }
    same("the hash of the same history again", &hashes[1], &hashes[0])?;
    if hashes[2] == hashes[0] {
        return Err(Stop::wrong("the state's hash is the same with another cursor"));
    }
    Ok(())
}

pub(super) async fn writers_of_many_orders_leave_one_history_without_gaps(bench: &mut dyn Bench) -> Result<(), Stop> {
    let storage = bench.start().await?;
    let tasks: Vec<_> = (0..16)
        .map(|number| {
            let storage = Arc::clone(&storage);
            tokio::spawn(async move {
                let mut sequences = Vec::new();
                for step in 0..8 {
                    let command = if step == 0 {
                        see(facts(number))
                    } else {
                        hold(&order(number), &format!("r-{number}-{step}"), 1)
                    };
                    let committed = storage.transact(command).await?;
                    sequences.extend(committed.entries.iter().map(|entry| entry.sequence));
                }
                Ok::<_, crate::storage::TransactError>(sequences)
            })
        })
        .collect();
    let mut told = Vec::new();
    for task in tasks {
        let sequences = task.await??;
        let sorted = sequences.is_sorted_by(|a, b| a < b);
        super::fact::hold_true(sorted, || format!("one caller's commands were given the sequences {sequences:?}"))?;
        told.extend(sequences);
    }
    told.sort_unstable();
    same("the sequences that were told", &told, &(1..=128).collect())?;
    let held = all_events(&*storage).await?;
    let held = held.iter().filter(|entry| matches!(entry.event, Event::RefundHeld { .. })).count();
    same("how many holds are in the history", &held, &112)?;
    chained(&*storage).await
}
