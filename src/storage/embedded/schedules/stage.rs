//! What the tests play on: a disk and an index in memory under the real writer, indexer, overlay and cache.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use shuttle::future::{JoinHandle, spawn};
use tokio::sync::mpsc;

use super::fixture;
use crate::storage::StorageError;
use crate::storage::embedded::disk::{Access, Disk, SegmentFile};
use crate::storage::embedded::index::Index;
use crate::storage::embedded::indexer::{self, Backlog};
use crate::storage::embedded::journal::Journal;
use crate::storage::embedded::options::SMALLEST_SEGMENT;
use crate::storage::embedded::segments::Segments;
use crate::storage::embedded::writer::{Following, Health, Writer};
use crate::storage::embedded::{Embedded, WAITING};
use crate::storage::key::{Change, Key};
use crate::storage::lock::{Mutex, RwLock, locked};
use crate::storage::place::History;
use crate::storage::reader::Reader;
use crate::storage::value::Value;
use crate::storage::view::{Base, Chunk, Kv, View};

/// Files in memory; each touch of one is a place at which somebody else may have a turn.
#[derive(Clone, Default)]
pub(crate) struct Shelf(Arc<Mutex<Files>>);

#[derive(Default)]
struct Files {
    bytes: BTreeMap<String, Vec<u8>>,
    /// How many syncs succeed still; `None`: all.
    syncs_left: Option<usize>,
}

impl Shelf {
    /// After so many more syncs each fails.
    pub(crate) fn fail_after(&self, syncs: Option<usize>) {
        locked(&self.0).syncs_left = syncs;
    }

    fn sync(&self) -> io::Result<()> {
        match &mut locked(&self.0).syncs_left {
            None => Ok(()),
            Some(0) => Err(io::Error::other("the disk does not answer")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }
}

struct OnShelf {
    shelf: Shelf,
    name: String,
}

impl OnShelf {
    fn with<T>(&self, act: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        act(locked(&self.shelf.0).bytes.entry(self.name.clone()).or_default())
    }
}

impl Disk for Shelf {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(locked(&self.0).bytes.keys().cloned().collect())
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn SegmentFile>> {
        let mut files = locked(&self.0);
        match access {
            Access::Create => drop(files.bytes.entry(name.to_owned()).or_default()),
            Access::Read | Access::Write if !files.bytes.contains_key(name) => {
                return Err(io::ErrorKind::NotFound.into());
            }
            Access::Read | Access::Write => {}
        }
        Ok(Arc::new(OnShelf { shelf: self.clone(), name: name.to_owned() }))
    }

    fn sync_list(&self) -> io::Result<()> {
        Ok(())
    }
}

impl SegmentFile for OnShelf {
    fn length(&self) -> io::Result<u64> {
        Ok(self.with(|bytes| bytes.len() as u64))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|bytes| {
            let rest = bytes.get(usize::try_from(offset).expect("small")..).unwrap_or_default();
            let length = rest.len().min(buffer.len());
            buffer[..length].copy_from_slice(&rest[..length]);
            Ok(length)
        })
    }

    fn write_at(&self, written: &[u8], offset: u64) -> io::Result<()> {
        self.with(|bytes| {
            let from = usize::try_from(offset).expect("small");
            bytes.resize(bytes.len().max(from + written.len()), 0);
            bytes[from..from + written.len()].copy_from_slice(written);
            Ok(())
        })
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).expect("small");
        self.with(|bytes| bytes.resize(bytes.len().max(length), 0));
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.with(|bytes| bytes.resize(usize::try_from(length).expect("small"), 0));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.shelf.sync()
    }
}

/// An index that takes its changes in one by one, as the least that is asked of one allows between single keys.
struct OneByOne(Arc<Index>);

impl Kv for OneByOne {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StorageError> {
        self.0.get(key)
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Chunk, StorageError> {
        self.0.range(from, to, limit)
    }
}

impl Base for OneByOne {
    fn apply(&self, changes: &[Change], through: u64) -> Result<(), StorageError> {
        let one = |change: &(Key, Option<Value>)| self.0.apply(std::slice::from_ref(change), through);
        changes.iter().try_for_each(one)
    }
}

/// A new ledger on a disk, its writer as a task and its index fed by a thread; more than `backlog_bytes` waits for it.
pub(crate) fn open(disk: &Shelf, backlog_bytes: usize) -> (Embedded, JoinHandle<()>) {
    let segments = Arc::new(Segments::new(Arc::new(disk.clone()), Path::new("shelf")));
    let journal = Journal::create(Arc::clone(&segments), SMALLEST_SEGMENT).expect("the disk is empty");
    let index = Arc::new(Index::in_memory(Arc::clone(&segments)));
    let view = View::new(Some(Arc::new(OneByOne(Arc::clone(&index)))));
    let history: Arc<dyn History> = segments.clone();
    // One record is kept at hand, and one that was: the others are read from the view, which is to be tested.
    let reader = Arc::new(Reader::new(view, history, 1, journal.number(), 0).expect("in memory").on_the_spot());
    let backlog = Arc::new(Backlog::new(backlog_bytes));
    let (reader_of_thread, index_of_thread) = (Arc::clone(&reader), Arc::clone(&index));
    let thread = indexer::start(Arc::clone(&backlog), reader_of_thread, index_of_thread, usize::MAX, |_| ());
    let quarantine = Arc::new(RwLock::new(None));
    let following = Following { index, backlog: Arc::clone(&backlog), thread: Some(thread.expect("a thread")) };
    let writer = Writer {
        journal,
        segments,
        reader: Arc::clone(&reader),
        sequence: 0,
        following: Some(following),
        owner: None,
        device: fixture::device(),
        sending: 0,
        health: Health::Good,
        instance: None,
        quarantine: Arc::clone(&quarantine),
    };
    let (commands, waiting) = mpsc::channel(WAITING);
    let writing = spawn(writer.run_as_a_task(waiting, Duration::ZERO));
    (Embedded { reader, commands, backlog: Some(backlog), quarantine, bodies: None }, writing)
}
