//! What the crate costs its builders: clean and incremental time, crates, size of a program, for each set of features.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::child::Run;
use crate::sample::{Disk, Of, Said, Sample};

pub const WORK: &str = "build";

/// Sets of features by name: what is told to cargo.
const SETS: [(&str, &[&str]); 4] = [
    ("no features", &["--no-default-features"]),
    ("fubei alone", &["--no-default-features", "--features", "fubei"]),
    ("default", &[]),
    ("cli", &["--features", "cli"]),
];

/// Builds in a target directory of its own, which takes minutes.
pub fn run(run: &mut Run) {
    let Some(root) = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(Path::to_owned) else { return };
    for (set, arguments) in SETS {
        run.progress(&format!("  {set}"));
        let target = run.directory.join("build");
        if let Err(why) = measure(&root, set, arguments, &target, &mut |sample| run.samples.take(Said::Sample(sample)))
        {
            run.samples.take(Said::Note(format!("build with {set}: {why}")));
        }
        let _ = std::fs::remove_dir_all(target);
    }
}

fn measure(
    root: &Path,
    set: &str,
    arguments: &[&str],
    target: &Path,
    take: &mut dyn FnMut(Sample),
) -> Result<(), String> {
    let mut tell = |what: &str, value: f64| {
        let (work, what, who) = (WORK.to_owned(), what.to_owned(), set.to_owned());
        take(Sample { of: Of { work, disk: Disk::Fast, what, who }, value });
    };
    let crates = crates(root, arguments)?;
    tell("crates", crates as f64);
    let kind: &[&str] = if set == "cli" { &["--bin", "tillbook"] } else { &["--lib"] };
    let build = |profile: &[&str]| -> Result<Duration, String> {
        let since = Instant::now();
        let mut cargo = Command::new("cargo");
        cargo.arg("build").args(kind).args(profile).args(arguments).current_dir(root);
        answer(cargo.arg("--target-dir").arg(target))?;
        Ok(since.elapsed())
    };
    tell("clean build, s", build(&[])?.as_secs_f64());
    tell("clean release build, s", build(&["--release"])?.as_secs_f64());
    touch(&root.join("src/lib.rs"))?;
    tell("incremental build, s", build(&[])?.as_secs_f64());
    if let Some(size) = size(&target.join("release")) {
        tell("release output, MiB", size as f64 / f64::from(1 << 20));
    }
    Ok(())
}

/// Crates of the program itself: without those of the build and the tests.
fn crates(root: &Path, arguments: &[&str]) -> Result<usize, String> {
    let mut tree = Command::new("cargo");
    tree.args(["tree", "--edges", "normal", "--prefix", "none", "--format", "{p}"]).args(arguments).current_dir(root);
    let listed = answer(&mut tree)?;
    let mut crates: Vec<&str> = listed.lines().map(|line| line.trim_end_matches(" (*)").trim()).collect();
    crates.sort_unstable();
    crates.dedup();
    Ok(crates.len())
}

fn answer(command: &mut Command) -> Result<String, String> {
    let ended = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if !ended.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&ended.stderr)));
    }
    Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
}

/// Changes nothing but the time, which is what cargo looks at.
fn touch(file: &Path) -> Result<(), String> {
    let touched = std::fs::File::options().append(true).open(file);
    let touched = touched.and_then(|file| file.set_modified(std::time::SystemTime::now()));
    touched.map_err(|error| format!("{}: {error}", file.display()))
}

/// The program's size, or the library's.
fn size(directory: &Path) -> Option<u64> {
    let made: [PathBuf; 2] = [directory.join("tillbook"), directory.join("libtillbook.rlib")];
    made.iter().find_map(|path| path.metadata().ok()).map(|file| file.len())
}
