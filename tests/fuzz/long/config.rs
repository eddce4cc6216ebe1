#![no_main]
#![allow(dead_code, reason = "one of the bodies is run")]

#[path = "../bodies/mod.rs"]
mod bodies;
#[path = "../cli.rs"]
mod cli;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::config::body(bytes));
