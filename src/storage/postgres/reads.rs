//! Every kind of read: each one statement, or a few that see one moment.

use std::collections::HashSet;
use std::sync::Arc;

use deadpool_postgres::{Object, Pool, PoolError, TimeoutType};
use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Row};

use super::super::lines::{self, Cursor};
use super::super::state::State;
use super::super::token::{position, refund_key, refund_position, state_key, time_key, token};
use super::super::{DueRefund, LostAttempt, OrderQuery, Page, ScanPage, StateHash, StorageError};
use super::rows::{self, time, time_of};
use super::together::Together;
use super::trouble::{garbled, remote};
use crate::domain::{AccountName, Entry, OrderId, OrderRecord, RefundKey, RefundState, Timestamp};

/// A page without a limit.
const PAGE: usize = 100;

/// Rows that are read at once.
const CHUNK: i64 = 1_000;

#[derive(Debug)]
pub(super) struct Reads {
    pub(super) pool: Pool,
    /// Who bears a number of an account.
    numbers: Together<(AccountName, String), Vec<(OrderId, String)>>,
    /// Which order has an account's refund.
    refunds: Together<(AccountName, RefundKey), Option<OrderId>>,
}

type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Conditions of a query: only those that are asked for, so that the server sees which index serves them.
#[derive(Default)]
struct Wanted<'a> {
    conditions: Vec<String>,
    params: Vec<&'a (dyn ToSql + Sync)>,
}

impl<'a> Wanted<'a> {
    /// Adds a condition with a value for each `?` in it.
    fn add(&mut self, condition: &str, values: &[&'a (dyn ToSql + Sync)]) {
        let (mut numbered, mut values) = (String::new(), values.iter());
        for part in condition.split('?') {
            if !numbered.is_empty() {
                self.params.extend(values.next().copied());
                numbered.push_str(&format!("${}", self.params.len()));
            }
            numbered.push_str(part);
        }
        self.conditions.push(numbered);
    }

    /// The query for some columns of a table in an order; its last value is the most rows that it gives.
    fn sql(&self, columns: &str, table: &str, order: &str) -> String {
        let wanted = if self.conditions.is_empty() { "true".to_owned() } else { self.conditions.join(" AND ") };
        let limit = self.params.len() + 1;
        format!("SELECT {columns} FROM {table} WHERE {wanted} ORDER BY {order} LIMIT ${limit}")
    }
}

impl Reads {
    pub(super) fn new(pool: Pool) -> Reads {
        let (one, other) = (pool.clone(), pool.clone());
        Reads {
            pool,
            numbers: Together::new(move |asked| Box::pin(bearers(one.clone(), asked))),
            refunds: Together::new(move |asked| Box::pin(orders_of(other.clone(), asked))),
        }
    }

    pub(super) async fn client(&self) -> Result<Object, StorageError> {
        client(&self.pool).await
    }

    pub(super) async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StorageError> {
        query(&self.pool, sql, params).await
    }

    async fn some(&self, sql: &str, wanted: &Wanted<'_>, limit: i64) -> Result<Vec<Row>, StorageError> {
        let mut params = wanted.params.clone();
        params.push(&limit);
        self.query(sql, &params).await
    }

    pub(super) async fn record(&self, order: &OrderId) -> Result<Option<Arc<OrderRecord>>, StorageError> {
        let sql = format!("SELECT {} FROM orders WHERE id = $1", rows::RECORD);
        let found = self.query(&sql, &[&order.as_str()]).await?;
        found.first().map(|row| rows::record(row).map(Arc::new)).transpose()
    }

    pub(super) async fn find(
        &self,
        account: &AccountName,
        kind: Option<&str>,
        number: &str,
    ) -> Result<Vec<(OrderId, String)>, StorageError> {
        let found = self.numbers.ask((account.clone(), number.to_owned())).await?;
        Ok(found.into_iter().filter(|(_, by)| kind.is_none_or(|kind| kind == by)).collect())
    }

