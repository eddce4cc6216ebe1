//! Generates the typed clients from `specs/`: check every spec, generate those whose feature is on, write to `OUT_DIR`.
//!
//! `TILLBOOK_SPECS_DIR` (absolute) names a directory whose files replace ours one by one. Faults are printed all at
//! once as `file:line:column: message`, so that cargo shows them and nothing else. The parts are in `build/`:
//! `yaml.rs` reads, `lint.rs` checks, `generate.rs` writes; `required*.rs` say what the adapters need.

#[path = "build/docs.rs"]
mod docs;
#[path = "build/generate.rs"]
mod generate;
#[path = "build/keys.rs"]
mod keys;
#[path = "build/lint.rs"]
mod lint;
#[path = "build/lint_schema.rs"]
mod lint_schema;
#[path = "build/open_enum.rs"]
mod open_enum;
#[path = "build/required.rs"]
mod required;
#[path = "build/required_hydrogen.rs"]
mod required_hydrogen;
#[path = "build/required_table.rs"]
mod required_table;
#[path = "build/required_trade_order.rs"]
mod required_trade_order;
#[path = "build/yaml.rs"]
mod yaml;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

const SPECS: [&str; 3] = ["fubei", "trade_order", "hydrogen"];
const OVERRIDE: &str = "TILLBOOK_SPECS_DIR";

fn main() {
    let errors = match run() {
        Ok(()) => return,
        Err(errors) => errors,
    };
    // cargo fails the build on these lines and prints them alone; a panic or an exit code would bury them.
    for error in errors {
        write_line(&format!("cargo::error={error}"));
    }
}

fn run() -> Result<(), Vec<String>> {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    let ours = root.join("specs");
    write_line("cargo::rerun-if-changed=build.rs");
    write_line("cargo::rerun-if-changed=build");
    write_line("cargo::rerun-if-changed=specs");
    write_line(&format!("cargo::rerun-if-env-changed={OVERRIDE}"));
    let theirs = override_directory()?;
    if let Some(directory) = &theirs {
        // The directory, not the files in it: a file that does not exist would rebuild every time.
        write_line(&format!("cargo::rerun-if-changed={}", directory.display()));
    }
    if let Ok(this) = env::current_exe() {
        // Lets the tests run this very program over edited specs.
        write_line(&format!("cargo::rustc-env=TILLBOOK_BUILD_SCRIPT={}", this.display()));
    }

    let mut errors = Vec::new();
    for name in SPECS {
        let file = spec_file(name, &ours, theirs.as_deref());
        if let Err(found) = build(name, &file, &out_dir) {
            errors.extend(found);
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// The consumer's directory, if one is set.
fn override_directory() -> Result<Option<PathBuf>, Vec<String>> {
    let Some(value) = env::var_os(OVERRIDE) else {
        return Ok(None);
    };
    let directory = PathBuf::from(value);
    // A build script runs in its package's directory: a relative path would silently mean "not there, use ours".
    if !directory.is_absolute() {
        return Err(vec![format!(
            "{OVERRIDE} must be an absolute path, found `{}` (in .cargo/config.toml: {{ value = \"specs\", relative = true }})",
            directory.display()
        )]);
    }
    if !directory.is_dir() {
        return Err(vec![format!("{OVERRIDE} names `{}`, which is not a directory", directory.display())]);
    }
    Ok(Some(directory))
}

fn spec_file(name: &str, ours: &Path, theirs: Option<&Path>) -> PathBuf {
    let file = format!("{name}.yaml");
    theirs.map(|directory| directory.join(&file)).filter(|path| path.exists()).unwrap_or_else(|| ours.join(&file))
}

fn build(name: &str, file: &Path, out_dir: &Path) -> Result<(), Vec<String>> {
    let text =
        fs::read_to_string(file).map_err(|error| vec![format!("{}: cannot be read: {error}", file.display())])?;
    let placed = |faults: Vec<yaml::Fault>| -> Vec<String> {
        faults.iter().map(|fault| format!("{}:{fault}", file.display())).collect()
    };
    let document = yaml::load(&text).map_err(placed)?;
    let faults = lint::check(name, &document);
    if !faults.is_empty() {
        return Err(placed(faults));
    }
    // Every spec is checked, but only what is asked for is generated and compiled.
    if env::var_os(format!("CARGO_FEATURE_{}", name.to_ascii_uppercase())).is_none() {
        return Ok(());
    }
    let code = generate::generate(name, &document).map_err(placed)?;
    let path = out_dir.join(format!("{name}.rs"));
    fs::write(&path, code).map_err(|error| vec![format!("{}: cannot be written: {error}", path.display())])
}

fn variable(name: &str) -> Result<String, Vec<String>> {
    env::var(name).map_err(|_| vec![format!("{name} is not set: this program is run by cargo")])
}

/// Cargo reads a build script's standard output.
#[allow(clippy::print_stdout)]
fn write_line(line: &str) {
    println!("{line}");
}
