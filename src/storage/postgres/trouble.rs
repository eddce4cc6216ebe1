//! What goes wrong between here and the server, and what may be assumed afterwards.

use std::fmt::Display;

use tokio_postgres::error::SqlState;

use super::super::StorageError;

/// Why a group was not written, as far as it is known.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nothing happened, and another try may do.
    Again(StorageError),
    /// The answer to the commit never came.
    Unknown(StorageError),
    /// Nothing happened, and another try would not change that.
    Failed(StorageError),
}

impl Trouble {
    pub(super) fn into_error(self) -> StorageError {
        let (Trouble::Again(error) | Trouble::Unknown(error) | Trouble::Failed(error)) = self;
        error
    }

    /// An error while nothing could have been committed yet.
    pub(super) fn before_commit(doing: &'static str, error: &tokio_postgres::Error) -> Trouble {
        let is_passing = error.is_closed() || error.code().is_none_or(is_passing);
        if error.code() == Some(&SqlState::DISK_FULL) {
            return Trouble::Failed(StorageError::DiskFull { path: "the server's tables".into() });
        }
        let error = remote(doing, error);
        if is_passing { Trouble::Again(error) } else { Trouble::Failed(error) }
    }

    /// An error of the trip that ends in the commit. An error that the server tells comes from a statement before it,
    /// or from itself, and either way nothing was committed.
    pub(super) fn around_commit(error: &tokio_postgres::Error) -> Trouble {
        match error.code() {
            Some(_) => Trouble::before_commit("write to", error),
            None => Trouble::Unknown(remote("commit to", error)),
        }
    }
}

/// Whether the server will think otherwise in a moment.
fn is_passing(code: &SqlState) -> bool {
    [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::READ_ONLY_SQL_TRANSACTION, // a replica, until the failover is through
    ]
    .contains(code)
}

/// An error of the server or of the way to it. What it says about rows (their values) is left out.
pub(super) fn remote(doing: &'static str, error: &tokio_postgres::Error) -> StorageError {
    let why = match error.as_db_error() {
        Some(told) => format!("{} ({})", told.message(), told.code().code()),
        None => error.to_string(),
    };
    StorageError::Remote { doing, why }
}

/// A row that this version did not write.
pub(super) fn garbled(what: &str, why: &dyn Display) -> StorageError {
    StorageError::Row { row: what.to_owned(), why: why.to_string() }
}
