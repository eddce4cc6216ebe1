//! The file `INSTANCE` in a ledger's directory: which ledger this is, and where it lies.
//!
//! Two copies of a ledger hold the same queue, and would both send it. The file says what the system tells
//! about *this very file* (its inode and time of birth) and about the machine; in a copy, and in a directory
//! restored from a backup, that is not so. `mv` within a file system keeps both. The file is written anew at
//! every owning open and every close, so that an older copy that is written over the files in place is found
//! out too. Its id stands in the journal as well: a file that is gone, or that belongs to another copy, is
//! found out by that.
//!
//! What it cannot see: a snapshot of a whole machine, disk or file system (btrfs, ZFS) that is used again under
//! the same machine id; a copy written over the files in place that was taken since the last open, after a crash; and where the
//! system tells nothing about files (Windows), any copy on the same machine. Deleting the file puts the
//! ledger in quarantine by hand. Where inodes do not outlive a mount (FAT, some network file systems) or the
//! machine's id does not outlive a boot, every open looks like a copy: a ledger cannot live there.
//!
//! A ledger made by a version that knew no such file gets one at its next owning open: that open is no less
//! safe than it was before, and from then on copies are told.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::os;
use crate::domain::Timestamp;
use crate::storage::Quarantine;

/// The newest format that this version reads, and the one it writes.
const FORMAT: u32 = 1;

const NAME: &str = "INSTANCE";

/// More than this is not a file of ours.
const MOST_BYTES: u64 = 64 * 1024;

/// What the file holds, as JSON. Read for ever; new fields are optional.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    format: u32,
    instance: String,
    written_at: Timestamp,
    place: Place,
}

/// Where a file lies, as far as the system tells.
#[derive(Debug, Serialize, Deserialize)]
struct Place {
    inode: Option<u64>,
    /// When the file was made: inodes are used again.
    born: Option<Timestamp>,
    /// A hash of the machine's id: a disk can be copied with its inodes.
    machine: Option<String>,
}

impl Place {
    fn of(file: &File) -> io::Result<Place> {
        let (inode, born) = os::birth(file)?;
        Ok(Place { inode, born: born.map(Timestamp::from), machine: os::machine() })
    }

    /// What speaks against both being one place. What either of them does not know says nothing.
    fn differs(&self, now: &Place) -> Option<&'static str> {
        fn both<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
            one.zip(other).is_some_and(|(one, other)| one != other)
        }
        if both(self.machine.as_ref(), now.machine.as_ref()) {
            Some("this is another machine")
        } else if both(self.inode.as_ref(), now.inode.as_ref()) || both(self.born.as_ref(), now.born.as_ref()) {
            Some("this is another file than the one it was")
        } else {
            None
        }
    }
}

/// How a ledger's directory stands to the ledger in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is where it was.
    Here(Instance),
    /// It was never said where it is: new, or made by a version that did not say.
    Unsaid,
    /// It may be a copy.
    Quarantined(Quarantine),
}

/// A ledger in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Instance {
    pub(super) directory: PathBuf,
    pub(super) id: String,
}

impl Instance {
    /// A new one, not written yet.
    pub(super) fn new(directory: &Path) -> Instance {
        Instance { directory: directory.to_owned(), id: uuid::Uuid::new_v4().to_string() }
    }

    /// Writes the file anew for the place where it lies; durable before `Ok`. A crash leaves the old file.
    pub(super) fn claim(&self) -> io::Result<()> {
        let (new, path) = (self.directory.join("INSTANCE.new"), self.directory.join(NAME));
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {} // nothing there, or left by a crash
        }
        let mut file = OpenOptions::new().write(true).create_new(true).open(&new)?;
        // The place of the new file: renaming keeps it.
        let place = Place::of(&file)?;
        let written_at = jiff::Timestamp::now().into();
        let written = Written { format: FORMAT, instance: self.id.clone(), written_at, place };
        file.write_all(&serde_json::to_vec(&written)?)?;
        file.sync_all()?;
        std::fs::rename(&new, &path)?;
        os::sync_directory(&self.directory)
    }

    /// The same where the ledger goes on without: the file that is there stays true of this place.
    pub(super) fn renew(&self) {
        if let Err(error) = self.claim() {
            tracing::warn!(%error, directory = %self.directory.display(), "could not write where the ledger lies");
        }
    }
}

