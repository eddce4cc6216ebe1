//! Facts in: what the upstream lists, and what no list brings one by one.
//!
//! `list` reads pages from where the last round ended, each page one durable write; `cursor` is what is
//! kept of that between rounds; `unfinished` asks for single orders. All of it is asked in the background:
//! it leaves half of the account's turns to customers. Start reading at [`pull`].

mod cursor;
mod list;
mod unfinished;

use crate::domain::{Facts, Reference};
use crate::gateway::ReadError;
use crate::ledger::{Account, Error, Ledger};

use super::{AccountReport, Reach, Watcher};

/// What pulling one account has in hand.
struct Pull<'a> {
    ledger: &'a Ledger,
    account: &'a Account,
    report: &'a mut AccountReport,
    watcher: &'a Watcher,
}

/// Why a part of a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It read all there is to read.
    Done,
    /// It could not go on; where it was is kept, and what stopped it is in the report.
    Stopped,
}

/// What came of asking for one order.
enum Fetched {
    /// What the upstream says is kept here, or was refused with a line in the report.
    Told,
    /// The upstream says it has no such order.
    Unknown,
    /// This order cannot be asked for, or read; others may.
    Failed(ReadError),
    /// Nothing can be asked for now.
    OutOfReach(ReadError),
}

/// Brings in the account's orders: those listed since the last round, and those unfinished that no list
/// brings.
///
/// Dropping it loses nothing: what came in is on disk, and so is where to go on.
pub(super) async fn pull(
    ledger: &Ledger,
    account: &Account,
    report: &mut AccountReport,
    watcher: &Watcher,
) -> Result<(), Error> {
    let mut pull = Pull { ledger, account, report, watcher };
    if account.gateway.capabilities().lists_orders && list::list(&mut pull).await? == End::Stopped {
        return Ok(()); // one by one it would only be refused again
    }
    unfinished::unfinished(&mut pull).await
}

impl Pull<'_> {
    /// Takes a page of facts in, in one durable write, and counts it.
    async fn take_in(&mut self, orders: Vec<Facts>) -> Result<(), Error> {
        let imported = self.ledger.inner.import_page(self.account, orders).await?;
        self.report.orders_new += imported.new;
        self.report.orders_changed += imported.changed;
        self.report.orders_unchanged += imported.unchanged;
        imported.refused.into_iter().for_each(|(order, why)| self.report.problem(format!("order {order}: {why}")));
        Ok(())
    }

    /// Asks for one order and takes in what is told.
    async fn fetch(&mut self, numbers: &[Reference]) -> Result<Fetched, Error> {
        match self.account.background.fetch_order(numbers).await {
            Ok(Some(facts)) => {
                self.take_in(vec![facts]).await?;
                Ok(Fetched::Told)
            }
            Ok(None) => Ok(Fetched::Unknown),
            Err(error) if Reach::after(&error) == Reach::No => Ok(Fetched::OutOfReach(error)),
            Err(error) => Ok(Fetched::Failed(error)),
        }
    }

    /// A cursor's text, as this version wrote it; one that cannot be read is said so and left behind, for
    /// reading anew loses nothing.
    async fn cursor<T: serde::de::DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Error> {
        let Some(text) = self.ledger.inner.storage.cursor(name).await? else { return Ok(None) };
        match serde_json::from_str(&text) {
            Ok(cursor) => Ok(Some(cursor)),
            Err(error) => {
                self.report.problem(format!("the position {name} cannot be read, so it begins anew: {error}"));
                Ok(None)
            }
        }
    }

    async fn put_cursor<T: serde::Serialize>(&self, name: &str, cursor: &T) -> Result<(), Error> {
        let text = serde_json::to_string(cursor).expect("times and numbers written to memory");
        Ok(self.ledger.inner.storage.put_cursor(name, text).await?)
    }
}
