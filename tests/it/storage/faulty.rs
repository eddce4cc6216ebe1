//! A disk that fails on command.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tillbook::storage::embedded::disk::{Access, Directory, Disk, SegmentFile};

/// A directory with faults that a test switches on, each of which counts when it fires.
pub(crate) struct FaultyDisk {
    directory: Directory,
    faults: Arc<Mutex<Faults>>,
}

#[derive(Default)]
struct Faults {
    /// The next sync fails, and what was written before it may be lost.
    fail_sync: bool,
    /// The next write stops after so many bytes.
    tear_write: Option<usize>,
    /// How many bytes all files may have.
    room: Option<u64>,
    used: u64,
    fired: u32,
}

impl FaultyDisk {
    pub(crate) fn new(journal: &Path) -> Arc<FaultyDisk> {
        std::fs::create_dir_all(journal).expect("a directory can be made");
        Arc::new(FaultyDisk { directory: Directory::new(journal), faults: Arc::default() })
    }

    pub(crate) fn fail_next_sync(&self) {
        self.faults.lock().expect("whole").fail_sync = true;
    }

    pub(crate) fn tear_next_write(&self, after: usize) {
        self.faults.lock().expect("whole").tear_write = Some(after);
    }

    /// Leaves room for so many bytes in all, those there are included.
    pub(crate) fn set_room(&self, bytes: Option<u64>) {
        self.faults.lock().expect("whole").room = bytes;
    }

    /// How many faults came to pass.
    pub(crate) fn fired(&self) -> u32 {
        self.faults.lock().expect("whole").fired
    }
}

impl Disk for FaultyDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        self.directory.list()
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn SegmentFile>> {
        let file = self.directory.open(name, access)?;
        Ok(Arc::new(FaultyFile { file, faults: Arc::clone(&self.faults) }))
    }

    fn sync_list(&self) -> io::Result<()> {
        self.directory.sync_list()
    }
}

struct FaultyFile {
    file: Arc<dyn SegmentFile>,
    faults: Arc<Mutex<Faults>>,
}

impl SegmentFile for FaultyFile {
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut faults = self.faults.lock().expect("whole");
        match faults.tear_write.take() {
            Some(after) => {
                faults.fired += 1;
                self.file.write_at(&bytes[..after.min(bytes.len())], offset)?;
                Err(io::Error::other("torn by the test"))
            }
            None => self.file.write_at(bytes, offset),
        }
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let mut faults = self.faults.lock().expect("whole");
        let more = length.saturating_sub(self.file.length()?);
        if faults.room.is_some_and(|room| faults.used + more > room) {
            faults.fired += 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        faults.used += more;
        self.file.allocate(length)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut faults = self.faults.lock().expect("whole");
        faults.used = faults.used.saturating_sub(self.file.length()?.saturating_sub(length));
        self.file.truncate(length)
    }

    fn sync(&self) -> io::Result<()> {
        let mut faults = self.faults.lock().expect("whole");
        if std::mem::take(&mut faults.fail_sync) {
            faults.fired += 1;
            return Err(io::Error::other("failed by the test"));
        }
        self.file.sync()
    }
}
