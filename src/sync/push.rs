//! Refunds out: those that are due, in order per order, orders side by side.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::domain::decide::is_due;
use crate::domain::{Answer, BlockReason, OrderId, Outcome, RefundKey, RefundState};
use crate::gateway::{ReadError, ReadErrorKind};
use crate::ledger::{Account, Error, Ledger, Sent};
use crate::storage::DueRefund;

use super::rhythm::Rests;
use super::{AccountReport, Progress, Reach, Watcher};

/// How many orders of one account are dealt with side by side.
const SIDE_BY_SIDE: usize = 8;

/// How many refunds may fail to leave, each after a read that came through, before the account is
/// paused: one may be at fault itself, several are not.
const NOT_SENT: u64 = 3;

/// What became of one order's queue.
struct Lane {
    order: OrderId,
    /// The last one tried could not go.
    stuck: bool,
    results: Vec<(RefundKey, Result<Sent, Error>)>,
    /// Refunds that were not tried, for one before them could not go.
    left: u64,
}

/// What a result means for the orders that come after it.
enum Next {
    GoOn,
    /// The account takes no refunds in this round.
    Pause(ReadError, Reach),
}

/// Why an account takes no more refunds for now.
pub(super) struct Halt {
    pub(super) error: ReadError,
    /// Whether it can be asked anything else.
    pub(super) reach: Reach,
}

/// Sends what is due, once each, but for orders that rest. Answers why it stopped early, if it did.
///
/// Each refund runs in a task of the ledger: when this future is dropped, or a storage error ends it,
/// what is being sent is recorded all the same.
pub(super) async fn push(
    ledger: &Ledger,
    account: &Arc<Account>,
    mut rests: Option<&mut Rests<OrderId>>,
    report: &mut AccountReport,
    watcher: &Watcher,
) -> Result<Option<Halt>, Error> {
    let mut queues = due(ledger, account, report).await?;
    let now = ledger.inner.running();
    if let Some(rests) = &rests {
        queues.retain(|(_, order), keys| {
            let rests = rests.is_resting(order, now);
            report.waiting += if rests { keys.len() as u64 } else { 0 };
            !rests
        });
    }
    let mut running: JoinSet<Lane> = JoinSet::new();
    let mut halt: Option<Halt> = None;
    let mut not_sent = 0;
    loop {
        while halt.is_none() && running.len() < SIDE_BY_SIDE {
            let Some((order, keys)) = queues.pop_first() else { break };
            running.spawn(order_queue(ledger.clone(), account.clone(), order.1, keys));
        }
        let Some(lane) = running.join_next().await else { break };
        let lane = lane?;
        report.waiting += lane.left;
        if let Some(rests) = &mut rests {
            if lane.stuck { rests.begin(lane.order, ledger.inner.running()) } else { rests.end(&lane.order) }
        }
        for (key, result) in lane.results {
            if let Next::Pause(error, reach) = record(account, report, watcher, key, result, &mut not_sent)? {
                // What cannot be reached at all weighs more than what takes no refunds.
                if halt.as_ref().is_none_or(|halt| halt.reach == Reach::Yes) {
                    halt = Some(Halt { error, reach });
                }
            }
        }
    }
    report.waiting += queues.values().map(|keys| keys.len() as u64).sum::<u64>();
    if let Some(halt) = &halt {
        // Its queue would only meet the same refusal: one cheap safe call has told enough.
        report.problem(format!("refunds of this account wait: {}", halt.error));
    }
    Ok(halt)
}

/// The account's due refunds by order, each order's in the order in which they were asked for.
async fn due(
    ledger: &Ledger,
    account: &Account,
    report: &mut AccountReport,
) -> Result<BTreeMap<(usize, OrderId), Vec<RefundKey>>, Error> {
    let now = ledger.inner.now();
    // All that is queued, for the clock may have been set back since a due time was written.
    let all = ledger.inner.storage.refunds_in(RefundState::Queued, None, usize::MAX).await?;
    let mut queues: BTreeMap<(usize, OrderId), Vec<RefundKey>> = BTreeMap::new();
    let mut places: HashMap<OrderId, usize> = HashMap::new();
    for DueRefund { order, key, .. } in all.into_iter().filter(|due| due.account == account.name) {
        let Some(record) = ledger.inner.storage.get(&order).await? else { continue };
        if !is_due(&record, &key, &account.rules, now) {
            report.waiting += 1;
            continue;
        }
        // Orders in the order of their oldest refund.
        let next = places.len();
        let place = *places.entry(order.clone()).or_insert(next);
        queues.entry((place, order)).or_default().push(key);
    }
    Ok(queues)
}

