//! The same ledger for programs without an async runtime.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::domain::{AccountName, Body, Entry, Facts, OrderId, OrderRecord, RefundKey, RefundState};
use crate::gateway::{Checked, Gateway};
use crate::ledger::{
    AccountSettings, Adopted, Error, Forgotten, Imported, LedgerBuilder, RecordOrder, RefundList, RefundQuery,
    RefundRequest, RefundTotal, Refunded, Ruling, Wanted,
};
use crate::storage::{BackedUp, CheckReport, ExportHead, OrderQuery, Page, ScanPage};
use crate::sync::{Reconciliation, SyncOptions, SyncReport, Watcher};

/// A [`Ledger`](crate::Ledger) with a runtime of its own: the same calls, which wait.
///
/// Must not be used inside an async runtime (tokio refuses to block there, with a panic).
#[derive(Debug)]
pub struct Ledger {
    runtime: tokio::runtime::Runtime,
    ledger: crate::ledger::Ledger,
}

impl Ledger {
    /// Opens the ledger in a directory. See [`LedgerBuilder::open`].
    ///
    /// # Errors
    /// As there; [`Error::TaskLost`] when the runtime cannot start.
    pub fn open(builder: LedgerBuilder, dir: impl AsRef<Path>) -> Result<Ledger, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .thread_name("tillbook")
            .build()
            .map_err(|error| Error::TaskLost(error.to_string()))?;
        let ledger = runtime.block_on(builder.open(dir))?;
        Ok(Ledger { runtime, ledger })
    }

    /// Opens for reading beside the owner. See [`LedgerBuilder::open_read_only`].
    ///
    /// # Errors
    /// As there.
    pub fn open_read_only(builder: LedgerBuilder, dir: impl AsRef<Path>) -> Result<Ledger, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::TaskLost(error.to_string()))?;
        let ledger = runtime.block_on(builder.open_read_only(dir))?;
        Ok(Ledger { runtime, ledger })
    }

    /// The async handle, for what is not here.
    #[must_use]
    pub fn handle(&self) -> &crate::ledger::Ledger {
        &self.ledger
    }

    /// See [`connect`](crate::Ledger::connect).
    ///
    /// # Errors
    /// As there.
    pub fn connect(
        &self,
        name: AccountName,
        gateway: Arc<dyn Gateway>,
        settings: AccountSettings,
    ) -> Result<(), Error> {
        self.ledger.connect(name, gateway, settings)
    }

    /// See [`make_key`](crate::Ledger::make_key).
    #[must_use]
    pub fn make_key(&self) -> RefundKey {
        self.ledger.make_key()
    }

    /// See [`subscribe`](crate::Ledger::subscribe). Each step waits for the next entry; the iterator ends when
    /// the ledger is closed.
    pub fn subscribe(&self, after: u64) -> impl Iterator<Item = Result<Arc<Entry>, Error>> {
        let mut subscription = self.ledger.subscribe(after);
        std::iter::from_fn(move || self.runtime.block_on(subscription.next()).transpose())
    }

    /// See [`sync`](crate::Ledger::sync).
    ///
    /// # Errors
    /// As there.
    pub fn sync(&self, options: &SyncOptions, watcher: &Watcher) -> Result<SyncReport, Error> {
        self.runtime.block_on(self.ledger.sync(options, watcher))
    }

    /// See [`close`](crate::Ledger::close).
    ///
    /// # Errors
    /// As there.
    pub fn close(self) -> Result<(), Error> {
        self.runtime.block_on(self.ledger.close())
    }
}

macro_rules! waits {
    ($($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        impl Ledger {
            $(
                #[doc = concat!("See [`", stringify!($name), "`](crate::Ledger::", stringify!($name), ").")]
                ///
                /// # Errors
                /// As there.
                pub fn $name(&self, $($arg: $type),*) -> Result<$answer, Error> {
                    self.runtime.block_on(self.ledger.$name($($arg),*))
                }
            )*
        }
    };
}

waits! {
    order(account: &AccountName, wanted: &Wanted) -> Arc<OrderRecord>;
    known_order(account: &AccountName, wanted: &Wanted) -> Option<Arc<OrderRecord>>;
    known_refund(account: &AccountName, key: &RefundKey) -> Refunded;
    fetch(account: &AccountName, wanted: &Wanted) -> Arc<OrderRecord>;
    record_order(order: RecordOrder) -> Arc<OrderRecord>;
    import(account: &AccountName, page: Vec<Facts>) -> Imported;
    refund(request: RefundRequest) -> Refunded;
    dry_run(request: RefundRequest) -> Refunded;
    cancel(account: &AccountName, key: &RefundKey, by: Option<String>) -> Refunded;
    approve(account: &AccountName, key: &RefundKey, by: String) -> Refunded;
    resolve(ruling: Ruling) -> Refunded;
    orders(query: &OrderQuery, page: &Page) -> ScanPage;
    refunds(query: &RefundQuery, page: &Page) -> RefundList;
    refund_totals(query: &RefundQuery) -> BTreeMap<RefundState, RefundTotal>;
    events(after: u64, limit: usize) -> Vec<Arc<Entry>>;
    events_of(order: &OrderId) -> Vec<Arc<Entry>>;
    reconcile(account: &AccountName, day: jiff::civil::Date) -> Reconciliation;
    check_account(name: &AccountName) -> Checked;
    body(account: &AccountName, wanted: &Wanted) -> Option<Body>;
    forget(account: &AccountName, wanted: &Wanted) -> Forgotten;
    adopt(by: &str) -> Adopted;
    verify() -> CheckReport;
    backup(to: &Path) -> BackedUp;
    export(to: &mut (dyn std::io::Write + Send)) -> ExportHead;
}
