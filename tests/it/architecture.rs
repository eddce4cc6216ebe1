//! The house's rules, read from the source: which room may look into which.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room with the rooms it may name. What is not listed is a wall.
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("gateway", &["domain"]),
    ("storage", &["domain"]),
    ("clients", &["domain", "gateway"]),
    ("ledger", &["domain", "gateway", "storage"]),
    ("sync", &["domain", "gateway", "storage", "ledger"]),
    ("sandbox", &["domain"]),
    ("serve", &["domain", "gateway", "storage", "ledger", "sync"]),
    ("cli", &["domain", "gateway", "storage", "clients", "ledger", "sync", "serve", "sandbox"]),
];

/// What the domain must never touch: clocks, disks, threads, floats.
const NOT_IN_DOMAIN: &[&str] = &[
    "std::fs",
    "std::net",
    "std::thread",
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
    "tokio",
    "async ",
    "f64",
    "f32",
];

fn sources(room: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room)];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).expect("a room is a folder of src").map(|entry| entry.expect("readable")) {
            let path = entry.path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// The code of a file without comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("readable");
    let lines = text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code));
    lines.collect::<Vec<_>>().join("\n")
}

/// The rooms that a file names through `crate::` or `tillbook::`, also in braces.
fn rooms_named(code: &str) -> BTreeSet<&'static str> {
    let paths = ["crate::", "tillbook::"].iter().flat_map(|root| code.match_indices(root));
    let names: Vec<&str> = paths.flat_map(|(at, root)| first_names(&code[at + root.len()..])).collect();
    MAY_USE.iter().map(|(room, _)| *room).filter(|room| names.contains(room)).collect()
}

/// The first name of each path that begins here: of one, or of each in the braces.
fn first_names(code: &str) -> Vec<&str> {
    let name = |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let Some(list) = code.strip_prefix('{') else { return vec![&code[..name(code)]] };
    let (mut depth, mut begins, mut names) = (0, 0, Vec::new());
    for (at, c) in list.char_indices() {
        if depth == 0 && (c == ',' || c == '}') {
            let path = list[begins..at].trim_start();
            names.push(&path[..name(path)]);
            begins = at + 1;
        }
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            _ => {}
        }
    }
    names
}

#[test]
fn every_arrow_between_rooms_points_at_what_it_may_depend_on() {
    let mut wrong = Vec::new();
    let mut files = 0;
    for (room, may) in MAY_USE {
        for path in sources(room) {
            files += 1;
            for named in rooms_named(&code(&path)) {
                if named != *room && !may.contains(&named) {
                    wrong.push(format!("{} names {named}, which {room} must not know", path.display()));
                }
            }
        }
    }
    assert!(files > 30, "the rooms were not found");
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_domain_has_no_clock_no_disk_no_thread_and_no_float() {
    let mut wrong = Vec::new();
    for path in sources("domain") {
        let code = code(&path);
        wrong.extend(
            NOT_IN_DOMAIN
                .iter()
                .filter(|banned| code.contains(**banned))
                .map(|banned| format!("{}: {banned}", path.display())),
        );
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_room_is_found_by_its_whole_name() {
    assert_eq!(rooms_named("use crate::sync::push; tillbook::ledgers"), BTreeSet::from(["sync"]));
    assert_eq!(
        rooms_named("use crate::{Error, storage::{cli, Page},\n    sync};"),
        BTreeSet::from(["storage", "sync"])
    );
}
