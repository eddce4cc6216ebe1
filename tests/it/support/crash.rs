//! A storage that ends as a killed process would, at a commit chosen beforehand.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tillbook::BoxFuture;
use tillbook::domain::decide::Refusal;
use tillbook::domain::{AccountName, DeviceName, Entry, OrderId, OrderRecord, RefundKey, RefundState, Timestamp};
use tillbook::storage::embedded::{Embedded, EmbeddedOptions};
use tillbook::storage::{
    CheckReport, Committed, Decide, DueRefund, OrderQuery, Page, ScanPage, StateHash, Storage, StorageError,
    TransactError, Transaction,
};
use tokio::sync::{RwLock, watch};

/// Where the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// Just before this commit is written: it never is.
    Before(u64),
    /// As soon as this commit is on disk: nobody hears of it.
    After(u64),
}

/// What becomes of one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It has nothing to write so far.
    Quiet,
    Written,
    DiesBefore,
    DiesAfter,
}

#[derive(Default)]
struct Plan {
    commits: u64,
    crash: Option<Crash>,
}

impl Plan {
    /// One more commit.
    fn next(&mut self) -> Fate {
        self.commits += 1;
        match self.crash {
            Some(Crash::Before(at)) if at == self.commits => Fate::DiesBefore,
            Some(Crash::After(at)) if at == self.commits => Fate::DiesAfter,
            _ => Fate::Written,
        }
    }
}

/// The embedded storage; from its crash on no call ever comes back.
pub(crate) struct Crashing {
    storage: RwLock<Option<Embedded>>,
    plan: Arc<Mutex<Plan>>,
    newest: watch::Receiver<u64>,
    dead: watch::Sender<bool>,
}

impl Crashing {
    /// Opens the directory; the first commit after this has the number 1.
    pub(crate) async fn open(directory: &Path, crash: Option<Crash>) -> Arc<Crashing> {
        let mut options = EmbeddedOptions::new(DeviceName::new("till-3").expect("a name"));
        // Small files and caches: a test has many ledgers, and each of them a few orders.
        (options.segment_bytes, options.cache_bytes) = (64 << 10, Some(1 << 20));
        // The one who died may be on its way out still.
        options.lock_wait = Duration::from_secs(5);
        let directory = directory.to_owned();
        let opened = tokio::task::spawn_blocking(move || Embedded::open(&directory, &options)).await;
        let storage = Crashing::over(opened.expect("no panic").expect("opens"), watch::Sender::new(false));
        storage.arm(crash);
        storage
    }

    /// A storage whose process dies when `dead` says so.
    pub(crate) fn over(storage: Embedded, dead: watch::Sender<bool>) -> Arc<Crashing> {
        let (newest, plan) = (storage.newest(), Arc::default());
        Arc::new(Crashing { storage: RwLock::new(Some(storage)), plan, newest, dead })
    }

    /// Counts commits from here, and dies at the chosen one.
    pub(crate) fn arm(&self, crash: Option<Crash>) {
        *self.plan() = Plan { commits: 0, crash };
    }

    pub(crate) fn commits(&self) -> u64 {
        self.plan().commits
    }

    /// Waits for the crash.
    pub(crate) async fn crashed(&self) {
        self.dead.subscribe().wait_for(|dead| *dead).await.expect("the sender is here");
    }

    /// Ends it as a killed process would, whether its crash came or not.
    pub(crate) async fn abandon(&self) {
        self.dead.send_replace(true);
        if let Some(storage) = self.storage.write().await.take() {
            storage.abandon().await.expect("abandoned");
        }
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().expect("nothing panics with the plan in hand")
    }

    /// The same decision, which counts as a commit if it has events, and which writes none where the process dies
    /// before.
    fn watched(&self, mut decide: Decide, fate: Arc<Mutex<Fate>>) -> Decide {
        let plan = self.plan.clone();
        Box::new(move |found| {
            let events = decide(found)?;
            let mut fate = fate.lock().expect("nothing panics with the fate in hand");
            if *fate == Fate::Quiet && !events.is_empty() {
                *fate = plan.lock().expect("nothing panics with the plan in hand").next();
            }
            Ok(if *fate == Fate::DiesBefore { Vec::new() } else { events })
        })
    }

    /// Goes on if the write's fate lets the process live; else never.
    async fn survive(&self, fate: Fate) {
        if matches!(fate, Fate::DiesBefore | Fate::DiesAfter) {
            self.dead.send_replace(true);
            std::future::pending().await
        }
    }
}

/// One call on the storage inside, which never comes back once the process is dead.
macro_rules! alive {
    ($self:ident, $storage:ident => $call:expr) => {{
        let mut death = $self.dead.subscribe();
        let died = async move { death.wait_for(|dead| *dead).await.is_ok() };
        let guard = $self.storage.read().await;
        let answer = match guard.as_ref() {
            None => None,
            Some($storage) => tokio::select! {
                biased;
                _ = died => None,
                answer = $call => Some(answer),
            },
        };
        // A dead process holds nothing.
        drop(guard);
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }};
}

