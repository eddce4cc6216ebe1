//! A disk that counts what is done to it, and that can keep a sync waiting until a test lets it go.

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use tillbook::storage::embedded::disk::{Access, Directory, Disk, SegmentFile};

/// What was done to the journal's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// Writes, and the bytes in them.
    pub(super) writes: u64,
    pub(super) bytes: u64,
    /// Syncs of a file: what a caller waits for.
    pub(super) syncs: u64,
    /// Syncs of the list of files, room taken, files cut: what begins and ends a segment.
    pub(super) others: u64,
}

/// Whether syncs go through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Gate {
    #[default]
    Open,
    /// The next sync waits.
    Shut,
    /// One waits.
    Waiting,
}

#[derive(Default)]
struct Counted {
    done: Mutex<(Done, Gate)>,
    changed: Condvar,
}

impl Counted {
    fn lock(&self) -> MutexGuard<'_, (Done, Gate)> {
        self.done.lock().expect("nothing panics while it counts")
    }

    fn count(&self, add: impl FnOnce(&mut Done)) {
        add(&mut self.lock().0);
    }

    /// Counts a sync, and waits while the gate is shut.
    fn sync(&self) {
        let mut state = self.lock();
        state.0.syncs += 1;
        if state.1 == Gate::Shut {
            state.1 = Gate::Waiting;
            self.changed.notify_all();
        }
        while state.1 == Gate::Waiting {
            state = self.changed.wait(state).expect("nothing panics while it counts");
        }
    }
}

/// A directory whose files are counted.
pub(super) struct CountingDisk {
    directory: Directory,
    counted: Arc<Counted>,
}

impl CountingDisk {
    pub(super) fn new(journal: &Path) -> Arc<CountingDisk> {
        std::fs::create_dir_all(journal).expect("a directory can be made");
        Arc::new(CountingDisk { directory: Directory::new(journal), counted: Arc::default() })
    }

    /// What was done since this was last asked.
    pub(super) fn take(&self) -> Done {
        std::mem::take(&mut self.counted.lock().0)
    }

    /// Keeps the next sync waiting.
    pub(super) fn shut(&self) {
        self.counted.lock().1 = Gate::Shut;
    }

    /// Blocks until a sync waits.
    pub(super) fn until_a_sync_waits(&self) {
        let mut state = self.counted.lock();
        while state.1 != Gate::Waiting {
            state = self.counted.changed.wait(state).expect("nothing panics while it counts");
        }
    }

    /// Lets the sync go, and all after it.
    pub(super) fn open(&self) {
        self.counted.lock().1 = Gate::Open;
        self.counted.changed.notify_all();
    }
}

impl Disk for CountingDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        self.directory.list()
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn SegmentFile>> {
        let file = self.directory.open(name, access)?;
        Ok(Arc::new(CountingFile { file, counted: Arc::clone(&self.counted) }))
    }

    fn sync_list(&self) -> io::Result<()> {
        self.counted.count(|done| done.others += 1);
        self.directory.sync_list()
    }
}

struct CountingFile {
    file: Arc<dyn SegmentFile>,
    counted: Arc<Counted>,
}

impl SegmentFile for CountingFile {
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.counted.count(|done| {
            done.writes += 1;
            done.bytes += bytes.len() as u64;
        });
        self.file.write_at(bytes, offset)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.counted.count(|done| done.others += 1);
        self.file.allocate(length)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.counted.count(|done| done.others += 1);
        self.file.truncate(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.counted.sync();
        self.file.sync()
    }
}
