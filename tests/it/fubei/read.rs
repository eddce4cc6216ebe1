//! What is asked of Fubei: facts, probes, checks, and what may not be called.

use super::*;

#[tokio::test]
async fn a_transport_fault_under_a_read_is_a_read_error() {
    read_rows(gateway, &[order_sn()]).await;
}

#[tokio::test]
async fn a_probe_reads_the_row_or_brings_evidence() {
    let server = WireServer::start([ok(REFUND_DONE), ok(ABSENT), statistics(0, "80")]).await;
    let gateway = gateway(settings(&server.base_url));
    let call = refund_call(Some((0, 0)));
    let found = gateway.probe(&call).await.expect("an answer");
    let words = some("退款查询成功: REFUND_SUCCESS");
    assert_eq!(parts(found.answer), (Outcome::Succeeded, None, some("20170602100603639901"), some("200"), words));
    let line =
        "refund.query: REFUND_SUCCESS, 10.50 yuan, refund_sn 20170602100603639901, done 2017-06-02 10:06:03 in Beijing";
    assert_eq!((found.proof, found.evidence), (Proof::OwnNumber, vec![line.to_owned()]));
    let before = Timestamp::from(jiff::Timestamp::now());
    let absent = gateway.probe(&call).await.expect("an answer");
    let evidence = "refund.query knows no such number: 退款不存在 (REFUND_NOT_EXIST); \
                    refund.statistics is as before the attempt";
    assert!(before <= absent.asked_at && absent.asked_at <= absent.answer.ended_at);
    assert_eq!(parts(absent.answer), (Outcome::InDoubt, None, None, None, some(evidence)));
    let lines = [
        "refund.query knows no such number: 退款不存在 (REFUND_NOT_EXIST)",
        "refund.statistics: 0.00 yuan refunded, 0 refunds",
        "before the attempt: 0.00 yuan refunded, 0 refunds",
    ];
    assert_eq!((absent.proof, absent.evidence), (Proof::OwnNumber, lines.map(str::to_owned).to_vec()));
    let asked: Value = serde_json::from_str(&server.requests()[0].body).expect("JSON");
    assert_eq!(asked["method"], "openapi.payment.order.refund.query");
    let biz = r#"{"merchant_refund_sn":"R20170602000001","order_sn":"20170601215348178414"}"#;
    assert_eq!(asked["biz_content"], biz);
}

