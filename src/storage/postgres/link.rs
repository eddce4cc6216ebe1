//! The one connection that writes. Each method is one round trip, or two where orders changed after they were read ahead.
//!
//! Statements that are sent together are answered in the order in which they were sent, and each of them sees what was
//! committed before it began: all that is read behind the ledger's row, which a writer holds until its commit, is the
//! newest there is.

use std::collections::HashMap;
use std::task::Poll;

use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};
use uuid::Uuid;

use super::super::StorageError;
use super::ahead::Ahead;
use super::connect::Connector;
use super::fetched::{Fetched, Questions};
use super::rows::{self, Attempts, Ended, Events, FactsColumns, Numbers, Orders, Refunds};
use super::statements::Statements;
use super::trouble::Trouble;
use crate::domain::{AccountName, OrderId, RefundKey};

type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A connection with what it has prepared.
pub(super) struct Link {
    client: Client,
    /// Carries what is sent; ends with the connection.
    carrier: JoinHandle<()>,
    statements: Statements,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

/// What a held ledger says.
pub(super) struct Held {
    /// The last sequence.
    pub(super) sequence: u64,
    /// When, by the server's clock.
    pub(super) at: jiff::Timestamp,
    /// Whether a commit of this id went through before.
    pub(super) is_done: bool,
    /// How many orders that were read ahead had changed since.
    pub(super) changed: usize,
}

/// Everything that a group writes.
#[derive(Default)]
pub(super) struct Written {
    pub(super) sequence: u64,
    pub(super) events: Events,
    pub(super) put: (Orders, FactsColumns),
    pub(super) changed: Orders,
    pub(super) numbers_gained: Numbers,
    pub(super) numbers_lost: Numbers,
    pub(super) refunds: Refunds,
    pub(super) ended: Ended,
    pub(super) begun: Attempts,
    /// How long the attempts that are begun belong to their sender, in milliseconds.
    pub(super) lease_ms: i64,
    pub(super) cursors: (Vec<String>, Vec<String>),
}

impl Link {
    pub(super) async fn open(connector: &Connector) -> Result<Link, Trouble> {
        let (client, carrier) = connector.connect().await?;
        let statements =
            Statements::prepare(&client).await.map_err(|e| Trouble::before_commit("prepare statements for", &e))?;
        Ok(Link { client, carrier, statements })
    }

    /// Reads orders while the ledger may be another's.
    pub(super) async fn read_ahead(&self, orders: Vec<OrderId>, ahead: &mut Ahead) -> Result<(), Trouble> {
        let mut fetched = Vec::with_capacity(orders.len());
        let mut unreadable = Vec::new();
        for row in self.orders(&orders.iter().map(OrderId::as_str).collect::<Vec<_>>()).await? {
            match rows::kept(&row) {
                Ok(kept) => fetched.push(kept),
                Err(_) => unreadable.push(order(row.get(0))?), // it is met again behind the lock
            }
        }
        ahead.read(orders, fetched);
        unreadable.iter().for_each(|order| ahead.forget(order));
        Ok(())
    }

    async fn orders(&self, ids: &[&str]) -> Result<Vec<Row>, Trouble> {
        let rows = self.client.query(&self.statements.orders, &[&ids]).await;
        rows.map_err(|e| Trouble::before_commit("read from", &e))
    }

    /// Begins a commit of that id, takes the ledger, and fetches what is asked for: of the orders that were read ahead,
    /// those that changed since.
    pub(super) async fn begin(
        &self,
        id: Uuid,
        asked: &Questions,
        ahead: &Ahead,
        fetched: &mut Fetched,
    ) -> Result<Held, Trouble> {
        let Link { client, statements, .. } = self;
        let begin = client.batch_execute("BEGIN");
        let note = async { client.execute(&statements.note, &[&id]).await };
        let hold = async {
            let row = client.query_one(&statements.hold, &[]).await?;
            Ok((row.get::<_, i64>(0).cast_unsigned(), row.get(1)))
        };
        let held = async {
            let ((), noted, (sequence, at)) = tokio::try_join!(biased; begin, note, hold)?;
            Ok::<_, tokio_postgres::Error>(Held { sequence, at, is_done: noted == 0, changed: 0 })
        };
        let (held, changed) = tokio::try_join!(
            biased;
            async { held.await.map_err(|e| Trouble::before_commit("take the ledger in", &e)) },
            self.fetch(asked, ahead, fetched)
        )?;
        Ok(Held { changed, ..held })
    }

