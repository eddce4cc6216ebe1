//! A connected account: a gateway, its limits, and the settings over them.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{AccountName, Interval, Rules};
use crate::gateway::Gateway;

use super::{Error, Ledger};

/// What a user sets for one account; `None` is the gateway's documented limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountSettings {
    /// How long after the payment refunds are asked for.
    pub refund_window: Option<Duration>,
    /// How many refunds an order may have.
    pub refunds_per_order: Option<u32>,
    /// The least time between two refunds of one order.
    pub refund_interval: Option<Duration>,
    /// Whether nobody but this ledger refunds this account's orders (default: yes).
    pub sole_refunder: Option<bool>,
    /// How far back a sync lists orders (default: 90 days).
    pub history: Option<Duration>,
}

/// How far back a sync lists orders unless the account says otherwise.
const HISTORY: Duration = Duration::from_secs(90 * 86_400);

pub(crate) struct Account {
    pub(crate) name: AccountName,
    pub(crate) gateway: Arc<dyn Gateway>,
    pub(crate) rules: Rules,
    pub(crate) history: Duration,
}

impl Account {
    fn new(name: AccountName, gateway: Arc<dyn Gateway>, settings: AccountSettings) -> Account {
        let documented = gateway.capabilities().rules();
        let rules = Rules {
            refund_window: settings.refund_window.or(documented.refund_window),
            refunds_per_order: settings.refunds_per_order.or(documented.refunds_per_order),
            refund_interval: settings.refund_interval.map_or(documented.refund_interval, Interval::Fixed),
            in_flight: documented.in_flight,
            sole_refunder: settings.sole_refunder.unwrap_or(documented.sole_refunder),
        };
        Account { name, gateway, rules, history: settings.history.unwrap_or(HISTORY) }
    }
}

impl Ledger {
    /// Connects a gateway under an account name; connecting the name again replaces it.
    ///
    /// # Errors
    /// [`Error::SameMerchant`] when another account is known to be the same merchant.
    pub fn connect(
        &self,
        name: AccountName,
        gateway: Arc<dyn Gateway>,
        settings: AccountSettings,
    ) -> Result<(), Error> {
        let mut accounts = self.inner.accounts.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let merchant = gateway.merchant();
        let same = accounts.values().find(|other| {
            other.name != name
                && merchant.is_some()
                && other.gateway.name() == gateway.name()
                && other.gateway.merchant() == merchant
        });
        if let Some(other) = same {
            return Err(Error::SameMerchant { new: name, existing: other.name.clone() });
        }
        accounts.insert(name.clone(), Arc::new(Account::new(name, gateway, settings)));
        Ok(())
    }

    /// The names of the connected accounts.
    #[must_use]
    pub fn accounts(&self) -> Vec<AccountName> {
        let accounts = self.inner.accounts.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        accounts.keys().cloned().collect()
    }

    /// Makes one cheap safe call that proves an account's credentials.
    ///
    /// # Errors
    /// [`Error::Upstream`] with what is wrong; [`Error::UnknownAccount`].
    pub async fn check_account(&self, name: &AccountName) -> Result<crate::gateway::Checked, Error> {
        let account = self.inner.account(name)?;
        account.gateway.check().await.map_err(|error| Error::Upstream { account: name.clone(), error })
    }
}