#[tokio::test]
async fn a_probe_that_proves_nothing_shows_the_books_as_they_are() {
    let none = "before the attempt: 0.00 yuan refunded, 0 refunds";
    let busy = r#"{"result_code":400,"result_message":"系统繁忙"}"#;
    for (books, baseline, lines) in [
        (statistics(1, "69.5"), Some((0, 0)), vec!["refund.statistics: 10.50 yuan refunded, 1 refunds", none]),
        (
            statistics(1, "69.5"),
            None,
            vec!["refund.statistics: 10.50 yuan refunded, 1 refunds", "before the attempt: nothing was noted"],
        ),
        (
            ok(r#"{"result_code":200,"data":{"total_fee":80}}"#),
            Some((0, 0)),
            vec!["refund.statistics: an unknown amount refunded, an unknown number of refunds", none],
        ),
        (ok(busy), Some((0, 0)), vec!["refund.statistics was refused: 系统繁忙"]),
        (ok(r#"{"result_code":200}"#), Some((0, 0)), vec!["refund.statistics answers without figures"]),
    ] {
        let server = WireServer::start([ok(ABSENT), books]).await;
        let found = gateway(settings(&server.base_url)).probe(&refund_call(baseline)).await.expect("an answer");
        assert_eq!((found.answer.outcome, server.unplayed()), (Outcome::InDoubt, 0), "{found:?}");
        assert_eq!(found.evidence[1..], lines);
    }
}

#[tokio::test]
async fn a_probe_that_is_refused_or_lost_is_an_error_of_its_kind() {
    for (act, kind) in [
        (ok(WRONG_SIGN), ReadErrorKind::Credentials),
        (ok(r#"{"result_code":400,"result_message":"请求过于频繁"}"#), ReadErrorKind::Busy),
        (Act::CloseAfterRequest, ReadErrorKind::Unreachable),
        (Act::Answer(502, String::new()), ReadErrorKind::Unreachable),
        (ok("<html>"), ReadErrorKind::Unreadable),
    ] {
        let server = WireServer::start([act]).await;
        let error = gateway(settings(&server.base_url)).probe(&refund_call(None)).await.expect_err("no answer");
        assert_eq!((error.kind, server.unplayed()), (kind, 0), "{error}");
    }
}

#[tokio::test]
async fn a_fetch_is_the_query_and_the_statistics() {
    let server = WireServer::start([ok(SUCCESS), ok(STATISTICS)]).await;
    let gateway = gateway(settings(&server.base_url));
    let mut facts = gateway.fetch_order(&[order_sn()]).await.expect("read").expect("known");
    assert!(facts.upstream_time.take().is_some(), "the answer bears a Date");
    let body = facts.body.take().expect("the answer as it came goes with its facts");
    assert_eq!(body.expose(), SUCCESS.as_bytes());
    facts.asked_at = at(1);
    let mut expected = Facts {
        merchant: "20160922135339595387".to_owned(),
        refunded: Some(fen(1_050)),
        refund_count: Some(1),
        ..sample_facts()
    };
    expected.details.insert("can_refund".to_owned(), json!("69.50"));
    assert_eq!(facts, expected);
    assert_eq!(server.unplayed(), 0);
}

#[tokio::test]
async fn a_query_is_asked_as_the_seed_shows_it() {
    let sample = include_str!("../../fixtures/fubei/order_query-request.json");
    let mut sample: BTreeMap<String, String> = serde_json::from_str(sample).expect("texts");
    let server = WireServer::start([ok(SUCCESS), ok(STATISTICS)]).await;
    let wanted = reference("merchant_order_sn", "20160120105532871512");
    // The sample order bears another number, so the answer is refused; the question is what is looked at.
    gateway(settings(&server.base_url)).fetch_order(&[wanted]).await.expect_err("another order's facts");
    let mut sent: BTreeMap<String, String> = serde_json::from_str(&server.requests()[0].body).expect("texts");
    // The seed has no version; the documents have it, and the signature covers whatever is sent.
    assert_eq!(sent.remove("version"), some("1.0"));
    for made_anew in ["nonce", "sign"] {
        assert_ne!(sent.remove(made_anew), sample.remove(made_anew), "{made_anew}");
    }
    assert_eq!(sent, sample);
}

#[tokio::test]
async fn a_number_of_unknown_kind_is_tried_as_each_kind() {
    let absent = || ok(r#"{"result_code":400,"result_message":"订单不存在"}"#);
    let number = "201706011496325244549";
    let wanted = ["order_sn", "trade_no", "merchant_order_sn"].map(|kind| reference(kind, number));
    let server = WireServer::start([absent(), absent(), ok(SUCCESS), ok(STATISTICS)]).await;
    let found = gateway(settings(&server.base_url)).fetch_order(&wanted).await.expect("read");
    assert_eq!(found.and_then(|facts| facts.native), Some(order_sn()));
    assert_eq!(server.unplayed(), 0);
    let server = WireServer::start([absent(), absent(), absent()]).await;
    assert_eq!(gateway(settings(&server.base_url)).fetch_order(&wanted).await, Ok(None));
}

#[tokio::test]
async fn a_fetch_refuses_what_is_not_about_the_order_asked_for() {
    let server = WireServer::start([ok(SUCCESS)]).await;
    let wanted = [reference("order_sn", "20170601215348178415")];
    let error = gateway(settings(&server.base_url)).fetch_order(&wanted).await.expect_err("another order");
    assert_eq!(error.kind, ReadErrorKind::Unreadable);
    let server = WireServer::start([ok(include_str!("../../fixtures/fubei/order_query-fail_400.json"))]).await;
    let error = gateway(settings(&server.base_url)).fetch_order(&[order_sn()]).await.expect_err("refused");
    assert_eq!(
        (error.kind, error.to_string().as_str()),
        (ReadErrorKind::Refused, "order.query: 失败 (ERROR_CODE) (code 400)",)
    );
}

#[tokio::test]
async fn a_file_secret_is_read_again_after_a_refusal() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("secret");
    std::fs::write(&path, "first\n").expect("written");
    let server = WireServer::start([ok(WRONG_SIGN), ok(SUCCESS), ok(STATISTICS), ok(WRONG_SIGN)]).await;
    let mut settings = configured(settings(&server.base_url));
    let source = Arc::new(FileSecret::new(&path));
    tillbook::clients::credential::CredentialSource::secret(&*source).expect("read once");
    std::fs::write(&path, "second\n").expect("written");
    settings.secret = source;
    let gateway = FubeiGateway::new(settings).expect("good settings");
    assert!(gateway.fetch_order(&[order_sn()]).await.expect("read with the second").is_some());
    // The same secret again would fare the same: the refusal stands.
    let error = gateway.fetch_order(&[order_sn()]).await.expect_err("refused");
    assert_eq!((error.kind, server.unplayed()), (ReadErrorKind::Credentials, 0));
}

#[tokio::test]
async fn a_generated_client_cannot_move_money() {
    use tillbook::clients::fubei::{api, client};
    use tillbook::clients::wire::{JsonText, Yuan};

    let server = WireServer::start([]).await;
    let client = client(&configured(settings(&server.base_url))).expect("good settings");
    let biz: api::types::OrderRefundBiz = api::types::OrderRefundBiz::builder()
        .order_sn(some("20170601215348178414"))
        .merchant_refund_sn("R1")
        .refund_money(Yuan::from_fen(1))
        .try_into()
        .expect("complete");
    let blank = |body: api::types::builder::OrderRefundCall| {
        body.app_id("").method("").format("").sign_method("").nonce("").sign("").biz_content(JsonText(biz))
    };
    let error = client.order_refund().body_map(blank).send().await.expect_err("refused");
    assert_eq!(error.to_string(), "Error: operation `order_refund` moves money: only the ledger may call it");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn no_debug_or_error_text_holds_the_secret() {
    let server = WireServer::start([ok(WRONG_SIGN)]).await;
    let gateway = gateway(settings(&server.base_url));
    let error = gateway.fetch_order(&[order_sn()]).await.expect_err("refused");
    let texts = format!("{gateway:?} {error:?} {error}");
    assert!(!texts.contains("test-secret"), "{texts}");
}

#[tokio::test]
async fn a_check_proves_the_signature_and_compares_the_clocks() {
    let bill = include_str!("../../fixtures/fubei/order_bill-response.json");
    let server = WireServer::start([ok(bill), ok(WRONG_SIGN)]).await;
    let gateway = gateway(settings(&server.base_url));
    let checked = gateway.check().await.expect("accepted");
    assert_eq!(checked.proven, ["signature and app_id accepted"]);
    assert_eq!(checked.upstream_time, Some(at(1_496_325_236)));
    assert!(checked.warnings[0].starts_with("this clock is "), "{:?}", checked.warnings);
    let error = gateway.check().await.expect_err("refused");
    assert_eq!(error.kind, ReadErrorKind::Credentials);
}
