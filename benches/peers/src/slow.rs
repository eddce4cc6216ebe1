//! A disk that is slower by 2 ms per sync: a small library before the C library, for children alone.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The library, built.
pub struct Slow {
    library: PathBuf,
}

impl Slow {
    /// Builds it in a directory.
    ///
    /// # Errors
    /// What is skipped without it, and how to get it.
    pub fn build(directory: &Path) -> Result<Slow, String> {
        let missing = |why: String| {
            format!(
                "all work on the slow disk was skipped: its library needs a C compiler named `cc` ({why}); \
                 on Debian or Ubuntu: apt install gcc libc6-dev"
            )
        };
        let (source, library) = (directory.join("slow.c"), directory.join("slow.so"));
        std::fs::write(&source, include_str!("slow/slow.c")).map_err(|error| missing(error.to_string()))?;
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).arg("-ldl");
        let built = compiler.output().map_err(|error| missing(error.to_string()))?;
        if !built.status.success() {
            return Err(missing(String::from_utf8_lossy(&built.stderr).into_owned()));
        }
        Ok(Slow { library })
    }

    pub fn library(&self) -> &Path {
        &self.library
    }
}
