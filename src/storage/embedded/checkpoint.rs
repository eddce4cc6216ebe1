//! A checkpoint: which index is on disk, and how far.

use serde::{Deserialize, Serialize};

use super::index::Progress;
use super::os;
use super::tree::Tree;
use crate::storage::index::INDEX_FORMAT;

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
    /// How many refunds were being sent, where it is clean: the next session keeps room for their outcomes.
    #[serde(default)]
    pub(super) sending: u64,
    /// The index was closed and synced before this was written, and nothing touched it since.
    pub(super) clean: bool,
}

impl Checkpoint {
    /// What to say of an index that was synced just now.
    pub(super) fn of(tree: &Tree, progress: Progress, clean: bool) -> Checkpoint {
        let Progress { through, sequence } = progress;
        let (generation, format, identity) = (tree.generation, INDEX_FORMAT, tree.identity());
        Checkpoint { generation, format, through, sequence, boot: os::boot(), identity, sending: 0, clean }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and texts written to memory")
    }

    pub(super) fn decode(payload: &[u8]) -> Option<Checkpoint> {
        serde_json::from_slice(payload).ok()
    }
}