/// Compares what the file says with where it lies, and with the id that the journal knows. Writes nothing.
pub(super) fn examine(directory: &Path, known: Option<&str>) -> Standing {
    let quarantined = |why: String| Standing::Quarantined(Quarantine { path: directory.to_owned(), why });
    let (written, here) = match read(&directory.join(NAME)) {
        Ok(read) => read,
        Err(error) if error.kind() == io::ErrorKind::NotFound => match known {
            None => return Standing::Unsaid,
            Some(_) => return quarantined(format!("its file {NAME} is missing")),
        },
        Err(error) => return quarantined(format!("its file {NAME} cannot be read: {error}")),
    };
    let Written { format, instance, written_at, place } = written;
    if format != FORMAT {
        return quarantined(format!("its file {NAME} has format {format}, and this version knows {FORMAT}"));
    }
    if let Some(differs) = place.differs(&here) {
        return quarantined(format!("its file {NAME} was written at {written_at} for another place: {differs}"));
    }
    if known.is_some_and(|known| known != instance) {
        return quarantined(format!("its file {NAME}, of {written_at}, belongs to another copy of the ledger"));
    }
    Standing::Here(Instance { directory: directory.to_owned(), id: instance })
}

/// What the file says, and where it lies: both of one open file, for its owner may be replacing it.
fn read(path: &Path) -> io::Result<(Written, Place)> {
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    (&file).take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok((serde_json::from_slice(&bytes)?, Place::of(&file)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(inode: u64, born: Option<i64>, machine: Option<&str>) -> Place {
        let born = born.map(|born| Timestamp::from_unix_seconds(born).expect("in range"));
        Place { inode: Some(inode), born, machine: machine.map(str::to_owned) }
    }

    #[test]
    fn a_place_differs_by_what_both_know() {
        let here = place(7, Some(100), Some("m"));
        let file = Some("this is another file than the one it was");
        assert_eq!(here.differs(&place(7, Some(100), Some("m"))), None);
        assert_eq!(here.differs(&place(7, None, None)), None);
        assert_eq!(here.differs(&place(8, Some(100), Some("m"))), file);
        assert_eq!(here.differs(&place(7, Some(101), Some("m"))), file);
        assert_eq!(here.differs(&place(7, Some(100), Some("n"))), Some("this is another machine"));
    }

    #[test]
    fn a_claimed_place_is_read_back_as_here_and_a_directory_without_the_file_as_unsaid() {
        let directory = tempfile::tempdir().expect("a directory");
        assert_eq!(examine(directory.path(), None), Standing::Unsaid);
        let instance = Instance::new(directory.path());
        instance.claim().expect("written");
        assert_eq!(examine(directory.path(), None), Standing::Here(instance.clone()));
        instance.claim().expect("written again");
        assert_eq!(examine(directory.path(), Some(&instance.id)), Standing::Here(instance.clone()));
        assert!(!directory.path().join("INSTANCE.new").exists());
    }

    #[test]
    fn whatever_is_not_a_file_of_ours_is_quarantined() {
        let directory = tempfile::tempdir().expect("a directory");
        Instance::new(directory.path()).claim().expect("written");
        let good = std::fs::read_to_string(directory.path().join(NAME)).expect("readable");
        let newer = good.replace("\"format\":1", "\"format\":2");
        for bad in ["", "{}", "null", "garbage", &good[..good.len() - 1], &newer] {
            // In place, so that only the words speak against it.
            std::fs::write(directory.path().join(NAME), bad).expect("written");
            let standing = examine(directory.path(), None);
            assert!(matches!(standing, Standing::Quarantined(_)), "{bad:?}: {standing:?}");
        }
        std::fs::write(directory.path().join(NAME), good).expect("written");
        assert!(matches!(examine(directory.path(), None), Standing::Here(_)));
        assert!(matches!(examine(directory.path(), Some("other")), Standing::Quarantined(_)));
    }
}