fn new_fate() -> Arc<Mutex<Fate>> {
    Arc::new(Mutex::new(Fate::Quiet))
}

fn fate_of(fate: &Mutex<Fate>) -> Fate {
    *fate.lock().expect("nothing panics with the fate in hand")
}

impl Storage for Crashing {
    fn transact(&self, mut transaction: Transaction) -> BoxFuture<'_, Result<Committed, TransactError>> {
        let fate = new_fate();
        transaction.decide = self.watched(transaction.decide, fate.clone());
        Box::pin(async move {
            let answer = alive!(self, storage => storage.transact(transaction));
            self.survive(fate_of(&fate)).await;
            answer
        })
    }

    fn transact_many(
        &self,
        mut transactions: Vec<Transaction>,
    ) -> BoxFuture<'_, Result<Vec<Result<Committed, Refusal>>, StorageError>> {
        // One durable write, so one fate for all.
        let fate = new_fate();
        for transaction in &mut transactions {
            let decide = std::mem::replace(&mut transaction.decide, Box::new(|_| Ok(Vec::new())));
            transaction.decide = self.watched(decide, fate.clone());
        }
        Box::pin(async move {
            let answer = alive!(self, storage => storage.transact_many(transactions));
            self.survive(fate_of(&fate)).await;
            answer
        })
    }

    fn get<'a>(&'a self, order: &'a OrderId) -> BoxFuture<'a, Result<Option<Arc<OrderRecord>>, StorageError>> {
        Box::pin(async move { alive!(self, storage => storage.get(order)) })
    }

    fn find<'a>(
        &'a self,
        account: &'a AccountName,
        kind: Option<&'a str>,
        number: &'a str,
    ) -> BoxFuture<'a, Result<Vec<(OrderId, String)>, StorageError>> {
        Box::pin(async move { alive!(self, storage => storage.find(account, kind, number)) })
    }

    fn find_refund<'a>(
        &'a self,
        account: &'a AccountName,
        key: &'a RefundKey,
    ) -> BoxFuture<'a, Result<Option<OrderId>, StorageError>> {
        Box::pin(async move { alive!(self, storage => storage.find_refund(account, key)) })
    }

    fn scan<'a>(&'a self, query: &'a OrderQuery, page: &'a Page) -> BoxFuture<'a, Result<ScanPage, StorageError>> {
        Box::pin(async move { alive!(self, storage => storage.scan(query, page)) })
    }

    fn refunds_in<'a>(
        &'a self,
        state: RefundState,
        not_after: Option<Timestamp>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DueRefund>, StorageError>> {
        Box::pin(async move { alive!(self, storage => storage.refunds_in(state, not_after, limit)) })
    }

    fn refunds_after<'a>(
        &'a self,
        state: Option<RefundState>,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(String, DueRefund)>, StorageError>> {
        Box::pin(async move { alive!(self, storage => storage.refunds_after(state, after, limit)) })
    }

    fn events(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Arc<Entry>>, StorageError>> {
        Box::pin(async move { alive!(self, storage => storage.events(after, limit)) })
    }

    fn lines(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<String>, StorageError>> {
        Box::pin(async move { alive!(self, storage => storage.lines(after, limit)) })
    }

    fn events_of<'a>(&'a self, order: &'a OrderId) -> BoxFuture<'a, Result<Vec<Arc<Entry>>, StorageError>> {
        Box::pin(async move { alive!(self, storage => storage.events_of(order)) })
    }

    fn newest(&self) -> watch::Receiver<u64> {
        self.newest.clone()
    }

    fn cursor<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<String>, StorageError>> {
        Box::pin(async move { alive!(self, storage => storage.cursor(name)) })
    }

    fn put_cursor<'a>(&'a self, name: &'a str, value: String) -> BoxFuture<'a, Result<(), StorageError>> {
        // How far a list was read is no fact about a refund: it is no commit that is counted.
        Box::pin(async move { alive!(self, storage => storage.put_cursor(name, value)) })
    }

    fn cursors(&self) -> BoxFuture<'_, Result<Vec<(String, String)>, StorageError>> {
        Box::pin(async move { alive!(self, storage => storage.cursors()) })
    }

    fn state_hash(&self) -> BoxFuture<'_, Result<StateHash, StorageError>> {
        Box::pin(async move { alive!(self, storage => storage.state_hash()) })
    }

    fn check(&self) -> BoxFuture<'_, Result<CheckReport, StorageError>> {
        Box::pin(async move { alive!(self, storage => storage.check()) })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async move { alive!(self, storage => storage.close()) })
    }
}
