//! A new ledger from an export: every line verified, the whole read back, and only then a ledger.

use std::collections::BTreeMap;
use std::io::{BufRead, Read};
use std::path::Path;
use std::sync::Arc;

use super::disk::Directory;
use super::frame::Kind;
use super::journal::Journal;
use super::making::{MadeBy, Making};
use super::options::SEGMENT_BYTES;
use super::segments::Segments;
use crate::domain::{ChainHash, Entry, OrderId, OrderRecord};
use crate::storage::export::{ExportHead, FORMAT, HeadLine};
use crate::storage::group::Room;
use crate::storage::lines::{Cursor, Line, Payload};
use crate::storage::state::State;
use crate::storage::{Head, StorageError, check};

/// Makes a ledger in a new directory from an export. It opens in quarantine: whether the ledger that was exported is
/// still in use cannot be seen from here. Blocks, and takes memory for all orders at once.
///
/// # Durability
/// `Ok` means: the new ledger was read back, has the export's state hash, and survives a power cut. A crash before that
/// leaves what every open refuses as unfinished.
///
/// # Errors
/// [`StorageError::BadExport`] with the line; [`StorageError::NotEmpty`]; no room, IO. Nothing is left then that opens
/// as a ledger.
pub fn import(from: impl BufRead, into: impl AsRef<Path>) -> Result<ExportHead, StorageError> {
    let mut lines = Lines { from, number: 0, line: Vec::new() };
    let head = read_head(&mut lines)?;
    let making = Making::begin(into.as_ref())?;
    let directory = making.journal();
    let segments = Arc::new(Segments::new(Arc::new(Directory::new(&directory)), &directory));
    let mut writing =
        Writing { journal: Journal::create(Arc::clone(&segments), SEGMENT_BYTES)?, payload: Payload::default() };
    let orders = read_entries(&mut lines, &head, &mut writing)?;
    let heads = read_heads(&mut lines, &orders)?;
    let cursors = read_cursors(&mut lines, &head, &mut writing)?;
    if lines.next()?.is_some() {
        return Err(lines.bad("it goes on after the last line that its first line announces"));
    }
    let state = State { sequence: head.events, heads, cursors }.hash();
    if state.to_string() != head.state || orders.len() as u64 != head.orders {
        lines.number = 1;
        let why = format!("it announces {} orders and state {}", head.orders, head.state);
        return Err(lines.bad(format!("{why}, and what follows is {} orders and state {state}", orders.len())));
    }
    drop(orders);
    // An id of its own, which no file in the directory bears: the journal itself says that it is to be adopted.
    writing.payload.push_cursor(&Cursor { name: Cursor::INSTANCE.to_owned(), value: uuid::Uuid::new_v4().to_string() });
    writing.flush()?;
    drop(writing);
    let written = check::check_history(&*segments, None, "it has no index yet")?;
    if written.state != Some(state) {
        let found = written.differences.first().map_or_else(String::new, |found| format!(": {}", found.what));
        return Err(segments.damaged(1, 0, format!("what was written cannot be read back{found}")));
    }
    segments.close();
    making.finish(MadeBy::Import, head.events)?;
    Ok(head)
}

/// Bytes of lines that are synced at once.
const FRAME_BYTES: usize = 1 << 20;

/// A line beyond this is none of ours.
const LINE_BYTES: u64 = 64 << 20;

/// The lines of an export.
struct Lines<R> {
    from: R,
    number: u64,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// The next line without its end; `None` after the last.
    fn next(&mut self) -> Result<Option<&[u8]>, StorageError> {
        self.number += 1;
        self.line.clear();
        let read = (&mut self.from).take(LINE_BYTES).read_until(b'\n', &mut self.line);
        let read = read.map_err(|source| StorageError::Io { doing: "read", path: "the export".into(), source })?;
        if read == 0 {
            return Ok(None);
        }
        match self.line.strip_suffix(b"\n") {
            Some(_) => Ok(Some(&self.line[..read - 1])),
            None if read as u64 == LINE_BYTES => Err(self.bad("it is longer than any line of an export")),
            None => Err(self.bad("it is cut off")),
        }
    }

    /// The next line of a kind of which there must be one more.
    fn wanted(&mut self, what: &str) -> Result<&[u8], StorageError> {
        match self.next()? {
            // Looked at again: a line that is borrowed cannot be given back beside an error.
            Some(_) => Ok(&self.line[..self.line.len() - 1]),
            None => Err(self.bad(format!("the export ends here, where {what} is wanted"))),
        }
    }

    fn bad(&self, why: impl Into<String>) -> StorageError {
        StorageError::BadExport { line: self.number, why: why.into() }
    }
}

/// The new journal, written a frame at a time.
struct Writing {
    journal: Journal,
    payload: Payload,
}

impl Writing {
    fn flush(&mut self) -> Result<(), StorageError> {
        if !self.payload.is_empty() {
            self.journal.append(Kind::Commit, &self.payload.bytes, Room::Free, 0)?;
            self.payload = Payload::default();
        }
        Ok(())
    }
}

