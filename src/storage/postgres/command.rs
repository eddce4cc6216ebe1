//! What the writer is asked to do, and how it answers: whoever asks waits at a channel.
//!
//! What must never be here: deciding, writing. Start reading at [`Command`].

use tokio::sync::{mpsc, oneshot};

use super::super::lines::Cursor;
use super::super::{Committed, StorageError, TransactError, Transaction};
use crate::domain::decide::Refusal;

/// What the writer is asked to do.
pub(super) enum Command {
    One(Box<Transaction>, Answer<Result<Committed, TransactError>>),
    Many(Vec<Transaction>, Answer<Many>),
    Cursor(Cursor, Answer<Result<(), StorageError>>),
    /// Go on with another ledger's history: the lines of entries and cursors that follow.
    History(Vec<String>, Answer<Result<(), StorageError>>),
    Close(Answer<()>),
}

pub(super) type Answer<T> = oneshot::Sender<T>;
pub(super) type Many = Result<Vec<Result<Committed, Refusal>>, StorageError>;

/// What a command was answered, before it is told.
pub(super) enum Given {
    One(Result<Committed, TransactError>),
    Many(Vec<Result<Committed, Refusal>>),
    History(Result<(), StorageError>),
    Nothing,
}

/// Commands that share one commit.
const GROUP: usize = 256;

/// A command with those that wait behind it and share its commit; and the first that does not.
pub(super) fn gather(first: Command, commands: &mut mpsc::Receiver<Command>) -> (Vec<Command>, Option<Command>) {
    let mut group = vec![first];
    let next = gather_more(&mut group, commands);
    (group, next)
}

/// Adds what waits to a group; tells the first that does not share its commit.
pub(super) fn gather_more(group: &mut Vec<Command>, commands: &mut mpsc::Receiver<Command>) -> Option<Command> {
    let mut size: usize = group.iter().map(weight).sum();
    while size < GROUP {
        match commands.try_recv() {
            Ok(other @ (Command::Close(_) | Command::History(..))) => return Some(other),
            Ok(next) => {
                size += weight(&next);
                group.push(next);
            }
            Err(_) => break,
        }
    }
    None
}

fn weight(command: &Command) -> usize {
    match command {
        Command::One(..) | Command::Cursor(..) => 1,
        Command::Many(transactions, _) => transactions.len(),
        // A group of their own.
        Command::History(..) | Command::Close(_) => GROUP,
    }
}

/// Tells each command of a group what it was answered.
pub(super) fn answer(group: Vec<Command>, answers: Vec<Given>) {
    for (command, given) in group.into_iter().zip(answers) {
        // An error: the caller is gone. What was written stays written.
        match (command, given) {
            (Command::One(_, caller), Given::One(answer)) => drop(caller.send(answer)),
            (Command::Many(_, caller), Given::Many(answers)) => drop(caller.send(Ok(answers))),
            (Command::Cursor(_, caller), Given::Nothing) => drop(caller.send(Ok(()))),
            (Command::History(_, caller), Given::History(answer)) => drop(caller.send(answer)),
            _ => {}
        }
    }
}

/// Tells a group that none of it was done.
pub(super) fn refuse(group: Vec<Command>, why: &dyn Fn() -> StorageError) {
    for command in group {
        match command {
            Command::One(_, caller) => drop(caller.send(Err(why().into()))),
            Command::Many(_, caller) => drop(caller.send(Err(why()))),
            Command::Cursor(_, caller) | Command::History(_, caller) => drop(caller.send(Err(why()))),
            Command::Close(caller) => drop(caller.send(())),
        }
    }
}
