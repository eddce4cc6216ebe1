//! A whole hold up to the bytes of its frame: found, decided, written as a line, chained, framed, hashed, shown. The
//! disk is memory and syncs at once.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use divan::Bencher;
use tillbook::storage::Storage;
use tillbook::storage::conformance::shop;
use tillbook::storage::embedded::disk::{Access, Disk, SegmentFile};
use tillbook::storage::embedded::{Embedded, EmbeddedOptions};

/// How many orders there are; each gets its refunds in turn.
const ORDERS: i64 = 1_000;

#[divan::bench(max_time = 2)]
fn hold_on_a_disk_of_memory(bencher: Bencher<'_, '_>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let options = EmbeddedOptions::new(shop::device());
    let disk = Arc::new(MemoryDisk::default());
    let (storage, writer) = Embedded::simulated(disk, &options, Duration::ZERO).expect("it opens");
    runtime.spawn(writer);
    let page = (0..ORDERS).map(|number| shop::see(shop::big(number, 600))).collect();
    runtime.block_on(storage.transact_many(page)).expect("orders are taken in");
    let mut number = 0;
    bencher
        .with_inputs(|| {
            number += 1;
            shop::hold(&shop::order(number % ORDERS), &format!("r-{number}"), 1)
        })
        .bench_local_values(|hold| runtime.block_on(storage.transact(hold)).expect("there is enough left"));
}

/// Files in memory.
#[derive(Default)]
struct MemoryDisk(Mutex<BTreeMap<String, Arc<MemoryFile>>>);

#[derive(Default)]
struct MemoryFile(Mutex<Vec<u8>>);

impl Disk for MemoryDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().expect("whole").keys().cloned().collect())
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn SegmentFile>> {
        let mut files = self.0.lock().expect("whole");
        match access {
            Access::Create => Ok(files.entry(name.to_owned()).or_default().clone()),
            Access::Read | Access::Write => Ok(files.get(name).cloned().ok_or(io::ErrorKind::NotFound)?),
        }
    }

    fn sync_list(&self) -> io::Result<()> {
        Ok(())
    }
}

impl SegmentFile for MemoryFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.lock().expect("whole").len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let bytes = self.0.lock().expect("whole");
        let from = usize::try_from(offset).map_or(bytes.len(), |offset| offset.min(bytes.len()));
        let read = buffer.len().min(bytes.len() - from);
        buffer[..read].copy_from_slice(&bytes[from..from + read]);
        Ok(read)
    }

    fn write_at(&self, written: &[u8], offset: u64) -> io::Result<()> {
        let mut bytes = self.0.lock().expect("whole");
        let from = usize::try_from(offset).expect("a file in memory");
        let length = bytes.len().max(from + written.len());
        bytes.resize(length, 0);
        bytes[from..from + written.len()].copy_from_slice(written);
        Ok(())
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let mut bytes = self.0.lock().expect("whole");
        let length = bytes.len().max(usize::try_from(length).expect("a file in memory"));
        bytes.resize(length, 0);
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.lock().expect("whole").truncate(usize::try_from(length).expect("a file in memory"));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
