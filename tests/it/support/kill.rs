//! Processes that die: the test binary runs one of its own tests as a child, and kills it at a random moment.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

/// What a child prints before each refund key that was acknowledged.
pub(crate) const ACKNOWLEDGED: &str = "acknowledged ";

/// Small and good enough for moments to kill at.
pub(crate) struct Random(u64);

impl Random {
    /// Seeded by `TILLBOOK_SEED`, else by the clock; says which, so that a failure can be run again.
    pub(crate) fn of_this_run() -> Random {
        let seed: u64 = std::env::var("TILLBOOK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
            now.subsec_nanos().into()
        });
        writeln!(std::io::stderr(), "TILLBOOK_SEED={seed}").expect("stderr is open");
        Random(seed | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// When to kill: mostly well into the load, however slow the machine is; sometimes as early as during the open.
    pub(crate) fn moment(&mut self) -> Moment {
        match self.below(4) {
            0 => Moment::After(Duration::from_millis(20 + self.below(400))),
            _ => Moment::Acknowledged(1 + self.below(60)),
        }
    }
}

/// When a child is killed.
pub(crate) enum Moment {
    /// So long after it was started.
    After(Duration),
    /// At once after it has acknowledged so many keys.
    Acknowledged(u64),
}

/// Runs the test of that name as a child, kills it after a while, and gives the keys that it acknowledged.
pub(crate) fn run_and_kill(test: &str, variables: &[(&str, &OsStr)], when: Moment) -> Vec<String> {
    let binary = std::env::current_exe().expect("this binary");
    let mut child = Command::new(binary)
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    let (tell, told) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let (mut keys, mut line) = (Vec::new(), String::new());
        while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
            // A line that the kill cut short was not said; the first one follows the test harness's own words.
            if let Some((_, key)) = line.strip_suffix('\n').and_then(|line| line.rsplit_once(ACKNOWLEDGED)) {
                keys.push(key.to_owned());
                // Nobody listens any more once the kill is under way.
                let _ = tell.send(());
            }
            line.clear();
        }
        keys
    });
    match when {
        // The one place where a test waits for time to pass: the moment of the kill is what is random here.
        Moment::After(time) => std::thread::sleep(time),
        Moment::Acknowledged(keys) => {
            for key in 0..keys {
                let more = told.recv_timeout(Duration::from_secs(60));
                assert!(more.is_ok(), "the child acknowledged {key} of {keys} keys and then none for a minute");
            }
        }
    }
    child.kill().expect("killed");
    let status = child.wait().expect("ended");
    assert!(!status.success(), "the child was still at work");
    reader.join().expect("read")
}
