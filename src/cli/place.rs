//! Where a ledger lies: in a directory of this machine's, or on a server.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a ledger lies. Shown without the password that an address may hold.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Directory(PathBuf),
    /// `postgres://user:password@host:port/database`
    Server(String),
}

impl Place {
    /// What a person wrote; a directory is relative to `base`.
    pub(crate) fn read(text: &str, base: &Path) -> Place {
        match text.starts_with("postgres://") || text.starts_with("postgresql://") {
            true => Place::Server(text.to_owned()),
            false => Place::Directory(base.join(text)),
        }
    }

    /// As the library takes it.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Place::Directory(directory) => directory,
            Place::Server(address) => Path::new(address),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = match self {
            Place::Directory(directory) => return write!(f, "{}", directory.display()),
            Place::Server(address) => address,
        };
        let (scheme, rest) = address.split_once("://").unwrap_or(("postgres", address));
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) => (user.split(':').next().unwrap_or_default(), rest),
            None => ("", rest),
        };
        // What follows may name a password too.
        let rest = rest.split('?').next().unwrap_or_default();
        let at = if user.is_empty() { "" } else { "@" };
        write!(f, "{scheme}://{user}{at}{rest}")
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password_wherever_that_stands() {
        for (written, shown) in [
            ("postgres://till:s3cret@db.shop/ledger", "postgres://till@db.shop/ledger"),
            ("postgresql://till:s3@cret@db.shop:5433/ledger?sslmode=disable", "postgresql://till@db.shop:5433/ledger"),
            ("postgres://db.shop/ledger?user=till&password=s3cret", "postgres://db.shop/ledger"),
            ("postgres://till@%2Ftmp%2Fsocket/ledger", "postgres://till@%2Ftmp%2Fsocket/ledger"),
        ] {
            let place = Place::read(written, Path::new("/etc"));
            assert_eq!(format!("{place}"), shown);
            assert_eq!(format!("{place:?}"), format!("Place({shown})"));
            assert_eq!(place.path(), Path::new(written));
        }
    }

    #[test]
    fn a_directory_is_relative_to_the_file_that_names_it() {
        let read = |text| Place::read(text, Path::new("etc"));
        assert_eq!(read("books"), Place::Directory("etc/books".into()));
        assert_eq!(read("/srv/books").to_string(), "/srv/books");
        assert_eq!(read("postgres"), Place::Directory("etc/postgres".into()));
    }
}
