//! A connected account: a gateway, its limits, and the settings over them.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{AccountName, Interval, Money, Rules};
use crate::gateway::{Gateway, Limited};

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
    /// Refunds above this wait, held, until [`Ledger::approve`] (default: none waits).
    pub hold_above: Option<Money>,
    /// How long the upstream may not know an order recorded offline before its refunds go to review
    /// (default: a day).
    pub provisional_for: Option<Duration>,
    /// How long a refund may be in doubt or accepted before it goes to review (default: 72 hours).
    pub review_after: Option<Duration>,
    /// When [`Ledger::run`] asks about a refund that is not settled, counted from one question to the
    /// next; the last repeats (default: 30 s, 2 min, 10 min, 1 h, then every 6 h).
    pub probe_schedule: Option<Vec<Duration>>,
    /// After how long a silence of the upstream a refund is sent again although nothing proves that
    /// it was not executed (default: never). It can be paid twice: a request can land after any time.
    /// The silence is counted while [`Ledger::run`] runs, and anew after each start.
    pub resend_after_silence: Option<Duration>,
    /// How many questions a minute this account asks its upstream, on the mean and whoever asks: a sync,
    /// a till, a probe (default: hydrogen 20, for its free plan allows 50 for the whole application; the
    /// others as many as it takes). Lists take at most half of them.
    pub calls_per_minute: Option<u32>,
    /// Whether the upstream's last answer about each order is kept as it came, beside the index, until
    /// [`Ledger::forget`] (default: no, for it carries the payer's data). Setting it back keeps no more, and leaves what
    /// was kept.
    pub keep_bodies: Option<bool>,
}

/// How far back a sync lists orders unless the account says otherwise.
const HISTORY: Duration = Duration::from_secs(90 * 86_400);

/// When to ask about a refund that is not settled: soon while a customer waits, then ever more rarely.
const PROBE_SCHEDULE: [Duration; 5] = [
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(600),
    Duration::from_secs(3_600),
    Duration::from_secs(6 * 3_600),
];

pub(crate) struct Account {
    pub(crate) name: AccountName,
    /// For those who wait for the answer.
    pub(crate) gateway: Arc<dyn Gateway>,
    /// The same for those who do not: they leave half of the account's turns to the others.
    pub(crate) background: Arc<dyn Gateway>,
    pub(crate) rules: Rules,
    pub(crate) history: Duration,
    pub(crate) probe_schedule: Vec<Duration>,
    pub(crate) keeps_bodies: bool,
}

impl Account {
    fn new(name: AccountName, gateway: Arc<dyn Gateway>, settings: AccountSettings) -> Account {
        let capabilities = gateway.capabilities();
        let documented = capabilities.rules();
        let rules = Rules {
            refund_window: settings.refund_window.or(documented.refund_window),
            refunds_per_order: settings.refunds_per_order.or(documented.refunds_per_order),
            refund_interval: settings.refund_interval.map_or(documented.refund_interval, Interval::Fixed),
            in_flight: documented.in_flight,
            totals_count_pending: documented.totals_count_pending,
            sole_refunder: settings.sole_refunder.unwrap_or(documented.sole_refunder),
            hold_above: settings.hold_above.or(documented.hold_above),
            provisional_for: settings.provisional_for.unwrap_or(documented.provisional_for),
            review_after: settings.review_after.unwrap_or(documented.review_after),
            resend_after_silence: settings.resend_after_silence.or(documented.resend_after_silence),
        };
        let probe_schedule = settings.probe_schedule.filter(|steps| !steps.is_empty());
        let probe_schedule = probe_schedule.unwrap_or_else(|| PROBE_SCHEDULE.to_vec());
        let (gateway, background) = paced(gateway, settings.calls_per_minute.or(capabilities.calls_per_minute));
        let history = settings.history.unwrap_or(HISTORY);
        let keeps_bodies = settings.keep_bodies.unwrap_or(false);
        Account { name, gateway, background, rules, history, probe_schedule, keeps_bodies }
    }
}

/// The gateway for those who wait, and for those who do not.
fn paced(gateway: Arc<dyn Gateway>, calls_per_minute: Option<u32>) -> (Arc<dyn Gateway>, Arc<dyn Gateway>) {
    match calls_per_minute {
        Some(calls) => {
            let limited = Limited::new(gateway, calls);
            (Arc::new(limited.clone()), Arc::new(limited.in_background()))
        }
        None => (gateway.clone(), gateway),
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
