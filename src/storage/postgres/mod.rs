//! A ledger on a PostgreSQL server, shared by several processes and machines.
//!
//! The tables are the truth: events with their hash chains, and beside them what they come to, in columns that a person
//! can query. The rules stay in the process (`group`), decided on rows that are held until the commit. What must never be
//! here: rules about refunds, a second way to write.
//!
//! Start reading at [`Postgres`], then `writer.rs` and `link.rs`, which is the whole path of a hold.

mod ahead;
mod bodies;
mod change;
mod check;
mod command;
mod commits;
mod connect;
mod deciding;
mod fetched;
mod link;
mod open;
mod reads;
mod rows;
mod schema;
mod statements;
mod together;
mod trouble;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::lines::Cursor;
use super::{
    CheckReport, Committed, DueRefund, LostAttempt, Noted, OrderQuery, Page, ScanPage, StateHash, Storage,
    StorageError, TransactError, Transaction,
};
use crate::BoxFuture;
use crate::domain::decide::Refusal;
use crate::domain::{AccountName, Body, Entry, OrderId, OrderRecord, RefundKey, RefundState, Timestamp};
use bodies::Bodies;
use command::Command;
pub use open::PostgresOptions;
use reads::Reads;

/// Orders and their history on a server.
///
/// # Durability
/// `Ok` comes after the server's commit with `synchronous_commit = on`: what the server promises then, for the disk it
/// has and the replicas it waits for.
///
/// # Attempts
/// An attempt belongs to the process that began it until its [lease](PostgresOptions::lease) is over by the server's
/// clock. Then any process reads it as in doubt, and from then on nothing that its sender says of it is recorded.
#[derive(Debug)]
pub struct Postgres {
    reads: Arc<Reads>,
    /// `None`: opened for reading only.
    writing: Option<Writing>,
    newest: watch::Sender<u64>,
    lease: Duration,
    /// What goes on beside commands and reads: looking whether another process has written, and pruning.
    at_work: Vec<JoinHandle<()>>,
}

/// The way to the task that writes, which ends with it.
#[derive(Debug)]
struct Writing {
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
    bodies: Bodies,
}

impl Postgres {
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, StorageError> {
        let Writing { commands, .. } = self.writing.as_ref().ok_or(StorageError::ReadOnly)?;
        let (answer, answered) = oneshot::channel();
        commands.send(command(answer)).await.map_err(|_| StorageError::Closed)?;
        answered.await.map_err(|_| StorageError::Closed)
    }

    /// Goes on with another ledger's history: the lines of entries and cursors that follow what is here, durable before
    /// `Ok`, all or none.
    ///
    /// # Errors
    /// [`StorageError::BadExport`] names the first line that does not follow.
    pub(crate) async fn go_on(&self, lines: Vec<String>) -> Result<(), StorageError> {
        self.ask(|answer| Command::History(lines, answer)).await?
    }

    /// For tests: ends as a killed process would, whatever is under way.
    #[doc(hidden)]
    pub fn abandon(&self) {
        self.writing.iter().for_each(|writing| writing.task.abort());
        self.end_work();
        self.reads.pool.close();
    }

    fn end_work(&self) {
        self.at_work.iter().for_each(JoinHandle::abort);
    }

    fn reads(&self) -> Result<&Reads, StorageError> {
        if self.reads.pool.is_closed() { Err(StorageError::Closed) } else { Ok(&self.reads) }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end_work();
    }
}

