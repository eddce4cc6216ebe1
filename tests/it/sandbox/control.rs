//! The sandbox's own paths, its network, its end.

use std::time::Duration;

use serde_json::{Value, json};
use tillbook::sandbox::{Books, Fault, FaultKind, NewOrder, Operation, OrderHandle, Sandbox, Upstream};

use super::client::{Caller, body, json_body};

async fn open() -> (Sandbox, Caller) {
    let sandbox = Sandbox::start().await.expect("a free port");
    let mut caller = Caller::of(&sandbox);
    caller.base_url = sandbox.control_url();
    (sandbox, caller)
}

#[tokio::test]
async fn another_process_can_write_the_script_and_read_the_books() {
    let (sandbox, control) = open().await;
    let new = json!({ "upstream": "fubei", "order": { "paid_fen": 8000, "references": { "order_sn": "A1" } } });
    let order: OrderHandle =
        serde_json::from_str(&body(control.post("/sandbox/orders", &new).await)).expect("a handle");
    assert_eq!((order.id.as_str(), order.upstream, order.paid_fen), ("A1", Upstream::Fubei, 8000));
    let elsewhere = json!({ "upstream": "fubei", "order": "A1", "amount_fen": 500 });
    json_body(control.post("/sandbox/refund-elsewhere", &elsewhere).await);
    let status = json!({ "upstream": "fubei", "order": "A1", "status": "CLOSED" });
    json_body(control.post("/sandbox/order-status", &status).await);
    let fault = json!({ "operation": "fubei.refund", "kind": "lands_late", "ms": 500, "nth": 2 });
    json_body(control.post("/sandbox/faults", &fault).await);
    assert_eq!(json_body(control.get("/sandbox/faults").await), json!([fault]));
    let late = FaultKind::LandsLate(Duration::from_millis(500));
    assert_eq!(sandbox.pending_faults(), [Fault::new(Operation::FubeiRefund, late).nth(2)]);
    json_body(control.delete("/sandbox/faults").await);
    assert_eq!(sandbox.pending_faults(), []);
    json_body(control.post("/sandbox/credentials", &json!({ "fubei_secret": "rotated" })).await);
    assert_eq!(sandbox.credentials().fubei_secret, "rotated");
    let books: Books = serde_json::from_str(&body(control.get("/sandbox/books").await)).expect("books");
    assert_eq!(books, sandbox.books());
    assert_eq!((books.orders[0].money_out_fen, books.orders[0].status.as_str()), (500, "CLOSED"));
    assert_eq!(books.calls.total, 0);
    // The same paths on the upstreams' own port.
    assert_eq!(json_body(Caller::of(&sandbox).get("/sandbox/faults").await), json!([]));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_a_sentence() {
    let (_sandbox, control) = open().await;
    for (path, request, sentence) in [
        ("/sandbox/orders", json!({ "upstream": "fubei", "order": { "paid_fen": -1 } }), "paid_fen and discount_fen"),
        ("/sandbox/orders", json!({ "upstream": "fubei", "order": { "paid": 1 } }), "unknown field `paid`"),
        ("/sandbox/refund-elsewhere", json!({ "upstream": "fubei", "order": "A", "amount_fen": 1 }), "no order A"),
        ("/sandbox/faults", json!({ "operation": "fubei.refund", "kind": "delay" }), "needs \"ms\""),
        ("/sandbox/faults", json!({ "operation": "fubei.order.query", "kind": "stuck" }), "cannot happen"),
        ("/sandbox/release", json!({ "upstream": "fubei", "refund": "K", "outcome": "failed" }), "unfinished refund K"),
    ] {
        let (status, text) = control.post(path, &request).await.expect("an answer");
        let error: Value = serde_json::from_str(&text).expect("JSON");
        let error = error["error"].as_str().expect("a sentence").to_owned();
        assert_eq!(status, 400);
        assert!(error.contains(sentence), "{error}");
    }
}

#[tokio::test]
async fn with_the_network_down_connects_are_refused_and_the_same_port_comes_back() {
    let (sandbox, control) = open().await;
    let order = sandbox.add_order(Upstream::Fubei, NewOrder::paid(8000)).expect("valid");
    let caller = Caller::of(&sandbox);
    for round in 0..3 {
        sandbox.network_down().await;
        let error = caller.fubei_refund(&order.id, "K0", "1").await.expect_err("refused");
        assert!(error.is_connect(), "round {round}: {error:?}");
        // The books stay open at the other door.
        assert_eq!(json_body(control.get("/sandbox/books").await)["calls"]["refunds"], round);
        sandbox.network_up().await.expect("the port was kept");
        let taken = json_body(caller.fubei_refund(&order.id, &format!("K{round}"), "1").await);
        assert_eq!(taken["result_code"], 200);
    }
    assert_eq!(sandbox.books().total_money_out_fen(), 300);
}

#[tokio::test]
async fn the_network_goes_down_and_up_by_http_through_either_door() {
    let (sandbox, control) = open().await;
    let caller = Caller::of(&sandbox);
    // Asked through the very port that is shut: the answer still comes.
    assert_eq!(json_body(caller.post("/sandbox/network", &json!({ "up": false })).await), json!({ "ok": true }));
    assert!(caller.get("/sandbox/books").await.expect_err("refused").is_connect());
    assert_eq!(json_body(control.post("/sandbox/network", &json!({ "up": true })).await), json!({ "ok": true }));
    body(caller.get("/sandbox/books").await);
    body(control.post("/sandbox/network", &json!({ "up": false, "for_ms": 50 })).await);
    let back = async {
        while caller.get("/sandbox/books").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), back).await.expect("it comes back by itself");
}

