//! Why a call brought no answer.

use crate::domain::decide::Refusal;
use crate::domain::{AccountName, Answer, BrokenHistory, NameError, Rejection};
use crate::gateway::ReadError;
use crate::storage::{Quarantine, StorageError, TransactError};

/// Why a call brought no answer. [`Error::kind`] is the stable word for it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The rules refuse it. Nothing of it was written, nothing was sent.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// No account of that name is connected.
    #[error("no account {0} is connected")]
    UnknownAccount(AccountName),
    /// Two accounts for one merchant would keep two records of one order.
    #[error("account {new} is the same merchant as account {existing}; one order's refunds belong to one account")]
    SameMerchant {
        /// The one that was to be connected.
        new: AccountName,
        /// The one that is.
        existing: AccountName,
    },
    /// The upstream could not be asked, or its answer could not be read. Nothing changed.
    #[error("account {account}: {error}")]
    Upstream {
        /// The account.
        account: AccountName,
        /// What went wrong.
        error: ReadError,
    },
    /// The outcome of a refund that was sent could not be written. It is held, and in doubt when the
    /// ledger is opened again.
    #[error("refund {key} was sent and ended {}, which could not be written; it stays held, open the ledger again", answer.outcome.as_str())]
    OutcomeNotWritten {
        /// The refund.
        key: crate::domain::RefundKey,
        /// What the upstream answered.
        answer: Box<Answer>,
        /// Why it could not be written.
        #[source]
        source: StorageError,
    },
    /// The ledger was copied or restored, and nobody has adopted it where it lies: see
    /// [`Ledger::adopt`](super::Ledger::adopt). Nothing was written, nothing was sent.
    #[error("{0}: tillbook adopt --by NAME")]
    Quarantined(Quarantine),
    /// The storage failed.
    #[error("the ledger's storage failed")]
    Storage(#[source] StorageError),
    /// A name breaks its rules.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The order is known under another id: an offline recording was confirmed. Ask again.
    #[error("the order is {0} by now; ask again")]
    Moved(crate::domain::OrderId),
    /// A task of the ledger was ended by the runtime or by a defect; what it had written is safe.
    #[error("the ledger's own task ended early: {0}")]
    TaskLost(String),
}

impl Error {
    /// The word for scripts, as in `{"error":{"kind":...}}`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Error::Rejected(rejection) => rejection.kind(),
            Error::UnknownAccount(_) => "unknown_account",
            Error::SameMerchant { .. } => "same_merchant",
            Error::Upstream { .. } => "upstream",
            Error::OutcomeNotWritten { .. } => "outcome_not_written",
            Error::Quarantined(_) => "quarantined",
            Error::Storage(error) => storage_kind(error),
            Error::Name(_) => "malformed",
            Error::Moved(_) => "moved",
            Error::TaskLost(_) => "task_lost",
        }
    }
}

fn storage_kind(error: &StorageError) -> &'static str {
    match error {
        StorageError::Io { .. } => "io",
        StorageError::DiskFull { .. } => "disk_full",
        StorageError::Poisoned { .. } => "poisoned",
        StorageError::Locked { .. } => "locked",
        StorageError::Damaged { .. } => "damaged",
        StorageError::Unreadable { .. } => "unreadable_journal",
        StorageError::UnknownPage { .. } => "malformed",
        StorageError::NewerFormat { .. } | StorageError::NewerSchema { .. } => "newer_format",
        StorageError::Remote { .. } => "server",
        StorageError::Row { .. } => "damaged",
        StorageError::NoLedger { .. } => "no_ledger",
        StorageError::NotEmpty { .. } => "not_empty",
        StorageError::Unfinished { .. } => "unfinished",
        StorageError::BadExport { .. } => "bad_export",
        StorageError::Unsupported { .. } => "unsupported",
        StorageError::Quarantined(_) => "quarantined",
        StorageError::Sealed { .. } => "sealed",
        StorageError::ReadOnly => "read_only",
        StorageError::Closed => "closed",
        StorageError::Broken(_) => "broken_history",
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Error {
        match error {
            StorageError::Quarantined(quarantine) => Error::Quarantined(quarantine),
            error => Error::Storage(error),
        }
    }
}

impl From<TransactError> for Error {
    fn from(error: TransactError) -> Error {
        match error {
            TransactError::Refused(refusal) => refusal.into(),
            TransactError::Storage(error) => error.into(),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        match refusal {
            Refusal::Rejected(rejection) => rejection.into(),
            Refusal::Broken(broken) => StorageError::from(broken).into(),
            // The ledger's own loops follow these; one that gets here found no end.
            Refusal::Elsewhere(order) => Error::Moved(order),
            Refusal::Overtaken { .. } => Error::TaskLost(refusal.to_string()),
        }
    }
}

impl From<BrokenHistory> for Error {
    fn from(broken: BrokenHistory) -> Error {
        StorageError::from(broken).into()
    }
}

impl From<tokio::task::JoinError> for Error {
    fn from(error: tokio::task::JoinError) -> Error {
        Error::TaskLost(error.to_string())
    }
}
