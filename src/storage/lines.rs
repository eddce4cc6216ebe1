//! The payload of a frame: JSON lines, each an entry or a cursor.
//!
//! An entry's line is the exact text that its order's hash chain runs over. Lines are read for ever:
//! what they mean is never changed, only added to.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::domain::{AccountName, DeviceName, Entry, Event, Facts, Money, OrderId, RefundKey, Requested, Timestamp};

/// One line, read.
pub(crate) enum Line {
    Entry(Box<Entry>),
    Cursor(Cursor),
}

/// A named position of a sync.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    #[serde(rename = "cursor")]
    pub(crate) name: String,
    pub(crate) value: String,
}

impl Cursor {
    /// The cursor in which a ledger keeps the id of its instance.
    pub(crate) const INSTANCE: &str = "instance";

    /// The cursor in which a ledger keeps where its history goes on.
    pub(crate) const SEAL: &str = "sealed";

    /// Whether it is the storage's own, which no other ledger has in common with it.
    pub(crate) fn is_own(name: &str) -> bool {
        name == Cursor::INSTANCE || name == Cursor::SEAL
    }
}

/// How a cursor's line begins; an entry's begins with its sequence.
const CURSOR_START: &[u8] = b"{\"cursor\":";

impl Line {
    pub(crate) fn is_cursor(line: &[u8]) -> bool {
        line.starts_with(CURSOR_START)
    }

    pub(crate) fn read(line: &[u8]) -> Result<Line, serde_json::Error> {
        if Line::is_cursor(line) {
            serde_json::from_slice(line).map(Line::Cursor)
        } else {
            entry(line).map(|entry| Line::Entry(Box::new(entry)))
        }
    }
}

/// How an entry's event begins, as serde writes it, up to the word that says what it is.
const EVENT_START: &[u8] = b"\"event\":{\"type\":\"";

/// The line of an entry whose event is of a sort that is known, read without a detour.
#[derive(Deserialize)]
struct Known<E> {
    sequence: u64,
    order: OrderId,
    account: AccountName,
    version: u64,
    at: Timestamp,
    device: DeviceName,
    event: E,
}

/// The fields of [`Event::FactsSeen`].
#[derive(Deserialize)]
struct FactsSeen {
    facts: Arc<Facts>,
    external: Money,
    unsettled: Money,
}

/// The fields of [`Event::RefundHeld`].
#[derive(Deserialize)]
struct RefundHeld {
    key: RefundKey,
    requested: Requested,
    amount: Money,
    memo: Option<String>,
    by: Option<String>,
    due_at: Timestamp,
    #[serde(default)]
    needs_approval: bool,
}

impl From<FactsSeen> for Event {
    fn from(FactsSeen { facts, external, unsettled }: FactsSeen) -> Event {
        Event::FactsSeen { facts, external, unsettled }
    }
}

impl From<RefundHeld> for Event {
    fn from(held: RefundHeld) -> Event {
        let RefundHeld { key, requested, amount, memo, by, due_at, needs_approval } = held;
        Event::RefundHeld { key, requested, amount, memo, by, due_at, needs_approval }
    }
}

/// Reads an entry's line.
///
/// An event's type stands among its fields, so serde keeps all of them aside until it has seen it. Facts are long and
/// holds are many: their lines are told by how they begin. No text in a line can look like that, for its quotes are
/// escaped.
pub(crate) fn entry(line: &[u8]) -> Result<Entry, serde_json::Error> {
    match event_type(line) {
        Some(b"facts_seen") => known::<FactsSeen>(line),
        Some(b"refund_held") => known::<RefundHeld>(line),
        _ => serde_json::from_slice(line),
    }
}

/// The word that says what an entry's event is, where it stands as this version writes it.
fn event_type(line: &[u8]) -> Option<&[u8]> {
    let head = &line[..line.len().min(512)];
    let start = head.windows(EVENT_START.len()).position(|window| window == EVENT_START)?;
    head[start + EVENT_START.len()..].split(|byte| *byte == b'"').next()
}