    /// Fetches what is asked for; tells how many of the orders that were read ahead had to be read again.
    pub(super) async fn fetch(
        &self,
        asked: &Questions,
        ahead: &Ahead,
        fetched: &mut Fetched,
    ) -> Result<usize, Trouble> {
        let Link { client, statements, .. } = self;
        let ids: Vec<&str> = asked.orders.iter().map(OrderId::as_str).collect();
        let (known, unknown): (Vec<&OrderId>, Vec<&OrderId>) = asked.orders.iter().partition(|order| ahead.has(order));
        let text = |orders: &[&OrderId]| -> Vec<String> { orders.iter().map(ToString::to_string).collect() };
        let (unread, looked_at) = (text(&unknown), text(&known));
        let pairs = |of: &std::collections::BTreeSet<(String, String)>| -> (Vec<String>, Vec<String>) {
            of.iter().cloned().unzip()
        };
        let ((accounts, numbers), (of_refunds, keys)) = (pairs(&asked.numbers), pairs(&asked.refunds));
        let names: Vec<&String> = asked.cursors.iter().collect();
        // What nothing is asked of is not sent.
        let rows = async |statement: &Statement, params: Params<'_>, nothing: bool| match nothing {
            true => Ok(Vec::new()),
            false => client.query(statement, params).await,
        };
        let (all, bearers): (Params<'_>, Params<'_>) = (&[&ids], &[&accounts, &numbers]);
        let (orders, heads): (Params<'_>, Params<'_>) = (&[&unread], &[&looked_at]);
        let (refunds, cursors): (Params<'_>, Params<'_>) = (&[&of_refunds, &keys], &[&names]);
        let (mut orders, heads, contested, bearers, refunds, cursors) = tokio::try_join!(
            biased; // in this order
            rows(&statements.orders, orders, unread.is_empty()),
            rows(&statements.heads, heads, looked_at.is_empty()),
            rows(&statements.contested, all, ids.is_empty()),
            rows(&statements.numbers, bearers, numbers.is_empty()),
            rows(&statements.refunds, refunds, keys.is_empty()),
            rows(&statements.cursors, cursors, names.is_empty()),
        )
        .map_err(|e| Trouble::before_commit("read from", &e))?;
        fetched.asked(asked);
        let heads: HashMap<&str, &[u8]> = heads.iter().map(|row| (row.get(0), row.get(1))).collect();
        let changed: Vec<&str> = ahead.settle(&known, &heads, fetched).into_iter().map(OrderId::as_str).collect();
        if !changed.is_empty() {
            orders.extend(self.orders(&changed).await?);
        }
        for row in &orders {
            match rows::kept(row) {
                Ok(kept) => fetched.record(kept),
                Err(StorageError::Row { why, .. }) => fetched.unreadable(order(row.get(0))?, why),
                Err(error) => return Err(Trouble::Failed(error)),
            }
        }
        for row in &contested {
            fetched.contested(&name(row.get(0))?, row.get(1), row.get(2));
        }
        let bearers: Result<Vec<_>, Trouble> =
            bearers.iter().map(|row| Ok((name(row.get(0))?, row.get(1), order(row.get(2))?, row.get(3)))).collect();
        fetched.bearers(bearers?);
        for row in &refunds {
            let key = RefundKey::new(row.get::<_, &str>(1)).map_err(|e| wrong("a refund", &e))?;
            fetched.refund(&name(row.get(0))?, &key, &order(row.get(2))?);
        }
        cursors.iter().for_each(|row| fetched.cursor(row.get(0), row.get(1)));
        Ok(changed.len())
    }

