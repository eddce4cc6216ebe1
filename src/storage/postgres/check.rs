//! Everything read anew: what the tables hold against what the events alone say, in one moment of the server.

use std::collections::{HashMap, HashSet};

use deadpool_postgres::Transaction;
use tokio_postgres::{IsolationLevel, Row};

use super::super::lines;
use super::super::state::State;
use super::super::{CheckReport, Difference, Noted, StorageError};
use super::reads::Reads;
use super::rows::{self, FactsColumns, Orders};
use super::trouble::remote;
use crate::domain::{ChainHash, OrderId, OrderRecord};

/// Rows that are read at once.
const CHUNK: i64 = 1_000;

/// What to do about rows that differ.
const ADVICE: &str = "stop refunding from this ledger, find out who changed the tables, and restore the newest backup";

impl Reads {
    pub(super) async fn check(&self, noted: Option<&Noted>) -> Result<CheckReport, StorageError> {
        let mut client = self.client().await?;
        let moment = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let moment = moment.start().await.map_err(|e| remote("read from", &e))?;
        let mut checking = Checking::new(&moment, noted);
        checking.events().await?;
        checking.orders().await?;
        checking.numbers().await?;
        checking.refunds().await?;
        checking.attempts().await?;
        checking.ends();
        checking.report().await
    }
}

/// What is noted of a ledger in a directory goes on to count when it was moved here.
const OF_A_JOURNAL: &str = "the heads were noted of a journal: the orders were compared, and there is no journal here";

struct Checking<'a> {
    moment: &'a Transaction<'a>,
    noted: Option<&'a Noted>,
    state: State,
    records: HashMap<OrderId, OrderRecord>,
    events: u64,
    good_through: Option<u64>,
    differences: Vec<Difference>,
}

