//! trade_order: the refund's checks in the server's own order, its traps, its lists.

use std::time::Duration;

use tillbook::sandbox::{Credentials, Method, NewOrder, OrderHandle, RefundState, Sandbox, Settings, Upstream};

use super::client::{Caller, all, body, json_body};

async fn open(new: NewOrder) -> (Sandbox, Caller, OrderHandle) {
    let sandbox = Sandbox::start().await.expect("a free port");
    let caller = Caller::of(&sandbox);
    let order = sandbox.add_order(Upstream::TradeOrder, new).expect("valid");
    (sandbox, caller, order)
}

fn refused(code: i64, message: &str) -> String {
    format!("{{\"code\":{code},\"msg\":\"{message}\",\"data\":null}}")
}

#[tokio::test]
async fn a_wrong_token_is_1001_with_http_200() {
    let (sandbox, caller, order) = open(NewOrder::paid(1900)).await;
    let before = sandbox.credentials();
    sandbox.set_credentials(Credentials { trade_order_token: "other".to_owned(), ..before.clone() });
    let answer = body(caller.trade_order("/api/trade_order/get", &format!("tradeOrderId={}", order.id)).await);
    assert_eq!(answer, "{\"code\":1001,\"msg\":\"Unauthorized\"}");
    let refund = body(caller.trade_order_refund(&order.id, "1").await);
    assert_eq!(refund, "{\"code\":1001,\"msg\":\"Unauthorized\"}");
    assert_eq!(sandbox.books().total_money_out_fen(), 0);
    sandbox.set_credentials(before);
    let answer = json_body(caller.trade_order("/api/trade_order/get", &format!("tradeOrderId={}", order.id)).await);
    assert_eq!(answer["data"]["tradeOrderId"], order.id);
}

#[tokio::test]
async fn parameters_come_by_query_form_or_params() {
    let (_sandbox, caller, order) = open(NewOrder::paid(1900)).await;
    let get = format!("/api/trade_order/get?tradeOrderId={}", order.id);
    let by_query = body(caller.trade_order_get(&get).await);
    let by_form = body(caller.trade_order("/api/trade_order/get", &format!("tradeOrderId={}", order.id)).await);
    let params = format!("tradeOrderId=ignored&params=%7B%22tradeOrderId%22%3A%22{}%22%7D", order.id);
    let by_params = body(caller.trade_order("/api/trade_order/get", &params).await);
    assert_eq!((&by_query, &by_query), (&by_form, &by_params));
    assert_eq!(
        body(caller.trade_order("/api/trade_order/get", "tradeOrderId=E0").await),
        "{\"code\":0,\"msg\":\"success\",\"data\":null}"
    );
    assert_eq!(
        body(caller.trade_order("/api/trade_order/get", "").await),
        "{\"code\":99999,\"msg\":\"系统异常[参数tradeOrderId必填]\"}"
    );
}

#[tokio::test]
async fn a_row_has_the_seed_documents_shape() {
    // 2019-08-23 16:14:42 in Beijing, paid at 19:12:21.
    let new = NewOrder {
        created_at: Some(1_566_548_082),
        paid_at: Some(1_566_558_741),
        discount_fen: 400,
        ..NewOrder::paid(1900)
    };
    let new = new.reference("tradeOrderId", "E01201908230414433510006").reference("payOrderId", "P01");
    let (_sandbox, caller, _order) = open(new).await;
    let row = body(caller.trade_order("/api/trade_order/get", "tradeOrderId=E01201908230414433510006").await);
    assert_eq!(
        row,
        "{\"code\":0,\"msg\":\"success\",\"data\":{\"tradeOrderId\":\"E01201908230414433510006\",\"tradeType\":1,\
         \"mchId\":20000000,\"appId\":\"\",\"clientIp\":\"0:0:0:0:0:0:0:1\",\"device\":\"\",\"goodsId\":\"\",\
         \"subject\":\"被扫支付\",\"body\":\"被扫支付\",\"orderAmount\":2300,\"discountAmount\":400,\"amount\":1900,\
         \"mchIncome\":1889,\"userId\":\"134713461900000001\",\"channelUserId\":null,\"status\":2,\
         \"payOrderId\":\"P01\",\"productId\":\"8020\",\"productType\":3,\"goodsDesc\":[{\"cellPrice\":2300,\
         \"currentPrice\":1900,\"discountAmount\":400,\"goodsId\":100093,\"goodsName\":\"被扫支付\",\"goodsNum\":1,\
         \"goodsProps\":\"\"},{\"currentPrice\":0,\"goodsId\":-1,\"goodsName\":\"纸袋 🛍\",\"goodsNum\":1}],\
         \"couponId\":null,\"storeNo\":null,\"storeName\":null,\"operatorId\":\"null\",\"operatorName\":\"123\",\
         \"memberId\":null,\"memberTel\":null,\"givePoints\":null,\"refundTotalAmount\":0,\
         \"tradeSuccTime\":\"2019-08-23T11:12:21.000+0000\",\"createTime\":\"2019-08-23T16:14:42.000+0000\",\
         \"updateTime\":\"2019-08-23T19:12:21.000+0000\"}}"
    );
}

