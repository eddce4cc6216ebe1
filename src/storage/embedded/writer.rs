//! The one thread that writes: takes what waits, decides it as a group, appends one frame, syncs once,
//! answers all.
//!
//! No timer gathers groups: while one sync runs, the next group gathers by itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::checkpoint::Checkpoint;
use super::command::{Command, Given, Many, answer, refuse};
use super::frame::Kind;
use super::index::{Index, Progress};
use super::indexer::{Backlog, Stop};
use super::instance::Instance;
use super::journal::{Journal, words};
use super::owner::Owner;
use super::segments::Segments;
use crate::domain::DeviceName;
use crate::storage::group::{Decided, Group, NotDecided, Room, Written, unreadable};
use crate::storage::lock::{JoinHandle, RwLock, reading};
use crate::storage::reader::Reader;
use crate::storage::{Quarantine, StorageError, Transaction};

/// Commands that share one write.
const GROUP: usize = 256;

/// What comes after a turn.
enum Turn {
    /// Another one, with this command if it was taken from the queue already.
    On(Option<Box<Command>>),
    Ended,
}

/// A command with those that wait behind it and share its write; and the first that does not.
fn gather(first: Command, commands: &mut mpsc::Receiver<Command>) -> (Vec<Command>, Option<Command>) {
    let mut group = vec![first];
    let mut size = 1;
    while size < GROUP {
        match commands.try_recv() {
            Ok(Command::Many(transactions, answer)) => {
                size += transactions.len();
                group.push(Command::Many(transactions, answer));
            }
            Ok(next @ (Command::One(..) | Command::Cursor(..))) => {
                size += 1;
                group.push(next);
            }
            Ok(other) => return (group, Some(other)),
            Err(_) => break,
        }
    }
    (group, None)
}

/// The thread's own things.
pub(super) struct Writer {
    pub(super) journal: Journal,
    pub(super) segments: Arc<Segments>,
    pub(super) reader: Arc<Reader>,
    /// The index, unless the ledger shows everything from memory.
    pub(super) following: Option<Following>,
    pub(super) owner: Option<Owner>,
    pub(super) device: DeviceName,
    /// The last sequence given.
    pub(super) sequence: u64,
    /// How many refunds are being sent.
    pub(super) sending: i64,
    pub(super) health: Health,
    /// The ledger in its place; `None` where it may be a copy, or lies on a test's disk.
    pub(super) instance: Option<Instance>,
    /// Why nothing is taken yet.
    pub(super) quarantine: Arc<RwLock<Option<Quarantine>>>,
}

/// The index that follows behind, and the thread that feeds it.
pub(super) struct Following {
    pub(super) index: Arc<Index>,
    pub(super) backlog: Arc<Backlog>,
    pub(super) thread: Option<JoinHandle<()>>,
}

impl Following {
    /// Lets go of the index; tells what the journal may say of it, if all of it is on disk.
    fn end(mut self, how: Stop) -> Option<Checkpoint> {
        self.backlog.stop(how);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.index.close()
    }
}

impl Drop for Following {
    /// A writer that panics must not leave the index's thread waiting for ever.
    fn drop(&mut self) {
        self.backlog.stop(Stop::AsIs);
    }
}

/// Whether anything may still be written.
pub(super) enum Health {
    Good,
    /// No: the history goes on there.
    Sealed(String),
    /// Why not.
    Poisoned(String),
}

impl Health {
    /// Why nothing may be written.
    pub(super) fn refusal(&self) -> Option<StorageError> {
        match self {
            Health::Good => None,
            Health::Sealed(to) => Some(StorageError::Sealed { to: to.clone() }),
            Health::Poisoned(why) => Some(StorageError::Poisoned { why: why.clone() }),
        }
    }
}

