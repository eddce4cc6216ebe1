//! One account of the configuration: its gateway's keys, and the settings that all gateways share.

use std::time::Duration;

use tillbook::Money;

use super::secret::Secret;
use super::section::Section;
use crate::cli::exit::Failure;

/// The keys of every account.
const COMMON: &[&str] = &[
    "gateway",
    "base_url",
    "timeout",
    "connect_timeout",
    "proxy",
    "calls_per_minute",
    "refund_window",
    "refunds_per_order",
    "refund_interval",
    "sole_refunder",
    "history",
    "hold_above",
    "provisional_for",
    "review_after",
    "probe_schedule",
    "resend_after_silence",
    "keep_bodies",
];

/// The keys of one kind of gateway each.
const OWN: &[(&str, &[&str])] = &[
    ("fubei", &["app_id", "secret", "declined_codes", "credential_codes"]),
    ("trade_order", &["token"]),
    ("hydrogen", &["client_id", "token", "refund_function", "function_secret", "orders"]),
];

/// The name under which the cloud function is deployed unless the account says otherwise.
pub(crate) const REFUND_FUNCTION: &str = "tillbook";

/// One merchant's credentials at one gateway, and how to treat it.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// The gateway with its own keys.
    pub(crate) upstream: Upstream,
    /// Where it is.
    pub(crate) base_url: String,
    /// Total time of one call.
    pub(crate) timeout: Option<Duration>,
    /// Time to connect.
    pub(crate) connect_timeout: Option<Duration>,
    /// A proxy's URL, which may hold a password.
    pub(crate) proxy: Option<Secret>,
    /// How many calls a minute, at most.
    pub(crate) calls_per_minute: Option<u32>,
    /// How long after the payment refunds are taken.
    pub(crate) refund_window: Option<Duration>,
    /// How many refunds an order may have.
    pub(crate) refunds_per_order: Option<u32>,
    /// The least time between two refunds of one order.
    pub(crate) refund_interval: Option<Duration>,
    /// Whether nobody else refunds this account's orders.
    pub(crate) sole_refunder: Option<bool>,
    /// How far back a sync reads.
    pub(crate) history: Option<Duration>,
    /// Refunds above this wait until somebody approves them.
    pub(crate) hold_above: Option<Money>,
    /// How long an order recorded offline may be unknown upstream.
    pub(crate) provisional_for: Option<Duration>,
    /// How long a refund may be in doubt before a person is asked.
    pub(crate) review_after: Option<Duration>,
    /// When refunds that are not settled are asked about.
    pub(crate) probe_schedule: Option<Vec<Duration>>,
    /// After how long a silence a refund is sent again; never, unless set.
    pub(crate) resend_after_silence: Option<Duration>,
    /// Whether answers are kept as they came; no, unless set.
    pub(crate) keep_bodies: Option<bool>,
}

/// A gateway's own keys.
#[derive(Clone, Debug)]
pub(crate) enum Upstream {
    /// 付呗.
    Fubei {
        /// The merchant's id.
        app_id: String,
        /// What signs.
        secret: Secret,
        /// Result codes that mean "not executed" beyond doubt, by the user's own word.
        declined_codes: Vec<String>,
        /// Result codes that mean "wrong signature or app_id", by the user's own word.
        credential_codes: Vec<String>,
    },
    /// The XxPay family.
    TradeOrder {
        /// The JWT.
        token: Secret,
    },
    /// 知晓云.
    Hydrogen {
        /// The application's client id.
        client_id: String,
        /// A mini-program user's token.
        token: Secret,
        /// The cloud function's name.
        refund_function: String,
        /// The key of its mac.
        function_secret: Secret,
        /// Where orders are listed.
        orders: OrdersBy,
    },
}

/// Where hydrogen's orders are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OrdersBy {
    /// By the cloud function: the whole app's.
    Function,
    /// By the user's token: that user's own.
    User,
}

