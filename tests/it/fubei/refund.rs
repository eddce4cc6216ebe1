//! Every row of the classification table under a refund.

use super::*;

#[tokio::test]
async fn a_transport_fault_under_a_refund_is_not_sent_or_in_doubt() {
    refund_rows(gateway, &refund_call(Some((0, 0)))).await;
}

#[tokio::test]
async fn a_refund_is_one_signed_post_with_its_own_number() {
    let server = WireServer::start([ok(ACCEPTED)]).await;
    let answer = gateway(settings(&server.base_url)).refund(&refund_call(Some((0, 0)))).await;
    let expected = (Outcome::Accepted, None, some("20170602100603639901"), some("200"), some("成功"));
    assert_eq!(parts(answer), expected);
    let [request] = server.requests().try_into().expect("one request");
    assert_eq!(request.line, "POST /gateway");
    assert_eq!(request.header("api-version"), None);
    assert_eq!(request.header("content-type"), Some("application/json"));
    let mut sent: BTreeMap<String, String> = serde_json::from_str(&request.body).expect("texts");
    let sample = include_str!("../../fixtures/fubei/refund-request_partial.json");
    let mut sample: BTreeMap<String, String> = serde_json::from_str(sample).expect("texts");
    let biz = |fields: &mut BTreeMap<String, String>| -> Value {
        serde_json::from_str(&fields.remove("biz_content").expect("sent")).expect("JSON")
    };
    assert_eq!(biz(&mut sent), biz(&mut sample));
    let nonce = sent.remove("nonce").expect("sent");
    assert_eq!((nonce.len(), nonce.chars().all(|c| c.is_ascii_alphanumeric())), (32, true));
    assert!(sent.remove("sign").is_some_and(|sign| sign.len() == 32 && sign == sign.to_uppercase()));
    sample.remove("nonce");
    sample.remove("sign");
    assert_eq!(sent, sample);
}

#[tokio::test]
async fn accepted_for_another_number_is_in_doubt() {
    let answer = refund(vec![ok(&ACCEPTED.replace("R20170602000001", "R2"))], Some((0, 0))).await;
    let message = some("the answer is about refund R2, not about R20170602000001");
    assert_eq!(parts(answer), (Outcome::InDoubt, None, None, some("200"), message));
}

#[tokio::test]
async fn a_refusal_with_agreeing_books_is_declined() {
    let script = vec![ok(REFUSED), ok(ABSENT), statistics(1, "69.5")];
    let answer = refund(script, Some((1_050, 1))).await;
    assert_eq!(parts(answer), (Outcome::Declined, None, None, some("400"), some("可退金额不足 (NOT_ENOUGH)")));
}

#[tokio::test]
async fn a_refusal_whose_books_moved_is_in_doubt() {
    let script = vec![ok(REFUSED), ok(ABSENT), statistics(1, "69.5")];
    let answer = refund(script, Some((0, 0))).await;
    let message = "可退金额不足 (NOT_ENOUGH); refund.query knows no such number: 退款不存在 (REFUND_NOT_EXIST); \
                   refund.statistics moved from 0.00 to 10.50 refunded";
    assert_eq!(parts(answer), (Outcome::InDoubt, None, None, some("400"), some(message)));
}

