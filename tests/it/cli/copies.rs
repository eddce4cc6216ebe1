//! `verify`, `backup`, `export` and `import`, as they are typed and as they answer.

use std::fs;

use serde_json::{Value, json};
use tillbook::sandbox::Upstream;

use super::golden::{golden, without_hashes};
use crate::support::program::Program;
#[cfg(unix)]
use crate::support::till::Till;

/// A ledger with two orders of 80.00, and a queued refund of 10.00 of the first with a memo that is a formula.
async fn stocked() -> (Program, String) {
    let program = Program::new().await;
    let [(_, name), (_, other)] = [(); 2].map(|()| program.order(Upstream::Fubei, "80.00"));
    for name in [&name, &other] {
        program.json(&["fetch", name]).await.done();
    }
    let words =
        ["refund", &name, "--amount", "10", "--key", "till-1-a", "--queue-only", "--memo", "=1+1", "--by", "小李"];
    program.json(&words).await.done();
    (program, name)
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_beside_a_running_till_is_looked_at_adopted_and_gone_on_with() {
    let (program, name) = stocked().await;
    let till = Till::start(&program);
    let made = program.json(&["backup", "far/backup"]).await.done();
    let heads = program.json(&["--data", "far/backup", "verify", "--heads"]).await.done();
    assert_eq!((&made["journal"], &made["events"]), (&heads["journal"], &heads["events"]));
    assert_eq!((&made["orders"], &made["directory"]), (&json!(2), &json!("far/backup")));
    fs::write(program.path("noted.json"), heads.to_string()).expect("written");
    let against = program.json(&["verify", "--against", "noted.json"]).await.done();
    assert_eq!(against["differences"], json!([]), "the till went on from what was copied");
    till.terminate();

    let here = ["--data", "far/backup"];
    let on_backup = async |words: &[&str]| program.json(&[&here, words].concat()).await;
    assert_eq!(on_backup(&["show", &name]).await.done()["paid"], "80.00");
    assert!(!program.path("far/backup/LOCK").exists(), "looking made it a ledger of its own");
    assert_eq!(on_backup(&["refund", &name, "--amount", "1"]).await.failure(), (1, "quarantined".to_owned()));
    let adopted = on_backup(&["adopt", "--by", "li"]).await.done();
    assert!(text(&adopted["why"]).starts_with("it was made by backup at "), "{adopted}");
    on_backup(&["fetch", &name]).await.done();
    on_backup(&["refund", &name, "--amount", "1"]).await.done();
    // It is a ledger of its own now, and differs from what was noted by nothing but more.
    assert_eq!(on_backup(&["verify", "--against", "noted.json"]).await.done()["differences"], json!([]));

    let again = program.json(&["backup", "far/backup"]).await;
    assert_eq!(again.failure(), (1, "not_empty".to_owned()));
    fs::create_dir_all(program.path("cut/journal.unfinished")).expect("made");
    for words in [&["verify"][..], &["show", &name], &["events"], &["sync"], &["backup", "new"]] {
        let refused = program.json(&[&["--data", "cut"], words].concat()).await;
        assert_eq!(refused.failure(), (1, "unfinished".to_owned()), "{words:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_imported_to_the_same_state_and_exported_to_the_same_bytes() {
    let (program, name) = stocked().await;
    let verified = program.json(&["verify"]).await.done();
    let written = program.json(&["export", "--output", "all.jsonl"]).await.done();
    assert_eq!(
        written,
        json!({"file": "all.jsonl", "orders": 2, "events": 3, "state": verified["state"]}),
        "the state is the one that verify prints"
    );
    let printed = program.run(&["export"]).await;
    assert_eq!((printed.code, printed.stdout.as_bytes()), (0, &fs::read(program.path("all.jsonl")).expect("read")[..]));
    let imported = program.json(&["import", "all.jsonl", "--into", "new"]).await.done();
    assert_eq!(imported, json!({"directory": "new", "orders": 2, "events": 3, "state": verified["state"]}));
    assert_eq!(program.json(&["--data", "new", "verify"]).await.done()["state"], verified["state"]);
    assert_eq!(program.run(&["--data", "new", "export"]).await.stdout, printed.stdout);
    assert_eq!(program.json(&["--data", "new", "show", &name]).await.done()["held"], "10.00");
    let refused = program.json(&["--data", "new", "refund", &name, "--amount", "1"]).await;
    assert_eq!(refused.failure(), (1, "quarantined".to_owned()));

    assert_eq!(program.json(&["export", "--output", "all.jsonl"]).await.failure(), (1, "io".to_owned()));
    assert_eq!(program.json(&["export", "--table", "orders"]).await.failure(), (2, "usage".to_owned()));
    assert_eq!(program.json(&["export", "--format", "csv"]).await.failure(), (2, "usage".to_owned()));
    let cut = printed.stdout.lines().take(2).map(|line| format!("{line}\n")).collect::<String>();
    fs::write(program.path("cut.jsonl"), cut).expect("written");
    let refused = program.run(&["import", "cut.jsonl", "--into", "other"]).await;
    let said =
        "error: line 3 of the export: the export ends here, where event 2 of 3 is wanted; nothing was imported\n";
    assert_eq!((refused.code, refused.stderr.as_str()), (1, said));
    assert!(!program.path("other").exists() && !program.path("all.jsonl.unfinished").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_for_spreadsheets_have_yuan_rfc_3339_and_no_formula() {
    let (program, name) = stocked().await;
    let shown = program.json(&["show", &name]).await.done();
    let refunds = program.run(&["export", "--format", "csv", "--table", "refunds"]).await;
    let (id, at) = (text(&shown["id"]), text(&shown["refunds"][0]["requested_at"]));
    assert_eq!(
        refunds.stdout,
        format!(
            "account,order,key,state,requested,amount,by,approved_by,device,memo,upstream_refund_no,code,message,\
             attempts,requested_at,sent_at,state_at\r\n\
             shop-1,{id},till-1-a,queued,10.00,10.00,小李,,till-1,\"'=1+1\",,,,0,{at},,{at}\r\n"
        )
    );
    assert!(at.ends_with('Z') && at.contains('T'), "{at}");
    let orders = program.json(&["export", "--format", "csv", "--table", "orders", "--output", "orders.csv"]).await;
    assert_eq!(orders.done(), json!({"file": "orders.csv", "rows": 2}));
    let table = fs::read_to_string(program.path("orders.csv")).expect("read");
    let lines: Vec<&str> = table.split("\r\n").collect();
    assert_eq!(
        lines[0],
        "account,id,gateway,merchant,references,status,upstream_status,payment_method,currency,total,paid,refunded,\
         held,refundable,external,refund_status,paid_at,created_at,provisional,version"
    );
    let row = lines.iter().find(|line| line.contains(id)).expect("the order");
    assert!(row.contains(",CNY,,80.00,0.00,10.00,70.00,0.00,none,20"), "{row}");
    assert_eq!((lines.len(), lines[3]), (4, ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_ledger_is_explained_letter_by_letter() {
    let (program, name) = stocked().await;
    let file = program.path("ledger/journal/00000001.tbj");
    let mut bytes = fs::read(&file).expect("read");
    let third = bytes.windows(14).position(|bytes| bytes == b"{\"sequence\":3,").expect("event 3");
    bytes[third + 20] ^= 1;
    fs::write(&file, bytes).expect("written");
    assert_eq!(program.json(&["show", &name]).await.failure(), (1, "damaged".to_owned()));
    let report = program.json(&["verify"]).await;
    assert_eq!(report.failure(), (6, "differences".to_owned()));
    let document = report.json();
    assert_eq!((&document["good_through"], &document["state"]), (&json!(2), &json!(null)));
    let told = program.run(&["verify"]).await;
    assert_eq!(told.code, 6);
    let mut masked = told.stdout.replace(&format!("byte {}", third - 64), "byte BYTE");
    for (at, order) in document["doubtful"].as_array().expect("orders").iter().enumerate() {
        masked = masked.replace(text(order), &format!("ORDER-{at}"));
    }
    golden("verify-damaged.txt", &without_hashes(&masked));
}

/// Whatever a killed backup leaves is nothing, recognisably unfinished, or whole.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_killed_leaves_nothing_that_opens_as_half_a_ledger() {
    let (program, _) = stocked().await;
    let mut unfinished = 0;
    for round in 0..200 {
        let name = format!("backup-{round}");
        let begun = program.path(&name).join("journal.unfinished");
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_tillbook"))
            .args(["backup", &name])
            .current_dir(program.dir.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the binary runs");
        while !begun.exists() && child.try_wait().expect("a child").is_none() {
            std::thread::yield_now();
        }
        child.kill().expect("killed, or gone");
        child.wait().expect("a child");
        let verified = program.json(&["--data", &name, "verify"]).await;
        match program.path(&name).join("journal").exists() {
            true => assert_eq!(verified.done()["events"], 3),
            false => {
                assert_eq!(verified.failure(), (1, "unfinished".to_owned()));
                unfinished += 1;
            }
        }
        if unfinished == 10 {
            return;
        }
    }
    panic!("only {unfinished} of 200 backups were killed in their middle");
}
