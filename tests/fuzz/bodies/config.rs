//! A configuration of any bytes is read, or refused with file and line.

use std::path::Path;

use super::Memory;
use crate::cli::config::Config;
use crate::cli::place::Place;

/// What a file may cost.
pub(crate) const MEMORY: Memory = Memory { fixed_bytes: 1 << 20, bytes_each: 200 };

pub(crate) fn body(bytes: &[u8]) {
    // What is no text is refused before it is parsed.
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Config::parse(Path::new("etc/tillbook.toml"), text) {
        Ok(config) => {
            if let Place::Directory(directory) = &config.data {
                assert!(directory.starts_with("etc") || directory.is_absolute());
            }
            let _ = format!("{config:?}");
        }
        Err(failure) => {
            let said = failure.error_json();
            assert_eq!(said["file"], "etc/tillbook.toml");
            let line = said["line"].as_u64().expect("a fault has its line");
            assert!((1..=text.lines().count() as u64 + 1).contains(&line), "line {line}");
        }
    }
}
