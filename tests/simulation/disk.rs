//! A disk that loses power: it remembers what no sync covered, and at a crash keeps, drops, reorders or tears it.
//!
//! What a file shows is its page cache; what a power cut leaves is what the last successful sync covered, and of
//! everything after that any sectors, each by itself. A file whose name no sync of the list covered may be gone. After a
//! failed sync nobody knows: what it should have covered may or may not be on disk, and no later sync covers it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use tillbook::storage::embedded::disk::{Access, Disk, SegmentFile};

use crate::dice::Dice;
use crate::life::{Fate, Life};

/// What is written whole or not at all.
const SECTOR: usize = 512;

/// The disk of one device; it outlives processes and power cuts.
#[derive(Clone)]
pub(crate) struct SimDisk(Arc<Mutex<Platter>>);

struct Platter {
    files: BTreeMap<String, File>,
    dice: Dice,
    /// What goes wrong next, beside crashes.
    trouble: Option<Trouble>,
    /// How many bytes all files may have.
    room: Option<u64>,
    used: u64,
}

#[derive(Default)]
struct File {
    /// What the last sync covered.
    durable: Vec<u8>,
    /// What the page cache shows.
    shown: Vec<u8>,
    /// What was done since the last sync, in order.
    pending: Vec<Pending>,
    /// Its name survives.
    listed: bool,
    /// A sync failed: what is shown may be what is not on disk, until the cache lets go of it.
    doubtful: bool,
}

#[derive(Clone)]
enum Pending {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

/// What a disk does wrong without a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// A write stops in its middle.
    Write,
    /// A sync fails.
    Sync,
    /// A read fails.
    Read,
}

/// What a crash leaves of what no sync covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Everything: the process died, the machine did not.
    Nothing,
    /// Nothing of it is left.
    All,
    /// Any sectors of it are.
    Some,
}

impl Pending {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Pending::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if to.len() < end {
                    to.resize(end, 0);
                }
                to[*offset..end].copy_from_slice(bytes);
            }
            Pending::Length(length) => to.resize(*length, 0),
        }
    }

    /// The same in parts that are on disk or not, each by itself.
    fn sectors(&self) -> Vec<Pending> {
        let Pending::Write { offset, bytes } = self else { return vec![self.clone()] };
        let (mut parts, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let end = bytes.len().min(at + SECTOR - (offset + at) % SECTOR);
            parts.push(Pending::Write { offset: offset + at, bytes: bytes[at..end].to_vec() });
            at = end;
        }
        parts
    }
}

impl SimDisk {
    pub(crate) fn new(dice: Dice) -> SimDisk {
        let files = BTreeMap::new();
        SimDisk(Arc::new(Mutex::new(Platter { files, dice, trouble: None, room: None, used: 0 })))
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().expect("nothing panics with the platter in hand")
    }

    /// The disk as one process sees it.
    pub(crate) fn seen_by(&self, life: &Arc<Life>) -> Arc<dyn Disk> {
        Arc::new(Session { disk: self.clone(), life: life.clone() })
    }

    /// Lets something go wrong at the next such step.
    pub(crate) fn trouble(&self, trouble: Option<Trouble>) {
        self.platter().trouble = trouble;
    }

    /// Leaves room for so many more bytes.
    pub(crate) fn room(&self, more: Option<u64>) {
        let mut platter = self.platter();
        platter.room = more.map(|more| platter.used + more);
    }

    /// What is left after a crash.
    pub(crate) fn crash(&self, cut: Cut) {
        let Platter { files, dice, .. } = &mut *self.platter();
        if cut == Cut::Nothing {
            for file in files.values_mut().filter(|file| file.doubtful && dice.chance(1, 2)) {
                file.shown = file.durable.clone();
                file.pending.iter().for_each(|pending| pending.apply(&mut file.shown));
            }
            return;
        }
        files.retain(|_, file| file.listed || (cut == Cut::Some && dice.chance(1, 2)));
        for file in files.values_mut() {
            let pending = std::mem::take(&mut file.pending);
            if cut == Cut::Some {
                for part in pending.iter().flat_map(Pending::sectors).filter(|_| dice.chance(1, 2)) {
                    part.apply(&mut file.durable);
                }
            }
            (file.shown, file.listed, file.doubtful) = (file.durable.clone(), true, false);
        }
    }
}

/// The disk in the hands of a process.
struct Session {
    disk: SimDisk,
    life: Arc<Life>,
}

/// One file in the hands of a process.
struct Handle {
    disk: SimDisk,
    life: Arc<Life>,
    name: String,
}

fn dead() -> io::Error {
    io::Error::other("the process is dead")
}

fn failed(what: &str) -> io::Error {
    io::Error::other(format!("{what} failed by the simulation"))
}

