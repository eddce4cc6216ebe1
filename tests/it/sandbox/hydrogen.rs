//! 知晓云: a token shows its own user's orders; the cloud function refunds, once per key.

use serde_json::{Value, json};
use tillbook::sandbox::{Credentials, FunctionIndex, NewOrder, OrderHandle, Sandbox, Settings, Settlement, Upstream};

use super::client::{Caller, all, body, json_body};

async fn open(paid_fen: i64) -> (Sandbox, Caller, OrderHandle) {
    let sandbox = Sandbox::start().await.expect("a free port");
    let caller = Caller::of(&sandbox);
    let order = sandbox.add_order(Upstream::Hydrogen, NewOrder::paid(paid_fen)).expect("valid");
    (sandbox, caller, order)
}

fn ran(data: &Value) -> Value {
    json!({ "code": 0, "data": data, "error": {} })
}

fn answered(state: &str, refund: Value, replayed: bool) -> Value {
    ran(&json!({ "state": state, "refund": refund, "replayed": replayed }))
}

#[tokio::test]
async fn a_wrong_token_or_client_is_401() {
    let (sandbox, caller, order) = open(39_800).await;
    let path = format!("/hserve/v2.0/idp/pay/order/{}/", order.id);
    let before = sandbox.credentials();
    let unauthorized = (401, "{\"status\":\"error\",\"error_msg\":\"未授权\"}".to_owned());
    for broken in [
        Credentials { hydrogen_token: "x".to_owned(), ..before.clone() },
        Credentials { hydrogen_client_id: "x".to_owned(), ..before.clone() },
    ] {
        sandbox.set_credentials(broken);
        assert_eq!(caller.hydrogen_get(&path).await.expect("an answer"), unauthorized);
        assert_eq!(caller.function("health", &json!({})).await.expect("an answer"), unauthorized);
    }
    sandbox.set_credentials(before);
    assert_eq!(json_body(caller.hydrogen_get(&path).await)["transaction_no"], order.id);
}

#[tokio::test]
async fn the_rest_list_shows_the_users_own_orders_and_the_function_all() {
    let (sandbox, caller, own) = open(39_800).await;
    let another = NewOrder { by_another_user: true, ..NewOrder::paid(100) };
    let foreign = sandbox.add_order(Upstream::Hydrogen, another).expect("valid");
    let list = json_body(caller.hydrogen_get("/hserve/v2.2/idp/pay/order/?limit=20&offset=0&where=%7B%7D").await);
    assert_eq!(
        list["meta"],
        json!({
            "limit": 20, "next": "/hserve/v2.2/idp/pay/order/?limit=20&offset=20", "offset": 0, "previous": null,
            "total_count": 1,
        })
    );
    let numbers = |list: &Value| -> Vec<String> {
        let rows = list["objects"].as_array().expect("an array");
        rows.iter().map(|row| row["transaction_no"].as_str().expect("a text").to_owned()).collect()
    };
    assert_eq!(numbers(&list), std::slice::from_ref(&own.id));
    let foreign_path = format!("/hserve/v2.2/idp/pay/order/{}/", foreign.id);
    assert_eq!(caller.hydrogen_get(&foreign_path).await.expect("an answer").0, 404);
    let all = json_body(caller.function("list", &json!({ "filter": {}, "limit": 20, "offset": 0 })).await);
    let mut both = numbers(&all["data"]);
    both.sort();
    let mut expected = vec![own.id.clone(), foreign.id.clone()];
    expected.sort();
    assert_eq!(both, expected);
    let one = json_body(caller.function("get", &json!({ "trade_no": foreign.references["trade_no"] })).await);
    assert_eq!(numbers(&one["data"]), [foreign.id]);
    let none = json_body(caller.function("get", &json!({ "order_id": 1 })).await);
    assert_eq!(none["data"]["objects"], json!([]));
}

#[tokio::test]
async fn the_list_obeys_its_filters_and_pages() {
    let (sandbox, caller, _) = open(100).await;
    for nth in 1..5 {
        let status = if nth == 4 { "pending" } else { "success" };
        let at = Some(1_539_335_891 + 60 * nth);
        let new = NewOrder { created_at: at, status: Some(status.to_owned()), ..NewOrder::paid(100) };
        let order = sandbox.add_order(Upstream::Hydrogen, new.reference("id", &nth.to_string())).expect("valid");
        if nth == 2 {
            sandbox.refund_elsewhere(Upstream::Hydrogen, &order.id, 40).expect("less than was paid");
        }
    }
    let ids = async |query: &str| {
        let list = json_body(caller.hydrogen_get(&format!("/hserve/v2.2/idp/pay/order/?{query}")).await);
        let rows = list["objects"].as_array().cloned().unwrap_or_default();
        let ids: Vec<i64> = rows.iter().filter_map(|row| row["id"].as_i64()).collect();
        (list["meta"]["total_count"].as_i64(), list["meta"]["next"].is_null(), ids)
    };
    assert_eq!(ids("limit=2&offset=1").await, (Some(5), false, vec![4, 3]));
    assert_eq!(ids("limit=2&offset=5").await, (Some(5), true, vec![]));
    assert_eq!(ids("status=pending").await, (Some(1), false, vec![4]));
    assert_eq!(ids("refund_status=partial").await, (Some(1), false, vec![2]));
    assert_eq!(ids("paid_at__gte=1539335951&paid_at__lte=1539336011").await, (Some(2), false, vec![2, 1]));
    assert_eq!(ids("gateway_type=alipay").await, (Some(0), true, vec![]));
    let bad = caller.hydrogen_get("/hserve/v2.2/idp/pay/order/?limit=many").await.expect("an answer");
    assert_eq!(bad, (400, "{\"status\":\"error\",\"error_msg\":\"参数错误\"}".to_owned()));
}

