//! Beside a running till: the process that owns a ledger answers other processes of the same user over a local socket
//! in the ledger's directory, so that a second shell can refund while the till runs.
//!
//! The till calls [`Ledger::serve`]; the other process takes a [`Client`], says what it wants in the library's own
//! words, and hears what it would have heard had it owned the ledger. What must never be here: rules (the ledger's are
//! the only ones), secrets (none crosses the socket), and another way to own a ledger than its lock.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `wire` | the lines: greeting, request, answer |
//! | `failed` | how an error is told to another process |
//! | `server` | who is let in, for how long, and what is done for them |
//! | `client` | the other end |
//! | `socket`, `elsewhere` | the socket itself, and its absence where there is none |
//!
//! Start reading at [`Server`].

mod client;
mod failed;
mod server;
mod wire;

#[cfg(not(unix))]
mod elsewhere;
#[cfg(unix)]
mod socket;

#[cfg(not(unix))]
use elsewhere as socket;

pub use client::Client;
pub use failed::Failed;
pub use server::Server;

use std::future::Future;
use std::path::Path;

use crate::ledger::{Error, Ledger};

impl Ledger {
    /// Answers other processes of this user until told to stop: [`Ledger::listen`] and [`Server::answer`] in one.
    ///
    /// `dir` is the directory that this ledger was opened in. Run it beside the till's own work, and end it before the
    /// ledger is closed.
    ///
    /// # Errors
    /// As [`Ledger::listen`].
    pub async fn serve(&self, dir: impl AsRef<Path>, stop: impl Future<Output = ()>) -> Result<(), Error> {
        self.listen(dir).await?.answer(stop).await;
        Ok(())
    }

    /// Takes the socket in the ledger's directory. A socket that a killed owner left behind is replaced.
    ///
    /// # Errors
    /// [`StorageError::Io`](crate::storage::StorageError::Io) when there can be no socket (a file system without
    /// sockets, a system that has none), or when somebody answers there already. The ledger is as usable as before.
    pub async fn listen(&self, dir: impl AsRef<Path>) -> Result<Server, Error> {
        Server::new(self.clone(), dir.as_ref()).await
    }
}
