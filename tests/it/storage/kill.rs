//! Killed at random: the test binary runs itself as a child that writes, and kills it.

#![expect(clippy::print_stdout, reason = "the child tells its parent what was acknowledged; the seed is for a person")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tillbook::storage::Storage;

use super::fixture::*;

/// Where the child finds the ledger; without it the child's test does nothing.
const CHILD: &str = "TILLBOOK_KILL_CHILD";

/// What a child prints before each refund key that was acknowledged.
const ACKNOWLEDGED: &str = "acknowledged ";

/// Not a test of its own: what the child of the test below does until it is killed.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Ok(directory) = std::env::var(CHILD) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().expect("a runtime");
    runtime.block_on(async {
        let ledger = Arc::new(open(Path::new(&directory)));
        let first = ledger.events(0, usize::MAX).await.expect("readable").len();
        for number in 0..8 {
            must(&*ledger, see(facts(number))).await;
        }
        let tasks: Vec<_> = (0..8)
            .map(|task| {
                let ledger = Arc::clone(&ledger);
                tokio::spawn(async move {
                    for round in 0.. {
                        let name = format!("{first}-{task}-{round}");
                        let number = i64::try_from(first).expect("small") * 10_000 + task + 8 * (round / 50);
                        if round % 50 == 0 {
                            must(&*ledger, see(facts(number))).await;
                        }
                        must(&*ledger, hold(&order(number), &name, 1)).await;
                        println!("{ACKNOWLEDGED}{name}");
                        if round % 20 == 0 {
                            ledger.put_cursor("round", name).await.expect("kept");
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("writes until it is killed");
        }
    });
}

/// Small and good enough for moments to kill at.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Runs a child on a ledger, kills it after a while, and gives the keys that it saw acknowledged.
fn run_and_kill(directory: &Path, after: Duration) -> Vec<String> {
    let binary = std::env::current_exe().expect("this binary");
    let mut child = Command::new(binary)
        .args(["--exact", "storage::kill::child_that_writes_until_it_is_killed", "--nocapture", "--test-threads=1"])
        .env(CHILD, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    let reader = std::thread::spawn(move || {
        let (mut keys, mut line) = (Vec::new(), String::new());
        while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
            // A line that the kill cut short was not said.
            if let Some(key) = line.strip_suffix('\n').and_then(|line| line.strip_prefix(ACKNOWLEDGED)) {
                keys.push(key.to_owned());
            }
            line.clear();
        }
        keys
    });
    // The one place where a test waits for time to pass: the moment of the kill is what is random here.
    std::thread::sleep(after);
    child.kill().expect("killed");
    let status = child.wait().expect("ended");
    assert!(!status.success(), "the child was still writing");
    reader.join().expect("read")
}

#[test]
fn whatever_moment_a_writer_is_killed_at_all_it_acknowledged_is_there() {
    let long = std::env::var_os("TILLBOOK_LONG").is_some();
    let seed: u64 = std::env::var("TILLBOOK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        now.subsec_nanos().into()
    });
    println!("TILLBOOK_SEED={seed}");
    let mut random = Random(seed | 1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let mut acknowledged = 0;
    for _ledger in 0..if long { 60 } else { 6 } {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut keys = BTreeSet::new();
        for _round in 0..5 {
            keys.extend(run_and_kill(directory.path(), Duration::from_millis(20 + random.below(400))));
            runtime.block_on(survived(directory.path(), &keys));
        }
        acknowledged += keys.len();
    }
    assert!(acknowledged > 100, "only {acknowledged} writes were acknowledged: the kills came too early");
}

/// All acknowledged keys are there, and the index kept equals the index rebuilt.
async fn survived(directory: &Path, keys: &BTreeSet<String>) {
    let ledger = open(directory);
    for name in keys {
        let order = ledger.find_refund(&account(), &key(name)).await.expect("readable");
        let order = order.unwrap_or_else(|| panic!("{name} was acknowledged and is gone"));
        let record = ledger.get(&order).await.expect("readable").expect("there");
        assert!(record.refund(&key(name)).is_some(), "{name} is not in its order");
    }
    let report = ledger.check().await.expect("checked");
    assert_eq!(report.differences, []);
    assert!(report.refunds >= keys.len() as u64);
    let kept = ledger.state_hash().await.expect("readable");
    ledger.abandon().await.expect("abandoned");
    for entry in std::fs::read_dir(directory).expect("readable") {
        let path = entry.expect("readable").path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("index-")) {
            std::fs::remove_dir_all(path).expect("removed");
        }
    }
    let ledger = open(directory);
    assert_eq!(ledger.state_hash().await.expect("readable"), kept, "an index rebuilt is not the index kept");
    ledger.close().await.expect("closed");
}
