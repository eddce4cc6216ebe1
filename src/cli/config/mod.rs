//! The configuration file: what an account is, where the ledger lies, which device this is.
//!
//! Every key is known or refused with the nearest known one; paths are relative to the file; secrets are named, not
//! read, until a call needs them. Start reading at [`Config::read`].

mod account;
mod secret;
mod section;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tillbook::{AccountName, DeviceName};
use toml::de::DeTable;

pub(crate) use account::{Account, OrdersBy, Upstream};
pub(crate) use secret::Secret;
pub(crate) use section::nearest;

use super::exit::Failure;
use super::place::Place;
use section::{Section, Source};

/// The file looked for unless `--config` names another.
pub(crate) const DEFAULT_FILE: &str = "tillbook.toml";

const KEYS: &[&str] = &["data", "device", "profile", "cache_bytes", "accounts"];

/// What the machine is: decides memory and batching of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Machine {
    /// A till or kiosk: little memory.
    Kiosk,
    /// A store's back end.
    Server,
}

/// The configuration.
#[derive(Debug)]
pub(crate) struct Config {
    /// The file it was read from; `None`: there is none, and nothing was asked to be read.
    pub(crate) file: Option<PathBuf>,
    /// Where the ledger lies.
    pub(crate) data: Place,
    /// This device's name.
    pub(crate) device: Option<DeviceName>,
    /// What the machine is.
    pub(crate) machine: Option<Machine>,
    /// How much memory the index may use.
    pub(crate) cache_bytes: Option<u64>,
    /// The accounts by name.
    pub(crate) accounts: BTreeMap<AccountName, Account>,
}

impl Config {
    /// Reads `named`, or the default file. A default file that is not there is an empty configuration: commands
    /// that need no account work without one.
    ///
    /// # Errors
    /// The first fault, with file, line and key; never with a value.
    pub(crate) fn read(named: Option<&Path>) -> Result<Config, Failure> {
        let path = named.unwrap_or(Path::new(DEFAULT_FILE));
        match fs::read_to_string(path) {
            Ok(text) => Config::parse(path, &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => Ok(Config::empty()),
            Err(error) => {
                let why = match error.kind() {
                    std::io::ErrorKind::InvalidData => "it is not TOML: not UTF-8 text".to_owned(),
                    _ => error.to_string(),
                };
                let failure =
                    Failure::new("config", format!("cannot read the configuration {}: {why}", path.display()));
                Err(failure.fact("file", path.display().to_string()))
            }
        }
    }

    fn empty() -> Config {
        let (device, machine, cache_bytes) = (None, None, None);
        let data = Place::Directory("ledger".into());
        Config { file: None, data, device, machine, cache_bytes, accounts: BTreeMap::new() }
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Config, Failure> {
        let source = Source { path, text };
        // The parser's own display quotes the line, and a line may hold a secret: only its message is shown.
        let root = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let message = error.message().replace('\n', "; ");
            source.fault(at, format!("not TOML: {message}"))
        })?;
        let top = Section::new(source, "", 0, root.get_ref());
        top.only(KEYS, &[])?;
        let mut config = Config::empty();
        config.file = Some(path.to_owned());
        config.data = Place::read(top.text("data")?.as_deref().unwrap_or("ledger"), source.directory());
        config.device = match top.text("device")? {
            Some(text) => Some(DeviceName::new(&text).map_err(|error| top.fault("device", &error.to_string()))?),
            None => None,
        };
        config.machine = top.word("profile", &["kiosk", "server"])?.map(|word| match word {
            "kiosk" => Machine::Kiosk,
            _ => Machine::Server,
        });
        config.cache_bytes = top.number("cache_bytes", 1 << 20, 1 << 36)?;
        for (name, table) in top.tables("accounts")? {
            let at = name.span().start;
            let account_name = AccountName::new(name.get_ref()).map_err(|error| source.fault(at, error.to_string()))?;
            let title = format!("accounts.{account_name}");
            let account = Account::read(&Section::new(source, &title, at, table))?;
            config.accounts.insert(account_name, account);
        }
        Ok(config)
    }

    /// The account of that name.
    ///
    /// # Errors
    /// None of that name; the nearest one is named.
    pub(crate) fn account(&self, name: &AccountName) -> Result<&Account, Failure> {
        self.accounts.get(name).ok_or_else(|| self.unknown_account(name))
    }

    /// The refusal of a name that is no account.
    pub(crate) fn unknown_account(&self, name: &AccountName) -> Failure {
        let known: Vec<&str> = self.accounts.keys().map(AccountName::as_str).collect();
        let place = self.file.as_deref().unwrap_or(Path::new(DEFAULT_FILE)).display();
        let failure = match (&self.file, known.is_empty()) {
            (None, _) => Failure::new("unknown_account", format!("unknown account {name}: there is no {place} here"))
                .hint("name one with --config FILE, or make one to try things: tillbook sandbox --write-config tillbook.toml"),
            (Some(_), true) => Failure::new("unknown_account", format!("unknown account {name}: {place} has no accounts")),
            (Some(_), false) => Failure::new("unknown_account", format!("unknown account {name} (not in {place})"))
                .hint(format!("did you mean {}?", nearest(name.as_str(), &known))),
        };
        failure.fact("account", name.as_str()).fact("known", known)
    }
}

#[cfg(test)]
mod tests;
