//! What was written is read back, by every name it has.

use super::fact::{Stop, same};
use super::shop::{account, add, at, big, device, facts, fen, hold, key, must, order, order_sn, see};
use super::{Bench, shop};
use crate::domain::{AccountName, OrderId};

fn elsewhere() -> AccountName {
    AccountName::new("shop-10").expect("a plain name")
}

pub(super) async fn what_is_written_is_read_back_by_every_name(bench: &mut dyn Bench) -> Result<(), Stop> {
    let storage = &*bench.start().await?;
    let written = add(storage, 7).await?;
    same("the version of a new order", &written.record.version, &1)?;
    same("the number of entries of a new order", &written.entries.len(), &1)?;
    same("the device of an entry", &written.entries[0].device, &device())?;
    same("the record that was written", &storage.get(&order(7)).await?, &Some(written.record))?;
    same("an order never written", &storage.get(&order(8)).await?, &None)?;
    let (shop, sn) = (account(), order_sn(7));
    let by_number = vec![(order(7), "order_sn".to_owned())];
    let nobody: Vec<(OrderId, String)> = Vec::new();
    same("the order found by its number", &storage.find(&shop, None, &sn).await?, &by_number)?;
    same("the order found by kind and number", &storage.find(&shop, Some("order_sn"), &sn).await?, &by_number)?;
    let other_kind = storage.find(&shop, Some("merchant_order_sn"), &sn).await?;
    same("what is found by another kind of number", &other_kind, &nobody)?;
    let beginning = storage.find(&shop, None, &sn[..sn.len() - 1]).await?;
    same("what is found by the beginning of a number", &beginning, &nobody)?;
    let other_account = storage.find(&elsewhere(), None, &sn).await?;
    same("what is found in an account whose name begins alike", &other_account, &nobody)?;

    let held = must(storage, hold(&order(7), "r-1", 500)).await?;
    same("the amount held", &held.record.held(), &fen(500))?;
    same("the record after a hold", &storage.get(&order(7)).await?, &Some(held.record))?;
    same("the order of a refund key", &storage.find_refund(&shop, &key("r-1")).await?, &Some(order(7)))?;
    same("the order of a key never given", &storage.find_refund(&shop, &key("r-2")).await?, &None)?;
    let other_account = storage.find_refund(&elsewhere(), &key("r-1")).await?;
    same("the order of that key in another account", &other_account, &None)
}

pub(super) async fn facts_that_change_nothing_write_nothing(bench: &mut dyn Bench) -> Result<(), Stop> {
    let storage = &*bench.start().await?;
    let first = add(storage, 1).await?;
    let again = add(storage, 1).await?;
    same("the answer to the same facts again", &(again.record, again.entries.len()), &(first.record, 0))?;
    same("the number of all events", &shop::all_events(storage).await?.len(), &1)
}

pub(super) async fn cursors_of_any_length_are_kept(bench: &mut dyn Bench) -> Result<(), Stop> {
    let storage = &*bench.start().await?;
    same("a cursor never put", &storage.cursor("orders").await?, &None)?;
    for value in [String::new(), "x".repeat(40_000), "2017-06-01".to_owned(), "y".repeat(7_000)] {
        storage.put_cursor("orders", value.clone()).await?;
        same("the cursor that was put", &storage.cursor("orders").await?, &Some(value))?;
    }
    storage.put_cursor("order", "another".to_owned()).await?;
    same("a cursor beside one whose name begins alike", &storage.cursor("orders").await?, &Some("y".repeat(7_000)))?;
    let longest = "n".repeat(300);
    storage.put_cursor(&longest, "of a long name".to_owned()).await?;
    same("a cursor of a long name", &storage.cursor(&longest).await?, &Some("of a long name".to_owned()))
}

pub(super) async fn records_of_any_size_are_kept(bench: &mut dyn Bench) -> Result<(), Stop> {
    let storage = &*bench.start().await?;
    for (step, bytes) in (1..).zip([10, 50_000, 20, 200_000]) {
        let mut facts = big(1, bytes);
        facts.asked_at = at(step);
        let written = must(storage, see(facts)).await?;
        // Many others come between, so that the record is not only at hand.
        for number in 0..20 {
            add(storage, 100 + number).await?;
        }
        same(format!("the record of {bytes} bytes"), &storage.get(&order(1)).await?, &Some(written.record))?;
    }
    // One whose refunds alone are long.
    let record = add(storage, 2).await?.record;
    let count = usize::try_from(record.paid().fen()).unwrap_or(0) / 40;
    for number in 0..count {
        must(storage, hold(&order(2), &format!("many-{number}"), 40)).await?;
    }
    let record = storage.get(&order(2)).await?;
    let kept = record.map(|record| (record.refunds.len(), record.held()));
    same("the refunds of an order of many", &kept, &Some((count, facts(2).paid)))
}

pub(super) async fn what_is_committed_is_seen_by_every_reader_at_once(bench: &mut dyn Bench) -> Result<(), Stop> {
    let storage = bench.start().await?;
    let newest = storage.newest();
    for number in 0..50 {
        add(&*storage, number).await?;
        let name = format!("r-{number}");
        let held = must(&*storage, hold(&order(number), &name, 100)).await?;
        let sequence = held.entries.last().map(|entry| entry.sequence);
        let reader = std::sync::Arc::clone(&storage);
        let (record, holder, entries) = tokio::spawn(async move {
            let last = sequence.unwrap_or(1) - 1;
            let record = reader.get(&order(number)).await?;
            let holder = reader.find_refund(&account(), &key(&name)).await?;
            Ok::<_, crate::storage::StorageError>((record, holder, reader.events(last, 10).await?))
        })
        .await??;
        same("the record that another task reads", &record, &Some(held.record))?;
        same("the order of the key that another task reads", &holder, &Some(order(number)))?;
        same("the newest entries that another task reads", &entries, &held.entries)?;
        same("the newest sequence that is told", &Some(*newest.borrow()), &sequence)?;
    }
    Ok(())
}
