//! One process owns a ledger; others read beside it, or wait and name the owner.

use std::process::Command;
use std::sync::Arc;

use serde_json::json;
use tillbook::clients::credential::StaticSecret;
use tillbook::clients::fubei::{FubeiGateway, FubeiSettings};
use tillbook::clients::http::HttpSettings;
use tillbook::sandbox::Upstream;
use tillbook::{AccountName, AccountSettings, Ledger, Wanted};

use crate::support::program::Program;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_works_beside_an_owner_and_writing_waits_and_names_it() {
    let program = Program::new().await;
    let (order, name) = program.order(Upstream::Fubei, "80.00");
    let owner = Ledger::builder().open(program.path("ledger")).await.expect("opens");
    let account = AccountName::new("shop-1").expect("a name");
    let known = program.sandbox.credentials();
    let secret = Arc::new(StaticSecret::new(known.fubei_secret));
    let http = HttpSettings::new(program.sandbox.base_url());
    let gateway = FubeiGateway::new(FubeiSettings::new(http, known.fubei_app_id, secret)).expect("settings");
    owner.connect(account.clone(), Arc::new(gateway), AccountSettings::default()).expect("connects");
    owner.fetch(&account, &Wanted { kind: None, number: order.id.clone() }).await.expect("fetched");

    let listed = program.json(&["orders"]).await.done();
    assert_eq!(listed["orders"].as_array().map(Vec::len), Some(1));
    assert_eq!(program.json(&["show", &name]).await.done()["paid"], "80.00");
    let refunds = program.json(&["refunds"]).await.done();
    assert_eq!((&refunds["refunds"], &refunds["more"], &refunds["next"]), (&json!([]), &json!(false), &json!(null)));
    assert_eq!(program.json(&["verify"]).await.done()["differences"], json!([]));
    assert_eq!(program.json(&["refund", &name, "--dry-run"]).await.done()["refund"]["amount"], "80.00");

    let calls = program.sandbox.calls();
    for words in [
        ["refund", &name, "--lock-wait", "100ms"],
        ["fetch", &name, "--lock-wait", "100ms"],
        ["cancel", "shop-1:k", "--lock-wait", "100ms"],
    ] {
        let locked = program.json(&words).await;
        assert_eq!(locked.failure(), (1, "locked".to_owned()), "{words:?}");
        let holder = locked.json()["error"]["holder"].as_str().expect("a holder").to_owned();
        assert!(holder.contains(&std::process::id().to_string()), "{holder}");
    }
    assert_eq!(program.sandbox.calls(), calls, "whoever does not own the ledger asks nobody");
    owner.close().await.expect("closes");
    drop(owner);
    program.json(&["refund", &name, "--lock-wait", "100ms"]).await.done();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_has_gone_away_is_no_failure() {
    let program = Program::new().await;
    for _ in 0..50 {
        program.order(Upstream::TradeOrder, "80.00");
    }
    program.json(&["sync"]).await.done();
    for words in [&["orders", "--json"][..], &["orders"], &["completions", "bash"], &["--help"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tillbook"))
            .args(words)
            .current_dir(program.dir.path())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("the binary runs");
        drop(child.stdout.take());
        let ended = child.wait_with_output().expect("ends");
        assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""), "{words:?}");
    }
}
