//! What the writer is asked to do, and how it answers: whoever asks waits at a channel.
//!
//! What must never be here: deciding, writing. Start reading at [`Command`].

use std::sync::mpsc::Receiver as Resume;

use tokio::sync::oneshot;

use super::checkpoint::Checkpoint;
use crate::domain::decide::Refusal;
use crate::storage::lines::Cursor;
use crate::storage::{Adoption, Committed, StorageError, TransactError, Transaction};

/// Where an answer is waited for.
pub(super) type Answer<T> = oneshot::Sender<T>;
/// What many commands in one write are answered.
pub(super) type Many = Result<Vec<Result<Committed, Refusal>>, StorageError>;

/// What the writer is asked to do.
pub(super) enum Command {
    One(Box<Transaction>, Answer<Result<Committed, TransactError>>),
    Many(Vec<Transaction>, Answer<Many>),
    Cursor(Cursor, Answer<Result<(), StorageError>>),
    /// End the quarantine.
    Adopt(Adoption, Answer<Many>),
    /// Take nothing any more: the history goes on there.
    Seal(String, Answer<Result<(), StorageError>>),
    /// Say in the journal how far the index is on disk.
    Checkpoint(Checkpoint),
    /// Write nothing until the other side of the channel says so or is gone.
    Freeze(Answer<u64>, Resume<()>),
    Close(Answer<Result<(), StorageError>>),
    /// End as a killed process would: no checkpoint, the lock given back.
    Abandon(Answer<()>),
}

/// What a command of a group was answered, before it is told.
pub(super) enum Given {
    One(Result<Committed, TransactError>),
    Many(Many),
    Cursor(Result<(), StorageError>),
    Nothing,
}

/// Tells each command of a group what it was answered.
pub(super) fn answer(group: Vec<Command>, answers: Vec<Given>) {
    for (command, given) in group.into_iter().zip(answers) {
        // An error: the caller is gone. What was written stays written.
        match (command, given) {
            (Command::One(_, caller), Given::One(answer)) => drop(caller.send(answer)),
            (Command::Many(_, caller), Given::Many(answer)) => drop(caller.send(answer)),
            (Command::Cursor(_, caller), Given::Cursor(answer)) => drop(caller.send(answer)),
            _ => {}
        }
    }
}

/// Tells a command that it was not even tried.
pub(super) fn refuse(command: Command, why: &dyn Fn() -> StorageError) {
    match command {
        Command::One(_, caller) => drop(caller.send(Err(why().into()))),
        Command::Many(_, caller) | Command::Adopt(_, caller) => drop(caller.send(Err(why()))),
        Command::Cursor(_, caller) | Command::Seal(_, caller) => drop(caller.send(Err(why()))),
        Command::Checkpoint(_) | Command::Freeze(..) | Command::Close(_) | Command::Abandon(_) => {}
    }
}
