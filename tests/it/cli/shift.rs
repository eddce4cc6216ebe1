//! A cashier's day: an order found without its receipt, refunds handed over at the end of a shift, and the words for the
//! customer.

use serde_json::{Value, json};
use tillbook::sandbox::{Fault, FaultKind, NewOrder, Operation, Sandbox, Upstream};

use crate::support::program::Program;

/// 2026-11-21 18:30:00 in Beijing, in unix seconds.
const EVENING: i64 = 1_795_257_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_without_receipt_is_found_by_amount_and_about_when_and_its_name_is_what_refund_takes() {
    let program = Program::with(Sandbox::builder().now(EVENING + 7_200).start().await.expect("the sandbox listens"));
    for (number, after, fen) in
        [("E1", -1_801, 3_650), ("E2", -1_800, 3_650), ("E3", 60, 3_651), ("E4", 1_800, 3_650), ("E5", 1_801, 3_650)]
    {
        let order = NewOrder { paid_at: Some(EVENING + after), ..NewOrder::paid(fen) };
        program.sandbox.add_order(Upstream::TradeOrder, order.reference("tradeOrderId", number)).expect("added");
        program.json(&["fetch", &format!("shop-2:{number}")]).await.done();
    }
    let found = async |words: &[&str]| -> Vec<String> {
        let words: Vec<&str> = ["orders"].iter().chain(words).copied().collect();
        let ran = program.run(&words).await;
        assert_eq!(ran.code, 0, "{ran:?}");
        // The first column of each row.
        ran.stdout.lines().skip(1).map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
    };
    let near = found(&["--amount", "36.50", "--around", "2026-11-21 18:30"]).await;
    assert_eq!(near, ["shop-2:E4", "shop-2:E2"], "half an hour to both sides, both ends included");
    assert_eq!(
        found(&["--around", "2026-11-21 18:30", "--within", "2m"]).await,
        ["shop-2:E3"],
        "narrower, and without an amount"
    );
    assert_eq!(
        found(&["--amount", "36.50", "--paid-from", "2026-11-21 18:00:00", "--paid-to", "2026-11-21 18:30"]).await,
        ["shop-2:E2"]
    );
    let refunded = program.json(&["refund", &near[1], "--amount", "36.50"]).await.done();
    assert_eq!(refunded["order"]["references"]["tradeOrderId"], "E2");

    for words in [
        &["orders", "--around", "2026-11-21"][..],
        &["orders", "--around", "half past six"],
        &["orders", "--around", "2026-11-21 18:30", "--paid-from", "2026-11-21"],
        &["orders", "--within", "1h"],
    ] {
        assert_eq!(program.json(words).await.code, 2, "{words:?}");
    }
}

fn keys(listed: &Value) -> Vec<&str> {
    listed["refunds"].as_array().expect("refunds").iter().map(|row| row["key"].as_str().expect("a key")).collect()
}

