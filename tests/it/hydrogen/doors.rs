//! What became of a refund, asked of the function: on a real socket, and with a sandbox whose money moves.

use std::time::Duration;

use serde_json::{Value, json};
use tillbook::clients::hydrogen::OrdersFrom;
use tillbook::domain::{Answer, BlockReason, Finding, Outcome, Proof, Timestamp};
use tillbook::gateway::{Gateway, ReadError, ReadErrorKind, RefundCall};
use tillbook::sandbox::{Fault, FaultKind, NewOrder, Operation, Sandbox};

use super::refunds::{done, ran};
use super::sandbox::{UPSTREAM, call};
use super::{gateway, sample_call};
use crate::wire_faults::settings;
use crate::wire_server::{Act, Request, WireServer};

const OLD: &str = "malformed: refund_key must be 1 to 32 of 0-9 A-Z a-z _ -";

fn state(word: &str) -> Act {
    ran(&json!({"state": word, "refund": null, "replayed": false}))
}

fn error(words: &str) -> Act {
    ran(&json!({"error": words}))
}

/// The sample refund after `fences` of its doors were shut.
fn fenced(fences: u32) -> RefundCall {
    let mut call = sample_call();
    call.refund.fences = fences;
    call
}

/// Op and refund key of a job.
fn asked(request: &Request) -> (String, String) {
    let sent: Value = serde_json::from_str(&request.body).expect("JSON");
    let args: Value = serde_json::from_str(sent["data"]["args"].as_str().expect("a text")).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (text(&sent["data"]["op"]), text(&args["refund_key"]))
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(op, key)| ((*op).to_owned(), (*key).to_owned())).collect()
}

/// A probe of `call` against one answer.
async fn probe(act: Act, call: &RefundCall) -> Result<Finding, ReadError> {
    let server = WireServer::start([act]).await;
    let found = gateway(settings(&server.base_url)).probe(call).await;
    assert_eq!(server.unplayed(), 0);
    found
}

/// A fence of `call` against a function that knows its next door, and answers the void with `act`.
async fn fence(act: Act, call: &RefundCall) -> Result<Finding, ReadError> {
    let server = WireServer::start([state("absent"), act]).await;
    let found = gateway(settings(&server.base_url)).fence(call).await;
    assert_eq!(server.unplayed(), 0);
    found
}

#[tokio::test]
async fn a_lookup_proves_what_is_kept_and_nothing_by_absence_or_by_a_shut_door() {
    let rows = [
        (ran(&done("succeed")), Outcome::Succeeded, "done, 100.50 yuan, refund_no RFN1, succeed"),
        (ran(&done("failed")), Outcome::Declined, "done, 100.50 yuan, refund_no RFN1, failed"),
        (state("failed"), Outcome::Declined, "failed"),
        (state("started"), Outcome::InDoubt, "started"),
        (state("conflict"), Outcome::InDoubt, "conflict"),
        (state("absent"), Outcome::InDoubt, "absent"),
        // Only a fence may find that nothing was executed and nothing will be.
        (state("void"), Outcome::InDoubt, "void"),
        (ran(&json!({})), Outcome::InDoubt, "no state"),
    ];
    for (act, outcome, line) in rows {
        let before = Timestamp::from(jiff::Timestamp::now());
        let found = probe(act, &sample_call()).await.expect("an answer");
        assert_eq!((found.answer.outcome, found.proof), (outcome, Proof::OwnNumber), "{found:?}");
        assert_eq!(found.evidence, [format!("lookup till-3-0001: {line}")]);
        assert!(before <= found.asked_at && found.asked_at <= found.answer.ended_at);
    }
}

#[tokio::test]
async fn a_fence_proves_by_a_shut_door_and_else_finds_what_a_lookup_would() {
    let rows = [
        (state("void"), Outcome::NotSent, "void"),
        (ran(&json!({"state": "void", "refund": null, "replayed": true})), Outcome::NotSent, "void"),
        (ran(&done("succeed")), Outcome::Succeeded, "done, 100.50 yuan, refund_no RFN1, succeed"),
        (ran(&done("failed")), Outcome::Declined, "done, 100.50 yuan, refund_no RFN1, failed"),
        (state("started"), Outcome::InDoubt, "started"),
        (state("conflict"), Outcome::InDoubt, "conflict"),
        (state("absent"), Outcome::InDoubt, "absent"),
        (state("shut"), Outcome::InDoubt, "shut"),
    ];
    for (act, outcome, line) in rows {
        let found = fence(act, &sample_call()).await.expect("an answer");
        assert_eq!((found.answer.outcome, found.proof), (outcome, Proof::OwnNumber), "{found:?}");
        assert_eq!(found.evidence, [format!("void till-3-0001: {line}")]);
    }
    let mut other = done("succeed");
    other["refund"]["refund_amount"] = json!("100.51");
    let found = fence(ran(&other), &sample_call()).await.expect("an answer");
    assert_eq!(found.answer.outcome, Outcome::InDoubt, "a refund of another amount is none of ours");
}