#[tokio::test]
async fn taking_the_network_away_cuts_calls_in_flight_but_not_what_they_began() {
    let (sandbox, _) = open().await;
    let order = sandbox.add_order(Upstream::Fubei, NewOrder::paid(8000)).expect("valid");
    let delay = FaultKind::Delay(Duration::from_secs(600));
    sandbox.set_fault(Fault::new(Operation::FubeiRefund, delay)).expect("it fits");
    let caller = Caller::of(&sandbox);
    let cut = async {
        sandbox.until(|books| books.total_money_out_fen() == 100).await;
        sandbox.network_down().await;
    };
    let (reply, ()) = tokio::join!(caller.fubei_refund(&order.id, "K1", "1"), cut);
    let error = reply.expect_err("cut");
    assert!(!error.is_timeout() && !error.is_connect(), "{error:?}");
    assert_eq!(sandbox.books().total_money_out_fen(), 100);
}

#[tokio::test]
async fn a_dropped_sandbox_is_gone() {
    let (sandbox, control) = open().await;
    let caller = Caller::of(&sandbox);
    body(caller.get("/sandbox/books").await);
    drop(sandbox);
    let gone = async {
        // The tasks are told at once and end at their next turn.
        while caller.get("/sandbox/books").await.is_ok() || control.get("/sandbox/books").await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("both ports are closed");
    assert!(caller.get("/sandbox/books").await.expect_err("refused").is_connect());
}

#[tokio::test]
async fn the_written_config_names_three_accounts() {
    let (sandbox, _) = open().await;
    let text = sandbox.config_toml("C:\\tills\\\"one\"");
    let config: toml::Table = text.parse().expect("TOML");
    let (base_url, known) = (format!("\"{}\"", sandbox.base_url()), sandbox.credentials());
    assert_eq!(config["data"].as_str(), Some("C:\\tills\\\"one\""));
    let accounts = format!(
        "[shop-1]\ngateway = \"fubei\"\nbase_url = {base_url}\napp_id = \"{}\"\nsecret = \"{}\"\n\
         [shop-2]\ngateway = \"trade_order\"\nbase_url = {base_url}\ntoken = \"{}\"\n\
         [shop-3]\ngateway = \"hydrogen\"\nbase_url = {base_url}\nclient_id = \"{}\"\ntoken = \"{}\"\n\
         refund_function = \"{}\"\nfunction_secret = \"{}\"\norders = \"function\"\ncalls_per_minute = 6000\n",
        known.fubei_app_id,
        known.fubei_secret,
        known.trade_order_token,
        known.hydrogen_client_id,
        known.hydrogen_token,
        known.function_name,
        known.function_secret,
    );
    let accounts: toml::Table = accounts.parse().expect("TOML");
    assert_eq!(config["accounts"].as_table(), Some(&accounts));
}

#[tokio::test]
async fn seeded_orders_are_all_readable_by_their_upstreams() {
    let sandbox = Sandbox::builder().seed(40).start().await.expect("a free port");
    let caller = Caller::of(&sandbox);
    let page = json_body(caller.trade_order("/api/trade_order/list", "limit=100").await);
    assert_eq!((page["count"].as_i64(), page["data"].as_array().map(Vec::len)), (Some(40), Some(40)));
    let list = json_body(caller.function("list", &json!({ "filter": {}, "limit": 100, "offset": 0 })).await);
    assert_eq!(list["data"]["objects"].as_array().map(Vec::len), Some(40));
    for order in sandbox.books().orders.iter().filter(|order| order.upstream == Upstream::Fubei) {
        let row = json_body(caller.fubei("openapi.payment.order.query", &json!({ "order_sn": order.id })).await);
        assert_eq!(row["data"]["trade_state"], order.status);
    }
}
