//! `specs`: the specs that the program was built from, and edited copies of them.

use std::fs;

use serde_json::json;

use crate::support::program::run_in;

#[tokio::test]
async fn an_exported_spec_is_ours_and_an_edit_is_shown_and_checked() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = async |words: &[&str]| run_in(dir.path(), words, b"").await;
    run(&["--json", "specs", "export", "mine"]).await.done();
    let ours = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("specs/fubei.yaml");
    let fubei = dir.path().join("mine/fubei.yaml");
    let text = fs::read_to_string(&fubei).expect("exported");
    assert_eq!(text, fs::read_to_string(ours).expect("ours"));
    assert_eq!(run(&["--json", "specs", "diff", "mine"]).await.done()["same"], true);
    assert_eq!(run(&["--json", "specs", "check", "mine"]).await.done()["faults"], json!([]));

    let added = text.replacen("        order_sn: {", "        shop_mood: {type: string}\n        order_sn: {", 1);
    assert!(added != text, "the spec has an order_sn");
    fs::write(&fubei, added).expect("written");
    let diff = run(&["--json", "specs", "diff", "mine"]).await.done();
    let changes = diff["specs"]["fubei"].as_array().expect("changes").clone();
    assert_eq!((&diff["same"], changes.len()), (&json!(false), 1), "{diff}");
    assert_eq!(changes[0]["change"], "added");
    assert!(changes[0]["name"].as_str().is_some_and(|name| name.ends_with(".shop_mood")), "{diff}");
    let again = run(&["--json", "specs", "export", "mine"]).await;
    assert_eq!(again.failure(), (1, "io".to_owned()), "an edit is not overwritten");

    let broken = text.replacen("x-call-safety: safe", "x-call-safety: perhaps", 1);
    fs::write(&fubei, broken).expect("written");
    let checked = run(&["--json", "specs", "check", "mine/fubei.yaml"]).await;
    assert_eq!(checked.failure(), (2, "invalid_spec".to_owned()));
    let fault = checked.json()["faults"][0].clone();
    let line = text.lines().position(|line| line.contains("x-call-safety: safe")).expect("there") + 1;
    assert_eq!((&fault["file"], &fault["line"]), (&json!("mine/fubei.yaml"), &json!(line)), "{fault}");
    assert!(fault["message"].to_string().contains("perhaps"), "{fault}");
    assert_eq!(run(&["specs", "check", "nowhere"]).await.code, 1);
}
