//! Onlookers: a ledger as its journal tells it, beside a process that may own it.

use std::path::Path;
use std::sync::Arc;

use super::disk::Directory;
use super::instance::{self, Standing};
use super::making;
use super::segments::Segments;
use crate::BoxFuture;
use crate::domain::decide::Refusal;
use crate::domain::{Body, OrderId};
use crate::storage::lines::Cursor;
use crate::storage::place::History;
use crate::storage::reader::Reader;
use crate::storage::replay;
use crate::storage::serve::serve_reads;
use crate::storage::{
    Adoption, CheckReport, Committed, Noted, Quarantine, Storage, StorageError, TransactError, Transaction, check,
    records,
};

/// A ledger as it was when it was opened here: every write fails with [`StorageError::ReadOnly`].
///
/// Takes no lock, opens no sled, writes nothing. A torn end is not there; the last frame may be one
/// whose owner waits for its sync. The index is held in memory, some hundred bytes an order; records are read from the
/// journal.
pub struct ReadOnly {
    reader: Arc<Reader>,
    quarantine: Option<Quarantine>,
}

impl ReadOnly {
    pub(super) fn open(directory: &Path) -> Result<ReadOnly, StorageError> {
        let none = || StorageError::NoLedger { path: directory.to_owned() };
        let journal = making::journal_of(directory)?;
        let segments = Arc::new(Segments::new(Arc::new(Directory::new(&journal)), &journal));
        segments.last_begun()?.ok_or_else(none)?;
        let history: Arc<dyn History> = segments.clone();
        let (view, end) = replay::in_memory(&*segments, u64::MAX)?;
        let reader = Arc::new(Reader::new(view, history, 512, end.after, end.sequence)?);
        let standing = instance::examine(directory, records::cursor(&*reader, Cursor::INSTANCE)?.as_deref());
        let quarantine = match standing {
            Standing::Quarantined(quarantine) => Some(quarantine),
            Standing::Here(_) | Standing::Unsaid => None,
        };
        Ok(ReadOnly { reader, quarantine })
    }

    fn reader(&self) -> &Arc<Reader> {
        &self.reader
    }
}

impl Storage for ReadOnly {
    fn transact(&self, _: Transaction) -> BoxFuture<'_, Result<Committed, TransactError>> {
        Box::pin(async { Err(StorageError::ReadOnly.into()) })
    }

    fn transact_many(
        &self,
        _: Vec<Transaction>,
    ) -> BoxFuture<'_, Result<Vec<Result<Committed, Refusal>>, StorageError>> {
        Box::pin(async { Err(StorageError::ReadOnly) })
    }

    serve_reads!();

    fn put_cursor<'a>(&'a self, _: &'a str, _: String) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(async { Err(StorageError::ReadOnly) })
    }

    fn check(&self) -> BoxFuture<'_, Result<CheckReport, StorageError>> {
        Box::pin(self.reader.beside(|reader| check::check(reader, None, || Ok((reader.published(), ())))))
    }

    fn check_against(&self, noted: Noted) -> BoxFuture<'_, Result<CheckReport, StorageError>> {
        let read = move |reader: &Reader| check::check(reader, Some(&noted), || Ok((reader.published(), ())));
        Box::pin(self.reader.beside(read))
    }

    /// Whether an owner would find it in quarantine.
    fn quarantine(&self) -> Option<Quarantine> {
        self.quarantine.clone()
    }

    /// Bodies are in the index, which only the owner opens.
    fn body<'a>(&'a self, _: &'a OrderId) -> BoxFuture<'a, Result<Option<Body>, StorageError>> {
        Box::pin(async { Err(StorageError::ReadOnly) })
    }

    fn forget_body<'a>(&'a self, _: &'a OrderId) -> BoxFuture<'a, Result<Option<usize>, StorageError>> {
        Box::pin(async { Err(StorageError::ReadOnly) })
    }

    fn adopt(&self, _: Adoption) -> BoxFuture<'_, Result<Vec<Result<Committed, Refusal>>, StorageError>> {
        Box::pin(async { Err(StorageError::ReadOnly) })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async {
            self.reader.close();
            Ok(())
        })
    }
}
