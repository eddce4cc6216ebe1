//! Reads that ask once more after their credentials were refused and another secret was found.
//!
//! For reads alone: nothing under a refund repeats by itself.

use std::future::Future;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use crate::clients::call::RawAnswer;
use crate::clients::credential::CredentialSource;
use crate::gateway::{ReadError, ReadErrorKind};

/// Asks; where credentials are refused and reading `sources` again brings other secrets, asks once more.
pub(crate) async fn read<T, F>(sources: &[&Arc<dyn CredentialSource>], ask: impl Fn() -> F) -> Result<T, ReadError>
where
    F: Future<Output = Result<T, ReadError>>,
{
    let before = secrets(sources);
    match ask().await {
        Err(error) if error.kind == ReadErrorKind::Credentials => {
            renew(sources);
            // Compared with what was sent: another call may have read the file again meanwhile.
            if same(&before, &secrets(sources)) { Err(error) } else { ask().await }
        }
        asked => asked,
    }
}

/// Reads refused secrets again, for the next call.
pub(crate) fn renew(sources: &[&Arc<dyn CredentialSource>]) {
    for source in sources {
        if let Err(error) = source.renew() {
            tracing::warn!(%error, "credentials were refused and cannot be read again");
        }
    }
}

/// A word for a person whose clock is more than half a minute off the upstream's.
pub(crate) fn clock_warning(raw: &RawAnswer) -> Option<String> {
    let ahead = raw.received_at.duration_since(raw.date?).as_secs();
    let direction = if ahead > 0 { "ahead of" } else { "behind" };
    (ahead.abs() > 30).then(|| format!("this clock is {} s {direction} the upstream's", ahead.abs()))
}

fn secrets(sources: &[&Arc<dyn CredentialSource>]) -> Vec<Option<SecretString>> {
    sources.iter().map(|source| source.secret().ok()).collect()
}

fn same(before: &[Option<SecretString>], after: &[Option<SecretString>]) -> bool {
    let shown = |secret: &Option<SecretString>| secret.as_ref().map(|secret| secret.expose_secret().to_owned());
    before.iter().map(shown).eq(after.iter().map(shown))
}
