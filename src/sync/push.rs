//! Refunds out: those that are due, in order per order, orders side by side.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::domain::{OrderId, RefundKey, RefundState};
use crate::gateway::{ReadError, ReadErrorKind};
use crate::ledger::{Account, Error, Ledger, Sent};
use crate::storage::DueRefund;

use super::{AccountReport, Progress, Watcher};

/// How many orders of one account are dealt with side by side.
const SIDE_BY_SIDE: usize = 8;

/// What became of one order's queue.
struct Lane {
    results: Vec<(RefundKey, Result<Sent, Error>)>,
}

/// Sends what is due, once each.
pub(super) async fn push(
    ledger: &Ledger,
    account: &Arc<Account>,
    report: &mut AccountReport,
    watcher: &Watcher,
) -> Result<(), Error> {
    let mut queues = due(ledger, account).await?;
    let mut running: JoinSet<Lane> = JoinSet::new();
    let mut paused: Option<ReadError> = None;
    loop {
        while paused.is_none() && running.len() < SIDE_BY_SIDE {
            let Some((order, keys)) = queues.pop_first() else { break };
            running.spawn(order_queue(ledger.clone(), account.clone(), order, keys));
        }
        let Some(lane) = running.join_next().await else { break };
        for (key, result) in lane?.results {
            if let Some(error) = record(account, report, watcher, key, result)? {
                paused = Some(error);
            }
        }
    }
    report.waiting += queues.values().map(|keys| keys.len() as u64).sum::<u64>();
    if let Some(error) = paused {
        // Its queue would only meet the same refusal: one cheap safe call has told enough.
        report.problems.push(format!("refunds of this account wait: {error}"));
    }
    Ok(())
}

/// The account's due refunds by order, each order's in the order in which they were asked for.
async fn due(ledger: &Ledger, account: &Account) -> Result<BTreeMap<(usize, OrderId), Vec<RefundKey>>, Error> {
    let now = ledger.inner.now();
    let all = ledger.inner.storage.refunds_in(RefundState::Queued, Some(now), usize::MAX).await?;
    let mut queues: BTreeMap<(usize, OrderId), Vec<RefundKey>> = BTreeMap::new();
    let mut places: HashMap<OrderId, usize> = HashMap::new();
    for DueRefund { order, key, .. } in all.into_iter().filter(|due| due.account == account.name) {
        // Orders in the order of their oldest refund.
        let next = places.len();
        let place = *places.entry(order.clone()).or_insert(next);
        queues.entry((place, order)).or_default().push(key);
    }
    Ok(queues)
}

/// One order's refunds, one after the other; the rest wait where one could not go.
async fn order_queue(ledger: Ledger, account: Arc<Account>, order: (usize, OrderId), keys: Vec<RefundKey>) -> Lane {
    let mut results = Vec::new();
    for key in keys {
        let result = ledger.inner.clone().push(account.clone(), order.1.clone(), key.clone()).await;
        results.push((key, result));
    }
    Lane { results }
}

/// Counts a result; answers with the error that pauses the account.
fn record(
    account: &Account,
    report: &mut AccountReport,
    watcher: &Watcher,
    key: RefundKey,
    result: Result<Sent, Error>,
) -> Result<Option<ReadError>, Error> {
    let (record, sent) = match result {
        Ok(Sent::Yes(record)) => (record, true),
        Ok(Sent::No(record, why)) => {
            report.problems.extend(why.map(|why| format!("refund {key} waits: {why}")));
            (record, false)
        }
        Ok(Sent::Paused(error)) if error.kind == ReadErrorKind::Unreadable => {
            // The order's own facts cannot be read: no reason to stop the others.
            report.waiting += 1;
            report.problems.push(format!("refund {key} waits: {error}"));
            return Ok(None);
        }
        Ok(Sent::Paused(error)) => {
            report.waiting += 1;
            return Ok(Some(error));
        }
        // A rule that refuses this order (a contested number, say) stops nothing else.
        Err(Error::Rejected(rejection)) => {
            report.waiting += 1;
            report.problems.push(format!("refund {key} waits: {rejection}"));
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    report.sent += u64::from(sent);
    let Some(refund) = record.refund(&key) else { return Ok(None) };
    let state = refund.state;
    report.count(state);
    report.waiting += u64::from(state == RefundState::Queued);
    watcher(&Progress::Refund { account: account.name.clone(), key, state });
    if sent && state == RefundState::Queued {
        let why = refund.message.clone().unwrap_or_else(|| "the upstream would not take it".to_owned());
        let kind = ReadErrorKind::Busy;
        return Ok(Some(ReadError { kind, code: refund.code.clone(), message: why }));
    }
    Ok(None)
}
