//! 对账: a day of one account, as the ledger has it and as the upstream has it.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `report` | what is found, as values |
//! | `compare`, `refunds` | the comparison: values in, differences out |
//! | `day` | a day in Beijing |
//! | `lists`, `gather`, `ask`, `sides` | what is read and asked for it, and made comparable |
//!
//! What must never be here: a write that bypasses the ledger; a refund settled because something is missing. Start
//! reading at [`Ledger::reconcile`], then `compare.rs`.

mod ask;
mod compare;
mod day;
mod gather;
mod lists;
mod refunds;
mod report;
mod sides;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;

pub use report::{Difference, DifferenceKind, Kept, Reconciliation, Side, Subject, Tally, Totals};

use crate::domain::{AccountName, Facts, OrderId, RefundKey, RefundState};
use crate::ledger::{Account, Error, Ledger};
use crate::storage::StorageError;

use day::Day;
use report::Problems;

/// How many orders are taken in with one durable write.
const PAGE: usize = 100;

impl Ledger {
    /// Compares what the ledger holds of a day in Beijing with what the upstream holds: orders by the day they were
    /// paid, refunds by the day they were made. Only paid orders in CNY count.
    ///
    /// # What is asked
    /// The upstream's list of orders (or its bill, whose orders are then asked for one by one) and, where there is one,
    /// its list of refunds, with a day of slack on both sides. What the ledger has and the lists do not is asked for by
    /// number; only then is it missing there. Where refunds are not listed each is asked about by its key, and a refund
    /// made elsewhere shows in its order's total alone: it is found where the order was paid or refunded here on that
    /// day, or where the upstream says that the order changed then. Of a day that is not over, what happens meanwhile
    /// may show as a difference.
    ///
    /// # Durability
    /// Everything is compared first, against what the ledger held before. Then what the upstream said about the orders
    /// compared is kept as a sync would keep it, and refunds in doubt that the upstream showed are asked about by the
    /// ledger's own rules; nothing follows from absence or difference. So the same day again differs in less. A ledger
    /// that is open for reading only keeps nothing, and the report says so.
    ///
    /// # Errors
    /// [`Error::UnknownAccount`]; `Malformed` for a day beyond the calendar; storage errors. What could not be read or
    /// asked is among the report's problems.
    pub async fn reconcile(&self, account: &AccountName, day: Date) -> Result<Reconciliation, Error> {
        let account = self.inner.account(account)?;
        let span = Day::of(day)?;
        let gather::Gathered { pairs, facts, mut problems } = gather::gather(self, &account, span).await?;
        let compared = compare::compare(span, &pairs);
        let kept = match keep(self, &account, facts, &compared.to_ask, &mut problems).await {
            Ok(kept) => Some(kept),
            Err(Error::Storage(StorageError::ReadOnly)) => None,
            Err(error) => return Err(error),
        };
        tracing::info!(
            account = %account.name, %day,
            orders = compared.matched_orders.count,
            refunds = compared.matched_refunds.count,
            differences = compared.differences.len(),
            problems = problems.words.len(),
            "reconciled"
        );
        Ok(Reconciliation {
            account: account.name.clone(),
            day,
            matched_orders: compared.matched_orders,
            matched_refunds: compared.matched_refunds,
            differences: compared.differences,
            problems: problems.words,
            more_problems: problems.more,
            kept,
        })
    }
}

/// Takes in what the upstream said, through the ledger's own doors.
async fn keep(
    ledger: &Ledger,
    account: &Arc<Account>,
    facts: Vec<Facts>,
    to_ask: &[(OrderId, RefundKey)],
    problems: &mut Problems,
) -> Result<Kept, Error> {
    let mut kept = Kept::default();
    let mut facts = facts.into_iter().peekable();
    loop {
        let page: Vec<Facts> = facts.by_ref().take(PAGE).collect();
        // An empty page too: it tells whether the ledger can be written at all.
        let imported = ledger.inner.import_page(account, page).await?;
        kept.orders_new += imported.new;
        kept.orders_changed += imported.changed;
        imported.refused.into_iter().for_each(|(order, why)| problems.add(format!("order {order}: {why}")));
        if facts.peek().is_none() {
            break;
        }
    }
    for (order, key) in to_ask {
        match asked(ledger, account, order, key).await {
            Ok(Some(state)) => kept.refunds_settled += u64::from(state.is_final()),
            Ok(None) => {}
            Err(error @ (Error::Upstream { .. } | Error::TaskLost(_) | Error::Rejected(_))) => {
                problems.add(format!("refund {key} could not be asked about: {error}"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(kept)
}

async fn asked(
    ledger: &Ledger,
    account: &Arc<Account>,
    order: &OrderId,
    key: &RefundKey,
) -> Result<Option<RefundState>, Error> {
    // No time of silence is claimed: a comparison never makes a refund be sent again.
    let record = ledger.inner.ask(account, order, key, Duration::ZERO).await?;
    Ok(record.refund(key).map(|refund| refund.state))
}