    /// Writes all of it and commits.
    pub(super) async fn commit(&self, written: &Written) -> Result<(), Trouble> {
        let Link { client, statements, .. } = self;
        let Written { sequence, events, put: (put, facts), changed, refunds, .. } = written;
        let (gained, lost, cursors) = (&written.numbers_gained, &written.numbers_lost, &written.cursors);
        let sequence = sequence.cast_signed();
        let add_events: Params<'_> = &[
            &events.sequences,
            &events.orders,
            &events.versions,
            &events.times,
            &events.devices,
            &events.types,
            &events.lines,
            &events.hashes,
        ];
        let put_orders: Params<'_> = &[
            &put.ids,
            &put.accounts,
            &put.versions,
            &put.heads,
            &put.provisional,
            &put.refunded,
            &put.held,
            &put.external,
            &put.unsettled,
            &put.excess,
            &put.records,
            &facts.times,
            &facts.statuses,
            &facts.methods,
            &facts.currencies,
            &facts.paid,
            &facts.facts,
        ];
        let change_orders: Params<'_> = &[
            &changed.ids,
            &changed.versions,
            &changed.heads,
            &changed.provisional,
            &changed.refunded,
            &changed.held,
            &changed.external,
            &changed.unsettled,
            &changed.excess,
            &changed.records,
        ];
        let remove_numbers: Params<'_> = &[&lost.accounts, &lost.numbers, &lost.kinds, &lost.orders];
        let add_numbers: Params<'_> = &[&gained.accounts, &gained.numbers, &gained.kinds, &gained.orders];
        let put_refunds: Params<'_> = &[
            &refunds.accounts,
            &refunds.keys,
            &refunds.orders,
            &refunds.states,
            &refunds.since,
            &refunds.amounts,
            &refunds.requested_at,
            &refunds.requested_by,
            &refunds.memos,
            &refunds.attempts,
            &refunds.places,
            &refunds.records,
        ];
        let (ended, begun) = (&written.ended, &written.begun);
        let end_attempts: Params<'_> = &[&ended.accounts, &ended.keys, &ended.numbers, &ended.states];
        let begin_attempts: Params<'_> =
            &[&begun.accounts, &begun.keys, &begun.numbers, &begun.orders, &begun.devices, &written.lease_ms];
        let put_cursors: Params<'_> = &[&cursors.0, &cursors.1];
        let set_sequence: Params<'_> = &[&sequence];
        let steps = [
            (&statements.add_events, add_events, events.sequences.is_empty()),
            (&statements.put_orders, put_orders, put.ids.is_empty()),
            (&statements.change_orders, change_orders, changed.ids.is_empty()),
            (&statements.remove_numbers, remove_numbers, lost.orders.is_empty()),
            (&statements.add_numbers, add_numbers, gained.orders.is_empty()),
            (&statements.put_refunds, put_refunds, refunds.keys.is_empty()),
            (&statements.end_attempts, end_attempts, ended.keys.is_empty()),
            (&statements.begin_attempts, begin_attempts, begun.keys.is_empty()),
            (&statements.put_cursors, put_cursors, cursors.0.is_empty()),
            (&statements.set_sequence, set_sequence, false),
        ];
        let steps = steps.into_iter().filter(|(.., nothing)| !nothing);
        // All are sent before the first one is answered.
        let steps: Vec<_> = steps.map(|(statement, params, _)| client.execute(statement, params)).collect();
        let (_, ()) = tokio::try_join!(biased; in_order(steps), client.batch_execute("COMMIT"))
            .map_err(|e| Trouble::around_commit(&e))?;
        Ok(())
    }

    /// Gives the ledger back with nothing written.
    pub(super) async fn roll_back(&self) -> Result<(), Trouble> {
        self.client.batch_execute("ROLLBACK").await.map_err(|e| Trouble::before_commit("give back", &e))
    }
}

/// Polls futures in their order until all are through, or one fails.
async fn in_order<T, E>(steps: Vec<impl Future<Output = Result<T, E>>>) -> Result<(), E> {
    let mut waiting: Vec<_> = steps.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|context| {
        let mut failed = None;
        waiting.retain_mut(|step| match step.as_mut().poll(context) {
            Poll::Pending => true,
            Poll::Ready(Ok(_)) => false,
            Poll::Ready(Err(error)) => {
                failed.get_or_insert(error);
                false
            }
        });
        match (failed, waiting.is_empty()) {
            (Some(error), _) => Poll::Ready(Err(error)),
            (None, true) => Poll::Ready(Ok(())),
            (None, false) => Poll::Pending,
        }
    })
    .await
}

fn name(text: &str) -> Result<AccountName, Trouble> {
    AccountName::new(text).map_err(|e| wrong("an account", &e))
}

fn order(text: &str) -> Result<OrderId, Trouble> {
    OrderId::new(text).map_err(|e| wrong("an order", &e))
}

fn wrong(what: &str, why: &dyn std::fmt::Display) -> Trouble {
    Trouble::Failed(super::trouble::garbled(what, why))
}
