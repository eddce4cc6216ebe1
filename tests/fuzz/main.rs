//! Fuzzing on stable Rust: every body of `bodies` over its saved corpus and over mutations of it, with an eye on
//! memory. A binary of its own, for the allocator that counts is the whole binary's; for the same reason the memory that
//! a hold takes is counted here too.
//!
//! `TILLBOOK_SEED` repeats a run; `TILLBOOK_LONG=1` goes on for `TILLBOOK_FUZZ_MINUTES` (5) a body. With a nightly
//! compiler `tests/fuzz/long` runs the same bodies under cargo-fuzz. An input that fails is written to the build's
//! temporary directory; once mended it belongs in the corpus.

mod bodies;
mod cli;
mod hold;
mod mutator;

use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use peak_alloc::PeakAlloc;
use tillbook::DeviceName;
use tillbook::clients::decode::decode;
use tillbook::storage::embedded::{Embedded, EmbeddedOptions, Tail};

use bodies::Memory;
use mutator::{Random, mutate};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// No input is worth more than this: it would hang a till.
const LONGEST: Duration = Duration::from_secs(20);

/// How many mutations of each saved input the normal run tries.
#[derive(Clone, Copy)]
struct Mutations(usize);

/// One at a time: memory is counted for the whole process.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn say(words: &str) {
    writeln!(std::io::stderr(), "{words}").expect("stderr is open");
}

/// The saved inputs of a body, in the order of their names.
fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let entries = fs::read_dir(&directory).expect("a corpus");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    files.into_iter().map(|file| (file.clone(), fs::read(file).expect("readable"))).collect()
}

/// The memory that something takes above what is in use already, in bytes.
fn memory_of(act: impl FnOnce()) -> usize {
    ALLOCATED.reset_peak_usage();
    let before = ALLOCATED.current_usage();
    act();
    ALLOCATED.peak_usage().saturating_sub(before)
}

/// What was counted.
#[derive(Default)]
struct Count {
    inputs: u64,
    most_bytes: usize,
    slowest: Duration,
}

impl Count {
    /// Runs the body on one input; on a panic, or too much memory or time, the input is kept and named.
    fn run(&mut self, name: &str, body: fn(&[u8]), may: Memory, input: &[u8], what: &str) {
        let since = Instant::now();
        let mut run = Ok(());
        let memory = memory_of(|| run = catch_unwind(AssertUnwindSafe(|| body(input))));
        let took = since.elapsed();
        self.inputs += 1;
        self.most_bytes = self.most_bytes.max(memory);
        self.slowest = self.slowest.max(took);
        let may_take = may.fixed_bytes + may.bytes_each * input.len();
        if run.is_err() || memory > may_take || took > LONGEST {
            let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
            fs::write(&kept, input).expect("written");
            say(&format!("{name}: {what}, kept as {}", kept.display()));
        }
        if let Err(panic) = run {
            resume_unwind(panic);
        }
        assert!(memory <= may_take, "{what} took {memory} bytes of memory for {} bytes", input.len());
        assert!(took <= LONGEST, "{what} took {took:?}");
    }
}

fn fuzz(name: &str, body: fn(&[u8]), may: Memory, Mutations(mutations): Mutations) {
    let _turn = turn();
    let seed = std::env::var("TILLBOOK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        u64::from(now.subsec_nanos())
    });
    say(&format!("fuzz {name}: TILLBOOK_SEED={seed}"));
    let saved = corpus(name);
    assert!(!saved.is_empty(), "no corpus");
    let mut count = Count::default();
    for (file, input) in &saved {
        count.run(name, body, may, input, &format!("the saved input {}", file.display()));
    }
    let minutes = std::env::var("TILLBOOK_FUZZ_MINUTES").ok().and_then(|minutes| minutes.parse().ok()).unwrap_or(5);
    let long = std::env::var_os("TILLBOOK_LONG").map(|_| Duration::from_secs(60 * minutes));
    let since = Instant::now();
    let mut random = Random::new(seed);
    let mut round = 0;
    while long.map_or(round < mutations, |long| since.elapsed() < long) {
        for (file, input) in &saved {
            let other = &saved[random.below(saved.len())].1;
            let mutated = mutate(&mut random, input, other);
            let what = format!("a mutation of {} in round {round} of seed {seed}", file.display());
            count.run(name, body, may, &mutated, &what);
        }
        round += 1;
    }
    let Count { inputs, most_bytes, slowest } = count;
    let seconds = since.elapsed().as_millis().max(1);
    say(&format!(
        "fuzz {name}: {} saved inputs and {} mutations ({} a second), at most {} KiB and {slowest:?} for one, 0 faults",
        saved.len(),
        inputs - saved.len() as u64,
        u128::from(inputs) * 1000 / seconds,
        most_bytes >> 10,
    ));
    assert!(inputs > saved.len() as u64, "nothing was mutated");
}

