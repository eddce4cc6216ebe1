//! One process owns a ledger: the lock, and who has it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::making;
use crate::storage::StorageError;

/// The lock on a ledger's directory; given back when dropped, also by a process that is killed.
pub(super) struct Owner {
    _file: File,
}

/// How often a taken lock is tried again.
const AGAIN: Duration = Duration::from_millis(20);

/// For how long it is tried in any case: a child that this process is just starting holds every lock of its parent until it
/// runs a program of its own, also one that its parent has given back.
const MOMENT: Duration = Duration::from_secs(1);

impl Owner {
    /// Takes the lock, waiting so long for another process to give it back, and no less than a second.
    ///
    /// # Errors
    /// [`StorageError::Locked`], which names the holder.
    pub(super) fn take(directory: &Path, wait: Duration) -> Result<Owner, StorageError> {
        let path = directory.join("LOCK");
        let failed = |doing, source| StorageError::Io { doing, path: path.clone(), source };
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = file.map_err(|e| failed("open", e))?;
        let (since, wait) = (Instant::now(), wait.max(MOMENT));
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if since.elapsed() < wait => std::thread::sleep(AGAIN),
                Err(TryLockError::WouldBlock) => {
                    return Err(StorageError::Locked { path: directory.to_owned(), holder: holder(file) });
                }
                Err(TryLockError::Error(e)) => return Err(failed("lock", e)),
            }
        }
        // The lock is what counts; a disk too full for these words must not keep the ledger shut.
        let words = format!("process {} since {}\n", std::process::id(), jiff::Timestamp::now());
        let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(words.as_bytes()));
        if let Err(error) = written {
            tracing::warn!(%error, "could not write who holds the lock");
        }
        Ok(Owner { _file: file })
    }
}

/// Who has the lock, as they wrote. (Windows lets nobody read a locked file.)
fn holder(mut file: File) -> String {
    let mut words = String::new();
    match file.read_to_string(&mut words) {
        Ok(_) if !words.trim().is_empty() => words.trim().to_owned(),
        _ => "another process".to_owned(),
    }
}

/// The directory a ledger lives in, made where it is missing.
pub(super) fn make_directory(directory: &Path) -> Result<PathBuf, StorageError> {
    making::refuse_unfinished(directory)?;
    let journal = directory.join("journal");
    let failed = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| StorageError::Io { doing, path, source }
    };
    std::fs::create_dir_all(&journal).map_err(failed("create", &journal))?;
    // Also where it is there already: who made it may have died before it was synced.
    super::os::sync_directory(directory).map_err(failed("sync", directory))?;
    if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        // Not ours: where it cannot be synced, the ledger's own directory may be gone after a power cut, as a whole.
        let _ = super::os::sync_directory(parent);
    }
    Ok(journal)
}