impl Storage for Postgres {
    fn transact(&self, transaction: Transaction) -> BoxFuture<'_, Result<Committed, TransactError>> {
        Box::pin(async move { self.ask(|answer| Command::One(Box::new(transaction), answer)).await? })
    }

    fn transact_many(
        &self,
        transactions: Vec<Transaction>,
    ) -> BoxFuture<'_, Result<Vec<Result<Committed, Refusal>>, StorageError>> {
        Box::pin(async move { self.ask(|answer| Command::Many(transactions, answer)).await? })
    }

    fn get<'a>(&'a self, order: &'a OrderId) -> BoxFuture<'a, Result<Option<Arc<OrderRecord>>, StorageError>> {
        Box::pin(async move { self.reads()?.record(order).await })
    }

    fn find<'a>(
        &'a self,
        account: &'a AccountName,
        kind: Option<&'a str>,
        number: &'a str,
    ) -> BoxFuture<'a, Result<Vec<(OrderId, String)>, StorageError>> {
        Box::pin(async move { self.reads()?.find(account, kind, number).await })
    }

    fn find_refund<'a>(
        &'a self,
        account: &'a AccountName,
        key: &'a RefundKey,
    ) -> BoxFuture<'a, Result<Option<OrderId>, StorageError>> {
        Box::pin(async move { self.reads()?.find_refund(account, key).await })
    }

    fn scan<'a>(&'a self, query: &'a OrderQuery, page: &'a Page) -> BoxFuture<'a, Result<ScanPage, StorageError>> {
        Box::pin(async move { self.reads()?.scan(query, page).await })
    }

    fn refunds_in<'a>(
        &'a self,
        state: RefundState,
        not_after: Option<Timestamp>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DueRefund>, StorageError>> {
        Box::pin(async move { self.reads()?.refunds_in(state, not_after, limit).await })
    }

    fn refunds_after<'a>(
        &'a self,
        state: Option<RefundState>,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(String, DueRefund)>, StorageError>> {
        Box::pin(async move { self.reads()?.refunds_after(state, after, limit).await })
    }

    fn lost_attempts(&self, limit: usize) -> BoxFuture<'_, Result<Vec<LostAttempt>, StorageError>> {
        Box::pin(async move { self.reads()?.lost_attempts(limit).await })
    }

    fn lease(&self) -> Option<Duration> {
        Some(self.lease)
    }

    fn events(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Arc<Entry>>, StorageError>> {
        Box::pin(async move { self.reads()?.events(after, limit).await })
    }

    fn lines(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<String>, StorageError>> {
        Box::pin(async move { self.reads()?.lines(after, limit).await })
    }

    fn events_of<'a>(&'a self, order: &'a OrderId) -> BoxFuture<'a, Result<Vec<Arc<Entry>>, StorageError>> {
        Box::pin(async move { self.reads()?.events_of(order).await })
    }

    fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    fn cursor<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<String>, StorageError>> {
        Box::pin(async move { self.reads()?.cursor(name).await })
    }

    fn cursors(&self) -> BoxFuture<'_, Result<Vec<(String, String)>, StorageError>> {
        Box::pin(async move { self.reads()?.cursors().await })
    }

    fn put_cursor<'a>(&'a self, name: &'a str, value: String) -> BoxFuture<'a, Result<(), StorageError>> {
        let cursor = Cursor { name: name.to_owned(), value };
        Box::pin(async move { self.ask(|answer| Command::Cursor(cursor, answer)).await? })
    }

    fn state_hash(&self) -> BoxFuture<'_, Result<StateHash, StorageError>> {
        Box::pin(async move { self.reads()?.state_hash().await })
    }

    fn check(&self) -> BoxFuture<'_, Result<CheckReport, StorageError>> {
        Box::pin(async move { self.reads()?.check(None).await })
    }

    fn check_against(&self, noted: Noted) -> BoxFuture<'_, Result<CheckReport, StorageError>> {
        Box::pin(async move { self.reads()?.check(Some(&noted)).await })
    }

    fn keep_body(&self, order: &OrderId, body: Body) {
        if let Some(writing) = &self.writing {
            writing.bodies.keep(order, body);
        }
    }

    fn body<'a>(&'a self, order: &'a OrderId) -> BoxFuture<'a, Result<Option<Body>, StorageError>> {
        Box::pin(async move { self.reads()?.body(order).await })
    }

    fn forget_body<'a>(&'a self, order: &'a OrderId) -> BoxFuture<'a, Result<Option<usize>, StorageError>> {
        Box::pin(async move { self.writing.as_ref().ok_or(StorageError::ReadOnly)?.bodies.forget(order).await })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async move {
            match self.ask(Command::Close).await {
                Ok(()) | Err(StorageError::Closed | StorageError::ReadOnly) => {}
                Err(error) => return Err(error),
            }
            self.end_work();
            self.reads.pool.close();
            // Whoever waits for the next event hears of the close.
            self.newest.send_modify(|_| ());
            Ok(())
        })
    }
}
