//! `show --body`, `forget` and `compact`: alone, and beside a running till.

use serde_json::json;
use tillbook::sandbox::Upstream;

use super::golden::golden;
use crate::support::program::Program;
#[cfg(unix)]
use crate::support::till::Till;

/// A program whose accounts keep bodies, with an order that it has fetched.
async fn keeping() -> (Program, String) {
    let program = Program::new().await;
    program.configure(|text| text.replace("base_url = ", "keep_bodies = true\nbase_url = "));
    let (_, name) = program.order(Upstream::TradeOrder, "80.00");
    program.json(&["fetch", &name]).await.done();
    (program, name)
}

/// Sizes depend on sled's moods.
fn without_numbers(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        match c.is_ascii_digit() {
            true if shown.ends_with('N') => {}
            true => shown.push('N'),
            false => shown.push(c),
        }
    }
    shown
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_shown_forgotten_and_gone_after_a_compaction() {
    let (program, name) = keeping().await;
    let shown = program.run(&["show", &name, "--body"]).await;
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""), "{shown:?}");
    assert_eq!(shown.json()["code"], 0, "the upstream's own envelope, byte by byte");
    let document = program.json(&["show", &name, "--body"]).await.done();
    let order = document["order"].clone();
    assert_eq!(document, json!({ "order": order, "bytes": shown.stdout.len(), "body": shown.stdout }));
    assert!(!program.run(&["show", &name]).await.stdout.contains("userId"));

    let compacted = program.json(&["compact"]).await.done();
    assert_eq!(compacted["bodies_erased"], false);
    assert!(compacted["bodies_bytes"].as_u64() > Some(shown.stdout.len() as u64), "{compacted}");
    assert_eq!(program.run(&["show", &name, "--body"]).await.stdout, shown.stdout, "it was carried over");

    let forgotten = program.run(&["forget", &name]).await;
    assert_eq!(forgotten.code, 0, "{forgotten:?}");
    let id = order.as_str().expect("an id");
    let masked = |text: &str| text.replace(id, "ORDER").replace(&shown.stdout.len().to_string(), "N");
    golden("forget.txt", &format!("{}{}", masked(&forgotten.stdout), masked(&forgotten.stderr)));
    let again = program.json(&["forget", &name]).await.done();
    assert_eq!((&again["erased"], &again["bytes"]), (&json!(false), &json!(null)));
    let none = program.json(&["show", &name, "--body"]).await;
    assert_eq!(none.failure(), (1, "no_body".to_owned()));
    program.json(&["compact"]).await.done();
    assert!(program.ledger_files().values().all(|bytes| !bytes.windows(8).any(|at| at == b"\"userId\"")));
    assert_eq!(program.json(&["verify"]).await.done()["differences"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compact_forgets_every_body_where_it_is_told_to() {
    let (program, name) = keeping().await;
    assert!(program.ledger_files().values().any(|bytes| bytes.windows(8).any(|at| at == b"\"userId\"")));
    let compacted = program.run(&["compact", "--forget-bodies"]).await;
    assert_eq!(compacted.code, 0, "{compacted:?}");
    golden("compact.txt", &without_numbers(&compacted.stdout));
    assert_eq!(program.json(&["show", &name, "--body"]).await.failure(), (1, "no_body".to_owned()));
    assert!(program.ledger_files().values().all(|bytes| !bytes.windows(8).any(|at| at == b"\"userId\"")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_ledger_is_made_and_an_unknown_order_is_refused() {
    let program = Program::new().await;
    for words in [&["compact"][..], &["forget", "shop-1:1"], &["show", "shop-1:1", "--body"]] {
        assert_eq!(program.json(words).await.failure(), (1, "no_ledger".to_owned()), "{words:?}");
        assert!(!program.path("ledger").exists(), "{words:?}");
    }
    let (program, _) = keeping().await;
    for words in [&["forget", "shop-1:1"][..], &["show", "shop-1:1", "--body"]] {
        assert_eq!(program.json(words).await.failure(), (3, "unknown_order".to_owned()), "{words:?}");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_a_running_till_a_body_is_shown_and_forgotten_and_compact_waits_its_turn() {
    let (program, name) = keeping().await;
    let alone = program.run(&["show", &name, "--body"]).await;
    // The till lists the order again: it must neither replace the body nor bring a forgotten one back.
    program.configure(|text| text.replace("keep_bodies = true\n", ""));
    let till = Till::start(&program);
    assert_eq!(program.run(&["show", &name, "--body"]).await.stdout, alone.stdout);
    let forgotten = program.json(&["forget", &name]).await.done();
    assert_eq!((&forgotten["erased"], &forgotten["bytes"]), (&json!(true), &json!(alone.stdout.len())));
    let locked = program.json(&["--lock-wait", "0s", "compact"]).await;
    assert_eq!(locked.failure(), (1, "locked".to_owned()));
    till.terminate();
    program.json(&["compact"]).await.done();
    assert_eq!(program.json(&["show", &name, "--body"]).await.failure(), (1, "no_body".to_owned()));
}
