//! The command line: the real binary against a sandbox whose books are the judge.

mod bench;
mod bodies;
mod copies;
mod decode;
mod golden;
mod malformed;
mod owner;
mod queue;
mod refund;
#[cfg(unix)]
mod resolve;
#[cfg(unix)]
mod run;
mod shift;
mod specs;