#[test]
fn answers_of_any_bytes_are_read_or_refused_by_every_operation() {
    fuzz("wire", bodies::wire::body, bodies::wire::MEMORY, Mutations(300));
}

#[test]
fn journals_of_any_bytes_are_read_alike_by_all_or_refused_unchanged() {
    fuzz("journal", bodies::journal::body, bodies::journal::MEMORY, Mutations(200));
}

#[test]
fn configurations_of_any_bytes_are_read_or_refused_with_their_line() {
    fuzz("config", bodies::config::body, bodies::config::MEMORY, Mutations(2_000));
}

#[cfg(unix)]
#[test]
fn a_till_answers_requests_of_any_bytes() {
    fuzz("request", bodies::socket::request, bodies::socket::MEMORY, Mutations(200));
}

#[cfg(unix)]
#[test]
fn a_client_reads_or_refuses_answers_of_any_bytes() {
    fuzz("answer", bodies::socket::answer, bodies::socket::MEMORY, Mutations(100));
}

#[test]
fn a_list_of_millions_of_rows_is_refused_before_it_takes_gigabytes() {
    let _turn = turn();
    let now = tillbook::Timestamp::EPOCH;
    // A quarter of what an answer may have.
    let rows = vec!["{}"; (4 << 20) / 3].join(",");
    for (gateway, operation, body) in [
        ("fubei", "order.bill", format!("{{\"result_code\":200,\"data\":{{\"list\":[{rows}]}}}}")),
        ("trade_order", "order.list", format!("{{\"code\":0,\"data\":[{rows}]}}")),
        ("trade_order", "refund.list", format!("{{\"code\":0,\"data\":[{rows}]}}")),
        ("hydrogen", "order.list", format!("{{\"meta\":{{}},\"objects\":[{rows}]}}")),
    ] {
        let mut refusal = String::new();
        let memory = memory_of(|| match decode(gateway, operation, body.as_bytes(), now) {
            Ok(_) => {}
            Err(error) => refusal = error.to_string(),
        });
        assert!(refusal.contains("50000 rows"), "{gateway} {operation}: {refusal}");
        // Most of it is what a JSON value takes for each `{}` that hydrogen's wrapping is looked for among.
        assert!(memory < 32 * body.len(), "{gateway} {operation} took {memory} bytes");
    }
}

#[test]
fn a_segment_longer_than_any_is_refused_unread_by_all() {
    let _turn = turn();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let journal = directory.path().join("journal");
    fs::create_dir(&journal).expect("made");
    // Nothing but a hole.
    let segment = fs::File::create(journal.join("00000001.tbj")).and_then(|file| file.set_len(1 << 40));
    segment.expect("a file system with holes");
    let options = EmbeddedOptions::new(DeviceName::new("till-3").expect("a name"));
    let mut refusals = Vec::new();
    let memory = memory_of(|| {
        refusals.extend(Embedded::open_read_only(directory.path()).err());
        refusals.extend(Tail::open(directory.path(), 0).err());
        refusals.extend(Embedded::open(directory.path(), &options).err());
    });
    let why = "it has 1099511627776 bytes, and no segment has more than 1073741824";
    assert_eq!(refusals.len(), 3);
    assert!(refusals.iter().all(|refusal| refusal.to_string().contains(why)), "{refusals:?}");
    assert!(memory < 1 << 20, "{memory} bytes");
}

#[cfg(unix)]
#[test]
fn a_line_without_an_end_is_not_gathered() {
    let _turn = turn();
    let endless = vec![b' '; 8 << 20];
    assert!(memory_of(|| bodies::socket::request(&endless)) < 1 << 20, "a till gathers what no request is");
}