#[tokio::test]
async fn refunds_are_yuan_in_and_fen_out_and_cut_off_below_a_fen() {
    let (sandbox, caller, order) = open(NewOrder::paid(1900)).await;
    let answer = json_body(caller.trade_order_refund(&order.id, "5.009").await);
    let number = &sandbox.books().orders[0].refunds[0].server_no;
    assert_eq!(answer["data"], serde_json::json!({ "mchRefundOrderId": number, "status": 2 }));
    let row = json_body(caller.trade_order("/api/trade_order/get", &format!("tradeOrderId={}", order.id)).await);
    assert_eq!((row["data"]["refundTotalAmount"].as_i64(), row["data"]["status"].as_i64()), (Some(500), Some(4)));
    json_body(caller.trade_order_refund(&order.id, "14").await);
    let row = json_body(caller.trade_order("/api/trade_order/get", &format!("tradeOrderId={}", order.id)).await);
    assert_eq!((row["data"]["refundTotalAmount"].as_i64(), row["data"]["status"].as_i64()), (Some(1900), Some(5)));
    assert_eq!(sandbox.books().total_money_out_fen(), 1900);
}

#[tokio::test]
async fn refunds_are_refused_with_the_servers_codes() {
    let (sandbox, caller, order) = open(NewOrder::paid(1900)).await;
    let refund = async |order: &str, yuan: &str| body(caller.trade_order_refund(order, yuan).await);
    assert_eq!(refund("E0", "1").await, refused(12025, "交易订单不存在"));
    assert_eq!(refund(&order.id, "19.01").await, refused(12063, "申请退款金额超过订单可退款金额"));
    assert_eq!(refund(&order.id, "").await, "{\"code\":99999,\"msg\":\"系统异常[参数refundAmount必填]\"}");
    let bad_status = refused(12075, "退款订单仅支持支付成功和部分退款状态，其他状态不允许发起退款");
    sandbox.set_order_status(Upstream::TradeOrder, &order.id, "-1").expect("a known order");
    assert_eq!(refund(&order.id, "1").await, bad_status);
    sandbox.set_order_status(Upstream::TradeOrder, &order.id, "2").expect("a known order");
    sandbox.refund_elsewhere(Upstream::TradeOrder, &order.id, 1900).expect("all of it");
    assert_eq!(refund(&order.id, "1").await, bad_status);
    sandbox.set_order_status(Upstream::TradeOrder, &order.id, "4").expect("a known order");
    assert_eq!(refund(&order.id, "1").await, refused(12062, "该订单已全额退款"));
    assert_eq!(sandbox.books().total_money_out_fen(), 1900);
}

#[tokio::test]
async fn a_refund_below_one_fen_hangs_and_blocks_the_order() {
    let (sandbox, caller, order) = open(NewOrder::paid(1900)).await;
    let hung = json_body(caller.trade_order_refund(&order.id, "-5").await);
    assert_eq!((hung["code"].as_i64(), hung["data"]["status"].as_i64()), (Some(0), Some(1)));
    let blocked = body(caller.trade_order_refund(&order.id, "1").await);
    assert_eq!(blocked, refused(12077, "当前订单存在一笔退款中订单"));
    assert_eq!(sandbox.books().total_money_out_fen(), 0);
}

#[tokio::test]
async fn of_refunds_at_once_one_goes_through_and_the_others_meet_12077() {
    let (sandbox, caller, order) = open(NewOrder::paid(100_000)).await;
    sandbox.set_settings(Settings { trade_order_gateway_time: Duration::from_secs(3), ..Settings::default() });
    let calls = (0..20).map(|_| {
        let (caller, id) = (&caller, &order.id);
        async move { json_body(caller.trade_order_refund(id, "1").await)["code"].as_i64() }
    });
    let codes = all(calls).await;
    assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 1);
    assert_eq!(codes.iter().filter(|code| **code == Some(12077)).count(), 19);
    assert_eq!(sandbox.books().total_money_out_fen(), 100);
}

