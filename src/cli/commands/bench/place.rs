//! The directory that is made for measuring and removed afterwards. What lies beside it is never touched.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::cli::exit::Failure;

/// A new directory below the one that was named; gone when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
}

impl Place {
    /// Makes it, under a name that nobody else has.
    ///
    /// # Errors
    /// The directory is not there, is none, cannot be written or is full. Nothing was written.
    pub(super) fn make(directory: &Path) -> Result<Place, Failure> {
        let named = directory.display();
        let hint = "name a directory on the disk that the ledger is to live on";
        match fs::metadata(directory) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(Failure::new("io", format!("{named} is no directory; nothing was written")).hint(hint)),
            Err(error) => return Err(failed("look at", directory, &error).hint(hint)),
        }
        let path = directory.join(format!("tillbook-bench-{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir(&path).map_err(|error| failed("make a directory in", directory, &error).hint(hint))?;
        Ok(Place { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it with all that is in it.
    ///
    /// # Errors
    /// It could not be removed: named, so that a person can do it.
    pub(super) fn remove(self) -> Result<(), Failure> {
        let removed = fs::remove_dir_all(&self.path);
        removed.map_err(|error| {
            let left = failed("remove", &self.path, &error);
            left.hint("it holds nothing but what was made for measuring: delete it by hand")
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Removed already, unless something failed before: what cannot be removed then bears its purpose in its name.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A failure of the file system, in words.
pub(super) fn failed(doing: &str, path: &Path, error: &io::Error) -> Failure {
    let path = path.display();
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Failure::new("disk_full", format!("no space left to {doing} {path}; what was measured so far is discarded"))
        }
        _ => Failure::new("io", format!("cannot {doing} {path}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_gone_when_it_is_removed_and_when_it_is_dropped() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let made = |_| {
            let place = Place::make(directory.path()).expect("made");
            fs::write(place.path().join("floor"), b"something").expect("written");
            place
        };
        let [removed, dropped] = [0, 1].map(made);
        assert_ne!(removed.path(), dropped.path());
        removed.remove().expect("removed");
        drop(dropped);
        assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 0);
    }

    #[test]
    fn a_full_disk_has_a_kind_of_its_own() {
        let full = failed("append to", Path::new("floor"), &ErrorKind::StorageFull.into());
        assert_eq!(
            (full.kind(), full.to_string()),
            ("disk_full", "error: no space left to append to floor; what was measured so far is discarded".to_owned())
        );
        assert_eq!(failed("append to", Path::new("floor"), &ErrorKind::PermissionDenied.into()).kind(), "io");
    }
}
