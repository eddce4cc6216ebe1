//! What a child did to its ledger's files, in order, as `tests/power-cut/trace.c` wrote it down.

use std::path::{Path, PathBuf};

/// One operation. Paths are relative to the directory that was watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Created {
        inode: u64,
        path: PathBuf,
    },
    MadeDirectory {
        path: PathBuf,
    },
    Unlinked {
        path: PathBuf,
    },
    Renamed {
        from: PathBuf,
        to: PathBuf,
    },
    Wrote {
        inode: u64,
        offset: usize,
        bytes: Vec<u8>,
    },
    SetLength {
        inode: u64,
        length: usize,
    },
    /// A file's fsync or fdatasync came back; the file was so long.
    Synced {
        inode: u64,
        length: usize,
    },
    /// A directory's fsync came back.
    SyncedEntries {
        path: PathBuf,
    },
    /// `sync_file_range` came back, which makes nothing durable.
    SyncedRange,
    /// The process printed this.
    Said(String),
}

/// All operations of a trace that was made under `under`.
pub(super) fn read(trace: &Path, under: &Path) -> Vec<Operation> {
    let bytes = std::fs::read(trace).expect("the child was traced");
    let mut rest = bytes.as_slice();
    let mut operations = Vec::new();
    // A kill comes between two records, never within one: the one who writes them kills.
    while let Some((&what, after)) = rest.split_first() {
        let number = |length: usize, at: usize| {
            let mut bytes = [0; 8];
            bytes[..length].copy_from_slice(&after[at..at + length]);
            u64::from_le_bytes(bytes)
        };
        let (inode, offset) = (number(8, 0), number(8, 8));
        let (path, bytes) = (number(4, 16), number(4, 20));
        let [offset, path, bytes] = [offset, path, bytes].map(|size| usize::try_from(size).expect("64 bits"));
        let (path, after) = after[24..].split_at(path);
        let (bytes, after) = after.split_at(bytes);
        rest = after;
        let relative = |path: &[u8]| {
            let path = PathBuf::from(String::from_utf8(path.to_vec()).expect("a path of ours"));
            path.strip_prefix(under).expect("only what lies there is written down").to_owned()
        };
        operations.push(match what {
            b'c' => Operation::Created { inode, path: relative(path) },
            b'd' => Operation::MadeDirectory { path: relative(path) },
            b'u' => Operation::Unlinked { path: relative(path) },
            b'r' => Operation::Renamed { from: relative(path), to: relative(bytes) },
            b'w' => Operation::Wrote { inode, offset, bytes: bytes.to_vec() },
            b'l' => Operation::SetLength { inode, length: offset },
            b's' => Operation::Synced { inode, length: offset },
            b'e' => Operation::SyncedEntries { path: relative(path) },
            b'f' => Operation::SyncedRange,
            b'a' => Operation::Said(String::from_utf8_lossy(bytes).into_owned()),
            b'm' => panic!("a file was mapped for writing: what is written so is not in the trace"),
            other => panic!("no such operation: {other}"),
        });
    }
    operations
}
