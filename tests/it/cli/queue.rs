//! Refunds that wait: no network, refused credentials, offline orders, and what one sync does then.

use std::fs;

use serde_json::json;
use tillbook::sandbox::{Credentials, Operation, Upstream};

use crate::support::program::Program;
use crate::support::shop::UPSTREAMS;

/// What each upstream checks, spoilt.
fn spoilt(known: &Credentials) -> Credentials {
    Credentials {
        fubei_secret: "another".to_owned(),
        trade_order_token: "another".to_owned(),
        hydrogen_token: "another".to_owned(),
        function_secret: "another".to_owned(),
        ..known.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_credentials_leave_a_refund_queued_and_one_sync_after_mending_sends_it_once() {
    for upstream in UPSTREAMS {
        let program = Program::new().await;
        let (order, name) = program.order(upstream, "80.00");
        program.json(&["fetch", &name]).await.done();
        let known = program.sandbox.credentials();
        program.sandbox.set_credentials(spoilt(&known));

        let queued = program.json(&["refund", &name, "--amount", "30", "--key", "waits"]).await.done();
        assert_eq!(
            (&queued["refund"]["state"], &queued["order"]["held"]),
            (&json!("queued"), &json!("30.00")),
            "{upstream}"
        );
        assert!(queued["waiting"].is_string(), "{queued}");
        let checked = program.json(&["check"]).await;
        assert_eq!(checked.failure(), (1, "check_failed".to_owned()));
        let synced = program.json(&["sync"]).await;
        assert_eq!(synced.failure(), (1, "sync_incomplete".to_owned()), "{upstream}: {}", synced.stdout);
        let waiting = program.json(&["refunds", "--state", "queued"]).await.done();
        assert_eq!(waiting["refunds"].as_array().map(Vec::len), Some(1), "{upstream}");
        assert_eq!(program.sandbox.books().money_out_fen(upstream, &order.id), Some(0));

        program.sandbox.set_credentials(known);
        program.json(&["check"]).await.done();
        program.json(&["sync"]).await.done();
        assert_eq!(program.sandbox.books().money_out_fen(upstream, &order.id), Some(3000), "{upstream}");
        program.json(&["sync"]).await.done();
        let book = program.sandbox.books().order(upstream, &order.id).cloned().expect("known");
        assert_eq!((book.refunds.len(), book.money_out_fen), (1, 3000), "{upstream}");
        let shown = program.json(&["show", &name]).await.done();
        assert_eq!(
            (&shown["refunds"][0]["state"], &shown["refunded"]),
            (&json!("succeeded"), &json!("30.00")),
            "{upstream}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_mended_in_its_file_or_variable_is_enough() {
    let program = Program::new().await;
    let (order, name) = program.order(Upstream::Fubei, "80.00");
    let secret = program.sandbox.credentials().fubei_secret;
    program.configure(|text| text.replace(&format!("secret = {secret:?}"), "secret = { file = \"fubei.key\" }"));
    fs::write(program.path("fubei.key"), format!("{secret}\n")).expect("written");
    program.json(&["fetch", &name]).await.done();
    fs::write(program.path("fubei.key"), "an older one\n").expect("written");
    let queued = program.json(&["refund", &name, "--key", "waits"]).await.done();
    assert_eq!(queued["refund"]["state"], "queued");
    fs::write(program.path("fubei.key"), &secret).expect("written");
    program.json(&["sync"]).await.done();
    assert_eq!(program.sandbox.books().money_out_fen(Upstream::Fubei, &order.id), Some(8000));

    program.configure(|text| text.replace("{ file = \"fubei.key\" }", "{ env = \"TILLBOOK_TEST_NO_SUCH_SECRET\" }"));
    let checked = program.json(&["check", "--account", "shop-1"]).await;
    assert_eq!(checked.failure(), (1, "check_failed".to_owned()));
    let said = checked.json()["accounts"][0]["error"]["message"].to_string();
    assert!(said.contains("TILLBOOK_TEST_NO_SUCH_SECRET"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_network_reads_and_queueing_go_on_and_the_queue_goes_out_later() {
    let program = Program::new().await;
    let mut orders = Vec::new();
    for upstream in UPSTREAMS {
        let (order, name) = program.order(upstream, "80.00");
        program.json(&["fetch", &name]).await.done();
        orders.push((upstream, order, name));
    }
    program.sandbox.network_down().await;
    for (_, _, name) in &orders {
        let queued = program.json(&["refund", name, "--amount", "5"]).await.done();
        assert_eq!(queued["refund"]["state"], "queued");
        assert_eq!(program.json(&["show", name]).await.done()["refundable"], "75.00");
    }
    assert_eq!(program.json(&["sync"]).await.failure(), (1, "sync_incomplete".to_owned()));
    program.sandbox.network_up().await.expect("listens again");
    let synced = program.json(&["sync"]).await.done();
    for account in ["shop-1", "shop-2", "shop-3"] {
        assert_eq!(synced["accounts"][account]["sent"], 1, "{synced}");
    }
    for (upstream, order, _) in &orders {
        assert_eq!(program.sandbox.books().money_out_fen(*upstream, &order.id), Some(500));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_recorded_offline_is_refunded_after_the_upstream_confirms_it() {
    let program = Program::new().await;
    let (order, name) = program.order(Upstream::Fubei, "80.00");
    program.sandbox.network_down().await;
    let reference = format!("order_sn={}", order.id);
    let recorded =
        program.json(&["record", "shop-1", "--ref", &reference, "--paid", "80.00", "--by", "kiosk"]).await.done();
    assert_eq!((&recorded["provisional"], &recorded["refundable"]), (&json!(true), &json!("80.00")));
    assert_eq!(recorded["references"], json!({"order_sn": order.id}));
    let queued = program.json(&["refund", &name, "--amount", "20"]).await.done();
    assert_eq!((&queued["refund"]["state"], &queued["order"]["provisional"]), (&json!("queued"), &json!(true)));
    program.sandbox.network_up().await.expect("listens again");
    program.json(&["sync"]).await.done();
    let shown = program.json(&["show", &name]).await.done();
    assert_eq!((&shown["provisional"], &shown["refunded"]), (&json!(false), &json!("20.00")), "{shown}");
    assert_eq!(program.sandbox.books().money_out_fen(Upstream::Fubei, &order.id), Some(2000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queued_refund_is_withdrawn_and_never_sent() {
    let program = Program::new().await;
    let (order, name) = program.order(Upstream::Hydrogen, "80.00");
    program.json(&["fetch", &name]).await.done();
    for key in ["one", "two"] {
        let queued = program.json(&["refund", &name, "--amount", "5", "--key", key, "--queue-only"]).await.done();
        assert_eq!(queued["refund"]["state"], "queued");
    }
    let canceled = program.json(&["cancel", "shop-3:one", "--by", "cashier-7"]).await.done();
    assert_eq!((&canceled["refund"]["state"], &canceled["order"]["held"]), (&json!("canceled"), &json!("5.00")));
    program.json(&["cancel", "shop-3", "two"]).await.done();
    // A second time answers as it stands; a replay of the refund says by its exit code that no money comes from it.
    program.json(&["cancel", "shop-3:one"]).await.done();
    let replay = program.json(&["refund", &name, "--amount", "5", "--key", "one"]).await;
    assert_eq!(replay.failure(), (1, "withdrawn".to_owned()));
    assert_eq!(program.json(&["cancel", "shop-3:three"]).await.failure(), (3, "unknown_refund".to_owned()));
    program.json(&["sync"]).await.done();
    assert_eq!(program.sandbox.calls().of(Operation::FunctionRefund), 0);
    assert_eq!(program.sandbox.books().money_out_fen(Upstream::Hydrogen, &order.id), Some(0));
}