    pub(super) async fn find_refund(
        &self,
        account: &AccountName,
        key: &RefundKey,
    ) -> Result<Option<OrderId>, StorageError> {
        self.refunds.ask((account.clone(), key.clone())).await
    }

    pub(super) async fn scan(&self, query: &OrderQuery, page: &Page) -> Result<ScanPage, StorageError> {
        let limit = if page.limit == 0 { PAGE } else { page.limit };
        // Rows hold whole microseconds, so both ends are wide by one and `wants` decides.
        let (newest, oldest) = (query.to.map(time), query.from.map(time));
        let account = query.account.as_ref().map(AccountName::as_str);
        let mut after = page.after.as_deref().map(place).transpose()?;
        let (mut seen, mut answer) = (HashSet::new(), ScanPage::default());
        loop {
            let mut wanted = Wanted::default();
            account.iter().for_each(|account| wanted.add("account = ?", &[account]));
            newest.iter().for_each(|newest| wanted.add("at <= ?", &[newest]));
            oldest.iter().for_each(|oldest| wanted.add("at >= ?", &[oldest]));
            after.iter().for_each(|(at, id)| wanted.add("at <= ? AND (at < ? OR id > ?)", &[at, at, id]));
            let chunk = at_most(limit).saturating_add(1).min(CHUNK);
            let found = self.some(&wanted.sql(rows::RECORD, "orders", "at DESC, id"), &wanted, chunk).await?;
            for row in &found {
                let record = rows::record(row)?;
                after = Some((time(OrderQuery::time_of(&record)), record.id.to_string()));
                // An order whose time is corrected while the page is read could be met twice.
                if !query.wants(&record) || !seen.insert(record.id.clone()) {
                    continue;
                }
                if answer.orders.len() == limit {
                    let last = answer
                        .orders
                        .last()
                        .map(|last: &Arc<OrderRecord>| token(OrderQuery::time_of(last).unix_microseconds(), &last.id));
                    answer.next = last; // there is one more
                    return Ok(answer);
                }
                answer.orders.push(Arc::new(record));
            }
            if at_most(found.len()) < chunk {
                return Ok(answer);
            }
        }
    }