/// Does a step of a process: wholly, not at all, or in part. Whoever dies in it gets an error, which nobody hears.
fn step<T>(life: &Life, name: &str, whole: impl FnOnce() -> io::Result<T>, part: impl FnOnce()) -> io::Result<T> {
    match life.step(name) {
        Fate::GoOn => whole(),
        Fate::Before => Err(dead()),
        Fate::Torn => {
            part();
            Err(dead())
        }
        Fate::After => whole().and_then(|_| Err(dead())),
    }
}

impl Disk for Session {
    fn list(&self) -> io::Result<Vec<String>> {
        self.life.alive().then(|| self.disk.platter().files.keys().cloned().collect()).ok_or_else(dead)
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn SegmentFile>> {
        if !self.life.alive() {
            return Err(dead());
        }
        let there = self.disk.platter().files.contains_key(name);
        match (there, access) {
            (true, _) => {}
            (false, Access::Create) => {
                let make = || {
                    self.disk.platter().files.insert(name.to_owned(), File::default());
                    Ok(())
                };
                step(&self.life, "create", make, || ())?;
            }
            (false, Access::Read | Access::Write) => return Err(io::ErrorKind::NotFound.into()),
        }
        Ok(Arc::new(Handle { disk: self.disk.clone(), life: self.life.clone(), name: name.to_owned() }))
    }

    fn sync_list(&self) -> io::Result<()> {
        let all = || {
            self.disk.platter().files.values_mut().for_each(|file| file.listed = true);
            Ok(())
        };
        step(&self.life, "sync list", all, || ())
    }
}

impl Handle {
    fn with<T>(&self, change: impl FnOnce(&mut Platter, &str) -> T) -> T {
        change(&mut self.disk.platter(), &self.name)
    }

    fn change(&self, pending: Pending) {
        self.with(|platter, name| {
            let file = platter.files.entry(name.to_owned()).or_default();
            let before = file.shown.len();
            pending.apply(&mut file.shown);
            let after = file.shown.len();
            file.pending.push(pending);
            platter.used = (platter.used + after as u64).saturating_sub(before as u64);
        });
    }

    /// Whether that trouble is due; it strikes once.
    fn strikes(&self, trouble: Trouble) -> bool {
        let due = self.with(|platter, _| platter.trouble.take_if(|next| *next == trouble).is_some());
        if due {
            self.life.note(&format!("trouble {trouble:?}"));
        }
        due
    }
}

impl SegmentFile for Handle {
    fn length(&self) -> io::Result<u64> {
        if !self.life.alive() {
            return Err(dead());
        }
        Ok(self.with(|platter, name| platter.files.get(name).map_or(0, |file| file.shown.len() as u64)))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if !self.life.alive() {
            return Err(dead());
        }
        if self.strikes(Trouble::Read) {
            return Err(failed("a read"));
        }
        let offset = usize::try_from(offset).expect("small files");
        self.with(|platter, name| {
            let shown = platter.files.get(name).map_or(&[][..], |file| &file.shown);
            let rest = shown.get(offset..).unwrap_or_default();
            let length = rest.len().min(buffer.len());
            buffer[..length].copy_from_slice(&rest[..length]);
            Ok(length)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).expect("small files");
        let write = |length: usize| self.change(Pending::Write { offset, bytes: bytes[..length].to_vec() });
        let whole = || {
            if self.strikes(Trouble::Write) {
                write(bytes.len() / 2);
                return Err(failed("a write"));
            }
            write(bytes.len());
            Ok(())
        };
        step(&self.life, "write", whole, || write(bytes.len() / 2))
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let wanted = usize::try_from(length).expect("small files");
        let whole = || {
            let had = self.length()?;
            let full = self
                .with(|platter, _| platter.room.is_some_and(|room| platter.used + length.saturating_sub(had) > room));
            if full {
                self.life.note("disk full");
                return Err(io::ErrorKind::StorageFull.into());
            }
            if had < length {
                self.change(Pending::Length(wanted));
            }
            Ok(())
        };
        step(&self.life, "allocate", whole, || self.change(Pending::Length(wanted / 2)))
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).expect("small files");
        let whole = || {
            self.change(Pending::Length(length));
            Ok(())
        };
        step(&self.life, "truncate", whole, || ())
    }

    fn sync(&self) -> io::Result<()> {
        let fails = || self.strikes(Trouble::Sync);
        let sync = |whole: bool| {
            self.with(|platter, name| {
                let Some(file) = platter.files.get_mut(name) else { return };
                file.doubtful |= !whole;
                for part in std::mem::take(&mut file.pending).iter().flat_map(Pending::sectors) {
                    if whole || platter.dice.chance(1, 2) {
                        part.apply(&mut file.durable);
                    }
                }
            });
        };
        let whole = || {
            if fails() {
                sync(false);
                return Err(failed("a sync"));
            }
            sync(true);
            Ok(())
        };
        // Of a sync that the power ends, what was reached is there; the rest is as pending as before.
        step(&self.life, "sync", whole, || ())
    }
}
