//! `tillbook run` as a process of its own, told by what it prints.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::Value;

use super::program::Program;

/// How long anything that must happen may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Till {
    child: Option<Child>,
    lines: Receiver<String>,
}

impl Till {
    /// Runs it over the program's configuration until it answers others.
    pub(crate) fn start(program: &Program) -> Till {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tillbook"))
            .args(["--json", "run"])
            .current_dir(program.dir.path())
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            // A test that has seen enough listens no more.
            stdout.lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
        });
        let till = Till { child: Some(child), lines };
        assert_eq!(till.until("running")["process"], till.process());
        till
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// The next line about such an event; others are passed over.
    pub(crate) fn until(&self, event: &str) -> Value {
        let mut passed = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let line: Value = serde_json::from_str(&line).expect("each line is a JSON value");
                    if line["event"] == event {
                        return line;
                    }
                    passed.push(line);
                }
                Err(RecvTimeoutError::Timeout) => panic!("the till does not say {event}, but {passed:?}"),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the till ended without saying {event}, after {passed:?}")
                }
            }
        }
    }

    /// SIGTERM, as a supervisor sends it.
    pub(crate) fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.process().to_string()]).status();
        assert!(sent.expect("kill is on every Unix").success());
    }

    pub(crate) fn ended(mut self) -> ExitStatus {
        self.child.take().expect("it runs").wait().expect("waited for")
    }

    /// kill -9.
    pub(crate) fn kill(self) {
        let mut till = self;
        let mut child = till.child.take().expect("it runs");
        child.kill().expect("killed");
        child.wait().expect("ended");
    }
}

impl Drop for Till {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // A test that failed leaves no process behind.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
