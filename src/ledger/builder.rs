//! Opening a ledger.

use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::sync::Notify;

use crate::domain::DeviceName;
use crate::storage::Storage;
#[cfg(not(feature = "postgres"))]
use crate::storage::StorageError;
use crate::storage::embedded::{Compacted, Embedded, EmbeddedOptions, Erase};
use crate::storage::memory::Memory;
#[cfg(feature = "postgres")]
use crate::storage::postgres::{Postgres, PostgresOptions};

use super::lane::Lanes;
use super::subscribe::Subscribers;
use super::{Clock, Error, Inner, Ledger, SystemClock};

pub use crate::storage::embedded::Profile;

/// The address of a server, where that is in the place of a directory.
fn server(data: &Path) -> Option<&str> {
    data.to_str().filter(|text| ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)))
}

/// How a ledger is opened.
pub struct LedgerBuilder {
    options: EmbeddedOptions,
    clock: Arc<dyn Clock>,
}

impl Default for LedgerBuilder {
    fn default() -> LedgerBuilder {
        let device = DeviceName::new("till").expect("a plain word");
        LedgerBuilder { options: EmbeddedOptions::new(device), clock: Arc::new(SystemClock) }
    }
}

impl LedgerBuilder {
    /// The name of this till, kiosk or server: in every event, and at the front of refund keys made
    /// here. Two devices must not share one.
    #[must_use]
    pub fn device(mut self, device: DeviceName) -> LedgerBuilder {
        self.options.device = device;
        self
    }

    #[cfg(feature = "postgres")]
    pub(super) fn device_name(&self) -> &DeviceName {
        &self.options.device
    }

    /// What kind of machine this is: sets the cache.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> LedgerBuilder {
        self.options.profile = profile;
        self
    }

    /// How much memory the index may cache.
    ///
    /// # Units
    /// Bytes.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: u64) -> LedgerBuilder {
        self.options.cache_bytes = Some(bytes);
        self
    }

    /// How long to wait for another process that owns the ledger: a second unless set to more.
    #[must_use]
    pub fn lock_wait(mut self, wait: Duration) -> LedgerBuilder {
        self.options.lock_wait = wait;
        self
    }

    /// Where the time comes from.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> LedgerBuilder {
        self.clock = clock;
        self
    }

    /// Opens the ledger in a directory, which is made if it is not there, and owns it. Refunds that
    /// were being sent when the last owner ended are in doubt from here on.
    ///
    /// A ledger that was copied or restored from a backup is opened in quarantine, with nothing changed: it
    /// can be read, and neither holds nor sends until [`Ledger::adopt`]. See [`Ledger::quarantined`].
    ///
    /// # Errors
    /// [`StorageError::Locked`](crate::storage::StorageError::Locked) names the other owner;
    /// [`Damaged`](crate::storage::StorageError::Damaged) file and position. Nothing was changed.
    ///
    /// # On a server
    /// `postgres://user:password@host:port/database` in the place of a directory opens the ledger in that database
    /// (feature `postgres`), which any number of processes may have open. See
    /// [`Postgres`](crate::storage::postgres::Postgres).
    pub async fn open(self, data: impl AsRef<Path>) -> Result<Ledger, Error> {
        if let Some(url) = server(data.as_ref()) {
            return self.open_on_server(url).await;
        }
        let dir = data.as_ref().to_owned();
        let options = self.options.clone();
        // Replay and fsyncs block; a panic in there is reported, not passed on.
        let storage = tokio::task::spawn_blocking(move || Embedded::open(&dir, &options)).await??;
        self.owner(Arc::new(storage)).await
    }

    /// Opens the ledger in a directory for reading, beside a process that owns it. Nothing is locked
    /// or written; the view is the one of this moment.
    ///
    /// # Errors
    /// [`StorageError::NoLedger`](crate::storage::StorageError::NoLedger), damage, IO.
    pub async fn open_read_only(self, data: impl AsRef<Path>) -> Result<Ledger, Error> {
        if let Some(url) = server(data.as_ref()) {
            return self.open_on_server_read_only(url).await;
        }
        let dir = data.as_ref().to_owned();
        let storage = tokio::task::spawn_blocking(move || Embedded::open_read_only(&dir)).await??;
        Ok(self.over(Arc::new(storage)))
    }

    /// Rewrites the index of the ledger in a directory that nobody has open, so that what was erased is gone from its
    /// files and what sled left behind is given back. The journal is not touched. See [`Embedded::compact`].
    ///
    /// # Errors
    /// As there; [`StorageError::Locked`](crate::storage::StorageError::Locked) names a running owner.
    pub async fn compact(self, dir: impl AsRef<Path>, erase: Erase) -> Result<Compacted, Error> {
        let dir = dir.as_ref().to_owned();
        let options = self.options;
        Ok(tokio::task::spawn_blocking(move || Embedded::compact(&dir, &options, erase)).await??)
    }

    /// Opens a ledger that is gone when it is dropped: for tests and trials.
    ///
    /// # Errors
    /// None today.
    pub async fn in_memory(self) -> Result<Ledger, Error> {
        let storage = Arc::new(Memory::new(self.options.device.clone()));
        self.owner(storage).await
    }

    /// Opens a ledger over a storage of one's own.
    ///
    /// # Errors
    /// The storage's.
    pub async fn storage(self, storage: Arc<dyn Storage>) -> Result<Ledger, Error> {
        self.owner(storage).await
    }

    #[cfg(feature = "postgres")]
    async fn open_on_server(self, url: &str) -> Result<Ledger, Error> {
        let options = PostgresOptions::new(self.options.device.clone());
        let storage = Postgres::open(url, &options).await?;
        self.owner(Arc::new(storage)).await
    }

    #[cfg(feature = "postgres")]
    async fn open_on_server_read_only(self, url: &str) -> Result<Ledger, Error> {
        let options = PostgresOptions::new(self.options.device.clone());
        let storage = Postgres::open_read_only(url, &options).await?;
        Ok(self.over(Arc::new(storage)))
    }

    #[cfg(not(feature = "postgres"))]
    async fn open_on_server(self, _: &str) -> Result<Ledger, Error> {
        Err(StorageError::Unsupported { what: "reach a server: it was built without the feature `postgres`" }.into())
    }

    #[cfg(not(feature = "postgres"))]
    async fn open_on_server_read_only(self, url: &str) -> Result<Ledger, Error> {
        self.open_on_server(url).await
    }

    async fn owner(self, storage: Arc<dyn Storage>) -> Result<Ledger, Error> {
        let ledger = self.over(storage);
        if ledger.quarantined().is_some() {
            return Ok(ledger);
        }
        ledger.inner.read_adoption().await?;
        let lost = ledger.inner.recover().await?;
        if lost > 0 {
            tracing::warn!(lost, "refunds were being sent when the last owner ended; they are in doubt");
        }
        Ok(ledger)
    }

    fn over(self, storage: Arc<dyn Storage>) -> Ledger {
        let (device, clock) = (self.options.device, self.clock);
        let (accounts, lanes, adopted_at) = (RwLock::default(), Lanes::default(), RwLock::default());
        let (subscribers, waits) = (Subscribers::default(), Notify::new());
        Ledger { inner: Arc::new(Inner { storage, device, clock, accounts, lanes, adopted_at, subscribers, waits }) }
    }
}
