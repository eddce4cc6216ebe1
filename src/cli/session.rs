//! What every command has in hand: configuration, streams, and the ways to a ledger.

use std::path::PathBuf;

use tillbook::storage::StorageError;
use tillbook::{AccountName, AccountSettings, Error, Ledger, LedgerBuilder, Profile};

use super::args::Global;
use super::config::{Account, Config, Machine};
use super::exit::Failure;
use super::output::{Format, Output};
use super::upstreams;

/// One run of the program.
#[derive(Debug)]
pub(crate) struct Session {
    /// The global options.
    pub(crate) global: Global,
    /// The two streams.
    pub(crate) output: Output,
    config: Config,
}

impl Session {
    /// Reads the configuration.
    ///
    /// # Errors
    /// Its first fault; nothing was opened or written.
    pub(crate) fn start(global: Global) -> Result<Session, Failure> {
        let config = Config::read(global.config.as_deref())?;
        let output = Output::new(if global.json { Format::Json } else { Format::Text });
        Ok(Session { global, output, config })
    }

    /// The configured account of that name.
    pub(crate) fn account(&self, name: &AccountName) -> Result<&Account, Failure> {
        self.config.account(name)
    }

    /// Checks an account by which a list is narrowed: a slip must not look like an empty list. Where there is no
    /// configuration, any name goes.
    pub(crate) fn narrowed_to(&self, name: Option<&AccountName>) -> Result<(), Failure> {
        match (&self.config.file, name) {
            (Some(_), Some(name)) => self.account(name).map(drop),
            _ => Ok(()),
        }
    }

    /// The accounts named, or all.
    ///
    /// # Errors
    /// A name that is not configured; a configuration without accounts.
    pub(crate) fn accounts(&self, named: &[AccountName]) -> Result<Vec<AccountName>, Failure> {
        for name in named {
            self.account(name)?;
        }
        let names: Vec<AccountName> =
            if named.is_empty() { self.config.accounts.keys().cloned().collect() } else { named.to_vec() };
        if names.is_empty() {
            let failure = Failure::new("config", "the configuration names no account");
            return Err(failure.hint("make one to try things: tillbook sandbox --write-config tillbook.toml"));
        }
        Ok(names)
    }

    /// Where the ledger lies.
    pub(crate) fn data(&self) -> PathBuf {
        self.global.data.clone().unwrap_or_else(|| self.config.data.clone())
    }

    /// A ledger as the configuration wants it.
    pub(crate) fn builder(&self) -> LedgerBuilder {
        let mut builder = Ledger::builder().lock_wait(self.global.lock_wait);
        if let Some(device) = &self.config.device {
            builder = builder.device(device.clone());
        }
        if let Some(machine) = self.config.machine {
            builder = builder.profile(match machine {
                Machine::Kiosk => Profile::Kiosk,
                Machine::Server => Profile::Server,
            });
        }
        match self.config.cache_bytes {
            Some(bytes) => builder.cache_bytes(bytes),
            None => builder,
        }
    }

    /// Reads the ledger beside whoever owns it.
    pub(crate) async fn reading<T>(&self, work: impl AsyncFnOnce(&Ledger) -> Result<T, Failure>) -> Result<T, Failure> {
        let ledger = self.builder().open_read_only(self.data()).await?;
        let done = work(&ledger).await;
        let closed = ledger.close().await;
        let done = done?;
        closed?;
        Ok(done)
    }

    /// As [`Session::reading`], or `None` where there is no ledger yet.
    pub(crate) async fn reading_if_any<T>(
        &self,
        work: impl AsyncFnOnce(&Ledger) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        match self.builder().open_read_only(self.data()).await {
            Err(Error::Storage(StorageError::NoLedger { .. })) => Ok(None),
            Err(error) => Err(error.into()),
            Ok(ledger) => {
                let done = work(&ledger).await;
                ledger.close().await?;
                done.map(Some)
            }
        }
    }

    /// Opens the ledger as its owner, with these accounts connected. The caller closes it. One in quarantine is
    /// refused before anybody is asked anything.
    pub(crate) async fn open(&self, accounts: &[AccountName]) -> Result<Ledger, Failure> {
        // Gateways first: settings that make no gateway must not cost a ledger its lock, nor make one.
        let mut gateways = Vec::new();
        for name in accounts {
            let account = self.account(name)?;
            gateways.push((name.clone(), upstreams::gateway(name, account)?, settings(account)));
        }
        let ledger = self.builder().open(self.data()).await?;
        if let Some(quarantine) = ledger.quarantined() {
            ledger.close().await?;
            return Err(Error::Quarantined(quarantine).into());
        }
        for (name, gateway, settings) in gateways {
            if let Err(error) = ledger.connect(name, gateway, settings) {
                ledger.close().await?;
                return Err(error.into());
            }
        }
        Ok(ledger)
    }

    /// Owns the ledger, with these accounts connected, while `work` runs. An interruption waits for refunds that are being sent: what is
    /// under way ends on record.
    pub(crate) async fn owning<T>(
        &self,
        accounts: &[AccountName],
        work: impl AsyncFnOnce(&Ledger) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let ledger = self.open(accounts).await?;
        let done = tokio::select! {
            done = work(&ledger) => done,
            _ = tokio::signal::ctrl_c() => {
                self.output.note("interrupted: waiting for what is under way");
                Err(Failure::new("interrupted", "interrupted; what was under way is on record"))
            }
        };
        let closed = ledger.close().await;
        let done = done?;
        closed?;
        Ok(done)
    }
}

/// The ledger's part of an account's settings.
pub(crate) fn settings(account: &Account) -> AccountSettings {
    AccountSettings {
        refund_window: account.refund_window,
        refunds_per_order: account.refunds_per_order,
        refund_interval: account.refund_interval,
        sole_refunder: account.sole_refunder,
        history: account.history,
        ..AccountSettings::default()
    }
}