#[tokio::test]
async fn a_refused_or_lost_question_is_an_error_of_its_kind() {
    let rows = || {
        [
            (Act::Answer(401, "{}".to_owned()), ReadErrorKind::Credentials),
            (Act::Answer(404, "{}".to_owned()), ReadErrorKind::Credentials),
            (Act::Answer(429, "{}".to_owned()), ReadErrorKind::Busy),
            (error("unauthorized"), ReadErrorKind::Credentials),
            (error("not_enforced: no unique index"), ReadErrorKind::Credentials),
            (error("malformed: unknown op"), ReadErrorKind::Refused),
            (Act::Answer(200, r#"{"code":1}"#.to_owned()), ReadErrorKind::Refused),
            (Act::Answer(200, "<html>".to_owned()), ReadErrorKind::Unreadable),
            (Act::CloseAfterRequest, ReadErrorKind::Unreachable),
        ]
    };
    for (act, kind) in rows() {
        let error = probe(act, &sample_call()).await.expect_err("no answer");
        assert_eq!(error.kind, kind, "{error}");
    }
    for (act, kind) in rows() {
        let error = fence(act, &sample_call()).await.expect_err("no answer");
        assert_eq!(error.kind, kind, "{error}");
    }
}

#[tokio::test]
async fn each_shut_door_moves_the_key_by_one() {
    for (fences, door, next) in [
        (0, "till-3-0001", "till-3-0001.1"),
        (1, "till-3-0001.1", "till-3-0001.2"),
        (u32::MAX, "till-3-0001.4294967295", "till-3-0001.4294967296"),
    ] {
        let script = [state("absent"), state("absent"), state("void"), ran(&done("succeed"))];
        let server = WireServer::start(script).await;
        let (gateway, call) = (gateway(settings(&server.base_url)), fenced(fences));
        gateway.probe(&call).await.expect("an answer");
        let shut = gateway.fence(&call).await.expect("an answer");
        let words = format!("the door {door} is shut: nothing was executed under it, and nothing will be");
        assert_eq!((shut.answer.outcome, shut.answer.message), (Outcome::NotSent, Some(words)));
        assert_eq!(gateway.refund(&call).await.outcome, Outcome::Succeeded);
        let requests: Vec<_> = server.requests().iter().map(asked).collect();
        assert_eq!(requests, pairs(&[("lookup", door), ("lookup", next), ("void", door), ("refund", door)]));
    }
}

/// A function deployed before version 2: it refuses a key with a dot before it does anything.
#[tokio::test]
async fn an_older_function_shuts_no_door_and_takes_no_second_sending() {
    let server = WireServer::start([error(OLD)]).await;
    let words = |door: &str| {
        format!(
            "the deployed cloud function is older than version 2 and does not know the door {door}; nothing was done: \
             deploy cloud-function/tillbook.js again"
        )
    };
    let found = gateway(settings(&server.base_url)).fence(&sample_call()).await.expect("an answer");
    assert_eq!((found.answer.outcome, found.evidence), (Outcome::InDoubt, vec![words("till-3-0001.1")]));
    // Nothing was shut: only the question about the next door went out.
    assert_eq!(server.requests().iter().map(asked).collect::<Vec<_>>(), pairs(&[("lookup", "till-3-0001.1")]));
    let found = probe(error(OLD), &fenced(1)).await.expect("an answer");
    assert_eq!((found.answer.outcome, found.evidence), (Outcome::InDoubt, vec![words("till-3-0001.1")]));
    let server = WireServer::start([error(OLD), error(OLD), error("malformed: memo is not a text")]).await;
    let gateway = gateway(settings(&server.base_url));
    let told = |answer: Answer| (answer.outcome, answer.blocked);
    assert_eq!(told(gateway.refund(&fenced(1)).await), (Outcome::Blocked, Some(BlockReason::Credentials)));
    // Through the first door such words are about the refund itself, and so are others behind it.
    assert_eq!(told(gateway.refund(&fenced(0)).await), (Outcome::Declined, None));
    assert_eq!(told(gateway.refund(&fenced(1)).await), (Outcome::Declined, None));
}

#[tokio::test]
async fn a_refund_that_was_shut_out_is_sent_again_under_its_key_once() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let order = sandbox.add_order(UPSTREAM, NewOrder::paid(10_000)).expect("an order");
    let gateway = super::sandbox::gateway(&sandbox, OrdersFrom::Function);
    let mut refund = call(&order, "k-1", 1_000);
    for fences in 0..3 {
        refund.refund.fences = fences;
        sandbox.set_fault(Fault::new(Operation::FunctionRefund, FaultKind::DropBefore)).expect("a fault");
        assert_eq!(gateway.refund(&refund).await.outcome, Outcome::InDoubt);
        let probed = gateway.probe(&refund).await.expect("an answer");
        assert_eq!((probed.answer.outcome, probed.answer.code.as_deref()), (Outcome::InDoubt, Some("absent")));
        for _ in 0..2 {
            let shut = gateway.fence(&refund).await.expect("an answer");
            assert_eq!(shut.answer.outcome, Outcome::NotSent, "{shut:?}");
        }
        let probed = gateway.probe(&refund).await.expect("an answer");
        assert_eq!((probed.answer.outcome, probed.answer.code.as_deref()), (Outcome::InDoubt, Some("void")));
        // Through the shut door nothing goes out. Who shut it, an attempt that did not know of it cannot tell.
        assert_eq!(gateway.refund(&refund).await.outcome, Outcome::InDoubt);
    }
    refund.refund.fences = 3;
    assert_eq!(gateway.refund(&refund).await.outcome, Outcome::Succeeded);
    assert_eq!(gateway.refund(&refund).await.outcome, Outcome::Succeeded, "a replay");
    let fenced = gateway.fence(&refund).await.expect("an answer");
    assert_eq!(fenced.answer.outcome, Outcome::Succeeded, "too late to shut it");
    let books = sandbox.books();
    assert_eq!((books.total_money_out_fen(), books.by_client_no("k-1").len()), (1_000, 1));
    // A ledger that believes in doors that nobody shut sends nothing.
    refund.refund.fences = 5;
    let answer = gateway.refund(&refund).await;
    assert_eq!((answer.outcome, answer.code.as_deref()), (Outcome::InDoubt, Some("conflict")));
    assert_eq!(gateway.fence(&refund).await.expect("an answer").answer.outcome, Outcome::InDoubt);
    assert_eq!(sandbox.books().total_money_out_fen(), 1_000);
}

#[tokio::test]
async fn a_request_that_lands_after_its_door_was_shut_finds_it_shut() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let order = sandbox.add_order(UPSTREAM, NewOrder::paid(10_000)).expect("an order");
    let gateway = super::sandbox::gateway(&sandbox, OrdersFrom::Function);
    let mut refund = call(&order, "k-1", 1_000);
    let late = FaultKind::LandsLate(Duration::from_millis(700));
    sandbox.set_fault(Fault::new(Operation::FunctionRefund, late)).expect("a fault");
    assert_eq!(gateway.refund(&refund).await.outcome, Outcome::InDoubt);
    let shut = gateway.fence(&refund).await.expect("an answer").answer;
    // On a machine that stood still it may have landed first: then the fence finds it, and nothing is sent again.
    if shut.outcome == Outcome::NotSent {
        refund.refund.fences = 1;
        assert_eq!(gateway.refund(&refund).await.outcome, Outcome::Succeeded);
    } else {
        assert_eq!(shut.outcome, Outcome::Succeeded);
    }
    // Nobody asks any more, so the next change is the landing; it has come already if none follows.
    let mut changes = 0;
    let landed = sandbox.until(move |_| {
        changes += 1;
        changes > 1
    });
    let _ = tokio::time::timeout(Duration::from_secs(2), landed).await;
    let books = sandbox.books();
    assert_eq!((books.total_money_out_fen(), books.by_client_no("k-1").len()), (1_000, 1));
}

#[tokio::test]
async fn a_fence_whose_answer_is_lost_may_be_asked_again() {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let order = sandbox.add_order(UPSTREAM, NewOrder::paid(10_000)).expect("an order");
    let gateway = super::sandbox::gateway(&sandbox, OrdersFrom::Function);
    let refund = call(&order, "k-1", 1_000);
    for kind in [FaultKind::DropAfter, FaultKind::DropBefore, FaultKind::Garbage, FaultKind::HttpAfter(500)] {
        sandbox.set_fault(Fault::new(Operation::FunctionVoid, kind)).expect("a fault");
        gateway.fence(&refund).await.expect_err("no answer");
        assert_eq!(gateway.fence(&refund).await.expect("an answer").answer.outcome, Outcome::NotSent, "{kind:?}");
    }
    assert_eq!((sandbox.pending_faults(), sandbox.books().total_money_out_fen()), (vec![], 0));
}
