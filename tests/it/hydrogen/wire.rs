//! Reads on a real socket: what is asked, in both ways of reading orders, and what each answer means.

use std::sync::Arc;

use serde_json::{Value, json};
use tillbook::clients::credential::FileSecret;
use tillbook::clients::hydrogen::{HydrogenGateway, HydrogenSettings, OrdersFrom, client};
use tillbook::domain::{BlockReason, Facts, OrderStatus, Outcome, Reference, RefundStatus, Timestamp};
use tillbook::gateway::{Gateway, OrderFilter, PageAt, ReadErrorKind};

use super::{at, configured, gateway, reference, sample_call, user_gateway};
use crate::wire_faults::{read_rows, settings};
use crate::wire_server::{Act, Request, WireServer};

const WIRE: &str = include_str!("../../fixtures/hydrogen/order_list-wire_pending.json");
const EMPTY: &str = include_str!("../../fixtures/hydrogen/order_list-empty.json");

fn job(data: &str) -> Act {
    Act::Answer(200, format!(r#"{{"code":0,"data":{data},"error":{{}}}}"#))
}

fn ok(body: &str) -> Act {
    Act::Answer(200, body.to_owned())
}

/// The sample page of seed 000, its rows changed.
fn page(change: impl Fn(&mut Value)) -> String {
    let mut page: Value = serde_json::from_str(WIRE).expect("JSON");
    change(&mut page);
    page.to_string()
}

fn row() -> Value {
    serde_json::from_str::<Value>(WIRE).expect("JSON")["objects"][0].take()
}

fn native() -> Reference {
    reference("transaction_no", "XDiXbfLFyd8DpxSWqBUcb2jW1AvhVORC")
}

/// A number whose kind nobody knows.
fn of_any_kind(number: &str) -> Vec<Reference> {
    gateway(settings("http://127.0.0.1:9")).capabilities().fetch_by.iter().map(|kind| reference(kind, number)).collect()
}

fn args(request: &Request) -> Value {
    let sent: Value = serde_json::from_str(&request.body).expect("JSON");
    serde_json::from_str(sent["data"]["args"].as_str().expect("a text")).expect("JSON")
}

fn number(facts: Option<Facts>) -> Option<String> {
    facts.and_then(|facts| facts.native).map(|native| native.number)
}

/// The path and the query's pairs, decoded.
fn asked(request: &Request) -> (String, Vec<(String, String)>) {
    let url = reqwest::Url::parse(&format!("http://host{}", request.line.trim_start_matches("GET "))).expect("a URL");
    let mut pairs: Vec<(String, String)> = url.query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
    pairs.sort();
    (url.path().to_owned(), pairs)
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_transport_fault_under_a_read_is_a_read_error() {
    read_rows(gateway, &[native()]).await;
    read_rows(user_gateway, &[native()]).await;
}

#[tokio::test]
async fn an_order_is_fetched_through_the_function_with_the_accounts_merchant() {
    let server = WireServer::start([job(WIRE)]).await;
    let before = Timestamp::from(jiff::Timestamp::now());
    let facts = gateway(settings(&server.base_url)).fetch_order(&[native()]).await.expect("facts").expect("an order");
    assert_eq!((facts.merchant.as_str(), facts.native), ("client-7", Some(native())));
    assert!(facts.asked_at >= before && facts.asked_at <= Timestamp::from(jiff::Timestamp::now()));
    let [request] = server.requests().try_into().expect("one request");
    assert_eq!(args(&request), json!({"transaction_no": native().number}));
}

#[tokio::test]
async fn a_number_of_unknown_kind_is_tried_as_each_until_one_is_known() {
    let trade_no = "1gAtaEFcmu6DyHm5b0ycBSmNO302NGzA";
    let server = WireServer::start([job(EMPTY), job(WIRE)]).await;
    let found = gateway(settings(&server.base_url)).fetch_order(&of_any_kind(trade_no)).await.expect("facts");
    assert_eq!(number(found), Some(native().number));
    let sent: Vec<Value> = server.requests().iter().map(args).collect();
    assert_eq!(sent, [json!({"transaction_no": trade_no}), json!({"trade_no": trade_no})]);
    // An id is a whole number, so only such a one is asked for as an id.
    let server = WireServer::start([job(EMPTY), job(EMPTY), job(WIRE)]).await;
    let found = gateway(settings(&server.base_url)).fetch_order(&of_any_kind("47963")).await.expect("facts");
    assert_eq!(number(found), Some(native().number));
    assert_eq!(args(&server.requests()[2]), json!({"order_id": 47963}));
    let server = WireServer::start([job(EMPTY), job(EMPTY)]).await;
    let found = gateway(settings(&server.base_url)).fetch_order(&of_any_kind("nobody")).await.expect("an answer");
    assert_eq!((number(found), server.requests().len()), (None, 2));
}

#[tokio::test]
async fn an_answer_about_another_order_is_not_taken() {
    for rows in [
        page(|page| page["objects"][0]["transaction_no"] = json!("other")),
        page(|page| page["objects"][0]["total_cost"] = json!("0.001")),
        page(|page| page["objects"] = json!([row(), row()])),
    ] {
        let server = WireServer::start([job(&rows)]).await;
        let error = gateway(settings(&server.base_url)).fetch_order(&[native()]).await.expect_err("not taken");
        assert!(matches!(error.kind, ReadErrorKind::Unreadable | ReadErrorKind::Refused), "{error}");
    }
    // A list that is not there is no empty list.
    let server = WireServer::start([job("{}")]).await;
    let error = gateway(settings(&server.base_url)).fetch_order(&[native()]).await.expect_err("no list");
    assert_eq!((error.kind, error.to_string()), (ReadErrorKind::Unreadable, "get: objects is missing".to_owned()));
    let server = WireServer::start([]).await;
    let error = gateway(settings(&server.base_url)).fetch_order(&[reference("order_sn", "1")]).await;
    let error = error.expect_err("no such kind");
    assert_eq!(error.to_string(), "hydrogen asks by transaction_no, trade_no, id only");
    assert_eq!(error.kind, ReadErrorKind::Unsupported);
}

#[tokio::test]
async fn a_users_order_is_fetched_by_its_path_or_through_the_list() {
    let server =
        WireServer::start([ok(&row().to_string()), Act::Answer(404, "{}".to_owned()), ok(WIRE), ok(EMPTY)]).await;
    let gateway = user_gateway(settings(&server.base_url));
    assert_eq!(number(gateway.fetch_order(&[native()]).await.expect("facts")), Some(native().number));
    assert_eq!(number(gateway.fetch_order(&[native()]).await.expect("an answer")), None);
    let by_id = gateway.fetch_order(&[reference("id", "47963")]).await.expect("facts");
    assert_eq!(number(by_id), Some(native().number));
    assert_eq!(number(gateway.fetch_order(&[reference("trade_no", "x")]).await.expect("an answer")), None);
    let asked: Vec<_> = server.requests().iter().map(asked).collect();
    let path = "/hserve/v2.2/idp/pay/order/";
    let one = format!("/hserve/v2.0/idp/pay/order/{}/", native().number);
    assert_eq!(asked[0], (one, vec![]));
    let page = [("limit", "20"), ("offset", "0")];
    let by_id = pairs(&[&[("id", "47963")], &page[..], &[("where", "{}")]].concat());
    assert_eq!(asked[2], (path.to_owned(), by_id));
    let by_trade_no = pairs(&[&page[..], &[("trade_no", "x"), ("where", "{}")]].concat());
    assert_eq!(asked[3], (path.to_owned(), by_trade_no));
}

#[tokio::test]
async fn a_list_is_asked_for_with_its_filter_in_both_ways() {
    let wanted = OrderFilter {
        status: Some(OrderStatus::Paid),
        refund_status: Some(RefundStatus::Complete),
        from: Some(at("2018-10-01T00:00:00Z")),
        to: Some(at("2018-11-01T00:00:00Z")),
        ..OrderFilter::default()
    };
    let at = PageAt { offset: 40, limit: 20 };
    let server = WireServer::start([job(WIRE), ok(WIRE)]).await;
    let through_function = gateway(settings(&server.base_url)).list_orders(&wanted, at).await.expect("a page");
    let of_user = user_gateway(settings(&server.base_url)).list_orders(&wanted, at).await.expect("a page");
    for page in [through_function, of_user] {
        assert_eq!((page.orders.len(), page.bad_rows.len(), page.next, page.total), (1, 0, None, Some(1)));
        assert_eq!(page.orders[0].merchant, "client-7");
    }
    let requests = server.requests();
    let filter = json!({
        "status": "success", "refund_status": "complete", "paid_at__gte": 1_538_352_000, "paid_at__lte": 1_541_030_400,
    });
    assert_eq!(args(&requests[0]), json!({"filter": filter, "limit": 20, "offset": 40}));
    let query = pairs(&[
        ("limit", "20"),
        ("offset", "40"),
        ("paid_at__gte", "1538352000"),
        ("paid_at__lte", "1541030400"),
        ("refund_status", "complete"),
        ("return_total_count", "1"),
        ("status", "success"),
        ("where", "{}"),
    ]);
    assert_eq!(asked(&requests[1]), ("/hserve/v2.2/idp/pay/order/".to_owned(), query));
}

#[tokio::test]
async fn the_sdks_own_list_request_can_be_said() {
    let server = WireServer::start([ok(EMPTY)]).await;
    let client = client(&configured(settings(&server.base_url), OrdersFrom::User)).expect("a client");
    let request = client.list_orders().limit(10).offset(20).where_("{}").merchandise_record_id("1");
    let request = request.merchandise_schema_id(2).status("3").trade_no("4").transaction_no("5");
    request.send().await.expect("a page");
    let sample = include_str!("../../fixtures/hydrogen/order_list-request_query.json");
    let sample: Value = serde_json::from_str(sample).expect("JSON");
    let query = sample["query"]
        .as_object()
        .expect("an object")
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
    let [request] = server.requests().try_into().expect("one request");
    assert!(request.line.starts_with(sample["method"].as_str().expect("a text")));
    assert_eq!(asked(&request), (sample["path"].as_str().expect("a text").to_owned(), query.collect()));
    assert_eq!(request.header("authorization"), Some("Hydrogen-r1 user-token"));
    assert_eq!(request.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn a_list_ends_at_its_total_not_at_next() {
    let seed = include_str!("../../fixtures/hydrogen/order_list-web_api_success_null_paid_at.json");
    let server = WireServer::start([ok(seed), ok(EMPTY)]).await;
    let gateway = user_gateway(settings(&server.base_url));
    let first = PageAt { offset: 0, limit: 20 };
    let page = gateway.list_orders(&OrderFilter::default(), first).await.expect("a page");
    assert_eq!((page.orders.len(), page.next, page.total), (2, None, Some(2)));
    let page = gateway.list_orders(&OrderFilter::default(), first).await.expect("a page");
    assert_eq!((page.orders.len(), page.next, page.total), (0, None, Some(0)));
}

#[tokio::test]
async fn a_failed_read_says_what_a_person_can_do() {
    for (act, kind) in [
        (Act::Answer(401, "{}".to_owned()), ReadErrorKind::Credentials),
        (Act::Answer(402, "{}".to_owned()), ReadErrorKind::Credentials),
        (Act::Answer(404, "{}".to_owned()), ReadErrorKind::Credentials),
        (Act::Answer(400, "{}".to_owned()), ReadErrorKind::Refused),
        (ok(r#"{"code":1,"data":null,"error":"boom"}"#), ReadErrorKind::Refused),
        (job(r#"{"error":"unauthorized"}"#), ReadErrorKind::Credentials),
        (job(r#"{"error":"malformed: unknown filter x"}"#), ReadErrorKind::Refused),
        (job(r#"{"meta":{}}"#), ReadErrorKind::Unreadable),
        (ok(r#"{"status":"ok"}"#), ReadErrorKind::Unreadable),
    ] {
        let server = WireServer::start([act]).await;
        let gateway = gateway(settings(&server.base_url));
        let first = PageAt { offset: 0, limit: 20 };
        let error = gateway.list_orders(&OrderFilter::default(), first).await.expect_err("no page");
        assert_eq!(error.kind, kind, "{error}");
        assert_eq!(server.unplayed(), 0);
    }
}

#[tokio::test]
async fn check_proves_token_secret_and_index() {
    let healthy = job(r#"{"index_enforced":true,"version":"2","error":null}"#);
    let older = job(r#"{"index_enforced":true,"version":"1","error":null}"#);
    let broken = job(r#"{"index_enforced":false,"version":"2","error":"not_enforced: no unique index"}"#);
    let server = WireServer::start([healthy.clone(), broken, older, healthy, ok(EMPTY)]).await;
    let function = gateway(settings(&server.base_url));
    let checked = function.check().await.expect("healthy");
    let proven = ["token and function secret accepted", "the refund table's unique index is enforced"];
    assert_eq!(checked.proven, proven);
    // The scripted server lives in 2017.
    assert_eq!(checked.upstream_time, Some(at("2017-06-01T13:53:56Z")));
    assert!(matches!(checked.warnings.as_slice(), [clock] if clock.ends_with("s ahead of the upstream's")));
    let checked = function.check().await.expect("an answer");
    assert_eq!(checked.proven, ["token and function secret accepted"]);
    assert_eq!(
        checked.warnings[0],
        "no refund will be sent, the refund table is not as it must be: not_enforced: no unique index"
    );
    // It refunds, so what is proven stands; what it cannot do is told.
    let checked = function.check().await.expect("an answer");
    assert_eq!(checked.proven, proven);
    assert!(checked.warnings[0].starts_with("the deployed cloud function is version 1, not 2"), "{checked:?}");
    let checked = user_gateway(settings(&server.base_url)).check().await.expect("healthy");
    assert_eq!(checked.proven[2], "the token's user may list orders");
}

/// A gateway whose token and function secret lie in files.
fn from_files(base_url: &str, directory: &std::path::Path) -> HydrogenGateway {
    let file = |name: &str| Arc::new(FileSecret::new(directory.join(name)));
    let settings = HydrogenSettings::new(settings(base_url), "client-7", file("token"), file("secret"));
    HydrogenGateway::new(settings).expect("good settings")
}

#[tokio::test]
async fn refused_credentials_are_read_again_and_a_read_asks_once_more() {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).expect("written");
    write("token", "old\n");
    write("secret", "old\n");
    let refused = || Act::Answer(401, "{}".to_owned());
    let server = WireServer::start([job(WIRE), refused(), job(WIRE), refused(), refused(), job(WIRE)]).await;
    let gateway = from_files(&server.base_url, directory.path());
    gateway.fetch_order(&[native()]).await.expect("the old token is good");
    write("token", "new\n");
    gateway.fetch_order(&[native()]).await.expect("the new token is read");
    // Nothing new to read: the refusal stands.
    let error = gateway.fetch_order(&[native()]).await.expect_err("refused");
    assert_eq!((error.kind, server.unplayed()), (ReadErrorKind::Credentials, 2));
    // A refund is never sent again by itself; the next call has the new token.
    write("token", "newer\n");
    let answer = gateway.refund(&sample_call()).await;
    assert_eq!((answer.outcome, answer.blocked), (Outcome::Blocked, Some(BlockReason::Credentials)));
    gateway.fetch_order(&[native()]).await.expect("the newer token was read");
    let tokens: Vec<String> =
        server.requests().iter().filter_map(|request| request.header("authorization").map(str::to_owned)).collect();
    let expected = ["old", "old", "new", "new", "new", "newer"].map(|token| format!("Hydrogen-r1 {token}"));
    assert_eq!(tokens, expected);
}

#[tokio::test]
async fn a_secret_that_cannot_be_had_blocks_before_anything_is_sent() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = WireServer::start([]).await;
    let gateway = from_files(&server.base_url, directory.path());
    let answer = gateway.refund(&sample_call()).await;
    assert_eq!((answer.outcome, answer.blocked), (Outcome::Blocked, Some(BlockReason::Credentials)));
    let error = gateway.fetch_order(&[native()]).await.expect_err("no secret");
    assert_eq!(error.kind, ReadErrorKind::Credentials);
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn no_text_holds_a_secret() {
    let server = WireServer::start([Act::Answer(401, "{}".to_owned()), Act::Answer(401, "{}".to_owned())]).await;
    let gateway = gateway(settings(&server.base_url));
    let answer = gateway.refund(&sample_call()).await;
    let error = gateway.fetch_order(&[native()]).await.expect_err("refused");
    let shown = format!("{gateway:?} {answer:?} {error:?} {error}");
    for secret in ["user-token", "function-secret"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