fn total(listed: &Value, state: &str) -> Value {
    json!([listed["totals"][state]["count"], listed["totals"][state]["amount"], listed["totals"][state]["amount_fen"]])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shift_is_handed_over_with_totals_over_all_that_match_also_where_the_list_is_cut() {
    let program = Program::new().await;
    let (_, name) = program.order(Upstream::Hydrogen, "80.00");
    let (_, other) = program.order(Upstream::Fubei, "20.00");
    for (order, key, amount, by, queue) in [
        (&name, "a-1", "1.00", "小李", true),
        (&name, "a-2", "2.50", "小李", false),
        (&name, "a-3", "4.00", "小王", true),
        (&other, "b-1", "0.10", "小李", true),
    ] {
        program.json(&["fetch", order]).await.done();
        let mut words = vec!["refund", order.as_str(), "--key", key, "--amount", amount, "--by", by];
        words.extend(queue.then_some("--queue-only"));
        program.json(&words).await.done();
    }
    let all = program.json(&["refunds"]).await.done();
    assert_eq!(keys(&all).len(), 4);
    assert_eq!(total(&all, "queued"), json!([3, "5.10", 510]));
    assert_eq!(total(&all, "succeeded"), json!([1, "2.50", 250]));
    assert_eq!(total(&all, "in_doubt"), json!([0, "0.00", 0]));
    assert_eq!((&all["next"], &all["more"]), (&Value::Null, &json!(false)));

    let mut seen: Vec<String> = Vec::new();
    let mut page: Option<String> = None;
    loop {
        let mut words = vec!["refunds", "--limit", "1"];
        words.extend(page.iter().flat_map(|page| ["--page", page.as_str()]));
        let cut = program.json(&words).await.done();
        assert_eq!(cut["totals"], all["totals"], "the totals do not depend on the page");
        seen.extend(keys(&cut).into_iter().map(str::to_owned));
        match cut["next"].as_str() {
            Some(next) => page = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(seen, keys(&all));

    let by = program.json(&["refunds", "--by", "小李", "--account", "shop-3"]).await.done();
    assert_eq!((keys(&by), total(&by, "queued")), (vec!["a-1", "a-2"], json!([1, "1.00", 100])));
    let state = program.json(&["refunds", "--state", "succeeded"]).await.done();
    assert_eq!((keys(&state), total(&state, "queued")), (vec!["a-2"], json!([0, "0.00", 0])));
    let strange = program.json(&["refunds", "--page", "not a page"]).await;
    assert_eq!(strange.failure(), (2, "malformed".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shift_begins_and_ends_by_when_its_refunds_were_asked_for() {
    let program = Program::new().await;
    let (_, name) = program.order(Upstream::Hydrogen, "80.00");
    program.json(&["fetch", &name]).await.done();
    for key in ["one", "two"] {
        program.json(&["refund", &name, "--amount", "1", "--key", key, "--queue-only"]).await.done();
    }
    // Withdrawn later: that moves it to another state, not to another shift.
    program.json(&["cancel", "shop-3:one"]).await.done();
    let all = program.json(&["refunds"]).await.done();
    let asked_at = |key: &str| -> String {
        let rows = all["refunds"].as_array().expect("refunds");
        let row = rows.iter().find(|row| row["key"] == key).expect("listed");
        row["requested_at"].as_str().expect("a time").to_owned()
    };
    let (one, two) = (asked_at("one"), asked_at("two"));
    let listed = async |words: &[&str]| {
        let words: Vec<&str> = ["refunds"].iter().chain(words).copied().collect();
        let listed = program.json(&words).await.done();
        (keys(&listed).join(" "), total(&listed, "queued")[0].clone(), total(&listed, "canceled")[0].clone())
    };
    assert_eq!(listed(&["--from", &one]).await, ("two one".to_owned(), json!(1), json!(1)));
    assert_eq!(listed(&["--from", &one, "--to", &two]).await, ("one".to_owned(), json!(0), json!(1)));
    assert_eq!(listed(&["--from", &two]).await, ("two".to_owned(), json!(1), json!(0)));
    assert_eq!(listed(&["--to", &one]).await, (String::new(), json!(0), json!(0)));
    assert_eq!(listed(&["--to", "2017-06-01"]).await, (String::new(), json!(0), json!(0)), "a day in Beijing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_customer_is_told_what_is_known_and_no_more() {
    let program = Program::new().await;
    let (_, name) = program.order(Upstream::Hydrogen, "80.00");
    program.json(&["fetch", &name]).await.done();
    let zh = |document: &Value| document["customer"]["zh"].as_str().expect("words").to_owned();

    let queued = program.json(&["refund", &name, "--amount", "1", "--key", "waits", "--queue-only"]).await.done();
    assert_eq!(zh(&queued["refund"]), "退款已登记，金额已预留，稍后提交给支付平台。钱还没有退出。");
    let dry = program.json(&["refund", &name, "--amount", "1.50", "--dry-run"]).await.done();
    assert_eq!(dry["refund"]["customer"], Value::Null, "nothing happened");
    let canceled = program.json(&["cancel", "shop-3:waits"]).await.done();
    assert_eq!(zh(&canceled["refund"]), "这笔退款已取消，不再通过支付平台退回。");
    let done = program.json(&["refund", &name, "--amount", "2", "--key", "done"]).await.done();
    assert_eq!(
        done["refund"]["customer"],
        json!({
            "zh": "退款成功，按原支付方式退回。到账时间以支付平台或银行为准。",
            "en": "Refunded, back the way you paid. Your wallet or bank knows when it arrives.",
        })
    );

    program.sandbox.set_fault(Fault::new(Operation::FunctionRefund, FaultKind::DropAfter)).expect("set");
    let lost = program.run(&["refund", &name, "--amount", "3", "--key", "lost"]).await;
    assert_eq!(lost.code, 5, "{lost:?}");
    let words = "支付平台还没有答复结果，我们正在核实。请不要重复退款，这笔金额为您留着。";
    assert!(lost.stdout.contains(words), "{}", lost.stdout);
    assert!(lost.stderr.contains("never refund it again under another key"), "{}", lost.stderr);
    assert!(lost.stderr.contains("tillbook resolve shop-3:lost"), "{}", lost.stderr);

    // In `show` each sentence once, with the refunds that it is about.
    let shown = program.run(&["show", &name]).await;
    for line in ["告诉顾客 (waits)", "告诉顾客 (done)", "告诉顾客 (lost)", words] {
        assert_eq!(shown.stdout.matches(line).count(), 1, "{line}: {}", shown.stdout);
    }
    let listed = program.json(&["show", &name]).await.done();
    let told: Vec<bool> =
        listed["refunds"].as_array().expect("refunds").iter().map(|row| zh(row).contains("不要重复")).collect();
    assert_eq!(told, [false, false, true]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_above_hold_above_waits_for_its_approval_and_its_customer_is_told_so() {
    let program = Program::new().await;
    program.configure(|text| text.replace("base_url = ", "hold_above = \"5.00\"\nbase_url = "));
    let (order, name) = program.order(Upstream::Hydrogen, "80.00");
    program.json(&["fetch", &name]).await.done();
    let small = program.json(&["refund", &name, "--amount", "5.00", "--key", "small"]).await.done();
    assert_eq!((&small["refund"]["state"], &small["refund"]["awaits_approval"]), (&json!("succeeded"), &json!(false)));

    let large = program.run(&["refund", &name, "--amount", "5.01", "--key", "large"]).await;
    assert_eq!(large.code, 0, "{large:?}");
    assert!(
        large.stdout.contains("等店长批准后才会提交") && large.stdout.contains("held 预留 5.01"),
        "{}",
        large.stdout
    );
    assert!(large.stderr.contains("tillbook approve shop-3:large --by NAME"), "{}", large.stderr);
    let listed = program.run(&["refunds", "--state", "queued"]).await;
    assert!(listed.stdout.contains("awaits approval 待批准"), "{}", listed.stdout);
    program.json(&["sync"]).await.done();
    assert_eq!(program.sandbox.books().money_out_fen(Upstream::Hydrogen, &order.id), Some(500), "nobody approved it");

    let approved = program.json(&["approve", "shop-3:large", "--by", "王店长"]).await.done();
    let refund = &approved["refund"];
    assert_eq!(
        (&refund["state"], &refund["awaits_approval"], &refund["approved_by"]),
        (&json!("succeeded"), &json!(false), &json!("王店长"))
    );
    assert_eq!(program.sandbox.books().money_out_fen(Upstream::Hydrogen, &order.id), Some(1001));
}
