//! A group decided: by the rules that every storage shares, on what was fetched.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::group::{Decided, Group, NotDecided, Room, unreadable};
use super::super::lines::Line;
use super::super::records::Records;
use super::super::{Committed, StorageError, TransactError, Transaction};
use super::change::Change;
use super::command::{Command, Given};
use super::fetched::{Fetched, Questions};
use crate::domain::decide::Refusal;
use crate::domain::{ChainHash, DeviceName, Entry, OrderId, OrderRecord};

/// What the commands of a group will surely ask.
pub(super) fn foreseen(group: &[Command]) -> Questions {
    let mut asked = Questions::default();
    for command in group {
        match command {
            Command::One(transaction, _) => asked.of(transaction),
            Command::Many(transactions, _) => transactions.iter().for_each(|transaction| asked.of(transaction)),
            Command::Cursor(cursor, _) => drop(asked.cursors.insert(cursor.name.clone())),
            Command::History(lines, _) => {
                let read = lines.iter().filter_map(|line| Line::read(line.as_bytes()).ok());
                asked.orders.extend(read.filter_map(|line| match line {
                    Line::Entry(entry) => Some(entry.order),
                    Line::Cursor(_) => None,
                }));
            }
            Command::Close(_) => {}
        }
    }
    asked
}

/// Decides every command in its turn.
///
/// # Errors
/// What makes the whole group void: something that was not fetched, or a decision that panicked. Those that follow are
/// asked all the same, for what they lack is fetched with the rest.
pub(super) fn decide(
    group: &mut [Command],
    fetched: &Fetched,
    device: &DeviceName,
    sequence: u64,
) -> Result<(Change, Vec<Given>), StorageError> {
    if let [Command::History(lines, _)] = group {
        return Ok((followed(lines, fetched, sequence)?, vec![Given::History(Ok(()))]));
    }
    let mut deciding = Group::new(fetched, device, sequence, Room::Free);
    let mut answers = Vec::with_capacity(group.len());
    let mut void = None;
    for command in group {
        let given = match command {
            Command::One(transaction, _) => decide_one(&mut deciding, transaction).map(Given::One),
            Command::Many(transactions, _) => decide_many(&mut deciding, transactions).map(Given::Many),
            Command::Cursor(cursor, _) => match deciding.put_cursor(cursor) {
                Ok(()) | Err(NotDecided::Refused(_) | NotDecided::NoRoom) => Ok(Given::Nothing),
                Err(NotDecided::Failed(error) | NotDecided::Unreadable(error)) => Err(error),
            },
            Command::History(..) | Command::Close(_) => Ok(Given::Nothing),
        };
        match given {
            Ok(given) => answers.push(given),
            Err(error) => void = void.or(Some(error)),
        }
    }
    match void {
        None => Ok((change(deciding.finish(), &answers), answers)),
        Some(error) => Err(error),
    }
}

fn decide_one(
    group: &mut Group<'_>,
    transaction: &mut Transaction,
) -> Result<Result<Committed, TransactError>, StorageError> {
    match group.decide(transaction) {
        Ok(committed) => Ok(Ok(committed)),
        Err(NotDecided::Refused(refusal)) => Ok(Err(refusal.into())),
        Err(NotDecided::Unreadable(error)) => Ok(Err(error.into())),
        Err(NotDecided::Failed(error)) => Err(error),
        Err(NotDecided::NoRoom) => Err(no_room()),
    }
}

fn decide_many(
    group: &mut Group<'_>,
    transactions: &mut [Transaction],
) -> Result<Vec<Result<Committed, Refusal>>, StorageError> {
    let (mut answers, mut void) = (Vec::with_capacity(transactions.len()), None);
    for transaction in transactions {
        match group.decide(transaction) {
            Ok(committed) => answers.push(Ok(committed)),
            Err(NotDecided::Refused(refusal)) => answers.push(Err(refusal)),
            Err(NotDecided::Unreadable(error)) => answers.push(Err(unreadable(&transaction.order, &error))),
            Err(NotDecided::Failed(error)) => void = void.or(Some(error)),
            Err(NotDecided::NoRoom) => void = Some(no_room()),
        }
    }
    void.map_or(Ok(answers), Err)
}

/// Room is set aside on disks of our own only.
fn no_room() -> StorageError {
    StorageError::Poisoned { why: "a server was asked for room".to_owned() }
}

/// What a group that was decided changes.
fn change(decided: Decided, answers: &[Given]) -> Change {
    let sequence = decided.sequence;
    let (payload, records) = decided.into_rows();
    let lines = payload.entries.iter().map(|entry| payload.bytes[entry.from..entry.from + entry.length].to_vec());
    let entries = entries(answers).cloned().zip(lines).collect();
    Change { sequence, entries, records, cursors: payload.cursors }
}

/// All entries of a group, in the order of their sequences.
fn entries(answers: &[Given]) -> impl Iterator<Item = &Arc<Entry>> {
    let committed = answers.iter().flat_map(|given| -> Box<dyn Iterator<Item = &Committed>> {
        match given {
            Given::One(answer) => Box::new(answer.iter()),
            Given::Many(answers) => Box::new(answers.iter().flatten()),
            Given::History(_) | Given::Nothing => Box::new(std::iter::empty()),
        }
    });
    committed.flat_map(|committed| &committed.entries)
}

/// What another ledger's history changes that goes on where this one ends.
fn followed(lines: &[String], fetched: &Fetched, sequence: u64) -> Result<Change, StorageError> {
    let mut change = Change { sequence, ..Change::default() };
    let mut records: BTreeMap<OrderId, Arc<OrderRecord>> = BTreeMap::new();
    for (number, line) in (1..).zip(lines) {
        let bad = |why: String| StorageError::BadExport { line: number, why };
        let entry = match Line::read(line.as_bytes()).map_err(|error| bad(error.to_string()))? {
            Line::Cursor(cursor) => {
                change.cursors.push(cursor);
                continue;
            }
            Line::Entry(entry) => *entry,
        };
        if entry.sequence != change.sequence + 1 {
            return Err(bad(format!("event {} follows event {}", entry.sequence, change.sequence)));
        }
        let before = match records.get(&entry.order) {
            Some(record) => Some(Arc::clone(record)),
            None => fetched.record(&entry.order)?,
        };
        let head = before.as_ref().map_or(ChainHash::START, |record| record.head).next(line.as_bytes());
        let record = OrderRecord::apply(before.as_deref().cloned(), &entry, head)?;
        records.insert(entry.order.clone(), Arc::new(record));
        change.sequence = entry.sequence;
        change.entries.push((Arc::new(entry), line.clone().into_bytes()));
    }
    change.records = records.into_values().collect();
    Ok(change)
}
