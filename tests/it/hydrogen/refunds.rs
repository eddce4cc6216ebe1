//! Refunds on a real socket: what is sent, once, and what each answer means.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use tillbook::clients::hydrogen::HydrogenGateway;
use tillbook::clients::hydrogen::api::types;
use tillbook::clients::wire::YuanText;
use tillbook::domain::{Answer, BlockReason, Outcome};
use tillbook::gateway::{Gateway, RefundCall};

use super::{configured, gateway, reference, refund_call, sample_call, some};
use crate::wire_faults::{refund_rows, settings};
use crate::wire_server::{Act, WireServer};

pub(super) fn ran(said: &Value) -> Act {
    Act::Answer(200, json!({"code": 0, "data": said, "error": {}}).to_string())
}

pub(super) fn done(status: &str) -> Value {
    json!({
        "state": "done",
        "refund": {
            "id": 1024, "refund_no": "RFN1", "refund_amount": "100.50", "order_id": 47963, "memo": "部分退款",
            "status": status, "error_msg": null,
        },
        "replayed": false,
    })
}

/// One refund against one answer.
async fn refund(act: Act, call: &RefundCall) -> Answer {
    let server = WireServer::start([act]).await;
    let answer = gateway(settings(&server.base_url)).refund(call).await;
    assert_eq!((server.unplayed(), server.requests().len()), (0, 1), "{answer:?}");
    answer
}

#[tokio::test]
async fn a_transport_fault_under_a_refund_is_not_sent_or_in_doubt() {
    refund_rows(gateway, &sample_call()).await;
}

