//! The queue, and every other state that a refund is found in.

use super::Bench;
use super::fact::{Stop, same};
use super::shop::{account, add, at, begin, fen, hold, key, must, order, refund_at, refund_command, settle};
use crate::domain::{Outcome, RefundKey, RefundState, Requested};
use crate::storage::DueRefund;

fn keys(queue: &[DueRefund]) -> Vec<RefundKey> {
    queue.iter().map(|due| due.key.clone()).collect()
}

pub(super) async fn the_queue_is_what_is_due_oldest_first(bench: &mut dyn Bench) -> Result<(), Stop> {
    let storage = &*bench.start().await?;
    // Due at 20, 18 ... 12 seconds, the last first.
    for number in 0..5 {
        add(storage, number).await?;
        let due = at(20 - 2 * number);
        let command = refund_command(&format!("r-{number}"), Requested::Exactly(fen(100)));
        let committed = must(storage, refund_at(&order(number), due, command)).await?;
        let due_at = committed.record.refund(&key(&format!("r-{number}"))).map(|refund| refund.due_at);
        same("when a refund is due", &due_at, &Some(due))?;
    }
    let oldest_first: Vec<RefundKey> = (0..5).rev().map(|number| key(&format!("r-{number}"))).collect();
    let queue = storage.refunds_in(RefundState::Queued, None, 100).await?;
    same("the queue", &keys(&queue), &oldest_first)?;
    let whose: Vec<_> = queue.iter().map(|due| (due.account.clone(), due.order.clone())).collect();
    same("whose refunds they are", &whose, &(0..5).rev().map(|number| (account(), order(number))).collect())?;
    for limit in 0..6 {
        let some = storage.refunds_in(RefundState::Queued, None, limit).await?;
        same(format!("the first {limit} of the queue"), &keys(&some), &oldest_first[..limit.min(5)].to_vec())?;
    }
    for (now, due) in [(11, 0), (12, 1), (13, 1), (14, 2), (19, 4), (20, 5), (1_000_000, 5)] {
        let some = storage.refunds_in(RefundState::Queued, Some(at(now)), 100).await?;
        same(format!("what is due at {now}"), &keys(&some), &oldest_first[..due].to_vec())?;
    }
    Ok(())
}

pub(super) async fn a_refund_is_found_in_the_state_it_is_in(bench: &mut dyn Bench) -> Result<(), Stop> {
    let storage = &*bench.start().await?;
    add(storage, 1).await?;
    let steps = [
        (hold(&order(1), "r-1", 100), RefundState::Queued),
        (begin(1, "r-1"), RefundState::Sending),
        (settle(&order(1), "r-1", Outcome::Succeeded), RefundState::Succeeded),
    ];
    for (step, state) in steps {
        must(storage, step).await?;
        for other in RefundState::ALL {
            let found = storage.refunds_in(other, None, 10).await?;
            let want: Vec<RefundKey> = if other == state { vec![key("r-1")] } else { Vec::new() };
            same(format!("what is found as {other} while it is {state}"), &keys(&found), &want)?;
        }
    }
    Ok(())
}
