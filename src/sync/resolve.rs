//! Refunds that are not settled are asked about until something proves what became of them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::{OrderRecord, RefundKey, RefundState};
use crate::gateway::ReadError;
use crate::ledger::{Account, Error, Ledger};
use crate::storage::DueRefund;

use super::rhythm::Questions;
use super::{AccountReport, Progress, Reach, Watcher};

/// The states of refunds that may or may not have been executed and are not being sent. In review the
/// asking goes on: the proof may come after the person was called.
const UNSETTLED: [RefundState; 3] = [RefundState::Accepted, RefundState::InDoubt, RefundState::Review];

/// How many questions must not get through before the account counts as out of reach.
const FAILED: u32 = 2;

/// Asks about the account's unsettled refunds: all of them, or those whose time has come. Answers why the
/// account is to be left alone, if it is.
pub(super) async fn resolve(
    ledger: &Ledger,
    account: &Arc<Account>,
    mut schedule: Option<&mut Questions>,
    report: &mut AccountReport,
    watcher: &Watcher,
) -> Result<Option<ReadError>, Error> {
    let unsettled = unsettled(ledger, account).await?;
    if let Some(questions) = &mut schedule {
        let keys: HashSet<&RefundKey> = unsettled.iter().map(|(due, _)| &due.key).collect();
        questions.keep(|key| keys.contains(key));
    }
    let mut failed = 0;
    let mut halted = None;
    for (due, record) in &unsettled {
        let Some(refund) = record.refund(&due.key) else { continue };
        let now = ledger.inner.running();
        let silent_for = match &mut schedule {
            None => Duration::ZERO,
            Some(questions) => {
                if !questions.is_due(&due.key, refund.attempts, &account.probe_schedule, now) {
                    continue;
                }
                questions.silent_for(&due.key, now)
            }
        };
        match ledger.inner.ask(account, &due.order, &due.key, silent_for).await {
            Ok(record) => {
                report.asked += 1;
                if let Some(state) = record.refund(&due.key).map(|refund| refund.state) {
                    report.count(state);
                    watcher(&Progress::Refund { account: account.name.clone(), key: due.key.clone(), state });
                }
            }
            Err(Error::Upstream { error, .. }) => {
                report.problem(format!("refund {} could not be asked about: {error}", due.key));
                // One question may fail by itself, again and again; after a second one the others would only
                // wait for the same.
                if Reach::after(&error) == Reach::No {
                    failed += 1;
                    halted = (failed == FAILED).then_some(error);
                }
            }
            // A rule or a defect that this order meets stops nothing else. Only the storage does.
            Err(error @ (Error::TaskLost(_) | Error::Rejected(_) | Error::Moved(_))) => {
                report.problem(format!("refund {} could not be asked about: {error}", due.key));
            }
            Err(error) => return Err(error),
        }
        if let Some(questions) = &mut schedule {
            questions.asked(&due.key, &account.probe_schedule, now);
        }
        if halted.is_some() {
            break;
        }
    }
    Ok(halted)
}

/// The account's unsettled refunds with their orders, those that have waited longest first within each state.
async fn unsettled(ledger: &Ledger, account: &Account) -> Result<Vec<(DueRefund, Arc<OrderRecord>)>, Error> {
    let mut found = Vec::new();
    for state in UNSETTLED {
        let all = ledger.inner.storage.refunds_in(state, None, usize::MAX).await?;
        for due in all.into_iter().filter(|due| due.account == account.name) {
            let Some(record) = ledger.inner.storage.get(&due.order).await? else { continue };
            // The record may be newer than the index of states that led here, and what is in review
            // without ever having been sent is nothing to ask about.
            if record.refund(&due.key).is_some_and(|refund| refund.state == state && refund.is_unsettled()) {
                found.push((due, record));
            }
        }
    }
    Ok(found)
}
