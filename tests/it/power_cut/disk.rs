//! What a disk may hold after a power cut: what a sync covered, and of all else what chance kept.
//!
//! A file's bytes and length last by its fsync or fdatasync, its name by an fsync of its directory, nothing by
//! `sync_file_range`. Of what was not synced each 512-byte sector survives by itself; of changed names any may.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tillbook::Timestamp;

use super::trace::Operation;
use crate::support::kill::Random;

const SECTOR: usize = 512;

/// Whose syncs count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Honest {
    Always,
    /// The disk lies about the journal's segments: for proof that the test would notice.
    ButForTheJournal,
}

#[derive(Clone)]
pub(super) struct Disk {
    pub(super) honest: Honest,
    files: Vec<Contents>,
    by_inode: HashMap<u64, usize>,
    /// Names as the running process sees them, and as they are on disk.
    names: Names,
    durable: Names,
    /// Changes of names that no sync covered, in order.
    pending: Vec<Change>,
}

type Names = BTreeMap<PathBuf, Node>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Directory,
    File(usize),
}

/// A change of one directory.
#[derive(Clone, Debug)]
enum Change {
    Made(PathBuf, Node),
    Gone(PathBuf),
    Renamed { from: PathBuf, to: PathBuf, node: Node },
}

/// A file: its synced bytes, and what was done to it since.
#[derive(Clone, Debug)]
struct Contents {
    inode: u64,
    is_journal: bool,
    synced: Vec<u8>,
    pending: Vec<Edit>,
}

#[derive(Clone, Debug)]
enum Edit {
    Wrote { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

/// What of the unsynced survives a cut.
pub(super) enum Luck<'a> {
    /// Nothing.
    None,
    /// Everything: what the process itself saw.
    Whole,
    /// What chance says.
    Random(&'a mut Random),
}

impl Disk {
    /// The disk as a directory shows it, all of it synced long ago.
    pub(super) fn of(directory: &Path) -> Disk {
        let (files, by_inode) = (Vec::new(), HashMap::new());
        let (honest, names, durable) = (Honest::Always, Names::new(), Names::new());
        let mut disk = Disk { honest, files, by_inode, names, durable, pending: Vec::new() };
        let mut todo = vec![directory.to_owned()];
        while let Some(at) = todo.pop() {
            for entry in fs::read_dir(at).expect("readable") {
                let path = entry.expect("readable").path();
                let name = path.strip_prefix(directory).expect("below").to_owned();
                let node = if path.is_dir() {
                    todo.push(path);
                    Node::Directory
                } else {
                    let inode = fs::metadata(&path).expect("there").ino();
                    disk.new_file(inode, &name, fs::read(&path).expect("readable"))
                };
                disk.names.insert(name, node);
            }
        }
        disk.durable = disk.names.clone();
        disk
    }

    fn new_file(&mut self, inode: u64, name: &Path, synced: Vec<u8>) -> Node {
        let is_journal = name.extension().is_some_and(|extension| extension == "tbj");
        self.files.push(Contents { inode, is_journal, synced, pending: Vec::new() });
        self.by_inode.insert(inode, self.files.len() - 1);
        Node::File(self.files.len() - 1)
    }

    fn file(&mut self, inode: u64) -> &mut Contents {
        let file = *self.by_inode.get(&inode).expect("only files that were seen to be made are written");
        &mut self.files[file]
    }

    pub(super) fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Created { inode, path } => {
                let node = self.new_file(*inode, path, Vec::new());
                self.change(Change::Made(path.clone(), node));
            }
            Operation::MadeDirectory { path } => self.change(Change::Made(path.clone(), Node::Directory)),
            Operation::Unlinked { path } => self.change(Change::Gone(path.clone())),
            Operation::Renamed { from, to } => {
                let node = *self.names.get(from).expect("it was there");
                assert!(matches!(node, Node::File(_)) && from.parent() == to.parent(), "a file, within its directory");
                self.change(Change::Renamed { from: from.clone(), to: to.clone(), node });
            }
            Operation::Wrote { inode, offset, bytes } => {
                let (offset, bytes) = (*offset, bytes.clone());
                self.file(*inode).pending.push(Edit::Wrote { offset, bytes });
            }
            Operation::SetLength { inode, length } => self.file(*inode).pending.push(Edit::Length(*length)),
            Operation::Synced { inode, length } => {
                let honest = self.honest;
                let file = self.file(*inode);
                // Room that a raw call took shows in the length alone.
                if file.length() != *length {
                    file.pending.push(Edit::Length(*length));
                }
                if honest == Honest::Always || !file.is_journal {
                    for edit in std::mem::take(&mut file.pending) {
                        edit.make(&mut file.synced);
                    }
                }
            }
            Operation::SyncedEntries { path } => {
                let (synced, pending) =
                    std::mem::take(&mut self.pending).into_iter().partition(|change: &Change| change.is_in(path));
                self.pending = pending;
                let synced: Vec<Change> = synced;
                synced.iter().for_each(|change| change.make(&mut self.durable));
            }
            Operation::SyncedRange | Operation::Said(_) => {}
        }
    }

    fn change(&mut self, change: Change) {
        change.make(&mut self.names);
        self.pending.push(change);
    }

