//! Programs that are not Rust's: where one is missing, the test says so by name and how to get it.

use std::io::Write;
use std::process::Command;

/// Runs a program; `None` where it is not installed.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

/// Says that a test was skipped, past the harness, which keeps what passing tests print.
pub(crate) fn skipped(test: &str, needs: &str, get: &str) {
    let line = format!("skipped: {test} needs {needs}, get it by: {get}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("stderr is open");
}
