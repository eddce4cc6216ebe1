//! The default storage: a journal that is the truth, and an index behind it that can be rebuilt at will.
//!
//! ```text
//! commands -> writer thread -> journal (one frame per group, one sync) -> overlay -> index thread -> sled
//!                                                                            ^
//! reads ------------------------------------------- overlay first, then sled
//! ```
//!
//! | file | one idea |
//! | --- | --- |
//! | `frame` | the journal's format |
//! | `disk` | the files under it, as a trait that tests can fill with faults |
//! | `segments`, `open_files` | reading it, and telling a torn end from damage; the files that were read last |
//! | `survey` | reading it past its damage, for checks |
//! | `journal` | writing it, and room for outcomes |
//! | `command`, `writer`, `adopt` | what is asked; the thread that decides, writes, answers; what it writes beside that |
//! | `tree`, `parts`, `page`, `pages`, `seen` | sled at arm's length; long values in parts, short ones in pages; what it cannot hold |
//! | `index`, `indexer` | what is made anew where it fails; the thread that feeds it |
//! | `rebuild` | making the index anew from the journal |
//! | `compact` | rewriting the index, offline |
//! | `bodies` | answers as upstreams gave them, a cache beside the index |
//! | `options`, `open`, `checkpoint`, `owner` | how to open, what can be trusted then, and who may |
//! | `instance` | whether this is the ledger or a copy of it |
//! | `making` | a directory that becomes a ledger all at once, or not at all |
//! | `backup`, `import` | the two ways to make one from another |
//! | `inspect`, `export` | checks and exports from outside |
//! | `read_only` | onlookers, from the journal alone |
//! | `tail` | onlookers who wait for what comes next |
//! | `simulated` | the journal and its writer alone, in one task over a disk of a test's own |
//! | `os` | what touches the operating system |
//! | `schedules` | all of it under schedules that a test decides |
//!
//! Start reading at [`Embedded`], then `writer`.

mod adopt;
mod backup;
mod bodies;
mod checkpoint;
mod command;
mod compact;
pub mod disk;
mod export;
mod frame;
mod fresh;
mod import;
mod index;
mod indexer;
mod inspect;
mod instance;
mod journal;
mod making;
mod open;
mod open_files;
mod options;
mod os;
mod owner;
mod page;
mod pages;
mod parts;
mod read_only;
mod rebuild;
#[cfg(all(test, shuttle))]
pub(crate) mod schedules;
mod seen;
mod segments;
mod simulated;
mod survey;
mod tail;
#[cfg(test)]
mod tests_journal;
mod tree;
mod writer;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

pub use self::backup::backup;
use self::bodies::Bodies;
use self::command::Command;
#[doc(hidden)]
pub use self::compact::CompactStep;
pub use self::compact::{Compacted, Erase};
pub use self::export::export;
pub use self::import::import;
use self::indexer::Backlog;
pub use self::inspect::verify;
use self::instance::{Instance, Standing};
use self::open::Opened;
pub use self::options::{EmbeddedOptions, Profile};
pub use self::read_only::ReadOnly;
pub use self::tail::Tail;
use self::writer::{Following, Health, Writer};
use super::lines::Cursor;
use super::lock::{Builder, RwLock, reading};
use super::place::History;
use super::reader::Reader;
use super::records::Records as _;
use super::serve::{off_runtime, serve_reads};
use super::view::{Base, View};
use super::{
    Adoption, CheckReport, Committed, Noted, Quarantine, Storage, StorageError, TransactError, Transaction, check,
    records,
};
use crate::BoxFuture;
use crate::domain::decide::Refusal;
use crate::domain::{Body, OrderId};

/// A ledger in a directory of this machine.
///
/// # Durability
/// `Ok` means that the journal's fdatasync came back. Dropping it without [`Storage::close`] loses
/// nothing; the next open takes longer.
///
/// # Errors
/// After a failed write or sync every later write fails with [`StorageError::Poisoned`] until the ledger is
/// opened again; reads go on and show what is durable. A full disk is [`StorageError::DiskFull`], and the
/// ledger goes on.
pub struct Embedded {
    reader: Arc<Reader>,
    commands: mpsc::Sender<Command>,
    /// What waits for the index; `None` where there is none.
    backlog: Option<Arc<Backlog>>,
    /// What is kept beside the index; `None` where there is none.
    bodies: Option<Arc<Bodies>>,
    quarantine: Arc<RwLock<Option<Quarantine>>>,
}

/// Commands that wait for the writer; more wait where they are made.
const WAITING: usize = 1024;

