//! Reads on a real socket: what is asked, and what each answer means.

use std::sync::Arc;

use serde_json::{Value, json};
use tillbook::clients::credential::FileSecret;
use tillbook::clients::trade_order::{TradeOrderGateway, TradeOrderSettings};
use tillbook::domain::{BlockReason, OrderStatus, Outcome, PaymentMethod};
use tillbook::gateway::{Gateway, OrderFilter, PageAt, ReadErrorKind};

use super::{at, gateway, native, reference, refund_call};
use crate::wire_faults::{read_rows, settings};
use crate::wire_server::{Act, Request, WireServer};

const ORDER: &str = include_str!("../../fixtures/trade_order/trade_order_get-success.json");
const NOT_FOUND: &str = include_str!("../../fixtures/trade_order/trade_order_get-not_found.json");
const EMPTY: &str = include_str!("../../fixtures/trade_order/trade_order_list-empty.json");

fn ok(body: impl ToString) -> Act {
    Act::Answer(200, body.to_string())
}

fn page(count: usize) -> Act {
    let order: Value = serde_json::from_str(ORDER).expect("JSON");
    let rows: Vec<&Value> = std::iter::repeat_n(&order["data"], count).collect();
    ok(json!({"code": 0, "msg": "success", "data": rows, "count": 99, "extData": null}))
}

/// The path and the query's pairs, decoded.
pub(super) fn asked(request: &Request) -> (String, Vec<(String, String)>) {
    let url = reqwest::Url::parse(&format!("http://host{}", request.line.trim_start_matches("GET "))).expect("a URL");
    let mut pairs: Vec<(String, String)> = url.query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
    pairs.sort();
    (url.path().to_owned(), pairs)
}

pub(super) fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_transport_fault_under_a_read_is_a_read_error() {
    read_rows(gateway, &[native()]).await;
}

#[tokio::test]
async fn an_order_is_fetched_by_its_own_number_or_the_payments() {
    let server = WireServer::start([ok(ORDER), page(1), ok(NOT_FOUND), ok(EMPTY)]).await;
    let gateway = gateway(settings(&server.base_url));
    let pay_order = reference("payOrderId", "P01201908230414452700006");
    let facts = gateway.fetch_order(&[pay_order.clone(), native()]).await.expect("facts").expect("an order");
    assert_eq!((facts.native, facts.merchant.as_str()), (Some(native()), "20000000"));
    let facts = gateway.fetch_order(std::slice::from_ref(&pay_order)).await.expect("facts").expect("an order");
    assert_eq!(facts.native, Some(native()));
    // Of a number whose kind is unknown each kind is tried.
    let both = [reference("tradeOrderId", "nobody"), reference("payOrderId", "nobody")];
    assert_eq!(gateway.fetch_order(&both).await.expect("an answer"), None);
    let asked: Vec<_> = server.requests().iter().map(asked).collect();
    let get = "/api/trade_order/get".to_owned();
    let list = "/api/trade_order/list".to_owned();
    let by_pay = |number: &str| pairs(&[("limit", "20"), ("page", "1"), ("payOrderId", number)]);
    assert_eq!(
        asked,
        [
            (get.clone(), pairs(&[("tradeOrderId", &native().number)])),
            (list.clone(), by_pay(&pay_order.number)),
            (get, pairs(&[("tradeOrderId", "nobody")])),
            (list, by_pay("nobody")),
        ]
    );
    assert_eq!(server.requests()[0].header("authorization"), Some("header.payload.signature"));
    let error = gateway.fetch_order(&[reference("order_sn", "1")]).await.expect_err("no such kind");
    assert_eq!(error.to_string(), "trade_order asks by tradeOrderId, payOrderId only");
    assert_eq!(error.kind, ReadErrorKind::Unsupported);
}

