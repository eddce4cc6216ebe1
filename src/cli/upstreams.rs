//! From an account of the configuration to a gateway.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tillbook::AccountName;
use tillbook::clients::credential::{CredentialSource, FileSecret, StaticSecret, VariableSecret};
use tillbook::clients::fubei::{FubeiGateway, FubeiSettings};
use tillbook::clients::http::{HttpError, HttpSettings};
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
            let mut settings = FubeiSettings::new(http, app_id.clone(), source(name, "secret", secret)?);
            settings.declined_codes.clone_from(declined_codes);
            settings.credential_codes.clone_from(credential_codes);
            Ok(Arc::new(FubeiGateway::new(settings).map_err(wrong)?))
        }
        _ => todo!(),
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
        let source = source(name, "proxy", proxy)?;
        let proxy = source.secret().map_err(|error| wrong(name, &format!("`proxy`: {error}")))?;
        http.proxy = Some(proxy);
    }
    Ok(http)
}

/// Where the secret comes from at each call. One that is not there now is refused at once, by the name of its place.
fn source(name: &AccountName, key: &str, secret: &Secret) -> Result<Arc<dyn CredentialSource>, Failure> {
    let source: Arc<dyn CredentialSource> = match secret {
        Secret::Env(variable) => Arc::new(VariableSecret::new(variable)),
        Secret::File(path) => Arc::new(FileSecret::new(path)),
        Secret::Text(text) => Arc::new(StaticSecret::new(text.expose_secret())),
    };
    Ok(source)
}

fn wrong(name: &AccountName, what: &str) -> Failure {
    Failure::new("config", format!("account {name}: {what}")).fact("account", name.as_str())
}
