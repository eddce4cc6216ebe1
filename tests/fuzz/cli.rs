//! The configuration's own source, read anew here: it belongs to the command, which is no library.

#![allow(dead_code, unused_imports, reason = "of the command's modules only the configuration is used")]

#[path = "../../src/cli/config/mod.rs"]
pub(crate) mod config;
#[path = "../../src/cli/duration.rs"]
mod duration;
#[path = "../../src/cli/exit.rs"]
pub(crate) mod exit;
#[path = "../../src/cli/failures.rs"]
mod failures;
#[path = "../../src/cli/place.rs"]
pub(crate) mod place;
