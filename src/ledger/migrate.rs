//! A ledger moved from a directory to a server: its history, line by line, and nothing else.
//!
//! The directory is sealed before the first line is written elsewhere, so that no refund is granted in two places. What
//! was interrupted goes on where it ended: a line that is there already must be the very same.

use std::path::Path;

use crate::storage::postgres::{Postgres, PostgresOptions};
use crate::storage::{StateHash, Storage, StorageError};

use super::{Error, LedgerBuilder};

/// What was moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// All events of the ledger.
    pub events: u64,
    /// How many of them were there already.
    pub were_there: u64,
    /// The same on both sides.
    pub state: StateHash,
}

/// Lines that are committed at once.
const CHUNK: usize = 1_000;

impl LedgerBuilder {
    /// Moves the ledger in a directory that nobody has open to a server whose database holds no ledger, or the beginning
    /// of this one. `shown` is what the directory says of where it went, for it is read by people: no password.
    ///
    /// # Durability
    /// The directory is sealed first: it can be read for ever, and takes no command any more. Each thousand lines are
    /// committed; where this is interrupted, the same call goes on. When it returns `Ok`, both sides have the same state
    /// hash.
    ///
    /// # Errors
    /// [`StorageError::Sealed`]: it was moved elsewhere before. [`StorageError::NotEmpty`]: the server holds another
    /// ledger. Nothing is lost then, nor in any other case.
    pub async fn migrate(self, from: impl AsRef<Path>, to: &str, shown: &str) -> Result<Migrated, Error> {
        let options = PostgresOptions::new(self.device_name().clone());
        let there = Postgres::open(to, &options).await?;
        let here = self.open(from).await?;
        let moved = copy(&*here.inner.storage, &there, shown).await;
        let closed = here.close().await;
        there.close().await?;
        let moved = moved?;
        closed?;
        Ok(moved)
    }
}

async fn copy(here: &dyn Storage, there: &Postgres, shown: &str) -> Result<Migrated, Error> {
    let were_there = *there.newest().borrow();
    // Looked at before anything is sealed: the last line that is there, and all before it by its chain.
    if were_there > 0 && here.lines(were_there - 1, 1).await? != there.lines(were_there - 1, 1).await? {
        return Err(StorageError::NotEmpty { path: shown.into() }.into());
    }
    here.seal(shown.to_owned()).await?;
    let events = *here.newest().borrow();
    let mut after = were_there;
    while after < events {
        let lines = here.lines(after, CHUNK).await?;
        after += lines.len() as u64;
        there.go_on(lines).await?;
    }
    for (name, value) in here.cursors().await? {
        there.put_cursor(&name, value).await?;
    }
    let (state, moved) = (here.state_hash().await?, there.state_hash().await?);
    if state != moved {
        let why = format!("state {state} became {moved}: refund from neither, and report it");
        return Err(StorageError::Poisoned { why }.into());
    }
    Ok(Migrated { events, were_there, state })
}
