//! A checkpoint: which index is on disk, and how far.

use serde::{Deserialize, Serialize};

/// What a checkpoint frame says, as JSON. Read for ever; new fields are optional.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// The number in the name of the index's directory.
    pub(super) generation: u32,
    /// The index's format.
    pub(super) format: u32,
    /// The frame that it was brought up to, synced before this was written.
    pub(super) through: u64,
    /// The last sequence up to that frame.
    pub(super) sequence: u64,
    /// The boot in which this was written: within it, the page cache keeps what no sync covered.
    pub(super) boot: Option<String>,
    /// What tells the index from a copy of it.
    pub(super) identity: Option<String>,
    /// The index was closed and synced before this was written, and nothing touched it since.
    pub(super) clean: bool,
}

impl Checkpoint {
    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and texts written to memory")
    }

    pub(super) fn decode(payload: &[u8]) -> Option<Checkpoint> {
        serde_json::from_slice(payload).ok()
    }
}
