//! Power cuts below the files: all that a till does to its ledger's files is traced, and for many moments the directory
//! is rebuilt as a cut could have left it (what no sync covered gone, or kept by chance, or torn at a sector), opened,
//! and held against what the till had acknowledged.
//!
//! `tests/power-cut/trace.c` traces; `trace` reads it, `disk` knows what survives, `load` is the till, `judge` the
//! judge. `tests/power-cut/run.sh` runs it long.

#![expect(clippy::print_stdout, reason = "the child says what was asked for, sent and acknowledged")]

mod disk;
mod judge;
mod load;
mod trace;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use disk::{Disk, Honest, Luck};
use judge::{Said, judge};
use tempfile::TempDir;
use trace::Operation;

use crate::support::kill::Random;
use crate::support::say;

/// Where the child finds the ledger, and what its orders are called; without them the child's test does nothing.
const CHILD: &str = "TILLBOOK_POWER_CUT_CHILD";
const SESSION: &str = "TILLBOOK_POWER_CUT_SESSION";

/// The test that the child runs.
const TILL: &str = "power_cut::till_that_is_traced";

/// Not a test of its own: what the child of the tests below does.
#[test]
fn till_that_is_traced() {
    let Ok(directory) = std::env::var(CHILD) else { return };
    let session = std::env::var(SESSION).expect("a name");
    runtime().block_on(load::session(Path::new(&directory), &session));
}

/// How much is tried.
struct Plan {
    /// Machines, each with an empty disk.
    machines: u64,
    /// Boots of each machine; every one but the last ends with a cut.
    boots: u64,
    /// Moments of a boot at which a cut is tried; `None`: before each operation.
    moments: Option<u64>,
    /// Besides the one where nothing unsynced survives, so many disks that chance makes are tried at each moment.
    chances: u64,
}

impl Plan {
    fn of_this_run() -> Plan {
        let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse().ok());
        match std::env::var_os("TILLBOOK_LONG") {
            Some(_) => {
                let (machines, chances) = (number("TILLBOOK_MACHINES"), number("TILLBOOK_CHANCES"));
                Plan { machines: machines.unwrap_or(1), boots: 3, moments: None, chances: chances.unwrap_or(1) }
            }
            None => Plan { machines: 1, boots: 2, moments: Some(24), chances: 1 },
        }
    }
}

/// What was counted.
#[derive(Debug, Default)]
struct Count {
    operations: usize,
    ranges: usize,
    moments: u64,
    disks: u64,
    acknowledged: usize,
}

