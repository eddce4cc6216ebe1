//! A storage in memory that survives crashes, and has one fault.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use tillbook::domain::decide::{Found, Refusal};
use tillbook::domain::{AccountName, Entry, OrderId, OrderRecord, RefundKey, RefundState, Timestamp};
use tillbook::storage::memory::Memory;
use tillbook::storage::{
    Claims, Committed, DueRefund, OrderQuery, Page, ScanPage, StateHash, Storage, StorageError, TransactError,
    Transaction,
};
use tillbook::{BoxFuture, storage::conformance::device};
use tokio::sync::watch;

use crate::support::forward_storage::forward_storage;

/// What a storage does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing.
    None,
    ForgetsTheLastWriteAtACrash,
    KeepsHalfACommandAtACrash,
    ForgetsCursorsAtACrash,
    AnswersOkToWhatACrashCutOff,
    GivesARefundKeyTwice,
    OverlooksWhoElseBearsANumber,
    DecidesOnAnOldRecord,
    EndsAPageOfCommandsAtARefusal,
    GoesOnAfterAPanic,
    AnswersAfterTheClose,
    SkipsAnEvent,
    PrintsLinesAnew,
    HashesNoCursors,
    TellsNothingNewest,
    GivesAShortPage,
    CountsPagesByOffset,
    LosesTheFirstOfAChunk,
    TakesAnyTokenForTheBeginning,
    GivesTheQueueByName,
    GivesWhatIsNotDue,
    CutsLongCursors,
    ReadsKeysFromALaggingIndex,
}

/// The storage.
pub(super) struct Faulty {
    inner: Memory,
    fault: Fault,
    /// What has to be known of it beside what is kept.
    notes: Mutex<Notes>,
    nothing_new: watch::Sender<u64>,
}

#[derive(Default)]
struct Notes {
    crashed: bool,
    /// The last sequence of each write.
    ends: Vec<u64>,
    /// How far the index of keys has come, where it is stalled.
    indexed: Option<u64>,
    /// The records before the newest write of each order.
    old: std::collections::BTreeMap<OrderId, Option<Arc<OrderRecord>>>,
}

/// Memory answers a write when it is first asked.
fn at_once<T>(mut call: BoxFuture<'_, T>) -> T {
    match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("memory does not wait"),
    }
}

impl Faulty {
    pub(super) fn new(fault: Fault) -> Faulty {
        let (inner, notes) = (Memory::new(device()), Mutex::new(Notes::default()));
        Faulty { inner, fault, notes, nothing_new: watch::Sender::new(0) }
    }

    fn notes(&self) -> std::sync::MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stall_index(&self) {
        let newest = *self.inner.newest().borrow();
        self.notes().indexed.get_or_insert(newest);
    }

    pub(super) fn catch_up(&self) {
        self.notes().indexed = None;
    }

    /// Ends this one and makes the one that is found in its place.
    pub(super) async fn crash(&self) -> Result<Faulty, StorageError> {
        self.notes().crashed = true;
        let entries = self.inner.events(0, usize::MAX).await?;
        let (last, before) = match self.notes().ends.as_slice() {
            [.., before, last] => (*last, *before),
            [last] => (*last, 0),
            [] => (0, 0),
        };
        let kept = match self.fault {
            Fault::ForgetsTheLastWriteAtACrash => before,
            Fault::KeepsHalfACommandAtACrash if last - before > 1 => last - 1,
            _ => last,
        };
        let reopened = Faulty::new(self.fault);
        for entry in entries.iter().filter(|entry| entry.sequence <= kept) {
            reopened.write_again(entry);
        }
        if self.fault != Fault::ForgetsCursorsAtACrash {
            for (name, value) in self.inner.cursors().await? {
                reopened.inner.put_cursor(&name, value).await?;
            }
        }
        reopened.notes().ends.push(kept);
        Ok(reopened)
    }

