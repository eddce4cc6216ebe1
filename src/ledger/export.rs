//! A ledger taken elsewhere: backups, exports, and ledgers made from exports.
//!
//! All of them are taken while the ledger is in use, and none is used by itself: a backup and an import open in
//! quarantine.

use std::io::{BufRead, Write};
use std::path::Path;

use crate::storage::{BackedUp, ExportHead, embedded, export};

use super::{Error, Ledger};

impl Ledger {
    /// Copies the whole ledger into a new directory, while refunds go on. Restoring it is opening the copy where it is
    /// to live: it opens in quarantine, see [`Ledger::adopt`].
    ///
    /// # Durability
    /// What was acknowledged before this call is in the copy, which was read back and survives a power cut.
    ///
    /// # Errors
    /// [`StorageError::NotEmpty`](crate::storage::StorageError::NotEmpty); no room, IO, damage. Nothing is left of the
    /// copy then, or what every open refuses as unfinished.
    pub async fn backup(&self, to: impl AsRef<Path>) -> Result<BackedUp, Error> {
        Ok(self.inner.storage.backup(to.as_ref().to_owned()).await?)
    }

    /// Writes all that is recorded now as JSON lines: a head, each event exactly as it was written, where each order's
    /// chain ends, and the cursors. The format is a promise: `tillbook::storage::ExportHead` and the README describe it.
    /// The same history gives the same bytes.
    ///
    /// Blocks its thread for `to`'s writes, which are many and small: give it a buffer.
    ///
    /// # Errors
    /// Storage errors, those of `to` included; what was written so far is no export.
    pub async fn export(&self, to: &mut (dyn Write + Send)) -> Result<ExportHead, Error> {
        Ok(export::export(&*self.inner.storage, to).await?)
    }

    /// Makes a ledger in a new directory from an export, verifying each line. It is not opened here, and opens in
    /// quarantine: whether the ledger that was exported is still in use cannot be seen from here.
    ///
    /// # Durability
    /// As [`Ledger::backup`].
    ///
    /// # Errors
    /// [`StorageError::BadExport`](crate::storage::StorageError::BadExport) names the line and what is wrong with it;
    /// [`NotEmpty`](crate::storage::StorageError::NotEmpty); no room, IO. Nothing is left that opens as a ledger.
    pub async fn from_export(from: impl BufRead + Send + 'static, into: impl AsRef<Path>) -> Result<ExportHead, Error> {
        let into = into.as_ref().to_owned();
        Ok(tokio::task::spawn_blocking(move || embedded::import(from, into)).await??)
    }
}
