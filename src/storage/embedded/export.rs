//! An export from the journal alone, beside whoever owns the ledger: two walks over it, and no index.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use super::disk::Directory;
use super::making;
use super::segments::Segments;
use crate::storage::StorageError;
use crate::storage::export::{ExportHead, put_ends, put_head, put_line};
use crate::storage::lines::{Cursor, Line, lines};
use crate::storage::place::History;
use crate::storage::state::State;

/// Writes all that is recorded in a directory's ledger as [`Ledger::export`](crate::Ledger::export) does, without owning
/// it. Holds each order's head in memory, not the events. Blocks.
///
/// # Errors
/// [`StorageError::NoLedger`], [`StorageError::Unfinished`], damage, IO, that of `to` included; what was written so far
/// is no export.
pub fn export(directory: impl AsRef<Path>, to: &mut (dyn Write + Send)) -> Result<ExportHead, StorageError> {
    let journal = making::journal_of(directory.as_ref())?;
    let segments = Segments::new(Arc::new(Directory::new(&journal)), &journal);
    segments.last_begun()?.ok_or_else(|| StorageError::NoLedger { path: directory.as_ref().to_owned() })?;
    let (mut state, mut through, mut last) = (State::default(), 0, None);
    segments.walk(0, u64::MAX, &mut |walked| {
        through = walked.number;
        for (from, line) in lines(walked.payload) {
            let read = state.take_in(line);
            read.map_err(|why| segments.unreadable(walked.place.part(from, line), why))?;
            if !Line::is_cursor(line) {
                last = Some(line.to_owned());
            }
        }
        Ok(())
    })?;
    state.cursors.retain(|name, _| !Cursor::is_own(name));
    let head = put_head(to, &state, last.as_deref())?;
    segments.walk(0, through, &mut |walked| {
        let mut entries = lines(walked.payload).filter(|(_, line)| !Line::is_cursor(line));
        entries.try_for_each(|(_, line)| put_line(to, line))
    })?;
    put_ends(to, state)?;
    Ok(head)
}