    fn write_again(&self, entry: &Entry) {
        let (order, account, event) = (entry.order.clone(), entry.account.clone(), entry.event.clone());
        let decide = Box::new(move |_: &Found| Ok(vec![event.clone()]));
        let again = Transaction { order, account, claims: Claims::default(), now: entry.at, decide };
        at_once(self.inner.transact(again)).expect("it was written before");
    }

    /// The command as this storage will decide it.
    fn bend(&self, mut transaction: Transaction) -> Transaction {
        let mut decide = transaction.decide;
        match self.fault {
            Fault::GivesARefundKeyTwice => transaction.claims.refund_key = None,
            Fault::OverlooksWhoElseBearsANumber => {
                transaction.decide = Box::new(move |found| decide(&Found { holders: Vec::new(), ..found.clone() }));
                return transaction;
            }
            Fault::DecidesOnAnOldRecord => {
                let old = self.notes().old.get(&transaction.order).cloned().flatten();
                transaction.decide = Box::new(move |found| {
                    let record = old.clone().or_else(|| found.record.clone());
                    decide(&Found { record, ..found.clone() })
                });
                return transaction;
            }
            Fault::GoesOnAfterAPanic => {
                transaction.decide = Box::new(move |found| {
                    let decided = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| decide(found)));
                    decided.unwrap_or(Ok(Vec::new()))
                });
                return transaction;
            }
            _ => {}
        }
        transaction.decide = decide;
        transaction
    }

    /// Writes, unless a crash has ended this storage: nothing is written after it.
    fn write<T>(&self, write: impl FnOnce(&Memory) -> Result<T, TransactError>) -> Result<T, TransactError> {
        let mut notes = self.notes();
        if notes.crashed && self.fault != Fault::AnswersOkToWhatACrashCutOff {
            return Err(StorageError::Poisoned { why: "the storage has crashed".to_owned() }.into());
        }
        let answer = write(&self.inner)?;
        let newest = *self.inner.newest().borrow();
        if notes.ends.last() != Some(&newest) {
            notes.ends.push(newest);
        }
        Ok(answer)
    }
}

impl Storage for Faulty {
    forward_storage!(self.inner: get, find, events_of, cursor, cursors, check);

