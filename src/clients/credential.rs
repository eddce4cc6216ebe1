//! Where secrets come from.
//!
//! A secret is asked for at each call, so that it can change while the program runs; after the upstream refused it, the
//! source is told and may read it again. Secrets sit in [`SecretString`], and no text here ever holds one.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use secrecy::ExposeSecret;
pub use secrecy::SecretString;
use thiserror::Error;

/// Gives one secret of one account.
///
/// Both calls happen while a request is being made: they may read a small file, but must not wait for the network.
pub trait CredentialSource: fmt::Debug + Send + Sync {
    /// The secret as it is known now.
    ///
    /// # Errors
    /// Why there is none; the call is not sent then.
    fn secret(&self) -> Result<SecretString, CredentialError>;

    /// Called after the upstream refused the secret: reads it again where that can help, and says whether it is
    /// another one now.
    ///
    /// # Errors
    /// Why it cannot be read; the secret known before stays.
    fn renew(&self) -> Result<bool, CredentialError> {
        Ok(false)
    }
}

/// Why a source gives no secret. Never holds the secret.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The file cannot be read.
    #[error("the secret's file {} cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file holds nothing.
    #[error("the secret's file {} is empty", path.display())]
    EmptyFile {
        /// The file.
        path: PathBuf,
    },
    /// The environment variable is not set, or is empty, or is not text.
    #[error("the environment variable {name} holds no secret")]
    Variable {
        /// Its name.
        name: String,
    },
    /// A source of the embedder's own says why.
    #[error("{0}")]
    Other(String),
}

/// A secret given once.
#[derive(Clone, Debug)]
pub struct StaticSecret(SecretString);

impl StaticSecret {
    /// The secret `secret`.
    pub fn new(secret: impl Into<String>) -> Self {
        StaticSecret(SecretString::from(secret.into()))
    }
}

impl CredentialSource for StaticSecret {
    fn secret(&self) -> Result<SecretString, CredentialError> {
        Ok(self.0.clone())
    }
}

/// A secret in an environment variable, read at each call.
#[derive(Clone, Debug)]
pub struct VariableSecret {
    name: String,
}

impl VariableSecret {
    /// The variable `name`.
    pub fn new(name: impl Into<String>) -> Self {
        VariableSecret { name: name.into() }
    }
}

impl CredentialSource for VariableSecret {
    fn secret(&self) -> Result<SecretString, CredentialError> {
        match std::env::var(&self.name) {
            Ok(secret) if !secret.is_empty() => Ok(SecretString::from(secret)),
            _ => Err(CredentialError::Variable { name: self.name.clone() }),
        }
    }
}

/// A secret in a file; read once, and again after the upstream refused it. Line ends at its end are left out.
#[derive(Debug)]
pub struct FileSecret {
    path: PathBuf,
    known: RwLock<Option<SecretString>>,
}

impl FileSecret {
    /// The file `path`; it is first read when first needed.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        FileSecret { path: path.into(), known: RwLock::new(None) }
    }

    fn read(&self) -> Result<SecretString, CredentialError> {
        let text = fs::read_to_string(&self.path)
            .map_err(|source| CredentialError::File { path: self.path.clone(), source })?;
        let secret = text.trim_end_matches(['\r', '\n']);
        if secret.is_empty() {
            return Err(CredentialError::EmptyFile { path: self.path.clone() });
        }
        let secret = SecretString::from(secret);
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(secret.clone());
        Ok(secret)
    }
}

impl CredentialSource for FileSecret {
    fn secret(&self) -> Result<SecretString, CredentialError> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(secret) => Ok(secret),
            None => self.read(),
        }
    }

    fn renew(&self) -> Result<bool, CredentialError> {
        let before = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        let now = self.read()?;
        Ok(before.is_none_or(|before| before.expose_secret() != now.expose_secret()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &dyn CredentialSource) -> Result<String, String> {
        source.secret().map(|secret| secret.expose_secret().to_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_is_read_again_only_after_a_refusal() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("secret");
        let source = FileSecret::new(&path);
        assert_eq!(text(&source), Err(format!("the secret's file {} cannot be read", path.display())));
        fs::write(&path, "first\n").expect("written");
        assert_eq!(text(&source), Ok("first".to_owned()));
        fs::write(&path, "second\r\n").expect("written");
        assert_eq!(text(&source), Ok("first".to_owned()));
        assert!(source.renew().expect("read"), "another secret");
        assert!(!source.renew().expect("read"), "the same secret");
        assert_eq!(text(&source), Ok("second".to_owned()));
        fs::write(&path, "\n").expect("written");
        assert_eq!(
            source.renew().map_err(|e| e.to_string()),
            Err(format!("the secret's file {} is empty", path.display()))
        );
        assert_eq!(text(&source), Ok("second".to_owned()), "the known one stays");
    }

    #[test]
    fn no_debug_text_holds_the_secret() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("secret");
        fs::write(&path, "hunter2").expect("written");
        let file = FileSecret::new(&path);
        assert_eq!(text(&file), Ok("hunter2".to_owned()));
        let shown = format!("{file:?} {:?}", StaticSecret::new("hunter2"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let source = VariableSecret::new("TILLBOOK_TEST_NO_SUCH_VARIABLE");
        let message = "the environment variable TILLBOOK_TEST_NO_SUCH_VARIABLE holds no secret";
        assert_eq!(text(&source), Err(message.to_owned()));
    }
}
