//! A storage that ends as a killed process would, at a commit chosen beforehand.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tillbook::BoxFuture;
use tillbook::domain::decide::Refusal;
use tillbook::storage::embedded::Embedded;
use tillbook::storage::{Committed, Decide, Storage, StorageError, TransactError, Transaction};
use tokio::sync::{RwLock, watch};

use super::forward_storage::forward_storage;

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

/// A storage whose process can be killed.
pub(crate) trait Mortal: Storage {
    /// Ends as it would with a killed process, whatever is under way.
    fn abandon(&self) -> BoxFuture<'_, ()>;
}

impl Mortal for Embedded {
    fn abandon(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move { Embedded::abandon(self).await.expect("abandoned") })
    }
}

/// A storage; from its crash on no call ever comes back.
pub(crate) struct Crashing {
    storage: RwLock<Option<Box<dyn Mortal>>>,
    plan: Arc<Mutex<Plan>>,
    newest: watch::Receiver<u64>,
    lease: Option<Duration>,
    dead: watch::Sender<bool>,
}

impl Crashing {
    /// A storage whose process dies when `dead` says so.
    pub(crate) fn over(storage: Box<dyn Mortal>, dead: watch::Sender<bool>) -> Arc<Crashing> {
        let (newest, plan, lease) = (storage.newest(), Arc::default(), storage.lease());
        Arc::new(Crashing { storage: RwLock::new(Some(storage)), plan, newest, lease, dead })
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
            storage.abandon().await;
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
    ($self:ident, $($call:tt)+) => {
        Box::pin(async move {
            let mut death = $self.dead.subscribe();
            let died = async move { death.wait_for(|dead| *dead).await.is_ok() };
            let guard = $self.storage.read().await;
            let answer = match guard.as_ref() {
                None => None,
                Some(storage) => tokio::select! {
                    biased;
                    _ = died => None,
                    answer = storage.$($call)+ => Some(answer),
                },
            };
            // A dead process holds nothing.
            drop(guard);
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        })
    };
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
            let answer = alive!(self, transact(transaction)).await;
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
            let answer = alive!(self, transact_many(transactions)).await;
            self.survive(fate_of(&fate)).await;
            answer
        })
    }

    fn lease(&self) -> Option<Duration> {
        self.lease
    }

    fn newest(&self) -> watch::Receiver<u64> {
        self.newest.clone()
    }

    // How far a list was read is no fact about a refund: a cursor is no commit that is counted.
    forward_storage!(
        alive!: get, find, find_refund, scan, refunds_in, refunds_after, lost_attempts, events, lines, events_of, cursor,
        cursors, put_cursor, state_hash, check, close
    );
}