impl Embedded {
    /// Opens the ledger in a directory, or makes one there.
    ///
    /// Blocks: for the lock, for the journal since the last checkpoint, and where the index has to be
    /// rebuilt for the whole journal. In async code call it from a blocking task.
    ///
    /// A ledger that was copied or restored is opened too, in quarantine: see [`Storage::quarantine`].
    ///
    /// # Errors
    /// [`StorageError::Locked`], [`StorageError::Damaged`] (nothing was changed then),
    /// [`StorageError::NewerFormat`], or the file system's.
    pub fn open(directory: impl AsRef<Path>, options: &EmbeddedOptions) -> Result<Embedded, StorageError> {
        let Opened { owner, segments, journal, index } = open::open(directory.as_ref(), options)?;
        let (records, backlog_bytes) = options.memory();
        let base: Arc<dyn Base> = index.clone();
        let history: Arc<dyn History> = segments.clone();
        let sequence = index.progress().sequence;
        let reader = Arc::new(Reader::new(View::new(Some(base)), history, records, journal.number(), sequence)?);
        let sending = i64::try_from(open::count_sending(&*reader)?).unwrap_or(i64::MAX);
        let backlog = Arc::new(Backlog::new(backlog_bytes));
        let bodies = Some(Arc::new(Bodies::new(Arc::clone(&index))));
        let (commands, waiting) = mpsc::channel(WAITING);
        let weak = commands.downgrade();
        let tell = move |checkpoint| {
            // A writer that is busy enough to fill its queue is told again soon.
            if let Some(commands) = weak.upgrade() {
                let _ = commands.try_send(Command::Checkpoint(checkpoint));
            }
        };
        let every_bytes = usize::try_from(options.segment_bytes() / 2).unwrap_or(usize::MAX);
        let threads =
            |source| StorageError::Io { doing: "start a thread for", path: directory.as_ref().into(), source };
        let indexer = indexer::start(Arc::clone(&backlog), Arc::clone(&reader), Arc::clone(&index), every_bytes, tell);
        let (instance, quarantine) = match options.disk {
            None => instance_of(directory.as_ref(), &reader)?,
            Some(_) => (None, None),
        };
        let quarantine = Arc::new(RwLock::new(quarantine));
        let sealed = records::cursor(&*reader, Cursor::SEAL)?;
        let mut writer = Writer {
            journal,
            segments,
            reader: Arc::clone(&reader),
            sequence,
            following: Some(Following {
                index,
                backlog: Arc::clone(&backlog),
                thread: Some(indexer.map_err(threads)?),
            }),
            owner: Some(owner),
            device: options.device.clone(),
            sending,
            health: sealed.map_or(Health::Good, Health::Sealed),
            instance,
            quarantine: Arc::clone(&quarantine),
        };
        writer.note_instance()?;
        let thread = Builder::new().name("tillbook-writer".to_owned());
        thread.spawn(move || writer.run(waiting)).map_err(threads)?;
        Ok(Embedded { reader, commands, backlog: Some(backlog), bodies, quarantine })
    }

    /// Opens a ledger for reading only, beside a process that may own it: from the journal alone, as
    /// it is now. Writes nothing and takes no lock.
    ///
    /// # Errors
    /// [`StorageError::NoLedger`], and those of [`Embedded::open`] but for the lock.
    pub fn open_read_only(directory: impl AsRef<Path>) -> Result<ReadOnly, StorageError> {
        ReadOnly::open(directory.as_ref())
    }

    fn reader(&self) -> &Arc<Reader> {
        &self.reader
    }

    /// Hands a command to the writer and waits for its answer. Dropping this while it waits withdraws
    /// nothing that was handed over.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, StorageError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(command(answer)).await.map_err(|_| self.no_writer())?;
        answered.await.map_err(|_| self.no_writer())
    }

    /// Why nobody answers: closed, or the writer ended in a way it must never end in.
    fn no_writer(&self) -> StorageError {
        match self.reader.open() {
            Ok(_) => StorageError::Poisoned { why: "the thread that writes has panicked".to_owned() },
            Err(closed) => closed,
        }
    }

    /// For tests: a hash over all that the index and the overlay hold, equal for an index kept and one rebuilt.
    ///
    /// # Errors
    /// The storage is closed, or the index cannot be read.
    #[doc(hidden)]
    pub async fn index_hash(&self) -> Result<[u8; 32], StorageError> {
        let commands = self.commands.clone();
        let hash = self.reader.beside(move |reader| {
            let _frozen = freeze(&commands)?;
            reader.index_hash()
        });
        hash.await
    }

    /// For tests: lets the index fall behind, or catch up again.
    #[doc(hidden)]
    pub fn stall_index(&self, stalled: bool) {
        self.backlog.iter().for_each(|backlog| backlog.pause(stalled));
    }

    /// For tests: waits until the index holds everything.
    #[doc(hidden)]
    pub fn wait_for_index(&self) {
        self.backlog.iter().for_each(|backlog| backlog.wait_until_drained());
    }

    fn checked(&self, noted: Option<Noted>) -> BoxFuture<'_, Result<CheckReport, StorageError>> {
        let commands = self.backlog.is_some().then(|| self.commands.clone());
        Box::pin(self.reader.beside(move |reader| match commands {
            Some(commands) => check::check(reader, noted.as_ref(), || freeze(&commands)),
            // In a simulation nothing is written while this task runs.
            None => check::check(reader, noted.as_ref(), || Ok((reader.published(), ()))),
        }))
    }

    /// For tests: ends as a killed process would, without bringing anything in order.
    #[doc(hidden)]
    pub async fn abandon(&self) -> Result<(), StorageError> {
        self.ask(Command::Abandon).await
    }
}

