//! `bench`: a real, short measurement, which leaves the directory as it was, however it ends.

use std::fs;
use std::path::Path;
#[cfg(unix)]
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::program::run_in;

/// The names in a directory.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("readable").map(|entry| entry.expect("readable").file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().expect("a plain name")).collect();
    names.sort();
    names
}

/// The keys of an object.
fn keys(object: &Value) -> Vec<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn number(row: &Value, key: &str) -> u64 {
    row[key].as_u64().unwrap_or_else(|| panic!("{key} is no whole number: {row}"))
}

#[tokio::test]
async fn it_says_how_far_ledger_and_disk_are_apart_and_touches_nothing_that_is_there() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir_all(dir.path().join("device/journal")).expect("made");
    fs::write(dir.path().join("device/journal/00000001.tbj"), b"somebody's").expect("written");
    let ran = run_in(dir.path(), &["bench", "device", "--seconds", "1", "--json"], b"").await;
    assert_eq!(ran.stderr, "");
    let measured = ran.done();
    assert_eq!(keys(&measured), ["append", "directory", "floor", "frame_bytes", "holds", "orders", "sync"]);
    assert_eq!((&measured["directory"], number(&measured, "orders")), (&Value::from("device"), 2_000));
    assert!((300..600).contains(&number(&measured, "frame_bytes")), "{measured}");
    assert!(["too_quick", "ordinary", "slow"].contains(&measured["sync"].as_str().expect("a word")));
    let holds = measured["holds"].as_array().expect("a list");
    assert_eq!(holds.iter().map(|row| number(row, "callers")).collect::<Vec<_>>(), [1, 8, 64]);
    for row in [&measured["floor"], &measured["append"]].into_iter().chain(holds) {
        let all = [
            "callers",
            "count",
            "p50_ns",
            "p50_over_floor_hundredths",
            "p99_ns",
            "per_second",
            "per_second_over_floor_hundredths",
        ];
        assert_eq!(keys(row), all);
        // In memory, where some systems keep their temporary files, a hold is hundreds of times what the disk takes.
        assert!(all[..6].iter().all(|key| number(row, key) > 0), "{row}");
        // Each of five rounds has at least one of each caller.
        assert!(number(row, "count") >= 5 * number(row, "callers"), "{row}");
        assert!(number(row, "p99_ns") >= number(row, "p50_ns"), "{row}");
        for (figure, ratio) in [("p50_ns", all[3]), ("per_second", all[6])] {
            let (own, floor) = (number(row, figure), number(&measured["floor"], figure));
            assert_eq!(number(row, ratio), (own * 100 + floor / 2) / floor, "{row}");
        }
    }
    assert_eq!(number(&measured["floor"], "p50_over_floor_hundredths"), 100);
    assert_eq!(names(&dir.path().join("device")), ["journal"]);
    assert_eq!(fs::read(dir.path().join("device/journal/00000001.tbj")).expect("readable"), b"somebody's");
}

#[tokio::test]
async fn people_get_a_table_and_what_it_means() {
    let dir = tempfile::tempdir().expect("a directory");
    let ran = run_in(dir.path(), &["bench", ".", "--seconds", "1"], b"").await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.starts_with("measuring for 1 s at most in ./tillbook-bench-"), "{ran:?}");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let header = "WHAT 项目 | CALLERS 并发 | P50 | P99 | A SECOND 每秒 | P50 / DISK | A SECOND / DISK";
    let cells =
        |line: &str| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join(" | ");
    assert_eq!(cells(lines[0]), header);
    let firsts: Vec<&str> = lines[1..6].iter().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(firsts, ["disk", "append", "hold", "hold", "hold"]);
    assert!(ran.stdout.contains("\na cashier waits ") && ran.stdout.contains("\n64 callers at once get "), "{ran:?}");
    assert_eq!(names(dir.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_directory_that_is_none_is_refused_and_nothing_is_made() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("file"), b"").expect("written");
    let bench = async |words: &[&str]| run_in(dir.path(), &[&["bench", "--json"], words].concat(), b"").await;
    let missing = bench(&["missing"]).await;
    assert_eq!(missing.failure(), (1, "io".to_owned()));
    assert!(missing.stderr.starts_with("error: cannot look at missing: "), "{missing:?}");
    assert!(
        missing.stderr.contains("\nhint: name a directory on the disk that the ledger is to live on"),
        "{missing:?}"
    );
    let file = bench(&["file"]).await;
    assert_eq!(file.failure(), (1, "io".to_owned()));
    assert!(file.stderr.starts_with("error: file is no directory; nothing was written"), "{file:?}");
    assert_eq!(bench(&[]).await.failure(), (2, "usage".to_owned()));
    for seconds in ["0", "61", "1.5"] {
        assert_eq!(bench(&[".", "--seconds", seconds]).await.code, 2, "{seconds}");
    }
    assert_eq!(names(dir.path()), ["file"]);
}

/// What may not be written cannot be told to root, who may write everything: then it is measured like any other.
#[cfg(unix)]
#[tokio::test]
async fn a_directory_that_may_not_be_written_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a directory");
    let closed = dir.path().join("closed");
    fs::create_dir(&closed).expect("made");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).expect("set");
    let may_all_the_same = fs::create_dir(closed.join("probe")).is_ok();
    let ran = run_in(dir.path(), &["bench", "closed", "--seconds", "1", "--json"], b"").await;
    if may_all_the_same {
        assert_eq!((ran.code, names(&closed)), (0, vec!["probe".to_owned()]), "{ran:?}");
    } else {
        assert_eq!(ran.failure(), (1, "io".to_owned()));
        assert!(ran.stderr.starts_with("error: cannot make a directory in closed: "), "{ran:?}");
        assert_eq!(names(&closed), Vec::<String>::new());
    }
}

#[cfg(unix)]
#[test]
fn an_interruption_removes_what_was_made() {
    use std::io::{BufRead, BufReader, Read};
    let dir = tempfile::tempdir().expect("a directory");
    for signal in ["-INT", "-TERM"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tillbook"))
            .args(["bench", ".", "--seconds", "60"])
            .current_dir(dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        stderr.read_line(&mut line).expect("it says what it does");
        let [made] = names(dir.path()).try_into().expect("one directory");
        assert_eq!(line, format!("measuring for 60 s at most in ./{made}, which is removed afterwards\n"));
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(sent.expect("kill is on every Unix").success());
        let mut rest = String::new();
        stderr.read_to_string(&mut rest).expect("read");
        assert_eq!(child.wait().expect("it ends").code(), Some(1));
        assert_eq!(rest, "error: interrupted; what was made for measuring is removed\n");
        assert_eq!(names(dir.path()), Vec::<String>::new());
    }
}
