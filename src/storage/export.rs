//! An export: a whole history as JSON lines, to be kept, read by other programs, and imported again.
//!
//! | lines | what they hold |
//! | --- | --- |
//! | the first | [`ExportHead`]: the format, how many lines of each kind follow, and the hash of it all |
//! | one an event, by sequence | the entry exactly as it was written: the hash chains run over these bytes |
//! | one an order, by id | `{"head":{"order":..,"version":..,"hash":..}}`: where its chain ends |
//! | one a cursor, by name | `{"cursor":..,"value":..}`: how far a sync has come, when the ledger was adopted |
//!
//! Each ends with a line feed. The same history gives the same bytes. Read for ever: fields may be added, none is
//! renamed or given another meaning.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::lines::Cursor;
use super::state::State;
use super::{Head, Storage, StorageError};
use crate::domain::{ChainHash, DeviceName, OrderId};

/// The newest format that this version reads, and the one it writes.
pub(crate) const FORMAT: u32 = 1;

/// The first line of an export: what there is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportHead {
    /// The format's version.
    #[serde(rename = "tillbook_export")]
    pub format: u32,
    /// The device that wrote the newest event, if there is one.
    pub device: Option<DeviceName>,
    /// How many orders.
    pub orders: u64,
    /// How many events.
    pub events: u64,
    /// How many cursors.
    pub cursors: u64,
    /// [`Storage::state_hash`] of this history, in hex.
    pub state: String,
}

/// Where the chain of an order ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeadLine {
    pub(crate) head: OrderHead,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OrderHead {
    pub(crate) order: OrderId,
    pub(crate) version: u64,
    pub(crate) hash: ChainHash,
}

/// How many lines are read at once.
const CHUNK: usize = 1_000;

/// Writes all that is recorded now. Events are read twice, never held all at once; each order's head is.
pub(crate) async fn export(storage: &dyn Storage, to: &mut (dyn Write + Send)) -> Result<ExportHead, StorageError> {
    // The cursors first: one that is older than the events lets a sync read a page again, one that is newer
    // would have it pass over orders.
    let cursors = storage.cursors().await?;
    let through = *storage.newest().borrow();
    let mut state = State { cursors: cursors.into_iter().collect(), ..State::default() };
    let mut last = None;
    while state.sequence < through {
        let mut lines = some_lines(storage, state.sequence, through).await?;
        for line in &lines {
            state.take_in(line.as_bytes()).map_err(|why| StorageError::Poisoned { why })?;
        }
        last = lines.pop();
    }
    let head = put_head(to, &state, last.as_deref().map(str::as_bytes))?;
    let mut after = 0;
    while after < through {
        let lines = some_lines(storage, after, through).await?;
        after += lines.len() as u64;
        for line in lines {
            put_line(to, line.as_bytes())?;
        }
    }
    put_ends(to, state)?;
    Ok(head)
}

/// The next lines; there is at least one.
async fn some_lines(storage: &dyn Storage, after: u64, through: u64) -> Result<Vec<String>, StorageError> {
    let wanted = usize::try_from(through - after).unwrap_or(CHUNK).min(CHUNK);
    let lines = storage.lines(after, wanted).await?;
    match lines.is_empty() {
        true => Err(StorageError::Poisoned { why: format!("event {} of {through} cannot be found", after + 1) }),
        false => Ok(lines),
    }
}

/// Writes what comes before the entries, of which `last` is the last.
pub(crate) fn put_head(
    to: &mut (dyn Write + Send),
    state: &State,
    last: Option<&[u8]>,
) -> Result<ExportHead, StorageError> {
    #[derive(Deserialize)]
    struct Written {
        device: DeviceName,
    }
    let written: Option<Written> = last
        .map(serde_json::from_slice)
        .transpose()
        .map_err(|e| StorageError::Poisoned { why: format!("the last event cannot be read: {e}") })?;
    let head = ExportHead {
        format: FORMAT,
        device: written.map(|written| written.device),
        orders: state.heads.len() as u64,
        events: state.sequence,
        cursors: state.cursors.len() as u64,
        state: state.hash().to_string(),
    };
    put(to, &head)?;
    Ok(head)
}

/// Writes what comes after the entries.
pub(crate) fn put_ends(to: &mut (dyn Write + Send), state: State) -> Result<(), StorageError> {
    for (order, Head { version, hash }) in state.heads {
        put(to, &HeadLine { head: OrderHead { order, version, hash } })?;
    }
    for (name, value) in state.cursors {
        put(to, &Cursor { name, value })?;
    }
    to.flush().map_err(failed)
}

fn put(to: &mut (dyn Write + Send), line: &impl Serialize) -> Result<(), StorageError> {
    let line = serde_json::to_vec(line).expect("numbers and texts written to memory");
    put_line(to, &line)
}

/// Writes an entry as it is.
pub(crate) fn put_line(to: &mut (dyn Write + Send), line: &[u8]) -> Result<(), StorageError> {
    to.write_all(line).and_then(|()| to.write_all(b"\n")).map_err(failed)
}

fn failed(source: io::Error) -> StorageError {
    StorageError::Io { doing: "write", path: "the export".into(), source }
}
