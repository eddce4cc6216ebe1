//! Accepted refunds are asked about until the upstream tells the end.

use std::sync::Arc;

use crate::domain::RefundState;
use crate::ledger::{Account, Error, Ledger};

use super::{AccountReport, Progress, Reach, Watcher};

/// Asks about each accepted refund of the account once. Answers whether the account is to be left alone
/// for the rest of the round.
pub(super) async fn ask(
    ledger: &Ledger,
    account: &Arc<Account>,
    report: &mut AccountReport,
    watcher: &Watcher,
) -> Result<Reach, Error> {
    let accepted = ledger.inner.storage.refunds_in(RefundState::Accepted, None, usize::MAX).await?;
    for due in accepted.into_iter().filter(|due| due.account == account.name) {
        let Some(record) = ledger.inner.storage.get(&due.order).await? else { continue };
        // The record may be newer than the index of states that led here.
        if record.refund(&due.key).is_none_or(|refund| refund.state != RefundState::Accepted) {
            continue;
        }
        match ledger.inner.ask(account, &record, &due.key).await {
            Ok(record) => {
                let Some(refund) = record.refund(&due.key) else { continue };
                report.count(refund.state);
                watcher(&Progress::Refund { account: account.name.clone(), key: due.key.clone(), state: refund.state });
            }
            Err(Error::Upstream { error, .. }) => {
                report.problem(format!("refund {} could not be asked about: {error}", due.key));
                if Reach::after(&error) == Reach::No {
                    return Ok(Reach::No); // the others would only wait for the same
                }
            }
            Err(error @ (Error::TaskLost(_) | Error::Rejected(_))) => {
                report.problem(format!("refund {} could not be asked about: {error}", due.key));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Reach::Yes)
}