/// One order's refunds, one after the other; the rest wait where one could not go.
async fn order_queue(ledger: Ledger, account: Arc<Account>, order: OrderId, keys: Vec<RefundKey>) -> Lane {
    let mut results = Vec::new();
    let mut left = keys.len() as u64;
    let mut stuck = false;
    for key in keys {
        let push = ledger.inner.clone().push(account.clone(), order.clone(), key.clone());
        let result = tokio::spawn(push).await.unwrap_or_else(|error| Err(error.into()));
        let went = match &result {
            Ok(Sent::Yes(record, _) | Sent::No(record, _)) => {
                record.refund(&key).is_none_or(|refund| refund.state != RefundState::Queued)
            }
            Ok(Sent::Paused(_)) | Err(_) => false,
        };
        results.push((key, result));
        left -= 1;
        if !went {
            stuck = true;
            break;
        }
    }
    Lane { order, stuck, results, left }
}

/// Counts a result.
fn record(
    account: &Account,
    report: &mut AccountReport,
    watcher: &Watcher,
    key: RefundKey,
    result: Result<Sent, Error>,
    not_sent: &mut u64,
) -> Result<Next, Error> {
    let (record, answer) = match result {
        Ok(Sent::Yes(record, answer)) => (record, Some(answer)),
        Ok(Sent::No(record, why)) => {
            why.into_iter().for_each(|why| report.problem(format!("refund {key} waits: {why}")));
            (record, None)
        }
        Ok(Sent::Paused(error)) => {
            report.waiting += 1;
            if Reach::after(&error) == Reach::No {
                return Ok(Next::Pause(error, Reach::No));
            }
            // This order cannot be asked for, or its facts cannot be read: no reason to stop the others.
            report.problem(format!("refund {key} waits: {error}"));
            return Ok(Next::GoOn);
        }
        // A rule that refuses this order (a contested number, say), or a defect that it meets, stops
        // nothing else. Only the storage does.
        Err(error @ (Error::Storage(_) | Error::OutcomeNotWritten { .. })) => return Err(error),
        Err(error) => {
            report.waiting += 1;
            report.problem(format!("refund {key} waits: {error}"));
            return Ok(Next::GoOn);
        }
    };
    report.sent += u64::from(answer.is_some());
    let Some(refund) = record.refund(&key) else { return Ok(Next::GoOn) };
    let state = refund.state;
    report.count(state);
    report.waiting += u64::from(state == RefundState::Queued);
    watcher(&Progress::Refund { account: account.name.clone(), key: key.clone(), state });
    let Some(answer) = answer.filter(|_| state == RefundState::Queued) else { return Ok(Next::GoOn) };
    *not_sent += u64::from(answer.outcome == Outcome::NotSent);
    match pauses(&answer, *not_sent) {
        Some(error) => Ok(Next::Pause(error, Reach::Yes)),
        None => {
            report.problem(format!("refund {key} waits: {}", words(&answer)));
            Ok(Next::GoOn)
        }
    }
}

/// Whether an attempt that was not taken says the same about all others of the account.
fn pauses(answer: &Answer, not_sent: u64) -> Option<ReadError> {
    let kind = match (answer.outcome, answer.blocked) {
        // Busy with another refund of this very order.
        (Outcome::Blocked, Some(BlockReason::Busy)) => return None,
        (Outcome::Blocked, Some(BlockReason::Credentials)) => ReadErrorKind::Credentials,
        (Outcome::Blocked, _) => ReadErrorKind::Busy,
        // The facts came through just before: the network may be gone, or this refund cannot be sent.
        (Outcome::NotSent, _) if not_sent >= NOT_SENT => ReadErrorKind::Unreachable,
        _ => return None,
    };
    Some(ReadError { kind, code: answer.code.clone(), message: words(answer) })
}

fn words(answer: &Answer) -> String {
    answer.message.clone().unwrap_or_else(|| "the upstream would not take it".to_owned())
}
