//! Bugs put back into a copy of the source, one at a time: the simulations must catch each of them, or they prove
//! nothing. A bug whose place has moved fails here too, so that the list cannot rot.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::outside::skipped;

/// A bug, and the test that must fail of it.
struct Bug {
    name: &'static str,
    file: &'static str,
    /// What stands there today, once, and what the bug makes of it.
    edits: &'static [(&'static str, &'static str)],
    /// Which test of the simulations.
    test: &'static str,
    /// Which lives, for a test that has many.
    lives: &'static str,
    /// What it must say.
    says: &'static str,
}

const POINTS: &str = "points::";

const BUGS: [Bug; 6] = [
    Bug {
        name: "a refund is sent before its attempt is on disk",
        file: "src/ledger/attempt.rs",
        edits: &[
            (
                "        let command = decide::Attempt {",
                "        let early = self.call(&*self.get(&order).await?, &key)?;\n        \
                 let early = account.gateway.refund(&early).await;\n        let command = decide::Attempt {",
            ),
            (
                "        let (record, answer) = self.send(&account, committed.record, &key, lease).await?;\n        \
                 Ok(Sent::Yes(record, answer))",
                "        drop(lease);\n        \
                 let attempt = committed.record.refund(&key).map_or(1, |refund| refund.attempts);\n        \
                 let rules = account.rules.clone();\n        \
                 let settle = Settle { key: key.clone(), attempt, answer: early.clone(), rules };\n        \
                 let record = self.settle(&account, &order, settle).await?;\n        \
                 Ok(Sent::Yes(record, early))",
            ),
        ],
        test: POINTS,
        lives: "TradeOrder Well QueueOnly",
        says: "was executed 2 times",
    },
    Bug {
        name: "a timeout is read as a refund that never left",
        file: "src/clients/failure.rs",
        edits: &[(
            "            | Failure::NotConnected { .. } => false,\n            Failure::TimedOut\n            | Failure::Lost",
            "            | Failure::TimedOut\n            | Failure::NotConnected { .. } => false,\n            Failure::Lost",
        )],
        test: POINTS,
        lives: "TradeOrder Delay",
        says: "was executed 2 times",
    },
    Bug {
        name: "a group is acknowledged and its sync forgotten",
        file: "src/storage/embedded/journal.rs",
        edits: &[(
            "written.and_then(|()| self.file.sync().map_err(|e| self.segments.failed(\"sync\", segment, e)))",
            "written",
        )],
        test: POINTS,
        lives: "Fubei Well",
        says: "is there",
    },
    Bug {
        name: "a crash while sending is read as if nothing was sent",
        file: "src/ledger/attempt.rs",
        edits: &[(
            "decide: Box::new(move |found| decide::lost(&context, found, &key, attempt)),",
            "decide: Box::new(move |found| {\n                            \
             let attempt = found.record.as_ref().and_then(|r| r.refund(&key)).map_or(1, |r| r.attempts);\n                            \
             let answer = Answer::new(Outcome::NotSent, context.now);\n                            \
             let settle = Settle { key: key.clone(), attempt, answer, rules: Default::default() };\n                            \
             decide::answer(&context, found, &settle)\n                        }),",
        )],
        test: POINTS,
        lives: "TradeOrder Well",
        says: "was executed 2 times",
    },
    Bug {
        name: "what is held may be granted again",
        file: "src/domain/record.rs",
        edits: &[("self.paid().saturating_sub(self.committed())", "self.paid().saturating_sub(self.refunded())")],
        test: "seeded::whatever",
        lives: "",
        says: "were granted",
    },
    Bug {
        name: "the end of the journal is not written again after a failed sync",
        file: "src/storage/embedded/journal.rs",
        edits: &[(
            "        file.write_at(bytes.get(from..to).unwrap_or_default(), end.unproven).map_err(io(\"write the end again of\"))?;\n",
            "        let _ = (&bytes, from, to, &io);\n",
        )],
        test: "seeded::whatever",
        lives: "",
        says: "to repeat it",
    },
];

/// What a build and its tests need.
const TREE: [&str; 12] = [
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "benches/pure",
    "build.rs",
    "build",
    "cloud-function",
    "docs",
    "examples",
    "specs",
    "src",
    "tests",
];

/// Copies what is newer or absent; what is the same keeps its time, so that only the bug is built anew.
fn mirror(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).expect("a directory");
        for entry in fs::read_dir(from).expect("readable") {
            let entry = entry.expect("readable");
            mirror(&entry.path(), &to.join(entry.file_name()));
        }
        return;
    }
    let bytes = fs::read(from).expect("readable");
    if fs::read(to).ok().as_ref() != Some(&bytes) {
        fs::write(to, bytes).expect("written");
    }
}

fn spoiled(source: &str, bug: &Bug) -> String {
    let mut text = source.to_owned();
    for (good, bad) in bug.edits {
        assert_eq!(text.matches(good).count(), 1, "{}: its place in {} has moved:\n{good}", bug.name, bug.file);
        text = text.replacen(good, bad, 1);
    }
    text
}

#[test]
fn the_places_of_all_bugs_are_where_they_were() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for bug in &BUGS {
        let source = fs::read_to_string(root.join(bug.file)).expect("a file of ours");
        assert_ne!(spoiled(&source, bug), source);
    }
}

#[test]
fn every_bug_that_is_put_back_is_caught() {
    if std::env::var_os("TILLBOOK_BUGS").is_none() {
        let name = "every_bug_that_is_put_back_is_caught";
        return skipped(name, "a minute for each bug, to build the crate anew", "TILLBOOK_BUGS=1 cargo test");
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let tree = root.join("target/put-back");
    fs::create_dir_all(&tree).expect("a directory");
    for bug in &BUGS {
        TREE.iter().for_each(|part| mirror(&root.join(part), &tree.join(part)));
        let good = fs::read_to_string(tree.join(bug.file)).expect("a file of ours");
        fs::write(tree.join(bug.file), spoiled(&good, bug)).expect("written");
        let mut cargo = Command::new(env!("CARGO"));
        // What cargo tells this test about this crate would have others built anew that look at it.
        let told = std::env::vars_os().map(|(name, _)| name);
        for name in told.filter(|name| name.to_string_lossy().starts_with("CARGO_")).filter(|name| name != "CARGO_HOME")
        {
            cargo.env_remove(name);
        }
        let output = cargo
            .args(["test", "--offline", "--all-features", "--test", "simulation", "--", bug.test])
            .current_dir(&tree)
            // Dependencies are built already; only the crate is another one.
            .env("CARGO_TARGET_DIR", root.join("target"))
            .env("TILLBOOK_CELLS", bug.lives)
            .env("TILLBOOK_SEED", "1")
            .env("TILLBOOK_SIMULATE_S", "120")
            .output()
            .expect("cargo runs");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(text.contains("running 1 test"), "{}: it was not run:\n{text}", bug.name);
        let caught = !output.status.success() && text.contains(bug.says);
        assert!(caught, "{}: it was not caught:\n{text}", bug.name);
    }
    fs::remove_dir_all(tree).expect("removed");
}