#[test]
fn whatever_moment_the_power_goes_at_all_that_was_acknowledged_is_there_and_nothing_else() {
    let Some(tracer) = Tracer::new() else { return };
    let plan = Plan::of_this_run();
    let mut random = Random::of_this_run();
    let runtime = runtime();
    let mut count = Count::default();
    let mut wrong = Vec::new();
    for _machine in 0..plan.machines {
        let mut found = Found::new();
        for _boot in 0..plan.boots {
            let deaths = [(); 3].map(|()| match random.below(4) {
                0 => None,
                // Many operations of a session are those of its opening.
                1 => Some(random.below(60).to_string()),
                _ => Some(random.below(600).to_string()),
            });
            let booted = tracer.boot(found, &deaths, &mut random);
            count.operations += booted.operations.len();
            count.ranges += booted.operations.iter().filter(|done| **done == Operation::SyncedRange).count();
            let moments = booted.moments(plan.moments, &mut random);
            // One of these cuts is where the next boot begins.
            let last = moments.iter().copied().nth(pick(&mut random, moments.len())).expect("there are moments");
            let mut next = None;
            booted.cut(Honest::Always, &moments, &mut |moment, disk, said| {
                count.moments += 1;
                count.acknowledged += said.acknowledged();
                for chance in 0..=plan.chances {
                    let directory = tempdir();
                    disk.write(directory.path(), luck(chance, &mut random));
                    count.disks += 1;
                    for what in runtime.block_on(judge(directory.path(), said)) {
                        wrong.push(format!("cut before operation {moment}, disk {chance}: {what}"));
                    }
                }
                if moment == last {
                    let directory = tempdir();
                    disk.write(directory.path(), Luck::Random(&mut random));
                    next = Some(Found { disk: directory, said: said.clone() });
                }
            });
            found = next.expect("the last cut is one of them");
        }
    }
    let Count { operations, ranges, moments, disks, acknowledged } = count;
    say(&format!(
        "power cut: {operations} operations traced ({ranges} sync_file_range, which count for nothing), cut at {moments} \
         moments, {disks} disks opened, {acknowledged} acknowledged refunds looked for, {} violations",
        wrong.len()
    ));
    assert!(moments > 0 && disks > moments && acknowledged > 100, "too little was tried: {acknowledged} acknowledged");
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_till_killed_while_a_name_is_not_synced_and_begun_again_loses_nothing_to_a_cut() {
    let Some(tracer) = Tracer::new() else { return };
    let mut random = Random::of_this_run();
    let runtime = runtime();
    let first = tracer.boot(Found::new(), &[None], &mut random);
    let is_index = |path: &Path| path.to_string_lossy().starts_with("index-");
    let names = first.operations.iter().filter(|done| match done {
        Operation::Created { path, .. } | Operation::MadeDirectory { path } | Operation::Renamed { to: path, .. } => {
            !is_index(path)
        }
        _ => false,
    });
    let names: Vec<&Operation> = names.collect();
    let (mut tills, mut cuts, mut wrong) = (0, 0, Vec::new());
    for (name, after) in (1..=names.len()).flat_map(|name| (0..3).map(move |after| (name, after))) {
        tills += 1;
        let done = names[name - 1];
        let booted = tracer.boot(Found::new(), &[Some(format!("{name}+{after}")), None], &mut random);
        let all: Vec<usize> = (0..=booted.operations.len()).collect();
        let mut told = 0;
        booted.cut(Honest::Always, &all, &mut |moment, disk, said| {
            // Just after something was acknowledged that may hang on such a name; and at the end.
            let is_news = std::mem::replace(&mut told, said.acknowledged()) < said.acknowledged();
            if !(is_news && disk.has_names_at_stake() || moment == booted.operations.len()) {
                return;
            }
            cuts += 1;
            let directory = tempdir();
            disk.write(directory.path(), Luck::None);
            for what in runtime.block_on(judge(directory.path(), said)) {
                wrong.push(format!("killed {after} operations after {done:?}, then cut: {what}"));
            }
        });
    }
    say(&format!(
        "power cut: {tills} tills killed while a name was not synced, then {cuts} cuts, {} violations",
        wrong.len()
    ));
    assert!(names.len() > 5, "too few names were changed");
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_disk_that_lies_about_the_journals_syncs_is_found_out() {
    let Some(tracer) = Tracer::new() else { return };
    let mut random = Random::of_this_run();
    let booted = tracer.boot(Found::new(), &[None], &mut random);
    let end = [booted.operations.len()];
    let mut wrong = Vec::new();
    booted.cut(Honest::ButForTheJournal, &end, &mut |_, disk, said| {
        assert!(said.acknowledged() > 0, "the till acknowledged nothing");
        let directory = tempdir();
        disk.write(directory.path(), Luck::None);
        wrong = runtime().block_on(judge(directory.path(), said));
    });
    assert!(!wrong.is_empty(), "nobody noticed");
}

fn luck(chance: u64, random: &mut Random) -> Luck<'_> {
    if chance == 0 { Luck::None } else { Luck::Random(random) }
}

fn pick(random: &mut Random, limit: usize) -> usize {
    usize::try_from(random.below(limit as u64)).expect("an index")
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("starts")
}

/// In memory where the machine has such a place: what a real disk keeps is not asked for here.
fn tempdir() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a temporary directory")
}

/// A disk as a machine finds it, and what was said by then.
struct Found {
    disk: TempDir,
    said: Said,
}

impl Found {
    /// An empty disk.
    fn new() -> Found {
        Found { disk: tempdir(), said: Said::default() }
    }
}

/// A boot that is over.
struct Booted {
    /// The disk at its beginning, all synced.
    before: Disk,
    said: Said,
    operations: Vec<Operation>,
}

impl Booted {
    /// Before which operations a cut is to be tried, in order.
    fn moments(&self, most: Option<u64>, random: &mut Random) -> Vec<usize> {
        let all = self.operations.len();
        let Some(most) = most else { return (0..=all).collect() };
        // What was not synced is never more than just before a sync.
        let syncs = self.operations.iter().enumerate().filter(|(_, done)| {
            matches!(done, Operation::Synced { .. } | Operation::SyncedEntries { .. } | Operation::Said(_))
        });
        let syncs: Vec<usize> = syncs.map(|(at, _)| at).collect();
        let mut moments: Vec<usize> = (0..most)
            .map(|turn| if turn % 2 == 0 { syncs[pick(random, syncs.len())] } else { pick(random, all + 1) })
            .collect();
        moments.sort_unstable();
        moments.dedup();
        moments
    }