#[tokio::test]
async fn no_such_order_is_told_in_three_ways() {
    for body in
        [NOT_FOUND, r#"{"code":12025,"msg":"交易订单不存在","data":null}"#, r#"{"code":10004,"msg":"记录不存在"}"#]
    {
        let server = WireServer::start([ok(body)]).await;
        let found = gateway(settings(&server.base_url)).fetch_order(&[native()]).await.expect("an answer");
        assert_eq!(found, None, "{body}");
    }
}

#[tokio::test]
async fn an_answer_about_another_order_is_not_taken() {
    let other = ORDER.replace("E01201908230414433510006", "E01201908230414433510007");
    let strange = ORDER.replace("\"amount\": 1900", "\"amount\": 19.005");
    for body in [other, strange] {
        let server = WireServer::start([ok(body)]).await;
        let error = gateway(settings(&server.base_url)).fetch_order(&[native()]).await.expect_err("not taken");
        assert_eq!(error.kind, ReadErrorKind::Unreadable, "{error}");
    }
    // A filter that was ignored in silence.
    let server = WireServer::start([page(2)]).await;
    let error = gateway(settings(&server.base_url)).fetch_order(&[reference("payOrderId", "P9")]).await;
    assert_eq!(error.expect_err("ignored").to_string(), "asked for payOrderId=P9, the answer bears another number");
}

#[tokio::test]
async fn a_list_is_asked_for_in_pages_until_one_is_empty() {
    let server = WireServer::start([page(3), page(1), ok(EMPTY)]).await;
    let gateway = gateway(settings(&server.base_url));
    let (mut next, mut seen) = (Some(0), Vec::new());
    while let Some(offset) = next {
        let page = gateway.list_orders(&OrderFilter::default(), PageAt { offset, limit: 3 }).await.expect("a page");
        seen.push((page.orders.len(), page.total));
        next = page.next;
    }
    assert_eq!(seen, [(3, Some(99)), (1, Some(99)), (0, Some(0))]);
    let asked: Vec<_> = server.requests().iter().map(|request| asked(request).1).collect();
    assert_eq!(asked, ["1", "2", "3"].map(|page| pairs(&[("limit", "3"), ("page", page)])));
}

#[tokio::test]
async fn a_filter_is_sent_as_far_as_it_loses_nothing() {
    let server = WireServer::start([page(1)]).await;
    let wanted = OrderFilter {
        status: Some(OrderStatus::Paid),
        payment_method: Some(PaymentMethod::Wechat),
        from: Some(at("2019-08-22T16:00:00Z")),
        to: Some(at("2019-08-23T15:59:59.5Z")),
        ..OrderFilter::default()
    };
    gateway(settings(&server.base_url)).list_orders(&wanted, PageAt { offset: 0, limit: 20 }).await.expect("a page");
    let [request] = server.requests().try_into().expect("one request");
    let query = pairs(&[
        ("createTimeEnd", "2019-08-24 00:00:00"),
        ("createTimeStart", "2019-08-23 00:00:00"),
        ("limit", "20"),
        ("page", "1"),
        ("ps[statusInString]", "2,4,5"),
    ]);
    assert_eq!(asked(&request), ("/api/trade_order/list".to_owned(), query));
}

#[tokio::test]
async fn a_failed_read_says_what_a_person_can_do() {
    for (body, kind, code) in [
        (r#"{"code":1001,"msg":"Unauthorized"}"#, ReadErrorKind::Credentials, Some("1001")),
        (r#"{"code":12001,"msg":"权限错误","data":{}}"#, ReadErrorKind::Refused, Some("12001")),
        (r#"{"code":99999,"msg":"系统异常[x]"}"#, ReadErrorKind::Refused, Some("99999")),
        (r#"{"msg":"success","data":[]}"#, ReadErrorKind::Unreadable, Some("200")),
        (r#"{"code":0,"data":{"a":1}}"#, ReadErrorKind::Unreadable, Some("200")),
    ] {
        let server = WireServer::start([ok(body)]).await;
        let first = PageAt { offset: 0, limit: 20 };
        let error = gateway(settings(&server.base_url)).list_orders(&OrderFilter::default(), first).await;
        let error = error.expect_err(body);
        assert_eq!((error.kind, error.code.as_deref()), (kind, code), "{error}");
    }
}

#[tokio::test]
async fn check_proves_the_token() {
    let server = WireServer::start([page(1), ok(r#"{"code":1001,"msg":"Unauthorized"}"#)]).await;
    let gateway = gateway(settings(&server.base_url));
    let checked = gateway.check().await.expect("a good token");
    assert_eq!(checked.proven, ["token accepted"]);
    // The scripted server lives in 2017.
    assert_eq!(checked.upstream_time, Some(at("2017-06-01T13:53:56Z")));
    assert!(matches!(checked.warnings.as_slice(), [clock] if clock.ends_with("s ahead of the upstream's")));
    assert_eq!(gateway.check().await.expect_err("a bad token").kind, ReadErrorKind::Credentials);
}

#[tokio::test]
async fn a_refused_token_is_read_again_and_a_read_asks_once_more() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("token");
    std::fs::write(&path, "old\n").expect("written");
    let refused = || ok(r#"{"code":1001,"msg":"Unauthorized"}"#);
    let server = WireServer::start([ok(ORDER), refused(), ok(ORDER), refused(), refused(), ok(ORDER)]).await;
    let settings = TradeOrderSettings::new(settings(&server.base_url), Arc::new(FileSecret::new(&path)));
    let gateway = TradeOrderGateway::new(settings).expect("good settings");
    gateway.fetch_order(&[native()]).await.expect("the old token is good");
    std::fs::write(&path, "new\n").expect("written");
    gateway.fetch_order(&[native()]).await.expect("the new token is read");
    let error = gateway.fetch_order(&[native()]).await.expect_err("nothing new to read");
    assert_eq!((error.kind, server.unplayed()), (ReadErrorKind::Credentials, 2));
    std::fs::write(&path, "newer\n").expect("written");
    let answer = gateway.refund(&refund_call(1, None)).await;
    assert_eq!((answer.outcome, answer.blocked), (Outcome::Blocked, Some(BlockReason::Credentials)));
    gateway.fetch_order(&[native()]).await.expect("the newer token was read");
    let tokens: Vec<String> =
        server.requests().iter().filter_map(|request| request.header("authorization").map(str::to_owned)).collect();
    assert_eq!(tokens, ["old", "old", "new", "new", "new", "newer"]);
    let shown = format!("{gateway:?} {answer:?} {error:?} {error}");
    assert!(!shown.contains("new"), "{shown}");
}

#[tokio::test]
async fn no_text_holds_the_token() {
    let server = WireServer::start([ok(r#"{"code":1001,"msg":"Unauthorized"}"#), Act::CloseAfterRequest]).await;
    let gateway = gateway(settings(&server.base_url));
    let answer = gateway.refund(&refund_call(1, None)).await;
    let error = gateway.fetch_order(&[native()]).await.expect_err("lost");
    let shown = format!("{gateway:?} {answer:?} {error:?} {error}");
    assert!(!shown.contains("signature"), "{shown}");
}