    fn transact(&self, transaction: Transaction) -> BoxFuture<'_, Result<Committed, TransactError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let order = transaction.order.clone();
            let before = self.inner.get(&order).await?;
            let bent = self.bend(transaction);
            let answer = self.write(|inner| at_once(inner.transact(bent)));
            self.notes().old.insert(order, before);
            // Written, and not yet answered.
            tokio::task::yield_now().await;
            answer
        })
    }

    fn transact_many(
        &self,
        transactions: Vec<Transaction>,
    ) -> BoxFuture<'_, Result<Vec<Result<Committed, Refusal>>, StorageError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let bent: Vec<Transaction> = transactions.into_iter().map(|transaction| self.bend(transaction)).collect();
            let answer = self.write(|inner| {
                if self.fault != Fault::EndsAPageOfCommandsAtARefusal {
                    return Ok(at_once(inner.transact_many(bent))?);
                }
                let mut answers = Vec::new();
                for one in bent {
                    answers.extend(at_once(inner.transact_many(vec![one]))?);
                    if answers.last().is_some_and(Result::is_err) {
                        break;
                    }
                }
                Ok(answers)
            });
            tokio::task::yield_now().await;
            answer.map_err(|error| match error {
                TransactError::Storage(error) => error,
                TransactError::Refused(refusal) => StorageError::Poisoned { why: refusal.to_string() },
            })
        })
    }

    fn find_refund<'a>(
        &'a self,
        account: &'a AccountName,
        key: &'a RefundKey,
    ) -> BoxFuture<'a, Result<Option<OrderId>, StorageError>> {
        Box::pin(async move {
            let found = self.inner.find_refund(account, key).await?;
            let indexed = self.notes().indexed;
            let (Fault::ReadsKeysFromALaggingIndex, Some(through)) = (self.fault, indexed) else { return Ok(found) };
            let seen = self.inner.events(0, usize::try_from(through).unwrap_or(usize::MAX)).await?;
            Ok(found.filter(|order| seen.iter().any(|entry| entry.order == *order)))
        })
    }

    fn scan<'a>(&'a self, query: &'a OrderQuery, page: &'a Page) -> BoxFuture<'a, Result<ScanPage, StorageError>> {
        Box::pin(async move {
            match self.fault {
                Fault::GivesAShortPage => {
                    let mut answer = self.inner.scan(query, page).await?;
                    if answer.next.is_some() && answer.orders.len() > 1 {
                        answer.orders.pop();
                    }
                    Ok(answer)
                }
                Fault::CountsPagesByOffset => {
                    let from = page.after.as_ref().map_or(0, |after| after.parse().unwrap_or(0));
                    let all = self.inner.scan(query, &Page { limit: 100_000, after: None }).await?.orders;
                    let orders: Vec<_> = all.iter().skip(from).take(page.limit.max(1)).cloned().collect();
                    let next = (from + orders.len() < all.len()).then(|| (from + orders.len()).to_string());
                    Ok(ScanPage { orders, next })
                }
                Fault::TakesAnyTokenForTheBeginning => match self.inner.scan(query, page).await {
                    Err(StorageError::UnknownPage { .. }) => {
                        self.inner.scan(query, &Page { after: None, ..page.clone() }).await
                    }
                    answer => answer,
                },
                _ => self.inner.scan(query, page).await,
            }
        })
    }

    fn refunds_in<'a>(
        &'a self,
        state: RefundState,
        not_after: Option<Timestamp>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DueRefund>, StorageError>> {
        Box::pin(async move {
            let not_after = not_after.filter(|_| self.fault != Fault::GivesWhatIsNotDue);
            let mut found = self.inner.refunds_in(state, not_after, limit).await?;
            if self.fault == Fault::GivesTheQueueByName {
                found.sort_by(|a, b| a.key.cmp(&b.key));
            }
            Ok(found)
        })
    }

    fn refunds_after<'a>(
        &'a self,
        state: Option<RefundState>,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(String, DueRefund)>, StorageError>> {
        Box::pin(async move {
            let mut chunk = self.inner.refunds_after(state, after, limit).await?;
            if self.fault == Fault::LosesTheFirstOfAChunk && after.is_some() && chunk.len() > 1 {
                chunk.remove(0);
            }
            Ok(chunk)
        })
    }

    fn events(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Arc<Entry>>, StorageError>> {
        Box::pin(async move {
            let mut entries = self.inner.events(after, limit).await?;
            entries.retain(|entry| self.fault != Fault::SkipsAnEvent || entry.sequence % 10 != 0);
            Ok(entries)
        })
    }

    fn lines(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<String>, StorageError>> {
        Box::pin(async move {
            let mut lines = self.inner.lines(after, limit).await?;
            if self.fault == Fault::PrintsLinesAnew {
                for line in &mut lines {
                    let value: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
                    *line = value.to_string();
                }
            }
            Ok(lines)
        })
    }

    fn newest(&self) -> watch::Receiver<u64> {
        if self.fault == Fault::TellsNothingNewest { self.nothing_new.subscribe() } else { self.inner.newest() }
    }

    fn put_cursor<'a>(&'a self, name: &'a str, mut value: String) -> BoxFuture<'a, Result<(), StorageError>> {
        if self.fault == Fault::CutsLongCursors {
            value.truncate(4_000);
        }
        self.inner.put_cursor(name, value)
    }

    fn state_hash(&self) -> BoxFuture<'_, Result<StateHash, StorageError>> {
        Box::pin(async move {
            if self.fault != Fault::HashesNoCursors {
                return self.inner.state_hash().await;
            }
            let lines = self.inner.lines(0, usize::MAX).await?;
            StateHash::of(lines, []).map_err(|why| StorageError::Poisoned { why })
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(
            async move { if self.fault == Fault::AnswersAfterTheClose { Ok(()) } else { self.inner.close().await } },
        )
    }
}
