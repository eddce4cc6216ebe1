//! What people see, letter by letter: the columns are aligned, Chinese included.
//!
//! Rewrite the files with `TILLBOOK_GOLDEN=write cargo test --all-features golden`, and read their diff.

use std::fs;
use std::path::Path;

use serde_json::json;
use tillbook::sandbox::{Method, NewOrder, OrderHandle, Sandbox, Upstream};

use crate::support::program::{Program, run_in};

/// Compares with the file of that name, or writes it.
pub(super) fn golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("TILLBOOK_GOLDEN").is_some_and(|value| value == "write") {
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(&path, actual).expect("written");
    }
    let wanted = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(wanted == actual, "{name} differs; wanted:\n{wanted}\nfound:\n{actual}");
}

/// Times of this very moment, which no golden file can hold, as wide as they were.
fn without_times(text: &str) -> String {
    const SHAPE: &[u8] = b"dddd-dd-dd dd:dd:dd";
    let fits = |at: &[u8]| {
        at.len() >= SHAPE.len()
            && at.iter().zip(SHAPE).all(|(c, s)| if *s == b'd' { c.is_ascii_digit() } else { c == s })
    };
    let mut shown = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if fits(rest.as_bytes()) {
            shown.push_str("YYYY-MM-DD hh:mm:ss");
            rest = &rest[SHAPE.len()..];
        } else {
            shown.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    shown
}

/// Hashes over such times, as long as they were, and the number of a frame, which counts the sessions before.
pub(super) fn without_hashes(text: &str) -> String {
    let word = |word: &str| match word.len() {
        32 | 64 if word.bytes().all(|byte| byte.is_ascii_hexdigit()) => "h".repeat(word.len()),
        _ => word.to_owned(),
    };
    let line = |line: &str| {
        let mut words: Vec<String> = line.split(' ').map(word).collect();
        for at in 1..words.len() {
            if words[at - 1] == "frame" {
                words[at] = "N".to_owned();
            }
        }
        words.join(" ") + "\n"
    };
    text.lines().map(line).collect()
}

/// 2026-01-05 12:00:00 in Beijing, in unix seconds.
const NOON: i64 = 1_767_585_600;

/// Three orders with numbers of their own, one of each upstream.
async fn stocked() -> Program {
    let sandbox = Sandbox::builder().now(NOON).start().await.expect("the sandbox listens");
    let program = Program::with(sandbox);
    let add = |upstream, order: NewOrder| -> OrderHandle { program.sandbox.add_order(upstream, order).expect("added") };
    add(
        Upstream::Fubei,
        NewOrder { discount_fen: 2000, subject: "珍珠奶茶".to_owned(), ..NewOrder::paid(8000) }
            .reference("order_sn", "20260105120000000001")
            .reference("trade_no", "FB0001")
            .reference("merchant_order_sn", "M0001")
            .reference("platform_order_no", "P0001"),
    );
    add(
        Upstream::TradeOrder,
        NewOrder { method: Method::Cash, paid_at: Some(NOON - 60), ..NewOrder::paid(1_234_567) }
            .reference("tradeOrderId", "E01202601051159000001"),
    );
    add(
        Upstream::Hydrogen,
        NewOrder { paid_at: Some(NOON - 120), method: Method::Alipay, ..NewOrder::paid(990) }
            .reference("transaction_no", "avTnyPlblZjYHb2UCuuo9jpoXzWQZl0C")
            .reference("trade_no", "4200000001")
            .reference("id", "1001"),
    );
    for name in ["shop-1:20260105120000000001", "shop-2:E01202601051159000001", HYDROGEN] {
        program.json(&["fetch", name]).await.done();
    }
    program
}

const HYDROGEN: &str = "shop-3:avTnyPlblZjYHb2UCuuo9jpoXzWQZl0C";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_for_people_are_the_golden_ones() {
    let program = stocked().await;
    let shown = async |words: &[&str]| {
        let ran = program.run(words).await;
        assert_eq!(ran.code, 0, "{ran:?}");
        without_times(&ran.stdout)
    };
    golden("orders.txt", &shown(&["orders"]).await);
    let words = ["refund", HYDROGEN, "--amount", "2.50", "--key", "till-1-a", "--memo", "凉了", "--by", "收银员小李"];
    golden("refund.txt", &shown(&words).await);
    golden(
        "refund-queued.txt",
        &shown(&["refund", HYDROGEN, "--amount", "1", "--key", "till-1-b", "--queue-only"]).await,
    );
    golden("refund-dry-run.txt", &shown(&["refund", HYDROGEN, "--key", "till-1-c", "--dry-run"]).await);
    golden("show.txt", &shown(&["show", HYDROGEN]).await);
    golden("refunds.txt", &shown(&["refunds"]).await);
    golden("sync.txt", &shown(&["sync", "--account", "shop-3"]).await);
    golden("verify.txt", &without_hashes(&shown(&["verify", "--heads"]).await));
    golden("help.txt", &shown(&["--help"]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_filtered_and_paged() {
    let program = stocked().await;
    let names = async |words: &[&str]| -> Vec<String> {
        let words: Vec<&str> = ["orders"].iter().chain(words).copied().collect();
        let listed = program.json(&words).await.done();
        let orders = listed["orders"].as_array().expect("orders").clone();
        orders.iter().map(|order| order["account"].as_str().expect("an account").to_owned()).collect()
    };
    assert_eq!(names(&[]).await, ["shop-1", "shop-2", "shop-3"], "newest first");
    assert_eq!(names(&["--account", "shop-2"]).await, ["shop-2"]);
    assert_eq!(names(&["--payment-method", "cash"]).await, ["shop-2"]);
    assert_eq!(names(&["--amount", "80"]).await, ["shop-1"]);
    assert_eq!(names(&["--paid-from", "2026-01-05 11:59:00"]).await, ["shop-1", "shop-2"]);
    assert_eq!(names(&["--paid-to", "2026-01-05 11:59:00"]).await, ["shop-3"]);
    assert_eq!(names(&["--paid-from", "2026-01-05", "--paid-to", "2026-01-05"]).await, ["shop-1", "shop-2", "shop-3"]);
    assert_eq!(names(&["--status", "pending"]).await, Vec::<String>::new());
    assert_eq!(names(&["--refund-status", "none", "--status", "paid"]).await, ["shop-1", "shop-2", "shop-3"]);
    let mut page = program.json(&["orders", "--limit", "2"]).await.done();
    assert_eq!(page["orders"].as_array().map(Vec::len), Some(2));
    let next = page["next"].as_str().expect("a next page").to_owned();
    page = program.json(&["orders", "--limit", "2", "--page", &next]).await.done();
    assert_eq!((page["orders"][0]["account"].as_str(), page["next"].is_null()), (Some("shop-3"), true));
    let strange = program.json(&["orders", "--page", "not a page"]).await;
    assert_eq!(strange.failure(), (2, "malformed".to_owned()));
}

#[tokio::test]
async fn completions_know_the_commands() {
    let dir = tempfile::tempdir().expect("a directory");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = run_in(dir.path(), &["completions", shell], b"").await;
        assert_eq!(script.code, 0, "{shell}");
        assert!(script.stdout.contains("refunds") && !script.stdout.contains("demo-till"), "{shell}");
        let document = run_in(dir.path(), &["completions", shell, "--json"], b"").await.done();
        assert_eq!(document, json!({ "shell": shell, "script": script.stdout }));
    }
}