impl Upstream {
    /// The gateway's word.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Upstream::Fubei { .. } => "fubei",
            Upstream::TradeOrder { .. } => "trade_order",
            Upstream::Hydrogen { .. } => "hydrogen",
        }
    }
}

impl Account {
    /// Reads one table below `[accounts]`.
    ///
    /// # Errors
    /// The first fault, with file, line and key.
    pub(crate) fn read(section: &Section<'_>) -> Result<Account, Failure> {
        let gateway = section
            .word("gateway", &["fubei", "hydrogen", "trade_order"])?
            .ok_or_else(|| section.fault("gateway", "is missing: \"fubei\", \"hydrogen\" or \"trade_order\""))?;
        let known: Vec<&str> = COMMON.iter().copied().chain(own_keys(gateway).iter().copied()).collect();
        let owners: Vec<(String, &[&str])> =
            OWN.iter().map(|(name, keys)| (format!("{name} accounts"), *keys)).collect();
        let elsewhere: Vec<(&str, &str)> =
            owners.iter().flat_map(|(owner, keys)| keys.iter().map(|key| (*key, owner.as_str()))).collect();
        section.renamed("rate_per_second", "is now `calls_per_minute`, and counts calls a minute")?;
        section.only(&known, &elsewhere)?;
        let upstream = match gateway {
            "fubei" => Upstream::Fubei {
                app_id: section.required_text("app_id")?,
                secret: section.required_secret("secret")?,
                declined_codes: section.texts("declined_codes")?.unwrap_or_default(),
                credential_codes: section.texts("credential_codes")?.unwrap_or_default(),
            },
            "trade_order" => Upstream::TradeOrder { token: section.required_secret("token")? },
            _ => hydrogen(section)?,
        };
        let account = Account {
            upstream,
            base_url: section.required_text("base_url")?,
            timeout: section.duration("timeout")?,
            connect_timeout: section.duration("connect_timeout")?,
            proxy: section.secret("proxy")?,
            calls_per_minute: small(section, "calls_per_minute", 1, 1_000_000)?,
            refund_window: section.duration("refund_window")?,
            refunds_per_order: small(section, "refunds_per_order", 1, 10_000)?,
            refund_interval: section.duration("refund_interval")?,
            sole_refunder: section.truth("sole_refunder")?,
            history: section.duration("history")?,
            hold_above: section.amount("hold_above")?,
            provisional_for: section.duration("provisional_for")?,
            review_after: section.duration("review_after")?,
            probe_schedule: schedule(section)?,
            resend_after_silence: section.duration_or_never("resend_after_silence")?,
            keep_bodies: section.truth("keep_bodies")?,
        };
        Ok(account)
    }
}

fn own_keys(gateway: &str) -> &'static [&'static str] {
    OWN.iter().find(|(name, _)| *name == gateway).map_or(&[], |(_, keys)| keys)
}

fn hydrogen(section: &Section<'_>) -> Result<Upstream, Failure> {
    let orders = match section.word("orders", &["function", "user"])? {
        Some("user") => OrdersBy::User,
        _ => OrdersBy::Function,
    };
    Ok(Upstream::Hydrogen {
        client_id: section.required_text("client_id")?,
        token: section.required_secret("token")?,
        refund_function: section.text("refund_function")?.unwrap_or_else(|| REFUND_FUNCTION.to_owned()),
        // Refunds go through the function whichever way orders are listed.
        function_secret: section.required_secret("function_secret")?,
        orders,
    })
}

fn small(section: &Section<'_>, key: &str, least: u64, most: u64) -> Result<Option<u32>, Failure> {
    Ok(section.number(key, least, most)?.and_then(|number| u32::try_from(number).ok()))
}

fn schedule(section: &Section<'_>) -> Result<Option<Vec<Duration>>, Failure> {
    match section.durations("probe_schedule")? {
        // One that never waits would ask without end.
        Some(steps) if steps.is_empty() || steps.iter().any(Duration::is_zero) => {
            Err(section.fault("probe_schedule", "must have at least one duration, each above zero"))
        }
        steps => Ok(steps),
    }
}
