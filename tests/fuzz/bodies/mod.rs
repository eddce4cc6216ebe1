//! What is fuzzed: plain functions of any bytes, which panic when something is wrong. The normal run
//! (`tests/fuzz/main.rs`) and cargo-fuzz (`tests/fuzz/long`) run the same ones.

/// How much memory one input may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) fixed_bytes: usize,
    /// And for each byte of the input.
    pub(crate) bytes_each: usize,
}

pub(crate) mod config;
pub(crate) mod journal;
#[cfg(unix)]
pub(crate) mod socket;
pub(crate) mod wire;
