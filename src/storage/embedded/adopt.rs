//! What is written beside groups of commands: the end of a quarantine, and the id of the instance.

use super::command::Many;
use super::instance::Instance;
use super::journal::words;
use super::writer::{Health, Writer};
use crate::storage::group::{Group, NotDecided, Room};
use crate::storage::lines::Cursor;
use crate::storage::lock::{reading, writing};
use crate::storage::{Adoption, StorageError, Transaction};

impl Writer {
    /// Ends the quarantine. The place is claimed last: a crash before that leaves the quarantine, and being
    /// adopted again does no harm.
    pub(super) fn adopt(&mut self, adoption: Adoption) -> Many {
        let Some(quarantine) = reading(&self.quarantine).clone() else { return Ok(Vec::new()) };
        let Adoption { mut transactions, cursor: (name, value) } = adoption;
        let instance = Instance::new(&quarantine.path);
        let answers = self.write_at_once(&mut transactions, &[Cursor { name, value }, cursor_of(&instance)])?;
        if answers.iter().any(Result::is_err) {
            return Ok(answers); // a defect: what is not in review must not be sent
        }
        let path = quarantine.path;
        instance.claim().map_err(|source| StorageError::Io { doing: "claim the place of", path, source })?;
        self.instance = Some(instance);
        *writing(&self.quarantine) = None;
        Ok(answers)
    }

    /// Takes nothing any more, for ever: the history goes on there. The same may be said again.
    pub(super) fn seal(&mut self, to: String) -> Result<(), StorageError> {
        if let Health::Sealed(before) = &self.health {
            return if *before == to { Ok(()) } else { Err(StorageError::Sealed { to: before.clone() }) };
        }
        if let Some(quarantine) = &*reading(&self.quarantine) {
            return Err(StorageError::Quarantined(quarantine.clone()));
        }
        self.write_at_once(&mut [], &[Cursor { name: Cursor::SEAL.to_owned(), value: to.clone() }])?;
        self.health = Health::Sealed(to);
        Ok(())
    }

    /// Keeps the instance's id in the journal. Where there is no room for it, the next open does.
    pub(super) fn note_instance(&mut self) -> Result<(), StorageError> {
        let Some(instance) = &self.instance else { return Ok(()) };
        if let Health::Sealed(_) = self.health {
            return Ok(()); // where it lies matters no more
        }
        match self.write_at_once(&mut [], &[cursor_of(instance)]) {
            Ok(_) | Err(StorageError::DiskFull { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Commands and cursors in one durable write, past the gate.
    fn write_at_once(&mut self, transactions: &mut [Transaction], cursors: &[Cursor]) -> Many {
        if let Some(error) = self.health.refusal() {
            return Err(error);
        }
        let mut group = Group::new(&*self.reader, &self.device, self.sequence, Room::Free);
        for cursor in cursors {
            group.put_cursor(cursor).map_err(|not| match not {
                NotDecided::Failed(error) | NotDecided::Unreadable(error) => error,
                NotDecided::NoRoom | NotDecided::Refused(_) => self.no_room(),
            })?;
        }
        let answers = self.decide_many(&mut group, transactions)??;
        let decided = group.finish();
        match self.append(decided) {
            Ok(()) => Ok(answers),
            Err(full @ StorageError::DiskFull { .. }) => Err(full),
            Err(error) => {
                self.poison(words(&error));
                Err(error)
            }
        }
    }
}

fn cursor_of(instance: &Instance) -> Cursor {
    Cursor { name: Cursor::INSTANCE.to_owned(), value: instance.id.clone() }
}