/// DESIGN's rows for hydrogen.
#[tokio::test]
async fn every_answer_has_its_row() {
    let error = |status, words: &str| Act::Answer(status, json!({"status": "error", "error_msg": words}).to_string());
    let credentials = Some(BlockReason::Credentials);
    let broke = json!({"code": 1, "data": null, "error": {"message": "timeout of 5000ms"}}).to_string();
    let state = |word: &str| ran(&json!({"state": word, "refund": null, "replayed": false}));
    let refused = |error: &str| ran(&json!({"error": error}));
    let rows = [
        ("401", error(401, "未授权"), Outcome::Blocked, credentials, "401"),
        ("402", error(402, "应用欠费"), Outcome::Blocked, credentials, "402"),
        ("403", error(403, "禁止"), Outcome::Blocked, credentials, "403"),
        ("404", error(404, "云函数不存在"), Outcome::Blocked, credentials, "404"),
        ("unauthorized", refused("unauthorized"), Outcome::Blocked, credentials, "unauthorized"),
        ("no index", refused("not_enforced: no unique index"), Outcome::Blocked, credentials, "not_enforced"),
        ("malformed", refused("malformed: refund_amount is zero"), Outcome::Declined, None, "malformed"),
        ("400", error(400, "执行失败"), Outcome::InDoubt, None, "400"),
        ("405", error(405, "不支持"), Outcome::InDoubt, None, "405"),
        ("job code", Act::Answer(200, broke), Outcome::InDoubt, None, "1"),
        ("started", state("started"), Outcome::InDoubt, None, "started"),
        ("conflict", state("conflict"), Outcome::InDoubt, None, "conflict"),
        ("void", state("void"), Outcome::InDoubt, None, "void"),
        ("failed", state("failed"), Outcome::Declined, None, "failed"),
        ("done, succeed", ran(&done("succeed")), Outcome::Succeeded, None, "succeed"),
        ("done, failed", ran(&done("failed")), Outcome::Declined, None, "failed"),
        ("done, another word", ran(&done("processing")), Outcome::InDoubt, None, "processing"),
        ("another state", state("queued"), Outcome::InDoubt, None, "queued"),
        ("asynchronous", Act::Answer(200, r#"{"status":"ok"}"#.to_owned()), Outcome::InDoubt, None, "200"),
        ("no data", Act::Answer(200, r#"{"code":0,"error":{}}"#.to_owned()), Outcome::InDoubt, None, "200"),
        (
            "201",
            Act::Answer(201, json!({"code": 0, "data": done("succeed")}).to_string()),
            Outcome::InDoubt,
            None,
            "201",
        ),
    ];
    for (name, act, outcome, blocked, code) in rows {
        let answer = refund(act, &sample_call()).await;
        let seen = (answer.outcome, answer.blocked, answer.code.as_deref());
        assert_eq!(seen, (outcome, blocked, Some(code)), "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn the_upstreams_words_come_along() {
    let message = |answer: Answer| answer.message.unwrap_or_default();
    let error = |status, body: &str| Act::Answer(status, body.to_owned());
    let call = sample_call();
    let sample = include_str!("../../fixtures/hydrogen/error-message_key.json");
    assert_eq!(message(refund(error(401, sample), &call).await), "unforeseen status 401: Invalid token");
    assert_eq!(message(refund(error(403, "<html>"), &call).await), "unforeseen status 403");
    let broke = r#"{"code":1,"data":null,"error":{"message":"timeout"}}"#;
    assert_eq!(message(refund(error(200, broke), &call).await), "the cloud function failed: timeout");
    let done = refund(ran(&done("succeed")), &call).await;
    assert_eq!((done.upstream_refund_no, done.message), (some("RFN1"), None));
}

#[tokio::test]
async fn a_kept_refund_that_is_not_ours_is_in_doubt() {
    let mut other = done("succeed");
    other["refund"]["refund_amount"] = json!("100.51");
    let answer = refund(ran(&other), &sample_call()).await;
    let message = some("the function keeps 100.51 under till-3-0001, not 100.50");
    assert_eq!((answer.outcome, answer.message), (Outcome::InDoubt, message));
    let mut other = done("failed");
    other["refund"]["order_id"] = json!(5);
    let answer = refund(ran(&other), &sample_call()).await;
    let message = some("the function keeps a refund of order 5 under till-3-0001, not of 47963");
    assert_eq!((answer.outcome, answer.message), (Outcome::InDoubt, message));
}

#[tokio::test]
async fn a_refund_is_one_job_under_a_mac_with_its_own_key() {
    let server = WireServer::start([ran(&done("succeed"))]).await;
    let mut settings = configured(settings(&server.base_url), Default::default());
    settings.refund_function = "refund".to_owned();
    HydrogenGateway::new(settings).expect("good settings").refund(&sample_call()).await;
    let [request] = server.requests().try_into().expect("one request");
    assert_eq!(request.line, "POST /hserve/v1/cloud-function/job/");
    assert_eq!(request.header("x-hydrogen-client-id"), Some("client-7"));
    assert_eq!(request.header("authorization"), Some("Hydrogen-r1 user-token"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("api-version"), None);
    let sent: Value = serde_json::from_str(&request.body).expect("JSON");
    let args = sent["data"]["args"].as_str().expect("a text");
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"function-secret").expect("a key");
    mac.update(format!("refund\n{args}").as_bytes());
    let mac = hex::encode(mac.finalize().into_bytes());
    assert_eq!(
        sent,
        json!({"function_name": "refund", "sync": true, "data": {"op": "refund", "args": args, "mac": mac}})
    );
    // The job sample and the arguments sample, but for what the function adds: a key, and the amount as a text.
    let sample: Value =
        serde_json::from_str(include_str!("../../fixtures/hydrogen/cloud_function-refund_job_request.json"))
            .expect("JSON");
    assert_eq!((&sample["sync"], &sample["function_name"]), (&sent["sync"], &sent["function_name"]));
    let partial = include_str!("../../fixtures/hydrogen/refund-request_partial.json");
    let partial: Value = serde_json::from_str(partial).expect("JSON");
    assert_eq!(sample["data"], partial);
    let mut args: Value = serde_json::from_str(args).expect("JSON");
    assert_eq!(args["refund_amount"].take(), json!("100.50"));
    assert_eq!(args["refund_key"].take(), json!("till-3-0001"));
    assert_eq!(partial["refund_amount"], json!(100.5));
    assert_eq!((&args["order_id"], &args["memo"]), (&partial["order_id"], &partial["memo"]));
}

#[tokio::test]
async fn a_refund_names_its_order_by_id_or_else_by_transaction_no() {
    for (references, kind, value) in [
        (vec![("trade_no", "1gAta"), ("id", "47963")], "order_id", json!(47963)),
        // Trigger data: an id that is the trade_no again.
        (vec![("id", "1gAta")], "transaction_no", json!("XDiXbfLFyd8DpxSWqBUcb2jW1AvhVORC")),
        (vec![("id", "99999999999999999999")], "transaction_no", json!("XDiXbfLFyd8DpxSWqBUcb2jW1AvhVORC")),
        (vec![], "transaction_no", json!("XDiXbfLFyd8DpxSWqBUcb2jW1AvhVORC")),
    ] {
        let server = WireServer::start([ran(&done("succeed"))]).await;
        gateway(settings(&server.base_url)).refund(&refund_call("k", 10_050, &references)).await;
        let [request] = server.requests().try_into().expect("one request");
        let sent: Value = serde_json::from_str(&request.body).expect("JSON");
        let args: Value = serde_json::from_str(sent["data"]["args"].as_str().expect("a text")).expect("JSON");
        let expected = json!({"refund_key": "k", "refund_amount": "100.50", "memo": "部分退款", kind: value});
        assert_eq!(args, expected);
    }
    let mut call = refund_call("k", 1, &[]);
    call.native = reference("order_sn", "2017");
    let server = WireServer::start([]).await;
    let answer = gateway(settings(&server.base_url)).refund(&call).await;
    assert_eq!((answer.outcome, server.requests().len()), (Outcome::NotSent, 0));
}

/// The arguments of BaaS.refund in seed 000, each with the one number it names.
#[test]
fn every_refund_request_sample_can_be_said() {
    let args = || types::RefundArgs::builder().refund_key("k").refund_amount(YuanText::from_fen(1));
    let memo = || some("测试退款");
    let number = "1gAtaEFcmu6DyHm5b0ycBSmNO302NGzA".to_owned();
    let samples = [
        (include_str!("../../fixtures/hydrogen/refund-request_by_order_id.json"), args().order_id(29973).memo(memo())),
        (
            include_str!("../../fixtures/hydrogen/refund-request_by_trade_no.json"),
            args().trade_no(number.clone()).memo(memo()),
        ),
        (
            include_str!("../../fixtures/hydrogen/refund-request_by_transaction_no.json"),
            args().transaction_no(number).memo(memo()),
        ),
    ];
    for (sample, args) in samples {
        let args: types::RefundArgs = args.try_into().expect("arguments");
        let mut said = serde_json::to_value(args).expect("JSON");
        let said = said.as_object_mut().expect("an object");
        // "All that is left" is a number here before it is sent, and every refund has its key.
        assert_eq!(said.remove("refund_key"), Some(json!("k")));
        assert_eq!(said.remove("refund_amount"), Some(json!("0.01")));
        let sample: Value = serde_json::from_str(sample).expect("JSON");
        assert_eq!(Value::Object(said.clone()), sample);
    }
}

#[tokio::test]
async fn the_public_client_cannot_refund() {
    let server = WireServer::start([]).await;
    let settings = configured(settings(&server.base_url), Default::default());
    let client = tillbook::clients::hydrogen::client(&settings).expect("a client");
    let args = types::RefundArgs::builder().refund_key("k").refund_amount(YuanText::from_fen(1)).order_id(5);
    let args: types::RefundArgs = args.try_into().expect("arguments");
    let job = types::RefundJob::builder().op("refund").args(tillbook::clients::wire::JsonText(args)).mac("");
    let sent = client.function_refund().body_map(|body| body.function_name("tillbook").sync(true).data(job)).send();
    let error = sent.await.expect_err("refused").to_string();
    assert!(error.contains("operation `function_refund` moves money: only the ledger may call it"), "{error}");
    assert!(server.requests().is_empty());
}
