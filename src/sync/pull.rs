//! Facts in: the upstream's orders, page by page, each page one durable write.

use std::collections::HashSet;

use crate::domain::OrderStatus;
use crate::gateway::{Mentioned, OrderFilter, PageAt};
use crate::ledger::{Account, Error, Ledger, Wanted};

use super::{AccountReport, Progress, Reach, Watcher};

/// Rows per page: what every upstream gives (Fubei's bill documents 100 as its most).
const PAGE: u32 = 100;

/// A bound on pages in one round: an upstream whose pages never end must not keep a till busy for ever.
const PAGES: u64 = 10_000;

/// Lists the account's orders of its `history`, newest first, to the end.
pub(super) async fn pull(
    ledger: &Ledger,
    account: &Account,
    report: &mut AccountReport,
    watcher: &Watcher,
) -> Result<(), Error> {
    let capabilities = account.gateway.capabilities();
    if !capabilities.lists_orders {
        return Ok(());
    }
    let from = ledger.inner.now().saturating_sub(account.history);
    let from = capabilities.lists_by_time.then_some(from);
    let filter = OrderFilter { from, ..OrderFilter::default() };
    let mut offset = 0;
    let mut listed = 0;
    let mut seen = HashSet::new();
    for _ in 0..PAGES {
        let page = match account.gateway.list_orders(&filter, PageAt { offset, limit: PAGE }).await {
            Ok(page) => page,
            Err(error) => {
                report.problem(format!("orders could not be listed from row {offset}: {error}"));
                return Ok(());
            }
        };
        report.pages += 1;
        let mentioned = page.mentioned.len() as u64;
        if !meet(ledger, account, page.mentioned, report).await? {
            return Ok(());
        }
        page.bad_rows.iter().for_each(|row| report.problem(format!("{}: {}", row.path, row.why)));
        // Pages shift while orders arrive: the same order may come twice, and counts once.
        let orders: Vec<_> = page.orders.into_iter().filter(|facts| seen.insert(facts.native.clone())).collect();
        let (rows, total) = (mentioned + orders.len() as u64, page.total);
        let imported = ledger.inner.import_page(account, orders).await?;
        report.orders_new += imported.new;
        report.orders_changed += imported.changed;
        report.orders_unchanged += imported.unchanged;
        imported.refused.into_iter().for_each(|(order, why)| report.problem(format!("order {order}: {why}")));
        listed += rows;
        watcher(&Progress::Page { account: account.name.clone(), orders: listed, total });
        match page.next {
            Some(next) if next > offset => offset = next,
            _ => return Ok(()),
        }
    }
    report.problem(format!("the list did not end within {PAGES} pages"));
    Ok(())
}

/// Fetches the orders that a page only named and of which less is known here: none at all, or not that
/// they are paid, which is why the page names them. `false`: the upstream cannot be reached any more, so
/// the round's list ends here.
async fn meet(
    ledger: &Ledger,
    account: &Account,
    mentioned: Vec<Mentioned>,
    report: &mut AccountReport,
) -> Result<bool, Error> {
    for mention in mentioned {
        let wanted = Wanted::from(mention.number);
        match meet_one(ledger, account, &wanted, report).await {
            Ok(()) => {}
            Err(Error::Upstream { error, .. }) if Reach::after(&error) == Reach::No => {
                report.problem(format!("orders could not be fetched from {wanted} on: {error}"));
                return Ok(false);
            }
            Err(error @ (Error::Upstream { .. } | Error::Rejected(_) | Error::Name(_))) => {
                report.problem(format!("order {wanted}: {error}"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

async fn meet_one(
    ledger: &Ledger,
    account: &Account,
    wanted: &Wanted,
    report: &mut AccountReport,
) -> Result<(), Error> {
    let known = ledger.known_order(&account.name, wanted).await?;
    let before = match known {
        Some(record) if !record.provisional && record.facts.status == OrderStatus::Paid => {
            report.orders_unchanged += 1;
            return Ok(());
        }
        known => known.map(|record| record.version),
    };
    let after = ledger.fetch(&account.name, wanted).await?.version;
    match before {
        None => report.orders_new += 1,
        Some(before) if before == after => report.orders_unchanged += 1,
        Some(_) => report.orders_changed += 1,
    }
    Ok(())
}
