//! The storages: the conformance suite over all of them, wrong ones that it must catch, then what only the embedded
//! one can do.

mod backup;
mod beside;
mod bodies;
mod check;
mod compact;
mod conformance;
mod damage;
mod disk;
mod export;
mod faulty;
pub(crate) mod fixture;
mod kill;
mod reopen;
mod tail;
mod verify;
mod wrong;