    /// Goes through the boot once, and stops at each of these moments.
    fn cut(&self, honest: Honest, moments: &[usize], at: &mut dyn FnMut(usize, &Disk, &Said)) {
        let mut disk = self.before.clone();
        disk.honest = honest;
        let mut said = self.said.clone();
        let mut moments = moments.iter().copied().peekable();
        for (index, done) in self.operations.iter().map(Some).chain([None]).enumerate() {
            if moments.next_if_eq(&index).is_some() {
                at(index, &disk, &said);
            }
            match done {
                Some(Operation::Said(text)) => said.hear(text),
                Some(done) => disk.apply(done),
                None => {}
            }
        }
    }
}

/// The library that traces, built.
struct Tracer {
    directory: TempDir,
    library: PathBuf,
}

impl Tracer {
    /// `None`, said aloud, where this machine has no way to trace.
    fn new() -> Option<Tracer> {
        if !cfg!(target_os = "linux") {
            say("skipped: power cuts: LD_PRELOAD is Linux's; run it there");
            return None;
        }
        let directory = tempdir();
        let library = directory.path().join("trace.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/power-cut/trace.c");
        let built = Command::new("cc")
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .args(["-ldl", "-lpthread"])
            .status();
        match built {
            Ok(status) => assert!(status.success(), "cc does not build {}", source.display()),
            Err(error) => {
                say(&format!("skipped: power cuts: cc is needed to build tests/power-cut/trace.c ({error})"));
                return None;
            }
        }
        Some(Tracer { directory, library })
    }

    /// Boots a machine from that disk: sessions of the till one after another, each killed after so many operations or
    /// closed.
    fn boot(&self, found: Found, deaths: &[Option<String>], random: &mut Random) -> Booted {
        let Found { disk: live, said } = found;
        let under = live.path().canonicalize().expect("there");
        let before = Disk::of(&under);
        let id = format!("{:08x}", random.below(1 << 32));
        let (trace, boot) = (self.directory.path().join(&id), self.directory.path().join(format!("{id}.boot")));
        fs::write(&boot, format!("boot-{id}\n")).expect("written");
        for (session, dies) in deaths.iter().enumerate() {
            self.session(&under, &trace, &boot, &format!("{id}{session}"), dies.as_deref());
        }
        let operations = trace::read(&trace, &under);
        let booted = Booted { before, said, operations };
        booted.cut(Honest::Always, &[booted.operations.len()], &mut |_, disk, _| is_whole(disk, &under));
        booted
    }

    fn session(&self, under: &Path, trace: &Path, boot: &Path, name: &str, dies: Option<&str>) {
        let binary = std::env::current_exe().expect("this binary");
        let mut child = Command::new(binary);
        child.args(["--exact", TILL, "--nocapture", "--test-threads=1"]);
        child.env(CHILD, under).env(SESSION, name).env("LD_PRELOAD", &self.library);
        child.env("TILLBOOK_TRACE", trace).env("TILLBOOK_TRACE_UNDER", under).env("TILLBOOK_TRACE_BOOT", boot);
        if let Some(dies) = dies {
            child.env("TILLBOOK_TRACE_DIES", dies);
        }
        let ended = child.stdin(Stdio::null()).output().expect("it runs");
        let was_killed = ended.status.signal() == Some(9) && dies.is_some();
        let text = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success() || was_killed, "{}: {text}", ended.status);
    }
}

/// The trace accounts for every byte: with all of it kept, the directory is the one that is there. (Room taken and
/// not synced is not in it: zeros at an end do not count.)
fn is_whole(disk: &Disk, live: &Path) {
    let rebuilt = tempdir();
    disk.write(rebuilt.path(), Luck::Whole);
    let (rebuilt, live) = (files(rebuilt.path()), files(live));
    for (name, bytes) in &live {
        let rebuilt = rebuilt.get(name).map_or(&[][..], Vec::as_slice);
        let differs = rebuilt.iter().zip(bytes).position(|(one, other)| one != other);
        let (here, there) = (rebuilt.len(), bytes.len());
        let what = format!("of {}: {here} bytes of {there}, differing at {differs:?}", name.display());
        assert!(rebuilt == bytes, "the trace does not account for all {what}");
    }
    assert_eq!(rebuilt.len(), live.len());
}

/// Each file under a directory, without zeros at its end. What says which inode it is was moved on purpose.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut todo = vec![directory.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(at).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                todo.push(path);
            } else if !path.ends_with("INSTANCE") {
                let mut bytes = fs::read(&path).expect("readable");
                bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
                files.insert(path.strip_prefix(directory).expect("below").to_owned(), bytes);
            }
        }
    }
    files
}
