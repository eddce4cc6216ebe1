//! `tillbook reconcile`: table, JSON, CSV, exit codes, and beside a running till.

use serde_json::json;
use tillbook::sandbox::{NewOrder, Sandbox, Upstream};

use super::NOON;
use crate::support::program::Program;

const DAY: [&str; 4] = ["reconcile", "shop-1", "--day", "2024-05-01"];

/// Two orders of Fubei's that the ledger knows, and one that it does not, under names that a test can read.
async fn stocked() -> Program {
    let program = Program::with(Sandbox::builder().now(NOON).start().await.expect("the sandbox listens"));
    for (number, fen) in [("20240501120000000001", 8000), ("20240501120000000002", 1234), ("=1+1,\"x\"", 500)] {
        let order = NewOrder::paid(fen).reference("order_sn", number);
        program.sandbox.add_order(Upstream::Fubei, order).expect("added");
    }
    for number in ["20240501120000000001", "20240501120000000002"] {
        program.json(&["fetch", &format!("shop-1:{number}")]).await.done();
    }
    program
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn differences_are_a_table_for_people_and_exit_with_6() {
    let program = stocked().await;
    let table = program.run(&DAY).await;
    assert_eq!(table.code, 6, "{table:?}");
    assert_eq!(
        table.stdout,
        "\
ORDER 订单  REFUND 退款单号  DIFFERENCE 差异    HERE 本地  STATUS 状态  THERE 平台  STATUS 状态  AT 时间
=1+1,\"x\"    -                missing_here 长款  -          -                  5.00  paid 已支付  2024-05-01 12:00:00

RESULT 结果        WHAT 对象    COUNT 笔数  HERE 本地  THERE 平台
matched 一致       order 订单            2      92.34       92.34
matched 一致       refund 退款           0       0.00        0.00
missing_here 长款  order 订单            1       0.00        5.00
"
    );
    assert!(table.stderr.contains("shop-1 on 2024-05-01: 1 difference\n"), "{table:?}");
    // It was kept: the second time all is matched.
    let again = program.run(&DAY).await;
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(
        again.stdout,
        "\
RESULT 结果   WHAT 对象    COUNT 笔数  HERE 本地  THERE 平台
matched 一致  order 订单            3      97.34       97.34
matched 一致  refund 退款           0       0.00        0.00
"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn csv_holds_no_formula() {
    let program = stocked().await;
    let words: Vec<&str> = DAY.into_iter().chain(["--csv"]).collect();
    let csv = program.run(&words).await;
    assert_eq!(csv.code, 6, "{csv:?}");
    assert_eq!(
        csv.stdout,
        "account,day,subject,kind,order,id,refund_key,upstream_refund_no,here_amount,here_status,here_at,there_amount,\
         there_status,there_at\r\n\
         shop-1,2024-05-01,order,missing_here,\"order_sn==1+1,\"\"x\"\"\",,,,,,,5.00,paid,2024-05-01 12:00:00\r\n"
    );
    assert!(csv.stderr.contains("matched 一致"), "{csv:?}");
    let both: Vec<&str> = words.into_iter().chain(["--json"]).collect();
    assert_eq!(program.run(&both).await.failure(), (2, "usage".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_a_running_till_it_reads_and_keeps_nothing() {
    let program = stocked().await;
    let till = tillbook::Ledger::builder().open(program.path("ledger")).await.expect("opens");
    for _ in 0..2 {
        let words: Vec<&str> = DAY.into_iter().chain(["--lock-wait", "0s"]).collect();
        let found = program.json(&words).await;
        assert_eq!(found.failure(), (6, "differences".to_owned()));
        let found = found.json();
        assert_eq!((&found["kept"], &found["complete"]), (&json!(null), &json!(true)));
        assert_eq!(found["matched"]["orders"], json!({"count": 2, "sum": "92.34", "sum_fen": 9234}));
        assert_eq!(
            found["totals"],
            json!([{
                "subject": "order", "kind": "missing_here", "count": 1,
                "here": "0.00", "here_fen": 0, "there": "5.00", "there_fen": 500,
            }])
        );
        assert_eq!(
            found["differences"],
            json!([{
                "subject": "order", "kind": "missing_here", "order": "order_sn==1+1,\"x\"", "id": null,
                "refund_key": null, "upstream_refund_no": null, "here": null,
                "there": {"amount": "5.00", "amount_fen": 500, "status": "paid", "at": "2024-05-01T04:00:00Z"},
            }])
        );
    }
    till.close().await.expect("closes");
    let found = program.json(&DAY).await;
    assert_eq!(found.failure(), (6, "differences".to_owned()));
    assert_eq!(found.json()["kept"], json!({"orders_new": 1, "orders_changed": 0, "refunds_settled": 0}));
    program.json(&DAY).await.done();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_compared_is_said_and_exits_with_6() {
    let program = stocked().await;
    program.sandbox.network_down().await;
    let found = program.json(&DAY).await;
    assert_eq!(found.failure(), (6, "reconcile_incomplete".to_owned()));
    let found = found.json();
    assert_eq!((&found["complete"], &found["differences"]), (&json!(false), &json!([])));
    let problem = found["problems"][0].as_str().expect("a problem");
    assert!(problem.starts_with("orders could not be listed from row 0"), "{problem}");
    assert_eq!(program.json(&["reconcile", "shop-9", "--day", "2024-05-01"]).await.failure().1, "unknown_account");
    for day in ["2024-02-30", "20240501", "2024-05-01T00", "yesterday"] {
        let refused = program.json(&["reconcile", "shop-1", "--day", day]).await;
        assert_eq!(refused.failure(), (2, "malformed".to_owned()), "{day}");
    }
}