fn read_head(lines: &mut Lines<impl BufRead>) -> Result<ExportHead, StorageError> {
    #[derive(serde::Deserialize)]
    struct Format {
        tillbook_export: u32,
    }
    let line = lines.wanted("the head of an export")?.to_vec();
    match serde_json::from_slice::<Format>(&line) {
        Ok(Format { tillbook_export: format }) if format > FORMAT => {
            Err(lines.bad(format!("it has format {format}, and this version reads up to {FORMAT}")))
        }
        Ok(_) => serde_json::from_slice(&line).map_err(|e| lines.bad(format!("the head cannot be read: {e}"))),
        Err(_) => Err(lines.bad("it is not the first line of an export")),
    }
}

fn read_entries(
    lines: &mut Lines<impl BufRead>,
    head: &ExportHead,
    writing: &mut Writing,
) -> Result<BTreeMap<OrderId, OrderRecord>, StorageError> {
    let mut orders = BTreeMap::new();
    for sequence in 1..=head.events {
        let line = lines.wanted(&format!("event {sequence} of {}", head.events))?;
        let (entry, record) = match follow(&mut orders, sequence, line) {
            Ok(read) => read,
            Err(why) => return Err(lines.bad(why)),
        };
        writing.payload.push_entry(&entry, line_of(lines));
        orders.insert(record.id.clone(), record);
        if writing.payload.bytes.len() >= FRAME_BYTES {
            writing.flush()?;
        }
    }
    Ok(orders)
}

fn line_of<R>(lines: &Lines<R>) -> &[u8] {
    lines.line.strip_suffix(b"\n").unwrap_or(&lines.line)
}

/// The entry of a line, and its order's record after it.
fn follow(
    orders: &mut BTreeMap<OrderId, OrderRecord>,
    sequence: u64,
    line: &[u8],
) -> Result<(Entry, OrderRecord), String> {
    let entry = match Line::read(line) {
        Ok(Line::Entry(entry)) => *entry,
        Ok(Line::Cursor(_)) => return Err(format!("a cursor stands where event {sequence} is wanted")),
        Err(error) => return Err(format!("event {sequence} cannot be read: {error}")),
    };
    if entry.sequence != sequence {
        return Err(format!("event {} stands where event {sequence} is wanted", entry.sequence));
    }
    let before = orders.remove(&entry.order);
    let version = before.as_ref().map_or(0, |record| record.version);
    if entry.version != version + 1 {
        return Err(format!("version {} of order {} follows version {version}", entry.version, entry.order));
    }
    let chain = before.as_ref().map_or(ChainHash::START, |record| record.head).next(line);
    let record = OrderRecord::apply(before, &entry, chain).map_err(|broken| broken.to_string())?;
    Ok((entry, record))
}

fn read_heads(
    lines: &mut Lines<impl BufRead>,
    orders: &BTreeMap<OrderId, OrderRecord>,
) -> Result<BTreeMap<OrderId, Head>, StorageError> {
    for (order, record) in orders {
        let line = lines.wanted(&format!("the head of order {order}"))?;
        let read: Result<HeadLine, _> = serde_json::from_slice(line);
        let head = read.map_err(|e| lines.bad(format!("the head of order {order} cannot be read: {e}")))?.head;
        if head.order != *order {
            return Err(lines.bad(format!("the head of order {} stands where {order} is wanted", head.order)));
        }
        if (head.version, head.hash) != (record.version, record.head) {
            let why =
                format!("the lines of order {order} make version {} with the hash {}", record.version, record.head);
            return Err(lines.bad(format!("{why}, and it says {} with {}: one was altered", head.version, head.hash)));
        }
    }
    let head = |record: &OrderRecord| Head { version: record.version, hash: record.head };
    Ok(orders.iter().map(|(order, record)| (order.clone(), head(record))).collect())
}

fn read_cursors(
    lines: &mut Lines<impl BufRead>,
    head: &ExportHead,
    writing: &mut Writing,
) -> Result<BTreeMap<String, String>, StorageError> {
    let mut cursors: BTreeMap<String, String> = BTreeMap::new();
    for number in 1..=head.cursors {
        let line = lines.wanted(&format!("cursor {number} of {}", head.cursors))?;
        let cursor = match Line::read(line) {
            Ok(Line::Cursor(cursor)) => cursor,
            Ok(Line::Entry(entry)) => {
                return Err(lines.bad(format!("event {} stands where a cursor is wanted", entry.sequence)));
            }
            Err(error) => return Err(lines.bad(format!("cursor {number} cannot be read: {error}"))),
        };
        if Cursor::is_own(&cursor.name) || cursors.last_key_value().is_some_and(|(last, _)| *last >= cursor.name) {
            return Err(lines.bad(format!("cursor {} does not belong here", cursor.name)));
        }
        writing.payload.push_cursor(&cursor);
        cursors.insert(cursor.name, cursor.value);
    }
    Ok(cursors)
}
