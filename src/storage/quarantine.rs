//! Quarantine: what a storage says that was copied or restored, and what ends it.
//!
//! Two copies of one ledger hold the same queue. If both sent it, customers would be refunded twice, and
//! neither copy could know. So a copy sends and holds nothing until a person has said that it is the one to
//! go on with. Here are only the words for it; how a copy is told from its original is the storage's own
//! business (`embedded/instance.rs`).

use std::fmt;
use std::path::PathBuf;

use super::Transaction;

/// Why a ledger takes no commands: it was copied or restored, and nobody has adopted it where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// The ledger's directory.
    pub path: PathBuf,
    /// What tells it from the original, in words.
    pub why: String,
}

impl fmt::Display for Quarantine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Quarantine { path, why } = self;
        write!(
            f,
            "the ledger in {} is a copy, or was restored ({why}); nothing was sent, held or changed, and reading is \
             safe; once no other copy is used any more, adopt it",
            path.display()
        )
    }
}

/// What is written when a copy is adopted.
pub struct Adoption {
    /// The commands, each atomic by itself, all in one durable write: whatever the original may have sent
    /// meanwhile goes to a person.
    pub transactions: Vec<Transaction>,
    /// A named position that is kept with them.
    pub cursor: (String, String),
}
