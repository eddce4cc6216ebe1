//! Refunds that go out at once: amounts, keys, states and exit codes.

use serde_json::json;
use tillbook::sandbox::{Fault, FaultKind, Operation, Upstream};

use crate::support::program::Program;
use crate::support::shop::UPSTREAMS;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn part_then_rest_then_one_fen_too_much_at_each_upstream() {
    for upstream in UPSTREAMS {
        let program = Program::new().await;
        let (order, name) = program.order(upstream, "80.00");
        let fetched = program.json(&["fetch", &name]).await.done();
        assert_eq!((&fetched["paid"], &fetched["paid_fen"]), (&json!("80.00"), &json!(8000)), "{upstream}");
        assert_eq!(fetched["refund_status"], "none");

        let part = program
            .json(&["refund", &name, "--amount", "12.50", "--key", "part-1", "--memo", "凉了", "--by", "cashier-7"])
            .await
            .done();
        let refund = &part["refund"];
        assert_eq!((&refund["key"], &refund["amount_fen"]), (&json!("part-1"), &json!(1250)));
        assert_eq!(
            (&refund["memo"], &refund["by"], &refund["device"]),
            (&json!("凉了"), &json!("cashier-7"), &json!("till-1"))
        );
        assert!(refund["state"] == "succeeded" || refund["state"] == "accepted", "{part}");
        assert_eq!(part["replayed"], false);
        program.json(&["sync"]).await.done();

        let rest = program.json(&["refund", &name, "--expect-refundable", "67.50"]).await.done();
        assert_eq!((&rest["refund"]["amount"], &rest["refund"]["requested"]), (&json!("67.50"), &json!("all")));
        program.json(&["sync"]).await.done();
        let shown = program.json(&["show", &name]).await.done();
        assert_eq!(
            (&shown["refunded"], &shown["held"], &shown["refundable"]),
            (&json!("80.00"), &json!("0.00"), &json!("0.00"))
        );
        assert_eq!(shown["refund_status"], "complete");
        let states: Vec<&str> = shown["refunds"]
            .as_array()
            .expect("refunds")
            .iter()
            .map(|r| r["state"].as_str().expect("a state"))
            .collect();
        assert_eq!(states, ["succeeded", "succeeded"]);
        assert_eq!(program.sandbox.books().money_out_fen(upstream, &order.id), Some(8000));

        let calls = program.sandbox.calls();
        let over = program.json(&["refund", &name, "--amount", "0.01", "--key", "more"]).await;
        assert_eq!(over.failure(), (3, "over_refundable".to_owned()));
        let error = &over.json()["error"];
        assert_eq!(
            (&error["asked_fen"], &error["refundable_fen"], &error["paid_fen"]),
            (&json!(1), &json!(0), &json!(8000))
        );
        assert_eq!(program.sandbox.calls(), calls, "a refused refund makes no call");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_again_is_the_same_answer_and_another_amount_is_refused_by_name() {
    let program = Program::new().await;
    let (order, name) = program.order(Upstream::Fubei, "80.00");
    let words = ["refund", &name, "--amount", "20", "--key", "once"];
    let first = program.json(&words).await.done();
    let calls = program.sandbox.calls();
    let again = program.json(&words).await.done();
    assert_eq!(again["replayed"], true);
    assert_eq!((&again["refund"], &again["order"]), (&first["refund"], &first["order"]));
    let other = program.json(&["refund", &name, "--amount", "30", "--key", "once"]).await;
    assert_eq!(other.failure(), (3, "replay_differs".to_owned()));
    let error = &other.json()["error"];
    assert_eq!(
        (&error["field"], &error["recorded"], &error["asked"]),
        (&json!("amount"), &json!("20.00"), &json!("30.00"))
    );
    assert_eq!(program.sandbox.calls(), calls, "neither asked anybody");
    assert_eq!(program.sandbox.books().by_client_no("once").len(), 1);
    assert_eq!(program.sandbox.books().money_out_fen(Upstream::Fubei, &order.id), Some(2000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_key_one_is_printed_and_a_look_alike_needs_again() {
    let program = Program::new().await;
    let (_, name) = program.order(Upstream::Fubei, "80.00");
    let first = program.json(&["refund", &name, "--amount", "10"]).await;
    let key = first.done()["refund"]["key"].as_str().expect("a key").to_owned();
    assert!(key.starts_with("till-1-"), "{key}");
    assert_eq!(first.stderr, format!("refund key 退款单号: {key}\n"));

    let slip = program.json(&["refund", &name, "--amount", "10"]).await;
    assert_eq!(slip.failure(), (3, "looks_repeated".to_owned()));
    assert_eq!(slip.json()["error"]["key"], key.as_str());
    assert_eq!(slip.json()["error"]["hint"], "--again if a second refund is meant");
    program.json(&["refund", &name, "--amount", "10", "--again"]).await.done();
    program.json(&["refund", &name, "--amount", "10", "--key", "meant"]).await.done();
    assert_eq!(program.sandbox.calls().of(Operation::FubeiRefund), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn declined_exits_4_and_in_doubt_5_and_so_do_their_replays() {
    let program = Program::new().await;
    let (_, name) = program.order(Upstream::TradeOrder, "80.00");
    program.sandbox.set_fault(Fault::new(Operation::TradeOrderRefund, FaultKind::CodeBefore(12062))).expect("fits");
    for _ in 0..2 {
        let declined = program.json(&["refund", &name, "--amount", "1", "--key", "declined"]).await;
        assert_eq!(declined.failure(), (4, "declined".to_owned()));
        let document = declined.json();
        assert_eq!((&document["refund"]["state"], &document["refund"]["code"]), (&json!("declined"), &json!("12062")));
        assert_eq!(document["order"]["refundable"], "80.00");
    }
    program.sandbox.set_fault(Fault::new(Operation::TradeOrderRefund, FaultKind::DropAfter)).expect("fits");
    for _ in 0..2 {
        let lost = program.json(&["refund", &name, "--amount", "2", "--key", "lost"]).await;
        assert_eq!(lost.failure(), (5, "in_doubt".to_owned()));
        assert_eq!(lost.json()["order"]["held"], "2.00");
    }
    assert_eq!(program.sandbox.pending_faults(), []);
    assert_eq!(program.sandbox.calls().of(Operation::TradeOrderRefund), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_amount_that_is_no_longer_refundable_is_refused_by_the_guard() {
    let program = Program::new().await;
    let (_, name) = program.order(Upstream::Hydrogen, "80.00");
    program.json(&["fetch", &name]).await.done();
    let refused = program.json(&["refund", &name, "--amount", "5", "--expect-refundable", "70"]).await;
    assert_eq!(refused.failure(), (3, "refundable_changed".to_owned()));
    let error = &refused.json()["error"];
    assert_eq!((&error["expected"], &error["refundable"]), (&json!("70.00"), &json!("80.00")));
    assert_eq!(program.sandbox.calls().refunds, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_says_what_would_happen_and_changes_no_byte() {
    let program = Program::new().await;
    let (_, name) = program.order(Upstream::Fubei, "80.00");
    let unknown = program.json(&["refund", &name, "--dry-run"]).await;
    assert_eq!(unknown.failure(), (3, "unknown_order".to_owned()));
    assert!(program.ledger_files().is_empty(), "a dry run makes no ledger");
    program.json(&["fetch", &name]).await.done();
    let (calls, files) = (program.sandbox.calls(), program.ledger_files());
    let would = program.json(&["refund", &name, "--amount", "30", "--dry-run"]).await.done();
    assert_eq!((&would["dry_run"], &would["refund"]["state"]), (&json!(true), &json!("queued")));
    assert_eq!((&would["order"]["held"], &would["order"]["refundable"]), (&json!("30.00"), &json!("50.00")));
    let over = program.json(&["refund", &name, "--amount", "80.01", "--dry-run"]).await;
    assert_eq!(over.failure(), (3, "over_refundable".to_owned()));
    assert_eq!(program.sandbox.calls(), calls);
    assert!(files == program.ledger_files(), "a dry run wrote");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_nobody_knows_exits_3() {
    let program = Program::new().await;
    for words in [["show", "shop-2:T000"], ["fetch", "shop-2:T000"], ["refund", "shop-2:T000"]] {
        assert_eq!(program.json(&words).await.failure(), (3, "unknown_order".to_owned()), "{words:?}");
    }
}
