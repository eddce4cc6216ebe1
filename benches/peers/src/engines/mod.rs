//! The peers: what a careful user would write on each engine, with the same rows, checks and durability.

use std::path::Path;

use crate::contender::{Mode, Someone};
use crate::grouped;

pub mod append;
mod common;
mod fjall;
mod redb;
mod sled;
mod sqlite;

#[cfg(test)]
mod tests;

/// The peers that keep all that the ledger keeps.
pub const NAMES: [&str; 4] = ["sqlite", "redb", "fjall", "sled"];

/// Opens a peer by its name in a directory, or begins anew there; the floor is "append".
pub fn open(name: &str, directory: &Path, cache_bytes: u64, mode: Mode) -> Someone {
    match name {
        "append" => grouped::open::<append::Append>(directory, cache_bytes, mode),
        "sqlite" => grouped::open::<sqlite::Sqlite>(directory, cache_bytes, mode),
        "redb" => grouped::open::<redb::Redb>(directory, cache_bytes, mode),
        "fjall" => grouped::open::<fjall::Fjall>(directory, cache_bytes, mode),
        "sled" => grouped::open::<sled::Sled>(directory, cache_bytes, mode),
        other => panic!("no peer is called {other}"),
    }
}