#[tokio::test]
async fn a_refusal_without_baseline_or_with_an_unanswered_question_is_in_doubt() {
    let no_baseline = refund(vec![ok(REFUSED), ok(ABSENT), statistics(0, "80")], None).await;
    assert_eq!(no_baseline.outcome, Outcome::InDoubt);
    let busy = r#"{"result_code":400,"result_message":"系统繁忙"}"#;
    for query in [Act::CloseAfterRequest, ok(busy), ok(r#"{"result_code":60303,"result_message":"失败"}"#)] {
        let answer = refund(vec![ok(REFUSED), query, statistics(0, "80")], Some((0, 0))).await;
        assert_eq!(answer.outcome, Outcome::InDoubt, "{answer:?}");
    }
    for books in [Act::CloseAfterRequest, ok(busy), ok(r#"{"result_code":200,"data":null}"#)] {
        let answer = refund(vec![ok(REFUSED), ok(ABSENT), books], Some((0, 0))).await;
        assert_eq!(answer.outcome, Outcome::InDoubt, "{answer:?}");
    }
}

#[tokio::test]
async fn a_refusal_of_a_refund_that_is_known_takes_its_row() {
    let repeated = r#"{"result_code":400,"result_message":"退款单号重复","sub_code":"REFUND_SN_REPEATED"}"#;
    for (word, outcome) in [
        ("REFUND_SUCCESS", Outcome::Succeeded),
        ("REFUND_PROCESSING", Outcome::Accepted),
        ("REFUND_FAILER", Outcome::Declined),
        ("REFUND_FAIL", Outcome::Declined),
        ("REFUND_LATER", Outcome::InDoubt),
    ] {
        let row = REFUND_DONE.replace("REFUND_SUCCESS", word);
        let answer = refund(vec![ok(repeated), ok(&row), statistics(1, "69.5")], Some((0, 0))).await;
        assert_eq!(answer.outcome, outcome, "{word}: {answer:?}");
    }
    let row = REFUND_DONE.replace("\"refund_money\": 10.5", "\"refund_money\": 10.51");
    let answer = refund(vec![ok(repeated), ok(&row), statistics(1, "69.5")], Some((0, 0))).await;
    assert_eq!(answer.outcome, Outcome::InDoubt, "another amount");
}

#[tokio::test]
async fn wrong_signature_or_app_id_is_blocked_and_asks_nothing() {
    for refusal in [WRONG_SIGN, r#"{"result_code":"4901","result_message":"应用不存在","data":[]}"#] {
        let answer = refund(vec![ok(refusal)], Some((0, 0))).await;
        assert_eq!((answer.outcome, answer.blocked), (Outcome::Blocked, Some(BlockReason::Credentials)), "{answer:?}");
    }
}

#[tokio::test]
async fn a_platforms_words_about_a_signature_block_only_if_reads_fare_the_same() {
    let platform = r#"{"result_code":400,"result_message":"签名校验失败","sub_code":"SIGNERROR"}"#;
    let same = refund(vec![ok(platform), ok(platform), ok(platform)], Some((0, 0))).await;
    assert_eq!((same.outcome, same.blocked), (Outcome::Blocked, Some(BlockReason::Credentials)));
    let moved = refund(vec![ok(platform), ok(ABSENT), statistics(1, "69.5")], Some((0, 0))).await;
    assert_eq!(moved.outcome, Outcome::InDoubt);
}

#[tokio::test]
async fn listed_codes_are_declined_or_blocked_directly() {
    let server = WireServer::start([ok(REFUSED), ok(r#"{"result_code":4077,"result_message":"失败"}"#)]).await;
    let mut listed = configured(settings(&server.base_url));
    listed.declined_codes = vec!["NOT_ENOUGH".to_owned()];
    listed.credential_codes = vec!["4077".to_owned()];
    let gateway = FubeiGateway::new(listed).expect("good settings");
    let call = refund_call(None);
    assert_eq!(gateway.refund(&call).await.outcome, Outcome::Declined);
    assert_eq!(gateway.refund(&call).await.outcome, Outcome::Blocked);
    assert_eq!(server.unplayed(), 0);
}

#[tokio::test]
async fn an_answer_without_a_code_is_in_doubt() {
    let answer = refund(vec![ok(r#"{"result_message":"成功"}"#)], Some((0, 0))).await;
    let message = some("the answer could not be read: result_code is missing");
    assert_eq!(parts(answer), (Outcome::InDoubt, None, None, some("200"), message));
}

#[tokio::test]
async fn a_secret_that_cannot_be_had_blocks_before_anything_is_sent() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("secret");
    let server = WireServer::start([]).await;
    let mut settings = configured(settings(&server.base_url));
    settings.secret = Arc::new(FileSecret::new(&path));
    let gateway = FubeiGateway::new(settings).expect("good settings");
    let answer = gateway.refund(&refund_call(None)).await;
    let message = format!("the secret's file {} cannot be read", path.display());
    let expected = (Outcome::Blocked, Some(BlockReason::Credentials), None, None, Some(message));
    assert_eq!(parts(answer), expected);
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn an_answer_above_the_limit_is_in_doubt_and_not_kept() {
    let server = WireServer::start([ok(ACCEPTED)]).await;
    let limited = HttpSettings { body_limit_bytes: ACCEPTED.len() - 1, ..settings(&server.base_url) };
    let answer = gateway(limited).refund(&refund_call(Some((0, 0)))).await;
    let message = some("the answer could not be read: the answer is larger than the limit");
    assert_eq!(parts(answer), (Outcome::InDoubt, None, None, some("200"), message));
}

#[tokio::test]
async fn a_number_of_another_upstream_is_not_sent() {
    let server = WireServer::start([]).await;
    let call = RefundCall { native: reference("tradeOrderId", "7"), ..refund_call(None) };
    let answer = gateway(settings(&server.base_url)).refund(&call).await;
    let message = some("the request could not be built: fubei knows no number of the kind tradeOrderId");
    assert_eq!(parts(answer), (Outcome::NotSent, None, None, None, message));
    assert!(server.requests().is_empty());
}
