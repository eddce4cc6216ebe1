//! A directory that becomes a ledger all at once, or not at all: what backups and imports are written into.
//!
//! Its journal has another name until it is whole, and every open refuses a directory that has one of that name. The
//! rename is the one step that makes it a ledger. What it came from stands in its file `ORIGIN`, and keeps it in
//! quarantine until it was adopted where it lies.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::os;
use crate::domain::Timestamp;
use crate::storage::StorageError;

const JOURNAL: &str = "journal";
const UNFINISHED: &str = "journal.unfinished";
const ORIGIN: &str = "ORIGIN";

/// The newest format of `ORIGIN` that this version writes; what it reads of a newer one is no less true.
const FORMAT: u32 = 1;

/// What the file `ORIGIN` holds, as JSON. Read for ever; new fields are optional.
#[derive(Debug, Serialize, Deserialize)]
struct Origin {
    format: u32,
    /// What it was made by: "backup", "import".
    made_by: String,
    at: Timestamp,
    events: u64,
}

/// How a ledger came to lie in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MadeBy {
    Backup,
    Import,
}

/// A directory under construction. Dropped before it is finished, it takes away what it made.
pub(super) struct Making {
    directory: PathBuf,
    /// The directories that were not there before, the deepest first.
    made: Vec<PathBuf>,
}

impl Making {
    /// Begins in a new or an empty directory.
    ///
    /// # Errors
    /// [`StorageError::NotEmpty`], [`StorageError::Unfinished`], IO.
    pub(super) fn begin(directory: &Path) -> Result<Making, StorageError> {
        refuse_unfinished(directory)?;
        let create = failed("create", directory);
        match fs::read_dir(directory).map(|mut entries| entries.next().is_some()) {
            Ok(false) => {}
            Ok(true) => return Err(StorageError::NotEmpty { path: directory.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(create(error)),
        }
        let is_new = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
        let made = directory.ancestors().take_while(is_new).map(Path::to_owned).collect();
        fs::create_dir_all(directory).and_then(|()| fs::create_dir(directory.join(UNFINISHED))).map_err(create)?;
        let making = Making { directory: directory.to_owned(), made };
        // On disk before anything else: a directory that a crash leaves empty would open as a new ledger.
        making.sync_up().map_err(failed("sync", directory))?;
        Ok(making)
    }

    /// Where its journal's segments are to be written.
    pub(super) fn journal(&self) -> PathBuf {
        self.directory.join(UNFINISHED)
    }

    /// Makes it a ledger, whose segments are written and synced. Durable before `Ok`.
    pub(super) fn finish(self, made_by: MadeBy, events: u64) -> Result<(), StorageError> {
        let made_by = match made_by {
            MadeBy::Backup => "backup",
            MadeBy::Import => "import",
        };
        let origin = Origin { format: FORMAT, made_by: made_by.to_owned(), at: jiff::Timestamp::now().into(), events };
        self.settle(&origin).map_err(failed("finish", &self.directory))
    }

    fn settle(&self, origin: &Origin) -> io::Result<()> {
        let mut file = File::create_new(self.directory.join(ORIGIN))?;
        file.write_all(&serde_json::to_vec(origin)?)?;
        file.sync_all()?;
        os::sync_directory(&self.journal())?;
        os::sync_directory(&self.directory)?;
        fs::rename(self.journal(), self.directory.join(JOURNAL))?;
        os::sync_directory(&self.directory)
    }

    /// Makes the directory's entries durable, and its own entry above.
    fn sync_up(&self) -> io::Result<()> {
        os::sync_directory(&self.directory)?;
        for parent in self.made.iter().filter_map(|made| made.parent()) {
            os::sync_directory(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?;
        }
        Ok(())
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        // A journal that has its name is whole, also where the last sync failed and nobody is told that it succeeded.
        if !self.journal().exists() {
            return;
        }
        // The journal last: what cannot be taken away is recognised by it.
        let _ = fs::remove_file(self.directory.join(ORIGIN));
        let _ = fs::remove_dir_all(self.journal());
        for made in &self.made {
            let _ = fs::remove_dir(made);
        }
    }
}

/// # Errors
/// [`StorageError::Unfinished`] for a directory in which a backup or an import was cut off.
pub(super) fn refuse_unfinished(directory: &Path) -> Result<(), StorageError> {
    match directory.join(UNFINISHED).exists() {
        true => Err(StorageError::Unfinished { path: directory.to_owned() }),
        false => Ok(()),
    }
}

/// The directory of a ledger's journal.
///
/// # Errors
/// [`StorageError::Unfinished`], [`StorageError::NoLedger`].
pub(super) fn journal_of(directory: &Path) -> Result<PathBuf, StorageError> {
    refuse_unfinished(directory)?;
    let journal = directory.join(JOURNAL);
    if journal.is_dir() { Ok(journal) } else { Err(StorageError::NoLedger { path: directory.to_owned() }) }
}

/// What a ledger came from that was never adopted, in words; `None`: nothing says so.
pub(super) fn origin(directory: &Path) -> Option<String> {
    let read = match fs::read(directory.join(ORIGIN)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        read => read,
    };
    let read = read.and_then(|bytes| Ok(serde_json::from_slice::<Origin>(&bytes)?));
    Some(match read {
        Ok(Origin { made_by, at, .. }) => {
            format!("it was made by {made_by} at {at}, and no file INSTANCE says that it was adopted here")
        }
        Err(error) => format!("its file {ORIGIN} cannot be read: {error}"),
    })
}

/// Wraps a failure with what was attempted.
pub(super) fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> StorageError + use<> {
    let path = path.to_owned();
    move |source| match os::is_full(&source) {
        true => StorageError::DiskFull { path: path.clone() },
        false => StorageError::Io { doing, path: path.clone(), source },
    }
}
