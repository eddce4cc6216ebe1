//! The files under the journal, behind a trait so small that a test can write its own faults.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::os;

/// Where the journal's segments are kept.
///
/// The default is a directory ([`Directory`]); tests put disks in its place that fail, tear or forget
/// what no sync covered.
pub trait Disk: Send + Sync + 'static {
    /// The names of all files.
    ///
    /// # Errors
    /// The directory cannot be read.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens a file.
    ///
    /// # Errors
    /// It is not there (unless `access` makes it), or may not be opened.
    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn SegmentFile>>;

    /// Makes the list of files durable.
    ///
    /// # Errors
    /// After one, nothing is known about what a power cut leaves.
    fn sync_list(&self) -> io::Result<()>;
}

/// One file of the journal.
pub trait SegmentFile: Send + Sync {
    /// How many bytes it has.
    ///
    /// # Errors
    /// The file system fails.
    fn length(&self) -> io::Result<u64>;

    /// Reads at a position; fewer bytes than asked only at the end of the file.
    ///
    /// # Errors
    /// The file system fails.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Says what is read next, so that the system may fetch it meanwhile. Nothing depends on it.
    fn announce(&self, offset: u64, length: u64) {
        let _ = (offset, length);
    }

    /// Writes all bytes at a position.
    ///
    /// # Errors
    /// After one, any part of the bytes may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the file at least so long, with zeros, and takes the space for it.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`] where there is none; the file is as it was then.
    fn allocate(&self, length: u64) -> io::Result<()>;

    /// Cuts the file to a length.
    ///
    /// # Errors
    /// The file system fails.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Makes what was written durable, the length included.
    ///
    /// # Errors
    /// After one, what was written since the last success is lost or not: another sync proves nothing.
    fn sync(&self) -> io::Result<()>;
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading; it must be there.
    Read,
    /// Reading and writing; it must be there.
    Write,
    /// Reading and writing; it is made where it is not there.
    Create,
}

/// A directory of a file system.
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The directory at `path`, which must exist before files are made in it.
    #[must_use]
    pub fn new(path: &Path) -> Directory {
        Directory { path: path.to_owned() }
    }
}

impl Disk for Directory {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            // A name that is not Unicode is not one of ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn SegmentFile>> {
        let writes = access != Access::Read;
        let mut options = OpenOptions::new();
        options.read(true).write(writes).create(access == Access::Create);
        Ok(Arc::new(options.open(self.path.join(name))?))
    }

    fn sync_list(&self) -> io::Result<()> {
        os::sync_directory(&self.path)
    }
}

impl SegmentFile for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        os::read_at(self, buffer, offset)
    }

    fn announce(&self, offset: u64, length: u64) {
        os::announce(self, offset, length);
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        os::write_at(self, bytes, offset)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        os::allocate(self, length)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