impl Writer {
    /// Works until it is told to close, or nobody can tell it anything any more. Blocks.
    pub(super) fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut left_over = None;
        while let Some(first) = left_over.take().or_else(|| commands.blocking_recv()) {
            match self.turn(first, &mut commands) {
                Turn::On(next) => left_over = next.map(|next| *next),
                Turn::Ended => return,
            }
        }
        let _ = self.close();
    }

    /// The same in a task, for simulations: there, commands gather for so long, as they do while a disk syncs.
    pub(super) async fn run_as_a_task(mut self, mut commands: mpsc::Receiver<Command>, gather: Duration) {
        let mut left_over = None;
        loop {
            let first = match left_over.take() {
                Some(first) => first,
                None => match commands.recv().await {
                    Some(first) => first,
                    None => break,
                },
            };
            if !gather.is_zero() {
                tokio::time::sleep(gather).await;
            }
            match self.turn(first, &mut commands) {
                Turn::On(next) => left_over = next.map(|next| *next),
                Turn::Ended => return,
            }
        }
        let _ = self.close();
    }

    /// Does one command, or a group of those that wait.
    fn turn(&mut self, first: Command, commands: &mut mpsc::Receiver<Command>) -> Turn {
        match first {
            Command::Checkpoint(checkpoint) => self.checkpoint(&checkpoint),
            Command::Freeze(frozen, resume) => {
                let _ = frozen.send(self.journal.number());
                // An error: who asked for it is gone. Either way it is over.
                let _ = resume.recv();
            }
            Command::Adopt(adoption, answer) => {
                let adopted = self.adopt(adoption);
                let _ = answer.send(adopted);
            }
            Command::Seal(to, answer) => {
                let sealed = self.seal(to);
                let _ = answer.send(sealed);
            }
            Command::Close(answer) => {
                commands.close();
                let closed = self.close();
                let _ = answer.send(closed);
                return Turn::Ended;
            }
            Command::Abandon(answer) => {
                commands.close();
                self.abandon();
                let _ = answer.send(());
                return Turn::Ended;
            }
            first @ (Command::One(..) | Command::Many(..) | Command::Cursor(..)) => {
                let (group, left_over) = gather(first, commands);
                self.write(group);
                return Turn::On(left_over.map(Box::new));
            }
        }
        Turn::On(None)
    }

    /// Writes a group, and answers it once it is on disk.
    fn write(&mut self, group: Vec<Command>) {
        if let Some(why) = self.following.as_ref().and_then(|following| following.backlog.failed()) {
            self.poison(why);
        }
        if self.health.refusal().is_some() {
            let refusal = || self.health.refusal().unwrap_or(StorageError::Closed);
            group.into_iter().for_each(|command| refuse(command, &refusal));
            return;
        }
        // The one gate: without a hold and the start of an attempt nothing is ever sent.
        if let Some(quarantine) = &*reading(&self.quarantine) {
            let quarantined = || StorageError::Quarantined(quarantine.clone());
            group.into_iter().for_each(|command| refuse(command, &quarantined));
            return;
        }
        let mut group = group;
        let (decided, answers) = match self.decide(&mut group, Room::Free) {
            Ok(decided) => decided,
            Err(error) => return self.fail(group, &error),
        };
        match self.append(decided) {
            Ok(()) => answer(group, answers),
            Err(StorageError::DiskFull { .. }) => self.write_outcomes(group),
            Err(error) => self.fail(group, &error),
        }
    }

    /// The disk is full: what ends an attempt still gets the room that was set aside for it.
    fn write_outcomes(&mut self, mut group: Vec<Command>) {
        let (decided, answers) = match self.decide(&mut group, Room::Reserved) {
            Ok(decided) => decided,
            Err(error) => return self.fail(group, &error),
        };
        match self.append(decided) {
            Ok(()) => answer(group, answers),
            Err(StorageError::DiskFull { .. }) => {
                let answers = group.iter().map(|command| self.full(command)).collect();
                answer(group, answers);
            }
            Err(error) => self.fail(group, &error),
        }
    }

    /// Decides every command of a group in its turn.
    ///
    /// # Errors
    /// What makes the whole group void: an index that gives no answer, or a decision that panicked.
    fn decide(&self, group: &mut [Command], allowed: Room) -> Result<(Decided, Vec<Given>), StorageError> {
        let mut deciding = Group::new(&*self.reader, &self.device, self.sequence, allowed);
        let mut answers = Vec::with_capacity(group.len());
        for command in group {
            answers.push(match command {
                Command::One(transaction, _) => Given::One(match deciding.decide(transaction) {
                    Ok(committed) => Ok(committed),
                    Err(NotDecided::Refused(refusal)) => Err(refusal.into()),
                    Err(NotDecided::NoRoom) => Err(self.no_room().into()),
                    Err(NotDecided::Unreadable(error)) => Err(error.into()),
                    Err(NotDecided::Failed(error)) => return Err(error),
                }),
                Command::Many(transactions, _) => Given::Many(self.decide_many(&mut deciding, transactions)?),
                Command::Cursor(cursor, _) => Given::Cursor(match deciding.put_cursor(cursor) {
                    Ok(()) => Ok(()),
                    Err(NotDecided::Failed(error) | NotDecided::Unreadable(error)) => return Err(error),
                    Err(NotDecided::NoRoom | NotDecided::Refused(_)) => Err(self.no_room()),
                }),
                Command::Checkpoint(_)
                | Command::Freeze(..)
                | Command::Adopt(..)
                | Command::Seal(..)
                | Command::Close(_)
                | Command::Abandon(_) => Given::Nothing,
            });
        }
        Ok((deciding.finish(), answers))
    }

    /// One durable write: where one of them finds no room, none is written.
    pub(super) fn decide_many(
        &self,
        group: &mut Group<'_>,
        transactions: &mut [Transaction],
    ) -> Result<Many, StorageError> {
        if group.allowed() < Room::Free {
            return Ok(Err(self.no_room()));
        }
        let mut answers = Vec::with_capacity(transactions.len());
        for transaction in transactions {
            match group.decide(transaction) {
                Ok(committed) => answers.push(Ok(committed)),
                Err(NotDecided::Refused(refusal)) => answers.push(Err(refusal)),
                Err(NotDecided::NoRoom) => return Ok(Err(self.no_room())),
                Err(NotDecided::Unreadable(error)) => answers.push(Err(unreadable(&transaction.order, &error))),
                Err(NotDecided::Failed(error)) => return Err(error),
            }
        }
        Ok(Ok(answers))
    }

    /// Appends what was decided, syncs it, and shows it.
    pub(super) fn append(&mut self, decided: Decided) -> Result<(), StorageError> {
        if decided.payload.is_empty() {
            return Ok(());
        }
        let sending = self.sending + decided.sending;
        let set_aside_for = u64::try_from(sending).unwrap_or(0);
        let (number, place) = self.journal.append(Kind::Commit, &decided.payload.bytes, decided.room, set_aside_for)?;
        (self.sequence, self.sending) = (decided.sequence, sending);
        let Written { changes, records } = decided.written_at(place);
        self.reader.publish(number, self.sequence, &changes, records);
        if let Some(following) = &self.following {
            following.backlog.push(Progress { through: number, sequence: self.sequence }, changes);
        }
        Ok(())
    }

    /// Says in the journal how far the index is on disk. Not being able to costs time at the next open.
    fn checkpoint(&mut self, checkpoint: &Checkpoint) {
        if !matches!(self.health, Health::Poisoned(_)) {
            match self.note(checkpoint) {
                Ok(()) => self.following.iter().for_each(|following| following.index.remove_others()),
                Err(error) => self.poison(words(&error)),
            }
        }
    }

    /// A checkpoint never takes the room for outcomes: where there is no other, it is left out.
    fn note(&mut self, checkpoint: &Checkpoint) -> Result<(), StorageError> {
        let sending = u64::try_from(self.sending).unwrap_or(0);
        let checkpoint = Checkpoint { sending, ..checkpoint.clone() };
        match self.journal.append(Kind::Checkpoint, &checkpoint.encode(), Room::Free, sending) {
            Ok(_) | Err(StorageError::DiskFull { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn close(&mut self) -> Result<(), StorageError> {
        self.reader.close();
        let whole = self.following.take().and_then(|following| following.end(Stop::Drained));
        let closed = match (&self.health, whole) {
            (Health::Good | Health::Sealed(_), Some(whole)) => self.note(&whole),
            _ => Ok(()),
        };
        if let (Ok(()), Some(instance)) = (&closed, &self.instance) {
            instance.renew();
        }
        self.segments.close();
        self.owner = None;
        closed
    }

    fn abandon(&mut self) {
        self.reader.close();
        let _ = self.following.take().and_then(|following| following.end(Stop::AsIs));
        self.segments.close();
        self.owner = None;
    }

    pub(super) fn no_room(&self) -> StorageError {
        StorageError::DiskFull { path: self.journal.path() }
    }

    fn full(&self, command: &Command) -> Given {
        match command {
            Command::One(..) => Given::One(Err(self.no_room().into())),
            Command::Many(..) => Given::Many(Err(self.no_room())),
            Command::Cursor(..) => Given::Cursor(Err(self.no_room())),
            Command::Checkpoint(_)
            | Command::Freeze(..)
            | Command::Adopt(..)
            | Command::Seal(..)
            | Command::Close(_)
            | Command::Abandon(_) => Given::Nothing,
        }
    }

    pub(super) fn poison(&mut self, why: String) {
        if !matches!(self.health, Health::Poisoned(_)) {
            tracing::error!(why, "the ledger takes no more writes until it is opened again");
            self.health = Health::Poisoned(why);
        }
    }

    /// Nobody knows what became of a group's write, so nothing in it is acknowledged, refusals
    /// included: they may have been decided on what was not written.
    fn fail(&mut self, group: Vec<Command>, error: &StorageError) {
        let why = words(error);
        self.poison(why.clone());
        let poisoned = || StorageError::Poisoned { why: why.clone() };
        group.into_iter().for_each(|command| refuse(command, &poisoned));
    }
}