#[tokio::test]
async fn one_key_refunds_once_and_other_content_is_a_conflict() {
    let (sandbox, caller, order) = open(39_800).await;
    let refund = body(caller.function_refund(&order.id, "till-3_1", "12.50").await);
    let refund_no = sandbox.books().orders[0].refunds[0].server_no.clone();
    let row = json!({
        "id": 1025, "refund_no": refund_no, "refund_amount": "12.50", "order_id": 47_964, "memo": "memo",
        "status": "succeed", "error_msg": null,
    });
    assert_eq!(serde_json::from_str::<Value>(&refund).expect("JSON"), answered("done", row.clone(), false));
    let again = json_body(caller.function_refund(&order.id, "till-3_1", "12.5").await);
    assert_eq!(again, answered("done", row.clone(), true));
    let other = json_body(caller.function_refund(&order.id, "till-3_1", "12.51").await);
    assert_eq!(other, answered("conflict", Value::Null, false));
    let found = json_body(caller.function("lookup", &json!({ "refund_key": "till-3_1" })).await);
    assert_eq!(found, answered("done", row, true));
    let absent = json_body(caller.function("lookup", &json!({ "refund_key": "till-3_2" })).await);
    assert_eq!(absent, answered("absent", Value::Null, false));
    let books = sandbox.books();
    assert_eq!((books.total_money_out_fen(), books.by_client_no("till-3_1").len()), (1250, 1));
    let order_row = json_body(caller.function("get", &json!({ "transaction_no": order.id })).await);
    assert_eq!(order_row["data"]["objects"][0]["refund_status"], "partial");
    assert_eq!(order_row["data"]["objects"][0]["refund_amount"], "12.50");
}

#[tokio::test]
async fn a_voided_key_never_refunds() {
    let (sandbox, caller, order) = open(39_800).await;
    let void = json!({ "refund_key": "K1" });
    assert_eq!(json_body(caller.function("void", &void).await), answered("void", Value::Null, false));
    assert_eq!(json_body(caller.function("void", &void).await), answered("void", Value::Null, true));
    let late = json_body(caller.function_refund(&order.id, "K1", "1").await);
    assert_eq!(late, answered("void", Value::Null, true));
    json_body(caller.function_refund(&order.id, "K2", "1").await);
    let too_late = json_body(caller.function("void", &json!({ "refund_key": "K2" })).await);
    assert_eq!((&too_late["data"]["state"], &too_late["data"]["replayed"]), (&json!("done"), &json!(true)));
    assert_eq!(sandbox.books().total_money_out_fen(), 100);
}

#[tokio::test]
async fn behind_a_shut_door_the_same_key_refunds_once_and_the_shut_door_stays_shut() {
    let (sandbox, caller, order) = open(39_800).await;
    let conflict = answered("conflict", Value::Null, false);
    let key = |door: &str| json!({ "refund_key": door });
    // A door opens only behind a shut one.
    assert_eq!(json_body(caller.function_refund(&order.id, "K1.1", "1").await), conflict);
    assert_eq!(json_body(caller.function("void", &key("K1.1")).await), conflict);
    assert_eq!(json_body(caller.function("void", &key("K1")).await), answered("void", Value::Null, false));
    assert_eq!(json_body(caller.function_refund(&order.id, "K1.2", "1").await), conflict);
    let sent = json_body(caller.function_refund(&order.id, "K1.1", "1").await);
    assert_eq!((&sent["data"]["state"], &sent["data"]["replayed"]), (&json!("done"), &json!(false)));
    let late = json_body(caller.function_refund(&order.id, "K1", "1").await);
    assert_eq!(late, answered("void", Value::Null, true));
    let books = sandbox.books();
    assert_eq!((books.total_money_out_fen(), books.by_client_no("K1").len()), (100, 1));
}

