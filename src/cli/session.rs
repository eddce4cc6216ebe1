//! What every command has in hand: configuration, streams, and the ways to a ledger.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tillbook::gateway::Gateway;
use tillbook::serve::Client;
use tillbook::storage::StorageError;
use tillbook::{AccountName, AccountSettings, Error, Ledger, LedgerBuilder, Profile};

use super::args::Global;
use super::config::{Account, Config, Machine};
use super::desk::Desk;
use super::end::End;
use super::exit::Failure;
use super::output::{Format, Output};
use super::place::Place;
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
    pub(crate) fn place(&self) -> Place {
        match &self.global.data {
            Some(named) => match named.to_str() {
                Some(text) => Place::read(text, Path::new("")),
                None => Place::Directory(named.clone()),
            },
            None => self.config.data.clone(),
        }
    }

    /// The directory in which it lies, for what can be done with files only.
    ///
    /// # Errors
    /// It lies on a server; `instead` says what is done there.
    pub(crate) fn directory(&self, instead: &str) -> Result<PathBuf, Failure> {
        match self.place() {
            Place::Directory(directory) => Ok(directory),
            place @ Place::Server(_) => {
                Err(Failure::new("unsupported", format!("{place} is no directory")).hint(instead))
            }
        }
    }

    /// How a command line over this ledger begins, to be typed again.
    pub(crate) fn program(&self) -> String {
        let config = self.global.config.as_ref().map(|path| format!(" --config {}", path.display()));
        let data = self.global.data.as_ref().map(|_| format!(" --data {}", self.place()));
        format!("tillbook{}{}", config.unwrap_or_default(), data.unwrap_or_default())
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
        let ledger = self.builder().open_read_only(self.place().path()).await?;
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
        match self.builder().open_read_only(self.place().path()).await {
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
        Ok(self.own(&self.gateways(accounts)?, self.global.lock_wait).await?)
    }

    /// Does `work` at the desk of whoever owns the ledger: beside a running till, or as the owner, with these accounts
    /// connected. An interruption waits for refunds that are being sent: what is under way ends on record.
    pub(crate) async fn at_desk<T>(
        &self,
        accounts: &[AccountName],
        work: impl AsyncFnOnce(Desk) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut end = End::listen()?;
        let desk = self.desk(accounts).await?;
        let (owned, under_way) = match &desk {
            Desk::Own(ledger) => (Some(ledger.clone()), "waiting for what is under way"),
            Desk::Beside(_) => (None, "the running till goes on with what was asked"),
        };
        let done = tokio::select! {
            done = work(desk) => done,
            () = end.asked() => {
                self.output.note(format!("interrupted: {under_way}"));
                Err(Failure::new("interrupted", "interrupted; what was under way is on record"))
            }
        };
        let closed = match owned {
            Some(ledger) => ledger.close().await,
            None => Ok(()),
        };
        let done = done?;
        closed?;
        Ok(done)
    }

    /// The one place where it is decided who does what was asked for. A till that is about to serve, or about to end,
    /// is waited for as long as for its lock.
    async fn desk(&self, accounts: &[AccountName]) -> Result<Desk, Failure> {
        let gateways = self.gateways(accounts)?;
        let Place::Directory(directory) = self.place() else {
            // Whoever else has it open is no obstacle: the server keeps them apart.
            return Ok(Desk::Own(self.own(&gateways, self.global.lock_wait).await?));
        };
        let until = Instant::now() + self.global.lock_wait;
        loop {
            let wait = until.saturating_duration_since(Instant::now()).max(GREETING);
            if let Some(client) = Client::connect(&directory, wait).await? {
                return Ok(Desk::Beside(client));
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.own(&gateways, left.min(LOOK_AGAIN)).await {
                Err(Error::Storage(StorageError::Locked { .. })) if left > LOOK_AGAIN => {}
                opened => return Ok(Desk::Own(opened?)),
            }
        }
    }

    /// The accounts' gateways. Before anything else: settings that make no gateway must not cost a ledger its lock,
    /// nor make one.
    fn gateways(&self, accounts: &[AccountName]) -> Result<Vec<Connection>, Failure> {
        let connection = |name: &AccountName| {
            let account = self.account(name)?;
            Ok((name.clone(), upstreams::gateway(name, account)?, settings(account)))
        };
        accounts.iter().map(connection).collect()
    }

    async fn own(&self, gateways: &[Connection], lock_wait: Duration) -> Result<Ledger, Error> {
        let ledger = self.builder().lock_wait(lock_wait).open(self.place().path()).await?;
        if let Some(quarantine) = ledger.quarantined() {
            ledger.close().await?;
            return Err(Error::Quarantined(quarantine));
        }
        for (name, gateway, settings) in gateways {
            if let Err(error) = ledger.connect(name.clone(), gateway.clone(), settings.clone()) {
                ledger.close().await?;
                return Err(error);
            }
        }
        Ok(ledger)
    }
}

/// What is connected under an account's name.
type Connection = (AccountName, Arc<dyn Gateway>, AccountSettings);

/// How long to wait for a lock before looking again whether its holder serves by now.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How long a till that accepts connections may take to greet, however short `--lock-wait` is.
const GREETING: Duration = Duration::from_secs(1);

/// The ledger's part of an account's settings.
pub(crate) fn settings(account: &Account) -> AccountSettings {
    AccountSettings {
        refund_window: account.refund_window,
        refunds_per_order: account.refunds_per_order,
        refund_interval: account.refund_interval,
        sole_refunder: account.sole_refunder,
        history: account.history,
        hold_above: account.hold_above,
        provisional_for: account.provisional_for,
        review_after: account.review_after,
        probe_schedule: account.probe_schedule.clone(),
        resend_after_silence: account.resend_after_silence,
        calls_per_minute: account.calls_per_minute,
        keep_bodies: account.keep_bodies,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_an_account_says_reaches_the_ledger() {
        let text = r#"
            [accounts.shop-1]
            gateway = "fubei"
            base_url = "http://127.0.0.1:8100"
            app_id = "20990101"
            secret = { env = "FUBEI_SECRET" }
            refund_interval = "0s"
            refund_window = "90d"
            probe_schedule = ["30s", "2m"]
            calls_per_minute = 600
            hold_above = "500.00"
            provisional_for = "2d"
            review_after = "72h"
            keep_bodies = true
            resend_after_silence = "never"
            [accounts.shop-2]
            gateway = "trade_order"
            base_url = "http://127.0.0.1:8100"
            token = { file = "keys/token" }
            resend_after_silence = "30d"
        "#;
        let Ok(config) = Config::parse(Path::new("tillbook.toml"), text) else { panic!("it is in order") };
        let of = |name| {
            let account = config.accounts.get(&AccountName::new(name).expect("a name"));
            settings(account.expect("an account"))
        };
        let days = |count: u64| Some(Duration::from_secs(count * 86_400));
        let want = AccountSettings {
            refund_window: days(90),
            refund_interval: Some(Duration::ZERO),
            hold_above: Some("500.00".parse().expect("an amount")),
            provisional_for: days(2),
            review_after: days(3),
            probe_schedule: Some(vec![Duration::from_secs(30), Duration::from_secs(120)]),
            calls_per_minute: Some(600),
            keep_bodies: Some(true),
            ..AccountSettings::default()
        };
        assert_eq!(of("shop-1"), want);
        assert_eq!(of("shop-2"), AccountSettings { resend_after_silence: days(30), ..AccountSettings::default() });
    }
}