fn known<E: DeserializeOwned + Into<Event>>(line: &[u8]) -> Result<Entry, serde_json::Error> {
    let Known::<E> { sequence, order, account, version, at, device, event } = serde_json::from_slice(line)?;
    Ok(Entry { sequence, order, account, version, at, device, event: event.into() })
}

/// The lines of a payload, each with where it begins.
pub(crate) fn lines(payload: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    payload.split_inclusive(|byte| *byte == b'\n').scan(0, |from, line| {
        let start = *from;
        *from += line.len();
        Some((start, line.strip_suffix(b"\n").unwrap_or(line)))
    })
}

/// A payload under construction.
#[derive(Default)]
pub(crate) struct Payload {
    pub(crate) bytes: Vec<u8>,
    /// Which order's entry begins where.
    pub(crate) entries: Vec<EntryLine>,
    /// The cursors among the lines.
    pub(crate) cursors: Vec<Cursor>,
}

/// An entry in a payload.
pub(crate) struct EntryLine {
    pub(crate) order: OrderId,
    pub(crate) brings_facts: bool,
    pub(crate) from: usize,
    pub(crate) length: usize,
}

impl Payload {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn push_entry(&mut self, entry: &Entry, line: &[u8]) {
        let (order, brings_facts) = (entry.order.clone(), entry.event.facts().is_some());
        self.entries.push(EntryLine { order, brings_facts, from: self.bytes.len(), length: line.len() });
        self.push_line(line);
    }

    pub(crate) fn push_cursor(&mut self, cursor: &Cursor) {
        let line = serde_json::to_vec(cursor).expect("two texts written to memory");
        self.push_line(&line);
        self.cursors.push(cursor.clone());
    }

    fn push_line(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.bytes.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_know_where_they_begin_and_a_cursor_is_told_from_an_entry() {
        let mut payload = Payload::default();
        payload.push_cursor(&Cursor { name: "orders".to_owned(), value: "a\nb".to_owned() });
        let (order, account) = (OrderId::new("o").expect("valid"), AccountName::new("shop-1").expect("valid"));
        let (device, refund) = (DeviceName::new("till-1").expect("valid"), RefundKey::new("k").expect("valid"));
        let event = Event::RefundCanceled { key: refund, by: None };
        let entry = Entry { sequence: 1, order, account, version: 1, at: Timestamp::EPOCH, device, event };
        payload.push_entry(&entry, b"{\"sequence\":1}");
        let read: Vec<(usize, &[u8])> = lines(&payload.bytes).collect();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0], (0, br#"{"cursor":"orders","value":"a\nb"}"#.as_slice()));
        assert_eq!(read[1], (payload.entries[0].from, b"{\"sequence\":1}".as_slice()));
        assert!(Line::is_cursor(read[0].1) && !Line::is_cursor(read[1].1));
    }

    #[test]
    fn a_line_that_is_read_without_a_detour_says_what_serde_says() {
        let (order, account) = (OrderId::new("o").expect("valid"), AccountName::new("shop-1").expect("valid"));
        let (device, key) = (DeviceName::new("till-1").expect("valid"), RefundKey::new("k").expect("valid"));
        let amount = Money::from_fen(7).expect("an amount");
        let held = |memo: Option<&str>, needs_approval| Event::RefundHeld {
            key: key.clone(),
            requested: Requested::Exactly(amount),
            amount,
            memo: memo.map(str::to_owned),
            by: Some("A".to_owned()),
            due_at: Timestamp::EPOCH,
            needs_approval,
        };
        let like_facts = "\"event\":{\"type\":\"facts_seen\",";
        for event in
            [held(None, false), held(Some(like_facts), true), Event::RefundCanceled { key: key.clone(), by: None }]
        {
            let (order, account, device) = (order.clone(), account.clone(), device.clone());
            let entry = Entry { sequence: 1, order, account, version: 1, at: Timestamp::EPOCH, device, event };
            let line = serde_json::to_vec(&entry).expect("JSON");
            assert_eq!(event_type(&line), Some(entry.event.name().as_bytes()));
            assert_eq!(super::entry(&line).expect("read"), serde_json::from_slice(&line).expect("read"));
            assert_eq!(super::entry(&line).expect("read"), entry);
        }
    }
}
