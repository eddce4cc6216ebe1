//! A secret of the configuration: where it is, never what it is.

use std::fmt;
use std::path::PathBuf;

use secrecy::SecretString;

/// Where a secret comes from: `{ env = ".." }`, `{ file = ".." }` or the text itself.
///
/// `Debug` shows the variable or the file, never a secret.
#[derive(Clone)]
pub(crate) enum Secret {
    /// An environment variable.
    Env(String),
    /// A file, read again after the upstream refused the secret.
    File(PathBuf),
    /// In the configuration itself.
    Text(SecretString),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Env(name) => write!(f, "Env({name:?})"),
            Secret::File(path) => write!(f, "File({path:?})"),
            Secret::Text(_) => f.write_str("Text([redacted])"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_where_a_secret_is_and_never_the_secret() {
        let secrets = [
            Secret::Env("FUBEI_SECRET".to_owned()),
            Secret::File(PathBuf::from("keys/fubei")),
            Secret::Text(SecretString::from("0123456789abcdef")),
        ];
        assert_eq!(format!("{secrets:?}"), "[Env(\"FUBEI_SECRET\"), File(\"keys/fubei\"), Text([redacted])]");
    }
}
