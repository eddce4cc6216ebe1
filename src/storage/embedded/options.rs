//! How an embedded ledger is opened: for whom, how large, on which disk.

use std::sync::Arc;
use std::time::Duration;

use super::disk::Disk;
use super::segments::LARGEST_SEGMENT;
use crate::domain::DeviceName;

/// The size of a segment where nobody asks for another.
pub(super) const SEGMENT_BYTES: u64 = 8 << 20;

/// A segment that holds its header, what is set aside, and some commits.
pub(super) const SMALLEST_SEGMENT: u64 = 16 << 10;

/// What kind of machine the ledger lives on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// A till or kiosk: little memory, few orders at a time.
    #[default]
    Kiosk,
    /// A store's back end.
    Server,
}

/// How to open an embedded ledger.
#[derive(Clone)]
#[non_exhaustive]
pub struct EmbeddedOptions {
    /// The device that all entries bear.
    pub device: DeviceName,
    /// What kind of machine this is: sets what the other sizes are by default.
    pub profile: Profile,
    /// Memory for the index's pages, in bytes; `None`: 2 MiB on a kiosk, 256 MiB on a server. sled may take
    /// several times as much for a moment.
    pub cache_bytes: Option<u64>,
    /// The size of a journal segment, in bytes: taken on disk at once. 8 MiB unless set, at least 16 KiB and at most 1 GiB.
    pub segment_bytes: u64,
    /// How long to wait for another process to give the ledger back: a second unless set to more.
    pub lock_wait: Duration,
    pub(super) disk: Option<Arc<dyn Disk>>,
}

impl EmbeddedOptions {
    /// The defaults, for a device.
    #[must_use]
    pub fn new(device: DeviceName) -> EmbeddedOptions {
        let (cache_bytes, segment_bytes, lock_wait) = (None, SEGMENT_BYTES, Duration::ZERO);
        EmbeddedOptions { device, profile: Profile::Kiosk, cache_bytes, segment_bytes, lock_wait, disk: None }
    }

    /// Puts another disk under the journal: for tests of what disks can do.
    #[doc(hidden)]
    #[must_use]
    pub fn with_disk(mut self, disk: Arc<dyn Disk>) -> EmbeddedOptions {
        self.disk = Some(disk);
        self
    }

    pub(super) fn segment_bytes(&self) -> u64 {
        self.segment_bytes.clamp(SMALLEST_SEGMENT, LARGEST_SEGMENT)
    }

    pub(super) fn cache_bytes(&self) -> u64 {
        self.cache_bytes.unwrap_or(match self.profile {
            Profile::Kiosk => 2 << 20,
            Profile::Server => 256 << 20,
        })
    }

    /// Decoded records at hand, and bytes that may wait for the index.
    pub(super) fn memory(&self) -> (usize, usize) {
        match self.profile {
            Profile::Kiosk => (64, 1 << 20),
            Profile::Server => (8192, 256 << 20),
        }
    }
}
