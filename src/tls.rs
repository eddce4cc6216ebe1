//! TLS with the ring provider, handed to our own connections alone: a process-wide provider would be the embedder's
//! choice taken away.

use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, Error, RootCertStore};
use rustls_platform_verifier::Verifier;

/// Trusts whom the machine's own trust store trusts.
pub(crate) fn trusting_the_machine() -> Result<ClientConfig, Error> {
    let provider = Arc::new(default_provider());
    let verifier = Verifier::new(Arc::clone(&provider))?;
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    // `dangerous` is the library's word for any verifier but its own, the platform's included.
    Ok(config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

/// Trusts nobody and needs no trust store on the machine: for those who want a configuration and shake no hands.
pub(crate) fn trusting_nobody() -> Result<ClientConfig, Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}
