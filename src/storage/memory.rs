//! A storage that lives as long as its process: for tests, and for trying things out.
//!
//! The same view, the same groups and the same history as the embedded storage, with an overlay that
//! never drains and a history that is never written to disk. Start reading at [`Memory`].

use std::collections::BTreeMap;
use std::sync::Arc;

use super::check;
use super::group::{Decided, Group, NotDecided, Room, Written};
use super::lines::Cursor;
use super::lock::{Mutex, RwLock, locked, reading, writing};
use super::place::{History, Place, Walked};
use super::reader::Reader;
use super::serve::serve_reads;
use super::view::View;
use super::{CheckReport, Committed, Noted, Storage, StorageError, TransactError, Transaction};
use crate::BoxFuture;
use crate::domain::decide::Refusal;
use crate::domain::{Body, DeviceName, OrderId};

/// Orders and their history in memory.
///
/// # Durability
/// None: what "durable" promises elsewhere holds here until the process ends.
pub struct Memory {
    reader: Arc<Reader>,
    log: Arc<Log>,
    device: DeviceName,
    writer: Arc<Mutex<Writer>>,
    bodies: Mutex<BTreeMap<OrderId, Body>>,
}

struct Writer {
    sequence: u64,
    state: State,
}

enum State {
    Open,
    Poisoned(String),
    Closed,
}

impl Memory {
    /// An empty storage whose entries bear this device's name.
    #[must_use]
    pub fn new(device: DeviceName) -> Memory {
        let log = Arc::new(Log::default());
        let history: Arc<dyn History> = log.clone();
        let reader = Reader::new(View::new(None), history, 1024, 0, 0).expect("an empty view in memory is read");
        Memory {
            reader: Arc::new(reader.on_the_spot()),
            log,
            device,
            writer: Arc::new(Mutex::new(Writer { sequence: 0, state: State::Open })),
            bodies: Mutex::default(),
        }
    }

    fn reader(&self) -> &Arc<Reader> {
        &self.reader
    }

    /// Decides and writes in one step; commands come one after the other.
    fn write<T>(&self, decide: impl FnOnce(&mut Group<'_>) -> Result<T, NotDecided>) -> Result<T, TransactError> {
        let mut writer = locked(&self.writer);
        match &writer.state {
            State::Open => {}
            State::Poisoned(why) => return Err(StorageError::Poisoned { why: why.clone() }.into()),
            State::Closed => return Err(StorageError::Closed.into()),
        }
        let mut group = Group::new(&*self.reader, &self.device, writer.sequence, Room::Free);
        let answer = decide(&mut group);
        let answer = answer.map_err(|not| match not {
            NotDecided::Refused(refusal) => TransactError::Refused(refusal),
            NotDecided::NoRoom => TransactError::Storage(StorageError::DiskFull { path: "memory".into() }),
            // Nothing in memory is ever damaged.
            NotDecided::Failed(error) | NotDecided::Unreadable(error) => {
                writer.state = State::Poisoned(error.to_string());
                TransactError::Storage(error)
            }
        })?;
        let decided = group.finish();
        if !decided.payload.is_empty() {
            writer.sequence = decided.sequence;
            self.append(decided);
        }
        Ok(answer)
    }

    fn checked(&self, noted: Option<Noted>) -> BoxFuture<'_, Result<CheckReport, StorageError>> {
        let writer = Arc::clone(&self.writer);
        Box::pin(self.reader.beside(move |reader| {
            check::check(reader, noted.as_ref(), || {
                let held_back = locked(&writer);
                Ok((reader.published(), held_back))
            })
        }))
    }

    fn append(&self, decided: Decided) {
        let (number, place) = self.log.append(&decided.payload.bytes);
        let sequence = decided.sequence;
        let Written { changes, records } = decided.written_at(place);
        self.reader.publish(number, sequence, &changes, records);
    }
}

