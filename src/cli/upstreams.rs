//! From an account of the configuration to a gateway.

use std::sync::Arc;

use secrecy::ExposeSecret;
use tillbook::AccountName;
use tillbook::clients::credential::{CredentialSource, FileSecret, StaticSecret, VariableSecret};
use tillbook::clients::fubei::{FubeiGateway, FubeiSettings};
use tillbook::clients::http::{HttpError, HttpSettings};
use tillbook::clients::hydrogen::{HydrogenGateway, HydrogenSettings, OrdersFrom};
use tillbook::clients::trade_order::{TradeOrderGateway, TradeOrderSettings};
use tillbook::gateway::Gateway;

use super::config::{Account, OrdersBy, Secret, Upstream};
use super::exit::Failure;

/// The gateway of an account; nothing is connected to.
///
/// # Errors
/// What is wrong with the account's settings, named by account and key; a secret that is not there.
pub(crate) fn gateway(name: &AccountName, account: &Account) -> Result<Arc<dyn Gateway>, Failure> {
    let http = http(name, account)?;
    let wrong = |error: HttpError| wrong(name, &error.to_string());
    match &account.upstream {
        Upstream::Fubei { app_id, secret, declined_codes, credential_codes } => {
            let mut settings = FubeiSettings::new(http, app_id.clone(), source(secret));
            settings.declined_codes.clone_from(declined_codes);
            settings.credential_codes.clone_from(credential_codes);
            Ok(Arc::new(FubeiGateway::new(settings).map_err(wrong)?))
        }
        Upstream::TradeOrder { token } => {
            let settings = TradeOrderSettings::new(http, source(token));
            Ok(Arc::new(TradeOrderGateway::new(settings).map_err(wrong)?))
        }
        Upstream::Hydrogen { client_id, token, refund_function, function_secret, orders } => {
            let mut settings = HydrogenSettings::new(http, client_id.clone(), source(token), source(function_secret));
            settings.refund_function.clone_from(refund_function);
            settings.orders = match orders {
                OrdersBy::Function => OrdersFrom::Function,
                OrdersBy::User => OrdersFrom::User,
            };
            Ok(Arc::new(HydrogenGateway::new(settings).map_err(wrong)?))
        }
    }
}

fn http(name: &AccountName, account: &Account) -> Result<HttpSettings, Failure> {
    let mut http = HttpSettings::new(account.base_url.clone());
    if let Some(timeout) = account.timeout {
        http.timeout = timeout;
    }
    // Below the total, so that a timeout while connecting is known as such: nothing was sent then.
    http.connect_timeout = account.connect_timeout.unwrap_or_else(|| http.connect_timeout.min(http.timeout / 2));
    if let Some(proxy) = &account.proxy {
        let proxy = source(proxy).secret().map_err(|error| wrong(name, &format!("`proxy`: {error}")))?;
        http.proxy = Some(proxy);
    }
    Ok(http)
}

/// Where the secret comes from at each call. One that is not there yet does not keep refunds from being queued.
fn source(secret: &Secret) -> Arc<dyn CredentialSource> {
    match secret {
        Secret::Env(variable) => Arc::new(VariableSecret::new(variable)),
        Secret::File(path) => Arc::new(FileSecret::new(path)),
        Secret::Text(text) => Arc::new(StaticSecret::new(text.expose_secret())),
    }
}

fn wrong(name: &AccountName, what: &str) -> Failure {
    Failure::new("config", format!("account {name}: {what}")).fact("account", name.as_str())
}
