//! What can go wrong under a storage, and what may be assumed afterwards.

use std::path::PathBuf;

use super::Quarantine;
use crate::domain::BrokenHistory;
use crate::domain::decide::Refusal;

/// A failure of the machine, not of the rules.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// A file could not be read or written.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was attempted: "append to".
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The disk is full. Nothing was written; what was acknowledged is safe. Outcomes of refunds
    /// under way still have room set aside.
    #[error("no space left for {}; free some and try again, nothing was written", path.display())]
    DiskFull {
        /// The file that would have grown.
        path: PathBuf,
    },
    /// A write failed in a way that leaves its fate unknown. Nothing is acknowledged until the
    /// ledger is opened again.
    #[error("the ledger takes no more writes since an earlier failure ({why}); open it again")]
    Poisoned {
        /// The failure.
        why: String,
    },
    /// Another process owns the ledger.
    #[error("{} is in use by {holder}", path.display())]
    Locked {
        /// The ledger's directory.
        path: PathBuf,
        /// Who: process id and when it took the lock, as far as known.
        holder: String,
    },
    /// The journal is damaged in its middle: not a torn end, but lost history.
    #[error("{} is damaged at byte {position}: {why}; restore the file from a backup, nothing was changed", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// What is wrong there.
        why: String,
    },
    /// Written well, and not readable by this version: a newer one's event, or a defect.
    #[error("{} holds at byte {position} what this version cannot read ({why}); nothing was changed; open it with the newer tillbook that wrote it, or, where none did, restore the file from a backup", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// Why not.
        why: String,
    },
    /// Written by a newer version.
    #[error("{} has format {found}, and this version reads up to {known}: a newer tillbook wrote it; nothing was changed, open it with that one", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// A server, or the way to it.
    #[error("could not {doing} the server: {why}")]
    Remote {
        /// What was attempted: "write to".
        doing: &'static str,
        /// Why it failed; whether a write may have happened all the same.
        why: String,
    },
    /// A row of a server's tables that says what this version never writes.
    #[error("the row of {row} cannot be read: {why}; verify tells what else differs")]
    Row {
        /// Of what: "order fubei/1".
        row: String,
        /// Why not.
        why: String,
    },
    /// A server's tables were made by a newer version.
    #[error(
        "{place} has tables of version {found}, and this version reads up to {known}: a newer tillbook made them; nothing was changed"
    )]
    NewerSchema {
        /// The server and the database.
        place: String,
        /// The tables' version.
        found: i32,
        /// The newest version known here.
        known: i32,
    },
    /// Not a ledger, or none there.
    #[error("{} holds no ledger", path.display())]
    NoLedger {
        /// The directory.
        path: PathBuf,
    },
    /// A new ledger or backup goes into an empty directory only. Nothing was written.
    #[error("{} is not empty: name a new directory", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// A backup or an import into this directory was cut off: it is no ledger.
    #[error("{} holds an unfinished backup or import: delete it and begin again", path.display())]
    Unfinished {
        /// The directory.
        path: PathBuf,
    },
    /// An export that cannot be taken in. Nothing is left of it that opens as a ledger.
    #[error("line {line} of the export: {why}; nothing was imported")]
    BadExport {
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// This kind of storage does not do it.
    #[error("this storage does not {what}")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
    },
    /// Not where a page ended.
    #[error("{after:?} is not where a page ended")]
    UnknownPage {
        /// What was given, cut to 60 characters.
        after: String,
    },
    /// Copied or restored, and not adopted where it lies. Nothing was written.
    #[error("{0}")]
    Quarantined(Quarantine),
    /// Its history goes on elsewhere: it can be read, and takes nothing any more. Nothing was written.
    #[error("the ledger was moved to {to}: it can be read, and takes nothing any more")]
    Sealed {
        /// Where, as it was told.
        to: String,
    },
    /// Opened for reading only.
    #[error("the ledger is open for reading only")]
    ReadOnly,
    /// Closed.
    #[error("the ledger is closed")]
    Closed,
    /// History does not follow from itself: a defect or a changed file.
    #[error("history is broken")]
    Broken(#[from] BrokenHistory),
}

impl StorageError {
    /// Whether every later write will fail too, until the ledger is opened again (or, in quarantine, adopted).
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(
            self,
            StorageError::DiskFull { .. }
                | StorageError::Remote { .. }
                | StorageError::Row { .. }
                | StorageError::UnknownPage { .. }
                | StorageError::ReadOnly
                | StorageError::NotEmpty { .. }
                | StorageError::Unfinished { .. }
                | StorageError::BadExport { .. }
                | StorageError::Unsupported { .. }
        )
    }
}

/// Why a transaction wrote nothing, or may have.
#[derive(Debug, thiserror::Error)]
pub enum TransactError {
    /// The rules refused; nothing was written.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The machine failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