impl Storage for Memory {
    fn transact(&self, mut transaction: Transaction) -> BoxFuture<'_, Result<Committed, TransactError>> {
        Box::pin(async move { self.write(|group| group.decide(&mut transaction)) })
    }

    fn transact_many(
        &self,
        mut transactions: Vec<Transaction>,
    ) -> BoxFuture<'_, Result<Vec<Result<Committed, Refusal>>, StorageError>> {
        Box::pin(async move {
            let answers = self.write(|group| {
                let mut answers = Vec::with_capacity(transactions.len());
                for transaction in &mut transactions {
                    match group.decide(transaction) {
                        Ok(committed) => answers.push(Ok(committed)),
                        Err(NotDecided::Refused(refusal)) => answers.push(Err(refusal)),
                        Err(other) => return Err(other),
                    }
                }
                Ok(answers)
            });
            answers.map_err(only_storage)
        })
    }

    serve_reads!();

    fn put_cursor<'a>(&'a self, name: &'a str, value: String) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(async move {
            let cursor = Cursor { name: name.to_owned(), value };
            self.write(|group| group.put_cursor(&cursor)).map_err(only_storage)
        })
    }

    fn check(&self) -> BoxFuture<'_, Result<CheckReport, StorageError>> {
        self.checked(None)
    }

    fn check_against(&self, noted: Noted) -> BoxFuture<'_, Result<CheckReport, StorageError>> {
        self.checked(Some(noted))
    }

    fn keep_body(&self, order: &OrderId, body: Body) {
        locked(&self.bodies).insert(order.clone(), body);
    }

    fn body<'a>(&'a self, order: &'a OrderId) -> BoxFuture<'a, Result<Option<Body>, StorageError>> {
        Box::pin(async move { self.reader.open().map(|_| locked(&self.bodies).get(order).cloned()) })
    }

    fn forget_body<'a>(&'a self, order: &'a OrderId) -> BoxFuture<'a, Result<Option<usize>, StorageError>> {
        Box::pin(async move {
            let erased = self.reader.open().map(|_| locked(&self.bodies).remove(order))?;
            Ok(erased.map(|body| body.size_bytes()))
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async move {
            locked(&self.writer).state = State::Closed;
            self.reader.close();
            Ok(())
        })
    }
}

fn only_storage(error: TransactError) -> StorageError {
    match error {
        TransactError::Storage(error) => error,
        TransactError::Refused(refusal) => StorageError::Poisoned { why: refusal.to_string() },
    }
}

/// The frames of a history that is not on disk; each is a segment of its own.
#[derive(Default)]
pub(super) struct Log {
    frames: RwLock<Vec<Arc<[u8]>>>,
}

impl Log {
    /// Answers with the frame's number, from 1.
    pub(super) fn append(&self, payload: &[u8]) -> (u64, Place) {
        let mut frames = writing(&self.frames);
        frames.push(Arc::from(payload));
        (frames.len() as u64, place_of(frames.len(), payload))
    }

    fn payload(&self, number: usize) -> Option<Arc<[u8]>> {
        reading(&self.frames).get(number.checked_sub(1)?).cloned()
    }
}

fn place_of(number: usize, payload: &[u8]) -> Place {
    let segment = u32::try_from(number).expect("memory ends before four billion frames do");
    Place { segment, offset: 0, length: 0, crc: 0 }.part(0, payload)
}

impl History for Log {
    fn read(&self, place: Place) -> Result<Vec<u8>, StorageError> {
        let bytes = self.payload(place.segment as usize).and_then(|payload| {
            let from = usize::try_from(place.offset).ok()?;
            payload.get(from..from + place.length as usize).map(<[u8]>::to_vec)
        });
        bytes.ok_or_else(|| self.unreadable(place, "there is no such frame".to_owned()))
    }

    fn walk(
        &self,
        after: u64,
        through: u64,
        visit: &mut dyn FnMut(Walked<'_>) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        for number in after + 1..=through {
            let Some(payload) = usize::try_from(number).ok().and_then(|number| self.payload(number)) else { break };
            let place = place_of(usize::try_from(number).unwrap_or(0), &payload);
            visit(Walked { number, place, payload: &payload, link: None })?;
        }
        Ok(())
    }

    fn describe(&self, place: Place) -> String {
        format!("frame {} byte {} in memory", place.segment, place.offset)
    }

    fn unreadable(&self, place: Place, why: String) -> StorageError {
        StorageError::Unreadable { path: "memory".into(), position: place.offset, why }
    }
}
