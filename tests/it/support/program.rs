//! The real binary, run in a directory of its own against a sandbox of the test's.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tillbook::sandbox::{NewOrder, OrderHandle, Sandbox, Upstream};

use super::shop::yuan;

/// A directory with a configuration, and the sandbox that its accounts point at.
pub(crate) struct Program {
    pub(crate) sandbox: Sandbox,
    pub(crate) dir: TempDir,
}

/// What one run answered.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The one JSON document on stdout.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The error's kind, beside the exit code.
    pub(crate) fn failure(&self) -> (i32, String) {
        (self.code, self.json()["error"]["kind"].as_str().unwrap_or("no error").to_owned())
    }

    /// The document of a run that went well.
    pub(crate) fn done(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        self.json()
    }
}

impl Program {
    /// A fresh sandbox and a configuration for it, with no least time between refunds.
    pub(crate) async fn new() -> Program {
        Program::with(Sandbox::start().await.expect("the sandbox listens"))
    }

    pub(crate) fn with(sandbox: Sandbox) -> Program {
        let dir = tempfile::tempdir().expect("a directory");
        let text = sandbox.config_toml("ledger").replace("base_url = ", "refund_interval = \"0s\"\nbase_url = ");
        fs::write(dir.path().join("tillbook.toml"), text).expect("written");
        Program { sandbox, dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Changes the configuration.
    pub(crate) fn configure(&self, change: impl FnOnce(String) -> String) {
        let file = self.path("tillbook.toml");
        let before = fs::read_to_string(&file).expect("read");
        let after = change(before.clone());
        assert_ne!(before, after, "the configuration was to change");
        fs::write(file, after).expect("written");
    }

    /// Runs the binary with `words`, in the directory, and waits for its end.
    pub(crate) async fn run(&self, words: &[&str]) -> Ran {
        run_in(self.dir.path(), words, b"").await
    }

    /// Runs it in JSON mode.
    pub(crate) async fn json(&self, words: &[&str]) -> Ran {
        let words: Vec<&str> = ["--json"].iter().chain(words).copied().collect();
        self.run(&words).await
    }

    /// A paid order in an upstream's books, with the name by which the command line takes it.
    pub(crate) fn order(&self, upstream: Upstream, paid: &str) -> (OrderHandle, String) {
        let order = self.sandbox.add_order(upstream, NewOrder::paid(yuan(paid).fen())).expect("the sandbox takes it");
        let name = format!("{}:{}", shop(upstream), order.id);
        (order, name)
    }

    /// Every file below the ledger's directory with its bytes; empty where there is no ledger.
    pub(crate) fn ledger_files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut todo = vec![self.path("ledger")];
        while let Some(dir) = todo.pop() {
            let Ok(entries) = fs::read_dir(&dir) else { continue };
            for path in entries.map(|entry| entry.expect("readable").path()) {
                match path.is_dir() {
                    true => todo.push(path),
                    false => drop(files.insert(path.clone(), fs::read(&path).expect("readable"))),
                }
            }
        }
        files
    }
}

/// The account of an upstream in the sandbox's configuration.
pub(crate) fn shop(upstream: Upstream) -> &'static str {
    match upstream {
        Upstream::Fubei => "shop-1",
        Upstream::TradeOrder => "shop-2",
        Upstream::Hydrogen => "shop-3",
    }
}

/// Runs the binary and waits for its end, off the runtime that the sandbox lives in.
pub(crate) async fn run_in(dir: &Path, words: &[&str], stdin: &[u8]) -> Ran {
    let dir = dir.to_owned();
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    let stdin = stdin.to_owned();
    let work = move || {
        let mut input = tempfile::tempfile().expect("a file");
        std::io::Write::write_all(&mut input, &stdin).expect("written");
        std::io::Seek::rewind(&mut input).expect("rewound");
        let output = Command::new(env!("CARGO_BIN_EXE_tillbook"))
            .args(&words)
            .current_dir(dir)
            .env_remove("RUST_LOG")
            .stdin(Stdio::from(input))
            .output()
            .expect("the binary runs");
        Ran {
            code: output.status.code().expect("an exit code"),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    };
    tokio::task::spawn_blocking(work).await.expect("no panic")
}
