//! What several tests share.

pub(crate) mod clock;
pub(crate) mod crash;
pub(crate) mod desk;
pub(crate) mod forward_gateway;
pub(crate) mod forward_storage;
pub(crate) mod gateways;
pub(crate) mod kill;
pub(crate) mod life;
pub(crate) mod lister;
pub(crate) mod outside;
pub(crate) mod program;
pub(crate) mod runner;
pub(crate) mod shop;
#[cfg(unix)]
pub(crate) mod till;

/// Says something that is seen although the test passes: what was counted, or measured.
pub(crate) fn say(words: &str) {
    use std::io::Write;
    writeln!(std::io::stderr(), "{words}").expect("stderr is open");
}
