//! The peers: what a careful user would write on each engine, with the same rows, checks and durability.

pub mod append;
