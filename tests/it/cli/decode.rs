//! `decode`: every fixture of every operation, letter by letter, and what it cannot read.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::golden::golden;
use crate::support::program::run_in;

/// Which fixtures each operation reads: those whose names begin so. Requests and sign vectors are no answers.
const OPERATIONS: &[(&str, &str, &[&str])] = &[
    ("fubei", "order.query", &["order_query-"]),
    ("fubei", "order.refund", &["refund-response"]),
    ("fubei", "refund.query", &["refund_query-"]),
    ("fubei", "refund.statistics", &["refund_statistics-"]),
    ("fubei", "order.bill", &["order_bill-"]),
    ("trade_order", "order.get", &["trade_order_get-", "error-"]),
    ("trade_order", "order.list", &["trade_order_list-"]),
    ("trade_order", "refund", &["refund-response", "refund-error", "error-"]),
    ("trade_order", "refund.list", &["refund_order_list-"]),
    ("hydrogen", "order.list", &["order_list-"]),
    ("hydrogen", "refund", &["refund-response"]),
];

#[tokio::test]
async fn every_fixture_decodes_as_its_golden_file_says() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    for (gateway, operation, prefixes) in OPERATIONS {
        let mut read = 0;
        for entry in fs::read_dir(fixtures.join(gateway)).expect("fixtures") {
            let path = entry.expect("readable").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if name.contains("request") || !prefixes.iter().any(|prefix| name.starts_with(prefix)) {
                continue;
            }
            let body = fs::read(&path).expect("readable");
            let ran = run_in(&fixtures, &["--json", "decode", gateway, operation], &body).await;
            let stem = name.split('.').next().unwrap_or(&name);
            golden(&format!("decode/{gateway}-{operation}-{stem}.json"), &format!("exit {}\n{}", ran.code, ran.stdout));
            read += 1;
        }
        assert!(read > 0, "{gateway} {operation} has no fixture");
    }
}

/// hydrogen answers `order.get` with one row of the list.
#[tokio::test]
async fn one_row_of_hydrogen_is_the_same_order_as_in_its_list() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hydrogen");
    let body = fs::read(fixtures.join("order_list-refund_partial.json")).expect("readable");
    let list: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    let row = list["objects"][0].to_string();
    let of_list = run_in(&fixtures, &["--json", "decode", "hydrogen", "order.list"], &body).await.done();
    let of_row = run_in(&fixtures, &["--json", "decode", "hydrogen", "order.get"], row.as_bytes()).await.done();
    assert_eq!(of_row, of_list);
    assert_eq!(
        (&of_row["orders"][0]["paid_fen"], &of_row["orders"][0]["refunded_fen"]),
        (&json!(39_800), &json!(10_050))
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_with_the_field() {
    let dir = tempfile::tempdir().expect("a directory");
    let order =
        r#"{"result_code":200,"result_message":"x","data":{"order_sn":"1","trade_state":"SUCCESS","total_fee":FEE}}"#;
    let table: &[(&str, &str, String, &str, &str)] = &[
        ("fubei", "order.query", String::new(), "unreadable_body", "EOF"),
        ("fubei", "order.query", "<html>".to_owned(), "unreadable_body", "expected value"),
        ("fubei", "order.query", order.replace("FEE", "80.001"), "unreadable_body", "total_fee"),
        ("fubei", "order.query", order.replace("FEE", "\"eighty\""), "unreadable_body", "total_fee"),
        ("fubei", "order.query", order.replace("FEE", "80") + "{}", "unreadable_body", "more follows"),
        ("fubei", "order.list", "{}".to_owned(), "unknown_operation", "order.query"),
        ("alipay", "order.query", "{}".to_owned(), "unknown_operation", "fubei"),
    ];
    for (gateway, operation, body, kind, words) in table {
        let refused = run_in(dir.path(), &["--json", "decode", gateway, operation], body.as_bytes()).await;
        assert_eq!(refused.failure(), (2, (*kind).to_owned()), "{body}");
        let said = refused.json()["error"]["message"].as_str().expect("a message").to_owned();
        assert!(said.contains(words), "{body}: {said}");
    }
    let good =
        run_in(dir.path(), &["--json", "decode", "fubei", "order.query"], order.replace("FEE", "80").as_bytes()).await;
    assert_eq!(good.done()["orders"][0]["paid_fen"], json!(8000));
    fs::write(dir.path().join("body.json"), order.replace("FEE", "\"0.01\"")).expect("written");
    let file = run_in(dir.path(), &["--json", "decode", "fubei", "order.query", "body.json"], b"").await;
    assert_eq!(file.done()["orders"][0]["paid"], "0.01");
}