/// The ledger in its place, claimed anew; or why it is in quarantine. Neither, where the place cannot be
/// claimed for want of room: the next open tries again.
fn instance_of(directory: &Path, reader: &Reader) -> Result<(Option<Instance>, Option<Quarantine>), StorageError> {
    match instance::examine(directory, records::cursor(reader, Cursor::INSTANCE)?.as_deref()) {
        Standing::Here(instance) => {
            instance.renew();
            Ok((Some(instance), None))
        }
        Standing::Unsaid => {
            let instance = Instance::new(directory);
            let claimed = instance.claim();
            if let Err(error) = &claimed {
                tracing::warn!(%error, "could not write where the ledger lies");
            }
            Ok((claimed.is_ok().then_some(instance), None))
        }
        Standing::Quarantined(quarantine) => {
            tracing::warn!(why = quarantine.why, "the ledger was copied or restored: it is in quarantine");
            Ok((None, Some(quarantine)))
        }
    }
}

/// Stops all writes until the second value is dropped; the first is the last frame's number. Blocks.
fn freeze(commands: &mpsc::Sender<Command>) -> Result<(u64, std::sync::mpsc::Sender<()>), StorageError> {
    let (thaw, resume) = std::sync::mpsc::channel();
    let (frozen, is_frozen) = oneshot::channel();
    commands.blocking_send(Command::Freeze(frozen, resume)).map_err(|_| StorageError::Closed)?;
    let frame = is_frozen.blocking_recv().map_err(|_| StorageError::Closed)?;
    Ok((frame, thaw))
}

impl Storage for Embedded {
    fn transact(&self, transaction: Transaction) -> BoxFuture<'_, Result<Committed, TransactError>> {
        Box::pin(async move {
            // Read here, beside all other callers, it is at hand when the one writer asks for it. What cannot be read
            // is the writer's to tell.
            let _at_hand = self.reader.kept(&transaction.order);
            self.ask(|answer| Command::One(Box::new(transaction), answer)).await?
        })
    }

    fn transact_many(
        &self,
        transactions: Vec<Transaction>,
    ) -> BoxFuture<'_, Result<Vec<Result<Committed, Refusal>>, StorageError>> {
        Box::pin(async move { self.ask(|answer| Command::Many(transactions, answer)).await? })
    }

    serve_reads!();

    fn put_cursor<'a>(&'a self, name: &'a str, value: String) -> BoxFuture<'a, Result<(), StorageError>> {
        let cursor = Cursor { name: name.to_owned(), value };
        Box::pin(async move { self.ask(|answer| Command::Cursor(cursor, answer)).await? })
    }

    fn check(&self) -> BoxFuture<'_, Result<CheckReport, StorageError>> {
        self.checked(None)
    }

    fn check_against(&self, noted: Noted) -> BoxFuture<'_, Result<CheckReport, StorageError>> {
        self.checked(Some(noted))
    }

    fn quarantine(&self) -> Option<Quarantine> {
        reading(&self.quarantine).clone()
    }

    fn adopt(&self, adoption: Adoption) -> BoxFuture<'_, Result<Vec<Result<Committed, Refusal>>, StorageError>> {
        Box::pin(async move { self.ask(|answer| Command::Adopt(adoption, answer)).await? })
    }

    fn seal(&self, to: String) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async move { self.ask(|answer| Command::Seal(to, answer)).await? })
    }

    fn keep_body(&self, order: &OrderId, body: Body) {
        if let Some(bodies) = &self.bodies {
            bodies.keep(order, body);
        }
    }

    fn body<'a>(&'a self, order: &'a OrderId) -> BoxFuture<'a, Result<Option<Body>, StorageError>> {
        let (bodies, order) = (self.bodies.clone(), order.clone());
        Box::pin(off_runtime(move || bodies.map_or(Ok(None), |bodies| bodies.get(&order))))
    }

    fn forget_body<'a>(&'a self, order: &'a OrderId) -> BoxFuture<'a, Result<Option<usize>, StorageError>> {
        let (bodies, order) = (self.bodies.clone(), order.clone());
        Box::pin(off_runtime(move || bodies.map_or(Ok(None), |bodies| bodies.forget(&order))))
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async move {
            if let Some(bodies) = self.bodies.clone() {
                off_runtime(move || {
                    bodies.end();
                    Ok(())
                })
                .await?;
            }
            match self.ask(Command::Close).await {
                Ok(closed) => closed,
                Err(StorageError::Closed) => Ok(()),
                Err(error) => Err(error),
            }
        })
    }
}