impl<'a> Checking<'a> {
    fn new(moment: &'a Transaction<'a>, noted: Option<&'a Noted>) -> Checking<'a> {
        let (state, records, differences) = Default::default();
        Checking { moment, noted, state, records, events: 0, good_through: None, differences }
    }

    fn differs(&mut self, order: Option<&OrderId>, sequence: Option<u64>, what: String) {
        let money = Some("what may still be refunded may be wrong".to_owned());
        self.differences.push(Difference {
            order: order.cloned(),
            sequence,
            position: None,
            what,
            money,
            advice: ADVICE,
        });
    }

    async fn rows(
        &self,
        sql: &str,
        after: &(dyn tokio_postgres::types::ToSql + Sync),
    ) -> Result<Vec<Row>, StorageError> {
        self.moment.query(sql, &[after, &CHUNK]).await.map_err(|e| remote("read from", &e))
    }

    /// Folds every event, and compares its own columns.
    async fn events(&mut self) -> Result<(), StorageError> {
        let sql = "SELECT sequence, order_id, version, line, hash FROM events WHERE sequence > $1
            ORDER BY sequence LIMIT $2";
        let mut after = 0_i64;
        loop {
            let found = self.rows(sql, &after).await?;
            let Some(last) = found.last() else { return Ok(()) };
            for row in &found {
                self.events += 1;
                if let Err(why) = self.event(row) {
                    let sequence = row.get::<_, i64>(0).cast_unsigned();
                    self.good_through.get_or_insert(sequence.saturating_sub(1));
                    let order = OrderId::new(row.get::<_, &str>(1)).ok();
                    self.differs(order.as_ref(), Some(sequence), format!("event {sequence}: {why}"));
                }
            }
            after = last.get(0);
        }
    }

    fn event(&mut self, row: &Row) -> Result<(), String> {
        let (sequence, line): (i64, &str) = (row.get(0), row.get(3));
        let entry = lines::entry(line.as_bytes()).map_err(|e| e.to_string())?;
        if entry.sequence.cast_signed() != sequence || entry.order.as_str() != row.get::<_, &str>(1) {
            return Err("its line names another event".to_owned());
        }
        self.state.take_in(line.as_bytes())?;
        let before = self.records.remove(&entry.order);
        let head = before.as_ref().map_or(ChainHash::START, |record| record.head).next(line.as_bytes());
        if row.get::<_, &[u8]>(4) != head.as_bytes() {
            return Err("its hash is not that of its line after those before it".to_owned());
        }
        let record = OrderRecord::apply(before, &entry, head).map_err(|e| e.to_string())?;
        let noted = self.noted.and_then(|noted| noted.heads.get(&record.id));
        let differs = noted.is_some_and(|noted| noted.version == record.version && noted.hash != record.head);
        let version = record.version;
        self.records.insert(entry.order.clone(), record);
        if differs {
            let what = format!("the order's history up to version {version} is not the one that was noted");
            self.differs(Some(&entry.order), Some(entry.sequence), what);
        }
        Ok(())
    }

    /// What was noted and is not there at all.
    fn ends(&mut self) {
        let Some(noted) = self.noted else { return };
        for (order, head) in &noted.heads {
            let version = self.records.get(order).map_or(0, |record| record.version);
            if version < head.version {
                let what =
                    format!("the order was noted at version {}, and its history ends with {version}", head.version);
                self.differs(Some(order), None, what);
            }
        }
    }

    /// Compares each order's row, typed columns included.
    async fn orders(&mut self) -> Result<(), StorageError> {
        let sql = format!(
            "SELECT {}, account, version, head, provisional, refunded, held, external, unsettled, excess, at, status,
                payment_method, currency, paid FROM orders WHERE id > $1 ORDER BY id LIMIT $2",
            rows::RECORD
        );
        let (mut after, mut seen) = (String::new(), 0);
        loop {
            let found = self.rows(&sql, &after).await?;
            let Some(last) = found.last() else { break };
            for row in &found {
                seen += 1;
                let id: &str = row.get(0);
                let Some(expected) = OrderId::new(id).ok().and_then(|id| self.records.get(&id).cloned()) else {
                    self.differs(OrderId::new(id).ok().as_ref(), None, "the order has a row and no events".to_owned());
                    continue;
                };
                let same = rows::record(row).is_ok_and(|record| record == expected) && has_its_columns(row, &expected);
                if !same {
                    self.differs(Some(&expected.id), None, "the order's row is not what its events come to".to_owned());
                }
            }
            after = last.get(0);
        }
        if seen < self.records.len() {
            let what = format!("{} orders have events and no row", self.records.len() - seen);
            self.differs(None, None, what);
        }
        Ok(())
    }

    /// Compares who bears which number.
    async fn numbers(&mut self) -> Result<(), StorageError> {
        let mut expected: HashMap<(String, String, String, String), ()> = HashMap::new();
        for record in self.records.values() {
            for reference in record.facts.all_references() {
                let (account, id) = (record.account.to_string(), record.id.to_string());
                expected.insert((account, reference.number, reference.kind, id), ());
            }
        }
        let sql = "SELECT account, number, kind, order_id FROM order_numbers
            WHERE (account, number, kind, order_id) > ($1, $2, $3, $4)
            ORDER BY account, number, kind, order_id LIMIT $5";
        let mut after = <(String, String, String, String)>::default();
        loop {
            let (account, number, kind, id) = &after;
            let found = self.moment.query(sql, &[account, number, kind, id, &CHUNK]).await;
            let found = found.map_err(|e| remote("read from", &e))?;
            let Some(last) = found.last() else { break };
            let named = |row: &Row| (row.get(0), row.get(1), row.get(2), row.get(3));
            for row in &found {
                if expected.remove(&named(row)).is_none() {
                    let order = OrderId::new(row.get::<_, &str>(3)).ok();
                    self.differs(
                        order.as_ref(),
                        None,
                        format!("no event gave it the number {}", row.get::<_, &str>(1)),
                    );
                }
            }
            after = named(last);
        }
        for (_, number, _, order) in expected.into_keys() {
            let order = OrderId::new(&order).ok();
            self.differs(order.as_ref(), None, format!("it bears the number {number}, by which nobody finds it"));
        }
        Ok(())
    }

    /// Compares each refund's row.
    async fn refunds(&mut self) -> Result<(), StorageError> {
        let mut expected: HashMap<(String, String), (String, String, jiff::Timestamp, i64)> = HashMap::new();
        for record in self.records.values() {
            for refund in &record.refunds {
                let row = (record.id.to_string(), refund.state.to_string(), rows::since(refund), refund.amount.fen());
                expected.insert((record.account.to_string(), refund.key.to_string()), row);
            }
        }
        let sql = "SELECT account, key, order_id, state, since, amount FROM refunds WHERE (account, key) > ($1, $2)
            ORDER BY account, key LIMIT $3";
        let mut after = <(String, String)>::default();
        loop {
            let found = self.moment.query(sql, &[&after.0, &after.1, &CHUNK]).await;
            let found = found.map_err(|e| remote("read from", &e))?;
            let Some(last) = found.last() else { break };
            for row in &found {
                let name = (row.get(0), row.get(1));
                if expected.remove(&name) != Some((row.get(2), row.get(3), row.get(4), row.get(5))) {
                    let order = OrderId::new(row.get::<_, &str>(2)).ok();
                    self.differs(
                        order.as_ref(),
                        None,
                        format!("the row of refund {} is not what its events say", name.1),
                    );
                }
            }
            after = (last.get(0), last.get(1));
        }
        for ((_, key), (order, ..)) in expected {
            self.differs(OrderId::new(&order).ok().as_ref(), None, format!("refund {key} has no row"));
        }
        Ok(())
    }

    /// Compares which attempts are under way.
    async fn attempts(&mut self) -> Result<(), StorageError> {
        let mut expected = HashSet::new();
        for record in self.records.values() {
            for refund in &record.refunds {
                let name = || (record.account.to_string(), refund.key.to_string(), record.id.to_string());
                expected.extend(rows::under_way(refund).map(|number| (name(), number)));
            }
        }
        let sql = "SELECT account, key, order_id, number FROM attempts WHERE ended IS NULL";
        let found = self.moment.query(sql, &[]).await.map_err(|e| remote("read from", &e))?;
        for row in &found {
            let (account, key, order): (String, String, String) = (row.get(0), row.get(1), row.get(2));
            if !expected.remove(&((account, key.clone(), order.clone()), row.get(3))) {
                let what =
                    format!("attempt {} of refund {key} is under way, and no event says so", row.get::<_, i32>(3));
                self.differs(OrderId::new(&order).ok().as_ref(), None, what);
            }
        }
        for ((_, key, order), number) in expected {
            let what = format!("attempt {number} of refund {key} is under way, and has no row");
            self.differs(OrderId::new(&order).ok().as_ref(), None, what);
        }
        Ok(())
    }

    async fn report(mut self) -> Result<CheckReport, StorageError> {
        let newest = self.moment.query_one("SELECT sequence FROM ledger", &[]).await;
        let newest = newest.map_err(|e| remote("read from", &e))?.get::<_, i64>(0).cast_unsigned();
        if newest != self.state.sequence && self.differences.is_empty() {
            let what = format!("the ledger says {newest} events, and there are {}", self.state.sequence);
            self.differs(None, None, what);
        }
        for row in
            self.moment.query("SELECT name, value FROM cursors", &[]).await.map_err(|e| remote("read from", &e))?
        {
            self.state.cursors.insert(row.get(0), row.get(1));
        }
        let is_whole = self.good_through.is_none();
        let of_a_journal = self.noted.is_some_and(|noted| noted.journal.is_some());
        let notes = of_a_journal.then(|| OF_A_JOURNAL.to_owned()).into_iter().collect();
        Ok(CheckReport {
            orders: self.records.len() as u64,
            refunds: self.records.values().map(|record| record.refunds.len() as u64).sum(),
            events: self.events,
            good_through: self.good_through.unwrap_or(self.state.sequence),
            state: is_whole.then(|| self.state.hash()),
            heads: std::mem::take(&mut self.state.heads).into_iter().collect(),
            differences: self.differences,
            notes,
            ..CheckReport::default()
        })
    }
}

/// Whether the typed columns of a row are those of a record.
fn has_its_columns(row: &Row, record: &OrderRecord) -> bool {
    let (mut orders, mut facts) = (Orders::default(), FactsColumns::default());
    orders.push(record);
    facts.push(record);
    let fen = |at: usize, column: &[i64]| row.get::<_, i64>(at) == column[0];
    row.get::<_, String>(3) == orders.accounts[0]
        && fen(4, &orders.versions)
        && row.get::<_, Vec<u8>>(5) == orders.heads[0]
        && row.get::<_, bool>(6) == orders.provisional[0]
        && fen(7, &orders.refunded)
        && fen(8, &orders.held)
        && fen(9, &orders.external)
        && fen(10, &orders.unsettled)
        && fen(11, &orders.excess)
        && row.get::<_, jiff::Timestamp>(12) == facts.times[0]
        && row.get::<_, String>(13) == facts.statuses[0]
        && row.get::<_, Option<String>>(14) == facts.methods[0]
        && row.get::<_, String>(15) == facts.currencies[0]
        && fen(16, &facts.paid)
}