#[tokio::test]
async fn with_a_gap_in_the_check_two_refunds_pass_it_and_the_channel_still_caps_the_sum() {
    let (sandbox, caller, order) = open(NewOrder::paid(1000)).await;
    sandbox.set_settings(Settings { trade_order_check_gap: Duration::from_secs(2), ..Settings::default() });
    let calls = (0..2).map(|_| {
        let (caller, id) = (&caller, &order.id);
        async move { json_body(caller.trade_order_refund(id, "8").await)["data"]["status"].as_i64() }
    });
    let mut statuses = all(calls).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [Some(2), Some(3)]);
    let books = sandbox.books();
    let states: Vec<RefundState> = books.orders[0].refunds.iter().map(|refund| refund.state).collect();
    assert_eq!(states.len(), 2);
    assert_eq!(books.total_money_out_fen(), 800);
}

#[tokio::test]
async fn cash_refunds_never_appear_among_the_gateways_and_unknown_filters_are_ignored() {
    let (sandbox, caller, cash) = open(NewOrder { method: Method::Cash, ..NewOrder::paid(500) }).await;
    let wechat = sandbox.add_order(Upstream::TradeOrder, NewOrder::paid(500)).expect("valid");
    json_body(caller.trade_order_refund(&cash.id, "1").await);
    json_body(caller.trade_order_refund(&wechat.id, "2").await);
    let list = json_body(caller.trade_order("/api/refund_order/list", "payOrderId=nobody's").await);
    assert_eq!((list["count"].as_i64(), list["data"].as_array().map(Vec::len)), (Some(1), Some(1)));
    let row = &list["data"][0];
    assert_eq!(row["payOrderId"], wechat.references["payOrderId"]);
    assert_eq!((row["refundAmount"].as_i64(), row["status"].as_i64()), (Some(200), Some(2)));
    let by_number = format!("mchRefundNo={}", row["mchRefundNo"].as_str().expect("a text"));
    assert_eq!(json_body(caller.trade_order("/api/refund_order/list", &by_number).await)["count"], 1);
    assert_eq!(
        body(caller.trade_order("/api/refund_order/list", "status=3").await),
        "{\"code\":0,\"msg\":\"success\",\"data\":null,\"count\":0,\"extData\":null}"
    );
    assert_eq!(json_body(caller.trade_order("/api/refund_order/list", "status=-99").await)["count"], 1);
    let cash_row = json_body(caller.trade_order("/api/trade_order/get", &format!("tradeOrderId={}", cash.id)).await);
    assert_eq!(cash_row["data"]["productId"], serde_json::Value::Null);
    assert_eq!(cash_row["data"]["refundTotalAmount"], 100);
}

#[tokio::test]
async fn the_list_is_filtered_and_paged_newest_first() {
    let (sandbox, caller, _order) = open(NewOrder { created_at: Some(1_566_548_082), ..NewOrder::paid(1) }).await;
    for nth in 1..5 {
        let status = if nth == 4 { "0" } else { "2" };
        let new = NewOrder {
            created_at: Some(1_566_548_082 + 60 * nth),
            status: Some(status.to_owned()),
            ..NewOrder::paid(1 + nth)
        };
        sandbox.add_order(Upstream::TradeOrder, new).expect("valid");
    }
    let amounts = async |form: &str| {
        let list = json_body(caller.trade_order("/api/trade_order/list", form).await);
        let rows = list["data"].as_array().cloned().unwrap_or_default();
        let amounts: Vec<i64> = rows.iter().filter_map(|row| row["amount"].as_i64()).collect();
        (list["count"].as_i64(), amounts)
    };
    assert_eq!(amounts("limit=2").await, (Some(5), vec![5, 4]));
    assert_eq!(amounts("limit=2&page=3").await, (Some(5), vec![1]));
    assert_eq!(amounts("limit=2&page=4").await, (Some(5), vec![]));
    assert_eq!(amounts("status=2").await, (Some(4), vec![4, 3, 2, 1]));
    assert_eq!(amounts("ps%5BstatusInString%5D=0,5").await, (Some(1), vec![5]));
    assert_eq!(amounts("nonsense=1&productId=8020&status=-99").await, (Some(5), vec![5, 4, 3, 2, 1]));
    let window = "createTimeStart=2019-08-23+16:15:00&createTimeEnd=2019-08-23+16:17:00";
    assert_eq!(amounts(window).await, (Some(2), vec![3, 2]));
    assert_eq!(amounts("createTimeStart=2030-01-01+00:00:00").await, (Some(0), vec![]));
}
