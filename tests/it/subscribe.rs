//! Following what happens: in this process, and from a second shell.

use std::io::{BufRead, BufReader};
use std::pin::pin;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::time::Duration;

use serde_json::{Value, json};
use tillbook::domain::Entry;
use tillbook::sandbox::Upstream;
use tillbook::{Ledger, RecordOrder, Reference, Subscription};

use crate::ledger::{account, connect, ledger, request, yuan};
use crate::support::desk::Desk;
use crate::support::program::Program;

async fn record(ledger: &Ledger, number: usize) {
    let references = vec![Reference::new("receipt", &format!("r-{number}")).expect("a number")];
    let offline = RecordOrder { account: account(), references, paid: yuan("5.00"), paid_at: None, by: None };
    ledger.record_order(offline).await.expect("recorded");
}

async fn take(subscription: &mut Subscription, count: usize) -> Vec<Arc<Entry>> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.push(subscription.next().await.expect("readable").expect("the ledger is open"));
    }
    taken
}

async fn rest(subscription: &mut Subscription) -> Vec<Arc<Entry>> {
    let mut taken = Vec::new();
    while let Some(entry) = subscription.next().await.expect("readable") {
        taken.push(entry);
    }
    taken
}

/// Whether it would wait now.
fn waits(subscription: &mut Subscription) -> bool {
    let mut next = pin!(subscription.next());
    next.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

async fn open(directory: &std::path::Path, desk: &Desk) -> Ledger {
    let ledger = Ledger::builder().lock_wait(Duration::from_secs(10)).open(directory).await.expect("opens");
    connect(&ledger, desk);
    ledger
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_concurrent_writers_each_subscriber_sees_every_sequence_once_and_in_order() {
    let (dir, desk) = (tempfile::tempdir().expect("a directory"), Desk::new());
    for ledger in [ledger(&desk).await, open(dir.path(), &desk).await] {
        let listeners: Vec<_> = (0..3)
            .map(|_| {
                let mut subscription = ledger.subscribe(0);
                tokio::spawn(async move { take(&mut subscription, 400).await })
            })
            .collect();
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let ledger = ledger.clone();
                tokio::spawn(async move {
                    for number in 0..50 {
                        record(&ledger, writer * 50 + number).await;
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.expect("writes");
        }
        let events = ledger.events(0, usize::MAX).await.expect("readable");
        assert_eq!(events.len(), 400);
        for listener in listeners {
            assert!(listener.await.expect("listens") == events);
        }
        ledger.close().await.expect("closes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_who_is_up_to_date_waits_for_the_next_event_and_gets_all_of_a_refund() {
    let desk = Desk::new();
    let (ledger, order) = (ledger(&desk).await, desk.order("1", "80.00"));
    let mut subscription = ledger.subscribe(0);
    assert!(waits(&mut subscription));
    let (entry, refunded) = tokio::join!(subscription.next(), ledger.refund(request(&order, "r-1", "10.00")));
    refunded.expect("refunded");
    assert_eq!(entry.expect("readable").map(|entry| entry.sequence), Some(1));
    // A future that is dropped while it waits loses nothing.
    while !waits(&mut subscription) {
        tokio::task::yield_now().await;
    }
    let mut later = ledger.subscribe(1);
    let names: Vec<&str> = take(&mut later, 3).await.iter().map(|entry| entry.event.name()).collect();
    assert_eq!(names, ["refund_held", "attempt_started", "answered"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_keeps_the_last_sequence_goes_on_after_it_at_the_next_open() {
    let (dir, desk) = (tempfile::tempdir().expect("a directory"), Desk::new());
    let ledger = open(dir.path(), &desk).await;
    for number in 0..600 {
        record(&ledger, number).await;
    }
    let mut seen = take(&mut ledger.subscribe(0), 250).await;
    ledger.close().await.expect("closes");
    let ledger = open(dir.path(), &desk).await;
    let after = seen.last().expect("some").sequence;
    let mut subscription = ledger.subscribe(after);
    seen.extend(take(&mut subscription, 350).await);
    record(&ledger, 600).await;
    seen.extend(take(&mut subscription, 1).await);
    assert!(seen == ledger.events(0, usize::MAX).await.expect("readable"));
    ledger.close().await.expect("closes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_gives_each_subscriber_what_is_left_and_then_ends_it() {
    let (dir, desk) = (tempfile::tempdir().expect("a directory"), Desk::new());
    for ledger in [ledger(&desk).await, open(dir.path(), &desk).await] {
        let (mut behind, mut half) = (ledger.subscribe(0), ledger.subscribe(0));
        let mut waiting = ledger.subscribe(600);
        let waiting = tokio::spawn(async move { rest(&mut waiting).await });
        for number in 0..600 {
            record(&ledger, number).await;
        }
        let mut seen = take(&mut half, 300).await;
        let events = ledger.events(0, usize::MAX).await.expect("readable");
        ledger.close().await.expect("closes");
        seen.extend(rest(&mut half).await);
        assert!(seen == events && rest(&mut behind).await == events);
        assert_eq!(waiting.await.expect("ends"), []);
        assert_eq!(behind.next().await.expect("still ended"), None);
        assert_eq!(ledger.subscribe(0).next().await.expect("too late"), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_only_listens_does_not_keep_a_ledger_open() {
    let (dir, desk) = (tempfile::tempdir().expect("a directory"), Desk::new());
    let ledger = open(dir.path(), &desk).await;
    record(&ledger, 1).await;
    let mut subscription = ledger.subscribe(1);
    drop(ledger);
    assert_eq!(subscription.next().await.expect("ended"), None);
    open(dir.path(), &desk).await.close().await.expect("closes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_onlookers_subscription_shows_what_there_was_and_waits_until_it_is_closed() {
    let (dir, desk) = (tempfile::tempdir().expect("a directory"), Desk::new());
    let ledger = open(dir.path(), &desk).await;
    record(&ledger, 1).await;
    let onlooker = Ledger::builder().open_read_only(dir.path()).await.expect("opens");
    let mut subscription = onlooker.subscribe(0);
    assert_eq!(take(&mut subscription, 1).await, ledger.events(0, 9).await.expect("readable"));
    assert!(waits(&mut subscription));
    onlooker.close().await.expect("closes");
    assert_eq!(subscription.next().await.expect("ended"), None);
    ledger.close().await.expect("closes");
}

#[test]
fn a_program_without_a_runtime_iterates() {
    let ledger = tillbook::blocking::Ledger::open(
        Ledger::builder().lock_wait(Duration::from_secs(10)),
        tempfile::tempdir().expect("a directory").path(),
    )
    .expect("opens");
    ledger.connect(account(), Arc::new(Desk::new()), tillbook::AccountSettings::default()).expect("connects");
    for number in 0..3 {
        let references = vec![Reference::new("receipt", &format!("r-{number}")).expect("a number")];
        let offline = RecordOrder { account: account(), references, paid: yuan("5.00"), paid_at: None, by: None };
        ledger.record_order(offline).expect("recorded");
    }
    let seen: Vec<u64> = ledger.subscribe(1).take(2).map(|entry| entry.expect("readable").sequence).collect();
    assert_eq!(seen, [2, 3]);
    ledger.close().expect("closes");
}

/// The binary as a follower, its lines arriving at a channel.
struct Follower {
    child: Child,
    lines: mpsc::Receiver<String>,
}

fn spawn(program: &Program, words: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tillbook"))
        .args(words)
        .current_dir(program.dir.path())
        .env_remove("RUST_LOG")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let stdout = BufReader::new(child.stdout.take().expect("piped"));
    (child, stdout)
}

impl Follower {
    fn start(program: &Program, words: &[&str]) -> Follower {
        let (child, stdout) = spawn(program, words);
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                if tell.send(line.expect("readable")).is_err() {
                    return;
                }
            }
        });
        Follower { child, lines }
    }

    fn take(&self, count: usize) -> Vec<Value> {
        let line = |_| self.lines.recv_timeout(Duration::from_secs(60)).expect("a line within a minute");
        (0..count).map(line).map(|line| serde_json::from_str(&line).expect("JSON")).collect()
    }

    /// Interrupts it as a person would, and waits for its end.
    fn interrupt(self) -> (Option<i32>, String) {
        let interrupted = Command::new("sh").args(["-c", &format!("kill -INT {}", self.child.id())]).status();
        assert!(interrupted.expect("sh runs").success());
        ended(self.child)
    }
}

fn ended(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().expect("ends");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn as_json(entries: &[Arc<Entry>]) -> Vec<Value> {
    entries.iter().map(|entry| serde_json::to_value(&**entry).expect("JSON")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_shell_follows_while_a_till_owns_the_ledger_and_writes() {
    let program = Program::new().await;
    let desk = Desk::new();
    let owner = open(&program.path("ledger"), &desk).await;
    for number in 0..20 {
        record(&owner, number).await;
    }
    let all = Follower::start(&program, &["events", "--follow"]);
    let later = Follower::start(&program, &["events", "--follow", "--after", "15"]);
    assert_eq!(all.take(20), as_json(&owner.events(0, 100).await.expect("readable")));
    assert_eq!(later.take(5), as_json(&owner.events(15, 100).await.expect("readable")));
    // Each is shown while the owner goes on, and another owner after it.
    for number in 20..23 {
        record(&owner, number).await;
        let sequence = number as u64;
        assert_eq!(all.take(1), as_json(&owner.events(sequence, 1).await.expect("readable")));
    }
    owner.close().await.expect("closes");
    let owner = open(&program.path("ledger"), &desk).await;
    for number in 23..40 {
        record(&owner, number).await;
    }
    assert_eq!(all.take(17), as_json(&owner.events(23, 100).await.expect("readable")));
    assert_eq!(later.take(20), as_json(&owner.events(20, 100).await.expect("readable")));
    assert_eq!(all.interrupt(), (Some(0), String::new()));
    assert_eq!(later.interrupt(), (Some(0), String::new()));
    owner.close().await.expect("closes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_whose_reader_has_gone_away_ends_by_itself_without_an_error() {
    let program = Program::new().await;
    let owner = open(&program.path("ledger"), &Desk::new()).await;
    record(&owner, 1).await;
    let (child, mut stdout) = spawn(&program, &["events", "--follow"]);
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a line");
    assert!(line.starts_with(r#"{"sequence":1,"order":""#), "{line}");
    drop(stdout); // as `head -1` does, and nothing happens at the till any more
    assert_eq!(ended(child), (Some(0), String::new()));
    owner.close().await.expect("closes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_printed_one_a_line_and_narrowed_to_an_order() {
    let program = Program::new().await;
    assert_eq!(program.json(&["events"]).await.failure(), (1, "no_ledger".to_owned()));
    let (_, one) = program.order(Upstream::Fubei, "80.00");
    let (_, two) = program.order(Upstream::Fubei, "60.00");
    for (name, key) in [(&one, "r-1"), (&two, "r-2")] {
        program.json(&["show", name]).await.done();
        program.json(&["refund", name, "--amount", "1.00", "--key", key]).await.done();
    }
    let print = async |words: &[&str]| {
        let ran = program.run(words).await;
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")).collect::<Vec<_>>()
    };
    let ledger = Ledger::builder().open_read_only(program.path("ledger")).await.expect("opens");
    let events = as_json(&ledger.events(0, 100).await.expect("readable"));
    assert_eq!(print(&["events"]).await, events);
    assert_eq!(print(&["events", "--json", "--after", "3"]).await, events[3..]);
    assert_eq!(print(&["events", "--after", "1000"]).await, Vec::<Value>::new());
    let of_one: Vec<Value> = events.iter().filter(|event| event["order"] == events[0]["order"]).cloned().collect();
    assert!(of_one.len() < events.len());
    assert_eq!(print(&["events", "--order", &one]).await, of_one);
    assert_eq!(print(&["events", "--order", &one, "--after", "1"]).await, of_one[1..]);
    let unknown = program.json(&["events", "--order", "shop-1:9999"]).await;
    assert_eq!(unknown.failure(), (3, "unknown_order".to_owned()));
    assert_eq!(unknown.json()["error"]["wanted"], json!("9999"));
}