#[tokio::test]
async fn a_wrong_mac_stops_before_anything_else() {
    let (sandbox, caller, order) = open(39_800).await;
    let before = sandbox.credentials();
    sandbox.set_credentials(Credentials { function_secret: "other".to_owned(), ..before.clone() });
    let refused = json_body(caller.function_refund(&order.id, "K1", "1").await);
    assert_eq!(refused, ran(&json!({ "error": "unauthorized" })));
    sandbox.set_credentials(Credentials { function_name: "other".to_owned(), ..before.clone() });
    let unknown = caller.function_refund(&order.id, "K1", "1").await.expect("an answer");
    assert_eq!(unknown, (404, "{\"status\":\"error\",\"error_msg\":\"云函数不存在\"}".to_owned()));
    sandbox.set_credentials(before);
    let amount = "malformed: refund_amount must be a text in yuan";
    let order_number = "malformed: exactly one of order_id, trade_no, transaction_no is wanted";
    for (args, why) in [
        (json!({ "refund_key": "K1", "transaction_no": order.id }), amount),
        (json!({ "refund_key": "K1", "transaction_no": order.id, "refund_amount": "1.005" }), amount),
        (json!({ "refund_key": "K1", "transaction_no": order.id, "refund_amount": 1 }), amount),
        (
            json!({ "refund_key": "K 1", "transaction_no": order.id, "refund_amount": "1" }),
            "malformed: refund_key must be 1 to 32 of 0-9 A-Z a-z _ -, after them at most a dot and a count from 1",
        ),
        (json!({ "refund_key": "K1", "transaction_no": order.id, "order_id": 1, "refund_amount": "1" }), order_number),
    ] {
        let malformed = json_body(caller.function("refund", &args).await);
        assert_eq!(malformed, ran(&json!({ "error": why })), "{args}");
    }
    let unknown = json_body(caller.function("list", &json!({ "filter": { "price": 1 } })).await);
    assert_eq!(unknown, ran(&json!({ "error": "malformed: unknown filter price" })));
    assert_eq!(
        json_body(caller.function("dance", &json!({})).await),
        ran(&json!({ "error": "malformed: unknown op" }))
    );
    assert_eq!(sandbox.books().total_money_out_fen(), 0);
}

#[tokio::test]
async fn a_refund_that_baas_answers_failed_is_failed_and_one_it_throws_at_stays_started() {
    let (sandbox, caller, order) = open(39_800).await;
    let over = json_body(caller.function_refund(&order.id, "K1", "398.01").await);
    assert_eq!(over["data"]["state"], "failed");
    assert_eq!(over["data"]["refund"]["status"], "failed");
    assert_eq!(over["data"]["refund"]["error_msg"], "退款金额大于可退金额");
    let unknown = json_body(caller.function_refund("nobody's", "K2", "1").await);
    assert_eq!(unknown, answered("started", Value::Null, false));
    assert!(sandbox.release(Upstream::Hydrogen, "K2", Settlement::Succeeded).is_err());
    sandbox.set_order_status(Upstream::Hydrogen, &order.id, "pending").expect("a known order");
    let unpaid = json_body(caller.function_refund(&order.id, "K3", "1").await);
    assert_eq!(unpaid, answered("started", Value::Null, false));
    assert_eq!(sandbox.books().total_money_out_fen(), 0);
}

#[tokio::test]
async fn without_its_index_the_function_says_so_and_sends_nothing() {
    let (sandbox, caller, order) = open(39_800).await;
    let healthy = json!({ "index_enforced": true, "version": "2", "error": null });
    assert_eq!(json_body(caller.function("health", &json!({})).await), ran(&healthy));
    sandbox.set_settings(Settings { function_index: FunctionIndex::Missing, ..Settings::default() });
    let why = "not_enforced: column refund_key of table tillbook_refunds has no unique index";
    let ill = json!({ "index_enforced": false, "version": "2", "error": why });
    assert_eq!(json_body(caller.function("health", &json!({})).await), ran(&ill));
    let refused = json_body(caller.function_refund(&order.id, "K1", "1").await);
    assert_eq!(refused, ran(&json!({ "error": why })));
    let absent = json_body(caller.function("lookup", &json!({ "refund_key": "K1" })).await);
    assert_eq!(absent, answered("absent", Value::Null, false));
    assert_eq!(sandbox.books().total_money_out_fen(), 0);
}

#[tokio::test]
async fn fifty_refunds_at_once_pay_out_what_was_paid_and_no_more() {
    let (sandbox, caller, order) = open(1000).await;
    let calls = (0..50).map(|nth| {
        let (caller, id) = (&caller, &order.id);
        // Five keys, ten calls each.
        async move { json_body(caller.function_refund(id, &format!("K{}", nth % 5), "3").await)["data"].clone() }
    });
    let answers = all(calls).await;
    let fresh = answers.iter().filter(|data| data["replayed"] == false).count();
    assert_eq!(fresh, 5);
    let books = sandbox.books();
    assert_eq!((books.total_money_out_fen(), books.orders[0].refunds.len()), (900, 5));
    assert!(books.overpaid().is_empty());
}
