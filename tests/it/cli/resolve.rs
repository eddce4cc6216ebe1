//! `resolve`: the evidence for a person, and the person's verdict; alone and beside a till.

use serde_json::json;
use tillbook::sandbox::{Fault, FaultKind, Operation, Upstream};

use crate::support::program::Program;
use crate::support::till::Till;

/// A refund of 20.00 whose sending nobody answered, at an upstream that takes no number of ours.
async fn doubtful(program: &Program) -> String {
    let (_, name) = program.order(Upstream::TradeOrder, "80.00");
    program.json(&["fetch", &name]).await.done();
    program.sandbox.set_fault(Fault::new(Operation::TradeOrderRefund, FaultKind::DropBefore)).expect("set");
    let refunded = program.json(&["refund", &name, "--amount", "20", "--key", "k", "--by", "li"]).await;
    assert_eq!(refunded.failure(), (5, "in_doubt".to_owned()), "{refunded:?}");
    name
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_evidence_names_what_happened_and_each_verdict_that_may_be_typed() {
    let program = Program::new().await;
    doubtful(&program).await;
    program.json(&["sync", "--account", "shop-2"]).await.done();
    let shown = program.json(&["resolve", "shop-2:k"]).await.done();
    assert_eq!((&shown["refund"]["state"], &shown["refund"]["amount"]), (&json!("in_doubt"), &json!("20.00")));
    assert_eq!((&shown["baseline"]["refunded"], &shown["order"]["held"]), (&json!("0.00"), &json!("20.00")));
    let probes = shown["probes"].as_array().expect("probes");
    assert!(!probes.is_empty() && probes.iter().all(|probe| probe["outcome"] == "in_doubt"), "{shown}");
    let version = shown["version"].as_u64().expect("a version");
    let commands: Vec<&str> =
        shown["verdicts"].as_array().expect("verdicts").iter().filter_map(|line| line["command"].as_str()).collect();
    let line = |words: &str| format!("tillbook resolve shop-2:k {words} --by NAME --note TEXT --seen {version}");
    let words = ["--succeeded", "--declined", "--not-executed --resend", "--not-executed --release"];
    assert_eq!(commands, words.map(line));

    let text = program.run(&["resolve", "shop-2", "k"]).await;
    assert_eq!(text.code, 0);
    for part in ["in_doubt 结果未知 since", "20.00 held by li", "attempt 1 begins", "asked: in_doubt", &line(words[3])]
    {
        assert!(text.stdout.contains(part), "{part} is missing in:\n{}", text.stdout);
    }
    assert_eq!(program.json(&["resolve", "shop-2:none"]).await.failure(), (3, "unknown_refund".to_owned()));
    assert_eq!(program.json(&["resolve", "shop-9:k"]).await.failure(), (2, "unknown_account".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_settles_a_refund_alone_and_beside_a_till() {
    for with_till in [false, true] {
        let program = Program::new().await;
        let name = doubtful(&program).await;
        let till = with_till.then(|| Till::start(&program));
        if let Some(till) = &till {
            // The account's first round is behind it: from here on the record stands still.
            while till.until("page")["account"] != "shop-2" {}
        }
        let shown = program.json(&["resolve", "shop-2:k"]).await.done();
        let version = shown["version"].as_u64().expect("a version");
        let judge = async |words: &[&str], seen: u64| {
            let seen = seen.to_string();
            let words =
                [&["resolve", "shop-2:k"], words, &["--by", "boss", "--note", "console", "--seen", &seen]].concat();
            program.json(&words).await
        };
        let stale = judge(&["--not-executed", "--release"], version - 1).await;
        assert_eq!(stale.failure(), (3, "record_moved".to_owned()), "{stale:?}");
        let unsound = judge(&["--reversed"], version).await;
        assert_eq!(unsound.failure(), (3, "not_resolvable".to_owned()), "{unsound:?}");
        let freed = judge(&["--not-executed", "--release"], version).await.done();
        assert_eq!((&freed["refund"]["state"], &freed["order"]["held"]), (&json!("canceled"), &json!("0.00")));
        let again = judge(&["--not-executed", "--release"], version).await.done();
        assert_eq!(again["refund"], freed["refund"], "a second time answers as it stands");
        assert_eq!(program.json(&["show", &name]).await.done()["refundable"], "80.00");
        let text = program.run(&["resolve", "shop-2:k"]).await.stdout;
        assert!(text.contains("boss decides release: console") && text.contains("no verdict is open"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_is_to_be_sent_again_is_sent_by_the_till() {
    let program = Program::new().await;
    doubtful(&program).await;
    let till = Till::start(&program);
    while till.until("page")["account"] != "shop-2" {} // from here on the record stands still
    let version = program.json(&["resolve", "shop-2:k"]).await.done()["version"].to_string();
    let words = ["--not-executed", "--resend", "--by", "boss", "--note", "console", "--seen", &version];
    program.json(&[&["resolve", "shop-2:k"], &words[..]].concat()).await.done();
    while till.until("refund")["state"] != "succeeded" {}
    assert_eq!(program.sandbox.books().total_money_out_fen(), 2000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_upstreams_own_word_comes_before_a_persons() {
    let program = Program::new().await;
    let (_, name) = program.order(Upstream::Fubei, "80.00");
    program.json(&["fetch", &name]).await.done();
    program.sandbox.set_fault(Fault::new(Operation::FubeiRefund, FaultKind::DropAfter)).expect("set");
    let refunded = program.json(&["refund", &name, "--amount", "20", "--key", "k"]).await;
    assert_eq!(refunded.failure(), (5, "in_doubt".to_owned()), "{refunded:?}");
    let version = refunded.json()["order"]["version"].to_string();
    let words = ["--not-executed", "--release", "--by", "boss", "--note", "guessed", "--seen", &version];
    let judged = program.json(&[&["resolve", "shop-1:k"], &words[..]].concat()).await;
    assert_eq!(judged.failure(), (3, "verdict_contradicted".to_owned()), "{judged:?}");
    let shown = program.json(&["show", &name]).await.done();
    assert_eq!((&shown["refunded"], &shown["held"]), (&json!("20.00"), &json!("0.00")), "what it proved is kept");
}

#[tokio::test]
async fn half_a_verdict_is_a_usage_error() {
    let program = Program::new().await;
    for words in [
        &["resolve", "shop-1:k", "--succeeded"][..],
        &["resolve", "shop-1:k", "--not-executed", "--by", "a", "--note", "b", "--seen", "1"],
        &["resolve", "shop-1:k", "--by", "a"],
        &["approve", "shop-1:k"],
    ] {
        assert_eq!(program.json(words).await.failure(), (2, "usage".to_owned()), "{words:?}");
    }
}
