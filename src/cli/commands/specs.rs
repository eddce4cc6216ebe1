//! `specs`: write the specs for editing, check an edited one as the build would, show what it changes.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::cli::args::SpecsCommand;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::specs::{Change, Fault, SPECS, changes, check, read};

/// Runs one of them. None needs a ledger or a network.
pub(crate) fn run(output: Output, command: &SpecsCommand) -> Result<Exit, Failure> {
    match command {
        SpecsCommand::Export { directory, force } => export(output, directory, *force),
        SpecsCommand::Check { path } => check_all(output, path),
        SpecsCommand::Diff { directory } => diff(output, directory),
    }
}

fn export(output: Output, directory: &Path, force: bool) -> Result<Exit, Failure> {
    fs::create_dir_all(directory).map_err(|error| io("make", directory, &error))?;
    let files: Vec<(PathBuf, &str)> =
        SPECS.iter().map(|(name, text)| (directory.join(format!("{name}.yaml")), *text)).collect();
    // All are looked at before one is written: an export is whole or it is none.
    for (path, text) in files.iter().filter(|_| !force) {
        match fs::read(path) {
            Ok(there) if there == text.as_bytes() => {}
            Ok(_) => {
                let failure = Failure::new("io", format!("{} is there and differs", path.display()));
                return Err(failure.hint("--force overwrites it"));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(io("read", path, &error)),
        }
    }
    let mut written = Vec::new();
    for (path, text) in &files {
        fs::write(path, text).map_err(|error| io("write", path, &error))?;
        written.push(path.display().to_string());
    }
    output.result(&json!({ "written": written }), || written.join("\n"))?;
    output.note("hint: edit them, then build with TILLBOOK_SPECS_DIR set to that directory's absolute path");
    Ok(Exit::Done)
}

fn check_all(output: Output, path: &Path) -> Result<Exit, Failure> {
    let files = spec_files(path)?;
    let mut found: Vec<(String, Fault)> = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).map_err(|error| io("read", file, &error))?;
        let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        found.extend(check(&name, &text).into_iter().map(|fault| (file.display().to_string(), fault)));
    }
    let faults: Vec<Value> = found
        .iter()
        .map(|(file, fault)| {
            json!({"file": file, "line": fault.line, "column": fault.column, "pointer": fault.pointer, "message": fault.message})
        })
        .collect();
    let failure = (!found.is_empty())
        .then(|| Failure::new("invalid_spec", format!("faults in {}: {}", path.display(), found.len())));
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let mut document = json!({ "checked": names, "faults": faults });
    if let Some(failure) = &failure {
        document["error"] = failure.error_json();
    }
    output.result(&document, || {
        let listed = found.iter().map(|(file, fault)| {
            let pointer = if fault.pointer.is_empty() { String::new() } else { format!(" (at {})", fault.pointer) };
            format!("{file}:{}:{}: {}{pointer}", fault.line, fault.column, fault.message)
        });
        match failure {
            None => names.iter().map(|name| format!("{name}: no fault")).collect::<Vec<_>>().join("\n"),
            Some(_) => listed.collect::<Vec<_>>().join("\n"),
        }
    })?;
    failure.map_or(Ok(Exit::Done), |failure| Err(failure.in_document()))
}

/// The file itself, or those in the directory that replace one of ours.
fn spec_files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let files: Vec<PathBuf> =
        SPECS.iter().map(|(name, _)| path.join(format!("{name}.yaml"))).filter(|file| file.exists()).collect();
    if files.is_empty() {
        let names: Vec<String> = SPECS.iter().map(|(name, _)| format!("{name}.yaml")).collect();
        return Err(Failure::new("io", format!("{} has none of {}", path.display(), names.join(", "))));
    }
    Ok(files)
}

fn diff(output: Output, directory: &Path) -> Result<Exit, Failure> {
    if !directory.is_dir() {
        return Err(Failure::new("io", format!("{} is not a directory", directory.display())));
    }
    let theirs = spec_files(directory)?;
    let mut by_spec = Map::new();
    let mut lines = Vec::new();
    for (name, ours) in SPECS {
        let file = directory.join(format!("{name}.yaml"));
        if !theirs.contains(&file) {
            continue; // the build takes ours then
        }
        let text = fs::read_to_string(&file).map_err(|error| io("read", &file, &error))?;
        let unreadable = |faults: Vec<Fault>| {
            let first = faults.first().map(|fault| format!("{}:{}: {}", fault.line, fault.column, fault.message));
            Failure::new("invalid_spec", format!("{}:{}", file.display(), first.unwrap_or_default()))
        };
        let theirs = read(&text).map_err(unreadable)?;
        let ours = read(ours).map_err(unreadable)?;
        let found = changes(&ours, &theirs);
        lines.extend(found.iter().map(|change| change_text(name, change)));
        by_spec.insert(name.to_owned(), Value::Array(found.iter().map(change_json).collect()));
    }
    let document = json!({ "same": lines.is_empty(), "specs": by_spec });
    output.result(&document, || {
        if lines.is_empty() { "no operation or field differs".to_owned() } else { lines.join("\n") }
    })?;
    Ok(Exit::Done)
}

fn change_text(spec: &str, change: &Change) -> String {
    match change {
        Change::Added { name, kind } => format!("{spec}: added {name}: {kind}"),
        Change::Removed { name, kind } => format!("{spec}: removed {name}: {kind}"),
        Change::Retyped { name, from, to } => format!("{spec}: retyped {name}: {from} -> {to}"),
    }
}

fn change_json(change: &Change) -> Value {
    match change {
        Change::Added { name, kind } => json!({"change": "added", "name": name, "to": kind}),
        Change::Removed { name, kind } => json!({"change": "removed", "name": name, "from": kind}),
        Change::Retyped { name, from, to } => json!({"change": "retyped", "name": name, "from": from, "to": to}),
    }
}

fn io(doing: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new("io", format!("cannot {doing} {}: {error}", path.display()))
}
