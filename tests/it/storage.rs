//! The storages: one suite over all of them, then what only the embedded one can do.

mod damage;
mod disk;
mod fixture;
mod reopen;
mod suite;