    pub(super) async fn refunds_in(
        &self,
        state: RefundState,
        not_after: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<DueRefund>, StorageError> {
        let latest = not_after.filter(|_| state == RefundState::Queued).map(time);
        let sql = "SELECT account, order_id, key FROM refunds
            WHERE state = $1 AND ($2::timestamptz IS NULL OR since <= $2) ORDER BY since, account, key LIMIT $3";
        let found = self.query(sql, &[&state.to_string(), &latest, &at_most(limit)]).await?;
        found.iter().map(due).collect()
    }

    pub(super) async fn refunds_after(
        &self,
        state: Option<RefundState>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, DueRefund)>, StorageError> {
        let position = after.map(|token| refund_position(state, token)).transpose()?;
        let wrong = || garbled("a page", &"its token");
        let mut wanted = Wanted::default();
        let Some(state) = state else {
            let after = position.map(|key| refund_key(&key).ok_or_else(wrong)).transpose()?;
            let after = after.map(|(account, key)| (account.to_string(), key.to_string()));
            after.iter().for_each(|(account, key)| wanted.add("(account, key) > (?, ?)", &[account, key]));
            let sql = wanted.sql("account, order_id, key", "refunds", "account, key");
            let found = self.some(&sql, &wanted, at_most(limit)).await?;
            let told = found.iter().map(due);
            return told.map(|due| due.map(|due| (format!("{}/{}", due.account, due.key), due))).collect();
        };
        let (state, after) = (state.to_string(), position.map(|key| state_key(&key).ok_or_else(wrong)).transpose()?);
        let after = after.map(|(micros, account, key)| (time_of(micros), account.to_string(), key.to_string()));
        wanted.add("state = ?", &[&state]);
        if let Some((since, account, key)) = &after {
            wanted.add("(since, account, key) > (?, ?, ?)", &[since, account, key]);
        }
        let sql = wanted.sql("account, order_id, key, since", "refunds", "since, account, key");
        let found = self.some(&sql, &wanted, at_most(limit)).await?;
        let told = found.iter().map(|row| {
            let (due, since) = (due(row)?, row.get::<_, jiff::Timestamp>(3));
            Ok((format!("{}/{}/{}", since.as_microsecond(), due.account, due.key), due))
        });
        told.collect()
    }

    /// Attempts whose lease is over, the oldest first.
    pub(super) async fn lost_attempts(&self, limit: usize) -> Result<Vec<LostAttempt>, StorageError> {
        let sql = "SELECT account, order_id, key, number FROM attempts
            WHERE ended IS NULL AND lease_until < now() ORDER BY lease_until, account, key LIMIT $1";
        let found = self.query(sql, &[&at_most(limit)]).await?;
        let lost = |row| Ok(LostAttempt { refund: due(row)?, attempt: u32::try_from(row.get::<_, i32>(3)).ok() });
        found.iter().map(lost).collect()
    }

    pub(super) async fn lines(&self, after: u64, limit: usize) -> Result<Vec<String>, StorageError> {
        let sql = "SELECT line FROM events WHERE sequence > $1 ORDER BY sequence LIMIT $2";
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let found = self.query(sql, &[&after, &at_most(limit)]).await?;
        Ok(found.iter().map(|row| row.get(0)).collect())
    }

    pub(super) async fn events(&self, after: u64, limit: usize) -> Result<Vec<Arc<Entry>>, StorageError> {
        self.lines(after, limit).await?.iter().map(|line| entry(line)).collect()
    }

    pub(super) async fn events_of(&self, order: &OrderId) -> Result<Vec<Arc<Entry>>, StorageError> {
        let found =
            self.query("SELECT line FROM events WHERE order_id = $1 ORDER BY version", &[&order.as_str()]).await?;
        found.iter().map(|row| entry(row.get(0))).collect()
    }

    pub(super) async fn cursor(&self, name: &str) -> Result<Option<String>, StorageError> {
        let found = self.query("SELECT value FROM cursors WHERE name = $1", &[&name]).await?;
        Ok(found.first().map(|row| row.get(0)))
    }

    pub(super) async fn cursors(&self) -> Result<Vec<(String, String)>, StorageError> {
        let found = self.query("SELECT name, value FROM cursors ORDER BY name", &[]).await?;
        let all = found.iter().map(|row| (row.get::<_, String>(0), row.get(1)));
        Ok(all.filter(|(name, _)| !Cursor::is_own(name)).collect())
    }

    /// The last sequence that is committed.
    pub(super) async fn newest(&self) -> Result<u64, StorageError> {
        let found = self.query("SELECT sequence FROM ledger", &[]).await?;
        Ok(found.first().map_or(0, |row| row.get::<_, i64>(0).cast_unsigned()))
    }

    pub(super) async fn state_hash(&self) -> Result<StateHash, StorageError> {
        let mut client = self.client().await?;
        let failed = |e: tokio_postgres::Error| remote("read from", &e);
        let moment = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let moment = moment.start().await.map_err(failed)?;
        let mut state = State::default();
        loop {
            let sql = "SELECT line FROM events WHERE sequence > $1 ORDER BY sequence LIMIT $2";
            let found = moment.query(sql, &[&state.sequence.cast_signed(), &CHUNK]).await.map_err(failed)?;
            for row in &found {
                let read = state.take_in(row.get::<_, &str>(0).as_bytes());
                read.map_err(|why| garbled(&format!("the event after {}", state.sequence), &why))?;
            }
            if found.is_empty() {
                break;
            }
        }
        for row in moment.query("SELECT name, value FROM cursors", &[]).await.map_err(failed)? {
            state.cursors.insert(row.get(0), row.get(1));
        }
        Ok(state.hash())
    }
}

async fn client(pool: &Pool) -> Result<Object, StorageError> {
    pool.get().await.map_err(|error| match error {
        PoolError::Backend(error) => remote("connect to", &error),
        PoolError::Timeout(TimeoutType::Wait) => {
            let (most, wait) = (pool.status().max_size, pool.timeouts().wait.unwrap_or_default());
            let why = format!("all {most} connections for reading were in use for {wait:?}");
            StorageError::Remote { doing: "read from", why }
        }
        error => StorageError::Remote { doing: "connect to", why: error.to_string() },
    })
}

async fn query(pool: &Pool, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StorageError> {
    let client = client(pool).await?;
    let rows = async { client.query(&client.prepare_cached(sql).await?, params).await };
    rows.await.map_err(|e| remote("read from", &e))
}

/// The orders that bear each of the numbers, with the kind by which each does.
async fn bearers(pool: Pool, asked: Vec<(AccountName, String)>) -> Result<Vec<Vec<(OrderId, String)>>, StorageError> {
    let sql = "SELECT nth, order_id, kind FROM order_numbers
        JOIN unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (account, number, nth) USING (account, number)
        ORDER BY nth, order_id, kind";
    let (accounts, numbers): (Vec<_>, Vec<_>) =
        asked.iter().map(|(account, number)| (account.as_str(), number.as_str())).unzip();
    let mut answers = vec![Vec::new(); asked.len()];
    for row in query(&pool, sql, &[&accounts, &numbers]).await? {
        answers[asked_at(&row, asked.len())?].push((order(row.get(1))?, row.get(2)));
    }
    Ok(answers)
}

/// The order of each of the refunds.
async fn orders_of(pool: Pool, asked: Vec<(AccountName, RefundKey)>) -> Result<Vec<Option<OrderId>>, StorageError> {
    let sql = "SELECT nth, order_id FROM refunds
        JOIN unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (account, key, nth) USING (account, key)";
    let (accounts, keys): (Vec<_>, Vec<_>) =
        asked.iter().map(|(account, key)| (account.as_str(), key.as_str())).unzip();
    let mut answers = vec![None; asked.len()];
    for row in query(&pool, sql, &[&accounts, &keys]).await? {
        answers[asked_at(&row, asked.len())?] = Some(order(row.get(1))?);
    }
    Ok(answers)
}

/// Which question a row answers: the server counts from 1.
fn asked_at(row: &Row, asked: usize) -> Result<usize, StorageError> {
    let place = usize::try_from(row.get::<_, i64>(0) - 1).ok().filter(|place| *place < asked);
    place.ok_or_else(|| garbled("an answer", &"it answers no question"))
}

fn at_most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Where a page of orders ended.
fn place(token: &str) -> Result<(jiff::Timestamp, String), StorageError> {
    let key = position(token)?;
    let (micros, order) = time_key(&key).ok_or_else(|| garbled("a page", &"its token"))?;
    Ok((time_of(micros), order.to_string()))
}

fn order(text: &str) -> Result<OrderId, StorageError> {
    OrderId::new(text).map_err(|e| garbled("an order", &e))
}

fn due(row: &Row) -> Result<DueRefund, StorageError> {
    let account = AccountName::new(row.get::<_, &str>(0)).map_err(|e| garbled("a refund", &e))?;
    let key = RefundKey::new(row.get::<_, &str>(2)).map_err(|e| garbled("a refund", &e))?;
    Ok(DueRefund { account, order: order(row.get(1))?, key })
}

fn entry(line: &str) -> Result<Arc<Entry>, StorageError> {
    lines::entry(line.as_bytes()).map(Arc::new).map_err(|e| garbled("an event", &e))
}