    /// Whether a cut could take back names other than those of the index, which may.
    pub(super) fn has_names_at_stake(&self) -> bool {
        let is_index = |path: &Path| path.to_string_lossy().starts_with("index-");
        self.pending.iter().any(|change| !is_index(change.path()))
    }

    /// Writes into an empty directory what a cut now would leave.
    pub(super) fn write(&self, directory: &Path, mut luck: Luck<'_>) {
        for (name, node) in self.names_after(&mut luck) {
            let path = directory.join(&name);
            // What lies in a directory that was lost is lost.
            if !path.parent().is_some_and(Path::is_dir) {
                continue;
            }
            match node {
                Node::Directory => fs::create_dir(path).expect("made"),
                Node::File(file) => {
                    let file = &self.files[file];
                    fs::write(&path, file.after(&mut luck)).expect("written");
                    if name == Path::new("INSTANCE") {
                        move_in(&path, file.inode);
                    }
                }
            }
        }
    }

    fn names_after(&self, luck: &mut Luck<'_>) -> Names {
        let mut names = self.durable.clone();
        match luck {
            Luck::None => {}
            Luck::Whole => return self.names.clone(),
            Luck::Random(random) => {
                // A file system with a journal of its own keeps them in order; another may keep any.
                let in_order = random.below(2) == 0;
                let kept = usize::try_from(random.below(self.pending.len() as u64 + 1)).expect("an index");
                for (at, change) in self.pending.iter().enumerate() {
                    if if in_order { at < kept } else { random.below(2) == 0 } {
                        change.make(&mut names);
                    }
                }
            }
        }
        names
    }
}

impl Change {
    fn path(&self) -> &Path {
        let (Change::Made(path, _) | Change::Gone(path) | Change::Renamed { to: path, .. }) = self;
        path
    }

    fn is_in(&self, directory: &Path) -> bool {
        self.path().parent() == Some(directory)
    }

    fn make(&self, names: &mut Names) {
        match self {
            Change::Made(path, node) => {
                names.insert(path.clone(), *node);
            }
            Change::Gone(path) => names.retain(|name, _| !name.starts_with(path)),
            Change::Renamed { from, to, node } => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }
}

impl Contents {
    /// How long the running process sees it.
    fn length(&self) -> usize {
        self.pending.iter().fold(self.synced.len(), |length, edit| match edit {
            Edit::Wrote { offset, bytes } => length.max(offset + bytes.len()),
            Edit::Length(length) => *length,
        })
    }

    fn after(&self, luck: &mut Luck<'_>) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        match luck {
            Luck::None => {}
            Luck::Whole => self.pending.iter().for_each(|edit| edit.make(&mut bytes)),
            Luck::Random(random) => match random.below(4) {
                0 => {}
                1 => self.pending.iter().for_each(|edit| edit.make(&mut bytes)),
                // In order up to some sector, and nothing of the rest.
                2 => {
                    let sectors = self.sectors();
                    let kept = usize::try_from(random.below(sectors.len() as u64 + 1)).expect("an index");
                    sectors[..kept].iter().for_each(|edit| edit.make(&mut bytes));
                }
                _ => {
                    let odds = 1 + random.below(9);
                    for edit in self.sectors() {
                        if random.below(10) < odds {
                            edit.make(&mut bytes);
                        }
                    }
                }
            },
        }
        bytes
    }

    /// The pending edits, each write cut at the borders of sectors.
    fn sectors(&self) -> Vec<Edit> {
        let mut sectors = Vec::new();
        for edit in &self.pending {
            let Edit::Wrote { offset, bytes } = edit else {
                sectors.push(edit.clone());
                continue;
            };
            let (mut offset, mut rest) = (*offset, bytes.as_slice());
            while !rest.is_empty() {
                let (sector, after) = rest.split_at(rest.len().min(SECTOR - offset % SECTOR));
                sectors.push(Edit::Wrote { offset, bytes: sector.to_vec() });
                (offset, rest) = (offset + sector.len(), after);
            }
        }
        sectors
    }
}

impl Edit {
    fn make(&self, file: &mut Vec<u8>) {
        match self {
            Edit::Wrote { offset, bytes } => {
                file.resize(file.len().max(offset + bytes.len()), 0);
                file[*offset..offset + bytes.len()].copy_from_slice(bytes);
            }
            Edit::Length(length) => file.resize(*length, 0),
        }
    }
}

/// A file that says which inode it is means the one that it was: that it was rebuilt as another is this test's doing,
/// and not the cut's. What it says of anything else stays as it is.
fn move_in(path: &Path, inode: u64) {
    let bytes = fs::read(path).expect("readable");
    let Ok(mut written) = serde_json::from_slice::<Value>(&bytes) else { return };
    if written["place"]["inode"] != inode {
        return;
    }
    let metadata = File::open(path).and_then(|file| file.metadata()).expect("there");
    let born = metadata.created().ok().and_then(|born| jiff::Timestamp::try_from(born).ok()).map(Timestamp::from);
    written["place"]["inode"] = metadata.ino().into();
    written["place"]["born"] = serde_json::to_value(born).expect("a time");
    // In place: it stays the inode that it says.
    fs::write(path, serde_json::to_vec(&written).expect("JSON")).expect("written");
}
