//! `run`, and a second shell beside it: every command that changes something is answered by the running till.

use std::time::Duration;

use serde_json::{Value, json};
use tillbook::sandbox::{Fault, FaultKind, Operation, Upstream};

use crate::support::program::{Program, Ran};
use crate::support::till::Till;

/// A till over a fresh sandbox, with two paid orders of 80.00 that it does not know yet.
async fn beside() -> (Program, Till, [String; 2]) {
    let program = Program::new().await;
    let names = [0, 1].map(|_| program.order(Upstream::Fubei, "80.00").1);
    let till = Till::start(&program);
    (program, till, names)
}

fn state(ran: &Ran) -> Value {
    ran.json()["refund"]["state"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_a_second_shell_is_answered_as_it_is_alone() {
    let (program, till, [name, other]) = beside().await;
    assert_eq!(program.json(&["show", &name]).await.done()["paid"], "80.00", "an unknown order is fetched");
    assert_eq!(program.json(&["fetch", &other]).await.done()["refundable"], "80.00");

    let refunded = program.json(&["refund", &name, "--amount", "12.50", "--by", "li"]).await;
    assert_eq!(state(&refunded), "succeeded", "{refunded:?}");
    let document = refunded.done();
    let key = document["refund"]["key"].as_str().expect("a key").to_owned();
    assert!(key.starts_with("till-1-") && refunded.stderr.contains(&key), "{refunded:?}");
    let again = program.json(&["refund", &name, "--amount", "12.50", "--key", &key]).await.done();
    assert_eq!((&again["refund"], &again["replayed"]), (&document["refund"], &json!(true)));

    let over = program.json(&["refund", &name, "--amount", "67.51", "--key", "more"]).await;
    assert_eq!(over.failure(), (3, "over_refundable".to_owned()));
    assert_eq!(over.json()["error"]["refundable_fen"], 6750);
    assert_eq!(program.json(&["refund", "shop-1:1"]).await.failure(), (3, "unknown_order".to_owned()));
    assert_eq!(program.json(&["refund", "shop-9:1"]).await.failure(), (2, "unknown_account".to_owned()));
    assert_eq!(program.json(&["cancel", "shop-1", &key]).await.failure(), (3, "not_cancelable".to_owned()));
    assert_eq!(program.json(&["cancel", "shop-1:none"]).await.failure(), (3, "unknown_refund".to_owned()));
    let approved = program.json(&["approve", &format!("shop-1:{key}"), "--by", "boss"]).await;
    assert_eq!(approved.failure(), (3, "nothing_to_approve".to_owned()));

    let words = ["record", "shop-1", "--ref", "merchant_order_sn=M1", "--paid", "9.90"];
    assert_eq!(program.json(&words).await.done()["provisional"], true);
    let queued = program.json(&["refund", "shop-1:M1", "--key", "later", "--queue-only"]).await;
    assert_eq!(state(&queued), "queued");
    assert_eq!(state(&program.json(&["cancel", "shop-1:later", "--by", "li"]).await), "canceled");

    let orders = program.json(&["orders", "--account", "shop-1"]).await.done();
    assert_eq!(orders["orders"].as_array().map(Vec::len), Some(3));
    let listed = program.json(&["refunds", "--state", "succeeded"]).await.done();
    assert_eq!(listed["refunds"][0]["key"], key.as_str());
    let synced = program.json(&["sync", "--account", "shop-1"]).await.done();
    assert!(synced["accounts"]["shop-1"].is_object(), "{synced}");
    assert_eq!(program.json(&["verify"]).await.done()["differences"], json!([]));
    till.terminate();
    assert_eq!(till.ended().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_refunds_at_once_both_get_an_answer_and_one_key_moves_money_once() {
    let (program, till, [name, _]) = beside().await;
    let asked = |key| ["refund", &name, "--amount", "50", "--key", key];
    let (one, two) = (asked("one"), asked("two"));
    let (one, two) = tokio::join!(program.json(&one), program.json(&two));
    let mut ends = [(one.code, one.failure().1), (two.code, two.failure().1)];
    ends.sort();
    assert_eq!(ends, [(0, "no error".to_owned()), (3, "over_refundable".to_owned())], "{one:?} {two:?}");

    let words = ["refund", &name, "--amount", "20", "--key", "same"];
    let (first, second) = tokio::join!(program.json(&words), program.json(&words));
    let replayed = |ran: &Ran| ran.json()["replayed"] == json!(true);
    let (asked, replay) = if replayed(&first) { (second, first) } else { (first, second) };
    assert_eq!((asked.code, state(&asked), replayed(&asked)), (0, json!("succeeded"), false), "{asked:?} {replay:?}");
    // A replay answers as the refund stands: it may be on its way just then.
    let stands = [(5, json!("sending")), (0, json!("accepted")), (0, json!("succeeded"))];
    assert!(replayed(&replay) && stands.contains(&(replay.code, state(&replay))), "{asked:?} {replay:?}");
    assert_eq!(program.sandbox.books().total_money_out_fen(), 7000);

    program.sandbox.set_fault(Fault::new(Operation::FubeiRefund, FaultKind::Stuck)).expect("set");
    for again in [false, true] {
        let stuck = program.json(&["refund", &name, "--amount", "10", "--key", "stuck"]).await;
        assert_eq!((stuck.code, state(&stuck), replayed(&stuck)), (0, json!("accepted"), again), "{stuck:?}");
    }
    drop(till);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_till_is_refused_and_named_the_first() {
    let (program, till, _) = beside().await;
    let second = program.json(&["run"]).await;
    assert_eq!(second.code, 1);
    let line: Value = serde_json::from_str(second.stdout.trim()).expect("one line");
    assert_eq!((&line["event"], &line["error"]["kind"]), (&json!("failed"), &json!("locked")));
    let holder = format!("process {}", till.process());
    assert_eq!(line["error"]["holder"], holder.as_str());
    assert!(second.stderr.contains(&format!("is run by {holder} already")), "{second:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_killed_till_a_command_owns_the_ledger_itself_and_another_till_takes_over() {
    let (program, till, [name, other]) = beside().await;
    program.json(&["refund", &name, "--amount", "1", "--key", "before"]).await.done();
    till.kill();
    assert!(program.path("ledger/SOCKET").exists(), "a killed till leaves its socket");
    assert_eq!(state(&program.json(&["refund", &name, "--amount", "2", "--key", "alone"]).await), "succeeded");
    let till = Till::start(&program);
    assert_eq!(state(&program.json(&["refund", &other, "--amount", "3", "--key", "beside"]).await), "succeeded");
    till.terminate();
    till.until("ended");
    assert_eq!(till.ended().code(), Some(0));
    assert!(!program.path("ledger/SOCKET").exists(), "a till that ends takes its socket away");
    assert_eq!(program.sandbox.books().total_money_out_fen(), 600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_till_that_is_told_to_end_answers_the_refund_that_it_is_sending() {
    let (program, till, [name, _]) = beside().await;
    program.json(&["fetch", &name]).await.done();
    let slow = Fault::new(Operation::FubeiRefund, FaultKind::Delay(Duration::from_secs(1)));
    program.sandbox.set_fault(slow).expect("set");
    let words = ["refund", &name, "--amount", "5", "--key", "slow"];
    let (refunded, ()) = tokio::join!(program.json(&words), async {
        program.sandbox.until(|books| books.total_money_out_fen() == 500).await;
        till.terminate();
    });
    assert_eq!(state(&refunded), "succeeded", "{refunded:?}");
    assert_eq!(till.ended().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_till_sends_what_a_second_shell_queues() {
    let (program, till, [name, _]) = beside().await;
    program.json(&["fetch", &name]).await.done();
    program.json(&["refund", &name, "--amount", "5", "--key", "queued", "--queue-only"]).await.done();
    let sent = till.until("refund");
    assert_eq!((&sent["key"], &sent["state"]), (&json!("queued"), &json!("succeeded")));
    assert_eq!(program.sandbox.books().total_money_out_fen(), 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_above_the_accounts_limit_goes_out_once_it_is_approved_alone_or_beside() {
    for with_till in [false, true] {
        let program = Program::new().await;
        program.configure(|text| text.replace("base_url = ", "hold_above = \"50.00\"\nbase_url = "));
        let (_, name) = program.order(Upstream::Fubei, "80.00");
        let _till = with_till.then(|| Till::start(&program));
        let held = program.json(&["refund", &name, "--amount", "60", "--key", "large"]).await;
        assert_eq!((state(&held), held.code), (json!("queued"), 0), "{held:?}");
        assert_eq!(program.sandbox.books().total_money_out_fen(), 0);
        for (words, replayed) in [(["approve", "shop-1:large"], false), (["approve", "shop-1:large"], true)] {
            let approved = program.json(&[&words[..], &["--by", "boss"]].concat()).await;
            assert_eq!((state(&approved), approved.code), (json!("succeeded"), 0), "{approved:?}");
            assert_eq!(approved.json()["replayed"], replayed);
        }
        assert_eq!(program.sandbox.books().total_money_out_fen(), 6000);
    }
}
