//! The storages: one suite over all of them, then what only the embedded one can do.

mod beside;
mod check;
mod damage;
mod disk;
mod faulty;
mod fixture;
mod kill;
mod paging;
mod reopen;
mod suite;
