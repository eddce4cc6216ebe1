//! What a check answers with.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{ChainHash, OrderId};
use crate::storage::place::Link;
use crate::storage::{Head, StateHash};

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// How many orders were recomputed from their events.
    pub orders: u64,
    /// How many refunds they have.
    pub refunds: u64,
    /// How many events were read.
    pub events: u64,
    /// Up to this event, all were read, and each follows from those before it.
    pub good_through: u64,
    /// The journal's own head; `None` where there is no journal, or no event in it.
    pub journal: Option<JournalHead>,
    /// What [`Storage::state_hash`](crate::storage::Storage::state_hash) is by the events; `None` where some are lost.
    pub state: Option<StateHash>,
    /// Where each order's chain stands, as far as it can be told.
    pub heads: BTreeMap<OrderId, Head>,
    /// Orders whose last event that is known comes before damage in which events of theirs may have been lost.
    pub doubtful: Vec<OrderId>,
    /// What was not looked at, and what else is worth knowing and no difference.
    pub notes: Vec<String>,
    /// Each difference, in words, with order, sequence and file position where there is one.
    pub differences: Vec<Difference>,
}

/// The last frame of a journal that holds an event or a cursor. Its hash covers every frame before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalHead {
    /// The id of the ledger whose journal it is, in hex: a backup has the same, an import another.
    pub ledger: String,
    /// The frame's number, from 1.
    pub frame: u64,
    /// Its hash, in hex.
    pub hash: String,
}

impl JournalHead {
    pub(crate) fn of(frame: u64, link: Link) -> JournalHead {
        JournalHead { ledger: hex(&link.ledger), frame, hash: hex(&link.hash) }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A difference between what is kept and what the events say, or in the events themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The order, where it is about one.
    pub order: Option<OrderId>,
    /// The event's sequence, where it is about one.
    pub sequence: Option<u64>,
    /// File and byte, where it is about one.
    pub position: Option<String>,
    /// What was found.
    pub what: String,
    /// How money can be affected; `None`: it cannot.
    pub money: Option<String>,
    /// What to do.
    pub advice: &'static str,
}

/// What to do about events that are lost or not those that were written.
pub(super) const RESTORE: &str = "stop refunding from this ledger, copy its directory away and look at the disk; then \
                                  restore the newest backup and adopt it";

/// What to do about an index that differs.
pub(crate) const REBUILD: &str = "close the ledger and delete its index to rebuild it";

/// What to do about a history that is not the one that was noted.
pub(super) const COMPARE: &str = "stop refunding from this ledger, copy its directory away, find out who changed it, \
                                  and restore a backup that holds what was noted";

/// Where the chains of a history stood when somebody noted it elsewhere: written by `tillbook verify --heads --json`,
/// and compared by `--against`. Who rewrites a whole journal can make all its own hashes right, but not these.
///
/// Read for ever; what else the document holds is passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// The journal's own head.
    #[serde(default)]
    pub journal: Option<JournalHead>,
    /// Each order's.
    #[serde(with = "listed")]
    pub heads: BTreeMap<OrderId, Head>,
}

impl From<&CheckReport> for Noted {
    fn from(report: &CheckReport) -> Noted {
        Noted { journal: report.journal.clone(), heads: report.heads.clone() }
    }
}

/// Heads as a list: `{"order":..,"version":..,"hash":..}`.
mod listed {
    use serde::{Deserializer, Serializer};

    use super::{BTreeMap, ChainHash, Deserialize, Head, OrderId, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Row {
        order: OrderId,
        version: u64,
        hash: ChainHash,
    }

    pub(super) fn serialize<S: Serializer>(heads: &BTreeMap<OrderId, Head>, to: S) -> Result<S::Ok, S::Error> {
        let row =
            |(order, head): (&OrderId, &Head)| Row { order: order.clone(), version: head.version, hash: head.hash };
        to.collect_seq(heads.iter().map(row))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<OrderId, Head>, D::Error> {
        let rows = Vec::<Row>::deserialize(from)?;
        Ok(rows.into_iter().map(|row| (row.order, Head { version: row.version, hash: row.hash })).collect())
    }
}
