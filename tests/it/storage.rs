//! The storages: one suite over all of them, then what only the embedded one can do.

mod backup;
mod beside;
mod bodies;
mod check;
mod compact;
mod damage;
mod disk;
mod export;
mod faulty;
pub(crate) mod fixture;
mod kill;
mod paging;
mod reopen;
mod suite;
mod tail;
mod verify;
