//! The one HTTP client under all adapters.
//!
//! What it leaves out matters most: no redirects (a connect error behind one would hide that the first host acted), no
//! retries, no idle connections (a stale one fails after sending), no proxy from the environment. So one call is at most one
//! request, and a connect error proves that none was sent.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use super::route::Route;
use crate::domain::Timestamp;

/// How to reach an upstream.
#[derive(Clone)]
pub struct HttpSettings {
    /// Scheme, host and port, with a path stem if there is one; without a slash at the end.
    pub base_url: String,
    /// Total time for one call, connecting included.
    pub timeout: Duration,
    /// Time to connect; below `timeout`, so that a timeout while connecting is known as such.
    pub connect_timeout: Duration,
    /// A proxy's URL; the environment's proxies are not used.
    pub proxy: Option<SecretString>,
    /// The largest answer read.
    pub body_limit_bytes: usize,
    /// For simulations: what carries requests instead of sockets.
    #[doc(hidden)]
    pub route: Option<Arc<dyn Route>>,
}

impl HttpSettings {
    /// Settings for `base_url`: 30 s in total, 10 s to connect, no proxy, answers up to 16 MiB.
    pub fn new(base_url: impl Into<String>) -> Self {
        HttpSettings {
            base_url: base_url.into(),
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            proxy: None,
            body_limit_bytes: 16 << 20,
            route: None,
        }
    }

    /// The adapters read the clock for one purpose: to say when something was asked and answered.
    pub(crate) fn now(&self) -> Timestamp {
        self.route.as_ref().map_or_else(|| jiff::Timestamp::now().into(), |route| route.now())
    }
}

/// A base URL may carry a password and a proxy's does: only the host is shown.
impl fmt::Debug for HttpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = reqwest::Url::parse(&self.base_url).ok().and_then(|url| url.host_str().map(str::to_owned));
        f.debug_struct("HttpSettings")
            .field("host", &host)
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("proxy", &self.proxy.is_some())
            .field("body_limit_bytes", &self.body_limit_bytes)
            .finish()
    }
}

/// Why no client can be made from settings.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The base URL is none.
    #[error("`base_url` is not an http or https URL with a host")]
    BaseUrl,
    /// `https` without the crate feature that brings TLS.
    #[error("`base_url` is https, but this build has no TLS: switch on the feature `rustls` of tillbook")]
    NoTls,
    /// Zero, or a connect timeout that is not below the total.
    #[error("`connect_timeout` ({connect_timeout:?}) must be above zero and below `timeout` ({timeout:?})")]
    Timeouts {
        /// The connect timeout asked for.
        connect_timeout: Duration,
        /// The total timeout asked for.
        timeout: Duration,
    },
    /// The proxy's URL is none.
    #[error("the proxy's URL cannot be used")]
    Proxy,
    /// The machine's trust store or the TLS settings could not be loaded.
    #[error("TLS could not be set up: {0}")]
    Tls(String),
    /// Anything else.
    #[error("the HTTP client could not be built: {0}")]
    Client(String),
}

/// Builds the client.
///
/// # Errors
/// What is wrong with the settings; nothing is connected to here.
pub(crate) fn client(settings: &HttpSettings) -> Result<reqwest::Client, HttpError> {
    let url = reqwest::Url::parse(&settings.base_url).map_err(|_| HttpError::BaseUrl)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(HttpError::BaseUrl);
    }
    if settings.connect_timeout.is_zero() || settings.connect_timeout >= settings.timeout {
        return Err(HttpError::Timeouts { connect_timeout: settings.connect_timeout, timeout: settings.timeout });
    }
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("tillbook/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .pool_max_idle_per_host(0)
        .http1_only()
        .referer(false)
        .no_proxy()
        .timeout(settings.timeout)
        .connect_timeout(settings.connect_timeout);
    if let Some(proxy) = &settings.proxy {
        builder = builder.proxy(reqwest::Proxy::all(proxy.expose_secret()).map_err(|_| HttpError::Proxy)?);
    }
    builder = with_tls(builder, url.scheme() == "https")?;
    builder.build().map_err(|error| HttpError::Client(super::failure::transport_text(error)))
}

#[cfg(feature = "rustls")]
fn with_tls(builder: reqwest::ClientBuilder, is_https: bool) -> Result<reqwest::ClientBuilder, HttpError> {
    // Plain http never shakes hands, but reqwest panics at building without a configuration.
    let config = if is_https { crate::tls::trusting_the_machine() } else { crate::tls::trusting_nobody() };
    Ok(builder.tls_backend_preconfigured(config.map_err(|error| HttpError::Tls(error.to_string()))?))
}

#[cfg(not(feature = "rustls"))]
fn with_tls(builder: reqwest::ClientBuilder, is_https: bool) -> Result<reqwest::ClientBuilder, HttpError> {
    if is_https { Err(HttpError::NoTls) } else { Ok(builder) }
}

/// `base_url` without a slash at its end: the generated code joins paths with one.
pub(crate) fn base(settings: &HttpSettings) -> String {
    settings.base_url.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(change: impl FnOnce(&mut HttpSettings)) -> Option<String> {
        let mut settings = HttpSettings::new("http://127.0.0.1:8100");
        change(&mut settings);
        client(&settings).err().map(|error| error.to_string())
    }

    #[test]
    fn settings_that_would_blur_what_was_sent_are_refused() {
        assert_eq!(error(|_| {}), None);
        let timeouts = "`connect_timeout` (30s) must be above zero and below `timeout` (30s)";
        assert_eq!(error(|s| s.connect_timeout = s.timeout).as_deref(), Some(timeouts));
        for url in ["", "127.0.0.1:8100", "ftp://127.0.0.1", "file:///etc/passwd"] {
            let message = "`base_url` is not an http or https URL with a host";
            assert_eq!(error(|s| s.base_url = url.to_owned()).as_deref(), Some(message), "{url}");
        }
    }

    #[test]
    fn https_needs_the_feature() {
        let refused = error(|s| s.base_url = "https://127.0.0.1:8100".to_owned());
        let message = "`base_url` is https, but this build has no TLS: switch on the feature `rustls` of tillbook";
        assert_eq!(refused.as_deref(), if cfg!(feature = "rustls") { None } else { Some(message) });
    }

    #[test]
    fn no_debug_text_holds_a_password() {
        let mut settings = HttpSettings::new("http://shop:hunter2@127.0.0.1:8100/stem");
        settings.proxy = Some(SecretString::from("http://shop:hunter2@10.0.0.1"));
        let shown = format!("{settings:?}");
        assert!(!shown.contains("hunter2") && shown.contains("127.0.0.1"), "{shown}");
    }
}
