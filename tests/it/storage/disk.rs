//! Disks that fail and fill up.
